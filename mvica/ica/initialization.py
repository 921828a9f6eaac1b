"""Starting points: one ICA of what the views share, or one ICA a view, matched."""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from mvica.ica.densities import initial_kinds
from mvica.ica.joint import solve_joint
from mvica.ica.stacked import StackedViews, by_view, side_by_side
from mvica.optim.lbfgs import INTERRUPTED
from mvica.optim.result import Result
from mvica.parallel import map_views
from mvica.reduction.mcca import multiset_cca

MAX_SAMPLES = 20_000  # an ICA that only starts a solver needs no more
CANDIDATES = 10  # views tried as the first reference of the matching
MATCH_ROUNDS = 10


@dataclass(frozen=True)
class Start:
    """Unmixings (m, p, p) of unit-variance shared sources, and the components' kinds."""

    W: np.ndarray
    kinds: np.ndarray
    result: Result


def independent_components(
    U, density, *, tol=1e-3, max_iter=200, max_samples=MAX_SAMPLES, callback=None
):
    """Maximum-likelihood ICA of one table of white signals.

    Parameters
    ----------
    U : ndarray of shape (p, n_samples)
        White signals.
    density : {"logcosh", "sub", "extended"} or Density
        Source density.
    tol : float, default=1e-3
        Largest gradient entry at the end.
    max_iter : int, default=200
        Most iterations.
    max_samples : int or None, default=20000
        Evenly spaced samples used; None uses all.
    callback : callable or None, default=None
        Called after each iteration.

    Returns
    -------
    kinds : ndarray of bool, shape (p,)
        Components taken for sub-Gaussian.
    result : mvica.optim.result.Result
        Its `x[0]` is the unmixing (p, p).
    """
    p, n = U.shape
    if max_samples is not None and n > max_samples:
        U = np.ascontiguousarray(U[:, np.arange(max_samples) * n // max_samples])
    kinds = initial_kinds(density, p)
    limits = {"tol": tol, "max_iter": max_iter, "callback": callback}
    return solve_joint(StackedViews(U, 1), np.eye(p)[None], density, kinds, noise=1.0, **limits)


def start_from_mixture(views, B, density, **limits):
    """One ICA of the white signals ``B Z``, then the regression of its sources on every view.

    Parameters
    ----------
    views : StackedViews
        The data.
    B : ndarray of shape (p, m * p)
        Coefficients of the signals.
    density : {"logcosh", "sub", "extended"} or Density
        Source density.
    **limits
        Options of `independent_components`.

    Returns
    -------
    start : Start
    """
    kinds, result = independent_components(views.mix(B), density, **limits)
    correlation = by_view(views.correlate_mixture(result.x[0] @ B), views.n_views)
    W = np.linalg.solve(views.covariances, correlation).mT
    return Start(unit_variance(views, W)[0], kinds, result)


def mcca_start(views, density, random_state, **limits):
    """Multiset CCA, then one ICA of the shared signals: the start that is close to the optimum."""
    p = views.n_components
    found = multiset_cca(
        views.Z, p, random_state=random_state, tol=1e-3, max_iter=30, moment=views.moment
    )
    B = (found.directions / np.sqrt(found.eigenvalues)).T
    return start_from_mixture(views, B, density, **limits)


def groupica_start(views, patterns, density, random_state, **limits):
    """PCA of the features of all views side by side, then one ICA of the group's components.

    Every view counts with unit total variance; `patterns` (d_v, p) take its reduced signals to
    features.
    """
    m, p = views.n_views, views.n_components
    weights = [_square_root(A.T @ A / np.sum(A**2)) for A in patterns]
    stacked = np.concatenate(
        [w.astype(views.Z.dtype) @ views.Z[v * p : (v + 1) * p] for v, w in enumerate(weights)]
    )
    found = multiset_cca(stacked, p, random_state=random_state, tol=1e-6)
    B = by_view(found.directions / np.sqrt(found.eigenvalues), m).mT @ np.stack(weights)
    return start_from_mixture(views, side_by_side(B), density, **limits)


def _square_root(M):
    values, vectors = np.linalg.eigh(M)
    return (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T


def permica_start(views, density, n_jobs=None, callback=None, **limits):
    """One ICA a view, components matched across views.

    Returns
    -------
    start : Start
        Its `result` sums the objectives of the views and reports the worst gradient.
    scores : ndarray of shape (p,)
        Quality of the match, see `match_views`.
    """
    p = views.n_components
    interrupted = []

    def one_view(v):
        here = {**limits, "max_iter": 0} if interrupted else limits
        kinds, result = independent_components(views.Z[v * p : (v + 1) * p], density, **here)
        if result.message == INTERRUPTED:
            interrupted.append(v)
        if callback is not None:
            callback(v + 1, result.objective, result.gradient_norm)
        return kinds, result

    fits = map_views(one_view, range(views.n_views), n_jobs)
    W = np.stack([result.x[0] for _, result in fits])
    W /= np.sqrt(views.powers(W))[:, :, None]
    W, orders, scores = match_views(views, W)
    kinds = np.mean([k[order] for (k, _), order in zip(fits, orders, strict=True)], axis=0) > 0.5
    W = unit_variance(views, W)[0]
    return Start(W, kinds, _combined([result for _, result in fits], W)), scores


def _combined(results, W):
    """One record for the ICAs of all views; a view that ended early keeps its last objective."""
    n_iter = max(r.n_iter for r in results)
    history = sum(np.pad(r.history, (0, n_iter - r.n_iter), mode="edge") for r in results)
    worst = max(results, key=lambda r: (not r.converged, r.gradient_norm))
    stopped = [r for r in results if r.message == INTERRUPTED]
    message = INTERRUPTED if stopped else worst.message
    return Result(W, history[-1], worst.gradient_norm, n_iter, worst.converged, history, message)


def match_views(views, W):
    """Order and sign the rows of every ``W_v`` so that the views' sources match.

    Only products with the mean over views are formed, never all pairs of views.

    Parameters
    ----------
    views : StackedViews
        The data.
    W : ndarray of shape (m, p, p)
        Unmixings with unit-variance sources.

    Returns
    -------
    W : ndarray of shape (m, p, p)
        Rows permuted and signed.
    orders : list of ndarray of shape (p,)
        Permutation of each view.
    scores : ndarray of shape (p,)
        Mean over views of the matched absolute correlation with the mean source: match quality.
    """
    m = views.n_views

    def matched_to(reference):
        """Match all views to the mean of the (m, p, p) unmixings `reference`."""
        B = side_by_side(reference) / m
        cross = by_view(views.correlate_mixture(B), m)
        scale = np.sqrt(np.maximum(np.einsum("vca,vac->a", cross, reference) / m, 1e-300))
        return [_match(C) for C in (W @ cross).mT / scale[:, None]]

    def total(matches):
        return sum(score.sum() for _, _, score in matches)

    def only(v):
        alone = np.zeros_like(W)
        alone[v] = W[v] * m
        return alone

    candidates = np.unique(np.linspace(0, m - 1, min(m, CANDIDATES)).astype(int))
    matches = max((matched_to(only(v)) for v in candidates), key=total)
    for _ in range(MATCH_ROUNDS):
        aligned = np.stack([W[v][o] * s[:, None] for v, (o, s, _) in enumerate(matches)])
        refined = matched_to(aligned)
        same = all(np.array_equal(a[0], b[0]) for a, b in zip(matches, refined, strict=True))
        matches = refined
        if same:
            break
    aligned = np.stack([W[v][o] * s[:, None] for v, (o, s, _) in enumerate(matches)])
    scores = np.mean([score for _, _, score in matches], axis=0)
    return aligned, [o for o, _, _ in matches], scores


def _match(C):
    """Best one-to-one match of the rows (reference) and columns (view) of a correlation matrix."""
    rows, order = linear_sum_assignment(-np.abs(C))
    matched = C[rows, order]
    return order, np.where(matched < 0, -1.0, 1.0), np.abs(matched)


def unit_variance(views, W):
    """Scale the rows of every ``W_v`` alike so that the mean over views has unit variance.

    Returns
    -------
    W : ndarray of shape (m, p, p)
    scale : ndarray of shape (p,)
        Standard deviation of the mean before.
    """
    B = side_by_side(W) / views.n_views
    scale = np.sqrt(np.einsum("ac,ca->a", B, views.correlate_mixture(B)))
    return W / scale[:, None], scale
