"""MNE recordings to views: one reduced array a subject, with all that is needed to go back."""

import warnings
from dataclasses import replace

import numpy as np

from mvica.io import view_names
from mvica.meg._mne import QUIET, import_mne, listed
from mvica.meg._settings import checked_settings
from mvica.meg._subject import Failure, is_path, read_subject, survey_subject
from mvica.meg.records import MEGViews
from mvica.parallel import map_processes

__all__ = ["to_views"]

TIME_TOLERANCE = 1e-6  # seconds


def to_views(
    data,
    picks="mag",
    *,
    condition=None,
    average="condition",
    n_splits=1,
    split="interleaved",
    tmin=None,
    tmax=None,
    resample=None,
    l_freq=None,
    h_freq=None,
    baseline=None,
    channels="union",
    scale="type",
    noise_cov=None,
    n_components=None,
    dtype="float64",
    subjects=None,
    n_jobs=1,
    memory=None,
    on_bad="drop",
    on_error="raise",
    verbose=0,
):
    """Turn MNE recordings of several subjects into views.

    For each subject: keep the channels, apply projections, filter, resample, crop, average,
    subtract the baseline of each segment, scale, centre, and keep the leading principal
    components. Only these reduced arrays stay in memory.

    Parameters
    ----------
    data : sequence
        One entry a subject: a Raw, an Epochs, an Evoked, a list of Evoked (conditions), the path
        of a file that holds one of these, or a function without arguments that returns one. The
        recordings are not changed. Kinds may be mixed where samples and times agree.
    picks : str or sequence of str, default="mag"
        Channel types (`"mag"`, `"grad"`, `"meg"`, `"eeg"`, ...) or names; spaces in names do not
        count.
    condition : str or sequence of str, default=None
        Conditions that lie end to end in a view, in this order: keys of Epochs (`"audio"` also
        takes `"audio/high"`), comments of Evokeds. None takes all: by event code, as listed.
    average : {"condition", "trials", None}, default="condition"
        What of Epochs is a segment: the average of a condition, or each trial. With `"trials"`
        every subject gives as many trials of a condition, the first ones, as the subject with the
        fewest; with None the numbers must be equal.
    n_splits : int, default=1
        Averages a condition: its trials are dealt to that many batches.
    split : {"interleaved", "consecutive"}, default="interleaved"
        Trial k goes to batch k modulo `n_splits`, so that fatigue and head movements are the same
        in all; or batches are successive parts of the recording.
    tmin, tmax : float, default=None
        First and last time kept, in seconds, both included. None is the end of the recording.
    resample : float, default=None
        Sampling rate in hertz after a low-pass at a third of it (unless there is a lower one).
    l_freq, h_freq : float, default=None
        Edges of the pass band in hertz, as in `mne.io.Raw.filter`.
    baseline : tuple of (float or None, float or None), default=None
        Interval in seconds, within `tmin` and `tmax`, whose mean is subtracted from each channel
        of each segment.
    channels : {"union", "intersection"}, default="union"
        Each subject keeps all its channels, or only those that all subjects have.
    scale : {"type", "cov", None}, default="type"
        Divide the channels of each type by their standard deviation over samples and channels;
        or whiten by `noise_cov`, so that data are in units of noise; or keep SI units.
    noise_cov : mne.Covariance, path-like or sequence of these, default=None
        Noise covariance for `scale="cov"`, one for all or one a subject.
    n_components : int, float or None, default=None
        Principal components kept, the same number for all: an int; the largest number that a
        subject needs for this share of its variance; None for the smallest rank. An int keeps the
        memory small while the subjects are read.
    dtype : {"float64", "float32"}, default="float64"
        Type of the views. It is changed last: field variances underflow float32.
    subjects : sequence of str, default=None
        Names of the subjects. None takes them from the file names, else `"S001"`, ...
    n_jobs : int, default=1
        Processes, one subject each at a time, in joblib's convention.
    memory : str, joblib.Memory or None, default=None
        Where the results of files are kept, by path, size, time of change and settings.
    on_bad : {"drop", "interpolate", "raise"}, default="drop"
        What happens to bad channels. Views need not have the same channels.
    on_error : {"raise", "skip"}, default="raise"
        Whether a subject that cannot be used is an error or is left out with a warning.
    verbose : int, default=0
        1 shows progress.

    Returns
    -------
    views : MEGViews
        One view of shape (n_samples, n_components) a subject.

    Raises
    ------
    ImportError
        If MNE-Python is not installed.
    ValueError
        If a setting is none of the allowed ones, subjects cannot be used, have other samples or
        times than the rest, or a smaller rank than `n_components`: all of them are listed.

    Notes
    -----
    The rank is the number of singular values of the scaled, centred data above 1e-5 times the
    largest, which tells the dimensions that Maxwell filtering removed from the rounding of float32
    files; the history of the filter bounds it too.

    Examples
    --------
    >>> import mne, numpy as np
    >>> from mvica.meg import to_views
    >>> rng = np.random.default_rng(0)
    >>> info = mne.create_info(10, 100.0, "mag")
    >>> data = [mne.EvokedArray(1e-13 * rng.normal(size=(10, 50)), info) for _ in range(3)]
    >>> views = to_views(data, n_components=4)
    >>> views.view_sizes, views.n_samples, views.records[0].rank
    ((4, 4, 4), 50, 10)
    """
    import_mne()
    settings = checked_settings(
        picks,
        condition,
        baseline,
        dtype,
        n_components,
        average=average,
        n_splits=n_splits,
        split=split,
        tmin=tmin,
        tmax=tmax,
        resample=resample,
        l_freq=l_freq,
        h_freq=h_freq,
        channels=channels,
        scale=scale,
        on_bad=on_bad,
    )
    if on_error not in ("raise", "skip"):
        raise ValueError(f"on_error={on_error!r}, expected 'raise' or 'skip'.")
    sources = _listed_sources(data)
    names = _subject_names(sources, subjects)
    covs = _noise_covs(noise_cov, scale, len(sources))

    def each(function, label, jobs):
        outcomes = map_processes(_attempt, [(function, *job) for job in jobs], n_jobs)
        return list(_with_bar(outcomes, label, len(jobs), verbose))

    kept, common, counts = list(range(len(sources))), None, None
    if settings.channels == "intersection" or settings.average != "condition":
        surveys = each(survey_subject, "channels", [(source, settings) for source in sources])
        kept, surveys = _settled(kept, surveys, names, on_error)
        common, counts = _in_common(surveys, [names[i] for i in kept], settings)
    jobs = [(sources[i], covs[i], settings, common, counts, memory) for i in kept]
    kept, results = _settled(kept, each(read_subject, "subjects", jobs), names, on_error)
    return _assembled(results, [names[i] for i in kept], settings)


def _attempt(job):
    """Run one subject's job; what goes wrong comes back, to be told with the others'."""
    function, *arguments = job
    try:
        return function(*arguments)
    except Exception as error:
        kind = "" if isinstance(error, ValueError) else f"{type(error).__name__}: "
        return Failure(f"{kind}{error}")


def _with_bar(outcomes, label, total, verbose):
    if not verbose:
        return outcomes
    from tqdm import tqdm

    return tqdm(outcomes, desc=label, total=total)


def _settled(indices, outcomes, names, on_error):
    """Drop subjects that failed, or raise for all of them."""
    failures = [
        f"{names[i]}: {outcome.problem}"
        for i, outcome in zip(indices, outcomes, strict=True)
        if isinstance(outcome, Failure)
    ]
    good = [
        (i, outcome)
        for i, outcome in zip(indices, outcomes, strict=True)
        if not isinstance(outcome, Failure)
    ]
    if failures:
        start = f"{len(failures)} of {len(outcomes)} subjects cannot be used: "
        told = "; ".join(failures[:10]) + (f"; {len(failures) - 10} more" * (len(failures) > 10))
        if on_error == "raise" or not good:
            hint = '. on_error="skip" leaves them out.' if good else ""
            raise ValueError(start + told + hint)
        warnings.warn(start + told, UserWarning, stacklevel=3)
    return [i for i, _ in good], [outcome for _, outcome in good]


# What the user gave ----------------------------------------------------------------------------


def _listed_sources(data):
    if is_path(data) or not hasattr(data, "__len__") or hasattr(data, "info"):
        raise TypeError(
            f"data must be a sequence with one entry a subject, got {type(data).__name__}."
        )
    sources = list(data)
    if not sources:
        raise ValueError("data is empty: at least one subject is needed.")
    return sources


def _subject_names(sources, subjects):
    if subjects is not None:
        names = [str(name) for name in subjects]
        if len(names) != len(sources) or len(set(names)) < len(names):
            raise ValueError(
                f"subjects must hold {len(sources)} different names, one a subject, got "
                f"{len(names)}: {listed(names)}."
            )
        return names
    if all(is_path(source) for source in sources):
        names = view_names([str(source) for source in sources])
        if len(set(names)) == len(names):
            return names
    return [f"S{k + 1:03d}" for k in range(len(sources))]


def _noise_covs(noise_cov, scale, n_subjects):
    """One covariance a subject, or None for each."""
    if scale != "cov":
        if noise_cov is not None:
            raise ValueError(f'noise_cov is for scale="cov", got scale={scale!r}.')
        return [None] * n_subjects
    if noise_cov is None:
        raise ValueError('scale="cov" needs noise_cov, one covariance for all or one a subject.')
    mne = import_mne()
    covs = noise_cov if isinstance(noise_cov, (list, tuple)) else [noise_cov] * n_subjects
    if len(covs) != n_subjects:
        raise ValueError(f"noise_cov has {len(covs)} entries for {n_subjects} subjects.")
    return [c if isinstance(c, mne.Covariance) else mne.read_cov(c, **QUIET) for c in covs]


# What the subjects have in common --------------------------------------------------------------


def _in_common(surveys, names, settings):
    """Find the channels of all subjects and the trials that all have; None where nothing is cut."""
    common = counts = None
    if settings.channels == "intersection":
        shared = set.intersection(*(set(survey.keys) for survey in surveys))
        common = [name for name in surveys[0].keys if name in shared]
        if not common:
            raise ValueError("the subjects have no channel in common")
    trials = [survey.trials for survey in surveys]
    if settings.average != "condition" and all(trials):
        labels = list(trials[0])
        odd = [name for name, t in zip(names, trials, strict=True) if list(t) != labels]
        if odd:
            raise ValueError(
                f"{listed(odd)}: other conditions than {names[0]} ({listed(labels)}); say which "
                "with condition=[...]."
            )
        counts = {label: min(t[label] for t in trials) for label in labels}
        unequal = [label for label in labels if max(t[label] for t in trials) > counts[label]]
        if unequal and settings.average is None:
            told = "; ".join(
                f"{name}: {listed(t.values())}" for name, t in zip(names, trials, strict=True)
            )
            raise ValueError(
                f"The subjects have different numbers of trials of {listed(unequal)} ({told}). "
                'average="trials" takes the first ones that all have.'
            )
    return common, counts


def _check_together(results, names):
    """Refuse subjects that do not have the samples and times of most."""
    shapes = [(len(result.times), round(result.sfreq, 6)) for result in results]
    if len(set(shapes)) > 1:
        told = [f"{name}: {n} at {f:g} Hz" for name, (n, f) in zip(names, shapes, strict=True)]
        raise ValueError(
            "All subjects must have the same samples, found samples at rate: "
            f"{listed(told, 20)}. tmin, tmax and resample make them equal."
        )
    first = results[0]
    for result, name in zip(results[1:], names[1:], strict=True):
        labels, expected = _labels(result, first), _labels(first, result)
        if labels != expected:
            raise ValueError(
                f"{name} has the segments {listed(labels)}, but {names[0]} has "
                f"{listed(expected)}. condition=[...] says which and in which order."
            )
        late = np.abs(result.times - first.times).max()
        if late > TIME_TOLERANCE:
            raise ValueError(
                f"{name} has other times than {names[0]}, by up to {late:g} s: {name} goes from "
                f"{result.times[0]:g} to {result.times[-1]:g} s, {names[0]} from "
                f"{first.times[0]:g} to {first.times[-1]:g} s."
            )


def _labels(result, other):
    """Segments as compared: a single one may be called anything."""
    if len(result.segments) == len(other.segments) == 1:
        return ["any"]
    return [f"{s['condition']} (split {s['split']})" for s in result.segments]


# The views -------------------------------------------------------------------------------------


def _assembled(results, names, settings):
    _check_together(results, names)
    _warn_of_one_type(results)
    k = _common_size(results, names, settings.n_components)
    views = [np.ascontiguousarray(result.z[:, :k], dtype=settings.dtype) for result in results]
    records = [
        replace(result.record, subject=name) for result, name in zip(results, names, strict=True)
    ]
    first = results[0]
    return MEGViews(views, records, first.times, first.sfreq, first.segments, view_names=names)


def _common_size(results, names, n_components):
    """Find the number of principal components that every view keeps."""
    ranks = [result.record.rank for result in results]
    if n_components is None:
        return min(ranks)
    if isinstance(n_components, int):
        low = [f"{name}: {r}" for name, r in zip(names, ranks, strict=True) if r < n_components]
        if low:
            raise ValueError(
                f"n_components={n_components} is more than the rank of {len(low)} subjects: "
                f"{listed(low, 20)}."
            )
        return n_components
    needed = []
    for result in results:
        shares = np.cumsum(result.record.explained_variance)
        needed.append(1 + int(np.searchsorted(shares, n_components * shares[-1])))
    return min(max(needed), min(ranks))


def _warn_of_one_type(results):
    both = [r for r in results if r.maxwell and {"mag", "grad"} <= set(r.record.ch_types)]
    if both:
        warnings.warn(
            "After Maxwell filtering magnetometers and gradiometers are made of the same few "
            'dimensions: one type is enough (picks="mag").',
            UserWarning,
            stacklevel=4,
        )
