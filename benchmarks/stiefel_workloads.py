"""Pairs of views for CCA: simulated with known correlations, heavy-tailed, and split images."""

import numpy as np
from sklearn.datasets import load_digits

N_SHARED = 20


def correlations():
    """Population canonical correlations of the simulated views."""
    return 0.9 * 0.85 ** np.arange(N_SHARED)


def ill_conditioned_mixing(n_features, condition, rng):
    """Mixing whose covariance has eigenvalues spread evenly in logarithm."""
    left, right = (np.linalg.qr(rng.standard_normal((n_features,) * 2))[0] for _ in range(2))
    return left * np.sqrt(np.geomspace(1, 1 / condition, n_features)) @ right.T


def latent_rows(n_rows, n_features, rng, dtype=np.float64):
    """Independent features of two views; the first ones are correlated between them."""
    z, e = (rng.standard_normal((n_rows, n_features), dtype=dtype) for _ in range(2))
    k = min(N_SHARED, n_features)
    rho = correlations()[:k].astype(dtype)
    e[:, :k] = rho * z[:, :k] + np.sqrt(1 - rho**2) * e[:, :k]
    return z, e


def simulated(n_samples, n_features, condition, seed=0, dtype=np.float64, degrees=None):
    """Two views of `n_features`; with `degrees`, rows are scaled to tails of Student's law."""
    rng = np.random.default_rng(seed)
    latent = latent_rows(n_samples, n_features, rng)
    if degrees:
        rows = np.sqrt(degrees / rng.chisquare(degrees, (n_samples, 1)))
        latent = [rows * part for part in latent]
    mixings = [ill_conditioned_mixing(n_features, condition, rng) for _ in range(2)]
    return [(part @ T).astype(dtype) for part, T in zip(latent, mixings, strict=True)]


def split_digits(ridge=1e-3):
    """Left and right halves of scikit-learn's digits, and a ridge in units of mean variances."""
    images = load_digits().images / 16
    views = [images[:, :, :4].reshape(-1, 32), images[:, :, 4:].reshape(-1, 32)]
    return views, [ridge / X.var(axis=0).mean() for X in views]
