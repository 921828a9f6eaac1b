"""Jacobi angles: off-diagonal squares, minimised by rotating pairs of rows."""

import numpy as np
from numba import njit

from mvica.optim.result import Result

_JIT = {"cache": True, "nogil": True, "fastmath": {"contract"}, "error_model": "numpy"}


def rotate_by_pairs(C, weights, start, *, tol=1e-6, max_iter=1000):
    """Minimise the weighted squares of the off-diagonals over rotations, two rows at a time.

    Parameters
    ----------
    C : ndarray of shape (n_matrices, p, p)
        Symmetric matrices, of any sign.
    weights : ndarray of shape (n_matrices,)
        Positive weights that sum to 1.
    start : ndarray of shape (p, p)
        First iterate, orthogonal.
    tol : float, default=1e-6
        Largest angle of a sweep at convergence, in radians.
    max_iter : int, default=1000
        Sweeps over all pairs.

    Returns
    -------
    result : Result
        `x` is B of shape (p, p), orthogonal; `gradient_norm` is the largest angle of the last
        sweep; the objective is minus half the weighted squares of the diagonals.
    diagonals : ndarray of shape (n_matrices, p)
        Diagonals of ``B C_k B^T``.
    """
    B = np.array(start)
    roots = np.sqrt(weights)
    D = np.ascontiguousarray(np.moveaxis(B @ C @ B.T, 0, -1)) * roots
    history = [_objective(D)]
    angle, message = np.inf, "max_iter was reached"
    if len(B) == 1:
        angle, message = 0.0, "converged"
    while angle > 0.0 and len(history) <= max_iter:
        angle = angle_sweep(D, B)
        history.append(_objective(D))
        if angle < tol:
            message = "converged"
            break
    n_iter = len(history) - 1
    result = Result(
        B, history[-1], angle, n_iter, message == "converged", np.array(history), message
    )
    return result, np.ascontiguousarray(np.einsum("aak->ka", D)) / roots[:, None]


def _objective(D):
    return -0.5 * np.sum(np.einsum("aak->ak", D) ** 2)


@njit(**_JIT)
def angle_sweep(D, B):
    """Rotate every pair of rows of B, and the upper triangle of D (p, p, K), in place.

    The matrices in D carry the square roots of their weights. Returns the largest angle.
    """
    p, K = D.shape[0], D.shape[2]
    u, v = np.empty(K), np.empty(K)
    largest = 0.0
    for i in range(p):
        for j in range(i + 1, p):
            Dii, Djj, Dij = D[i, i], D[j, j], D[i, j]
            for k in range(K):
                u[k] = Dii[k] - Djj[k]
                v[k] = 2.0 * Dij[k]
            on = np.dot(u, u) - np.dot(v, v)
            off = 2.0 * np.dot(u, v)
            angle = 0.5 * np.arctan2(off, on + np.sqrt(on * on + off * off))
            largest = max(largest, abs(angle))
            _rotate(D, B, i, j, np.cos(angle), np.sin(angle))
    return largest


@njit(**_JIT)
def _rotate(D, B, i, j, c, s):
    """b_i, b_j <- c b_i + s b_j, c b_j - s b_i, and the same on rows and columns of D."""
    p, K = D.shape[0], D.shape[2]
    for b in range(p):
        old_i = B[i, b]
        B[i, b] = c * old_i + s * B[j, b]
        B[j, b] = c * B[j, b] - s * old_i
        if b in (i, j):
            continue
        Dib = D[min(i, b), max(i, b)]
        Djb = D[min(j, b), max(j, b)]
        for k in range(K):
            old = Dib[k]
            Dib[k] = c * old + s * Djb[k]
            Djb[k] = c * Djb[k] - s * old
    Dii, Djj, Dij = D[i, i], D[j, j], D[i, j]
    for k in range(K):
        ii, jj, ij = Dii[k], Djj[k], Dij[k]
        Dii[k] = c * c * ii + 2.0 * c * s * ij + s * s * jj
        Djj[k] = s * s * ii - 2.0 * c * s * ij + c * c * jj
        Dij[k] = (c * c - s * s) * ij + c * s * (jj - ii)
