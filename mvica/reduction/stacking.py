"""Views side by side: stacked signals and their second moment, by blocks of samples."""

import numpy as np

from mvica.kernels.blocks import blocks, project
from mvica.kernels.moments import second_moment
from mvica.reduction.pca import whitened_samples

GRAM_ROWS = 40  # forming M costs N^2 n, ten products without it 40 N n q: form up to N = 40 q
PRODUCT_BLOCK = 256  # samples: two thin products per block run twice as fast as two over all


def stack_reduced(views, reduction):
    """Reduced signals of all views in one array.

    Parameters
    ----------
    views : sequence of ndarray of shape (n_samples, n_features_v)
        The views that were reduced, or others of the same widths.
    reduction : Reduction
        What `reduce_views` returned.

    Returns
    -------
    Z : ndarray of shape (n_views * n_components, n_samples), C-contiguous
        Rows ``v * p .. (v + 1) * p - 1`` hold view v, in the dtype of the views.

    Notes
    -----
    Each block of samples is centred in float64 before its product, so that float32 data with a
    large offset lose no digits and no view is copied whole.
    """
    p = reduction.projections[0].shape[0]
    Z = np.empty((len(views) * p, len(views[0])), dtype=np.result_type(*views))
    maps = zip(views, reduction.means, reduction.projections, strict=True)
    for v, (X, mean, projection) in enumerate(maps):
        project(X, mean, projection, out=Z[v * p : (v + 1) * p])
    return Z


def stacked_moment(views, pcas):
    """Second moment (N, N) of the whitened coordinates of all views, in float64."""
    n, size = len(views[0]), sum(pca.n_directions for pca in pcas)
    moment = np.zeros((size, size))
    for rows in blocks(n, size, shortest=size):
        chunk = np.empty((size, rows.stop - rows.start))
        fill_coordinates(views, pcas, rows, out=chunk)
        moment += chunk @ chunk.T
    return moment / n


def stack_coordinates(views, pcas):
    """Whitened coordinates (N, n_samples) of all views, in the dtype of the views."""
    size = sum(pca.n_directions for pca in pcas)
    Z = np.empty((size, len(views[0])), dtype=np.result_type(*views))
    for rows in blocks(len(views[0]), max(X.shape[1] for X in views)):
        fill_coordinates(views, pcas, rows, out=Z[:, rows])
    return Z


def fill_coordinates(views, pcas, rows, *, out):
    """Write the whitened coordinates of ``X[rows]``, views one under the other, into `out`."""
    start = 0
    for X, pca in zip(views, pcas, strict=True):
        stop = start + pca.n_directions
        out[start:stop] = whitened_samples(pca, X, rows)
        start = stop


def by_view(stacked, pcas):
    """Cut stacked rows (N, p) into one block (k_v, p) a view."""
    return np.split(stacked, np.cumsum([pca.n_directions for pca in pcas])[:-1])


def coordinates_moment(views, pcas, n_vectors):
    """Second moment M (N, N) of the whitened coordinates, or its product ``Q -> M Q``.

    M is formed once in one pass over the views when that is cheaper for blocks of `n_vectors`
    vectors; otherwise the coordinates are stored and M, N by N, never is.
    """
    size = sum(pca.n_directions for pca in pcas)
    if _worth_forming(size, len(views[0]), n_vectors):
        return stacked_moment(views, pcas)
    return _two_products(stack_coordinates(views, pcas))


def signals_moment(Z, n_vectors):
    """Second moment of stored signals Z (N, n), or its product ``Q -> Z Z^T Q / n`` if cheaper."""
    if _worth_forming(*Z.shape, n_vectors):
        return second_moment(Z)
    return _two_products(Z)


def times(moment, Q):
    """Product of a moment, formed or not, with vectors Q (N, q)."""
    return moment(Q) if callable(moment) else moment @ Q


def scaled_moment(moment, scales):
    """Moment of the signals multiplied by `scales` (N, 1), formed if the given one is."""
    if callable(moment):
        return lambda Q: scales * moment(scales * Q)
    return scales * moment * scales.T


def shrunk_moment(moment, gains):
    """Moment of coordinates that shrunk covariances whiten, gains (N, 1); its blocks have ones.

    The covariance of a view with itself is the shrunk one wherever it appears.
    """
    if np.all(gains == 1):
        return moment
    if callable(moment):
        return lambda Q: gains * moment(gains * Q) + (1 - gains**2) * Q
    return scaled_moment(moment, gains) + np.diag(1 - gains[:, 0] ** 2)


def _worth_forming(size, n, n_vectors):
    return size <= n and size <= GRAM_ROWS * n_vectors


def _two_products(Z):
    """Build ``Q -> Z (Z^T Q) / n``, in float64 over blocks of samples that stay in cache."""
    size, n = Z.shape

    def apply(Q):
        rows = np.ascontiguousarray(Q.T)
        total = np.zeros((Q.shape[1], size))
        for start in range(0, n, PRODUCT_BLOCK):
            chunk = Z[:, start : start + PRODUCT_BLOCK].astype(np.float64, copy=False)
            total += (rows @ chunk) @ chunk.T
        return total.T / n

    return apply
