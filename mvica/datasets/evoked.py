"""A simulated group of evoked-like recordings, for demonstrations and pictures."""

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter1d
from sklearn.utils import check_random_state

from mvica.datasets._checks import check_dtype, check_sizes, per_view
from mvica.datasets.record import MultiViewDataset, seed_of

# What a view may be recorded with: (unit, size of a typical value in it).
UNITS = (("T", 1e-13), ("V", 1e-6), ("a.u.", 1.0))
TIMES = (-0.2, 0.8)  # seconds around the stimulus
GOLDEN_ANGLE = np.pi * (3 - np.sqrt(5))


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class EvokedGroup(MultiViewDataset):
    """A simulated group of average responses, with the truth.

    The samples of all conditions follow each other: sample ``c * len(times) + t`` is time t of
    condition c. :meth:`by_condition` puts conditions and times on two axes.

    Attributes
    ----------
    times : ndarray of shape (n_times,)
        Times of one condition, in seconds around the stimulus.
    sfreq : float
        Samples per second.
    conditions : tuple of str
        Names of the conditions.
    units : tuple of m str
        Unit of each view's values.
    positions : list of m ndarrays of shape (n_features_v, 2)
        Places of the sensors on a head seen from above, of radius 1, nose along the second axis.
    view_names : tuple of m str
        Names of the subjects.

    See Also
    --------
    MultiViewDataset : The other attributes.

    Examples
    --------
    >>> from mvica.datasets import make_evoked_group
    >>> make_evoked_group(2, n_features=[40, 60], random_state=0)  # doctest: +ELLIPSIS
    EvokedGroup(make_evoked_group: 2 views of 1500 samples and 40, 60
        features; 5 shared sources; noise std ...; private ranks 2, 2; float64; seed 0)
    """

    times: np.ndarray
    sfreq: float
    conditions: tuple
    units: tuple
    positions: list
    view_names: tuple

    def by_condition(self, signals):
        """Split the samples of signals into conditions and times.

        Parameters
        ----------
        signals : ndarray of shape (n_samples, k)
            A view, sources, or anything with these samples.

        Returns
        -------
        split : ndarray of shape (n_conditions, n_times, k)

        Examples
        --------
        >>> from mvica.datasets import make_evoked_group
        >>> data = make_evoked_group(2, n_conditions=3, random_state=0)
        >>> data.by_condition(data.sources).shape
        (3, 250, 5)
        """
        signals = np.asarray(signals)
        return signals.reshape(len(self.conditions), len(self.times), -1)


def make_evoked_group(
    n_views=8,
    n_components=5,
    *,
    n_conditions=6,
    n_features=None,
    sfreq=250.0,
    noise_std=0.3,
    private_rank=2,
    private_scale=1.5,
    sensor_noise_std=0.3,
    random_state=None,
    dtype=np.float64,
):
    """Draw a group of evoked-like recordings that share their responses.

    Shared sources are the responses of a few brain areas: a deflection of its own latency, for
    every second source with a burst of oscillation, with an amplitude and a small delay that
    depend on the condition, and silence before the stimulus. Every subject has sensors, units and
    smooth spatial patterns of its own, and ongoing activity that no other has.

    Parameters
    ----------
    n_views : int, default=8
        Number of subjects m.
    n_components : int, default=5
        Number of shared sources p.
    n_conditions : int, default=6
        Number of conditions. More of them make the sources easier to tell apart.
    n_features : int, sequence of m ints, or None
        Sensors of each subject, at least p. With None, between 32 and 64, drawn.
    sfreq : float, default=250.0
        Samples per second; a condition lasts 1 s, from 0.2 s before to 0.8 s after the stimulus.
    noise_std : float, default=0.3
        Typical standard deviation of what a subject adds to the shared sources, which have unit
        variance. Each subject and component has its own, between half and twice this value.
    private_rank : int or sequence of m ints, default=2
        Number of private signals of each subject: rhythms and drifts.
    private_scale : float or sequence of m floats, default=1.5
        Root mean square of a private signal on the sensors, relative to a shared one.
    sensor_noise_std : float or sequence of m floats, default=0.3
        Standard deviation of the white sensor noise, relative to the same.
    random_state : int, RandomState or None, default=None
        An int gives the same bits on every call.
    dtype : {float64, float32}, default=float64
        Type of the views; the truth stays in float64.

    Returns
    -------
    data : EvokedGroup
        Views and truth. ``mixings``, ``private_mixings`` and ``sensor_noise_std`` are in the units
        of the view.

    Raises
    ------
    ValueError
        If a size or a standard deviation is not allowed, or does not fit `n_views`.

    Examples
    --------
    >>> from mvica.datasets import make_evoked_group
    >>> data = make_evoked_group(3, n_features=[20, 30, 40], random_state=0)
    >>> [X.shape for X in data.views], data.units
    ([(1500, 20), (1500, 30), (1500, 40)], ('T', 'V', 'a.u.'))
    """
    m, p, n_conditions = check_sizes(
        n_views=n_views, n_components=n_components, n_conditions=n_conditions
    )
    if not (np.isfinite(sfreq) and sfreq >= 50):
        raise ValueError(f"sfreq={sfreq!r}; expected at least 50 samples per second.")
    noise = per_view(noise_std, m, "noise_std", low=0)
    rank = per_view(private_rank, m, "private_rank", integer=True, low=0)
    private = per_view(private_scale, m, "private_scale", low=0)
    sensor = per_view(sensor_noise_std, m, "sensor_noise_std", low=0)
    dtype = check_dtype(dtype)
    rng = check_random_state(random_state)
    if n_features is None:
        n_features = rng.randint(max(32, p), max(65, p + 1), size=m)
    d = per_view(n_features, m, "n_features", integer=True, low=p)

    times = np.round(TIMES[0] * sfreq) / sfreq + np.arange(round(sfreq)) / sfreq
    S = _responses(rng, times, n_conditions, p)
    n = len(S)
    places = _source_places(p)
    positions = [_sensor_positions(rng, d_v) for d_v in d]
    unit = np.array([UNITS[v % len(UNITS)][1] for v in range(m)])
    A = [unit[v] * _patterns(rng, positions[v], places) for v in range(m)]
    noise_variances = (noise[:, None] * 2 ** rng.uniform(-1, 1, size=(m, p))) ** 2
    B = [
        unit[v] * private[v] * _patterns(rng, positions[v], rng.uniform(-0.6, 0.6, (rank[v], 2)))
        for v in range(m)
    ]
    P = [_ongoing(rng, n, rank[v], sfreq) for v in range(m)]
    views = []
    for v in range(m):
        own = _smooth_noise(rng, n, p, 0.01 * sfreq) * np.sqrt(noise_variances[v])
        X = (S + own) @ A[v].T + P[v] @ B[v].T
        X += unit[v] * sensor[v] * rng.randn(n, d[v])
        views.append(X.astype(dtype, copy=False))
    return EvokedGroup(
        name="make_evoked_group",
        views=views,
        sources=S,
        mixings=A,
        noise_variances=noise_variances,
        private_sources=P,
        private_mixings=B,
        sensor_noise_std=unit * sensor,
        seed=seed_of(random_state),
        times=times,
        sfreq=float(sfreq),
        conditions=tuple(f"condition {c + 1}" for c in range(n_conditions)),
        units=tuple(UNITS[v % len(UNITS)][0] for v in range(m)),
        positions=positions,
        view_names=tuple(f"sub-{v + 1:02d}" for v in range(m)),
    )


# Time courses ------------------------------------------------------------------------------------


def _responses(rng, times, n_conditions, p):
    """Shared sources, (n_conditions * n_times, p), centred and of unit variance."""
    latencies = np.geomspace(0.08, 0.4, p) if p > 1 else np.array([0.1])
    S = np.zeros((n_conditions, len(times), p))
    for a, latency in enumerate(latencies):
        amplitudes = rng.gamma(3.0, size=n_conditions)
        delays = latency * (1 + 0.08 * rng.randn(n_conditions))
        frequency = rng.uniform(8, 20)
        for c in range(n_conditions):
            since = times - delays[c]
            shape = _deflection(since, 0.18 * latency + 0.004)
            if a % 2:
                shape += _burst(since - 0.05, frequency, 0.06)
            S[c, :, a] = amplitudes[c] * shape * _onset(times)
    S = S.reshape(-1, p)
    S -= S.mean(axis=0)
    return S / S.std(axis=0)


def _deflection(since, width):
    """Sharp peak followed by a slower, smaller one of the other sign."""
    first = np.exp(-0.5 * (since / width) ** 2)
    return first - 0.4 * np.exp(-0.5 * ((since - 3 * width) / (1.6 * width)) ** 2)


def _burst(since, frequency, width):
    return np.exp(-0.5 * (since / width) ** 2) * np.sin(2 * np.pi * frequency * since)


def _onset(times):
    """Zero before the stimulus, one from 50 ms after it on, smooth between."""
    return np.sin(0.5 * np.pi * np.clip(times / 0.05, 0, 1)) ** 2


def _smooth_noise(rng, n, k, width):
    """Coloured noise of unit variance, (n, k)."""
    N = gaussian_filter1d(rng.randn(n, k), width, axis=0, mode="wrap")
    return (N - N.mean(axis=0)) / N.std(axis=0)


def _ongoing(rng, n, rank, sfreq):
    """Private signals of one subject: a rhythm of varying amplitude, then a drift, and so on."""
    P = np.zeros((n, rank))
    t = np.arange(n) / sfreq
    for r in range(rank):
        slow = _smooth_noise(rng, n, 2, 0.1 * sfreq)
        phase = 2 * np.pi * rng.uniform(8, 12) * t
        rhythm = slow[:, 0] * np.cos(phase) + slow[:, 1] * np.sin(phase)
        P[:, r] = slow[:, 0] if r % 2 else rhythm
    P -= P.mean(axis=0)
    return P / P.std(axis=0)


# Space -------------------------------------------------------------------------------------------


def _sensor_positions(rng, d):
    """Return d places that cover the head evenly, with the small differences of a real cap."""
    rank = np.arange(d) + 0.5
    angle = rank * GOLDEN_ANGLE + rng.uniform(0, 2 * np.pi)
    places = np.sqrt(rank / d)[:, None] * np.column_stack([np.cos(angle), np.sin(angle)])
    return places + 0.1 / np.sqrt(d) * rng.randn(d, 2)


def _source_places(p):
    angle = np.arange(p) * GOLDEN_ANGLE
    return 0.55 * np.column_stack([np.cos(angle), np.sin(angle)])


def _patterns(rng, positions, places):
    """Fields of dipoles close to the given places, (d, k), with a root mean square near one.

    Place, direction and strength vary from subject to subject.
    """
    A = np.zeros((len(positions), len(places)))
    for a, place in enumerate(places):
        direction = GOLDEN_ANGLE * a + 0.3 * rng.randn()
        away = positions - place - 0.06 * rng.randn(2)
        along = away @ [np.cos(direction), np.sin(direction)]
        field = along * np.exp(-0.5 * np.sum(away**2, axis=1) / 0.45**2)
        A[:, a] = field / np.sqrt(np.mean(field**2)) * np.exp(0.2 * rng.randn())
    return A
