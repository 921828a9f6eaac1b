import functools
import gzip
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest

from mvica import MultiViewData
from mvica.meg import to_views

mne = pytest.importorskip("mne")

DATA = Path(os.environ.get("MVICA_TEST_DATA", "../shared/data")) / "meg"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason=f"no {DATA}: set MVICA_TEST_DATA")
QUIET = {"verbose": "ERROR"}
NAMES = ["MEG 0111", "MEG 0112", "MEG 0113", "MEG 0121", "MEG 0131", "EEG 001", "STI 014"]
TYPES = ["mag", "grad", "grad", "mag", "mag", "eeg", "stim"]
UNITS = np.array([1e-13, 1e-11, 1e-11, 1e-13, 1e-13, 1e-6, 1.0])
SFREQ = 100.0


@functools.cache
def unpacked(file):
    """Path of a recording, without compression: MNE reads compressed ones many times over."""
    if not file.endswith(".gz"):
        return DATA / file
    path = Path(tempfile.mkdtemp()) / file.removesuffix(".gz")
    path.write_bytes(gzip.decompress((DATA / file).read_bytes()))
    return path


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def make_info(bads=(), names=NAMES, sfreq=SFREQ):
    info = mne.create_info(list(names), sfreq, TYPES, **QUIET)
    info["bads"] = list(bads)
    return info


def evoked(rng, comment="tone", n=50, tmin=-0.1, **options):
    x = rng.normal(size=(len(NAMES), n)) * UNITS[:, None]
    return mne.EvokedArray(x, make_info(**options), tmin=tmin, comment=comment, **QUIET)


def epochs(rng, codes=(1, 1, 1, 1, 2, 2, 2, 2), names=None, n=50, tmin=-0.1, **options):
    x = rng.normal(size=(len(codes), len(NAMES), n)) * UNITS[:, None]
    events = np.column_stack([100 * np.arange(len(codes)), np.zeros(len(codes), int), codes])
    names = {"tone/high": 1, "flash": 2} if names is None else names
    return mne.EpochsArray(x, make_info(**options), events, tmin, names, baseline=None, **QUIET)


def raw(rng, n=50, **options):
    x = rng.normal(size=(len(NAMES), n)) * UNITS[:, None]
    return mne.io.RawArray(x, make_info(**options), **QUIET)


def back(views, v=0):
    """Channels by samples in SI units that a view of full rank stands for."""
    record = views.records[v]
    x = views.views[v] @ record.pca_components[: views.view_sizes[v]] + record.mean
    return (x * record.scale).T


def problem(*arguments, **options):
    with pytest.raises(ValueError) as caught:
        to_views(*arguments, **options)
    return str(caught.value)


# Rank and real recordings ------------------------------------------------------------------------


@needs_data
@pytest.mark.parametrize(
    ("file", "meg", "mag", "grad"),
    [
        ("sample_audvis_trunc_raw_sss.fif", 69, 69, 69),
        ("triux_bmlhus_erm_raw_sss.fif", 80, 80, 80),
        ("141027_cropped_90Hz_raw.fif", 295, 95, 200),
    ],
)
@pytest.mark.filterwarnings("ignore:After Maxwell filtering")
def test_rank_of_continuous_recordings(file, meg, mag, grad):
    for picks, rank in (("meg", meg), ("mag", mag), ("grad", grad)):
        views = to_views([DATA / file], picks=picks)
        assert views.records[0].rank == rank
        assert views.view_sizes == (rank,)


@needs_data
def test_rank_of_eeg_with_its_reference():
    assert to_views([DATA / "sample_audvis_trunc_raw_sss.fif"], "eeg").records[0].rank == 59


@needs_data
def test_one_type_is_enough_after_maxwell_filtering():
    with pytest.warns(UserWarning, match="one type is enough"):
        to_views([DATA / "sample_audvis_trunc_raw_sss.fif"], "meg")


@needs_data
@pytest.mark.parametrize(
    ("file", "first", "n_times"), [("test-ave.fif.gz", 303, 421), ("test_elekta-ave.fif", 306, 351)]
)
def test_rank_of_averages(file, first, n_times):
    evokeds = mne.read_evokeds(unpacked(file), proj=False, **QUIET)
    views = to_views([evokeds[:1]], "meg")
    assert views.records[0].rank == first
    views = to_views([unpacked(file)], "meg")
    assert views.records[0].rank <= first
    assert views.n_samples == n_times * len(evokeds)
    assert [s["condition"] for s in views.segments] == [e.comment for e in evokeds]
    np.testing.assert_allclose(views.times[:n_times], evokeds[0].times)


@needs_data
def test_files_and_their_recordings_give_the_same_views():
    file = unpacked("test-ave.fif.gz")
    evokeds = mne.read_evokeds(file, proj=False, **QUIET)
    sources = [file, str(file), evokeds, lambda: evokeds, lambda: file]
    views = to_views(sources, n_components=10)
    for view in views.views[1:]:
        np.testing.assert_array_equal(view, views.views[0])
    assert not evokeds[0].info["projs"][0]["active"]


@needs_data
def test_the_variance_kept_is_the_share_asked_for():
    views = to_views([unpacked("test-ave.fif.gz")] * 2, subjects=["a", "b"], n_components=0.9)
    variances = views.records[0].explained_variance
    shares = np.cumsum(variances) / variances.sum()
    k = views.view_sizes[0]
    assert shares[k - 2] < 0.9 <= shares[k - 1]
    np.testing.assert_allclose(views.views[0].var(axis=0), variances[:k], rtol=1e-9)


# Channels ----------------------------------------------------------------------------------------


def test_views_are_the_scaled_centred_channels(rng):
    one = evoked(rng)
    views = to_views([one], "meg")
    kept = [0, 1, 2, 3, 4]
    np.testing.assert_allclose(back(views), one.data[kept], rtol=1e-9)
    record = views.records[0]
    assert record.ch_names == tuple(NAMES[i] for i in kept)
    for kind in ("mag", "grad"):
        rows = [i for i in kept if TYPES[i] == kind]
        assert record.scale[rows] == pytest.approx(one.data[rows].std(), rel=1e-12)


def test_offsets_count_in_the_scale(rng):
    one = evoked(rng)
    one.data[0] += 1e-11
    record = to_views([one]).records[0]
    assert record.scale[0] == pytest.approx(one.data[[0, 3, 4]].std(), rel=1e-12)


def test_no_scale_keeps_tesla(rng):
    one = evoked(rng)
    views = to_views([one], scale=None)
    power = one.data[[0, 3, 4]].var(axis=1).sum()
    assert np.sum(views.views[0].var(axis=0)) == pytest.approx(power, rel=1e-9)


def test_noise_covariance_gives_units_of_noise(rng):
    noise = np.array([2.0, 3.0, 5.0]) * 1e-13
    x = rng.normal(size=(3, 20000)) * noise[:, None]
    names = [NAMES[i] for i in (0, 3, 4)]
    info = mne.create_info(names, SFREQ, "mag", **QUIET)
    one = mne.io.RawArray(x, info, **QUIET)
    spaceless = [name.replace(" ", "") for name in reversed(names)]
    cov = mne.Covariance(np.diag(noise[::-1] ** 2), spaceless, [], [], 1)
    views = to_views([one, one], scale="cov", noise_cov=[cov, cov])
    np.testing.assert_allclose(np.cov(views.views[1].T), np.eye(3), atol=0.05)
    lacking = mne.Covariance(np.eye(2), names[:2], [], [], 1)
    assert "noise_cov lacks the channels MEG 0131" in problem([one], scale="cov", noise_cov=lacking)
    assert "needs noise_cov" in problem([one], scale="cov")
    assert 'for scale="cov"' in problem([one], noise_cov=cov)


def test_channels_of_all_or_of_each(rng):
    a = evoked(rng).drop_channels(["MEG 0121"])
    b = evoked(rng).reorder_channels(NAMES[::-1])
    b.rename_channels({name: name.replace(" ", "") for name in NAMES})
    union = to_views([a, b], "meg")
    assert [len(record.ch_names) for record in union.records] == [4, 5]
    assert union.view_sizes == (4, 4)
    common = to_views([a, b], "meg", channels="intersection")
    found = [[n.replace(" ", "") for n in record.ch_names] for record in common.records]
    assert found[0] == found[1] == ["MEG0111", "MEG0112", "MEG0113", "MEG0131"]
    np.testing.assert_allclose(back(common, 1), b.data[[6, 5, 4, 2]], rtol=1e-9)


def test_picks_by_name_and_what_is_no_data(rng):
    record = to_views([evoked(rng)], ["MEG0121", "eeg"]).records[0]
    assert record.ch_names == ("MEG 0121", "EEG 001")
    assert "channels that are no data: STI 014 (stim)" in problem([evoked(rng)], ["stim", "mag"])
    assert "'seeg', which it does not have" in problem([evoked(rng)], "seeg")


def test_bad_channels_are_dropped_or_refused(rng):
    good, bad = evoked(rng), evoked(rng, bads=["MEG 0121", "EEG 001"])
    views = to_views([good, bad])
    assert [record.ch_names for record in views.records] == [
        ("MEG 0111", "MEG 0121", "MEG 0131"),
        ("MEG 0111", "MEG 0131"),
    ]
    assert views.records[1].bads == ("EEG 001", "MEG 0121")
    assert "S002: bad channels: MEG 0121" in problem([good, bad], on_bad="raise")
    assert to_views([good, bad], "grad", on_bad="raise").n_views == 2


@needs_data
@pytest.mark.slow  # MNE compiles for its interpolation
def test_bad_channels_are_interpolated():
    one = mne.io.read_raw(DATA / "sample_audvis_trunc_raw_sss.fif", preload=True, **QUIET)
    truth = one.get_data(picks=["MEG 0111"])[0]
    one.info["bads"] = ["MEG 0111"]
    views = to_views([one], on_bad="interpolate")
    record = views.records[0]
    assert record.bads == ("MEG 0111",)
    assert record.info["bads"] == []
    found = back(views)[record.ch_names.index("MEG 0111")]
    assert np.corrcoef(found, truth)[0, 1] > 0.95
    assert one.info["bads"] == ["MEG 0111"]


def test_float32_comes_last(rng):
    single = to_views([evoked(rng)], dtype="float32").views[0]
    double = to_views([evoked(np.random.default_rng(0))]).views[0]
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, double, rtol=1e-6, atol=1e-7)


# Segments ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("split", ["interleaved", "consecutive"])
def test_block_k_of_a_channel_is_batch_k_of_that_sensor(rng, split):
    one = epochs(rng, codes=[1, 2, 1, 2, 1, 2, 1, 2, 1, 2, 1])
    views = to_views([one], n_splits=3, split=split, condition=["flash", "tone"])
    x, sensors = back(views), one.get_data(copy=True)[:, [0, 3, 4]]
    trials = {"tone": np.arange(0, 11, 2), "flash": np.arange(1, 11, 2)}
    k = 0
    for condition in ("flash", "tone"):
        for number in range(3):
            rows = trials[condition]
            batches = [rows[i::3] for i in range(3)]
            if split == "consecutive":
                batches = np.array_split(rows, 3)
            block = x[:, views.boundaries[k] : views.boundaries[k + 1]]
            np.testing.assert_allclose(block, sensors[batches[number]].mean(axis=0), rtol=1e-9)
            assert views.segments[k] == {
                "condition": condition,
                "split": number,
                "tmin": pytest.approx(-0.1),
                "n_times": 50,
            }
            assert views.records[0].n_trials[k] == len(batches[number])
            k += 1
    assert views.boundaries.tolist() == [0, 50, 100, 150, 200, 250, 300]


def test_conditions_of_epochs(rng):
    one = epochs(rng)
    sensors = one.get_data(copy=True)[:, [0, 3, 4]]
    x = back(to_views([one], condition="tone"))
    np.testing.assert_allclose(x, sensors[:4].mean(axis=0), rtol=1e-9)
    every = to_views([one])
    assert [segment["condition"] for segment in every.segments] == ["tone/high", "flash"]
    assert "no condition 'touch'; it has tone/high, flash" in problem([one], condition="touch")
    assert "has 4 trials, at least 5 needed" in problem([one], n_splits=5)


def test_conditions_of_averages(rng):
    a = [evoked(rng, "tone"), evoked(rng, "flash")]
    b = [evoked(rng, "flash"), evoked(rng, "tone")]
    views = to_views([a, b], condition=["tone", "flash"])
    np.testing.assert_allclose(back(views, 1)[:, :50], b[1].data[[0, 3, 4]], rtol=1e-9)
    message = problem([a, b])
    assert "S002 has the segments flash (split 0), tone (split 0), but S001 has tone" in message
    assert "no condition touch; it has tone, flash" in problem([a], condition="touch")
    assert "several averages are called 'tone'" in problem([[a[0], b[1]]])


def test_baseline_of_each_segment(rng):
    views = to_views([[evoked(rng, "tone"), evoked(rng, "flash")]], baseline=(None, 0))
    x, before = back(views), views.times[:50] <= 1e-9
    for block in (x[:, :50], x[:, 50:]):
        assert np.abs(block[:, before].mean(axis=1)).max() < 1e-9 * np.abs(block).max()
    assert "is not a part of its times" in problem([evoked(rng)], baseline=(-0.3, 0))
    assert "baseline is for epochs and averages" in problem([raw(rng)], baseline=(None, 0))


def test_single_trials(rng):
    a, b = epochs(rng), epochs(rng, codes=[2, 1, 1, 1, 2, 2])
    views = to_views([a, b], average="trials")
    assert [s["condition"] for s in views.segments] == ["tone/high"] * 3 + ["flash"] * 3
    sensors = b.get_data(copy=True)[:, [0, 3, 4]]
    x = back(views, 1)
    for k, trial in enumerate([1, 2, 3, 0, 4, 5]):
        np.testing.assert_allclose(x[:, 50 * k : 50 * (k + 1)], sensors[trial], rtol=1e-9)
    message = problem([a, b], average=None)
    assert "S001: 4, 4; S002: 3, 3" in message
    assert 'average="trials"' in message
    assert to_views([a, a], average=None).n_samples == 400


def test_crop_and_times(rng):
    one = evoked(rng)
    views = to_views([one], tmin=0.0, tmax=0.2)
    np.testing.assert_allclose(views.times, np.arange(21) / SFREQ, atol=1e-12)
    np.testing.assert_allclose(back(views), one.data[[0, 3, 4], 10:31], rtol=1e-9)
    continuous = raw(rng)
    views = to_views([continuous], tmin=0.1, tmax=0.3)
    np.testing.assert_allclose(views.times, np.arange(10, 31) / SFREQ, atol=1e-12)
    np.testing.assert_allclose(back(views), continuous.get_data()[[0, 3, 4], 10:31], rtol=1e-9)
    assert "tmax=0.9 is not a part of its times, -0.1 to 0.39 s" in problem([one], tmax=0.9)


def test_filter_and_resample(rng):
    t = np.arange(-500, 1500) / 1000
    wave, fast = np.sin(2 * np.pi * 5 * t), np.sin(2 * np.pi * 210 * t)
    x = np.outer(UNITS, wave + fast)
    info = make_info(sfreq=1000.0)
    one = mne.EvokedArray(x + 1e-6 * UNITS[:, None] * rng.normal(size=x.shape), info, tmin=-0.5)
    views = to_views([one], resample=250)
    assert views.sfreq == 250
    assert views.n_samples == 500
    middle = slice(100, 400)
    found = back(views)[0, middle] / UNITS[0]
    np.testing.assert_allclose(found, np.sin(2 * np.pi * 5 * views.times[middle]), atol=0.02)
    high = back(to_views([one], l_freq=100.0))[0, 400:1600] / UNITS[0]
    np.testing.assert_allclose(high, fast[400:1600], atol=0.02)
    uneven = to_views([one], resample=300)
    found = back(uneven)[0, 120:480] / UNITS[0]
    np.testing.assert_allclose(found, np.sin(2 * np.pi * 5 * uneven.times[120:480]), atol=2e-3)
    assert "above its sampling rate" in problem([one], resample=2000)


# The group ---------------------------------------------------------------------------------------


def test_views_are_a_container_of_the_subjects(rng):
    views = to_views([evoked(rng) for _ in range(3)], subjects=["ann", "ben", "cy"])
    assert isinstance(views, MultiViewData)
    assert views.view_names == ("ann", "ben", "cy")
    assert [record.subject for record in views.records] == ["ann", "ben", "cy"]
    assert type(views[:10]) is MultiViewData
    assert "subjects must hold 3 different names" in problem(
        [evoked(rng) for _ in range(3)], subjects=["a", "a", "b"]
    )
    with pytest.raises(TypeError, match="one entry a subject"):
        to_views(evoked(rng))


def test_kinds_may_be_mixed_where_samples_and_times_agree(rng):
    averages, single = epochs(rng, codes=[1, 1], names={"tone": 1}), evoked(rng)
    continuous = raw(rng)
    views = to_views([averages, single, single])
    assert [record.kind for record in views.records] == ["epochs", "evoked", "evoked"]
    message = problem([single, continuous])
    assert "S002 has other times than S001, by up to 0.1 s" in message
    message = problem([single, evoked(rng, n=40), evoked(rng, sfreq=50.0)])
    assert "S001: 50 at 100 Hz, S002: 40 at 100 Hz, S003: 50 at 50 Hz" in message


def test_subjects_with_a_small_rank_are_named(rng):
    poor = evoked(rng)
    poor.data[4] = poor.data[3]
    group = [evoked(rng), poor]
    assert to_views(group).view_sizes == (2, 2)
    message = problem(group, n_components=3)
    assert "n_components=3 is more than the rank of 1 subjects: S002: 2" in message


def test_failures_of_all_subjects_are_told_at_once(rng, tmp_path):
    (tmp_path / "ben-ave.fif").write_bytes(b"no recording")
    group = [evoked(rng), tmp_path / "ann-ave.fif", tmp_path / "ben-ave.fif", 3]
    message = problem(group)
    assert message.startswith("3 of 4 subjects cannot be used: ")
    assert "S002: FileNotFoundError: no such file" in message
    assert "S003: MNE cannot read it as Raw, Epochs or Evoked" in message
    assert "S004: TypeError: expected a Raw, an Epochs" in message
    with pytest.warns(UserWarning, match="3 of 4 subjects cannot be used"):
        views = to_views(group, on_error="skip")
    assert views.view_names == ("S001",)
    flat, broken = evoked(rng), evoked(rng)
    flat.data[:] = 0
    broken.data[3, 7] = np.nan
    message = problem([flat, broken])
    assert "S001: all its mag channels are flat" in message
    assert "S002: NaN or infinity in the channels MEG 0121" in message


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("average", "mean", "average='mean', expected one of"),
        ("n_splits", 0, "n_splits=0, expected an int"),
        ("n_components", 1.5, "n_components=1.5, expected"),
        ("on_error", "ignore", "on_error='ignore'"),
        ("baseline", (0, 1, 2), "baseline=(0, 1, 2), expected (start, end)"),
        ("resample", -1, "resample=-1"),
        ("dtype", "int32", "dtype='int32'"),
        ("picks", [], "picks=[], expected a name"),
    ],
)
def test_settings_that_cannot_be(rng, option, value, message):
    assert message in problem([evoked(rng)], **{option: value})


def test_recordings_stay_as_they_are(rng):
    group = [epochs(rng), raw(rng), evoked(rng)]
    before = [inst.get_data().copy() for inst in group]
    for inst in group:
        to_views([inst], tmin=0.0, l_freq=1.0 if inst is group[1] else None)
    for inst, x in zip(group, before, strict=True):
        np.testing.assert_array_equal(inst.get_data(), x)
        assert inst.ch_names == NAMES


def test_warnings_stay_with_their_subject(rng):
    views = to_views([evoked(rng), evoked(rng)], h_freq=1.0)
    assert all(any("filter_length" in w for w in r.warnings) for r in views.records)
    assert to_views([evoked(rng)]).records[0].warnings == []


def test_processes_give_what_one_process_gives(rng):
    group = [evoked(rng) for _ in range(3)]
    alone, spread = to_views(group), to_views(group, n_jobs=2)
    for a, b in zip(alone.views, spread.views, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-14)


def test_files_are_read_once_while_they_do_not_change(rng, tmp_path, monkeypatch):
    path = tmp_path / "ann-ave.fif"
    mne.write_evokeds(path, evoked(rng), **QUIET)
    opened, read = [], mne.read_evokeds
    monkeypatch.setattr(mne, "read_evokeds", lambda *a, **k: opened.append(1) or read(*a, **k))
    memory = tmp_path / "cache"
    first = to_views([path], memory=memory)
    again = to_views([path], memory=memory, subjects=["other name"])
    assert len(opened) == 1
    np.testing.assert_array_equal(first.views[0], again.views[0])
    assert again.records[0].subject == "other name"
    to_views([path], memory=memory, picks="grad")
    assert len(opened) == 2
    mne.write_evokeds(path, evoked(rng), overwrite=True, **QUIET)
    os.utime(path, ns=(1, 1))
    changed = to_views([path], memory=memory)
    assert len(opened) == 3
    assert not np.allclose(changed.views[0], first.views[0])


def test_without_mne_the_extra_is_named():
    code = (
        "import sys; sys.modules['mne'] = None\n"
        "import mvica.meg\n"
        "try: mvica.meg.to_views([None])\n"
        "except ImportError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == 'mvica.meg needs MNE-Python: pip install "mvica[meg]"'
