"""The estimator LandingICA."""

import warnings
from numbers import Integral

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state

from mvica._validation import Interval, StrOptions, _fit_context, validate_views
from mvica.ica.base import SOLVER_CONSTRAINTS, MultiViewICABase
from mvica.ica.initialization import unit_variance
from mvica.ica.stacked import by_view
from mvica.optim.progress import progress_bar
from mvica.reduction.mcca import multiset_cca
from mvica.stiefel.ica import default_batch_size, deterministic_ica, stochastic_ica
from mvica.stiefel.ica_stream import rows_to_start, start_ica_stream

MANY_SAMPLES = 1_000_000  # fewer: converging on all of them takes no longer, and is exact


class LandingICA(MultiViewICABase):
    """ICA of what the views share, by landing on the constraint of white sources.

    The sources are fitted on all samples, on a few passes of batches, or on batches that arrive
    (`partial_fit`), without a whitening that has to be known beforehand: the constraint and the
    independence are met together. With many views it is an ICA of their shared signals, as by
    multiset CCA, regressed on every view.

    Parameters
    ----------
    n_components : int, default=None
        Number of components. None keeps as many as every view allows: the smallest numerical rank
        of the views.
    reduction : {"mcca", "pca", "grouppca", "srm"} or None, default="mcca"
        How a view with more features than components is reduced first.
    density : {"logcosh", "sub", "extended"} or Density, default="logcosh"
        Source density, see `MultiViewICA`.
    solver : {"auto", "deterministic", "stochastic"}, default="auto"
        "deterministic" uses all samples at every iteration and converges to `tol`; "stochastic"
        makes `n_epochs` passes over batches, with a step rule that needs no tuning. "auto" is
        stochastic from a million samples on.
    max_iter : int, default=200
        Most iterations of the deterministic solver.
    tol : float, default=1e-5
        Relative gradient of the deterministic solver at convergence.
    n_epochs : int, default=5
        Passes of the stochastic solver.
    batch_size : int, default=None
        Rows of a batch. None takes twenty for each component, at least 128 and at most a tenth of
        the samples; in `partial_fit`, ten for each component and at least 128.
    view_sizes : int or sequence of int, default=None
        How one table of shape (n_samples, n_features) is cut into views. None makes it one view,
        an int that number of nearly equal contiguous blocks of columns, a sequence gives the
        widths.
    output : {"shared", "concat", "views"}, default="shared"
        What `transform` returns: the shared sources (n_samples, n_components); the sources of each
        view side by side; or these as a `MultiViewData`.
    random_state : int, RandomState instance or None, default=None
        Seed of the random numbers. An int makes repeated fits identical.
    verbose : int, default=0
        1 shows a progress bar.

    Attributes
    ----------
    components_ : list of ndarray of shape (n_components, n_features_v)
        Unmixing of each view, from centred features to components, reduction included.
    mixing_ : list of ndarray of shape (n_features_v, n_components)
        Mixing of each view: the spatial patterns of its sources, the right inverse of the unmixing.
    mean_ : list of ndarray of shape (n_features_v,)
        Mean of each view.
    sources_ : ndarray of shape (n_samples, n_components)
        Shared sources of the training data: unit variance, positive third moment, by decreasing
        mean share of explained variance. After steps of `partial_fit` there are none.
    noise_variances_ : ndarray of shape (n_views, n_components)
        Mean squared difference between a view's source and the shared source.
    agreement_ : ndarray of shape (n_views, n_components)
        Correlation of a view's source with the mean of the other views'; NaN for one view.
    explained_variance_ratio_ : ndarray of shape (n_views, n_components)
        Share of a view's variance that the shared source explains.
    sub_gaussian_ : ndarray of bool, shape (n_components,)
        Components taken for sub-Gaussian.
    scale_ : ndarray of shape (n_components,)
        Standard deviation of the mean of the regressed sources.
    rank_ : ndarray of shape (n_views,)
        Numerical rank of each view.
    solver_ : {"deterministic", "stochastic"}
        The solver that was taken.
    n_samples_seen_ : int
        Number of samples learned from.
    stream_ : object
        What `partial_fit` needs to go on; None after `fit`, whose solution it goes on from.
    n_iter_ : int
        Iterations, or batches.
    converged_ : bool
        Whether `tol` was met; for the stochastic solver, whether the gradient on all samples is
        within its sampling error.
    objective_ : float
        Minus the mean log density of the shared white sources at the end, up to a constant.
    objective_history_ : ndarray
        Its course at each iteration; its first and last value for the stochastic solver.
    gradient_norm_ : float
        Largest entry of the relative gradient on all samples at the end.
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
    MultiViewICA : Joint maximum likelihood of all views, more accurate for noisy views.

    References
    ----------
    Vary, Ablin, Gao, Absil (2024), Optimization without retraction on the random generalized
    Stiefel manifold, ICML.

    Examples
    --------
    >>> import numpy as np
    >>> from mvica import LandingICA
    >>> from mvica.metrics import amari_distance
    >>> rng = np.random.default_rng(0)
    >>> S, A = rng.laplace(size=(20_000, 3)), rng.standard_normal((3, 3))
    >>> X = S @ A.T
    >>> model = LandingICA(random_state=0).fit(X)
    >>> bool(amari_distance(model.components_, [A]) < 1e-3)
    True

    The same data as they arrive:

    >>> model = LandingICA(random_state=0)
    >>> for start in range(0, 20_000, 1000):
    ...     model = model.partial_fit(X[start : start + 1000])
    >>> bool(amari_distance(model.components_, [A]) < 1e-3)
    True
    """

    _parameter_constraints: dict = {
        **MultiViewICABase._parameter_constraints,
        **SOLVER_CONSTRAINTS,
        "solver": [StrOptions({"auto", "deterministic", "stochastic"})],
        "n_epochs": [Interval(Integral, 1, None, closed="left")],
        "batch_size": [Interval(Integral, 2, None, closed="left"), None],
    }

    def __init__(
        self,
        n_components=None,
        *,
        reduction="mcca",
        density="logcosh",
        solver="auto",
        max_iter=200,
        tol=1e-5,
        n_epochs=5,
        batch_size=None,
        view_sizes=None,
        output="shared",
        random_state=None,
        verbose=0,
    ):
        self.n_components = n_components
        self.reduction = reduction
        self.density = density
        self.solver = solver
        self.max_iter = max_iter
        self.tol = tol
        self.n_epochs = n_epochs
        self.batch_size = batch_size
        self.view_sizes = view_sizes
        self.output = output
        self.random_state = random_state
        self.verbose = verbose

    def _fit_views(self, views):
        super()._fit_views(views)
        self.n_samples_seen_ = len(views[0])
        self.stream_ = None

    def _solve(self, stacked, patterns):
        p, rng = stacked.n_components, check_random_state(self.random_state)
        found = multiset_cca(stacked.Z, p, random_state=rng, tol=1e-6, moment=stacked.moment)
        B = (found.directions / np.sqrt(found.eigenvalues)).T
        kinds, result = self._independent(stacked.mix(B), rng)
        correlation = by_view(stacked.correlate_mixture(result.x[0] @ B), stacked.n_views)
        W = np.linalg.solve(stacked.covariances, correlation).mT
        return unit_variance(stacked, W)[0], kinds, result

    def _independent(self, Z, rng):
        """ICA of the shared signals (p, n)."""
        p, n = Z.shape
        self.solver_ = self.solver
        if self.solver == "auto":
            self.solver_ = "stochastic" if n >= MANY_SAMPLES else "deterministic"
        if self.solver_ == "deterministic":
            with progress_bar("LandingICA", self.max_iter, self.verbose) as callback:
                return deterministic_ica(
                    Z, self.density, tol=self.tol, max_iter=self.max_iter, callback=callback
                )
        size = min(self.batch_size or default_batch_size(n, p), n)
        with progress_bar("LandingICA", self.n_epochs * (n // size), self.verbose) as callback:
            return stochastic_ica(
                Z,
                self.density,
                n_epochs=self.n_epochs,
                batch_size=size,
                random_state=rng,
                callback=callback,
            )

    def _report_solver(self, result):
        if self.solver_ == "deterministic" or result.converged:
            super()._report_solver(result)
            return
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            super()._report_solver(result)
        warnings.warn(
            f"LandingICA did not converge in {self.n_epochs} passes: gradient "
            f"{result.gradient_norm:.2g}, above its sampling error. Raise n_epochs (now "
            f"{self.n_epochs}), or use solver='deterministic'.",
            ConvergenceWarning,
            stacklevel=5,
        )

    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y=None):
        """Learn from a batch of samples that arrive.

        The first rows, forty for each feature, are kept and fitted together at every call. Then
        each batch is a landing step in the coordinates of this start, and memory grows no more.
        After `fit` the steps go on from its solution. The state `stream_` is part of the estimator:
        pickled or saved, it goes on where it was.

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
            If the batch is not like the first one. What was learned before is kept.
        """
        first = not hasattr(self, "components_")
        views = validate_views(self, X, reset=first, min_samples=2 if first else 1)
        stream = getattr(self, "stream_", None)
        if first or isinstance(stream, list):
            self._fit_first_rows(stream, views)
            return self
        stream = stream or start_ica_stream(self, self.n_samples_seen_, self.batch_size)
        self.stream_ = stream = stream.learned(views, self.density)
        self._report_stream(stream)
        return self

    def _fit_first_rows(self, kept, views):
        """Fit all rows so far, and keep them until they are enough."""
        if kept is not None:
            views = [np.concatenate(pair) for pair in zip(kept, views, strict=True)]
        self._fit_views(views)
        if len(views[0]) < rows_to_start(self.view_sizes_):
            self.stream_ = [X.copy() for X in views]
        else:
            self.stream_ = start_ica_stream(self, len(views[0]), self.batch_size)

    def _report_stream(self, stream):
        W = stream.unmixing()
        self.components_ = [W @ rows for rows in stream.components]
        self.mixing_ = [A @ np.linalg.inv(W) for A in stream.mixing]
        self.mean_ = list(stream.means)
        self.n_samples_seen_ = stream.n_samples
        self.n_iter_ = max(stream.landing.n_steps, 1)
        if hasattr(self, "sources_"):
            del self.sources_
