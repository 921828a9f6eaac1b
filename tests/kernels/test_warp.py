"""Warp kernels: values against NumPy, adjoints, slopes, joins of epochs, the envelope's box."""

import numpy as np
import pytest

from mvica.ica.warps import Clock, Epochs
from mvica.kernels import warp_numba

KINDS = [(cubic, periodic) for cubic in (False, True) for periodic in (False, True)]
EPOCHS = Epochs((40, 23, 31))
ONSET = 6.0


def case(seed=0, m=3, p=2, spread=6.0):
    rng = np.random.default_rng(seed)
    S = rng.standard_normal((m, p, EPOCHS.n_samples))
    return S, rng.uniform(-spread, spread, (m, p)), np.exp(rng.uniform(-0.4, 0.4, (m, p))), rng


def clock(cubic, periodic):
    return Clock(EPOCHS, ONSET, cubic, periodic)


def read(s, u, cubic, periodic):
    """One epoch at positions u, by definition."""
    n = len(s)
    if not periodic:
        u = np.clip(u, 0, n - 1)
    i = np.floor(u).astype(int)
    a = u - i

    def tap(k):
        return s[(i + k) % n] if periodic else s[np.clip(i + k, 0, n - 1)]

    if not cubic:
        return (1 - a) * tap(0) + a * tap(1)
    weights = (
        (-a + 2 * a**2 - a**3) / 2,
        1 - 2.5 * a**2 + 1.5 * a**3,
        (a + 4 * a**2 - 3 * a**3) / 2,
        (a**3 - a**2) / 2,
    )
    return sum(w * tap(k - 1) for k, w in enumerate(weights))


@pytest.mark.parametrize(("cubic", "periodic"), KINDS)
def test_values(cubic, periodic):
    S, tau, d, _ = case()
    Y, _ = clock(cubic, periodic).warp(S, tau, d)
    for v, j in np.ndindex(3, 2):
        for a, n in zip(EPOCHS.starts, EPOCHS.sizes, strict=True):
            u = ONSET + d[v, j] * (np.arange(n) - ONSET) + tau[v, j]
            expected = read(S[v, j, a : a + n], u, cubic, periodic)
            np.testing.assert_allclose(Y[v, j, a : a + n], expected, atol=1e-12)


@pytest.mark.parametrize(("cubic", "periodic"), KINDS)
@pytest.mark.parametrize("spread", [6.0, 60.0])
def test_adjoint(cubic, periodic, spread):
    S, tau, d, rng = case(spread=spread)
    G = rng.standard_normal(S.shape)
    forward = np.vdot(clock(cubic, periodic).warp(S, tau, d)[0], G)
    backward = np.vdot(S, clock(cubic, periodic).adjoint(G, tau, d))
    assert abs(forward - backward) < 1e-12 * np.linalg.norm(S) * np.linalg.norm(G)


@pytest.mark.parametrize(("cubic", "periodic"), KINDS)
def test_slopes_are_derivatives_by_the_position(cubic, periodic):
    S, tau, d, _ = case(1)
    here = clock(cubic, periodic)
    _, D = here.warp(S, tau, d)
    h = 1e-6
    by_delay = (here.warp(S, tau + h, d)[0] - here.warp(S, tau - h, d)[0]) / (2 * h)
    by_dilation = (here.warp(S, tau, d + h)[0] - here.warp(S, tau, d - h)[0]) / (2 * h)
    t = EPOCHS.times - ONSET
    np.testing.assert_allclose(D, by_delay, atol=1e-6)
    np.testing.assert_allclose(t * D, by_dilation, atol=1e-4)


def test_held_ends_do_not_move():
    S = np.arange(10.0)[None, None]
    Y, D = Clock(Epochs((10,)), 0.0, False, False).warp(S, np.array([[7.5]]), np.ones((1, 1)))
    np.testing.assert_allclose(Y[0, 0], [7.5, 8.5] + [9.0] * 8)
    np.testing.assert_array_equal(D[0, 0], [1.0, 1.0] + [0.0] * 8)


@pytest.mark.parametrize("cubic", [False, True])
@pytest.mark.parametrize("delay", [-50, -3, 0, 1, 17])
def test_whole_delays_roll_each_epoch(cubic, delay):
    S, *_ = case()
    shape = S.shape[:2]
    Y, _ = clock(cubic, True).warp(S, np.full(shape, float(delay)), np.ones(shape))
    parts = np.split(S, EPOCHS.starts[1:], axis=-1)
    rolled = np.concatenate([np.roll(part, -delay, axis=-1) for part in parts], axis=-1)
    np.testing.assert_array_equal(Y, rolled)
    whole = np.full(shape, delay, dtype=np.int64)
    total = np.empty(S.shape[1:])
    warp_numba.roll_sum(S, whole, EPOCHS.starts, EPOCHS.sizes, total)
    np.testing.assert_allclose(total, rolled.sum(axis=0), atol=1e-12)


@pytest.mark.parametrize(("cubic", "periodic"), KINDS)
def test_an_impulse_stays_in_its_epoch(cubic, periodic):
    for sample in (39, 40, 62, 63):
        S = np.zeros((1, 1, EPOCHS.n_samples))
        S[0, 0, sample] = 1.0
        epoch = np.searchsorted(EPOCHS.starts, sample, side="right") - 1
        inside = slice(EPOCHS.starts[epoch], EPOCHS.starts[epoch] + EPOCHS.sizes[epoch])
        for tau, d in [(0.4, 1.0), (-2.6, 1.2), (5.5, 0.8)]:
            Y, D = clock(cubic, periodic).warp(S, np.array([[tau]]), np.array([[d]]))
            back = clock(cubic, periodic).adjoint(S, np.array([[tau]]), np.array([[d]]))
            for out in (Y, D, back):
                out[0, 0, inside] = 0.0
                assert not out.any()


def test_box_is_its_own_adjoint_and_stays_in_its_epoch():
    rng = np.random.default_rng(0)
    x, g = rng.standard_normal((2, EPOCHS.n_samples))
    for half in (0, 2, 30):
        Bx, Bg = np.empty_like(x), np.empty_like(x)
        warp_numba.box(x, half, EPOCHS.starts, EPOCHS.sizes, Bx)
        warp_numba.box(g, half, EPOCHS.starts, EPOCHS.sizes, Bg)
        assert abs(Bx @ g - x @ Bg) < 1e-12
        window = np.full(2 * half + 1, 1 / (2 * half + 1))
        for a, n in zip(EPOCHS.starts, EPOCHS.sizes, strict=True):
            padded = np.convolve(x[a : a + n], window)[half : half + n]
            np.testing.assert_allclose(Bx[a : a + n], padded, atol=1e-13)


def test_float32_is_kept():
    S, tau, d, _ = case()
    Y, D = clock(True, False).warp(S.astype(np.float32), tau, d)
    assert Y.dtype == D.dtype == np.float32
    np.testing.assert_allclose(Y, clock(True, False).warp(S, tau, d)[0], atol=1e-5)
