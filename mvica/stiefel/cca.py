"""Canonical correlation analysis of two views, for data in memory, on disk or arriving."""

import warnings
from numbers import Integral, Real

import numpy as np
from sklearn.utils import check_random_state

from mvica._validation import Interval, StrOptions, _fit_context, validate_views
from mvica.base import MultiViewTransformer
from mvica.optim.progress import progress_bar
from mvica.stiefel.cca_base import CanonicalAnalysis, feature_directions
from mvica.stiefel.cca_covariance import JointCovariance, no_covariance
from mvica.stiefel.cca_problem import Settings, given_ridges
from mvica.stiefel.cca_solve import solve, solve_covariance
from mvica.stiefel.cca_stream import enough_rows, start_stream

_SHARED = MultiViewTransformer._parameter_constraints


class CCA(CanonicalAnalysis):
    r"""Canonical correlation analysis: directions in which two views correlate most.

    Maximises :math:`\mathrm{tr}(U_1^\top C_{12} U_2)` subject to
    :math:`U_v^\top (C_v + \rho_v \bar c_v I) U_v = I`, with the mean variance :math:`\bar c_v` of
    the features of view v. Components come by decreasing correlation, their scores have unit
    variance on the training data, and the largest entry of the mixing of the first view is
    positive.

    Parameters
    ----------
    n_components : int, default=None
        Number of components. None keeps the smallest numerical rank of the views.
    solver : {"auto", "direct", "svd", "lobpcg", "landing"}, default="auto"
        How the directions are found:

        - ``"direct"``: covariances in one pass, Cholesky factors, a truncated SVD;
        - ``"svd"``: an SVD of each view, which squares nothing and suits more features than
          samples;
        - ``"lobpcg"``: block Rayleigh-Ritz in a few passes over the data, for many features and
          very many samples;
        - ``"landing"``: stochastic steps on batches, approximate, for data that are seen once or
          a few times; `partial_fit` takes such steps as well;
        - ``"auto"``: "svd" for more features than samples; "direct" up to 400 features, for fewer
          than 40 samples a feature, or for more than a twentieth of the features as components;
          else "lobpcg". Never "landing". `solver_` says what was taken.
    regularization : float, list of float, "ledoit_wolf" or "oas", default=0.0
        Ridge of all views or of each, in units of the mean variance of the features of the view,
        which makes it free of units. "ledoit_wolf" and "oas" estimate it. Needed where a view has
        as many features as samples.
    scale : bool, default=False
        Apply the ridge to features of unit variance. Without a ridge it changes nothing.
    tol : float, default=1e-5
        "lobpcg" stops when the residual of the components is below it, or when the sum of their
        correlations changes relatively by less than it twice in a row.
    max_passes : int, default=100
        Largest number of passes of "lobpcg" over the data.
    n_epochs : int, default=5
        Passes of "landing" over the data.
    batch_size : int, default=None
        Rows of a batch of "landing". None takes twice the number of features, at least 256, and
        in `fit` at most an eighth of the samples.
    oversampling : int, default=3
        Columns that "lobpcg" and "landing" carry beyond the components, and drop at the end.
    warm_start : bool, default=False
        Start "lobpcg" and "landing" from the directions of the last fit of views of these sizes.
    view_sizes : int or sequence of int, default=None
        How one table of shape (n_samples, n_features) is cut into views. None makes it one view,
        an int that number of nearly equal contiguous blocks of columns, a sequence gives the
        widths. Data that come as separate views do not need it.
    output : {"shared", "concat", "views"}, default="shared"
        What `transform` returns: the mean of the scores of the views, of shape (n_samples,
        n_components); the scores of the views side by side, of shape (n_samples, n_views *
        n_components); or these as a `MultiViewData`.
    random_state : int, RandomState instance or None, default=None
        Draws the sample that "lobpcg" and "landing" start from, and the batches.
    verbose : int, default=0
        0 prints nothing, 1 shows the progress of "lobpcg" and "landing".

    Attributes
    ----------
    components_ : list of ndarray of shape (n_components, n_features_v)
        Canonical directions of each view, from centred features to scores of unit variance.
    mixing_ : list of ndarray of shape (n_features_v, n_components)
        Patterns: regression of the features of each view on its scores.
    mean_ : list of ndarray of shape (n_features_v,)
        Mean of each view.
    canonical_correlations_ : ndarray of shape (n_components,)
        Correlations of the scores of the training data (for more than two views, their mean over
        the pairs). With a ridge too they are those of the plain scores.
    correlations_ : ndarray of shape (n_views, n_views, n_components)
        The same for all pairs of views.
    objective_ : float
        What is maximised: the sum of the canonical correlations of the regularised problem.
    regularization_ : ndarray of shape (n_views,)
        Ridge of each view, in units of the mean variance of its features.
    rank_ : ndarray of shape (n_views,)
        Numerical rank of each view (with a ridge and "lobpcg" or "landing": number of features).
    solver_ : str
        The solver that was taken.
    n_samples_seen_ : int
        Number of samples learned from.
    n_iter_ : int
        Passes over the data ("lobpcg"), batches ("landing"), or 1.
    converged_ : bool
        Whether `tol` was reached; for "landing", whether the residual is below 0.1, about 1 % of
        the sum of the correlations.
    stream_ : object
        What `partial_fit` needs to go on; None after `fit`.
    n_views_ : int
        Number of views.
    view_sizes_ : tuple of int
        Number of features of each view.
    n_features_in_ : int
        Number of features of all views together.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features, when fitted on one dataframe whose column names are all str.

    See Also
    --------
    GCCA : The same for many views, with a consensus.
    MultisetCCA : Many views of many features each, reduced first, with a chance level.

    Notes
    -----
    Held-out correlations (`score`, `correlations`) say what is shared: those of the training data
    grow with the number of features, whether anything is shared or not.

    "lobpcg" and "landing" precondition with the covariance of a few random rows, so that they need
    no step size and do not mind ill-conditioned views. "landing" follows an unbiased estimate of
    the landing field of each batch; it leaves a gap of about 1e-3 of the sum of the correlations.

    More than two views are taken together as by `GCCA`, with scores of unit variance for each
    view; one view gives its principal components.

    References
    ----------
    Hotelling, Relations between two sets of variates, Biometrika 1936.

    Vary, Ablin, Gao, Absil, Optimization without retraction on the random generalized Stiefel
    manifold, ICML 2024.

    Knyazev, Toward the optimal preconditioned eigensolver: locally optimal block preconditioned
    conjugate gradient method, SIAM Journal on Scientific Computing 2001.

    Examples
    --------
    >>> import numpy as np
    >>> from mvica import CCA
    >>> rng = np.random.default_rng(0)
    >>> S = rng.standard_normal((1000, 2))
    >>> X = [S @ rng.standard_normal((2, d)) + 0.1 * rng.standard_normal((1000, d)) for d in (4, 6)]
    >>> cca = CCA(n_components=2).fit([x[:500] for x in X])
    >>> cca.solver_, bool(cca.score([x[500:] for x in X]) > 0.95)
    ('direct', True)

    Data that are no array, batch by batch:

    >>> def batches():
    ...     for start in range(0, 1000, 100):
    ...         yield [x[start : start + 100] for x in X]
    >>> CCA(n_components=2).fit(batches).n_samples_seen_
    1000
    """

    _parameter_constraints: dict = {
        "n_components": _SHARED["n_components"],
        "solver": [StrOptions({"auto", "direct", "svd", "lobpcg", "landing"})],
        "regularization": [
            Interval(Real, 0, None, closed="left"),
            StrOptions({"ledoit_wolf", "oas"}),
            "array-like",
        ],
        "scale": ["boolean"],
        "tol": [Interval(Real, 0, None, closed="left")],
        "max_passes": [Interval(Integral, 1, None, closed="left")],
        "n_epochs": [Interval(Integral, 1, None, closed="left")],
        "batch_size": [Interval(Integral, 2, None, closed="left"), None],
        "oversampling": [Interval(Integral, 0, None, closed="left")],
        "warm_start": ["boolean"],
        "view_sizes": _SHARED["view_sizes"],
        "output": _SHARED["output"],
        "random_state": _SHARED["random_state"],
        "verbose": _SHARED["verbose"],
    }

    def __init__(
        self,
        n_components=None,
        solver="auto",
        regularization=0.0,
        scale=False,
        tol=1e-5,
        max_passes=100,
        n_epochs=5,
        batch_size=None,
        oversampling=3,
        warm_start=False,
        view_sizes=None,
        output="shared",
        random_state=None,
        verbose=0,
    ):
        self.n_components = n_components
        self.solver = solver
        self.regularization = regularization
        self.scale = scale
        self.tol = tol
        self.max_passes = max_passes
        self.n_epochs = n_epochs
        self.batch_size = batch_size
        self.oversampling = oversampling
        self.warm_start = warm_start
        self.view_sizes = view_sizes
        self.output = output
        self.random_state = random_state
        self.verbose = verbose

    def transform(self, X, y=None, *, views=None):
        """Estimate the scores of data, in the form that `output` asks for.

        Parameters
        ----------
        X : MultiViewData, list of array-like, 3D array or array-like
            The views, in one of the forms that `fit` takes.
        y : None
            Ignored, here for scikit-learn, which expects it of an estimator of this name.
        views : sequence of int, default=None
            Indices of the fitted views that `X` holds, when some are missing.

        Returns
        -------
        S : ndarray or MultiViewData
            For `output="shared"` the mean of the scores of the views, of shape (n_samples,
            n_components); for `"concat"` the scores of each view present side by side; for
            `"views"` these as a `MultiViewData`.

        Raises
        ------
        ValueError
            If the views are not those of `fit`: the message gives the sizes found and expected.
        TypeError
            If `views` is not given by name.
        """
        S = super().transform(X, views)
        if isinstance(y, (list, tuple, np.ndarray)) and len(y) != len(S):
            raise TypeError("give the indices of the views by name: transform(X, views=...)")
        return S

    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y=None):
        """Learn from a batch of samples that arrive.

        With `solver` "auto" or "direct" the covariances of all features are kept, and the result
        is that of `fit` on all batches together. With "landing" the memory does not grow with the
        square of the features once the first rows, eight for each feature, have given a start:
        each batch is then a step, and the directions follow data that change slowly. The state
        `stream_` is part of the estimator: pickled or saved, it goes on where it was.

        Parameters
        ----------
        X : MultiViewData, list of array-like, 3D array or array-like
            The views of new samples, in one of the forms that `fit` takes.
        y : None
            Ignored, here for scikit-learn.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If the batch is not like the first one, or `solver` needs all samples. What was learned
            before is kept.

        Warns
        -----
        UserWarning
            After `fit`, whose samples are forgotten: this is then the first batch. Also while a
            view has as many features as there are samples so far, and no regularization: the
            correlations mean nothing yet.
        """
        if self.solver in ("svd", "lobpcg"):
            raise ValueError(
                f"solver={self.solver!r} needs all samples: use 'auto', 'direct' or 'landing' with "
                "partial_fit"
            )
        stream = getattr(self, "stream_", None)
        if hasattr(self, "stream_") and stream is None:
            warnings.warn(
                "fit kept no state of its samples: partial_fit starts anew with this batch",
                UserWarning,
                stacklevel=2,
            )
        first = stream is None
        views = validate_views(self, X, reset=first, min_samples=2 if first else 1)
        stream, solution = self._learned(stream or no_covariance(self.view_sizes_), views)
        self._set_solution(solution, stream.n_samples)
        self.stream_ = stream
        return self

    def _learned(self, stream, views):
        """State after a batch, and the solution then; changes nothing."""
        landing = self.solver == "landing"
        if landing and (len(views) != 2 or isinstance(self.regularization, str)):
            raise ValueError("solver='landing' needs 2 views and regularization in numbers")
        if not isinstance(stream, JointCovariance):
            stream = stream.learned(views)
            return stream, stream.solution(self.components_[0].shape[0])
        stream = stream.added([views])
        settings = self._settings()
        solution = solve_covariance(stream, settings, few_samples=True)
        if stream.n_samples <= max(stream.sizes) + 1 and not solution.ridges.all():
            warnings.warn(
                f"{stream.n_samples} samples of views of sizes {stream.sizes} correlate perfectly "
                "whatever they are: give more batches, or a regularization",
                UserWarning,
                stacklevel=4,
            )
        if landing and enough_rows(stream):
            q = solution.directions[0].shape[1] + self.oversampling
            ridges = given_ridges(self.regularization, 2)
            rng = check_random_state(self.random_state)
            stream = start_stream(stream, ridges, q, self.batch_size, rng, scale=self.scale)
        return stream, solution

    def _fit_rows(self, rows):
        passes = self.solver != "landing"
        total = self.max_passes if passes else None
        with progress_bar("CCA", total, self.verbose) as callback:
            solution = solve(rows, self._settings(rows.sizes, callback))
        self._set_solution(solution, rows.n_samples)
        self.stream_ = None

    def _settings(self, sizes=None, callback=None):
        start = None
        if self.warm_start and hasattr(self, "components_"):
            known = [W.T for W in self.components_]
            start = known if [len(W) for W in known] == list(sizes or ()) else None
        return Settings(
            n_components=self.n_components,
            solver=self.solver,
            regularization=self.regularization,
            scale=self.scale,
            tol=self.tol,
            max_iter=self.max_passes,
            n_epochs=self.n_epochs,
            batch_size=self.batch_size,
            oversampling=self.oversampling,
            consensus=False,
            random_state=check_random_state(self.random_state),
            start=start,
            callback=callback,
        )

    def _maps(self, solution):
        """Directions to scores of unit variance, and the regressions on them."""
        components, mixing = [], []
        for v, (W, C) in enumerate(zip(*feature_directions(solution), strict=True)):
            gram = solution.moments[v, v]
            deviations = np.sqrt(np.diag(gram))
            components.append((W / deviations).T)
            mixing.append(np.linalg.solve(gram, C.T).T * deviations)
        return components, mixing
