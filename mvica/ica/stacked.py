"""Reduced views stacked in one array, and the products over samples that every ICA solver needs."""

from functools import cached_property

import numpy as np

from mvica.kernels.moments import second_moment

BLOCK = 4096  # samples per float32 product: the sums over blocks are float64


class StackedViews:
    """Centred, reduced views, one above the other.

    Parameters
    ----------
    Z : ndarray of shape (m * p, n_samples)
        Rows ``v * p`` to ``(v + 1) * p - 1`` are view v; float32 or float64, C-contiguous.
    n_views : int
        Number of views m.
    """

    def __init__(self, Z, n_views):
        self.Z, self.n_views = Z, n_views
        self.n_components, self.n_samples = len(Z) // n_views, Z.shape[1]

    @cached_property
    def moment(self):
        """``Z Z^T / n`` where it costs less than the products it saves, else None."""
        worth_it = self.n_views > 1 and self.n_samples > len(self.Z)
        return second_moment(self.Z) if worth_it else None

    @cached_property
    def covariances(self):
        """Covariance of each view, (m, p, p) float64."""
        m, p = self.n_views, self.n_components
        if self.moment is not None:
            return np.stack(
                [self.moment[v * p : (v + 1) * p, v * p : (v + 1) * p] for v in range(m)]
            )
        return np.stack([second_moment(self.Z[v * p : (v + 1) * p]) for v in range(m)])

    def powers(self, W):
        """``E[y_vb^2]`` of the view sources of unmixings `W` (m, p, p), of shape (m, p)."""
        return (W @ self.covariances * W).sum(axis=2)

    def mix(self, B, out=None):
        """``B Z``: signals (k, n) from coefficients (k, m p), in the precision of the data."""
        return np.matmul(np.asarray(B, dtype=self.Z.dtype), self.Z, out=out)

    def correlate(self, S):
        """``Z S^T / n`` in float64, (m p, k), for signals `S` (k, n)."""
        if self.Z.dtype == np.float64:
            return self.Z @ S.T / self.n_samples
        total = np.zeros((len(self.Z), len(S)))
        for start in range(0, self.n_samples, BLOCK):
            stretch = slice(start, start + BLOCK)
            total += self.Z[:, stretch] @ S[:, stretch].T
        return total / self.n_samples

    def correlate_mixture(self, B):
        """``Z (B Z)^T / n`` in float64, (m p, k): from the stored moments where there are any."""
        return self.moment @ B.T if self.moment is not None else self.correlate(self.mix(B))


def side_by_side(W):
    """``[W_1 ... W_m]`` of shape (k, m p) from (m, k, p)."""
    m, k, p = W.shape
    return W.transpose(1, 0, 2).reshape(k, m * p)


def by_view(M, n_views):
    """(m, p, k) from (m p, k)."""
    return M.reshape(n_views, -1, M.shape[1])
