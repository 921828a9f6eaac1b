"""Rows of views that need not fit in memory: arrays, memory maps and factories of batches.

A source of rows has the attributes `sizes` (features of each view), `n_samples` and `dtype`, and
three ways to read: `chunks()` in order, `pick(rows)` some of them, and `shuffled(size, rng)` all of
them in batches of random order. Each yields lists with one array a view.
"""

import numpy as np

from mvica._validation import check_views

CHUNK_ELEMENTS = 2**18  # entries of a view read at a time: stays in the second-level cache
SHORTEST, LONGEST = 256, 4096  # rows of a chunk
BUFFER_BYTES = 2**26  # of all views, permuted in memory where rows cannot be gathered one by one
NEIGHBOURS = 64  # rows that stay together on their way from a file to the buffer


class ArrayRows:
    """Rows of arrays, in memory or memory-mapped.

    Parameters
    ----------
    views : list of ndarray of shape (n_samples, n_features_v)
        Validated views of one dtype. They are never copied whole.

    Examples
    --------
    >>> import numpy as np
    >>> rows = ArrayRows([np.zeros((5000, 2)), np.ones((5000, 300))])
    >>> [x.shape for x in next(rows.chunks())]
    [(873, 2), (873, 300)]
    """

    def __init__(self, views):
        self.views = views
        self.n_samples = len(views[0])
        self.sizes = tuple(X.shape[1] for X in views)
        self.dtype = np.result_type(*views)
        large = sum(X.nbytes for X in views) > BUFFER_BYTES
        self._far = large and any(_is_mapped(X) for X in views)

    def chunks(self):
        """Yield all rows in order."""
        step = _chunk_length(self.sizes)
        for start in range(0, self.n_samples, step):
            yield [X[start : start + step] for X in self.views]

    def pick(self, rows):
        """Yield the rows of these increasing numbers."""
        step = _chunk_length(self.sizes)
        for start in range(0, len(rows), step):
            yield [X[rows[start : start + step]] for X in self.views]

    def shuffled(self, size, rng):
        """Yield batches of `size` rows: one epoch, less the rows left over.

        Rows are gathered in a random order. From large files, runs of neighbours come in random
        order into a buffer that is permuted.
        """
        if self._far:
            yield from _rebatched(self._scattered(rng), size, rng, self._buffer_rows(size))
            return
        order = rng.permutation(self.n_samples)
        for start in range(0, self.n_samples - size + 1, size):
            rows = order[start : start + size]
            yield [X[rows] for X in self.views]

    def _scattered(self, rng):
        starts = np.arange(0, self.n_samples, NEIGHBOURS)
        for start in rng.permutation(starts):
            yield [X[start : start + NEIGHBOURS] for X in self.views]

    def _buffer_rows(self, size):
        return _buffer_rows(self.sizes, self.dtype, size)


class BatchRows:
    """Rows from a function that starts a new pass over batches each time it is called.

    Parameters
    ----------
    factory : callable
        ``factory()`` returns an iterable of batches, each in a form that `fit` takes. Every call
        must give the same samples; their order may differ.
    view_sizes : int, sequence of int or None, default=None
        How a batch that is one table is cut into views.

    Raises
    ------
    TypeError
        If the function does not return an iterable.
    ValueError
        If there is no batch, or one has other views than the first: the message gives its number.
    """

    def __init__(self, factory, view_sizes=None):
        self.factory, self.view_sizes = factory, view_sizes
        self.sizes, self.n_samples, self.dtype = None, None, None
        counts, kinds = [], set()
        for batch in self.chunks():
            counts.append(len(batch[0]))
            kinds.add(np.result_type(*batch))
        if not counts:
            raise ValueError("the function gave no batch: it must return a new iterable each call")
        self.n_samples, self.dtype = sum(counts), np.result_type(*kinds)

    def chunks(self):
        """Yield all rows, batch by batch."""
        batches = self.factory()
        if not hasattr(batches, "__iter__"):
            found = type(batches).__name__
            raise TypeError(f"the function must return an iterable of batches, got {found}")
        count = 0
        for number, batch in enumerate(batches):
            views = self._check(batch, number)
            count += len(views[0])
            yield views
        if self.n_samples not in (None, count):
            raise ValueError(
                f"the function gave {count} samples, and {self.n_samples} the first time: every "
                "call must start a new pass over the same data"
            )

    def pick(self, rows):
        """Yield the rows of these increasing numbers."""
        first = 0
        for batch in self.chunks():
            last = first + len(batch[0])
            inside = rows[np.searchsorted(rows, first) : np.searchsorted(rows, last)] - first
            if len(inside):
                yield [X[inside] for X in batch]
            first = last

    def shuffled(self, size, rng):
        """Yield batches of `size` rows that a buffer mixes: one epoch, less the rows left over."""
        limit = _buffer_rows(self.sizes, self.dtype, size)
        yield from _rebatched(self.chunks(), size, rng, limit)

    def _check(self, batch, number):
        views = check_batch(batch, number, self.sizes, self.view_sizes)
        self.sizes = tuple(X.shape[1] for X in views)
        return views


def check_batch(batch, number, sizes, view_sizes=None):
    """Validate one batch of a stream.

    Parameters
    ----------
    batch : MultiViewData, list of array-like, 3D array or array-like
        Views of the batch.
    number : int
        Its number, for messages.
    sizes : tuple of int or None
        Features that the views must have; None for the first batch.
    view_sizes : int, sequence of int or None, default=None
        How one table is cut into views.

    Returns
    -------
    views : list of ndarray

    Raises
    ------
    ValueError
        If values are missing, or the views have other sizes.
    """
    try:
        views = check_views(batch, view_sizes=sizes or view_sizes, min_samples=1)
    except ValueError as error:
        raise ValueError(f"batch {number}: {error}") from error
    found = tuple(X.shape[1] for X in views)
    if sizes is not None and found != sizes:
        raise ValueError(f"batch {number} has views of sizes {found}, expected {sizes}.")
    return views


def is_single_pass(X):
    """Say whether X can be read only once, as a generator."""
    return hasattr(X, "__next__")


def _chunk_length(sizes):
    return int(np.clip(CHUNK_ELEMENTS // max(sizes), SHORTEST, LONGEST))


def _buffer_rows(sizes, dtype, size):
    """Rows of the buffer, a multiple of the batch size."""
    fitting = BUFFER_BYTES // (sum(sizes) * np.dtype(dtype).itemsize)
    return max(fitting // size, 4) * size


def _rebatched(pieces, size, rng, buffer_rows):
    """Fill a buffer with pieces, permute it, cut it in batches; the rest waits for the next."""
    waiting, count = [], 0
    for piece in pieces:
        waiting.append(piece)
        count += len(piece[0])
        if count >= buffer_rows:
            views, waiting, count = _joined(waiting), [], 0
            order = rng.permutation(len(views[0]))
            whole = len(order) - len(order) % size
            for start in range(0, whole, size):
                yield [X[order[start : start + size]] for X in views]
            if whole < len(order):
                waiting = [[X[order[whole:]] for X in views]]
                count = len(order) - whole
    if count >= size:
        views = _joined(waiting)
        order = rng.permutation(len(views[0]))
        for start in range(0, len(order) - size + 1, size):
            yield [X[order[start : start + size]] for X in views]


def _joined(pieces):
    return [np.concatenate(parts) for parts in zip(*pieces, strict=True)]


def _is_mapped(X):
    """Say whether an array's memory is a file, which may be far from memory."""
    while isinstance(X, np.ndarray):
        if isinstance(X, np.memmap):
            return True
        X = X.base
    return False
