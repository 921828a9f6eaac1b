"""Current dipoles that explain the maps of the sources."""

from dataclasses import dataclass

import numpy as np

from mvica.meg._mne import QUIET, import_mne
from mvica.meg.patterns import patterns_to_evoked

__all__ = ["GroupDipoles", "fit_dipoles"]

HEAD_CENTRE = (0.0, 0.0, 0.04)  # metres, in head coordinates
HEAD_RADIUS = 0.09  # metres, for the conductor that EEG needs
REGIONS = ("temporal", "parietal", "occipital", "frontal")


@dataclass(frozen=True, eq=False)
class GroupDipoles:
    """Dipoles of the sources of every subject.

    Attributes
    ----------
    subjects : tuple of str
        Names of the subjects.
    dipoles : list of mne.Dipole
        One a subject; its "times" are the sources.
    positions : ndarray of shape (n_subjects, n_components, 3)
        Metres in head coordinates.
    gof : ndarray of shape (n_subjects, n_components)
        Share of the map that the dipole explains, in percent.
    distances : ndarray of shape (n_subjects, n_components)
        Metres from the median position of the group.
    """

    subjects: tuple
    dipoles: list
    positions: np.ndarray
    gof: np.ndarray
    distances: np.ndarray


def fit_dipoles(patterns, info, *, noise_cov=None, bem=None, hemisphere=None):
    """Fit one current dipole to each map of a subject.

    Parameters
    ----------
    patterns : array-like of shape (n_channels, n_components)
        Maps in SI units.
    info : mne.Info
        Of these channels: `record.info`. It needs `dev_head_t`.
    noise_cov : mne.Covariance, default=None
        Noise covariance. None takes the same noise for all channels of a type.
    bem : mne.bem.ConductorModel or path-like, default=None
        Head model. None makes a sphere: fitted to the head points if `info` has them, else
        centred at (0, 0, 40) mm.
    hemisphere : {"left", "right"}, default=None
        Fit to the channels of a VectorView helmet over one side only: one dipole cannot explain a
        map with activity on both sides.

    Returns
    -------
    dipole : mne.Dipole
        Its "times" are the numbers of the sources.

    Raises
    ------
    ImportError
        If MNE-Python is not installed.
    ValueError
        If `info` does not say where the head is, or no channels are left.

    Examples
    --------
    >>> from mvica.datasets import make_meg_group
    >>> from mvica.meg import fit_dipoles
    >>> study = make_meg_group(2, ch_types=("mag",), sfreq=100.0, random_state=0)
    >>> N100m = study.mixing[0][:, 1:2]
    >>> dipole = fit_dipoles(N100m, study.infos[0], hemisphere="left")
    >>> bool(dipole.gof[0] > 90), bool(dipole.pos[0, 0] < 0)
    (True, True)
    """
    mne = import_mne()
    if info["dev_head_t"] is None and any(t != "eeg" for t in info.get_channel_types()):
        raise ValueError(
            "info has no dev_head_t: where the head was is not known, so no dipole can be fitted."
        )
    evoked = patterns_to_evoked(patterns, info)
    if hemisphere is not None:
        evoked = evoked.pick(_side(hemisphere, evoked.info), **QUIET)
    if noise_cov is None:
        noise_cov = mne.make_ad_hoc_cov(evoked.info, **QUIET)
    if bem is None:
        bem = _sphere(mne, evoked.info)
    return mne.fit_dipole(evoked, noise_cov, bem, **QUIET)[0]


def _side(hemisphere, info):
    mne = import_mne()
    if hemisphere not in ("left", "right"):
        raise ValueError(f"hemisphere={hemisphere!r}, expected 'left', 'right' or None.")
    regions = [f"{hemisphere.capitalize()}-{region}" for region in REGIONS]
    side = {name.replace(" ", "") for name in mne.read_vectorview_selection(regions, **QUIET)}
    names = [name for name in info["ch_names"] if name.replace(" ", "") in side]
    if not names:
        raise ValueError(f"hemisphere={hemisphere!r} is for VectorView channels; there are none.")
    return names


def _sphere(mne, info):
    """Spherical head model; EEG needs the conductivities of its layers."""
    points = [d for d in info["dig"] or () if d["kind"] == mne.io.constants.FIFF.FIFFV_POINT_EXTRA]
    centre, radius = ("auto", "auto") if len(points) > 3 else (HEAD_CENTRE, HEAD_RADIUS)
    if "eeg" not in info.get_channel_types():
        radius = None
    return mne.make_sphere_model(centre, radius, info=info, **QUIET)


def group_dipoles(subjects, dipoles):
    """Gather the dipoles of the subjects, and how far they are from the median of the group."""
    positions = np.array([dipole.pos for dipole in dipoles])
    distances = np.linalg.norm(positions - np.median(positions, axis=0), axis=2)
    gof = np.array([dipole.gof for dipole in dipoles])
    return GroupDipoles(tuple(subjects), list(dipoles), positions, gof, distances)
