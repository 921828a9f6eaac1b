"""White shared signals that are sums over views, and what their estimators have in common."""

import numpy as np

from mvica.base import MultiViewTransformer
from mvica.kernels.blocks import project
from mvica.reduction.pca import pattern_map, projection_map


def summed_signals(views, means, maps):
    """Signals (n, p): sum over views of ``maps[v] @ (X_v - means[v]).T``, centred in float64."""
    total = np.zeros((len(maps[0]), len(views[0])), dtype=np.result_type(*views))
    part = np.empty_like(total)
    for X, mean, rows in zip(views, means, maps, strict=True):
        total += project(X, mean, rows, out=part)
    return total.T.copy()


def skew_signs(S):
    """Signs (p,) that make the third moments of centred signals (n, p) positive."""
    third = np.einsum("na,na,na->a", S, S, S, dtype=np.float64)
    return np.where(third < 0, -1.0, 1.0)


def feature_maps(views, pcas, weights, regressions):
    """Build maps from features to signals, and patterns, from rows in whitened coordinates.

    The signals are the sum over views of ``weights[v] @ whitened_v``, and ``regressions[v]`` their
    covariance with the whitened view. Only views with more features than samples are read.
    """
    maps = [projection_map(*args) for args in zip(pcas, views, weights, strict=True)]
    patterns = [pattern_map(*args) for args in zip(pcas, views, regressions, strict=True)]
    return maps, patterns


class SharedComponents(MultiViewTransformer):
    """White shared signals that are sums of linear functions of the views."""

    def _set_shared(self, pcas, maps, patterns):
        """Set attributes from the maps whose sum over views is the shared sources."""
        self.mean_ = [pca.mean for pca in pcas]
        self.rank_ = np.array([pca.rank for pca in pcas])
        self.components_ = [len(pcas) * rows for rows in maps]
        self.mixing_ = patterns
        totals = np.array([pca.total_variance for pca in pcas])
        explained = np.array([np.sum(pattern**2, axis=0) for pattern in patterns])
        self.explained_variance_ratio_ = explained / totals[:, None]

    def _mix(self, Y_v, v):
        # The patterns belong to the shared sources; a view's own sources are another basis.
        if self.output != "shared":
            gains = self.components_[v] @ self.mixing_[v]
            Y_v = np.linalg.solve(gains, Y_v.T.astype(np.float64)).T.astype(Y_v.dtype)
        return super()._mix(Y_v, v)
