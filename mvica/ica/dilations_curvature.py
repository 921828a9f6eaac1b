"""How unmixings and timing of one source bend the loss of MVICAD2 together, view by view."""

import numpy as np

RIDGE = 1e-6  # of each diagonal entry: the blocks of copied signals stay invertible


def gauss_newton_blocks(S, warped, clock, window, centroid, rates):
    """Products over time of all that one source of one view can change in its aligned self.

    Row j of the unmixing adds the view's sources, read at the timing of source j; a change of the
    timing adds slopes.

    Parameters
    ----------
    S : ndarray of shape (m, p, n_samples)
        Sources in the views' own time.
    warped : tuple of ndarray of shape (m, p)
        Delays and dilations.
    clock : Clock
    window : ndarray of shape (p, n_samples)
        Weights of the samples.
    centroid : ndarray of shape (p,)
        Time, relative to the onset, around which dilations act.
    rates : ndarray of shape (2, m, p)
        Change of log dilation and of centred delay by their free variables.

    Returns
    -------
    M : ndarray of shape (m, p, p + 2, p + 2)
        Means over samples; the last two rows are those of the two free variables.
    """
    m, p, n = S.shape
    delays, dilations = warped
    t = clock.epochs.times - clock.onset
    M, X = np.empty((m, p, p + 2, p + 2)), np.empty((p + 2, n))
    for v in range(m):
        for j in range(p):
            d = dilations[v, j]
            X[:p], D = (a[0] for a in clock.warp(S[v : v + 1], np.full((1, p), delays[v, j]), d))
            X[p] = D[j] * (t - centroid[j]) * (d * rates[0, v, j])
            X[p + 1] = D[j] * rates[1, v, j]
            M[v, j] = (X * window[j]) @ X.T / n
    return M


def inverse_blocks(M, curvature, damping, easiest):
    """Inverses of the blocks, with the curvature of the log-determinant and a damped diagonal.

    Parameters
    ----------
    M : ndarray of shape (m, p, p + 2, p + 2)
        See `gauss_newton_blocks`.
    curvature : float
        Weight of the squares in the loss.
    damping : float
        Added to the diagonal, relative to it.
    easiest : float
        Least curvature of a timing.
    """
    p = M.shape[1]
    M, entry = curvature * M, np.arange(p + 2)
    M[:, entry[:p], entry[:p], entry[:p]] += 1.0
    diagonal = M[..., entry, entry]
    M[..., entry, entry] *= 1 + RIDGE + damping
    M[..., entry[p:], entry[p:]] += np.maximum(easiest - diagonal[..., p:], 0.0)
    return np.linalg.inv(M)
