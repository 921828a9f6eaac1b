import os
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mvica.datasets import make_meg_group
from mvica.meg import fit_dipoles, patterns_to_evoked, sensor_patterns, sources_to_mne, to_views

mne = pytest.importorskip("mne")

DATA = Path(os.environ.get("MVICA_TEST_DATA", "../shared/data")) / "meg"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason=f"no {DATA}: set MVICA_TEST_DATA")
QUIET = {"verbose": "ERROR"}
DATE = datetime(2020, 5, 1, 12, tzinfo=UTC)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def make_info(n=4, sfreq=100.0):
    info = mne.create_info(n, sfreq, "mag", **QUIET)
    info.set_meas_date(DATE)
    info["subject_info"] = {"his_id": "S1"}
    return info


# Sources -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("orig_time", [None, DATE])
def test_raw_keeps_times_and_annotations(rng, tmp_path, orig_time):
    raw = mne.io.RawArray(rng.normal(size=(4, 200)), make_info(), first_samp=50, **QUIET)
    onset = 0.3 if orig_time is None else 0.8
    raw.set_annotations(mne.Annotations([onset], [0.1], ["tone"], orig_time=orig_time))
    S = rng.normal(size=(200, 3))
    sources = sources_to_mne(S, raw)
    path = tmp_path / "sources_raw.fif"
    sources.save(path, fmt="double", **QUIET)
    for one in (sources, mne.io.read_raw(path, preload=True, **QUIET)):
        np.testing.assert_allclose(one.get_data(picks="all").T, S, rtol=1e-12)
        assert one.ch_names == ["MV000", "MV001", "MV002"]
        assert one.get_channel_types() == ["misc"] * 3
        assert one.first_samp == 50
        assert one.info["meas_date"] == DATE
        assert one.info["subject_info"]["his_id"] == "S1"
        np.testing.assert_allclose(one.annotations.onset, raw.annotations.onset)
        assert one.annotations.orig_time == raw.annotations.orig_time
        events, _ = mne.events_from_annotations(one, **QUIET)
        np.testing.assert_array_equal(events, mne.events_from_annotations(raw, **QUIET)[0])


@pytest.mark.filterwarnings("ignore:The inplace keyword")  # of pandas, in MNE
def test_epochs_keep_events_and_metadata(rng, tmp_path):
    events = np.array([[10, 0, 1], [60, 0, 2], [110, 0, 1]])
    metadata = pd.DataFrame({"age": [3, 4, 5]})
    data = rng.normal(size=(3, 4, 40))
    event_id = {"tone": 1, "flash": 2}
    epochs = mne.EpochsArray(
        data, make_info(), events, -0.1, event_id, metadata=metadata, baseline=None, **QUIET
    )
    S = rng.normal(size=(120, 2))
    sources = sources_to_mne(S, epochs)
    sources.save(tmp_path / "sources-epo.fif", fmt="double", **QUIET)
    for one in (sources, mne.read_epochs(tmp_path / "sources-epo.fif", **QUIET)):
        found = one.get_data(picks="all")
        np.testing.assert_allclose(np.hstack(list(found)).T, S, rtol=1e-12)
        np.testing.assert_array_equal(one.events, events)
        assert one.event_id == {"tone": 1, "flash": 2}
        assert one.metadata["age"].tolist() == [3, 4, 5]
        np.testing.assert_allclose(one.times, epochs.times)
        assert one.info["meas_date"] == DATE
    average = sources_to_mne(S, epochs, kind="evoked")
    np.testing.assert_allclose(average.data.T, S.reshape(3, 40, 2).mean(axis=0))
    assert average.nave == 3


def test_epochs_that_were_dropped_stay_dropped(rng):
    raw = mne.io.RawArray(rng.normal(size=(4, 400)), make_info(), **QUIET)
    events = np.array([[50, 0, 1], [150, 0, 1], [250, 0, 1]])
    epochs = mne.Epochs(raw, events, tmin=-0.1, tmax=0.2, baseline=None, preload=True, **QUIET)
    epochs.drop([1], **QUIET)
    sources = sources_to_mne(rng.normal(size=(2 * 31, 2)), epochs)
    assert sources.drop_log == epochs.drop_log
    np.testing.assert_array_equal(sources.selection, [0, 2])


def test_averages_end_to_end(rng, tmp_path):
    parts = [
        mne.EvokedArray(
            rng.normal(size=(4, n)), make_info(), tmin=-0.1, comment=name, nave=n, **QUIET
        )
        for name, n in (("tone", 30), ("flash", 20))
    ]
    S = rng.normal(size=(50, 2))
    made = sources_to_mne(S, parts)
    mne.write_evokeds(tmp_path / "sources-ave.fif", made, **QUIET)
    for found in (made, mne.read_evokeds(tmp_path / "sources-ave.fif", **QUIET)):
        assert [one.comment for one in found] == ["tone", "flash"]
        assert [one.nave for one in found] == [30, 20]
        np.testing.assert_allclose(np.hstack([one.data for one in found]).T, S, rtol=1e-6)
        np.testing.assert_allclose(found[1].times, parts[1].times, atol=1e-8)  # FIF stores float32
    (one, _) = sources_to_mne(S, parts, comment="x (aligned)")
    assert one.comment == "x (aligned)"


def test_sources_that_do_not_fit(rng):
    evoked = mne.EvokedArray(rng.normal(size=(4, 30)), make_info(), **QUIET)
    with pytest.raises(ValueError, match=r"shape \(20, 2\), expected \(30, n_components\)"):
        sources_to_mne(np.ones((20, 2)), evoked)
    with pytest.raises(ValueError, match="kind='raw' cannot be made of evoked"):
        sources_to_mne(np.ones((30, 2)), evoked, kind="raw")
    with pytest.raises(TypeError, match="like must be"):
        sources_to_mne(np.ones((30, 2)), "x")


# Maps --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", ["type", None, "cov"])
def test_maps_are_the_regression_of_sensors_on_sources(rng, scale):
    types = ["mag"] * 5 + ["grad"] * 5
    info = mne.create_info([f"MEG{i}" for i in range(10)], 100.0, types)
    units = np.array([1e-13] * 5 + [1e-11] * 5)
    x = (rng.laplace(size=(400, 10)) @ rng.normal(size=(10, 10))) * units
    evoked = mne.EvokedArray(x.T, info, **QUIET)
    cov = mne.Covariance(np.diag(units**2), info["ch_names"], [], [], 1) if scale == "cov" else None
    views = to_views([evoked], "meg", n_components=6, scale=scale, noise_cov=cov)
    W, record = rng.normal(size=(3, 6)), views.records[0]
    Y = views.views[0] @ W.T
    Y /= Y.std(axis=0)
    expected = np.linalg.lstsq(Y, x - x.mean(axis=0), rcond=None)[0].T
    patterns = sensor_patterns(W, record)
    np.testing.assert_allclose(patterns, expected, rtol=1e-8, atol=1e-9 * np.abs(expected).max())
    # The mixing of the model gives back the sources: the unmixing of a map is its own source.
    mixing = sensor_patterns(W, record, "pinv")
    found = (record.reduce(mixing.T + 0, 6) - record.reduce(np.zeros((3, 10)), 6)) @ W.T
    np.testing.assert_allclose(
        found, np.diag((views.views[0] @ W.T).std(axis=0)), atol=1e-8
    )  # FIF stores float32
    with pytest.raises(ValueError, match="expected 'regression' or 'pinv'"):
        sensor_patterns(W, record, "svd")


@needs_data
def test_maps_as_evoked_keep_what_plots_and_fits_need():
    raw = mne.io.read_raw(DATA / "sample_audvis_trunc_raw_sss.fif", **QUIET).pick("mag")
    patterns = np.random.default_rng(0).normal(size=(102, 4)) * 1e-13
    evoked = patterns_to_evoked(patterns, raw.info)
    np.testing.assert_array_equal(evoked.data, patterns)
    np.testing.assert_array_equal(evoked.times, [0, 1, 2, 3])
    assert evoked.info["sfreq"] == 1
    assert len(evoked.info["dig"]) == len(raw.info["dig"])
    assert evoked.info["dev_head_t"] == raw.info["dev_head_t"]
    assert raw.info["sfreq"] > 300
    for one, other in zip(evoked.info["chs"], raw.info["chs"], strict=True):
        np.testing.assert_array_equal(one["loc"], other["loc"])
        assert one["coil_type"] == other["coil_type"]
    with pytest.raises(ValueError, match=r"expected \(102, n_components\)"):
        patterns_to_evoked(patterns.T, raw.info)


# Dipoles -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def study():
    return make_meg_group(2, ch_types=("mag", "grad"), sfreq=100.0, random_state=0)


def test_dipoles_are_where_the_sources_are(study):
    auditory, visual = study.mixing[0][:, [1]], study.mixing[0][:, [4]]
    left = fit_dipoles(auditory, study.infos[0], hemisphere="left")
    right = fit_dipoles(auditory, study.infos[0], hemisphere="right")
    # The simulated N100m lies near (-50, 10, 49) and (50, 12, 50) mm, up to 5 mm jitter an axis.
    assert np.linalg.norm(left.pos[0] - [-0.050, 0.010, 0.049]) < 0.02
    assert np.linalg.norm(right.pos[0] - [0.050, 0.012, 0.050]) < 0.02
    assert min(left.gof[0], right.gof[0]) > 90
    medial = fit_dipoles(visual, study.infos[0])
    assert np.linalg.norm(medial.pos[0] - [0, -0.058, 0.0455]) < 0.02
    assert medial.gof[0] > 95


def test_dipoles_that_cannot_be_fitted(study):
    info = study.infos[0].copy()
    info["dev_head_t"] = None
    with pytest.raises(ValueError, match="no dev_head_t"):
        fit_dipoles(study.mixing[0][:, :1], info)
    with pytest.raises(ValueError, match="hemisphere='top'"):
        fit_dipoles(study.mixing[0][:, :1], study.infos[0], hemisphere="top")
