"""Recordings on disk to views: reads files of many formats and checks that they belong together."""

import glob
import os
import re
import zipfile
from pathlib import Path

import numpy as np

from mvica._recording import Recording, RecordingError, chosen_features
from mvica._recording_checks import checked_together, with_times

TABLES = (".csv", ".tsv", ".txt")
FIF = (".fif", ".fif.gz")
EXTENSIONS = (*TABLES, ".npy", ".npz", ".mat", *FIF)

__all__ = ["EXTENSIONS", "Recording", "RecordingError", "read_recordings"]


def read_recordings(
    paths, *, views="files", picks=None, exclude=None, transpose=False, sfreq=None, min_views=2
):
    """Read one view per file, or one per condition, and check that they fit together.

    Parameters
    ----------
    paths : sequence of str or path-like
        Files, folders (their recordings in natural order) and patterns such as ``"sub*.csv"``.
        Formats: .npy, .npz, .mat, .csv, .tsv, .txt (samples in rows) and, with MNE installed, .fif
        and .fif.gz: Raw, Epochs (averaged by condition) and Evoked. ``"FILE:NAME"`` takes one array
        of an .npz or .mat file that holds several.
    views : {"files", "conditions"}, default="files"
        ``"files"``: one view per file; the conditions of a .fif file lie end to end in time, the
        same in every file. ``"conditions"``: each condition of each .fif file is a view of its own.
    picks, exclude : sequence of str or None, default=None
        Columns to keep or leave out: column names of tables, channel names or types of .fif files.
        By default all columns; of .fif files the MEG channels (else EEG, else other data channels).
    transpose : bool, default=False
        Arrays and tables have features in rows.
    sfreq : float or None, default=None
        Samples per second, for files that do not say it.
    min_views : int, default=2
        Fewest views accepted.

    Returns
    -------
    recordings : list of Recording
        With equal numbers of samples and distinct names and data.

    Raises
    ------
    RecordingError
        Naming the file and what is wrong with it.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> from mvica.io import read_recordings
    >>> rng = np.random.default_rng(0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for name in ("anna", "ben"):
    ...         np.savetxt(Path(folder, f"{name}.csv"), rng.normal(size=(50, 3)), delimiter=",")
    ...     recordings = read_recordings([folder])
    >>> [(recording.name, recording.data.shape) for recording in recordings]
    [('anna', (50, 3)), ('ben', (50, 3))]
    """
    files = _expand(paths)
    _refuse_repeated(files)
    names = view_names([path if part is None else f"{path}:{part}" for path, part in files])
    recordings = []
    for (path, part), name in zip(files, names, strict=True):
        if path.name.lower().endswith(FIF):
            recordings += _read_fif(path, part, name, views, picks, exclude, len(files) > 1)
        else:
            recordings.append(_read_array_file(path, part, name, views, picks, exclude, transpose))
    recordings = [with_times(recording, sfreq) for recording in recordings]
    return checked_together(recordings, min_views)


# Which files ---------------------------------------------------------------------------------


def _expand(paths):
    """Files as (path, part), `part` being the NAME of ``FILE:NAME`` or None."""
    files = []
    for entry in paths:
        path, part = _split_part(str(entry))
        if os.path.isdir(path):
            files += [(file, part) for file in _folder_files(Path(path))]
        elif not os.path.exists(path) and glob.has_magic(path):
            matches = sorted(glob.glob(path), key=_natural)
            if not matches:
                raise RecordingError(path, "no file matches this pattern")
            files += [(Path(file), part) for file in matches]
        else:
            files.append((Path(path), part))
    for path, _ in files:
        if not path.exists():
            raise RecordingError(path, "no such file")
        if not path.name.lower().endswith(EXTENSIONS):
            raise RecordingError(path, f"unknown format; mvica reads {', '.join(EXTENSIONS)}")
    return files


def _split_part(entry):
    head, colon, part = entry.rpartition(":")
    if colon and part and not os.path.exists(entry) and not re.search(r"[/\\]", part):
        return head, part
    return entry, None


def _folder_files(folder):
    files = [
        file
        for file in sorted(folder.iterdir(), key=lambda file: _natural(file.name))
        if file.is_file()
        and not file.name.startswith(".")
        and file.name.lower().endswith(EXTENSIONS)
    ]
    if not files:
        raise RecordingError(folder, f"holds no recording ({', '.join(EXTENSIONS)})")
    return files


def _natural(name):
    """Sort key under which sub2 comes before sub10."""
    return [(int(t), "") if t.isdigit() else (-1, t) for t in re.split(r"(\d+)", str(name))]


def _refuse_repeated(files):
    seen = {}
    for path, part in files:
        status = path.stat()
        key = (status.st_dev, status.st_ino, part)
        if status.st_ino and key in seen:
            raise RecordingError(path, f"is given twice (also as {seen[key]})")
        seen[key] = path


def view_names(paths):
    """Short distinct names for files: what differs between their paths, without the common ending.

    Examples
    --------
    >>> view_names(["data/sub1_task-rest.csv", "data/sub2_task-rest.csv"])
    ['sub1', 'sub2']
    >>> view_names(["monday/ann.npy", "tuesday/ann.npy"])
    ['monday/ann', 'tuesday/ann']
    """
    parts = [list(Path(path).parts) for path in paths]
    depth = 1
    while depth < max(map(len, parts)) and len({tuple(p[-depth:]) for p in parts}) < len(parts):
        depth += 1
    names = ["/".join(p[-depth:]) for p in parts]
    stems = [_without_extension(name) for name in names]
    if len(set(stems)) < len(stems):
        return names
    ending = _common_ending(stems) if len(stems) > 1 else ""
    cut = re.search(r"[._-]", ending)
    short = [stem[: len(stem) - len(ending) + cut.start()] for stem in stems] if cut else stems
    return short if all(short) and not any(name.endswith("/") for name in short) else stems


def _common_ending(names):
    length = 0
    for letters in zip(*(reversed(name) for name in names), strict=False):
        if len(set(letters)) > 1:
            break
        length += 1
    return names[0][len(names[0]) - length :]


def _without_extension(name):
    file, colon, part = name.partition(":")
    longest = max((e for e in EXTENSIONS if file.lower().endswith(e)), key=len, default="")
    return file[: len(file) - len(longest)] + colon + part


# One file ------------------------------------------------------------------------------------


def _read_fif(path, part, name, views, picks, exclude, several):
    from mvica.meg.fif import read_fif

    if part is not None:
        raise RecordingError(path, f"has no part {part!r}: FILE:NAME is for .npz and .mat files")
    try:
        return read_fif(path, name=name, views=views, picks=picks, exclude=exclude, prefix=several)
    except ImportError as error:
        raise RecordingError(path, f"cannot be read: {error}") from error


def _read_array_file(path, part, name, views, picks, exclude, transpose):
    suffix = path.suffix.lower()
    if views == "conditions":
        raise RecordingError(path, "has no conditions: one view per condition is for .fif files")
    if part is not None and suffix not in (".npz", ".mat"):
        raise RecordingError(path, f"has no part {part!r}: FILE:NAME is for .npz and .mat files")
    try:
        if path.stat().st_size == 0:
            raise RecordingError(path, "is empty")
        if suffix in TABLES and not transpose:
            from mvica._tables import read_table

            data, names, notes = read_table(path, picks=picks, exclude=exclude)
            return Recording(name, str(path), data, names, notes=tuple(notes))
        data = _load_array(path, part, suffix)
    except OSError as error:
        raise RecordingError(path, f"cannot be read: {error.strerror or error}") from error
    data = _as_matrix(path, data.T if transpose else data)
    names = [str(i + 1) for i in range(data.shape[1])]
    try:
        kept = chosen_features(names, picks=picks, exclude=exclude)
    except ValueError as error:
        raise RecordingError(path, error) from error
    if len(kept) < len(names):
        data = data[:, kept]
    return Recording(name, str(path), data, tuple(names[i] for i in kept))


def _load_array(path, part, suffix):
    if suffix in TABLES:
        from mvica._tables import read_table

        return read_table(path)[0]
    if suffix == ".npy":
        return _load_npy(path)
    arrays = _load_npz(path, part) if suffix == ".npz" else _load_mat(path, part)
    if part is not None and part not in arrays:
        raise RecordingError(path, f"holds no array {part!r}; it holds {_listing(arrays)}")
    if len(arrays) > 1 and part is None:
        first = next(iter(arrays))
        raise RecordingError(
            path, f"holds several arrays: {_listing(arrays)}; choose one as {path}:{first}"
        )
    if not arrays:
        raise RecordingError(path, "holds no array")
    return arrays[part] if part is not None else next(iter(arrays.values()))


def _listing(arrays):
    return ", ".join(f"{name} {np.shape(array)}" for name, array in arrays.items())


def _load_npy(path):
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise RecordingError(path, _numpy_problem(error)) from error


def _load_npz(path, part):
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as archive:
            names = archive.files if part not in archive.files else [part]
            return {name: archive[name] for name in names}
    except (ValueError, EOFError, KeyError, MemoryError, zipfile.BadZipFile) as error:
        raise RecordingError(path, _numpy_problem(error)) from error


def _numpy_problem(error):
    if "pickle" in str(error) or "Python objects" in str(error):
        return "is not an array file, or holds Python objects, which mvica never unpickles"
    return f"is not a readable array file ({error})"


def _load_mat(path, part):
    import scipy.io

    try:
        content = scipy.io.loadmat(path, variable_names=None if part is None else [part])
        if part is not None and part not in content:
            content = scipy.io.loadmat(path)
    except NotImplementedError as error:
        raise RecordingError(
            path, "is a MATLAB v7.3 (HDF5) file: save it again with save(..., '-v7')"
        ) from error
    except Exception as error:  # SciPy's reader fails in many ways on a damaged file
        raise RecordingError(path, f"is not a readable MATLAB file ({error})") from error
    return {name: array for name, array in content.items() if not name.startswith("__")}


def _as_matrix(path, array):
    if hasattr(array, "toarray"):
        array = array.toarray()
    array = np.asanyarray(array)
    if array.dtype.kind not in "biuf":
        raise RecordingError(path, f"is not numeric: its array is of type {array.dtype}")
    if array.ndim != 2:
        raise RecordingError(
            path, f"holds an array of shape {array.shape}; a view is 2D: samples by features"
        )
    if 0 in array.shape:
        raise RecordingError(path, f"is empty: its array is of shape {array.shape}")
    kept = array.dtype.newbyteorder("=") in (np.float32, np.float64)
    return array.astype(array.dtype.newbyteorder("=") if kept else np.float64, copy=False)
