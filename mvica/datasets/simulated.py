"""Simulated views of the models with instantaneous mixing: MultiView ICA and shared ICA."""

import numpy as np
from sklearn.utils import check_random_state

from mvica.datasets._checks import (
    check_dtype,
    check_sizes,
    per_view,
    per_view_and_component,
)
from mvica.datasets.record import MultiViewDataset, seed_of

SOURCES = ("laplace", "uniform", "mixed", "gaussian")
SCALINGS = (None, "unit_variance", "unit_norm")
# scenario -> (n_views, n_samples, n_components)
SHICA_SIZES = {
    "gauss": (5, 1000, 4),
    "laplace": (5, 1000, 4),
    "half": (5, 1000, 4),
    "cohort": (30, 3000, 10),
}


def make_multiview_ica(
    n_views,
    n_samples,
    n_components,
    n_features=None,
    *,
    sources="laplace",
    source_scaling=None,
    noise_std=1.0,
    private_rank=0,
    private_scale=1.0,
    sensor_noise_std=0.0,
    random_state=None,
    dtype=np.float64,
):
    r"""Draw views that follow the MultiView ICA model, with optional private signals.

    .. math:: X_v = (S + N_v) A_v^\top + g_v P_v B_v^\top + E_v

    with shared sources S, noise :math:`N_v` on the sources, private signals :math:`P_v` of the
    view and white noise :math:`E_v` on the features. Mixings :math:`A_v, B_v` and private signals
    are standard normal.

    Parameters
    ----------
    n_views, n_samples, n_components : int
        Sizes m, n and p.
    n_features : int, sequence of m ints, or None
        Features of each view, at least p. With None, p: square mixings.
    sources : {"laplace", "uniform", "mixed", "gaussian"}, default="laplace"
        Law of the sources: Laplace of scale 1 (variance 2), uniform of variance 1, the first half
        (rounded up) Laplace and the others uniform, or standard normal (not identifiable by
        MultiView ICA: for tests of failure).
    source_scaling : {None, "unit_variance", "unit_norm"}, default=None
        Whether sources are left as drawn, or centred and scaled to a mean square, or a sum of
        squares over the samples, of one.
    noise_std : float or array of shape (m,), (m, p) or (1, p), default=1.0
        Standard deviation of the noise on the sources: one, per view, or per view and component.
        It is relative to the sources after `source_scaling`.
    private_rank : int or sequence of m ints, default=0
        Number of private signals of each view.
    private_scale : float or sequence of m floats, default=1.0
        Factor g of the private signals.
    sensor_noise_std : float or sequence of m floats, default=0.0
        Standard deviation of the white noise on the features.
    random_state : int, RandomState or None, default=None
        An int gives the same bits on every call.
    dtype : {float64, float32}, default=float64
        Type of the views. They are computed in float64 and rounded at the end; the truth stays
        in float64.

    Returns
    -------
    data : MultiViewDataset
        Views and truth.

    Raises
    ------
    ValueError
        If a size, a law or a standard deviation is not allowed, or does not fit `n_views`.

    Notes
    -----
    The draws are part of the interface. They are taken from ``RandomState(random_state)``, in
    this order, each array with samples last and all views of a step before the next step:

    1. sources (p, n), for "mixed" the Laplace rows first;
    2. mixings, ``randn(d_v, p)`` a view;
    3. noise on the sources, ``randn(p, n)`` a view, not drawn where every `noise_std` is 0;
    4. private mixings, ``randn(d_v, r_v)`` a view;
    5. private signals, ``randn(r_v, n)`` a view;
    6. noise on the features, ``randn(d_v, n)`` a view, not drawn where every `sensor_noise_std`
       is 0.

    Seed 0 gives the data of the benchmark figures of this package, and the published synthetic
    experiment of MultiView ICA is ``make_multiview_ica(10, 1000, 15, noise_std=sigma)``.

    References
    ----------
    Richard, Gresele, Hyvarinen, Thirion, Gramfort, Ablin, "Modeling shared responses in
    neuroimaging studies through MultiView ICA", NeurIPS 2020.

    Examples
    --------
    >>> from mvica.datasets import make_multiview_ica
    >>> data = make_multiview_ica(3, 200, 2, n_features=[4, 5, 6], private_rank=1, random_state=0)
    >>> [X.shape for X in data.views]
    [(200, 4), (200, 5), (200, 6)]
    >>> data.sources.shape, data.mixings[2].shape, data.noise_variances.shape
    ((200, 2), (6, 2), (3, 2))
    """
    m, n, p = check_sizes(n_views=n_views, n_samples=n_samples, n_components=n_components)
    d = per_view(p if n_features is None else n_features, m, "n_features", integer=True, low=p)
    r = per_view(private_rank, m, "private_rank", integer=True, low=0)
    scale = per_view(private_scale, m, "private_scale", low=0)
    sensor_std = per_view(sensor_noise_std, m, "sensor_noise_std", low=0)
    std = per_view_and_component(noise_std, m, p, "noise_std")
    if source_scaling not in SCALINGS:
        raise ValueError(f"source_scaling={source_scaling!r}; expected one of {SCALINGS}.")
    dtype = check_dtype(dtype)
    rng = check_random_state(random_state)

    S = _scale_sources(_draw_sources(rng, sources, p, n), source_scaling)
    A = [rng.randn(d_v, p) for d_v in d]
    X = _mix(rng, S, A, std)
    B = [g * rng.randn(d_v, r_v) for g, d_v, r_v in zip(scale, d, r, strict=True)]
    P = [rng.randn(r_v, n) for r_v in r]
    for X_v, B_v, P_v in zip(X, B, P, strict=True):
        X_v += B_v @ P_v
    if np.any(sensor_std):
        for X_v, std_v in zip(X, sensor_std, strict=True):
            X_v += std_v * rng.randn(*X_v.shape)
    return MultiViewDataset(
        name=f"make_multiview_ica(sources={sources!r})",
        views=_as_views(X, dtype),
        sources=np.ascontiguousarray(S.T),
        mixings=A,
        noise_variances=std**2,
        private_sources=[np.ascontiguousarray(P_v.T) for P_v in P],
        private_mixings=B,
        sensor_noise_std=sensor_std,
        seed=seed_of(random_state),
    )


def make_shica(
    scenario="gauss",
    n_views=None,
    n_samples=None,
    n_components=None,
    *,
    random_state=None,
    dtype=np.float64,
):
    r"""Draw views of the shared ICA model, in the regimes of its paper.

    .. math:: X_v = (S + N_v) A_v^\top

    with noise whose variance depends on the view and the component, and square mixings.

    Parameters
    ----------
    scenario : {"gauss", "laplace", "half", "cohort"}, default="gauss"
        "gauss": normal sources; standard deviation of the noise uniform on (0, 1). Identified by
        the noise only. "laplace": Laplace sources of variance 2; all standard deviations 1.
        Identified by the sources only. "half": p // 2 Laplace sources with standard deviation 1,
        then normal ones with standard deviations uniform on (0, 1). "cohort": many views, sources
        as in "half", all standard deviations uniform on (0.5, 1.5).
    n_views, n_samples, n_components : int or None, default=None
        Sizes m, n and p. With None, 5, 1000 and 4; for "cohort" 30, 3000 and 10.
    random_state : int, RandomState or None, default=None
        An int gives the same bits on every call, and the data of the published tables.
    dtype : {float64, float32}, default=float64
        Type of the views; the truth stays in float64.

    Returns
    -------
    data : MultiViewDataset
        Views and truth.

    Raises
    ------
    ValueError
        If the scenario or a size is not allowed.

    Notes
    -----
    The draws are part of the interface: from ``RandomState(random_state)``, the sources (p, n),
    Laplace rows first; ``randn(m, p, n)`` for the noise; ``rand(m, p)`` for its standard
    deviations, not drawn for "laplace"; ``randn(p, p)`` a view for the mixings.

    References
    ----------
    Richard, Ablin, Thirion, Gramfort, Hyvarinen, "Shared independent component analysis for
    multi-subject neuroimaging", NeurIPS 2021.

    Examples
    --------
    >>> from mvica.datasets import make_shica
    >>> data = make_shica("half", random_state=0)
    >>> data.noise_std[:, :2].min(), bool(data.noise_std[:, 2:].max() < 1)
    (np.float64(1.0), True)
    """
    if scenario not in SHICA_SIZES:
        raise ValueError(f"scenario={scenario!r}; expected one of {tuple(SHICA_SIZES)}.")
    default_m, default_n, default_p = SHICA_SIZES[scenario]
    m, n, p = check_sizes(
        n_views=default_m if n_views is None else n_views,
        n_samples=default_n if n_samples is None else n_samples,
        n_components=default_p if n_components is None else n_components,
    )
    dtype = check_dtype(dtype)
    rng = check_random_state(random_state)

    n_laplace = {"gauss": 0, "laplace": p}.get(scenario, p // 2)
    S = np.vstack([rng.laplace(size=(n_laplace, n)), rng.randn(p - n_laplace, n)])
    N = rng.randn(m, p, n)
    std = np.ones((m, p)) if scenario == "laplace" else rng.rand(m, p)
    if scenario == "cohort":
        std += 0.5
    elif scenario == "half":
        std[:, :n_laplace] = 1.0
    A = [rng.randn(p, p) for _ in range(m)]
    X = [A_v @ (S + std_v[:, None] * N_v) for A_v, std_v, N_v in zip(A, std, N, strict=True)]
    return MultiViewDataset(
        name=f"make_shica({scenario!r})",
        views=_as_views(X, dtype),
        sources=np.ascontiguousarray(S.T),
        mixings=A,
        noise_variances=std**2,
        private_sources=[np.zeros((n, 0)) for _ in range(m)],
        private_mixings=[np.zeros((p, 0)) for _ in range(m)],
        sensor_noise_std=np.zeros(m),
        seed=seed_of(random_state),
    )


# Draws -------------------------------------------------------------------------------------------


def _draw_sources(rng, law, p, n):
    if law == "laplace":
        return rng.laplace(size=(p, n))
    if law == "uniform":
        return rng.uniform(-np.sqrt(3), np.sqrt(3), size=(p, n))
    if law == "gaussian":
        return rng.randn(p, n)
    if law == "mixed":
        first = (p + 1) // 2
        laplace = _draw_sources(rng, "laplace", first, n)
        return np.vstack([laplace, _draw_sources(rng, "uniform", p - first, n)])
    raise ValueError(f"sources={law!r}; expected one of {SOURCES}.")


def _scale_sources(S, scaling):
    if scaling is None:
        return S
    S = S - S.mean(axis=1, keepdims=True)
    S /= np.linalg.norm(S, axis=1, keepdims=True)
    return S * np.sqrt(S.shape[1]) if scaling == "unit_variance" else S


def _mix(rng, S, A, std):
    """Mixed noisy sources, (d_v, n) a view; noise is drawn view by view to hold one in memory."""
    if not np.any(std):
        return [A_v @ S for A_v in A]
    return [
        A_v @ (S + std_v[:, None] * rng.randn(*S.shape)) for A_v, std_v in zip(A, std, strict=True)
    ]


def _as_views(X, dtype):
    return [np.ascontiguousarray(X_v.T, dtype=dtype) for X_v in X]
