"""Generalized eigenvectors of symmetric pairs, in whatever form the matrices come."""

import warnings
from dataclasses import dataclass
from numbers import Integral

import numpy as np
from scipy.linalg import eigh, solve_triangular
from scipy.linalg.lapack import dsygst
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state

from mvica.stiefel.deterministic import as_product, landing
from mvica.stiefel.operators import (
    checked_cholesky,
    extreme_eigenvalues,
    inverse_of,
    not_definite,
    symmetric_operator,
)
from mvica.stiefel.rayleigh_ritz import block_eigenvectors, rayleigh_ritz

SOLVERS = ("auto", "direct", "lobpcg", "landing")
EXTRA = 3  # columns iterated beyond those wanted
LARGEST_DENSE = 4000  # order up to which a dense pair is factored
SMALL = 400  # order up to which a matrix in any form is made dense
MANY = 5  # more than one vector in five: all of them cost less
ROWS_PER_FEATURE = 40  # data with fewer rows: their second moment is cheaper than passes


@dataclass(frozen=True)
class Eigenpairs:
    """Leading generalized eigenpairs, ``A u = lambda B u``.

    Attributes
    ----------
    eigenvalues : ndarray of shape (k,)
        Descending.
    eigenvectors : ndarray of shape (d, k)
        Columns with ``U^T B U = I``, the entry of largest magnitude of each positive.
    residual_norms : ndarray of shape (k,)
        ``|A u - lambda B u| / (|A u| + |lambda| |B u|)`` of each pair.
    n_iter : int
        Iterations, 0 for the direct solver.
    converged : bool
        Whether the tolerance was met; always for the direct solver.
    solver : {"direct", "lobpcg", "landing"}
        The one taken.
    """

    eigenvalues: np.ndarray
    eigenvectors: np.ndarray
    residual_norms: np.ndarray
    n_iter: int
    converged: bool
    solver: str


def generalized_eigh(
    A,
    B=None,
    k=1,
    *,
    solver="auto",
    preconditioner=None,
    tol=1e-7,
    max_iter=None,
    random_state=0,
):
    """Largest eigenvalues and eigenvectors of ``A u = lambda B u``.

    Parameters
    ----------
    A, B : array, sparse array, LinearOperator or callable
        Symmetric matrices of order d; B positive definite, None for the identity. A matrix that is
        not square is a data matrix X of shape (n_samples, d) and stands for ``X^T X / n_samples``.
        A function without arguments that returns an iterator over batches of rows stands for the
        same, for data that do not fit in memory. Centre data first.
    k : int, default=1
        Number of pairs, at most d.
    solver : {"auto", "direct", "lobpcg", "landing"}, default="auto"
        "direct" factors B and reduces the pair to a standard problem; "lobpcg" works with products
        only, one of each matrix with a few more than k vectors an iteration; "landing" follows
        landing fields, slower than both, for comparison. "auto" is direct for dense matrices up to
        order 4000, for any matrix up to order 400, for data with less than 40 rows a feature, and
        where k is more than a tenth of d; else "lobpcg". The record says what was taken.
    preconditioner : callable, array, LinearOperator or None, default=None
        Stands for the inverse of B in the iterative solvers. None makes one: exact for dense and
        sparse matrices, from a sample of the rows for data, the identity for a LinearOperator,
        which is slow where B is ill-conditioned.
    tol : float, default=1e-7
        Largest preconditioned residual relative to the largest eigenvalue, for the iterative
        solvers. Eigenvalues have about its square as relative error.
    max_iter : int, default=None
        Most iterations. None: 200 for "lobpcg", 2000 for "landing".
    random_state : int, RandomState instance or None, default=0
        Draws the start of the iterative solvers.

    Returns
    -------
    pairs : Eigenpairs

    Raises
    ------
    ValueError
        If B is singular or indefinite (the message names the smallest eigenvalue found), a matrix
        is not symmetric or not finite, the orders differ, or k is larger than the order.
    TypeError
        If a matrix is complex.

    Warns
    -----
    ConvergenceWarning
        If an iterative solver stops before `tol` is met.

    References
    ----------
    Knyazev (2001), Toward the optimal preconditioned eigensolver: locally optimal block
    preconditioned conjugate gradient method, SIAM Journal on Scientific Computing.

    Vary, Ablin, Gao, Absil (2024), Optimization without retraction on the random generalized
    Stiefel manifold, ICML.

    Examples
    --------
    >>> import numpy as np
    >>> from mvica.stiefel import generalized_eigh
    >>> pairs = generalized_eigh(np.diag([1.0, 6.0, 4.0]), np.diag([1.0, 2.0, 1.0]), k=2)
    >>> pairs.eigenvalues
    array([4., 3.])
    >>> pairs.solver
    'direct'
    """
    _check_choice(solver)
    A = symmetric_operator(A, "A")
    B = symmetric_operator(B, "B", size=A.size)
    k = _check_k(k, A.size)
    if solver == "auto":
        solver = _choose(A, B, k)
    if solver == "direct":
        U, n_iter, converged = _direct(A, B, k), 0, True
    else:
        rng = check_random_state(random_state)
        P = inverse_of(B, rng) if preconditioner is None else as_product(preconditioner, A.size)
        U0 = rng.standard_normal((A.size, min(k + EXTRA, A.size)))
        iterate = _lobpcg if solver == "lobpcg" else _landing
        U, n_iter, converged = iterate(A, B, P, U0, k, tol, max_iter)
    return _ordered(A, B, U, k, n_iter, converged, solver)


def _check_choice(solver):
    if solver not in SOLVERS:
        raise ValueError(f"solver must be one of {SOLVERS}, got {solver!r}.")


def _check_k(k, d):
    if not isinstance(k, Integral) or isinstance(k, bool) or not 1 <= k <= d:
        raise ValueError(f"k must be an int between 1 and {d}, the order of the matrices, got {k}.")
    return int(k)


def _choose(A, B, k):
    d = A.size
    kinds = {A.kind, B.kind} - {"identity"}
    if d <= SMALL or 10 * k > d:
        return "direct"
    if kinds == {"dense"}:
        return "direct" if d <= LARGEST_DENSE else "lobpcg"
    if kinds == {"rows"}:
        n = max(len(matrix.source) for matrix in (A, B) if matrix.kind == "rows")
        return "direct" if n < ROWS_PER_FEATURE * d else "lobpcg"
    return "lobpcg"


def _direct(A, B, k):
    """Reduce to a standard problem by the Cholesky factor of B; leading eigenvectors of that."""
    if B.kind == "identity":
        return _leading(A.dense(), k)
    lower = checked_cholesky(B.dense(), "B")
    reduced, _ = dsygst(A.dense(), lower, lower=1)  # its lower triangle
    return solve_triangular(lower, _leading(reduced, k), lower=True, trans=1, check_finite=False)


def _leading(matrix, k):
    """Leading eigenvectors of a symmetric matrix given by its lower triangle."""
    d = len(matrix)
    if MANY * k > d:
        return eigh(matrix, driver="evd", check_finite=False)[1][:, d - k :]
    return eigh(matrix, subset_by_index=(d - k, d - 1), driver="evr", check_finite=False)[1]


def _lobpcg(A, B, P, U0, k, tol, max_iter):
    if 3 * U0.shape[1] > A.size:
        raise ValueError(
            f"k={k} is too large for solver='lobpcg' and matrices of order {A.size}: it works with "
            f"{3 * U0.shape[1]} vectors. Use solver='direct'."
        )
    _check_definite(B)
    solution = block_eigenvectors(
        A.apply, B.apply, P, U0, k, tol=tol, max_iter=200 if max_iter is None else max_iter
    )
    if not solution.converged:
        warnings.warn(
            f"lobpcg did not converge in {solution.n_iter} iterations: relative residual "
            f"{solution.residual:.2g}, tol={tol:g}. Raise max_iter or tol, or give a "
            "preconditioner closer to the inverse of B.",
            ConvergenceWarning,
            stacklevel=3,
        )
    return solution.vectors, solution.n_iter, solution.converged


def _landing(A, B, P, U0, k, tol, max_iter):
    def fun_grad(U):
        G = -A.apply(U)
        return 0.5 * float(np.vdot(U, G)), G

    _check_definite(B)
    solution = landing(
        fun_grad,
        B.source if B.kind != "identity" else None,
        U0,
        preconditioner=P,
        tol=tol,
        max_iter=2000 if max_iter is None else max_iter,
    )
    return solution.x, solution.n_iter, solution.converged


def _check_definite(B):
    """Raise if an operator is seen to be indefinite; the other forms were factored already."""
    if B.kind != "operator":
        return
    smallest, largest = extreme_eigenvalues(B)
    if smallest <= B.size * np.finfo(float).eps * largest:
        raise not_definite("B", smallest, largest)


def _ordered(A, B, U, k, n_iter, converged, solver):
    AU, BU = A.apply(U), B.apply(U)
    values, T = rayleigh_ritz(U, AU, BU)
    values, T = values[:k], T[:, :k]
    U, AU, BU = U @ T, AU @ T, BU @ T
    sign = np.sign(U[np.abs(U).argmax(axis=0), np.arange(k)])
    residuals = np.linalg.norm(AU - BU * values, axis=0)
    sizes = np.linalg.norm(AU, axis=0) + np.abs(values) * np.linalg.norm(BU, axis=0)
    norms = np.divide(residuals, sizes, out=np.zeros(k), where=sizes > 0)
    return Eigenpairs(values, U * sign, norms, n_iter, converged, solver)
