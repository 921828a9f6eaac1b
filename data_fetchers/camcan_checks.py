"""Checks of Cam-CAN recordings: header, Maxwell filter, parts, events and numbers of trials."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from mvica.data_fetchers.camcan_layouts import events_table, raw_recording

N_CHANNELS = 306


@dataclass(frozen=True)
class Recording:
    """One subject's recording and the table of its events.

    Attributes
    ----------
    subject : str
    path : Path
    events_path : Path or None
    """

    subject: str
    path: Path
    events_path: Path | None


def problem_of(recording, layout, *, task, kind, check, sfreq, min_trials):
    """Say what is wrong with a recording.

    Parameters
    ----------
    recording : Recording
    layout : Layout
    task, kind : str
    check : {"fast", "header", "full"}
        How closely to look.
    sfreq : float or None
        Samples per second that the recording must have.
    min_trials : int
        Fewest trials of each kind of stimulus.

    Returns
    -------
    problem : str or None
        None if nothing is wrong.
    """
    if check == "fast":
        return None
    try:
        inst = read_recording(recording.path, kind)
    except (OSError, ValueError, RuntimeError, AttributeError, KeyError) as error:
        if "split" in str(error).lower():
            return "parts of the file are missing"
        return f"unreadable ({type(error).__name__})"  # its text would name the participant
    problem = _header_problem(inst, task, kind, sfreq)
    if problem is None and kind == "epochs":
        counts = {c: len(inst[c]) for c in stimuli(task) if _has_condition(inst, c)}
        return _few_trials(counts, task, min_trials) if check == "full" else None
    if problem is None:
        problem = _events_problem(recording, layout, task)
    if problem is None and check == "full":
        problem = _full_problem(inst, recording, layout, task, kind, min_trials)
    return problem


def read_recording(path, kind):
    """Open a recording without loading its samples.

    Parameters
    ----------
    path : Path
    kind : str

    Returns
    -------
    recording : mne.io.Raw or mne.Epochs
    """
    mne = import_mne()
    if kind == "epochs":
        return mne.read_epochs(path, preload=False, verbose="ERROR")
    return mne.io.read_raw_fif(path, allow_maxshield="yes", verbose="ERROR")


def import_mne():
    """Return the module `mne`, or say how to install it."""
    try:
        import mne
    except ImportError as error:
        raise ImportError(
            'Recordings are read with MNE-Python: pip install "mvica[meg]"; check="fast" only'
            " looks at the files' names."
        ) from error
    return mne


def stimuli(task):
    """Give the kinds of stimuli of a task whose trials are counted."""
    return {"passive": ("audio", "vis"), "smt": ("audiovis",), "rest": ()}[task]


def _header_problem(inst, task, kind, sfreq):
    if sfreq is not None and abs(inst.info["sfreq"] - sfreq) > 1e-3:
        return f"{inst.info['sfreq']:g} samples per second, expected {sfreq:g}"
    counts = Counter(inst.get_channel_types())
    n_meg = counts["mag"] + counts["grad"]
    if kind != "epochs" and n_meg != N_CHANNELS:
        return f"{n_meg} MEG channels, expected {N_CHANNELS}"
    filtered = any(entry.get("max_info") for entry in inst.info["proc_history"])
    if kind.startswith("sss") and not filtered:
        return "not processed by MaxFilter"
    if kind == "raw" and filtered:
        return "processed by MaxFilter, not raw"
    return None


def _events_problem(recording, layout, task):
    from mvica.meg.camcan_events import read_events

    if task == "rest" or not layout.corrected:
        return None
    if recording.events_path is None:
        return "no events.tsv"
    try:
        return _wrong_codes(read_events(recording.events_path), task)
    except ValueError as error:
        return str(error)


def _wrong_codes(events, task):
    from mvica.meg.camcan_events import TASK_CODES

    codes, known = set(events[:, 2].tolist()), set(TASK_CODES[task])
    wrong = codes != known if task == "passive" else bool(codes - known) or not codes
    if wrong:
        return f"event codes {sorted(codes)}, expected {sorted(known)}"
    return None


def _full_problem(raw, recording, layout, task, kind, min_trials):
    from mvica.meg.camcan import camcan_events
    from mvica.meg.camcan_events import EVENT_ID

    if kind != "raw":
        problem = _mismatch(raw, recording, layout, task)
        if problem:
            return problem
    if task == "rest":
        return None
    try:
        events = camcan_events(raw, recording.events_path)
    except ValueError as error:
        return str(error)
    outside = (events[:, 0] < raw.first_samp) | (events[:, 0] > raw.last_samp)
    if outside.any():
        return f"{outside.sum()} of {len(events)} events lie outside the recording"
    problem = _wrong_codes(events, task)
    if problem:
        return problem
    counts = Counter(
        name.split("/")[0] for name, code in EVENT_ID.items() for e in events[:, 2] if e == code
    )
    return _few_trials(counts, task, min_trials)


def _mismatch(inst, recording, layout, task):
    """Whether a processed recording has other samples than the raw one whose events it takes."""
    source = raw_recording(layout, recording.subject, task)
    if source is None or recording.events_path is None:
        return None
    if recording.events_path.parent == recording.path.parent:
        return None
    raw = read_recording(source, "raw")
    if same_samples(inst, raw):
        return None
    return f"other samples than {source.name}, whose events.tsv it needs"


def same_samples(one, other):
    """Whether two recordings have the same first sample, rate and number of samples."""
    return (
        one.first_samp == other.first_samp
        and one.info["sfreq"] == other.info["sfreq"]
        and one.n_times == other.n_times
    )


def _few_trials(counts, task, min_trials):
    few = [f"{counts.get(name, 0)} {name}" for name in stimuli(task)]
    if any(counts.get(name, 0) < min_trials for name in stimuli(task)):
        return f"{' and '.join(few)} trials, expected at least {min_trials} of each"
    return None


def _has_condition(epochs, name):
    return any(label == name or label.startswith(f"{name}/") for label in epochs.event_id)


def recording_of(layout, subject, files):
    """Choose a subject's recording: the last by name, as of two measurements the later counts."""
    chosen = files[-1]
    return Recording(subject, chosen, events_table(layout, subject, chosen))
