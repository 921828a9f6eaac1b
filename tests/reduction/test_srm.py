"""Shared response model: known noise levels, its likelihood, and sample-by-sample versions."""

import numpy as np
import pytest
from scipy.linalg import orthogonal_procrustes, subspace_angles
from scipy.stats import multivariate_normal
from sklearn.exceptions import ConvergenceWarning

from mvica.reduction import stacking
from mvica.reduction.pca import principal_components
from mvica.reduction.shared_response import SharedResponseModel
from mvica.reduction.srm import shared_response

RHO = np.array([0.5, 1.0, 2.0, 4.0])


def model_views(n=3000, d=8, p=3, gains=(1, 1, 1, 1), seed=0):
    """Views of the model, with the source variances 3, 2, 1 and the noise variances RHO."""
    rng = np.random.default_rng(seed)
    S = rng.standard_normal((n, p)) * np.sqrt(np.arange(p, 0, -1))
    return [
        gain * (S @ np.linalg.qr(rng.standard_normal((d, p)))[0].T)
        + np.sqrt(rho) * rng.standard_normal((n, d))
        for gain, rho in zip(gains, RHO, strict=True)
    ], S


# ---- sample by sample --------------------------------------------------------------------------


def polar(M):
    left, _, right = np.linalg.svd(M, full_matrices=False)
    return left @ right


def start(X, p):
    """Bases from the group PCA of views scaled to total variance 1, and unit."""
    stacked = np.hstack(X)
    U = np.linalg.svd(stacked, full_matrices=False)[0][:, :p]
    B = [polar(X_v.T @ U) for X_v in X]
    S = sum(X_v @ B_v for X_v, B_v in zip(X, B, strict=True)) / len(X)
    rho = np.array([np.mean((X_v - S @ B_v.T) ** 2) for X_v, B_v in zip(X, B, strict=True)])
    return B, rho, np.mean(S**2, axis=0)


def plain_em(views, p, tol):
    """EM on the classical model (all gains 1), with whole arrays of sources."""
    X = [X_v - X_v.mean(axis=0) for X_v in views]
    n, d = X[0].shape
    B, rho, lam = start(X, p)
    old, n_iter = None, 0
    while True:
        n_iter += 1
        V = 1 / (np.sum(1 / rho) + 1 / lam)
        S = sum(X_v @ B_v / r for X_v, B_v, r in zip(X, B, rho, strict=True)) * V
        B = [polar(X_v.T @ S) for X_v in X]
        rho = np.array(
            [
                (np.sum(X_v**2) + np.sum(S**2) - 2 * np.sum(S * (X_v @ B_v))) / (n * d)
                + np.sum(V) / d
                for X_v, B_v in zip(X, B, strict=True)
            ]
        )
        lam = V + np.mean(S**2, axis=0)
        if old is not None and np.linalg.norm(S - old) < tol * np.linalg.norm(S):
            return B, rho, lam, n_iter
        old = S


def test_em_from_moments_is_em_on_samples():
    views, _ = model_views(n=300)
    B, rho, lam, n_iter = plain_em(views, 3, tol=1e-5)
    model = SharedResponseModel(n_components=3, scale_views=False, tol=1e-5, random_state=0)
    model.fit(views)
    assert model.n_iter_ == n_iter
    np.testing.assert_allclose(model.noise_variance_, rho, rtol=1e-8)
    order = np.argsort(-lam)
    np.testing.assert_allclose(model.source_variances_, lam[order], rtol=1e-6)
    for found, expected in zip(model.components_, B, strict=True):
        product = np.abs(found @ expected[:, order])
        np.testing.assert_allclose(product, np.eye(3), atol=1e-5)


def test_deterministic_is_a_fixed_point_of_orthogonal_procrustes():
    views, _ = model_views(n=300)
    model = SharedResponseModel(
        n_components=3, algorithm="deterministic", scale_views=False, tol=1e-9, random_state=0
    ).fit(views)
    X = [X_v - X_v.mean(axis=0) for X_v in views]
    S = np.mean(model.transform_views(views), axis=0)
    np.testing.assert_allclose(model.sources_, S, atol=1e-10)
    for X_v, components in zip(X, model.components_, strict=True):
        # scipy finds the R that takes S (padded) closest to X_v; its first rows are the basis.
        padded = np.hstack([S, np.zeros((300, 5))])
        R, _ = orthogonal_procrustes(padded, X_v)
        np.testing.assert_allclose(R[:3], components, atol=1e-6)
    gram = S.T @ S / 300
    np.testing.assert_allclose(gram, np.diag(model.source_variances_), atol=1e-6)
    assert (np.diff(model.source_variances_) < 0).all()


# ---- recovery ----------------------------------------------------------------------------------


@pytest.mark.parametrize("scale_views", [True, False])
def test_recovers_noise_levels_and_subspaces(scale_views):
    views, S = model_views()
    model = SharedResponseModel(n_components=3, scale_views=scale_views, random_state=0).fit(views)
    np.testing.assert_allclose(model.noise_variance_, RHO, rtol=0.03)
    ratio = model.source_variances_ / np.var(S, axis=0)
    np.testing.assert_allclose(ratio / ratio.mean(), 1, atol=0.1)
    Sc = S - S.mean(axis=0)
    assert np.sin(subspace_angles(Sc, model.sources_)).max() < 0.5
    for a, W, A in zip(model.scales_, model.components_, model.mixing_, strict=True):
        np.testing.assert_allclose(W @ A, np.eye(3), atol=1e-10)
        np.testing.assert_allclose(A.T @ A, a**2 * np.eye(3), atol=1e-9)
    if scale_views:
        np.testing.assert_allclose(model.scales_, np.sqrt(2), rtol=0.03)
        assert model.source_variances_.mean() == pytest.approx(1)
    else:
        np.testing.assert_array_equal(model.scales_, 1)
        np.testing.assert_allclose(model.source_variances_, [3, 2, 1], rtol=0.1)


def test_few_samples_do_not_bias_the_noise():
    """With sum(V^2) in place of sum(V) the smallest noise comes out near 0.41."""
    found = [
        SharedResponseModel(n_components=3, random_state=0).fit(model_views(300, seed=k)[0])
        for k in range(10)
    ]
    mean = np.mean([model.noise_variance_ for model in found], axis=0)
    np.testing.assert_allclose(mean, RHO, rtol=0.03)


def test_gains_are_recovered():
    gains = np.array([1.0, 2.0, 0.5, 3.0])
    views, _ = model_views(gains=gains)
    model = SharedResponseModel(n_components=3, random_state=0).fit(views)
    ratio = model.scales_ / gains
    np.testing.assert_allclose(ratio / ratio.mean(), 1, rtol=0.03)
    np.testing.assert_allclose(model.noise_variance_, RHO, rtol=0.04)


@pytest.mark.parametrize("algorithm", ["probabilistic", "deterministic"])
def test_units_change_nothing(algorithm):
    views, _ = model_views(400)
    units = [1e-13, 1.0, 1e6, 1.0]
    scaled = [X * unit for X, unit in zip(views, units, strict=True)]
    fit = [
        SharedResponseModel(n_components=3, algorithm=algorithm, random_state=0).fit(X)
        for X in (views, scaled)
    ]
    np.testing.assert_allclose(fit[1].sources_, fit[0].sources_, atol=1e-6)
    np.testing.assert_allclose(fit[1].scales_, fit[0].scales_ * units, rtol=1e-6)
    expected = fit[0].noise_variance_ * np.square(units)
    np.testing.assert_allclose(fit[1].noise_variance_, expected, rtol=1e-6)


# ---- likelihood --------------------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", ["probabilistic", "deterministic"])
@pytest.mark.parametrize("scale_views", [True, False])
def test_every_round_improves_the_objective(algorithm, scale_views):
    views, _ = model_views(300)
    history = (
        SharedResponseModel(
            n_components=2, algorithm=algorithm, scale_views=scale_views, tol=1e-6, random_state=0
        )
        .fit(views)
        .objective_history_
    )
    assert len(history) > 5
    assert np.diff(history).max() < 1e-12 * abs(history[0])


@pytest.mark.parametrize("scale_views", [True, False])
def test_score_is_the_gaussian_likelihood(scale_views):
    views, _ = model_views(300)
    train, test = [X[:200] for X in views], [X[200:] for X in views]
    model = SharedResponseModel(
        n_components=3, scale_views=scale_views, tol=1e-6, max_iter=5000, random_state=0
    ).fit(train)
    mixing = np.vstack(model.mixing_)
    covariance = mixing * model.source_variances_ @ mixing.T
    covariance += np.diag(np.repeat(model.noise_variance_, 8))
    density = multivariate_normal(np.hstack(model.mean_), covariance)
    for X in (train, test):
        expected = density.logpdf(np.hstack(X)).mean()
        assert model.score(X) == pytest.approx(expected, rel=1e-10)
    assert model.score(train) == pytest.approx(-model.objective_, rel=1e-6)


def test_sources_are_posterior_means_also_with_missing_views():
    views, _ = model_views(300)
    model = SharedResponseModel(n_components=3, random_state=0).fit(views)
    for present in (None, [0, 1, 2, 3], [3, 1]):
        index = range(4) if present is None else present
        mixing = np.vstack([model.mixing_[v] for v in index])
        noise = np.repeat(model.noise_variance_[list(index)], 8)
        covariance = mixing * model.source_variances_ @ mixing.T + np.diag(noise)
        X = np.hstack([views[v] - model.mean_[v] for v in index])
        expected = X @ np.linalg.solve(covariance, mixing * model.source_variances_)
        found = model.transform([views[v] for v in index], views=present)
        np.testing.assert_allclose(found, expected, atol=1e-9)
    np.testing.assert_allclose(model.transform(views), model.sources_, atol=1e-10)


# ---- shapes ------------------------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", ["probabilistic", "deterministic"])
def test_without_the_moment(monkeypatch, algorithm):
    views, _ = model_views(300)
    pcas = [principal_components(X) for X in views]
    formed = shared_response(views, pcas, 3, algorithm=algorithm, random_state=0)
    monkeypatch.setattr(stacking, "GRAM_ROWS", 0)
    stored = shared_response(views, pcas, 3, algorithm=algorithm, random_state=0)
    assert stored.n_iter == formed.n_iter
    np.testing.assert_allclose(stored.noise_variances, formed.noise_variances, rtol=1e-9)
    np.testing.assert_allclose(stored.history, formed.history, rtol=1e-10)


@pytest.mark.parametrize("algorithm", ["probabilistic", "deterministic"])
def test_wide_views_through_the_gram_matrix(algorithm):
    """Features that only repeat a rotation of others add nothing but width."""
    views, _ = model_views(60, d=8)
    rng = np.random.default_rng(1)
    lift = np.linalg.qr(rng.standard_normal((200, 8)))[0].T
    settings = {"n_components": 3, "algorithm": algorithm, "scale_views": False}
    narrow = SharedResponseModel(random_state=0, **settings)
    wide = SharedResponseModel(random_state=0, **settings)
    wide.fit([X @ lift for X in views])
    np.testing.assert_array_equal(wide.rank_, 8)
    if algorithm == "deterministic":  # the noise of 200 features is another model
        narrow.fit(views)
        np.testing.assert_allclose(wide.sources_, narrow.sources_, atol=1e-6)
        np.testing.assert_allclose(wide.noise_variance_ * 200, narrow.noise_variance_ * 8)
    for W in wide.components_:
        np.testing.assert_allclose(W @ W.T, np.eye(3), atol=1e-10)


def test_noise_free_views_are_fitted_exactly():
    _, S = model_views(200)
    exact = [
        S @ np.linalg.qr(np.random.default_rng(v).standard_normal((5, 3)))[0].T for v in (0, 1)
    ]
    with pytest.warns(UserWarning, match="view 0 .* has numerical rank 3"):
        model = SharedResponseModel(random_state=0).fit(exact)
    X = model.inverse_transform(model.transform(exact)).views
    np.testing.assert_allclose(X[1], exact[1], atol=1e-5)
    assert np.isfinite(model.score(exact))


def test_a_new_view_gets_its_basis_and_noise():
    views, _ = model_views()
    model = SharedResponseModel(n_components=3, random_state=0).fit(views[:3])
    score = model.score(views[:3])
    assert model.add_view(1e-6 * views[3]) is model
    assert model.n_views_ == 4
    assert model.n_features_in_ == 32
    assert model.noise_variance_[3] == pytest.approx(4e-12, rel=0.05)
    assert model.scales_[3] == pytest.approx(1e-6 * np.sqrt(2), rel=0.05)
    whole = SharedResponseModel(n_components=3, random_state=0).fit(views)
    assert np.sin(subspace_angles(model.mixing_[3], whole.mixing_[3])).max() < 0.05
    assert model.score([*views[:3], 1e-6 * views[3]]) > score
    with pytest.raises(ValueError, match=r"\(3000, 3\), expected \(2999, 3\)"):
        model.add_view(views[3][1:])


def test_not_converged_warns_with_what_to_change():
    views, _ = model_views(200)
    with pytest.warns(ConvergenceWarning, match=r"after 2 rounds: raise max_iter or tol"):
        model = SharedResponseModel(n_components=3, max_iter=2, random_state=0).fit(views)
    assert not model.converged_
    assert model.n_iter_ == 2
