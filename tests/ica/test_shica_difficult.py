"""ShICA on difficult data, its scores, and views added to a fit."""

import warnings

import numpy as np
import pytest

from mvica import AVICA, MultiViewICA, ShICAJ, ShICAML
from mvica.datasets import make_multiview_ica, make_shica
from mvica.metrics import amari_distance, match_sources


@pytest.fixture(scope="module")
def half():
    """Two Laplace and two normal sources in five views of 1000 samples."""
    return make_shica("half", random_state=0)


def fit(views, **parameters):
    return ShICAML(random_state=0, **parameters).fit(views)


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
