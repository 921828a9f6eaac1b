"""Second moments of views, accumulated in float64 over blocks of samples."""

import numpy as np

from mvica.kernels.blocks import blocks


def second_moment(Z):
    """Second moment ``Z Z^T / n`` of stacked signals, in float64.

    Parameters
    ----------
    Z : ndarray of shape (k, n_samples)
        Signals, one per row.

    Returns
    -------
    C : ndarray of shape (k, k), float64

    Examples
    --------
    >>> import numpy as np
    >>> second_moment(np.array([[1.0, -1.0], [1.0, 1.0]]))
    array([[1., 0.],
           [0., 1.]])
    """
    k, n = Z.shape
    if Z.dtype == np.float64:
        return Z @ Z.T / n
    C = np.zeros((k, k))
    for columns in blocks(n, k, shortest=k):
        chunk = Z[:, columns].astype(np.float64)
        C += chunk @ chunk.T
    return C / n


def mean_and_covariance(X):
    """Column means and covariance (divided by n) of one view, in float64.

    The data are centred before the products, block by block, so a large offset costs no digits.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        One view; float32, read-only and memory-mapped arrays are read in blocks.

    Returns
    -------
    mean : ndarray of shape (n_features,), float64
    covariance : ndarray of shape (n_features, n_features), float64

    Examples
    --------
    >>> import numpy as np
    >>> mean, covariance = mean_and_covariance(np.array([[1.0, 5.0], [3.0, 5.0]]))
    >>> mean, covariance
    (array([2., 5.]), array([[1., 0.],
           [0., 0.]]))
    """
    n, d = X.shape
    mean = np.mean(X, axis=0, dtype=np.float64)
    C = np.zeros((d, d))
    for rows in blocks(n, d, shortest=d):
        chunk = X[rows] - mean
        C += chunk.T @ chunk
    return mean, C / n
