"""MultiView ICA from reduced views: starting points, restarts, solver."""

from dataclasses import dataclass, replace

import numpy as np
from sklearn.utils import check_random_state

from mvica.ica.alternate import solve_alternate
from mvica.ica.densities import component_densities, initial_kinds
from mvica.ica.initialization import (
    Start,
    groupica_start,
    mcca_start,
    permica_start,
    unit_variance,
)
from mvica.ica.joint import solve_joint
from mvica.optim.lbfgs import INTERRUPTED
from mvica.optim.result import Result

INITS = ("mcca", "permica", "groupica", "best", "random")
DECREASE_PER_COMPONENT = 1e-6  # predicted decrease of the objective left at convergence


@dataclass(frozen=True)
class Solution:
    """Unmixings (m, p, p) in the solver's scale, the components' kinds and the solver's record."""

    W: np.ndarray
    kinds: np.ndarray
    result: Result


def fit_stacked(
    views,
    patterns,
    *,
    density="logcosh",
    noise=1.0,
    init="mcca",
    solver="joint",
    max_iter=200,
    tol=1e-5,
    n_init=1,
    random_state=None,
    n_jobs=None,
    callback=None,
):
    """Fit MultiView ICA to whitened, stacked views.

    Parameters
    ----------
    views : StackedViews
        The data.
    patterns : list of ndarray of shape (n_features_v, p)
        Covariances of features and reduced signals: they take `init` to the reduced views.
    density, noise, init, solver, max_iter, tol, n_init, random_state, n_jobs
        Parameters of `MultiViewICA`.
    callback : callable or None, default=None
        Called after each iteration, see `mvica.optim.lbfgs.minimize`.

    Returns
    -------
    solution : Solution
        The one with the lowest objective among the starts.
    """
    rng = check_random_state(random_state)
    options = {"noise": noise, "tol": tol, "max_iter": max_iter, "callback": callback}
    if solver == "joint":
        solve, options["tol_decrease"] = solve_joint, DECREASE_PER_COMPONENT * views.n_components
    else:
        solve = solve_alternate
    best = None
    for _ in range(n_init):
        for start in _starts(views, patterns, init, density, rng, n_jobs):
            stopped = start.result is not None and start.result.message == INTERRUPTED
            limits = {**options, "max_iter": 0} if stopped else options
            kinds, result = solve(views, start.W, density, start.kinds, **limits)
            if stopped:
                result = replace(result, converged=False, message=INTERRUPTED)
            if best is None or result.objective < best.result.objective:
                best = Solution(result.x, kinds, result)
            if result.message == INTERRUPTED:
                return best
    return best


def _starts(views, patterns, init, density, rng, n_jobs):
    """Yield the starting points that `init` asks for."""
    p = views.n_components
    if not isinstance(init, str):
        W = unit_variance(views, given_start(init, patterns))[0]
        yield Start(W, initial_kinds(density, p), None)
    elif init == "random":
        W = np.linalg.qr(rng.standard_normal((views.n_views, p, p)))[0]
        yield Start(unit_variance(views, W)[0], initial_kinds(density, p), None)
    elif init == "groupica":
        yield groupica_start(views, patterns, density, rng)
    else:
        if init in ("mcca", "best"):
            yield mcca_start(views, density, rng)
        if init in ("permica", "best"):
            yield permica_start(views, density, n_jobs)[0]


def given_start(components, patterns):
    """Unmixings (m, p, p) of the reduced views from unmixings of their features."""
    shapes = [np.shape(U) for U in components]
    expected = [A.T.shape for A in patterns]
    if shapes != expected:
        raise ValueError(
            f"init has unmixings of shapes {shapes}, expected {expected}: one of shape "
            "(n_components, n_features_v) a view, as `components_` of a fitted estimator."
        )
    W = np.stack(
        [np.asarray(U, dtype=np.float64) @ A for U, A in zip(components, patterns, strict=True)]
    )
    if not np.all(np.isfinite(W)):
        raise ValueError("init holds NaN or infinite values: give finite unmixings.")
    singular = np.flatnonzero(np.linalg.cond(W) > 1 / np.finfo(np.float64).eps)
    if len(singular):
        raise ValueError(
            f"init is singular for view {singular[0]} after its reduction: give unmixings with "
            "independent rows."
        )
    return W


def mean_log_likelihood(Y, U, noise, density, kinds):
    """Mean log-likelihood per sample of view sources.

    Parameters
    ----------
    Y : list of ndarray of shape (n_samples, p)
        View sources in the solver's scale.
    U : list of ndarray of shape (p, n_features_v)
        Unmixings that gave them. For p < n_features_v the likelihood is that of the data projected
        orthogonally on the rows of U.
    noise : float
        Noise variance of the model.
    density : str or Density
    kinds : ndarray of bool, shape (p,)

    Returns
    -------
    score : float

    References
    ----------
    Richard et al. (2020), Modeling shared responses in neuroimaging studies through MultiView ICA.
    """
    m, p = len(Y), Y[0].shape[1]
    S = sum(Y) / m
    densities = component_densities(density, kinds)
    value = sum(np.mean(d.value(s), dtype=np.float64) for d, s in zip(densities, S.T, strict=True))
    value += sum(d.log_normalizer for d in densities)
    for Y_v, U_v in zip(Y, U, strict=True):
        value += np.mean((Y_v - S) ** 2, dtype=np.float64) * p / (2 * noise)
        value -= np.linalg.slogdet(U_v @ U_v.T)[1] / 2
    value += p / 2 * ((m - 1) * np.log(2 * np.pi * noise) + np.log(m))
    return -float(value)


def multiview_ica_objective(views, unmixings, *, noise=1.0, density="logcosh"):
    """Objective that MultiView ICA minimises, at given square unmixings.

    ``E sum_a f(ybar_a) + sum_v E|y_v - ybar|^2 / (2 noise) - sum_v log|det W_v|``, with ``y_v`` the
    view sources and ``ybar`` their mean over views.

    Parameters
    ----------
    views : list of ndarray of shape (n_samples, p)
        Views, used as they are: centre them before.
    unmixings : list of ndarray of shape (p, p)
        One a view.
    noise : float, default=1.0
        Noise variance of the model.
    density : {"logcosh", "sub"} or Density, default="logcosh"
        Source density; minus its logarithm is f.

    Returns
    -------
    value : float

    References
    ----------
    Richard, Gresele, Hyvarinen, Thirion, Gramfort, Ablin (2020), Modeling shared responses in
    neuroimaging studies through MultiView ICA, NeurIPS.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.random.default_rng(0).standard_normal((3, 100, 2))
    >>> low, high = (multiview_ica_objective(X, np.stack([s * np.eye(2)] * 3)) for s in (1, 9))
    >>> bool(low < high)
    True
    """
    Y = [np.asarray(X) @ np.asarray(W).T for X, W in zip(views, unmixings, strict=True)]
    p = Y[0].shape[1]
    kinds = initial_kinds(density, p)
    constant = sum(d.log_normalizer for d in component_densities(density, kinds))
    constant += p / 2 * ((len(Y) - 1) * np.log(2 * np.pi * noise) + np.log(len(Y)))
    return -mean_log_likelihood(Y, unmixings, noise, density, kinds) - constant
