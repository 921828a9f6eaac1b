"""Second-order shared ICA: spectra, exact covariances, sampling noise, scales and noises."""

import numpy as np
import pytest
from scipy.linalg import block_diag, eigh
from scipy.optimize import brentq

from mvica.datasets import make_shica
from mvica.ica.shica_second_order import (
    canonical_variates,
    equal_noise_pair,
    one_factor,
    scales_and_noises,
    separate_by_noise,
    source_covariances,
)
from mvica.ica.stacked import StackedViews
from mvica.metrics import amari_distance
from tests.ica.conftest import stacked


def model_covariance(A, nu):
    """Joint covariance (m p, m p) of the views under the model."""
    m, p = nu.shape
    C = np.einsum("vab,wcb->vawc", A, A)
    for v in range(m):
        C[v, :, v] += (A[v] * nu[v]) @ A[v].T
    return C.reshape(m * p, m * p)


def whitened(C, m):
    """Stacked views whose whitened moments are exactly those of C, and the whitening maps."""
    p = len(C) // m
    maps = []
    for v in range(m):
        values, vectors = np.linalg.eigh(C[v * p : (v + 1) * p, v * p : (v + 1) * p])
        maps.append(vectors.T / np.sqrt(values)[:, None])
    white = block_diag(*maps) @ C @ block_diag(*maps).T
    root = np.linalg.cholesky((white + white.T) / 2)
    Z = np.hstack([root, np.zeros((m * p, 1))]) * np.sqrt(m * p + 1)
    return StackedViews(np.ascontiguousarray(Z), m), np.array(maps)


def draw_model(m, p, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((m, p, p)), rng.uniform(0.05, 3.0, (m, p))


def unmixings(views):
    return separate_by_noise(views, canonical_variates(views, 0)[0], tol=1e-9)[0]


@pytest.mark.parametrize(("m", "p"), [(3, 2), (5, 4), (8, 3)])
def test_spectrum_solves_the_secular_equation(m, p):
    """``sum_v 1 / (lambda (1 + nu) - nu) = 1`` has one root above 1 for each component."""
    A, nu = draw_model(m, p)
    C = model_covariance(A, nu)
    D = block_diag(*(C[v * p : (v + 1) * p, v * p : (v + 1) * p] for v in range(m)))
    dense = eigh(C, D, eigvals_only=True)[::-1]
    roots = [
        brentq(lambda x, n=nu[:, a]: np.sum(1 / (x * (1 + n) - n)) - 1, 1 + 1e-9, m, xtol=1e-14)
        for a in range(p)
    ]
    np.testing.assert_allclose(np.sort(roots)[::-1], dense[:p], atol=1e-10)
    found = canonical_variates(whitened(C, m)[0], 0)[1]
    np.testing.assert_allclose(found, dense[:p], atol=1e-10)
    assert dense[p] <= nu.max() / (1 + nu.max()) + 1e-12
    assert dense[p - 1] >= 1 + (m - 1) / (1 + nu.max()) - 1e-12


def test_bound_on_the_rest_of_the_spectrum_needs_the_largest_noise():
    nu = np.array([[0.1, 0.1], [3.0, 2.0], [5.0, 4.0]])
    A = np.random.default_rng(0).standard_normal((3, 2, 2))
    C = model_covariance(A, nu)
    D = block_diag(*(C[2 * v : 2 * v + 2, 2 * v : 2 * v + 2] for v in range(3)))
    spectrum = eigh(C, D, eigvals_only=True)[::-1]
    np.testing.assert_allclose(spectrum[:4], [1.8347, 1.7246, 0.8011, 0.7528], atol=1e-4)
    assert 0.1 / 1.1 < spectrum[2] < 5 / 6


@pytest.mark.parametrize(("m", "p"), [(3, 2), (5, 4), (20, 6)])
def test_exact_covariances_give_the_exact_answer(m, p):
    A, nu = draw_model(m, p)
    views, maps = whitened(model_covariance(A, nu), m)
    assert amari_distance(list(unmixings(views) @ maps), list(A)) < 1e-12


def test_noise_profiles_that_are_permutations_need_joint_diagonalisation():
    """Equal canonical correlations: multiset CCA fails though the model is identified."""
    A = np.random.default_rng(0).standard_normal((3, 2, 2))
    nu = np.array([[0.2, 1.0], [0.6, 0.2], [1.0, 0.6]])
    views, maps = whitened(model_covariance(A, nu), 3)
    variates, eigenvalues = canonical_variates(views, 0)
    assert eigenvalues[0] == pytest.approx(eigenvalues[1])
    assert amari_distance(list(variates @ maps), list(A)) > 0.01
    assert amari_distance(list(unmixings(views) @ maps), list(A)) < 1e-12


# Medians of the sum over views of the squared Amari distance: gap, size of the perturbation,
# multiset CCA, joint diagonalisation.
PERTURBED = [
    (1e-1, 1e-2, 0.0078, 0.0007),
    (1e-2, 1e-3, 0.0067, 0.00001),
    (1e-2, 1e-2, 0.285, 0.0018),
    (1e-3, 1e-4, 0.0058, 0.0),
    (1e-3, 1e-3, 0.278, 0.00001),
    (1e-3, 1e-2, 0.432, 0.0013),
]


@pytest.mark.parametrize(("gap", "size", "by_cca", "by_both"), PERTURBED)
def test_sampling_noise_rotates_components_and_joint_diagonalisation_undoes_it(
    gap, size, by_cca, by_both
):
    level = 2 + gap  # eigenvalue of the first component; that of the second is 2
    rest = 1 - sum(1 / (level * (1 + k) - k) for k in (1.75, 0.5))
    last = (1 / rest - level) / (level - 1)
    nu = np.array([[1.75, 0.5], [0.5, 1.0], [last, 1.75]])
    rng = np.random.default_rng(0)
    cca, both = [], []
    for _ in range(100):
        A, R = rng.standard_normal((3, 2, 2)), rng.standard_normal((6, 6))
        R = R @ R.T
        C = model_covariance(A, nu) + size * R / np.linalg.norm(R, 2)
        views, maps = whitened(C, 3)
        variates, _ = canonical_variates(views, 0)
        W = separate_by_noise(views, variates)[0]
        cca.append(3 * amari_distance(list(variates @ maps), list(A)))
        both.append(3 * amari_distance(list(W @ maps), list(A)))
    assert by_cca / 2 < np.median(cca) < 2 * by_cca  # medians of 100 draws scatter as much
    assert np.median(both) < 2 * by_both + 1e-5


def test_scales_and_noises_of_exact_covariances():
    A, nu = draw_model(4, 3)
    views, maps = whitened(model_covariance(A, nu), 4)
    W, found = scales_and_noises(views, np.linalg.inv(maps @ A) * 7.0)
    products = W @ maps @ A
    np.testing.assert_allclose(np.abs(products), np.tile(np.eye(3), (4, 1, 1)), atol=0.02)
    np.testing.assert_allclose(np.log(found), np.log(nu), atol=0.05)


def test_view_with_the_opposite_sign_keeps_its_sign():
    b, psi = np.array([0.9, 0.8, -0.7, 0.6]), np.array([0.3, 0.4, 0.5, 0.6])
    scales, nu = one_factor((np.outer(b, b) + np.diag(psi))[None])
    np.testing.assert_allclose(scales[:, 0], 1 / b, rtol=0.01)
    np.testing.assert_allclose(nu[:, 0], psi / b**2, rtol=0.03)


def test_two_views_of_equal_noise_have_a_closed_form():
    scales, nu = np.array([2.0, -0.5]), 0.7
    Gamma = np.array([[1 + nu, 1], [1, 1 + nu]]) / np.outer(scales, scales)
    found, noise = equal_noise_pair(Gamma[None])
    np.testing.assert_allclose(found[:, 0], scales, rtol=1e-12)
    np.testing.assert_allclose(noise, nu, rtol=1e-12)


def test_uncorrelated_or_identical_pairs_stay_finite():
    for Gamma in (np.eye(2), np.ones((2, 2))):
        scales, nu = equal_noise_pair(Gamma[None])
        assert np.all(np.isfinite(scales))
        assert np.all((nu >= 0.9e-3) & (nu <= 1.1e3))


@pytest.mark.parametrize("stored", [True, False])
def test_source_covariances_with_and_without_stored_moments(stored):
    views, _ = stacked(make_shica("half", 4, 300, 3, random_state=0).views)
    if not stored:
        views.__dict__["moment"] = None
    W = np.random.default_rng(0).standard_normal((4, 3, 3))
    Y = W @ views.Z.reshape(4, 3, -1)
    expected = np.einsum("vat,wat->avw", Y, Y) / 300
    np.testing.assert_allclose(source_covariances(views, W), expected, atol=1e-12)


@pytest.mark.parametrize("scenario", ["gauss", "half"])
def test_noise_estimates_are_close(scenario):
    """Published mean errors of the logarithm: .058 and .073 with loops fifty times as long."""
    data = make_shica(scenario, random_state=0)
    views, reduction = stacked(data.views)
    variances = data.sources.var(axis=0)
    truth = np.stack(
        [np.linalg.inv(R @ A) for R, A in zip(reduction.projections, data.mixings, strict=True)]
    )
    _, nu = scales_and_noises(views, truth)
    true_noise = data.noise_variances / variances
    clear = true_noise > 0.02
    assert np.mean(np.abs(np.log(nu / true_noise))[clear]) < 0.1
