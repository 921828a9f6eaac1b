"""The solvers of CCA on problems with known answers: gaps, convergence, unbiased batches."""

from itertools import combinations

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

from benchmarks.stiefel_workloads import (
    ill_conditioned_mixing,
    latent_rows,
    simulated,
    split_digits,
)
from mvica import CCA
from mvica.stiefel.cca_covariance import no_covariance
from mvica.stiefel.cca_landing import batch_field, cca_landing, default_batch_size
from mvica.stiefel.cca_problem import Settings
from mvica.stiefel.cca_rows import CenteredRows, feature_statistics
from mvica.stiefel.cca_rr import block_rayleigh_ritz
from mvica.stiefel.cca_solve import solve
from mvica.stiefel.cca_stream import start_stream
from mvica.stiefel.fields import residual_dual
from mvica.stiefel.preconditioner import inverse_of, sampled_start
from mvica.stiefel.stochastic import linear_decay
from mvica.stiefel.streams import ArrayRows, BatchRows


def prepared(views, ridges=(0.0, 0.0)):
    """Rows as the solvers see them, and the exact solution for five components."""
    settings = Settings(5, "direct", list(ridges), False, False, np.random.RandomState(0))
    exact = solve(ArrayRows(views), settings)
    rows = ArrayRows(views)
    return CenteredRows(rows, feature_statistics(rows), exact.scales, ridges), exact.values


def gap(values, exact):
    return float((exact.sum() - values[:5].sum()) / exact.sum())


def ritz_gaps(views, ridges=(0.0, 0.0), *, per_feature=None, tol=1e-5, max_iter=30):
    """Gap after each pass of block Rayleigh-Ritz, and its result."""
    data, exact = prepared(views, ridges)
    n_rows = per_feature and per_feature * max(data.sizes)
    inverses, start = sampled_start(data, 8, np.random.RandomState(0), n_rows=n_rows)
    result = block_rayleigh_ritz(data, inverses, start, 5, tol=tol, max_iter=max_iter)
    return (exact.sum() - result.history) / exact.sum(), result


def landing_result(views, ridges=(0.0, 0.0), *, n_epochs=3, batch_size=None, seed=0):
    data, exact = prepared(views, ridges)
    rng = np.random.RandomState(seed)
    inverses, start = sampled_start(data, 8, rng)
    result = cca_landing(data, inverses, start, n_epochs=n_epochs, batch_size=batch_size, rng=rng)
    return gap(result.values, exact), result.violation


@pytest.mark.parametrize("condition", [1e2, 1e4, 1e6])
def test_passes_converge_whatever_the_condition(condition):
    gaps, result = ritz_gaps(simulated(6000, 100, condition), per_feature=4)
    assert gaps[: 12 + 1].min() < 1e-4
    assert result.converged
    assert -1e-12 < gaps[-1] < 1e-6
    assert (np.diff(result.history) > -1e-12).all()


@pytest.mark.slow
@pytest.mark.parametrize("condition", [1e2, 1e4, 1e6])
def test_passes_converge_on_large_views(condition):
    gaps, _ = ritz_gaps(simulated(20_000, 500, condition), per_feature=4, max_iter=12)
    assert gaps[12 if len(gaps) > 12 else -1] < 1e-4


@pytest.mark.slow
def test_landing_on_large_views():
    found, _ = landing_result(simulated(100_000, 500, 1e4), batch_size=1000)
    assert found < 5e-3


@pytest.mark.parametrize("condition", [1e4, 1e6])
def test_single_precision_does_not_drift(condition):
    views = [X.astype(np.float32) for X in simulated(8000, 100, condition)]
    gaps, result = ritz_gaps(views, tol=0.0, max_iter=30)
    assert result.converged  # no more is to be had
    assert abs(gaps[-1]) < 1e-6


def test_split_digits():
    views, ridges = split_digits()
    gaps, result = ritz_gaps(views, ridges)
    assert gaps[6 if len(gaps) > 6 else -1] < 1e-6
    assert result.converged
    found, violation = landing_result(views, ridges, n_epochs=40, batch_size=128)
    assert found < 2e-3
    assert violation < 0.1


def test_split_digits_without_ridge_on_their_range():
    views, _ = split_digits()
    _, exact = prepared(views)
    assert exact.max() < 1
    gaps, _ = ritz_gaps(views)
    assert abs(gaps[-1]) < 1e-6
    assert landing_result(views, n_epochs=40, batch_size=128)[0] < 5e-3


@pytest.mark.parametrize("seed", range(3))
def test_heavy_tailed_rows(seed):
    views = simulated(40_000, 50, 1e4, seed=seed, degrees=4)
    found, _ = landing_result(views, seed=seed)
    assert found < 2e-2
    assert ritz_gaps(views)[0][-1] < 1e-6


@pytest.mark.parametrize("batch_size", [25, 50, 200])
def test_small_batches(batch_size):
    found, _ = landing_result(simulated(20_000, 50, 1e4), n_epochs=5, batch_size=batch_size)
    assert found < (5e-3 if batch_size >= 50 else 1e-2)


def test_products_are_those_of_the_covariances():
    rng = np.random.default_rng(0)
    X = [1e3 + rng.standard_normal((700, 4)), rng.standard_normal((700, 6))]
    data, _ = prepared([np.hstack([x, x[:, :1] + rng.standard_normal((700, 1))]) for x in X])
    W = [rng.standard_normal((5, 3)), rng.standard_normal((7, 2))]
    (x, y) = data.sample(700, np.random.RandomState(0))
    own, cross = data.products(W)
    for found, expected in (
        (own[0], x.T @ x @ W[0]),
        (own[1], y.T @ y @ W[1]),
        (cross[0], y.T @ x @ W[0]),
        (cross[1], x.T @ y @ W[1]),
    ):
        np.testing.assert_allclose(found, expected / 700, atol=1e-10)
    moments = data.score_moments(W)
    np.testing.assert_allclose(moments[2], W[0].T @ x.T @ y @ W[1] / 700, atol=1e-10)
    *_, sampled = data.sample_covariances(700, np.random.RandomState(0))
    np.testing.assert_allclose(sampled, x.T @ y / 700, atol=1e-10)


@pytest.mark.parametrize("ridges", [(0.0, 0.0), (0.3, 0.1)])
def test_batch_field_is_unbiased(ridges):
    """The field of 7 rows is the mean, over ordered pairs, of a field of independent rows."""
    rng = np.random.default_rng(0)
    views = [rng.standard_normal((7, 3)), rng.standard_normal((7, 4))]
    rows = ArrayRows(views)
    scales = [np.ones(3), np.ones(4)]
    data = CenteredRows(rows, feature_statistics(rows), scales, ridges)
    U = [rng.standard_normal((3, 2)), rng.standard_normal((4, 2))]
    batch = data.batch(views)
    found = batch_field(batch, U).duals
    x = batch.centred()
    total = [0.0, 0.0]
    for pair in combinations(range(7), 2):
        for i, j in (pair, pair[::-1]):
            for v, w in ((0, 1), (1, 0)):
                total[v] = total[v] + _field_of_two(x[v], x[w], U[v], U[w], ridges[v], i, j) / 42
    for mine, other in zip(found, total, strict=True):
        np.testing.assert_allclose(mine, other, atol=1e-12)


def _field_of_two(x, y, U, V, rho, i, j):
    """Residual field with the outer factors from row i and the inner ones from row j."""
    G, M = -np.outer(x[i], y[i] @ V), np.outer(x[i], x[i] @ U) + rho * U
    C = np.outer(x[j] @ U, x[j] @ U) + rho * U.T @ U
    S = -np.outer(y[j] @ V, x[j] @ U)
    tangent, normal = residual_dual(G, M, C, S)
    return tangent + normal


def test_stream_takes_the_steps_of_a_fit():
    """Centred batches in order, with the decay of a fit: the same iterates."""
    views = simulated(4000, 12, 1e2)
    size = default_batch_size(4000, 12, 5)
    whole = 4000 - 4000 % size
    views = [X[:whole] for X in views]
    for X in views:
        for k in range(0, whole, size):
            X[k : k + size] -= X[k : k + size].mean(axis=0)
    stream = start_stream(
        no_covariance((12, 12)).added([views]), [0.1, 0.0], 5, size, np.random.RandomState(0)
    )
    rows = ArrayRows(views)
    data = CenteredRows(rows, feature_statistics(rows), stream.scales, stream.ridges)
    data.shuffled = lambda size, rng: (
        data.batch([X[k : k + size] for X in views]) for k in range(0, whole, size)
    )
    fitted = cca_landing(
        data, stream.inverses, stream.landing.U, n_epochs=1, batch_size=size, rng=None
    )
    for k in range(0, whole, 300):
        stream = stream.learned(
            [X[k : k + 300] for X in views], lambda step: linear_decay(step, whole // size)
        )
    assert stream.landing.n_steps == fitted.n_iter
    for U, W in zip(stream.landing.U, fitted.directions, strict=True):
        turn = np.linalg.lstsq(W, U)[0]
        np.testing.assert_allclose(W @ turn, U, atol=1e-10)


def test_preconditioner_is_near_the_inverse():
    views = simulated(20_000, 50, 1e6)
    data, _ = prepared(views)
    inverses, _ = sampled_start(data, 5, np.random.RandomState(0), n_rows=8 * 50)
    x = data.sample(20_000, np.random.RandomState(0))
    for inverse, rows in zip(inverses, x, strict=True):
        values = np.linalg.eigvals(inverse(rows.T @ rows / len(rows))).real
        assert values.max() / values.min() < 8


def test_leading_directions_and_a_scalar_precondition_wide_views(monkeypatch):
    monkeypatch.setattr("mvica.stiefel.preconditioner.DENSE_FEATURES", 40)
    monkeypatch.setattr("mvica.stiefel.preconditioner.LEADING", 40)
    views = simulated(5000, 60, 1e2)
    gaps, result = ritz_gaps(views, max_iter=60)
    assert result.converged
    assert gaps[-1] < 1e-6
    assert landing_result(views, n_epochs=10)[0] < 2e-2


def test_inverse_of_a_singular_matrix_stays_on_its_range():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((300, 5))
    X -= X.mean(axis=1, keepdims=True)
    C = X.T @ X / 300
    P = inverse_of(C, 0.0, 300, np.float64)
    np.testing.assert_allclose(P(C), np.eye(5) - 0.2, atol=1e-5)
    np.testing.assert_allclose(P(np.ones((5, 1))), 0, atol=1e-8)


def test_interrupted_passes_return_the_best_so_far():
    views = simulated(3000, 60, 1e3)
    data, exact = prepared(views)
    inverses, start = sampled_start(data, 8, np.random.RandomState(0))

    def stop(n_iter, value, residual):
        if n_iter == 1:
            raise KeyboardInterrupt

    result = block_rayleigh_ritz(data, inverses, start, 5, tol=1e-9, max_iter=30, callback=stop)
    assert not result.converged
    assert result.n_iter == 1
    assert gap(result.values, exact) < 0.1


# ---- rows ------------------------------------------------------------------------------------


def numbered(n):
    return [np.arange(n, dtype=float)[:, None], 10.0 * np.arange(n)[:, None]]


def sources(views):
    yield ArrayRows(views)
    yield BatchRows(lambda: ([X[k : k + 37] for X in views] for k in range(0, len(views[0]), 37)))


def test_rows_come_once_and_together(monkeypatch, tmp_path):
    monkeypatch.setattr("mvica.stiefel.streams.BUFFER_BYTES", 4096)
    views = numbered(1000)
    np.save(tmp_path / "x.npy", views[0])
    mapped = [np.load(tmp_path / "x.npy", mmap_mode="r"), views[1]]
    for rows in (*sources(views), ArrayRows(mapped)):
        for batches in (rows.chunks(), rows.shuffled(30, np.random.RandomState(0))):
            batches = list(batches)
            x, y = (np.concatenate(parts)[:, 0] for parts in zip(*batches, strict=True))
            np.testing.assert_array_equal(y, 10 * x)
            assert len(np.unique(x)) == len(x) >= 970
        assert {len(b[0]) for b in batches} == {30}
        assert np.abs(np.corrcoef(x, np.arange(len(x)))[0, 1]) < 0.999
        picked = np.concatenate([b[0] for b in rows.pick(np.array([3, 36, 37, 999]))])[:, 0]
        np.testing.assert_array_equal(picked, [3, 36, 37, 999])


def test_covariance_grows_by_batches():
    rng = np.random.default_rng(0)
    X = [rng.standard_normal((500, 3)) + 1e5, rng.standard_normal((500, 2))]
    grown = no_covariance((3, 2))
    for k in range(0, 500, 130):
        grown = grown.added([[x[k : k + 130] for x in X]])
    expected = np.cov(np.hstack(X).T, ddof=0)
    np.testing.assert_allclose(grown.scatter / 500, expected, atol=1e-9)
    np.testing.assert_allclose(grown.means()[0], X[0].mean(axis=0))


def test_view_order_and_sample_order_do_not_matter():
    views = simulated(2000, 30, 1e3)
    order = np.random.default_rng(0).permutation(2000)
    reference = CCA(3, solver="lobpcg", random_state=0).fit(views).canonical_correlations_
    for changed in (views[::-1], [X[order] for X in views]):
        found = CCA(3, solver="lobpcg", random_state=0).fit(changed).canonical_correlations_
        np.testing.assert_allclose(found, reference, atol=1e-7)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [100, 103, 105, 108])
def test_landing_is_not_taken_in_by_heavy_rows(seed):
    """On new rows without heavy tails it does better than the optimum of the training rows."""
    n, d = 50_000, 200
    rng = np.random.default_rng(seed)
    latent = latent_rows(2 * n, d, rng)
    weights = np.sqrt(4 / rng.chisquare(4, (2 * n, 1)))[:n]
    mixings = [ill_conditioned_mixing(d, 1e4, rng) for _ in range(2)]
    train = [(weights * z[:n]) @ T for z, T in zip(latent, mixings, strict=True)]
    test = [z[n:] @ T for z, T in zip(latent, mixings, strict=True)]
    exact = CCA(5).fit(train)
    with pytest.warns(ConvergenceWarning, match="raise n_epochs"):
        landing = CCA(5, solver="landing", random_state=0).fit(train)
    assert landing.objective_ < exact.objective_
    assert landing.score(test) > exact.score(test) + 0.01
