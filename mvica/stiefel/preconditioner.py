"""Preconditioners near the inverse of the constraint matrices, and a start, from few rows."""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_solve, cholesky, eigh, null_space, solve_triangular
from scipy.linalg.lapack import dpocon
from sklearn.utils.extmath import randomized_svd

DENSE_FEATURES = 5000  # more, and (d, d) matrices are too large: leading directions only
LEADING = 300  # directions kept then
JITTER = {4: 1e-6, 8: 1e-7}  # of the mean variance, by the bytes of a number of the data
POWERS = 8  # subspace iterations of the start
EXTRA = 10  # its extra columns


def sample_rows(n_samples, n_features):
    """Rows that a preconditioner is made of, ``clip(n / (8 d), 8, 32)`` for each feature.

    Parameters
    ----------
    n_samples, n_features : int
        Size of the largest view.

    Returns
    -------
    n_rows : int

    Examples
    --------
    >>> sample_rows(100_000, 500), sample_rows(1000, 500)
    (12500, 1000)
    """
    factor = np.clip(n_samples / (8 * n_features), 8, 32)
    return int(min(n_samples, factor * n_features))


@dataclass(frozen=True)
class CholeskyInverse:
    """Inverse of a matrix by its Cholesky factor.

    Attributes
    ----------
    lower : ndarray of shape (d, d)
        Lower factor L of ``L L^T``.
    """

    lower: np.ndarray

    @property
    def n_directions(self):
        """Number of whitened coordinates."""
        return len(self.lower)

    @property
    def dimension(self):
        """Dimension of the space where the inverse is not zero."""
        return len(self.lower)

    def __call__(self, R):
        """Product with (d, k) vectors."""
        return cho_solve((self.lower, True), R, check_finite=False)

    def whiten(self, A):
        """``L^-1 A``."""
        return solve_triangular(self.lower, A, lower=True, check_finite=False)

    def metric_coordinates(self, U):
        """``L^T U``, the inverse of `unwhiten`."""
        return self.lower.T @ U

    def unwhiten(self, u):
        """``L^-T u``."""
        return solve_triangular(self.lower, u, lower=True, trans=1, check_finite=False)


@dataclass(frozen=True)
class SpectralInverse:
    """Inverse on some orthonormal directions, and a multiple of the identity on the others.

    Attributes
    ----------
    directions : ndarray of shape (d, k)
        Orthonormal columns.
    values : ndarray of shape (k,)
        Eigenvalues that are inverted.
    tail : float
        Eigenvalue on the other directions; infinite to project them away.
    """

    directions: np.ndarray
    values: np.ndarray
    tail: float = np.inf

    @property
    def n_directions(self):
        """Number of whitened coordinates."""
        return len(self.values)

    @property
    def dimension(self):
        """Dimension of the space where the inverse is not zero."""
        return len(self.values) if np.isinf(self.tail) else len(self.directions)

    def __call__(self, R):
        """Product with (d, k) vectors."""
        rest = 0.0 if np.isinf(self.tail) else 1.0 / self.tail
        within = self.directions.T @ R
        return self.directions @ (within / self.values[:, None] - rest * within) + rest * R

    def whiten(self, A):
        """Coordinates of A in the directions, over the roots of their eigenvalues."""
        return (self.directions.T @ A) / np.sqrt(self.values)[:, None]

    def metric_coordinates(self, U):
        """Inverse of `unwhiten` on the directions."""
        return (self.directions.T @ U) * np.sqrt(self.values)[:, None]

    def unwhiten(self, u):
        """Weights whose whitened coordinates are u."""
        return self.directions @ (u / np.sqrt(self.values)[:, None])


def reciprocal_condition(matrix, lower):
    """Estimate of ``1 / cond(matrix)`` from its Cholesky factor.

    Parameters
    ----------
    matrix, lower : ndarray of shape (d, d)
        Symmetric matrix and its lower Cholesky factor.

    Returns
    -------
    rcond : float
    """
    return float(dpocon(lower, np.abs(matrix).sum(axis=0).max(), uplo="L")[0])


def rounding_floor(n_features, n_rows, dtype):
    """Relative eigenvalue that rounding alone can give to a correlation matrix."""
    storage = np.finfo(dtype).eps
    return max(n_features, n_rows) * np.finfo(np.float64).eps + n_features * storage**2


def inverse_of(covariance, ridge, n_rows, dtype):
    """Inverse of a sampled covariance with its ridge, on the numerical range without one.

    Parameters
    ----------
    covariance : ndarray of shape (d, d)
        In units in which its mean diagonal is about 1.
    ridge : float
        Added to its diagonal.
    n_rows : int
        Rows that it comes from.
    dtype : dtype
        Of these rows.

    Returns
    -------
    inverse : CholeskyInverse or SpectralInverse
        The latter if the matrix is singular: its tail is infinite.
    """
    d = len(covariance)
    jitter = JITTER[np.dtype(dtype).itemsize] * np.trace(covariance) / d
    matrix = covariance + (ridge + jitter) * np.eye(d)
    if ridge > 0 or _is_regular(covariance, n_rows, dtype):
        return CholeskyInverse(cholesky(matrix, lower=True, check_finite=False))
    values, vectors = eigh(covariance, check_finite=False)
    kept = values > values[-1] * rounding_floor(d, n_rows, dtype)
    return SpectralInverse(vectors[:, kept], values[kept] + jitter)


def _is_regular(covariance, n_rows, dtype):
    """Say whether a matrix is so far from singular that no eigenvalue needs a look."""
    if not np.all(np.diag(covariance) > 0):
        return False
    try:
        lower = cholesky(covariance, lower=True, check_finite=False)
    except np.linalg.LinAlgError:
        return False
    floor = rounding_floor(len(covariance), n_rows, dtype)
    return reciprocal_condition(covariance, lower) > 1e3 * floor


def sampled_start(data, n_vectors, rng, *, n_rows=None):
    """Preconditioners and a start for CCA, from random rows.

    Parameters
    ----------
    data : CenteredRows
        The two views.
    n_vectors : int
        Columns of the start, or fewer where the sample has fewer directions.
    rng : RandomState
        Draws the rows.
    n_rows : int, default=None
        Rows drawn; None takes `sample_rows`.

    Returns
    -------
    inverses : list of CholeskyInverse or SpectralInverse
        One a view, near the inverse of its constraint matrix.
    start : list of ndarray of shape (n_features_v, n_vectors)
        Canonical directions of the sample.
    """
    if max(data.sizes) > DENSE_FEATURES:
        return _leading_start(data, n_vectors, rng)
    n_rows = min(n_rows or sample_rows(data.n_samples, max(data.sizes)), data.n_samples)
    *own, cross = data.sample_covariances(n_rows, rng)
    pairs = zip(own, data.ridges, strict=True)
    inverses = [inverse_of(C, ridge, n_rows, data.dtype) for C, ridge in pairs]
    if n_rows < data.n_samples and any(map(_is_projection, inverses)):
        inverses = _with_missed_directions(inverses, data)
    return inverses, leading_directions(inverses, cross, n_vectors, rng)


def leading_directions(inverses, cross, n_vectors, rng):
    """Leading canonical directions of covariances whose inverses are known.

    Parameters
    ----------
    inverses : list of CholeskyInverse or SpectralInverse
        Of the constraint matrices of both views.
    cross : ndarray of shape (d_1, d_2)
        Covariance of the first view with the second.
    n_vectors : int
        Directions wanted.
    rng : RandomState
        Draws the start of the randomized SVD.

    Returns
    -------
    directions : list of ndarray of shape (d_v, n_vectors)
    """
    first, second = inverses
    K = second.whiten(first.whiten(cross).T).T
    return _leading_vectors(K, inverses, n_vectors, rng)


def with_known_directions(inverses, start, known):
    """Put known directions in front of a start, in the metrics of the preconditioners.

    Parameters
    ----------
    inverses : list of CholeskyInverse or SpectralInverse
        Of the constraint matrices of both views.
    start : list of ndarray of shape (d_v, q)
        Start, whose columns beyond the known ones are kept.
    known : list of ndarray of shape (d_v, k)
        Directions that come first.

    Returns
    -------
    start : list of ndarray of shape (d_v, q)
    """
    found = []
    for inverse, U, W in zip(inverses, start, known, strict=True):
        columns = inverse.metric_coordinates(np.hstack([W, U[:, W.shape[1] :]]))
        Q, R = np.linalg.qr(columns)
        # A column that changed its sign in one view only would be anticorrelated.
        found.append(inverse.unwhiten(Q * np.where(np.diag(R) < 0, -1.0, 1.0)))
    return found


def _is_projection(inverse):
    return isinstance(inverse, SpectralInverse) and np.isinf(inverse.tail)


def _with_missed_directions(inverses, data):
    """Add the directions that vary in the data though they did not in the sample, in one pass."""
    dropped = [
        null_space(inverse.directions.T) if _is_projection(inverse) else np.zeros((d, 0))
        for inverse, d in zip(inverses, data.sizes, strict=True)
    ]
    found = []
    for inverse, N, C in zip(inverses, dropped, data.score_moments(dropped)[:2], strict=True):
        if not C.size:
            found.append(inverse)
            continue
        values, vectors = eigh(C)
        floor = rounding_floor(len(N), data.n_samples, data.dtype)
        kept = values > floor * np.max(inverse.values)
        if kept.any():
            directions = np.hstack([inverse.directions, N @ vectors[:, kept]])
            values = np.concatenate([inverse.values, values[kept]])
            inverse = SpectralInverse(directions, values)
        found.append(inverse)
    return found


def _leading_start(data, n_vectors, rng):
    """Start from the leading directions of a sample: for views of very many features."""
    samples = data.sample(4 * LEADING, rng)
    inverses, whitened = [], []
    for x, ridge in zip(samples, data.ridges, strict=True):
        k = min(LEADING, *x.shape)
        _, singular, rows = randomized_svd(x, k, n_iter=4, random_state=rng)
        values = singular.astype(np.float64) ** 2 / len(x)
        kept = values > values[0] * rounding_floor(x.shape[1], len(x), data.dtype)
        directions, values = rows[kept].T.astype(np.float64), values[kept] + ridge
        inverses.append(SpectralInverse(directions, values, tail=values[-1]))
        whitened.append(inverses[-1].whiten(x.T))
    K = whitened[0] @ whitened[1].T / len(samples[0])
    return inverses, _leading_vectors(K, inverses, n_vectors, rng)


def _leading_vectors(K, inverses, n_vectors, rng):
    u, _, vt = randomized_svd(
        K, min(n_vectors, *K.shape), n_oversamples=EXTRA, n_iter=POWERS, random_state=rng
    )
    return [inverses[0].unwhiten(u), inverses[1].unwhiten(vt.T)]
