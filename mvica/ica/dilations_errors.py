"""How sure a timing is: standard errors, identifiability, bootstrap over epochs, a test of none."""

from dataclasses import dataclass

import numpy as np
from scipy.stats import chi2
from sklearn.utils import check_random_state

from mvica.ica.delays_matching import Match, Search
from mvica.ica.dilations_solve import Problem, descend
from mvica.ica.stacked import StackedViews
from mvica.ica.warps import Clock, Epochs, centre_clock, smooth

MIN_EPOCHS = 5  # fewer say little about their own variance


@dataclass(frozen=True)
class TimingTest:
    """Whether timing differs between views at all.

    Attributes
    ----------
    statistic : float
        Wald statistic: sum of squared timings over their variances.
    degrees : int
        Free timings.
    p_value : float
        Chance of a larger statistic where all views have one timing.
    view_p_values : ndarray of shape (m, p)
        The same for every view and component alone; not corrected for their number.
    """

    statistic: float
    degrees: int
    p_value: float
    view_p_values: np.ndarray


@dataclass(frozen=True)
class TimingBootstrap:
    """Timings of resampled epochs.

    Attributes
    ----------
    delays, dilations : ndarray of shape (n_boot, m, p)
        One fit a sample of epochs.
    delays_std, dilations_std : ndarray of shape (m, p)
        Their standard deviations.
    """

    delays: np.ndarray
    dilations: np.ndarray

    @property
    def delays_std(self):
        """Standard error of the delays."""
        return self.delays.std(axis=0, ddof=1)

    @property
    def dilations_std(self):
        """Standard error of the dilations."""
        return self.dilations.std(axis=0, ddof=1)

    def interval(self, level=0.9):
        """Percentile intervals of delays and of dilations, (2, m, p) each."""
        tails = [(1 - level) / 2, (1 + level) / 2]
        return np.quantile(self.delays, tails, axis=0), np.quantile(self.dilations, tails, axis=0)


def timing_covariances(Y, D, window, clock, bandwidth, shared, free=(True, True)):
    """Covariances of delay and dilation of every source, correlated residuals allowed for.

    Parameters
    ----------
    Y, D : ndarray of shape (m, p, n_samples)
        Aligned sources and their slopes in time.
    window : ndarray of shape (p, n_samples)
        Weights of the samples.
    clock : Clock
    bandwidth : int
        Lags over which residuals are correlated, with falling weight.
    shared : bool
        One timing for all components.
    free : tuple of bool, default=(True, True)
        Whether delays, and dilations, were fitted. The covariances of the others are zero.

    Returns
    -------
    covariances : ndarray of shape (m, q, 2, 2)
        Of (tau, d) in samples and as a factor; q is p, or 1 where shared.
    conditions : ndarray of shape (m, q)
        Condition number of the curvature scaled to unit diagonal: how well delay and dilation are
        told apart. One is best.
    """
    t = clock.epochs.times - clock.onset
    r = (Y - Y.mean(axis=0)) * window
    slopes = np.stack([D, t * D], axis=2)  # (m, p, 2, n)
    H = np.einsum("mpan,pn,mpbn->mpab", slopes, window, slopes, optimize=True)
    V = _long_run(slopes * r[:, :, None], clock.epochs, bandwidth)
    if shared:
        H, V = (a.sum(axis=1, keepdims=True) for a in (H, V))
    inverse = np.linalg.pinv(_unit_diagonal(H) * np.outer(free, free), hermitian=True)
    scale = np.sqrt(np.einsum("mpaa->mpa", H))
    inverse = inverse / (scale[..., :, None] * scale[..., None, :])
    rho = np.minimum(np.abs(_unit_diagonal(H)[..., 0, 1]), 1 - 1e-15)
    return inverse @ V @ inverse, (1 + rho) / (1 - rho)


def _unit_diagonal(H):
    scale = np.sqrt(np.maximum(np.einsum("mpaa->mpa", H), 1e-300))
    return H / (scale[..., :, None] * scale[..., None, :])


def _long_run(g, epochs, bandwidth):
    """Covariance of ``sum_t g_t`` for (m, p, 2, n), by falling weights over lags inside epochs."""
    V = np.einsum("mpan,mpbn->mpab", g, g, optimize=True)
    for lag in range(1, min(bandwidth, epochs.shortest - 1) + 1):
        weight, total = 1 - lag / (bandwidth + 1), 0.0
        for _, index in epochs.by_length():
            early, late = g[..., index[:, :-lag]], g[..., index[:, lag:]]
            total = total + np.einsum("mpaen,mpben->mpab", early, late, optimize=True)
        V = V + weight * (total + total.swapaxes(-1, -2))
    return V


def wald_test(delays, dilations, covariances, shared):
    """Wald test that all delays are 0 and all dilations 1, on the clock where their means are.

    Returns
    -------
    test : TimingTest
    """
    x = np.stack([delays, dilations - 1], axis=-1)
    if shared:
        x = x[:, :1]
    free = np.diagonal(covariances, axis1=-2, axis2=-1).max(axis=(0, 1)) > 0
    free &= np.ptp(x, axis=(0, 1)) > 0
    if not free.any():
        return TimingTest(0.0, 0, 1.0, np.ones(delays.shape))
    x, C = x[..., free], covariances[..., free, :][..., free]
    each = np.einsum("mpa,mpab,mpb->mp", x, np.linalg.pinv(C, hermitian=True), x)
    m, q, k = x.shape
    # Mean timings are zero by the choice of the clock: (m - 1) of m are free, and each is smaller.
    total, degrees = (m - 1) / m * each.sum(), (m - 1) * q * k
    each = np.broadcast_to(chi2.sf(each, k), delays.shape).copy()
    return TimingTest(float(total), degrees, float(chi2.sf(total, degrees)), each)


def bootstrap(sources, model, n_boot, random_state):
    """Fit resampled epochs again, from the fitted unmixings and timing.

    Parameters
    ----------
    sources : ndarray of shape (m * p, n_samples)
        Fitted view sources in the solver's scale and the views' own time.
    model : MVICAD2
        The fitted estimator.
    n_boot : int
        Number of samples.
    random_state : int, RandomState or None
        Draws the epochs.

    Returns
    -------
    found : TimingBootstrap
    """
    clock = model._clock(sources.shape[1])
    epochs, rng = clock.epochs, check_random_state(random_state)
    K = len(epochs.lengths)
    if K < MIN_EPOCHS:
        raise ValueError(
            f"A bootstrap over epochs needs at least {MIN_EPOCHS} of them, found {K}: give `epochs`"
            " that are averages of fewer trials, or use delays_std_."
        )
    m, p = model.delays_.shape
    start = Match(np.tile(np.eye(p), (m, 1, 1)), model.delays_, model.dilations_, model.delays_)
    found = []
    for _ in range(n_boot):
        chosen = rng.randint(K, size=K)
        lengths = tuple(epochs.lengths[e] for e in chosen)
        rows = [np.arange(epochs.starts[e], epochs.starts[e] + epochs.sizes[e]) for e in chosen]
        Z, drawn = np.ascontiguousarray(sources[:, np.concatenate(rows)]), Epochs(lengths)
        here = Clock(drawn, clock.onset, clock.cubic, clock.periodic)
        search = Search(here, 0, np.ones(1), model.shared_warps)
        problem = Problem(
            smooth(Z, model.smoothing, drawn, clock.periodic), StackedViews(Z, m), search,
            model.max_delay_, float(model.max_dilation), model.noise, model.envelope,
        )  # fmt: skip
        solution = descend(problem, start, **model._limits(p))
        found.append(centre_clock(solution.delays, solution.dilations, model.reference))
    return TimingBootstrap(*(np.stack(a) for a in zip(*found, strict=True)))
