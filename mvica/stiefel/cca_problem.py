"""What the solvers of CCA are asked and what they answer, and the rules that they share."""

from dataclasses import dataclass

import numpy as np

from mvica.stiefel.cca_covariance import shrinkage_ridge
from mvica.stiefel.cca_direct import feature_scales


@dataclass(frozen=True)
class Settings:
    """What the solvers need to know.

    Attributes
    ----------
    n_components : int or None
    solver : str
    regularization : float, str or sequence of float
    scale : bool
    consensus : bool
        Maximise the variance of the sum of the views instead of the agreement between views.
    random_state : RandomState
    tol : float
    max_iter, n_epochs : int
    batch_size : int or None
    oversampling : int
    start : list of ndarray of shape (n_features_v, p) or None
        Directions to start from.
    callback : callable or None
    """

    n_components: int | None
    solver: str
    regularization: object
    scale: bool
    consensus: bool
    random_state: object
    tol: float = 1e-5
    max_iter: int = 100
    n_epochs: int = 5
    batch_size: int | None = None
    oversampling: int = 3
    start: list | None = None
    callback: object = None


@dataclass(frozen=True)
class Solution:
    """Canonical directions, in units of `feature_scales`.

    Attributes
    ----------
    means, scales : list of ndarray of shape (n_features_v,)
        Mean and factor of each feature.
    directions : list of ndarray of shape (n_features_v, p)
    images : list of ndarray of shape (n_features_v, p)
        Covariances of the features with the scores of their view.
    moments : ndarray of shape (m, m, p, p)
        Second moments of the scores of all views, without ridge.
    values : ndarray of shape (p,)
        What is maximised, of each component.
    patterns : list of ndarray of shape (n_features_v, p) or None
        Covariances of the features with the sums of the scores of all views, if they are cheap.
    ridges : ndarray of shape (m,)
    ranks : ndarray of shape (m,) of int
    solver : str
        The one taken.
    n_iter : int
    converged : bool
    """

    means: list
    scales: list
    directions: list
    images: list
    moments: np.ndarray
    values: np.ndarray
    patterns: list | None
    ridges: np.ndarray
    ranks: np.ndarray
    solver: str
    n_iter: int = 1
    converged: bool = True


def given_ridges(regularization, n_views):
    """Return the ridge of each view, or None where it is to be estimated."""
    if isinstance(regularization, str):
        return [None] * n_views
    ridges = np.asarray(regularization, dtype=np.float64)
    if ridges.ndim == 0:
        ridges = np.full(n_views, ridges)
    if ridges.shape != (n_views,) or not (np.isfinite(ridges) & (ridges >= 0)).all():
        raise ValueError(
            f"regularization must be a number >= 0, one for each of the {n_views} views, "
            f"'ledoit_wolf' or 'oas', got {regularization!r}."
        )
    return ridges.tolist()


def units(variances, means, n_samples, dtype, settings, ridges):
    """Scales of the features of each view: standardised where the ridge allows or asks it.

    One view alone is a PCA, which does see the units of features.
    """
    several = len(ridges) > 1
    alone = [settings.scale or (several and ridge == 0) for ridge in ridges]
    return [
        feature_scales(variance, mean, n_samples, dtype, standardize=each)
        for variance, mean, each in zip(variances, means, alone, strict=True)
    ]


def estimated_ridges(settings, shapes, spectra, fourths):
    """Ridges from the eigenvalues of the covariances."""
    return [
        shrinkage_ridge(settings.regularization, values, d, n, fourth)
        for (n, d), values, fourth in zip(shapes, spectra, fourths, strict=True)
    ]


def check_samples(n_samples, sizes, ranks, ridges):
    """Refuse views whose directions fill the space of the samples: all correlations are 1."""
    if len(sizes) == 1:
        return
    for v, (d, rank, ridge) in enumerate(zip(sizes, ranks, ridges, strict=True)):
        if ridge == 0 and rank >= n_samples - 1:
            raise ValueError(
                f"view {v} of shape ({n_samples}, {d}) has as many directions as samples: it "
                "correlates perfectly with anything. Give a regularization, for example "
                "regularization='ledoit_wolf', or more samples."
            )
