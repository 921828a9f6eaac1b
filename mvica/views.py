"""MultiViewData: the container that lets scikit-learn index many views by sample."""

from numbers import Integral

import numpy as np
from scipy.sparse import issparse


class MultiViewData:
    """Views of the same samples, indexed by sample.

    A list of views has the length of the number of views, so scikit-learn would split a list by
    view. This container has the length of the number of samples: it can be given to pipelines,
    `cross_validate`, `GridSearchCV`, `train_test_split` and the like. Anything that asks for one
    table (a `StandardScaler`, `numpy.asarray`) sees the views side by side.

    Parameters
    ----------
    views : sequence of array-like of shape (n_samples, n_features_v)
        The views. Arrays are kept as they are, memory-mapped ones included; nothing is copied.
        Dataframes are converted to arrays.
    view_names : sequence of str, default=None
        One name a view, all different. By default `"view0"`, `"view1"`, ...

    Attributes
    ----------
    views : tuple of ndarray of shape (n_samples, n_features_v)
        The views.
    view_names : tuple of str
        The names of the views.
    n_views : int
        The number of views.
    n_samples : int
        The number of samples, the same in every view.
    view_sizes : tuple of int
        The number of features of each view.
    shape : tuple of int
        `(n_samples, sum(view_sizes))`, the shape of the table that `numpy.asarray` gives.
    ndim : int
        Always 2.
    dtype : numpy.dtype
        The type that holds the values of every view.

    Raises
    ------
    ValueError
        If there is no view, a view is not two-dimensional, the views do not have the same number
        of samples, or the names do not fit the views.
    TypeError
        If a view is sparse, or `views` is one array instead of a sequence of arrays.

    Notes
    -----
    Model selection on this container needs scikit-learn's `array_api_dispatch=False`, which is
    the default.

    Examples
    --------
    >>> import numpy as np
    >>> from mvica import MultiViewData
    >>> X = MultiViewData([np.zeros((100, 3)), np.ones((100, 2))], view_names=["meg", "eeg"])
    >>> X
    MultiViewData(100 samples, 2 views: meg (3 features), eeg (2 features), float64)
    >>> X[:10].shape
    (10, 5)
    >>> X[:10].views[1].shape
    (10, 2)
    """

    ndim = 2

    def __init__(self, views, *, view_names=None):
        if isinstance(views, MultiViewData):
            view_names = views.view_names if view_names is None else view_names
            views = views.views
        self.views = _as_arrays(views)
        self.view_names = _check_names(view_names, len(self.views))
        _check_two_dimensional(self.views, self.view_names)
        _check_same_samples(self.views, self.view_names)

    @property
    def n_views(self):
        """Number of views."""
        return len(self.views)

    @property
    def n_samples(self):
        """Number of samples."""
        return self.views[0].shape[0]

    @property
    def view_sizes(self):
        """Number of features of each view."""
        return tuple(view.shape[1] for view in self.views)

    @property
    def shape(self):
        """Shape of the table with all views side by side."""
        return (self.n_samples, sum(self.view_sizes))

    @property
    def dtype(self):
        """Type that holds the values of every view."""
        return np.result_type(*(view.dtype for view in self.views))

    def __len__(self):
        return self.n_samples

    def __getitem__(self, rows):
        rows = _check_rows(rows, self.n_samples)
        return MultiViewData([view[rows] for view in self.views], view_names=self.view_names)

    def __iter__(self):
        raise TypeError(
            "MultiViewData has samples and views, so it cannot be iterated over: iterate over "
            "its attribute .views."
        )

    def __array__(self, dtype=None, copy=None):
        if self.n_views == 1:
            return np.array(self.views[0], dtype=dtype, copy=copy)
        if copy is False:
            raise ValueError(
                f"The {self.n_views} views are separate arrays: one table cannot be made of "
                "them without a copy."
            )
        return np.concatenate(self.views, axis=1, dtype=dtype)

    def __repr__(self):
        parts = [
            f"{name} ({size} feature{'s' * (size != 1)})"
            for name, size in zip(self.view_names, self.view_sizes, strict=True)
        ]
        if len(parts) > 6:
            parts = [*parts[:3], "...", *parts[-2:]]
        samples = f"{self.n_samples} sample{'s' * (self.n_samples != 1)}"
        count = f"{self.n_views} view{'s' * (self.n_views != 1)}"
        return f"MultiViewData({samples}, {count}: {', '.join(parts)}, {self.dtype})"


def _as_arrays(views):
    """Return the views as a tuple of arrays, without copying any array."""
    if hasattr(views, "shape") and len(views.shape) != 3:
        raise TypeError(
            "views must be a sequence of 2D arrays or one 3D array (n_views, n_samples, "
            f"n_features), got one array of shape {tuple(views.shape)}. For one view, write [X]."
        )
    arrays = []
    for k, view in enumerate(views):
        if issparse(view):
            raise TypeError(f"view {k} is sparse, dense data is needed: use view.toarray().")
        arrays.append(view if isinstance(view, np.ndarray) else np.asarray(view))
    if not arrays:
        raise ValueError("views is empty: at least one view is needed.")
    return tuple(arrays)


def _check_names(view_names, n_views):
    """Return one distinct name a view."""
    if view_names is None:
        return tuple(f"view{k}" for k in range(n_views))
    if isinstance(view_names, str):
        raise TypeError(f"view_names must be a sequence of str, got the str {view_names!r}.")
    names = tuple(view_names)
    if len(names) != n_views:
        raise ValueError(f"There are {n_views} views but {len(names)} view_names: {names}.")
    if not all(isinstance(name, str) for name in names):
        raise TypeError(f"view_names must be str, got {names}.")
    if len(set(names)) != n_views:
        raise ValueError(f"view_names must all be different, got {names}.")
    return names


def _check_two_dimensional(views, names):
    for name, view in zip(names, views, strict=True):
        if view.ndim != 2:
            raise ValueError(
                f"{name} has shape {view.shape}: each view must be a 2D array (n_samples, "
                "n_features)."
            )


def _check_same_samples(views, names):
    counts = [view.shape[0] for view in views]
    if len(set(counts)) > 1:
        listed = ", ".join(f"{name}: {count}" for name, count in zip(names, counts, strict=True))
        raise ValueError(
            f"All views must have the same number of samples, found {listed}. Row i must be the "
            "same sample in every view."
        )


def _check_rows(rows, n_samples):
    """Return an index of rows that keeps the views two-dimensional."""
    if isinstance(rows, tuple):
        # scikit-learn takes samples with X[rows, ...].
        if len(rows) != 2 or rows[1] is not Ellipsis:
            raise IndexError(
                "MultiViewData is indexed by sample only, X[rows]. For features, index one of "
                "its .views."
            )
        rows = rows[0]
    if isinstance(rows, slice):
        return rows
    if isinstance(rows, str):
        raise IndexError(
            f"MultiViewData is indexed by sample, got {rows!r}. For one view, use "
            "X.views[X.view_names.index(name)]."
        )
    if isinstance(rows, Integral) and not isinstance(rows, bool):
        rows = [rows]
    rows = np.asarray(rows)
    if rows.size == 0 and rows.dtype != bool:
        rows = rows.astype(np.intp)
    if rows.ndim != 1 or rows.dtype.kind not in "iub":
        raise IndexError(
            "MultiViewData is indexed by an int, a slice, or a 1D array of int or bool, got an "
            f"index of shape {rows.shape} and type {rows.dtype}."
        )
    if rows.dtype.kind == "b" and len(rows) != n_samples:
        raise IndexError(f"The boolean index has length {len(rows)}, expected {n_samples}.")
    return rows
