"""`joint_diagonalize`: recovery, published optima, invariances, starts and stopping rules."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import eigh
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_info

from mvica.joint_diagonalization import (
    joint_diagonalize,
    joint_diagonalize_many,
    make_matrix_set,
)
from mvica.joint_diagonalization.function import METHODS

INVERTIBLE = ("quasi_newton", "pham", "uwedge", "ffdiag")
LIKELIHOOD = ("quasi_newton", "pham", "rotation")
SQUARES = ("frobenius", "jacobi")
ROTATIONS = ("rotation", *SQUARES)


def amari(P):
    """Classical index in [0, 1] of a gain matrix; 0 for a scaled permutation."""
    P = np.abs(P) / np.linalg.norm(P, axis=1, keepdims=True)
    excess = (P / P.max(axis=1, keepdims=True)).sum() + (P / P.max(axis=0)).sum() - 2 * len(P)
    return excess / (2 * len(P) * (len(P) - 1))


def likelihood_gap(C, B, weights=None):
    """J(B), from log-determinants of the transformed matrices."""
    D = B @ C @ B.T
    gaps = np.log(np.einsum("kaa->ka", D)).sum(axis=1) - np.linalg.slogdet(D)[1]
    return 0.5 * np.average(gaps, weights=weights)


def same_rows(B, other, tolerance=1e-6):
    """Whether two diagonalisers agree, rows in any order and with any scale."""
    gain = np.abs(np.linalg.solve(other.T, B.T))
    gain /= gain.max(axis=0)
    return amari(gain) < tolerance


def indefinite_set(n_matrices=30, p=8, seed=0):
    rng = np.random.default_rng(seed)
    A = rng.standard_normal((p, p))
    d = rng.standard_normal((n_matrices, p))
    return (A * d[:, None]) @ A.T, A


# ---- recovery --------------------------------------------------------------------------------


@pytest.mark.parametrize("method", INVERTIBLE)
@pytest.mark.parametrize("init", ["rotation", "white"])
def test_exact_sets_are_diagonalised(scenario, method, init):
    problem = scenario("exact")
    result = joint_diagonalize(problem.matrices, method, init=init, tol=1e-9)
    assert result.converged
    assert result.n_iter <= (40 if method == "ffdiag" else 15)
    assert amari(result.x @ problem.mixing) < 1e-9
    assert abs(result.objective) < 1e-12


@pytest.mark.parametrize("method", [m for m in METHODS if m not in LIKELIHOOD])
def test_exact_indefinite_sets_are_diagonalised(method):
    C, A = indefinite_set()
    if method in ROTATIONS:
        A = np.linalg.qr(A)[0]
        C = (A * np.random.default_rng(1).standard_normal((30, 8))[:, None]) @ A.T
    result = joint_diagonalize(C, method, init="white", tol=1e-9)
    assert result.converged
    assert amari(result.x @ A) < 1e-8


@pytest.mark.parametrize("method", METHODS)
def test_the_record_is_consistent(method):
    C = make_matrix_set(12, 6, noise=0.1, random_state=1).matrices
    weights = np.random.default_rng(0).uniform(0.5, 2, 12)
    result = joint_diagonalize(C, method, weights=weights)
    B, A = result.x, result.mixing
    diagonals = np.einsum("kaa->ka", B @ C @ B.T)
    np.testing.assert_allclose(result.powers, diagonals, rtol=1e-9)
    np.testing.assert_allclose(B @ A, np.eye(6), atol=1e-10)
    levels = np.average(diagonals, axis=0, weights=weights)
    squares = np.average(diagonals**2, axis=0, weights=weights)
    if method in ROTATIONS:
        np.testing.assert_allclose(B @ B.T, np.eye(6), atol=1e-12)
        contribution = levels if method == "rotation" else np.sqrt(squares)
    else:
        norm = levels if method in LIKELIHOOD else squares
        np.testing.assert_allclose(norm, 1.0, rtol=1e-9)
        contribution = np.sum(A**2, axis=0)
    assert np.all(np.diff(contribution) <= 0)
    assert np.all(B[np.arange(6), np.abs(B).argmax(axis=1)] > 0)
    assert len(result.history) == result.n_iter + 1
    if method in LIKELIHOOD:
        assert result.objective == pytest.approx(likelihood_gap(C, B, weights), rel=1e-9)
    D = B @ C @ B.T
    off = np.sum(D**2, axis=(1, 2)) - np.sum(diagonals**2, axis=1)
    if method in SQUARES:
        assert result.objective == pytest.approx(np.average(off, weights=weights), rel=1e-9)
    if method in ("uwedge", "ffdiag"):
        share = weights @ off / (weights @ np.sum(D**2, axis=(1, 2)))
        assert result.objective == pytest.approx(share, rel=1e-9)


@pytest.mark.parametrize(
    ("name", "optimum"), [("noisy", 0.8100677), ("meg", 5.5559717), ("few", 0.0793684)]
)
@pytest.mark.parametrize("method", ["quasi_newton", "pham"])
def test_published_optima_of_the_likelihood(scenario, name, optimum, method):
    C = scenario(name).matrices
    result = joint_diagonalize(C, method)
    assert result.objective == pytest.approx(optimum, abs=1e-7)
    assert likelihood_gap(C, result.x) == pytest.approx(optimum, abs=1e-7)


@pytest.mark.parametrize("method", ["uwedge", "ffdiag"])
@pytest.mark.parametrize(
    ("name", "share"), [("noisy", 0.036857), ("meg", 0.182704), ("lagged", 0.00527041)]
)
def test_published_shares_of_the_off_diagonals(scenario, name, share, method):
    result = joint_diagonalize(scenario(name).matrices, method)
    assert result.objective == pytest.approx(share, abs=2e-6)


def test_separation_of_lagged_and_noisy_sets(scenario):
    lagged, noisy = scenario("lagged"), scenario("noisy")
    for method, limit in [("frobenius", 0.0072), ("jacobi", 0.0072), ("uwedge", 0.0085)]:
        B = joint_diagonalize(lagged.matrices, method).x
        assert amari(B @ lagged.mixing) < limit
    for method, limit in [("quasi_newton", 0.0316), ("uwedge", 0.0288)]:
        assert amari(joint_diagonalize(noisy.matrices, method).x @ noisy.mixing) < limit


def test_two_matrices_have_a_closed_form():
    C = make_matrix_set(2, 7, noise=0.3, random_state=0).matrices
    expected = eigh(C[0], C[1])[1].T
    for method in ("quasi_newton", "pham", "uwedge"):
        result = joint_diagonalize(C, method, init="white", tol=1e-9)
        assert same_rows(result.x, expected)
        assert abs(result.objective) < 1e-12


def test_one_matrix_gives_principal_components():
    C = make_matrix_set(1, 5, noise=0.3, random_state=0).matrices
    for method in METHODS:
        D = (B := joint_diagonalize(C, method).x) @ C[0] @ B.T
        np.testing.assert_allclose(D, np.diag(np.diag(D)), atol=1e-12 * np.abs(D).max())


def test_size_one():
    for method in METHODS:
        result = joint_diagonalize(np.array([[[2.0]], [[3.0]]]), method)
        assert result.converged
        assert result.x.shape == (1, 1)


@pytest.mark.parametrize("method", ["frobenius", "jacobi"])
def test_rotations_of_squares_agree_with_jacobi(scenario, method):
    C = scenario("lagged").matrices
    expected = joint_diagonalize(C, "jacobi", tol=1e-9)
    result = joint_diagonalize(C, method, init="white", tol=1e-9)
    assert result.objective == pytest.approx(expected.objective, rel=1e-9)
    np.testing.assert_allclose(result.x, expected.x, atol=1e-6)


# ---- invariances -----------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("factor", [1e-26, 1e-150, 1e120])
def test_the_unit_of_the_data_changes_nothing(method, factor):
    C = make_matrix_set(10, 6, noise=0.1, random_state=0).matrices
    expected, result = joint_diagonalize(C, method), joint_diagonalize(factor * C, method)
    scale = {"rotation": 1.0, "frobenius": 1.0, "jacobi": 1.0}.get(method, factor**-0.5)
    np.testing.assert_allclose(result.x, scale * expected.x, rtol=0, atol=scale * 1e-7)
    assert result.n_iter == expected.n_iter


@pytest.mark.parametrize("method", LIKELIHOOD)
def test_the_scale_of_each_matrix_changes_nothing(method):
    C = make_matrix_set(10, 6, noise=0.1, random_state=0).matrices
    scales = 10.0 ** np.random.default_rng(0).uniform(-13, 13, 10)
    expected = joint_diagonalize(C, method, tol=1e-8)
    result = joint_diagonalize(C * scales[:, None, None], method, tol=1e-8)
    assert result.objective == pytest.approx(expected.objective, abs=1e-9)
    assert same_rows(result.x, expected.x)


@pytest.mark.parametrize("method", INVERTIBLE)
def test_the_units_of_the_features_change_nothing(method):
    C = make_matrix_set(10, 6, noise=0.1, random_state=0).matrices
    units = 10.0 ** np.array([-12.0, -6.0, 0.0, 3.0, -13.0, 1.0])
    expected = joint_diagonalize(C, method, tol=1e-9)
    result = joint_diagonalize(C * units[:, None] * units, method, tol=1e-9)
    assert result.x.shape == (6, 6)
    assert same_rows(result.x * units, expected.x)


@pytest.mark.parametrize("method", ["quasi_newton", "pham"])
def test_an_invertible_mixing_changes_nothing(method):
    rng = np.random.default_rng(0)
    C = make_matrix_set(10, 6, noise=0.1, random_state=0).matrices
    A = rng.standard_normal((6, 6))
    B = rng.standard_normal((6, 6))
    expected = joint_diagonalize(C, method, init=B)
    result = joint_diagonalize(A @ C @ A.T, method, init=B @ np.linalg.inv(A))
    np.testing.assert_allclose(result.history, expected.history, rtol=1e-6)
    assert same_rows(result.x @ A, expected.x)


@pytest.mark.parametrize("method", METHODS)
def test_the_order_of_matrices_changes_nothing(method):
    C = make_matrix_set(10, 6, noise=0.1, random_state=0).matrices
    expected = joint_diagonalize(C, method, init="white", tol=1e-9)
    result = joint_diagonalize(C[::-1], method, init="white", tol=1e-9)
    np.testing.assert_allclose(result.x, expected.x, atol=1e-6)


@pytest.mark.parametrize("method", METHODS)
def test_the_order_of_features_permutes_the_columns(method):
    C = make_matrix_set(10, 6, noise=0.1, random_state=0).matrices
    order = np.random.default_rng(0).permutation(6)
    expected = joint_diagonalize(C, method, tol=1e-9)
    result = joint_diagonalize(C[:, order][:, :, order], method, tol=1e-9)
    np.testing.assert_allclose(result.x, expected.x[:, order], atol=1e-6)


@pytest.mark.parametrize("method", METHODS)
def test_integer_weights_are_repetitions(method):
    C = make_matrix_set(6, 5, noise=0.1, random_state=0).matrices
    counts = np.array([1, 3, 2, 1, 4, 1])
    weighted = joint_diagonalize(C, method, weights=counts, init="white", tol=1e-9)
    repeated = joint_diagonalize(np.repeat(C, counts, axis=0), method, init="white", tol=1e-9)
    np.testing.assert_allclose(weighted.x, repeated.x, atol=1e-6)
    assert weighted.objective == pytest.approx(repeated.objective, rel=1e-8)


# ---- starts and stopping ---------------------------------------------------------------------


def test_nearly_equal_matrices_do_not_stop_at_the_start():
    problem = make_matrix_set(50, 15, spread=1e-2, random_state=0)
    for init in ("white", "rotation"):
        result = joint_diagonalize(problem.matrices, init=init)
        assert result.converged
        assert result.objective < 1e-10
        assert amari(result.x @ problem.mixing) < 1e-4
    assert result.n_iter <= 1
    for method in ("pham", "rotation"):
        assert joint_diagonalize(problem.matrices[:, :2, :2], method).converged


def test_nearly_equal_matrices_that_fail_say_so():
    C = make_matrix_set(50, 15, spread=1e-3, random_state=0).matrices
    with pytest.warns(ConvergenceWarning, match="max_iter"):
        result = joint_diagonalize(C, init="white", max_iter=20)
    assert not result.converged
    assert joint_diagonalize(C).objective < 1e-14


@pytest.mark.parametrize("method", METHODS)
def test_a_warm_start_at_the_solution_stays_there(method):
    C = make_matrix_set(12, 6, noise=0.1, random_state=1).matrices
    first = joint_diagonalize(C, method, tol=1e-9)
    again = joint_diagonalize(C, method, init=first.x)
    assert again.n_iter <= (1 if method in ("pham", "jacobi") else 0)
    np.testing.assert_allclose(again.x, first.x, atol=1e-6)


@pytest.mark.parametrize("method", METHODS)
def test_no_iterations_return_the_start(method):
    rng = np.random.default_rng(0)
    C = make_matrix_set(12, 6, noise=0.1, random_state=1).matrices
    init = rng.standard_normal((6, 6))
    if method in ROTATIONS:
        init = np.linalg.qr(init)[0]
    with pytest.warns(ConvergenceWarning, match="max_iter"):
        result = joint_diagonalize(C, method, init=init, max_iter=0)
    assert result.n_iter == 0
    assert same_rows(result.x, init, 1e-10)


def test_a_tiny_start_gives_the_same_iterates():
    C = make_matrix_set(12, 6, noise=0.1, random_state=1).matrices
    expected = joint_diagonalize(C, init=np.eye(6))
    for method, factor in [("quasi_newton", 1e-90), ("quasi_newton", 1e120)]:
        result = joint_diagonalize(C, method, init=factor * np.eye(6))
        np.testing.assert_allclose(result.history, expected.history, rtol=1e-12)
        np.testing.assert_allclose(result.x, expected.x, rtol=1e-10)


def test_starts_reach_the_same_minimum():
    C = make_matrix_set(20, 8, noise=0.05, random_state=0).matrices
    results = [joint_diagonalize(C, init=init) for init in ("rotation", "white", np.eye(8))]
    for result in results[1:]:
        assert result.objective == pytest.approx(results[0].objective, rel=1e-7)


def test_many_sets_at_once():
    problems = [make_matrix_set(5 + seed, 3 + seed, random_state=seed) for seed in range(4)]
    results = joint_diagonalize_many([q.matrices for q in problems], n_jobs=2, tol=1e-9)
    for problem, result in zip(problems, results, strict=True):
        assert amari(result.x @ problem.mixing) < 1e-8
        alone = joint_diagonalize(problem.matrices, tol=1e-9)
        np.testing.assert_allclose(result.x, alone.x, atol=1e-9)


def test_the_number_of_blas_threads_is_restored():
    before = threadpool_info()
    joint_diagonalize(make_matrix_set(5, 3, random_state=0).matrices)
    assert threadpool_info() == before


@settings(max_examples=30, deadline=None, derandomize=True)
@given(
    n_matrices=st.integers(2, 12),
    p=st.integers(1, 7),
    noise=st.sampled_from([0.0, 0.05, 1.0]),
    exponent=st.integers(-60, 60),
    method=st.sampled_from(METHODS),
    seed=st.integers(0, 2**31),
)
def test_any_set_gives_a_finite_and_consistent_answer(n_matrices, p, noise, exponent, method, seed):
    C = 10.0**exponent * make_matrix_set(n_matrices, p, noise=noise, random_state=seed).matrices
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        result = joint_diagonalize(C, method, max_iter=100)
    D = result.x @ C @ result.x.T
    np.testing.assert_allclose(np.einsum("kaa->ka", D), result.powers, rtol=1e-6)
    np.testing.assert_allclose(result.x @ result.mixing, np.eye(p), atol=1e-7)
    if method in LIKELIHOOD:
        assert result.objective <= likelihood_gap(C, np.eye(p)) + 1e-9
    if method in SQUARES:
        off = np.sum(C**2) - np.sum(np.einsum("kaa->ka", C) ** 2)
        assert result.objective <= (off / n_matrices) * (1 + 1e-9) + 1e-12 * np.mean(C**2)
