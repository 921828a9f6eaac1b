"""Views whose sources are delayed: the products over samples that the ICA solver asks for."""

from functools import cached_property

import numpy as np

from mvica.ica.stacked import StackedViews, by_view


class DelayedViews(StackedViews):
    """Stacked views, each of whose sources is read `delays[v, j]` whole samples later.

    Circular delays inside an epoch preserve products in time, so the covariances of the views and
    all that follows from them stay; only mixtures of views see the delays.

    Parameters
    ----------
    Z : ndarray of shape (m * p, n_samples)
        Centred, reduced views.
    delays : ndarray of int, shape (m, p)
        Delays in samples, circular inside every epoch.
    epochs : mvica.ica.warps.Epochs
        Where the epochs begin and end.
    """

    def __init__(self, Z, delays, epochs):
        super().__init__(Z, len(delays))
        self.delays, self.epochs = np.ascontiguousarray(delays, dtype=np.int64), epochs
        self._own = np.empty((self.n_views, self.n_components, self.n_samples), dtype=Z.dtype)

    def delayed(self, delays):
        """Return the same views with other delays, sharing what does not depend on them."""
        other = DelayedViews(self.Z, delays, self.epochs)
        other.covariances = self.covariances
        return other

    @cached_property
    def moment(self):
        """None: products of views depend on the component whose delays they see."""
        return None

    @property
    def _blocks(self):
        return self.Z.reshape(self.n_views, self.n_components, self.n_samples)

    def sources(self, W):
        """Return the views' own sources, (m, p, n_samples); the next call overwrites them."""
        return np.matmul(np.asarray(W, dtype=self.Z.dtype), self._blocks, out=self._own)

    def mix(self, B, out=None):
        """Sum over views of the aligned sources ``B_v z_v``, (p, n_samples)."""
        from mvica.kernels.warp_numba import roll_sum

        W = by_columns(B, self.n_views)
        out = np.empty((len(B), self.n_samples), dtype=self.Z.dtype) if out is None else out
        roll_sum(self.sources(W), self.delays, self.epochs.starts, self.epochs.sizes, out)
        return out

    def correlate(self, S):
        """``Z S^T / n`` in float64, (m p, k), the signals `S` (k, n) taken to each view's time.

        Row j of `S` belongs to component ``j % p``.
        """
        from mvica.kernels.warp_numba import roll_back

        m, n = self.n_views, self.n_samples
        own = np.empty((m, len(S), n), dtype=S.dtype)
        roll_back(S, self.delays, self.epochs.starts, self.epochs.sizes, own)
        if own.dtype == np.float64:
            products = self._blocks @ own.mT
        else:
            products = np.stack(
                [
                    StackedViews(Z, 1).correlate(T) * n
                    for Z, T in zip(self._blocks, own, strict=True)
                ]
            )
        return products.reshape(len(self.Z), len(S)) / n


def by_columns(B, n_views):
    """(m, k, p) from (k, m p)."""
    return by_view(np.ascontiguousarray(B.T), n_views).mT
