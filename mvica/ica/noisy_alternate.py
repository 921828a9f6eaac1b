"""One view at a time: the alternating solver, and a new view against fitted ones.

For one view, all the others together are one view with unmixed sources: their weighted means, with
the noise of these. The joint solver does the step, with that pooled view held still.
"""

import numpy as np

from mvica.ica.noisy_em import expected_noise
from mvica.ica.noisy_joint import Scope, iterate, solve_joint
from mvica.ica.noisy_objective import LOG_BOUNDS, NoisyObjective
from mvica.ica.stacked import StackedViews

ONE_MOVES = np.array([False, True])
NONE_MOVES = np.array([False, False])


def solve_alternate(objective, W, log_nu, *, groups=None, tol=1e-6, max_iter=3000, callback=None):
    """Minimise the exact likelihood by one Newton step of each view in turn.

    The step ignores how the other views would follow, so that many sweeps are needed;
    `mvica.ica.noisy_joint.solve_joint` has the same parameters, result and optimum.
    """

    def advance(point):
        return _sweep(objective, point, groups)

    point = objective.point(W, np.clip(log_nu, *LOG_BOUNDS))
    scope = Scope.of(len(W), groups)
    return iterate(advance, point, scope, tol=tol, max_iter=max_iter, callback=callback)


def _sweep(objective, point, groups):
    """One step of every view; noises that views share follow at the end."""
    m, p = point.log_nu.shape
    W, r = point.W.copy(), point.weighting.precisions.copy()
    views = objective.views.Z.reshape(m, p, -1)
    weighted = objective.weighted_means(point) / point.weighting.nubar[:, None]
    shared_noise = groups is not None and np.isin(groups[0], groups[1:]).any()
    for v in range(m):
        weighted -= r[v][:, None] * (W[v] @ views[v])
        precision = r.sum(axis=0) - r[v]
        moved = fit_beside(
            views[v], weighted / precision[:, None], 1 / precision, objective.densities, W[v],
            -np.log(r[v]), tied=groups is not None, fixed_noise=shared_noise, tol=0.0, max_iter=1,
        )[0]  # fmt: skip
        W[v], r[v] = moved.W[1], np.exp(-moved.log_nu[1])
        weighted += r[v][:, None] * (W[v] @ views[v])
    point = objective.point(W, -np.log(r))
    return objective.point(W, expected_noise(point, groups)) if shared_noise else point


def fit_beside(
    Z_v, ybar, nubar, densities, W_v, log_nu_v, *, tied=False, fixed_noise=False, tol, max_iter
):
    """Fit one view, given what the others say about the sources.

    Parameters
    ----------
    Z_v : ndarray of shape (p, n)
        The view, centred and reduced, float64.
    ybar : ndarray of shape (p, n)
        Weighted means of the other views' sources.
    nubar : ndarray of shape (p,)
        Their noise variances.
    densities : SourceDensities
    W_v : ndarray of shape (p, p)
        Unmixing to start from.
    log_nu_v : ndarray of shape (p,)
        Logarithms of the noise variances to start from.
    tied : bool, default=False
        Whether all components have one noise variance.
    fixed_noise : bool, default=False
        Whether the noise variances stay.
    tol, max_iter
        See `mvica.ica.noisy_joint.solve_joint`.

    Returns
    -------
    point : NoisyPoint
        Of two views: the pooled others, which have not moved, and this one.
    result : Result
    """
    p = len(Z_v)
    views = StackedViews(np.concatenate([ybar, Z_v]), 2)
    groups = np.stack([np.arange(p), np.full(p, p)]) if tied else None
    return solve_joint(
        NoisyObjective(views, densities),
        np.stack([np.eye(p), W_v]),
        np.stack([np.log(nubar), log_nu_v]),
        groups=groups,
        free=ONE_MOVES,
        free_noise=NONE_MOVES if fixed_noise else ONE_MOVES,
        tol=tol,
        max_iter=max_iter,
    )
