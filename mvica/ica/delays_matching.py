"""Matching sources between views with timing: correlations at all lags and dilations at once."""

from dataclasses import dataclass, replace

import numpy as np
from scipy.fft import irfft, next_fast_len, rfft
from scipy.optimize import linear_sum_assignment

from mvica.ica.warps import Clock

FLAT = 1e-3  # of the largest variance of warped rows: smaller ones count as that much
CLEAREST = 10  # settings shared by all components that are tried in full


@dataclass(frozen=True)
class Search:
    """Which timings a matching tries.

    Attributes
    ----------
    clock : Clock
        Epochs, onset and boundary.
    max_lag : int
        Largest lag in samples, either way.
    dilations : ndarray of shape (k,)
        Dilations tried; 1 alone for delays only.
    shared : bool
        One timing for all components of a view.
    """

    clock: Clock
    max_lag: int
    dilations: np.ndarray
    shared: bool = False


@dataclass(frozen=True)
class Match:
    """Unmixings and timing of all views.

    Attributes
    ----------
    W : ndarray of shape (m, p, p)
        Unmixings of the white views: orthogonal.
    delays, dilations : ndarray of shape (m, p)
        Timing of every source; delays are lags times dilations.
    score : ndarray of shape (m, p)
        Absolute correlation of each aligned source with its reference.
    """

    W: np.ndarray
    delays: np.ndarray
    dilations: np.ndarray
    score: np.ndarray


def dilation_grid(max_dilation, size=25):
    """Geometric grid from the inverse square of `max_dilation` to its square, with 1 inside."""
    if max_dilation == 1:
        return np.ones(1)
    return np.exp(np.linspace(-2, 2, size) * np.log(max_dilation))


def spectra(S, epochs, max_lag, *, later=False):
    """Fourier transforms of the epochs of each length, for products at lags up to `max_lag`.

    Where the length has large prime factors, on which Fourier transforms are slow, the epochs that
    are read at a lag (`later`) continue around their ends, and the others with zeros.

    Returns
    -------
    transforms : list of (n, size, ndarray of shape (..., n_epochs, size // 2 + 1))
        For each length n; `size` is that of the transform.
    """
    found = []
    for n, index in epochs.by_length():
        size = n
        if next_fast_len(n, real=True) != n:
            size = next_fast_len(n + 2 * max_lag, real=True)
        taps = S[..., index]
        if later and size > n:
            taps = np.concatenate([taps[..., n - max_lag :], taps, taps[..., :max_lag]], axis=-1)
        found.append((n, size, rfft(taps, size)))
    return found


def at_lags(products, n, size, max_lag):
    """Take products of `spectra` at all frequencies to the lags -max_lag to max_lag."""
    first = 0 if size > n else -max_lag
    return irfft(products, size)[..., np.arange(first, first + 2 * max_lag + 1)]


def lag_products(A, B, max_lag):
    """``sum_t a[t + lag] b[t]``, circular in every epoch, for all pairs of rows and all lags.

    Parameters
    ----------
    A, B : list
        `spectra` of rows (k, n_samples), those read later, and (r, n_samples).
    max_lag : int
        Lags are -max_lag to max_lag.

    Returns
    -------
    C : ndarray of shape (k, r, 2 max_lag + 1)
    """
    total = 0.0
    for (n, size, a), (*_, b) in zip(A, B, strict=True):
        products = a.transpose(2, 0, 1) @ b.conj().transpose(2, 1, 0)
        total = total + at_lags(products.transpose(1, 2, 0), n, size, max_lag)
    return total


def correlations(rows, reference, search, *, orthogonal):
    """Correlations of warped rows with reference sources at all lags.

    Parameters
    ----------
    rows : ndarray of shape (p, n_samples)
    reference : list
        `spectra` of unit-norm sources (r, n_samples).
    search : Search
    orthogonal : bool
        Whether warped rows are made orthonormal, so that sums of squares over rows are shares of
        the references' power, or only scaled.

    Returns
    -------
    C : ndarray of shape (p, n_dilations, r, 2 max_lag + 1)
    maps : ndarray of shape (n_dilations, p, p)
        From warped rows to the signals that were correlated.
    """
    p, n = rows.shape
    k = len(search.dilations)
    if k > 1:
        stretched = np.broadcast_to(rows, (k, p, n)).copy()
        rows = search.clock.warp(stretched, 0.0, search.dilations[:, None])[0].reshape(k * p, n)
    rows = rows.reshape(k, p, n)
    gram = rows @ rows.mT
    if orthogonal:
        values, vectors = np.linalg.eigh(gram)
        values = np.maximum(values, FLAT * values[:, -1:])
        maps = (vectors / np.sqrt(values)[:, None]) @ vectors.mT
    else:
        maps = np.eye(p) / np.sqrt(np.einsum("kpp->kp", gram))[:, :, None]
    # Single precision is enough to find the best setting, in half the time.
    signals = (maps @ rows).astype(np.float32).reshape(k * p, n)
    later = spectra(signals, search.clock.epochs, search.max_lag, later=True)
    C = lag_products(later, reference, search.max_lag)
    return C.reshape(k, p, *C.shape[1:]).swapaxes(0, 1).astype(np.float64), maps


def best_settings(score, search):
    """Best dilation and lag of each reference source, (r,) each, from scores (k, r, n_lags)."""
    _k, r, n_lags = score.shape
    if search.shared:
        best = np.full(r, np.argmax(score.sum(axis=1)))
    else:
        best = np.argmax(score.transpose(1, 0, 2).reshape(r, -1), axis=1)
    return np.divmod(best, n_lags)


def best_rows(C, maps, search):
    """Find what predicts each reference source best: a mixture of white rows at one timing.

    Returns
    -------
    coefficients : ndarray of shape (r, p)
        Of the white rows, unit norm.
    g, lag : ndarray of int, shape (r,)
        Dilation and lag.
    score : ndarray of shape (r,)
        Correlation of prediction and source.
    rows : ndarray of shape (r, p)
        Weights of `C`'s rows.
    """
    g, lag = best_settings((C**2).sum(axis=0), search)
    rows = C[:, g, np.arange(C.shape[2]), lag].T
    coefficients = np.einsum("rj,rjk->rk", rows, maps[g])
    coefficients /= np.linalg.norm(coefficients, axis=1, keepdims=True)
    return coefficients, g, lag, np.linalg.norm(rows, axis=1), rows


def regress(C, maps, search):
    """Unmixing that predicts each reference source best from white rows, at its best timing.

    No source of the view itself is needed, so a poor ICA of the view does no harm.
    """
    coefficients, *found = best_rows(C, maps, search)
    left, _, right = np.linalg.svd(coefficients)
    return left @ right, *found


def assign(C, maps, search):
    """Order and signs of a view's own sources that match the reference sources best."""
    absolute = np.abs(C)
    p, _k, r, n_lags = C.shape
    if not search.shared:
        flat = absolute.transpose(0, 2, 1, 3).reshape(p, r, -1)
        best = flat.argmax(axis=2)
        rows, columns = linear_sum_assignment(-flat.max(axis=2))
        order = rows[np.argsort(columns)]
        g, lag = np.divmod(best[order, np.arange(r)], n_lags)
    else:
        settings = absolute.transpose(1, 3, 0, 2).reshape(-1, p, r)
        clearest = np.argsort(settings.max(axis=1).sum(axis=1))[::-1][:CLEAREST]
        matches = {s: linear_sum_assignment(-settings[s]) for s in clearest}
        s = max(clearest, key=lambda s: settings[s][matches[s]].sum())
        order = matches[s][0][np.argsort(matches[s][1])]
        g, lag = (np.full(r, index) for index in np.divmod(s, n_lags))
    values = C[order, g, np.arange(r), lag]
    W = np.zeros((p, p))
    W[np.arange(r), order] = np.where(values < 0, -1.0, 1.0)
    return W, g, lag, np.abs(values), W


def peak_offset(values):
    """Where a parabola through three values peaks, in steps from the middle one."""
    left, middle, right = values
    curvature = 2 * middle - left - right
    return np.where(curvature > 0, (right - left) / 2 / np.maximum(curvature, 1e-300), 0.0)


def match(views, search, *, first=None, aligned=None, V=None, rounds=3):
    """Match all views to reference sources, then to the mean of the other views.

    Parameters
    ----------
    views : StackedViews
        White views.
    search : Search
        The timings tried.
    first : ndarray of shape (p, n_samples), default=None
        Sources that the first pass matches all views to.
    aligned : ndarray of shape (m, p, n_samples), default=None
        Or: aligned sources of all views, where a fit is to be improved.
    V : ndarray of shape (m, p, p), default=None
        Orthogonal unmixings whose sources are put in order. None takes no sources for granted and
        regresses the reference sources on the views.
    rounds : int, default=3
        Passes over the views.

    Returns
    -------
    found : Match
    """
    m, p = views.n_views, views.n_components
    Z = views.Z.astype(np.float64, copy=False).reshape(m, p, -1)
    own, method = (Z, regress) if V is None else (V @ Z, assign)
    found = Match(np.tile(np.eye(p), (m, 1, 1)), *np.zeros((3, m, p)))
    aligned = np.zeros((m, p, Z.shape[2])) if aligned is None else _unit(aligned)
    for number in range(rounds):
        for v in range(m):
            given = number == 0 and first is not None
            others = _unit(first if given else aligned.sum(axis=0) - aligned[v])
            reference = spectra(others.astype(np.float32), search.clock.epochs, search.max_lag)
            C, maps = correlations(own[v], reference, search, orthogonal=V is None)
            W, g, lag, score, rows = method(C, maps, search)
            lags = lag - float(search.max_lag) + _refinement(C, rows, g, lag, search)
            found.dilations[v] = search.dilations[g]
            found.delays[v] = found.dilations[v] * lags
            found.W[v], found.score[v] = W, score
            Y = (W @ own[v])[None]
            Y = search.clock.warp(Y, found.delays[v][None], found.dilations[v][None])[0][0]
            aligned[v] = _unit(Y)
    return found if V is None else replace(found, W=found.W @ V)


def _refinement(C, rows, g, lag, search):
    """Fraction of a sample by which the matched sources peak off the best lag."""
    r, n_lags = len(g), 2 * search.max_lag + 1
    if len(search.dilations) == 1 and not search.clock.cubic:
        return np.zeros(r)
    around = np.clip(lag + np.arange(-1, 2)[:, None], 0, n_lags - 1)
    values = np.einsum("rj,kjr->kr", rows, C[:, g, np.arange(r), around].transpose(1, 0, 2))
    if search.shared:
        values = np.broadcast_to(values.sum(axis=1, keepdims=True), values.shape)
    inside = (lag > 0) & (lag < n_lags - 1)
    return np.where(inside, np.clip(peak_offset(values), -0.5, 0.5), 0.0)


def _unit(S):
    return S / np.linalg.norm(S, axis=-1, keepdims=True)
