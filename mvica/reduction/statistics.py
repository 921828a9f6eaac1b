"""Where multiset CCA gets its numbers from: the views themselves, or moments of them."""

import numpy as np

from mvica.reduction.pca import components_of_covariance, principal_components
from mvica.reduction.shrinkage import sum_of_fourth_powers
from mvica.reduction.stacking import coordinates_moment


class ViewStatistics:
    """Statistics of views at hand, which are read in blocks.

    Attributes
    ----------
    views : list of ndarray of shape (n_samples, n_features_v)
    shapes : list of tuple of int
        Numbers of samples and features of the views.
    """

    def __init__(self, views):
        self.views = views
        self.shapes = [X.shape for X in views]

    def principal_components(self):
        """Principal components of each view."""
        return [principal_components(X) for X in self.views]

    def fourth_powers(self, v, pca):
        """Sum over samples of the fourth power of the norm of a centred view."""
        return sum_of_fourth_powers(self.views[v], pca.mean)

    def coordinates_moment(self, pcas, n_vectors):
        """Second moment of the whitened coordinates, or its product with vectors."""
        return coordinates_moment(self.views, pcas, n_vectors)


class MomentStatistics:
    """The same from moments that were accumulated.

    Attributes
    ----------
    views : list of None
        There is no view to read.
    shapes : list of tuple of int
        Numbers of samples and features of the views.
    """

    def __init__(self, moments):
        self.moments = moments
        self.views = [None] * len(moments.sizes)
        self.shapes = [(moments.n_samples, d) for d in moments.sizes]

    def principal_components(self):
        """Principal components of each view."""
        moments = self.moments
        return [
            components_of_covariance(
                moments.mean[moments.columns(v)],
                moments.covariance(v),
                moments.n_samples,
                moments.dtype,
            )
            for v in range(len(moments.sizes))
        ]

    def fourth_powers(self, v, pca):
        """Sum over samples of the fourth power of the norm of a centred view."""
        return self.moments.fourths[v]

    def coordinates_moment(self, pcas, n_vectors):
        """Second moment of the whitened coordinates."""
        columns = [self.moments.columns(v) for v in range(len(pcas))]
        maps = [pca.directions / np.sqrt(pca.variances)[:, None] for pca in pcas]
        pairs = list(zip(maps, columns, strict=True))
        half = np.concatenate([R @ self.moments.scatter[rows] for R, rows in pairs])
        moment = np.concatenate([half[:, rows] @ R.T for R, rows in pairs], axis=1)
        return moment / self.moments.n_samples
