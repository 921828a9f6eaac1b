"""Shared ICA from second-order statistics: multiset CCA, joint diagonalisation, one-factor fits."""

import numpy as np

from mvica.ica.noisy_objective import LARGEST_NOISE, LOWEST_NOISE
from mvica.ica.stacked import by_view
from mvica.joint_diagonalization.preparation import prepare_invertible
from mvica.optim.result import Result
from mvica.reduction.mcca import multiset_cca

FACTOR_ROUNDS = 30
POWER_ROUNDS = 10
LOWEST_LOADING = 0.03  # of a unit-variance view source on the shared one: nu stays below 1000
LOWEST_SHARE = 1e-3  # of noise in the variance of a view source
SINGULAR = 1e-10  # eigenvalue of a view's canonical variates, relative to its largest


def canonical_variates(views, random_state, *, tol=1e-8):
    """Multiset CCA of whitened views: maps (m, p, p) to canonical variates, and eigenvalues."""
    p = views.n_components
    found = multiset_cca(views.Z, p, random_state=random_state, tol=tol, moment=views.moment)
    return by_view(found.directions, views.n_views).mT, found.eigenvalues


def separate_by_noise(views, variates, *, tol=1e-6, max_iter=1000):
    """Undo the rotation that sampling leaves in multiset CCA, by joint diagonalisation.

    The canonical variates of all views differ from the sources by one common matrix. It is the one
    that makes the covariances of all views diagonal, and unique where noise levels differ enough.

    Parameters
    ----------
    views : StackedViews
        Whitened views.
    variates : ndarray of shape (m, p, p)
        Maps to the canonical variates.
    tol, max_iter
        Of the joint diagonalisation.

    Returns
    -------
    W : ndarray of shape (m, p, p)
        Unmixings, of any scale and sign.
    result : mvica.optim.result.Result
        Record of the joint diagonalisation.
    """
    from mvica.joint_diagonalization.quasi_newton import LIKELIHOOD, minimise

    m, p, _ = variates.shape
    if m < 3 or p == 1:  # the covariances of canonical pairs are equal: nothing is left to do
        done = Result(np.eye(p), 0.0, 0.0, 0, True, np.zeros(1), "converged")
        return variates, done
    weights = np.full(m, 1 / m)
    K = _regular(variates @ views.covariances @ variates.mT)
    prepared = prepare_invertible(K, weights, None, "rotation", positive=True)
    result, _ = minimise(
        prepared.matrices, weights, prepared.start, LIKELIHOOD, tol=tol, max_iter=max_iter
    )
    Q = result.x @ prepared.coordinates.forward
    return Q @ variates, result


def _regular(K):
    """Lift the smallest eigenvalues of views in which a shared direction is missing."""
    K = (K + K.mT) / 2
    values = np.linalg.eigvalsh(K)
    lift = np.maximum(SINGULAR * values[:, -1] - values[:, 0], 0.0)
    return K + lift[:, None, None] * np.eye(K.shape[1])


def source_covariances(views, W):
    """Covariances between the views of each component's sources, (p, m, m)."""
    m, p, _ = W.shape
    if views.moment is None:
        Y = W @ views.Z.reshape(m, p, -1)
        Y = np.ascontiguousarray(Y.transpose(1, 0, 2), dtype=np.float64)
        return Y @ Y.mT / views.n_samples
    half = (W @ views.moment.reshape(m, p, m * p)).reshape(m, p, m, p)
    return np.einsum("vawd,wad->avw", half, W)


def one_factor(Gamma):
    """Scales and noises of every component, from the covariances of its view sources.

    Model of one component: ``Gamma = b b^T + diag(psi)``, fitted by a fixed number of EM rounds on
    the correlations: enough to start a solver.

    Parameters
    ----------
    Gamma : ndarray of shape (p, m, m)
        Covariances of three or more views.

    Returns
    -------
    scales : ndarray of shape (m, p)
        Factors that make the shared source's variance 1; negative where a view has the opposite
        sign.
    nu : ndarray of shape (m, p)
        Noise variances at that scale.
    """
    deviation = np.sqrt(np.einsum("avv->av", Gamma))
    R = Gamma / deviation[:, :, None] / deviation[:, None]
    b = _leading_loadings(R)
    psi = np.clip(1 - b**2, 0.05, 1)
    for _ in range(FACTOR_ROUNDS):
        beta = b / psi
        V = 1 / (1 + np.sum(b * beta, axis=1, keepdims=True))
        t = V * (R @ beta[:, :, None])[:, :, 0]
        u = V * np.sum(beta * t, axis=1, keepdims=True) + V
        b = t / u
        psi = np.maximum(1 - b * t, LOWEST_SHARE)
    b = np.where(b < 0, -1.0, 1.0) * np.maximum(np.abs(b), LOWEST_LOADING)
    return (1 / (b * deviation)).T, np.clip(psi / b**2, LOWEST_NOISE, LARGEST_NOISE).T


def _leading_loadings(R):
    """Leading eigenvectors of correlation matrices (p, m, m), times the roots of the values."""
    column = np.argmax(np.sum(R**2, axis=1), axis=1)
    b = np.take_along_axis(R, column[:, None, None], axis=2)
    for _ in range(POWER_ROUNDS):
        b = R @ b
        b /= np.linalg.norm(b, axis=1, keepdims=True)
    values = b.mT @ R @ b
    b = (b * np.sqrt(values))[:, :, 0]
    return np.where(b.sum(axis=1, keepdims=True) < 0, -b, b)


def equal_noise_pair(Gamma):
    """Do the same for two views, whose noises are taken to be equal: closed form.

    Two views identify only the product of their signal-to-noise ratios.
    """
    variance = np.einsum("avv->av", Gamma)
    root = np.sqrt(variance.prod(axis=1))
    correlation = Gamma[:, 0, 1] / root
    agreement = np.clip(np.abs(correlation), 1 / (1 + LARGEST_NOISE), 1 / (1 + LOWEST_NOISE))
    nu = 1 / agreement - 1
    scales = np.sqrt((1 + nu[:, None]) / variance)
    scales[:, 1] *= np.where(correlation < 0, -1.0, 1.0)
    return scales.T, np.tile(nu, (2, 1))


def scales_and_noises(views, W):
    """Bring unmixings to unit shared sources and find their noise variances, from covariances.

    Parameters
    ----------
    views : StackedViews
        Two views or more.
    W : ndarray of shape (m, p, p)
        Unmixings with matched components, of any scale and sign.

    Returns
    -------
    W : ndarray of shape (m, p, p)
    nu : ndarray of shape (m, p)
    """
    fit = one_factor if len(W) > 2 else equal_noise_pair
    scales, nu = fit(source_covariances(views, W))
    return scales[:, :, None] * W, nu
