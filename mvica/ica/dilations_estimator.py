"""The estimator MVICAD2: MultiView ICA with delays and dilations."""

import warnings
from numbers import Integral, Real

import numpy as np
from sklearn.utils import check_random_state

from mvica._validation import Interval, StrOptions
from mvica.ica.base import MultiViewICABase
from mvica.ica.delays_base import TIMING_CONSTRAINTS, TimedICABase
from mvica.ica.delays_matching import Match, Search, dilation_grid
from mvica.ica.delays_start import find_start
from mvica.ica.dilations_errors import wald_test
from mvica.ica.dilations_objective import DilationsObjective
from mvica.ica.dilations_solve import Problem, common_window, descend, fit_dilated
from mvica.ica.dilations_views import WarpedViews
from mvica.ica.initialization import unit_variance
from mvica.ica.solve import fit_stacked, given_start
from mvica.ica.stacked import StackedViews
from mvica.ica.summary import summarize
from mvica.ica.warps import Clock, centre_clock, smooth
from mvica.optim.progress import progress_bar

DECREASE_PER_COMPONENT = 1e-5  # predicted decrease of the objective left at convergence
LOUD_EDGES = 0.5  # of an epoch's RMS: mean magnitude at its ends that makes wrapping unsafe
PLAIN_ITERATIONS, PLAIN_TOL = 50, 1e-2  # of the fit without timing that a fit must beat
FLAT = 1e-10  # of the largest variance of smoothed signals: smaller ones count as that much


class MVICAD2(TimedICABase):
    """MultiView ICA with delays and dilations: every view has a clock of its own.

    The model is ``x_v(t) = A_v z_v(t)``: what shared source j does at sample t of an epoch, view v
    shows at ``onset + dilations_[v, j] (t - onset) + delays_[v, j]``. Unmixings and timing are
    fitted jointly.

    Parameters
    ----------
    n_components : int, default=None
        Number of components. None keeps as many as every view allows: the smallest numerical rank
        of the views.
    max_delay : float, default=None
        Largest delay in samples. Two views may differ by twice as much. None takes a twentieth of
        the shortest epoch; 0 allows dilations only.
    max_dilation : float, default=1.1
        Largest dilation, at least 1, and inverse of the smallest. Two views may differ by its
        square; 1 allows delays only.
    epochs : int or sequence of int, default=1
        How the samples are cut into epochs: a number of equal ones, or the length of each. Warps
        act inside an epoch and never cross a join.
    onset : int, default=0
        Sample of an epoch that dilations leave in place: the stimulus.
    shared_warps : bool, default=False
        One delay and dilation a view instead of one a view and component.
    smoothing : int, default=5
        Width in samples, odd, of the Hann window that smooths the data the timing is fitted to.
        Interpolation averages white noise and so draws delays to half samples; smooth data do not
        show that. 0 is right for data without power above an eighth of the sampling rate.
    envelope : int, default=5
        Width in samples, odd, of the envelopes that are compared besides the sources. They widen
        the basin of the search and lower the error. 0 leaves them out.
    interpolation : {"cubic", "linear"}, default="cubic"
        Between samples.
    boundary : {"edge", "periodic"}, default="edge"
        What is read outside an epoch: its nearest sample again, or its other end. Either way views
        are only compared at times that all of them see.
    reduction : {"pca", "mcca", "grouppca", "srm"} or None, default="pca"
        How a view with more features than components is reduced first. The others look for what
        views share at the same moment, which delays destroy.
    noise : float, default=1.0
        Noise variance of the model, relative to sources of about unit variance.
    reference : {"mean"} or int, default="mean"
        Whose clock is the shared one: "mean" makes the mean over views of the delays 0 and of the
        dilations 1; an index those of that view.
    init : {"match", "permica"} or tuple (components, delays, dilations), default="match"
        Start: "match" takes the sources of a few views that the others predict best, and finds
        them in all views at all lags and dilations; "permica" matches the sources of one ICA a
        view; or a fit to be continued.
    max_iter : int, default=1000
        Most iterations of each descent.
    tol : float, default=0.02
        Largest entry of the scaled gradient at convergence, where the predicted decrease must be
        below ``1e-5 * n_components`` as well. Interpolation leaves kinks of about that size.
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
        Delays in samples: positive for a view that is late.
    dilations_ : ndarray of shape (n_views, n_components)
        Dilations: above one for a view that is slow.
    delays_std_, dilations_std_ : ndarray of shape (n_views, n_components)
        Standard errors from the curvature of the fit, correlated residuals allowed for.
    identifiability_ : ndarray of shape (n_views, n_components)
        Condition number of each pair of delay and dilation: 1 where the data tell them apart best;
        above 100 only `latencies` near the source's energy mean much.
    at_bounds_ : ndarray of bool, shape (n_views, n_components)
        Timings at or beyond the end of the search: twice `max_delay`, `max_dilation` squared.
    timing_test_ : TimingTest
        Test that no view differs in timing, where MultiViewICA would do, by the standard errors.
        Its p-values are too small where noise outweighs the sources: see `test_timing`.
    max_delay_ : float
        `max_delay` in samples.
    epochs_ : tuple of int
        Length of each epoch.
    sources_ : ndarray of shape (n_samples, n_components)
        Shared sources of the training data, not smoothed: unit variance, positive third moment, by
        decreasing mean share of explained variance.
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
        Iterations of the last descent of the best start.
    converged_ : bool
        Whether it met `tol`.
    objective_ : float
        Loss at the end, of the smoothed whitened views.
    objective_history_ : ndarray of shape (n_iter_ + 1,)
        Loss at the start and after each iteration.
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
    MVICAD : Whole delays, exact.
    MultiViewICA : No timing.

    Notes
    -----
    The loss is that of MultiView ICA on aligned sources, plus the squared differences of the views'
    envelopes. Rows are consecutive samples: do not shuffle them, and cut folds at the joins of
    epochs. With one view there is nothing to align and the model is ordinary ICA.

    References
    ----------
    Heurtebise, Chehab, Ablin, Gramfort (2025), MVICAD2: Multi-View Independent Component Analysis
    with Delays and Dilations, IEEE Transactions on Biomedical Engineering.

    Examples
    --------
    >>> from mvica import MVICAD2
    >>> from mvica.datasets import make_mvicad2
    >>> from mvica.metrics import amari_distance
    >>> data = make_mvicad2(4, 300, 2, n_epochs=3, max_delay=10, random_state=0)
    >>> model = MVICAD2(max_delay=10, max_dilation=1.15, epochs=3, random_state=0).fit(data.views)
    >>> model.delays_.shape, model.dilations_.shape
    ((4, 2), (4, 2))
    >>> bool(amari_distance(model.components_, data.mixings) < 0.005)
    True
    """

    _bounds_names = "max_delay or max_dilation"

    _parameter_constraints: dict = {
        **MultiViewICABase._parameter_constraints,
        **TIMING_CONSTRAINTS,
        "max_delay": [Interval(Real, 0, None, closed="left"), None],
        "max_dilation": [Interval(Real, 0, None, closed="neither")],
        "onset": [Interval(Integral, 0, None, closed="left")],
        "shared_warps": ["boolean"],
        "smoothing": [Interval(Integral, 0, None, closed="left")],
        "envelope": [Interval(Integral, 0, None, closed="left")],
        "interpolation": [StrOptions({"cubic", "linear"})],
        "boundary": [StrOptions({"periodic", "edge"})],
    }

    def __init__(
        self,
        n_components=None,
        *,
        max_delay=None,
        max_dilation=1.1,
        epochs=1,
        onset=0,
        shared_warps=False,
        smoothing=5,
        envelope=5,
        interpolation="cubic",
        boundary="edge",
        reduction="pca",
        noise=1.0,
        reference="mean",
        init="match",
        max_iter=1000,
        tol=0.02,
        n_init=1,
        view_sizes=None,
        output="shared",
        n_jobs=None,
        random_state=None,
        verbose=0,
    ):
        self.n_components = n_components
        self.max_delay = max_delay
        self.max_dilation = max_dilation
        self.epochs = epochs
        self.onset = onset
        self.shared_warps = shared_warps
        self.smoothing = smoothing
        self.envelope = envelope
        self.interpolation = interpolation
        self.boundary = boundary
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

    @property
    def _fitted_dilations(self):
        return self.dilations_

    def _clock_settings(self):
        return {
            "onset": float(self.onset),
            "cubic": self.interpolation == "cubic",
            "periodic": self.boundary == "periodic",
        }

    def _limits(self, p):
        limits = {"tol": self.tol, "max_iter": self.max_iter}
        return {**limits, "tol_decrease": DECREASE_PER_COMPONENT * p}

    # ---- checks ------------------------------------------------------------------------------

    def _check_parameters(self, m):
        super()._check_parameters(m)
        if self.max_dilation < 1:
            raise ValueError(
                f"max_dilation={self.max_dilation}: give the ratio >= 1; 1 means no dilation."
            )
        for name in ("smoothing", "envelope"):
            if getattr(self, name) > 0 and getattr(self, name) % 2 == 0:
                raise ValueError(f"{name}={getattr(self, name)}: give an odd width, or 0 for none.")

    def _has_timing(self, epochs):
        n = epochs.shortest
        self.max_delay_ = float(n // 20 if self.max_delay is None else self.max_delay)
        if self.max_delay_ >= n / 2:
            raise ValueError(
                f"max_delay={self.max_delay} is not below half the shortest epoch of {n} samples, "
                "where a periodic shift is ambiguous."
            )
        if not self.onset < n:
            raise ValueError(f"onset={self.onset} is outside the shortest epoch of {n} samples.")
        farthest = max(self.onset, max(epochs.lengths) - 1 - self.onset)
        displacement = (self.max_dilation - 1) * farthest + self.max_delay_
        if displacement >= n:
            raise ValueError(
                f"max_delay and max_dilation move samples by up to {displacement:.0f}, out of "
                f"epochs of {n} samples: lower them."
            )
        return self.max_delay_ > 0 or self.max_dilation > 1

    def _warn_of_loud_edges(self, Z, epochs):
        if self.boundary == "edge":
            return
        ends = np.concatenate([
            index[:, np.r_[0 : max(n // 50, 1), n - max(n // 50, 1) : n]].ravel()
            for n, index in epochs.by_length()
        ])  # fmt: skip
        loud = np.abs(Z[:, ends]).mean() / np.sqrt(np.mean(Z**2))
        if loud > LOUD_EDGES:
            warnings.warn(
                f"Epochs do not begin and end near zero (mean magnitude {loud:.2f} of the RMS): "
                'boundary="periodic" reads what does not belong there. Taper them, or use "edge".',
                UserWarning,
                stacklevel=6,
            )

    # ---- the fit -----------------------------------------------------------------------------

    def _fit_timing(self, Z, epochs, reduction):
        m, p = len(reduction.means), len(reduction.projections[0])
        self._warn_of_loud_edges(Z, epochs)
        search = self._search(epochs)
        clock = search.clock
        white = StackedViews(Z.astype(np.float64, copy=False), m)
        smoothed, maps = _white_again(smooth(white.Z, self.smoothing, epochs, clock.periodic), m)
        problem = Problem(
            smoothed, search, self.max_delay_, float(self.max_dilation), self.noise, self.envelope
        )
        rng, found = check_random_state(self.random_state), []
        with progress_bar("MVICAD2", self.max_iter, self.verbose) as callback:
            for number in range(self.n_init if isinstance(self.init, str) else 1):
                start = self._start(problem, reduction, maps, rng, number)
                found.append(fit_dilated(problem, start, callback=callback, **self._limits(p)))
        best = min(found, key=lambda solution: solution.result.objective).of_views(maps)
        if self._explains_less_than_none(best, white, clock, reduction):
            self._fit_without_timing(white, reduction)
            return
        offset = np.linalg.slogdet(maps)[1].sum()
        self.start_objectives_ = np.array([one.result.objective for one in found]) - offset
        self._report_solver(best.result)
        self._report(Z, best, problem, maps, reduction)

    def _search(self, epochs):
        clock = Clock(epochs, **self._clock_settings())
        max_lag = min(int(np.ceil(2 * self.max_delay_)), (epochs.shortest - 1) // 2)
        return Search(clock, max_lag, dilation_grid(self.max_dilation), self.shared_warps)

    def _append_timing(self, delays, dilations):
        """Add the timing of a new view; it has no standard errors."""
        unknown = np.full(len(delays), np.nan)
        for name, row in (
            ("delays_", delays), ("dilations_", dilations), ("delays_std_", unknown),
            ("dilations_std_", unknown), ("identifiability_", unknown),
            ("at_bounds_", np.zeros(len(delays), dtype=bool)),
        ):  # fmt: skip
            setattr(self, name, np.vstack([getattr(self, name), row]))

    def _start(self, problem, reduction, maps, rng, number):
        if isinstance(self.init, str):
            return find_start(problem.views, problem.search, self.init, rng, number, self.n_jobs)
        delays, dilations = self._given_timing(("components", "delays", "dilations"))
        if not np.all(dilations > 0):
            raise ValueError("init has dilations that are not positive.")
        W = given_start(self.init[0], reduction.patterns) @ np.linalg.inv(maps)
        W = unit_variance(problem.views, W)[0]
        return Match(W, delays.astype(float), dilations.astype(float), np.ones(delays.shape))

    def _explains_less_than_none(self, solution, white, clock, reduction):
        """Say whether MultiView ICA without timing has more likelihood on the data themselves.

        It has where sources are as rough as white noise, which smoothing and warping destroy.
        """
        timed = DilationsObjective(
            white.Z, white.n_views, clock, None, shared=False, noise=self.noise, envelope=0
        )
        timing = solution.delays, solution.dilations
        timed.value(solution.W, *timing)
        value = timed.value(solution.W * timed.scales()[:, None], *timing)
        limits = {"max_iter": PLAIN_ITERATIONS, "tol": PLAIN_TOL}
        plain = fit_stacked(
            white, reduction.patterns, noise=self.noise, random_state=self.random_state, **limits
        )
        return plain.result.objective < value

    def _report(self, Z, solution, problem, maps, reduction):
        clock = problem.search.clock
        delays, dilations = centre_clock(solution.delays, solution.dilations, self.reference)
        kinds = np.zeros(delays.shape[1], dtype=bool)
        views = WarpedViews(Z, delays, dilations, clock)
        order = summarize(views, solution.W, reduction).order
        self.delays_, self.dilations_ = delays[:, order], dilations[:, order]
        views = WarpedViews(Z, self.delays_, self.dilations_, clock)
        found = self._report_sources(views, solution.W[:, order], kinds, reduction)
        self._report_agreement(views.aligned(found.W)[0])
        blocks = problem.views.Z.reshape(*delays.shape, -1)
        window = common_window(clock, self.delays_, self.dilations_)
        self._report_errors(
            found.W @ np.linalg.inv(maps) @ blocks, clock, window, self.shared_warps,
            envelope=self.envelope, smoothing=self.smoothing,
            free=(self.max_delay_ > 0, self.max_dilation > 1),
        )  # fmt: skip
        factor = np.abs(np.log(self.dilations_)) >= 0.99 * 2 * np.log(self.max_dilation)
        late = np.abs(self.delays_) >= 2 * self.max_delay_
        self.at_bounds_ = (late & (self.max_delay_ > 0)) | (factor & (self.max_dilation > 1))

    def _report_agreement(self, Y):
        m, S = len(Y), Y.mean(axis=0)
        others = (m * S - Y) / (m - 1)
        self.noise_variances_ = np.mean((Y - S) ** 2, axis=2, dtype=np.float64) * m / (m - 1)
        centred = [a - a.mean(axis=2, keepdims=True) for a in (Y, others)]
        norms = np.linalg.norm(centred[0], axis=2) * np.linalg.norm(centred[1], axis=2)
        self.agreement_ = np.einsum("mpn,mpn->mp", *centred) / norms

    def _set_errors(self, delays_std, dilations_std, conditions):
        self.delays_std_, self.dilations_std_ = delays_std, dilations_std
        self.identifiability_ = conditions

    def _set_timing(self, shape):
        self.max_delay_ = float(self.max_delay or 0)
        self.delays_, self.dilations_ = np.zeros(shape), np.ones(shape)
        self.delays_std_, self.dilations_std_ = np.zeros(shape), np.zeros(shape)
        self.identifiability_, self.at_bounds_ = np.ones(shape), np.zeros(shape, dtype=bool)
        none = np.zeros((*shape, 2, 2))
        self.timing_test_ = wald_test(self.delays_, self.dilations_, none, False)

    def _fit_again(self, sources, epochs):
        """Return the timing of other epochs of the same sources, found from the fitted one."""
        m, p = self.delays_.shape
        clock = Clock(epochs, **self._clock_settings())
        start = Match(np.tile(np.eye(p), (m, 1, 1)), self.delays_, self.dilations_, self.delays_)
        smoothed = smooth(sources, self.smoothing, epochs, clock.periodic)
        problem = Problem(
            StackedViews(smoothed, m), Search(clock, 0, np.ones(1), self.shared_warps),
            self.max_delay_, float(self.max_dilation), self.noise, self.envelope,
        )  # fmt: skip
        solution = descend(problem, start, **self._limits(p))
        return centre_clock(solution.delays, solution.dilations, self.reference)


def _white_again(Z, m):
    """White views from smoothed ones, and the maps (m, p, p) to them."""
    blocks = Z.reshape(m, len(Z) // m, -1)
    values, vectors = np.linalg.eigh(blocks @ blocks.mT / Z.shape[1])
    values = np.maximum(values, FLAT * values[:, -1:])
    maps = (vectors / np.sqrt(values)[:, None]) @ vectors.mT
    return StackedViews(np.ascontiguousarray((maps @ blocks).reshape(Z.shape)), m), maps
