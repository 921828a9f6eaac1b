"""Index and check a local copy of the Cam-CAN MEG data, which nobody may download for you."""

import warnings
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
from sklearn.utils import check_random_state

from mvica.data_fetchers.camcan_checks import (
    problem_of,
    recording_of,
)
from mvica.data_fetchers.camcan_layouts import (
    KINDS,
    LAYOUTS,
    TASKS,
    Layout,
    files_of_pattern,
    find_layout,
    not_found,
    recordings_of,
    subject_folders,
)
from mvica.data_fetchers.camcan_people import given_people, read_people
from mvica.data_fetchers.camcan_record import CamCAN

__all__ = ["fetch_camcan"]

CHECKS = ("fast", "header", "full")
UNKNOWN = {"age": np.nan, "sex": "", "hand": ""}


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
