"""Multiset CCA as an estimator: shrinkage, chance level, and exact updates by batches."""

import warnings
from numbers import Integral, Real

import numpy as np

from mvica._validation import Interval, StrOptions, _fit_context, validate_views
from mvica.base import MultiViewTransformer
from mvica.reduction.chance import FIRST_BLOCK, chance_eigenvalues, count_above
from mvica.reduction.mcca import principal_directions, solve_moment, white_sources
from mvica.reduction.moments import Moments
from mvica.reduction.reduce import SAMPLES_PER_DIRECTION, check_n_components
from mvica.reduction.shared_components import SharedComponents, feature_maps, summed_signals
from mvica.reduction.shrinkage import (
    SHRINK_BELOW,
    SHRUNK_SAMPLES_PER_DIRECTION,
    STRONGEST,
    ledoit_wolf,
    shrinkage_gains,
)
from mvica.reduction.stacking import by_view, shrunk_moment
from mvica.reduction.statistics import MomentStatistics, ViewStatistics
from mvica.reduction.subspace import block_size, stable_signs

DEFAULT_SHUFFLES = 19  # the largest of them is exceeded by chance one time in twenty

_SHARED = MultiViewTransformer._parameter_constraints


class MultisetCCA(SharedComponents):
    r"""Multiset canonical correlation analysis: what views share, whatever its variance.

    Finds in each view the combinations of features whose sum over views varies most,

    .. math:: \max \sum_{u,v} a_u^\top C_{uv} a_v \quad \text{subject to} \quad
              \sum_v a_v^\top C_{vv} a_v = 1,

    successive solutions being orthogonal in the metric of the constraint. The shared sources are
    uncorrelated, have unit variance, come by decreasing eigenvalue, and have the sign that makes
    the largest entry of the mixing of the first view positive.

    Parameters
    ----------
    n_components : int, "auto" or None, default=None
        Number of components. None keeps the smallest numerical rank of the views. "auto" keeps
        those whose eigenvalue is above `chance_level_`; if there is none it warns and keeps one.
    n_directions : int, "auto" or None, default="auto"
        Principal directions of each view that may be used. With few samples a direction, views of
        pure noise agree by chance. "auto" takes ``max(n_components, n_samples // 3)``, or
        ``max(n_components, n_samples // 10)`` if `shrinkage` is None; None takes all (the
        numerical rank).
    shrinkage : float, "ledoit-wolf", "auto" or None, default="auto"
        Weight of the identity, times the mean variance, in the covariance of each view. A float,
        at least 0 and less than 1, is used for all views; "ledoit-wolf" estimates one for each
        view from all its features; "auto" does so for views with fewer than ten samples for each
        direction kept; None shrinks nothing. It acts on the directions that `n_directions` keeps.
        Shrinking many directions loses less than dropping them where views have strong activity
        of their own, and about as much where they have none.
    shuffle : {"shift", "permutation"}, default="shift"
        How the chance level destroys what views share: "shift" moves each view circularly in
        time, by far more than a sample, and keeps its autocorrelation; "permutation" permutes the
        samples of each view, right when they have no order.
    n_shuffles : int, default=None
        Number of shuffles that give `chance_level_`. A component that is not shared exceeds it
        with a probability of about ``1 / (n_shuffles + 1)``. None takes 19 if `n_components` is
        "auto", and otherwise 0: no chance level.
    max_iter : int, default=50
        Largest number of rounds of the subspace iteration. A dense solver takes over then, unless
        there are so many views that their joint covariance is not formed.
    tol : float, default=1e-8
        Stop when the subspace moves by less than this between two rounds.
    view_sizes : int or sequence of int, default=None
        How one table of shape (n_samples, n_features) is cut into views. None makes it one view,
        an int that number of nearly equal contiguous blocks of columns, a sequence gives the
        widths. Data that come as separate views do not need it.
    output : {"shared", "concat", "views"}, default="shared"
        What `transform` returns: the shared sources, of shape (n_samples, n_components); the
        canonical variates of the views side by side, of shape (n_samples, n_views *
        n_components); or these as a `MultiViewData`.
    random_state : int, RandomState instance or None, default=None
        Draws the shuffles and the start of the subspace iteration.

    Attributes
    ----------
    components_ : list of ndarray of shape (n_components, n_features_v)
        Maps from centred features to canonical variates, whose mean over views is the shared
        sources.
    mixing_ : list of ndarray of shape (n_features_v, n_components)
        Patterns: covariance of the features with the shared sources.
    mean_ : list of ndarray of shape (n_features_v,)
        Mean of each view.
    sources_ : ndarray of shape (n_samples, n_components)
        Shared sources of the training data. Only `fit` sets it: moments hold no samples.
    eigenvalues_ : ndarray of shape (n_components,)
        Decreasing, between 1 (nothing is shared) and `n_views_` (the views agree).
    chance_level_ : float
        Largest eigenvalue found in shuffled views; NaN without shuffles.
    chance_eigenvalues_ : ndarray of shape (n_shuffles,)
        Largest eigenvalue of each shuffle, increasing.
    shrinkage_ : ndarray of shape (n_views,)
        Weight of the identity in the covariance of each view, 0 for none.
    moments_ : Moments or None
        What `partial_fit` or `fit_moments` know of the data; None after `fit`.
    rank_ : ndarray of shape (n_views,)
        Numerical rank of each view.
    explained_variance_ratio_ : ndarray of shape (n_views, n_components)
        Share of the variance of each view that each shared source explains.
    n_iter_ : int
        Rounds of the subspace iteration.
    converged_ : bool
        Whether `tol` was reached.
    n_views_ : int
        Number of views.
    view_sizes_ : tuple of int
        Number of features of each view.
    n_features_in_ : int
        Number of features of all views together.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features, when fitted on one dataframe whose column names are all str.

    Notes
    -----
    With whitened views this is an eigenvalue problem for their stacked second moment, solved by
    subspace iteration. That matrix is not formed when it would be larger than the data. Single
    components are only defined where eigenvalues differ; their span is stable as long as the last
    one kept is well above the next. With one view this is a PCA.

    Shrinkage replaces the covariance of all views by a mean of it and of one in which features are
    uncorrelated, so that eigenvalues still are 1 where nothing is shared. The canonical solutions
    are then slightly correlated; the shared sources are their closest uncorrelated combinations.

    The chance level is that of views that share nothing at all. With strong shared components of
    slow time courses it is conservative for the others. Shifts assume that a view is stationary
    and that its autocorrelation is short against ``n_samples / n_views``.

    References
    ----------
    Kettenring, Canonical analysis of several sets of variables, Biometrika 1971.

    Ledoit, Wolf, A well-conditioned estimator for large-dimensional covariance matrices, Journal
    of Multivariate Analysis 2004.

    Examples
    --------
    >>> import numpy as np
    >>> from mvica import MultisetCCA
    >>> rng = np.random.default_rng(0)
    >>> S = rng.laplace(size=(500, 2))
    >>> views = [S @ rng.standard_normal((2, d)) for d in (2, 2, 2)]
    >>> MultisetCCA(random_state=0).fit(views).eigenvalues_.round(6)
    array([3., 3.])

    How many components are shared, when there is noise:

    >>> views = [X @ rng.standard_normal((2, 5)) + rng.standard_normal((500, 5)) for X in views]
    >>> cca = MultisetCCA(n_components="auto", random_state=0).fit(views)
    >>> len(cca.eigenvalues_), bool(cca.eigenvalues_[-1] > cca.chance_level_)
    (2, True)

    Batch by batch, with the same result as from all samples:

    >>> stream = MultisetCCA(n_components=2, random_state=0)
    >>> for rows in (slice(0, 100), slice(100, 500)):
    ...     stream = stream.partial_fit([X[rows] for X in views])
    >>> np.allclose(stream.eigenvalues_, cca.eigenvalues_)
    True
    """

    _parameter_constraints: dict = {
        "n_components": [*_SHARED["n_components"], StrOptions({"auto"})],
        "n_directions": [
            Interval(Integral, 1, None, closed="left"),
            StrOptions({"auto"}),
            None,
        ],
        "shrinkage": [
            Interval(Real, 0, 1, closed="left"),
            StrOptions({"auto", "ledoit-wolf"}),
            None,
        ],
        "shuffle": [StrOptions({"shift", "permutation"})],
        "n_shuffles": [Interval(Integral, 0, None, closed="left"), None],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "view_sizes": _SHARED["view_sizes"],
        "output": _SHARED["output"],
        "random_state": _SHARED["random_state"],
    }

    def __init__(
        self,
        n_components=None,
        n_directions="auto",
        shrinkage="auto",
        shuffle="shift",
        n_shuffles=None,
        max_iter=50,
        tol=1e-8,
        view_sizes=None,
        output="shared",
        random_state=None,
    ):
        self.n_components = n_components
        self.n_directions = n_directions
        self.shrinkage = shrinkage
        self.shuffle = shuffle
        self.n_shuffles = n_shuffles
        self.max_iter = max_iter
        self.tol = tol
        self.view_sizes = view_sizes
        self.output = output
        self.random_state = random_state

    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y=None):
        """Add a batch of samples; the result is that of `fit` on all batches together.

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
            If the views are not those of the first batch; if the samples so far give fewer than
            `n_components` directions of a view; or if a chance level is asked, which needs all
            samples at once. The batch is then not added.

        Warns
        -----
        UserWarning
            After `fit`, whose samples are forgotten: this is then the first batch.

        Notes
        -----
        The covariance of all features is kept, and each call solves for the components. With many
        small batches, update a `mvica.reduction.moments.Moments` and call `fit_moments` once.
        """
        first = getattr(self, "moments_", None) is None
        if hasattr(self, "moments_") and first:
            warnings.warn(
                "fit kept no moments of its samples: partial_fit starts anew with this batch",
                UserWarning,
                stacklevel=2,
            )
        views = validate_views(self, X, reset=first, min_samples=2 if first else 1)
        moments = Moments() if first else self.moments_.copy()
        self._learn_moments(moments.add(views))
        return self

    @_fit_context(prefer_skip_nested_validation=True)
    def fit_moments(self, moments):
        """Learn from moments of the views, accumulated by batches or on several machines.

        Parameters
        ----------
        moments : Moments
            Moments of the training data; not modified. `partial_fit` can add to them.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            As `partial_fit`.

        See Also
        --------
        mvica.reduction.moments.Moments : Accumulates and merges.
        """
        if moments.n_samples < 2:
            raise ValueError(f"the moments hold {moments.n_samples} sample(s), 2 are needed.")
        self.n_views_, self.view_sizes_ = len(moments.sizes), moments.sizes
        self.n_features_in_ = sum(moments.sizes)
        vars(self).pop("feature_names_in_", None)
        self._learn_moments(moments.copy())
        return self

    def _fit_views(self, views):
        maps = self._learn(ViewStatistics(views))
        self.sources_ = summed_signals(views, self.mean_, maps)
        self.moments_ = None

    def _learn_moments(self, moments):
        if self._count_shuffles():
            raise ValueError(
                'a chance level needs all samples: use fit, or an int n_components (not "auto") '
                "and n_shuffles=0"
            )
        self._learn(MomentStatistics(moments))
        vars(self).pop("sources_", None)
        self.moments_ = moments

    def _learn(self, data):
        """Set all attributes but the sources; returns the maps that give these."""
        pcas = data.principal_components()
        auto = self.n_components == "auto"
        p = check_n_components(data.shapes, pcas, 1 if auto else self.n_components)
        pcas, intensities = self._regularised(data, pcas, p)
        gains = [shrinkage_gains(*pair) for pair in zip(pcas, intensities, strict=True)]
        stacked = np.concatenate(gains)[:, None]
        most = min(pca.n_directions for pca in pcas)
        vectors = block_size(len(stacked), min(FIRST_BLOCK, most) if auto else p)
        moment = data.coordinates_moment(pcas, vectors) if len(pcas) > 1 else np.eye(most)
        shrunk = shrunk_moment(moment, stacked)
        chance = self._chance(data, pcas, gains)
        level = chance[-1] if len(chance) else np.nan
        if auto:
            p = self._count_shared(shrunk, len(stacked), level, most)
        found = self._solve(shrunk, len(stacked), p, len(pcas))
        weights, regressions = white_sources(moment, stacked * found.directions)
        maps, patterns = feature_maps(
            data.views,
            pcas,
            [W.T for W in by_view(weights, pcas)],
            [A.T for A in by_view(regressions, pcas)],
        )
        sign = np.where(stable_signs(patterns[0]) < 0, -1.0, 1.0)
        maps = [sign[:, None] * W for W in maps]
        self._set_shared(pcas, maps, [A * sign for A in patterns])
        self.eigenvalues_ = found.eigenvalues
        self.chance_level_, self.chance_eigenvalues_ = float(level), chance
        self.shrinkage_ = intensities
        self.n_iter_ = found.n_iter
        self.converged_ = found.converged
        return maps

    def _regularised(self, data, pcas, p):
        """Directions kept of each view, and the intensities (m,) that shrink its covariance."""
        n, limit = data.shapes[0][0], self.n_directions
        if limit == "auto":
            plain = self.shrinkage is None
            limit = max(p, n // (SAMPLES_PER_DIRECTION if plain else SHRUNK_SAMPLES_PER_DIRECTION))
        elif limit is not None and limit < p:
            raise ValueError(f"n_directions={limit} must be at least n_components={p}")
        kept = [pca.leading(limit) for pca in pcas]
        intensities = np.zeros(len(pcas))
        for v, (full, pca) in enumerate(zip(pcas, kept, strict=True)):
            few = n < SHRINK_BELOW * pca.n_directions
            if isinstance(self.shrinkage, Real):
                intensities[v] = self.shrinkage
            elif self.shrinkage == "ledoit-wolf" or (self.shrinkage == "auto" and few):
                fourth = data.fourth_powers(v, full)
                found = ledoit_wolf(full.variances, len(full.mean), n, fourth)
                intensities[v] = min(found, STRONGEST)
        return kept, intensities

    def _count_shuffles(self):
        if self.n_shuffles is None:
            return DEFAULT_SHUFFLES if self.n_components == "auto" else 0
        if self.n_components == "auto" and self.n_shuffles == 0:
            raise ValueError('n_components="auto" needs n_shuffles of 1 or more, got 0')
        return self.n_shuffles

    def _chance(self, data, pcas, gains):
        """Largest eigenvalue of each shuffle, increasing; empty without shuffles."""
        n_shuffles = self._count_shuffles()
        if not n_shuffles:
            return np.empty(0)
        if len(pcas) == 1:
            raise ValueError(
                "a chance level compares views, but X has 1 view: give two or more, or an int "
                'n_components (not "auto") and n_shuffles=0'
            )
        return chance_eigenvalues(
            data.views,
            pcas,
            gains,
            n_shuffles=n_shuffles,
            shuffle=self.shuffle,
            random_state=self.random_state,
        )

    def _count_shared(self, moment, size, level, most):
        """Count the components above chance, at least one."""
        count = count_above(moment, size, level, most, self.random_state)
        if count == 0:
            warnings.warn(
                f"no component is shared beyond chance: all eigenvalues are below {level:.4g}, "
                "the largest of shuffled views; keeping one component",
                UserWarning,
                stacklevel=2,
            )
        return max(count, 1)

    def _solve(self, moment, size, p, n_views):
        if n_views == 1:
            return principal_directions(size, p)
        return solve_moment(moment, size, p, self.random_state, self.tol, self.max_iter)
