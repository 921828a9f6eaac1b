"""Multiset CCA against the generalized eigenproblem, its exact spectrum, and itself."""

import numpy as np
import pytest
from scipy.linalg import block_diag, eigh, subspace_angles
from scipy.optimize import brentq
from sklearn.exceptions import ConvergenceWarning

from mvica.reduction import stacking
from mvica.reduction.mcca import multiset_cca, shared_directions
from mvica.reduction.mcca_estimator import MultisetCCA
from mvica.reduction.pca import principal_components


def shared_views(m, d, p, n, noise=1.0, seed=0):
    rng = np.random.default_rng(seed)
    S = rng.laplace(size=(n, p))
    return [S @ rng.standard_normal((p, d)) + noise * rng.standard_normal((n, d)) for _ in range(m)]


def exact_views(noise_variances, n=500, seed=0):
    """Square views whose sample covariances are exactly those of A_v (s + n_v)."""
    m, p = noise_variances.shape
    rng = np.random.default_rng(seed)
    draws = rng.standard_normal((n, p * (m + 1)))
    draws -= draws.mean(axis=0)
    draws = np.linalg.qr(draws)[0] * np.sqrt(n)
    S, N = draws[:, :p], draws[:, p:].reshape(n, m, p)
    mixings = rng.standard_normal((m, p, p))
    return [
        (S + N[:, v] * np.sqrt(noise_variances[v])) @ A.T for v, A in enumerate(mixings)
    ], mixings


def secular_root(nu):
    """The one eigenvalue above 1 of a component of noise variances nu."""
    return brentq(lambda x: np.sum(1 / (x * (1 + nu) - nu)) - 1, 1 + 1e-12, len(nu) + 1)


@pytest.mark.parametrize(("m", "d", "p"), [(2, 6, 3), (5, 10, 4), (12, 20, 5)])
def test_solves_the_generalized_eigenproblem(m, d, p):
    views = shared_views(m, d, p, 400)
    X = np.hstack(views) - np.hstack(views).mean(axis=0)
    C = X.T @ X / len(X)
    D = block_diag(*[C[k : k + d, k : k + d] for k in range(0, m * d, d)])
    values, U = eigh(C, D)
    values, U = values[::-1][:p], U[:, ::-1][:, :p]
    cca = MultisetCCA(n_components=p, random_state=0).fit(views)
    np.testing.assert_allclose(cca.eigenvalues_, values, rtol=1e-12)
    found = np.hstack(cca.components_).T
    assert np.sin(subspace_angles(found, U)).max() < 1e-8
    # Components too, as these eigenvalues are apart.
    cosines = np.sum(found * (D @ U), axis=0) / np.sqrt(np.sum(found * (D @ found), axis=0))
    np.testing.assert_allclose(np.abs(cosines), 1, atol=1e-8)


def test_spectrum_is_that_of_the_secular_equation():
    nu = np.array([[0.1, 0.3, 2.0], [3.0, 2.0, 0.2], [5.0, 4.0, 0.7]])
    views, mixings = exact_views(nu)
    cca = MultisetCCA(random_state=0).fit(views)
    roots = np.array([secular_root(nu[:, j]) for j in range(3)])
    order = np.argsort(-roots)
    np.testing.assert_allclose(cca.eigenvalues_, roots[order], rtol=1e-10)
    # Distinct eigenvalues: every view is unmixed up to scale, in the order of the roots.
    for W, A in zip(cca.components_, mixings, strict=True):
        product = np.abs(W @ A[:, order])
        np.testing.assert_allclose(product / product.max(axis=1)[:, None], np.eye(3), atol=1e-8)


def test_equal_noise_has_a_closed_form():
    views, _ = exact_views(np.full((4, 3), 0.5))
    cca = MultisetCCA(random_state=0).fit(views)
    np.testing.assert_allclose(cca.eigenvalues_, (4 + 0.5) / (1 + 0.5), rtol=1e-10)


def whiten(views):
    rows = []
    for X in views:
        Xc = X - X.mean(axis=0)
        rows.append(np.linalg.solve(np.linalg.cholesky(Xc.T @ Xc / len(X)), Xc.T))
    return np.vstack(rows)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_with_and_without_the_moment(monkeypatch, dtype):
    Z = whiten(shared_views(10, 12, 3, 150)).astype(dtype)
    assert len(Z) < Z.shape[1]
    formed = multiset_cca(Z, 3, random_state=0)
    given = multiset_cca(None, 3, random_state=0, moment=Z.astype(float) @ Z.T.astype(float) / 150)
    monkeypatch.setattr(stacking, "GRAM_ROWS", 0)
    products = multiset_cca(Z, 3, random_state=0)
    assert formed.converged
    assert products.converged
    for other in (given, products):
        np.testing.assert_allclose(other.eigenvalues, formed.eigenvalues, rtol=1e-12)
        assert np.sin(subspace_angles(other.directions, formed.directions)).max() < 1e-8


def test_more_signals_than_samples():
    views = shared_views(20, 10, 2, 120, noise=0.1)
    Z = whiten(views)
    found = multiset_cca(Z, 2, random_state=0)
    values, vectors = np.linalg.eigh(Z @ Z.T / 120)
    np.testing.assert_allclose(found.eigenvalues, values[::-1][:2], rtol=1e-12)
    assert np.sin(subspace_angles(found.directions, vectors[:, -2:])).max() < 1e-8


@pytest.mark.parametrize("size", ["formed", "stored"])
def test_coordinates_of_views_give_the_same(monkeypatch, size):
    if size == "stored":
        monkeypatch.setattr(stacking, "GRAM_ROWS", 0)
    views = [X[:, : 8 - v] + 100 * v for v, X in enumerate(shared_views(4, 8, 2, 300))]
    views.append(np.random.default_rng(5).standard_normal((300, 400)))  # wide: kept 20 directions
    pcas = [principal_components(X, max_directions=20) for X in views]
    found = shared_directions(views, pcas, 2, random_state=0)
    Z = stacking.stack_coordinates(views, pcas)
    np.testing.assert_allclose(np.diag(Z @ Z.T / 300), 1, atol=1e-12)
    direct = multiset_cca(Z, 2, random_state=0)
    assert np.sin(subspace_angles(direct.directions, found.directions)).max() < 1e-8


def test_warns_at_the_cap_and_names_the_parameter(monkeypatch):
    monkeypatch.setattr(stacking, "GRAM_ROWS", 0)
    Z = whiten([np.random.default_rng(v).standard_normal((300, 20)) for v in range(5)])
    with pytest.warns(ConvergenceWarning, match=r"n_components=10 .*lower n_components or raise"):
        result = multiset_cca(Z, 10, random_state=0, max_iter=3)
    assert not result.converged
    assert result.n_iter == 3
