"""Simulated sets of matrices with known answers, which tests and benchmarks solve."""

from dataclasses import dataclass

import numpy as np
from sklearn.utils import check_random_state


@dataclass(frozen=True)
class MatrixSet:
    """A set of matrices to diagonalise, with the truth where there is one.

    Attributes
    ----------
    matrices : ndarray of shape (n_matrices, n_features, n_features)
        Symmetric matrices.
    mixing : ndarray of shape (n_features, n_features) or None
        The matrix `A` of the model ``C_k = A diag(d_k) A^T``; None where no truth is known.
    powers : ndarray of shape (n_matrices, n_features) or None
        The diagonals `d_k`.
    """

    matrices: np.ndarray
    mixing: np.ndarray | None
    powers: np.ndarray | None


def make_matrix_set(n_matrices, n_features, *, noise=0.0, spread=None, random_state=None):
    """Draw matrices that one invertible matrix diagonalises, exactly or up to noise.

    The model is ``C_k = A diag(d_k) A^T + noise^2 R_k R_k^T``, with Gaussian `A` and `R_k`.

    Parameters
    ----------
    n_matrices : int
        Number K of matrices.
    n_features : int
        Their size p.
    noise : float, default=0.0
        Size of the noise; 0 gives a set that is exactly jointly diagonalisable.
    spread : float, default=None
        Relative spread of the powers: ``d_k = 1 + spread * uniform(-1, 1)``. Small values are hard,
        because all matrices are then nearly the same. None draws them uniformly in (0, 1).
    random_state : int, RandomState instance or None, default=None
        Seed of the draw.

    Returns
    -------
    MatrixSet

    Examples
    --------
    >>> from mvica.joint_diagonalization import make_matrix_set
    >>> problem = make_matrix_set(5, 3, random_state=0)
    >>> problem.matrices.shape, problem.mixing.shape, problem.powers.shape
    ((5, 3, 3), (3, 3), (5, 3))
    """
    rng = check_random_state(random_state)
    powers = rng.uniform(size=(n_matrices, n_features))
    if spread is not None:
        powers = 1.0 + spread * (2.0 * powers - 1.0)
    mixing = rng.standard_normal((n_features, n_features))
    matrices = (mixing * powers[:, None, :]) @ mixing.T
    if noise:
        for C in matrices:
            R = rng.standard_normal((n_features, n_features))
            C += noise**2 * (R @ R.T)
    return MatrixSet(_symmetrised(matrices), mixing, powers)


def make_sample_covariances(n_matrices, n_features, *, n_samples=1000, random_state=None):
    """Draw sample covariances of Gaussian sources whose powers differ between few views.

    Parameters
    ----------
    n_matrices, n_features : int
        Number of views and of features.
    n_samples : int, default=1000
        Samples behind each covariance: they set the departure from an exact set.
    random_state : int, RandomState instance or None, default=None
        Seed of the draw.

    Returns
    -------
    MatrixSet
        The mixing is orthogonal.
    """
    rng = check_random_state(random_state)
    Q = np.linalg.qr(rng.standard_normal((n_features, n_features)))[0]
    powers = rng.uniform(0.1, 1.0, (n_matrices, n_features))
    matrices = np.empty((n_matrices, n_features, n_features))
    for C, d in zip(matrices, powers, strict=True):
        Y = (rng.standard_normal((n_samples, n_features)) * np.sqrt(d)) @ Q.T
        C[:] = Y.T @ Y / n_samples
    return MatrixSet(_symmetrised(matrices), Q, powers)


def make_meg_windows(*, n_windows=100, n_components=40, random_state=None):
    """Draw window covariances of a simulated recording, reduced and whitened as MEG is.

    Sixty autocorrelated sources with drifting powers, seen by 100 noisy sensors; the model holds
    only approximately.

    Parameters
    ----------
    n_windows : int, default=100
        Windows of 300 samples.
    n_components : int, default=40
        Principal components kept.
    random_state : int, RandomState instance or None, default=None
        Seed of the draw.

    Returns
    -------
    MatrixSet
        Without a truth.
    """
    rng = check_random_state(random_state)
    n, q, n_sensors = 300 * n_windows, 60, 100
    phi = rng.uniform(0.5, 0.98, q)
    S = rng.standard_normal((n, q))
    for t in range(1, n):
        S[t] += phi * S[t - 1]
    S *= np.sqrt(1.0 - phi**2)
    nodes = 0.7 * rng.standard_normal((n_windows + 1, q))
    position = np.linspace(0, n_windows, n)
    for j in range(q):
        S[:, j] *= np.exp(np.interp(position, np.arange(n_windows + 1), nodes[:, j]))
    M = rng.standard_normal((n_sensors, q)) * 10 ** (-2 * rng.uniform(size=q))
    X = S @ M.T + 0.05 * rng.standard_normal((n, n_sensors))
    X -= X.mean(axis=0)
    values, vectors = np.linalg.eigh(X.T @ X / n)
    Z = X @ (vectors[:, -n_components:] / np.sqrt(values[-n_components:]))
    windows = Z.reshape(n_windows, -1, n_components)
    matrices = windows.transpose(0, 2, 1) @ windows / windows.shape[1]
    return MatrixSet(_symmetrised(matrices), None, None)


def make_lagged_set(*, n_samples=20000, n_features=20, n_lags=40, random_state=None):
    """Draw lagged covariances of whitened mixtures of resonant (AR(2)) sources.

    Parameters
    ----------
    n_samples, n_features, n_lags : int
        Sizes; the lags are 1 to `n_lags`.
    random_state : int, RandomState instance or None, default=None
        Seed of the draw.

    Returns
    -------
    MatrixSet
        Indefinite matrices; `mixing` is the mixing after whitening.
    """
    rng = check_random_state(random_state)
    r = rng.uniform(0.8, 0.98, n_features)
    frequency = np.pi * rng.uniform(0.05, 0.9, n_features)
    S = rng.standard_normal((n_samples + 200, n_features))
    for t in range(len(S)):
        if t >= 1:
            S[t] += 2 * r * np.cos(frequency) * S[t - 1]
        if t >= 2:
            S[t] -= r**2 * S[t - 2]
    S = S[200:] / S[200:].std(axis=0)
    A = rng.standard_normal((n_features, n_features))
    X = S @ A.T
    X -= X.mean(axis=0)
    values, vectors = np.linalg.eigh(X.T @ X / n_samples)
    whitener = (vectors / np.sqrt(values)).T
    Z = X @ whitener.T
    matrices = np.stack([Z[:-lag].T @ Z[lag:] / (n_samples - lag) for lag in range(1, n_lags + 1)])
    return MatrixSet(_symmetrised(matrices), whitener @ A, None)


def _symmetrised(C):
    return 0.5 * (C + C.transpose(0, 2, 1))
