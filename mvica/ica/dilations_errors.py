"""How sure a timing is: standard errors, identifiability, bootstrap over epochs, a test of none."""

from dataclasses import dataclass, replace

import numpy as np
from scipy.stats import chi2

from mvica.ica.warps import Epochs

LEAST = 0.01  # of the slopes' power is signal, whatever the noise
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


def timing_covariances(S, delays, dilations, clock, *, window, envelope, bandwidth, shared, free):
    """Covariances of delay and dilation of every source, the unmixings being estimated as well.

    What an error of the unmixing could do to a source is taken out of its slopes: only the rest
    tells about its timing. Correlated residuals are allowed for.

    Parameters
    ----------
    S : ndarray of shape (m, p, n_samples)
        Sources in the views' own time, smoothed like the data of the fit.
    delays, dilations : ndarray of shape (m, p)
        Fitted timing.
    clock : Clock
    window : ndarray of shape (p, n_samples)
        Weights of the samples.
    envelope : int
        Width of the envelopes' box; the fit compares the views' envelopes as well.
    bandwidth : int
        Lags over which residuals are correlated, with falling weight.
    shared : bool
        One timing for all components.
    free : tuple of bool
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
    Y, D = clock.warp(S, delays, dilations)
    others_slope = (D.sum(axis=0) - D) / (len(D) - 1)  # noise of its own would add to a view's
    parts = []
    for j, weights in enumerate(np.sqrt(window)):
        both = _Compared(np.sign(Y[:, j]), weights, envelope, clock.epochs)
        residual = both(Y[:, j])
        residual -= residual.mean(axis=0)
        here = (np.broadcast_to(a[:, j : j + 1], delays.shape) for a in (delays, dilations))
        others = both(clock.warp(S, *here)[0])
        own, slopes = (both(np.stack([a[:, j], t * a[:, j]], axis=1)) for a in (D, others_slope))
        rest = slopes - _predicted(slopes, others)
        H, K = (_signal_power(a, own) for a in (slopes, rest))
        scores = ((own - _predicted(own, others)) * residual[:, None]).reshape(
            *rest.shape[:2], -1, len(t)
        )
        scores = scores.sum(axis=2)
        parts.append((H, K, _long_run(scores, clock.epochs, bandwidth)))
    H, K, V = (np.stack(a, axis=1) for a in zip(*parts, strict=True))
    if shared:
        H, K, V = (a.sum(axis=1, keepdims=True) for a in (H, K, V))
    scale = np.sqrt(np.einsum("mpaa->mpa", K))
    inverse = np.linalg.pinv(_unit_diagonal(K) * np.outer(free, free), hermitian=True)
    inverse = inverse / (scale[..., :, None] * scale[..., None, :])
    rho = np.minimum(np.abs(_unit_diagonal(H)[..., 0, 1]), 1 - 1e-15)
    clock_error = len(S) / (len(S) - 1)  # of the mean over views, against the true shared clock
    return clock_error * inverse @ V @ inverse, (1 + rho) / (1 - rho)


class _Compared:
    """What the loss compares of a source: its values and, after them, its envelope, linearised."""

    def __init__(self, signs, weights, envelope, epochs):
        self.signs, self.weights, self.envelope, self.epochs = signs, weights, envelope, epochs

    def __call__(self, x):
        """Take signals (m, ..., n) to (m, ..., n) or (m, ..., 2 n), weighted."""
        if not self.envelope:
            return x * self.weights
        from mvica.kernels import warp_numba

        signs = self.signs.reshape(len(x), *[1] * (x.ndim - 2), -1)
        rows = np.ascontiguousarray(x * signs).reshape(-1, x.shape[-1])
        smoothed = np.empty_like(rows)
        for row, out in zip(rows, smoothed, strict=True):
            warp_numba.box(row, self.envelope // 2, self.epochs.starts, self.epochs.sizes, out)
        return np.concatenate([x, smoothed.reshape(x.shape)], axis=-1) * np.tile(self.weights, 2)


def _signal_power(slopes, own):
    """Products of the slopes of the others (m, 2, n) with a view's own: no noise is in both."""
    products = slopes @ own.mT
    products = (products + products.mT) / 2
    floor = LEAST * np.einsum("man,man->ma", slopes, slopes)
    index = range(2)
    products[:, index, index] = np.maximum(products[:, index, index], floor)
    limit = np.sqrt(np.prod(products[:, index, index], axis=1)) * (1 - 1e-9)
    products[:, 0, 1] = products[:, 1, 0] = np.clip(products[:, 0, 1], -limit, limit)
    return products


def _predicted(slopes, others):
    """Part of the slopes (m, 2, n) that the sources (m, p, n) of the same view explain."""
    weights = np.linalg.pinv(others @ others.mT, hermitian=True) @ (others @ slopes.mT)
    return weights.mT @ others


def _unit_diagonal(H):
    scale = np.sqrt(np.maximum(np.einsum("mpaa->mpa", H), 1e-300))
    return H / (scale[..., :, None] * scale[..., None, :])


def _long_run(g, epochs, bandwidth):
    """Covariance of ``sum_t g_t`` for (m, 2, n), by falling weights over lags inside epochs."""
    V = g @ g.mT
    for lag in range(1, min(bandwidth, epochs.shortest - 1) + 1):
        weight, total = 1 - lag / (bandwidth + 1), 0.0
        for _, index in epochs.by_length():
            early, late = g[..., index[:, :-lag]], g[..., index[:, lag:]]
            total = total + np.einsum("maen,mben->mab", early, late, optimize=True)
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
    # Mean timings are zero by the choice of the clock, which makes each a little smaller.
    total, degrees = (m - 1) / m * each.sum(), (m - 1) * q * k
    each = np.broadcast_to(chi2.sf(each, k), delays.shape).copy()
    return TimingTest(float(total), degrees, float(chi2.sf(total, degrees)), each)


def calibrate(test, drawn):
    """Take the p-values of a test from tests of data drawn without timing.

    Parameters
    ----------
    test : TimingTest
        That of the data.
    drawn : list of TimingTest
        Those of the draws.

    Returns
    -------
    test : TimingTest
    """
    totals = np.array([one.statistic for one in drawn])
    each = np.sort(np.concatenate([one.view_p_values.ravel() for one in drawn]))
    smaller = np.searchsorted(each, test.view_p_values, side="right")
    return replace(
        test,
        p_value=float((1 + np.sum(totals >= test.statistic)) / (1 + len(totals))),
        view_p_values=(1 + smaller) / (1 + len(each)),
    )


def draw_epochs(sources, epochs, rng):
    """Draw whole epochs with replacement.

    Parameters
    ----------
    sources : ndarray of shape (k, n_samples)
        Signals.
    epochs : Epochs
        Theirs.
    rng : RandomState

    Returns
    -------
    drawn : ndarray of shape (k, n_drawn)
    epochs : Epochs
        Those of the signals drawn.
    """
    chosen = rng.randint(len(epochs.lengths), size=len(epochs.lengths))
    rows = [np.arange(epochs.starts[e], epochs.starts[e] + epochs.sizes[e]) for e in chosen]
    lengths = tuple(epochs.lengths[e] for e in chosen)
    return np.ascontiguousarray(sources[:, np.concatenate(rows)]), Epochs(lengths)


def draw_without_timing(Y, epochs, rng):
    """Draw views that share one timing, with the sources and the noise of aligned ones.

    The noise of every view is what is left of its sources without their mean, turned around by a
    random lag inside every epoch and given a random sign.

    Parameters
    ----------
    Y : ndarray of shape (m, n_samples, p)
        Aligned sources of the views.
    epochs : Epochs
    rng : RandomState

    Returns
    -------
    views : list of ndarray of shape (n_samples, p)
    """
    Y = Y - Y.mean(axis=1, keepdims=True)
    mean = Y.mean(axis=0)
    noise = np.sqrt(len(Y) / (len(Y) - 1)) * (Y - mean)
    for part in noise:
        for start, n in zip(epochs.starts, epochs.lengths, strict=True):
            turned = np.roll(part[start : start + n], rng.randint(n), axis=0)
            part[start : start + n] = rng.choice([-1, 1]) * turned
    power = np.mean(mean**2, axis=0)
    excess = np.mean(noise**2, axis=(0, 1)) / len(Y)  # of the noise that a mean over views keeps
    shrunk = mean * np.sqrt(np.maximum(1 - excess / power, 0.0))
    return list(shrunk + noise)
