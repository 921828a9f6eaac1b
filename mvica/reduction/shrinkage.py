"""Shrinkage of the covariance of a view towards a multiple of the identity."""

import numpy as np

from mvica.kernels.blocks import blocks

SHRINK_BELOW = 10  # samples for each direction kept: "auto" shrinks the covariance of a view
STRONGEST = 0.99  # of the estimated intensities: every view keeps a say
SHRUNK_SAMPLES_PER_DIRECTION = 3  # enough for directions of a shrunk covariance


def ledoit_wolf(variances, n_features, n_samples, fourth):
    """Ledoit-Wolf intensity from the spectrum of a covariance and one fourth moment.

    The same number as `sklearn.covariance.ledoit_wolf_shrinkage`, which squares a copy of the
    data; this needs no copy, and works from merged moments.

    Parameters
    ----------
    variances : ndarray of shape (rank,)
        Eigenvalues of the covariance that are not zero.
    n_features, n_samples : int
        Shape of the view.
    fourth : float
        Sum over samples of the fourth power of the norm of the centred view.

    Returns
    -------
    intensity : float
        Weight of the identity, between 0 and 1.

    References
    ----------
    Ledoit, Wolf, A well-conditioned estimator for large-dimensional covariance matrices, Journal
    of Multivariate Analysis 2004.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.covariance import ledoit_wolf_shrinkage
    >>> X = np.random.default_rng(0).standard_normal((50, 3)) * [1, 2, 3]
    >>> X -= X.mean(axis=0)
    >>> variances = np.linalg.eigvalsh(X.T @ X / 50)
    >>> fourth = np.sum(np.sum(X**2, axis=1) ** 2)
    >>> bool(np.isclose(ledoit_wolf(variances, 3, 50, fourth), ledoit_wolf_shrinkage(X)))
    True
    """
    if n_features == 1:
        return 0.0
    power = np.sum(variances**2)
    distance = power - np.sum(variances) ** 2 / n_features
    error = (fourth / n_samples - power) / n_samples
    return float(np.clip(error / distance, 0, 1)) if distance > 0 else float(error > 0)


def sum_of_fourth_powers(X, mean):
    """Sum over samples of the fourth power of the norm of the centred view, read in blocks."""
    total = 0.0
    for rows in blocks(*X.shape):
        centred = X[rows] - mean
        total += np.sum(np.einsum("td,td->t", centred, centred) ** 2)
    return total


def shrinkage_gains(pca, intensity):
    """Compute what shrinkage leaves (k,) of the correlations of whitened coordinates with others.

    The covariances with other views shrink by ``1 - intensity`` as well, so that the covariance of
    all views stays positive; its diagonal blocks whiten.
    """
    kept = (1 - intensity) * pca.variances
    return np.sqrt(kept / (kept + intensity * pca.total_variance / len(pca.mean)))
