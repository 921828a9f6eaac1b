"""Splitters that respect time, by blocks of samples, and views, by leaving views out."""

from itertools import combinations
from math import comb
from numbers import Integral

import numpy as np
from sklearn.utils import check_random_state
from sklearn.utils.validation import _num_samples

from mvica.views import MultiViewData


class BlockKFold:
    """Cut the samples into blocks of neighbours; each block is the test set once.

    Neighbouring samples of a recording resemble each other: folds of scattered samples would test
    on near-copies of the training data. Usable as `cv` of `sklearn.model_selection.cross_validate`.

    Parameters
    ----------
    n_splits : int, default=5
        Number of blocks.
    gap : int, default=0
        Samples on each side of the test block that no set has: as many as the recording remembers.

    Examples
    --------
    >>> import numpy as np
    >>> from mvica.model_selection import BlockKFold
    >>> for train, test in BlockKFold(3, gap=1).split(np.zeros((9, 2))):
    ...     print(train, test)
    [4 5 6 7 8] [0 1 2]
    [0 1 7 8] [3 4 5]
    [0 1 2 3 4] [6 7 8]
    """

    def __init__(self, n_splits=5, *, gap=0):
        self.n_splits = n_splits
        self.gap = gap

    def split(self, X, y=None, groups=None):
        """Give the rows of each training set and test set.

        Parameters
        ----------
        X : MultiViewData or array-like of shape (n_samples, n_features)
            Only the number of samples is read.
        y, groups : None
            Ignored, here for scikit-learn.

        Yields
        ------
        train, test : ndarray of int
            Rows, increasing.

        Raises
        ------
        ValueError
            If there are fewer samples than blocks, or nothing is left to train on.
        """
        n = _num_samples(X)
        if not isinstance(self.n_splits, Integral) or not 2 <= self.n_splits <= n:
            raise ValueError(f"n_splits={self.n_splits!r}; expected 2 to {n}, the samples.")
        if not isinstance(self.gap, Integral) or self.gap < 0:
            raise ValueError(f"gap={self.gap!r}; expected a number of samples, at least 0.")
        rows = np.arange(n)
        for test in np.array_split(rows, self.n_splits):
            train = rows[(rows < test[0] - self.gap) | (rows > test[-1] + self.gap)]
            if not len(train):
                raise ValueError(f"gap={self.gap} leaves nothing of {n} samples to train on.")
            yield train, test

    def get_n_splits(self, X=None, y=None, groups=None):
        """Give the number of blocks."""
        return self.n_splits


class LeaveViewsOut:
    """Leave some views out of each fit.

    The indices are of views, not of samples: for `mvica.model_selection` and own loops, not for
    scikit-learn's `cv`.

    Parameters
    ----------
    n_out : int, default=1
        Number of views left out of each fit.
    max_splits : int or None, default=None
        Where there are more ways than this to leave views out, that many are drawn.
    random_state : int, RandomState instance or None, default=None
        Draws them.

    Examples
    --------
    >>> from mvica.model_selection import LeaveViewsOut
    >>> [test.tolist() for _, test in LeaveViewsOut(2).split(3)]
    [[0, 1], [0, 2], [1, 2]]
    """

    def __init__(self, n_out=1, *, max_splits=None, random_state=None):
        self.n_out = n_out
        self.max_splits = max_splits
        self.random_state = random_state

    def split(self, views):
        """Give the indices of the views of each training set and test set.

        Parameters
        ----------
        views : int, sequence or MultiViewData
            The views, or their number.

        Yields
        ------
        train, test : ndarray of int
            Indices of views, increasing.

        Raises
        ------
        ValueError
            If no view would be left.
        """
        m = _n_views(views)
        if not isinstance(self.n_out, Integral) or not 1 <= self.n_out < m:
            raise ValueError(f"n_out={self.n_out!r}; expected 1 to {m - 1} of {m} views.")
        for test in self._choices(m):
            yield np.setdiff1d(np.arange(m), test), np.asarray(test)

    def get_n_splits(self, views):
        """Give the number of splits."""
        total = comb(_n_views(views), self.n_out)
        return total if self.max_splits is None else min(total, self.max_splits)

    def _choices(self, m):
        if self.get_n_splits(m) == comb(m, self.n_out):
            yield from combinations(range(m), self.n_out)
            return
        rng, seen = check_random_state(self.random_state), set()
        while len(seen) < self.max_splits:
            test = tuple(sorted(rng.choice(m, self.n_out, replace=False).tolist()))
            if test not in seen:
                seen.add(test)
                yield test


def _n_views(views):
    if isinstance(views, Integral):
        return int(views)
    return views.n_views if isinstance(views, MultiViewData) else len(views)
