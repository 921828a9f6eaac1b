"""Where the recordings of a Cam-CAN copy lie: three layouts of folders, and the names of files."""

import re
from dataclasses import dataclass
from pathlib import Path

TASKS = ("rest", "smt", "passive")
KINDS = ("raw", "sss", "sss_movecomp", "sss_transdef", "epochs")
LAYOUTS = ("auto", "release005", "release004", "custom")
ACCESS = "https://camcan-archive.mrc-cbu.cam.ac.uk/dataaccess"

RELEASE005 = Path("cc700", "meg", "pipeline", "release005", "BIDSsep")
RELEASE004_BIDS = Path("cc700", "meg", "pipeline", "release004", "BIDS_20190411")
RELEASE004_SEP = Path("cc700", "mri", "pipeline", "release004", "BIDSsep")
RELEASE004_DATA = Path("cc700", "meg", "pipeline", "release004", "data", "aamod_meg_get_fif_00001")
# MaxFilter's output: folder under derivatives_<task>/aa, and the folder of its step.
MAXFILTER = {
    "sss": Path("aa", "AA_nomovecomp", "aamod_meg_maxfilt_00001"),
    "sss_movecomp": Path("aa", "AA_movecomp", "aamod_meg_maxfilt_00002"),
    "sss_transdef": Path("aa", "AA_movecomp_transdef", "aamod_meg_maxfilt_00003"),
}
SUBJECT_FOLDER = re.compile(r"^(?:sub-)?(CC\d{6})$")
SUBJECT = re.compile(r"CC\d{6}")
LATER_PART = re.compile(r"-\d+$|_split-(?!0*1_)\d+_")


@dataclass(frozen=True)
class Layout:
    """The folders of one copy for one task and kind.

    Attributes
    ----------
    name : str
        "release005", "release004" or "custom".
    recordings : Path
        Folder of the subjects' folders of the kind.
    raw : Path or None
        Folder of the subjects' folders of the raw recordings, where events.tsv lie.
    participants : tuple of Path
        Tables of demographics that may exist, the best first.
    corrected : bool
        Whether tables of events, right as they are, belong to the recordings.
    """

    name: str
    recordings: Path
    raw: Path | None
    participants: tuple
    corrected: bool


def find_layout(path, task, kind, layout):
    """Find the folders of a copy by trying the known ones.

    Parameters
    ----------
    path : Path
    task : str
    kind : str
    layout : str
        One of `LAYOUTS`.

    Returns
    -------
    found : Layout

    Raises
    ------
    FileNotFoundError
        If `path` holds no copy, or not this kind of recordings; the message lists what was tried.
    """
    if not path.is_dir():
        raise FileNotFoundError(not_found(path))
    tried, raws = [], []
    for name, raw, candidates in _candidates(path, task, kind):
        if layout not in ("auto", name):
            continue
        for folder in candidates:
            if folder in tried:
                continue
            tried.append(folder)
            if _has_subjects(folder):
                raw_here = raw if raw is not None and _has_subjects(raw) else None
                return Layout(
                    name=name,
                    recordings=folder,
                    raw=raw_here,
                    participants=tuple(_participants(path, raw, folder)),
                    corrected=name != "release004" or folder.is_relative_to(path / RELEASE004_BIDS),
                )
        if raw is not None and _has_subjects(raw):
            raws.append(raw)
    told = "".join(f"\n  {folder}" for folder in tried)
    if raws:
        raise FileNotFoundError(
            f"No recordings of kind={kind!r} for task {task!r} under {path}, though {raws[0]} has"
            f" subjects. Tried:{told}\nGive pattern=... for files that lie elsewhere."
        )
    raise FileNotFoundError(f"{not_found(path)}\nTried:{told}")


def not_found(path):
    """Text of the error for a folder without a copy."""
    return (
        f"CamCAN copy not found under {path}. Cam-CAN data are not downloadable: register at"
        f" {ACCESS}, then give the folder that contains cc700/"
    )


def _candidates(path, task, kind):
    """Layout, raw folder and folders of the kind, in the order in which they are tried."""
    places = [
        ("release005", path / RELEASE005, path / RELEASE005 / task),
        ("custom", path / "BIDSsep", path / "BIDSsep" / task),
        ("custom", path, path / task),
        ("custom", path.parent, path),
    ]
    for name, base, raw in places:
        if kind == "raw":
            yield name, raw, [raw]
        elif kind == "epochs":
            roots = [base / "derivatives", base / f"derivatives_{task}"]
            yield name, raw, [*(root / task for root in roots), *roots, raw]
        else:
            yield name, raw, [base / f"derivatives_{task}" / MAXFILTER[kind], base / kind / task]
    tasks = (task, "task") if task == "smt" else (task,)
    for own in tasks:
        raw = path / RELEASE004_BIDS / f"meg_{own}_raw"
        folders = {
            "raw": [raw, path / RELEASE004_SEP / f"megraw_{own}", path / RELEASE004_DATA],
            "sss": [path / RELEASE004_BIDS / f"meg_{own}_mf"],
            "sss_transdef": [path / RELEASE004_SEP / f"megmax_{own}"],
        }
        yield "release004", raw, folders.get(kind, [])


def _participants(path, raw, folder):
    for parent in (raw, folder, folder.parent, path):
        if parent is not None:
            yield parent / "participants.tsv"
    yield from sorted(path.glob("dataman/useraccess/processed/*/standard_data.csv"))


def _has_subjects(folder):
    return folder.is_dir() and any(SUBJECT_FOLDER.match(entry.name) for entry in folder.iterdir())


def subject_folders(folder):
    """List the folders of subjects.

    Parameters
    ----------
    folder : Path

    Returns
    -------
    folders : dict of str to Path
        Identifier without prefix to folder, sorted.
    """
    matches = ((SUBJECT_FOLDER.match(entry.name), entry) for entry in folder.iterdir())
    return dict(sorted((match[1], entry) for match, entry in matches if match and entry.is_dir()))


def recordings_of(folder, task, kind):
    """List the recordings of one subject: the first parts of files of the task, sorted by name.

    Parameters
    ----------
    folder : Path
    task : str
    kind : str

    Returns
    -------
    files : list of Path
    """
    files = [*folder.rglob("*.fif"), *folder.rglob("*.fif.gz")]
    epochs = [file for file in files if _stem(file).endswith(("_epo", "-epo"))]
    chosen = epochs if kind == "epochs" else [file for file in files if file not in epochs]
    chosen = [f for f in chosen if _is_of_task(f, task) and not LATER_PART.search(_stem(f))]
    return sorted(chosen, key=lambda file: file.name)


def _stem(file):
    return file.name.removesuffix(".gz").removesuffix(".fif")


def _is_of_task(file, task):
    """Whether a name is of the task: plainly containing it would find "task" in task-rest."""
    names = ("smt", "task") if task == "smt" else (task,)
    found = re.search(r"(?:^|_)task-([a-zA-Z0-9]+)", file.name)
    if found:
        return found[1] in names
    return any(re.search(rf"(?:^|_){name}_", file.name) for name in names)


def files_of_pattern(path, pattern, task):
    """Find recordings by a pattern of the user's, with the subject taken from each path.

    Parameters
    ----------
    path : Path
    pattern : str
        Glob below `path`; ``{task}`` stands for the task.
    task : str

    Returns
    -------
    files : dict of str to list of Path
        Identifier to files, sorted.
    """
    files = {}
    for file in sorted(path.glob(pattern.replace("{task}", task)), key=lambda file: file.name):
        found = SUBJECT.findall(str(file.relative_to(path)))
        if found and not LATER_PART.search(_stem(file)):
            files.setdefault(found[-1], []).append(file)
    return dict(sorted(files.items()))


def events_table(layout, subject, recording):
    """Find the events.tsv of a recording; for processed ones that of the raw recording.

    Parameters
    ----------
    layout : Layout
    subject : str
    recording : Path

    Returns
    -------
    table : Path or None
    """
    beside = sorted(recording.parent.glob("*_events.tsv"))
    if len(beside) == 1:
        return beside[0]
    if len(beside) > 1:  # one of several recordings
        stem = re.sub(r"(?:_split-\d+)?_meg$", "", _stem(recording))
        return next((table for table in beside if table.name.startswith(stem)), None)
    if layout.raw is None:
        return None
    for folder in (layout.raw / f"sub-{subject}", layout.raw / subject):
        tables = sorted(folder.rglob("*_events.tsv"))
        if tables:
            return tables[-1]
    return None


def raw_recording(layout, subject, task):
    """Find the raw recording that a processed one was made of.

    Parameters
    ----------
    layout : Layout
    subject : str
    task : str

    Returns
    -------
    file : Path or None
    """
    if layout.raw is None:
        return None
    for folder in (layout.raw / f"sub-{subject}", layout.raw / subject):
        files = recordings_of(folder, task, "raw") if folder.is_dir() else []
        if files:
            return files[-1]
    return None
