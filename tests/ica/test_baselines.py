"""PermICA and GroupICA: recovery, matching, and interrupts."""

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

from mvica import GroupICA, MultiViewICA, PermICA
from mvica.datasets import make_multiview_ica
from mvica.ica import groupica, initialization, permica
from mvica.ica.initialization import match_views, unit_variance
from mvica.metrics import amari_distance, match_sources
from tests.ica.conftest import random_unmixings, stacked


def workload(sigma, seed=0):
    return make_multiview_ica(
        n_views=5, n_samples=1000, n_components=3, noise_std=sigma, random_state=seed
    )


@pytest.mark.parametrize(
    ("estimator", "sigma", "published"),
    [
        (PermICA, 0.01, 0.00143),
        (PermICA, 0.158, 0.00154),
        (PermICA, 0.631, 0.00309),
        (GroupICA, 0.01, 0.00143),
        (GroupICA, 0.158, 0.00146),
        (GroupICA, 0.631, 0.00379),
    ],
)
def test_published_figures(estimator, sigma, published):
    distances = [
        amari_distance(
            estimator(random_state=0).fit(data.views).components_,
            data.mixings,
        )
        for data in (workload(sigma, seed) for seed in range(3))
    ]
    assert np.mean(distances) < 1.15 * published


def test_one_view_makes_all_three_the_same():
    data = make_multiview_ica(
        n_views=1, n_samples=2000, n_components=4, noise_std=0, random_state=0
    )
    models = [E(random_state=0).fit(data.views) for E in (MultiViewICA, PermICA, GroupICA)]
    for model in models[1:]:
        np.testing.assert_allclose(model.sources_, models[0].sources_, atol=1e-3)


def test_matching_undoes_permutations_and_signs():
    data = workload(0.1)
    views, reduction = stacked(data.views)
    truth = np.stack(
        [np.linalg.inv(R @ A) for R, A in zip(reduction.projections, data.mixings, strict=True)]
    )
    W = truth / np.sqrt(np.einsum("vac,vcd,vad->va", truth, views.covariances, truth))[:, :, None]
    rng = np.random.default_rng(0)
    mixed = np.stack([w[rng.permutation(3)] * rng.choice([-1.0, 1.0], (3, 1)) for w in W])
    aligned, orders, scores = match_views(views, mixed)
    relative = aligned @ np.linalg.inv(truth)
    assert np.all(relative.round(6).astype(bool) == relative[0].round(6).astype(bool))
    assert np.all(np.sign(relative.sum(axis=2)) == np.sign(relative[0].sum(axis=1)))
    assert sorted(orders[0]) == [0, 1, 2]
    assert np.all(scores > 0.98)


def test_matching_without_stored_moments_is_the_same():
    few = make_multiview_ica(n_views=6, n_samples=15, n_components=3, random_state=0)
    views, _ = stacked(few.views)
    assert views.moment is None
    W = random_unmixings(6, 3)
    stored = stacked(few.views)[0]
    stored.__dict__["moment"] = views.Z @ views.Z.T / 15
    for a, b in zip(match_views(views, W)[0], match_views(stored, W)[0], strict=True):
        np.testing.assert_array_equal(a, b)


def test_unit_variance():
    views, _ = stacked(workload(0.5).views)
    W, scale = unit_variance(views, random_unmixings(5, 3))
    mean = sum(W[v] @ views.Z[3 * v : 3 * v + 3] for v in range(5)) / 5
    np.testing.assert_allclose(mean.std(axis=1), 1)
    np.testing.assert_allclose(W * scale[:, None], random_unmixings(5, 3))


def test_matching_score_tells_shared_from_private_components():
    rng = np.random.default_rng(0)
    shared = rng.laplace(size=(3000, 2))
    views = [
        np.hstack([shared, rng.laplace(size=(3000, 1))]) @ rng.standard_normal((3, 3))
        for _ in range(6)
    ]
    model = PermICA(random_state=0).fit(views)
    assert np.sum(model.matching_score_ > 0.95) == 2
    assert model.matching_score_.min() < 0.6
    private = np.argmin(model.matching_score_)
    found = match_sources(np.delete(model.sources_, private, axis=1), shared)
    assert np.all(np.abs(found.correlations) > 0.95)


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_threads_change_nothing(n_jobs):
    data = workload(0.3)
    model = PermICA(n_jobs=n_jobs, random_state=0).fit(data.views)
    serial = PermICA(random_state=0).fit(data.views)
    np.testing.assert_allclose(model.sources_, serial.sources_, atol=1e-10)


@pytest.mark.parametrize("estimator", [PermICA, MultiViewICA])
def test_an_interrupt_in_the_first_ica_ends_the_fit(estimator, monkeypatch):
    calls = []
    solve = initialization.solve_joint

    def interrupted_once(*args, callback=None, **options):
        def interrupt(*_):
            calls.append(options["max_iter"])
            if len(calls) == 1:
                raise KeyboardInterrupt

        return solve(*args, callback=interrupt, **options)

    monkeypatch.setattr(initialization, "solve_joint", interrupted_once)
    with pytest.warns(ConvergenceWarning, match="interrupted"):
        estimator(random_state=0).fit(workload(0.3).views)
    assert len(calls) == 1, "no ICA went on after the interrupt"


@pytest.mark.parametrize(("function", "estimator"), [(permica, PermICA), (groupica, GroupICA)])
def test_function_forms(function, estimator):
    data = workload(0.3)
    found = function(data.views, random_state=0)
    model = estimator(random_state=0).fit(data.views)
    np.testing.assert_array_equal(found.sources, model.sources_)
