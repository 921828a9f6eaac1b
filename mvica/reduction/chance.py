"""Chance level of multiset CCA: largest eigenvalues when the views are shuffled in time."""

import numpy as np
from scipy.linalg import eigvalsh_tridiagonal
from sklearn.utils import check_random_state

from mvica.reduction.pca import combined_samples, signal_regressions
from mvica.reduction.stacking import by_view
from mvica.reduction.subspace import leading_subspace

ACCURACY = 1e-4  # of a chance eigenvalue, relative: well below what shuffles differ by
MAX_STEPS = 100
WINDOW = 3  # steps over which an eigenvalue must stay, one may be a coincidence
FIRST_BLOCK = 10  # eigenvalues looked at first


def chance_eigenvalues(views, pcas, gains, *, n_shuffles, shuffle, random_state):
    """Largest eigenvalue of multiset CCA for several shuffles of the samples of each view.

    Parameters
    ----------
    views : list of ndarray of shape (n_samples, n_features_v)
        Two views or more.
    pcas : list of PrincipalComponents
        Their principal components.
    gains : list of ndarray of shape (k_v,)
        Standard deviations of the whitened coordinates; below 1 where the covariance is shrunk.
    n_shuffles : int
        Number of shuffles. All are worked on together, in passes over the views.
    shuffle : {"shift", "permutation"}
        Shift each view circularly in time, or permute its samples.
    random_state : int, RandomState or None
        Draws the shuffles.

    Returns
    -------
    values : ndarray of shape (n_shuffles,)
        Increasing.
    """
    rng = check_random_state(random_state)
    draw = distinct_shifts if shuffle == "shift" else _permutations
    orders = [draw(rng, len(views), len(views[0])) for _ in range(n_shuffles)]
    scales = np.concatenate(gains)[:, None]

    def apply(Q):
        products = _shuffled_product(views, pcas, orders, by_view(scales * Q, pcas))
        return scales * products + (1 - scales**2) * Q

    return np.sort(_largest_eigenvalues(apply, rng.standard_normal((len(scales), n_shuffles))))


def count_above(moment, size, level, limit, random_state):
    """Count the eigenvalues of a moment above a level, up to `limit`."""
    p = min(FIRST_BLOCK, limit)
    while True:
        found = leading_subspace(moment, size, p, random_state=random_state, tol=1e-3, max_iter=50)
        count = int(np.sum(found.values > level))
        if count < p or p == limit:
            return count
        p = min(2 * p, limit)


def distinct_shifts(rng, n_views, n_samples):
    """Draw one circular shift a view, no two closer than half their mean distance.

    So the autocorrelation of what views share does not tell.
    """
    slots = rng.permutation(n_views) + rng.uniform(0, 0.5, n_views)
    return (slots * n_samples / n_views).astype(int)


def _permutations(rng, n_views, n_samples):
    return [rng.permutation(n_samples).astype(np.int32) for _ in range(n_views)]


def _shuffled_product(views, pcas, orders, blocks):
    """Second moment of the shuffled coordinates times vectors, one shuffle a column.

    The coordinates are not stored, and not moved: only their combinations are.
    """
    total = np.zeros((len(orders), len(views[0])))
    for v, (X, pca, Q_v) in enumerate(zip(views, pcas, blocks, strict=True)):
        for row, order, signal in zip(total, orders, combined_samples(pca, X, Q_v.T), strict=True):
            row += _move(signal, order[v])
    moved = np.empty_like(total)
    result = []
    for v, (X, pca) in enumerate(zip(views, pcas, strict=True)):
        for row, order, signal in zip(moved, orders, total, strict=True):
            _move_back(signal, order[v], out=row)
        result.append(signal_regressions(pca, X, moved.T).T)
    return np.concatenate(result)


def _move(signal, order):
    """Shift a signal circularly by an int, or take it in an order."""
    if np.ndim(order):
        return signal[order]
    return np.concatenate((signal[order:], signal[:order]))


def _move_back(signal, order, *, out):
    """Undo `_move`."""
    if np.ndim(order):
        out[order] = signal
    else:
        out[order:], out[:order] = signal[: len(signal) - order], signal[len(signal) - order :]


def _largest_eigenvalues(apply, start):
    """Largest eigenvalue of one positive matrix a column, by Lanczos without reorthogonalisation.

    Lost orthogonality repeats eigenvalues that have converged; the largest stays what it is.
    """
    V, old = start / np.linalg.norm(start, axis=0), np.zeros_like(start)
    diagonal, sides, estimates = [], [], []
    side = np.zeros(start.shape[1])
    for _ in range(min(MAX_STEPS, len(start))):
        W = apply(V) - side * old
        diagonal.append(np.sum(V * W, axis=0))
        W -= diagonal[-1] * V
        estimates.append(_tops(diagonal, sides))
        if len(estimates) > WINDOW and np.all(
            estimates[-1] - estimates[-1 - WINDOW] < ACCURACY * estimates[-1]
        ):
            break
        side = np.linalg.norm(W, axis=0)
        side[side < 1e-10 * estimates[-1]] = 0.0  # the space is exhausted: only rounding is left
        old, V = V, np.divide(W, side, out=np.zeros_like(W), where=side > 0)
        sides.append(side)
    return estimates[-1]


def _tops(diagonal, sides):
    """Largest eigenvalue of each tridiagonal matrix, one a column."""
    k = len(diagonal)
    if k == 1:
        return diagonal[0]
    D, E = np.array(diagonal), np.array(sides)
    return np.array(
        [
            eigvalsh_tridiagonal(d, e, select="i", select_range=(k - 1, k - 1))[0]
            for d, e in zip(D.T, E.T, strict=True)
        ]
    )
