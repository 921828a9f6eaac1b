"""U-WEDGE and FFDiag: least-squares fixed points over invertible matrices."""

import numpy as np
from numba import njit

from mvica.joint_diagonalization.kernels import congruence
from mvica.joint_diagonalization.quasi_newton import LEAST_SQUARES, sweep
from mvica.optim.result import Result

_JIT = {"cache": True, "nogil": True, "fastmath": {"contract"}, "error_model": "numpy"}
_RIDGE = 1e-9  # of the fit of a pair, for proportional powers that cannot be told apart
_FFDIAG_CAP = 0.9  # Frobenius norm of a step: below 1, I - step stays invertible


def iterate_least_squares(C, weights, start, *, step="uwedge", tol=1e-6, max_iter=1000):
    """Iterate the least-squares update of U-WEDGE or FFDiag over invertible matrices.

    Each iteration fits ``B C_k B^T ~ A diag(d_k) A^T`` with ``A`` near the identity and removes
    `A`. It descends no fixed function; the iterate with the smallest step is returned.

    Parameters
    ----------
    C : ndarray of shape (n_matrices, p, p), float64, C-contiguous
        Symmetric matrices, of any sign.
    weights : ndarray of shape (n_matrices,)
        Positive weights that sum to 1.
    start : ndarray of shape (p, p)
        First iterate, invertible.
    step : {"uwedge", "ffdiag"}, default="uwedge"
        "uwedge" multiplies by the inverse of `A`; "ffdiag" by ``2I - A``, with a bounded step.
    tol : float, default=1e-6
        Largest off-diagonal entry of `A` at convergence.
    max_iter : int, default=1000
        Iterations.

    Returns
    -------
    result : Result
        `x` is B of shape (p, p), with unit mean squares of the diagonals; `gradient_norm` and
        `history` hold the largest off-diagonal entry of `A`, `objective` the off-diagonal share
        of the squares.
    diagonals : ndarray of shape (n_matrices, p)
        Diagonals of ``B C_k B^T``.
    """
    K, p = C.shape[:2]
    B = np.array(start)
    d, V = np.empty((K, p)), np.empty((p, p))
    history = []
    best = (np.inf, B, d)
    message = "max_iter was reached"
    while True:
        sweep(C, weights, B, LEAST_SQUARES, d, V)
        size, excess = wedge(B, d, V, weights)
        history.append(size)
        if not np.isfinite(size):
            message = "a diagonal vanishes in every matrix"
            break
        if size < best[0]:
            best = (size, B.copy(), d.copy())
        if size < tol:
            message = "converged"
            break
        if len(history) > max_iter:
            break
        try:
            B = advance(B, excess, step == "uwedge")
        except np.linalg.LinAlgError:
            message = "the iterates left the invertible matrices"
            break
    norm, B, d = best
    history = np.array(history)
    n_iter = len(history) - 1
    share = off_diagonal_share(C, weights, B, d)
    return Result(B, share, norm, n_iter, message == "converged", history, message), d


@njit(**_JIT)
def wedge(B, d, V, w):
    """Scale the rows of B to unit mean squares of their diagonals, then fit what mixes them.

    B and d are scaled in place. Returns the largest entry, and the off-diagonal part, of the `A`
    that fits ``B C_k B^T ~ A diag(d_k) A^T``, from ``v_a = sum_k w_k d_ka C_k b_a``.
    """
    K, p = d.shape
    scaled_V = np.empty((p, p))
    for a in range(p):
        square = 0.0
        for k in range(K):
            square += w[k] * d[k, a] ** 2
        scale = square**-0.25 if square > 0.0 else 1.0
        for k in range(K):
            d[k, a] *= scale**2
        for i in range(p):
            B[a, i] *= scale
            scaled_V[a, i] = scale**3 * V[a, i]
    Y = np.dot(scaled_V, np.ascontiguousarray(B.T))
    weighted = np.empty((p, K))
    for k in range(K):
        for a in range(p):
            weighted[a, k] = w[k] * d[k, a]
    z = np.dot(weighted, d)
    excess, size = np.zeros((p, p)), 0.0
    power = 1.0 + _RIDGE
    for a in range(p):
        for b in range(p):
            if a != b:
                det = power**2 * z[a, a] * z[b, b] - z[a, b] ** 2
                excess[a, b] = (power * z[a, a] * Y[b, a] - z[a, b] * Y[a, b]) / det
                size = max(size, abs(excess[a, b]))
    return size if np.isfinite(np.sum(excess)) else np.inf, excess


@njit(**_JIT)
def advance(B, excess, invert):
    """(I + excess)^-1 B, or the bounded first-order step (I - excess) B."""
    p = len(B)
    if invert:
        A = excess.copy()
        for a in range(p):
            A[a, a] = 1.0
        return np.dot(np.linalg.inv(A), B)
    share = min(1.0, _FFDIAG_CAP / np.sqrt(np.sum(excess**2)))
    return B - share * np.dot(excess, B)


def off_diagonal_share(C, weights, B, d):
    """Off-diagonal part of the squares of ``B C_k B^T``, rows of B scaled to unit mean square."""
    D = congruence(np.ascontiguousarray(B), C, np.sqrt(weights)).ravel()
    return float(1.0 - np.sum(weights @ d**2) / (D @ D))
