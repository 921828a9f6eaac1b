"""Where delay models start, and how a fit finds sources that it has missed."""

import numpy as np
from scipy.optimize import minimize

from mvica.ica.delays_matching import (
    Match,
    best_rows,
    best_settings,
    correlations,
    match,
    spectra,
)
from mvica.ica.initialization import independent_components
from mvica.ica.stacked import StackedViews
from mvica.parallel import map_views

JUDGES = 10  # views that the first reference is chosen by
FIRST_VIEWS, FIRST_DILATED = 10, 5  # views whose sources are compared; dilations take longer
FAR = 2.0  # samples off, or
GAIN = 0.8  # of the unexplained power that the other source must leave at most
UNLIKE = 0.7  # correlation below which a source is another one


def find_start(views, search, init, rng, number=0, n_jobs=None):
    """Unmixings and timing to start from.

    Parameters
    ----------
    views : StackedViews
        White views.
    search : Search
        Timings tried.
    init : {"match", "permica"}
        Regress the sources of a few views on all others at all timings, or match the sources of
        one ICA a view.
    rng : RandomState
        Draws the views that all starts but the first take sources of.
    number : int, default=0
        Number of the start: the first compares the sources of evenly spaced views, others those of
        random ones.
    n_jobs : int, default=None
        Threads for the ICAs.

    Returns
    -------
    start : Match
        The one that predicts the reference sources best.
    """
    m = views.n_views
    count = min(m, FIRST_VIEWS if len(search.dilations) == 1 else FIRST_DILATED)
    if number == 0:
        candidates = np.unique(np.linspace(0, m - 1, count).astype(int))
    else:
        candidates = rng.permutation(m)[:count]
    if init == "permica":
        V = np.stack(map_views(lambda v: _ica(views, v), range(m), n_jobs))
        unmixings, settings = V[candidates], {"V": V}
    else:
        unmixings, settings = map_views(lambda v: _ica(views, v), candidates, n_jobs), {}
    firsts = [_sources(views, W, v) for W, v in zip(unmixings, candidates, strict=True)]
    if len(firsts) == 1:
        first = firsts[0]
    elif settings or search.shared:
        some = np.unique(np.linspace(0, m - 1, min(m, JUDGES)).astype(int))
        judges, part = _only(views, some), {k: V[some] for k, V in settings.items()}
        tried = [match(judges, search, first=first, rounds=1, **part) for first in firsts]
        first = firsts[int(np.argmax([f.score.mean() for f in tried]))]
    else:
        first = most_predictable(views, np.stack(firsts), candidates, search)
    return match(views, search, first=first, **settings)


def most_predictable(views, firsts, candidates, search):
    """Choose among the sources of several views those that the other views predict best.

    A mixture of sources is predicted badly, as its parts have different timings in other views.
    Every choice takes what predicts it out of the views, so that no source is chosen twice.

    Parameters
    ----------
    views : StackedViews
        White views.
    firsts : ndarray of shape (c, p, n_samples)
        Sources of some views, each on its own clock.
    candidates : ndarray of int, shape (c,)
        Which views.
    search : Search
        Timings tried.

    Returns
    -------
    S : ndarray of shape (p, n_samples)
        Sources of one or more of these views.
    """
    m, p = views.n_views, views.n_components
    pool = _unit(firsts).reshape(len(firsts) * p, -1)
    reference = spectra(pool.astype(np.float32), search.clock.epochs, search.max_lag)
    own = np.repeat(candidates, p)
    judges = np.unique(np.linspace(0, m - 1, min(m, JUDGES)).astype(int))
    rows, power = np.empty((len(judges), len(pool), p)), np.empty((len(judges), len(pool)))
    for k, v in enumerate(judges):
        Z = views.Z[v * p : (v + 1) * p].astype(np.float64, copy=False)
        C, maps = correlations(Z, reference, search, orthogonal=True)
        rows[k], _, _, score, _ = best_rows(C, maps, search)
        power[k] = np.where(own == v, np.nan, score**2)
    power = np.nan_to_num(power / np.isfinite(power).sum(axis=0))
    chosen = []
    for _ in range(p):
        chosen.append(int(np.argmax(np.sum(power * np.sum(rows**2, axis=2), axis=0))))
        taken = rows[:, chosen[-1]]
        taken = taken / np.maximum(np.linalg.norm(taken, axis=1, keepdims=True), 1e-300)
        rows = rows - (rows @ taken[:, :, None]) * taken[:, None]
    return pool[chosen]


def _only(views, some):
    """Keep some of the views."""
    Z = views.Z.reshape(views.n_views, views.n_components, -1)[some]
    return StackedViews(Z.reshape(-1, Z.shape[-1]), len(some))


def _unit(S):
    return S / np.linalg.norm(S, axis=-1, keepdims=True)


def _aligned(views, W, delays, dilations, search):
    Z = views.Z.astype(np.float64, copy=False)
    sources = W @ Z.reshape(views.n_views, views.n_components, -1)
    return search.clock.warp(sources, delays, dilations)[0]


def _ica(views, v):
    """Orthogonal unmixing of one white view."""
    p = views.n_components
    _, result = independent_components(views.Z[v * p : (v + 1) * p], "logcosh")
    left, _, right = np.linalg.svd(result.x[0])
    return left @ right


def _sources(views, W, v):
    p = views.n_components
    return W @ views.Z[v * p : (v + 1) * p]


def missed_sources(views, W, delays, dilations, search):
    """Predict every view's sources from the other views; say where this finds other ones.

    Parameters
    ----------
    views : StackedViews
        White views.
    W : ndarray of shape (m, p, p)
        Fitted unmixings.
    delays, dilations : ndarray of shape (m, p)
        Fitted timing.
    search : Search
        Timings tried.

    Returns
    -------
    better : Match or None
        The fit with the missed sources in their places, `W` in the scale given; None where
        nothing is missed.
    """
    aligned = _aligned(views, W, delays, dilations, search)
    found = match(views, search, aligned=aligned, rounds=1)
    norms = np.linalg.norm(W, axis=2, keepdims=True)
    likeness = np.abs(np.sum(found.W * W / norms, axis=2))
    middle = views.n_samples / len(search.clock.epochs.lengths) / 2 - search.clock.onset
    moved = found.delays - delays + (found.dilations - dilations) * middle
    step = FAR if len(search.dilations) == 1 else FAR + _grid_step(search) * abs(middle)
    other = (likeness < UNLIKE) | (np.abs(moved) > step)
    other &= 1 - found.score**2 < GAIN * (1 - _agreement(aligned) ** 2)
    if not other.any():
        return None
    choose = other[:, :, None]
    signs = np.sign(np.sum(found.W * W, axis=2, keepdims=True))
    rows = np.where(choose, np.where(signs < 0, -1, 1) * found.W * norms, W)
    if np.linalg.cond(rows).max() > 1e6:
        return None
    return Match(
        rows,
        np.where(other, found.delays, delays),
        np.where(other, found.dilations, dilations),
        found.score,
    )


def _agreement(Y):
    """Correlation of every source (m, p, n_samples) with the mean of the other views'."""
    others = Y.sum(axis=0) - Y
    norms = np.linalg.norm(Y, axis=2) * np.linalg.norm(others, axis=2)
    return np.einsum("mpn,mpn->mp", Y, others) / norms


def _grid_step(search):
    return search.dilations[1] / search.dilations[0] - 1


def timing_of_new_view(Z, S, search):
    """Find the timing at which a new view predicts given sources best.

    Parameters
    ----------
    Z : ndarray of shape (k, n_samples)
        White signals of the view.
    S : ndarray of shape (p, n_samples)
        Shared sources.
    search : Search
        Timings tried; with more than one dilation the best one is refined off the grid.

    Returns
    -------
    delays, dilations : ndarray of shape (p,)
    """
    S = S / np.linalg.norm(S, axis=1, keepdims=True)
    reference = spectra(S.astype(np.float32), search.clock.epochs, search.max_lag)
    C, _ = correlations(Z, reference, search, orthogonal=True)
    g, lag = best_settings((C**2).sum(axis=0), search)
    dilations = search.dilations[g]
    delays = dilations * (lag - float(search.max_lag))
    if len(search.dilations) == 1 and not search.clock.cubic:
        return delays, dilations
    groups = [np.arange(len(S))] if search.shared else np.arange(len(S))[:, None]
    for rows in groups:
        start = delays[rows[0]], np.log(dilations[rows[0]])
        delays[rows], dilations[rows] = _refined(Z, S[rows], search, start)
    return delays, dilations


def _refined(Z, S, search, start):
    """Delay and dilation near `start` at which the rows of Z predict S (r, n_samples) best."""
    fixed = len(search.dilations) == 1

    def unexplained(x):
        tau, d = np.full((1, len(S)), x[0]), np.full((1, len(S)), 1.0 if fixed else np.exp(x[1]))
        own = search.clock.warp(S[None], -tau / d, 1 / d)[0][0]
        return -np.sum((Z @ own.T) ** 2 / np.sum(own**2, axis=1))

    steps = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 0.01]])
    x = minimize(
        unexplained, start, method="Nelder-Mead",
        options={"initial_simplex": start + steps, "xatol": 1e-4, "fatol": 1e-9},
    ).x  # fmt: skip
    return x[0], 1.0 if fixed else np.exp(x[1])
