"""Newton directions of the noisy shared-source likelihood, also for noises that are tied."""

import numpy as np

LOWEST_SIGNAL = 1e-3  # power of a source in the weighted mean, 1 under the model
LOWEST_EIGENVALUE = 1e-3  # of the system of tied noises


def newton_direction(point, G, g, fixed, free, groups=None, floor=1e-4):
    """Apply the inverse of the Hessian at independent components, kept positive definite.

    Parameters
    ----------
    point : NoisyPoint
        Where the statistics of the Hessian are taken.
    G, g : ndarray of shape (m, p, p) and (m, p)
        Minus the gradient, or what L-BFGS has made of it.
    fixed : ndarray of bool, shape (m, p)
        Noises that stay.
    free : ndarray of bool, shape (m,)
        Views that move.
    groups : ndarray of int, shape (m, p), default=None
        Noises with the same number are one. None: all differ.
    floor : float, default=1e-4
        Smallest relative eigenvalue left to what all views share: damps steps.

    Returns
    -------
    move : ndarray of shape (m, p, p)
        Relative step of the unmixings.
    delta : ndarray of shape (m, p)
        Step of the log noises.
    """
    from mvica.kernels import noisy_numba

    d = np.ascontiguousarray(np.einsum("vaa->va", point.K))
    r, nubar = point.weighting.precisions, point.weighting.nubar
    _, V, _, curved, power = np.ascontiguousarray(point.sums.T)
    tau = np.maximum(power - nubar, LOWEST_SIGNAL)
    curvature = np.maximum(curved - V * nubar, 0.0)
    move, delta = np.zeros_like(point.W), np.zeros_like(d)
    noisy_numba.pair_steps(G, d, r, V, tau, free, floor, move)
    if groups is None:
        noisy_numba.scale_and_noise_steps(G, g, d, r, V, curvature, nubar, free, fixed, move, delta)
    else:
        scales, delta = _tied_steps(point, G, g, d, V, curvature, fixed, free, groups)
        np.einsum("vaa->va", move)[:] = scales
    return move, delta


def _tied_steps(point, G, g, d, V, curvature, fixed, free, groups):
    """Give the steps (m, p) of log scales and log noises, the scales eliminated first.

    The system of component a is ``[[E, -B], [-B, N]]`` with ``E = diag(own) - curvature r r^T``, B
    diagonal and ``N = diag(1 - 2 V r) / 2 + V^2 r r^T / 2``.
    """
    r = point.weighting.precisions
    own = np.where(free[:, None], d * r + 1 - V * r, np.inf)
    cross = np.where(fixed, 0.0, 1 - V * r)
    weak = 1 - curvature * (r**2 / own).sum(axis=0)
    gain = curvature / np.maximum(weak, LOWEST_EIGENVALUE)

    def solve_scales(x):
        return x / own + r / own * gain * (r / own * x).sum(axis=0)

    target = np.einsum("vaa->va", G)
    rhs = np.where(fixed, 0.0, g) + cross * solve_scales(target)
    n_groups = groups.max() + 1
    S, pull = np.zeros((n_groups, n_groups)), np.bincount(groups.ravel(), rhs.ravel(), n_groups)
    for a, group in enumerate(groups.T):
        share, r_a = cross[:, a] * r[:, a] / own[:, a], np.where(fixed[:, a], 0.0, r[:, a])
        system = V[a] ** 2 / 2 * np.outer(r_a, r_a) - gain[a] * np.outer(share, share)
        diagonal = (1 - 2 * V[a] * r[:, a]) / 2 - cross[:, a] ** 2 / own[:, a]
        system += np.diag(np.where(fixed[:, a], 1.0, diagonal))
        np.add.at(S, (group[:, None], group), system)
    values, vectors = np.linalg.eigh(S)
    values = np.maximum(np.abs(values), LOWEST_EIGENVALUE)
    step = (vectors / values) @ (vectors.T @ pull)
    delta = step[groups]
    return solve_scales(target + cross * delta), delta
