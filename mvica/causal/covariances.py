"""Cross-covariances of the views: the one pass over the samples, and all that is kept of them."""

import warnings
from dataclasses import dataclass

import numpy as np

BLOCK = 8192  # samples held in float64 at a time
RANK = 1e-10  # eigenvalue of a view's correlation matrix below which its columns are redundant
RIDGE = 1e-6  # put on its diagonal then


@dataclass(frozen=True)
class CrossCovariances:
    """Second moments of all pairs of views, in units of each variable's standard deviation.

    Attributes
    ----------
    blocks : ndarray of shape (p, p, m, m)
        ``blocks[i, j, v, w] = corr(x_vi, x_wj)``.
    means, scales : ndarray of shape (m, p)
        Means and standard deviations of the variables.
    n_samples : int
    ranks : ndarray of int, shape (m,)
        Numerical rank of each view.
    """

    blocks: np.ndarray
    means: np.ndarray
    scales: np.ndarray
    n_samples: int
    ranks: np.ndarray

    @property
    def n_variables(self):
        """Number of variables p."""
        return self.blocks.shape[0]

    @property
    def n_views(self):
        """Number of views m."""
        return self.blocks.shape[2]

    def in_units(self, strengths):
        """Turn strengths (m, p, p) between standardised variables into those of the data."""
        return strengths * self.scales[:, :, None] / self.scales[:, None, :]

    def standardised(self, strengths):
        """Turn strengths (m, p, p) of the data into those between standardised variables."""
        return strengths * self.scales[:, None, :] / self.scales[:, :, None]


def cross_covariances(views):
    """Compute the cross-covariances of the views.

    Parameters
    ----------
    views : list of ndarray of shape (n_samples, p)
        The same variables in the same order in every view.

    Returns
    -------
    covariances : CrossCovariances

    Raises
    ------
    ValueError
        If the views differ in width or a column is constant.

    Warns
    -----
    UserWarning
        If the columns of a view are linearly dependent; its correlation matrix then gets a ridge
        of 1e-6.

    Examples
    --------
    >>> import numpy as np
    >>> from mvica.causal.covariances import cross_covariances
    >>> x = np.array([1.0, -1.0, 1.0, -1.0])
    >>> y = np.array([1.0, 1.0, -1.0, -1.0])
    >>> C = cross_covariances([np.stack([x, y], axis=1), np.stack([-x, 3 * y], axis=1)])
    >>> C.blocks[0, 0]
    array([[ 1., -1.],
           [-1.,  1.]])
    """
    p = _common_width(views)
    m, n = len(views), len(views[0])
    means = np.stack([X.mean(axis=0, dtype=np.float64) for X in views])
    moment = np.zeros((m * p, m * p))
    for start in range(0, n, BLOCK):
        chunk = np.concatenate(
            [X[start : start + BLOCK] - mean for X, mean in zip(views, means, strict=True)], axis=1
        )
        moment += chunk.T @ chunk
    scales = np.sqrt(np.diag(moment) / n).reshape(m, p)
    _check_constant(views, means, scales)
    C = from_moment(moment / n, means, scales, n)
    _warn_if_redundant(C)
    return C


def from_moment(moment, means, scales, n_samples):
    """Standardise a covariance (m p, m p), ordered by view; redundant columns get a ridge."""
    m, p = scales.shape
    flat = scales.ravel()
    blocks = (moment / flat[:, None] / flat).reshape(m, p, m, p).transpose(1, 3, 0, 2).copy()
    ranks = np.full(m, p)
    for v in range(m):
        within = blocks[:, :, v, v]
        np.fill_diagonal(within, 1.0)
        values = np.linalg.eigvalsh(within)
        ranks[v] = np.sum(values > RANK)
        if ranks[v] < p:
            blocks[:, :, v, v] = (within + RIDGE * np.eye(p)) / (1 + RIDGE)
    return CrossCovariances(blocks, means, scales, n_samples, ranks)


def _warn_if_redundant(C):
    """Name the first view whose columns are linearly dependent, and count the others."""
    short = np.flatnonzero(C.ranks < C.n_variables)
    if len(short):
        v, others = short[0], len(short) - 1
        warnings.warn(
            f"view {v} of shape {(C.n_samples, C.n_variables)} has numerical rank {C.ranks[v]}"
            f"{f', and {others} more views fall short' if others else ''}: some variables are "
            "copies or sums of others, or there are too few samples. Directions among them are "
            "arbitrary.",
            UserWarning,
            stacklevel=3,
        )


def disturbance_blocks(blocks, strengths):
    """Cross-covariances ``(I - B_v) C[v, w] (I - B_w)^T`` of the disturbances.

    Parameters
    ----------
    blocks : ndarray of shape (p, p, m, m)
    strengths : ndarray of shape (m, p, p)
        Between standardised variables.

    Returns
    -------
    disturbances : ndarray of shape (p, p, m, m)
    """
    W = np.eye(strengths.shape[1]) - strengths
    half = np.einsum("via,abvw->ibvw", W, blocks, optimize=True)
    return np.einsum("ibvw,wjb->ijvw", half, W, optimize=True)


def _common_width(views):
    p = views[0].shape[1]
    for v, X in enumerate(views):
        if X.shape[1] != p:
            raise ValueError(
                f"view {v} has {X.shape[1]} variables, view 0 has {p}: causal discovery needs the "
                "same variables, in the same order, in every view."
            )
    return p


def _check_constant(views, means, scales):
    for v, X in enumerate(views):
        largest = np.abs(X).max(axis=0).astype(np.float64)
        flat = np.flatnonzero(scales[v] <= 10 * np.finfo(X.dtype).eps * largest)
        if len(flat):
            raise ValueError(
                f"view {v}: column {flat[0]} is constant (value {means[v, flat[0]]:g}), so it has "
                "neither causes nor effects. Leave the variable out of all views."
            )
