"""Formulas against brute force: covariances, residuals, scores, slopes, strengths, orders."""

from itertools import permutations

import numpy as np
import pytest

from mvica.causal.covariances import cross_covariances, disturbance_blocks
from mvica.causal.diagnostics import direction_test
from mvica.causal.likelihood import RowValues, exact_order, local_order, random_order, swap_gaps
from mvica.causal.order_search import direct_order, pairwise_order
from mvica.causal.strengths import earlier, fit_row, fit_strengths, weigh
from mvica.datasets import make_limvam
from mvica.kernels import causal_numba

NO_RULE = {p: np.zeros((p, p), bool) for p in range(1, 20)}


def auto(p):
    return np.full(p, causal_numba.AUTO)


def standardised(views):
    return np.stack([(X - X.mean(axis=0)) / X.std(axis=0) for X in views])


def everything(p):
    return ~np.eye(p, dtype=bool)


# Covariances -------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_blocks_are_correlations_between_views(rng, dtype, monkeypatch):
    monkeypatch.setattr("mvica.causal.covariances.BLOCK", 7)
    views = [(rng.standard_normal((50, 3)) * 1e-13 + 1e-12).astype(dtype) for _ in range(4)]
    C = cross_covariances(views)
    full = np.corrcoef(np.hstack(views).astype(float), rowvar=False).reshape(4, 3, 4, 3)
    tolerance = 1e-12 if dtype == np.float64 else 1e-6
    np.testing.assert_allclose(C.blocks, full.transpose(1, 3, 0, 2), atol=tolerance)
    np.testing.assert_allclose(C.scales, [X.std(axis=0) for X in views], rtol=1e-5)
    np.testing.assert_array_equal(C.ranks, 3)


def test_regressing_out_gives_the_covariances_of_residuals(rng):
    X = standardised(make_limvam("gauss", 4, 80, 5, random_state=0).views)
    C = cross_covariances(X).blocks
    slopes = rng.standard_normal((5, 4))
    slopes[2] = 0
    residuals = X - X[:, :, 2, None] * slopes.T[:, None, :]
    expected = np.einsum("vti,wtj->ijvw", residuals, residuals) / 80
    active = np.array([0, 1, 3, 4])
    causal_numba.regress_out(C, 2, active, slopes)
    np.testing.assert_allclose(
        C[np.ix_(active, active)], expected[np.ix_(active, active)], atol=1e-12
    )


def test_disturbance_blocks_are_covariances_of_disturbances(rng):
    data = make_limvam("gauss", 3, 200, 4, random_state=0)
    C = cross_covariances(data.views)
    D = disturbance_blocks(C.blocks, C.standardised(data.adjacency_matrices))
    E = np.stack(data.disturbances)
    E = (E - E.mean(axis=1, keepdims=True)) / C.scales[:, None, :]
    np.testing.assert_allclose(D, np.einsum("vti,wtj->ijvw", E, E) / 200, atol=1e-12)


# Scores ------------------------------------------------------------------------------------------


def test_dependences_are_correlations_of_regressor_and_residual():
    X = standardised(make_limvam("gauss", 4, 80, 3, random_state=1).views)
    found = np.zeros((3, 3))
    causal_numba.dependences(cross_covariances(X).blocks, np.arange(3), found)
    x, y = X[:, :, 0], X[:, :, 2]
    residual = y - (x * y).mean(axis=1, keepdims=True) * x
    expected = np.corrcoef(x, residual)[:4, 4:]
    np.testing.assert_allclose(found[0, 2], np.sum(expected**2), rtol=1e-10)


def test_wrong_direction_leaves_the_correlation_that_theory_says():
    # cov(r_v, y_w) with r the residual of the cause on the effect
    rng = np.random.default_rng(0)
    m = 4
    b, sx, se = rng.standard_normal(m), rng.uniform(0.5, 2, m), rng.uniform(0.5, 2, m)
    Rx, Re = (np.corrcoef(rng.standard_normal((m, 9))) for _ in range(2))
    X, E = Rx * np.outer(sx, sx), Re * np.outer(se, se)
    XY, Y = X * b, E + X * np.outer(b, b)
    beta = np.diag(XY) / np.diag(Y)
    expected = XY - beta[:, None] * Y
    s = b * sx / se
    theory = (sx * se**2 / np.diag(Y))[:, None] * se * (s * Rx - s[:, None] * Re)
    np.testing.assert_allclose(theory, expected, atol=1e-12)


def test_slopes_by_likelihood_lower_the_determinant_to_a_stationary_point():
    rng = np.random.default_rng(0)
    for _ in range(100):
        m = int(rng.integers(2, 6))
        x, e = rng.standard_normal((2, m, 200))
        root = rng.standard_normal((2, m, m)) + 2 * np.eye(m)
        x, e = root[0] @ x, root[1] @ e
        y = rng.standard_normal(m)[:, None] * x + e
        C = cross_covariances(np.stack([x, y], axis=2)).blocks
        pair, values = np.arange(2), []
        for steps in (0, 1, 2, 3, 5, 10, 1000):
            own, residual, slopes = np.zeros(2), np.zeros((2, 2)), np.zeros((2, 2, m))
            causal_numba.pair_likelihoods(C, pair, steps, -1.0, 200, own, residual, slopes)
            values.append(residual[0, 1])
        assert np.all(np.diff(values) <= 1e-9)
        b = slopes[0, 1]
        X, XY, Y = C[0, 0], C[0, 1], C[1, 1]
        S = Y - b[:, None] * XY - XY.T * b + np.outer(b, b) * X
        gradient = np.sum(np.linalg.inv(S) * (b * X - XY), axis=1)
        assert np.abs(gradient).max() < 1e-6


def test_pair_likelihoods_are_log_determinants():
    X = standardised(make_limvam("gauss", 3, 60, 3, random_state=2).views)
    C = cross_covariances(X).blocks
    own, residual, slopes = np.zeros(3), np.zeros((3, 3)), np.zeros((3, 3, 3))
    causal_numba.pair_likelihoods(C, np.arange(3), 3, -1.0, 60, own, residual, slopes)
    np.testing.assert_allclose(own[1], np.linalg.slogdet(np.cov(X[:, :, 1], bias=True))[1])
    e = X[:, :, 2] - slopes[0, 2][:, None] * X[:, :, 0]
    np.testing.assert_allclose(residual[0, 2], np.linalg.slogdet(np.cov(e, bias=True))[1])


def test_shrinkage_of_singular_covariances():
    S = np.ones((4, 4))
    log_det, weight, lifted = weigh(S, causal_numba.AUTO, 100)
    assert lifted
    assert np.isfinite(log_det)
    assert np.linalg.eigvalsh(weight).min() > 0
    common, own = np.random.default_rng(0).standard_normal((2, 4, 30))
    R = np.corrcoef(common[0] + own)
    log_det, weight, lifted = weigh(R, 0.3, 30)
    shrunk = 0.7 * R + 0.3 * np.eye(4)
    assert not lifted
    np.testing.assert_allclose(log_det, np.linalg.slogdet(shrunk)[1])
    np.testing.assert_allclose(weight, np.linalg.inv(shrunk), rtol=1e-10)
    squares = np.sum(R**2)
    amount = (0.5 * squares + 16) / (30.5 * (squares - 4))
    assert amount < 1
    expected = np.linalg.slogdet((1 - amount) * R + amount * np.eye(4))[1]
    np.testing.assert_allclose(weigh(R, causal_numba.OAS, 30)[0], expected)


# Strengths ---------------------------------------------------------------------------------------


def explicit_gls(X, j, parents, weight):
    """One regression of all samples of all views with weight kron(weight, I_n)."""
    m, n, k = X.shape[0], X.shape[1], len(parents)
    design = np.zeros((m * n, m * k))
    for v in range(m):
        design[v * n : (v + 1) * n, v * k : (v + 1) * k] = X[v][:, parents]
    y = X[:, :, j].ravel()
    W = np.kron(weight, np.eye(n))
    t = np.linalg.solve(design.T @ W @ design, design.T @ W @ y)
    return t.reshape(m, k).T, np.linalg.inv(design.T @ W @ design)


@pytest.mark.parametrize("rounds", [1, 3])
def test_strengths_are_those_of_explicit_generalised_least_squares(rounds):
    X = standardised(make_limvam("gauss", 3, 50, 4, random_state=0).views)
    C, parents = cross_covariances(X).blocks, [0, 1, 3]
    kept = np.zeros((3, 4), bool)
    kept[:, parents] = True
    t = np.stack([np.linalg.lstsq(x[:, parents], x[:, 2], rcond=None)[0] for x in X], axis=1)
    for _ in range(rounds):
        E = X[:, :, 2] - np.einsum("vta,av->vt", X[:, :, parents], t)
        t, _ = explicit_gls(X, 2, parents, np.linalg.inv(E @ E.T / 50))
    row = fit_row(C, 2, kept, rounds=rounds, n_samples=50, errors=True)
    np.testing.assert_allclose(row.strengths, t, atol=1e-10)
    E = X[:, :, 2] - np.einsum("vta,av->vt", X[:, :, parents], t)
    np.testing.assert_allclose(row.residual, E @ E.T / 50, atol=1e-10)
    _, covariance = explicit_gls(X, 2, parents, np.linalg.inv(E @ E.T / 50))
    errors = np.sqrt(np.diag(covariance)).reshape(3, 3).T
    np.testing.assert_allclose(row.standard_errors(50), errors, rtol=1e-8)
    compiled, _ = causal_numba.row_log_det(C, 2, np.array(parents), rounds, -1.0, 50)
    np.testing.assert_allclose(compiled, row.log_det, rtol=1e-10)


def test_own_parents_in_each_view():
    data = make_limvam("gauss", 3, 20_000, 4, random_state=0)
    C = cross_covariances(data.views)
    kept = earlier(np.tile(data.causal_order, (3, 1)))
    i, j = data.causal_order[2], data.causal_order[0]
    B = data.adjacency_matrices.copy()
    B[1, i, j] = 0
    kept[1, i, j] = False
    E = np.stack(data.disturbances)
    views = np.linalg.solve((np.eye(4) - B)[:, None], E[..., None])[..., 0]
    C = cross_covariances(views)
    strengths, _ = fit_strengths(C.blocks, kept, auto(4))
    assert strengths[1, i, j] == 0
    np.testing.assert_allclose(C.in_units(strengths), B, atol=0.03)


def test_no_parents_leave_the_variable_itself():
    C = cross_covariances(make_limvam("gauss", 3, 50, 2, random_state=0).views).blocks
    row = fit_row(C, 1, np.zeros((3, 2), bool), n_samples=50, errors=True)
    np.testing.assert_array_equal(row.residual, C[1, 1])
    assert row.strengths.shape == (0, 3)


# Orders ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("p", [2, 5, 6])
def test_exact_search_finds_the_best_of_all_orders(p):
    data = make_limvam("gauss", 3, 40, p, correlation=0.3, random_state=p)
    values = RowValues(cross_covariances(data.views).blocks, everything(p), 40, auto(p))
    all_values = {order: values.of_order(order) for order in permutations(range(p))}
    ranked = sorted(all_values, key=all_values.get)
    found = exact_order(values, NO_RULE[p], window=5.0)
    assert tuple(found.order) == ranked[0]
    gaps = 20 * np.array([all_values[o] - all_values[ranked[0]] for o in ranked])
    np.testing.assert_allclose(found.margin, gaps[1], atol=1e-9)
    near = [o for o, gap in zip(ranked, gaps, strict=True) if gap <= 5.0]
    assert [tuple(o) for o in found.near_orders] == near
    np.testing.assert_allclose(found.gaps, gaps[: len(near)], atol=1e-9)


def test_exact_search_keeps_to_a_partial_order():
    p = 5
    data = make_limvam("gauss", 3, 40, p, correlation=0.3, random_state=3)
    before = NO_RULE[p].copy()
    before[4, 0] = before[1, 2] = True
    values = RowValues(cross_covariances(data.views).blocks, everything(p), 40, auto(p))
    legal = [o for o in permutations(range(p)) if o.index(4) < o.index(0) < 9]
    legal = [o for o in legal if o.index(1) < o.index(2)]
    best = min(legal, key=values.of_order)
    assert tuple(exact_order(values, before).order) == best
    start = random_order(before, np.random.RandomState(0))
    found = local_order(values, before, [start])
    assert tuple(found.order) in legal
    assert values.of_order(found.order) <= values.of_order(start)


def test_the_table_holds_the_row_values():
    C = cross_covariances(make_limvam("gauss", 4, 60, 4, random_state=0).views).blocks
    allowed = everything(4)
    allowed[2, 0] = False
    values = RowValues(C, allowed, 60, auto(4))
    table = values.table()
    one_by_one = RowValues(C, allowed, 60, auto(4))
    for j, members in np.ndindex(table.shape):
        if not members >> j & 1:
            np.testing.assert_allclose(table[j, members], one_by_one(j, members), rtol=1e-12)
    assert table[2, 0b0011] == table[2, 0b0010]


def test_local_search_ends_where_no_move_helps():
    p = 7
    data = make_limvam("gauss", 4, 60, p, correlation=0.4, random_state=1)
    C = cross_covariances(data.views).blocks
    values = RowValues(C, everything(p), 60, auto(p))
    found = local_order(values, NO_RULE[p], [direct_order(C, NO_RULE[p]).order])
    rest = []
    for place, target in permutations(range(p), 2):
        order = list(found.order)
        order.insert(target, order.pop(place))
        rest.append(values.of_order(order))
    assert min(rest) >= found.value - 1e-10
    np.testing.assert_allclose(found.margin, 30 * (min(rest) - found.value), atol=1e-9)
    gaps = swap_gaps(values, found.order)
    order = list(found.order)
    order[2:4] = order[3], order[2]
    np.testing.assert_allclose(gaps[2], 30 * (values.of_order(order) - found.value), atol=1e-9)


def test_root_search_keeps_to_a_partial_order():
    data = make_limvam("gauss", 3, 200, 6, random_state=0)
    C = cross_covariances(data.views).blocks
    before = NO_RULE[6].copy()
    before[data.causal_order[-1], data.causal_order[0]] = True
    for found in (direct_order(C, before), pairwise_order(C, before, 200)):
        order = list(found.order)
        assert order.index(data.causal_order[-1]) < order.index(data.causal_order[0])


# Calibration -------------------------------------------------------------------------------------


def test_size_of_the_direction_test():
    rng = np.random.default_rng(0)
    m, n, n_rep = 4, 400, 1500
    M = rng.standard_normal((2, m, m)) + np.eye(m)
    b = rng.standard_normal(m)
    pvalues = []
    for _ in range(n_rep):
        x, e = M @ rng.standard_normal((2, m, n))
        C = cross_covariances(np.stack([x, b[:, None] * x + e], axis=2)).blocks
        pvalues.append(direction_test(C, 0, 1, n)[1])
    assert 0.04 <= np.mean(np.array(pvalues) < 0.05) <= 0.07


def test_size_of_the_wald_test_and_standard_errors():
    rng = np.random.default_rng(0)
    m, p, n, n_rep = 4, 4, 500, 800
    roots = rng.standard_normal((p, m, m)) + np.eye(m)
    B = np.tril(rng.standard_normal((m, p, p)), -1)
    B[:, 3, 1] = 0
    kept = earlier(np.tile(np.arange(p), (m, 1)))
    rejected, estimates, errors = [], [], []
    for _ in range(n_rep):
        E = (roots @ rng.standard_normal((p, m, n))).transpose(1, 2, 0)
        X = np.linalg.solve((np.eye(p) - B)[:, None], E[..., None])[..., 0]
        C = cross_covariances(X)
        row = fit_row(C.blocks, 3, kept[:, 3], n_samples=n, errors=True)
        rejected.append(row.pvalues(n)[1] < 0.05)
        units = (C.scales[:, 3, None] / C.scales[:, :3]).T
        estimates.append(row.strengths * units)
        errors.append(row.standard_errors(n) * units)
    assert 0.035 <= np.mean(rejected) <= 0.07
    ratio = np.mean(errors, axis=0) / np.std(estimates, axis=0)
    np.testing.assert_allclose(ratio, 1, atol=0.12)
