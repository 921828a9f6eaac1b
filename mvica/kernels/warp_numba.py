"""Time warps inside epochs, their adjoints and their derivatives, in compiled loops over time.

Sources are (m, p, n_samples) or (p, n_samples), time contiguous. An epoch is a stretch of
`lengths[e]` samples from `starts[e]` on; nothing crosses its ends. A warp reads sample t of an
epoch at the position ``u = onset + d (t - onset) + tau``.
"""

import math

import numpy as np
from numba import njit

OPTIONS = {"cache": True, "nogil": True, "fastmath": {"contract"}, "error_model": "numpy"}
LINEAR, CUBIC = 0, 1
MARGIN = 1e-9  # keeps the loops without index checks clear of rounding at the epoch's end


@njit(**OPTIONS)
def roll_sum(S, delays, starts, lengths, out):
    """Sum over views of ``S[v, j]`` read `delays[v, j]` (whole) samples later, (p, n_samples)."""
    out[:] = 0
    for v in range(S.shape[0]):
        for j in range(S.shape[1]):
            for e in range(starts.size):
                a, n = starts[e], lengths[e]
                k = delays[v, j] % n
                source, target = S[v, j, a : a + n], out[j, a : a + n]
                for t in range(n - k):
                    target[t] += source[t + k]
                for t in range(n - k, n):
                    target[t] += source[t + k - n]


@njit(**OPTIONS)
def roll_back(P, delays, starts, lengths, out):
    """Read row j of `P` (k, n_samples) `delays[v, j % p]` samples earlier, for all views."""
    p = delays.shape[1]
    for v in range(out.shape[0]):
        for j in range(P.shape[0]):
            for e in range(starts.size):
                a, n = starts[e], lengths[e]
                k = delays[v, j % p] % n
                out[v, j, a + k : a + n] = P[j, a : a + n - k]
                out[v, j, a : a + k] = P[j, a + n - k : a + n]


@njit(**OPTIONS)
def _interior(n, d, b, first, last):
    """Find the samples t in [lo, hi) whose position ``b + d t`` lies in [first, last]; d > 0."""
    lo = min(max(math.ceil((first + MARGIN - b) / d), 0), n)
    hi = min(max(math.ceil((last - MARGIN - b) / d), lo), n)
    return lo, hi


@njit(**OPTIONS)
def _weights(a, cubic, w, dw):
    """Weights of the samples -1, 0, 1, 2 around a position a past sample 0, and derivatives."""
    if cubic:
        a2, a3 = a * a, a * a * a
        w[0], dw[0] = -0.5 * a + a2 - 0.5 * a3, -0.5 + 2.0 * a - 1.5 * a2
        w[1], dw[1] = 1.0 - 2.5 * a2 + 1.5 * a3, -5.0 * a + 4.5 * a2
        w[2], dw[2] = 0.5 * a + 2.0 * a2 - 1.5 * a3, 0.5 + 4.0 * a - 4.5 * a2
        w[3], dw[3] = -0.5 * a2 + 0.5 * a3, -a + 1.5 * a2
    else:
        w[0], w[1], w[2], w[3] = 0.0, 1.0 - a, a, 0.0
        dw[0], dw[1], dw[2], dw[3] = 0.0, -1.0, 1.0, 0.0


@njit(**OPTIONS)
def _tap(i, n, periodic):
    """Index of a tap: wrapped, or held at the ends."""
    return i % n if periodic else min(max(i, 0), n - 1)


@njit(**OPTIONS)
def _position(u, n, periodic):
    """Sample before u, the rest, and whether u is free to move (not held at an end)."""
    free = periodic or 0.0 <= u <= n - 1
    if not free:
        u = min(max(u, 0.0), n - 1.0)
    i = math.floor(u)
    return i, u - i, free


@njit(**OPTIONS)
def _warp_sample(s, u, cubic, periodic, w, dw):
    n = s.size
    i, a, free = _position(u, n, periodic)
    _weights(a, cubic, w, dw)
    y = slope = 0.0
    for k in range(4):
        if w[k] != 0.0 or dw[k] != 0.0:
            x = s[_tap(i - 1 + k, n, periodic)]
            y += w[k] * x
            slope += dw[k] * x
    return y, slope if free else 0.0


@njit(**OPTIONS)
def _warp_epoch(s, d, b, cubic, periodic, y, slope, w, dw):
    n = s.size
    lo, hi = _interior(n, d, b, 1.0 if cubic else 0.0, n - 2.0 if cubic else n - 1.0)
    for t in range(lo):
        y[t], slope[t] = _warp_sample(s, b + d * t, cubic, periodic, w, dw)
    if cubic:
        for t in range(lo, hi):
            u = b + d * t
            i = int(u)
            a = u - i
            s0, s1, s2, s3 = s[i - 1], s[i], s[i + 1], s[i + 2]
            c1 = 0.5 * (s2 - s0)
            c2 = s0 - 2.5 * s1 + 2.0 * s2 - 0.5 * s3
            c3 = 1.5 * (s1 - s2) + 0.5 * (s3 - s0)
            y[t] = s1 + a * (c1 + a * (c2 + a * c3))
            slope[t] = c1 + a * (2.0 * c2 + 3.0 * a * c3)
    else:
        for t in range(lo, hi):
            u = b + d * t
            i = int(u)
            step = s[i + 1] - s[i]
            y[t] = s[i] + (u - i) * step
            slope[t] = step
    for t in range(hi, n):
        y[t], slope[t] = _warp_sample(s, b + d * t, cubic, periodic, w, dw)


@njit(**OPTIONS)
def _spread_sample(g, s, u, cubic, periodic, w, dw):
    n = s.size
    i, a, _ = _position(u, n, periodic)
    _weights(a, cubic, w, dw)
    for k in range(4):
        if w[k] != 0.0:
            s[_tap(i - 1 + k, n, periodic)] += w[k] * g


@njit(**OPTIONS)
def _spread_epoch(g, d, b, cubic, periodic, s, w, dw):
    """Adjoint of `_warp_epoch`, added to `s`."""
    n = s.size
    lo, hi = _interior(n, d, b, 1.0 if cubic else 0.0, n - 2.0 if cubic else n - 1.0)
    for t in range(lo):
        _spread_sample(g[t], s, b + d * t, cubic, periodic, w, dw)
    for t in range(lo, hi):
        u = b + d * t
        i = int(u)
        if cubic:
            a = u - i
            a2, part = a * a, g[t]
            s[i - 1] += part * 0.5 * a * (2.0 * a - 1.0 - a2)
            s[i] += part * (1.0 + a2 * (1.5 * a - 2.5))
            s[i + 1] += part * 0.5 * a * (1.0 + 4.0 * a - 3.0 * a2)
            s[i + 2] += part * 0.5 * a2 * (a - 1.0)
        else:
            part = (u - i) * g[t]
            s[i] += g[t] - part
            s[i + 1] += part
    for t in range(hi, n):
        _spread_sample(g[t], s, b + d * t, cubic, periodic, w, dw)


@njit(**OPTIONS)
def warp(S, delays, dilations, onset, starts, lengths, cubic, periodic, Y, D):
    """Read every source at its warped times: ``Y`` the values, ``D`` their slope in the position.

    Parameters
    ----------
    S : ndarray of shape (m, p, n_samples)
        Sources.
    delays, dilations : ndarray of shape (m, p)
        tau and d, float64; d is positive.
    onset : float
        Sample of an epoch that dilations leave in place.
    starts, lengths : ndarray of int64, shape (n_epochs,)
        The epochs.
    cubic, periodic : bool
        Catmull-Rom or linear interpolation; wrapped around or held at the epoch's ends.
    Y, D : ndarray of shape (m, p, n_samples)
        Filled.
    """
    w, dw = np.empty(4), np.empty(4)
    for v in range(S.shape[0]):
        for j in range(S.shape[1]):
            d = dilations[v, j]
            b = onset * (1.0 - d) + delays[v, j]
            for e in range(starts.size):
                span = slice(starts[e], starts[e] + lengths[e])
                _warp_epoch(
                    S[v, j, span], d, b, cubic, periodic, Y[v, j, span], D[v, j, span], w, dw
                )


@njit(**OPTIONS)
def warp_adjoint(G, delays, dilations, onset, starts, lengths, cubic, periodic, out):
    """Adjoint of `warp` (of its values): takes `G` (m, p, n_samples) to `out`."""
    w, dw = np.empty(4), np.empty(4)
    out[:] = 0
    for v in range(G.shape[0]):
        for j in range(G.shape[1]):
            d = dilations[v, j]
            b = onset * (1.0 - d) + delays[v, j]
            for e in range(starts.size):
                span = slice(starts[e], starts[e] + lengths[e])
                _spread_epoch(G[v, j, span], d, b, cubic, periodic, out[v, j, span], w, dw)


@njit(**OPTIONS)
def box(x, half, starts, lengths, out):
    """Average one row over 2 half + 1 samples, zeros outside the epoch: its own adjoint."""
    scale = 1.0 / (2 * half + 1)
    for e in range(starts.size):
        a, n = starts[e], lengths[e]
        total = 0.0
        for t in range(min(half, n)):
            total += x[a + t]
        for t in range(n):
            if t + half < n:
                total += x[a + t + half]
            if t > half:
                total -= x[a + t - half - 1]
            out[a + t] = scale * total


@njit(**OPTIONS)
def align(
    S, delays, dilations, onset, starts, lengths, cubic, periodic, half, soft, Y, D, E, Yb, Eb
):  # fmt: skip
    """Warp all sources, take envelopes, and average over views: the forward pass of the loss.

    `half` is the half width of the envelope's box, negative for no envelope (`E`, `Eb` untouched).
    The envelope is a box over ``sqrt(y^2 + soft)``, soft > 0: an absolute value without a kink.
    """
    m, p, n_samples = S.shape
    w, dw = np.empty(4), np.empty(4)
    absolute = np.empty(n_samples, dtype=S.dtype)
    Yb[:] = 0
    if half >= 0:
        Eb[:] = 0
    share = S.dtype.type(1.0 / m)
    for v in range(m):
        for j in range(p):
            d = dilations[v, j]
            b = onset * (1.0 - d) + delays[v, j]
            y, mean = Y[v, j], Yb[j]
            for e in range(starts.size):
                span = slice(starts[e], starts[e] + lengths[e])
                _warp_epoch(S[v, j, span], d, b, cubic, periodic, y[span], D[v, j, span], w, dw)
            for t in range(n_samples):
                mean[t] += share * y[t]
            if half >= 0:
                for t in range(n_samples):
                    absolute[t] = math.sqrt(y[t] * y[t] + soft)
                box(absolute, half, starts, lengths, E[v, j])
                envelope, mean_envelope = E[v, j], Eb[j]
                for t in range(n_samples):
                    mean_envelope[t] += share * envelope[t]


@njit(**OPTIONS)
def spread(X, mean, window):
    """Sum over views and samples of the windowed squared distance of `X` to `mean` (p, n)."""
    lanes = np.zeros(256)
    total = 0.0
    for v in range(X.shape[0]):
        for j in range(X.shape[1]):
            x, c, weight = X[v, j], mean[j], window[j]
            for start in range(0, x.size, 256):
                for i in range(min(256, x.size - start)):
                    r = x[start + i] - c[start + i]
                    lanes[i] += weight[start + i] * r * r
    for i in range(256):
        total += lanes[i]
    return total


@njit(**OPTIONS)
def pull_back(
    Y, D, E, Yb, Eb, psi, delays, dilations, onset, starts, lengths, cubic, periodic, half, soft,
    noise, window, gS, slopes,
):  # fmt: skip
    """Gradient of the mean loss by the sources and by the timing: the backward pass.

    `gS` (m, p, n_samples) is filled with n_samples times the gradient; `slopes` (m, p, 7) with the
    sums over samples of gY D and (t - onset) gY D, of D^2, (t - onset) D^2, (t - onset)^2 D^2, and
    with Y^2 and Yb Y.
    """
    m, p, n_samples = Y.shape
    w, dw = np.empty(4), np.empty(4)
    g = np.empty(n_samples, dtype=Y.dtype)
    q, smooth = np.empty(n_samples, dtype=Y.dtype), np.empty(n_samples, dtype=Y.dtype)
    share, weight = Y.dtype.type(1.0 / m), Y.dtype.type(1.0 / noise)
    gS[:] = 0
    for v in range(m):
        for j in range(p):
            y, slope, mean, score, open_ = Y[v, j], D[v, j], Yb[j], psi[j], window[j]
            for t in range(n_samples):
                g[t] = share * score[t] + weight * open_[t] * (y[t] - mean[t])
            if half >= 0:
                envelope, mean_envelope = E[v, j], Eb[j]
                for t in range(n_samples):
                    q[t] = weight * open_[t] * (envelope[t] - mean_envelope[t])
                box(q, half, starts, lengths, smooth)
                for t in range(n_samples):
                    g[t] += smooth[t] * y[t] / math.sqrt(y[t] * y[t] + soft)
            d = dilations[v, j]
            b = onset * (1.0 - d) + delays[v, j]
            s = np.zeros(7)
            for e in range(starts.size):
                a, n = starts[e], lengths[e]
                for t in range(n):
                    time, change = t - onset, slope[a + t]
                    product, square = g[a + t] * change, change * change
                    s[0] += product
                    s[1] += time * product
                    s[2] += square
                    s[3] += time * square
                    s[4] += time * time * square
                    s[5] += y[a + t] * y[a + t]
                    s[6] += mean[a + t] * y[a + t]
                span = slice(a, a + n)
                _spread_epoch(g[span], d, b, cubic, periodic, gS[v, j, span], w, dw)
            slopes[v, j] = s
