"""Sets of second moments that one unmixing diagonalises: over lags, frequencies, stretches of time.

All take signals of shape (m, p, n), m views of p aligned white signals, and work in float64.
"""

from itertools import pairwise

import numpy as np

from mvica.kernels.moments import second_moment

_BLOCK = 8192  # samples converted to float64 at a time


def lagged_moments(Y, lags):
    """Symmetric covariances of signals with themselves some samples later.

    With several views only products of different views enter: noise that is independent between
    views then adds nothing, whatever its spectrum.

    Parameters
    ----------
    Y : ndarray of shape (m, p, n)
        Centred signals.
    lags : sequence of int
        Positive lags in samples, below n.

    Returns
    -------
    C : ndarray of shape (n_lags, p, p)
    """
    m, p, n = Y.shape
    C = np.zeros((len(lags), p, p))
    for total, lag in zip(C, lags, strict=True):
        for start in range(0, n - lag, _BLOCK):
            stop = min(start + _BLOCK, n - lag)
            now = Y[:, :, start:stop].astype(np.float64, copy=False)
            later = Y[:, :, start + lag : stop + lag].astype(np.float64, copy=False)
            own = np.matmul(now, later.transpose(0, 2, 1)).sum(axis=0)
            total += own if m == 1 else now.sum(axis=0) @ later.sum(axis=0).T - own
        total /= (n - lag) * max(m * (m - 1), 1)
    return 0.5 * (C + C.transpose(0, 2, 1))


def band_moments(Y, edges):
    """Real parts of the cross-spectra of each view, averaged over bands of frequencies.

    Parameters
    ----------
    Y : ndarray of shape (m, p, n)
        Centred signals.
    edges : ndarray of shape (n_bands + 1,)
        Edges of the bands in cycles per sample; a band holds its upper edge, not its lower one.

    Returns
    -------
    C : ndarray of shape (m, n_bands, p, p)
    n_modes : ndarray of shape (n_bands,)
        Fourier modes in each band: the weights of the Whittle likelihood.
    """
    m, p, n = Y.shape
    modes = np.searchsorted(np.fft.rfftfreq(n), edges, side="right")
    C = np.zeros((m, len(edges) - 1, p, p))
    for v in range(m):
        F = np.fft.rfft(Y[v].astype(np.float64, copy=False), norm="ortho")
        for b, (low, high) in enumerate(pairwise(modes)):
            if high > low:
                X = F[:, low:high]
                C[v, b] = (X.real @ X.real.T + X.imag @ X.imag.T) / (high - low)
    return C, np.diff(modes)


def window_moments(Y, edges):
    """Covariances of each view in windows of time.

    Parameters
    ----------
    Y : ndarray of shape (m, p, n)
        Centred signals.
    edges : ndarray of shape (n_windows + 1,), int
        First samples of the windows, and the end of the last one.

    Returns
    -------
    C : ndarray of shape (m, n_windows, p, p)
    """
    return np.array([[second_moment(Y_v[:, a:b]) for a, b in pairwise(edges)] for Y_v in Y])
