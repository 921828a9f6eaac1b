"""Where delay models start, and how a fit finds sources that it has missed."""

import numpy as np

from mvica.ica.delays_matching import Match, match
from mvica.ica.initialization import independent_components
from mvica.parallel import map_views

FIRST_VIEWS = 3  # reference views compared by how well they predict the others
FAR = 2.0  # samples off, or
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
        Regress the sources of one view on all others at all timings, or match the sources of one
        ICA a view.
    rng : RandomState
        Draws the reference views of all starts but the first.
    number : int, default=0
        Number of the start: the first compares evenly spaced reference views, others take a random
        one.
    n_jobs : int, default=None
        Threads for the ICAs.

    Returns
    -------
    start : Match
        The one that predicts the reference sources best.
    """
    m = views.n_views
    if number == 0:
        candidates = np.unique(np.linspace(0, m - 1, min(m, FIRST_VIEWS)).astype(int))
    else:
        candidates = [rng.randint(m)]
    if init == "permica":
        V = np.stack(map_views(lambda v: _ica(views, v), range(m), n_jobs))
        found = [match(views, search, first=_sources(views, V[v], v), V=V) for v in candidates]
    else:
        V = map_views(lambda v: _ica(views, v), candidates, n_jobs)
        found = [
            match(views, search, first=_sources(views, W, v))
            for W, v in zip(V, candidates, strict=True)
        ]
    return max(found, key=lambda f: f.score.mean())


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
    m, p = views.n_views, views.n_components
    Z = views.Z.astype(np.float64, copy=False).reshape(m, p, -1)
    aligned = search.clock.warp(W @ Z, delays, dilations)[0]
    found = match(views, search, aligned=aligned, rounds=1)
    norms = np.linalg.norm(W, axis=2, keepdims=True)
    likeness = np.abs(np.sum(found.W * W / norms, axis=2))
    middle = views.n_samples / len(search.clock.epochs.lengths) / 2 - search.clock.onset
    moved = found.delays - delays + (found.dilations - dilations) * middle
    step = FAR if len(search.dilations) == 1 else FAR + _grid_step(search) * abs(middle)
    other = (likeness < UNLIKE) | (np.abs(moved) > step)
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


def _grid_step(search):
    return search.dilations[1] / search.dilations[0] - 1
