"""Joint covariance of views that grows by batches, and the numbers that a ridge is chosen from."""

from dataclasses import dataclass, replace

import numpy as np

from mvica.kernels.blocks import BLOCK_ELEMENTS
from mvica.reduction.shrinkage import STRONGEST, ledoit_wolf

LONGEST_BLOCK = 4096  # rows whose products are summed at a time


@dataclass(frozen=True)
class JointCovariance:
    """Mean and scatter of views side by side, in float64.

    Attributes
    ----------
    sizes : tuple of int
        Features of each view.
    n_samples : int
    mean : ndarray of shape (n_features,)
    scatter : ndarray of shape (n_features, n_features)
        Sum of the products of the centred features.
    single : bool
        Whether some of the data were float32.
    """

    sizes: tuple
    n_samples: int
    mean: np.ndarray
    scatter: np.ndarray
    single: bool

    @property
    def dtype(self):
        """Least exact dtype of the data."""
        return np.dtype(np.float32 if self.single else np.float64)

    def columns(self, v):
        """Columns of view v among those of all views."""
        start = sum(self.sizes[:v])
        return slice(start, start + self.sizes[v])

    def means(self):
        """Mean of each view."""
        return [self.mean[self.columns(v)] for v in range(len(self.sizes))]

    def covariance(self, v, w):
        """Covariance (d_v, d_w) of two views."""
        return self.scatter[self.columns(v), self.columns(w)] / self.n_samples

    def variances(self):
        """Variances of the features of each view."""
        diagonal = np.diag(self.scatter) / self.n_samples
        return [diagonal[self.columns(v)] for v in range(len(self.sizes))]

    def added(self, pieces):
        """Return the covariance with more rows.

        Parameters
        ----------
        pieces : iterable of list of ndarray of shape (n_rows, n_features_v)
            Rows of all views, some at a time.

        Returns
        -------
        covariance : JointCovariance
        """
        n, single = 0, self.single
        shift, total = None, np.zeros_like(self.mean)
        scatter = np.zeros_like(self.scatter)
        for views in pieces:
            single = single or any(X.dtype == np.float32 for X in views)
            for start in range(0, len(views[0]), _block_rows(len(total))):
                rows = slice(start, start + _block_rows(len(total)))
                table = np.concatenate([X[rows] for X in views], axis=1, dtype=np.float64)
                if shift is None:
                    shift = table.mean(axis=0)
                table -= shift
                total += table.sum(axis=0)
                scatter += table.T @ table
                n += len(table)
        if n == 0:
            return self
        moved = total / n
        scatter -= np.outer(total, moved)
        return self._merged(n, shift + moved, scatter, single)

    def _merged(self, n, mean, scatter, single):
        """Chan's update: both scatters about the common mean."""
        both = self.n_samples + n
        gap = mean - self.mean
        scatter += self.scatter
        if self.n_samples:
            scatter += np.outer(gap, gap * (self.n_samples * n / both))
        return replace(
            self,
            n_samples=both,
            mean=self.mean + gap * (n / both),
            scatter=scatter,
            single=bool(single),
        )


def no_covariance(sizes):
    """Covariance of no samples, to which rows are added.

    Parameters
    ----------
    sizes : sequence of int
        Features of each view.

    Returns
    -------
    covariance : JointCovariance

    Examples
    --------
    >>> import numpy as np
    >>> found = no_covariance((1, 1)).added([[np.array([[1.0], [3.0]]), np.array([[2.0], [0.0]])]])
    >>> found.covariance(0, 1)
    array([[-1.]])
    """
    d = sum(sizes)
    return JointCovariance(tuple(sizes), 0, np.zeros(d), np.zeros((d, d)), False)


def _block_rows(width):
    return int(min(max(BLOCK_ELEMENTS // width, width, 64), LONGEST_BLOCK))


def shrinkage_ridge(method, eigenvalues, n_features, n_samples, fourth=None):
    """Ridge, in units of the mean variance, that stands for a shrinkage towards the identity.

    ``(1 - s) C + s mu I`` is ``C + s / (1 - s) mu I`` but for a factor, which CCA does not see.

    Parameters
    ----------
    method : {"ledoit_wolf", "oas"}
        How the intensity s is estimated.
    eigenvalues : ndarray of shape (rank,)
        Of the covariance, those that are not zero.
    n_features, n_samples : int
        Shape of the view.
    fourth : float, default=None
        Sum over samples of the fourth power of the norm of the centred view, for "ledoit_wolf".

    Returns
    -------
    ridge : float

    References
    ----------
    Chen, Wiesel, Eldar, Hero, Shrinkage algorithms for MMSE covariance estimation, IEEE
    Transactions on Signal Processing 2010.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.covariance import oas
    >>> X = np.random.default_rng(0).standard_normal((50, 3)) * [1, 2, 3]
    >>> X -= X.mean(axis=0)
    >>> s = oas(X, assume_centered=True)[1]
    >>> ridge = shrinkage_ridge("oas", np.linalg.eigvalsh(X.T @ X / 50), 3, 50)
    >>> bool(np.isclose(ridge, s / (1 - s)))
    True
    """
    if method == "ledoit_wolf":
        intensity = ledoit_wolf(eigenvalues, n_features, n_samples, fourth)
    else:
        intensity = _oas(eigenvalues, n_features, n_samples)
    intensity = min(intensity, STRONGEST)
    return intensity / (1 - intensity)


def _oas(eigenvalues, d, n):
    """Oracle approximating shrinkage, with the constants that scikit-learn uses."""
    power, square = np.sum(eigenvalues**2) / d**2, (np.sum(eigenvalues) / d) ** 2
    bottom = (n + 1) * (power - square / d)
    return float(min((power + square) / bottom, 1.0)) if bottom > 0 else 1.0


def scaled_fourth_powers(rows, means, scales):
    """Sum over samples of the fourth power of the norm of each centred and scaled view."""
    totals = np.zeros(len(means))
    for chunk in rows.chunks():
        for v, X in enumerate(chunk):
            squares = np.sum(((X - means[v]) * scales[v]) ** 2, axis=1)
            totals[v] += squares @ squares
    return totals
