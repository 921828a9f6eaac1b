"""Riemannian descent with retractions: the baseline that landing is compared with."""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import cholesky, qr, solve_triangular

from mvica.stiefel.fields import symmetric
from mvica.stiefel.operators import checked_cholesky, symmetric_operator

ENOUGH = 1e-4  # share of the predicted decrease that a step must reach
MEMORY = 10  # objectives that a step may not exceed: Barzilai-Borwein steps are not monotone
MAX_TRIALS = 30


@dataclass(frozen=True)
class RiemannianSolution:
    """Outcome of `riemannian_descent`.

    Attributes
    ----------
    x : ndarray of shape (d, p)
        Last iterate, ``x^T B x = I``.
    objective : float
        Objective at `x`.
    gradient_norm : float
        Norm of the Riemannian gradient relative to that of the gradient, in the metric of B^-1.
    n_iter : int
        Iterations done.
    converged : bool
        Whether `gradient_norm` is below the tolerance.
    history : ndarray of shape (n_iter + 1, 2)
        Objective and `gradient_norm` at the start and after each iteration.
    """

    x: np.ndarray
    objective: float
    gradient_norm: float
    n_iter: int
    converged: bool
    history: np.ndarray


def riemannian_descent(fun_grad, B, U0, *, retraction="cholesky", tol=1e-6, max_iter=1000):
    """Minimise under ``U^T B U = I`` by gradient steps that are pulled back to the constraint.

    Steps are Barzilai-Borwein steps in the metric of B with a nonmonotone line search. B is
    factored once, and every trial step costs a retraction.

    Parameters
    ----------
    fun_grad : callable
        ``fun_grad(U)`` gives the objective and its gradient, (d, p).
    B : array, data matrix or None
        As in `mvica.stiefel.landing`; it is made dense.
    U0 : ndarray of shape (d, p)
        Start, of full column rank.
    retraction : {"cholesky", "polar", "qr"}, default="cholesky"
        See `retract`.
    tol : float, default=1e-6
        Relative Riemannian gradient at convergence.
    max_iter : int, default=1000
        Most iterations.

    Returns
    -------
    solution : RiemannianSolution

    Raises
    ------
    ValueError
        If B is not symmetric positive definite.

    References
    ----------
    Absil, Mahony, Sepulchre (2008), Optimization Algorithms on Matrix Manifolds, Princeton.

    Examples
    --------
    >>> import numpy as np
    >>> from mvica.stiefel import riemannian_descent
    >>> A = np.diag([3.0, 2.0, 1.0])
    >>> solution = riemannian_descent(lambda U: (-0.5 * np.vdot(U, A @ U), -A @ U), None,
    ...                               np.ones((3, 1)))
    >>> round(solution.objective, 6)
    -1.5
    """
    dense = symmetric_operator(B, "B", size=len(U0)).dense()
    lower = checked_cholesky(dense, "B")
    U = retract(np.asarray(U0, dtype=np.float64), np.zeros_like(U0, dtype=float), lower, retraction)
    value, G = fun_grad(U)
    values, history, last = [value], [], None
    for n_iter in range(max_iter + 1):
        descent, dual, size = _gradient(G, dense @ U, U, lower)
        history.append((value, size))
        if size < tol or n_iter == max_iter:
            break
        slope = float(np.vdot(descent, dual))
        eta = _length(descent, dual, last, n_iter)
        bound = (max(values[-MEMORY:]), slope)
        eta, U, value, G = _search(fun_grad, U, descent, eta, bound, (lower, retraction))
        values.append(value)
        last = (eta, descent, dual)
    return RiemannianSolution(
        U, float(value), size, len(history) - 1, bool(size < tol), np.array(history)
    )


def retract(U, step, lower, method):
    """Return the point that a step leads to, back on the constraint ``U^T B U = I``.

    Parameters
    ----------
    U, step : ndarray of shape (d, p)
    lower : ndarray of shape (d, d)
        Cholesky factor of B.
    method : {"cholesky", "polar", "qr"}
        Normalise by the Cholesky factor of the Gram matrix, by its inverse square root, or by a QR
        factorisation of ``L^T U``.

    Returns
    -------
    U : ndarray of shape (d, p)
    """
    moved = lower.T @ (U + step)
    if method == "qr":
        Q, R = qr(moved, mode="economic")
        signs = np.where(np.diag(R) < 0, -1.0, 1.0)
        return solve_triangular(lower, Q * signs, lower=True, trans=1)
    gram = symmetric(moved.T @ moved)
    if method == "cholesky":
        Q = solve_triangular(cholesky(gram, lower=True), moved.T, lower=True).T
    elif method == "polar":
        values, vectors = np.linalg.eigh(gram)
        Q = moved @ (vectors / np.sqrt(values)) @ vectors.T
    else:
        raise ValueError(f"retraction must be 'cholesky', 'polar' or 'qr', got {method!r}.")
    return solve_triangular(lower, Q, lower=True, trans=1)


def _gradient(G, M, U, lower):
    """Riemannian gradient in the metric of B, its image under B, and its relative norm."""
    dual = G - M @ symmetric(U.T @ G)
    half = solve_triangular(lower, np.hstack([dual, G]), lower=True)
    own, all_of_it = np.hsplit(half, 2)
    size = np.linalg.norm(own) / max(np.linalg.norm(all_of_it), np.finfo(float).tiny)
    return solve_triangular(lower, own, lower=True, trans=1), dual, float(size)


def _length(descent, dual, last, n_iter):
    first = 0.3 / np.sqrt(float(np.vdot(descent, dual)))
    if last is None:
        return first
    eta, old, old_dual = last
    change, dual_change = descent - old, dual - old_dual
    along = eta * abs(float(np.vdot(old, dual_change)))
    square = float(np.vdot(change, dual_change))
    if along == 0 or square == 0:
        return first
    return eta**2 * float(np.vdot(old, old_dual)) / along if n_iter % 2 else along / square


def _search(fun_grad, U, descent, eta, bound, way):
    """Halve a step until the objective is far enough below the worst of the last ten."""
    level, slope = bound
    for _ in range(MAX_TRIALS):
        moved = retract(U, -eta * descent, *way)
        value, G = fun_grad(moved)
        if value <= level - ENOUGH * eta * slope:
            break
        eta *= 0.5
    return eta, moved, value, G
