"""Leading eigenvectors of a positive operator by filtered subspace iteration."""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import eigh, qr
from sklearn.utils import check_random_state

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
        Rounds done; 1 when the block is the whole space, where one round is exact.
    converged : bool
    change : float
        Distance between the last two subspaces (Frobenius norm of the part that left).
    """

    vectors: np.ndarray
    values: np.ndarray
    n_iter: int
    converged: bool
    change: float


def block_size(size, n_vectors):
    """Columns that the iteration carries: the wanted ones and up to ten more."""
    return min(n_vectors + min(10, n_vectors), size)


def leading_subspace(apply, size, n_vectors, *, random_state, tol, max_iter):
    """Leading eigenvectors of the operator `apply`, of shape (size, size).

    Each round is a Rayleigh-Ritz step followed by a Chebyshev filter that damps the eigenvalues
    below the smallest Ritz value of the block. The stop looks at the `n_vectors` leading Ritz
    vectors only: the oversampled ones converge slowly and are not returned.

    Parameters
    ----------
    apply : callable
        Product with the matrix: (size, q) to (size, q), float64.
    size : int
        Order of the matrix.
    n_vectors : int
        Number of eigenvectors wanted.
    random_state : int, RandomState or None
        Draws the starting block.
    tol : float
        Stop when the subspace moves by less than this between two rounds.
    max_iter : int
        Largest number of rounds.

    Returns
    -------
    subspace : LeadingSubspace

    Examples
    --------
    >>> import numpy as np
    >>> D = np.diag(np.arange(100.0))
    >>> found = leading_subspace(
    ...     D.__matmul__, 100, 2, random_state=0, tol=1e-8, max_iter=100
    ... )
    >>> np.round(found.values, 6), found.converged
    (array([99., 98.]), True)
    """
    q = block_size(size, n_vectors)
    start = check_random_state(random_state).standard_normal((size, q))
    V = qr(start, mode="economic", check_finite=False)[0]
    old, change, n_iter = None, np.inf, 0
    while n_iter < max_iter:
        n_iter += 1
        V, MV, values = _ritz(V, apply(V))
        leading = V[:, :n_vectors]
        if q == size:
            change = 0.0
        elif old is not None:
            change = float(np.linalg.norm(leading - old @ (old.T @ leading)))
        if change < tol:
            break
        old = leading
        V = qr(_filtered(apply, V, MV, values), mode="economic", check_finite=False)[0]
    return LeadingSubspace(leading, values[:n_vectors], n_iter, change < tol, change)


def _ritz(V, MV):
    """Rotate an orthonormal block to its Ritz vectors, by decreasing Ritz value."""
    H = V.T @ MV
    values, U = eigh((H + H.T) / 2, check_finite=False)
    values, U = values[::-1], U[:, ::-1]
    return V @ U, MV @ U, values


def _filtered(apply, V, MV, values):
    """Chebyshev polynomial of the matrix, scaled to damp [0, values[-1]], applied to V."""
    if values[-1] <= 0:
        return MV
    scale = 2.0 / values[-1]
    previous, current = V, scale * MV - V
    for _ in range(_degree(values) - 1):
        previous, current = current, 2.0 * (scale * apply(current) - current) - previous
    return current


def _degree(values):
    """Degree of the filter, lowered where the spread it makes would cost digits."""
    ratio = max(2.0 * values[0] / values[-1] - 1.0, 1.0 + 1e-9)
    return int(np.clip(np.log(MAX_GROWTH) / np.arccosh(ratio), 1, DEGREE))
