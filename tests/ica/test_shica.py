"""ShICAJ and ShICAML: published figures, invariances, missing views, and what surrounds a fit."""

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

from mvica import ShICAJ, ShICAML
from mvica.datasets import make_multiview_ica, make_shica
from mvica.ica import Mixture, shica_j, shica_ml
from mvica.metrics import amari_distance, match_sources

# Squared Amari distances on centred data: of ShICAJ, of the paper's density, of the heavy one.
# Medians of three seeds, one for "cohort". For "laplace" covariances cannot tell sources apart.
PUBLISHED = {
    "gauss": (0.00345, 0.00156, 0.00153),
    "laplace": (None, 0.00754, 0.00725),
    "half": (0.162, 0.00323, 0.00255),
    "cohort": (0.00288, 0.00228, 0.00224),
}


def seeds(scenario):
    return range(1 if scenario == "cohort" else 3)


@pytest.fixture(scope="module")
def half():
    """Two Laplace and two normal sources in five views of 1000 samples."""
    return make_shica("half", random_state=0)


def solver_unmixings(model):
    """Unmixings in the scale of the solver, which the published figures have."""
    return [U * model.scale_[:, None] for U in model.components_]


def fit(views, **parameters):
    return ShICAML(random_state=0, **parameters).fit(views)


@pytest.mark.parametrize("scenario", PUBLISHED)
def test_reaches_the_published_accuracy(scenario):
    by_covariances, paper, heavy = PUBLISHED[scenario]
    distances = []
    for seed in seeds(scenario):
        data = make_shica(scenario, random_state=seed)
        models = (
            ShICAJ(random_state=0).fit(data.views),
            fit(data.views, density="paper"),
            fit(data.views),
        )
        for model in models[1:]:
            assert model.converged_
            assert model.gradient_norm_ < 1e-6
            assert np.all(np.diff(model.objective_history_) <= 1e-13)
            assert len(model.objective_history_) == model.n_iter_ + 1
        distances.append([amari_distance(solver_unmixings(m), data.mixings) for m in models])
    found = np.median(distances, axis=0)
    assert by_covariances is None or found[0] < 1.02 * by_covariances
    assert found[1] < 1.02 * paper
    assert found[2] < 1.02 * heavy


@pytest.mark.slow
@pytest.mark.parametrize(
    ("scenario", "n", "reference", "most"),
    [
        ("gauss", 100, 0.019, 0.021),
        ("gauss", 464, 0.00615, 0.0071),
        ("gauss", 2154, 0.00055, 0.0009),
        ("laplace", 100, 0.56, 0.2),
        ("laplace", 464, 0.022, 0.012),
        ("laplace", 2154, 0.00227, 0.0023),
        ("half", 100, 0.043, 0.035),
        ("half", 464, 0.00752, 0.0075),
        ("half", 2154, 0.00163, 0.0017),
    ],
)
def test_grid_of_the_paper(scenario, n, reference, most):
    """Heavy tails cost normal sources some accuracy; learned densities match the reference."""
    distances = []
    for seed in range(5):
        data = make_shica(scenario, n_samples=n, random_state=seed)
        models = fit(data.views), fit(data.views, density="adaptive")
        distances.append([amari_distance(model.components_, data.mixings) for model in models])
    heavy, adaptive = np.median(distances, axis=0)
    assert heavy < most
    assert adaptive < 1.1 * reference


def test_gaussian_likelihood_improves_on_joint_diagonalisation():
    gains = []
    for seed in range(4):
        data = make_shica("gauss", random_state=seed)
        joint = ShICAJ(random_state=0).fit(data.views)
        likely = fit(data.views, density="gaussian")
        gains.append(
            amari_distance(joint.components_, data.mixings)
            / amari_distance(likely.components_, data.mixings)
        )
    assert np.median(gains) > 1.2


@pytest.mark.parametrize("sources", ["laplace", "uniform", "mixed", "gaussian"])
def test_adaptive_density_suits_every_kind_of_source(sources):
    noise = np.random.default_rng(0).uniform(0.3, 1, (5, 4))
    data = make_multiview_ica(
        5, 1000, 4, sources=sources, source_scaling="unit_variance", noise_std=noise, random_state=0
    )
    model = fit(data.views, density="adaptive")
    assert model.converged_
    assert amari_distance(model.components_, data.mixings) < 0.005
    assert np.all(np.diff(model.objective_history_) <= 1e-13)
    for density in model.densities_:
        power = density.weights @ (density.variances + density.means**2)
        assert power == pytest.approx(1)


def test_light_tails_under_a_heavy_density_are_reported():
    data = make_multiview_ica(5, 2000, 4, sources="uniform", noise_std=0.6, random_state=0)
    with pytest.warns(UserWarning, match=r"4 sources have light tails.*adaptive"):
        wrong = fit(data.views)
    right = fit(data.views, density="sub")
    assert amari_distance(right.components_, data.mixings) < 0.005
    assert amari_distance(wrong.components_, data.mixings) > 0.05


def test_density_of_your_own(half):
    heavy = Mixture([0.25, 0.35, 0.3, 0.1], [0.1, 0.5, 1.5, 4.0])
    model, same = fit(half.views), fit(half.views, density=heavy)
    np.testing.assert_allclose(same.sources_, model.sources_, atol=1e-10)
    np.testing.assert_allclose(model.densities_[0].variances, heavy.variances)


# Invariances -----------------------------------------------------------------------------------


def test_units_of_a_view_do_not_matter(half):
    factors = [1e-13, 1.0, 1e9, 1e-13, 1e-30]
    for cls in (ShICAJ, ShICAML):
        model = cls(random_state=0).fit(half.views)
        scaled = cls(random_state=0).fit([f * X for f, X in zip(factors, half.views, strict=True)])
        assert scaled.n_iter_ == model.n_iter_
        np.testing.assert_allclose(scaled.sources_, model.sources_, atol=1e-7)
        np.testing.assert_allclose(scaled.noise_variances_, model.noise_variances_, rtol=1e-6)
        for f, U, V in zip(factors, model.components_, scaled.components_, strict=True):
            np.testing.assert_allclose(f * V, U, atol=1e-7)


def test_invertible_maps_of_the_features_do_not_matter(half):
    rng = np.random.default_rng(0)
    mapped = [X @ rng.standard_normal((4, 4)) + 5 for X in half.views]
    model, other = fit(half.views, tol=1e-8), fit(mapped, tol=1e-8)
    for Y, T in zip(model.transform_views(half.views), other.transform_views(mapped), strict=True):
        np.testing.assert_allclose(T, Y, atol=1e-6)
    np.testing.assert_allclose(other.noise_variances_, model.noise_variances_, rtol=1e-5)


def test_order_of_views_and_of_samples_does_not_matter(half):
    order, samples = [3, 0, 4, 1, 2], np.random.default_rng(0).permutation(1000)
    model = fit(half.views, tol=1e-8)
    turned = fit([half.views[v][samples] for v in order], tol=1e-8)
    np.testing.assert_allclose(turned.sources_, model.sources_[samples], atol=1e-6)
    np.testing.assert_allclose(turned.noise_variances_, model.noise_variances_[order], rtol=1e-5)


def test_reported_scale_order_and_sign(half):
    model = fit(half.views)
    assert np.all(np.diff(model.reliability_) <= 0)
    assert np.all((model.sources_**3).mean(axis=0) > 0)
    np.testing.assert_allclose(model.view_weights_.sum(axis=0), 1)
    power = (model.sources_**2).mean(axis=0) + model.posterior_variance_
    np.testing.assert_allclose(power, 1)
    for U, A in zip(model.components_, model.mixing_, strict=True):
        np.testing.assert_allclose(U @ A, np.eye(4), atol=1e-10)


# Sources ---------------------------------------------------------------------------------------


def test_transform_gives_the_training_sources(half):
    for cls in (ShICAJ, ShICAML):
        model = cls(random_state=0).fit(half.views)
        np.testing.assert_allclose(model.transform(half.views), model.sources_, atol=1e-10)


@pytest.mark.parametrize("present", [[0, 1, 2, 3, 4], [3, 1], [2]])
def test_normal_sources_are_regressed_on_the_views_present(present):
    """The posterior mean is the linear regression that the fitted model implies."""
    data = make_shica("gauss", random_state=0)
    model = fit(data.views, density="gaussian")
    found = model.transform([data.views[v] for v in present], views=present)
    Y = [model.transform_view(data.views[v], v) for v in present]
    for a in range(4):
        C = np.ones((len(present),) * 2) + np.diag(model.noise_variances_[present, a])
        weights = np.linalg.solve(C, np.ones(len(present)))
        expected = weights @ np.array([y[:, a] for y in Y])
        np.testing.assert_allclose(found[:, a], expected, atol=1e-12)


def test_posterior_means_beat_weighted_and_plain_means():
    """Published errors of mean, weighted mean and posterior mean in the three regimes."""
    published = {
        "gauss": (0.0647, 0.0263, 0.0247),
        "laplace": (0.1123, 0.1126, 0.0964),
        "half": (0.0896, 0.0687, 0.0603),
    }
    for scenario, figures in published.items():
        errors = []
        for seed in range(3):
            data = make_shica(scenario, random_state=seed)
            model = fit(data.views, density="paper")
            S = data.sources / np.sqrt([2 if k < {"laplace": 4, "half": 2}.get(scenario, 0) else 1
                                        for k in range(4)])  # fmt: skip
            S = S - S.mean(axis=0)
            Y = np.array(model.transform_views(data.views))
            estimates = (
                Y.mean(axis=0),
                np.einsum("va,vta->ta", model.view_weights_, Y),
                model.transform(data.views),
            )
            matched = match_sources(model.sources_, S)
            errors.append(
                [np.mean((T[:, matched.permutation] * matched.signs - S) ** 2) for T in estimates]
            )
        found = np.median(errors, axis=0)
        assert found[2] < 1.02 * found[1]
        if scenario != "laplace":
            assert found[1] < found[0]
        assert found[2] < 1.1 * figures[2]


def test_posterior_variance_is_the_error():
    data = make_shica("laplace", n_samples=5000, random_state=0)
    model = fit(data.views)
    S = data.sources / data.sources.std(axis=0)
    matched = match_sources(model.sources_, S)
    error = np.mean((model.sources_[:, matched.permutation] * matched.signs - S) ** 2, axis=0)
    np.testing.assert_allclose(model.posterior_variance_[matched.permutation], error, rtol=0.1)


def test_noise_levels_are_recovered():
    for seed in range(3):
        data = make_shica("gauss", n_samples=2000, random_state=seed)
        model = fit(data.views, density="paper")
        order = match_sources(model.sources_, data.sources).permutation
        truth = data.noise_variances
        clear = truth > 0.02
        assert np.mean(np.abs(np.log(model.noise_variances_[:, order] / truth))[clear]) < 0.1


# Starts and solvers ----------------------------------------------------------------------------


@pytest.mark.parametrize("init", ["shica_j", "ica", "mvica"])
def test_every_start_leads_to_the_same_optimum(half, init):
    assert fit(half.views, init=init).objective_ == pytest.approx(
        fit(half.views).objective_, abs=1e-9
    )


def test_best_of_two_starts_is_kept_where_they_differ():
    """Few samples, Laplace sources: the starts may end in different optima."""
    for seed in range(4):
        data = make_shica("laplace", n_samples=100, random_state=seed)
        both = fit(data.views).objective_
        singles = [fit(data.views, init=init).objective_ for init in ("shica_j", "ica")]
        assert min(abs(both - single) for single in singles) < 1e-8


def test_warm_start_continues(half):
    cold = fit(half.views)
    warm = fit(half.views, init=cold.components_)
    assert warm.n_iter_ <= max(4, cold.n_iter_)
    assert warm.objective_ == pytest.approx(cold.objective_, abs=1e-10)
    with pytest.raises(ValueError, match=r"expected \[\(4, 4\)"):
        fit(half.views, init=cold.components_[:4])


@pytest.mark.parametrize("solver", ["em", "alternate"])
def test_solvers_agree(solver):
    data = make_shica("laplace", n_samples=500, random_state=0)
    joint, other = fit(data.views), fit(data.views, solver=solver, max_iter=3000, tol=1e-5)
    assert other.converged_
    assert other.n_iter_ > 3 * joint.n_iter_
    assert other.objective_ == pytest.approx(joint.objective_, abs=1e-6)
    np.testing.assert_allclose(other.sources_, joint.sources_, atol=1e-2)


def test_too_few_iterations_are_reported(half):
    with pytest.warns(ConvergenceWarning, match=r"1 iterations.*gradient .*max_iter \(now 1\)"):
        model = fit(half.views, max_iter=1)
    assert not model.converged_
    assert model.n_iter_ == 1
    assert len(model.objective_history_) == 2


def test_verbose_shows_progress(half, capfd):
    fit(half.views, verbose=1)
    assert "ShICAML" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"density": "logcosh"}, "density"),
        ({"init": "random"}, "init"),
        ({"solver": "newton"}, "solver"),
        ({"tol": 0}, "tol"),
        ({"max_iter": 0}, "max_iter"),
        ({"n_components": 5}, "n_components=5 is too large"),
    ],
)
def test_bad_parameters_are_named(half, parameters, message):
    with pytest.raises(ValueError, match=message):
        fit(half.views, **parameters)


def test_function_forms(half):
    for function, cls in ((shica_j, ShICAJ), (shica_ml, ShICAML)):
        found, model = function(half.views, random_state=0), cls(random_state=0).fit(half.views)
        np.testing.assert_array_equal(found.sources, model.sources_)
        np.testing.assert_array_equal(found.noise_variances, model.noise_variances_)
        for U, V in zip(found.components, model.components_, strict=True):
            np.testing.assert_array_equal(U, V)
