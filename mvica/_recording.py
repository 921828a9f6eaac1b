"""What every reader of files gives back: one recording, or the error that names its file."""

from dataclasses import dataclass

import numpy as np


class RecordingError(ValueError):
    """A file that cannot serve as a view.

    Parameters
    ----------
    path : str or path-like
        The file.
    problem : str
        What is wrong with it, in one line.
    """

    def __init__(self, path, problem):
        self.path = str(path)
        self.problem = " ".join(str(problem).split())
        super().__init__(f"{self.path}: {self.problem}")


@dataclass(frozen=True)
class Recording:
    """One view read from disk.

    Attributes
    ----------
    name : str
        Short name, unique among the recordings read together.
    path : str
        The file that it comes from.
    data : ndarray of shape (n_samples, n_features)
        Finite numbers, float32 or float64.
    feature_names : tuple of str
        One name per column.
    feature_types : tuple of str or None
        Channel type of each column (``"mag"``, ``"grad"``, ...) for MEG and EEG files.
    scale : ndarray of shape (n_features,) or None
        What each column was divided by; None when the data are as in the file.
    times : ndarray of shape (n_samples,) or None
        Time of each sample in seconds, starting again in each segment.
    segments : tuple of (str, int)
        Label and first sample of the conditions that lie end to end; empty for one stretch.
    notes : tuple of str
        What the reader did that the user should know.
    """

    name: str
    path: str
    data: np.ndarray
    feature_names: tuple
    feature_types: tuple | None = None
    scale: np.ndarray | None = None
    times: np.ndarray | None = None
    segments: tuple = ()
    notes: tuple = ()


def chosen_features(names, types=None, *, picks=None, exclude=None, bads=()):
    """Find the indices of the features that `picks` asks for and `exclude` leaves.

    Parameters
    ----------
    names : sequence of str
        Feature names.
    types : sequence of str or None, default=None
        Channel type of each feature, for recordings that have them.
    picks, exclude : sequence of str or None, default=None
        Feature names or channel types; ``"meg"`` means magnetometers and gradiometers.
        ``picks=None`` keeps everything. Spaces inside names do not count.
    bads : sequence of str, default=()
        Names left out unless `picks` names them.

    Returns
    -------
    indices : list of int

    Raises
    ------
    ValueError
        If an entry matches nothing, or nothing is left.

    Examples
    --------
    >>> chosen_features(["a", "b", "c"], exclude=["b"])
    [0, 2]
    """
    keys = [name.replace(" ", "") for name in names]
    types = [""] * len(keys) if types is None else list(types)
    wanted = None if picks is None else _tokens("picks", picks, names, types)
    unwanted = _tokens("exclude", exclude or (), names, types)
    bad_keys = {name.replace(" ", "") for name in bads}
    indices = []
    for i, (key, kind) in enumerate(zip(keys, types, strict=True)):
        named = wanted is not None and key in wanted
        picked = wanted is None or named or kind in wanted
        dropped = key in unwanted or kind in unwanted or (key in bad_keys and not named)
        if picked and not dropped:
            indices.append(i)
    if not indices:
        raise ValueError("nothing is left of its columns after picks and exclude")
    return indices


def _tokens(option, entries, names, types):
    present = {name.replace(" ", "") for name in names} | {kind for kind in types if kind}
    tokens = set()
    for entry in entries:
        token = entry.replace(" ", "")
        expanded = {"mag", "grad"} & present if token == "meg" else {token} & present
        if not expanded:
            known = sorted({kind for kind in types if kind}) or list(names)
            shown = ", ".join(known[:12]) + (", ..." if len(known) > 12 else "")
            raise ValueError(
                f"{option} asks for {entry!r}, which it does not have (it has {shown})"
            )
        tokens |= expanded
    return tokens


def position_of(row, column, name):
    """Where a value lies, in words; `row` counts from 1, `column` from 0."""
    title = "" if name == str(column + 1) else f" ({name})"
    return f"in row {row}, column {column + 1}{title}"
