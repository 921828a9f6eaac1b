"""One subject of to_views: survey what its recordings hold, or read and reduce them."""

import os
import warnings
from dataclasses import dataclass

import numpy as np
from joblib import Memory

import mvica
from mvica.meg._mne import import_mne, listed
from mvica.meg._reading import channel_names, key, open_recording, prepared
from mvica.meg._reducing import (
    channel_scales,
    check_finite,
    has_sss,
    kept_projector,
    principal_axes,
    scaled_samples,
    whitener_of,
)
from mvica.meg._segments import count_trials, cut_segments
from mvica.meg._settings import ViewSettings
from mvica.meg.records import SubjectRecord


@dataclass(frozen=True)
class Failure:
    """Why a subject cannot be used."""

    problem: str


@dataclass(frozen=True)
class Survey:
    """Channels of a subject, without spaces, and its numbers of trials."""

    keys: tuple
    trials: dict | None


@dataclass(frozen=True)
class Reduced:
    """A reduced subject: at most the components asked for, and its record."""

    z: np.ndarray
    record: SubjectRecord
    times: np.ndarray
    sfreq: float
    segments: tuple
    maxwell: bool


def is_path(source):
    """Say whether a source is the path of a file."""
    return isinstance(source, (str, os.PathLike))


def survey_subject(source, settings):
    """Look at the channels and trials of a subject, without reading its data where possible."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        opened = open_recording(source)
        names = channel_names(opened, settings)
        counts = count_trials(opened, settings)
    return Survey(tuple(key(name) for name in names), None if counts is None else dict(counts))


def read_subject(source, noise_cov, settings, common, n_trials, memory):
    """Read and reduce a subject, or take the result for an unchanged file from `memory`.

    Parameters
    ----------
    source : Raw, Epochs, Evoked, list of Evoked, path-like or callable
    noise_cov : mne.Covariance or None
    settings : ViewSettings
    common : sequence of str or None
        Channels to keep, without spaces, in order.
    n_trials : dict of int or None
        Trials to take of each condition.
    memory : joblib.Memory, path-like or None

    Returns
    -------
    reduced : Reduced
        The name of the subject is still empty.
    """
    if memory is None or not is_path(source):
        return _read(source, None, noise_cov, settings, common, n_trials)
    if not isinstance(memory, Memory):
        memory = Memory(memory, verbose=0)
    cached = memory.cache(_read, ignore=["source"])
    return cached(source, _stamp(source), noise_cov, settings, common, n_trials)


def read_samples(source, record, settings):
    """Read a fitted subject, prepared as its view was but neither scaled nor centred.

    Parameters
    ----------
    source : Raw, Epochs, Evoked, list of Evoked, path-like or callable
    record : SubjectRecord
    settings : ViewSettings

    Returns
    -------
    X : ndarray of shape (n_samples, n_channels)
        SI units.
    """
    opened = _prepared_again(source, record, settings)
    segments = cut_segments(opened, settings)
    check_finite(segments, opened.instances[0])
    return np.concatenate([segment.data for segment in segments], axis=1).T


def projected(source, record):
    """Open a recording of a fitted subject as it is, with its channels and projections applied.

    Parameters
    ----------
    source : Raw, Epochs, Evoked, list of Evoked, path-like or callable
    record : SubjectRecord

    Returns
    -------
    opened : Opened
    """
    return _prepared_again(source, record, ViewSettings())


def _prepared_again(source, record, settings):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # those of the fitted recordings are in the record
        opened = open_recording(source)
        return prepared(opened, matched_names(opened, record), settings)


def samples_of(opened):
    """Stack the samples by channels of recordings; epochs end to end."""
    arrays = [inst.get_data() for inst in opened.instances]
    if opened.kind == "epochs":
        arrays = list(arrays[0])
    return np.concatenate(arrays, axis=1).T


def matched_names(opened, record):
    """Find the names that the channels of a record have in a recording.

    Raises
    ------
    ValueError
        If some are not there.
    """
    by_key = {key(name): name for name in opened.instances[0].ch_names}
    missing = [name for name in record.ch_names if key(name) not in by_key]
    if missing:
        raise ValueError(f"{record.subject}: the recording lacks the channels {listed(missing)}")
    return [by_key[key(name)] for name in record.ch_names]


def _stamp(path):
    """Tell a file and the code that reads it from changed ones."""
    status = os.stat(path)
    versions = (mvica.__version__, import_mne().__version__)
    return (os.path.abspath(path), status.st_mtime_ns, status.st_size, *versions)


def _read(source, stamp, noise_cov, settings, common, n_trials):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        opened = open_recording(source)
        names = _chosen(opened, settings, common)
        opened = prepared(opened, names, settings)
        segments = cut_segments(opened, settings, n_trials)
        check_finite(segments, opened.instances[0])
        reduced = _reduce(opened, segments, noise_cov, settings)
    reduced.record.warnings.extend(dict.fromkeys(str(entry.message) for entry in caught))
    return reduced


def _chosen(opened, settings, common):
    names = channel_names(opened, settings)
    if common is None:
        return names
    by_key = {key(name): name for name in names}
    return [by_key[name] for name in common]


def _reduce(opened, segments, noise_cov, settings):
    inst = opened.instances[0]
    types = inst.get_channel_types()
    X = np.ascontiguousarray(np.concatenate([segment.data for segment in segments], axis=1).T)
    scale = channel_scales(X, types) if settings.scale == "type" else None
    whitener = None
    if settings.scale == "cov":
        whitener = whitener_of(noise_cov, inst, opened.projector)
    X = scaled_samples(X, scale, whitener)
    mean, axes, variances = principal_axes(X, inst)
    k = settings.n_components if isinstance(settings.n_components, int) else len(axes)
    X -= mean
    epochs = inst if opened.kind == "epochs" else None
    sfreq = float(settings.resample or inst.info["sfreq"])
    info = import_mne().Info({**inst.info.copy(), "sfreq": sfreq})
    record = SubjectRecord(
        subject="",
        path=opened.path,
        kind=opened.kind,
        info=info,
        ch_names=tuple(inst.ch_names),
        ch_types=tuple(types),
        bads=tuple(opened.bads),
        scale=scale,
        whitener=whitener,
        projector=kept_projector(opened.projector, axes, scale) if whitener is None else None,
        n_samples=len(X),
        first_samp=_first_sample(inst, segments[0], sfreq) if opened.kind == "raw" else 0,
        mean=mean,
        rank=len(axes),
        pca_components=axes,
        explained_variance=variances,
        n_trials=tuple(segment.n_trials for segment in segments),
        events=None if epochs is None else epochs.events.copy(),
        event_id=None if epochs is None else dict(epochs.event_id),
        annotations=inst.annotations if opened.kind == "raw" else None,
        warnings=[],
    )
    return Reduced(
        z=(X @ axes[:k].T).astype(settings.dtype),
        record=record,
        times=np.concatenate([segment.times for segment in segments]),
        sfreq=sfreq,
        segments=tuple(_described(segment) for segment in segments),
        maxwell=has_sss(inst.info),
    )


def _first_sample(raw, segment, sfreq):
    """Compute the number of the first sample of a stretch of a Raw, at its rate."""
    return round((raw.first_samp / raw.info["sfreq"] + segment.times[0]) * sfreq)


def _described(segment):
    return {
        "condition": segment.condition,
        "split": segment.split,
        "tmin": float(segment.times[0]),
        "n_times": len(segment.times),
    }
