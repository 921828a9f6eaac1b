"""The one door for data, and the only private scikit-learn imports of the package."""

from numbers import Integral

import numpy as np
from sklearn.base import _fit_context
from sklearn.utils import check_array
from sklearn.utils._param_validation import Interval, StrOptions, validate_params
from sklearn.utils._set_output import _get_output_config
from sklearn.utils.validation import _check_feature_names_in, validate_data

from mvica.views import MultiViewData

__all__ = [
    "Interval",
    "StrOptions",
    "_check_feature_names_in",
    "_fit_context",
    "asks_for_dataframe",
    "check_view_indices",
    "check_views",
    "split_columns",
    "validate_params",
    "validate_views",
]

FLOATS = (np.float64, np.float32)


def validate_views(estimator, X, *, reset, dtype=FLOATS, min_samples=2, views=None):
    """Validate the data given to a method of an estimator and return its views.

    Parameters
    ----------
    estimator : estimator instance
        Its parameter `view_sizes`, if it has one, says how one table is cut into views.
    X : MultiViewData, list of 2D arrays, 3D array or one table
        Told apart in this order: a `MultiViewData`; a list or tuple of two-dimensional arrays or
        dataframes; an array of shape (n_views, n_samples, n_features); anything else is one
        table of shape (n_samples, n_features), cut in columns.
    reset : bool
        True in `fit`: sets `n_features_in_`, `view_sizes_`, `n_views_` and, for one dataframe,
        `feature_names_in_`. False elsewhere: compares with them.
    dtype : tuple of dtype, default=(float64, float32)
        Types that are kept. Others, and views of different types, become the first one.
    min_samples : int, default=2
        Smallest number of samples.
    views : sequence of int, default=None
        Indices of the fitted views that `X` holds, in the order of `X`. None means all of them.
        Only with `reset=False`.

    Returns
    -------
    blocks : list of ndarray of shape (n_samples, n_features_v)
        One array a view, all of one type. They may be the caller's own arrays, of any layout and
        read-only, so they must not be written to. The columns cut from a table are C-contiguous:
        a table and the list of its blocks then give the same result to the last bit.

    Raises
    ------
    ValueError
        If the data or `views` do not fit; the message names the view, what was found and what
        was expected.
    TypeError
        If a view is sparse.
    """
    name = type(estimator).__name__
    sizes = None
    if not reset:
        sizes = estimator.view_sizes_
        if views is not None:
            sizes = tuple(sizes[v] for v in check_view_indices(views, len(sizes)))
    arrays, labels = _separate_views(X)
    if arrays is None:
        blocks = _validate_table(estimator, X, sizes, dtype, min_samples, views)
    else:
        blocks = _check_each(arrays, labels, dtype, min_samples, estimator)
        if reset:
            _forget_feature_names(estimator)
            estimator.n_features_in_ = sum(_widths(blocks))
        else:
            _check_fitted_sizes(_widths(blocks), sizes, name, partial=views is not None)
    if reset:
        estimator.view_sizes_ = _widths(blocks)
        estimator.n_views_ = len(blocks)
    return blocks


def check_views(X, *, view_sizes=None, dtype=FLOATS, min_samples=2, min_views=1):
    """Validate multi-view data given to a function and return its views.

    Parameters
    ----------
    X : MultiViewData, list of 2D arrays, 3D array or one table
        Told apart as in `validate_views`.
    view_sizes : int or sequence of int, default=None
        How one table is cut into views. None makes it one view, an int that number of nearly
        equal contiguous blocks of columns, a sequence gives the widths.
    dtype : tuple of dtype, default=(float64, float32)
        Types that are kept. Others, and views of different types, become the first one.
    min_samples : int, default=2
        Smallest number of samples.
    min_views : int, default=1
        Smallest number of views.

    Returns
    -------
    blocks : list of ndarray of shape (n_samples, n_features_v)
        One array a view, all of one type.

    Raises
    ------
    ValueError
        If the data do not fit; the message names the view.
    TypeError
        If a view is sparse.
    """
    arrays, labels = _separate_views(X)
    if arrays is None:
        table = check_array(X, dtype=list(dtype), ensure_min_samples=min_samples, input_name="X")
        blocks = split_columns(table, view_sizes)
    else:
        blocks = _check_each(arrays, labels, dtype, min_samples, None)
    if len(blocks) < min_views:
        raise ValueError(f"X has {len(blocks)} view(s), at least {min_views} are needed.")
    return blocks


def asks_for_dataframe(estimator):
    """Say whether `set_output` will make a dataframe of what `transform` returns."""
    return _get_output_config("transform", estimator)["dense"] != "default"


def check_view_indices(views, n_views):
    """Return the indices of views as a list of distinct int between 0 and n_views - 1."""
    if isinstance(views, str) or not hasattr(views, "__len__"):
        raise ValueError(f"views must be a sequence of indices of views, got {views!r}.")
    indices = list(views)
    for v in indices:
        if not isinstance(v, Integral) or isinstance(v, bool) or not 0 <= v < n_views:
            raise ValueError(
                f"views must hold int between 0 and {n_views - 1}, the indices of the fitted "
                f"views, got {v!r}."
            )
    if not indices or len(set(indices)) < len(indices):
        raise ValueError(f"views must hold at least one index, each only once, got {indices}.")
    return [int(v) for v in indices]


def split_columns(table, view_sizes=None):
    """Cut a table (n_samples, n_features) in contiguous column blocks, one a view.

    `view_sizes` is None (one view), the number of nearly equal blocks (the first ones larger) or
    the exact widths. The blocks are C-contiguous copies, unless there is only one.
    """
    sizes = _block_sizes(view_sizes, table.shape[1])
    if len(sizes) == 1:
        return [table]
    stops = np.cumsum(sizes)
    return [
        np.ascontiguousarray(table[:, stop - size : stop])
        for size, stop in zip(sizes, stops, strict=True)
    ]


def _block_sizes(view_sizes, n_features):
    if view_sizes is None:
        return (n_features,)
    if isinstance(view_sizes, Integral):
        if not 1 <= view_sizes <= n_features:
            raise ValueError(
                f"view_sizes={view_sizes} asks for {view_sizes} views, but X has only "
                f"n_features={n_features}: each view needs at least one column."
            )
        width, larger = divmod(n_features, int(view_sizes))
        return (width + 1,) * larger + (width,) * (int(view_sizes) - larger)
    sizes = tuple(view_sizes)
    if not sizes or not all(isinstance(size, Integral) and size >= 1 for size in sizes):
        raise ValueError(f"view_sizes must hold the positive widths of the views, got {sizes}.")
    if sum(sizes) != n_features:
        raise ValueError(
            f"view_sizes={sizes} adds up to {sum(sizes)} columns, but X has "
            f"n_features={n_features}."
        )
    return tuple(int(size) for size in sizes)


def _separate_views(X):
    """Return (arrays, labels) when X holds separate views, (None, None) when it is a table."""
    if isinstance(X, MultiViewData):
        return X.views, [_label(k, name) for k, name in enumerate(X.view_names)]
    if isinstance(X, (list, tuple)) and X:
        dims = [len(getattr(view, "shape", ())) for view in X]
        if all(dim == 2 for dim in dims):
            arrays = list(X)
        elif any(dim == 2 for dim in dims):
            k = next(k for k, dim in enumerate(dims) if dim != 2)
            found = getattr(X[k], "shape", type(X[k]).__name__)
            raise ValueError(
                f"view {k} is not a 2D array (n_samples, n_features): found {found}, while "
                f"view {dims.index(2)} has shape {X[dims.index(2)].shape}."
            )
        else:
            return None, None
    elif getattr(X, "ndim", None) == 3:
        if X.shape[0] == 0:
            raise ValueError(f"X has shape {X.shape}, with no view: at least one is needed.")
        arrays = [X[k] for k in range(X.shape[0])]
    else:
        return None, None
    return arrays, [f"view {k}" for k in range(len(arrays))]


def _label(k, name):
    return f"view {k}" if name == f"view{k}" else f"view {k} ({name})"


def _check_each(arrays, labels, dtype, min_samples, estimator):
    """Check each view, then that they fit together."""
    counts = [array.shape[0] for array in arrays]
    if len(set(counts)) > 1:
        listed = ", ".join(f"{label}: {n}" for label, n in zip(labels, counts, strict=True))
        raise ValueError(f"All views must have the same number of samples, found {listed}.")
    blocks = [
        _check_one(array, label, dtype, min_samples, estimator)
        for array, label in zip(arrays, labels, strict=True)
    ]
    if len({block.dtype for block in blocks}) > 1:
        blocks = [block.astype(dtype[0], copy=False) for block in blocks]
    return blocks


def _check_one(array, label, dtype, min_samples, estimator):
    try:
        return check_array(
            array,
            dtype=list(dtype),
            ensure_min_samples=min_samples,
            input_name=label,
            estimator=estimator,
        )
    except (TypeError, ValueError) as error:
        if label in str(error):
            raise
        # Some of scikit-learn's messages do not say which array they are about.
        raise type(error)(f"{label}: {error}") from error


def _validate_table(estimator, X, sizes, dtype, min_samples, views):
    """Validate one table and cut it: by the parameter when sizes is None, else by sizes."""
    checks = {"dtype": list(dtype), "ensure_min_samples": min_samples}
    if views is None:
        table = validate_data(estimator, X, reset=sizes is None, **checks)
        cut = getattr(estimator, "view_sizes", None) if sizes is None else sizes
        return split_columns(table, cut)
    table = check_array(X, input_name="X", estimator=estimator, **checks)
    name = type(estimator).__name__
    if table.shape[1] != sum(sizes):
        raise ValueError(
            f"X has {table.shape[1]} features, but the views {list(views)} of {name} were fitted "
            f"with {sum(sizes)} features, of sizes {sizes}."
        )
    _check_partial_names(estimator, X, views, name)
    return split_columns(table, sizes)


def _check_partial_names(estimator, X, views, name):
    """Compare the columns of a dataframe that holds some views with those seen in fit."""
    if not hasattr(estimator, "feature_names_in_") or not hasattr(X, "columns"):
        return
    stops = np.cumsum(estimator.view_sizes_)
    starts = stops - estimator.view_sizes_
    fitted = [c for v in views for c in estimator.feature_names_in_[starts[v] : stops[v]]]
    if list(X.columns) != fitted:
        raise ValueError(
            f"The feature names should match those of the views {list(views)} that {name} was "
            f"fitted with: {fitted}, got {list(X.columns)}."
        )


def _check_fitted_sizes(found, fitted, name, *, partial):
    if len(found) != len(fitted):
        if partial:
            raise ValueError(f"X has {len(found)} views, but views= names {len(fitted)} of them.")
        raise ValueError(
            f"X has {len(found)} views, but {name} was fitted with {len(fitted)} views. To split "
            "a list of views by sample, wrap it in MultiViewData. If only some of the fitted "
            "views are present, say which with views=[...], where the method has it."
        )
    if found != fitted:
        k = next(k for k in range(len(found)) if found[k] != fitted[k])
        raise ValueError(
            f"X has views of sizes {found}, but {name} was fitted with views of sizes {fitted}: "
            f"view {k} has {found[k]} features, {fitted[k]} expected."
        )


def _forget_feature_names(estimator):
    if hasattr(estimator, "feature_names_in_"):
        del estimator.feature_names_in_


def _widths(blocks):
    return tuple(block.shape[1] for block in blocks)
