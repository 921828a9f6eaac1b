"""The estimator MVICAD: MultiView ICA with delays."""

from numbers import Integral

import numpy as np
from sklearn.utils import check_random_state

from mvica._validation import Interval
from mvica.ica.base import MultiViewICABase
from mvica.ica.delays_base import TIMING_CONSTRAINTS, TimedICABase
from mvica.ica.delays_fractional import FractionalViews, refine_delays
from mvica.ica.delays_matching import Match, Search
from mvica.ica.delays_solve import fit_delayed, solve_delayed
from mvica.ica.delays_start import find_start
from mvica.ica.delays_views import DelayedViews
from mvica.ica.dilations_errors import wald_test
from mvica.ica.initialization import unit_variance
from mvica.ica.solve import DECREASE_PER_COMPONENT, given_start
from mvica.ica.stacked import StackedViews
from mvica.ica.summary import summarize
from mvica.ica.warps import Clock
from mvica.optim.progress import progress_bar


class MVICAD(TimedICABase):
    """MultiView ICA with delays: shared sources that reach every view at another time.

    The model is ``x_v(t) = A_v z_v(t)``, where component j of ``z_v`` is the shared source plus
    noise, delayed circularly by ``delays_[v, j]`` samples. Unmixings and delays are fitted jointly
    by maximum likelihood.

    Parameters
    ----------
    n_components : int, default=None
        Number of components. None keeps as many as every view allows: the smallest numerical rank
        of the views.
    max_delay : int, default=None
        Largest delay in samples. Two views may differ by twice as much. None takes a twentieth of
        the shortest epoch; 0 makes this MultiView ICA.
    epochs : int or sequence of int, default=1
        How the samples are cut into epochs: a number of equal ones, or the length of each. Delays
        wrap around inside an epoch and never cross a join, so epochs should begin and end near
        zero (baseline, taper).
    shared_delays : bool, default=False
        One delay a view instead of one a view and component.
    subsample : bool, default=False
        Refine the delays to fractions of a sample at the end, by exact Fourier shifts.
    reduction : {"pca", "mcca", "grouppca", "srm"} or None, default="pca"
        How a view with more features than components is reduced first. The others look for what
        views share at the same moment, which delays destroy.
    noise : float, default=1.0
        Noise variance of the model, relative to sources of about unit variance.
    reference : {"mean"} or int, default="mean"
        Whose time is the shared one: "mean" makes the mean delay over views zero (within half a
        sample for whole delays); an index the delay of that view.
    init : {"match", "permica"} or tuple (components, delays), default="match"
        Start: "match" takes the sources of a few views that the others predict best, and finds
        them in all views at all lags; "permica" matches the sources of one ICA a view at all lags;
        or `components_` and `delays_` of a fit.
    max_iter : int, default=1000
        Most iterations of the solver, all rounds of delays together.
    tol : float, default=1e-5
        Largest entry of the relative gradient at convergence.
    n_init : int, default=1
        Number of starts; the fit with the lowest objective is kept.
    view_sizes : int or sequence of int, default=None
        How one table of shape (n_samples, n_features) is cut into views. None makes it one view,
        an int that number of nearly equal contiguous blocks of columns, a sequence gives the
        widths.
    output : {"shared", "concat", "views"}, default="shared"
        What `transform` returns: the shared sources, from aligned views; the sources of each view
        side by side, in the view's own time; or these as a `MultiViewData`.
    n_jobs : int, default=None
        Threads for the ICAs of the start, in joblib's convention.
    random_state : int, RandomState instance or None, default=None
        Seed of the random numbers. An int makes repeated fits identical.
    verbose : int, default=0
        1 shows a progress bar.

    Attributes
    ----------
    components_ : list of ndarray of shape (n_components, n_features_v)
        Unmixing of each view, from centred features to components in the view's own time.
    mixing_ : list of ndarray of shape (n_features_v, n_components)
        Mixing of each view, the right inverse of the unmixing.
    mean_ : list of ndarray of shape (n_features_v,)
        Mean of each view.
    delays_ : ndarray of shape (n_views, n_components)
        Delays in samples, int unless `subsample`: positive for a view that is late.
    delays_std_ : ndarray of shape (n_views, n_components)
        Standard errors from the curvature of the fit, correlated residuals allowed for, as if
        delays could be fractions of a sample.
    timing_test_ : TimingTest
        Test that no view differs in timing, where MultiViewICA would do, by the standard errors.
        Its p-values are too small where noise outweighs the sources: see `test_timing`.
    at_bounds_ : ndarray of bool, shape (n_views, n_components)
        Delays at the end of the search, twice `max_delay`.
    epochs_ : tuple of int
        Length of each epoch.
    sources_ : ndarray of shape (n_samples, n_components)
        Shared sources of the training data: unit variance, positive third moment, by decreasing
        mean share of explained variance.
    noise_variances_ : ndarray of shape (n_views, n_components)
        Mean squared difference between a view's aligned source and the shared source.
    agreement_ : ndarray of shape (n_views, n_components)
        Correlation of a view's aligned source with the mean of the other views'; NaN for one view.
    explained_variance_ratio_ : ndarray of shape (n_views, n_components)
        Share of a view's variance that the shared source explains.
    sub_gaussian_ : ndarray of bool, shape (n_components,)
        False: the source density is super-Gaussian.
    scale_ : ndarray of shape (n_components,)
        Standard deviation of the shared sources in the solver, which fixes its own scale.
    rank_ : ndarray of shape (n_views,)
        Numerical rank of each view.
    start_objectives_ : ndarray of shape (n_init,)
        Objective that each start reached. Starts that disagree tell of local optima.
    n_iter_ : int
        Iterations of the best start.
    converged_ : bool
        Whether it met `tol`.
    objective_ : float
        Negative log-likelihood at the end, up to a constant, of the whitened reduced views.
    objective_history_ : ndarray of shape (n_iter_ + 1,)
        Objective at the start and after each iteration.
    gradient_norm_ : float
        Largest gradient entry at the end.
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
    MVICAD2 : Delays and dilations, fractions of a sample.
    MultiViewICA : No delays.

    Notes
    -----
    Rows are consecutive samples: do not shuffle them, and cut folds at the joins of epochs. With
    one view there is nothing to align and the model is ordinary ICA.

    References
    ----------
    Heurtebise, Ablin, Gramfort (2023), Multiview Independent Component Analysis with Delays, IEEE
    MLSP.

    Examples
    --------
    >>> from mvica import MVICAD
    >>> from mvica.datasets import make_mvicad
    >>> from mvica.metrics import amari_distance
    >>> data = make_mvicad(n_views=5, max_delay=10, noise_std=0.1, random_state=0)
    >>> model = MVICAD(max_delay=10, random_state=0).fit(data.views)
    >>> model.delays_.shape, model.transform(data.views).shape
    ((5, 2), (600, 2))
    >>> bool(amari_distance(model.components_, data.mixings) < 0.01)
    True
    """

    _bounds_names = "max_delay"

    _parameter_constraints: dict = {
        **MultiViewICABase._parameter_constraints,
        **TIMING_CONSTRAINTS,
        "max_delay": [Interval(Integral, 0, None, closed="left"), None],
        "shared_delays": ["boolean"],
        "subsample": ["boolean"],
    }

    def __init__(
        self,
        n_components=None,
        *,
        max_delay=None,
        epochs=1,
        shared_delays=False,
        subsample=False,
        reduction="pca",
        noise=1.0,
        reference="mean",
        init="match",
        max_iter=1000,
        tol=1e-5,
        n_init=1,
        view_sizes=None,
        output="shared",
        n_jobs=None,
        random_state=None,
        verbose=0,
    ):
        self.n_components = n_components
        self.max_delay = max_delay
        self.epochs = epochs
        self.shared_delays = shared_delays
        self.subsample = subsample
        self.reduction = reduction
        self.noise = noise
        self.reference = reference
        self.init = init
        self.max_iter = max_iter
        self.tol = tol
        self.n_init = n_init
        self.view_sizes = view_sizes
        self.output = output
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    def _has_timing(self, epochs):
        return self._longest(epochs) > 0

    def _longest(self, epochs):
        """Largest delay in samples, checked."""
        if self.max_delay is None:
            return epochs.shortest // 20
        if self.max_delay >= epochs.shortest / 2:
            raise ValueError(
                f"max_delay={self.max_delay} is not below half the shortest epoch of "
                f"{epochs.shortest} samples, where a circular delay is ambiguous."
            )
        return int(self.max_delay)

    def _set_timing(self, shape):
        self.delays_ = np.zeros(shape, dtype=np.int64)
        self.at_bounds_ = np.zeros(shape, dtype=bool)
        self.delays_std_ = np.zeros(shape)
        none = np.zeros((*shape, 2, 2))
        self.timing_test_ = wald_test(self.delays_, np.ones(shape), none, False)

    def _set_errors(self, delays_std, dilations_std, conditions):
        self.delays_std_ = delays_std

    def _fit_timing(self, Z, epochs, reduction):
        m, p = len(reduction.means), len(reduction.projections[0])
        search = self._search(epochs)
        rng = check_random_state(self.random_state)
        limits = {"noise": self.noise, "tol": self.tol, "max_iter": self.max_iter}
        limits["tol_decrease"] = DECREASE_PER_COMPONENT * p
        views, found = StackedViews(Z, m), []
        with progress_bar("MVICAD", self.max_iter, self.verbose) as callback:
            for number in range(self.n_init if isinstance(self.init, str) else 1):
                start = self._start(views, search, reduction, rng, number)
                found.append(fit_delayed(Z, epochs, m, start, search, callback=callback, **limits))
        best = min(found, key=lambda solution: solution.result.objective)
        self.start_objectives_ = np.array([solution.result.objective for solution in found])
        self._report(best, search.max_lag, reduction, limits)

    def _search(self, epochs):
        max_lag = min(2 * self._longest(epochs), (epochs.shortest - 1) // 2)
        clock = Clock(epochs, cubic=bool(self.subsample))
        return Search(clock, max_lag, np.ones(1), self.shared_delays)

    def _append_timing(self, delays, dilations):
        delays = delays if self.subsample else np.rint(delays).astype(np.int64)
        self.delays_ = np.vstack([self.delays_, delays])
        self.at_bounds_ = np.vstack([self.at_bounds_, np.zeros(len(delays), dtype=bool)])
        self.delays_std_ = np.vstack([self.delays_std_, np.full(len(delays), np.nan)])

    def _start(self, views, search, reduction, rng, number):
        if isinstance(self.init, str):
            return find_start(views, search, self.init, rng, number, self.n_jobs)
        (delays,) = self._given_timing(("components", "delays"))
        W = unit_variance(views, given_start(self.init[0], reduction.patterns))[0]
        if not np.issubdtype(delays.dtype, np.integer):
            raise TypeError(f"init has delays of type {delays.dtype}: MVICAD takes whole samples.")
        ones = np.ones(delays.shape)
        return Match(W, delays.astype(float), ones, ones)

    def _report(self, solution, max_lag, reduction, limits):
        views, W, result = solution.views, solution.W, solution.result
        delays = views.delays
        if self.subsample:
            delays, W, result = refine_delays(views, W, shared=self.shared_delays, **limits)
        delays = self._centred(delays)
        kind = FractionalViews if self.subsample else DelayedViews
        order = summarize(kind(views.Z, delays, views.epochs), W, reduction).order
        W, delays = W[:, order], np.ascontiguousarray(delays[:, order])
        self._report_solver(result)
        found = self._report_sources(
            kind(views.Z, delays, views.epochs), W, solution.kinds, reduction
        )
        self.delays_ = delays
        self.at_bounds_ = np.abs(self.delays_) >= max_lag
        S = found.W @ views.Z.astype(np.float64, copy=False).reshape(*delays.shape, -1)
        self._report_errors(
            S, Clock(views.epochs, cubic=True), np.ones(S.shape[1:]), self.shared_delays,
            envelope=0, smoothing=0, free=(True, False),
        )  # fmt: skip

    def _fit_again(self, sources, epochs):
        """Return delays of other epochs of the same sources, found from the fitted ones."""
        m, p = self.delays_.shape
        limits = {"noise": self.noise, "tol": self.tol, "max_iter": self.max_iter}
        limits |= {"shared": self.shared_delays, "tol_decrease": DECREASE_PER_COMPONENT * p}
        views = DelayedViews(sources, np.rint(self.delays_), epochs)
        eyes = np.tile(np.eye(p), (m, 1, 1))
        max_lag = self._search(epochs).max_lag
        solution = solve_delayed(views, eyes, max_lag=max_lag, **limits)
        delays = solution.views.delays
        if self.subsample:
            delays = refine_delays(solution.views, solution.W, **limits)[0]
        return self._centred(delays), np.ones((m, p))

    def _centred(self, delays):
        centre = delays.mean(axis=0) if self.reference == "mean" else delays[self.reference]
        return delays - (centre if self.subsample else np.rint(centre).astype(np.int64))

    def _warped(self, Y_v, delays, dilations):
        if self.subsample and self._is_timed:
            rows = np.ascontiguousarray(Y_v.T)
            views = FractionalViews(rows, delays[None], self._clock(len(Y_v)).epochs)
            return np.ascontiguousarray(views.aligned(np.eye(len(rows))[None])[0].T)
        return super()._warped(Y_v, delays, dilations)
