"""LandingICA: recovery for any conditioning, streams, kinds of sources, and what it refuses."""

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

from mvica import GroupICA, LandingICA
from mvica.datasets import make_multiview_ica
from mvica.metrics import amari_distance
from mvica.stiefel.ica import BatchScores, batch_field, deterministic_ica, stochastic_ica
from mvica.testing import check_gradient


def mixture(n, p, condition=1.0, seed=0):
    """Laplace sources, and a mixing whose covariance has this condition number."""
    rng = np.random.default_rng(seed)
    left, right = (np.linalg.qr(rng.standard_normal((p, p)))[0] for _ in range(2))
    A = (left * np.geomspace(1, condition**-0.5, p)) @ right
    return rng.laplace(size=(n, p)) @ A.T, A


@pytest.mark.parametrize("condition", [1, 1e2, 1e4])
@pytest.mark.parametrize("solver", ["stochastic", "deterministic"])
def test_published_problem_for_any_condition(condition, solver):
    X, A = mixture(100_000, 10, condition)
    model = LandingICA(solver=solver, random_state=0).fit(X)
    assert amari_distance(model.components_, [A]) < 3e-4
    assert model.converged_
    assert model.solver_ == solver
    S = model.transform(X)
    np.testing.assert_allclose(S.T @ S / len(S), np.eye(10), atol=1e-8)


@pytest.mark.parametrize("condition", [1, 1e2, 1e4])
def test_unmixing_learns_the_constraint_from_rows_whitened_by_few(condition):
    X, A = mixture(100_000, 10, condition)
    few = X[:400]
    T = np.linalg.inv(np.linalg.cholesky(few.T @ few / len(few)))
    options = {"n_epochs": 5, "batch_size": 1000, "random_state": np.random.RandomState(0)}
    _, result = stochastic_ica(T @ X.T, "logcosh", **options)
    assert amari_distance(result.x[0] @ T, A) < 3e-4
    S = result.x[0] @ T @ X.T
    np.testing.assert_allclose(S @ S.T / len(X), np.eye(10), atol=1e-10)


@pytest.mark.slow
def test_ten_seeds_of_heavy_tails_and_small_batches():
    for seed in range(10):
        rng = np.random.default_rng(seed)
        A = rng.standard_normal((8, 8))
        X = rng.standard_t(4, size=(60_000, 8)) @ A.T
        for batch_size in (64, None):
            model = LandingICA(batch_size=batch_size, solver="stochastic", random_state=seed).fit(X)
            assert amari_distance(model.components_, [A]) < 2e-3
            assert model.converged_


def test_streams_follow_the_same_sources():
    X, A = mixture(40_000, 6, 1e4)
    X = X + 3.0
    model = LandingICA(random_state=0)
    errors = {}
    for start in range(0, 40_000, 500):
        model.partial_fit(X[start : start + 500])
        errors[start + 500] = amari_distance(model.components_, [A])
    assert errors[40_000] < 0.3 * errors[1000]
    assert errors[40_000] < 1e-3
    assert model.n_samples_seen_ == 39_924  # the rest waits for a batch to be full
    np.testing.assert_allclose(model.components_[0] @ model.mixing_[0], np.eye(6), atol=1e-8)
    np.testing.assert_allclose(model.mean_[0], X[:39_924].mean(axis=0), rtol=1e-12)
    assert not hasattr(model, "sources_")


def test_streams_track_a_mixing_that_moves():
    X, _ = mixture(20_000, 4)
    rng = np.random.default_rng(1)
    turn = np.eye(4) + 0.1 * rng.standard_normal((4, 4))
    model = LandingICA(random_state=0).fit(X)
    Y, A = mixture(60_000, 4, seed=0)
    before = amari_distance(model.components_, [turn @ A])
    for start in range(0, 60_000, 1000):
        model.partial_fit(Y[start : start + 1000] @ turn.T)
    assert amari_distance(model.components_, [turn @ A]) < 0.1 * before


def test_bad_batch_loses_nothing():
    X, _ = mixture(3000, 3)
    model = LandingICA(random_state=0).partial_fit(X[:1000]).partial_fit(X[1000:2000])
    kept, stream = [W.copy() for W in model.components_], model.stream_
    spoilt = X[2000:].copy()
    spoilt[5, 1] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        model.partial_fit(spoilt)
    with pytest.raises(ValueError, match="2 features"):
        model.partial_fit(X[2000:, :2])
    np.testing.assert_array_equal(model.components_, kept)
    assert model.stream_ is stream
    model.partial_fit(X[2000:])
    assert model.n_samples_seen_ == 2920


def test_small_batches_of_a_stream_are_the_same_as_large_ones():
    X, _ = mixture(9000, 3)
    large, small = LandingICA(random_state=0), LandingICA(random_state=0)
    large.partial_fit(X[:1000]).partial_fit(X[1000:])
    small.partial_fit(X[:1000])
    for start in range(1000, 9000, 70):
        small.partial_fit(X[start : start + 70])
    np.testing.assert_allclose(small.components_, large.components_, rtol=1e-12)


def test_extended_density_finds_both_kinds():
    rng = np.random.default_rng(0)
    n = 20_000
    S = np.column_stack([rng.laplace(size=(n, 2)), rng.uniform(-1, 1, size=(n, 2))])
    A = rng.standard_normal((4, 4))
    for solver in ("deterministic", "stochastic"):
        model = LandingICA(density="extended", solver=solver, random_state=0).fit(S @ A.T)
        assert amari_distance(model.components_, [A]) < 1e-3
        assert model.sub_gaussian_.sum() == 2
    model = LandingICA(density="sub", random_state=0).fit(S[:, 2:] @ A[:2, :2].T)
    assert amari_distance(model.components_, [A[:2, :2]]) < 1e-3


def test_views_are_as_well_unmixed_as_by_group_ica():
    data = make_multiview_ica(n_views=4, n_samples=2000, n_components=4, random_state=0)
    landing = LandingICA(random_state=0).fit(data.views)
    group = GroupICA(random_state=0).fit(data.views)
    found = amari_distance(landing.components_, data.mixings)
    assert found < 1.2 * amari_distance(group.components_, data.mixings)


def test_too_few_passes_are_said():
    X, _ = mixture(4000, 4)
    with pytest.warns(ConvergenceWarning, match="Raise n_epochs"):
        LandingICA(solver="stochastic", n_epochs=1, batch_size=2000, random_state=0).fit(X)
    with pytest.warns(ConvergenceWarning, match="max_iter"):
        LandingICA(max_iter=1).fit(X)


def test_batch_field_is_the_residual_field_of_the_batch_without_its_diagonal():
    rng = np.random.default_rng(0)
    x, U = rng.laplace(size=(30_000, 3)), rng.standard_normal((3, 3))
    field = batch_field(x, U, BatchScores("logcosh", 3))
    a = x @ U
    G, M = x.T @ np.tanh(a) / len(x), x.T @ a / len(x)
    C = U.T @ M
    expected = 0.5 * (G @ C - M @ (G.T @ U)) + M @ (C - np.eye(3))
    np.testing.assert_allclose(field.duals[0], expected, atol=5e-3 * np.abs(expected).max())
    assert field.defect == pytest.approx(np.linalg.norm(C - np.eye(3)))


@pytest.mark.parametrize("sub", [False, True])
def test_gradient_of_the_objective(sub):
    from mvica.stiefel.ica import _objective

    rng = np.random.default_rng(0)
    Z, W = rng.laplace(size=(3, 200)), rng.standard_normal((3, 3))
    kinds = np.full(3, sub)
    check_gradient(lambda W: _objective(Z, "sub" if sub else "logcosh", kinds, W), W)


def test_deterministic_solution_is_stationary():
    X, _ = mixture(2000, 4)
    Z = np.ascontiguousarray(X.T)
    _, result = deterministic_ica(Z, "logcosh", tol=1e-9, max_iter=500)
    Y = result.x[0] @ Z
    S = np.tanh(Y) @ Y.T / 2000
    np.testing.assert_allclose(S, S.T, atol=1e-8)
    assert result.converged
