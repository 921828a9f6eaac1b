"""Compiled passes over powers next to plain array code, at lengths around their stretches."""

import numpy as np
import pytest

from mvica.kernels import powers_numba as kernels

SIZES = [1, 7, kernels.LANES, kernels.LANES + 1, kernels.LANES * kernels.FACTORS, 10_007]
FLOOR = 1e-12
each_size = pytest.mark.parametrize("size", SIZES)


def arrays(size):
    rng = np.random.default_rng(0)
    x = rng.standard_normal(size) * np.exp(rng.uniform(-10, 3, size))
    return x, rng.exponential(size=size) * np.exp(rng.uniform(-10, 3, size)) + 1e-9


@each_size
def test_sums(size):
    x, v = arrays(size)
    p = x**2 + FLOOR
    assert kernels.weighted_power(x, 1 / v, FLOOR) == pytest.approx(np.sum(p / v), rel=1e-12)
    expected = np.sum(p / v) - np.sum(np.log(p))
    assert kernels.power_divergence(x, 1 / v, FLOOR) == pytest.approx(expected, rel=1e-12)
    assert kernels.log_sum(v, FLOOR) == pytest.approx(np.sum(np.log(v + FLOOR)), rel=1e-12)


@pytest.mark.parametrize("extreme", [0.0, 1e8])
def test_logarithms_of_extremes(extreme):
    x, zeros = np.full(5000, extreme), np.zeros(5000)
    expected = 5000 * np.log(extreme**2 + FLOOR)
    assert kernels.log_sum(x**2, FLOOR) == pytest.approx(expected, rel=1e-12)
    assert kernels.power_divergence(x, zeros, FLOOR) == pytest.approx(-expected, rel=1e-12)


@each_size
def test_weights(size):
    x, v = arrays(size)
    slopes, squares, weights = (np.empty(size) for _ in range(3))
    kernels.likelihood_weights(x, 1 / v, slopes, squares)
    np.testing.assert_allclose(slopes, x / v, rtol=1e-14)
    np.testing.assert_array_equal(squares, x**2)
    kernels.divergence_weights(x, 1 / v, FLOOR, slopes, squares, weights)
    inverse = 1 / (x**2 + FLOOR)
    np.testing.assert_allclose(weights, 1 / v + inverse, rtol=1e-14)
    largest = np.abs(x) * (1 / v + inverse)
    assert np.all(np.abs(slopes - x * (1 / v - inverse)) <= 1e-15 * largest)
    np.testing.assert_array_equal(squares, x**2)


@each_size
def test_ratios(size):
    x, v = arrays(size)
    r, ratios = np.empty(size), np.empty(size)
    kernels.power_ratios(x, v, FLOOR, r, ratios)
    np.testing.assert_allclose(r, 1 / (v + FLOOR), rtol=1e-14)
    np.testing.assert_allclose(ratios, (x**2 + FLOOR) / (v + FLOOR) ** 2, rtol=1e-13)
