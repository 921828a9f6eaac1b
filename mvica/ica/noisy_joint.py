"""Joint quasi-Newton solver: all unmixings and noise variances move together.

The Hessian at independent components gives the direction; close to the optimum L-BFGS corrects what
it leaves out, above all slow rotations between components of similar noise.
"""

from dataclasses import dataclass

import numpy as np

from mvica.ica.noisy_curvature import newton_direction
from mvica.ica.noisy_objective import LOG_BOUNDS
from mvica.optim.lbfgs import Pairs
from mvica.optim.result import Result

MAX_TRIALS = 30
SLOPE = 1e-4  # share of the predicted decrease that a step must reach
ROUNDING = 1e-10  # decrease per view and component below which the objective cannot judge
ROUNDED = 1e-14  # the same, below which only the gradient judges
CLOSE = 1e-2  # gradient below which past steps help; farther away they mislead,
SLOW, PATIENCE = 0.7, 3  # unless so many full steps in a row leave that share of the gradient
SHORT = 0.25  # steps below this show that past steps mislead
LOWEST_FLOOR, FIRST_FLOOR, LARGEST_FLOOR = 1e-6, 1e-2, 0.5  # of what views share: damps steps
LARGEST_STEP = 1.0  # of a log noise
BLIND_STEPS, TRUST = 10, 2.0  # steps in all that may raise the gradient so much, where L is blind


@dataclass(frozen=True)
class Scope:
    """What moves.

    Attributes
    ----------
    free, free_noise : ndarray of bool, shape (m,)
        Views whose unmixing, and whose noises, move.
    groups : ndarray of int, shape (m, p), or None
        Noises with the same number are one. None: all differ.
    """

    free: np.ndarray
    free_noise: np.ndarray
    groups: np.ndarray | None

    @classmethod
    def of(cls, m, groups=None, free=None, free_noise=None):
        """Scope of m views; everything moves by default, `free_noise` follows `free`."""
        free = np.ones(m, dtype=bool) if free is None else free
        return cls(free, free if free_noise is None else free_noise, groups)

    def held(self, point):
        """Find the noises that stay, (m, p): in a fixed view, or pushed against their bound."""
        g, (low, high) = self.noise_gradient(point), LOG_BOUNDS
        outwards = ((point.log_nu <= low) & (g > 0)) | ((point.log_nu >= high) & (g < 0))
        return outwards | ~self.free_noise[:, None]

    def noise_gradient(self, point):
        """Gradient of each log noise, with those that are one with it."""
        g, groups = point.noise_gradient, self.groups
        return g if groups is None else np.bincount(groups.ravel(), g.ravel())[groups]

    def gradient_norm(self, point):
        """Largest entry of the gradient of what can move."""
        noise = np.abs(self.noise_gradient(point)[~self.held(point)]).max(initial=0.0)
        return float(np.abs(point.gradient[self.free]).max(initial=noise))


def solve_joint(
    objective,
    W,
    log_nu,
    *,
    groups=None,
    free=None,
    free_noise=None,
    tol=1e-6,
    max_iter=200,
    callback=None,
):
    """Minimise the exact likelihood of noisy shared sources.

    Parameters
    ----------
    objective : NoisyObjective
    W : ndarray of shape (m, p, p)
        Where to start; components must correspond between views.
    log_nu : ndarray of shape (m, p)
        Logarithms of the noise variances; clipped to their bounds.
    groups, free, free_noise : default=None
        See `Scope`.
    tol : float, default=1e-6
        Largest gradient entry at convergence, relative for W, of log nu, bounds aside.
    max_iter : int, default=200
        Most iterations.
    callback : callable or None, default=None
        ``callback(n_iter, value, gradient_norm)`` after each iteration.

    Returns
    -------
    point : NoisyPoint
        The best one, after an interrupt (Ctrl-C) as well.
    result : mvica.optim.result.Result
        Its `x` holds the unmixings.
    """
    scope = Scope.of(len(W), groups, free, free_noise)
    log_nu = np.where(scope.free_noise[:, None], np.clip(log_nu, *LOG_BOUNDS), log_nu)
    advance, point = _Steps(objective, scope).advance, objective.point(W, log_nu)
    return iterate(advance, point, scope, tol=tol, max_iter=max_iter, callback=callback)


def iterate(advance, point, scope, *, tol, max_iter, callback=None):
    """Repeat ``point = advance(point)`` until the gradient is small; see `solve_joint`.

    `advance` returns None where it finds no better point.
    """
    history, message, norm = [point.value], "max_iter reached", scope.gradient_norm(point)
    try:
        while norm >= tol and len(history) <= max_iter:
            moved = advance(point)
            if moved is None:
                message = "the line search failed"
                break
            point, norm = moved, scope.gradient_norm(moved)
            history.append(point.value)
            if callback is not None:
                callback(len(history) - 1, point.value, norm)
    except KeyboardInterrupt:
        message = "interrupted"
    converged = norm < tol
    message = "converged" if converged else message
    return point, Result(
        point.W, point.value, norm, len(history) - 1, converged, np.array(history), message
    )


class _Steps:
    """Steps of the joint solver, with their memory."""

    def __init__(self, objective, scope):
        self.objective, self.scope = objective, scope
        self.pairs, self.floor = Pairs(), LOWEST_FLOOR
        self.n_slow, self.n_blind = 0, 0
        self.held = None

    def advance(self, point):
        """Return a better point, or None."""
        held = self.scope.held(point)
        if self.held is not None and not np.array_equal(held, self.held):
            self.pairs.clear()
        self.held = held
        gradient = _vector(point.gradient, np.where(held, 0.0, point.noise_gradient))

        def precondition(vector):
            G, g = _split(vector, held.shape)
            free, groups = self.scope.free, self.scope.groups
            return _vector(*newton_direction(point, G, g, held, free, groups, self.floor))

        norm = self.scope.gradient_norm(point)
        step = self._search(point, self.pairs.direction(gradient, precondition), gradient, norm)
        if step is None and self.pairs.steps:
            self.pairs.clear()  # stale curvature: once more from the Newton direction
            step = self._search(point, precondition(-gradient), gradient, norm)
        if step is None and self.n_blind < BLIND_STEPS:  # beyond rounding: a few on trust
            self.n_blind += 1
            step = self._search(point, precondition(-gradient), gradient, TRUST * norm)
        if step is None:
            return None
        moved, t, move = step
        self._learn(t, self.scope.gradient_norm(moved) / norm)
        if t >= SHORT and (norm < CLOSE or self.n_slow >= PATIENCE):
            held_gradient = np.where(held, 0.0, moved.noise_gradient)
            change = _vector(moved.gradient, held_gradient) - gradient
            self.pairs.append(_vector(t * move, moved.log_nu - point.log_nu), change)
        return moved

    def _search(self, point, direction, gradient, norm):
        """Halve the step until it lowers the objective; None if no step does.

        Returns the new point, the step length and the relative step. Where the predicted decrease
        is below rounding, a smaller gradient decides.
        """
        move, delta = self._capped(*_split(direction, self.held.shape))
        slope = np.dot(_vector(move, delta), gradient)
        if not slope < 0:
            return None
        change, still = move @ point.W, delta == 0
        t = 1.0
        for _ in range(MAX_TRIALS):
            log_nu = np.clip(point.log_nu + t * delta, *LOG_BOUNDS)
            log_nu[still] = point.log_nu[still]
            trial = self.objective.evaluate(point.W + t * change, log_nu)
            predicted = -t * slope / delta.size
            lower = trial.value <= point.value + SLOPE * t * slope and predicted > ROUNDED
            if lower or predicted < ROUNDING:
                trial = self.objective.with_gradient(trial)
                if lower or self.scope.gradient_norm(trial) < norm:
                    return trial, t, move
            t /= 2
        return None

    def _learn(self, t, shrunk):
        """Damp more after short steps, less after full ones; count full steps that do little."""
        if t < SHORT:
            self.pairs.clear()
            self.floor = float(np.clip(10 * self.floor, FIRST_FLOOR, LARGEST_FLOOR))
        elif t == 1:
            self.floor = max(0.3 * self.floor, LOWEST_FLOOR)
        self.n_slow = self.n_slow + 1 if t == 1 and shrunk > SLOW else 0

    def _capped(self, move, delta):
        """Shrink the scale and noise steps of a component together where a noise moves too far."""
        largest = np.abs(delta).max(axis=0)
        if self.scope.groups is not None:
            largest = np.full_like(largest, largest.max())
        factor = LARGEST_STEP / np.maximum(largest, LARGEST_STEP)
        move = move.copy()
        np.einsum("vaa->va", move)[:] *= factor
        return move, factor * delta


def _vector(unmixings, noises):
    return np.concatenate([unmixings.ravel(), noises.ravel()])


def _split(vector, shape):
    m, p = shape
    return vector[: m * p * p].reshape(m, p, p), vector[m * p * p :].reshape(m, p)
