"""The solver on problems whose answer is known."""

from dataclasses import dataclass

import numpy as np
import pytest

from mvica.optim.lbfgs import Pairs, minimize


@dataclass
class ToyPoint:
    x: np.ndarray
    value: float
    gradient: np.ndarray


class Toy:
    """A function of a vector, in the solver's terms."""

    rounding = 1e-12

    def __init__(self, function, gradient, scale=1.0):
        self.function, self.gradient, self.scale = function, gradient, scale

    def start(self, x):
        return ToyPoint(x, self.function(x), self.gradient(x))

    def precondition(self, point, vector, damping):
        return self.scale * vector

    def line(self, point, direction):
        return ToyLine(self, point, direction)


class ToyLine:
    def __init__(self, model, point, direction):
        self.model, self.start, self.direction = model, point, direction

    def value(self, t):
        self.x = self.start.x + t * self.direction
        return self.model.function(self.x)

    def point(self):
        return self.model.start(self.x)


def quadratic(order=30, seed=0):
    M = np.random.default_rng(seed).standard_normal((order, order))
    H = M @ M.T / order + 0.1 * np.eye(order)
    b = np.arange(order, dtype=float)
    return Toy(lambda x: x @ H @ x / 2 - b @ x, lambda x: H @ x - b), np.linalg.solve(H, b)


LIMITS = {"tol": 1e-8, "tol_decrease": np.inf, "max_iter": 500}


def test_solves_a_quadratic():
    model, solution = quadratic()
    point, result = minimize(model, model.start(np.zeros(30)), **LIMITS)
    assert result.converged
    np.testing.assert_allclose(point.x, solution, rtol=1e-6)
    assert len(result.history) == result.n_iter + 1
    assert np.all(np.diff(result.history) <= 1e-12 * np.abs(result.history[:-1]))
    assert result.gradient_norm == np.abs(point.gradient).max() < 1e-8


def test_two_loop_recursion_equals_bfgs_update():
    rng = np.random.default_rng(0)
    H = np.eye(5)
    pairs = Pairs(memory=3)
    for _ in range(3):
        s = rng.standard_normal(5)
        y = s + 0.3 * rng.standard_normal(5)
        if s @ y < 0:
            y = -y
        pairs.append(s, y)
        V = np.eye(5) - np.outer(y, s) / (s @ y)
        H = V.T @ H @ V + np.outer(s, s) / (s @ y)
    g = rng.standard_normal(5)
    np.testing.assert_allclose(pairs.direction(g, lambda v: v), -H @ g, rtol=1e-12)


def test_negative_curvature_pairs_are_refused():
    pairs = Pairs()
    pairs.append(np.ones(3), -np.ones(3))
    assert not pairs.steps


def test_stops_at_max_iter_and_says_so():
    model, _ = quadratic()
    _, result = minimize(model, model.start(np.zeros(30)), **{**LIMITS, "max_iter": 3})
    assert (result.converged, result.n_iter, result.message) == (False, 3, "max_iter reached")


def test_small_gradient_alone_is_not_convergence():
    flat = Toy(lambda x: 1e-9 * (x @ x) / 2, lambda x: 1e-9 * x, scale=1e9)
    start = flat.start(np.full(4, 1e3))
    _, loose = minimize(flat, start, tol=1e-5, tol_decrease=np.inf, max_iter=10)
    _, strict = minimize(flat, start, tol=1e-5, tol_decrease=1e-9, max_iter=10)
    assert loose.n_iter == 0
    assert strict.n_iter >= 1
    assert strict.objective < 1e-12


def test_a_wrong_gradient_ends_in_a_failed_line_search():
    liar = Toy(lambda x: float(x @ x), lambda x: -2 * x)
    point, result = minimize(liar, liar.start(np.ones(3)), **LIMITS)
    assert result.message == "the line search failed"
    assert not result.converged
    np.testing.assert_array_equal(point.x, 1)


def test_nonfinite_trials_are_stepped_back_from():
    def function(x):
        return float(x[0] - np.log(x[0])) if x[0] > 0 else np.inf

    barrier = Toy(function, lambda x: 1 - 1 / x, scale=50.0)
    point, result = minimize(barrier, barrier.start(np.array([5.0])), **LIMITS)
    assert result.converged
    assert point.x[0] == pytest.approx(1.0, abs=1e-7)


def test_interrupt_gives_the_best_point():
    model, _ = quadratic()
    values = []

    def interrupt_after_five(n_iter, value, gradient_norm):
        values.append(value)
        if n_iter == 5:
            raise KeyboardInterrupt

    point, result = minimize(
        model, model.start(np.zeros(30)), callback=interrupt_after_five, **LIMITS
    )
    assert (result.message, result.n_iter, result.converged) == ("interrupted", 5, False)
    assert point.value == result.objective == min(values)
