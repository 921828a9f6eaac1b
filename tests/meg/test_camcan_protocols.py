"""The published analyses of Cam-CAN, on fake copies and on arrays."""

import inspect

import numpy as np
import pytest

from mvica import MVICAD
from mvica.cli import main
from mvica.data_fetchers import fetch_camcan, make_fake_camcan
from mvica.meg import camcan_protocols as protocols
from mvica.meg.camcan_causal import (
    envelopes,
    parcel_courses,
    press_epochs,
    run_limvam,
    single_presses,
)
from mvica.meg.camcan_command import PROTOCOL_NAMES

mne = pytest.importorskip("mne")
if not hasattr(mne.channels, "read_meg_canonical_info"):
    pytest.skip("fake copies need the sensor table of MNE 1.12", allow_module_level=True)

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*repeated rows"),
    # six people and a dozen trials: the settings are those of hundreds
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore:.*of the timings are at or beyond"),
    pytest.mark.filterwarnings("ignore:Components that one view alone shows"),
]


@pytest.fixture(scope="module")
def fake(tmp_path_factory):
    return make_fake_camcan(tmp_path_factory.mktemp("camcan"), 5, n_trials=12, sfreq=125.0)


@pytest.fixture(scope="module")
def camcan(fake):
    with pytest.warns(UserWarning, match="repeated rows"):
        return fetch_camcan(fake.path, sfreq=None)


# Sensors -------------------------------------------------------------------------------------


def test_published_settings_are_the_defaults():
    def default(function, name):
        return inspect.signature(function).parameters[name].default

    expected = {
        protocols.run_multiview_ica: {"n_subjects": 200, "n_components": 20},
        protocols.run_shica: {"n_subjects": 100, "n_components": 10},
        protocols.run_avica: {"n_subjects": 100, "n_components": 10},
        protocols.run_mvicad: {"n_subjects": None, "n_components": 20, "max_delay": 0.04},
        protocols.run_mvicad2: {"n_subjects": 100, "n_components": 8, "n_splits": 2},
    }
    for function, settings in expected.items():
        assert {name: default(function, name) for name in settings} == settings
    assert protocols.DILATED == {"audio": (1.3, 0.025, (1, 2, 4)), "vis": (1.25, 0.05, (2, 5))}
    assert {*protocols.PROTOCOLS, "limvam"} == set(PROTOCOL_NAMES)


def test_batches_lie_end_to_end_in_time_for_each_sensor(camcan):
    result = protocols.run_mvicad2(camcan, n_components=4, n_splits=3, sources="all")
    views = result.group.views_
    n = len(views.times) // 3
    assert views.boundaries.tolist() == [0, n, 2 * n, 3 * n]
    assert result.group.estimator_.epochs_ == (n, n, n)  # delays do not cross the joins
    epochs = camcan.epochs(0)["audio"].get_data(picks="mag")
    record = views.records[0]
    for k in range(3):
        batch = epochs[k::3].mean(axis=0) / record.scale[:, None] - record.mean[:, None]
        expected = record.pca_components[:4] @ batch
        np.testing.assert_allclose(
            views.views[0][k * n : (k + 1) * n].T, expected, rtol=0, atol=1e-9
        )
    assert [row[0] for row in result.rows] == ["dilation %", "shift ms"]
    assert result.group.estimator_.max_dilation == 1.3
    assert result.group.estimator_.max_delay == pytest.approx(0.025 * 88.5, rel=0.02)


def test_delays_against_age(camcan, fake):
    result = protocols.run_mvicad(camcan, modality="vis", n_components=3)
    group = result.group
    np.testing.assert_allclose(result.ages, fake.group.ages, atol=0.05)
    assert group.estimator_.max_delay == 5  # 40 ms at 125 Hz
    delays = 1e3 * (group.delays_ - group.delays_.mean(axis=0))
    for j, row in enumerate(result.rows[:3]):
        assert row[0] == str(j + 1)
        slope = np.polyfit(result.ages, delays[:, j], 1)[0]
        r2 = np.corrcoef(result.ages, delays[:, j])[0, 1] ** 2
        np.testing.assert_allclose(row[1:3], [slope, r2], rtol=1e-6, atol=1e-12)
    assert result.rows[3][0] == "mean"
    assert result.rows[3][4] == 5


def test_sources_in_order_of_time_with_dipoles(camcan):
    result = protocols.run_multiview_ica(camcan, n_components=3, n_subjects=4)
    assert len(result.group.subjects_) == 4
    assert result.group.subjects_ == tuple(sorted(result.group.subjects_))
    latencies = [row[1] for row in result.rows]
    assert latencies == sorted(latencies)
    assert result.header[2:] == ["goodness of fit %", "distance from the median mm"]
    assert all(50 < row[2] <= 100 for row in result.rows)
    assert result.group.estimator_.init == "permica"
    again = protocols.run_multiview_ica(camcan, n_components=3, n_subjects=4)
    np.testing.assert_array_equal(again.group.sources_, result.group.sources_)


def test_halves_of_the_trials_are_compared_by_stimulus_and_method(camcan):
    result = protocols.run_shica(camcan, n_components=3)
    assert len(result.rows) == 5 * 3
    assert {row[1] for row in result.rows} == {f"audio/{pitch}" for pitch in protocols.PITCHES}
    views = result.group.views_
    assert [(s["condition"], s["split"]) for s in views.segments[:3]] == [
        ("audio/300Hz", 0), ("audio/300Hz", 1), ("audio/600Hz", 0),
    ]  # fmt: skip
    n = len(views.times) // 6
    one, other = (result.group.sources_[k * n : (k + 1) * n] for k in (0, 1))
    one, other = one - one.mean(axis=0), other - other.mean(axis=0)
    parts = ((one - other) ** 2).mean(axis=0) / (0.5 * (one.var(axis=0) + other.var(axis=0)))
    assert result.rows[0][2] == pytest.approx(parts.mean())
    assert all(0 < row[2] < 4 for row in result.rows)


def test_noise_levels_and_stability(camcan):
    result = protocols.run_avica(camcan, n_components=3, n_draws=3)
    for row in result.rows:
        assert 0 <= row[1] <= 1
        assert 0 < row[2] <= row[3] <= row[4]


def test_refuses(camcan):
    with pytest.raises(ValueError, match="modality='smell'"):
        protocols.run_mvicad2(camcan, modality="smell")
    with pytest.raises(ValueError, match="expected numbers from 1 to 3"):
        protocols.run_mvicad2(camcan, n_components=3)
    with pytest.raises(TypeError, match="unexpected parameter 'n_compnents'"):
        protocols.run_mvicad(camcan, n_compnents=3)


def test_artificial_delays_are_found():
    from mvica.datasets import make_meg_group
    from mvica.meg import to_views

    group = make_meg_group(6, ch_types=("mag",), sfreq=250, n_trials=1000, random_state=0)
    views = to_views(group.data, n_components=8)
    for shared in (True, False):
        delayed, true, S = protocols.delay_artificially(
            views, 5, shared=shared, n_components=8, random_state=0
        )
        assert np.abs(true).max() == 5
        assert (np.ptp(true, axis=1) == 0).all() == shared
        model = MVICAD(8, max_delay=6, epochs=2, shared_delays=shared, random_state=0).fit(delayed)
        aligned = np.abs(np.corrcoef(model.sources_.T, S.T)[:8, 8:])
        match = aligned.argmax(axis=0)
        clear = aligned.max(axis=0) > 0.9
        assert clear.sum() >= 5
        found = model.delays_[:, match[clear]]
        expected = true[:, clear] - true[:, clear].mean(axis=0)
        error = found - found.mean(axis=0) - expected
        assert np.median(np.abs(error)) < 1


# Envelopes -----------------------------------------------------------------------------------


def test_envelopes_are_slow_amplitudes_of_batches():
    rng = np.random.default_rng(0)
    times = -1.5 + np.arange(4501) / 1000
    slow = 1 + 0.8 * np.exp(-((times - 0.5) ** 2) / (2 * 0.3**2))
    phases = rng.uniform(0, 2 * np.pi, size=(45, 1, 1))
    gains = np.array([1.0, 1e-12])[:, None]  # parcels of very different size
    courses = gains * slow * np.sin(2 * np.pi * 15 * times + phases)
    X, centres = envelopes(courses)
    assert X.shape == (1760, 2)
    np.testing.assert_allclose(X[:, 0], X[:, 1], rtol=1e-6)
    np.testing.assert_allclose(np.diff(centres), 0.1)
    kernel = np.interp(centres, times, slow)
    blocks = X[:, 0].reshape(40, 44)
    assert np.corrcoef(blocks.mean(axis=0), kernel)[0, 1] > 0.999
    assert centres[blocks.mean(axis=0).argmax()] == pytest.approx(0.5, abs=0.06)
    # consecutive batches, of which the first five have two epochs
    louder = courses.copy()
    louder[10:] *= np.where(times > 0, 3, 1)
    changed = np.abs(envelopes(louder)[0][:, 0].reshape(40, 44) - blocks).max(axis=1) > 0.1
    np.testing.assert_array_equal(changed, np.arange(40) >= 5)
    with pytest.raises(ValueError, match="39 epochs; expected at least 40"):
        envelopes(courses[:39])
    with pytest.raises(ValueError, match="baseline="):
        envelopes(courses, baseline=(-3, -2))


def test_presses_that_the_protocol_keeps():
    events = np.array(
        [
            [10000, 0, 1], [10400, 0, 99],  # kept
            [20000, 0, 2], [21200, 0, 99],  # late
            [30000, 0, 3], [30300, 0, 99], [31500, 0, 99],  # two presses
            [40000, 0, 4], [40300, 0, 99],  # after a catch trial
            [50000, 0, 3], [50999, 0, 99],  # kept
        ]
    )  # fmt: skip
    assert single_presses(events, 1000.0)[:, 0].tolist() == [10400, 50999]
    rng = np.random.default_rng(0)
    info = mne.create_info(3, 1000.0, "mag")
    raw = mne.io.RawArray(1e-13 * rng.normal(size=(3, 60000)), info, verbose="ERROR")
    epochs = press_epochs(raw, events)
    assert len(epochs) == 2
    assert len(epochs.times) == 4501
    with pytest.raises(ValueError, match="No press of the button"):
        press_epochs(raw, events[2:4])


def test_source_estimates_say_which_files_are_missing(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"5 files .* are missing: .*lh.white, .*trans.fif"):
        parcel_courses(
            None, None, subject="CC999901", subjects_dir=tmp_path,
            bem=tmp_path / "bem.fif", trans=tmp_path / "trans.fif",
        )  # fmt: skip


@pytest.fixture(scope="module")
def courses():
    """Amplitudes of three rhythms; the second follows the first, the third the second."""
    rng = np.random.default_rng(1)
    times = np.arange(901) / 200
    people = []
    for _ in range(5):
        n = 42
        own = rng.gamma(2, size=(n, 3, 9)) - 2
        own[:, 1] += 1.5 * own[:, 0]
        own[:, 2] += 1.5 * own[:, 1]
        knots = np.linspace(0, 4.5, 9)
        levels = np.array([[np.interp(times, knots, x) for x in trial] for trial in own])
        people.append((12 + levels) * np.sin(2 * np.pi * 20 * times))
    return people


def test_limvam_lists_the_strongest_effects_with_their_stability(courses):
    few = [*courses, courses[0][:39]]
    result = run_limvam(few, sfreq=200.0, n_runs=4, n_strongest=2)
    assert result.n_subjects == 5
    assert "5 of 6 subjects" in result.note
    assert {row[0] for row in result.rows} == {"ICA-LiMVAM", "Pairwise-LiMVAM", "Direct-LiMVAM"}
    for name, B in result.strengths.items():
        rows = [row for row in result.rows if row[0] == name]
        assert abs(rows[0][3]) == np.abs(B).max()
        assert all(0 <= row[4] <= 1 for row in rows)
    with pytest.raises(ValueError, match="1 of 2 subjects have 40 epochs"):
        run_limvam([courses[0], courses[1][:10]], sfreq=200.0)


# Command -------------------------------------------------------------------------------------


def test_command_writes_report_model_and_measures(fake, tmp_path, capsys):
    out = tmp_path / "out"
    options = ["--kind", "raw", "--sfreq", "0", "--modality", "vis", "-n", "3", "--no-dipoles"]
    arguments = ["camcan", str(fake.path), "--protocol", "mvicad", *options, "-o", str(out)]
    assert main(arguments) == 0
    printed = capsys.readouterr()
    assert "mvicad: 5 subjects" in printed.out
    assert "repeated rows" in printed.err
    assert sorted(p.name for p in out.iterdir()) == [
        "measures.csv", "model.npz", "report.html", "sources.csv", "timing.csv",
    ]  # fmt: skip
    lines = (out / "measures.csv").read_text().splitlines()
    assert lines[0] == "component,slope a year,R2,Pearson p,subjects"
    assert len(lines) == 5
    for file in ("report.html", "timing.csv", "measures.csv"):  # nobody is named
        assert "CC9999" not in (out / file).read_text()


def test_command_runs_limvam_on_saved_parcels(courses, tmp_path, capsys, monkeypatch):
    long = [np.repeat(c, 5, axis=2)[..., :4501] for c in courses[:3]]
    for k, course in enumerate(long):
        np.save(tmp_path / f"sub-CC99990{k}_parcels.npy", course)
    out = tmp_path / "out"
    arguments = ["camcan", str(tmp_path), "--protocol", "limvam", "-o", str(out)]
    assert main(arguments) == 2
    assert "parcel_courses, which needs FreeSurfer" in capsys.readouterr().err
    assert main([*arguments, "--parcels", "*.npy"]) == 0
    assert "Direct-LiMVAM" in (out / "measures.csv").read_text()
    assert main([*arguments, "--force", "--parcels", "*.mat"]) == 2
    assert "finds no .npy file" in capsys.readouterr().err


def test_command_says_what_is_wrong(fake, tmp_path, capsys):
    out = str(tmp_path / "out")
    assert main(["camcan", str(tmp_path), "--protocol", "mvicad", "-o", out]) == 2
    assert "CamCAN copy not found" in capsys.readouterr().err
    arguments = ["camcan", str(fake.path), "--protocol", "shica", "--kind", "raw", "--sfreq", "0"]
    assert main([*arguments, "--modality", "vis", "-o", out]) == 2
    assert "--modality is not for --protocol shica" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
