import numpy as np
import pytest

from mvica.datasets import make_limvam

KINDS = ("gauss", "student", "elliptic", "shared", "shared_general")


def stacked(data):
    return np.stack(data.views), np.stack(data.disturbances)


@pytest.mark.parametrize("kind", KINDS)
def test_views_follow_the_model(kind):
    data = make_limvam(kind, 3, 50, 6, random_state=0)
    X, E = stacked(data)
    np.testing.assert_allclose(X - np.einsum("vij,vtj->vti", data.adjacency_matrices, X), E)
    B = data.adjacency_matrices[:, data.causal_order][:, :, data.causal_order]
    below = np.tril(np.ones((6, 6), bool), -1)
    assert np.all(B[:, ~below] == 0)
    assert np.all(B[:, below] != 0)
    again = make_limvam(kind, 3, 50, 6, random_state=0)
    np.testing.assert_array_equal(again.views, data.views)
    assert make_limvam(kind, 3, 50, 6, random_state=0, dtype=np.float32).views[0].dtype == "f4"


def test_published_draws():
    # seed 0 of the setting "gauss": covariances, then samples, strengths and order
    rng = np.random.default_rng(0)
    M = rng.standard_normal((2, 3, 3))
    E = []
    for j in range(2):
        S = M[j] @ M[j].T
        scale = np.sqrt(np.diag(S))
        Z = rng.standard_normal((40, 3))
        E.append((Z @ np.linalg.cholesky(S / np.outer(scale, scale)).T).T)
    T, order = np.tril(rng.standard_normal((3, 2, 2)), -1), rng.permutation(2)
    data = make_limvam("gauss", 3, 40, 2, random_state=0)
    np.testing.assert_allclose(np.stack(data.disturbances), np.stack(E, axis=2), atol=1e-12)
    np.testing.assert_array_equal(data.causal_order, order)
    np.testing.assert_array_equal(data.adjacency_matrices[:, order[1], order[0]], T[:, 1, 0])


def test_laws_of_the_disturbances():
    n = 100_000
    _, E = stacked(make_limvam("gauss", 3, n, 2, correlation=0.0, random_state=0))
    R = np.corrcoef(E.transpose(0, 2, 1).reshape(6, n))
    np.testing.assert_allclose(R, np.eye(6), atol=0.02)
    _, E = stacked(make_limvam("student", 2, n, 2, n_gaussian=1, random_state=0))
    np.testing.assert_allclose(E.var(axis=1), [[1.25, 1]] * 2, rtol=0.03)
    _, E = stacked(make_limvam("elliptic", 4, n, 3, betas=(1.0, 3.0), random_state=0))
    # radius^beta ~ 2 Gamma(m / beta); the middle variable is normal
    np.testing.assert_allclose(E[:, :, 1].var(axis=1), 1, rtol=0.03)
    assert E[:, :, 0].var() / E[:, :, 2].var() == pytest.approx(
        _radius_variance(4, 1.0) / _radius_variance(4, 3.0), rel=0.05
    )
    _, E = stacked(make_limvam("shared", 2, n, 2, n_gaussian=0, equal_gains=True, random_state=0))
    np.testing.assert_allclose(E.var(axis=1), 2.25, rtol=0.05)
    np.testing.assert_allclose(np.mean(E[0] * E[1], axis=0), 2, rtol=0.05)


def _radius_variance(m, beta):
    from scipy.special import gamma

    return 2 ** (2 / beta) * gamma((m + 2) / beta) / gamma(m / beta)


def test_variations():
    sparse = make_limvam("gauss", 4, 20, 5, n_zeros=7, random_state=0)
    np.testing.assert_array_equal((sparse.adjacency_matrices != 0).sum(axis=(1, 2)), 3)
    own = make_limvam("shared", 5, 20, 6, n_own_orders=2, random_state=0)
    assert own.causal_order.shape == (5, 6)
    assert (own.causal_order[:3] == own.causal_order[0]).all()
    assert (own.causal_order[3:] != own.causal_order[0]).any(axis=1).all()
    for B, order in zip(own.adjacency_matrices, own.causal_order, strict=True):
        assert np.all(np.triu(B[np.ix_(order, order)]) == 0)
    plain, bent = (
        make_limvam("gauss", 3, 30, 3, nonlinearity=a, random_state=0).views[0] for a in (0, 1)
    )
    np.testing.assert_allclose(bent, 2 / (1 + np.exp(-plain)) - 1)


def test_equal_noise_ratios():
    data = make_limvam("shared", 4, 200_000, 4, n_equal_noise=4, random_state=0)
    E = np.stack(data.disturbances)
    S = np.einsum("vtj,wtj->jvw", E, E)[2:] / E.shape[1]
    R = [s / np.sqrt(np.outer(np.diag(s), np.diag(s))) for s in S]
    np.testing.assert_allclose(R[0], R[1], atol=0.01)


@pytest.mark.parametrize(
    "settings",
    [
        {"kind": "uniform"},
        {"n_zeros": 11},
        {"n_own_orders": 7},
        {"n_gaussian": -1},
        {"n_views": 0},
        {"dtype": int},
    ],
)
def test_bad_settings(settings):
    with pytest.raises(ValueError, match=next(iter(settings))):
        make_limvam(**settings)
