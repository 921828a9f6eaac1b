import functools
import gzip
import json
import os
import tempfile
from pathlib import Path

import numpy as np
import pytest

from mvica.meg import ica as ica_module
from mvica.meg import sensor_patterns, to_mne_ica, to_views

mne = pytest.importorskip("mne")

DATA = Path(os.environ.get("MVICA_TEST_DATA", "../shared/data")) / "meg"
pytestmark = [
    pytest.mark.skipif(not DATA.is_dir(), reason=f"no {DATA}: set MVICA_TEST_DATA"),
    pytest.mark.filterwarnings("ignore:After Maxwell filtering"),
]
QUIET = {"verbose": "ERROR"}
TOLERANCE = 1e-10


@functools.cache
def averages():
    folder = Path(tempfile.mkdtemp())
    packed = (DATA / "test-ave.fif.gz").read_bytes()
    (folder / "test-ave.fif").write_bytes(gzip.decompress(packed))
    return mne.read_evokeds(folder / "test-ave.fif", proj=False, **QUIET)


@functools.cache
def continuous(name):
    return mne.io.read_raw(DATA / name, preload=True, **QUIET)


@functools.cache
def epochs():
    raw = continuous("sample_audvis_trunc_raw_sss.fif")
    events = np.array([[raw.first_samp + 60 * k, 0, 1] for k in range(4)])
    return mne.Epochs(raw, events, tmin=0, tmax=0.15, baseline=None, preload=True, **QUIET)


def recording(name):
    if name == "raw after SSS":
        return continuous("sample_audvis_trunc_raw_sss.fif")
    if name == "raw with idle projections":
        return continuous("141027_cropped_90Hz_raw.fif")
    return epochs() if name == "epochs" else averages()[0].copy()


def samples(inst):
    """Samples by channels, epochs end to end."""
    x = inst.get_data()
    return (np.hstack(list(x)) if x.ndim == 3 else x).T


def error(found, expected):
    return np.abs(found - expected).max() / np.abs(expected).max()


def random_unmixing(views, p):
    return np.random.default_rng(0).normal(size=(p, views.view_sizes[0]))


def check_identities(inst, ica, record, W, also=()):
    """Compare an ICA object with the plain formulas, on recordings with the channels."""
    k, names = W.shape[1], list(record.ch_names)
    for one in (inst, *also):
        projected = one.copy().pick(names, **QUIET).apply_proj(**QUIET)
        Y = record.reduce(samples(projected), k) @ W.T
        for same in (one, projected):
            assert error(samples(ica.get_sources(same)), Y) < TOLERANCE
        own = one.copy().pick(names, **QUIET)
        for same in (own, projected):
            cleaned = ica.apply(same.copy(), exclude=[], **QUIET)
            assert error(samples(cleaned), samples(same)) < TOLERANCE
        # One component is a rank-one part of the scaled data: a map times its source.
        cleaned = samples(ica.apply(own.copy(), exclude=[0], **QUIET))
        U = W @ record.pca_components[:k]
        pattern = np.linalg.pinv(U)[:, 0]
        if record.whitener is not None:
            pattern = np.linalg.pinv(record.whitener) @ pattern
        else:
            pattern = pattern * record.scale
        if record.projector is None:
            assert error(samples(own) - cleaned, np.outer(Y[:, 0], pattern)) < TOLERANCE


@pytest.mark.parametrize("name", ["raw after SSS", "raw with idle projections", "epochs", "evoked"])
@pytest.mark.parametrize("picks", ["mag", "meg"])
@pytest.mark.parametrize(("k", "p"), [(6, 6), (20, 6), (None, 6)])
def test_sources_and_cleaning(name, picks, k, p):
    inst = recording(name)
    views = to_views([inst], picks, n_components=k, average="trials")
    W, record = random_unmixing(views, p), views.records[0]
    ica = to_mne_ica(W, record)
    check_identities(inst, ica, record, W)
    np.testing.assert_allclose(
        ica.get_components(), np.linalg.pinv(W @ record.pca_components[: W.shape[1]]), rtol=1e-8
    )
    assert ica.current_fit == ("raw" if name.startswith("raw") else "epochs")


@pytest.mark.parametrize("name", ["raw after SSS", "epochs", "evoked"])
def test_eeg(name):
    inst = recording(name)
    views = to_views([inst], "eeg", n_components=12, average="trials")
    W = random_unmixing(views, 5)
    check_identities(inst, to_mne_ica(W, views.records[0]), views.records[0], W)


@pytest.mark.parametrize("picks", ["mag", "meg"])
@pytest.mark.parametrize("k", [20, None])
@pytest.mark.parametrize("name", ["raw after SSS", "evoked"])
def test_noise_covariance(picks, k, name):
    inst = recording(name)
    cov = mne.read_cov(DATA / "test-cov.fif", **QUIET)
    views = to_views([inst], picks, n_components=k, scale="cov", noise_cov=cov)
    W, record = random_unmixing(views, 6), views.records[0]
    ica = to_mne_ica(W, record)
    assert isinstance(ica.noise_cov, mne.Covariance)
    check_identities(inst, ica, record, W)


def test_another_recording_of_the_subject():
    first, second = averages()[:2]
    views = to_views([first.copy().crop(0, 0.2)], "meg", n_components=20)
    W, record = random_unmixing(views, 6), views.records[0]
    assert record.rank < len(first.copy().crop(0, 0.2).times)
    check_identities(first, to_mne_ica(W, record), record, W, also=[second])


def test_bads_dropped_by_subject_also_after_projection():
    group = [averages()[0].copy(), averages()[1].copy(), averages()[2].copy()]
    group[1].info["bads"] = ["MEG 2443", "MEG 0113"]
    group[2].apply_proj(**QUIET)
    group[2].info["bads"] = ["MEG 0111"]
    views = to_views(group, "meg", n_components=20)
    for v, n_channels in enumerate([306, 304, 305]):
        record = views.records[v]
        assert len(record.ch_names) == n_channels
        W = random_unmixing(views, 6)
        check_identities(group[v], to_mne_ica(W, record), record, W)


def test_projections_that_mix_types_are_kept_in_the_unmixing():
    rng = np.random.default_rng(0)
    info = mne.create_info([f"MEG{i}" for i in range(6)], 100.0, ["mag"] * 3 + ["grad"] * 3)
    direction = rng.normal(size=(1, 6))
    data = {
        "col_names": info["ch_names"],
        "row_names": None,
        "nrow": 1,
        "ncol": 6,
        "data": direction / np.linalg.norm(direction),
    }
    x = rng.normal(size=(6, 200)) * np.array([[1e-13] * 3 + [1e-11] * 3]).T
    raw = mne.io.RawArray(x, info, **QUIET)
    raw.add_proj(mne.Projection(kind=1, active=False, desc="mixed", data=data), **QUIET)
    views = to_views([raw], "meg")
    record = views.records[0]
    assert record.projector is not None
    W = random_unmixing(views, 3)
    check_identities(raw, to_mne_ica(W, record), record, W)


@pytest.mark.parametrize("scale", ["type", "cov"])
@pytest.mark.filterwarnings("ignore:Version 0.6")
def test_save_and_read(tmp_path, scale):
    inst = recording("raw after SSS")
    cov = mne.read_cov(DATA / "test-cov.fif", **QUIET) if scale == "cov" else None
    views = to_views([inst], "meg", n_components=20, scale=scale, noise_cov=cov)
    W, record = random_unmixing(views, 6), views.records[0]
    params = {"estimator": "MVICAD2", "delay_s": [0.001, -0.002], "dilation": [1.0, 1.01]}
    to_mne_ica(W, record, fit_params=params).save(tmp_path / "x-ica.fif", **QUIET)
    ica = mne.preprocessing.read_ica(tmp_path / "x-ica.fif", **QUIET)
    check_identities(inst, ica, record, W)
    assert ica.fit_params == {"mvica": params}
    assert ica.method == "mvica"
    assert ica.n_samples_ == views.n_samples


def test_mean_of_the_reduced_view_is_subtracted():
    inst = recording("evoked")
    views = to_views([inst], n_components=8)
    W, mean = random_unmixing(views, 3), np.arange(8.0)
    ica = to_mne_ica(W, views.records[0], mean=mean)
    found = ica.get_sources(inst).get_data().T
    assert error(found, (views.views[0] - mean) @ W.T) < TOLERANCE


def test_maps_of_the_object_are_the_patterns_in_scaled_units():
    views = to_views([recording("raw after SSS")], n_components=8)
    record = views.records[0]
    W = random_unmixing(views, 8)
    ours = sensor_patterns(W, record, "pinv")
    theirs = to_mne_ica(W, record).get_components() * record.scale[:, None]
    np.testing.assert_allclose(ours, theirs * (views.views[0] @ W.T).std(axis=0), rtol=1e-9)


def test_object_describes_itself():
    inst = recording("raw after SSS")
    views = to_views([inst], n_components=8)
    ica = to_mne_ica(random_unmixing(views, 3), views.records[0])
    text = repr(ica)
    assert "mvica" in text
    assert "3 ICA components" in text
    ratio = ica.get_explained_variance_ratio(inst, components=[0, 1, 2], ch_type="mag")
    assert 0 < ratio["mag"] <= 1
    json.dumps(ica.fit_params)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_plots_of_mne(monkeypatch):
    import matplotlib

    matplotlib.use("Agg")
    inst = recording("raw with idle projections")
    views = to_views([inst], n_components=8)
    ica = to_mne_ica(random_unmixing(views, 3), views.records[0])
    assert ica.plot_components(show=False, **QUIET)
    assert ica.plot_properties(inst, picks=[0], show=False, **QUIET)
    assert ica.plot_overlay(inst, exclude=[0], show=False, **QUIET)
    assert ica.plot_sources(averages()[0], show=False, **QUIET)


def test_shapes_that_do_not_fit():
    record = to_views([recording("raw after SSS")], n_components=8).records[0]
    for shape in ((9, 8), (3, 70), (8,)):
        with pytest.raises(ValueError, match=r"expected \(n_components, k\)"):
            to_mne_ica(np.ones(shape), record)


def test_a_change_inside_mne_is_an_error(monkeypatch):
    def elsewhere(self, data):
        return data[: self.n_components_]

    ica_module._check_internals.cache_clear()
    monkeypatch.setattr(mne.preprocessing.ICA, "_transform", elsewhere)
    views = to_views([recording("evoked")], n_components=4)
    with pytest.raises(RuntimeError, match="has changed what its ICA objects are made of"):
        to_mne_ica(np.eye(4), views.records[0])
    monkeypatch.undo()
    to_mne_ica(np.eye(4), views.records[0])
