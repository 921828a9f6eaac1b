"""Passes over samples in blocks that stay in cache, centred in float64."""

BLOCK_ELEMENTS = 2**16  # float64 entries of a view handled at a time: half a MiB


def blocks(length, width, shortest=1):
    """Slices that cut `length` lines of `width` entries in blocks that stay in cache.

    A sum of products wants blocks no shorter than its order: adding it up costs as much memory
    traffic whatever the block.

    Parameters
    ----------
    length, width : int
        Number of lines and entries of each.
    shortest : int, default=1
        Least number of lines of a block.

    Returns
    -------
    slices : list of slice

    Examples
    --------
    >>> blocks(200, 1000)
    [slice(0, 65, None), slice(65, 130, None), slice(130, 195, None), slice(195, 200, None)]
    """
    step = max(BLOCK_ELEMENTS // max(width, 1), 64, shortest)
    return [slice(start, min(start + step, length)) for start in range(0, length, step)]


def project(X, mean, projection, *, out):
    """Write ``projection @ (X - mean).T`` into `out`, block by block.

    Each block is centred in float64, so that float32 data with a large offset lose no digits and
    no view is copied whole.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        One view.
    mean : ndarray of shape (n_features,)
        Taken away from every sample.
    projection : ndarray of shape (p, n_features)
        Linear map.
    out : ndarray of shape (p, n_samples)
        Receives the signals.

    Returns
    -------
    out : ndarray of shape (p, n_samples)

    Examples
    --------
    >>> import numpy as np
    >>> X, mean = np.array([[3.0, 1.0], [5.0, 1.0]]), np.array([4.0, 1.0])
    >>> project(X, mean, np.eye(2), out=np.empty((2, 2)))
    array([[-1.,  1.],
           [ 0.,  0.]])
    """
    for rows in blocks(*X.shape):
        out[:, rows] = projection @ (X[rows] - mean).T
    return out
