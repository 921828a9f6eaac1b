"""Joint MultiView ICA: all views move together, under fixed or self-chosen source densities."""

from dataclasses import replace

import numpy as np

from mvica.ica.densities import score_step_for, super_gaussianity
from mvica.ica.objective import MultiViewObjective
from mvica.ica.stacked import side_by_side
from mvica.optim.lbfgs import INTERRUPTED, minimize

LOOSE = 1e-2  # gradient below which the kind of every component can be told
KIND_ROUNDS = 10
KIND_ITERATIONS = 20


def solve_joint(
    views, W, density, kinds, *, noise, tol, tol_decrease=np.inf, max_iter=200, callback=None
):
    """Minimise the MultiView ICA objective over all unmixings at once.

    Parameters
    ----------
    views : StackedViews
        The data.
    W : ndarray of shape (m, p, p)
        Where to start. Its scale is improved first, at the cost of one product.
    density : {"logcosh", "sub", "extended"} or Density
        Source density. ``"extended"`` finds each component's kind on the way, then freezes it, so
        that the last stretch minimises one function.
    kinds : ndarray of bool, shape (p,)
        Components taken for sub-Gaussian at the start.
    noise : float
        Noise variance of the model.
    tol, tol_decrease, max_iter, callback
        See `mvica.optim.lbfgs.minimize`.

    Returns
    -------
    kinds : ndarray of bool, shape (p,)
        Components taken for sub-Gaussian.
    result : mvica.optim.result.Result
        Its `x` holds the unmixings (m, p, p).
    """

    def run(W, kinds, tol, tol_decrease, max_iter):
        objective = MultiViewObjective(views, noise, score_step_for(views.Z, density, kinds))
        limits = {"tol": tol, "tol_decrease": tol_decrease, "max_iter": max_iter}
        start = objective.start(objective.rescale(W))
        return minimize(objective, start, callback=callback, **limits)[1]

    if density != "extended":
        return kinds, run(W, kinds, tol, tol_decrease, max_iter)
    histories, n_iter = [], 0
    for _ in range(KIND_ROUNDS):
        result = run(W, kinds, LOOSE, np.inf, min(KIND_ITERATIONS, max_iter - n_iter))
        W, n_iter = result.x, n_iter + result.n_iter
        histories.append(result.history[:-1])
        found = super_gaussianity(views.mix(side_by_side(W))) < 0
        if np.array_equal(found, kinds) or result.message == INTERRUPTED:
            break
        kinds = found
    if result.message != INTERRUPTED:
        result = run(W, kinds, tol, tol_decrease, max_iter - n_iter)
        n_iter += result.n_iter
        histories.append(result.history[:-1])
    history = np.append(np.concatenate(histories), result.objective)
    return kinds, replace(result, n_iter=n_iter, history=history)
