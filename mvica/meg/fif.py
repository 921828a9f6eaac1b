"""FIF files (MNE-Python) to recordings: Raw, Epochs and Evoked as samples by channels."""

from collections import Counter

import numpy as np

from mvica._recording import Recording, RecordingError, chosen_features

QUIET = {"verbose": "ERROR"}
PREFERRED = (("mag", "grad"), ("eeg",), ("seeg", "ecog", "dbs"), ("hbo", "hbr"), ("fnirs_od",))


def read_fif(path, *, name, views="files", picks=None, exclude=None, prefix=False):
    """Read the view or views of one .fif file.

    Projections are applied and bad channels left out. Where several channel types are kept,
    each type is divided by its standard deviation, so that magnetometers (tesla) and gradiometers
    (tesla per metre) weigh alike. Epochs are averaged by condition.

    Parameters
    ----------
    path : path-like
        Raw, Epochs or Evoked file.
    name : str
        Name of the view.
    views : {"files", "conditions"}, default="files"
        Conditions end to end in one view, or one view each.
    picks, exclude : sequence of str or None, default=None
        Channel names or types. By default MEG, else EEG, else other data channels.
    prefix : bool, default=False
        Put `name` before the condition in the names of views made of conditions.

    Returns
    -------
    recordings : list of Recording
        In volt, tesla, tesla per metre where one channel type is kept.

    Raises
    ------
    ImportError
        If MNE-Python is not installed.
    RecordingError
        If MNE cannot read the file as Raw, Epochs or Evoked, or the channels are not there.
    """
    parts = _conditions(path)
    channels, types, notes = _channels(path, [inst for _, inst in parts], picks, exclude)
    blocks = [(label, *_block(inst, channels)) for label, inst in parts]
    if views == "conditions":
        if blocks[0][0] is None:
            raise RecordingError(path, "is a continuous recording: it has no conditions")
        start = f"{name}: " if prefix else ""
        return [
            _recording(path, start + label, [(None, data, times)], channels, types, notes)
            for label, data, times in blocks
        ]
    return [_recording(path, name, blocks, channels, types, notes)]


def _conditions(path):
    """Labelled instances of the file; the label of a continuous recording is None."""
    try:
        import mne
    except ImportError as error:
        raise ImportError('.fif files need MNE-Python: pip install "mvica[meg]"') from error
    # A raw file also opens as an empty list of averages, so the order counts.
    for read in (_read_raw, _read_epochs, _read_evokeds):
        try:
            parts = read(mne, path)
        except (OSError, ValueError, RuntimeError, AttributeError):
            continue  # not of this kind; what it is instead is said below
        if parts:
            return _distinct(parts)
    kind = mne.what(path)
    if kind in ("unknown", "raw", "epochs", "evoked"):
        raise RecordingError(path, "is not a FIF file that MNE can read: damaged, or incomplete")
    raise RecordingError(path, f"holds no recording (Raw, Epochs or Evoked) but: {kind}")


def _read_raw(mne, path):
    return [(None, mne.io.read_raw_fif(path, preload=True, **QUIET).apply_proj(**QUIET))]


def _read_epochs(mne, path):
    epochs = mne.read_epochs(path, **QUIET)
    labels = [label for label in epochs.event_id if len(epochs[label])]
    return [(label, epochs[label].average(picks="all")) for label in labels]


def _read_evokeds(mne, path):
    evokeds = mne.read_evokeds(path, **QUIET)
    return [(evoked.comment, evoked) for evoked in evokeds if evoked.kind == "average"]


def _distinct(parts):
    """Give a number to conditions that have no name, or the name of another."""
    counts = Counter(label for label, _ in parts)
    named = []
    for i, (label, inst) in enumerate(parts, start=1):
        if label is not None and (counts[label] > 1 or not label):
            label = f"{label or 'condition'} {i}"
        named.append((label, inst))
    return named


def _channels(path, instances, picks, exclude):
    """Channels to read: names, types and notes."""
    first = instances[0]
    if any(inst.ch_names != first.ch_names for inst in instances[1:]):
        raise RecordingError(path, "its conditions do not have the same channels")
    names, types = first.ch_names, first.get_channel_types()
    if picks is None:
        picks = _preferred(path, types)
    bads = sorted({bad for inst in instances for bad in inst.info["bads"]})
    try:
        kept = chosen_features(names, types, picks=picks, exclude=exclude, bads=bads)
    except ValueError as error:
        raise RecordingError(path, error) from error
    chosen, kinds = [names[i] for i in kept], tuple(types[i] for i in kept)
    counts = ", ".join(f"{count} {kind}" for kind, count in Counter(kinds).items())
    notes = [f"channels: {counts}"]
    dropped = [bad for bad in bads if bad not in chosen]
    if dropped:
        notes.append(f"bad channels left out: {', '.join(dropped)}")
    return chosen, kinds, notes


def _preferred(path, types):
    for group in PREFERRED:
        present = [kind for kind in group if kind in types]
        if present:
            return present
    raise RecordingError(path, f"has no data channels (types: {', '.join(sorted(set(types)))})")


def _block(inst, channels):
    """Give samples by channels and times (n_samples,) of one condition."""
    order = [inst.ch_names.index(channel) for channel in channels]
    return np.ascontiguousarray(inst.get_data(picks=order).T), np.array(inst.times)


def _recording(path, name, blocks, channels, types, notes):
    data = np.concatenate([block for _, block, _ in blocks])
    scale = _type_scales(data, types)
    if scale is not None:
        data = data / scale
        notes = [*notes, "each channel type divided by its standard deviation"]
    segments = ()
    if blocks[0][0] is not None:
        starts = np.cumsum([0] + [len(block) for _, block, _ in blocks[:-1]])
        segments = tuple((b[0], int(start)) for b, start in zip(blocks, starts, strict=True))
    return Recording(
        name=name,
        path=str(path),
        data=data,
        feature_names=tuple(channels),
        feature_types=types,
        scale=scale,
        times=np.concatenate([times for _, _, times in blocks]),
        segments=segments,
        notes=tuple(notes),
    )


def _type_scales(data, types):
    """Give each column the standard deviation of its channel type; None for a single type.

    Channels are centred first: their offsets are not signal, and the fit removes them too.
    """
    kinds = sorted(set(types))
    if len(kinds) < 2:
        return None
    variances, labels, scale = data.var(axis=0), np.array(types), np.ones(len(types))
    for kind in kinds:
        level = np.sqrt(variances[labels == kind].mean())
        scale[labels == kind] = level if level > 0 else 1.0
    return scale
