"""Principal components of one view: mean, spectrum, numerical rank and whitened coordinates."""

from dataclasses import dataclass, replace

import numpy as np

from mvica.kernels.blocks import blocks, project
from mvica.kernels.moments import mean_and_covariance
from mvica.reduction.subspace import stable_signs


@dataclass(frozen=True)
class PrincipalComponents:
    """Leading principal components of one view, k of them.

    A view with more features than samples keeps the eigenvectors of its Gram matrix instead of
    directions in feature space: those are only formed for the few combinations that are used.

    Attributes
    ----------
    mean : ndarray of shape (n_features,)
    variances : ndarray of shape (k,)
        Variances along the kept directions, decreasing.
    directions : ndarray of shape (k, n_features) or None
        Orthonormal rows; None for a wide view.
    sample_vectors : ndarray of shape (n_samples, k) or None
        Orthonormal columns, eigenvectors of the centred Gram matrix; None unless wide.
    rank : int
        Numerical rank of the centred view; k is at most the rank.
    total_variance : float
        Trace of the covariance.
    """

    mean: np.ndarray
    variances: np.ndarray
    directions: np.ndarray | None
    sample_vectors: np.ndarray | None
    rank: int
    total_variance: float

    @property
    def n_directions(self):
        """Number of kept directions."""
        return len(self.variances)

    def leading(self, k):
        """Keep the k leading directions only; None keeps all."""
        return replace(
            self,
            variances=self.variances[:k],
            directions=None if self.directions is None else self.directions[:k],
            sample_vectors=None if self.sample_vectors is None else self.sample_vectors[:, :k],
        )


def principal_components(X, *, max_directions=None):
    """Principal components of one view from float64 statistics.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        One view, float32 or float64; it is read in blocks and never copied whole.
    max_directions : int, default=None
        Keep at most this number of leading directions; None keeps the numerical rank.

    Returns
    -------
    pca : PrincipalComponents

    Examples
    --------
    >>> import numpy as np
    >>> X = np.array([[3.0, 3.0], [-3.0, -3.0], [1.0, 1.0], [-1.0, -1.0]])
    >>> pca = principal_components(X)
    >>> pca.rank, pca.variances
    (1, array([10.]))
    """
    n, d = X.shape
    if d <= n:
        mean, matrix = mean_and_covariance(X)
    else:
        mean, matrix = _mean_and_gram(X)
    return _spectrum(matrix, mean, (n, d), X.dtype, gram=d > n, max_directions=max_directions)


def components_of_covariance(mean, covariance, n_samples, dtype):
    """Principal components of a view of which only the mean and the covariance are known.

    Parameters
    ----------
    mean : ndarray of shape (n_features,)
        Mean of the view.
    covariance : ndarray of shape (n_features, n_features)
        Its covariance, divided by `n_samples`.
    n_samples : int
        Number of samples that they come from.
    dtype : dtype
        Type that the samples had: it bounds the variance that is only rounding.

    Returns
    -------
    pca : PrincipalComponents
    """
    return _spectrum(covariance, mean, (n_samples, len(mean)), dtype)


def _spectrum(matrix, mean, shape, dtype, *, gram=False, max_directions=None):
    """Principal components from the covariance, or from the Gram matrix, of a view."""
    values, vectors = np.linalg.eigh(matrix)
    values, vectors = values[::-1], vectors[:, ::-1]
    total = float(np.sum(values))
    rank = int(np.sum(values > _rounding_variance(values[0], total, mean, shape, dtype)))
    k = rank if max_directions is None else min(rank, max_directions)
    kept = vectors[:, :k] * stable_signs(vectors[:, :k])
    kept = np.ascontiguousarray(kept if gram else kept.T)
    return PrincipalComponents(
        mean=mean,
        variances=values[:k].copy(),
        directions=None if gram else kept,
        sample_vectors=kept if gram else None,
        rank=rank,
        total_variance=total,
    )


def _rounding_variance(largest, total, mean, shape, dtype):
    """Variance that rounding alone can give to a direction of a rank-deficient view.

    Three sources add up: the float64 statistics, arithmetic and storage in the dtype of the data
    (each entry moves by eps relatively), and the rounding of the mean that is removed.
    """
    eps, storage = np.finfo(np.float64).eps, np.finfo(dtype).eps
    offset = max(storage, shape[0] * eps) ** 2 * np.max(mean**2)
    return largest * max(shape) * eps + storage**2 * total + offset


def _mean_and_gram(X):
    """Column means and centred Gram matrix ``Xc Xc^T / n``, by blocks of features."""
    n, d = X.shape
    mean = np.empty(d)
    gram = np.zeros((n, n))
    for columns in blocks(d, n, shortest=n):
        chunk = X[:, columns].astype(np.float64)
        mean[columns] = chunk.mean(axis=0)
        chunk -= mean[columns]
        gram += chunk @ chunk.T
    return mean, gram / n


def whitened_samples(pca, X, rows):
    """Whitened coordinates (k, b) of the training samples ``X[rows]``, in float64."""
    if pca.sample_vectors is not None:
        return np.sqrt(len(X)) * pca.sample_vectors[rows].T
    centred = X[rows] - pca.mean
    return (pca.directions / np.sqrt(pca.variances)[:, None]) @ centred.T


def signal_regressions(pca, X, S):
    """Covariance (p, k) of signals S (n, p) with the whitened coordinates of the same samples."""
    if pca.sample_vectors is not None:
        return S.T @ pca.sample_vectors / np.sqrt(len(X))
    covariance = np.zeros((S.shape[1], X.shape[1]))
    for rows in blocks(*X.shape):
        covariance += S[rows].T @ (X[rows] - pca.mean)
    return covariance / len(X) @ (pca.directions / np.sqrt(pca.variances)[:, None]).T


def combined_samples(pca, X, weights):
    """Signals (p, n) ``weights @ whitened`` of the training samples, in float64."""
    if pca.sample_vectors is not None:
        return np.sqrt(len(X)) * weights @ pca.sample_vectors.T
    rows = projection_map(pca, X, weights)
    return project(X, pca.mean, rows, out=np.empty((len(weights), len(X))))


def projection_map(pca, X, weights):
    """Map (p, d) from centred features to the signals ``weights @ whitened``, weights (p, k)."""
    if pca.sample_vectors is None:
        return (weights / np.sqrt(pca.variances)) @ pca.directions
    return _over_samples(pca, X, weights / pca.variances)


def pattern_map(pca, X, weights):
    """Covariance (d, p) of the features with the signals ``weights @ whitened``."""
    if pca.sample_vectors is None:
        return ((weights * np.sqrt(pca.variances)) @ pca.directions).T
    return _over_samples(pca, X, weights).T.copy()


def _over_samples(pca, X, weights):
    """Sum over samples ``(weights U^T) Xc / sqrt(n)``, by blocks of features."""
    rows = weights @ pca.sample_vectors.T / np.sqrt(len(X))
    result = np.empty((len(rows), X.shape[1]))
    for columns in blocks(X.shape[1], len(X)):
        result[:, columns] = rows @ (X[:, columns] - pca.mean[columns])
    return result
