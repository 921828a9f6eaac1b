"""Moments of views that grow by batches and merge exactly: what second-order methods need."""

from copy import deepcopy

import numpy as np

from mvica._validation import check_views
from mvica.kernels.blocks import blocks


class Moments:
    """Counts, means and covariances of views, updated by batches of samples.

    A pass over batches, or over pieces of the data on several machines whose moments are merged,
    gives the moments of all samples to rounding, in any order. Everything is float64 and centred
    at the running mean, so a large offset costs no digits.

    Parameters
    ----------
    view_sizes : int or sequence of int, default=None
        How one table of shape (n_samples, n_features) is cut into views. Batches that come as
        separate views do not need it.

    Attributes
    ----------
    n_samples : int
        Number of samples seen.
    sizes : tuple of int
        Number of features of each view; empty before the first batch.
    mean : ndarray of shape (n_features,)
        Mean of all views side by side.
    scatter : ndarray of shape (n_features, n_features)
        Sum over samples of the products of the centred features of all views.
    cubes : ndarray of shape (n_features,)
        Sum of each centred feature times the squared norm of its centred view.
    fourths : ndarray of shape (n_views,)
        Sum of the fourth power of the norm of each centred view. With `cubes` it gives the
        Ledoit-Wolf shrinkage of all samples.
    dtype : numpy.dtype
        Lowest precision of the batches: it bounds the variance that is only rounding.

    References
    ----------
    Chan, Golub, LeVeque, Algorithms for computing the sample variance, The American Statistician
    1983.

    Examples
    --------
    >>> import numpy as np
    >>> from mvica.reduction.moments import Moments
    >>> rng = np.random.default_rng(0)
    >>> views = [rng.standard_normal((100, d)) for d in (2, 3)]
    >>> first = Moments().update([X[:30] for X in views])
    >>> rest = Moments().update([X[30:] for X in views])
    >>> both = first.merge(rest)
    >>> both.n_samples, np.allclose(both.covariance(), np.cov(np.hstack(views).T, ddof=0))
    (100, True)
    """

    def __init__(self, view_sizes=None):
        self.view_sizes = view_sizes
        self.n_samples = 0
        self.sizes = ()

    def update(self, X):
        """Add a batch of samples.

        Parameters
        ----------
        X : MultiViewData, list of array-like, 3D array or array-like
            The views of the batch, in one of the forms that the estimators take.

        Returns
        -------
        self : Moments

        Raises
        ------
        ValueError
            If the views have not the sizes of the batches before.
        """
        cut = self.sizes or self.view_sizes
        return self.add(check_views(X, view_sizes=cut, min_samples=1))

    def add(self, views):
        """Add a batch of validated views; `update` validates first.

        Parameters
        ----------
        views : list of ndarray of shape (n_samples, n_features_v)
            The views, float32 or float64; read in blocks.

        Returns
        -------
        self : Moments
        """
        self._expect(tuple(X.shape[1] for X in views), np.result_type(*views))
        width = sum(self.sizes)
        for rows in blocks(len(views[0]), width, shortest=width):
            table = np.concatenate([X[rows] for X in views], axis=1, dtype=np.float64)
            self._absorb(*self._of_table(table))
        return self

    def merge(self, other):
        """Add the samples that other moments have seen.

        Parameters
        ----------
        other : Moments
            Moments of other samples of the same views; not modified.

        Returns
        -------
        self : Moments

        Raises
        ------
        ValueError
            If the views have other sizes.
        """
        if other.n_samples:
            self._expect(other.sizes, other.dtype)
            parts = other.n_samples, other.mean, other.scatter, other.cubes, other.fourths
            self._absorb(*parts)
        return self

    def copy(self):
        """Independent copy.

        Returns
        -------
        moments : Moments
        """
        return deepcopy(self)

    def state(self):
        """Everything the moments hold, as numbers, names and arrays for a file.

        Returns
        -------
        state : dict
            What `from_state` takes.
        """
        names = ("view_sizes", "n_samples", "sizes")
        if self.sizes:
            names += ("dtype", "mean", "scatter", "cubes", "fourths")
        state = {name: getattr(self, name) for name in names}
        return state | ({"dtype": self.dtype.name} if self.sizes else {})

    @classmethod
    def from_state(cls, view_sizes, n_samples, sizes, dtype=None, **sums):
        """Rebuild moments.

        Parameters
        ----------
        view_sizes, n_samples, sizes
            Attributes.
        dtype : str, default=None
            Name of the lowest precision; None for moments without samples.
        **sums : ndarray
            `mean`, `scatter`, `cubes` and `fourths`, where there are samples.

        Returns
        -------
        moments : Moments

        Raises
        ------
        ValueError
            If the sums do not fit the sizes of the views.
        """
        moments, width = cls(view_sizes), sum(sizes)
        shapes = {"mean": (width,), "scatter": (width, width), "cubes": (width,)}
        shapes |= {"fourths": (len(sizes),)}
        if {name: np.shape(x) for name, x in sums.items()} != (shapes if sizes else {}):
            raise ValueError(f"the sums of the moments do not fit views of sizes {sizes}.")
        moments.n_samples, moments.sizes = n_samples, sizes
        if sizes:
            vars(moments).update({"dtype": np.dtype(dtype)} | sums)
        return moments

    def covariance(self, v=None, w=None):
        """Covariance of all views side by side, or of two of them.

        Parameters
        ----------
        v : int, default=None
            A view; None for all of them.
        w : int, default=None
            Another one; None for view `v` itself.

        Returns
        -------
        covariance : ndarray
            Divided by the number of samples; of shape (n_features, n_features), or
            (n_features_v, n_features_w).
        """
        if v is None:
            return self.scatter / self.n_samples
        return self.scatter[self.columns(v), self.columns(v if w is None else w)] / self.n_samples

    def columns(self, v):
        """Columns of a view among those of all views.

        Parameters
        ----------
        v : int
            The view.

        Returns
        -------
        columns : slice
        """
        start = sum(self.sizes[:v])
        return slice(start, start + self.sizes[v])

    def _expect(self, sizes, dtype):
        """Start with views of these sizes, or check that they are those known."""
        if not self.sizes:
            width = sum(sizes)
            self.sizes, self.dtype = sizes, dtype
            self.mean, self.scatter = np.zeros(width), np.zeros((width, width))
            self.cubes, self.fourths = np.zeros(width), np.zeros(len(sizes))
        elif sizes != self.sizes:
            raise ValueError(
                f"the new samples have views of sizes {sizes}, but the moments are of views of "
                f"sizes {self.sizes}."
            )
        self.dtype = min(self.dtype, dtype, key=lambda kind: kind.itemsize)

    def _of_table(self, table):
        """Moments of a few samples; centres them in place."""
        mean = table.mean(axis=0)
        table -= mean
        cubes, fourths = np.empty(len(mean)), np.empty(len(self.sizes))
        for v in range(len(self.sizes)):
            part = table[:, self.columns(v)]
            squares = np.einsum("td,td->t", part, part)
            cubes[self.columns(v)] = squares @ part
            fourths[v] = squares @ squares
        return len(table), mean, table.T @ table, cubes, fourths

    def _absorb(self, n, mean, scatter, cubes, fourths):
        """Chan's update: bring both parts to the common mean, then add."""
        total = self.n_samples + n
        gap = mean - self.mean
        mine, theirs = gap * (n / total), -gap * (self.n_samples / total)
        own = self._shifted(self.n_samples, self.scatter, self.cubes, self.fourths, mine)
        new = self._shifted(n, scatter, cubes, fourths, theirs)
        self.cubes, self.fourths = own[0] + new[0], own[1] + new[1]
        self.scatter += scatter
        self.scatter += np.outer(gap, gap * (self.n_samples * n / total))
        self.mean = self.mean + mine
        self.n_samples = total

    def _shifted(self, n, scatter, cubes, fourths, shift):
        """Third and fourth moments about the mean moved by `shift`."""
        new_cubes, new_fourths = np.empty(len(cubes)), np.empty(len(fourths))
        for v in range(len(self.sizes)):
            columns = self.columns(v)
            M, delta = scatter[columns, columns], shift[columns]
            Md, trace, square = M @ delta, np.trace(M), delta @ delta
            new_cubes[columns] = cubes[columns] - (trace + n * square) * delta - 2 * Md
            new_fourths[v] = fourths[v] - 4 * delta @ cubes[columns] + 4 * delta @ Md
            new_fourths[v] += 2 * square * trace + n * square**2
        return new_cubes, new_fourths
