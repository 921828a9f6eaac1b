"""The fused score kernels against their definition, on every backend present."""

import numpy as np
import pytest

from mvica.kernels import kernels_for, numba_kernels, reference_kernels

BACKENDS = {"numba": numba_kernels, "reference": reference_kernels}


@pytest.fixture(params=BACKENDS)
def score_step(request):
    return BACKENDS[request.param]().score_step


def definition(Y, sub):
    """Densities, scores and means in extended precision."""
    Y = Y.astype(np.longdouble)
    tanh, log_cosh = np.tanh(Y), np.logaddexp(Y, -Y)
    psi = np.where(sub[:, None], Y - tanh, tanh)
    slope = np.where(sub[:, None], tanh**2, 1 - tanh**2)
    value = np.where(sub[:, None], Y**2 / 2 - log_cosh, log_cosh)
    sums = np.stack([v.mean(axis=1) for v in (value, slope, slope * Y**2, Y**2)], axis=1)
    return psi, sums


def evaluate(score_step, Y, dY, t, sub):
    out, psi = np.empty_like(Y), np.empty_like(Y)
    return score_step(Y, dY, t, sub, out, psi)


@pytest.mark.parametrize("n", [1, 255, 256, 257, 1000, 300_001])
@pytest.mark.parametrize(("dtype", "tol"), [(np.float64, 1e-14), (np.float32, 3e-6)])
def test_scores_and_means(score_step, n, dtype, tol):
    rng = np.random.default_rng(0)
    Y, dY = rng.laplace(scale=3, size=(2, 3, n)).astype(dtype)
    sub = np.array([False, True, False])
    out, psi, sums = evaluate(score_step, Y, dY, 0.25, sub)
    np.testing.assert_allclose(out, Y + dtype(0.25) * dY, rtol=4 * np.finfo(dtype).eps, atol=tol)
    expected_psi, expected = definition(out, sub)
    assert psi.dtype == out.dtype == dtype
    np.testing.assert_allclose(psi, expected_psi.astype(float), atol=tol * 10)
    np.testing.assert_allclose(sums, expected.astype(float), rtol=tol * 10, atol=tol)


def test_extreme_values(score_step):
    Y = np.array([[np.inf, -np.inf, 1e300, -800.0, 0.0]])
    with np.errstate(invalid="ignore", over="ignore"):
        _, psi, _ = evaluate(score_step, Y, np.zeros_like(Y), 0.0, np.array([False]))
    np.testing.assert_array_equal(psi, [[1, -1, 1, -1, 0]])


def test_nan_is_not_hidden(score_step):
    Y = np.array([[0.5, np.nan, -0.5]])
    _, psi, sums = evaluate(score_step, Y, Y, 0.0, np.array([False]))
    assert np.isnan(psi[0, 1])
    assert np.isnan(sums[0, 0])


def test_may_move_in_place(score_step):
    Y = np.random.default_rng(0).standard_normal((2, 700))
    sub = np.zeros(2, dtype=bool)
    apart = evaluate(score_step, Y, Y, 0.0, sub)
    inside = score_step(Y, Y, 0.0, sub, Y, np.empty_like(Y))
    for a, b in zip(apart, inside, strict=True):
        np.testing.assert_array_equal(a, b)


def test_numpy_arrays_get_the_compiled_table():
    assert kernels_for(np.zeros((1, 1))) is numba_kernels()
