"""The simulators of delayed and dilated views: their truth makes the data."""

import numpy as np
import pytest

from mvica.datasets import make_mvicad, make_mvicad2
from mvica.ica import latencies, warp


def unmixed(data):
    """Sources of every view in its own time, with the true mixings."""
    return [X @ np.linalg.inv(A).T for X, A in zip(data.views, data.mixings, strict=True)]


def test_delays_roll_every_epoch():
    data = make_mvicad(4, 200, 3, n_epochs=2, max_delay=9, noise_std=0.0, random_state=0)
    assert np.all(data.delays[0] == 0)
    assert np.abs(data.delays).max() <= 9
    assert data.delays.dtype == np.int64
    for Y, tau in zip(unmixed(data), data.delays, strict=True):
        np.testing.assert_allclose(warp(Y, tau, epochs=2), data.sources, atol=1e-9)


def test_shared_delays():
    data = make_mvicad(5, 200, 3, shared_delays=True, random_state=0)
    assert np.all(np.ptp(data.delays, axis=1) == 0)
    assert len(set(data.delays[:, 0])) > 1


def test_noise_has_the_stated_level():
    data = make_mvicad(3, 2000, 2, max_delay=0, noise_std=0.5, random_state=0)
    residual = np.stack(unmixed(data)) - data.sources
    np.testing.assert_allclose(residual.std(axis=1), 0.5, rtol=0.1)
    np.testing.assert_allclose(data.noise_variances, 0.25)


def test_exact_sources_are_seen_at_their_latencies():
    """A smooth peak of the shared sources is found in each view where eq. latencies says."""
    data = make_mvicad2(
        4, 600, 2, n_epochs=1, max_delay=20, max_dilation=1.2, onset=100, noise_std=0.0,
        exact=True, random_state=0,
    )  # fmt: skip
    t = np.arange(150, 450)
    u = latencies(t, data.delays, data.dilations, onset=100)
    for Y, u_v in zip(unmixed(data), u, strict=True):
        for j in range(2):
            seen = np.interp(u_v[j], np.arange(600), Y[:, j])
            assert np.corrcoef(seen, data.sources[t, j])[0, 1] > 0.995


def test_published_simulation_warps_by_interpolation():
    data = make_mvicad2(3, 300, 2, n_epochs=2, max_delay=10, noise_std=0.0, random_state=0)
    np.testing.assert_array_equal(data.delays[0], 0)
    np.testing.assert_array_equal(data.dilations[0], 1)
    np.testing.assert_allclose(unmixed(data)[0], data.sources, atol=1e-10)
    v, j = 2, 1
    own = warp(data.sources, -data.delays[v] / data.dilations[v], 1 / data.dilations[v], epochs=2)
    np.testing.assert_allclose(unmixed(data)[v][:, j], own[:, j], atol=1e-10)


def test_draws_are_in_the_range_and_repeat():
    for make in (make_mvicad, make_mvicad2):
        a, b = make(random_state=3), make(random_state=3)
        np.testing.assert_array_equal(a.views, b.views)
        np.testing.assert_array_equal(a.delays, b.delays)
        assert a.seed == 3
        assert make(random_state=0, dtype=np.float32).views[0].dtype == np.float32
    data = make_mvicad2(30, 100, 2, n_epochs=1, max_delay=5, max_dilation=1.3, random_state=0)
    assert np.abs(data.delays).max() <= 5
    assert data.dilations.min() >= 1 / 1.3
    assert data.dilations.max() <= 1.3
    shared = make_mvicad2(4, 100, 3, n_epochs=1, max_delay=5, shared_warps=True, random_state=0)
    assert np.all(np.ptp(shared.dilations, axis=1) == 0)


def test_errors():
    for make in (make_mvicad, make_mvicad2):
        with pytest.raises(ValueError, match="max_delay=100"):
            make(3, 100, 2, max_delay=100)
        with pytest.raises(ValueError, match="n_samples=10"):
            make(3, 10, 2, max_delay=1)
        with pytest.raises(ValueError, match="n_views=0"):
            make(0, 100, 2, max_delay=1)
    with pytest.raises(ValueError, match="max_dilation"):
        make_mvicad2(3, 100, 2, max_delay=1, max_dilation=0.9)
