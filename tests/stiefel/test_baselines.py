"""Retractions and the Riemannian baseline, and variance reduction: known optima and rates."""

import numpy as np
import pytest
from scipy.linalg import eigh

from mvica.stiefel import riemannian_descent, saga_landing
from mvica.stiefel.riemannian import retract
from mvica.stiefel.variance_reduction import SagaSolution


def pair(d, condition):
    rng = np.random.default_rng(0)
    Q_A, Q_B = (np.linalg.qr(rng.standard_normal((d, d)))[0] for _ in range(2))
    A, B = (
        (Q_A * np.linspace(1, 0.01, d)) @ Q_A.T,
        (Q_B * np.geomspace(1, 1 / condition, d)) @ Q_B.T,
    )
    return (A + A.T) / 2, (B + B.T) / 2


@pytest.mark.parametrize("method", ["cholesky", "polar", "qr"])
def test_retraction_is_on_the_constraint_and_of_first_order(method):
    _, B = pair(10, 1e3)
    lower = np.linalg.cholesky(B)
    rng = np.random.default_rng(0)
    U = retract(rng.standard_normal((10, 3)), np.zeros((10, 3)), lower, method)
    np.testing.assert_allclose(U.T @ B @ U, np.eye(3), atol=1e-12)
    step = rng.standard_normal((10, 3))
    inner = U.T @ B @ step
    step -= U @ (inner + inner.T) / 2  # tangent
    errors = []
    for h in (1e-3, 1e-4):
        moved = retract(U, h * step, lower, method)
        np.testing.assert_allclose(moved.T @ B @ moved, np.eye(3), atol=1e-12)
        errors.append(np.linalg.norm(moved - U - h * step))
    assert errors[1] < 0.02 * errors[0]  # the error is quadratic in the step


@pytest.mark.parametrize("method", ["cholesky", "polar", "qr"])
def test_descent_finds_the_top_eigenspace(method):
    A, B = pair(60, 1e4)
    best = -0.5 * eigh(A, B, eigvals_only=True)[-3:].sum()
    U0 = np.random.default_rng(1).standard_normal((60, 3))
    solution = riemannian_descent(
        lambda U: (-0.5 * np.vdot(U, A @ U), -A @ U), B, U0, retraction=method
    )
    assert solution.converged
    assert solution.objective == pytest.approx(best, rel=1e-9)
    np.testing.assert_allclose(solution.x.T @ B @ solution.x, np.eye(3), atol=1e-10)


def principal_components(d=30, p=5, n_batches=40, r=25):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n_batches * r, d)) * np.linspace(1.5, 0.2, d)
    batches = np.split(X, n_batches)
    best = -0.5 * np.sort(np.linalg.eigvalsh(X.T @ X / len(X)))[-p:].sum()
    covariance = X.T @ X / len(X)

    def gradient(b, U):
        return -batches[b].T @ (batches[b] @ U) / r

    def gap(U):
        return 1 + 0.5 * np.vdot(U, covariance @ U) / best

    return gradient, n_batches, gap, rng.standard_normal((d, p))


def test_saga_converges_linearly_where_plain_steps_keep_their_noise():
    gradient, n_batches, gap, U0 = principal_components()
    options = {"step": 0.1, "random_state": 0}
    gaps = [
        gap(saga_landing(gradient, n_batches, U0, n_steps=n, **options).x)
        for n in (3000, 6000, 9000)
    ]
    assert gaps[1] < 0.2 * gaps[0]
    assert gaps[2] < 0.2 * gaps[1]
    rng, U = np.random.default_rng(0), np.linalg.qr(U0)[0]
    for b in rng.integers(n_batches, size=9000):
        G = gradient(b, U)
        U = np.linalg.qr(U - 0.1 * (G - U @ (G.T @ U)))[0]
    assert gap(U) > 30 * gaps[2]


def test_saga_stays_near_the_constraint_and_ends_on_it():
    gradient, n_batches, _, U0 = principal_components()
    solution = saga_landing(gradient, n_batches, U0, step=50.0, n_steps=200, random_state=0)
    assert isinstance(solution, SagaSolution)
    assert solution.violation <= 0.5 + 1e-9
    np.testing.assert_allclose(solution.x.T @ solution.x, np.eye(5), atol=1e-12)
