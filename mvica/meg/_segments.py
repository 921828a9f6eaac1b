"""Segments of one subject, end to end in a view: averages, trials or one stretch, cut to time."""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from scipy.signal import resample_poly

from mvica.meg._mne import listed

MAX_DENOMINATOR = 100_000  # of a ratio of rates: less than a thousandth of a sample off in an hour


@dataclass
class Segment:
    """One stretch of samples."""

    condition: str | None
    split: int
    data: np.ndarray  # (n_channels, n_times), SI units
    times: np.ndarray  # (n_times,) seconds
    n_trials: int | None


def count_trials(opened, settings):
    """Trials of each condition of an Epochs, as pairs (condition, count); None for others."""
    if opened.kind != "epochs":
        return None
    (epochs,) = opened.instances
    epochs = epochs if opened.ours else epochs.copy()
    epochs.drop_bad(verbose="ERROR")
    return [(name, len(_trials(epochs, name))) for name in _conditions(epochs, settings)]


def cut_segments(opened, settings, n_trials=None):
    """Segments of the prepared recordings of one subject, in order.

    Parameters
    ----------
    opened : Opened
        After `prepared`.
    settings : ViewSettings
    n_trials : dict of int, default=None
        Trials to take of each condition, for single trials. None takes all.

    Returns
    -------
    segments : list of Segment

    Raises
    ------
    ValueError
        If a condition is not there or has too few trials, or a setting does not fit the kind of
        recording.
    """
    if opened.kind != "epochs" and settings.n_splits > 1:
        raise ValueError(f"n_splits={settings.n_splits} needs Epochs, got {opened.kind}")
    if opened.kind == "raw":
        segments = _of_raw(opened, settings)
    elif opened.kind == "evoked":
        segments = _of_evokeds(opened.instances, settings)
    else:
        segments = _of_epochs(opened.instances[0], settings, n_trials)
    sfreq = opened.info["sfreq"]
    for segment in segments:
        sfreq_after = _resample(segment, sfreq, settings.resample)
        _crop(segment, sfreq_after, settings.tmin, settings.tmax)
        if settings.baseline is not None:
            _subtract_baseline(segment, settings.baseline)
    return segments


def _of_raw(opened, settings):
    if settings.condition is not None:
        raise ValueError(
            f"condition={list(settings.condition)}, but it is continuous and has no conditions"
        )
    if settings.baseline is not None:
        raise ValueError("baseline is for epochs and averages, but it is continuous")
    (raw,) = opened.instances
    return [Segment(None, 0, raw.get_data(), np.array(raw.times), None)]


def _of_evokeds(evokeds, settings):
    names = [evoked.comment for evoked in evokeds]
    wanted = names if settings.condition is None else settings.condition
    missing = [name for name in wanted if name not in names]
    if missing:
        raise ValueError(f"no condition {listed(missing)}; it has {listed(names, 20)}")
    repeated = [name for name in dict.fromkeys(wanted) if names.count(name) > 1]
    if repeated:
        raise ValueError(f"several averages are called {listed(map(repr, repeated))}")
    chosen = [evokeds[names.index(name)] for name in wanted]
    return [
        Segment(evoked.comment, 0, evoked.get_data(), np.array(evoked.times), int(evoked.nave))
        for evoked in chosen
    ]


def _of_epochs(epochs, settings, n_trials):
    segments, times = [], np.array(epochs.times)
    for name in _conditions(epochs, settings):
        trials = _trials(epochs, name)
        if len(trials) < settings.n_splits:
            raise ValueError(
                f"condition {name!r} has {len(trials)} trials, at least {settings.n_splits} needed"
            )
        data = trials.get_data(copy=False)
        if settings.average == "condition":
            for k, rows in enumerate(_batches(len(data), settings.n_splits, settings.split)):
                segments.append(Segment(name, k, data[rows].mean(axis=0), times, len(rows)))
        else:
            count = len(data) if n_trials is None else n_trials[name]
            segments += [Segment(name, k, data[k].copy(), times, 1) for k in range(count)]
    return segments


def _conditions(epochs, settings):
    """Conditions to take: those asked for, or all, by event code."""
    if settings.condition is not None:
        return settings.condition
    return tuple(sorted(epochs.event_id, key=epochs.event_id.get))


def _trials(epochs, name):
    try:
        return epochs[name]
    except KeyError as error:
        raise ValueError(f"no condition {name!r}; it has {listed(epochs.event_id, 20)}") from error


def _batches(n_trials, n_splits, split):
    """Deal the indices of the trials to batches."""
    trials = np.arange(n_trials)
    if split == "interleaved":
        return [trials[k::n_splits] for k in range(n_splits)]
    return np.array_split(trials, n_splits)


def _resample(segment, sfreq, rate):
    """Take a segment, low-passed before, to another rate; return the rate that it has.

    Samples are taken where the ratio allows, time zero among them. Else they are interpolated at
    exact multiples of the new step: with the resampling of MNE, whose step is such that the length
    of the recording is a whole number of them, latencies would be off by up to half a sample.
    """
    if rate is None or np.isclose(rate, sfreq, rtol=1e-9):
        return sfreq
    factor, times = sfreq / rate, segment.times
    if np.isclose(factor, round(factor), rtol=1e-9):
        factor = round(factor)
        first = -round(times[0] * sfreq) % factor
        segment.data, segment.times = segment.data[:, first::factor], times[first::factor]
        return rate
    ratio = Fraction(rate / sfreq).limit_denominator(MAX_DENOMINATOR)
    up, down = ratio.numerator, ratio.denominator
    segment.data = resample_poly(segment.data, up, down, axis=1, padtype="line")
    segment.times = times[0] + np.arange(segment.data.shape[1]) / rate
    return rate


def _crop(segment, sfreq, tmin, tmax):
    """Keep the samples between two times, both included to the nearest sample."""
    if tmin is None and tmax is None:
        return
    times, half = segment.times, 0.499 / sfreq
    tmin = times[0] if tmin is None else tmin
    tmax = times[-1] if tmax is None else tmax
    if tmin < times[0] - 2 * half or tmax > times[-1] + 2 * half or tmin > tmax:
        raise ValueError(
            f"tmin={tmin:g}, tmax={tmax:g} is not a part of its times, {times[0]:g} to "
            f"{times[-1]:g} s"
        )
    inside = (times >= tmin - half) & (times <= tmax + half)
    segment.data, segment.times = segment.data[:, inside], times[inside]


def _subtract_baseline(segment, baseline):
    start, end = baseline
    times = segment.times
    half = 0.5 * (times[1] - times[0]) if len(times) > 1 else 0.0
    if (start is not None and start < times[0] - half) or (
        end is not None and end > times[-1] + half
    ):
        raise ValueError(
            f"baseline={baseline} is not a part of its times, {times[0]:g} to {times[-1]:g} s"
        )
    inside = np.ones(len(times), dtype=bool)
    if start is not None:
        inside &= times >= start - 1e-6
    if end is not None:
        inside &= times <= end + 1e-6
    if not inside.any():
        raise ValueError(f"baseline={baseline} holds no sample")
    segment.data = segment.data - segment.data[:, inside].mean(axis=1, keepdims=True)
