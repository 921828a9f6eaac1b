import numpy as np
import pytest
from scipy.stats import kurtosis

from mvica.datasets import make_eeg_group, make_meg_group
from mvica.datasets._dipole_field import sphere_field
from mvica.datasets._evoked_recipe import CENTRE, SOURCES, responses
from mvica.datasets.meg_group import vectorview_info

mne = pytest.importorskip("mne")
if not hasattr(mne.channels, "read_meg_canonical_info"):
    pytest.skip("needs the sensor table of MNE 1.12", allow_module_level=True)


def average(group):
    """Evoked data of all subjects, (m, n_conditions, n_channels, n_times)."""
    return np.array([[evoked.data for evoked in evokeds] for evokeds in group.data])


def types(group):
    return np.array(group.infos[0].get_channel_types())


@pytest.fixture(scope="module")
def groups():
    return [make_meg_group(20, random_state=seed) for seed in range(3)]


# Field ---------------------------------------------------------------------------------------


def test_fields_agree_with_those_of_mne():
    own = make_meg_group(2, n_noise_dipoles=20, random_state=0)
    other = make_meg_group(2, n_noise_dipoles=20, forward="mne", random_state=0)
    for kind in ("mag", "grad"):
        chosen = types(own) == kind
        largest = np.abs(own.mixing[:, chosen]).max()
        np.testing.assert_allclose(
            own.mixing[:, chosen], other.mixing[:, chosen], rtol=0, atol=1e-6 * largest
        )
    np.testing.assert_allclose(average(own), average(other), rtol=0, atol=1e-6 * 1e-11)


def test_radial_dipoles_and_the_centre_are_silent_and_the_field_is_linear():
    rng = np.random.default_rng(0)
    points = rng.normal(size=(30, 3))
    points *= 0.12 / np.linalg.norm(points, axis=1, keepdims=True)
    normals = rng.normal(size=(30, 3))
    places, moments = 0.03 * rng.normal(size=(4, 3)), rng.normal(size=(4, 3))
    field = sphere_field(places, moments, points, normals)
    assert np.abs(sphere_field(places, places, points, normals)).max() < 1e-12 * np.abs(field).max()
    assert np.all(sphere_field(0 * places, moments, points, normals) == 0)
    np.testing.assert_allclose(sphere_field(places, -3 * moments, points, normals), -3 * field)
    # only primary currents make radial field, which Biot and Savart's law gives
    radial = points / 0.12
    a = points[:, None] - places
    primary = np.cross(moments, a) / np.linalg.norm(a, axis=2, keepdims=True) ** 3
    expected = 1e-7 * np.einsum("ijk,ik->ij", primary, radial)
    np.testing.assert_allclose(
        sphere_field(places, moments, points, radial), expected, rtol=1e-9, atol=1e-17
    )


# Recipe --------------------------------------------------------------------------------------


def test_sources_are_nearly_tangential_distinct_and_super_gaussian():
    for source in SOURCES:
        away = source.positions - CENTRE
        cosines = np.sum(away * source.orientations, axis=1) / np.linalg.norm(away, axis=1)
        assert np.all(np.abs(cosines) < (0.41 if source.name == "aud_P50m" else 0.24))
        np.testing.assert_allclose(np.linalg.norm(source.orientations, axis=1), 1)
    S = responses(np.arange(-100, 251) / 500).reshape(-1, 8)
    assert np.all((kurtosis(S) > 4.5) & (kurtosis(S) < 68))
    assert np.abs(np.corrcoef(S.T) - np.eye(8)).max() < 0.22
    assert np.all(S[:351, 4:] == 0)
    assert np.all(S[351:, :4] == 0)


@pytest.mark.parametrize("kind", ["mag", "grad"])
def test_amplitudes_noise_and_maps_are_those_of_real_recordings(groups, kind):
    # (range for magnetometers in fT, for gradiometers in fT/cm), widened by a tenth
    ranges = {
        "peak": ((520, 650), (170, 230)),
        "baseline": ((14, 18), (2.5, 3.3)),
        "rms": ((21, 25), (4.5, 5.7)),
        "alike, least": ((0.70, 0.93), (0.61, 0.87)),
        "alike, most": ((0.70, 0.93), (0.61, 0.87)),
        "condition": ((7.3, 8.7), (4.2, 4.9)),
    }
    found = {name: [] for name in ranges}
    unit = 1e15 if kind == "mag" else 1e13
    for group in groups:
        chosen = types(group) == kind
        X = average(group)[:, :, chosen] * unit
        before = X[..., group.times < 0]
        found["peak"].append(np.median(np.abs(X).max(axis=(1, 2, 3))))
        found["baseline"].append(np.median(before.std(axis=-1)))
        found["rms"].append(np.sqrt(np.mean(before**2)))
        A = group.mixing[:, chosen if kind == "mag" else slice(None)]
        columns = A / np.linalg.norm(A, axis=1, keepdims=True)
        found["condition"].append(np.median([np.linalg.cond(a) for a in columns]))
        alike = [between_subjects(group.mixing[:, chosen, j]) for j in range(8)]
        found["alike, least"].append(min(alike))
        found["alike, most"].append(max(alike))
    for name, bounds in ranges.items():
        low, high = bounds[kind == "grad"]
        assert 0.9 * low < np.median(found[name]) < 1.1 * high, name


def between_subjects(maps):
    """Mean absolute correlation of maps (m, n_channels)."""
    return np.abs(np.corrcoef(maps))[np.triu_indices(len(maps), 1)].mean()


def test_the_p50m_is_weak_and_age_shows_in_the_timing(groups):
    peaks, ages = [], []
    for group in groups:
        mags = group.mixing[:, types(group) == "mag", 0]
        peaks.append(np.median(np.abs(mags).max(axis=1) * group.template[:, 0].max()))
        visual = np.corrcoef(group.ages, group.delays[:, 4:].mean(axis=1))[0, 1]
        auditory = np.corrcoef(group.ages, group.dilations[:, :4].mean(axis=1))[0, 1]
        ages += [visual, auditory]
    assert 0.9 * 106e-15 < np.median(peaks) < 1.1 * 118e-15
    assert 0.9 * 0.83 < np.median(ages) < 0.95


def test_peaks_are_where_delay_and_dilation_put_them():
    group = make_meg_group(5, sfreq=1000, ch_types=("mag",), random_state=0)
    n = len(group.times)
    T = group.times[np.abs(group.template).argmax(axis=0) % n]
    found = group.times[np.abs(group.sources).argmax(axis=1) % n]
    np.testing.assert_allclose(found, group.dilations * T + group.delays, rtol=0, atol=1e-3)
    # dilations about the first sample instead of the stimulus
    first, t = group.times[0], group.times
    moved = group.delays[0] + first * (group.dilations[0] - 1)
    for j, source in enumerate(SOURCES):
        own = source.response(first + (t - first - moved[j]) / group.dilations[0, j])
        chosen = group.sources[0, source.condition * n : (source.condition + 1) * n, j]
        np.testing.assert_allclose(own, chosen, rtol=0, atol=1e-14 * np.abs(chosen).max())


def test_mixing_is_what_many_trials_show():
    group = make_meg_group(4, n_trials=1e6, random_state=0)
    for v, X in enumerate(average(group)):
        X = np.concatenate(list(X), axis=1)
        A = np.linalg.lstsq(group.sources[v], X.T)[0].T
        for kind in ("mag", "grad"):
            chosen = types(group) == kind
            truth = group.mixing[v, chosen]
            assert np.abs(A[chosen] - truth).max() < 1e-2 * np.abs(truth).max()


def test_same_seed_same_bits_and_the_truth_does_not_depend_on_the_recording():
    settings = {"n_noise_dipoles": 30, "random_state": 3}
    first, again = make_meg_group(3, **settings), make_meg_group(3, **settings)
    assert average(first).tobytes() == average(again).tobytes()
    assert average(first)[:2].tobytes() == average(make_meg_group(2, **settings)).tobytes()
    trials = make_meg_group(3, kind="epochs", n_trials=2, ch_types=("grad",), **settings)
    for name in ("ages", "delays", "dilations", "noise_level", "sources"):
        assert getattr(first, name).tobytes() == getattr(trials, name).tobytes()
    np.testing.assert_array_equal(first.mixing[:, types(first) == "grad"], trials.mixing)
    other = make_meg_group(3, n_noise_dipoles=30, random_state=4)
    assert np.all(other.ages != first.ages)


# Recordings ----------------------------------------------------------------------------------


def test_trials_average_to_the_responses_with_the_noise_of_averages():
    settings = {"ch_types": ("mag",), "sfreq": 125, "trial_gain_sd": 0.0, "random_state": 0}
    trials = make_meg_group(2, kind="epochs", n_trials=40, **settings)
    averages = make_meg_group(2, kind="evoked", n_trials=40, **settings)
    for v in range(2):
        epochs = trials.data[v]
        codes = epochs.events[:, 2]
        assert 0 < np.count_nonzero(np.diff(codes)) < len(codes) - 1  # mixed order
        clean = (trials.mixing[v] @ trials.sources[v].T).reshape(102, 2, -1).transpose(1, 0, 2)
        own = np.array([epochs[c].average().data for c in trials.conditions]) - clean
        given = average(averages)[v] - clean
        ratio = np.sqrt(np.mean(own**2) / np.mean(given**2))
        assert 0.8 < ratio < 1.25
        assert abs(np.corrcoef(own.ravel(), clean.ravel())[0, 1]) < 0.1  # nothing else is left


def test_single_trial_noise_has_the_level_asked_for():
    group = make_meg_group(
        2, kind="epochs", n_trials=10, mag_noise=0, noise_level_sd=0, random_state=0
    )
    for v, epochs in enumerate(group.data):
        clean = group.mixing[v] @ responses(epochs.times, group.delays[v], group.dilations[v])[
            epochs.events[:, 2] - 1
        ].transpose(0, 2, 1)
        gains = np.einsum("kij,kij->k", epochs.get_data(), clean) / np.sum(clean**2, axis=(1, 2))
        noise = (
            epochs.get_data(picks="mag") - (gains[:, None, None] * clean)[:, types(group) == "mag"]
        )
        assert np.median(np.sqrt(noise.var(axis=-1).mean(axis=0))) == pytest.approx(
            140e-15, rel=0.05
        )


def test_continuous_recordings_hold_the_trials_they_name():
    group = make_meg_group(
        1, kind="raw", sfreq=250, n_noise_dipoles=20, n_trials=30, max_bads=4, random_state=1,
        brain_noise=1e-17, mag_noise=0, grad_noise=0, trial_gain_sd=0,
    )  # fmt: skip
    (raw,) = group.data
    events, codes = mne.events_from_annotations(raw, verbose="ERROR")
    assert codes == {"audio/600Hz": 1, "vis/checker": 2}
    assert np.bincount(events[:, 2]).tolist() == [0, 30, 30]
    gaps = np.diff(events[:, 0]) / 250
    assert np.all((gaps > 0.99) & (gaps < 1.31))
    epochs = mne.Epochs(raw, events, codes, -0.2, 0.5, baseline=None, preload=True, verbose="ERROR")
    clean = (group.mixing[0] @ group.sources[0].T).reshape(306, 2, -1).transpose(1, 0, 2)
    for k, name in enumerate(codes):
        found = epochs[name].average(picks="all").data
        for kind in ("mag", "grad"):
            chosen = types(group) == kind
            largest = np.abs(clean[k, chosen]).max()
            np.testing.assert_allclose(found[chosen], clean[k, chosen], rtol=0, atol=1e-2 * largest)
    assert len(raw.info["bads"]) <= 4


def test_artefacts_are_where_they_were_asked_for():
    settings = {"kind": "raw", "sfreq": 125, "n_trials": 10, "n_noise_dipoles": 20}
    plain = make_meg_group(1, random_state=0, **settings)
    blinks = make_meg_group(1, blink_rate=30, random_state=0, **settings)
    difference = (blinks.data[0].get_data() - plain.data[0].get_data())[types(plain) == "mag"]
    values = np.linalg.svd(difference, compute_uv=False)
    assert values[1] < 1e-10 * values[0]  # one field
    assert 0.5e-12 < np.abs(difference).max() < 5e-12
    jumps = make_meg_group(1, jump_rate=0.5, random_state=0, **settings)
    step = np.abs(np.diff(jumps.data[0].get_data(picks="mag"), axis=1))
    assert 3 <= np.count_nonzero(step > 2e-12) <= 18


def test_signal_space_separation_leaves_the_degrees_of_freedom_of_its_expansion():
    group = make_meg_group(1, kind="raw", sfreq=125, n_trials=5, sss=True, random_state=0)
    (raw,) = group.data
    X = raw.get_data() * np.where(types(group) == "mag", 1, 0.04)[:, None]
    values = np.linalg.svd(X, compute_uv=False)
    rank = mne.compute_rank(raw, rank="info", verbose="ERROR")["meg"]
    assert 65 <= rank <= 80
    assert values[rank + 1] < 1e-9 * values[0]


def test_helmet_is_complete_and_heads_are_inside():
    info = vectorview_info(500.0)
    counts = np.unique(info.get_channel_types(), return_counts=True)
    assert dict(zip(*counts, strict=True)) == {"grad": 204, "mag": 102}
    group = make_meg_group(20, n_noise_dipoles=1, ch_types=("mag",), sfreq=100, random_state=0)
    for own in group.infos:
        shift = own["dev_head_t"]["trans"]
        places = np.array([c["loc"][:3] for c in own["chs"]]) @ shift[:3, :3].T + shift[:3, 3]
        distances = np.linalg.norm(places - CENTRE, axis=1)
        assert 0.085 < distances.min() < distances.max() < 0.18
    assert group.kind == "evoked"
    assert group.sfreq == 100
    assert group.condition[:4] == ("audio/600Hz",) * 4
    assert group.data[0][0].nave == 60


# EEG -----------------------------------------------------------------------------------------


def test_eeg_sees_the_same_sources_with_the_average_reference():
    group = make_eeg_group(3, random_state=0, n_noise_dipoles=50)
    meg = make_meg_group(3, random_state=0, n_noise_dipoles=50)
    np.testing.assert_array_equal(group.sources, meg.sources)
    X = average(group)
    assert [np.linalg.matrix_rank(np.concatenate(list(x), axis=1)) for x in X] == [63] * 3
    np.testing.assert_allclose(X.mean(axis=2), 0, atol=1e-19)
    # ten nanoampere metre make about a microvolt
    peaks = 10e-9 * np.abs(group.mixing).max(axis=1)
    assert 0.5e-6 < np.median(peaks) < 4e-6
    for v, x in enumerate(X):
        clean = (group.mixing[v] @ group.sources[v].T).reshape(64, 2, -1).transpose(1, 0, 2)
        level = np.median((x - clean).std(axis=-1)) * np.sqrt(60) / group.noise_level[v]
        assert level == pytest.approx(8e-6, rel=0.1)


# Refusals ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "average"}, "kind='average'; expected 'evoked', 'epochs' or 'raw'"),
        ({"ch_types": ("eeg",)}, r"ch_types=\('eeg',\)"),
        ({"n_subjects": 0}, "n_subjects=0"),
        ({"sfreq": 50}, "sfreq=50"),
        ({"tmin": 0.1}, "tmin=0.1"),
        ({"n_trials": 0}, "n_trials=0"),
        ({"ages": [30, 40]}, r"ages has shape \(2,\); expected 3 numbers"),
        ({"sss": True}, "sss=True needs kind='raw'"),
        ({"jump_rate": 0.1}, "jump_rate=0.1 needs kind='epochs' or 'raw'"),
        ({"forward": "bem"}, "forward='bem'"),
        ({"trial_jitter": -1}, "trial_jitter=-1"),
    ],
)
def test_refuses(change, message):
    with pytest.raises(ValueError, match=message):
        make_meg_group(**{"n_subjects": 3} | change)


def test_refuses_unknown_parameters_of_the_eeg_group():
    with pytest.raises(TypeError, match="unexpected parameter 'gain_std'"):
        make_eeg_group(2, gain_std=1)


def test_says_which_mne_has_the_sensors(monkeypatch):
    monkeypatch.delattr(mne.channels, "read_meg_canonical_info")
    monkeypatch.delattr(mne.channels, "__getattr__", raising=False)  # it would import it again
    with pytest.raises(ImportError, match=r"MNE-Python 1\.12 or later, found"):
        make_meg_group(2)
