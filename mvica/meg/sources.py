"""Sources as Raw, Epochs and Evoked, with the times, events and annotations of the recording."""

import numpy as np

from mvica.meg._mne import QUIET, import_mne, kind_of

__all__ = ["sources_to_mne"]


def sources_to_mne(sources, like, *, kind=None, comment=None):
    """Put the sources of a recording in an object of MNE like the recording.

    Channels are called `MV000`, `MV001`, ... and have the type `misc`, so MNE plots and filters
    them with `picks="all"`. Kept from the recording: times, first sample, events, their codes,
    metadata, annotations, dates, subject.

    Parameters
    ----------
    sources : array-like of shape (n_samples, n_components)
        Sources of each sample of `like`; epochs, or several Evokeds, end to end.
    like : Raw, Epochs, Evoked or list of Evoked
        The recording.
    kind : {"raw", "epochs", "evoked"}, default=None
        What to make. None makes what `like` is; "evoked" averages Epochs, all of them.
    comment : str, default=None
        Comment of the Evokeds. None keeps that of `like`.

    Returns
    -------
    inst : RawArray, EpochsArray, EvokedArray or list of EvokedArray
        A list for a list.

    Raises
    ------
    ValueError
        If the numbers of samples differ, or `kind` cannot be made of `like`.

    Examples
    --------
    >>> import mne, numpy as np
    >>> from mvica.meg import sources_to_mne
    >>> info = mne.create_info(5, 100.0, "mag")
    >>> evoked = mne.EvokedArray(np.zeros((5, 50)), info, tmin=-0.1, comment="tone")
    >>> sources = sources_to_mne(np.ones((50, 2)), evoked)
    >>> sources.ch_names, float(sources.times[0]), sources.comment
    (['MV000', 'MV001'], -0.1, 'tone')
    """
    mne = import_mne()
    S = np.asarray(sources, dtype=np.float64)
    several = isinstance(like, (list, tuple))
    parts = list(like) if several else [like]
    kinds = {kind_of(part) for part in parts}
    if None in kinds or (several and kinds != {"evoked"}):
        raise TypeError(f"like must be a Raw, Epochs, Evoked or list of Evoked, got {type(like)}.")
    (own,) = kinds
    if kind not in (None, own) and (own, kind) != ("epochs", "evoked"):
        raise ValueError(f"kind={kind!r} cannot be made of {own}.")
    lengths = [_n_samples(part, own) for part in parts]
    if S.ndim != 2 or len(S) != sum(lengths):
        raise ValueError(
            f"sources has shape {S.shape}, expected ({sum(lengths)}, n_components): one row a "
            f"sample of `like` ({own})."
        )
    if own == "raw":
        return raw_sources(S, like.info, like.first_samp, like.annotations)
    if own == "epochs":
        epochs = _epochs(mne, S, like)
        if kind != "evoked":
            return epochs
        evoked = epochs.average(picks="all")
        evoked.comment = evoked.comment if comment is None else comment
        return evoked
    blocks = np.split(S, np.cumsum(lengths)[:-1])
    made = [
        evoked_sources(
            block, part.info, part.times[0], part.comment if comment is None else comment, part.nave
        )
        for block, part in zip(blocks, parts, strict=True)
    ]
    return made if several else made[0]


def evoked_sources(S, info, tmin, comment, nave=None):
    """Make an Evoked of sources (n_times, n_components)."""
    mne = import_mne()
    return mne.EvokedArray(
        np.ascontiguousarray(S.T, dtype=np.float64),
        _source_info(mne, S.shape[1], info),
        tmin=tmin,
        comment="" if comment is None else comment,
        nave=1 if nave is None else nave,
        **QUIET,
    )


def segment_sources(S, record, segments, ending=""):
    """Make one Evoked of the sources (n_samples, n_components) of each segment."""
    stops = np.cumsum([segment["n_times"] for segment in segments])
    blocks = np.split(S, stops[:-1])
    return [
        evoked_sources(
            block, record.info, segment["tmin"], f"{segment['condition'] or ''}{ending}", n_trials
        )
        for block, segment, n_trials in zip(blocks, segments, record.n_trials, strict=True)
    ]


def _n_samples(inst, kind):
    return len(inst.times) * (_n_epochs(inst) if kind == "epochs" else 1)


def _n_epochs(epochs):
    epochs.drop_bad(**QUIET)
    return len(epochs)


def raw_sources(S, info, first_samp, annotations):
    """Make a Raw of sources (n_times, n_components)."""
    mne = import_mne()
    data = np.ascontiguousarray(S.T, dtype=np.float64)
    info = _source_info(mne, len(data), info)
    raw = mne.io.RawArray(data, info, first_samp=first_samp, **QUIET)
    # The same date and first sample: onsets mean the same, with an origin or without.
    return raw.set_annotations(annotations.copy(), **QUIET)


def _epochs(mne, S, like):
    info = _source_info(mne, S.shape[1], like.info)
    data = S.reshape(_n_epochs(like), len(like.times), -1).transpose(0, 2, 1)
    epochs = mne.EpochsArray(
        np.ascontiguousarray(data),
        info,
        events=like.events.copy(),
        tmin=like.tmin,
        event_id=dict(like.event_id),
        metadata=None if like.metadata is None else like.metadata.copy(),
        selection=like.selection.copy(),
        drop_log=like.drop_log,
        baseline=None,
        **QUIET,
    )
    annotations = getattr(like, "annotations", None)
    return epochs if annotations is None else epochs.set_annotations(annotations.copy(), **QUIET)


def _source_info(mne, p, base):
    """Info of p sources with the date and subject of a recording."""
    info = mne.create_info([f"MV{i:03d}" for i in range(p)], base["sfreq"], "misc", **QUIET)
    info.set_meas_date(base["meas_date"])
    for name in ("subject_info", "description", "experimenter"):
        info[name] = base[name]
    return info
