"""Values and derivatives of the criteria, against finite differences and naive evaluation."""

import numpy as np
import pytest
from scipy.linalg import expm

from mvica.joint_diagonalization import joint_diagonalize, make_matrix_set
from mvica.joint_diagonalization import quasi_newton as qn
from mvica.joint_diagonalization.criteria import (
    frobenius,
    frobenius_gradient,
    likelihood,
    likelihood_gradient,
    likelihood_hessian,
    profile_angles,
    profile_distances,
    rotation_gradient,
    separability,
    typical_separability,
)
from mvica.joint_diagonalization.kernels import shared_rotation, unit_determinants

K, P = 7, 5


@pytest.fixture
def problem():
    rng = np.random.default_rng(0)
    R = rng.standard_normal((K, P, 2 * P))
    weights = rng.uniform(0.5, 2.0, K)
    return R @ R.transpose(0, 2, 1), weights / weights.sum(), rng.standard_normal((P, P)), rng


def diagonals(C, B):
    return np.einsum("ai,kij,aj->ka", B, C, B)


def rotation(rng):
    return np.linalg.qr(rng.standard_normal((P, P)))[0]


def antisymmetric(rng):
    E = rng.standard_normal((P, P))
    return E - E.T


def derivatives(function, step):
    """First and second derivatives at 0 by central differences."""
    low, middle, high = (function(t) for t in (-step, 0.0, step))
    return (high - low) / (2 * step), (high - 2 * middle + low) / step**2


def test_gradient_and_hessian_of_the_likelihood(problem):
    C, weights, B, rng = problem
    for _ in range(5):
        E = rng.standard_normal((P, P))

        def value(t, E=E):
            moved = B + t * E @ B
            return likelihood(diagonals(C, moved), weights, moved)

        D = B @ C @ B.T
        first, _ = derivatives(value, 1e-5)
        _, second = derivatives(value, 1e-4)
        assert np.sum(likelihood_gradient(D, weights) * E) == pytest.approx(first, rel=1e-5)
        assert np.sum(likelihood_hessian(D, weights, E) * E) == pytest.approx(second, rel=1e-5)


@pytest.mark.parametrize("name", ["likelihood", "frobenius"])
def test_gradients_along_rotations(problem, name):
    C, weights, _, rng = problem
    B, E = rotation(rng), antisymmetric(rng)

    def value(t):
        moved = expm(t * E) @ B
        d = diagonals(C, moved)
        return likelihood(d, weights, moved) if name == "likelihood" else frobenius(d, weights)

    slope, _ = derivatives(value, 1e-5)
    gradient = rotation_gradient if name == "likelihood" else frobenius_gradient
    assert 0.5 * np.sum(gradient(B @ C @ B.T, weights) * E) == pytest.approx(slope, rel=1e-5)


@pytest.mark.parametrize("criterion", [qn.LIKELIHOOD, qn.ROTATION, qn.FROBENIUS])
def test_compiled_sweep_equals_the_naive_evaluation(problem, criterion):
    C, weights, B, rng = problem
    B = B if criterion == qn.LIKELIHOOD else rotation(rng)
    d, V = np.empty((K, P)), np.empty((P, P))
    qn.sweep(C, weights, B, criterion, d, V)
    D = B @ C @ B.T
    np.testing.assert_allclose(d, np.einsum("kaa->ka", D), rtol=1e-12)
    compiled = qn.objective(d, weights, B, criterion)
    if criterion == qn.FROBENIUS:
        value, expected = frobenius(d, weights), frobenius_gradient(D, weights) / 2
    else:
        value, expected = likelihood(d, weights, B), likelihood_gradient(D, weights)
        np.fill_diagonal(expected, 0.0)
    if criterion == qn.ROTATION:
        expected = rotation_gradient(D, weights) / 2
    assert compiled == pytest.approx(value, rel=1e-12)
    np.testing.assert_allclose(qn.gradient(V, B, criterion), expected, atol=1e-12)


@pytest.mark.parametrize("criterion", [qn.LIKELIHOOD, qn.FROBENIUS, qn.LEAST_SQUARES])
@pytest.mark.parametrize("p", [1, 2, 5, 20])
def test_packed_matrices_give_the_same_sweep(p, criterion):
    rng = np.random.default_rng(0)
    R = rng.standard_normal((30, p, 2 * p))
    C, B, w = R @ R.transpose(0, 2, 1), rng.standard_normal((p, p)), rng.dirichlet(np.ones(30))
    d, V, same_d, same_V = (np.empty(shape) for shape in 2 * ((30, p), (p, p)))
    qn.sweep(C, w, B, criterion, d, V)
    qn.sweep_packed(qn.pack(C), w, B, criterion, same_d, same_V)
    np.testing.assert_allclose(same_d, d, rtol=1e-12)
    np.testing.assert_allclose(same_V, V, rtol=0, atol=1e-12 * np.abs(V).max())


def test_minima_on_both_sides_of_the_size_where_packing_ends():
    for p in (qn._PACKED, qn._PACKED + 1):
        C = make_matrix_set(p + 10, p, noise=0.1, random_state=0).matrices
        fast = joint_diagonalize(C, tol=1e-8)
        pairwise = joint_diagonalize(C, "pham", tol=1e-8, init=fast.x)
        assert pairwise.objective == pytest.approx(fast.objective, abs=1e-10)


@pytest.mark.parametrize("n_matrices", [1, 7, 8, 9, 33, 70])
def test_matrices_are_scaled_to_unit_determinants(n_matrices):
    rng = np.random.default_rng(0)
    R = rng.standard_normal((n_matrices, 4, 6))
    C = np.exp(rng.normal(0, 5, n_matrices))[:, None, None] * (R @ R.transpose(0, 2, 1))
    bad = n_matrices // 2
    C[bad] -= 2 * np.linalg.eigvalsh(C[bad])[1] * np.eye(4)  # two negative eigenvalues
    scaled = C.copy()
    scales, shares = unit_determinants(scaled)
    good = np.arange(n_matrices) != bad
    assert shares[bad] == 0
    assert np.array_equal(scaled[bad], C[bad])
    assert np.all(shares[good] > 0)
    np.testing.assert_allclose(np.linalg.slogdet(scaled[good])[1], 0, atol=1e-12)
    np.testing.assert_allclose(scaled * scales[:, None, None], C, rtol=1e-12)


def test_first_rotation_diagonalises_two_combinations():
    C = make_matrix_set(9, 4, noise=0.3, random_state=0).matrices
    w, mixed = np.full(9, 1 / 9), np.random.default_rng(0).standard_normal(9)
    B = shared_rotation(C, w, mixed, 0)
    np.testing.assert_allclose(B @ C.mean(axis=0) @ B.T, np.eye(4), atol=1e-12)
    D = B @ np.tensordot(w * mixed, C, 1) @ B.T
    np.testing.assert_allclose(D, np.diag(np.diag(D)), atol=1e-12)
    B = shared_rotation(C, w, mixed, 50)  # the power method has settled: singular vectors
    deviations = (C - C.mean(axis=0)).reshape(9, -1)
    leading = np.linalg.svd(deviations)[2][0].reshape(4, 4)
    D = B @ leading @ B.T
    np.testing.assert_allclose(D, np.diag(np.diag(D)), atol=1e-6)


@pytest.mark.parametrize("p", [1, 3, 101, 160, 210])
def test_sweep_at_the_edges_of_its_blocks(p):
    rng = np.random.default_rng(0)
    R = rng.standard_normal((9, p, p + 3))
    C, B, weights = R @ R.transpose(0, 2, 1) / p, rng.standard_normal((p, p)), np.full(9, 1 / 9)
    d, V = np.empty((9, p)), np.empty((p, p))
    qn.sweep(C, weights, B, qn.LIKELIHOOD, d, V)
    np.testing.assert_allclose(d, diagonals(C, B), rtol=1e-12)
    expected = np.einsum("ka,kij,aj->ai", weights[:, None] / d, C, B)
    np.testing.assert_allclose(V, expected, atol=1e-12 * np.abs(expected).max())


def test_curvatures_are_exact_where_all_matrices_are_diagonal(problem):
    _, weights, _, rng = problem
    d = rng.uniform(0.2, 2.0, (K, P))
    D = np.einsum("ka,ab->kab", d, np.eye(P))
    h = qn.curvature(d, weights, qn.LIKELIHOOD)
    planes = {c: qn.curvature(d, weights, c) for c in (qn.ROTATION, qn.FROBENIUS)}
    for a in range(P):
        for b in range(P):
            if a == b:
                continue
            E = np.zeros((P, P))
            E[a, b], E[b, a] = 0.7, -1.3
            expected = 0.7**2 * h[a, b] + 1.3**2 * h[b, a] - 2 * 0.7 * 1.3
            assert np.sum(likelihood_hessian(D, weights, E) * E) == pytest.approx(expected)
            R = np.zeros((P, P))
            R[a, b], R[b, a] = 1.0, -1.0

            def turned(t, R=R):
                return np.einsum("ai,kij,aj->ka", expm(t * R), D, expm(t * R))

            _, second = derivatives(lambda t, f=turned: likelihood(f(t), weights, np.eye(P)), 1e-3)
            assert planes[qn.ROTATION][a, b] == pytest.approx(second, rel=1e-4)
            _, second = derivatives(lambda t, f=turned: frobenius(f(t), weights), 1e-3)
            assert planes[qn.FROBENIUS][a, b] == pytest.approx(second, rel=1e-4)


def test_likelihood_ignores_order_and_scale_of_rows_and_scale_of_matrices(problem):
    C, weights, B, rng = problem
    moved = np.diag(rng.uniform(-3, 3, P)) @ B[rng.permutation(P)]
    scales = 10.0 ** rng.uniform(-20, 20, K)

    def value(C, B):
        return likelihood(diagonals(C, B), weights, B)

    assert value(C, moved) == pytest.approx(value(C, B), abs=1e-12)
    offset = 0.5 * P * weights @ np.log(scales)
    assert value(C * scales[:, None, None], B) - offset == pytest.approx(value(C, B), abs=1e-10)


def test_large_and_small_diagonals_do_not_overflow(problem):
    _, weights, _, rng = problem
    d = 10.0 ** rng.uniform(-140, 140, (K, 40))
    expected = 0.5 * weights @ np.log(d).sum(axis=1)
    assert qn.objective(d, weights, np.eye(40), qn.ROTATION) == pytest.approx(expected, rel=1e-12)
    d[3, 2] = -1.0
    assert qn.objective(d, weights, np.eye(40), qn.ROTATION) == np.inf


def test_separability_is_zero_for_proportional_powers_only(problem):
    _, weights, _, rng = problem
    d = rng.uniform(0.5, 2.0, (K, P))
    d[:, 1] = 3.0 * d[:, 0]
    pairs = separability(d, weights)
    assert pairs[0, 1] == pytest.approx(0.0, abs=1e-12)
    assert profile_angles(d, weights)[0, 1] == pytest.approx(0.0, abs=1e-12)
    assert np.all(pairs[np.triu_indices(P, 2)] > 1e-3)
    np.testing.assert_allclose(separability(d * rng.uniform(1, 9, P), weights), pairs, atol=1e-10)
    d[:, 1] = d[:, 0]
    distances = profile_distances(d, weights)
    assert distances[0, 1] == 0.0
    assert np.all(distances[np.triu_indices(P, 2)] > 1e-3)
    assert typical_separability(d[:, :1], weights) == 1.0
