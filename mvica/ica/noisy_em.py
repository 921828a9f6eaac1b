"""Generalised EM for noisy shared sources: short monotone steps, kept for comparison and checks."""

import numpy as np

from mvica.ica.noisy_joint import Scope, iterate
from mvica.ica.noisy_objective import LOG_BOUNDS

LOWEST_EIGENVALUE = 1e-3  # of the two by two blocks of the complete-data curvature
MAX_HALVINGS = 20


def solve_em(objective, W, log_nu, *, groups=None, tol=1e-6, max_iter=3000, callback=None):
    """Minimise the exact likelihood by EM, one quasi-Newton step of each view an iteration.

    Every iteration lowers the objective. Its rate is the share of what the views together leave
    unknown, so that thousands of iterations are common; `mvica.ica.noisy_joint.solve_joint` has
    the same parameters, result and optimum.
    """

    def advance(point):
        log_nu = expected_noise(point, groups)
        return objective.point(_maximised(point, np.exp(-log_nu)), log_nu)

    point = objective.point(W, np.clip(log_nu, *LOG_BOUNDS))
    scope = Scope.of(len(W), groups)
    return iterate(advance, point, scope, tol=tol, max_iter=max_iter, callback=callback)


def expected_noise(point, groups=None):
    """Logarithms of the noise variances that maximise the expected likelihood at given sources."""
    nu = np.exp(point.log_nu) * (1 - 2 * point.noise_gradient)
    if groups is not None:
        nu = (np.bincount(groups.ravel(), nu.ravel()) / np.bincount(groups.ravel()))[groups]
    return np.clip(np.log(nu), *LOG_BOUNDS)


def _maximised(point, r):
    """One quasi-Newton step of every view on the expected likelihood; samples are not touched."""
    K, B, p = point.K, point.B, point.K.shape[1]
    G = r[:, :, None] * (K - B) - np.eye(p)
    direction = _direction(G, r[:, :, None] * np.einsum("vaa->va", K)[:, None])
    t, start = np.ones(len(K)), _expected(np.broadcast_to(np.eye(p), K.shape), K, B, r)
    for _ in range(MAX_HALVINGS):
        move = np.eye(p) + t[:, None, None] * direction
        worse = _expected(move, K, B, r) > start
        if not worse.any():
            break
        t[worse] /= 2
    t[worse] = 0
    return point.W + t[:, None, None] * direction @ point.W


def _direction(G, h):
    """Blocks of pairs kept positive definite; the diagonal needs no guard."""
    swapped = h.mT
    lowest = (h + swapped - np.sqrt((h - swapped) ** 2 + 4)) / 2
    lifted = h + np.maximum(LOWEST_EIGENVALUE - lowest, 0)
    product = lifted * lifted.mT - 1
    diagonal = range(h.shape[1])
    product[:, diagonal, diagonal] = 1.0
    E = -(lifted.mT * G - G.mT) / product
    E[:, diagonal, diagonal] = -(G / (1 + h))[:, diagonal, diagonal]
    return E


def _expected(move, K, B, r):
    """Return each view's expected minus log likelihood at ``move W``, up to a constant."""
    power, cross = np.sum(move @ K * move, axis=2), np.sum(B * move, axis=2)
    return np.sum(r * (power / 2 - cross), axis=1) - np.linalg.slogdet(move)[1]
