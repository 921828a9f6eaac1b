"""The moments that separation uses, and what SOBI and its relatives recover from them."""

import numpy as np
import pytest
from scipy.signal import lfilter

from mvica.joint_diagonalization import SOBI, NonStationaryJD, SpectralJD
from mvica.joint_diagonalization.moments import band_moments, lagged_moments, window_moments
from mvica.metrics import amari_distance

ESTIMATORS = (SOBI, SpectralJD, NonStationaryJD)
P, N = 5, 4000


def resonant_sources(rng, n=N):
    """Gaussian AR(2) sources of unit variance, one resonance each."""
    S = []
    for frequency in np.linspace(0.1, 0.9, P) * np.pi:
        filtered = lfilter([1], [1, -1.8 * np.cos(frequency), 0.81], rng.standard_normal(n + 200))
        S.append(filtered[200:] / filtered[200:].std())
    return np.array(S).T


def changing_sources(rng, n=N):
    """White Gaussian sources whose powers drift."""
    knots = 0.8 * rng.standard_normal((P, 12))
    t = np.linspace(0, 11, n)
    S = np.exp([np.interp(t, np.arange(12), k) for k in knots]).T * rng.standard_normal((n, P))
    return S / S.std(axis=0)


def sources_of(cls, rng):
    return changing_sources(rng) if cls is NonStationaryJD else resonant_sources(rng)


def mixed_views(S, rng, n_views, noise=0.0, n_features=P):
    A = [rng.standard_normal((n_features, P)) for _ in range(n_views)]
    colour = rng.uniform(-0.9, 0.9, (n_views, P))
    views = []
    for A_v, colours in zip(A, colour, strict=True):
        N_v = np.array([lfilter([1], [1, -c], rng.standard_normal(len(S))) for c in colours]).T
        views.append((S + noise * N_v / N_v.std(axis=0)) @ A_v.T)
    return views, A


# ---- moments ---------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_lagged_moments_average_pairs_of_different_views(dtype):
    rng = np.random.default_rng(0)
    Y = rng.standard_normal((3, 2, 9000)).astype(dtype)  # more than one block
    for m in (1, 2, 3):
        pairs = [(v, w) for v in range(m) for w in range(m) if v != w or m == 1]
        for lag, C in zip((1, 7), lagged_moments(Y[:m], (1, 7)), strict=True):
            now, later = Y[..., :-lag].astype(float), Y[..., lag:].astype(float)
            R = np.mean([now[v] @ later[w].T for v, w in pairs], axis=0) / (9000 - lag)
            np.testing.assert_allclose(C, (R + R.T) / 2, rtol=1e-9, atol=1e-12)


def test_noise_of_single_views_does_not_enter_lagged_moments():
    rng = np.random.default_rng(0)
    n = 40000
    S = resonant_sources(rng, n).T
    M = rng.standard_normal((3, P, P))  # mixes the noise of each view
    noise = lfilter([1], [1, -0.9], rng.standard_normal((3, P, n)), axis=2)
    Y = S + M @ noise
    expected = lagged_moments(S[None], [1, 3])
    several, single = (np.abs(lagged_moments(y, [1, 3]) - expected).max() for y in (Y, Y[:1]))
    assert single > 5
    assert several < 0.1 * single


@pytest.mark.parametrize("n", [400, 401])
def test_band_moments_add_up_to_the_covariance(n):
    rng = np.random.default_rng(0)
    Y = rng.standard_normal((2, 3, n))
    Y -= Y.mean(axis=2, keepdims=True)
    C, n_modes = band_moments(Y, np.array([0.0, 0.1, 0.35, 0.5]))
    assert n_modes.sum() == n // 2
    total = 2 * np.einsum("b,vbij->vij", n_modes, C)
    if n % 2 == 0:  # the mode at half of the sampling frequency is its own mirror image
        alternating = (-1.0) ** np.arange(n)
        last = Y @ alternating / np.sqrt(n)
        total -= last[:, :, None] * last[:, None]
    np.testing.assert_allclose(total, Y @ Y.transpose(0, 2, 1), rtol=1e-9, atol=1e-9)


def test_a_tone_lies_in_its_band():
    t = np.arange(1000)
    Y = np.stack([np.sin(2 * np.pi * 0.05 * t), np.cos(2 * np.pi * 0.2 * t)])[None]
    C, _ = band_moments(Y, np.array([0.0, 0.1, 0.3, 0.5]))
    powers = np.einsum("bii->bi", C[0])
    np.testing.assert_array_equal(powers.argmax(axis=0), [0, 1])
    assert np.all(np.sort(powers, axis=0)[-2] < 1e-20)


def test_window_moments_are_covariances():
    Y = np.random.default_rng(0).standard_normal((2, 3, 100))
    C = window_moments(Y, np.array([0, 30, 100]))
    np.testing.assert_allclose(C[1, 0], Y[1, :, :30] @ Y[1, :, :30].T / 30)
    np.testing.assert_allclose(C[0, 1], Y[0, :, 30:] @ Y[0, :, 30:].T / 70)


# ---- recovery --------------------------------------------------------------------------------


@pytest.mark.parametrize("cls", ESTIMATORS)
@pytest.mark.parametrize(("n_views", "noise"), [(1, 0.0), (4, 0.0), (4, 0.5)])
def test_gaussian_sources_are_separated(cls, n_views, noise):
    rng = np.random.default_rng(0)
    S = sources_of(cls, rng)
    views, A = mixed_views(S, rng, n_views, noise)
    model = cls(random_state=0).fit(views)
    assert model.converged_
    assert amari_distance(model.components_, A) < 0.006
    correlation = np.abs(np.corrcoef(model.transform(views).T, S.T)[:P, P:])
    assert np.all(correlation.max(axis=1) > (0.99 if noise == 0 else 0.9))
    np.testing.assert_allclose(model.sources_, model.transform(views), atol=1e-10)
    np.testing.assert_allclose(np.var(model.sources_, axis=0), 1.0, rtol=1e-9)


@pytest.mark.parametrize("cls", ESTIMATORS)
def test_views_of_different_sizes_and_units(cls):
    rng = np.random.default_rng(1)
    S = sources_of(cls, rng)
    wide, A_wide = mixed_views(S, rng, 2, 0.3, n_features=P + 3)
    same, A_same = mixed_views(S, rng, 1, 0.3)
    wide = [X + 1e-3 * rng.standard_normal(X.shape) for X in wide]
    views, A = [*wide, *same], [*A_wide, *A_same]
    model = cls(n_components=P, random_state=0).fit(views)
    assert amari_distance(model.components_, A) < 0.01
    units = [1e-13, 1e6, 1.0]
    scaled = cls(n_components=P, random_state=0).fit(
        [unit * X for unit, X in zip(units, views, strict=True)]
    )
    for unit, W, V in zip(units, scaled.components_, model.components_, strict=True):
        np.testing.assert_allclose(W * unit, V, atol=1e-4 * np.abs(V).max())


@pytest.mark.parametrize("cls", ESTIMATORS)
def test_the_order_of_views_changes_nothing(cls):
    rng = np.random.default_rng(2)
    views, _ = mixed_views(sources_of(cls, rng), rng, 3, 0.3)
    model = cls(random_state=0, tol=1e-9).fit(views)
    turned = cls(random_state=0, tol=1e-9).fit(views[::-1])
    correlation = np.corrcoef(model.sources_.T, turned.sources_.T)[:P, P:]
    assert np.all(np.abs(correlation).max(axis=1) > 1 - 1e-6)


@pytest.mark.parametrize("cls", ESTIMATORS)
@pytest.mark.parametrize("method", ["uwedge", "frobenius", "jacobi", "ffdiag"])
def test_methods_agree(cls, method):
    rng = np.random.default_rng(0)
    views, A = mixed_views(sources_of(cls, rng), rng, 2)
    assert amari_distance(cls(method=method, random_state=0).fit(views).components_, A) < 0.02


def test_powers_are_those_of_the_sources():
    rng = np.random.default_rng(0)
    S = resonant_sources(rng)
    X = S @ rng.standard_normal((P, P))
    model = SOBI(lags=[1, 5]).fit(X)
    for lag, powers in zip((1, 5), model.powers_, strict=True):
        own = np.mean(model.sources_[:-lag] * model.sources_[lag:], axis=0) * N / (N - lag)
        np.testing.assert_allclose(powers, own, atol=1e-2)
    model = NonStationaryJD(n_windows=4).fit(X)
    assert model.powers_.shape == (1, 4, P)
    squares = (model.sources_**2).reshape(4, N // 4, P).mean(axis=1)
    np.testing.assert_allclose(model.powers_[0], squares, rtol=1e-8)
    model = SpectralJD(bands=[0, 20, 50], sfreq=100).fit(X)
    F = np.abs(np.fft.rfft(model.sources_, axis=0, norm="ortho")) ** 2
    edge = N // 5 + 1
    np.testing.assert_allclose(model.powers_[0], [F[1:edge].mean(0), F[edge:].mean(0)], rtol=1e-8)


def test_sources_that_cannot_be_told_apart_are_flagged():
    rng = np.random.default_rng(0)
    S = resonant_sources(rng)
    S[:, 3] = np.roll(S[:, 1], N // 2)  # the same spectrum
    model = SpectralJD().fit(S @ rng.standard_normal((P, P)))
    pairs = np.sort(model.separability_[np.triu_indices(P, 1)])
    assert pairs[0] < 0.1 * pairs[1]


# ---- parameters ------------------------------------------------------------------------------


def test_lags():
    X = np.random.default_rng(0).standard_normal((100, 2))
    np.testing.assert_array_equal(SOBI(lags=3).fit(X).lags_, [1, 2, 3])
    assert SOBI(lags=80).fit(X).lags_[-1] == 25
    np.testing.assert_array_equal(SOBI(lags=(2, 99)).fit(X).lags_, [2, 99])
    for bad in ([0, 1], [-1], [100], [3, 3]):
        with pytest.raises(ValueError, match="from 1 to 99"):
            SOBI(lags=bad).fit(X)
    for bad in ([], [1.5], [[1, 2]]):
        with pytest.raises(ValueError, match="lags must be an int or a sequence of int"):
            SOBI(lags=bad).fit(X)


def test_bands():
    X = np.random.default_rng(0).standard_normal((200, 2))
    np.testing.assert_allclose(SpectralJD(bands=4, sfreq=80).fit(X).bands_, [0, 10, 20, 30, 40])
    assert len(SpectralJD(bands=500).fit(X).bands_) == 26
    for bad in ([0.1], [0.2, 0.1], [[0, 1]]):
        with pytest.raises(ValueError, match="increasing edges"):
            SpectralJD(bands=bad).fit(X)
    for bad in ([-0.1, 0.2], [0.1, 0.6]):
        with pytest.raises(ValueError, match=r"between 0 and sfreq / 2 = 0\.5"):
            SpectralJD(bands=bad).fit(X)
    with pytest.raises(ValueError, match=r"from 0\.2 to 0\.2001 holds 0 Fourier modes"):
        SpectralJD(bands=[0.1, 0.2, 0.2001, 0.3]).fit(X)


def test_windows():
    X = np.random.default_rng(0).standard_normal((100, 2))
    np.testing.assert_array_equal(NonStationaryJD(n_windows=3).fit(X).windows_, [0, 33, 67, 100])
    assert len(NonStationaryJD(n_windows=50).fit(X).windows_) == 13


def test_signed_moments_refuse_the_likelihood():
    with pytest.raises(ValueError, match="'method' parameter of SOBI"):
        SOBI(method="quasi_newton").fit(np.random.default_rng(0).standard_normal((100, 2)))
