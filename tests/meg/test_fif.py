import gzip
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mvica.io import RecordingError, read_recordings

mne = pytest.importorskip("mne")

DATA = Path(os.environ.get("MVICA_TEST_DATA", "../shared/data")) / "meg"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason=f"no {DATA}: set MVICA_TEST_DATA")
NAMES = ["MEG 0111", "MEG 0112", "MEG 0113", "MEG 0121", "EEG 001", "EOG 061", "STI 014"]
TYPES = ["mag", "grad", "grad", "mag", "eeg", "eog", "stim"]
UNITS = np.array([1e-13, 1e-11, 1e-11, 1e-13, 1e-6, 1e-5, 1.0])
SFREQ = 100.0


def signals(rng, n=50):
    """Channels by samples, in the units of each type."""
    return rng.normal(size=(len(NAMES), n)) * UNITS[:, None]


def info():
    return mne.create_info(NAMES, SFREQ, TYPES, verbose="ERROR")


def write_evokeds(path, rng, conditions, tmin=-0.1, bads=(), n=50):
    evokeds = []
    for condition in conditions:
        evoked = mne.EvokedArray(
            signals(rng, n), info(), tmin=tmin, comment=condition, nave=5, verbose="ERROR"
        )
        evoked.info["bads"] = list(bads)
        evokeds.append(evoked)
    mne.write_evokeds(path, evokeds, overwrite=True, verbose="ERROR")
    return [evoked.data for evoked in mne.read_evokeds(path, verbose="ERROR")]


def problem(*paths, **options):
    with pytest.raises(RecordingError) as caught:
        read_recordings(list(paths), **options)
    return str(caught.value)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_raw_of_one_type_keeps_its_units(tmp_path, rng):
    path = tmp_path / "x_raw.fif"
    mne.io.RawArray(signals(rng), info(), verbose="ERROR").save(path, verbose="ERROR")
    expected = mne.io.read_raw(path, verbose="ERROR").get_data(picks=["MEG 0111", "MEG 0121"])
    (recording,) = read_recordings([path], picks=["mag"], min_views=1)
    np.testing.assert_array_equal(recording.data, expected.T)
    assert recording.feature_names == ("MEG 0111", "MEG 0121")
    assert recording.scale is None
    np.testing.assert_allclose(recording.times, np.arange(50) / SFREQ)


def test_mixed_types_are_brought_to_unit_variance_each(tmp_path, rng):
    path = tmp_path / "x-ave.fif"
    (expected,) = write_evokeds(path, rng, ["tone"])
    (recording,) = read_recordings([path], min_views=1)
    types = np.array(recording.feature_types)
    assert list(types) == ["mag", "grad", "grad", "mag"]
    for kind in ("mag", "grad"):
        assert recording.data[:, types == kind].var(axis=0).mean() == pytest.approx(1)
        assert len(set(recording.scale[types == kind])) == 1
    np.testing.assert_allclose(recording.data * recording.scale, expected[:4].T, rtol=1e-12)


def test_offsets_do_not_count_in_the_scale(tmp_path, rng):
    data = signals(rng)
    data[0] += 1e-9
    evoked = mne.EvokedArray(data, info(), comment="tone", verbose="ERROR")
    mne.write_evokeds(tmp_path / "x-ave.fif", evoked, verbose="ERROR")
    (recording,) = read_recordings([tmp_path / "x-ave.fif"], min_views=1)
    assert recording.scale[0] < 2e-13


def test_meg_comes_before_eeg_and_bads_are_left_out(tmp_path, rng):
    path = tmp_path / "x-ave.fif"
    write_evokeds(path, rng, ["tone"], bads=["MEG 0112"])
    (recording,) = read_recordings([path], min_views=1)
    assert recording.feature_names == ("MEG 0111", "MEG 0113", "MEG 0121")
    assert any("MEG 0112" in note for note in recording.notes)
    (named,) = read_recordings([path], picks=["MEG0112", "eeg"], min_views=1)
    assert named.feature_names == ("MEG 0112", "EEG 001")
    (less,) = read_recordings([path], exclude=["grad"], min_views=1)
    assert less.feature_names == ("MEG 0111", "MEG 0121")
    assert "asks for 'seeg', which it does not have (it has eeg, eog, grad" in problem(
        path, picks=["seeg"], min_views=1
    )


def test_conditions_lie_end_to_end_in_the_order_of_the_first_file(tmp_path, rng):
    a, b = tmp_path / "ann-ave.fif", tmp_path / "ben-ave.fif.gz"
    tone, flash = write_evokeds(a, rng, ["tone", "flash"])
    flash_b, tone_b = write_evokeds(b, rng, ["flash", "tone"])
    ann, ben = read_recordings([a, b], picks=["eeg"])
    assert (ann.name, ben.name) == ("ann", "ben")
    assert ann.segments == ben.segments == (("tone", 0), ("flash", 50))
    np.testing.assert_array_equal(ann.data[:, 0], np.r_[tone[4], flash[4]])
    np.testing.assert_array_equal(ben.data[:, 0], np.r_[tone_b[4], flash_b[4]])
    np.testing.assert_allclose(ann.times, np.tile(np.arange(-10, 40) / SFREQ, 2), atol=1e-8)


def test_each_condition_as_a_view(tmp_path, rng):
    a, b = tmp_path / "ann-ave.fif", tmp_path / "ben-ave.fif"
    data = write_evokeds(a, rng, ["tone", "flash"]) + write_evokeds(b, rng, ["tone", "tone"])
    alone = read_recordings([a], views="conditions", picks=["eeg"])
    assert [recording.name for recording in alone] == ["tone", "flash"]
    four = read_recordings([a, b], views="conditions", picks=["eeg"])
    names = ["ann: tone", "ann: flash", "ben: tone 1", "ben: tone 2"]
    assert [recording.name for recording in four] == names
    for recording, evoked in zip(four, data, strict=True):
        np.testing.assert_array_equal(recording.data[:, 0], evoked[4])
        assert recording.segments == ()


def test_epochs_are_averaged_by_condition(tmp_path, rng):
    data = np.stack([signals(rng) for _ in range(5)])
    events = np.column_stack([np.arange(5), np.zeros(5, int), [1, 2, 1, 1, 2]])
    epochs = mne.EpochsArray(
        data, info(), events, tmin=-0.1, event_id={"b": 2, "a": 1}, verbose="ERROR"
    )
    epochs.save(tmp_path / "x-epo.fif", verbose="ERROR")
    (recording,) = read_recordings([tmp_path / "x-epo.fif"], picks=["eeg"], min_views=1)
    starts = dict(recording.segments)
    for label, trials in (("a", [0, 2, 3]), ("b", [1, 4])):
        found = recording.data[starts[label] : starts[label] + 50, 0]
        np.testing.assert_allclose(found, data[trials, 4].mean(axis=0), rtol=1e-6)


def test_groups_that_do_not_belong_together(tmp_path, rng):
    paths = {name: tmp_path / f"{name}-ave.fif" for name in ("a", "more", "late", "long")}
    write_evokeds(paths["a"], rng, ["tone"])
    write_evokeds(paths["more"], rng, ["tone", "flash"])
    write_evokeds(paths["late"], rng, ["tone"], tmin=0.0)
    write_evokeds(paths["long"], rng, ["tone"], n=60)
    assert "conditions (tone, flash) are not those of" in problem(paths["a"], paths["more"])
    assert "time axis (0 to 0.49 s at 100 Hz) differs" in problem(paths["a"], paths["late"])
    assert "has 60 samples" in problem(paths["a"], paths["long"])
    assert "--transpose" not in problem(paths["a"], paths["long"])
    assert "sampled at 100 Hz, not at the 250 Hz" in problem(paths["a"], sfreq=250)
    assert "--views conditions" in problem(paths["more"])


def test_files_that_are_no_recordings(tmp_path, rng):
    path = tmp_path / "x-ave.fif"
    write_evokeds(path, rng, ["tone"])
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 3])
    assert problem(path, min_views=1).startswith(f"{path}: ")
    path.write_bytes(b"")
    assert problem(path, min_views=1).startswith(f"{path}: ")
    packed = tmp_path / "x-ave.fif.gz"
    packed.write_bytes(gzip.compress(b"not a fif file"))
    assert "not a FIF file that MNE can read" in problem(packed, min_views=1)
    covariance = mne.make_ad_hoc_cov(info(), verbose="ERROR")
    covariance.save(tmp_path / "x-cov.fif", verbose="ERROR")
    assert "no recording (Raw, Epochs or Evoked) but: cov" in problem(tmp_path / "x-cov.fif")
    assert "FILE:NAME" in problem(f"{path}:tone")


def test_raw_has_no_conditions(tmp_path, rng):
    path = tmp_path / "x_raw.fif"
    mne.io.RawArray(signals(rng), info(), verbose="ERROR").save(path, verbose="ERROR")
    assert "it has no conditions" in problem(path, views="conditions")
    raw = mne.io.RawArray(signals(rng), info(), verbose="ERROR").pick(["EOG 061", "STI 014"])
    raw.save(path, overwrite=True, verbose="ERROR")
    assert "has no data channels (types: eog, stim)" in problem(path)


def test_without_mne_the_extra_is_named(tmp_path):
    path = tmp_path / "x-ave.fif"
    path.write_bytes(b"\0")
    code = (
        "import sys; sys.modules['mne'] = None\n"
        "from mvica.io import read_recordings\n"
        "try: read_recordings([sys.argv[1]])\n"
        "except ValueError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True)
    assert 'pip install "mvica[meg]"' in done.stdout
    assert done.stdout.startswith(str(path))


@needs_data
def test_the_averages_of_one_person_are_views():
    path = DATA / "test-ave.fif.gz"
    recordings = read_recordings([path], views="conditions")
    names = ["Left Auditory", "Right Auditory", "Left visual", "Right visual"]
    assert [recording.name for recording in recordings] == names
    assert {recording.data.shape for recording in recordings} == {(421, 306)}
    assert all(recording.data.var() == pytest.approx(1, rel=0.1) for recording in recordings)
    path = DATA / "test_elekta-ave.fif"
    elekta = read_recordings([path], views="conditions")
    assert [recording.data.shape for recording in elekta] == [(351, 306)] * 7
    evoked = mne.read_evokeds(path, condition=2, verbose="ERROR")
    expected = evoked.get_data(picks="meg").T
    np.testing.assert_allclose(elekta[2].data * elekta[2].scale, expected, rtol=1e-12)
    np.testing.assert_allclose(elekta[2].times, evoked.times)


@needs_data
def test_real_files_that_do_not_fit_each_other():
    files = [DATA / "test-ave.fif.gz", DATA / "test_elekta-ave.fif"]
    assert "has 421 samples where 7 others have 351" in problem(*files, views="conditions")
    assert "but: cov" in problem(DATA / "test-cov.fif")
