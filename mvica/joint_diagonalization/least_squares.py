"""U-WEDGE and FFDiag: least-squares fixed points over invertible matrices."""

import numpy as np

from mvica.joint_diagonalization.quasi_newton import LEAST_SQUARES, sweep
from mvica.optim.result import Result

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
        scale = (weights @ d**2) ** -0.25
        B = B * scale[:, None]
        d *= scale**2
        excess = wedge(d, (scale**3)[:, None] * V @ B.T, weights)
        history.append(np.abs(excess).max())
        if not np.isfinite(history[-1]):
            message = "the iterates left the invertible matrices"
            break
        if history[-1] < best[0]:
            best = (history[-1], B, d.copy())
        if history[-1] < tol:
            message = "converged"
            break
        if len(history) > max_iter:
            break
        if step == "uwedge":
            B = np.linalg.solve(np.eye(p) + excess, B)
        else:
            B = B - excess @ B * min(1.0, _FFDIAG_CAP / np.linalg.norm(excess))
    norm, B, d = best
    history = np.array(history)
    n_iter = len(history) - 1
    share = off_diagonal_share(C, weights, B, d)
    return Result(B, share, norm, n_iter, message == "converged", history, message), d


def wedge(d, Y, weights):
    """Solve for the off-diagonal part of `A` in ``D_k ~ A diag(d_k) A^T``.

    ``Y_ab = sum_k w_k d_ka D_kab``.
    """
    z = (d * weights[:, None]).T @ d
    powers = (1.0 + _RIDGE) * np.diag(z)
    A = (powers[:, None] * Y.T - z * Y) / (np.outer(powers, powers) - z**2)
    np.fill_diagonal(A, 0.0)
    return A


def off_diagonal_share(C, weights, B, d):
    """Off-diagonal part of the squares of ``B C_k B^T``, rows of B scaled to unit mean square."""
    total = weights @ np.einsum("kab,kab->k", D := B @ C @ B.T, D)
    return 1.0 - np.sum(weights @ d**2) / total
