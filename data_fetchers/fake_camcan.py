"""Write a small folder that looks like a Cam-CAN copy, of simulated people, to try programs on."""

import csv
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from mvica.data_fetchers.camcan_layouts import (
    KINDS,
    LAYOUTS,
    MAXFILTER,
    RELEASE004_BIDS,
    RELEASE004_DATA,
    RELEASE004_SEP,
    RELEASE005,
    TASKS,
)

__all__ = ["FakeCamCAN", "make_fake_camcan"]

DEFECTS = (
    "missing_file",
    "wrong_trigger",
    "bad_age",
    "missing_events",
    "split",
    "missing_part",
    "two_recordings",
)
FIRST_ID = 999901  # no such participant exists
ANONYMOUS_DAY = datetime(1914, 6, 1, tzinfo=UTC)
TRUE_DAYS = (datetime(2011, 6, 1, tzinfo=UTC), datetime(2012, 6, 1, tzinfo=UTC))
PULSE = 0.02  # seconds that a trigger lasts
REACTION = 0.4  # seconds from stimulus to button press
LINE_NAMES = ("STI001", "STI002", "STI003", "STI004", "STI101")


@dataclass(frozen=True, eq=False)
class FakeCamCAN:
    """What was written.

    Attributes
    ----------
    path : Path
        Folder to give to `fetch_camcan`.
    subjects : tuple of m str
        Invented identifiers.
    defects : dict of str to str
        Identifier to what is wrong with this subject.
    events : list of m ndarrays of shape (n_events, 3)
        Sample from the start of the recording, 0, code, at the onset of the stimuli.
    group : SimulatedGroup
        The truth.
    """

    path: Path
    subjects: tuple
    defects: dict
    events: list = field(repr=False)
    group: object = field(repr=False)


def make_fake_camcan(
    path,
    n_subjects=4,
    *,
    layout="release005",
    task="passive",
    kind="raw",
    defects=(),
    n_trials=4,
    sfreq=100.0,
    random_state=0,
):
    """Write recordings of simulated people in the folders and formats of a Cam-CAN copy.

    Files have 306 channels, trigger lines, tables of events and of participants, two rows of which
    are repeated as in the release, and the anonymised dates of the release. The people do not
    exist: their identifiers start at CC999901.

    Parameters
    ----------
    path : path-like
        Folder to write into; made where it does not exist.
    n_subjects : int, default=4
        Number of subjects, at least one more than `defects`.
    layout : {"release005", "release004", "custom"}, default="release005"
        How folders are arranged.
    task : {"passive", "smt", "rest"}, default="passive"
    kind : {"raw", "sss", "sss_movecomp", "sss_transdef", "epochs"}, default="raw"
        Besides raw recordings, write recordings after Maxwell filtering, or epochs.
    defects : sequence of str, default=()
        Faults, one a subject, first to last: "missing_file", "wrong_trigger", "bad_age",
        "missing_events", "split" (a file in several parts), "missing_part" (of these),
        "two_recordings".
    n_trials : int, default=4
        Trials of each of two kinds of stimuli, about one a second.
    sfreq : float, default=100.0
        Samples per second.
    random_state : int, RandomState or None, default=0
        As in `make_meg_group`.

    Returns
    -------
    fake : FakeCamCAN

    Raises
    ------
    ImportError
        Without MNE-Python 1.12 or later.
    ValueError
        If a parameter is none of the allowed ones.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from mvica.data_fetchers import make_fake_camcan
    >>> with TemporaryDirectory() as folder:
    ...     make_fake_camcan(folder, n_subjects=2, n_trials=2).subjects
    ('CC999901', 'CC999902')
    """
    from mvica.datasets import make_meg_group

    _check(layout, task, kind, defects, n_subjects)
    path = Path(path)
    group = make_meg_group(
        n_subjects,
        kind="raw",
        sfreq=sfreq,
        n_trials=n_trials,
        trial_jitter=0.1,
        random_state=random_state,
    )
    subjects = tuple(f"CC{FIRST_ID + v}" for v in range(n_subjects))
    faults = dict(zip(subjects, defects, strict=False))
    legacy = layout == "release004" and kind in ("raw", "sss_transdef")
    all_events = []
    for v, (subject, raw) in enumerate(zip(subjects, group.data, strict=True)):
        events = _events(raw, task)
        day = TRUE_DAYS[v % 2] if legacy else ANONYMOUS_DAY
        audio = (0.013, 0.026)[v % 2]
        writer = _Writer(path, layout, task, kind, subject, faults.get(subject), legacy)
        writer.write(_with_triggers(raw, events, day, audio, faults.get(subject)), events)
        all_events.append(events)
    _write_people(path, layout, task, subjects, group.ages, faults)
    return FakeCamCAN(path, subjects, faults, all_events, group)


def _check(layout, task, kind, defects, n_subjects):
    for name, value, allowed in (
        ("layout", layout, LAYOUTS[1:]),
        ("task", task, TASKS),
        ("kind", kind, KINDS),
    ):
        if value not in allowed:
            raise ValueError(f"{name}={value!r}; expected one of {', '.join(allowed)}.")
    unknown = sorted(set(defects) - set(DEFECTS))
    if unknown:
        raise ValueError(f"defects={unknown!r}; expected {', '.join(DEFECTS)}.")
    if len(defects) >= n_subjects:
        raise ValueError(
            f"{len(defects)} defects need more than {n_subjects} subjects: one must be sound."
        )
    if layout == "release004" and kind in ("epochs", "sss_movecomp"):
        raise ValueError(f"kind={kind!r} is no part of layout='release004'.")


# One recording -----------------------------------------------------------------------------------


def _events(raw, task):
    """Sample from the start, 0, code of a recording's stimuli, named as in the task."""
    samples = np.rint(raw.annotations.onset * raw.info["sfreq"]).astype(int)
    heard = np.array([name.startswith("audio") for name in raw.annotations.description])
    if task == "rest":
        return np.zeros((0, 3), int)
    codes = np.where(heard, 6 + (np.cumsum(heard) - 1) % 3, 9)
    if task == "smt":
        codes = np.where(heard, 1 + np.cumsum(heard) % 3, 1 + np.cumsum(~heard) % 3)
        codes[-1] = 4  # a catch trial
    events = np.column_stack([samples, np.zeros_like(samples), codes])
    if task == "smt":
        presses = events[:-1] + [round(REACTION * raw.info["sfreq"]), 0, 0]
        presses[:, 2] = 99
        events = np.concatenate([events, presses])
        events = events[np.argsort(events[:, 0], kind="stable")]
    return events


def _with_triggers(raw, events, day, audio_latency, fault):
    """Add trigger lines that precede the stimuli, a date, and names without space."""
    import mne

    from mvica.meg.camcan_events import VISUAL_LATENCY

    sfreq, n = raw.info["sfreq"], raw.n_times
    lines = np.zeros((len(LINE_NAMES), n))
    both = (audio_latency + VISUAL_LATENCY) / 2
    latency = dict.fromkeys((1, 2, 3), both) | dict.fromkeys((6, 7, 8), audio_latency)
    latency[9] = VISUAL_LATENCY
    length = max(1, round(PULSE * sfreq))
    for k, (sample, _, code) in enumerate(events):
        start = sample - round(latency.get(int(code), 0.0) * sfreq)
        value = 5 if fault == "wrong_trigger" and k == 0 else int(code)
        if fault == "missing_events":
            continue
        if value == 99:
            lines[4, start : start + length] += 4096
            continue
        bits = [5.0 * (value >> bit & 1) for bit in range(4)]
        lines[:4, start : start + length] = np.array(bits)[:, None]
        lines[4, start : start + length] += value
    stim = mne.io.RawArray(lines, mne.create_info(list(LINE_NAMES), sfreq, "stim"), verbose="ERROR")
    raw = raw.copy().set_annotations(None)
    raw.rename_channels({name: name.replace(" ", "") for name in raw.ch_names})
    raw.add_channels([stim], force_update_info=True)
    return raw.set_meas_date(day)


@dataclass(frozen=True)
class _Writer:
    """The files of one subject."""

    path: Path
    layout: str
    task: str
    kind: str
    subject: str
    fault: str | None
    legacy: bool

    def write(self, raw, events):
        """Write the raw recording, its table, and what is made of it."""
        folder, name = self._raw_place()
        if self.legacy and self.kind != "raw":
            self._save(self._filtered(raw), *self._filtered_place())
            return
        damaged = self.kind == "raw"
        self._save(raw, folder, name, damaged=damaged)
        if not self.legacy and self.task != "rest" and self.fault != "missing_events":
            self._write_events(folder, name, raw, events)
        if self.kind.startswith("sss"):
            self._save(self._filtered(raw), *self._filtered_place())
        if self.kind == "epochs":
            self._save_epochs(raw, events)

    def _raw_place(self):
        s, t = self.subject, self.task
        name = f"sub-{s}_ses-{t}_task-{t}_meg.fif"
        inner = Path(f"sub-{s}", f"ses-{t}", "meg")
        if self.legacy:
            old = "task" if t == "smt" else t
            return self.path / RELEASE004_DATA / s / old, f"{old}_raw.fif"
        if self.layout == "release004":
            return self.path / RELEASE004_BIDS / f"meg_{t}_raw" / inner, name
        return _base(self.path, self.layout) / t / inner, name

    def _filtered_place(self):
        s, t = self.subject, self.task
        if self.layout == "release004" and self.kind == "sss":
            inner = Path(f"sub-{s}", f"ses-{t}", "meg")
            folder = self.path / RELEASE004_BIDS / f"meg_{t}_mf" / inner
            return folder, f"sub-{s}_ses-{t}_task-{t}_proc-sss.fif"
        if self.layout == "release004":
            folder = self.path / RELEASE004_SEP / f"megmax_{t}" / f"sub-{s}" / "meg"
            return folder, f"transdef_mf2pt2_{t}_raw.fif"
        base = _base(self.path, self.layout) / f"derivatives_{t}" / MAXFILTER[self.kind]
        prefix = "transdef_mf2pt2" if self.kind == "sss_transdef" else "mf2pt2"
        return base / f"sub-{s}", f"{prefix}_sub-{s}_ses-{t}_task-{t}_meg.fif"

    def _save(self, raw, folder, name, damaged=True):
        folder.mkdir(parents=True, exist_ok=True)
        if self.fault == "missing_file" and damaged:
            return
        parts = {"split_size": "2MB"} if self.fault in ("split", "missing_part") and damaged else {}
        raw.save(folder / name, overwrite=True, verbose="ERROR", **parts)
        if self.fault == "missing_part" and damaged:
            (folder / f"{name.removesuffix('.fif')}-1.fif").unlink()
        if self.fault == "two_recordings" and damaged:
            again = name.replace("_meg.fif", "_run-02_meg.fif").replace("_raw", "_run2_raw")
            raw.save(folder / again, overwrite=True, verbose="ERROR")

    def _filtered(self, raw):
        import mne

        from mvica.datasets._evoked_recipe import CENTRE

        return mne.preprocessing.maxwell_filter(
            raw, origin=CENTRE, coord_frame="head", verbose="ERROR"
        )

    def _save_epochs(self, raw, events):
        from mvica.meg.camcan import camcan_epochs

        s, t = self.subject, self.task
        base = _base(self.path, self.layout) / "derivatives" / t
        folder = base / f"sub-{s}" / f"ses-{t}" / "meg"
        folder.mkdir(parents=True, exist_ok=True)
        if self.fault != "missing_file":
            epochs = camcan_epochs(raw, events, reject=None)
            name = f"sub-{s}_ses-{t}_task-{t}_proc-clean_epo.fif"
            epochs.save(folder / name, overwrite=True, verbose="ERROR")

    def _write_events(self, folder, name, raw, events):
        from mvica.meg.camcan_events import EVENT_ID

        names = {code: label for label, code in EVENT_ID.items()}
        sfreq = raw.info["sfreq"]
        rows = [["onset", "duration", "trial_type", "value", "sample"]]
        for k, (sample, _, code) in enumerate(events.tolist()):
            value = 5 if self.fault == "wrong_trigger" and k == 0 else code
            rows.append([f"{sample / sfreq:.3f}", 0, names[value], value, sample])
        _write_table(folder / name.replace("_meg.fif", "_events.tsv"), rows, "\t")


def _base(path, layout):
    return path / RELEASE005 if layout == "release005" else path


# Tables ------------------------------------------------------------------------------------------


def _write_people(path, layout, task, subjects, ages, faults):
    sexes = ("MALE", "FEMALE")
    rows = []
    for v, (subject, age) in enumerate(zip(subjects, ages, strict=True)):
        told = "n/a" if faults.get(subject) == "bad_age" else f"{age:.1f}"
        rows.append([subject, told, 100, sexes[v % 2], 1 + v % 2])
    rows += rows[:2]  # the release repeats some people
    if layout == "release004":
        table = path / "dataman" / "useraccess" / "processed" / "A_User_1" / "standard_data.csv"
        header = ["CCID", "Age", "Hand", "Sex", "Gender_code", "Coil"]
        _write_table(table, [header, *([*row, 32] for row in rows)], ",")
        return
    header = ["participant_id", "age", "hand", "gender_text", "gender_code"]
    named = [[f"sub-{row[0]}", *row[1:]] for row in rows]
    _write_table(_base(path, layout) / task / "participants.tsv", [header, *named], "\t")


def _write_table(path, rows, delimiter):
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", newline="", encoding="utf-8") as lines:
        csv.writer(lines, delimiter=delimiter, lineterminator="\n").writerows(rows)
