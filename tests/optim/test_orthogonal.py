"""Minimisation over orthogonal matrices: closed forms, another solver, rounding, refusals."""

import numpy as np
import pytest
from scipy.stats import kstest

from mvica.joint_diagonalization import joint_diagonalize, make_matrix_set
from mvica.joint_diagonalization.criteria import likelihood, rotation_gradient
from mvica.optim.orthogonal import (
    Descent,
    cayley,
    exponential,
    minimize_over_rotations,
    nearest_orthogonal,
    positive_curvature,
    quasi_newton_direction,
    random_orthogonal,
    take_step,
)
from mvica.testing import check_gradient

RETRACTIONS = [cayley, exponential]


def antisymmetric(p, rng):
    E = rng.standard_normal((p, p))
    return E - E.T


class Trace:
    """Minus tr(A^T Q), which the polar factor of A minimises; `scale` multiplies it."""

    def __init__(self, A, scale=1.0):
        self.A, self.scale, self.n_values = A, scale, 0

    def __call__(self, Q):
        self.n_values += 1
        T = -self.scale * self.A @ Q.T
        curvature = -np.add.outer(np.diag(T), np.diag(T))
        unit = np.abs(curvature).mean()
        return Record(np.trace(T), T - T.T, positive_curvature(curvature, unit))


class Record:
    def __init__(self, value, gradient, curvature):
        self.value, self.gradient, self.curvature = value, gradient, curvature


class Diagonality:
    """The likelihood of joint diagonalisation by a rotation."""

    def __init__(self, C):
        self.C, self.weights = C, np.full(len(C), 1 / len(C))

    def __call__(self, Q):
        D = Q @ self.C @ Q.T
        d = np.einsum("kaa->ka", D)
        h = (self.weights[:, None] / d).T @ d
        return Record(
            likelihood(d, self.weights, Q),
            rotation_gradient(D, self.weights),
            positive_curvature(h + h.T - 2.0, (h + h.T).mean()),
        )


def trace_problem(p=12):
    rng = np.random.default_rng(0)
    A = rng.standard_normal((p, p))
    best = nearest_orthogonal(A)
    # Half of the orthogonal matrices cannot be reached by rotations.
    return A, best, cayley(antisymmetric(p, rng), best)


# ---- pieces ----------------------------------------------------------------------------------


@pytest.mark.parametrize("retraction", RETRACTIONS)
@pytest.mark.parametrize("size", [1e-8, 1.0, 30.0])
def test_retractions_keep_orthogonality(retraction, size):
    rng = np.random.default_rng(0)
    Q = random_orthogonal(9, rng)
    for _ in range(50):
        Q = retraction(size * antisymmetric(9, rng), Q)
    np.testing.assert_allclose(Q @ Q.T, np.eye(9), atol=1e-11)


def test_cayley_is_the_exponential_up_to_third_order():
    rng = np.random.default_rng(0)
    E, Q = antisymmetric(6, rng), random_orthogonal(6, rng)
    gaps = [np.linalg.norm(cayley(t * E, Q) - exponential(t * E, Q)) for t in (1e-2, 1e-3)]
    assert gaps[0] / gaps[1] == pytest.approx(1000, rel=0.05)


def test_random_orthogonal_is_uniform():
    rng = np.random.default_rng(0)
    draws = np.array([random_orthogonal(3, rng) for _ in range(2000)])
    assert np.allclose(draws @ draws.transpose(0, 2, 1), np.eye(3))
    # Each entry of a uniform orthogonal matrix of size 3 is uniform in [-1, 1].
    for entry in draws.reshape(-1, 9).T:
        assert kstest(entry, "uniform", args=(-1, 2)).pvalue > 1e-3
    assert 0.45 < np.mean(np.linalg.det(draws) > 0) < 0.55


def test_nearest_orthogonal_is_nearest():
    rng = np.random.default_rng(0)
    A = rng.standard_normal((5, 5))
    Q = nearest_orthogonal(A)
    np.testing.assert_allclose(Q @ Q.T, np.eye(5), atol=1e-14)
    distance = np.linalg.norm(A - Q)
    assert all(np.linalg.norm(A - random_orthogonal(5, rng)) > distance for _ in range(100))


def test_positive_curvature_leaves_good_ones_alone():
    found = positive_curvature(np.array([[5.0, -2.0], [1e-5, 0.5]]), 1.0)
    np.testing.assert_array_equal(found, [[5.0, 1e-3], [1e-3, 0.5]])
    assert positive_curvature(np.zeros((2, 2)), 0.0).min() > 0


@pytest.mark.parametrize("retraction", RETRACTIONS)
def test_gradient_convention(retraction):
    A, _, Q = trace_problem(5)
    problem = Trace(A)
    check_gradient(
        lambda Q: problem(Q).value,
        Q,
        lambda Q: problem(Q).gradient / 2,
        retraction=lambda Q, E: retraction((E - E.T) / 2, Q),
        tol=1e-8,
    )


# ---- steps -----------------------------------------------------------------------------------


def test_step_lowers_the_objective_enough():
    A, _, Q = trace_problem()
    problem = Trace(A)
    point = problem(Q)
    direction = quasi_newton_direction(point)
    step = take_step(problem, Q, point, direction)
    predicted = 0.5 * step.length * np.vdot(point.gradient, direction)
    assert step.point.value <= point.value + 1e-4 * predicted < point.value
    np.testing.assert_allclose(step.Q, cayley(step.length * direction, Q))


def test_step_starts_at_the_length_given():
    A, _, Q = trace_problem()
    problem = Trace(A)
    point = problem(Q)
    direction = 1e-3 * quasi_newton_direction(point)
    assert take_step(problem, Q, point, direction, first=0.25).length == 0.25
    assert problem.n_values == 2


def test_no_step_uphill():
    A, _, Q = trace_problem()
    problem = Trace(A)
    point = problem(Q)
    assert take_step(problem, Q, point, 1e-2 * point.gradient) is None


@pytest.mark.parametrize("bad", [np.inf, np.nan])
def test_step_backs_out_of_values_that_are_no_numbers(bad):
    A, _, Q = trace_problem(3)
    problem = Trace(A)

    def walled(Q_trial):
        point = problem(Q_trial)
        if np.linalg.norm(Q_trial - Q) > 0.1:
            point.value = bad
        return point

    point = problem(Q)
    step = take_step(walled, Q, point, quasi_newton_direction(point))
    assert step.point.value < point.value
    assert np.linalg.norm(step.Q - Q) <= 0.1


def test_descent_lengthens_steps_after_success_only():
    A, _, Q = trace_problem()
    problem, descent = Trace(A), Descent(memory=0)
    descent.first = 0.1
    step = descent.step(problem, Q, problem(Q))
    assert step.length == 0.1
    assert descent.first == pytest.approx(0.2)


# ---- the solver ------------------------------------------------------------------------------


@pytest.mark.parametrize("memory", [0, 7])
@pytest.mark.parametrize("retraction", RETRACTIONS)
def test_polar_factor(memory, retraction):
    A, best, Q = trace_problem()
    point, result = minimize_over_rotations(
        Trace(A), Q, tol=1e-9, max_iter=500, memory=memory, retraction=retraction
    )
    assert result.converged
    assert result.message == "converged"
    np.testing.assert_allclose(result.x, best, atol=1e-7)
    assert point.value == result.objective == result.history[-1]
    assert len(result.history) == result.n_iter + 1
    assert np.all(np.diff(result.history) <= 1e-12 * abs(result.objective))
    assert result.gradient_norm == np.abs(point.gradient).max()


@pytest.mark.parametrize("memory", [0, 7])
def test_rotations_that_diagonalise_matrices(memory):
    C = make_matrix_set(20, 10, noise=0.1, random_state=0).matrices
    expected = joint_diagonalize(C, method="rotation", tol=1e-9)
    start = joint_diagonalize(C, method="rotation", tol=1e-2).x
    _, result = minimize_over_rotations(
        Diagonality(C), start, tol=1e-8, max_iter=1000, memory=memory
    )
    assert result.converged
    divergence = result.objective - 0.5 * np.mean(np.linalg.slogdet(C)[1])
    assert divergence == pytest.approx(expected.objective, rel=1e-12)
    overlap = np.abs(result.x @ expected.x.T)
    np.testing.assert_allclose(overlap.max(axis=1), 1.0, atol=1e-6)


def test_memory_makes_up_for_poor_curvatures():
    A, _, Q = trace_problem()
    problem = Trace(A)

    def flat(Q):
        point = problem(Q)
        point.curvature = np.full_like(A, 20.0)
        return point

    runs = [minimize_over_rotations(flat, Q, max_iter=5000, memory=m)[1] for m in (0, 7)]
    assert all(run.converged for run in runs)
    assert runs[1].n_iter < 0.5 * runs[0].n_iter


@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_scale_of_the_objective_changes_nothing(scale):
    A, _, Q = trace_problem()
    runs = [minimize_over_rotations(Trace(A, s), Q)[1] for s in (1.0, scale)]
    assert runs[0].n_iter == runs[1].n_iter
    np.testing.assert_allclose(runs[0].x, runs[1].x, atol=1e-10)


def test_tolerance_is_an_angle():
    A, best, Q = trace_problem()
    for tol in (1e-2, 1e-4, 1e-6):
        _, result = minimize_over_rotations(Trace(A), Q, tol=tol)
        assert np.abs(result.x - best).max() < 10 * tol


def test_stays_orthogonal_over_many_steps():
    C = make_matrix_set(20, 10, noise=0.3, random_state=0).matrices
    Q = random_orthogonal(10, np.random.default_rng(0))
    _, result = minimize_over_rotations(Diagonality(C), Q, tol=1e-300, max_iter=300)
    assert np.abs(result.x @ result.x.T - np.eye(10)).max() < 1e-12


def test_says_that_it_has_not_converged():
    A, _, Q = trace_problem()
    _, result = minimize_over_rotations(Trace(A), Q, max_iter=1)
    assert not result.converged
    assert result.message == "max_iter reached"
    assert result.n_iter == 1


def test_one_dimension_has_nothing_to_turn():
    _, result = minimize_over_rotations(Trace(np.array([[-2.0]])), np.eye(1))
    assert result.converged
    assert result.n_iter == 0


def test_callback_and_interrupt_give_the_best_iterate():
    A, _, Q = trace_problem()
    seen = []

    def stop(n_iter, value, gradient_norm):
        seen.append((n_iter, value, gradient_norm))
        if n_iter == 3:
            raise KeyboardInterrupt

    point, result = minimize_over_rotations(Trace(A), Q, callback=stop)
    assert [line[0] for line in seen] == [1, 2, 3]
    assert result.message == "interrupted"
    assert not result.converged
    assert result.n_iter == 3
    assert (result.objective, result.gradient_norm) == seen[-1][1:]
    assert Trace(A)(result.x).value == point.value == min(line[1] for line in seen)


@pytest.mark.parametrize(
    ("Q", "message"),
    [
        (np.ones((2, 3)), r"square matrix, found shape \(2, 3\)"),
        (np.ones(4), r"square matrix, found shape \(4,\)"),
        (2 * np.eye(3), r"differs from the identity by 3.0e\+00"),
        (np.full((3, 3), np.nan), "not orthogonal"),
    ],
)
def test_refuses_what_is_not_orthogonal(Q, message):
    with pytest.raises(ValueError, match=message):
        minimize_over_rotations(Trace(np.eye(3)), Q)
