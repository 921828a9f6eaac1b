"""What views made from MNE recordings carry: the record of each subject, and the container."""

from dataclasses import dataclass

import numpy as np

from mvica.meg._reducing import scaled_samples
from mvica.views import MultiViewData

__all__ = ["MEGViews", "SubjectRecord"]


@dataclass(frozen=True, eq=False)
class SubjectRecord:
    """What `to_views` did to the recordings of one subject: enough to go back to sensors.

    With ``x`` the samples by channels in SI units, the view is ``z = (scaled(x) - mean) @
    pca_components[:k].T``, where ``scaled(x)`` is ``x / scale``, ``x @ whitener.T`` or ``x``.

    Attributes
    ----------
    subject : str
        Name of the subject.
    path : str or None
        The file, if it was one.
    kind : {"raw", "epochs", "evoked"}
        What it was.
    info : mne.Info
        Of the channels kept, after projections, filters and resampling.
    ch_names : tuple of str
        Channels of the view.
    ch_types : tuple of str
        Their types.
    bads : tuple of str
        Channels that were marked bad, before they were dropped or interpolated.
    scale : ndarray of shape (n_channels,) or None
        What each channel was divided by, in its SI unit.
    whitener : ndarray of shape (n_channels, n_channels) or None
        What the channels were multiplied by instead.
    projector : ndarray of shape (n_channels, n_channels) or None
        Projections applied before scaling, where `pca_components` does not imply them.
    n_samples : int
        Samples of the view.
    first_samp : int
        Number of the first sample of a Raw, 0 for others.
    mean : ndarray of shape (n_channels,)
        Mean of the scaled channels.
    rank : int
        Numerical rank of the scaled and centred data.
    pca_components : ndarray of shape (rank, n_channels)
        Principal axes of the scaled channels: orthonormal rows.
    explained_variance : ndarray of shape (rank,)
        Variances along them.
    n_trials : tuple of int or None
        Trials behind each segment.
    events : ndarray of shape (n_events, 3) or None
        Events of Epochs.
    event_id : dict or None
        Their codes.
    annotations : mne.Annotations or None
        Annotations of a Raw.
    warnings : list of str
        Warnings raised while the subject was read.
    """

    subject: str
    path: str | None
    kind: str
    info: object
    ch_names: tuple
    ch_types: tuple
    bads: tuple
    scale: np.ndarray | None
    whitener: np.ndarray | None
    projector: np.ndarray | None
    n_samples: int
    first_samp: int
    mean: np.ndarray
    rank: int
    pca_components: np.ndarray
    explained_variance: np.ndarray
    n_trials: tuple
    events: np.ndarray | None
    event_id: dict | None
    annotations: object | None
    warnings: list

    def reduce(self, x, n_components=None):
        """Reduce samples of these channels as the view was.

        Parameters
        ----------
        x : ndarray of shape (n_samples, n_channels)
            SI units.
        n_components : int, default=None
            Number of principal components. None takes `rank`.

        Returns
        -------
        z : ndarray of shape (n_samples, n_components)
        """
        centred = scaled_samples(x, self.scale, self.whitener) - self.mean
        return centred @ self.pca_components[:n_components].T


class MEGViews(MultiViewData):
    """Views made from MNE recordings: a `MultiViewData` that knows where it comes from.

    Selecting samples gives a plain `MultiViewData`.

    Parameters
    ----------
    views : sequence of ndarray of shape (n_samples, n_components)
        Reduced data of the subjects.
    records : sequence of SubjectRecord
        One a view.
    times : ndarray of shape (n_samples,)
        Time of each sample in seconds, as in the recordings: it starts again in each segment.
    sfreq : float
        Samples per second.
    segments : sequence of dict
        One a segment: `condition`, `split`, `tmin`, `n_times`.

    Attributes
    ----------
    records : tuple of SubjectRecord
        What was done to each subject.
    times : ndarray of shape (n_samples,)
        Time of each sample in seconds.
    sfreq : float
        Samples per second.
    segments : tuple of dict
        The segments, end to end.
    boundaries : ndarray of shape (n_segments + 1,)
        First sample of each segment, and the number of samples.

    Examples
    --------
    >>> import numpy as np
    >>> from mvica.meg import MEGViews
    >>> halves = [{"condition": c, "split": 0, "tmin": 0.0, "n_times": 50} for c in ("a", "b")]
    >>> times = np.tile(np.arange(50) / 100, 2)
    >>> views = MEGViews([np.zeros((100, 3))] * 2, [None, None], times, 100.0, halves)
    >>> views.boundaries.tolist()
    [0, 50, 100]
    """

    def __init__(self, views, records, times, sfreq, segments, *, view_names=None):
        super().__init__(views, view_names=view_names)
        self.records = tuple(records)
        self.times = times
        self.sfreq = float(sfreq)
        self.segments = tuple(segments)
        lengths = [segment["n_times"] for segment in segments]
        self.boundaries = np.concatenate([[0], np.cumsum(lengths)]).astype(int)
        if not self.boundaries[-1] == len(times) == self.n_samples:
            raise ValueError(
                f"The views have {self.n_samples} samples, times {len(times)}, and the segments "
                f"together {self.boundaries[-1]}: they must be equal."
            )
