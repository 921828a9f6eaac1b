"""Checks on recordings: sound numbers in each, and all of one group."""

from collections import Counter
from dataclasses import replace

import numpy as np

from mvica._recording import RecordingError, position_of


def checked_together(recordings, min_views=2):
    """Return the recordings, conditions in one order, after all checks.

    Parameters
    ----------
    recordings : list of Recording
    min_views : int, default=2
        Fewest views accepted.

    Raises
    ------
    RecordingError
        Naming the first file at fault.
    """
    for recording in recordings:
        _check_numbers(recording)
    if len(recordings) < min_views:
        hint = "; its conditions can be views: --views conditions"
        raise RecordingError(
            recordings[0].path,
            f"is one view, and at least {min_views} are needed"
            + (hint if recordings[0].segments else ""),
        )
    recordings = _in_one_order(recordings)
    _check_samples(recordings)
    _check_times(recordings)
    _refuse_copies(recordings)
    return recordings


def with_times(recording, sfreq):
    """Return the recording with a time axis, from `sfreq` (in hertz, or None) where it has none."""
    if sfreq is None:
        return recording
    if recording.times is None:
        return replace(recording, times=np.arange(len(recording.data)) / sfreq)
    own = sampling_rate(recording.times)
    if own is not None and abs(own - sfreq) > 1e-3 * sfreq:
        raise RecordingError(
            recording.path, f"is sampled at {own:g} Hz, not at the {sfreq:g} Hz asked for"
        )
    return recording


def sampling_rate(times):
    """Give the samples per second of `times` (n_samples,), or None for fewer than two samples."""
    steps = np.diff(times)
    steps = steps[steps > 0]
    return float(1.0 / np.median(steps)) if len(steps) else None


def shared_columns(recordings):
    """Names of the columns that hold the same varying numbers in every recording.

    Such a column (a time axis, a stimulus) is shared by construction, so it draws a component that
    says nothing about the views.
    """
    first = recordings[0]
    names = []
    for i, name in enumerate(first.feature_names):
        column = first.data[:, i]
        others = [
            r.data[:, r.feature_names.index(name)]
            for r in recordings[1:]
            if name in r.feature_names
        ]
        same = len(others) == len(recordings) - 1 and all(np.array_equal(column, o) for o in others)
        if same and np.any(column != column[0]):
            names.append(name)
    return names


def _check_numbers(recording):
    data, path = recording.data, recording.path
    if len(data) < 2:
        raise RecordingError(path, "has one sample: there is nothing to compare")
    finite = np.isfinite(data)
    if not finite.all():
        row, column = np.argwhere(~finite)[0]
        where = position_of(row + 1, column, recording.feature_names[column])
        count = finite.size - np.count_nonzero(finite)
        raise RecordingError(
            path, f"has {count} missing or infinite values (NaN, inf), the first {where}"
        )
    if not np.any(data != data[:1]):
        raise RecordingError(path, "is constant: no column varies")


def _in_one_order(recordings):
    """Put the conditions of every recording in the order of the first recording's."""
    first = recordings[0]
    labels = [label for label, _ in first.segments]
    ordered = []
    for recording in recordings:
        own = [label for label, _ in recording.segments]
        if sorted(own) != sorted(labels):
            raise RecordingError(
                recording.path,
                f"its conditions ({_listed(own)}) are not those of {first.path} "
                f"({_listed(labels)})",
            )
        ordered.append(recording if own == labels else _reordered(recording, labels))
    return ordered


def _listed(labels):
    return ", ".join(labels) if labels else "none"


def _reordered(recording, labels):
    starts = [start for _, start in recording.segments]
    ends = [*starts[1:], len(recording.data)]
    rows = {s[0]: np.arange(s[1], end) for s, end in zip(recording.segments, ends, strict=True)}
    order = np.concatenate([rows[label] for label in labels])
    lengths = [len(rows[label]) for label in labels]
    begins = np.cumsum([0, *lengths[:-1]])
    return replace(
        recording,
        data=recording.data[order],
        times=recording.times[order],
        segments=tuple((label, int(b)) for label, b in zip(labels, begins, strict=True)),
    )


def _check_samples(recordings):
    counts = Counter(len(recording.data) for recording in recordings)
    if len(counts) == 1:
        return
    usual, n_usual = counts.most_common(1)[0]
    odd = [recording for recording in recordings if len(recording.data) != usual]
    listed = ", ".join(f"{recording.name}: {len(recording.data)}" for recording in odd[:8])
    more = f" and {len(odd) - 8} more" if len(odd) > 8 else ""
    model = next(recording for recording in recordings if len(recording.data) == usual)
    others = f"{n_usual} others have" if n_usual > 1 else f"{model.path} has"
    hint = ""
    tables = all(recording.times is None for recording in recordings)
    if tables and len({recording.data.shape[1] for recording in recordings}) == 1:
        hint = "; all have the same number of columns: if samples lie in columns, use --transpose"
    raise RecordingError(
        odd[0].path,
        f"has {len(odd[0].data)} samples where {others} {usual} (different: {listed}{more}){hint}",
    )


def _check_times(recordings):
    timed = [recording for recording in recordings if recording.times is not None]
    for recording in timed[1:]:
        first = timed[0]
        if [start for _, start in recording.segments] != [start for _, start in first.segments]:
            raise RecordingError(
                recording.path, f"its conditions have other lengths than those of {first.path}"
            )
        step = np.ptp(first.times) / len(first.times)
        if np.max(np.abs(recording.times - first.times)) > 0.5 * step:
            raise RecordingError(
                recording.path,
                f"its time axis ({_axis(recording.times)}) differs from that of {first.path} "
                f"({_axis(first.times)})",
            )


def _axis(times):
    return f"{times.min():.4g} to {times.max():.4g} s at {sampling_rate(times):.6g} Hz"


def _refuse_copies(recordings):
    """Two equal views would agree perfectly and say nothing."""
    seen = {}
    for recording in recordings:
        data = recording.data
        key = (data.shape, data[0].tobytes(), data[-1].tobytes(), float(data[:, 0].sum()))
        for other in seen.setdefault(key, []):
            if np.array_equal(other.data, data):
                raise RecordingError(
                    recording.path, f"is a copy of {other.path}: {recording.name} = {other.name}"
                )
        seen[key].append(recording)
