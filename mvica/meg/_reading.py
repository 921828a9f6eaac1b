"""Recordings of one subject, from files or memory: opened, channels chosen, projected, filtered."""

import os
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from mvica._recording import chosen_features
from mvica.meg._mne import COLLECT, DATA_TYPES, import_mne, kind_of, listed

NAMED = {"raw": "raw", "epo": "epochs", "epochs": "epochs", "ave": "evoked", "evoked": "evoked"}
HEAD_CENTRE = (0.0, 0.0, 0.04)  # metres, for the interpolation of bad MEG channels


@dataclass
class Opened:
    """What one subject brings: one Raw, one Epochs, or Evokeds."""

    kind: str
    instances: list
    path: str | None = None
    ours: bool = False  # read by us, so it may be changed in place
    bads: list = field(default_factory=list)
    projector: np.ndarray | None = None

    @property
    def info(self):
        """Info of the first instance."""
        return self.instances[0].info


def open_recording(source):
    """Open what a user gave for one subject.

    Parameters
    ----------
    source : Raw, Epochs, Evoked, list of Evoked, path-like or callable
        A callable takes no argument and returns one of the others.

    Returns
    -------
    opened : Opened

    Raises
    ------
    TypeError
        If `source` is none of these.
    ValueError
        If a file holds no recording, or an Evoked is no average.
    """
    if callable(source) and kind_of(source) is None:
        return open_recording(source())
    if isinstance(source, (str, os.PathLike)):
        kind, instances = read_file(source)
        return Opened(kind, instances, str(source), ours=True)
    kind = kind_of(source)
    if kind is not None:
        return Opened(kind, [source])
    several = isinstance(source, (list, tuple)) and len(source) > 0
    if several and all(kind_of(item) == "evoked" for item in source):
        return Opened("evoked", list(source))
    raise TypeError(
        "expected a Raw, an Epochs, an Evoked, a list of Evoked, a path or a function that "
        f"returns one of these, got {type(source).__name__}"
    )


def read_file(path):
    """Read a file as Raw (not loaded), Epochs or Evokeds, without applying projections.

    Returns
    -------
    kind : {"raw", "epochs", "evoked"}
    instances : list
        One Raw, one Epochs, or the averages in the file.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it holds none of these.
    """
    mne = import_mne()
    if not Path(path).exists():
        raise FileNotFoundError(f"no such file: {path}")
    # A raw file also opens as an empty list of averages, so the order counts.
    readers = {"raw": _read_raw, "epochs": _read_epochs, "evoked": _read_evokeds}
    problems = []
    for kind in dict.fromkeys((_kind_by_name(path), *readers)):
        try:
            instances = readers[kind](mne, path)
        except (OSError, ValueError, RuntimeError, AttributeError) as error:
            problems.append(error)  # not of this kind, or damaged
            continue
        if instances:
            return kind, instances
    raise ValueError(f"MNE cannot read it as Raw, Epochs or Evoked: {path} ({problems[0]})")


def _kind_by_name(path):
    """Kind that MNE's naming rules give the file: the one to try first."""
    stem = Path(path).name.lower().removesuffix(".gz").removesuffix(".fif")
    return NAMED.get(stem.replace("-", "_").rpartition("_")[2], "raw")


def _read_raw(mne, path):
    return [mne.io.read_raw(path, preload=False, **COLLECT)]


def _read_epochs(mne, path):
    return [mne.read_epochs(path, proj=False, preload=False, **COLLECT)]


def _read_evokeds(mne, path):
    evokeds = mne.read_evokeds(path, proj=False, **COLLECT)
    return [evoked for evoked in evokeds if evoked.kind == "average"]


def bads_of(opened):
    """Channels marked bad in any instance."""
    return sorted({bad for inst in opened.instances for bad in inst.info["bads"]})


def channel_names(opened, settings):
    """Names of the channels that enter the view.

    Raises
    ------
    ValueError
        If the instances differ in channels, a pick is not there or not of the brain, or bad
        channels are picked and `on_bad="raise"`.
    """
    first = opened.instances[0]
    if any(inst.ch_names != first.ch_names for inst in opened.instances[1:]):
        raise ValueError("its averages do not have the same channels")
    names, types = first.ch_names, first.get_channel_types()
    chosen = chosen_features(names, types, picks=settings.picks)
    strange = [f"{names[i]} ({types[i]})" for i in chosen if types[i] not in DATA_TYPES]
    if strange:
        raise ValueError(f"picks asks for channels that are no data: {listed(strange)}")
    bads = set(bads_of(opened))
    bad = [names[i] for i in chosen if names[i] in bads]
    if bad and settings.on_bad == "raise":
        raise ValueError(f"bad channels: {listed(bad)}; see on_bad")
    kept = [names[i] for i in chosen if settings.on_bad != "drop" or names[i] not in bads]
    if not kept:
        raise ValueError("every picked channel is marked bad")
    return kept


def key(name):
    """Channel name without spaces, as channels are matched."""
    return name.replace(" ", "")


def prepared(opened, names, settings):
    """Keep the channels, in this order, apply projections, filter for the rate to come.

    Returns
    -------
    opened : Opened
        With instances of its own; those of the user stay as they are.
    """
    bads = bads_of(opened)
    instances = [inst if opened.ours else inst.copy() for inst in opened.instances]
    if settings.on_bad == "interpolate":
        for inst in instances:
            _interpolate(inst, bads, names)
    for inst in instances:
        inst.pick(names, **COLLECT)
        _load(inst)
        if inst.ch_names != names:
            inst.reorder_channels(names)
    projector = _idle_projector(instances[0].info)
    for inst in instances:
        inst.apply_proj(**COLLECT)
        _filter(inst, settings)
    return Opened(opened.kind, instances, opened.path, True, bads, projector)


def _load(inst):
    kind = kind_of(inst)
    if kind == "raw":
        inst.load_data(**COLLECT)
    elif kind == "epochs":
        inst.load_data()  # takes no `verbose`


def _interpolate(inst, bads, names):
    """Interpolate the bad channels among those picked; the other bad ones do not contribute."""
    if not set(bads) & set(names):
        return
    _load(inst)
    inst.info["bads"] = bads
    others = [bad for bad in bads if bad not in names]
    inst.interpolate_bads(reset_bads=True, origin=HEAD_CENTRE, exclude=others, **COLLECT)


def _idle_projector(info):
    """Matrix of the projections that are still to be applied, or None."""
    if all(projection["active"] for projection in info["projs"]):
        return None
    mne = import_mne()
    raw = mne.io.RawArray(np.eye(len(info["ch_names"])), info.copy(), **COLLECT)
    return raw.apply_proj(**COLLECT).get_data()


def _filter(inst, settings):
    if settings.l_freq is not None or settings.h_freq is not None:
        inst.filter(settings.l_freq, settings.h_freq, **COLLECT)
    rate, sfreq = settings.resample, inst.info["sfreq"]
    if rate is None or np.isclose(rate, sfreq, rtol=1e-9):
        return
    if rate > sfreq:
        raise ValueError(f"resample={rate:g} is above its sampling rate, {sfreq:g} Hz")
    if inst.info["lowpass"] > rate / 3 * (1 + 1e-9):
        inst.filter(None, rate / 3, **COLLECT)
