"""MultiViewData: indexing, protocols, and its life inside scikit-learn's model selection."""

import copy
import pickle

import joblib
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse
from sklearn.model_selection import KFold, TimeSeriesSplit, train_test_split
from sklearn.preprocessing import StandardScaler
from sklearn.utils import resample, shuffle

from mvica import MultiViewData


@pytest.fixture
def views():
    rng = np.random.default_rng(0)
    return [rng.standard_normal((12, d)) for d in (3, 1, 4)]


@pytest.fixture
def X(views):
    return MultiViewData(views)


def test_attributes(X, views):
    assert (X.n_views, X.n_samples, X.view_sizes) == (3, 12, (3, 1, 4))
    assert (X.shape, X.ndim, len(X), X.dtype) == ((12, 8), 2, 12, np.float64)
    assert X.view_names == ("view0", "view1", "view2")
    assert all(kept is given_ for kept, given_ in zip(X.views, views, strict=True))


@pytest.mark.parametrize(
    "rows",
    [
        slice(2, 9, 3),
        slice(None, None, -1),
        [0, 5, 5, -1],
        [],
        np.array([11, 0]),
        np.arange(12) % 2 == 0,
        np.arange(12) < 0,
        [True] * 3 + [False] * 9,
        pd.Series([4, 2]),
        range(3),
    ],
    ids=repr,
)
def test_rows_are_taken_in_every_view(X, views, rows):
    index = rows if isinstance(rows, slice) else np.asarray(rows)
    index = index.astype(int) if np.size(rows) == 0 else index
    for taken in (X[rows], X[rows, ...]):
        assert isinstance(taken, MultiViewData)
        for part, view in zip(taken.views, views, strict=True):
            np.testing.assert_array_equal(part, view[index])


@pytest.mark.parametrize("row", [0, -12, 11, np.int32(4)])
def test_an_int_gives_one_sample(X, row):
    np.testing.assert_array_equal(np.asarray(X[row]), np.asarray(X)[[row]])


@given(rows=st.lists(st.integers(-12, 11), max_size=30))
def test_indexing_the_container_is_indexing_the_table(rows):
    table = np.arange(12 * 5).reshape(12, 5)
    X = MultiViewData([table[:, :2], table[:, 2:]])
    np.testing.assert_array_equal(np.asarray(X[rows]), table[np.array(rows, dtype=int)])


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ((slice(None), 0), "indexed by sample only"),
        ((slice(None), slice(None)), "indexed by sample only"),
        ((slice(None),), "indexed by sample only"),
        ("view0", "view_names.index"),
        (None, "got an index of shape"),
        (True, "got an index of shape"),
        (1.5, "got an index of shape"),
        ([1.5], "type float64"),
        ([[0, 1]], "shape \\(1, 2\\)"),
        ([True, False], "length 2, expected 12"),
        (12, "out of bounds"),
    ],
)
def test_other_indices_raise(X, rows, message):
    with pytest.raises(IndexError, match=message):
        X[rows]


def test_iteration_points_to_views(X):
    with pytest.raises(TypeError, match=r"\.views"):
        iter(X)
    with pytest.raises(TypeError, match="not iterable"):
        0 in X  # noqa: B015


def test_slices_share_memory(X, views):
    assert all(np.shares_memory(a, b) for a, b in zip(X[2:7].views, views, strict=True))


def test_table(X, views):
    np.testing.assert_array_equal(np.asarray(X), np.hstack(views))
    assert np.asarray(X, dtype=np.float32).dtype == np.float32
    with pytest.raises(ValueError, match="without a copy"):
        np.asarray(X, copy=False)


def test_table_of_one_view_is_that_view(views):
    X = MultiViewData(views[:1])
    assert np.asarray(X) is views[0]
    assert np.asarray(X, copy=False) is views[0]
    assert not np.shares_memory(np.array(X, copy=True), views[0])


def test_dtype_holds_every_view():
    f32, f64, i64 = (np.zeros((4, 2), dtype=t) for t in (np.float32, np.float64, np.int64))
    assert MultiViewData([f32, f32]).dtype == np.float32
    assert MultiViewData([f32, f64]).dtype == np.float64
    assert np.asarray(MultiViewData([f32, i64])).dtype == MultiViewData([f32, i64]).dtype


def test_other_sources_of_views(X, views):
    frame = pd.DataFrame(views[0], columns=list("abc"))
    np.testing.assert_array_equal(MultiViewData([frame]).views[0], views[0])
    cube = np.arange(24.0).reshape(2, 4, 3)
    assert MultiViewData(cube).view_sizes == (3, 3)
    again = MultiViewData(X)
    assert again.views == X.views
    assert again.view_names == X.view_names


def test_memory_map_stays_on_disk(tmp_path, views):
    np.save(tmp_path / "view.npy", views[0])
    view = np.load(tmp_path / "view.npy", mmap_mode="r")
    X = MultiViewData([view, views[1]])
    assert X.views[0] is view
    assert isinstance(X[3:6].views[0], np.memmap)


@pytest.mark.parametrize(
    "copier", [copy.copy, copy.deepcopy, lambda X: pickle.loads(pickle.dumps(X))]
)
def test_copies(X, copier):
    X = MultiViewData(X.views, view_names=["a", "b", "c"])
    other = copier(X)
    np.testing.assert_array_equal(np.asarray(other), np.asarray(X))
    assert other.view_names == X.view_names


def test_joblib_dump_and_hash(X, tmp_path):
    joblib.dump(X, tmp_path / "X.joblib")
    loaded = joblib.load(tmp_path / "X.joblib")
    np.testing.assert_array_equal(np.asarray(loaded), np.asarray(X))
    assert joblib.hash(X) == joblib.hash(MultiViewData(X.views))
    assert joblib.hash(X) != joblib.hash(X[::-1])


def test_names_follow_the_rows(views):
    X = MultiViewData(views, view_names=["meg", "eeg", "fmri"])
    assert X[:3].view_names == ("meg", "eeg", "fmri")


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (([],), ValueError, "empty"),
        ((np.zeros((4, 2)),), TypeError, r"\(4, 2\).*write \[X\]"),
        (([np.zeros((4, 2)), np.zeros(4)],), ValueError, r"view1 has shape \(4,\)"),
        (([np.zeros((4, 2)), np.zeros((5, 2))],), ValueError, "view0: 4, view1: 5"),
        (([np.zeros((4, 2)), sparse.csr_array((4, 2))],), TypeError, "view 1 is sparse"),
    ],
)
def test_bad_views(arguments, error, message):
    with pytest.raises(error, match=message):
        MultiViewData(*arguments)


@pytest.mark.parametrize(
    ("names", "error", "message"),
    [
        (["a", "b"], ValueError, "3 views but 2 view_names"),
        (["a", "b", "a"], ValueError, "different"),
        (["a", "b", 3], TypeError, "must be str"),
        ("abc", TypeError, "sequence of str"),
    ],
)
def test_bad_names(views, names, error, message):
    with pytest.raises(error, match=message):
        MultiViewData(views, view_names=names)


def test_unequal_samples_use_the_names(views):
    with pytest.raises(ValueError, match="sub-1: 12, sub-2: 11"):
        MultiViewData([views[0], views[1][:11]], view_names=["sub-1", "sub-2"])


def test_repr(X):
    assert repr(X) == (
        "MultiViewData(12 samples, 3 views: view0 (3 features), view1 (1 feature), "
        "view2 (4 features), float64)"
    )
    many = MultiViewData(np.zeros((50, 4, 2)))
    assert "50 views: view0 (2 features)" in repr(many)
    assert "..., view48 (2 features), view49 (2 features)" in repr(many)


def test_splitters(X):
    table = np.asarray(X)
    for splitter in (KFold(3), KFold(4, shuffle=True, random_state=0), TimeSeriesSplit(3)):
        for train, test in splitter.split(X):
            np.testing.assert_array_equal(np.asarray(X[train]), table[train])
            np.testing.assert_array_equal(np.asarray(X[test]), table[test])


def test_sampling_tools(X):
    table, y = np.asarray(X), np.arange(12)
    for shuffled in (True, False):
        parts = train_test_split(X, y, shuffle=shuffled, random_state=0 if shuffled else None)
        np.testing.assert_array_equal(np.asarray(parts[0]), table[parts[2]])
        np.testing.assert_array_equal(np.asarray(parts[1]), table[parts[3]])
    for tool in (resample, shuffle):
        taken, order = tool(X, y, random_state=0)
        np.testing.assert_array_equal(np.asarray(taken), table[order])


def test_other_estimators_see_one_table(X):
    scaled = StandardScaler().fit_transform(X)
    np.testing.assert_array_equal(scaled, StandardScaler().fit_transform(np.asarray(X)))
