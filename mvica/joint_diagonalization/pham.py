"""Pham's algorithm: the likelihood criterion, minimised pair of rows by pair of rows."""

import numpy as np
from numba import njit

from mvica.joint_diagonalization.criteria import likelihood, typical_separability
from mvica.optim.result import Result

_JIT = {"cache": True, "nogil": True, "fastmath": {"contract"}, "error_model": "numpy"}


def minimise_by_pairs(C, weights, start, *, tol=1e-6, max_iter=1000):
    """Minimise the likelihood criterion over invertible matrices, two rows at a time.

    Slower than the quasi-Newton method, with the same minima; each update lowers the criterion.

    Parameters
    ----------
    C : ndarray of shape (n_matrices, p, p)
        Positive definite matrices.
    weights : ndarray of shape (n_matrices,)
        Positive weights that sum to 1.
    start : ndarray of shape (p, p)
        First iterate.
    tol : float, default=1e-6
        Largest scale-free gradient met in a sweep at convergence, relative to the separability.
    max_iter : int, default=1000
        Sweeps over all pairs.

    Returns
    -------
    result : Result
        `x` is B of shape (p, p), its rows not scaled.
    diagonals : ndarray of shape (n_matrices, p)
        Diagonals of ``B C_k B^T``.
    """
    B = np.array(start)
    D = np.ascontiguousarray(np.moveaxis(B @ C @ B.T, 0, -1))  # the loops run over the matrices
    d = _diagonals(D)
    history = [likelihood(d, weights, B)]
    norm, message = np.inf, "max_iter was reached"
    if len(B) == 1:
        norm, message = 0.0, "converged"
    while norm > 0.0 and len(history) <= max_iter:
        unit = typical_separability(d, weights)
        norm = pair_sweep(D, B, weights)
        d = _diagonals(D)
        history.append(likelihood(d, weights, B))
        if norm < tol * unit:
            message = "converged"
            break
    n_iter = len(history) - 1
    result = Result(
        B, history[-1], norm, n_iter, message == "converged", np.array(history), message
    )
    return result, d


def _diagonals(D):
    return np.ascontiguousarray(np.einsum("aak->ka", D))


@njit(**_JIT)
def pair_sweep(D, B, w):
    """Update every pair of rows of B, and the upper triangle of D (p, p, K), in place.

    Returns the largest scale-free gradient met.
    """
    p, K = D.shape[0], D.shape[2]
    shares = np.empty((p, K))  # w_k / d_ka
    rho = np.empty(p)
    for a in range(p):
        for k in range(K):
            shares[a, k] = w[k] / D[a, a, k]
        rho[a] = np.sqrt(np.dot(w, D[a, a]))
    largest = 0.0
    for i in range(p):
        for j in range(i + 1, p):
            Dij = D[i, j]
            g_ij, g_ji = np.dot(shares[i], Dij), np.dot(shares[j], Dij)
            h_ij, h_ji = np.dot(shares[i], D[j, j]), np.dot(shares[j], D[i, i])
            largest = max(largest, abs(g_ij) * rho[i] / rho[j], abs(g_ji) * rho[j] / rho[i])
            product = h_ij * h_ji
            if product - 1.0 > 1e-9:
                u = (h_ji * g_ij - g_ji) / (product - 1.0)
                v = (h_ij * g_ji - g_ij) / (product - 1.0)
            else:  # proportional powers: no more than their correlation can be removed
                ratio = np.sqrt(h_ji / h_ij)
                u, v = 0.25 * (ratio * g_ij + g_ji), 0.25 * (g_ij + g_ji / ratio)
            factor = 2.0 / (1.0 + np.sqrt(max(0.0, 1.0 - 4.0 * u * v)))
            _combine(D, B, i, j, -factor * u, -factor * v)
            for k in range(K):
                shares[i, k] = w[k] / D[i, i, k]
                shares[j, k] = w[k] / D[j, j, k]
            rho[i], rho[j] = np.sqrt(np.dot(w, D[i, i])), np.sqrt(np.dot(w, D[j, j]))
    return largest


@njit(**_JIT)
def _combine(D, B, i, j, x, y):
    """b_i, b_j <- b_i + x b_j, b_j + y b_i, and the same on rows and columns of D."""
    p, K = D.shape[0], D.shape[2]
    for b in range(p):
        old_i = B[i, b]
        B[i, b] += x * B[j, b]
        B[j, b] += y * old_i
        if b in (i, j):
            continue
        Dib = D[min(i, b), max(i, b)]
        Djb = D[min(j, b), max(j, b)]
        for k in range(K):
            old = Dib[k]
            Dib[k] += x * Djb[k]
            Djb[k] += y * old
    Dii, Djj, Dij = D[i, i], D[j, j], D[i, j]
    for k in range(K):
        ii, jj, ij = Dii[k], Djj[k], Dij[k]
        Dii[k] = ii + 2.0 * x * ij + x * x * jj
        Djj[k] = jj + 2.0 * y * ij + y * y * ii
        Dij[k] = ij * (1.0 + x * y) + y * ii + x * jj
