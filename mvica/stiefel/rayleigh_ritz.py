"""Rayleigh-Ritz: the best eigenvectors within a span, and the block solver that widens the span.

The span is held with its products with A and B, so that an iteration costs one product of each
matrix with as many vectors as are iterated, and algebra on small matrices.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.linalg import cholesky, eigh, solve_triangular

from mvica.stiefel.fields import symmetric
from mvica.stiefel.operators import not_definite

CUT = 1e-12  # relative eigenvalue of a normalised Gram matrix below which a direction is dropped
REFRESH = 5  # iterations between products with the iterate itself, against drift
PATIENCE = 20  # iterations in which a residual below ROUNDING has to halve
ROUNDING = 1e-6  # relative residual below which no progress means the limit of rounding
NEGATIVE = -1e-8  # eigenvalue of a normalised Gram matrix that rounding cannot explain


class RitzPairs(NamedTuple):
    """Eigenpairs within a span.

    Attributes
    ----------
    values : ndarray of shape (q,)
        Ritz values, descending.
    coefficients : ndarray of shape (s, q)
        The vectors are the span times these.
    """

    values: np.ndarray
    coefficients: np.ndarray


@dataclass(frozen=True)
class BlockSolution:
    """Outcome of the block solver.

    Attributes
    ----------
    values : ndarray of shape (k,)
        Eigenvalues, descending.
    vectors : ndarray of shape (d, k)
        Eigenvectors, ``U^T B U = I``.
    images : tuple of ndarray of shape (d, k)
        ``A U`` and ``B U``.
    residual : float
        Largest preconditioned residual, relative to the largest eigenvalue.
    n_iter : int
        Products with blocks of vectors after the first.
    converged : bool
        Whether `residual` is below the tolerance.
    history : ndarray of shape (n_iter + 1, k)
        Ritz values before each iteration.
    """

    values: np.ndarray
    vectors: np.ndarray
    images: tuple
    residual: float
    n_iter: int
    converged: bool
    history: np.ndarray


def rayleigh_ritz(U, AU, BU):
    """Order and normalise a basis: eigenpairs of (A, B) within its span.

    Parameters
    ----------
    U, AU, BU : ndarray of shape (d, q)
        Independent columns and their products.

    Returns
    -------
    pairs : RitzPairs
        With ``(U T)^T B (U T) = I`` for the coefficients T.

    Examples
    --------
    >>> import numpy as np
    >>> A, B, U = np.diag([1.0, 2.0]), np.eye(2), np.array([[1.0, 1.0], [1.0, -1.0]])
    >>> rayleigh_ritz(U, A @ U, B @ U).values
    array([2., 1.])
    """
    L = cholesky(symmetric(U.T @ BU), lower=True)
    H = solve_triangular(L, symmetric(U.T @ AU), lower=True)
    H = solve_triangular(L, H.T, lower=True)
    values, vectors = eigh(symmetric(H))
    return RitzPairs(values[::-1], solve_triangular(L, vectors[:, ::-1], lower=True, trans=1))


def block_eigenvectors(apply_A, apply_B, apply_P, U0, k, *, tol, max_iter, callback=None):
    """Leading eigenvectors of (A, B) by preconditioned residuals and Rayleigh-Ritz.

    Parameters
    ----------
    apply_A, apply_B, apply_P : callable
        (d, q) -> (d, q). P is close to the inverse of B.
    U0 : ndarray of shape (d, q)
        Start, with a few columns more than k.
    k : int
        Pairs wanted.
    tol : float
        Largest residual ``|A u - lambda B u|_P`` of the pairs wanted, relative to
        ``max |lambda| |B u|_P``, at convergence.
    max_iter : int
        Most iterations.
    callback : callable or None
        ``callback(n_iter, value, residual)``.

    Returns
    -------
    solution : BlockSolution
        Not converged when rounding or `max_iter` stops it first.

    Raises
    ------
    ValueError
        If B turns out to be indefinite or singular on the span.
    """
    S, q = U0, U0.shape[1]
    AS, BS = apply_A(S), apply_B(S)
    history, best, mark = [], None, (np.inf, 0)
    for n_iter in range(max_iter + 1):
        pairs = _ritz_of_span(S, AS, BS)
        if pairs is None:  # rounding in the combined products, or B itself
            AS, BS = apply_A(S), apply_B(S)
            pairs = _ritz_of_span(S, AS, BS, exact=True)
        lead = pairs.coefficients[:, :q]
        U, AU, BU = S @ lead, AS @ lead, BS @ lead
        if n_iter % REFRESH == REFRESH - 1:
            AU, BU = apply_A(U), apply_B(U)
        values = pairs.values[: U.shape[1]]
        R = AU - BU * values
        PR = apply_P(R)
        residual = _relative_residual(R, PR, BU, apply_P, values, k)
        history.append(values[:k])
        if callback is not None:
            callback(n_iter, float(values[:k].sum()), residual)
        if best is None or residual < best[0]:
            best = (residual, values[:k], U[:, :k], AU[:, :k], BU[:, :k])
        if residual < 0.5 * mark[0]:
            mark = (residual, n_iter)
        stalled = best[0] < ROUNDING and n_iter - mark[1] >= PATIENCE
        if residual < tol or stalled or n_iter == max_iter:
            break
        W = _new_directions(U, BU, PR)
        if W.shape[1] == 0:
            break
        AW, BW = apply_A(W), apply_B(W)
        past = _past_directions(pairs.coefficients, q, S.shape[1])
        S, AS, BS = (
            np.hstack([now, new, old @ past])
            for now, new, old in ((U, W, S), (AU, AW, AS), (BU, BW, BS))
        )
    residual, values, U, AU, BU = best
    return BlockSolution(
        values, U, (AU, BU), residual, n_iter, bool(residual < tol), np.array(history)
    )


def _ritz_of_span(S, AS, BS, *, exact=False):
    """Eigenpairs within a span whose columns may be nearly dependent.

    None where the span contradicts a positive definite B; an error if its products are `exact`.
    """
    gram, products = symmetric(S.T @ BS), symmetric(S.T @ AS)
    squares = np.diag(gram)
    if squares.min() <= 0:
        if exact:
            raise not_definite("B", np.min(squares / np.einsum("ij,ij->j", S, S)))
        return None
    scale = 1.0 / np.sqrt(squares)
    spectrum, vectors = eigh(scale[:, None] * gram * scale)
    if spectrum[0] < NEGATIVE:
        x = S @ (scale * vectors[:, 0])
        if exact:
            raise not_definite("B", spectrum[0] / float(x @ x))
        return None
    kept = spectrum > CUT * spectrum[-1]
    T = scale[:, None] * vectors[:, kept] / np.sqrt(spectrum[kept])
    values, rotation = eigh(symmetric(T.T @ products @ T))
    return RitzPairs(values[::-1], T @ rotation[:, ::-1])


def _relative_residual(R, PR, BU, apply_P, values, k):
    """Largest residual of the first k pairs in the metric of P, without units."""
    size = np.sqrt(np.abs(np.einsum("ij,ij->j", BU[:, :k], apply_P(BU[:, :k]))))
    norms = np.sqrt(np.abs(np.einsum("ij,ij->j", R[:, :k], PR[:, :k])))
    top = np.abs(values[:k]).max()
    return float(np.max(norms / size) / top) if top > 0 else 0.0


def _new_directions(U, BU, PR):
    """Preconditioned residuals orthogonal to U in the metric of B, of unit length."""
    W = PR - U @ (BU.T @ PR)
    lengths = np.linalg.norm(W, axis=0)
    kept = lengths > 0
    return W[:, kept] / lengths[kept]


def _past_directions(coefficients, q, n_columns):
    """Part of the last step that lies outside the iterate it started from."""
    past = coefficients[:, :q].copy()
    past[:q] = 0
    return past if n_columns > q else past[:, :0]
