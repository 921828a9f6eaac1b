"""The record that every dimension reduction returns."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Reduction:
    """Per-view maps from features to whitened reduced signals.

    The reduced signals ``Z_v = (X_v - means[v]) @ projections[v].T`` of the training data have
    zero mean and identity covariance.

    Attributes
    ----------
    means : list of ndarray of shape (n_features_v,)
        Mean of each view.
    projections : list of ndarray of shape (n_components, n_features_v)
        Maps from centred features to reduced signals.
    patterns : list of ndarray of shape (n_features_v, n_components)
        Covariance of the features with the reduced signals. It is the right inverse of the
        projection that reconstructs the view with the least error.
    ranks : ndarray of shape (n_views,), int
        Numerical rank of each view.
    variances : ndarray of shape (n_views,)
        Total variance (trace of the covariance) of each view.
    """

    means: list
    projections: list
    patterns: list
    ranks: np.ndarray
    variances: np.ndarray
