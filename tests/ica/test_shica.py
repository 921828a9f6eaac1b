"""ShICAJ and ShICAML: published figures, invariances, missing views, and what surrounds a fit."""

import warnings

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

from mvica import AVICA, MultiViewICA, ShICAJ, ShICAML
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
    ("scenario", "n", "most"),
    [
        ("gauss", 100, 0.021),
        ("gauss", 464, 0.0071),
        ("gauss", 2154, 0.0009),
        ("laplace", 100, 0.2),
        ("laplace", 464, 0.012),
        ("laplace", 2154, 0.0023),
        ("half", 100, 0.035),
        ("half", 464, 0.0075),
        ("half", 2154, 0.0017),
    ],
)
def test_grid_of_the_paper(scenario, n, most):
    """Reference package, five seeds: .019 .0062 .0006; .56 .022 .0023; .043 .0075 .0016."""
    distances = []
    for seed in range(5):
        data = make_shica(scenario, n_samples=n, random_state=seed)
        distances.append(amari_distance(fit(data.views).components_, data.mixings))
    assert np.median(distances) < most


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
        assert found[2] < 1.15 * figures[2]


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


# Difficult data --------------------------------------------------------------------------------


def test_one_view_is_plain_ica():
    data = make_multiview_ica(1, 4000, 4, noise_std=0, random_state=0)
    for density in ("heavy", "adaptive"):
        model = fit(data.views, density=density)
        assert amari_distance(model.components_, data.mixings) < 0.005
        np.testing.assert_array_equal(model.noise_variances_, 0)
        np.testing.assert_array_equal(model.view_weights_, 1)
        np.testing.assert_allclose(model.reliability_, 1)
        np.testing.assert_allclose(model.posterior_variance_, 0, atol=1e-9)
        np.testing.assert_allclose(model.transform(data.views), model.sources_, atol=1e-10)
        assert np.isfinite(model.score(data.views))
    components = ShICAJ().fit(data.views)
    np.testing.assert_allclose(np.cov(components.sources_.T, ddof=0), np.eye(4), atol=1e-9)


@pytest.mark.parametrize("cls", [ShICAJ, ShICAML, AVICA])
def test_two_views_have_equal_noise(cls):
    data = make_multiview_ica(
        2, 3000, 3, source_scaling="unit_variance", noise_std=0.6, random_state=0
    )
    model = cls(random_state=0).fit(data.views)
    assert model.converged_
    np.testing.assert_allclose(model.noise_variances_[0], model.noise_variances_[1])
    if cls is not ShICAJ:
        np.testing.assert_allclose(model.noise_variances_, 0.36, rtol=0.15)
        assert amari_distance(model.components_, data.mixings) < 0.01


def test_two_views_by_covariances_are_canonical_correlation_analysis():
    data = make_shica("gauss", 2, 1000, 3, random_state=0)
    model = ShICAJ(random_state=0).fit(data.views)
    Y = np.hstack(model.transform_views(data.views))
    C = np.corrcoef(Y.T)
    correlations = np.diag(C[:3, 3:])
    np.testing.assert_allclose(C[:3, :3], np.eye(3), atol=1e-9)
    np.testing.assert_allclose(C[:3, 3:], np.diag(correlations), atol=1e-7)
    np.testing.assert_allclose(1 / (1 + model.noise_variances_[0]), correlations, rtol=1e-7)


def test_component_missing_in_views_gets_the_largest_noise(half):
    rng = np.random.default_rng(3)
    views = []
    for v, (X, A) in enumerate(zip(half.views, half.mixings, strict=True)):
        Y = np.linalg.solve(A, X.T)
        if v < 2:
            Y[0] = rng.standard_normal(1000)
        views.append((A @ Y).T)
    for density in ("paper", "heavy"):
        model = fit(views, density=density)
        assert model.converged_
        assert model.n_iter_ <= 30
        assert np.sum(model.noise_variances_[:2] > 100) == 2
        assert model.noise_variances_[2:].max() < 5


def test_component_of_one_view_is_reported(half):
    views = []
    for v, X in enumerate(half.views):
        rng = np.random.default_rng(v)
        wide = np.hstack([X, rng.standard_normal((1000, 1))])
        views.append(wide @ rng.standard_normal((5, 5)))
    with pytest.warns(UserWarning, match=r"one view alone shows: 4 \(of view \d\)"):
        model = fit(views)
    assert model.converged_
    assert model.reliability_[:4].min() > 0.7


def test_copies_of_a_view_are_reported(half):
    copy = half.views[0] @ np.random.default_rng(0).standard_normal((4, 4))
    for cls in (ShICAJ, ShICAML):
        with pytest.warns(UserWarning, match=r"Views \[0, 5\] show the same signals.*copies"):
            model = cls(random_state=0).fit([*half.views, copy])
        assert np.all(np.isfinite(model.sources_))
        assert model.noise_variances_.min() > 1e-4


def test_too_few_samples_are_refused():
    views = np.random.default_rng(0).standard_normal((3, 7, 4))
    with pytest.raises(ValueError, match=r"7 samples are too few for 4 components.*3 or less"):
        fit(list(views))


def test_rank_deficient_view_is_refused(half):
    flat = half.views[1] @ np.diag([1, 1, 1, 0])
    with pytest.raises(ValueError, match=r"view 1 .*rank 3"):
        fit([half.views[0], flat, half.views[2]], n_components=4)


def test_outliers_leave_no_nan(half):
    views = [X.copy() for X in half.views]
    views[2][17] *= 1e4
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        model = fit(views)
    assert np.all(np.isfinite(model.sources_))
    assert np.isfinite(model.objective_)


def test_more_features_than_components():
    data = make_multiview_ica(
        5, 2000, 3, 12, noise_std=0.4, private_rank=3, private_scale=5, sensor_noise_std=0.1,
        random_state=0,
    )  # fmt: skip
    model = fit(data.views, n_components=3)
    matched = match_sources(model.sources_, data.sources)
    found = model.sources_[:, matched.permutation] * matched.signs
    S = data.sources / data.sources.std(axis=0)
    assert np.mean((found - S) ** 2) < 0.06
    for A, truth in zip(model.mixing_, data.mixings, strict=True):
        A = A[:, matched.permutation] * matched.signs
        cosine = np.sum(A * truth, axis=0) / np.linalg.norm(A, axis=0)
        assert np.all(cosine / np.linalg.norm(truth, axis=0) > 0.94)


def test_float32_views_give_the_same_fit(half):
    model, narrow = fit(half.views), fit([X.astype(np.float32) for X in half.views])
    assert narrow.sources_.dtype == np.float32
    np.testing.assert_allclose(narrow.sources_, model.sources_, atol=1e-4)


# Score and new views ---------------------------------------------------------------------------


def test_score_is_the_log_of_a_probability_density():
    """Integrated over all data of two views with one feature each, exp(score) is one."""
    data = make_shica("laplace", 2, 200, 1, random_state=0)
    model = fit(data.views)

    def likelihood(x, y):
        return np.exp(model.score([np.array([[x]]), np.array([[y]])]))

    scales = [X.std() for X in data.views]
    grids = [np.linspace(-10 * s, 10 * s, 61) for s in scales]
    values = np.array([[likelihood(x, y) for y in grids[1]] for x in grids[0]])
    total = np.trapezoid(np.trapezoid(values, grids[1]), grids[0])
    assert total == pytest.approx(1, abs=0.01)


def test_score_matches_the_objective_and_ranks_densities():
    data = make_shica("laplace", n_samples=4000, random_state=0)
    train, test = [X[:2000] for X in data.views], [X[2000:] for X in data.views]
    scores = {}
    for density in ("heavy", "paper", "gaussian"):
        model = fit(train, density=density)
        scores[density] = model.score(test)
    assert scores["heavy"] > scores["paper"] > scores["gaussian"]
    white = [np.linalg.inv(np.linalg.cholesky(np.cov(X.T, ddof=0))) for X in train]
    white = [(X - X.mean(axis=0)) @ R.T for X, R in zip(train, white, strict=True)]
    model = fit(white)
    constant = 4 * 4 / 2 * np.log(2 * np.pi)
    assert model.score(white) == pytest.approx(-model.objective_ - constant, rel=1e-10)


def test_score_ranks_the_number_of_views_that_noise_describes(half):
    equal = fit(half.views)
    model = AVICA(noise="view", random_state=0).fit(half.views)
    assert equal.score(half.views) > model.score(half.views)


def test_added_view_agrees_with_a_fit_of_all():
    data = make_shica("cohort", 12, 2000, 5, random_state=0)
    every = fit(data.views)
    model = fit(data.views[:-1])
    before = [U.copy() for U in model.components_]
    model.add_view(data.views[-1])
    for U, V in zip(before, model.components_, strict=False):
        np.testing.assert_array_equal(U, V)
    order = match_sources(model.sources_, every.sources_)
    np.testing.assert_allclose(
        model.noise_variances_[-1, order.permutation], every.noise_variances_[-1], rtol=0.1
    )
    new = amari_distance(model.components_[-1:], data.mixings[-1:])
    assert new < 1.3 * amari_distance(every.components_[-1:], data.mixings[-1:])
    regression = np.linalg.lstsq(data.views[-1], every.sources_)[0].T
    assert new < 0.8 * amari_distance([regression], data.mixings[-1:])
    np.testing.assert_allclose(model.view_weights_.sum(axis=0), 1)
    assert model.transform(data.views).shape == (2000, 5)
    assert model.agreement_.shape == model.explained_variance_ratio_.shape == (12, 5)


def test_added_views_build_on_the_samples_they_are_given(half):
    """The same view added by the training sources and by transformed ones is the same."""
    first, second = fit(half.views[:4]), fit(half.views[:4])
    first.add_view(half.views[4]).add_view(half.views[0])
    second.add_view(half.views[4], shared=second.transform(half.views[:4]))
    np.testing.assert_allclose(second.components_[4], first.components_[4], rtol=1e-6)
    np.testing.assert_allclose(second.noise_variances_[4], first.noise_variances_[4], rtol=1e-6)
    assert first.n_views_ == 6


def test_view_added_by_covariances_is_the_likely_one():
    data = make_shica("cohort", 8, 2000, 4, random_state=0)
    model = ShICAJ(random_state=0).fit(data.views[:-1])
    model.add_view(data.views[-1])
    order = match_sources(model.sources_, data.sources).permutation
    variances = data.sources.var(axis=0)
    truth = data.noise_variances[-1] / variances
    np.testing.assert_allclose(model.noise_variances_[-1, order], truth, rtol=0.2)
    assert amari_distance(model.components_[-1:], data.mixings[-1:]) < 0.01


def test_view_added_to_one_view_is_finite():
    data = make_multiview_ica(2, 2000, 3, noise_std=0.3, random_state=0)
    model = fit(data.views[:1]).add_view(data.views[1])
    assert np.all(np.isfinite(model.transform(data.views)))
    assert amari_distance(model.components_[1:], data.mixings[1:]) < 0.02


def test_posterior_uses_what_multiview_ica_does_not_know():
    """One view ten times noisier: learned weights keep the error of the clean ones."""
    std = [0.3, 0.3, 0.3, 3.0]
    data = make_multiview_ica(
        4, 2000, 4, source_scaling="unit_variance", noise_std=std, random_state=0
    )
    errors = {}
    for cls in (MultiViewICA, ShICAML):
        found = cls(random_state=0).fit(data.views).sources_
        matched = match_sources(found, data.sources)
        aligned = found[:, matched.permutation] * matched.signs
        errors[cls] = np.mean((aligned - data.sources) ** 2)
    assert errors[ShICAML] < 0.5 * errors[MultiViewICA]


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
