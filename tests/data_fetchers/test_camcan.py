"""The index of a Cam-CAN copy, on fake copies of invented people."""

import shutil
import warnings

import numpy as np
import pytest

from mvica.data_fetchers import fetch_camcan, make_fake_camcan

mne = pytest.importorskip("mne")
if not hasattr(mne.channels, "read_meg_canonical_info"):
    pytest.skip("fake copies need the sensor table of MNE 1.12", allow_module_level=True)

ANY = {"sfreq": None, "min_trials": 1}
REPEATED = "2 repeated rows were dropped"
COPIES = [
    ("release005", "raw"),
    ("release005", "sss_transdef"),
    ("release004", "raw"),
    ("release004", "sss"),
    ("release004", "sss_transdef"),
    ("custom", "raw"),
    ("custom", "epochs"),
]


def fetch(path, *args, **settings):
    """The index, with the warnings it gave."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        camcan = fetch_camcan(path, *args, **ANY | settings)
    return camcan, [str(w.message) for w in caught]


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """A copy without defects."""
    return make_fake_camcan(tmp_path_factory.mktemp("camcan"), 4)


@pytest.fixture(scope="module")
def damaged(tmp_path_factory):
    """A copy with every defect, and one sound subject."""
    defects = ("missing_file", "wrong_trigger", "bad_age", "missing_events", "split",
               "missing_part", "two_recordings")  # fmt: skip
    return make_fake_camcan(tmp_path_factory.mktemp("camcan"), 8, defects=defects)


# Layouts -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("layout", "kind"), COPIES)
def test_finds_and_checks_every_layout_and_the_events_at_the_onsets(tmp_path, layout, kind):
    fake = make_fake_camcan(tmp_path, 3, layout=layout, kind=kind, n_trials=3)
    before = sorted(tmp_path.rglob("*"))
    camcan, told = fetch(tmp_path, kind=kind, check="full")
    assert sorted(tmp_path.rglob("*")) == before  # nothing is written
    assert (camcan.layout, camcan.kind, camcan.task) == (layout, kind, "passive")
    assert camcan.subjects == fake.subjects
    assert camcan.missing == {}
    assert camcan.correct_latency == (layout == "release004" and kind != "sss")
    if kind == "epochs":  # derivatives come without a table of participants
        assert len(told) == 1 or np.isnan(camcan.ages).all()
        assert len(camcan.epochs(0)) == 6
        return
    np.testing.assert_allclose(camcan.ages, fake.group.ages, atol=0.05)
    assert camcan.sex == ("male", "female", "male")
    assert len(told) == 1
    assert REPEATED in told[0]
    for i, expected in enumerate(fake.events):
        events = camcan.events(i)
        np.testing.assert_array_equal(events[:, 2], expected[:, 2])
        first = camcan.read(i).first_samp
        assert np.abs(events[:, 0] - first - expected[:, 0]).max() <= 1  # rounded to 10 ms
    evoked = camcan.evoked(0, "audio")
    assert (evoked.nave, evoked.comment, len(evoked.ch_names)) == (3, "audio", 306)


@pytest.mark.parametrize("inner", ["BIDSsep", ".", "passive"])
def test_finds_a_copy_from_the_folders_inside_it(sound, tmp_path, inner):
    base = sound.path / "cc700" / "meg" / "pipeline" / "release005"
    given = base / "BIDSsep" / inner if inner == "passive" else base
    given = base / "BIDSsep" if inner == "." else given
    camcan, _ = fetch(given)
    assert (camcan.layout, camcan.subjects) == ("custom", sound.subjects)
    np.testing.assert_allclose(camcan.ages, sound.group.ages, atol=0.05)


@pytest.mark.parametrize("task", ["smt", "rest"])
def test_other_tasks(tmp_path, task):
    fake = make_fake_camcan(tmp_path, 2, task=task)
    camcan, _ = fetch(tmp_path, task, check="full")
    assert camcan.subjects == fake.subjects
    if task == "rest":
        assert camcan.events_paths == (None, None)
        return
    epochs = camcan.epochs(0)
    assert len(epochs["button"]) == len(epochs["audiovis"]) == 7
    assert len(epochs["catch"]) == 1


def test_old_name_of_the_sensorimotor_task(tmp_path):
    fake = make_fake_camcan(tmp_path, 2, task="smt", layout="release004")
    assert (tmp_path / next(tmp_path.rglob("task_raw.fif"))).is_file()
    camcan, _ = fetch(tmp_path, "smt", check="full")
    assert camcan.subjects == fake.subjects
    np.testing.assert_array_equal(np.sort(camcan.events(0)[:, 2]), np.sort(fake.events[0][:, 2]))


def test_names_of_other_tasks_are_not_taken(tmp_path):
    make_fake_camcan(tmp_path, 2, layout="custom")
    for file in (tmp_path / "passive").rglob("*_meg.fif"):
        shutil.copy(file, file.with_name(file.name.replace("task-passive", "task-smt")))
    camcan, told = fetch(tmp_path)
    assert all("task-passive" in path.name for path in camcan.paths)
    assert len(told) == 1


def test_pattern_finds_recordings_elsewhere(sound, tmp_path):
    for file in sorted(sound.path.rglob("*_meg.fif"))[:2]:
        shutil.copy(file, tmp_path / f"{file.name[4:12]}-passive-cleaned_raw.fif")
    ages = {"sub-CC999901": 40.0, "CC999902": 300}
    camcan, told = fetch(tmp_path, pattern="*-{task}-*_raw.fif", participants=ages, check="fast")
    assert camcan.subjects == sound.subjects[:2]
    np.testing.assert_array_equal(camcan.ages, [40, np.nan])
    assert told == []
    with pytest.raises(FileNotFoundError, match="finds no recording"):
        fetch(tmp_path, pattern="*.edf")


# Defects -------------------------------------------------------------------------------------


def test_every_defect_is_told_by_the_check_that_can_see_it(damaged):
    by_defect = {defect: subject for subject, defect in damaged.defects.items()}
    fast, told = fetch(damaged.path)
    assert set(fast.missing) == {by_defect["missing_file"]}
    assert any("1 of 8 subjects lack a usable passive raw recording: CC999901." in t for t in told)
    assert any("1 subjects have several recordings: the last by name" in t for t in told)
    assert any("no age between 18 and 90 for CC999903" in t for t in told)
    two = fast.paths[fast.subjects.index(by_defect["two_recordings"])]
    assert "run-02" in two.name
    split = fast.paths[fast.subjects.index(by_defect["split"])]
    assert len(list(split.parent.glob("*.fif"))) == 2
    assert split.name.endswith("_meg.fif")

    header, told = fetch(damaged.path, check="header")
    assert set(header.missing) == {
        by_defect[d] for d in ("missing_file", "wrong_trigger", "missing_events", "missing_part")
    }
    assert header.missing[by_defect["missing_file"]] == "no file"
    assert header.missing[by_defect["wrong_trigger"]] == (
        "event codes [5, 6, 7, 8, 9], expected [6, 7, 8, 9]"
    )
    assert header.missing[by_defect["missing_events"]] == "no events.tsv"
    assert header.missing[by_defect["missing_part"]] == "parts of the file are missing"
    assert any("4 of 8 subjects lack" in t and "CC999901, (3 more)" in t for t in told)
    i = header.subjects.index(by_defect["split"])
    assert header.read(i).n_times > 900
    assert len(header.events(i)) == 8
    assert np.isnan(header.ages[header.subjects.index(by_defect["bad_age"])])
    full, _ = fetch(damaged.path, check="full")
    assert full.subjects == header.subjects
    text = full.summary()
    assert "1 without: no events.tsv" in text
    assert "CC99" not in text


def test_damaged_files_are_told(people):
    with pytest.raises(ValueError, match=r"unreadable \("):
        fetch(people, check="header")


def test_defects_of_triggers_in_the_older_layout(tmp_path):
    make_fake_camcan(tmp_path, 3, layout="release004", defects=("wrong_trigger", "missing_events"))
    camcan, _ = fetch(tmp_path, check="full")
    assert camcan.subjects == ("CC999903",)
    assert camcan.missing == {
        "CC999901": "event codes [5, 6, 7, 8, 9], expected [6, 7, 8, 9]",
        "CC999902": "The recording has no events.",
    }


def test_on_missing(damaged):
    with pytest.raises(ValueError, match=r'1 of 8 subjects lack .*; pass on_missing="warn"'):
        fetch(damaged.path, on_missing="raise")
    _, told = fetch(damaged.path, on_missing="ignore")
    assert not [t for t in told if "lack" in t]


def test_header_tells_rates_channels_and_filters(sound, tmp_path):
    with pytest.raises(ValueError, match=r"No subject is left .*100 samples per second"):
        fetch(sound.path, check="header", sfreq=1000)
    with pytest.raises(ValueError, match="4 audio and 4 vis trials, expected at least 40 of each"):
        fetch(sound.path, check="full", min_trials=40)
    file = next(sound.path.rglob("sub-CC999901*_meg.fif"))
    copy = tmp_path / "passive" / "sub-CC999901" / file.name
    copy.parent.mkdir(parents=True)
    raw = mne.io.read_raw_fif(file, verbose="ERROR").pick("mag")
    raw.save(copy, verbose="ERROR")
    with pytest.raises(ValueError, match="102 MEG channels, expected 306"):
        fetch(tmp_path, check="header")
    fake = tmp_path / "derivatives_passive/aa/AA_nomovecomp/aamod_meg_maxfilt_00001"
    fake = fake / "sub-CC999901"
    fake.mkdir(parents=True)
    shutil.copy(file, fake / f"mf2pt2_{file.name}")
    with pytest.raises(ValueError, match="not processed by MaxFilter"):
        fetch(tmp_path, kind="sss", check="header")


def test_processed_recordings_with_other_samples_take_latencies_from_the_raw_one(tmp_path):
    # 1 ms resolution tells the two sound cards apart
    fake = make_fake_camcan(tmp_path, 2, kind="sss", sfreq=1000, n_trials=3)
    camcan, _ = fetch(tmp_path, kind="sss", check="full")
    for path in camcan.paths:
        raw = mne.io.read_raw_fif(path, verbose="ERROR").load_data(verbose="ERROR")
        raw.crop(0.5).save(path, overwrite=True, verbose="ERROR")
    camcan, _ = fetch(tmp_path, kind="sss")
    with pytest.raises(ValueError, match="other samples than"):
        fetch(tmp_path, kind="sss", check="full")
    for i, expected in enumerate(fake.events):
        events = camcan.events(i)
        original = mne.io.read_raw_fif(
            next(tmp_path.rglob(f"passive/sub-{camcan.subjects[i]}/**/*_meg.fif")), verbose="ERROR"
        )
        assert original.n_times == camcan.read(i).n_times + 500
        np.testing.assert_array_equal(events[:, 0], expected[:, 0] + original.first_samp)
        np.testing.assert_array_equal(events[:, 2], expected[:, 2])


# People --------------------------------------------------------------------------------------


def write_people(path, text):
    path.mkdir(parents=True, exist_ok=True)
    (path / "participants.tsv").write_text(text)


@pytest.fixture
def people(tmp_path):
    """Folders of three invented people with empty files, for checks of names only."""
    for subject in ("CC999901", "CC999902", "CC999903"):
        folder = tmp_path / "passive" / f"sub-{subject}" / "meg"
        folder.mkdir(parents=True)
        (folder / f"sub-{subject}_task-passive_meg.fif").touch()
    return tmp_path


def test_people_without_recordings_are_missing(people):
    write_people(
        people / "passive",
        "participant_id\tage\nCC999901\t20\nsub-CC999904\t30\nsub-CC999902\t90.5\n",
    )
    camcan, told = fetch(people)
    np.testing.assert_array_equal(camcan.ages, [20, np.nan, np.nan])
    assert camcan.missing == {"CC999904": "listed in participants.tsv, without recording"}
    assert any("no age between 18 and 90 for CC999902" in t for t in told)
    assert any("1 of 4 subjects lack" in t for t in told)


def test_table_without_ages_or_no_table(people):
    _, told = fetch(people)
    assert ["ages are unknown" in t for t in told] == [True]
    write_people(people / "passive", "participant_id\tyears\nCC999901\t20\n")
    with pytest.raises(
        ValueError, match=r"participants.tsv lacks column age; found \['participant_id', 'years'\]"
    ):
        fetch(people)
    with pytest.raises(FileNotFoundError, match="no such file"):
        fetch(people, participants=people / "none.tsv")


def test_ages_that_do_not_fit_the_decade_of_the_identifier(people):
    for subject in ("CC199999", "CC799999"):  # invented as well
        folder = people / "passive" / f"sub-{subject}"
        folder.mkdir()
        (folder / f"sub-{subject}_task-passive_meg.fif").touch()
    write_people(people / "passive", "participant_id\tage\nCC199999\t20\nCC799999\t40\n")
    camcan, told = fetch(people)
    assert any("the age does not fit the identifier's decade for CC799999." in t for t in told)
    assert camcan.ages[camcan.subjects.index("CC799999")] == 40  # warned of, never replaced


def test_choosing_subjects(people):
    write_people(
        people / "passive", "participant_id\tage\nCC999901\t20\nCC999902\t50\nCC999903\t80\n"
    )
    assert fetch(people, age_range=(40, 90))[0].subjects == ("CC999902", "CC999903")
    assert fetch(people, n_subjects=2)[0].subjects == ("CC999901", "CC999902")
    drawn = {fetch(people, n_subjects=1, random_state=s)[0].subjects for s in range(20)}
    assert len(drawn) == 3
    again = [fetch(people, n_subjects=1, random_state=3)[0].subjects for _ in range(2)]
    assert again[0] == again[1]
    camcan, _ = fetch(people, subjects=["sub-CC999903", "CC999999"])
    assert camcan.subjects == ("CC999903",)
    assert camcan.missing == {"CC999999": "no folder"}
    both = fetch(people)[0].select([True, False, True])
    assert both.subjects == ("CC999901", "CC999903")
    assert both.ages.tolist() == [20, 80]
    assert len(both.paths) == len(both) == 2
    table = both.participants
    assert list(table["participant_id"]) == ["CC999901", "CC999903"]
    with pytest.raises(ValueError, match="n_subjects=9, but only 3"):
        fetch(people, n_subjects=9)
    with pytest.raises(ValueError, match="No subject is left"):
        fetch(people, age_range=(81, 90))


# Refusals ------------------------------------------------------------------------------------


def test_no_copy(tmp_path, sound):
    text = (
        r"CamCAN copy not found under .*\. Cam-CAN data are not downloadable: register at .*, then"
        r" give the folder that contains cc700/"
    )
    with pytest.raises(FileNotFoundError, match=text):
        fetch_camcan(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match=text + r"\nTried:\n .*release005.*\n"):
        fetch_camcan(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"No recordings of kind='sss_movecomp'"):
        fetch_camcan(sound.path, kind="sss_movecomp")
    with pytest.raises(FileNotFoundError, match="copy not found"):
        fetch_camcan(sound.path, layout="release004")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"task": "x"}, r"^Task 'x' unknown: rest, smt, passive$"),
        ({"kind": "sos"}, "kind='sos'; expected one of raw, sss"),
        ({"layout": "mine"}, "layout='mine'"),
        ({"check": "deep"}, "check='deep'"),
        ({"on_missing": "drop"}, "on_missing='drop'"),
    ],
)
def test_refuses(tmp_path, change, message):
    with pytest.raises(ValueError, match=message):
        fetch_camcan(tmp_path, **change)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"layout": "auto"}, "layout='auto'"),
        ({"task": "task"}, "task='task'"),
        ({"defects": ("fire",)}, "defects="),
        ({"defects": ("bad_age",) * 4}, "one must be sound"),
        ({"layout": "release004", "kind": "epochs"}, "is no part of"),
    ],
)
def test_fake_refuses(tmp_path, change, message):
    with pytest.raises(ValueError, match=message):
        make_fake_camcan(tmp_path, 4, **change)
    assert list(tmp_path.iterdir()) == []
