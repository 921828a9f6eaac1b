"""MultiView ICA with whole delays: the joint solver and exact delay steps in turn."""

from dataclasses import dataclass, replace

import numpy as np

from mvica.ica.delays_matching import at_lags, spectra
from mvica.ica.delays_start import missed_sources
from mvica.ica.delays_views import DelayedViews
from mvica.ica.densities import initial_kinds
from mvica.ica.joint import solve_joint
from mvica.kernels import kernels_for
from mvica.optim.result import Result

CANDIDATES = 5  # lags scored in full, besides the current one
MAX_ROUNDS = 50
MAX_REPAIRS = 5
EARLY_ROUNDS, EARLY_ITERATIONS = 2, 30  # delays need no converged unmixings at first


@dataclass(frozen=True)
class DelayedSolution:
    """Views with the delays found, unmixings (m, p, p), and the record of the joint solver."""

    views: object
    W: np.ndarray
    kinds: np.ndarray
    result: Result


def solve_delayed(
    views, W, *, max_lag, shared, noise, tol, tol_decrease, max_iter, callback=None
):  # fmt: skip
    """Alternate the joint solver over all unmixings and one step of all delays.

    Parameters
    ----------
    views : DelayedViews
        The data, at the delays to start from.
    W : ndarray of shape (m, p, p)
        Unmixings to start from.
    max_lag : int
        Largest delay tried, either way.
    shared : bool
        One delay a view for all components.
    noise : float
        Noise variance of the model.
    tol, tol_decrease, max_iter, callback
        See `mvica.optim.lbfgs.minimize`; `max_iter` counts all rounds.

    Returns
    -------
    solution : DelayedSolution
        At its end no delay wants to change and the unmixings have converged.
    """
    kinds = initial_kinds("logcosh", views.n_components)
    history, n_iter, moving = [], 0, max_lag > 0
    for number in range(MAX_ROUNDS):
        early = moving and number < EARLY_ROUNDS
        left = max_iter - n_iter
        _, result = solve_joint(
            views,
            W,
            "logcosh",
            kinds,
            noise=noise,
            tol=tol,
            tol_decrease=tol_decrease,
            max_iter=min(EARLY_ITERATIONS, left) if early else left,
            callback=callback,
        )
        W, n_iter = result.x, n_iter + result.n_iter
        history.append(result.history if not history else result.history[1:])
        if result.message == "interrupted" or n_iter >= max_iter or not moving:
            break
        delays = step_delays(views, W, max_lag, shared, noise)
        settled = np.array_equal(delays, views.delays)
        if settled and (result.converged or not early):
            break
        views = views.delayed(delays)
    record = replace(result, n_iter=n_iter, history=np.concatenate(history))
    return DelayedSolution(views, W, kinds, record)


def step_delays(views, W, max_lag, shared, noise):
    """Best delays of one view after the other, the unmixings fixed; the loss never increases.

    The lags that agree best with the mean of the other views are found by Fourier transform, then
    scored with the loss itself next to the current lag.

    Returns
    -------
    delays : ndarray of int64, shape (m, p)
    """
    m, p, epochs = views.n_views, views.n_components, views.epochs
    S = views.sources(W).copy()
    mean = views.mix(np.concatenate(list(W), axis=1) / m)
    delays = views.delays.copy()
    for v in range(m):
        others = mean - _rolled(S[v], delays[v], epochs) / m
        correlation = _correlation(S[v], others, epochs, max_lag)
        if shared:
            lags = _best_lags(correlation.sum(axis=0)[None], delays[v, :1], max_lag)
            lags = np.broadcast_to(lags, (len(lags), p))
        else:
            lags = _best_lags(correlation, delays[v], max_lag)
        losses, rolled = _losses(S[v], others, lags, epochs, m, noise)
        if shared:
            losses = np.broadcast_to(losses.sum(axis=1, keepdims=True), losses.shape)
        best = losses.argmin(axis=0)
        delays[v] = lags[best, np.arange(p)]
        mean = others + rolled[best, np.arange(p)] / m
    return delays


def _correlation(S, others, epochs, max_lag):
    """``sum_t S[j, t + lag] others[j, t]`` for lags -max_lag to max_lag, (p, n_lags)."""
    total = 0.0
    later = spectra(S, epochs, max_lag, later=True)
    for (n, size, a), (*_, b) in zip(later, spectra(others, epochs, max_lag), strict=True):
        total = total + at_lags((a * b.conj()).sum(axis=-2), n, size, max_lag)
    return total


def _best_lags(correlation, current, max_lag):
    """Return the current lags, first, and the best others, (1 + CANDIDATES, r)."""
    k = min(CANDIDATES, correlation.shape[1])
    best = np.argpartition(-correlation, k - 1, axis=1)[:, :k] - max_lag
    return np.concatenate([current[None], best.T])


def _losses(S, others, lags, epochs, m, noise):
    """Loss of each candidate lag and component, apart from constants, and the rolled sources."""
    c, p = lags.shape
    rolled = np.stack([_rolled(S, lags[k], epochs) for k in range(c)])
    flat = (others + rolled / S.dtype.type(m)).reshape(c * p, -1)
    kinds = np.zeros(c * p, dtype=bool)
    score_step = kernels_for(flat).score_step
    _, _, sums = score_step(flat, flat, 0.0, kinds, np.empty_like(flat), np.empty_like(flat))
    pull = np.einsum("kpn,pn->kp", rolled, others) / others.shape[1]
    return sums[:, 0].reshape(c, p) - pull / noise, rolled


def _rolled(S, delays, epochs):
    """Read sources (p, n_samples) `delays` samples later inside their epochs."""
    out = np.empty_like(S)
    for _n, index in epochs.by_length():
        for j, delay in enumerate(delays):
            out[j, index] = np.roll(S[j, index], -delay, axis=-1)
    return out


def fit_delayed(
    Z, epochs, m, start, search, *, noise, tol, tol_decrease, max_iter, callback=None
):  # fmt: skip
    """Solve from a start, then look for missed sources until none is found or none helps.

    Parameters
    ----------
    Z : ndarray of shape (m * p, n_samples)
        White views.
    epochs : Epochs
    m : int
        Number of views.
    start : Match
        Where to start.
    search : Search
        Timings tried for missed sources.
    noise, tol, tol_decrease, max_iter, callback
        See `solve_delayed`.

    Returns
    -------
    solution : DelayedSolution
    """
    limits = {"noise": noise, "tol": tol, "tol_decrease": tol_decrease, "max_iter": max_iter}
    limits |= {"max_lag": search.max_lag, "shared": search.shared, "callback": callback}
    views = DelayedViews(Z, centred_delays(start.delays), epochs)
    solution = solve_delayed(views, start.W, **limits)
    for _ in range(MAX_REPAIRS):
        if search.max_lag == 0 or solution.result.message == "interrupted":
            break
        delays = solution.views.delays.astype(float)
        better = missed_sources(solution.views, solution.W, delays, np.ones(delays.shape), search)
        if better is None:
            break
        views = solution.views.delayed(np.rint(better.delays))
        repaired = solve_delayed(views, better.W, **limits)
        gained = solution.result.objective - repaired.result.objective
        if gained <= tol_decrease:
            break
        solution = repaired
    return _without_idle_delays(solution, limits)


def _without_idle_delays(solution, limits):
    """Drop delays that gain less likelihood than as many free numbers must (BIC)."""
    views = solution.views
    m, p, n = views.n_views, views.n_components, views.n_samples
    numbers = (m - 1) * (1 if limits["shared"] else p)
    if not views.delays.any() or solution.result.message == "interrupted":
        return solution
    limits = {**limits, "max_lag": 0}
    still = views.delayed(np.zeros((m, p), dtype=np.int64))
    trial = solve_delayed(still, solution.W, **{**limits, "max_iter": EARLY_ITERATIONS})
    gained = trial.result.objective - solution.result.objective
    if gained > numbers * np.log(n) / (2 * n):
        return solution
    return solve_delayed(still, trial.W, **limits)


def centred_delays(delays):
    """Whole delays with a mean over views within half a sample of zero."""
    delays = np.rint(delays).astype(np.int64)
    return delays - np.rint(delays.mean(axis=0)).astype(np.int64)
