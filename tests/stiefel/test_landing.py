"""Landing for an objective of the caller's own: known optima, any form of B, units, bad input."""

import numpy as np
import pytest
from scipy.linalg import cho_factor, cho_solve, eigh
from scipy.sparse import diags_array
from scipy.sparse.linalg import aslinearoperator
from sklearn.exceptions import ConvergenceWarning

from mvica.stiefel import landing


def pair(d, condition, seed=0):
    rng = np.random.default_rng(seed)
    Q_A, Q_B = (np.linalg.qr(rng.standard_normal((d, d)))[0] for _ in range(2))
    A, B = (
        (Q_A * np.linspace(1, 0.01, d)) @ Q_A.T,
        (Q_B * np.geomspace(1, 1 / condition, d)) @ Q_B.T,
    )
    return (A + A.T) / 2, (B + B.T) / 2


def quadratic(A):
    def fun_grad(U):
        G = -A @ U
        return 0.5 * np.vdot(U, G), G

    return fun_grad


@pytest.mark.parametrize("condition", [1e2, 1e4, 1e6])
@pytest.mark.parametrize("field", ["congruence", "residual"])
def test_hundred_iterations_of_the_published_problem(condition, field):
    A, B = pair(400, condition)
    best = -0.5 * eigh(A, B, eigvals_only=True)[-5:].sum()
    U0 = np.random.default_rng(1).standard_normal((400, 5))
    with pytest.warns(ConvergenceWarning, match="max_iter=100 reached"):
        solution = landing(quadratic(A), B, U0, field=field, max_iter=100, tol=1e-12)
    assert 1 - solution.objective / best < 1e-4
    assert np.all(solution.history[:, 2] <= 0.5 + 1e-9)
    x = solution.x
    np.testing.assert_allclose(x.T @ B @ x, np.eye(5), atol=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("p", [5, 50])
def test_ten_seeds_of_every_condition_with_a_sampled_preconditioner(p):
    for condition in (1e2, 1e4, 1e6):
        for seed in range(10):
            A, B = pair(200, condition, seed)
            rows = np.random.default_rng(seed).standard_normal((800, 200)) @ np.linalg.cholesky(B).T
            factor = cho_factor(rows.T @ rows / 800)
            best = -0.5 * eigh(A, B, eigvals_only=True)[-p:].sum()
            U0 = np.random.default_rng(seed + 100).standard_normal((200, p))
            inverse = lambda R, factor=factor: cho_solve(factor, R)  # noqa: E731
            solution = landing(quadratic(A), B, U0, preconditioner=inverse)
            assert solution.converged
            assert abs(1 - solution.objective / best) < 1e-8


def test_every_form_of_b():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((3000, 20)) * np.geomspace(1, 0.1, 20)
    B, (A, _) = X.T @ X / 3000, pair(20, 10)
    best = -0.5 * eigh(A, B, eigvals_only=True)[-3:].sum()
    U0 = rng.standard_normal((20, 3))
    forms = {
        "array": B,
        "data": X,
        "batches": lambda: iter(np.split(X, 6)),
        "operator": aslinearoperator(B),
    }
    for name, form in forms.items():
        solution = landing(quadratic(A), form, U0, max_iter=5000)
        assert solution.objective == pytest.approx(best, rel=1e-9), name
    diagonal = np.linspace(1, 30, 20)
    solution = landing(quadratic(A), diags_array(diagonal), U0)
    best = -0.5 * eigh(A, np.diag(diagonal), eigvals_only=True)[-3:].sum()
    assert solution.objective == pytest.approx(best, rel=1e-9)


def test_procrustes_on_stiefel_and_the_orthogonal_group():
    rng = np.random.default_rng(0)
    for d, p in ((10, 3), (6, 6)):
        T = rng.standard_normal((d, p))
        left, _, right = np.linalg.svd(T, full_matrices=False)
        U0 = left @ right + 0.3 * rng.standard_normal((d, p))
        solution = landing(lambda U, T=T: (0.5 * np.sum((U - T) ** 2), U - T), None, U0, tol=1e-9)
        np.testing.assert_allclose(solution.x, left @ right, atol=1e-7)
        assert solution.converged


def test_objective_that_is_not_quadratic():
    """Fourth powers of the sources of a white mixture: minima at the rows of the mixing."""
    rng = np.random.default_rng(0)
    S = np.sign(rng.standard_normal((4000, 4))) * rng.uniform(0.5, 1.5, size=(4000, 4))
    A = rng.standard_normal((4, 4))
    X = S @ A.T

    def kurtosis(U):
        Y = X @ U
        return np.mean(np.sum(Y**4, axis=1)), 4 * X.T @ Y**3 / len(X)

    solution = landing(kurtosis, X, np.eye(4), check_gradient=True)
    gains = np.abs(solution.x.T @ A)
    assert np.all(np.sort(gains / gains.max(axis=1, keepdims=True), axis=1)[:, -2] < 0.05)


def test_units_do_not_matter():
    A, B = pair(30, 1e3)
    U0 = np.random.default_rng(0).standard_normal((30, 3))
    one = landing(quadratic(A), B, U0)
    other = landing(quadratic(1e-11 * A), 1e-24 * B, U0)
    assert other.n_iter == pytest.approx(one.n_iter, abs=5)
    assert other.objective == pytest.approx(1e13 * one.objective, rel=1e-9)


def test_objective_that_is_infinite_somewhere_is_avoided():
    A, B = pair(20, 10)
    best = -0.5 * eigh(A, B, eigvals_only=True)[-2:].sum()

    def walled(U):
        value, G = quadratic(A)(U)
        return (value, G) if value > 1.3 * best else (np.inf, G)

    solution = landing(walled, B, np.random.default_rng(0).standard_normal((20, 2)))
    assert solution.objective == pytest.approx(best, rel=1e-8)


def test_callback_and_history_agree():
    A, B = pair(20, 10)
    seen = []
    solution = landing(quadratic(A), B, np.eye(20)[:, :2], callback=lambda *line: seen.append(line))
    np.testing.assert_array_equal([line[1:] for line in seen], solution.history[:, :2])
    assert [line[0] for line in seen] == list(range(solution.n_iter + 1))


def test_bad_input_is_named():
    A, B = pair(10, 10)
    U0 = np.eye(10)[:, :2]
    fun = quadratic(A)
    with pytest.raises(ValueError, match="gradient that is not one"):
        landing(lambda U: (fun(U)[0], -fun(U)[1]), B, U0, check_gradient=True)
    with pytest.raises(ValueError, match=r"gradient has shape \(2, 10\), expected \(10, 2\)"):
        landing(lambda U: (fun(U)[0], fun(U)[1].T), B, U0)
    with pytest.raises(ValueError, match="dependent columns"):
        landing(fun, B, U0[:, [0, 0]])
    with pytest.raises(ValueError, match=r"U0 has shape \(2, 10\)"):
        landing(fun, B, U0.T)
    with pytest.raises(ValueError, match="indefinite"):
        landing(fun, B - np.eye(10), U0)
    with pytest.raises(ValueError, match="B is of order 9, expected 10"):
        landing(fun, B[:9, :9], U0)
    with pytest.raises(ValueError, match="U0 contains NaN"):
        landing(fun, B, U0 * np.nan)
    with pytest.raises(ValueError, match="field must be"):
        landing(fun, B, U0, field="plam")
    with pytest.raises(ValueError, match="finite"):
        landing(lambda U: (np.nan, U), B, U0)
