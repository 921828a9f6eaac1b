"""The loss of MVICAD2: gradients, the clock that cannot drift, warps and their gauge."""

import numpy as np
import pytest

from mvica.ica import latencies, unwarp, warp
from mvica.ica.dilations_curvature import gauss_newton_blocks
from mvica.ica.dilations_objective import DilationsObjective, Timing, timing_for
from mvica.ica.dilations_solve import common_window
from mvica.ica.warps import (
    Clock,
    Epochs,
    centre_clock,
    change_clock,
    cut_epochs,
    smooth,
)
from mvica.testing import check_gradient

EPOCHS = Epochs((50, 37))


def problem(*, cubic=False, periodic=True, envelope=5, shared=False, bounds=(5.0, 1.3), seed=0):
    rng = np.random.default_rng(seed)
    m, p = 4, 3
    q = 1 if shared else p
    Z = rng.laplace(size=(m * p, EPOCHS.n_samples))
    clock = Clock(EPOCHS, 7.0, cubic, periodic)
    objective = DilationsObjective(Z, m, clock, None, shared=shared, noise=0.7, envelope=envelope)
    W = np.eye(p) + 0.3 * rng.standard_normal((m, p, p))
    tau = rng.uniform(-4, 4, (m, q)) * (bounds[0] > 0)
    d = np.exp(rng.uniform(-0.2, 0.2, (m, q)) * (bounds[1] > 1))
    objective.window = common_window(clock, *(np.broadcast_to(a, (m, p)) for a in (tau, d)))
    objective.timing = timing_for(objective, W, tau, d, max_delay=bounds[0], max_dilation=bounds[1])
    return objective, W, tau, d


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("envelope", [0, 5])
@pytest.mark.parametrize("periodic", [False, True])
@pytest.mark.parametrize("cubic", [False, True])
def test_gradient(cubic, periodic, envelope, shared):
    for bounds in [(5.0, 1.3), (0.0, 1.3), (5.0, 1.0)]:
        objective, W, tau, d = problem(
            cubic=cubic, periodic=periodic, envelope=envelope, shared=shared, bounds=bounds
        )
        W, xi = objective.start(W, tau, d).x

        def value(x, objective=objective):
            return objective.value(x[0], *objective.timing.decode(x[1]))

        def gradient(x, objective=objective, size=W.size):
            g = objective._point_at(*x).gradient
            return [g[:size].reshape(x[0].shape), g[size:].reshape(x[1].shape)]

        check_gradient(
            value,
            [W, xi],
            gradient,
            retraction=lambda x, step: [x[0] + step[0] @ x[0], x[1] + step[1]],
            steps=(1e-4, 1e-5, 1e-6, 1e-7),
            n_directions=3,
        )


def test_plain_gradients_by_delay_and_dilation():
    objective, W, tau, d = problem(cubic=True)
    objective.value(W, tau, d)
    _, slopes = objective.gradients()
    h = 1e-6
    for v, j in [(0, 0), (2, 1), (3, 2)]:
        for k, x in enumerate((tau, d)):
            up, down = x.copy(), x.copy()
            up[v, j] += h
            down[v, j] -= h
            pairs = [(up, d), (down, d)] if k == 0 else [(tau, up), (tau, down)]
            change = objective.value(W, *pairs[0]) - objective.value(W, *pairs[1])
            assert slopes[v, j, k] == pytest.approx(change / (2 * h), rel=1e-5, abs=1e-8)


def test_gradient_near_the_bounds():
    objective, W, tau, d = problem(cubic=True)
    box = objective.timing.box
    tau = np.where(np.arange(4)[:, None] % 2, 0.95, -0.95) * box[1]
    d = np.exp(np.where(np.arange(4)[:, None] % 2, 0.95, -0.95) * box[0])
    W, xi = objective.start(W, tau, d).x
    size = W.size
    check_gradient(
        lambda xi: objective.value(W, *objective.timing.decode(xi)),
        xi,
        lambda xi: objective._point_at(W, xi).gradient[size:].reshape(xi.shape),
        steps=(1e-4, 1e-5, 1e-6),
    )
    theta, _ = objective.timing.theta(1e6 * xi)
    assert np.all(np.abs(theta) <= box)


def test_timing_decodes_what_it_encodes_on_a_clock_of_its_own():
    rng = np.random.default_rng(0)
    scale, centroid = rng.uniform(1, 3, (2, 4, 3)), rng.uniform(-20, 20, (1, 3))
    timing = Timing(scale, centroid, np.full((2, 1, 3), 50.0))
    tau, d = rng.uniform(-5, 5, (4, 3)), rng.uniform(0.8, 1.2, (4, 3))
    found = timing.decode(timing.encode(tau, d))
    np.testing.assert_allclose(centre_clock(*found), centre_clock(tau, d), atol=1e-10)
    np.testing.assert_allclose(found[0].mean(axis=0), 0, atol=1e-10)
    np.testing.assert_allclose(np.log(found[1]).mean(axis=0), 0, atol=1e-12)


# ---- clocks --------------------------------------------------------------------------------------


def test_change_of_clock_is_exact_on_analytic_signals():
    rng = np.random.default_rng(0)
    t, onset = np.linspace(0, 100, 11), 30
    tau, d = rng.uniform(-5, 5, (4, 3)), rng.uniform(0.8, 1.2, (4, 3))
    before = latencies(t, tau, d, onset=onset)
    moved = change_clock(tau, d, rate=1.3, shift=-4.0)
    other = onset + (t - onset + 4.0) / 1.3  # the same moments on the new clock
    np.testing.assert_allclose(latencies(other, *moved, onset=onset), before, atol=1e-12)
    tau1, d1 = centre_clock(tau, d)
    np.testing.assert_allclose(d1.mean(axis=0), 1, atol=1e-12)
    np.testing.assert_allclose(tau1.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(centre_clock(*moved), (tau1, d1), atol=1e-12)
    tau2, d2 = centre_clock(tau, d, reference=2)
    np.testing.assert_allclose((tau2[2], d2[2]), [np.zeros(3), np.ones(3)], atol=1e-12)


def smooth_views(n=400, m=4):
    t = np.arange(n)
    centres = 0.5 * n + 30 * np.arange(3)[:, None]
    S = np.exp(-0.5 * ((t - centres) / 15) ** 2) * np.cos(0.2 * (t - centres))
    return np.tile(S * 20, (m, 1)), Epochs((n,))


def test_loss_hardly_sees_a_common_delay():
    Z, epochs = smooth_views()
    objective = DilationsObjective(
        Z, 4, Clock(epochs, 0.0, True), None, shared=False, noise=1.0, envelope=5
    )
    rng = np.random.default_rng(0)
    W = np.eye(3) + 0.1 * rng.standard_normal((4, 3, 3))
    tau, d = rng.uniform(-3, 3, (4, 3)), np.ones((4, 3))
    values = [objective.value(W, tau + shift, d) for shift in (0.0, 0.5, 7.3)]
    assert np.ptp(values) < 1e-3 * abs(values[0])


def test_warp_and_unwarp():
    Z, _ = smooth_views(m=1)
    S = Z.T
    settings = {"onset": 100, "interpolation": "cubic", "boundary": "edge"}
    tau, d = np.array([3.3, -5.2, 0.0]), np.array([1.05, 0.93, 1.0])
    Y = warp(S, tau, d, **settings)
    back = unwarp(Y, tau, d, **settings)
    assert np.abs(back - S).max() < 0.005 * np.abs(S).max()
    np.testing.assert_array_equal(Y[:, 2], S[:, 2])
    np.testing.assert_array_equal(warp(S, 4, epochs=2)[:200], np.roll(S[:200], -4, axis=0))
    np.testing.assert_array_equal(unwarp(warp(S, 4, epochs=2), 4, epochs=2), S)
    for bad in ({"delays": np.nan}, {"delays": 0, "dilations": 0.0}):
        with pytest.raises(ValueError, match="positive"):
            warp(S, **bad)


def test_late_and_slow_have_the_stated_signs():
    t = np.arange(300)
    shared = np.exp(-0.5 * ((t - 150) / 5.0) ** 2)
    late_and_slow = np.exp(-0.5 * ((t - latencies(150, 10.0, 1.2, onset=100)) / 6.0) ** 2)
    assert late_and_slow.argmax() == 170
    Y = warp(late_and_slow[:, None], 10.0, 1.2, onset=100)
    np.testing.assert_allclose(Y[:, 0], shared, atol=0.02)


# ---- smoothing and windows ----


def test_smoothing_keeps_constants_and_epochs_apart():
    epochs = cut_epochs(60, (25, 35))
    ones = np.ones((2, 60))
    for periodic in (True, False):
        np.testing.assert_allclose(smooth(ones, 5, epochs, periodic), ones, atol=1e-14)
    impulse = np.zeros((1, 60))
    impulse[0, 24] = 1.0
    wrapped = np.flatnonzero(smooth(impulse, 5, epochs))
    np.testing.assert_array_equal(wrapped, [0, 1, 22, 23, 24])
    held = np.flatnonzero(smooth(impulse, 5, epochs, periodic=False))
    np.testing.assert_array_equal(held, [22, 23, 24])
    assert smooth(impulse, 0, epochs) is impulse


def test_window_keeps_the_times_that_all_views_see():
    clock = Clock(Epochs((20, 10)), 0.0)
    window = common_window(clock, np.array([[0.0, 0.0], [3.0, -2.0]]), np.ones((2, 2)))
    seen = window > 0
    np.testing.assert_array_equal(np.flatnonzero(~seen[0]), [17, 18, 19, 27, 28, 29])
    np.testing.assert_array_equal(np.flatnonzero(~seen[1]), [0, 1, 20, 21])
    np.testing.assert_allclose(window.mean(axis=1), 1.0)
    far = common_window(clock, np.array([[0.0], [9.0]]), np.ones((2, 1)))
    assert np.all(far >= 0)
    np.testing.assert_allclose(far.mean(), 1.0)


def test_blocks_are_the_curvature_of_one_source_alone():
    """Second differences of its squared length, which is what the squares of the loss hold."""
    rng = np.random.default_rng(0)
    clock, n = Clock(EPOCHS, 7.0, True, False), EPOCHS.n_samples
    t = EPOCHS.times
    S = np.stack([np.sin(0.2 * t), np.cos(0.13 * t), np.sin(0.09 * t + 1)])[None]
    tau, d = rng.uniform(-3, 3, (1, 3)), np.exp(rng.uniform(-0.1, 0.1, (1, 3)))
    window, centroid = rng.uniform(0.5, 1.5, (3, n)), rng.uniform(5, 20, 3)
    rates = rng.uniform(0.5, 2, (2, 1, 3))
    M = gauss_newton_blocks(S, (tau, d), clock, window, centroid, rates)
    h = 1e-5
    for j in range(3):

        def moved(step, j=j):
            x, tc = step[3:] * rates[:, 0, j]
            dilation = d[0, j] * np.exp(x)
            delay = tau[0, j] + tc - (dilation - d[0, j]) * centroid[j]
            row = (np.eye(3)[j] + step[:3]) @ S[0]
            return clock.warp(row[None, None], delay, dilation)[0][0, 0]

        slopes = np.array([(moved(h * e) - moved(-h * e)) / (2 * h) for e in np.eye(5)])
        expected = (slopes * window[j]) @ slopes.T / n
        np.testing.assert_allclose(M[0, j], expected, atol=1e-5 * np.abs(expected).max())
