"""Principal components of one view against dense algebra: any shape, dtype, offset, unit."""

import numpy as np
import pytest

from mvica.reduction.pca import (
    pattern_map,
    principal_components,
    projection_map,
    signal_regressions,
    whitened_samples,
)

SHAPES = [(200, 8), (30, 30), (30, 90)]


def view(shape, rank=None, seed=0):
    n, d = shape
    rng = np.random.default_rng(seed)
    rank = min(n, d) if rank is None else rank
    signals = rng.laplace(size=(n, rank)) * np.linspace(1, 3, rank)
    return signals @ rng.standard_normal((rank, d)) + rng.standard_normal(d)


@pytest.mark.parametrize("shape", SHAPES)
def test_agrees_with_a_singular_value_decomposition(shape):
    X = view(shape)
    Xc = X - X.mean(axis=0)
    left, singular, _ = np.linalg.svd(Xc, full_matrices=False)
    rank = min(shape[0] - 1, shape[1])
    pca = principal_components(X)
    assert pca.rank == rank
    np.testing.assert_allclose(pca.mean, X.mean(axis=0), atol=1e-14)
    np.testing.assert_allclose(pca.variances, singular[:rank] ** 2 / len(X), rtol=1e-9)
    assert pca.total_variance == pytest.approx(np.sum(singular**2) / len(X), rel=1e-12)
    Z = whitened_samples(pca, X, slice(None))
    assert abs(Z @ left[:, :rank] / np.sqrt(len(X))).max(axis=0) == pytest.approx(1, abs=1e-8)
    # The maps and the coordinates describe the same signals.
    weights = np.random.default_rng(1).standard_normal((3, pca.n_directions))
    signals = weights @ Z
    atol = 1e-7 * np.abs(signals).max()
    np.testing.assert_allclose(projection_map(pca, X, weights) @ Xc.T, signals, atol=atol)
    pattern = pattern_map(pca, X, weights)
    np.testing.assert_allclose(pattern, Xc.T @ signals.T / len(X), atol=1e-9 * np.abs(X).max())
    np.testing.assert_allclose(signal_regressions(pca, X, signals.T), weights, atol=1e-7)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_rank_of_deficient_views(shape, dtype):
    X = view(shape, rank=5).astype(dtype)
    assert principal_components(X).rank == 5
    assert principal_components(X * dtype(1e-13)).rank == 5
    # Deficient to the precision of the storage only: a mean 1e4 times the signals.
    offset = X + dtype(1e4) * np.abs(X).max()
    assert principal_components(offset).rank == 5


def test_float32_keeps_directions_of_small_variance():
    rng = np.random.default_rng(0)
    X = (rng.standard_normal((50_000, 6)) * 10.0 ** -np.arange(6)).astype(np.float32)
    assert principal_components(X).rank == 6


@pytest.mark.parametrize("value", [0.0, 0.1, 1e9, -3e-14])
@pytest.mark.parametrize("shape", [(1000, 3), (5, 40)])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_constant_view_has_rank_zero(value, shape, dtype):
    assert principal_components(np.full(shape, value, dtype=dtype)).rank == 0


def test_a_unit_changes_nothing_but_the_scale():
    X = view((300, 10), rank=7)
    pca, tiny = principal_components(X), principal_components(X * 1e-13)
    assert tiny.rank == 7
    np.testing.assert_allclose(tiny.variances, 1e-26 * pca.variances, rtol=1e-9)
    Z, Z_tiny = whitened_samples(pca, X, slice(5)), whitened_samples(tiny, X * 1e-13, slice(5))
    np.testing.assert_allclose(np.abs(Z_tiny), np.abs(Z), atol=1e-9)


def test_float32_statistics_lose_no_digits_to_an_offset():
    rng = np.random.default_rng(0)
    offset = 2.0**20 * np.arange(1, 5)  # rounding to float32 then moves entries by 1/8 at most
    X = np.round(rng.laplace(size=(20_000, 4)) * 100).astype(np.float64)
    pca = principal_components((X + offset).astype(np.float32))
    exact = principal_components(np.float64((X + offset).astype(np.float32)))
    np.testing.assert_allclose(pca.variances, exact.variances, rtol=1e-9)
    np.testing.assert_allclose(pca.variances, principal_components(X).variances, rtol=1e-4)


def test_leading_keeps_the_largest():
    X = view((30, 90))
    pca = principal_components(X).leading(4)
    direct = principal_components(X, max_directions=4)
    assert pca.n_directions == direct.n_directions == 4
    assert pca.rank == direct.rank == 29
    np.testing.assert_array_equal(pca.variances, direct.variances)
