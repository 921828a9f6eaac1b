"""Preconditioned L-BFGS with a damped preconditioner: the solver that the ICA families share.

A model tells how to move and evaluate; the solver knows nothing of views or samples. See `Model`.
"""

from typing import Protocol

import numpy as np
from scipy.linalg.blas import daxpy, ddot

from mvica.optim.result import Result

MEMORY = 7
MAX_TRIALS = 20
INTERRUPTED = "interrupted"


class Point(Protocol):
    """One iterate: unknowns `x`, objective `value`, `gradient` in the model's own chart."""

    x: np.ndarray
    value: float
    gradient: np.ndarray


class Line(Protocol):
    """The objective along one direction."""

    def value(self, t):
        """Objective at step `t`."""

    def point(self):
        """Point at the step evaluated last."""


class Model(Protocol):
    """What the solver asks of a model."""

    rounding: float  # relative rounding error of the objective

    def precondition(self, point, vector, damping):
        """Apply a symmetric positive definite inverse curvature, safer for larger `damping`."""

    def line(self, point, direction):
        """Return the `Line` that leaves `point` along `direction`."""


class Pairs:
    """Last steps and gradient changes: the two-loop recursion of L-BFGS."""

    def __init__(self, memory=MEMORY):
        self.memory = memory
        self.clear()

    def clear(self):
        """Forget all pairs."""
        self.steps, self.changes, self.inverse_products = [], [], []

    def append(self, step, change):
        """Keep a pair if its curvature is positive."""
        product = ddot(step, change)
        if product <= 1e-12 * np.sqrt(ddot(step, step) * ddot(change, change)):
            return
        if len(self.steps) == self.memory:
            del self.steps[0], self.changes[0], self.inverse_products[0]
        self.steps.append(step)
        self.changes.append(change)
        self.inverse_products.append(1.0 / product)

    def direction(self, gradient, precondition):
        """Quasi-Newton direction, with `precondition` as the initial inverse Hessian."""
        vector = -gradient.ravel()
        weights = []
        for s, y, rho in zip(*map(reversed, self._columns()), strict=True):
            weight = rho * ddot(s, vector)
            daxpy(y, vector, a=-weight)
            weights.append(weight)
        vector = precondition(vector.reshape(gradient.shape)).ravel()
        for s, y, rho, weight in zip(*self._columns(), reversed(weights), strict=True):
            daxpy(s, vector, a=weight - rho * ddot(y, vector))
        return vector.reshape(gradient.shape)

    def _columns(self):
        return self.steps, self.changes, self.inverse_products


def _search(line, value, slope, rounding):
    """Backtrack from the full step; return the accepted step length, or 0."""
    floor = rounding * abs(value)
    t = 1.0
    for _ in range(MAX_TRIALS):
        trial = line.value(t)
        at_floor = abs(slope) < floor and trial <= value + floor
        if trial <= value + 1e-4 * t * slope or at_floor:
            return t
        t /= 2
    return 0.0


def _next_damping(damping, t):
    """Trust the preconditioner more after full steps, less after short ones."""
    if t == 1.0:
        return max(0.3 * damping, 1e-8)
    return min(10 * damping, 0.5) if t < 0.5 else damping


def minimize(model, point, *, tol, tol_decrease, max_iter, callback=None):
    """Minimise a model from a starting point.

    Parameters
    ----------
    model : Model
        The objective.
    point : Point
        Where to start.
    tol : float
        Largest absolute gradient entry allowed at convergence.
    tol_decrease : float
        Largest predicted decrease of the objective allowed at convergence. A gradient spread thinly
        over many views passes `tol` alone long before the optimum.
    max_iter : int
        Most iterations.
    callback : callable or None, default=None
        ``callback(n_iter, value, gradient_norm)`` after each iteration.

    Returns
    -------
    point : Point
        The last, best point. After an interrupt (Ctrl-C) as well.
    result : Result
        Its record; `message` says why the solver stopped.
    """
    pairs = Pairs()
    damping, n_iter, message = 0.1, 0, None
    history = [point.value]
    try:
        while True:
            direction = _descent(model, point, pairs, damping)
            slope = np.vdot(direction, point.gradient)
            norm = np.abs(point.gradient).max()
            if norm < tol and -slope / 2 < tol_decrease:
                message = "converged"
            elif n_iter == max_iter:
                message = "max_iter reached"
            if message:
                break
            moved, t = _step(model, point, direction, slope)
            if moved is None and pairs.steps:
                pairs.clear()  # stale curvature: once more from the preconditioned gradient
                direction = -model.precondition(point, point.gradient, damping)
                moved, t = _step(model, point, direction, np.vdot(direction, point.gradient))
            if moved is None:
                message = "the line search failed"
                break
            if t < 0.25:
                pairs.clear()
            else:
                pairs.append(t * direction.ravel(), (moved.gradient - point.gradient).ravel())
            damping = _next_damping(damping, t)
            point = moved
            n_iter += 1
            history.append(point.value)
            if callback is not None:
                callback(n_iter, point.value, np.abs(point.gradient).max())
    except KeyboardInterrupt:
        message = INTERRUPTED
    norm = float(np.abs(point.gradient).max())
    converged = message == "converged"
    return point, Result(
        point.x,
        float(point.value),
        norm,
        n_iter,
        converged,
        np.array(history[: n_iter + 1]),
        message,
    )


def _descent(model, point, pairs, damping):
    def precondition(vector):
        return model.precondition(point, vector, damping)

    direction = pairs.direction(point.gradient, precondition)
    if np.vdot(direction, point.gradient) < 0:
        return direction
    pairs.clear()
    return -precondition(point.gradient)


def _step(model, point, direction, slope):
    line = model.line(point, direction)
    t = _search(line, point.value, slope, model.rounding)
    return (line.point(), t) if t else (None, 0.0)
