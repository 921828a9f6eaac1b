"""Simulated views of one set of sources, each view with a clock of its own."""

from dataclasses import dataclass

import numpy as np
from sklearn.utils import check_random_state

from mvica.datasets._checks import check_dtype, check_sizes
from mvica.datasets.record import MultiViewDataset, seed_of

BINS = 10  # oscillations of a published source


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class DelayedDataset(MultiViewDataset):
    """Simulated views with timing, with the truth.

    What happens at sample t of an epoch of the shared sources happens in component j of view v at
    ``onset + dilations[v, j] (t - onset) + delays[v, j]``.

    Attributes
    ----------
    delays : ndarray of shape (m, p)
        Delays in samples; positive means that the view is late.
    dilations : ndarray of shape (m, p)
        Dilations; above one means that the view is slow.
    epochs : tuple of int
        Length of each epoch.
    onset : int
        Sample of an epoch that dilations leave in place.

    Examples
    --------
    >>> from mvica.datasets import make_mvicad
    >>> data = make_mvicad(random_state=0)
    >>> data.delays.shape, data.epochs
    ((5, 2), (600,))
    """

    delays: np.ndarray
    dilations: np.ndarray
    epochs: tuple
    onset: int


def make_mvicad(
    n_views=5,
    n_samples=600,
    n_components=2,
    *,
    n_epochs=1,
    max_delay=10,
    shared_delays=False,
    noise_std=0.5,
    random_state=None,
    dtype=np.float64,
):
    """Draw views whose sources are circularly delayed by whole samples: the MVICAD simulation.

    A source is a row of ten bursts of random gain and pitch under a Hamming window. White noise is
    added to the sources of each view, which are then rolled inside each epoch and mixed.

    Parameters
    ----------
    n_views, n_samples, n_components : int
        Sizes; `n_samples` is that of one epoch, at least 20.
    n_epochs : int, default=1
        Epochs, each with bursts of its own.
    max_delay : int, default=10
        Largest delay in samples. Delays are normal with standard deviation ``max_delay / 2``, cut
        to whole samples, redrawn when too large, and zero in the first view.
    shared_delays : bool, default=False
        One delay a view instead of one a view and component.
    noise_std : float, default=0.5
        Standard deviation of the noise on the sources.
    random_state : int, RandomState or None, default=None
        An int gives the same bits on every call.
    dtype : {float64, float32}, default=float64
        Type of the views.

    Returns
    -------
    data : DelayedDataset
        Views and truth.

    Raises
    ------
    ValueError
        If a size is not a positive integer, or the delays do not fit an epoch.

    References
    ----------
    Heurtebise, Ablin, Gramfort (2023), Multiview Independent Component Analysis with Delays, IEEE
    MLSP.

    Examples
    --------
    >>> from mvica.datasets import make_mvicad
    >>> data = make_mvicad(4, 300, 3, n_epochs=2, max_delay=5, random_state=0)
    >>> data.views[0].shape, bool(abs(data.delays).max() <= 5)
    ((600, 3), True)
    """
    m, n, p, K = check_sizes(
        n_views=n_views, n_samples=n_samples, n_components=n_components, n_epochs=n_epochs
    )
    _check_range(n, max_delay, 1.0)
    dtype, rng = check_dtype(dtype), check_random_state(random_state)
    S = np.concatenate([_bursts(rng, p, n, 40.0) for _ in range(K)], axis=1)
    shape = (m, 1) if shared_delays else (m, p)
    delays = np.broadcast_to(_normal_delays(rng, shape, int(max_delay)), (m, p)).copy()
    A = [rng.randn(p, p) for _ in range(m)]
    views = []
    for v in range(m):
        noisy = (S + noise_std * rng.randn(p, K * n)).reshape(p, K, n)
        rolled = [np.roll(noisy[j], delays[v, j], axis=-1).ravel() for j in range(p)]
        views.append(np.ascontiguousarray((A[v] @ rolled).T, dtype=dtype))
    return _record(
        "make_mvicad", views, S, A, noise_std, random_state, delays, np.ones((m, p)), (n,) * K, 0
    )


def make_mvicad2(
    n_views=5,
    n_samples=600,
    n_components=3,
    *,
    n_epochs=5,
    max_delay=30.0,
    max_dilation=1.15,
    onset=0,
    shared_warps=False,
    noise_std=0.01,
    exact=False,
    random_state=None,
    dtype=np.float64,
):
    """Draw views whose sources are delayed and dilated in time: the MVICAD2 simulation.

    Parameters
    ----------
    n_views, n_samples, n_components : int
        Sizes; `n_samples` is that of one epoch, at least 50.
    n_epochs : int, default=5
        Epochs, each with sources of its own; a component keeps its timing in all of them.
    max_delay : float, default=30.0
        Delays are uniform up to this number of samples, either way, and zero in the first view.
    max_dilation : float, default=1.15
        The inverse of a dilation is uniform between ``1 / max_dilation`` and `max_dilation`, and
        one in the first view.
    onset : int, default=0
        Sample of an epoch that dilations leave in place.
    shared_warps : bool, default=False
        One delay and dilation a view instead of one a view and component.
    noise_std : float, default=0.01
        Standard deviation of the noise on the sources.
    exact : bool, default=False
        False is the published simulation: peaks and bursts plus noise, both warped together by
        linear interpolation, periodic. True evaluates smooth analytic sources at the warped times
        and adds the noise after: no interpolation, nothing wrapped.
    random_state : int, RandomState or None, default=None
        An int gives the same bits on every call.
    dtype : {float64, float32}, default=float64
        Type of the views.

    Returns
    -------
    data : DelayedDataset
        Views and truth.

    Raises
    ------
    ValueError
        If a size is not a positive integer, or the timing does not fit an epoch.

    References
    ----------
    Heurtebise, Chehab, Ablin, Gramfort (2025), MVICAD2: Multi-View Independent Component Analysis
    with Delays and Dilations, IEEE Transactions on Biomedical Engineering.

    Examples
    --------
    >>> from mvica.datasets import make_mvicad2
    >>> data = make_mvicad2(4, 200, 2, n_epochs=3, max_delay=10, random_state=0)
    >>> data.views[0].shape, data.dilations.shape, data.epochs
    ((600, 2), (4, 2), (200, 200, 200))
    """
    m, n, p, K = check_sizes(
        n_views=n_views, n_samples=n_samples, n_components=n_components, n_epochs=n_epochs
    )
    _check_range(n, max_delay, max_dilation)
    dtype, rng = check_dtype(dtype), check_random_state(random_state)
    draw = _draw_waves if exact else _draw_peaks
    sources = draw(rng, p, n, K)
    shape = (m, 1) if shared_warps else (m, p)
    rates = rng.uniform(1 / max_dilation, max_dilation, shape)
    delays = rng.uniform(-max_delay, max_delay, shape)
    rates[0], delays[0] = 1.0, 0.0
    rates, delays = (np.broadcast_to(a, (m, p)).copy() for a in (rates, delays))
    A = [rng.randn(p, p) for _ in range(m)]
    t = np.arange(n)
    S = np.stack([source(np.broadcast_to(t, (p, n))) for source in sources], axis=1)
    views = []
    for v in range(m):
        times = onset + rates[v][:, None] * (t - onset - delays[v][:, None])
        noise = noise_std * rng.randn(p, K, n)
        if exact:
            own = np.stack([source(times) for source in sources], axis=1) + noise
        else:
            own = np.stack([_read(S[:, e] + noise[:, e], times) for e in range(K)], axis=1)
        views.append(np.ascontiguousarray((A[v] @ own.reshape(p, -1)).T, dtype=dtype))
    name = f"make_mvicad2(exact={exact})"
    S = S.reshape(p, -1)
    return _record(
        name, views, S, A, noise_std, random_state, delays, 1 / rates, (n,) * K, int(onset)
    )


def _check_range(n, max_delay, max_dilation):
    if n < 2 * BINS:
        raise ValueError(f"n_samples={n}; expected at least {2 * BINS} samples an epoch.")
    if not 0 <= max_delay < n / 2:
        raise ValueError(f"max_delay={max_delay}; expected between 0 and half an epoch of {n}.")
    if not max_dilation >= 1:
        raise ValueError(f"max_dilation={max_dilation}; give the ratio, at least 1.")


def _normal_delays(rng, shape, max_delay):
    """Whole delays, normal with standard deviation max_delay / 2, redrawn until they fit."""
    delays = np.zeros(shape, dtype=np.int64)
    for index in np.ndindex(shape):
        if index[0] > 0:
            while True:
                delay = int(max_delay / 2 * rng.randn())
                if abs(delay) <= max_delay:
                    break
            delays[index] = delay
    return delays


def _bursts(rng, p, n, pitch):
    """Draw sources (p, n) of ten bursts, circularly shifted, under a Hamming window."""
    width = n // BINS
    t = np.linspace(0, 1, width)
    window = np.exp(-0.1 / (t + 1e-7) ** 2) * np.exp(-0.1 / (1 - t - 1e-7) ** 2)
    rows = []
    for _ in range(p):
        row = [4 * rng.randn() * np.sin(pitch * rng.rand() * t) * window for _ in range(BINS)]
        row = np.pad(np.concatenate(row), (0, n - BINS * width))
        rows.append(np.roll(row, int(rng.rand() * n)) * np.hamming(n))
    return np.array(rows)


def _peaks(rng, p, n):
    """One biphasic peak a source, (p, n), at different places."""
    first, last = n / 3, 8 * n / 10
    centres = rng.permutation(first + np.arange(p) * (last - first) / p)
    rows = []
    for centre in centres:
        u = (np.arange(n) - centre) / rng.randint(max(n // 25, 1), max(n // 10, 2))
        u = np.where(u > 0, u / 2, u)
        s = -u / 2 * np.exp(-(u**2))
        rows.append(np.where(s < 0, s / 2, s) * rng.uniform(0.7, 1.4))
    return np.array(rows)


def _draw_peaks(rng, p, n, K):
    """Functions of times (p, n), one an epoch: peaks with bursts, read on the samples."""
    sources = []
    for _ in range(K):
        peaks, bursts = _peaks(rng, p, n), _bursts(rng, p, n, 50.0)
        S = 0.7 * peaks + 0.3 * peaks.max() / bursts.max() * bursts
        sources.append(lambda times, S=S: _read(S, times))
    return sources


def _draw_waves(rng, p, n, K):
    """Functions of times (p, n), one an epoch: three Gaussian-windowed cosines a source."""
    sources = []
    for _ in range(K):
        centre = rng.uniform(0.25, 0.7, (p, 3, 1)) * n
        width = rng.uniform(0.02, 0.05, (p, 3, 1)) * n
        period = rng.uniform(0.03, 0.12, (p, 3, 1)) * n
        phase = rng.uniform(0, 2 * np.pi, (p, 3, 1))
        gain = rng.uniform(0.5, 1.5, (p, 3, 1))

        def source(times, c=centre, w=width, T=period, phi=phase, g=gain):
            u = times[:, None] - c
            wave = g * np.exp(-0.5 * (u / w) ** 2) * np.cos(2 * np.pi * u / T + phi)
            return wave.sum(axis=1)

        sources.append(source)
    return sources


def _read(S, times):
    """Linear interpolation of the rows of S (p, n), periodic, at times (p, n)."""
    n = S.shape[1]
    i = np.floor(times).astype(np.int64)
    a = times - i
    rows = np.arange(len(S))[:, None]
    return (1 - a) * S[rows, i % n] + a * S[rows, (i + 1) % n]


def _record(name, views, S, A, noise_std, random_state, delays, dilations, epochs, onset):
    m, p = delays.shape
    return DelayedDataset(
        name=name,
        views=views,
        sources=np.ascontiguousarray(S.T),
        mixings=A,
        noise_variances=np.full((m, p), float(noise_std) ** 2),
        private_sources=[np.empty((S.shape[1], 0))] * m,
        private_mixings=[np.empty((p, 0))] * m,
        sensor_noise_std=np.zeros(m),
        seed=seed_of(random_state),
        delays=delays,
        dilations=dilations,
        epochs=epochs,
        onset=onset,
    )
