"""ICALiMVAM: the component analysis, the matching of its rows, orders, and what it reports."""

from itertools import permutations

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

from mvica import ICALiMVAM
from mvica.causal import PriorKnowledge, order_error
from mvica.causal.covariances import cross_covariances
from mvica.causal.gaussian_iva import GaussianIva, fit_gaussian_iva
from mvica.causal.ica_order import energies, match_rows, one_source, triangular_order
from mvica.datasets import make_limvam
from mvica.optim.lbfgs import minimize
from mvica.testing import check_gradient


def squared_error(estimator, data):
    return np.mean((estimator.adjacency_matrices_ - data.adjacency_matrices) ** 2)


# Gaussian independent vector analysis ------------------------------------------------------------


def random_point(rng, seed=0):
    data = make_limvam("gauss", 4, 200, 3, random_state=seed)
    model = GaussianIva(cross_covariances(data.views).blocks)
    return model, model.start(np.eye(3) + 0.3 * rng.standard_normal((4, 3, 3)))


def test_objective_is_the_likelihood_of_samples(rng):
    data = make_limvam("gauss", 4, 200, 3, random_state=0)
    C = cross_covariances(data.views)
    W = np.eye(3) + 0.3 * rng.standard_normal((4, 3, 3))
    X = (np.stack(data.views) - C.means[:, None]) / C.scales[:, None]
    Y = np.einsum("vij,vtj->vti", W, X)
    expected = -np.linalg.slogdet(W)[1].sum()
    expected += sum(np.linalg.slogdet(np.cov(Y[:, :, k], bias=True))[1] for k in range(3)) / 2
    np.testing.assert_allclose(GaussianIva(C.blocks).start(W).value, expected, atol=1e-6)


def test_gradient(rng):
    model, point = random_point(rng)
    check_gradient(
        lambda W: (model.start(W).value, model.start(W).gradient),
        point.x,
        retraction=lambda W, step: W + step @ W,
    )


def test_preconditioner_is_the_inverse_curvature_at_independent_sources(rng):
    # covariances that follow the model exactly, at the solution: only the damping differs
    roots = rng.standard_normal((3, 4, 4)) + 2 * np.eye(4)
    blocks = np.zeros((3, 3, 4, 4))
    for k, root in enumerate(roots):
        blocks[k, k] = root @ root.T
    model = GaussianIva(blocks)
    point = model.start(np.tile(np.eye(3), (4, 1, 1)))
    np.testing.assert_allclose(point.gradient, 0, atol=1e-6)
    step = rng.standard_normal((4, 3, 3))
    step[:, np.arange(3), np.arange(3)] = 0
    h = 1e-5
    ahead = model.start((np.eye(3) + h * step) @ point.x).gradient
    behind = model.start((np.eye(3) - h * step) @ point.x).gradient
    curvature = (ahead - behind) / (2 * h)
    np.testing.assert_allclose(model.precondition(point, curvature, 0.0), step, atol=0.02)
    vector = rng.standard_normal((2, 4, 3, 3))
    u, w = (model.precondition(point, v, 0.1) for v in vector)
    np.testing.assert_allclose(np.vdot(vector[0], w), np.vdot(vector[1], u))
    assert np.vdot(vector[0], u) > 0


def test_the_objective_never_rises_and_ends_flat(rng):
    model, start = random_point(rng)
    point, result = minimize(model, start, tol=1e-6, tol_decrease=1e-10, max_iter=200)
    assert result.converged
    assert np.all(np.diff(result.history) <= 1e-12)
    rises = [
        model.start((np.eye(3) + 1e-3 * rng.standard_normal((4, 3, 3))) @ point.x).value
        for _ in range(50)
    ]
    assert min(rises) > point.value


@pytest.mark.parametrize(("name", "error"), [("gauss", 7e-4), ("shared_half", 1.3e-3)])
def test_unmixing_alone_recovers_the_strengths(name, error, workload):
    errors = []
    for data in workload(name):
        estimator = ICALiMVAM(refine=False).fit(data.views)
        np.testing.assert_array_equal(estimator.causal_order_, data.causal_order)
        difference = estimator.ica_adjacency_matrices_ - data.adjacency_matrices
        errors.append(np.mean(difference**2))
        assert estimator.above_diagonal_ < 0.01
    assert np.median(errors) <= error


# Rows and orders ---------------------------------------------------------------------------------


def test_rows_are_matched_whatever_the_units(rng):
    data = make_limvam("gauss", 4, 10, 6, random_state=0)
    W = np.eye(6) - data.adjacency_matrices
    rows = rng.permutation(6)
    scaled = W[:, rows] * np.exp(3 * rng.standard_normal((4, 6, 1)))
    scaled = scaled * np.exp(3 * rng.standard_normal((4, 1, 6)))
    np.testing.assert_array_equal(rows[match_rows(scaled)], np.arange(6))


@pytest.mark.parametrize("p", [2, 5])
def test_triangular_order_has_the_least_energy_above(rng, p):
    energy = rng.random((p, p))
    np.fill_diagonal(energy, 0)
    above = {o: np.triu(energy[np.ix_(o, o)], 1).sum() for o in permutations(range(p))}
    order, share = triangular_order(energy, np.zeros((p, p), bool))
    assert tuple(order) == min(above, key=above.get)
    assert share == pytest.approx(min(above.values()) / energy.sum())


def test_triangular_order_of_many_variables():
    data = make_limvam("gauss", 2, 10, 20, random_state=0)
    W = np.eye(20) - data.adjacency_matrices
    order, share = triangular_order(energies(W).sum(axis=0), np.zeros((20, 20), bool))
    np.testing.assert_array_equal(order, data.causal_order)
    assert share == pytest.approx(0, abs=1e-12)


# The estimator -----------------------------------------------------------------------------------


@pytest.mark.parametrize("ica", ["gaussian", "shica_j", "shica_ml"])
def test_shared_sources(ica, workload):
    for data in workload("shared_half"):
        estimator = ICALiMVAM(ica=ica, refine=False, random_state=0).fit(data.views)
        np.testing.assert_array_equal(estimator.causal_order_, data.causal_order)
        assert squared_error(estimator, data) < 6e-4


@pytest.mark.parametrize(("name", "error"), [("wide", 7.4e-4), ("weak_small", 1.55e-2)])
def test_refined_orders(name, error, workload):
    found = [(ICALiMVAM().fit(data.views), data) for data in workload(name)]
    assert np.median([squared_error(*pair) for pair in found]) <= error
    errors = [order_error(est.causal_order_, data.adjacency_matrices) for est, data in found]
    assert np.mean(errors) <= 0.032


def test_views_with_orders_of_their_own():
    wrong, errors, before_refit = [], [], []
    for seed in range(10):
        data = make_limvam("gauss", 6, 1000, 5, n_own_orders=6, random_state=seed)
        estimator = ICALiMVAM(shared_order=False).fit(data.views)
        wrong.append(np.any(estimator.causal_order_ != data.causal_order, axis=1).mean())
        errors.append(squared_error(estimator, data))
        difference = estimator.ica_adjacency_matrices_ - data.adjacency_matrices
        before_refit.append(np.mean(difference**2))
    assert np.mean(wrong) <= 0.033
    assert np.median(before_refit) <= 7.2e-4
    assert np.median(errors) <= 2e-4
    with pytest.raises(ValueError, match="one order a view"):
        estimator.order_confidence()
    assert (estimator.edge_pvalues_[~np.eye(5, dtype=bool)] < 1e-3).any()
    fig = estimator.plot_graph()
    assert len(fig.axes) == 2


def test_a_rule_holds_in_every_view():
    data = make_limvam("gauss", 6, 300, 5, n_own_orders=6, random_state=0)
    rule = PriorKnowledge(before=[(3, 1)], forbidden=[(0, 2)])
    estimator = ICALiMVAM(shared_order=False, prior_knowledge=rule).fit(data.views)
    position = np.argsort(estimator.causal_order_, axis=1)
    assert (position[:, 3] < position[:, 1]).all()
    assert not estimator.adjacency_matrices_[:, 2, 0].any()


def test_gains_and_noises_are_those_of_the_simulation():
    data = make_limvam("shared", 5, 50_000, 3, n_gaussian=3, random_state=0)
    estimator = ICALiMVAM().fit(data.views)
    E = np.stack(data.disturbances)
    S = np.einsum("vtj,wtj->jvw", E, E) / E.shape[1]
    gains, noise = estimator.gains_, estimator.noise_variances_
    model = np.einsum("vj,wj->jvw", gains, gains)
    off = ~np.eye(5, dtype=bool)
    np.testing.assert_allclose(model[:, off], S[:, off], atol=0.05)
    total = np.einsum("jvv->vj", S)
    np.testing.assert_allclose(gains**2 + noise, total, atol=0.05)


@pytest.mark.parametrize("ica", ["gaussian", "shica_j"])
def test_units_do_not_matter(ica, rng):
    data = make_limvam("shared", 4, 300, 4, random_state=1)
    plain = ICALiMVAM(ica=ica, random_state=0).fit(data.views)
    scale = rng.uniform(0.1, 10, (4, 1, 4)) * 1e-13
    moved = ICALiMVAM(ica=ica, random_state=0).fit(np.stack(data.views) * scale)
    np.testing.assert_array_equal(moved.causal_order_, plain.causal_order_)
    units = scale.transpose(0, 2, 1) / scale
    np.testing.assert_allclose(
        moved.ica_adjacency_matrices_ / units, plain.ica_adjacency_matrices_, atol=1e-3
    )


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("ica", ["gaussian", "shica_j", "shica_ml"])
def test_rhyming_task(fmri, ica):
    views, names = fmri
    with pytest.warns(UserWarning, match="between views of x8 is near singular"):
        estimator = ICALiMVAM(ica=ica, random_state=0).fit(views)
    assert names[estimator.causal_order_[0]] == "I"
    assert np.isfinite(estimator.adjacency_matrices_).all()
    assert (estimator.noise_variances_ > 0).all()


@pytest.mark.parametrize("ica", ["shica_j", "shica_ml"])
def test_too_few_samples_for_source_noise(ica):
    data = make_limvam("gauss", 3, 6, 8, random_state=0)
    with (
        pytest.warns(UserWarning, match="numerical rank 5"),
        pytest.raises(ValueError, match="more samples than variables, got 6 samples of 8"),
    ):
        ICALiMVAM(ica=ica, random_state=0).fit(data.views)


def test_bootstrap_and_single_view():
    data = make_limvam("shared", 4, 500, 3, random_state=0)
    for ica in ("gaussian", "shica_ml"):
        model = ICALiMVAM(ica=ica, random_state=0).fit(data.views)
        found = model.bootstrap(data.views, 5, random_state=0)
        assert (found.orders == data.causal_order).all()
    alone = make_limvam("shared", 1, 5000, 3, n_gaussian=0, random_state=0)
    model = ICALiMVAM().fit(alone.views)
    np.testing.assert_array_equal(model.causal_order_, alone.causal_order)
    assert model.noise_variances_.shape == (1, 3)


def test_a_solver_cut_short_says_so():
    data = make_limvam("gauss", 4, 100, 6, correlation=0.4, random_state=0)
    with pytest.warns(ConvergenceWarning, match=r"did not converge in 2 iterations.*max_iter"):
        ICALiMVAM(max_iter=2).fit(data.views)


def test_objective_falls_from_the_start_to_the_end():
    data = make_limvam("gauss", 5, 500, 4, random_state=0)
    blocks = cross_covariances(data.views).blocks
    W, result = fit_gaussian_iva(blocks)
    assert result.converged
    sources = np.einsum("vki,ijvv,vkj->vk", W, blocks, W)
    np.testing.assert_allclose(sources, 1, rtol=1e-8)
    assert result.history[-1] < result.history[0]


@pytest.mark.parametrize("m", [2, 3, 8])
def test_one_source_fits_what_views_share(rng, m):
    b = rng.uniform(0.3, 1, (4, m)) * rng.choice([-1, 1], (4, m))
    b *= np.sign(b.sum(axis=1, keepdims=True))
    R = b[:, :, None] * b[:, None, :]
    R[:, np.arange(m), np.arange(m)] = 1
    found = one_source(R)
    if m == 2:
        np.testing.assert_allclose(np.abs(found) ** 2, np.abs(R[:, :1, 1]) * np.ones(2))
    else:
        np.testing.assert_allclose(found, b, atol=1e-6)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("shared_order", [True, False])
@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        ("same", "between views of x0 is near singular: they are the same"),
        ("views", "there are 40 views and only 30 samples"),
        ("copy", r"view . of shape \(300, 4\) has numerical rank 3"),
    ],
)
def test_degenerate_data_give_a_warning_and_finite_numbers(spoil, message, shared_order, rng):
    m, n = (40, 30) if spoil == "views" else (4, 300)
    X = np.stack(make_limvam("gauss", m, n, 4, random_state=0).views)
    if spoil == "same":
        X[:, :, 0] = rng.standard_normal(n)
        X[:, :, 1:] += rng.uniform(0.5, 1, (m, 1, 1)) * X[:, :, :1]
    if spoil == "copy":
        X[:, :, 3] = 2 * X[:, :, 2]
    with pytest.warns(UserWarning, match=message):
        estimator = ICALiMVAM(shared_order=shared_order).fit(X)
    for name in ("adjacency_matrices_", "adjacency_se_", "gains_", "noise_variances_"):
        assert np.isfinite(getattr(estimator, name)).all(), name
    orders = np.atleast_2d(estimator.causal_order_)
    assert (np.sort(orders, axis=1) == np.arange(4)).all()
    if spoil == "same" and shared_order:
        assert orders[0, 0] == 0
