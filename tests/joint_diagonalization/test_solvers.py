"""The iterations: descent, machine precision, undetermined pairs, hard sets."""

import warnings

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

from mvica.joint_diagonalization import joint_diagonalize, make_matrix_set
from mvica.joint_diagonalization import quasi_newton as qn
from mvica.joint_diagonalization.function import METHODS
from mvica.joint_diagonalization.jacobi import rotate_by_pairs
from mvica.joint_diagonalization.pham import minimise_by_pairs
from mvica.joint_diagonalization.scenarios import make_sample_covariances

NAMES = ("exact", "noisy", "meg", "few")


def off_diagonals(C, B):
    D = B @ C @ B.T
    return np.abs(D[:, ~np.eye(len(B), dtype=bool)]).max()


def increases(history):
    return np.diff(history).max(initial=0.0) / max(1.0, np.abs(history).max())


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("method", ["quasi_newton", "rotation", "frobenius", "pham", "jacobi"])
def test_every_step_lowers_the_objective(scenario, name, method):
    history = joint_diagonalize(scenario(name).matrices, method, init="white").history
    assert increases(history) < (1e-14 if method in ("quasi_newton", "rotation") else 1e-11)


@pytest.mark.parametrize("name", NAMES)
def test_zero_tolerance_ends_at_machine_precision(scenario, name):
    C = scenario(name).matrices
    result = joint_diagonalize(C, init="white", tol=0)
    assert result.converged
    assert "stalled" in result.message
    assert result.n_iter < 200
    assert result.gradient_norm < 1e-13
    assert increases(result.history) < 1e-13
    assert joint_diagonalize(C, init="white", tol=1e-14).n_iter < 200


def test_exact_sets_converge_quadratically(scenario):
    history = joint_diagonalize(scenario("exact").matrices, init="white", tol=1e-12).history
    assert len(history) < 16
    late = history[(history > 1e-12) & (history < 1e-2)]
    assert np.all(late[1:] < late[:-1] ** 1.5)


def test_memory_speeds_up_a_noisy_set(scenario):
    C = scenario("noisy").matrices
    plain = joint_diagonalize(C, init="white", memory=0)
    corrected = joint_diagonalize(C, init="white")
    assert corrected.n_iter < 0.6 * plain.n_iter
    assert corrected.objective == pytest.approx(plain.objective, abs=1e-9)


def test_rotations_stay_orthogonal():
    C = make_matrix_set(30, 8, noise=1.0, random_state=0).matrices
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        for method in ("rotation", "frobenius", "jacobi"):
            B = joint_diagonalize(C, method, tol=1e-300, max_iter=500).x
            np.testing.assert_allclose(B @ B.T, np.eye(8), atol=1e-12)


def test_rotations_drift_little_before_the_last_projection():
    C = make_matrix_set(30, 8, noise=1.0, random_state=0).matrices
    weights = np.full(30, 1 / 30)
    for criterion in (qn.ROTATION, qn.FROBENIUS):
        start = np.linalg.qr(np.random.default_rng(0).standard_normal((8, 8)))[0]
        result, _ = qn.minimise(C, weights, start, criterion, tol=0, memory=0, max_iter=500)
        np.testing.assert_allclose(result.x @ result.x.T, np.eye(8), atol=1e-12)
    result, _ = rotate_by_pairs(C, weights, np.eye(8), tol=0, max_iter=500)
    np.testing.assert_allclose(result.x @ result.x.T, np.eye(8), atol=1e-12)


def test_pham_updates_both_triangles_consistently():
    C = make_matrix_set(10, 6, noise=0.3, random_state=0).matrices
    result, d = minimise_by_pairs(C, np.full(10, 0.1), np.eye(6), tol=1e-10)
    B = result.x
    np.testing.assert_allclose(d, np.einsum("kaa->ka", B @ C @ B.T), rtol=1e-10)


@pytest.mark.parametrize("method", METHODS)
def test_proportional_powers_are_flagged(method):
    rng = np.random.default_rng(0)
    powers = rng.uniform(0.5, 2.0, (20, 6))
    powers[:, 3] = powers[:, 1]
    A = np.linalg.qr(rng.standard_normal((6, 6)))[0]
    C = (A * powers[:, None]) @ A.T
    for init in ("rotation", "white"):
        result = joint_diagonalize(C, method, init=init)
        assert off_diagonals(C, result.x) < 1e-5 * np.abs(result.powers).max()
        pairs = result.separability[np.triu_indices(6, 1)]
        assert np.sum(pairs < 1e-9) == 1
        assert np.sum(pairs > 1e-3) == 14


@pytest.mark.parametrize("method", ["quasi_newton", "pham", "uwedge", "ffdiag"])
def test_one_matrix_from_any_start(method):
    C = make_matrix_set(1, 6, noise=0.3, random_state=0).matrices
    init = np.random.default_rng(0).standard_normal((6, 6))
    result = joint_diagonalize(C, method, init=init)
    assert off_diagonals(C, result.x) < 1e-5


@pytest.mark.parametrize("init", ["white", "identity"])
def test_ffdiag_does_not_diverge(scenario, init):
    C = scenario("lagged").matrices
    result = joint_diagonalize(C, "ffdiag", init=np.eye(20) if init == "identity" else init)
    assert result.converged
    assert result.objective == pytest.approx(0.00527041, abs=1e-7)


@pytest.mark.parametrize("method", ["uwedge", "ffdiag"])
def test_least_squares_return_the_best_iterate(method):
    rng = np.random.default_rng(0)
    R = rng.standard_normal((4, 12, 12))  # nothing in common: no diagonaliser exists
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        result = joint_diagonalize(R + R.transpose(0, 2, 1), method, max_iter=60)
    assert result.gradient_norm == result.history.min()
    assert np.all(np.isfinite(result.x))


@pytest.mark.slow
@pytest.mark.parametrize("noise", [0.3, 1.0])
def test_hard_sets_converge_to_minima_of_equal_depth(noise):
    gaps, sweeps = [], []
    for seed in range(10):
        C = make_matrix_set(100, 40, noise=noise, random_state=seed).matrices
        white, turned = (joint_diagonalize(C, init=init) for init in ("white", "rotation"))
        assert white.converged
        assert turned.converged
        gaps.append(turned.objective / white.objective - 1)
        sweeps.append(turned.n_iter)
    assert abs(np.mean(gaps)) < 2e-3
    assert max(sweeps) < 500


@pytest.mark.slow
def test_large_set_reaches_the_published_optimum():
    C = make_matrix_set(200, 100, noise=0.1, random_state=0).matrices
    assert joint_diagonalize(C).objective == pytest.approx(1.8781145, abs=1e-7)


@pytest.mark.slow
def test_all_methods_recover_the_same_sources():
    for seed in range(10):
        problem = make_sample_covariances(20, 10, n_samples=20000, random_state=seed)
        for method in METHODS:
            B = joint_diagonalize(problem.matrices, method).x
            gain = np.abs(B @ problem.mixing)
            gain /= gain.max(axis=1, keepdims=True)
            assert np.sort(gain, axis=1)[:, -2].max() < 0.1
