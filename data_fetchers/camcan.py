"""Index and check a local copy of the Cam-CAN MEG data, which nobody may download for you."""

import warnings
from collections import Counter
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from sklearn.utils import check_random_state

from mvica.data_fetchers.camcan_checks import (
    problem_of,
    read_recording,
    recording_of,
    same_samples,
)
from mvica.data_fetchers.camcan_layouts import (
    ACCESS,
    KINDS,
    LAYOUTS,
    TASKS,
    Layout,
    files_of_pattern,
    find_layout,
    not_found,
    raw_recording,
    recordings_of,
    subject_folders,
)
from mvica.data_fetchers.camcan_people import given_people, read_people

__all__ = ["CamCAN", "fetch_camcan"]

CHECKS = ("fast", "header", "full")
UNKNOWN = {"age": np.nan, "sex": "", "hand": ""}
DESCRIPTION = (
    "MEG (306 channels, VectorView, 1000 Hz) of adults aged 18 to 88 at rest, in a sensorimotor"
    " task (smt) and listening and watching passively."
)
LICENSE = (
    f"Given to researchers who apply at {ACCESS}. Neither the data nor derivatives of single"
    " participants may be passed on."
)
CITATION = (
    "Taylor et al., The Cambridge Centre for Ageing and Neuroscience (Cam-CAN) data repository,"
    " NeuroImage 144, 2017. Shafto et al., The Cam-CAN study protocol, BMC Neurology 14, 2014."
)


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class CamCAN:
    """Recordings of a Cam-CAN copy that passed the checks, sorted by identifier.

    Attributes
    ----------
    subjects : tuple of m str
        Identifiers without prefix.
    paths : tuple of m Path
        Recordings.
    events_paths : tuple of m (Path or None)
        Tables of events; None where there is none: triggers are decoded then.
    ages : ndarray of shape (m,)
        In years; NaN where unknown.
    sex, hand : tuple of m str
        As in the table of participants; "" where unknown.
    participants : pandas.DataFrame or dict of str to list
        The same as a table, a DataFrame where pandas is installed.
    missing : dict of str to str
        Identifiers left out, with the reason.
    layout, task, kind : str
        What was found and asked for.
    correct_latency : bool
        Whether events are triggers that must be moved to the onset of the stimulus.
    description, license, citation : str
        What the data are, the terms of use, what to cite.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from mvica.data_fetchers import fetch_camcan, make_fake_camcan
    >>> with TemporaryDirectory() as folder:  # doctest: +SKIP
    ...     _ = make_fake_camcan(folder, n_subjects=3)
    ...     fetch_camcan(folder, sfreq=None)
    CamCAN(passive, raw, release005: 3 subjects, 0 missing, ages 23 to 71)
    """

    subjects: tuple
    paths: tuple
    events_paths: tuple
    ages: np.ndarray
    sex: tuple
    hand: tuple
    missing: dict
    layout: str
    task: str
    kind: str
    correct_latency: bool
    description: str = DESCRIPTION
    license: str = LICENSE
    citation: str = CITATION
    _folders: Layout

    def __len__(self):
        return len(self.subjects)

    def __repr__(self):
        known = self.ages[np.isfinite(self.ages)]
        ages = f"ages {known.min():.0f} to {known.max():.0f}" if len(known) else "ages unknown"
        return (
            f"CamCAN({self.task}, {self.kind}, {self.layout}: {len(self)} subjects,"
            f" {len(self.missing)} missing, {ages})"
        )

    @property
    def participants(self):
        """Demographics of the subjects as a table."""
        table = {
            "participant_id": list(self.subjects),
            "age": self.ages,
            "sex": list(self.sex),
            "hand": list(self.hand),
        }
        try:
            import pandas
        except ImportError:
            return table
        return pandas.DataFrame(table)

    def read(self, i):
        """Open the recording of one subject without loading its samples.

        Parameters
        ----------
        i : int
            Index of the subject.

        Returns
        -------
        recording : mne.io.Raw or mne.Epochs
        """
        return read_recording(self.paths[i], self.kind)

    def events(self, i):
        """Find the events of one subject, at the onset of the stimuli.

        Processed recordings take the table of the raw one where both have the same samples; where
        they have not, their triggers are decoded and moved by the latencies that the raw recording
        shows.

        Parameters
        ----------
        i : int
            Index of the subject.

        Returns
        -------
        events : ndarray of int, shape (n_events, 3)
            As in MNE: sample, 0, code.

        Raises
        ------
        ValueError
            If the latencies cannot be known.
        """
        from mvica.meg.camcan import camcan_events
        from mvica.meg.camcan_events import (
            correct_latencies,
            decode_triggers,
            measure_audio_latency,
            read_events,
        )

        raw, table = self.read(i), self.events_paths[i]
        if table is None:
            if not self.correct_latency:
                raise ValueError(
                    f"{self.subjects[i]} has no events.tsv, and the dates of this release are"
                    " anonymised: the latencies of its triggers are unknown."
                )
            return camcan_events(raw, correct_latency=True)
        if self.kind == "raw" or table.parent == self.paths[i].parent:
            return camcan_events(raw, table)
        source = raw_recording(self._folders, self.subjects[i], self.task)
        if source is None:
            return camcan_events(raw, table)
        original = read_recording(source, "raw")
        if same_samples(raw, original):
            return camcan_events(raw, table)
        latency = measure_audio_latency(
            read_events(table, original.first_samp),
            decode_triggers(original),
            original.info["sfreq"],
        )
        return correct_latencies(decode_triggers(raw), raw.info["sfreq"], audio_latency=latency)

    def epochs(self, i, **settings):
        """Epochs of one subject, named after the stimuli.

        Parameters
        ----------
        i : int
            Index of the subject.
        **settings
            Parameters of `mvica.meg.camcan_epochs`; none for ``kind="epochs"``.

        Returns
        -------
        epochs : mne.Epochs
            Loaded.
        """
        if self.kind == "epochs":
            if settings:
                raise ValueError(f"kind='epochs' is cut already: {sorted(settings)} do not apply.")
            return self.read(i).load_data()
        from mvica.meg.camcan import camcan_epochs

        return camcan_epochs(self.read(i), self.events(i), **settings)

    def evoked(self, i, condition, **settings):
        """Average of the trials of one subject and condition.

        Parameters
        ----------
        i : int
            Index of the subject.
        condition : str
            Such as "audio", "audio/600Hz" or "vis".
        **settings
            Parameters of `mvica.meg.camcan_epochs`.

        Returns
        -------
        evoked : mne.Evoked
        """
        evoked = self.epochs(i, **settings)[condition].average()
        evoked.comment = condition
        return evoked

    def to_views(self, *, epochs=None, **settings):
        """Make views of all subjects from averages of epochs, with `mvica.meg.to_views`.

        Parameters
        ----------
        epochs : dict or None, default=None
            Parameters of `mvica.meg.camcan_epochs`.
        **settings
            Parameters of `mvica.meg.to_views`.

        Returns
        -------
        views : mvica.meg.MEGViews
        """
        from mvica.meg import to_views

        settings.setdefault("subjects", self.subjects)
        return to_views(self.readers(epochs), **settings)

    def readers(self, epochs=None):
        """Functions without arguments that cut one subject's epochs each, for `to_views`.

        Parameters
        ----------
        epochs : dict or None, default=None
            Parameters of `mvica.meg.camcan_epochs`.

        Returns
        -------
        readers : list of m callables
            For the task "rest" they open the continuous recording.
        """
        if self.task == "rest" and self.kind != "epochs":
            return [partial(self.read, i) for i in range(len(self))]
        return [partial(self.epochs, i, **(epochs or {})) for i in range(len(self))]

    def select(self, mask):
        """Keep some of the subjects.

        Parameters
        ----------
        mask : ndarray of bool, shape (m,), or sequence of int
            Which ones.

        Returns
        -------
        camcan : CamCAN
        """
        kept = np.arange(len(self))[np.asarray(mask)]
        per_subject = ("subjects", "paths", "events_paths", "sex", "hand")
        fields = {name: tuple(getattr(self, name)[i] for i in kept) for name in per_subject}
        return replace(self, ages=self.ages[kept], **fields)

    def summary(self):
        """Describe the copy in a few lines, without identifiers.

        Returns
        -------
        text : str
        """
        reasons = Counter(self.missing.values())
        lines = [repr(self)]
        lines += [f"  {count} without: {reason}" for reason, count in reasons.most_common()]
        sexes = Counter(sex or "unknown" for sex in self.sex)
        lines.append(f"  sex: {', '.join(f'{n} {sex}' for sex, n in sorted(sexes.items()))}")
        decoded = sum(table is None for table in self.events_paths)
        if decoded and self.task != "rest":
            lines.append(f"  triggers to decode: {decoded}")
        return "\n".join(lines)


def fetch_camcan(
    path,
    task="passive",
    *,
    kind="raw",
    layout="auto",
    pattern=None,
    participants=None,
    subjects=None,
    n_subjects=None,
    age_range=None,
    random_state=None,
    min_trials=40,
    sfreq=1000,
    check="fast",
    on_missing="warn",
    n_jobs=1,
):
    """Index a copy of the Cam-CAN MEG data on disk, and check it.

    Nothing is downloaded and nothing is written.

    Parameters
    ----------
    path : path-like
        Folder that contains ``cc700/``; or ``BIDSsep/``, a folder of the task, or the subjects'
        folders themselves.
    task : {"passive", "smt", "rest"}, default="passive"
        Tones and checkerboards; the sensorimotor task; rest.
    kind : {"raw", "sss", "sss_movecomp", "sss_transdef", "epochs"}, default="raw"
        As measured; after MaxFilter, with compensation of movements, also moved to a common head
        position; or epochs that you saved (``*_epo.fif``).
    layout : {"auto", "release005", "release004", "custom"}, default="auto"
        How folders are arranged.
    pattern : str, default=None
        Glob below `path` for recordings elsewhere, such as ``"clean/*/*_{task}_epo.fif"``. The
        subject is the last ``CC`` and six digits in each path.
    participants : path-like or dict of str to float, default=None
        Table of demographics, or ages by identifier; None takes the copy's.
    subjects : sequence of str, default=None
        Identifiers to keep, with or without ``sub-``.
    n_subjects : int, default=None
        Number of subjects to draw with `random_state`; the first ones where that is None.
    age_range : tuple of 2 float, default=None
        Youngest and oldest to keep.
    random_state : int, RandomState or None, default=None
        For `n_subjects`.
    min_trials : int, default=40
        Fewest trials of each kind of stimulus, with ``check="full"``.
    sfreq : float or None, default=1000
        Samples per second that recordings must have; None allows any.
    check : {"fast", "header", "full"}, default="fast"
        Look at names of files only; at headers and tables of events; also at triggers and numbers
        of trials.
    on_missing : {"warn", "raise", "ignore"}, default="warn"
        What happens when subjects are left out.
    n_jobs : int, default=1
        Threads for the checks, in joblib's convention.

    Returns
    -------
    camcan : CamCAN

    Raises
    ------
    FileNotFoundError
        If there is no copy, with what was tried, and how to get access.
    ValueError
        If a parameter is none of the allowed ones, a table lacks a column, no subject is left, or
        subjects are left out with ``on_missing="raise"``.

    Examples
    --------
    >>> from mvica.data_fetchers import fetch_camcan
    >>> camcan = fetch_camcan("/data/camcan", kind="sss_transdef", check="header")  # doctest: +SKIP
    >>> views = camcan.to_views(picks="mag", condition="audio", n_components=20)  # doctest: +SKIP
    """
    path = Path(path).expanduser()
    _check_choices(task, kind, layout, check, on_missing)
    folders, files, missing = _list_files(path, task, kind, layout, pattern)
    people, table = _demographics(participants, folders)
    for subject in people:
        if subject not in files and subject not in missing and participants is None:
            missing[subject] = f"listed in {table.name}, without recording"
    files, missing = _chosen_subjects(files, missing, subjects)
    recordings = {s: recording_of(folders, s, found) for s, found in files.items()}
    double = [subject for subject, found in files.items() if len(found) > 1]
    if double:
        warnings.warn(
            f"{len(double)} subjects have several recordings: the last by name is taken.",
            UserWarning,
            stacklevel=2,
        )
    settings = {"task": task, "kind": kind, "check": check, "sfreq": sfreq}
    settings["min_trials"] = min_trials
    problems = _problems(recordings.values(), folders, settings, n_jobs)
    missing |= {s: problem for s, problem in problems.items() if problem}
    kept = [subject for subject in sorted(recordings) if not problems[subject]]
    _tell_missing(missing, len(kept), f"{task} {kind} recording", on_missing)
    kept = _drawn(kept, people, age_range, n_subjects, random_state)
    if not kept:
        raise ValueError(
            f"No subject is left under {path}: {len(missing)} were left out"
            f" ({_reasons(missing)}), age_range={age_range}."
        )
    known = [people.get(subject, UNKNOWN) for subject in kept]
    return CamCAN(
        subjects=tuple(kept),
        paths=tuple(recordings[subject].path for subject in kept),
        events_paths=tuple(recordings[subject].events_path for subject in kept),
        ages=np.array([person["age"] for person in known]),
        sex=tuple(person["sex"] for person in known),
        hand=tuple(person["hand"] for person in known),
        missing=dict(sorted(missing.items())),
        layout=folders.name,
        task=task,
        kind=kind,
        correct_latency=not folders.corrected,
        _folders=folders,
    )


def _check_choices(task, kind, layout, check, on_missing):
    if task not in TASKS:
        raise ValueError(f"Task {task!r} unknown: {', '.join(TASKS)}")
    for name, value, allowed in (
        ("kind", kind, KINDS),
        ("layout", layout, LAYOUTS),
        ("check", check, CHECKS),
        ("on_missing", on_missing, ("warn", "raise", "ignore")),
    ):
        if value not in allowed:
            raise ValueError(f"{name}={value!r}; expected one of {', '.join(allowed)}.")


def _list_files(path, task, kind, layout, pattern):
    """Folders of the copy, files by subject, and subjects without files."""
    if pattern is None:
        folders = find_layout(path, task, kind, layout)
        found = {
            subject: recordings_of(folder, task, kind)
            for subject, folder in subject_folders(folders.recordings).items()
        }
    else:
        if not path.is_dir():
            raise FileNotFoundError(not_found(path))
        found = files_of_pattern(path, pattern, task)
        if not found:
            raise FileNotFoundError(f"pattern={pattern!r} finds no recording under {path}.")
        try:
            folders = replace(find_layout(path, task, "raw", layout), name="custom")
        except FileNotFoundError:  # a folder of derivatives only
            folders = Layout("custom", path, None, (path / "participants.tsv",), True)
    missing = {subject: "no file" for subject, files in found.items() if not files}
    return folders, {subject: files for subject, files in found.items() if files}, missing


def _demographics(participants, folders):
    if participants is not None:
        return given_people(participants), None
    people, table = read_people(folders.participants)
    if table is None:
        warnings.warn(
            "No participants.tsv or standard_data.csv was found: ages are unknown. Give"
            " participants=... to name a table.",
            UserWarning,
            stacklevel=3,
        )
    return people, table


def _chosen_subjects(files, missing, subjects):
    if subjects is None:
        return files, missing
    wanted = [str(subject).removeprefix("sub-") for subject in subjects]
    absent = {s: missing.get(s, "no folder") for s in wanted if s not in files}
    return {s: files[s] for s in wanted if s in files}, absent


def _problems(recordings, folders, settings, n_jobs):
    """Tell what is wrong with each recording, by subject; None where nothing is."""
    recordings = list(recordings)
    if settings["check"] == "fast":
        return {recording.subject: None for recording in recordings}
    from joblib import Parallel, delayed

    found = Parallel(n_jobs=n_jobs, prefer="threads")(
        delayed(problem_of)(recording, folders, **settings) for recording in recordings
    )
    return {recording.subject: p for recording, p in zip(recordings, found, strict=True)}


def _tell_missing(missing, n_kept, what, on_missing):
    if not missing or on_missing == "ignore":
        return
    subjects = sorted(missing)
    more = f", ({len(subjects) - 1} more)" if len(subjects) > 1 else ""
    text = (
        f"{len(missing)} of {n_kept + len(missing)} subjects lack a usable {what}:"
        f" {subjects[0]}{more}"
    )
    if on_missing == "raise":
        raise ValueError(f'{text}; pass on_missing="warn". Reasons: {_reasons(missing)}.')
    warnings.warn(f"{text}. Reasons: {_reasons(missing)}.", UserWarning, stacklevel=3)


def _reasons(missing):
    counts = Counter(missing.values()).most_common()
    told = "; ".join(f"{reason} ({count})" for reason, count in counts[:5])
    return told + (f"; {len(counts) - 5} other reasons" if len(counts) > 5 else "")


def _drawn(subjects, people, age_range, n_subjects, random_state):
    if age_range is not None:
        low, high = age_range
        ages = {s: people.get(s, UNKNOWN)["age"] for s in subjects}
        subjects = [s for s in subjects if low <= ages[s] <= high]
    if n_subjects is None or n_subjects >= len(subjects):
        if n_subjects is not None and n_subjects > len(subjects):
            raise ValueError(f"n_subjects={n_subjects}, but only {len(subjects)} are there.")
        return subjects
    if random_state is None:
        return subjects[:n_subjects]
    drawn = check_random_state(random_state).permutation(len(subjects))[:n_subjects]
    return [subjects[i] for i in sorted(drawn)]
