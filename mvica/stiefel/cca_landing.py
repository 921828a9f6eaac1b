"""CCA by stochastic landing: batches, unbiased fields, no factorisation after the start."""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import cholesky, solve_triangular

from mvica.stiefel.fields import pair_scores
from mvica.stiefel.safe_step import batch_length, first_stochastic_step
from mvica.stiefel.stochastic import BatchField, advance, linear_decay, start_landing

OMEGA = 1.0  # weight of the constraint: correlations are at most 1
SMALLEST_BATCH = 256
PER_COMPONENT = 4  # rows of a batch for each component, at least


@dataclass(frozen=True)
class LandingResult:
    """Canonical directions found by steps along landing fields.

    Attributes
    ----------
    directions : list of ndarray of shape (d_v, q)
        Ordered, white in the metrics of the constraints.
    values : ndarray of shape (q,)
        Canonical correlations, decreasing.
    violation : float
        Largest ``|U_v^T B_v U_v - I|`` over the views, before the last rotation.
    n_iter : int
        Batches.
    batch_size : int
        Rows of each.
    """

    directions: list
    values: np.ndarray
    violation: float
    n_iter: int
    batch_size: int


def default_batch_size(n_samples, n_features, n_vectors):
    """Rows of a batch: twice the features, at most an eighth of the rows.

    Parameters
    ----------
    n_samples, n_features, n_vectors : int
        Rows, features of the wider view, columns of the iterate.

    Returns
    -------
    n_rows : int

    Examples
    --------
    >>> default_batch_size(1797, 32, 8), default_batch_size(100_000, 500, 8)
    (224, 1000)
    """
    wanted = max(2 * n_features, PER_COMPONENT * n_vectors, SMALLEST_BATCH)
    return int(max(min(wanted, n_samples // 8), 2))


def batch_field(batch, U):
    """Unbiased landing field of CCA on one batch.

    Parameters
    ----------
    batch : mvica.stiefel.cca_rows.Batch
        Rows of both views.
    U : list of ndarray of shape (d_v, q)
        Iterates.

    Returns
    -------
    field : BatchField
    """
    source = batch.source
    a, b = batch.scores(source.maps(U))
    ridges = [rho * (W.T @ W) for rho, W in zip(source.ridges, U, strict=True)]
    first = pair_scores(a, b, OMEGA, ridges[0])
    second = pair_scores(b, a, OMEGA, ridges[1])
    duals = batch.back([first[0], second[0]])
    for dual, rho, W, found in zip(duals, source.ridges, U, (first, second), strict=True):
        if rho > 0:
            dual += (rho * (W @ found[1])).astype(dual.dtype, copy=False)
    grams = [found[2] + R for found, R in zip((first, second), ridges, strict=True)]

    def length(directions):
        return max(map(batch_length, batch.scores(source.maps(directions))))

    return BatchField(duals, length, max(map(violation, grams)))


def violation(gram):
    """``|C - I|`` of a Gram matrix."""
    return float(np.linalg.norm(gram - np.eye(len(gram))))


def cca_landing(
    data, inverses, start, *, n_epochs, batch_size=None, schedule=linear_decay, rng, callback=None
):
    """Follow landing fields over some epochs, then rotate to canonical directions.

    Parameters
    ----------
    data : CenteredRows
        The two views.
    inverses : list of CholeskyInverse or SpectralInverse
        Preconditioners, near the inverses of the constraint matrices.
    start : list of ndarray of shape (d_v, q)
        Start.
    n_epochs : int
        Passes over the data.
    batch_size : int, default=None
        Rows of a batch; None takes `default_batch_size`.
    schedule : callable, default=linear_decay
        ``schedule(step, n_steps)`` is the factor of a step.
    rng : RandomState
        Draws the order of the rows, anew in every epoch.
    callback : callable or None, default=None
        ``callback(n_iter, value, violation)`` after each batch.

    Returns
    -------
    result : LandingResult
    """
    q, dimension = start[0].shape[1], max(inverse.dimension for inverse in inverses)
    wanted = batch_size or default_batch_size(data.n_samples, max(data.sizes), q)
    size = min(wanted, data.n_samples)
    n_steps = n_epochs * (data.n_samples // size)
    state = start_landing(
        [W.astype(data.dtype) for W in start], first_stochastic_step(dimension, size)
    )
    step = 0
    for _ in range(n_epochs):
        for batch in data.shuffled(size, rng):
            field = batch_field(batch, state.U)
            state = advance(state, field, inverses, schedule(step, n_steps))
            step += 1
            if callback is not None:
                callback(step, np.nan, field.defect)
    U = [W.astype(np.float64) for W in state.U]
    moments = data.score_moments(U)
    found = canonical_rotation(U, moments, data.ridges)
    return LandingResult(*found, step, size)


def canonical_rotation(U, moments, ridges):
    """Ordered canonical directions in the span of an iterate, and how far it was from white.

    Parameters
    ----------
    U : list of ndarray of shape (d_v, q)
        Iterates.
    moments : list of ndarray of shape (q, q)
        Second moments of the scores of the first view, of the second, and of both.
    ridges : sequence of float
        Of the constraint matrices.

    Returns
    -------
    directions : list of ndarray of shape (d_v, q)
    values : ndarray of shape (q,)
    violation : float
    """
    grams = [C + rho * (W.T @ W) for C, rho, W in zip(moments[:2], ridges, U, strict=True)]
    factors = [cholesky(C, lower=True) for C in grams]
    half = solve_triangular(factors[0], moments[2], lower=True)
    u, s, vt = np.linalg.svd(solve_triangular(factors[1], half.T, lower=True).T)
    turned = [
        W @ solve_triangular(L, r, lower=True, trans=1)
        for W, L, r in zip(U, factors, (u, vt.T), strict=True)
    ]
    return turned, np.minimum(s, 1.0), max(map(violation, grams))
