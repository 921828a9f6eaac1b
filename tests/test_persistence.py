import hashlib
import json
import os
import warnings
import zipfile
from dataclasses import is_dataclass
from importlib import import_module

import numpy as np
import pytest
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError

import mvica
from mvica import MultisetCCA, MultiViewICA, ShICAML, persistence
from mvica.base import MultiViewTransformer
from mvica.ica.densities import SUPER
from mvica.ica.mixture import Mixture
from mvica.persistence import load, save


def public_estimators():
    found = [getattr(mvica, name) for name in mvica.__all__ if name in mvica._PUBLIC]
    return [cls for cls in found if isinstance(cls, type) and issubclass(cls, BaseEstimator)]


def make_views():
    rng = np.random.default_rng(0)
    S = rng.laplace(size=(200, 2))
    return [S @ rng.normal(size=(2, d)) + 0.3 * rng.normal(size=(200, d)) for d in (4, 3, 5)]


@pytest.fixture
def model():
    return MultiViewICA(n_components=2, random_state=0).fit(make_views())


@pytest.fixture
def saved(model, tmp_path):
    save(model, tmp_path / "model.npz")
    return tmp_path / "model.npz"


def assert_same(a, b):
    assert type(a) is type(b)
    if isinstance(a, np.ndarray):
        assert a.dtype == b.dtype
        assert a.shape == b.shape
        np.testing.assert_array_equal(a, b)
    elif isinstance(a, (list, tuple)):
        assert len(a) == len(b)
        for x, y in zip(a, b, strict=True):
            assert_same(x, y)
    elif is_dataclass(a):
        assert_same(vars(a), vars(b))
    elif isinstance(a, dict):
        assert list(a) == list(b)
        assert_same(list(a.values()), list(b.values()))
    else:
        assert a == b or (a != a and b != b)


def make_data(cls, dtype):
    """Views for multi-view estimators; the others take one table."""
    rng = np.random.default_rng(0)
    S = rng.laplace(size=(200, 2))
    widths = (4, 4, 4)  # some estimators want the same variables in every view
    views = [S @ rng.normal(size=(2, d)) + 0.3 * rng.normal(size=(200, d)) for d in widths]
    views = [view.astype(dtype) for view in views]
    return views if issubclass(cls, MultiViewTransformer) else np.abs(views[0])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("cls", public_estimators(), ids=lambda cls: cls.__name__)
def test_round_trip_is_exact_for_every_estimator(cls, dtype, tmp_path):
    estimator = cls()
    if "random_state" in estimator.get_params():
        estimator.set_params(random_state=0)
    X = make_data(cls, dtype)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        estimator.fit(X)
    save(estimator, tmp_path / "model.npz")
    loaded = load(tmp_path / "model.npz")
    assert type(loaded) is cls
    assert_same(loaded.get_params(), estimator.get_params())
    assert_same(vars(loaded), vars(estimator))
    if hasattr(estimator, "transform"):
        assert loaded.transform(X).tobytes() == estimator.transform(X).tobytes()


def test_parameters_of_all_storable_kinds(tmp_path):
    views = make_views()
    table = np.concatenate(views, axis=1)
    start = MultiViewICA(2, random_state=0).fit(views).components_
    model = MultiViewICA(2, init=start, view_sizes=(4, 3, 5), output="concat", noise=np.float64(2))
    model.set_output(transform="pandas")
    model.fit(table)
    save(model, tmp_path / "m")
    loaded = load(tmp_path / "m")
    assert_same(loaded.get_params(), model.get_params())
    assert loaded.transform(table).equals(model.transform(table))


def test_density_of_your_own(tmp_path):
    density = Mixture([3, 1, 2], [0.2, 5, 1 / 3], means=[1, -2, 1 / 7])
    views = make_views()
    model = ShICAML(2, density=density, random_state=0, max_iter=500).fit(views)
    save(model, tmp_path / "m")
    loaded = load(tmp_path / "m")
    assert_same(loaded.get_params(), model.get_params())
    assert_same(loaded.fit(views).sources_, model.sources_)


def test_batches_continue_after_loading(tmp_path):
    views = make_views()
    model = MultisetCCA(2, random_state=0).partial_fit([X[:120] for X in views])
    save(model, tmp_path / "m")
    loaded = load(tmp_path / "m")
    assert_same(loaded.moments_.state(), model.moments_.state())
    rest = [X[120:] for X in views]
    assert_same(loaded.partial_fit(rest).components_, model.partial_fit(rest).components_)


def test_moments_that_do_not_fit_their_views_are_refused(tmp_path):
    model = MultisetCCA(2, random_state=0).partial_fit(make_views())
    model.moments_.mean = model.moments_.mean[:-1]
    save(model, tmp_path / "m")
    with pytest.raises(ValueError, match="sums of the moments do not fit"):
        load(tmp_path / "m")


def test_names_of_dataframe_columns(tmp_path):
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(make_views()[0], columns=["a", "b", "µ", "d"])
    model = MultiViewICA(2, random_state=0).fit(frame)
    save(model, tmp_path / "m")
    loaded = load(tmp_path / "m")
    assert list(loaded.feature_names_in_) == ["a", "b", "µ", "d"]
    assert loaded.feature_names_in_.dtype == object
    with pytest.raises(ValueError, match="feature names"):
        loaded.transform(frame.rename(columns={"a": "z"}))


def test_loaded_arrays_can_be_written_and_the_model_fitted_again(model, saved):
    loaded = load(saved)
    loaded.mean_[0] += 1
    loaded.fit(make_views())
    np.testing.assert_array_equal(loaded.sources_, model.sources_)


def test_equal_models_give_equal_files(model, saved, tmp_path):
    save(model, tmp_path / "again.npz")
    assert saved.read_bytes() == (tmp_path / "again.npz").read_bytes()


def test_numpy_opens_the_arrays(model, saved):
    with np.load(saved, allow_pickle=False) as archive:
        arrays = [archive[name] for name in archive.files if name != "header.json"]
    assert any(np.array_equal(array, model.components_[1]) for array in arrays)


# What cannot be saved ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"random_state": np.random.RandomState(0)}, "parameter random_state is of type Random"),
        ({"density": SUPER}, "parameter density is of type Density"),
    ],
)
def test_what_a_file_cannot_hold_is_named(params, words, tmp_path):
    model = MultiViewICA(2, **params).fit(make_views())
    with pytest.raises(TypeError, match=words):
        save(model, tmp_path / "model.npz")
    assert list(tmp_path.iterdir()) == []


def test_unfitted_and_foreign_estimators(tmp_path):
    class MultiViewICAChild(MultiViewICA):
        pass

    with pytest.raises(NotFittedError):
        save(MultiViewICA(), tmp_path / "m")
    with pytest.raises(TypeError, match="MultiViewICAChild is not a public estimator"):
        save(MultiViewICAChild(2).fit(make_views()), tmp_path / "m")
    assert list(tmp_path.iterdir()) == []


def test_a_failing_save_leaves_the_former_file(model, saved, monkeypatch):
    before = saved.read_bytes()

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        save(model.set_params(tol=1e-3), saved)
    assert saved.read_bytes() == before
    assert [path.name for path in saved.parent.iterdir()] == ["model.npz"]


# Damage ------------------------------------------------------------------------------------------


def test_every_kind_of_damage_is_refused(saved):
    content = saved.read_bytes()
    rng = np.random.default_rng(0)
    places = np.unique(np.r_[:200, rng.integers(len(content), size=400), -200:0] % len(content))
    for place in places:
        damaged = bytearray(content)
        damaged[place] ^= 1 << int(rng.integers(8))
        saved.write_bytes(damaged)
        with pytest.raises(ValueError, match="not a readable mvica model") as caught:
            load(saved)
        assert str(caught.value).startswith(str(saved))


def test_every_truncation_is_refused(saved):
    content = saved.read_bytes()
    for length in [*range(0, len(content), 97), len(content) - 1]:
        saved.write_bytes(content[:length])
        with pytest.raises(ValueError, match="not a readable mvica model"):
            load(saved)
    saved.write_bytes(content + b"\0")
    with pytest.raises(ValueError, match="not a readable mvica model"):
        load(saved)


def test_other_files_are_refused(tmp_path):
    path = tmp_path / "x.npz"
    path.write_text("hello")
    with pytest.raises(ValueError, match=r"x\.npz: not a readable mvica model"):
        load(path)
    np.savez(path, a=np.ones(3))
    with pytest.raises(ValueError, match=r"x\.npz: not a readable mvica model"):
        load(path)
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "no.npz")


# Files made to do harm, with a correct digest ----------------------------------------------------


def forge(path, header, members=(), compression=zipfile.ZIP_STORED):
    """Write an archive with any header and members, and a digest that fits."""
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("header.json", header if isinstance(header, str) else json.dumps(header))
        for name, content in members:
            archive.writestr(name, content)
        archive.comment = b"0" * 64
    content = path.read_bytes()[:-64]
    path.write_bytes(content + hashlib.sha256(content).hexdigest().encode())


def parts(path):
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        header = json.loads(archive.read("header.json"))
        return header, [(name, archive.read(name)) for name in names[1:]]


def test_a_forged_copy_of_a_good_model_is_good(saved, model):
    forge(saved, *parts(saved))
    assert_same(load(saved).sources_, model.sources_)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda h: h | {"class": "os.system"}, "'os.system' is not an estimator"),
        (lambda h: h | {"class": "MultiViewData"}, "'MultiViewData' is not an estimator"),
        (lambda h: h | {"class": "__version__"}, "'__version__' is not an estimator"),
        (lambda h: h | {"class": ["MultiViewICA"]}, "is not an estimator"),
        (lambda h: h | {"format": "other"}, "no header"),
        (lambda h: h | {"format_version": 2}, "format version 2, this mvica .* reads 1"),
        (lambda h: h | {"format_version": None}, "format version None"),
        (lambda h: {key: h[key] for key in h if key != "class"}, "class"),
        (lambda h: h | {"params": h["params"] | {"evil": 1}}, r"do not fit .*\['evil'\]"),
        (lambda h: h | {"params": {}}, "do not fit"),
        (lambda h: h | {"params": [1]}, "unknown form"),
        (lambda h: h | {"state": h["state"] | {"transform": 1}}, "not a fitted attribute"),
        (lambda h: h | {"state": h["state"] | {"__class__": 1}}, "not a fitted attribute"),
        (lambda h: h | {"state": h["state"] | {"_unmix": 1}}, "not a fitted attribute"),
        (lambda h: h | {"state": h["state"] | {"a b_": 1}}, "not a fitted attribute"),
        (lambda h: h | {"state": h["state"] | {"mean_": {"array": 999}}}, "unknown form"),
        (lambda h: h | {"state": h["state"] | {"mean_": {"array": -1}}}, "unknown form"),
        (lambda h: h | {"state": h["state"] | {"mean_": {"array": True}}}, "unknown form"),
        (lambda h: h | {"state": h["state"] | {"mean_": {"call": "x"}}}, "unknown form 'call'"),
        (lambda h: h | {"state": h["state"] | {"mean_": [1, 2]}}, "unknown form"),
        (lambda h: h | {"state": h["state"] | {"mean_": {"names": [1]}}}, "unknown form"),
        (lambda h: h | {"state": {"a_": {"record": {"class": "Popen", "fields": {}}}}}, "form"),
        (lambda h: h | {"state": {"a_": {"record": {"class": ["x"], "fields": {}}}}}, "readable"),
        (lambda h: h | {"state": {"a_": {"record": {"class": "TimingTest"}}}}, "fields"),
        (
            lambda h: h | {"state": {"a_": {"record": {"class": "TimingTest", "fields": {}}}}},
            "missing",
        ),
        (lambda h: [h], "no header"),
        (lambda h: "[" * 100_000, "not a readable mvica model"),
        (lambda h: "{", "not a readable mvica model"),
        (lambda h: "\x00\xff", "not a readable mvica model"),
        (lambda h: '{"format": ' + "9" * 5000 + "}", "not a readable mvica model"),
    ],
)
def test_forged_headers_are_refused(saved, change, words):
    header, members = parts(saved)
    forge(saved, change(header), members)
    with pytest.raises(ValueError, match=words):
        load(saved)


def npy(descr="<f8", shape=(2,), body=b"\0" * 16, fortran=False):
    text = f"{{'descr': {descr!r}, 'fortran_order': {fortran}, 'shape': {shape}, }}"
    text = text.ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode() + body


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (npy(shape=(10**12,)), "declares shape"),
        (npy(shape=(2**40, 2**40, 0), body=b"") + b"x", "declares shape"),
        (npy(shape=(-2,)), "not of numbers|declares shape"),
        (npy(shape=(3,)), "declares shape"),
        (npy(descr="|O", body=b"cos\nsystem\n"), "not of numbers"),
        (npy(descr="<U4", shape=(1,)), "not of numbers"),
        (npy(descr=[("a", "<f8")], shape=(2,)), "not of numbers"),
        (npy(descr="__import__('os')"), "not a readable mvica model"),
        (b"\x93NUMPY\x03\x00\x00\x00\x00\x7f{", "unknown format"),
        (b"cos\nsystem\n(S'true'\ntR.", "not a readable mvica model"),
        (b"", "not a readable mvica model"),
    ],
)
def test_forged_arrays_are_refused(saved, content, words):
    header, members = parts(saved)
    forge(saved, header, [(members[0][0], content), *members[1:]])
    with pytest.raises(ValueError, match=words):
        load(saved)


def test_forged_archives_are_refused(saved):
    header, members = parts(saved)
    forge(saved, header, members, zipfile.ZIP_DEFLATED)
    with pytest.raises(ValueError, match="declares a wrong size"):
        load(saved)
    forge(saved, header, [*members, ("../../evil.npy", npy())])
    with pytest.raises(ValueError, match="entries are not those"):
        load(saved)
    forge(saved, header, members[::-1])
    with pytest.raises(ValueError, match="entries are not those"):
        load(saved)


def test_only_modules_of_mvica_are_imported(saved, monkeypatch):
    imported = []

    def note(name):
        imported.append(name)
        return import_module(name)

    monkeypatch.setattr(persistence, "import_module", note)
    load(saved)
    assert set(imported) == {"mvica.ica.estimators"}
