"""One view at a time: a new view against fixed sources, and the alternating solver."""

import numpy as np

from mvica.ica.densities import score_step_for
from mvica.ica.objective import MultiViewObjective, OneViewObjective
from mvica.ica.stacked import StackedViews
from mvica.optim.lbfgs import minimize
from mvica.optim.result import Result


def solve_alternate(views, W, density, kinds, *, noise, tol, max_iter, callback=None):
    """Minimise the MultiView ICA objective by one quasi-Newton step a view in turn.

    The published algorithm, kept for comparison: the joint solver reaches the same optimum in far
    fewer passes over the data. Parameters and result are those of `mvica.ica.joint.solve_joint`.
    """
    m, p = views.n_views, views.n_components
    score_step = score_step_for(views.Z, density, kinds)
    objective = MultiViewObjective(views, noise, score_step)
    singles = [StackedViews(views.Z[v * p : (v + 1) * p], 1) for v in range(m)]
    point = objective.start(objective.rescale(W))
    history, message = [], "max_iter reached"
    for n_iter in range(max_iter + 1):
        norm = float(np.abs(point.gradient).max())
        history.append(point.value)
        if callback is not None and n_iter:
            callback(n_iter, point.value, norm)
        if norm < tol:
            message = "converged"
        elif n_iter > 0 and history[-1] >= history[-2]:
            message = "the line search failed in every view"
        if message != "max_iter reached" or n_iter == max_iter:
            break
        point = _sweep(objective, singles, point, score_step)
    return kinds, Result(
        point.x, point.value, norm, n_iter, message == "converged", np.array(history), message
    )


def _sweep(objective, singles, point, score_step):
    """One step of every view, the shared sources kept up to date in between."""
    W, p, share = point.x.copy(), objective.p, 1 / objective.m
    shared = point.work[p:]
    for v, single in enumerate(singles):
        shared -= single.mix(share * W[v])
        one = OneViewObjective(single, shared, share, objective.noise, score_step)
        limits = {"tol": 0.0, "tol_decrease": 0.0, "max_iter": 1}
        W[v] = minimize(one, one.start(W[v : v + 1]), **limits)[1].x[0]
        shared += single.mix(share * W[v])
    return objective.start(W)


def fit_new_view(Z_v, S, n_views, density, kinds, *, noise, tol=1e-6, max_iter=200):
    """Unmixing of one more view, the shared sources of the others fixed.

    Parameters
    ----------
    Z_v : ndarray of shape (p, n_samples)
        The new view, centred and reduced.
    S : ndarray of shape (p, n_samples)
        Shared sources of the `n_views` fitted views, in the solver's scale.
    n_views : int
        Number of fitted views.
    density, kinds, noise
        As in the fit of the other views.
    tol : float, default=1e-6
        Largest gradient entry at the end.
    max_iter : int, default=200
        Most iterations.

    Returns
    -------
    result : Result
        `x[0]` is the unmixing (p, p).
    """
    view, share = StackedViews(Z_v, 1), 1 / (n_views + 1)
    others = (S * (1 - share)).astype(Z_v.dtype)
    start = np.linalg.solve(view.covariances[0], view.correlate(S)).T
    score_step = score_step_for(Z_v, density, kinds)
    one = OneViewObjective(view, others, share, noise, score_step)
    return minimize(one, one.start(start[None]), tol=tol, tol_decrease=np.inf, max_iter=max_iter)[1]
