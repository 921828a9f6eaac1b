"""The record of a simulated MEG or EEG group: recordings as MNE objects, and the truth."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class SimulatedGroup:
    """Recordings of simulated subjects, with the truth that made them.

    A subject's average response is ``mixing[v] @ sources[v].T`` plus noise. The samples of the
    conditions follow each other, in the order of `conditions`.

    Attributes
    ----------
    data : list of m objects
        A list of two `mne.Evoked`, an `mne.Epochs` or an `mne.io.Raw` for each subject.
    subjects : tuple of m str
        Names of the subjects.
    ages : ndarray of shape (m,)
        In years.
    times : ndarray of shape (n_times,)
        Times of one condition in seconds around the stimulus.
    template : ndarray of shape (2 * n_times, p)
        Sources of a subject without delay or dilation, in ampere metre.
    sources : ndarray of shape (m, 2 * n_times, p)
        Sources of each subject, in ampere metre.
    delays : ndarray of shape (m, p)
        In seconds, positive for late: a peak at T appears at ``dilation * T + delay``.
    dilations : ndarray of shape (m, p)
        Above one for slow.
    mixing : ndarray of shape (m, n_channels, p)
        In tesla, tesla per metre or volt, per ampere metre.
    noise_level : ndarray of shape (m,)
        Factor on all noise of a subject.
    infos : list of m mne.Info
        Channels and their places, one Info a subject.
    names : tuple of p str
        Names of the sources.
    condition : tuple of p str
        Condition in which each source responds.
    conditions : tuple of str
        Names of the conditions.
    seed : int or None
        The integer given as `random_state`.

    Examples
    --------
    >>> from mvica.datasets import make_meg_group
    >>> group = make_meg_group(2, ch_types=("mag",), sfreq=250, random_state=0)
    >>> group
    SimulatedGroup(2 subjects, evoked, 102 channels, 2 x 176 samples at 250 Hz, 8 sources, seed 0)
    >>> group.sources.shape, group.mixing.shape
    ((2, 352, 8), (2, 102, 8))
    """

    data: list
    subjects: tuple
    ages: np.ndarray
    times: np.ndarray
    template: np.ndarray
    sources: np.ndarray
    delays: np.ndarray
    dilations: np.ndarray
    mixing: np.ndarray
    noise_level: np.ndarray
    infos: list
    names: tuple
    condition: tuple
    conditions: tuple
    seed: int | None

    @property
    def kind(self):
        """What `data` holds: "evoked", "epochs" or "raw"."""
        first = self.data[0]
        if isinstance(first, list):
            return "evoked"
        return "epochs" if hasattr(first, "average") else "raw"

    @property
    def sfreq(self):
        """Samples per second."""
        return float(self.infos[0]["sfreq"])

    def __repr__(self):
        m, n_channels, p = self.mixing.shape
        return (
            f"{type(self).__name__}({m} subjects, {self.kind}, {n_channels} channels,"
            f" {len(self.conditions)} x {len(self.times)} samples at {self.sfreq:g} Hz,"
            f" {p} sources, seed {self.seed})"
        )
