"""CCA from covariances: whiten each view, then a truncated SVD, or an eigenproblem for many views.

The covariances are in units of their own (see `feature_scales`), so that the ridge is a multiple
of the identity and the condition number does not depend on the units of the features.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.linalg import cholesky, eigh, svd
from scipy.sparse.linalg import ArpackError, svds

from mvica.kernels.blocks import blocks
from mvica.reduction.mcca import principal_directions, solve_moment
from mvica.stiefel.preconditioner import (
    CholeskyInverse,
    SpectralInverse,
    reciprocal_condition,
    rounding_floor,
)

TRUNCATE = 10  # components times this are fewer than the directions: Lanczos instead of a full SVD
ILL_CONDITIONED = 1e-10  # eigenvalue, relative: its square root has lost half its digits
ROUNDS, MOVE = 200, 1e-10  # subspace iteration of many views


@dataclass(frozen=True)
class Whitened:
    """One view with the maps that make its constraint matrix the identity.

    Attributes
    ----------
    inverse : CholeskyInverse or SpectralInverse
        Of the constraint matrix, its numerical range.
    rank : int
        Numerical rank of the covariance without ridge.
    condition : float
        Smallest eigenvalue of the range over the largest, without ridge (an estimate).
    """

    inverse: CholeskyInverse | SpectralInverse
    rank: int
    condition: float


def feature_scales(variances, means, n_samples, dtype, *, standardize):
    """Factors that give features unit variance, alone or on average.

    Parameters
    ----------
    variances, means : ndarray of shape (n_features,)
        Of the features.
    n_samples : int
        Samples that they come from.
    dtype : dtype
        Of the data: a variance that its rounding explains is zero.
    standardize : bool
        Give every feature unit variance; else one factor makes the mean variance 1.

    Returns
    -------
    scales : ndarray of shape (n_features,)
        0 for constant features.
    """
    noise = max(np.finfo(dtype).eps, n_samples * np.finfo(np.float64).eps)
    varies = variances > (noise * means) ** 2
    used = variances if standardize else np.full(len(variances), variances.mean())
    return np.where(varies, 1.0, 0.0) / np.sqrt(np.where(varies, used, 1.0))


def whiten_covariance(covariance, ridge, n_samples, dtype, *, principal=False):
    """Whiten a view by the Cholesky factor of its constraint matrix, or on its numerical range.

    Parameters
    ----------
    covariance : ndarray of shape (d, d)
        In units of `feature_scales`.
    ridge : float
        Added to its diagonal.
    n_samples : int
        Samples that it comes from.
    dtype : dtype
        Of these samples.
    principal : bool, default=False
        Use the principal directions even if the matrix is regular.

    Returns
    -------
    whitened : Whitened
    """
    d = len(covariance)
    floor = rounding_floor(d, n_samples, dtype)
    lower, rcond = (None, 0.0) if principal else _cholesky(covariance)
    if rcond > 1e3 * floor:
        if ridge > 0:
            lower = cholesky(covariance + ridge * np.eye(d), lower=True, check_finite=False)
        return Whitened(CholeskyInverse(lower), d, rcond)
    values, vectors = eigh(covariance, check_finite=False)
    values, vectors = values[::-1], vectors[:, ::-1]
    kept = values > max(values[0], 0.0) * floor
    rank = int(kept.sum())
    condition = float(values[rank - 1] / values[0]) if rank else 0.0
    return Whitened(SpectralInverse(vectors[:, kept], values[kept] + ridge), rank, condition)


def _cholesky(matrix):
    """Lower factor and reciprocal condition number; None and 0 for a singular matrix."""
    try:
        lower = cholesky(matrix, lower=True, check_finite=False)
    except np.linalg.LinAlgError:
        return None, 0.0
    return lower, reciprocal_condition(matrix, lower)


def two_view_directions(whitened, K, n_components):
    """Canonical directions of two views.

    Parameters
    ----------
    whitened : list of Whitened
        The views.
    K : ndarray of shape (k_1, k_2)
        Covariance of their whitened coordinates.
    n_components : int
        Number of directions.

    Returns
    -------
    directions : list of ndarray of shape (d_v, n_components)
        White in the metrics of the constraints.
    values : ndarray of shape (n_components,)
        Canonical correlations, decreasing (those of the regularised problem).
    """
    u, s, vt = leading_svd(K, n_components)
    return [whitened[0].inverse.unwhiten(u), whitened[1].inverse.unwhiten(vt.T)], s


def leading_svd(K, n_components):
    """Leading singular vectors and values, by Lanczos where few are wanted of many.

    Parameters
    ----------
    K : ndarray of shape (k_1, k_2)
        Matrix.
    n_components : int
        Number of singular values.

    Returns
    -------
    u, s, vt : ndarray
        As `scipy.linalg.svd`, decreasing.
    """
    if TRUNCATE * n_components < min(K.shape) and min(K.shape) > 100:
        try:
            u, s, vt = svds(K, n_components, v0=np.ones(min(K.shape)))
            return u[:, ::-1], s[::-1], vt[::-1]
        except ArpackError:
            pass  # no convergence: the dense solver below does not need any
    u, s, vt = svd(K, full_matrices=False, check_finite=False)
    return u[:, :n_components], s[:n_components], vt[:n_components]


def many_view_directions(whitened, block, n_components, *, ridge_agrees, random_state):
    """Directions whose sum over views varies most, under a joint constraint.

    Parameters
    ----------
    whitened : list of Whitened
        The views.
    block : callable
        ``block(v, w)`` is the covariance (k_v, k_w) of the whitened coordinates of two views.
    n_components : int
        Number of directions.
    ridge_agrees : bool
        Whether the ridge of a view counts as variance that is maximised too: then only the
        agreement between views counts.
    random_state : int, RandomState or None
        Starts the subspace iteration.

    Returns
    -------
    directions : list of ndarray of shape (d_v, n_components)
        The sum over views of ``U_v^T B_v U_v`` is the identity.
    values : ndarray of shape (n_components,)
        Generalized eigenvalues, decreasing, at most the number of views.
    """
    stops = np.cumsum([0, *(w.inverse.n_directions for w in whitened)])
    spans = [slice(*pair) for pair in pairwise(stops)]
    if len(whitened) == 1:
        found = principal_directions(stops[-1], n_components)
    else:
        moment = np.eye(stops[-1])
        for v in range(len(whitened)):
            for w in range(v + 1 if ridge_agrees else v, len(whitened)):
                moment[spans[v], spans[w]] = block(v, w)
                moment[spans[w], spans[v]] = moment[spans[v], spans[w]].T
        found = solve_moment(moment, stops[-1], n_components, random_state, MOVE, ROUNDS)
    pairs = zip(whitened, spans, strict=True)
    return [one.inverse.unwhiten(found.directions[rows]) for one, rows in pairs], found.eigenvalues


@dataclass(frozen=True)
class ThinSVD:
    """Thin singular value decomposition of one centred view in units of `feature_scales`.

    Attributes
    ----------
    samples : ndarray of shape (n_samples, rank)
        Orthonormal columns.
    values : ndarray of shape (rank,)
        Standard deviations along the directions, decreasing.
    directions : ndarray of shape (n_features, rank)
        Orthonormal columns.
    """

    samples: np.ndarray
    values: np.ndarray
    directions: np.ndarray

    def whitened(self, ridge):
        """Find maps that whiten the view in the metric of its constraint."""
        spectrum = SpectralInverse(self.directions, self.values**2 + ridge)
        return Whitened(spectrum, len(self.values), float(self.values[-1] / self.values[0]) ** 2)

    def scores(self, U):
        """Scores of the samples for directions U, over the root of their number."""
        return self.samples @ (self.values[:, None] * (self.directions.T @ U))

    def regressions(self, scores):
        """Covariances of the features with such scores, of any view."""
        return self.directions @ (self.values[:, None] * (self.samples.T @ scores))

    def shrunk(self, ridge):
        """Give samples of the whitened view: ``samples`` times what the ridge leaves of each."""
        return self.samples * (self.values / np.sqrt(self.values**2 + ridge))


def thin_svd(X, mean, scale):
    """Thin SVD of a view that squares nothing, in float64.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        The view.
    mean, scale : ndarray of shape (n_features,)
        Taken away from its rows, then multiplied with them.

    Returns
    -------
    decomposition : ThinSVD
    """
    centred = np.empty(X.shape)
    for rows in blocks(*X.shape):
        np.multiply(X[rows] - mean, scale, out=centred[rows])
    centred -= centred.mean(axis=0)
    u, s, vt = svd(centred, full_matrices=False, check_finite=False, overwrite_a=True)
    eps = max(max(X.shape) * np.finfo(np.float64).eps, np.finfo(X.dtype).eps * np.sqrt(X.shape[1]))
    kept = s > s[0] * eps
    return ThinSVD(u[:, kept], s[kept] / np.sqrt(len(X)), vt[kept].T)
