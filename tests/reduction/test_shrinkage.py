"""Shrinkage: scikit-learn's Ledoit-Wolf intensity, the eigenproblem, what it is good for."""

import numpy as np
import pytest
from scipy.linalg import block_diag, eigh, subspace_angles
from sklearn.covariance import ledoit_wolf_shrinkage

from mvica.reduction import stacking
from mvica.reduction.mcca_estimator import MultisetCCA
from mvica.reduction.pca import principal_components
from mvica.reduction.shrinkage import ledoit_wolf, shrinkage_gains, sum_of_fourth_powers


def noisy_views(m, d, p, n, noise, private=0.0, rank=30, seed=0):
    """Training views, test views, and the sources of the test views."""
    rng = np.random.default_rng(seed)
    S = rng.standard_normal((n + 500, p))
    views = []
    for _ in range(m):
        X = S @ rng.standard_normal((p, d)) + noise * rng.standard_normal((n + 500, d))
        own = private * rng.standard_normal((n + 500, rank))
        views.append(X + own @ rng.standard_normal((rank, d)))
    return [X[:n] for X in views], [X[n:] for X in views], S[n:]


def explained(model, views, S):
    """Share of the variance of unseen sources that a linear map of the estimates explains."""
    Y, S = model.transform(views), S - S.mean(axis=0)
    Y = Y - Y.mean(axis=0)
    residual = S - Y @ np.linalg.lstsq(Y, S)[0]
    return 1 - np.sum(residual**2) / np.sum(S**2)


@pytest.mark.parametrize("shape", [(50, 1), (50, 3), (40, 40), (30, 200)])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_intensity_is_that_of_scikit_learn(shape, dtype):
    rng = np.random.default_rng(0)
    X = (rng.laplace(size=shape) * np.linspace(1, 3, shape[1]) + 5).astype(dtype)
    pca = principal_components(X)
    fourth = sum_of_fourth_powers(X, pca.mean)
    found = ledoit_wolf(pca.variances, shape[1], shape[0], fourth)
    assert found == pytest.approx(ledoit_wolf_shrinkage(X.astype(np.float64)), rel=1e-6)
    units = principal_components(X.astype(np.float64) * 1e-13)
    fourth = sum_of_fourth_powers(X.astype(np.float64) * 1e-13, units.mean)
    assert ledoit_wolf(units.variances, shape[1], shape[0], fourth) == pytest.approx(found)


def test_equal_variances_are_replaced_by_their_mean():
    X = np.vstack([np.eye(4), -np.eye(4)])
    pca = principal_components(X)
    assert ledoit_wolf(pca.variances, 4, 8, sum_of_fourth_powers(X, pca.mean)) == 1
    np.testing.assert_allclose(shrinkage_gains(pca, 0.75), 0.5)


@pytest.mark.parametrize("stored", [False, True])
@pytest.mark.parametrize("shrinkage", [0.3, 0.9])
def test_solves_the_eigenproblem_of_shrunk_covariances(monkeypatch, shrinkage, stored):
    if stored:
        monkeypatch.setattr(stacking, "GRAM_ROWS", 0)
    views, _, _ = noisy_views(4, 8, 2, 200, noise=1.0)
    X = np.hstack(views)
    X = X - X.mean(axis=0)
    C = X.T @ X / 200
    spread = [np.trace(C[k : k + 8, k : k + 8]) / 8 * np.eye(8) for k in range(0, 32, 8)]
    C = (1 - shrinkage) * C + shrinkage * block_diag(*spread)
    D = block_diag(*[C[k : k + 8, k : k + 8] for k in range(0, 32, 8)])
    values, U = eigh(C, D)
    cca = MultisetCCA(2, shrinkage=shrinkage, n_directions=None, random_state=0).fit(views)
    np.testing.assert_allclose(cca.eigenvalues_, values[::-1][:2], rtol=1e-10)
    assert np.sin(subspace_angles(np.hstack(cca.components_).T, U[:, -2:])).max() < 1e-7
    np.testing.assert_array_equal(cca.shrinkage_, shrinkage)
    # The sources are white all the same, and the patterns their regressions.
    S = cca.sources_
    np.testing.assert_allclose(S.T @ S / 200, np.eye(2), atol=1e-10)
    for X_v, A in zip(views, cca.mixing_, strict=True):
        np.testing.assert_allclose(A, (X_v - X_v.mean(axis=0)).T @ S / 200, atol=1e-10)


def test_shrinkage_of_one_view_changes_nothing():
    views, _, _ = noisy_views(1, 8, 2, 100, noise=1.0)
    plain = MultisetCCA(2, shrinkage=None).fit(views)
    shrunk = MultisetCCA(2, shrinkage=0.5).fit(views)
    np.testing.assert_allclose(shrunk.sources_, plain.sources_, atol=1e-10)


def test_auto_shrinks_views_of_few_samples_only():
    views, _, _ = noisy_views(3, 30, 2, 200, noise=1.0)
    views[0] = views[0][:, :20]
    cca = MultisetCCA(2, random_state=0).fit(views)
    assert cca.shrinkage_[0] == 0
    for X, found in zip(views[1:], cca.shrinkage_[1:], strict=True):
        assert found == pytest.approx(ledoit_wolf_shrinkage(X))
    every = MultisetCCA(2, shrinkage="ledoit-wolf", random_state=0).fit(views)
    assert every.shrinkage_[0] == pytest.approx(ledoit_wolf_shrinkage(views[0]))
    np.testing.assert_array_equal(MultisetCCA(2, shrinkage=None).fit(views).shrinkage_, 0)
    np.testing.assert_array_equal(
        MultisetCCA(2, n_directions=20, random_state=0).fit(views).shrinkage_, 0
    )


def test_few_samples_of_noisy_views():
    """100 samples of 50 features: without shrinkage views agree by chance."""
    views, unseen, S = noisy_views(2, 50, 3, 100, noise=3.0)
    every = MultisetCCA(3, n_directions=None, shrinkage=None, random_state=0).fit(views)
    assert explained(every, unseen, S) < 0.5
    for n_directions in ("auto", None):
        cca = MultisetCCA(3, n_directions=n_directions, random_state=0).fit(views)
        assert explained(cca, unseen, S) > 0.85


def test_few_samples_of_views_with_strong_activity_of_their_own():
    """30 private directions: the leading tenth of the samples holds no shared one."""
    views, unseen, S = noisy_views(5, 50, 3, 100, noise=1.0, private=1.0)
    few = MultisetCCA(3, shrinkage=None, random_state=0).fit(views)
    assert explained(few, unseen, S) < 0.7
    assert explained(MultisetCCA(3, random_state=0).fit(views), unseen, S) > 0.9
