"""Recovery, published orders, invariances and bad data of the LiMVAM estimators."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from mvica import DirectLiMVAM, GaussianLiMVAM, MultiViewData, PairwiseLiMVAM
from mvica.causal import PriorKnowledge
from mvica.datasets import make_limvam

ESTIMATORS = [
    DirectLiMVAM(),
    PairwiseLiMVAM(),
    PairwiseLiMVAM(slopes="ols"),
    GaussianLiMVAM(),
    GaussianLiMVAM(search="local", n_restarts=2, random_state=0),
]
each = pytest.mark.parametrize("estimator", ESTIMATORS, ids=repr)


def violated(data, order):
    """Share of true edges whose effect comes before its cause."""
    position = np.argsort(order)
    effects, causes = np.nonzero((data.adjacency_matrices != 0).any(axis=0))
    return np.mean(position[causes] > position[effects])


def squared_error(estimator, data):
    return np.mean((estimator.adjacency_matrices_ - data.adjacency_matrices) ** 2)


# Recovery ----------------------------------------------------------------------------------------


@each
@pytest.mark.parametrize(
    ("name", "error"), [("gauss", 1.35e-4), ("shared_half", 2.05e-4), ("wide", 7.4e-4)]
)
def test_strong_correlation_gives_every_order(estimator, workload, name, error):
    errors = []
    for data in workload(name):
        estimator.fit(data.views)
        np.testing.assert_array_equal(estimator.causal_order_, data.causal_order)
        errors.append(squared_error(estimator, data))
    assert np.median(errors) <= error


@pytest.mark.parametrize(
    ("estimator", "rate", "error"),
    [
        (DirectLiMVAM(), 0.0951, 0.115),
        (PairwiseLiMVAM(), 0.0965, 0.117),
        (PairwiseLiMVAM(slopes="ols"), 0.093, 0.131),
        (GaussianLiMVAM(n_gls=5), 0.0233, 0.0155),
        (GaussianLiMVAM(search="local", n_gls=5, random_state=0), 0.0322, 0.0155),
    ],
    ids=repr,
)
def test_weak_correlation_in_few_samples(estimator, rate, error, workload):
    rates, errors = [], []
    for data in workload("weak_small"):
        estimator.fit(data.views)
        rates.append(violated(data, estimator.causal_order_))
        errors.append(squared_error(estimator, data))
    assert np.mean(rates) <= rate
    assert np.median(errors) <= error


@each
def test_no_correlation_between_views_is_seen_as_undetermined(estimator):
    data = make_limvam("gauss", 4, 2000, 3, correlation=0.0, random_state=0)
    found = estimator.fit(data.views).identifiability(alpha=0.001)
    assert not found.determined.any()
    assert np.abs(estimator.order_confidence()).max() < 20


def test_single_view_uses_non_gaussian_disturbances():
    data = make_limvam("shared", 1, 5000, 5, n_gaussian=0, random_state=0)
    for estimator in (DirectLiMVAM(), GaussianLiMVAM()):
        estimator.fit(data.views)
        np.testing.assert_array_equal(estimator.causal_order_, data.causal_order)
        assert squared_error(estimator, data) < 1e-3
    gaussian = make_limvam("gauss", 1, 5000, 3, random_state=0)
    with pytest.warns(UserWarning, match=r"variables \[.*\] look Gaussian"):
        DirectLiMVAM().fit(gaussian.views)


# Published data ----------------------------------------------------------------------------------

ORDERS = {
    "direct": "I ROCC LIPL RACC RIPL LOCC LACC LIFG RIFG",
    "ols": "I ROCC LOCC LIPL RACC RIPL LACC LIFG RIFG",
    "ml": "I ROCC LOCC LIPL RACC RIPL RIFG LACC LIFG",
}
EDGES = {
    "direct": {
        ("I", "ROCC"): 0.788,
        ("ROCC", "LIPL"): 0.718,
        ("ROCC", "LOCC"): 0.711,
        ("LIFG", "RIFG"): 0.618,
        ("RACC", "LACC"): 0.617,
        ("LIPL", "LIFG"): 0.524,
        ("LIPL", "RIPL"): 0.506,
        ("LIPL", "RACC"): 0.428,
        ("ROCC", "RACC"): 0.339,
        ("LACC", "LIFG"): 0.315,
    },
    "ols": {
        ("I", "ROCC"): 0.788,
        ("ROCC", "LOCC"): 0.785,
        ("LIFG", "RIFG"): 0.618,
        ("RACC", "LACC"): 0.617,
        ("LOCC", "LIPL"): 0.595,
        ("LIPL", "LIFG"): 0.524,
        ("LIPL", "RIPL"): 0.520,
        ("LIPL", "RACC"): 0.401,
        ("ROCC", "RACC"): 0.361,
        ("LACC", "LIFG"): 0.315,
    },
    "ml": {
        ("I", "ROCC"): 0.788,
        ("ROCC", "LOCC"): 0.785,
        ("RACC", "LACC"): 0.624,
        ("LOCC", "LIPL"): 0.595,
        ("LIPL", "RIPL"): 0.520,
        ("LIPL", "LIFG"): 0.409,
        ("LIPL", "RACC"): 0.401,
        ("ROCC", "RACC"): 0.361,
        ("RIFG", "LIFG"): 0.304,
        ("RACC", "RIPL"): 0.272,
    },
}
FMRI = {
    "direct": DirectLiMVAM(n_gls=1),
    "ols": PairwiseLiMVAM(slopes="ols", n_gls=1),
    "ml": PairwiseLiMVAM(n_gls=1),
}
same_task = pytest.mark.filterwarnings(
    "ignore:The covariance between views of (I|x8) is near singular"
)


@same_task
@pytest.mark.parametrize("name", FMRI)
def test_rhyming_task(fmri, name):
    views, names = fmri
    estimator = FMRI[name].fit([pd.DataFrame(X, columns=names) for X in views])
    assert [names[j] for j in estimator.causal_order_] == ORDERS[name].split()
    strongest = estimator.edge_table().head(10)
    found = {(e.cause, e.effect): e.strength for e in strongest.itertuples()}
    assert list(found) == list(EDGES[name])
    np.testing.assert_allclose(list(found.values()), list(EDGES[name].values()), atol=1e-3)


@same_task
def test_rhyming_task_by_likelihood(fmri):
    views, names = fmri
    best = GaussianLiMVAM().fit(views)
    expected = ["I", "ROCC", "RIPL", "RIFG", "RACC", "LIPL", "LACC", "LOCC", "LIFG"]
    assert [names[j] for j in best.causal_order_] == expected
    assert len(best.near_orders_) == 5
    np.testing.assert_allclose(best.near_order_gaps_[1:3], [0.34, 1.33], atol=0.01)
    np.testing.assert_allclose(best.order_margin_, 0.335, atol=1e-3)
    # the swap of LIPL and LACC is the second best order
    np.testing.assert_allclose(best.order_confidence().min(), best.order_margin_, atol=1e-8)
    for name, nats in (("direct", 6), ("ols", 10.4)):
        other = FMRI[name].fit(views)
        assert best.near_order_gaps_[-1] < nats
        assert other.causal_order_[0] == names.index("I")


# Invariances -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def hard():
    """Data whose order is not certain: 5 variables, weak correlation."""
    return make_limvam("gauss", 4, 150, 5, correlation=0.5, random_state=1)


@each
def test_offsets_units_and_signs(estimator, hard, rng):
    plain = estimator.fit(hard.views)
    order, B = plain.causal_order_, plain.adjacency_matrices_
    scale = rng.uniform(0.1, 10, (4, 1, 5)) * rng.choice([-1, 1], (4, 1, 5)) * 1e-13
    moved = np.stack(hard.views) * scale + 5 * scale
    estimator.fit(moved)
    np.testing.assert_array_equal(estimator.causal_order_, order)
    np.testing.assert_allclose(
        estimator.adjacency_matrices_ * scale / scale.transpose(0, 2, 1), B, atol=1e-6
    )


@each
def test_order_of_views_variables_and_samples(estimator, hard, rng):
    plain = estimator.fit(hard.views)
    order, B = plain.causal_order_, plain.adjacency_matrices_
    pvalues, value = plain.edge_pvalues_, plain.log_likelihood_
    views, columns, rows = rng.permutation(4), rng.permutation(5), rng.permutation(150)
    X = np.stack(hard.views)[views][:, rows][:, :, columns]
    estimator.fit(X)
    np.testing.assert_array_equal(columns[estimator.causal_order_], order)
    moved = B[views][:, columns][:, :, columns]
    np.testing.assert_allclose(estimator.adjacency_matrices_, moved, atol=1e-9)
    np.testing.assert_allclose(estimator.edge_pvalues_, pvalues[np.ix_(columns, columns)])
    np.testing.assert_allclose(estimator.log_likelihood_, value)


# What is reported --------------------------------------------------------------------------------


@each
def test_attributes_agree_with_each_other(estimator, hard):
    X = np.stack(hard.views)
    estimator.fit(X)
    B, order = estimator.adjacency_matrices_, estimator.causal_order_
    below = np.tril(np.ones((5, 5), bool), -1)
    ordered = B[:, order][:, :, order]
    assert np.all(ordered[:, ~below] == 0)
    assert np.all(ordered[:, below] != 0)
    E = np.stack(estimator.disturbances(X))
    np.testing.assert_allclose(E, X - X.mean(axis=1, keepdims=True) - _times(B, X), atol=1e-10)
    S = np.einsum("vtj,wtj->jvw", E, E) / 150
    np.testing.assert_allclose(estimator.disturbance_covariances_, S, atol=1e-10)
    A = np.linalg.inv(np.eye(5) - B)
    np.testing.assert_allclose(estimator.total_effects_, A - np.eye(5), atol=1e-10)
    assert np.isfinite(estimator.adjacency_se_).all()
    tested = np.isfinite(estimator.edge_pvalues_)
    np.testing.assert_array_equal(tested, (B != 0).all(axis=0))
    np.testing.assert_allclose(estimator.score(X) * 150, estimator.log_likelihood_, rtol=1e-9)


def _times(B, X):
    return np.einsum("vij,vtj->vti", B, X - X.mean(axis=1, keepdims=True))


def test_held_out_likelihood_prefers_the_true_order():
    data = make_limvam("gauss", 4, 400, 4, random_state=0)
    train, test = np.stack(data.views)[:, :200], np.stack(data.views)[:, 200:]
    right = DirectLiMVAM().fit(train)
    backwards = list(right.causal_order_[::-1])
    chain = list(pairwise(backwards))
    wrong = DirectLiMVAM(prior_knowledge=PriorKnowledge(before=chain)).fit(train)
    assert list(wrong.causal_order_) == backwards
    assert right.score(test) > wrong.score(test) + 0.1


def test_shared_disturbances_are_the_shared_sources():
    data = make_limvam("shared", 6, 2000, 4, n_gaussian=0, random_state=0)
    estimator = DirectLiMVAM().fit(data.views)
    S = estimator.transform(data.views)
    np.testing.assert_allclose(S.var(axis=0), 1, rtol=1e-6)
    E = np.stack(data.disturbances).mean(axis=0)
    correlation = np.corrcoef(S, E, rowvar=False)[:4, 4:]
    assert np.diag(np.abs(correlation)).min() > 0.97
    some = estimator.transform([data.views[4], data.views[1]], views=[4, 1])
    assert np.abs(np.diag(np.corrcoef(S, some, rowvar=False)[:4, 4:])).min() > 0.9
    X = estimator.inverse_transform(S)
    error = np.mean((np.stack(X.views) - np.stack(data.views)) ** 2)
    assert error < 0.5 * np.mean(np.stack(data.views) ** 2)


def test_simulated_data_have_the_fitted_covariances(hard):
    estimator = DirectLiMVAM().fit(hard.views)
    X = estimator.simulate(50_000, random_state=0)
    assert isinstance(X, MultiViewData)
    again = DirectLiMVAM().fit(X)
    np.testing.assert_allclose(
        again.disturbance_covariances_, estimator.disturbance_covariances_, atol=0.05
    )
    np.testing.assert_allclose(X.views[1].mean(axis=0), estimator.mean_[1], atol=0.05)


def test_intervention_moves_effects_and_not_causes(hard):
    estimator = DirectLiMVAM().fit(hard.views)
    first, last = estimator.causal_order_[[0, -1]]
    start = np.stack(estimator.mean_)
    moved = estimator.predict_intervention({f"x{first}": start[0, first] + 1})
    np.testing.assert_allclose(moved[0], start[0] + _column(estimator, first), atol=1e-12)
    moved = estimator.predict_intervention({int(last): 100.0})
    others = np.arange(5) != last
    np.testing.assert_allclose(moved[:, others], start[:, others], atol=1e-12)


def _column(estimator, j):
    effect = estimator.total_effects_[0, :, j].copy()
    effect[j] = 1
    return effect


def test_identifiability_and_independence_in_the_right_model():
    data = make_limvam("gauss", 4, 1000, 4, random_state=0)
    estimator = DirectLiMVAM().fit(data.views)
    found = estimator.identifiability()
    order = data.causal_order
    pairs = [(b, a) for k, a in enumerate(order) for b in order[k + 1 :]]
    assert all(found.determined[pair] for pair in pairs)
    assert min(found.forward_pvalues[pair] for pair in pairs) > 0.001
    assert np.isnan(found.forward_pvalues[order[0], order[1]])
    assert np.nanmin(estimator.independence_test()) > 0.001
    # a wrong order leaves dependent disturbances behind
    rule = PriorKnowledge(before=[(int(order[-1]), int(order[0]))])
    wrong = DirectLiMVAM(prior_knowledge=rule).fit(data.views)
    assert np.nanmin(wrong.independence_test()) < 1e-10


# Pruning and prior knowledge ---------------------------------------------------------------------


@pytest.mark.parametrize("method", ["wald", "bic", "bic_view", "alasso", 0.08])
def test_pruning_finds_the_sparse_graph(method):
    wrong = []
    for seed in range(5):
        data = make_limvam("shared", 5, 1000, 5, random_state=seed)
        keep = np.random.default_rng(seed).random((5, 5)) < 0.5
        B = data.adjacency_matrices * keep
        E = np.stack(data.disturbances)
        X = np.linalg.solve((np.eye(5) - B)[:, None], E[..., None])[..., 0]
        estimator = GaussianLiMVAM(prune=method).fit(X)
        found = (estimator.adjacency_matrices_ != 0).any(axis=0)
        present = np.abs(B).max(axis=0) > 0.15
        assert np.all(found[present])
        wrong.append(np.sum(found & (B == 0).all(axis=0)))
        kept = estimator.adjacency_matrices_ != 0
        assert np.abs(estimator.adjacency_matrices_ - B)[kept].max() < 0.2
    assert np.mean(wrong) <= (3 if method == "alasso" else 1)


def test_required_edges_survive_pruning_and_forbidden_ones_never_are():
    data = make_limvam("gauss", 4, 500, 4, random_state=0)
    a, b, c, d = (int(j) for j in data.causal_order)
    B = data.adjacency_matrices.copy()
    B[:, d, a] = 0
    E = np.stack(data.disturbances)
    X = np.linalg.solve((np.eye(4) - B)[:, None], E[..., None])[..., 0]
    assert not DirectLiMVAM(prune="wald").fit(X).adjacency_matrix_[d, a]
    rule = PriorKnowledge(required=[(a, d)], forbidden=[(b, c)])
    for prune in ("wald", "bic", "bic_view", "alasso", 10.0):
        found = DirectLiMVAM(prune=prune, prior_knowledge=rule).fit(X).adjacency_matrices_
        assert found[:, d, a].all()
        assert not found[:, c, b].any()


@each
def test_planted_knowledge_is_respected(estimator, workload):
    for data in workload("weak_small")[:4]:
        order = [int(j) for j in data.causal_order]
        rule = PriorKnowledge(exogenous=order[:1], sinks=order[-1:], tiers=[order[1:3], order[3:6]])
        estimator.set_params(prior_knowledge=rule).fit(data.views)
        found = list(estimator.causal_order_)
        assert found[0] == order[0]
        assert found[-1] == order[-1]
        assert max(found.index(j) for j in order[1:3]) < min(found.index(j) for j in order[3:6])
        assert not estimator.adjacency_matrices_[:, order[0]].any()
        assert not estimator.adjacency_matrices_[:, :, order[-1]].any()
    estimator.set_params(prior_knowledge=None)


def test_knowledge_as_a_matrix_of_paths():
    data = make_limvam("gauss", 4, 200, 3, random_state=0)
    K = np.full((3, 3), -1)
    K[0, 2] = 1  # 2 leads to 0
    K[1, 0] = 0  # 0 does not lead to 1
    estimator = DirectLiMVAM(prior_knowledge=K).fit(data.views)
    order = list(estimator.causal_order_)
    assert order.index(2) < order.index(0)
    assert order.index(1) < order.index(0)
    assert not estimator.adjacency_matrices_[:, 1, 0].any()


@pytest.mark.parametrize(
    ("knowledge", "message"),
    [
        (PriorKnowledge(before=[(0, 1), (1, 2), (2, 0)]), "in a cycle: x0, x1, x2"),
        (PriorKnowledge(required=[(0, 1)], forbidden=[(0, 1)]), "x0 on x1"),
        (PriorKnowledge(sinks=["nobody"]), "no variable 'nobody'"),
        (PriorKnowledge(exogenous=[7]), "no variable 7; there are 3"),
        (np.zeros((2, 2)), r"shape \(2, 2\)"),
    ],
)
def test_knowledge_that_cannot_be(knowledge, message):
    data = make_limvam("gauss", 3, 50, 3, random_state=0)
    with pytest.raises(ValueError, match=message):
        DirectLiMVAM(prior_knowledge=knowledge).fit(data.views)


# Bad data ----------------------------------------------------------------------------------------


@each
def test_same_variable_in_all_views(estimator, rng):
    data = make_limvam("gauss", 4, 300, 4, random_state=0)
    X = np.stack(data.views)
    X[:, :, 0] = rng.standard_normal(300)
    X[:, :, 1:] += rng.uniform(0.5, 1, (4, 1, 1)) * X[:, :, :1]
    with pytest.warns(UserWarning, match="between views of x0 is near singular: they are the same"):
        estimator.fit(X)
    assert_finite(estimator)
    assert estimator.causal_order_[0] == 0


@each
def test_more_views_than_samples(estimator):
    data = make_limvam("gauss", 40, 30, 3, random_state=0)
    with pytest.warns(UserWarning, match="there are 40 views and only 30 samples"):
        estimator.fit(data.views)
    assert_finite(estimator)
    estimator.set_params(shrinkage="oas").fit(data.views)
    assert_finite(estimator)
    estimator.set_params(shrinkage="auto")


@each
def test_duplicated_variables(estimator):
    data = make_limvam("gauss", 4, 300, 4, random_state=0)
    X = np.stack(data.views)
    X[:, :, 3] = 2 * X[:, :, 2]
    message = r"view 0 of shape \(300, 4\) has numerical rank 3, and 3 more views fall short"
    with pytest.warns(UserWarning, match=message) as caught:
        estimator.fit(X)
    assert len(caught) == 1
    np.testing.assert_array_equal(estimator.rank_, 3)
    assert_finite(estimator)


@each
@pytest.mark.parametrize("copies", [[0, 0, 0, 0], [0, 0, 1, 2]])
def test_views_given_twice(estimator, copies):
    data = make_limvam("gauss", 4, 300, 4, random_state=0)
    message = "between views of x0, x1, x2, x3 is near singular: they are the same in several views"
    with pytest.warns(UserWarning, match=message):
        estimator.fit([data.views[v] for v in copies])
    assert_finite(estimator)
    if len(set(copies)) > 1:  # the others still tell the order
        np.testing.assert_array_equal(estimator.causal_order_, data.causal_order)
        a, b = estimator.adjacency_matrices_[:2]
        np.testing.assert_allclose(a, b, atol=1e-6)


@each
def test_fewer_samples_than_variables(estimator):
    data = make_limvam("gauss", 3, 6, 8, random_state=0)
    with pytest.warns(UserWarning, match=r"view 0 of shape \(6, 8\) has numerical rank 5"):
        estimator.fit(data.views)
    assert_finite(estimator)


def test_constant_columns_are_refused():
    X = np.stack(make_limvam("gauss", 3, 100, 3, random_state=0).views)
    X[1, :, 2] = 7.1
    with pytest.raises(ValueError, match="view 1: column 2 is constant"):
        DirectLiMVAM().fit(X)


def test_views_must_hold_the_same_variables():
    X = list(make_limvam("gauss", 3, 100, 3, random_state=0).views)
    with pytest.raises(ValueError, match="view 1 has 2 variables, view 0 has 3"):
        DirectLiMVAM().fit([X[0], X[1][:, :2], X[2]])
    frames = [pd.DataFrame(x, columns=list("abc")) for x in X]
    assert DirectLiMVAM().fit(frames).variable_names_ == ("a", "b", "c")
    frames[2] = frames[2][["b", "a", "c"]]
    with pytest.raises(ValueError, match=r"view 2 has columns \['b', 'a', 'c'\]"):
        DirectLiMVAM().fit(frames)


@pytest.mark.parametrize("p", [1, 2])
def test_few_variables(p):
    data = make_limvam("gauss", 3, 200, p, random_state=0)
    for estimator in ESTIMATORS:
        estimator.fit(data.views)
        np.testing.assert_array_equal(estimator.causal_order_, data.causal_order)
        assert_finite(estimator)


def test_exact_search_says_when_it_is_too_large():
    data = make_limvam("gauss", 2, 100, 17, random_state=0)
    with pytest.raises(ValueError, match='up to 16 variables, got 17: use "local"'):
        GaussianLiMVAM(search="exact").fit(data.views)


def assert_finite(estimator):
    for name in ("adjacency_matrices_", "adjacency_se_", "total_effects_", "log_likelihood_"):
        assert np.isfinite(getattr(estimator, name)).all(), name
    p = len(estimator.causal_order_)
    assert sorted(estimator.causal_order_) == list(range(p))
