"""Views whose sources are warped in time, for what an ICA reports about them."""

from functools import cached_property

import numpy as np

from mvica.ica.delays_views import by_columns
from mvica.ica.stacked import StackedViews


class WarpedViews(StackedViews):
    """Stacked views, each of whose sources is read at its own warped times.

    Parameters
    ----------
    Z : ndarray of shape (m * p, n_samples)
        Centred, reduced views.
    delays, dilations : ndarray of shape (m, p)
        Timing.
    clock : mvica.ica.warps.Clock
        How warps act.
    """

    def __init__(self, Z, delays, dilations, clock):
        super().__init__(Z, len(delays))
        self.delays, self.dilations, self.clock = delays, dilations, clock

    @cached_property
    def moment(self):
        """None: products of views depend on the component whose timing they see."""
        return None

    @property
    def _blocks(self):
        return self.Z.reshape(self.n_views, self.n_components, self.n_samples)

    def aligned(self, W):
        """Return the sources in the shared time and their slopes, both (m, p, n_samples)."""
        S = np.asarray(W, dtype=self.Z.dtype) @ self._blocks
        return self.clock.warp(S, self.delays, self.dilations)

    def mix(self, B, out=None):
        """Sum over views of the aligned sources ``B_v z_v``, (p, n_samples)."""
        return np.sum(self.aligned(by_columns(B, self.n_views))[0], axis=0, out=out)

    def correlate(self, S):
        """``Z S^T / n`` in float64, (m p, p), `S` (p, n) spread by the warps' adjoint."""
        own = np.broadcast_to(S, (self.n_views, *S.shape)).copy()
        own = self.clock.adjoint(own, self.delays, self.dilations)
        products = self._blocks.astype(np.float64, copy=False) @ own.astype(np.float64).mT
        return products.reshape(len(self.Z), len(S)) / self.n_samples
