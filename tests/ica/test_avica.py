"""AVICA: weights that suit the noise of the views, noise tied over components."""

import numpy as np
import pytest

from mvica import AVICA, ShICAML
from mvica.datasets import make_multiview_ica, make_shica
from mvica.ica import avica
from mvica.metrics import amari_distance, match_sources

# Noise of two of six views; errors of the plain mean, the weighted mean and the posterior mean;
# squared Amari distance; estimated deviations of the noise in these views and in the others.
WEIGHTING = [
    (0.5, 0.0536, 0.0538, 0.0473, 0.0054, 0.514, 0.512),
    (1.0, 0.0989, 0.0687, 0.0597, 0.0070, 1.034, 0.512),
    (2.0, 0.2760, 0.0742, 0.0641, 0.0089, 2.027, 0.512),
    (4.0, 0.9491, 0.0758, 0.0654, 0.0159, 3.904, 0.512),
]


def unequal_views(rho, seed, m=6, p=4, n=1000):
    """Laplace sources of unit variance; noise rho in two views and 0.5 in the others."""
    rng = np.random.RandomState(seed)
    S, E = rng.laplace(size=(p, n)) / np.sqrt(2), rng.randn(m, p, n)
    A = [rng.randn(p, p) for _ in range(m)]
    std = np.where(np.arange(m) < 2, rho, 0.5)
    return S.T, [(A[v] @ (S + std[v] * E[v])).T for v in range(m)], A


@pytest.mark.parametrize(("rho", "mean", "weighted", "posterior", "amari", *"ab"), WEIGHTING)
def test_published_value_of_the_weighting(rho, mean, weighted, posterior, amari, a, b):
    rows = []
    for seed in range(5):
        S, views, A = unequal_views(rho, seed)
        model = AVICA(density="paper", random_state=0).fit(views)
        matched = match_sources(model.sources_, S)
        Y = np.array(model.transform_views(views))
        estimates = (
            Y.mean(axis=0),
            np.einsum("va,vta->ta", model.view_weights_, Y),
            model.transform(views),
        )
        S = S - S.mean(axis=0)
        errors = [np.mean((T[:, matched.permutation] * matched.signs - S) ** 2) for T in estimates]
        std = np.sqrt([model.noise_variances_[:2].mean(), model.noise_variances_[2:].mean()])
        rows.append([*errors, amari_distance(model.components_, A), *std])
    found = np.median(rows, axis=0)
    np.testing.assert_allclose(found[:4], [mean, weighted, posterior, amari], rtol=0.1)
    np.testing.assert_allclose(found[4:], [rho, 0.5], rtol=0.03)
    assert found[2] < found[1]


def test_defaults_are_the_likelihood_of_shica():
    data = make_shica("laplace", random_state=0)
    model, same = (cls(init="ica", random_state=0).fit(data.views) for cls in (AVICA, ShICAML))
    np.testing.assert_array_equal(model.sources_, same.sources_)
    assert AVICA().init == "ica"


@pytest.mark.parametrize("solver", ["joint", "em", "alternate"])
def test_one_noise_variance_a_view(solver):
    std = [0.3, 0.5, 0.8, 1.2]
    data = make_multiview_ica(
        4, 1000, 3, source_scaling="unit_variance", noise_std=std, random_state=0
    )
    model = AVICA(noise="view", solver=solver, max_iter=3000, tol=1e-5, random_state=0)
    model.fit(data.views)
    assert model.converged_
    assert np.all(np.diff(model.objective_history_) <= 1e-13)
    np.testing.assert_allclose(np.ptp(model.noise_variances_, axis=1), 0, atol=1e-12)
    np.testing.assert_allclose(np.sqrt(model.noise_variances_[:, 0]), std, rtol=0.07)
    joint = AVICA(noise="view", random_state=0).fit(data.views)
    assert model.objective_ == pytest.approx(joint.objective_, abs=1e-6)


def test_fewer_noise_levels_help_when_samples_are_few():
    """Equal noise over components, 60 samples: the tied fit is closer to the truth."""
    errors = {}
    for noise in ("view", "view_component"):
        errors[noise] = []
        for seed in range(5):
            std = np.array([0.3, 0.5, 0.7, 1.0])
            data = make_multiview_ica(
                4, 60, 2, source_scaling="unit_variance", noise_std=std, random_state=seed
            )
            model = AVICA(noise=noise, random_state=0).fit(data.views)
            errors[noise].append(np.abs(np.log(model.noise_variances_ / std[:, None] ** 2)).mean())
    assert np.mean(errors["view"]) < np.mean(errors["view_component"])


def test_added_view_has_one_noise_variance_too():
    std = [0.3, 0.5, 0.8, 0.6]
    data = make_multiview_ica(
        4, 2000, 3, source_scaling="unit_variance", noise_std=std, random_state=0
    )
    model = AVICA(noise="view", random_state=0).fit(data.views[:3])
    model.add_view(data.views[3])
    assert np.ptp(model.noise_variances_[3]) < 1e-12
    assert np.sqrt(model.noise_variances_[3, 0]) == pytest.approx(0.6, rel=0.07)


def test_weights_follow_the_noise():
    S, views, _ = unequal_views(2.0, 0)
    model = AVICA(random_state=0).fit(views)
    weights = model.view_weights_
    np.testing.assert_allclose(
        weights * model.noise_variances_, np.tile((1 / (1 / model.noise_variances_).sum(axis=0)),
        (6, 1)), rtol=1e-12,
    )  # fmt: skip
    assert weights[:2].max() < 0.1 * weights[2:].min() + 0.02
    correlation = [
        np.corrcoef(a, b)[0, 1] ** 2
        for a, b in zip(
            model.sources_.T, S[:, match_sources(S, model.sources_).permutation].T, strict=True
        )
    ]
    np.testing.assert_allclose(correlation, model.reliability_, atol=0.03)


def test_function_form():
    data = make_shica("laplace", n_samples=300, random_state=0)
    found, model = avica(data.views, random_state=0), AVICA(random_state=0).fit(data.views)
    np.testing.assert_array_equal(found.sources, model.sources_)
