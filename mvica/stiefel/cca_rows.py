"""Two views as the solvers of CCA see them: centred, in units of their own, with a ridge.

In these units ``x_v`` is the centred view times `scales[v]`, and the constraint matrix of view v is
``B_v = x_v^T x_v / n + ridges[v] I``. Rows are read in chunks; the centring is done on the small
side of each product, or on chunks where a large mean would cost digits.
"""

from dataclasses import dataclass

import numpy as np

LARGE_OFFSET = 100.0  # squared mean over variance from which chunks are centred themselves
SAMPLE_CHUNK = 256  # rows whose products are summed in the dtype of the data


@dataclass(frozen=True)
class FeatureStatistics:
    """Means and variances of the features of each view.

    Attributes
    ----------
    n_samples : int
    means, variances : list of ndarray of shape (n_features_v,)
        In float64.
    """

    n_samples: int
    means: list
    variances: list


def feature_statistics(rows):
    """Means and variances of all features, in one pass.

    Parameters
    ----------
    rows : ArrayRows or BatchRows
        The views.

    Returns
    -------
    statistics : FeatureStatistics

    Examples
    --------
    >>> import numpy as np
    >>> from mvica.stiefel.streams import ArrayRows
    >>> found = feature_statistics(ArrayRows([np.array([[1.0], [3.0]])]))
    >>> found.means[0], found.variances[0]
    (array([2.]), array([1.]))
    """
    shifts, sums, squares, n = None, None, None, 0
    for chunk in rows.chunks():
        if shifts is None:
            shifts = [X.mean(axis=0, dtype=np.float64) for X in chunk]
            sums, squares = ([np.zeros(d) for d in rows.sizes] for _ in range(2))
        n += len(chunk[0])
        for v, X in enumerate(chunk):
            centred = X - shifts[v]
            sums[v] += centred.sum(axis=0)
            squares[v] += np.einsum("ij,ij->j", centred, centred)
    moved = [total / n for total in sums]
    variances = [np.maximum(S / n - m**2, 0.0) for S, m in zip(squares, moved, strict=True)]
    return FeatureStatistics(n, [s + m for s, m in zip(shifts, moved, strict=True)], variances)


class CenteredRows:
    """Rows of two views, centred, scaled and regularised.

    Parameters
    ----------
    rows : ArrayRows or BatchRows
        The views.
    statistics : FeatureStatistics
        Of these rows.
    scales : list of ndarray of shape (n_features_v,)
        Factor of each feature.
    ridges : sequence of float
        Added to the diagonal of each constraint matrix, in the scaled units.
    """

    def __init__(self, rows, statistics, scales, ridges):
        self.rows, self.n_samples = rows, rows.n_samples
        self.sizes, self.dtype = rows.sizes, rows.dtype
        self.means, self.scales, self.ridges = statistics.means, scales, tuple(ridges)
        pairs = zip(statistics.means, statistics.variances, strict=True)
        # Subtracted from chunks, in the dtype of the data; the rest is subtracted from scores.
        self.offsets = [
            mean.astype(self.dtype) if mean @ mean > LARGE_OFFSET * variance.sum() else None
            for mean, variance in pairs
        ]
        self.rests = [
            mean if offset is None else mean - offset
            for mean, offset in zip(self.means, self.offsets, strict=True)
        ]

    def rounded(self, W, v):
        """Weights of view v as the products see them: in the dtype of the data."""
        scale = self.scales[v][:, None]
        return (scale * W).astype(self.dtype) / np.where(scale > 0, scale, 1.0)

    def batch(self, views):
        """Rows as a `Batch`, for products with them."""
        shifted = [
            x if offset is None else x - offset
            for x, offset in zip(views, self.offsets, strict=True)
        ]
        return Batch(self, shifted)

    def chunks(self):
        """Yield all rows in order, as `Batch`."""
        return map(self.batch, self.rows.chunks())

    def shuffled(self, size, rng):
        """Yield one epoch of batches of `size` rows in random order."""
        return map(self.batch, self.rows.shuffled(size, rng))

    def products(self, W):
        """Products of covariances with weights, in one pass.

        Parameters
        ----------
        W : list of ndarray of shape (n_features_v, k_v)
            Weights of the two views.

        Returns
        -------
        own : list of ndarray of shape (n_features_v, k_v)
            ``B_v W_v``.
        cross : list of ndarray
            ``C_wv W_v`` in the features of the other view w.
        """
        widths = [w.shape[1] for w in W]
        totals = [np.zeros((d, sum(widths))) for d in self.sizes]
        sums = np.zeros(sum(widths))
        maps = self.maps(W)
        for batch in self.chunks():
            scores = np.concatenate(batch.scores(maps), axis=1)
            sums += scores.sum(axis=0, dtype=np.float64)
            for total, x in zip(totals, batch.views, strict=True):
                total += x.T @ scores
        images = [
            self.scales[v][:, None] * (total - np.outer(self.rests[v], sums)) / self.n_samples
            for v, total in enumerate(totals)
        ]
        halves = [np.split(image, [widths[0]], axis=1) for image in images]
        own = [halves[v][v] + self.ridges[v] * W[v] for v in (0, 1)]
        return own, [halves[1][0], halves[0][1]]

    def score_moments(self, W):
        """Second moments of the scores of both views, without ridge, in one pass.

        Parameters
        ----------
        W : list of ndarray of shape (n_features_v, k_v)
            Weights.

        Returns
        -------
        moments : list of ndarray
            Of the first view, of the second, and of the first with the second.
        """
        total, maps = 0.0, self.maps(W)
        for batch in self.chunks():
            scores = np.concatenate(batch.scores(maps), axis=1).astype(np.float64, copy=False)
            total = total + scores.T @ scores
        k = W[0].shape[1]
        total = total / self.n_samples
        return [total[:k, :k], total[k:, k:], total[:k, k:]]

    def maps(self, W):
        """Prepare maps from rows to scores, with what the means add: what `Batch.scores` takes."""
        maps = []
        for v, w in enumerate(W):
            scaled = (self.scales[v][:, None] * w).astype(self.dtype, copy=False)
            maps.append((scaled, (self.rests[v] @ scaled).astype(self.dtype)))
        return maps

    def sample_covariances(self, n_rows, rng):
        """Covariances of random rows about their own means, in the scaled units, without ridge.

        Returns
        -------
        first, second, cross : ndarray
            Of the first view, of the second, and of the first with the second.
        """
        n_rows = min(n_rows, self.n_samples)
        rows = np.sort(rng.permutation(self.n_samples)[:n_rows])
        totals = [np.zeros((a, b)) for a, b in self._pairs(self.sizes)]
        sums = [np.zeros(d) for d in self.sizes]
        for batch in map(self.batch, self.rows.pick(rows)):
            for piece in batch.pieces(SAMPLE_CHUNK):
                for total, (x, y) in zip(totals, self._pairs(piece), strict=True):
                    total += x.T @ y
                for total, x in zip(sums, piece, strict=True):
                    total += x.sum(axis=0)
        means = self._pairs([total / n_rows for total in sums])
        scales = self._pairs(self.scales)
        return [
            (total / n_rows - np.outer(*mean)) * np.outer(*scale)
            for total, mean, scale in zip(totals, means, scales, strict=True)
        ]

    def sample(self, n_rows, rng):
        """Random rows, scaled and centred at the means, as two arrays."""
        rows = np.sort(rng.permutation(self.n_samples)[: min(n_rows, self.n_samples)])
        parts = [batch.centred() for batch in map(self.batch, self.rows.pick(rows))]
        return [np.concatenate(pieces) for pieces in zip(*parts, strict=True)]

    @staticmethod
    def _pairs(items):
        first, second = items
        return (first, first), (second, second), (first, second)


class Batch:
    """Some rows of both views, of which `scores` and `duals` are the two products."""

    def __init__(self, source, views):
        self.source, self.views = source, views
        self.n_rows = len(views[0])

    def scores(self, maps):
        """Scores (n_rows, k_v) of each view, for maps of `CenteredRows.maps`."""
        return [x @ w - shift for x, (w, shift) in zip(self.views, maps, strict=True)]

    def back(self, K):
        """``x_v^T K_v / n_rows`` of each view, in the scaled units."""
        source, found = self.source, []
        for v, (x, k) in enumerate(zip(self.views, K, strict=True)):
            image = x.T @ k - np.outer(source.rests[v], k.sum(axis=0))
            image *= source.scales[v][:, None] / self.n_rows
            found.append(image.astype(source.dtype, copy=False))
        return found

    def centred(self):
        """Rows of each view, centred and scaled."""
        pairs = zip(self.views, self.source.rests, self.source.scales, strict=True)
        return [(x - rest) * scale for x, rest, scale in pairs]

    def pieces(self, length):
        """Yield the rows a few at a time."""
        for start in range(0, self.n_rows, length):
            yield [x[start : start + length] for x in self.views]
