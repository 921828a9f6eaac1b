"""The forms of multi-view data, the cutting of tables, and the texts of errors."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse
from sklearn.base import BaseEstimator

from mvica import MultiViewData
from mvica._validation import check_view_indices, check_views, split_columns, validate_views


class Recorder(BaseEstimator):
    """An estimator that only validates."""

    def __init__(self, view_sizes=None):
        self.view_sizes = view_sizes

    def fit(self, X):
        self.blocks = validate_views(self, X, reset=True)
        return self

    def again(self, X, views=None):
        return validate_views(self, X, reset=False, min_samples=1, views=views)


@pytest.fixture
def views():
    rng = np.random.default_rng(0)
    return [rng.standard_normal((10, d)) for d in (3, 2, 4)]


@pytest.fixture
def fitted(views):
    return Recorder().fit(views)


def assert_same(blocks, views):
    assert isinstance(blocks, list)
    for block, view in zip(blocks, views, strict=True):
        np.testing.assert_array_equal(block, view)
        assert block.dtype == view.dtype


FORMS = {
    "list": list,
    "tuple": tuple,
    "container": MultiViewData,
    "pandas": lambda views: [pd.DataFrame(view) for view in views],
    "polars": lambda views: [pl.DataFrame(view) for view in views],
    "fortran": lambda views: [np.asfortranarray(view) for view in views],
    "table": np.hstack,
    "table as lists": lambda views: np.hstack(views).tolist(),
    "table as dataframe": lambda views: pd.DataFrame(np.hstack(views)),
}


@pytest.mark.parametrize("form", FORMS)
def test_forms(views, form):
    est = Recorder(view_sizes=(3, 2, 4)).fit(FORMS[form](views))
    assert_same(est.blocks, views)
    assert (est.n_features_in_, est.view_sizes_, est.n_views_) == (9, (3, 2, 4), 3)
    assert type(est.n_features_in_) is int
    for other in FORMS.values():
        assert_same(est.again(other(views)), views)
    assert_same(check_views(FORMS[form](views), view_sizes=(3, 2, 4)), views)


def test_cube_is_cut_along_its_first_axis():
    cube = np.random.default_rng(0).standard_normal((3, 10, 2))
    assert_same(Recorder(view_sizes=5).fit(cube).blocks, list(cube))
    assert_same(check_views(cube), list(cube))


def test_list_of_rows_is_one_table(views):
    for rows in (views[0].tolist(), list(views[0])):
        assert_same(Recorder().fit(rows).blocks, views[:1])


@given(n_features=st.integers(1, 30), data=st.data())
def test_equal_blocks_are_those_of_array_split(n_features, data):
    k = data.draw(st.integers(1, n_features))
    table = np.arange(2.0 * n_features).reshape(2, n_features)
    assert_same(split_columns(table, k), np.array_split(table, k, axis=1))


def test_blocks_of_a_table_have_the_layout_of_a_list():
    for table in (np.ones((6, 5)), np.ones((6, 5), order="F"), np.ones((12, 5))[::2]):
        assert all(block.flags.c_contiguous for block in split_columns(table, (2, 3)))


def test_nothing_is_copied_without_need(views):
    assert all(np.shares_memory(a, b) for a, b in zip(check_views(views), views, strict=True))
    assert np.shares_memory(check_views(views[0])[0], views[0])
    cube = np.zeros((2, 4, 3))
    assert all(np.shares_memory(block, cube) for block in check_views(cube))


@pytest.mark.parametrize(
    ("dtypes", "expected"),
    [
        ((np.float64, np.float64), np.float64),
        ((np.float32, np.float32), np.float32),
        ((np.float32, np.float64), np.float64),
        ((np.float32, np.int32), np.float64),
        ((np.int64, np.bool_), np.float64),
        ((np.float16, np.float16), np.float64),
        ((object, np.float32), np.float64),
    ],
)
def test_types(dtypes, expected):
    views = [np.ones((4, 2)).astype(dtype) for dtype in dtypes]
    blocks = check_views(views)
    assert [block.dtype for block in blocks] == [expected, expected]
    assert [view.dtype for view in views] == [np.dtype(dtype) for dtype in dtypes]


def test_feature_names_come_from_one_dataframe_only(views):
    table = pd.DataFrame(np.hstack(views), columns=list("abcdefghi"))
    est = Recorder(view_sizes=(3, 2, 4)).fit(table)
    assert list(est.feature_names_in_) == list("abcdefghi")
    assert_same(est.again(views), views)
    assert not hasattr(est.fit(views), "feature_names_in_")


def with_value(view, value, dtype=None):
    changed = view.astype(dtype or view.dtype)
    changed[1, 1] = value
    return changed


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda X: with_value(X, np.nan), ValueError, "view 1 contains NaN"),
        (lambda X: with_value(X, np.inf), ValueError, "view 1 contains infinity"),
        (lambda X: X + 1j, ValueError, "(?s)view 1: .*Complex data not supported"),
        (lambda X: with_value(X, "a", object), ValueError, "view 1: could not convert"),
        (sparse.csr_array, TypeError, "Sparse data was passed for view 1"),
        (lambda X: X[:, :0], ValueError, "view 1: Found array with 0 feature"),
        (lambda X: X[:7], ValueError, "view 0: 10, view 1: 7, view 2: 10"),
        (lambda X: X[:, 0], ValueError, r"view 1 is not a 2D array .*\(10,\)"),
        (lambda X: X[None], ValueError, r"view 1 is not a 2D array .*\(1, 10, 2\)"),
        (lambda X: None, ValueError, "view 1 is not a 2D array .*NoneType"),
    ],
)
def test_bad_view_is_named(views, fitted, change, error, message):
    bad = [views[0], change(views[1]), views[2]]
    for call in (Recorder().fit, fitted.again, check_views):
        with pytest.raises(error, match=message):
            call(bad)


def test_own_names_of_views_are_in_errors(views):
    X = MultiViewData([views[0], with_value(views[1], np.nan)], view_names=["meg", "eeg"])
    with pytest.raises(ValueError, match=r"view 1 \(eeg\) contains NaN"):
        check_views(X)


def test_too_few(views):
    for call in (Recorder().fit, check_views):
        with pytest.raises(ValueError, match="view 0: Found array with 1 sample"):
            call([view[:1] for view in views])
        with pytest.raises(ValueError, match="with no view"):
            call(np.zeros((0, 4, 3)))
        with pytest.raises(ValueError, match="Expected 2D array"):
            call([])
    with pytest.raises(ValueError, match=r"X has 1 view\(s\), at least 2 are needed"):
        check_views(views[0], min_views=2)


@pytest.mark.parametrize(
    ("view_sizes", "message"),
    [
        (4, "view_sizes=4 asks for 4 views, but X has only n_features=3"),
        (0, "view_sizes=0"),
        ((2, 2), r"view_sizes=\(2, 2\) adds up to 4 columns, but X has n_features=3"),
        ((3, 0), "positive widths"),
        ((1.5, 1.5), "positive widths"),
        ((), "positive widths"),
    ],
)
def test_bad_view_sizes(views, view_sizes, message):
    with pytest.raises(ValueError, match=message):
        Recorder(view_sizes=view_sizes).fit(views[0])
    with pytest.raises(ValueError, match=message):
        check_views(views[0], view_sizes=view_sizes)


def test_errors_of_the_table_come_before_those_of_view_sizes(views):
    with pytest.raises(ValueError, match="Complex data not supported"):
        Recorder(view_sizes=9).fit(views[0] + 1j)
    with pytest.raises(ValueError, match="Input X contains NaN"):
        Recorder(view_sizes=9).fit(with_value(views[0], np.nan))


def test_other_data_than_fitted(views, fitted):
    with pytest.raises(ValueError, match=r"X has 2 views.*with 3 views.*MultiViewData.*views=\["):
        fitted.again(views[:2])
    with pytest.raises(ValueError, match=r"\(3, 4, 2\).*\(3, 2, 4\): view 1 has 4 features, 2"):
        fitted.again([views[0], views[2], views[1]])
    with pytest.raises(ValueError, match="X has 8 features, but Recorder is expecting 9"):
        fitted.again(np.hstack(views)[:, 1:])


@pytest.mark.parametrize(
    "present", [[0, 1, 2], [0, 2], [2, 0], [1], (2, 1), np.array([2])], ids=repr
)
def test_views_that_are_present(views, fitted, present):
    held = [views[v] for v in present]
    for form in (list, MultiViewData, np.hstack):
        assert_same(fitted.again(form(held), views=present), held)


@pytest.mark.parametrize(
    ("present", "message"),
    [
        ([0, 3], "between 0 and 2.* got 3"),
        ([0, -1], "between 0 and 2.* got -1"),
        ([0, 1.0], "got 1.0"),
        ([0, True], "got True"),
        ([0, "eeg"], "got 'eeg'"),
        ([1, 1], "only once"),
        ([], "at least one"),
        (1, "must be a sequence"),
        ("01", "must be a sequence"),
    ],
)
def test_bad_indices_of_views(views, fitted, present, message):
    with pytest.raises(ValueError, match=message):
        fitted.again(views[:2], views=present)
    with pytest.raises(ValueError, match=message):
        check_view_indices(present, 3)


def test_data_that_do_not_fit_the_indices(views, fitted):
    with pytest.raises(ValueError, match="X has 3 views, but views= names 2"):
        fitted.again(views, views=[0, 1])
    with pytest.raises(ValueError, match=r"\(3, 2\), but .*\(3, 4\): view 1 has 2 features, 4"):
        fitted.again(views[:2], views=[0, 2])
    with pytest.raises(ValueError, match=r"X has 5 features, but the views \[0, 2\].* 7 features"):
        fitted.again(np.hstack(views[:2]), views=[0, 2])


def test_names_of_a_dataframe_with_some_views(views):
    table = pd.DataFrame(np.hstack(views), columns=list("abcdefghi"))
    est = Recorder(view_sizes=(3, 2, 4)).fit(table)
    assert_same(est.again(table[list("fghiabc")], views=[2, 0]), [views[2], views[0]])
    with pytest.raises(ValueError, match="feature names should match"):
        est.again(table[list("abcfghi")], views=[2, 0])


def test_validation_in_transform_sets_nothing(views, fitted):
    before = dict(vars(fitted))
    fitted.again(np.hstack(views))
    fitted.again(views[:1], views=[0])
    assert vars(fitted) == before
