"""Time warps inside epochs: latencies, warping and its undoing, clocks and smoothing."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np


@dataclass(frozen=True)
class Epochs:
    """Stretches of samples that follow each other without gaps; no warp crosses their joins.

    Attributes
    ----------
    lengths : tuple of int
        Samples of each epoch.
    """

    lengths: tuple

    @cached_property
    def sizes(self):
        """Lengths as an array of int64."""
        return np.array(self.lengths, dtype=np.int64)

    @cached_property
    def starts(self):
        """First sample of each epoch."""
        return np.concatenate([[0], np.cumsum(self.sizes)[:-1]]).astype(np.int64)

    @property
    def n_samples(self):
        """Samples of all epochs together."""
        return int(self.sizes.sum())

    @property
    def shortest(self):
        """Samples of the shortest epoch."""
        return int(self.sizes.min())

    @cached_property
    def times(self):
        """Index of every sample inside its epoch."""
        return np.concatenate([np.arange(n) for n in self.lengths])

    def by_length(self):
        """Yield each length with the sample indices (n_epochs, length) of its epochs."""
        for n in np.unique(self.sizes):
            starts = self.starts[self.sizes == n]
            yield int(n), starts[:, None] + np.arange(n)


def cut_epochs(n_samples, epochs):
    """Cut samples into epochs.

    Parameters
    ----------
    n_samples : int
        Samples of the data.
    epochs : int or sequence of int
        Number of epochs of one length, or their lengths.

    Returns
    -------
    epochs : Epochs

    Raises
    ------
    ValueError
        If the samples do not divide that way.
    """
    if np.ndim(epochs) == 0:
        if n_samples % epochs:
            raise ValueError(
                f"{n_samples} samples cannot be cut into epochs={epochs} epochs of one length: "
                "give a divisor, or the length of each epoch."
            )
        return Epochs((n_samples // int(epochs),) * int(epochs))
    lengths = tuple(epochs)
    if not lengths or not all(isinstance(n, (int, np.integer)) and n > 0 for n in lengths):
        raise ValueError(f"epochs must hold the positive lengths of the epochs, got {lengths}.")
    if sum(lengths) != n_samples:
        raise ValueError(
            f"epochs has {len(lengths)} lengths that add up to {sum(lengths)} samples, but the "
            f"data have {n_samples}."
        )
    return Epochs(tuple(int(n) for n in lengths))


def latencies(t, delays, dilations=1.0, *, onset=0):
    """When a feature of the shared sources shows up in each view.

    Parameters
    ----------
    t : float or array-like of shape (k,)
        Samples of an epoch of the shared sources.
    delays : float or ndarray of shape (m, p)
        Delays in samples.
    dilations : float or ndarray of shape (m, p), default=1.0
        Dilations.
    onset : float, default=0
        Sample of an epoch that dilations leave in place.

    Returns
    -------
    u : ndarray of shape (m, p) or (m, p, k)
        ``onset + dilations (t - onset) + delays``.

    Examples
    --------
    >>> from mvica.ica import latencies
    >>> float(latencies(300, 5.0, 1.5, onset=200))
    355.0
    """
    t = np.asarray(t, dtype=np.float64) - onset
    d, tau = np.asarray(dilations, dtype=np.float64), np.asarray(delays, dtype=np.float64)
    if t.ndim:
        d, tau = d[..., None], tau[..., None]
    return onset + d * t + tau


def warp(
    S, delays, dilations=1.0, *, epochs=1, onset=0, interpolation="linear", boundary="periodic"
):
    """Read sources at ``onset + d (t - onset) + tau``: take a view's own time to the shared one.

    Parameters
    ----------
    S : ndarray of shape (n_samples, p)
        Sources in the view's own time.
    delays : float or array-like of shape (p,)
        tau, in samples: positive for a late view.
    dilations : float or array-like of shape (p,), default=1.0
        d, positive: above one for a slow view.
    epochs : int or sequence of int, default=1
        Number of epochs of one length, or their lengths. Nothing crosses their joins.
    onset : float, default=0
        Sample of an epoch that dilations leave in place.
    interpolation : {"linear", "cubic"}, default="linear"
        Between samples: linear, or Catmull-Rom, which is smoother and more accurate.
    boundary : {"periodic", "edge"}, default="periodic"
        Outside an epoch the data repeat, or keep the value of the nearest end.

    Returns
    -------
    Y : ndarray of shape (n_samples, p)
        Sources in the shared time.

    Raises
    ------
    ValueError
        If a dilation is not positive or the samples cannot be cut into the epochs.

    Examples
    --------
    >>> import numpy as np
    >>> from mvica.ica import warp
    >>> warp(np.arange(5.0)[:, None], 2.0).ravel()
    array([2., 3., 4., 0., 1.])
    """
    S = np.asarray(S)
    tau, d = (
        np.broadcast_to(np.asarray(a, dtype=np.float64), S.shape[1:]) for a in (delays, dilations)
    )
    if not (np.all(np.isfinite(tau)) and np.all(d > 0) and np.all(np.isfinite(d))):
        raise ValueError("delays must be finite and dilations finite and positive.")
    epochs = epochs if isinstance(epochs, Epochs) else cut_epochs(len(S), epochs)
    clock = Clock(epochs, float(onset), interpolation == "cubic", boundary == "periodic")
    rows = np.ascontiguousarray(S.T)[None]
    return np.ascontiguousarray(clock.warp(rows, tau[None], d[None])[0][0].T)


def unwarp(
    Y, delays, dilations=1.0, *, epochs=1, onset=0, interpolation="linear", boundary="periodic"
):
    """Undo `warp`: take the shared time to a view's own time.

    Reads at ``onset + (u - onset - tau) / d``, the inverse map. Exact for whole delays, within the
    error of interpolation otherwise; what a warp left outside the epoch does not come back.

    Parameters
    ----------
    Y : ndarray of shape (n_samples, p)
        Sources in the shared time.
    delays, dilations, epochs, onset, interpolation, boundary
        As in `warp`.

    Returns
    -------
    S : ndarray of shape (n_samples, p)
        Sources in the view's own time.

    Examples
    --------
    >>> import numpy as np
    >>> from mvica.ica import unwarp, warp
    >>> S = np.arange(5.0)[:, None]
    >>> unwarp(warp(S, 2.0), 2.0).ravel()
    array([0., 1., 2., 3., 4.])
    """
    tau, d = np.asarray(delays, dtype=np.float64), np.asarray(dilations, dtype=np.float64)
    settings = {"onset": onset, "interpolation": interpolation, "boundary": boundary}
    return warp(Y, -tau / d, 1 / d, epochs=epochs, **settings)


@dataclass(frozen=True)
class Clock:
    """How warps of stacked sources (m, p, n_samples) act: epochs, onset, interpolation, boundary.

    Attributes
    ----------
    epochs : Epochs
    onset : float
    cubic : bool
    periodic : bool
    """

    epochs: Epochs
    onset: float = 0.0
    cubic: bool = False
    periodic: bool = True

    @property
    def grid(self):
        """Arguments of the kernels after the delays and dilations."""
        return self.onset, self.epochs.starts, self.epochs.sizes, self.cubic, self.periodic

    def warp(self, S, delays, dilations):
        """Warped sources and their slopes, both (m, p, n_samples)."""
        from mvica.kernels import warp_numba

        Y, D = np.empty_like(S), np.empty_like(S)
        warp_numba.warp(S, *_timing(delays, dilations, S.shape[:2]), *self.grid, Y, D)
        return Y, D

    def adjoint(self, G, delays, dilations):
        """Adjoint of the warp, (m, p, n_samples)."""
        from mvica.kernels import warp_numba

        out = np.empty_like(G)
        warp_numba.warp_adjoint(G, *_timing(delays, dilations, G.shape[:2]), *self.grid, out)
        return out


def _timing(delays, dilations, shape):
    """Delays and dilations as the kernels take them."""
    return tuple(
        np.ascontiguousarray(np.broadcast_to(a, shape), dtype=np.float64)
        for a in (delays, dilations)
    )


def change_clock(delays, dilations, *, rate, shift):
    """Return the timing after the shared clock t - onset becomes ``rate (t - onset) + shift``."""
    return delays + dilations * shift, dilations * rate


def centre_clock(delays, dilations, reference="mean"):
    """Fix the shared clock, which no data determine.

    Parameters
    ----------
    delays, dilations : ndarray of shape (m, p)
        Timing on any clock.
    reference : {"mean"} or int, default="mean"
        "mean": mean dilation 1 and mean delay 0 over views; an index: those of that view.

    Returns
    -------
    delays, dilations : ndarray of shape (m, p)
        The same timing on the chosen clock.
    """
    if reference == "mean":
        d, tau = dilations.mean(axis=0), delays.mean(axis=0)
    else:
        d, tau = dilations[reference], delays[reference]
    return change_clock(delays, dilations, rate=1 / d, shift=-tau / d)


def smooth(Z, width, epochs, periodic=True):
    """Hann moving average along time inside every epoch.

    Parameters
    ----------
    Z : ndarray of shape (k, n_samples)
        Signals.
    width : int
        Samples of the window without its zeros, odd; 0 or 1 returns `Z` itself.
    epochs : Epochs
    periodic : bool, default=True
        Wrap around at the epoch's ends, or repeat the end values.

    Returns
    -------
    Z : ndarray of shape (k, n_samples)
    """
    if width <= 1:
        return Z
    window = np.hanning(width + 2)[1:-1]
    window /= window.sum()
    half, out = width // 2, np.zeros_like(Z)
    for n, index in epochs.by_length():
        taps = np.arange(n)
        for k, weight in zip(range(-half, half + 1), window, strict=True):
            moved = (taps + k) % n if periodic else np.clip(taps + k, 0, n - 1)
            out[:, index.ravel()] += Z.dtype.type(weight) * Z[:, index[:, moved].ravel()]
    return out
