"""MultiViewICA: published figures, invariances, and what surrounds a fit."""

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

from mvica import MultiViewData, MultiViewICA
from mvica.datasets import make_multiview_ica
from mvica.ica import Density, multiview_ica, multiview_ica_objective
from mvica.metrics import amari_distance, match_sources, source_error
from tests.ica.conftest import stacked

CONVERGED = {  # objective and squared Amari distance of the optimum on centred data
    "small": ((5, 5, 1000, 0.5), 8.1867132, 0.004456),
    "paper": ((10, 15, 1000, 1.0), 211.4500801, 0.024357),
    "manyviews": ((100, 20, 1000, 1.0), 2900.0072999, 0.02799),
}


def workload(m, p, n, sigma, seed=0):
    return make_multiview_ica(
        n_views=m, n_samples=n, n_components=p, noise_std=sigma, random_state=seed
    )


def solver_unmixings(model):
    """Unmixings in the scale of the solver, which the published figures have."""
    return [U * model.scale_[:, None] for U in model.components_]


def objective_of(model, views):
    return multiview_ica_objective([X - X.mean(axis=0) for X in views], solver_unmixings(model))


@pytest.mark.parametrize("name", CONVERGED)
def test_reaches_the_published_optimum(name):
    size, objective, amari = CONVERGED[name]
    data = workload(*size)
    model = MultiViewICA(random_state=0).fit(data.views)
    assert model.converged_
    assert objective_of(model, data.views) == pytest.approx(objective, rel=1e-8)
    assert amari_distance(solver_unmixings(model), data.mixings) == pytest.approx(amari, rel=1e-3)


@pytest.mark.slow
def test_reaches_the_published_optimum_on_long_recordings():
    data = workload(10, 40, 50_000, 1.0)
    model = MultiViewICA(random_state=0).fit(data.views)
    assert objective_of(model, data.views) == pytest.approx(757.4619435, rel=1e-8)
    assert amari_distance(solver_unmixings(model), data.mixings) == pytest.approx(
        0.001065, rel=1e-3
    )


@pytest.mark.parametrize(
    ("sigma", "bound"), [(0.01, 0.0140), (0.1, 0.0120), (1, 0.0245), (2, 0.063)]
)
def test_noise_sweep(sigma, bound):
    """Figures of the published package on this simulation: .0122, .0113, .0241 up to sigma 1."""
    distances = []
    for seed in range(2):
        data = workload(10, 15, 1000, sigma, seed)
        model = MultiViewICA(random_state=0).fit(data.views)
        distances.append(amari_distance(model.components_, data.mixings))
    assert np.mean(distances) < bound


def test_alternate_solver_reaches_the_joint_optimum(group):
    joint = MultiViewICA(random_state=0).fit(group.views)
    alternate = MultiViewICA(solver="alternate", max_iter=1000, random_state=0).fit(group.views)
    assert alternate.converged_
    assert alternate.n_iter_ > 5 * joint.n_iter_
    assert alternate.objective_ == pytest.approx(joint.objective_, rel=1e-8)
    np.testing.assert_allclose(alternate.sources_, joint.sources_, atol=1e-3)


@pytest.mark.parametrize("init", ["mcca", "permica", "groupica", "best"])
def test_every_start_leads_to_the_same_optimum(group, init):
    model = MultiViewICA(init=init, random_state=0).fit(group.views)
    assert objective_of(model, group.views) == pytest.approx(8.1867132, rel=1e-7)


def test_random_starts_keep_the_best(group):
    limits = {"init": "random", "max_iter": 500}
    rng = np.random.RandomState(0)
    singles = [MultiViewICA(random_state=rng, **limits).fit(group.views) for _ in range(4)]
    many = MultiViewICA(n_init=4, random_state=0, **limits).fit(group.views)
    assert many.objective_ == min(model.objective_ for model in singles)


def test_density_extended_finds_each_kind():
    data = make_multiview_ica(
        n_views=4, n_samples=2000, n_components=4, sources="mixed", noise_std=0.5, random_state=0
    )
    model = MultiViewICA(density="extended", random_state=0).fit(data.views)
    assert amari_distance(model.components_, data.mixings) < 0.003
    kurtosis = (data.sources**4).mean(axis=0) / (data.sources**2).mean(axis=0) ** 2 - 3
    order = match_sources(model.sources_, data.sources).permutation
    np.testing.assert_array_equal(model.sub_gaussian_[order], kurtosis < 0)
    wrong = MultiViewICA(density="logcosh", random_state=0).fit(data.views)
    assert amari_distance(wrong.components_, data.mixings) > 0.1


@pytest.mark.slow
def test_extended_is_right_on_every_mixture():
    """Half Laplace, half uniform sources: 60 of 60 fits."""
    for p in (4, 8):
        for m in (3, 4, 5):
            for seed in range(10):
                data = make_multiview_ica(
                    n_views=m, n_samples=2000, n_components=p, sources="mixed", noise_std=0.5,
                    random_state=seed,
                )  # fmt: skip
                model = MultiViewICA(density="extended", random_state=0).fit(data.views)
                assert amari_distance(model.components_, data.mixings) < 0.02


def test_custom_density_equals_the_built_in_one(group):
    def log_cosh(u):
        return np.abs(u) + np.log1p(np.exp(-2 * np.abs(u)))

    density = Density(log_cosh, np.tanh, lambda u: 1 - np.tanh(u) ** 2)
    mine = MultiViewICA(density=density, random_state=0).fit(group.views)
    built_in = MultiViewICA(random_state=0).fit(group.views)
    np.testing.assert_allclose(mine.sources_, built_in.sources_, atol=1e-9)
    assert mine.score(group.views) == pytest.approx(built_in.score(group.views), rel=1e-9)


def test_private_activity_ten_times_stronger_does_not_hide_the_sources():
    data = make_multiview_ica(
        n_views=8, n_samples=2000, n_components=5, n_features=30, noise_std=0, private_rank=5,
        private_scale=10, sensor_noise_std=0.5, random_state=0,
    )  # fmt: skip
    model = MultiViewICA(5, random_state=0).fit(data.views)
    assert source_error(model.sources_, data.sources) < 0.0016 * 1.25
    by_variance = MultiViewICA(5, reduction="pca", max_iter=1000, random_state=0)
    assert source_error(by_variance.fit(data.views).sources_, data.sources) > 0.5


def same_components(model, other, transforms=None, atol=1e-6):
    for v, (U, V) in enumerate(zip(model.components_, other.components_, strict=True)):
        expected = U if transforms is None else U @ transforms[v]
        np.testing.assert_allclose(V, expected, atol=atol * np.abs(expected).max())


def test_units_of_a_view_do_not_matter(group):
    factors = [1e-13, 1.0, 1e9, 1e-13, 1e-30]
    model = MultiViewICA(random_state=0).fit(group.views)
    scaled = MultiViewICA(random_state=0).fit(
        [f * X for f, X in zip(factors, group.views, strict=True)]
    )
    same_components(model, scaled, [np.eye(5) / f for f in factors], atol=1e-9)
    np.testing.assert_allclose(scaled.sources_, model.sources_, atol=1e-9)


def test_offsets_do_not_matter(group):
    model = MultiViewICA(random_state=0).fit(group.views)
    moved = MultiViewICA(random_state=0).fit([X + 10 * (v + 1) for v, X in enumerate(group.views)])
    same_components(model, moved)


def test_order_of_views_does_not_matter(group):
    model = MultiViewICA(random_state=0, tol=1e-8).fit(group.views)
    turned = MultiViewICA(random_state=0, tol=1e-8).fit(group.views[::-1])
    turned.components_ = turned.components_[::-1]
    same_components(model, turned)


def test_invertible_maps_of_the_features_do_not_matter(group):
    rng = np.random.default_rng(0)
    maps = [rng.standard_normal((5, 5)) for _ in group.views]
    model = MultiViewICA(random_state=0, tol=1e-8).fit(group.views)
    mapped = MultiViewICA(random_state=0, tol=1e-8).fit(
        [X @ B for X, B in zip(group.views, maps, strict=True)]
    )
    order = match_sources(mapped.sources_, model.sources_).permutation
    mapped.components_ = [U[order] for U in mapped.components_]  # shares of variance have changed
    same_components(model, mapped, [np.linalg.inv(B).T for B in maps])


def test_duplicating_the_samples_changes_nothing(group):
    model = MultiViewICA(random_state=0, tol=1e-8).fit(group.views)
    twice = MultiViewICA(random_state=0, tol=1e-8).fit([np.vstack([X, X]) for X in group.views])
    same_components(model, twice)


def test_order_of_samples_does_not_matter(group):
    order = np.random.default_rng(0).permutation(1000)
    model = MultiViewICA(random_state=0, tol=1e-8).fit(group.views)
    shuffled = MultiViewICA(random_state=0, tol=1e-8).fit([X[order] for X in group.views])
    same_components(model, shuffled)


def test_one_view_is_plain_ica():
    data = workload(1, 4, 3000, 0.0)
    model = MultiViewICA(random_state=0).fit(data.views)
    assert amari_distance(model.components_, data.mixings) < 0.005
    np.testing.assert_allclose(model.noise_variances_, 0, atol=1e-12)
    assert np.all(np.isnan(model.agreement_))
    Y = model.sources_ * model.scale_
    moments = np.tanh(Y).T @ Y / len(Y)
    np.testing.assert_allclose(moments, np.eye(4), atol=2e-5)


def test_reported_scale_order_and_sign(group):
    model = MultiViewICA(random_state=0).fit(group.views)
    np.testing.assert_allclose(model.sources_.std(axis=0), 1)
    np.testing.assert_allclose(model.sources_.mean(axis=0), 0, atol=1e-12)
    assert np.all((model.sources_**3).mean(axis=0) > 0)
    explained = model.explained_variance_ratio_.mean(axis=0)
    assert np.all(np.diff(explained) <= 0)
    np.testing.assert_allclose(model.transform(group.views), model.sources_, atol=1e-10)


def test_components_and_mixings_are_inverse_and_patterns():
    data = make_multiview_ica(
        n_views=3, n_samples=2000, n_components=3, n_features=7, noise_std=0.2,
        sensor_noise_std=0.1, random_state=0,
    )  # fmt: skip
    model = MultiViewICA(3, random_state=0).fit(data.views)
    matched = match_sources(model.sources_, data.sources)
    for X, U, A, truth in zip(
        data.views, model.components_, model.mixing_, data.mixings, strict=True
    ):
        np.testing.assert_allclose(U @ A, np.eye(3), atol=1e-10)
        Y = (X - X.mean(axis=0)) @ U.T
        regression = np.linalg.lstsq(Y, X - X.mean(axis=0))[0].T
        np.testing.assert_allclose(A, regression, atol=1e-8)
        found = A[:, matched.permutation] * matched.signs
        cosine = np.sum(found * truth, axis=0)
        cosine /= np.linalg.norm(found, axis=0) * np.linalg.norm(truth, axis=0)
        assert np.all(cosine > 0.99)


def test_noise_and_agreement_are_those_of_the_simulation():
    noise = np.array([[0.2], [0.5], [1.0], [0.5], [0.2]]) * np.ones((5, 3))
    data = make_multiview_ica(
        n_views=5, n_samples=20_000, n_components=3, noise_std=noise, random_state=0
    )
    model = MultiViewICA(random_state=0).fit(data.views)
    Y = model.transform_views(data.views)
    S = np.mean(Y, axis=0)
    direct = [np.mean((Y_v - S) ** 2, axis=0) * 5 / 4 for Y_v in Y]
    np.testing.assert_allclose(model.noise_variances_, direct, atol=1e-10)
    for v in range(5):
        others = np.mean([Y_u for u, Y_u in enumerate(Y) if u != v], axis=0)
        expected = [np.corrcoef(Y[v][:, a], others[:, a])[0, 1] for a in range(3)]
        np.testing.assert_allclose(model.agreement_[v], expected, atol=1e-9)
    assert np.all(model.noise_variances_[2] > 3 * model.noise_variances_[0])


def test_explained_variance_is_a_regression(group):
    model = MultiViewICA(random_state=0).fit(group.views)
    for v, X in enumerate(group.views):
        X = X - X.mean(axis=0)
        for a in range(5):
            s = model.sources_[:, a]
            residual = X - np.outer(s, s @ X) / (s @ s)
            share = 1 - np.sum(residual**2) / np.sum(X**2)
            assert model.explained_variance_ratio_[v, a] == pytest.approx(share, abs=1e-10)


def test_missing_views_at_transform(group):
    model = MultiViewICA(random_state=0).fit(group.views)
    Y = model.transform_views(group.views)
    some = model.transform([group.views[3], group.views[1]], views=[3, 1])
    np.testing.assert_allclose(some, (Y[3] + Y[1]) / 2, atol=1e-12)


MMSE = [  # views present of ten, noise std; published relative errors of the mean and of mmse
    (1, 1.0, 0.468, 0.319),
    (2, 1.0, 0.239, 0.191),
    (10, 1.0, 0.052, 0.050),
    (1, 0.3, 0.0467, 0.0442),
    (2, 0.3, 0.0250, 0.0244),
    (10, 0.3, 0.0074, 0.0074),
]


@pytest.mark.parametrize(("present", "sigma", "mean", "mmse"), MMSE)
def test_posterior_mean_beats_the_mean(present, sigma, mean, mmse):
    data = workload(10, 5, 2000, sigma)
    S = data.sources / data.sources.std(axis=0)
    errors = {}
    for estimate in ("mean", "mmse"):
        model = MultiViewICA(sources_estimate=estimate, random_state=0).fit(data.views)
        found = model.transform(data.views[:present], views=range(present))
        matched = match_sources(model.sources_, S)
        aligned = found[:, matched.permutation] * matched.signs
        errors[estimate] = np.mean((aligned - S) ** 2)
    assert errors["mean"] < 1.1 * mean
    assert errors["mmse"] < 1.1 * mmse
    assert errors["mmse"] <= errors["mean"]


def test_inverse_transform_returns_what_components_explain(group):
    model = MultiViewICA(output="concat", random_state=0).fit(group.views)
    back = model.inverse_transform(model.transform(group.views))
    assert isinstance(back, MultiViewData)
    for X, found in zip(group.views, back.views, strict=True):
        np.testing.assert_allclose(found, X, atol=1e-8)


def test_added_view_agrees_with_the_group():
    """Published medians, sigma 1 and 2: .0078 and .0189 by regression, .0071 and .0140 by ours."""
    errors = {}
    for sigma in (0.3, 1.0, 2.0):
        data = workload(11, 10, 2000, sigma)
        model = MultiViewICA(random_state=0).fit(data.views[:10])
        before = [U.copy() for U in model.components_]
        regression = np.linalg.lstsq(data.views[10] - data.views[10].mean(axis=0), model.sources_)[
            0
        ].T
        model.add_view(data.views[10])
        for U, V in zip(before, model.components_, strict=False):
            np.testing.assert_array_equal(U, V)
        last = model.components_[10:], data.mixings[10:]
        errors[sigma] = amari_distance(*last), amari_distance([regression], last[1])
    assert errors[0.3][0] < 0.0055
    assert errors[1.0][0] < 0.95 * errors[1.0][1]
    assert errors[2.0][0] < 0.8 * errors[2.0][1]
    assert model.n_views_ == 11
    assert model.transform(data.views).shape == (2000, 10)
    assert model.noise_variances_.shape == model.agreement_.shape == (11, 10)
    assert model.n_features_in_ == 110


def test_added_view_of_another_width_and_unit(group):
    rng = np.random.default_rng(0)
    mixing = rng.standard_normal((5, 9))
    new = 1e-13 * ((group.sources + 0.3 * rng.standard_normal((1000, 5))) @ mixing + 7)
    model = MultiViewICA(random_state=0).fit(group.views)
    model.add_view(new)
    correlation = [
        np.corrcoef(a, b)[0, 1]
        for a, b in zip(model.transform_view(new, 5).T, model.sources_.T, strict=True)
    ]
    assert min(correlation) > 0.9
    np.testing.assert_allclose(model.components_[5] @ model.mixing_[5], np.eye(5), atol=1e-9)
    with pytest.raises(ValueError, match=r"shape \(1000, 5\).*expected \(999, 5\)"):
        model.add_view(new[:999])


def test_warm_start_goes_on_where_a_fit_stopped(group):
    with pytest.warns(ConvergenceWarning, match="max_iter"):
        short = MultiViewICA(max_iter=3, random_state=0).fit(group.views)
    whole = MultiViewICA(random_state=0).fit(group.views)
    resumed = MultiViewICA(init=whole.components_).fit(group.views)
    assert resumed.n_iter_ == 1
    np.testing.assert_allclose(resumed.sources_, whole.sources_, atol=1e-4)
    longer = MultiViewICA(init=short.components_).fit(group.views)
    np.testing.assert_allclose(longer.sources_, whole.sources_, atol=1e-3)


def test_history_decreases_to_the_objective(group):
    model = MultiViewICA(init="permica", random_state=0).fit(group.views)
    assert len(model.objective_history_) == model.n_iter_ + 1
    assert np.all(np.diff(model.objective_history_) < 1e-9 * abs(model.objective_))
    assert model.objective_history_[-1] == model.objective_


def test_interrupted_fit_keeps_the_best_iterate(group, monkeypatch):
    import contextlib

    from mvica.ica import estimators

    @contextlib.contextmanager
    def interrupting(*_):
        def callback(n_iter, value, gradient_norm):
            if n_iter == 2:
                raise KeyboardInterrupt

        yield callback

    monkeypatch.setattr(estimators, "progress_bar", interrupting)
    with pytest.warns(ConvergenceWarning, match="interrupted"):
        model = MultiViewICA(random_state=0).fit(group.views)
    assert model.n_iter_ == 2
    assert amari_distance(model.components_, group.mixings) < 0.01


def test_progress_bar_only_when_asked(group, capsys):
    MultiViewICA(random_state=0).fit(group.views)
    assert capsys.readouterr() == ("", "")
    MultiViewICA(random_state=0, verbose=1).fit(group.views)
    assert "MultiViewICA" in capsys.readouterr().err


def test_float32_reaches_the_float64_answer():
    data = workload(10, 15, 1000, 1.0)
    tight = {"tol": 3e-6, "random_state": 0}  # two fits stop apart by what the tolerance allows
    single = MultiViewICA(**tight).fit([X.astype(np.float32) for X in data.views])
    double = MultiViewICA(**tight).fit(data.views)
    assert single.converged_
    assert single.sources_.dtype == np.float32
    np.testing.assert_allclose(single.sources_, double.sources_, atol=1e-3)
    same_components(double, single, atol=1e-3)


def test_gaussian_sources_are_reported():
    data = make_multiview_ica(
        n_views=4, n_samples=50_000, n_components=3, sources="gaussian", random_state=0
    )
    with pytest.warns(UserWarning, match="Gaussian"):
        MultiViewICA(random_state=0, max_iter=500, tol=1e-3).fit(data.views)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"init": [np.eye(5)] * 4}, r"expected \[\(5, 5\)"),
        ({"init": [np.eye(5)] * 4 + [np.full((5, 5), np.nan)]}, "NaN or infinite"),
        ({"init": [np.eye(5)] * 4 + [np.ones((5, 5))]}, "singular for view 4"),
        ({"noise": 0}, "noise"),
        ({"noise": -1.0}, "noise"),
        ({"noise": np.inf}, "noise"),
        ({"density": "tanh"}, "density"),
        ({"reduction": "ica"}, "reduction"),
        ({"solver": "newton"}, "solver"),
        ({"n_components": 6}, r"n_components=6 is too large: view 0"),
    ],
)
def test_bad_parameters_are_named(group, parameters, message):
    with pytest.raises(ValueError, match=message):
        MultiViewICA(**parameters, random_state=0).fit(group.views)


def test_function_form(group):
    found = multiview_ica(group.views, random_state=0)
    model = MultiViewICA(random_state=0).fit(group.views)
    np.testing.assert_array_equal(found.sources, model.sources_)
    for U, V in zip(found.components, model.components_, strict=True):
        np.testing.assert_array_equal(U, V)


def test_scores_rank_models_of_held_out_samples():
    data = workload(5, 4, 2000, 0.7)
    train, test = [X[:1000] for X in data.views], [X[1000:] for X in data.views]
    good = MultiViewICA(random_state=0).fit(train)
    shuffled = [X[np.random.default_rng(v).permutation(1000)] for v, X in enumerate(train)]
    unrelated = MultiViewICA(random_state=0, max_iter=1000, tol=1e-3).fit(shuffled)
    assert good.score(test) > unrelated.score(test) + 1


def test_whitened_views_are_what_the_solver_sees(group):
    views, _ = stacked(group.views)
    np.testing.assert_allclose(views.covariances, np.broadcast_to(np.eye(5), (5, 5, 5)), atol=1e-10)
