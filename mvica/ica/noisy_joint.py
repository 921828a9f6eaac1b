"""Joint quasi-Newton solver: all unmixings and noise variances move together."""

import numpy as np

from mvica.ica.noisy_curvature import newton_direction
from mvica.ica.noisy_objective import LOG_BOUNDS
from mvica.optim.result import Result

MAX_TRIALS = 30
SLOPE = 1e-4  # share of the predicted decrease that a step must reach
ROUNDING = 1e-10  # decrease per view and component below which the objective cannot judge


def solve_joint(
    objective, W, log_nu, *, groups=None, free=None, tol=1e-6, max_iter=200, callback=None
):
    """Minimise the exact likelihood of noisy shared sources.

    Parameters
    ----------
    objective : NoisyObjective
    W : ndarray of shape (m, p, p)
        Where to start; components must correspond between views.
    log_nu : ndarray of shape (m, p)
        Logarithms of the noise variances; clipped to their bounds.
    groups : ndarray of int, shape (m, p), default=None
        Noises with the same number are one. None: all differ.
    free : ndarray of bool, shape (m,), default=None
        Views that move. None: all.
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
    free = np.ones(len(W), dtype=bool) if free is None else free
    log_nu = np.where(free[:, None], np.clip(log_nu, *LOG_BOUNDS), log_nu)
    point = objective.point(W, log_nu)
    history, message = [point.value], "max_iter reached"
    try:
        while True:
            fixed, norm = activity(point, free, groups)
            if callback is not None and len(history) > 1:
                callback(len(history) - 1, point.value, norm)
            if norm < tol:
                message = "converged"
            if norm < tol or len(history) > max_iter:
                break
            step = newton_direction(point, fixed, free, groups)
            moved = _search(objective, point, step, norm, free, groups)
            if moved is None:
                message = "the line search failed"
                break
            point = moved
            history.append(point.value)
    except KeyboardInterrupt:
        message = "interrupted"
    return point, Result(
        point.W, point.value, norm, len(history) - 1, norm < tol, np.array(history), message
    )


def activity(point, free, groups=None):
    """Which noises stay, at a bound that holds them or in a fixed view, and the largest gradient.

    Returns
    -------
    fixed : ndarray of bool, shape (m, p)
    norm : float
        Largest entry of the gradient of what can move.
    """
    g, (low, high) = point.noise_gradient, LOG_BOUNDS
    if groups is not None:
        g = np.bincount(groups.ravel(), g.ravel())[groups]
    outwards = ((point.log_nu <= low) & (g > 0)) | ((point.log_nu >= high) & (g < 0))
    fixed = outwards | ~free[:, None]
    largest = np.abs(g[~fixed]).max(initial=0.0)
    return fixed, float(max(np.abs(point.gradient[free]).max(), largest))


def _search(objective, point, step, norm, free, groups):
    """Halve the step until it lowers the objective; None if no step does.

    Where the predicted decrease is below rounding, a smaller gradient decides.
    """
    move, delta = step
    slope = np.vdot(move, point.gradient) + np.vdot(delta, point.noise_gradient)
    change = move @ point.W
    t = 1.0
    for _ in range(MAX_TRIALS):
        log_nu = point.log_nu + t * delta
        log_nu[free] = np.clip(log_nu[free], *LOG_BOUNDS)
        trial = objective.evaluate(point.W + t * change, log_nu)
        if trial.value <= point.value + SLOPE * t * slope:
            return objective.with_gradient(trial)
        if abs(t * slope) < ROUNDING * delta.size:
            trial = objective.with_gradient(trial)
            if activity(trial, free, groups)[1] < norm:
                return trial
        t /= 2
    return None
