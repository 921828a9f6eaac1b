"""Noisy shared sources from reduced views: starting points, their choice, densities, solver."""

from dataclasses import dataclass, replace

import numpy as np

from mvica.ica.densities import super_gaussianity
from mvica.ica.gaussian_ml import fit_factors
from mvica.ica.initialization import independent_components
from mvica.ica.mixture import SourceDensities, adapt_weights, source_densities
from mvica.ica.noisy_alternate import solve_alternate
from mvica.ica.noisy_em import solve_em
from mvica.ica.noisy_joint import solve_joint
from mvica.ica.noisy_objective import NoisyObjective
from mvica.ica.shica_second_order import (
    canonical_variates,
    scales_and_noises,
    separate_by_noise,
    source_covariances,
)
from mvica.ica.solve import fit_stacked, given_start
from mvica.ica.stacked import side_by_side
from mvica.optim.result import Result

INITS = ("auto", "shica_j", "ica", "mvica")
SOLVERS = {"joint": solve_joint, "em": solve_em, "alternate": solve_alternate}
TRIAL = 2  # joint iterations after which two starts are compared
START_TOL = 1e-4  # of multiset CCA and joint diagonalisation
START_ITERATIONS = 50
MVICA_TOL = 1e-3
ADAPT_ROUNDS, ADAPT_ITERATIONS, ADAPT_TOL = 5, 10, 1e-2  # gradient at which densities are refitted
KAPPA_DEVIATION = 0.35  # of the super-Gaussianity of one normal sample
SURE = 4  # standard deviations
SETTLED = 1e-2  # largest change of a density's weights that ends the refits


@dataclass(frozen=True)
class NoisyFit:
    """What a fit found.

    Attributes
    ----------
    W : ndarray of shape (m, p, p)
        Unmixings of the reduced views.
    nu : ndarray of shape (m, p)
        Noise variances.
    densities : SourceDensities
    result : mvica.optim.result.Result
    n_light : int
        Sources with light tails that an ICA saw on the way to the start; 0 without such an ICA.
    """

    W: np.ndarray
    nu: np.ndarray
    densities: SourceDensities
    result: Result
    n_light: int = 0


def noise_groups(m, p, noise):
    """Numbers (m, p) of the noises that are one; None where all differ.

    Two views do not tell their scale from their noise, so their noises are taken to be equal.
    """
    if m == 2:
        return np.zeros((2, p), dtype=int) if noise == "view" else np.tile(np.arange(p), (2, 1))
    return np.tile(np.arange(m)[:, None], (1, p)) if noise == "view" else None


def fit_noisy(
    views,
    patterns,
    *,
    density="heavy",
    noise="view_component",
    init="auto",
    solver="joint",
    max_iter=1000,
    tol=1e-6,
    random_state=None,
    callback=None,
):
    """Fit the exact likelihood of noisy shared sources to whitened, stacked views.

    Parameters
    ----------
    views : StackedViews
        The data, float64.
    patterns : list of ndarray of shape (n_features_v, p)
        Covariances of features and reduced signals: they take `init` to the reduced views.
    density, noise, init, solver, max_iter, tol, random_state
        Parameters of `AVICA`.
    callback : callable or None, default=None
        Called after each iteration.

    Returns
    -------
    fit : NoisyFit
    """
    m, p = views.n_views, views.n_components
    densities = source_densities(density, p)
    limits = {"tol": tol, "max_iter": max_iter, "callback": callback}
    if m == 1:
        return _fit_one_view(views, densities, density == "adaptive", limits)
    groups = noise_groups(m, p, noise)
    objective = NoisyObjective(views, densities)
    starts, n_light = [], 0
    for W, light in _starts(views, patterns, init, density, random_state):
        W, nu = scales_and_noises(views, W)
        log_nu = np.log(nu)
        if not densities.gaussian:  # scales and noises are those of normal densities
            W, log_nu = objective.rescale(W, log_nu)
        starts.append(_State(W, _tied(log_nu, groups), densities))
        n_light += light
    run = _Run(views, groups, density == "adaptive")
    return replace(run.fit_better(starts, solver, **limits), n_light=n_light)


def fit_second_order(views, *, tol=1e-6, max_iter=1000, random_state=None):
    """Fit noisy shared sources from covariances alone.

    Parameters
    ----------
    views : StackedViews
        The data, float64.
    tol, max_iter, random_state
        Parameters of `ShICAJ`.

    Returns
    -------
    fit : NoisyFit
        Its record is that of the joint diagonalisation.
    eigenvalues : ndarray of shape (p,)
        Of multiset CCA.
    """
    m, p = views.n_views, views.n_components
    densities = source_densities("gaussian", p)
    if m == 1:
        done = Result(np.eye(p), 0.0, 0.0, 0, True, np.zeros(1), "converged")
        return NoisyFit(np.eye(p)[None], np.zeros((1, p)), densities, done), np.ones(p)
    variates, eigenvalues = canonical_variates(views, random_state)
    directions, result = separate_by_noise(views, variates, tol=tol, max_iter=max_iter)
    W, nu = scales_and_noises(views, directions)
    if m > 2:
        scales, nu, exact = fit_factors(source_covariances(views, W), nu, max_iter=max_iter)
        W = scales[:, :, None] * W
        if not exact:
            result = replace(result, converged=False, message="a one-factor fit did not converge")
    return NoisyFit(W, nu, densities, result), eigenvalues


def _tied(log_nu, groups):
    if groups is None:
        return log_nu
    return (np.bincount(groups.ravel(), log_nu.ravel()) / np.bincount(groups.ravel()))[groups]


# Starting points -----------------------------------------------------------------------------


def _starts(views, patterns, init, density, random_state):
    """Yield the unmixings of the starts that `init` asks for, and the light tails seen there."""
    if not isinstance(init, str):
        yield given_start(init, patterns), 0
        return
    if init == "mvica":
        limits = {"tol": MVICA_TOL, "random_state": random_state}
        yield fit_stacked(views, patterns, density=_ica_density(density), **limits).W, 0
        return
    variates, eigenvalues = canonical_variates(views, random_state, tol=START_TOL)
    wanted = ["shica_j", "ica"] if init == "auto" else [init]
    if density == "gaussian" and init == "auto":
        wanted = ["shica_j"]
    if "shica_j" in wanted:
        limits = {"tol": START_TOL, "max_iter": START_ITERATIONS}
        yield separate_by_noise(views, variates, **limits)[0], 0
    if "ica" in wanted:
        consensus = views.mix(side_by_side(variates) / np.sqrt(eigenvalues)[:, None])
        _, result = independent_components(consensus, _ica_density(density))
        yield result.x[0] @ variates, _n_light(result.x[0] @ consensus)


def _n_light(S):
    """Count the signals (p, n) whose tails are surely lighter than those of a normal one."""
    deviation = KAPPA_DEVIATION / np.sqrt(S.shape[1])
    return int(np.sum(super_gaussianity(S) < -SURE * deviation))


def _ica_density(density):
    return "sub" if density == "sub" else "extended"


# Solving -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _State:
    """Unknowns: unmixings, log noise variances and densities."""

    W: np.ndarray
    log_nu: np.ndarray
    densities: SourceDensities


@dataclass(frozen=True)
class _Run:
    """A fit of given views, with fixed or adaptive densities."""

    views: object
    groups: np.ndarray | None
    adaptive: bool

    def fit_better(self, starts, solver, *, max_iter, **limits):
        """Fit from the start that is lower after a few joint iterations."""
        if len(starts) == 1:
            return self.fit(starts[0], solver, max_iter=max_iter, **limits)
        trials = [self.fit(s, "joint", max_iter=min(TRIAL, max_iter), **limits) for s in starts]
        best = int(np.argmin([trial.result.objective for trial in trials]))
        if any(trial.result.message == "interrupted" for trial in trials):
            return trials[best]
        if solver != "joint":
            return self.fit(starts[best], solver, max_iter=max_iter, **limits)
        trial = trials[best]
        state = _State(trial.W, np.log(trial.nu), trial.densities)
        rest = self.fit(state, solver, max_iter=max_iter - trial.result.n_iter, **limits)
        return replace(rest, result=_joined([trial.result, rest.result]))

    def fit(self, state, solver, *, tol, max_iter, callback=None):
        """Fit from one start; adaptive densities settle first, then stay."""
        done = []
        if self.adaptive:
            state = self._adapted(state)
            for _ in range(ADAPT_ROUNDS):
                limits = {"tol": max(tol, ADAPT_TOL), "callback": callback}
                left = max_iter - sum(result.n_iter for result in done)
                state, result = self._solve(
                    state, solver, max_iter=min(ADAPT_ITERATIONS, left), **limits
                )
                done.append(result)
                if result.message == "interrupted":
                    return _fit_of(state, done)
                old, state = state, self._adapted(state)
                change = np.abs(state.densities.weights - old.densities.weights).max()
                if change < SETTLED or left == result.n_iter:
                    break
        left = max_iter - sum(result.n_iter for result in done)
        state, result = self._solve(state, solver, tol=tol, max_iter=left, callback=callback)
        done.append(result)
        return _fit_of(state, done)

    def _solve(self, state, solver, **limits):
        objective = NoisyObjective(self.views, state.densities)
        solve = SOLVERS[solver]
        point, result = solve(objective, state.W, state.log_nu, groups=self.groups, **limits)
        return replace(state, W=point.W, log_nu=point.log_nu), result

    def _adapted(self, state):
        objective = NoisyObjective(self.views, state.densities)
        point = objective.evaluate(state.W, state.log_nu)
        ybar, nubar = objective.weighted_means(point), point.weighting.nubar
        return replace(state, densities=adapt_weights(state.densities, ybar, nubar))


def _fit_of(state, results):
    return NoisyFit(state.W, np.exp(state.log_nu), state.densities, _joined(results))


def _joined(results):
    """One record of runs that continue each other; a refit of densities lowers the objective."""
    history = [result.history[:-1] for result in results[:-1]] + [results[-1].history]
    n_iter = sum(result.n_iter for result in results)
    return replace(results[-1], n_iter=n_iter, history=np.concatenate(history))


def _fit_one_view(views, densities, adaptive, limits):
    """Ordinary ICA: one view has no noise to tell from its sources."""
    p = views.n_components
    if adaptive:
        _, start = independent_components(views.Z, "extended")
        densities = adapt_weights(densities, start.x[0] @ views.Z, np.zeros(p))
    _, result = independent_components(views.Z, densities.as_density(), max_samples=None, **limits)
    return NoisyFit(result.x, np.zeros((1, p)), densities, result)
