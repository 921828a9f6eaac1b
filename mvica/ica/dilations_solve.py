"""Fit unmixings with delays and dilations: start, joint descent, missed sources, shared clock."""

from dataclasses import dataclass, replace

import numpy as np

from mvica.ica.delays_start import missed_sources
from mvica.ica.dilations_objective import DilationsObjective, timing_for
from mvica.ica.stacked import StackedViews
from mvica.optim.lbfgs import minimize
from mvica.optim.result import Result

REPAIR_ITERATIONS = 150
EARLY_ROUNDS = 4
MAX_REPAIRS = 3
NARROWEST = 0.3  # share of the samples that a window keeps at least
EARLY_ITERATIONS = 40  # before missed sources are looked for


@dataclass(frozen=True)
class DilatedSolution:
    """Unmixings (m, p, p), timing (m, p) on the solver's clock, and the solver's record."""

    W: np.ndarray
    delays: np.ndarray
    dilations: np.ndarray
    result: Result

    def of_views(self, maps):
        """Return the same for views that `maps` (m, p, p) take to those of the fit."""
        offset = np.linalg.slogdet(maps)[1].sum()
        W, result = self.W @ maps, self.result
        values = {"objective": result.objective - offset, "history": result.history - offset}
        return replace(self, W=W, result=replace(result, x=W, **values))


@dataclass(frozen=True)
class Problem:
    """What stays the same over the stages of a fit.

    Attributes
    ----------
    views : StackedViews
        Reduced views, smoothed and white, float64.
    search : Search
        Timings that the matching tries, and the clock.
    max_delay, max_dilation : float
        Bounds; two views may differ by twice as much.
    noise : float
        Noise variance.
    envelope : int
        Width of the envelopes' box.
    """

    views: StackedViews
    search: object
    max_delay: float
    max_dilation: float
    noise: float
    envelope: int


def descend(problem, start, *, tol, tol_decrease, max_iter, callback=None):
    """Minimise the loss over unmixings and timing together, from one start.

    Parameters
    ----------
    problem : Problem
    start : object
        With `W`, `delays` and `dilations`.
    tol, tol_decrease, max_iter, callback
        See `mvica.optim.lbfgs.minimize`.

    Returns
    -------
    solution : DilatedSolution
    """
    shared, clock = problem.search.shared, problem.search.clock
    objective = DilationsObjective(
        problem.views.Z, problem.views.n_views, clock, None,
        shared=shared, noise=problem.noise, envelope=problem.envelope,
    )  # fmt: skip
    W, timing = start.W, (start.delays, start.dilations)
    if shared:
        timing = tuple(a[:, :1] for a in timing)
    objective.window = common_window(clock, start.delays, start.dilations)
    objective.value(W, *timing)
    W = W * objective.scales()[:, None]
    objective.timing = timing_for(
        objective, W, *timing, max_delay=problem.max_delay, max_dilation=problem.max_dilation
    )
    point = objective.start(W, *timing)
    limits = {"tol": tol, "tol_decrease": tol_decrease, "max_iter": max_iter}
    point, result = minimize(objective, point, callback=callback, **limits)
    W, xi = point.x
    shape = W.shape[:2]
    delays, dilations = (np.broadcast_to(a, shape).copy() for a in objective.timing.decode(xi))
    return DilatedSolution(W, delays, dilations, replace(result, x=W))


def common_window(clock, delays, dilations):
    """Weights (p, n_samples) of mean one of the times that every view sees inside its epoch."""
    epochs = clock.epochs
    t = epochs.times
    last = np.repeat(epochs.sizes - 1, epochs.sizes)
    inside = np.ones((delays.shape[1], len(t)), dtype=bool)
    for tau, d in zip(delays, dilations, strict=True):
        u = clock.onset + d[:, None] * (t - clock.onset) + tau[:, None]
        inside &= (u >= 0) & (u <= last)
    seen = inside.mean(axis=1, keepdims=True)
    return np.where(seen > NARROWEST, inside / np.maximum(seen, NARROWEST), 1.0)


def fit_dilated(problem, start, *, tol, tol_decrease, max_iter, callback=None):
    """Descend from a start, then look for missed sources until none is found or none helps.

    Parameters and result are those of `descend`.
    """
    limits = {"tol": tol, "tol_decrease": tol_decrease, "callback": callback}
    early = {"max_iter": min(EARLY_ITERATIONS, max_iter), **limits}
    solution = descend(problem, start, **early)
    for _ in range(EARLY_ROUNDS):
        better = _missed(problem, solution)
        if better is None:
            break
        repaired = descend(problem, better, **early)
        if repaired.result.objective >= solution.result.objective:
            break
        solution = repaired
    solution = descend(problem, solution, max_iter=max_iter, **limits)
    for _ in range(MAX_REPAIRS):
        better = None if solution.result.message == "interrupted" else _missed(problem, solution)
        if better is None:
            break
        repaired = descend(problem, better, max_iter=min(REPAIR_ITERATIONS, max_iter), **limits)
        if solution.result.objective - repaired.result.objective <= tol_decrease:
            break
        solution = repaired
    if solution.result.message == "max_iter reached" and solution.result.n_iter < max_iter:
        solution = descend(problem, solution, max_iter=max_iter, **limits)
    return solution


def _missed(problem, solution):
    """Return the solution with missed sources in their places, None where nothing is missed."""
    timing = solution.delays, solution.dilations
    return missed_sources(problem.views, solution.W, *timing, problem.search)
