"""Leading eigenvectors of a positive operator by filtered subspace iteration."""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import eigh, qr
from sklearn.utils import check_random_state

SMALL = 40  # order up to which a dense solver is quicker
DEGREE = 3  # of the filter: 3 to 6 times fewer products than powers when the spectrum is flat
MAX_GROWTH = 1e12  # spread that a filter may give to two columns before digits are lost


@dataclass(frozen=True)
class LeadingSubspace:
    """Leading eigenpairs of a symmetric positive semi-definite matrix.

    Attributes
    ----------
    vectors : ndarray of shape (size, n_vectors)
        Orthonormal columns, by decreasing eigenvalue.
    values : ndarray of shape (n_vectors,)
    n_iter : int
        Rounds done; one is exact when the block is the whole space.
    converged : bool
    change : float
        How far the subspace moved in the last round; 0 for an exact solution.
    """

    vectors: np.ndarray
    values: np.ndarray
    n_iter: int
    converged: bool
    change: float


def block_size(size, n_vectors):
    """Columns that the iteration carries: the wanted ones and up to ten more."""
    return min(n_vectors + min(10, n_vectors), size)


def leading_subspace(matrix, size, n_vectors, *, random_state, tol, max_iter):
    """Leading eigenvectors of a matrix, given as such or by its products.

    Each round is a Rayleigh-Ritz step followed by a Chebyshev filter that damps the eigenvalues
    below the smallest Ritz value of the block. The stop looks at the `n_vectors` leading Ritz
    vectors only: the oversampled ones converge slowly and are not returned.

    Parameters
    ----------
    matrix : ndarray of shape (size, size) or callable
        Symmetric positive semi-definite matrix, or its product (size, q) to (size, q), in float64.
        A dense solver finishes what the rounds do not reach if the matrix itself is given.
    size : int
        Order of the matrix.
    n_vectors : int
        Number of eigenvectors wanted.
    random_state : int, RandomState or None
        Draws the starting block.
    tol : float
        Stop when the subspace moves by less than this between two rounds, or when it is invariant
        to a thousandth of this (equal eigenvalues: many answers are right).
    max_iter : int
        Largest number of rounds.

    Returns
    -------
    subspace : LeadingSubspace

    Examples
    --------
    >>> import numpy as np
    >>> D = np.diag(np.arange(100.0))
    >>> found = leading_subspace(D, 100, 2, random_state=0, tol=1e-8, max_iter=100)
    >>> np.round(found.values, 6), found.converged
    (array([99., 98.]), True)
    """
    if not callable(matrix) and size <= SMALL:
        return _dense(matrix, n_vectors)
    apply = matrix if callable(matrix) else matrix.__matmul__
    q = block_size(size, n_vectors)
    start = check_random_state(random_state).standard_normal((size, q))
    block, old, change, n_iter = start, None, np.inf, 0
    while change >= tol and n_iter < max_iter:
        n_iter += 1
        V = qr(block, mode="economic", check_finite=False)[0]
        V, MV, values = _ritz(V, apply(V))
        leading, products = V[:, :n_vectors], MV[:, :n_vectors]
        change = 0.0 if q == size else _change(leading, old, products, values[:n_vectors])
        if change >= tol:
            old, block = leading, _filtered(apply, V, MV, values, n_vectors)
    if change >= tol and not callable(matrix):
        values, vectors = eigh(matrix, subset_by_index=[size - n_vectors, size - 1])
        values, leading, change = values[::-1], vectors[:, ::-1], 0.0
    leading = leading * stable_signs(leading)
    return LeadingSubspace(leading, values[:n_vectors], n_iter, change < tol, change)


def _dense(matrix, n_vectors):
    values, vectors = np.linalg.eigh(matrix)
    leading = vectors[:, : -n_vectors - 1 : -1]
    leading = leading * stable_signs(leading)
    return LeadingSubspace(leading, values[: -n_vectors - 1 : -1].copy(), 1, True, 0.0)


def stable_signs(vectors):
    """Signs that make positive the first of the largest entries of each column.

    Entries within one percent of the largest count as ties, which rounding must not decide.
    """
    sizes = np.abs(vectors)
    first = np.argmax(sizes > 0.99 * sizes.max(axis=0), axis=0)
    return np.sign(vectors[first, np.arange(vectors.shape[1])])


def _change(leading, old, products, values):
    """Distance to the old subspace, or a thousand times the relative residual if smaller."""
    moved = np.inf if old is None else np.linalg.norm(leading - old @ (old.T @ leading))
    residual = np.linalg.norm(products - leading * values)
    return float(min(moved, 1e3 * residual / values[-1]) if values[-1] > 0 else moved)


def _ritz(V, MV):
    """Rotate an orthonormal block to its Ritz vectors, by decreasing Ritz value."""
    H = V.T @ MV
    values, U = eigh((H + H.T) / 2, check_finite=False)
    values, U = values[::-1], U[:, ::-1]
    return V @ U, MV @ U, values


def _filtered(apply, V, MV, values, n_vectors):
    """Chebyshev polynomial of the matrix, scaled to damp [0, bound], applied to V."""
    bound = values[-1]
    if bound > 0.995 * values[n_vectors - 1]:  # equal eigenvalues: do not damp the wanted ones
        bound *= 0.9
    if bound <= 0:
        return MV
    scale = 2.0 / bound
    previous, current = V, scale * MV - V
    for _ in range(_degree(values[0] / bound) - 1):
        previous, current = current, 2.0 * (scale * apply(current) - current) - previous
    return current


def _degree(spread):
    """Degree of the filter, lowered where the spread it makes would cost digits."""
    growth = np.arccosh(max(2.0 * spread - 1.0, 1.0 + 1e-9))
    return int(np.clip(np.log(MAX_GROWTH) / growth, 1, DEGREE))
