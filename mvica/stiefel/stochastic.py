"""Stochastic landing: steps along fields seen by one batch, with a step rule that needs no tuning.

The engine knows neither the data nor the objective. A problem gives a function that evaluates its
dual fields on a batch (:class:`BatchField`); there may be several unknowns, one a view, each with
its own constraint and preconditioner, that move with a common step.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from sklearn.utils import check_random_state

TRUST = 0.3  # longest step in the metric of the batch, where the constraint is one
LOST = 10.0  # defect of a batch that an iterate near the constraint has by outliers only
LOST_IN_A_ROW = 3  # such batches, one after the other, mean divergence
CHECKPOINT = 50  # steps between the copies that a diverged run goes back to
MAX_RESTARTS = 5


class BatchField(NamedTuple):
    """The dual fields of one batch and what the step rule asks about it.

    Attributes
    ----------
    duals : list of ndarray of shape (d_v, p)
        Dual field of each unknown, for instance ``x^T K / r`` with the scores K of
        :func:`mvica.stiefel.fields.pair_scores`.
    length : callable
        ``length(directions)`` is the largest norm ``|x_v F_v|_2 / sqrt(r)`` over the unknowns, for
        the list of fields F_v.
    defect : float
        Largest constraint defect ``|C_v - I|_F`` on this batch.
    """

    duals: list
    length: Callable
    defect: float


@dataclass(frozen=True)
class LandingState:
    """Where a stochastic run is: everything that it needs to go on.

    Attributes
    ----------
    U : list of ndarray of shape (d_v, p)
        Iterates.
    safe : list of ndarray of shape (d_v, p)
        Copy to go back to when a later step diverges.
    step0 : float
        Longest step, before the decay.
    n_steps : int
        Batches seen.
    n_restarts : int
        Times that the run went back to `safe`, halving `step0` each time.
    n_lost : int
        Batches just before this that saw the iterate far from the constraint.
    """

    U: list
    safe: list
    step0: float
    n_steps: int = 0
    n_restarts: int = 0
    n_lost: int = 0


def start_landing(U0, step0):
    """State before the first batch.

    Parameters
    ----------
    U0 : list of ndarray of shape (d_v, p)
        Starts. They are copied.
    step0 : float
        Longest step, see :func:`mvica.stiefel.safe_step.first_stochastic_step`.

    Returns
    -------
    state : LandingState
    """
    copies = [np.array(U) for U in U0]
    return LandingState(copies, [U.copy() for U in copies], float(step0))


def advance(state, field, apply_P, decay, *, trust=TRUST):
    """Take one step, or go back to the last safe copy with half the step if it diverged.

    Parameters
    ----------
    state : LandingState
        Before the step; not changed.
    field : BatchField
        Seen at ``state.U``.
    apply_P : list of callable
        Preconditioner of each unknown, (d_v, p) -> (d_v, p).
    decay : float
        Factor of this step, between 0 and 1. It multiplies the trusted step as well: a cap that
        does not decay leaves a floor of noise.
    trust : float, default=0.3
        Longest step in the metric of the batch.

    Returns
    -------
    state : LandingState

    Raises
    ------
    FloatingPointError
        If the run diverged once more after five restarts.
    """
    n_lost = 0 if field.defect <= LOST else state.n_lost + 1
    directions = [P(L) for P, L in zip(apply_P, field.duals, strict=True)]
    finite = np.isfinite(field.defect) and all(np.isfinite(F).all() for F in directions)
    if n_lost == LOST_IN_A_ROW or not finite:
        return _go_back(state)
    length = field.length(directions)
    eta = decay * min(state.step0, trust / length if length > 0 else np.inf)
    moved = zip(state.U, directions, strict=True)
    U = [u - (eta * F).astype(u.dtype, copy=False) for u, F in moved]
    # The iterate before the step is safe: its own batch did not object.
    safe = state.U if state.n_steps % CHECKPOINT == 0 and n_lost == 0 else state.safe
    return LandingState(U, safe, state.step0, state.n_steps + 1, state.n_restarts, n_lost)


def _go_back(state):
    if state.n_restarts == MAX_RESTARTS:
        raise FloatingPointError(
            f"The stochastic landing diverged {MAX_RESTARTS + 1} times, the last time with a step "
            f"of {state.step0:.2g}, at batch {state.n_steps}. Standardise the features, raise the "
            "regularization, or raise the batch size."
        )
    return LandingState(
        [U.copy() for U in state.safe],
        state.safe,
        0.5 * state.step0,
        state.n_steps + 1,
        state.n_restarts + 1,
    )


def linear_decay(step, n_steps):
    """``1 - step / n_steps``, when the number of steps is known."""
    return max(1.0 - step / n_steps, 0.0)


def open_decay(step, n_steps=None):
    """``1 / sqrt(1 + step)``, for streams of unknown length."""
    return 1.0 / np.sqrt(1.0 + step)


def stochastic_landing(
    batch_field,
    U0_list,
    apply_P_list,
    *,
    n_steps,
    step0,
    trust=TRUST,
    schedule=linear_decay,
    callback=None,
):
    """Follow batch fields for a number of steps.

    Parameters
    ----------
    batch_field : callable
        ``batch_field(step, U_list)`` gives the `BatchField` of the batch number `step`.
    U0_list : list of ndarray of shape (d_v, p)
        Starts, one an unknown.
    apply_P_list : list of callable
        Preconditioners, (d_v, p) -> (d_v, p), close to the inverses of the constraint matrices.
    n_steps : int
        Number of batches.
    step0 : float
        Longest step, before the decay.
    trust : float, default=0.3
        Longest step in the metric of the batch: heavy-tailed rows cannot throw the iterate out.
    schedule : callable, default=linear_decay
        ``schedule(step, n_steps)`` is the factor of a step.
    callback : callable or None
        ``callback(state)`` after each step.

    Returns
    -------
    state : LandingState

    Raises
    ------
    FloatingPointError
        If the run diverged once more after five restarts with halved steps.

    Examples
    --------
    Two views whose first features are correlated, in batches of 200 rows:

    >>> import numpy as np
    >>> from mvica.stiefel.fields import pair_scores
    >>> from mvica.stiefel.safe_step import batch_length
    >>> from mvica.stiefel.stochastic import BatchField, stochastic_landing
    >>> rng = np.random.default_rng(0)
    >>> X, Y = rng.standard_normal((2, 20_000, 3))
    >>> Y[:, 0] = 0.8 * X[:, 0] + 0.6 * Y[:, 0]
    >>> def field(step, U):
    ...     x, y = X[200 * step : 200 * step + 200], Y[200 * step : 200 * step + 200]
    ...     a, b = x @ U[0], y @ U[1]
    ...     (K_a, _, C_a), (K_b, _, C_b) = pair_scores(a, b, 1.0), pair_scores(b, a, 1.0)
    ...     length = lambda F: max(batch_length(x @ F[0]), batch_length(y @ F[1]))
    ...     return BatchField([x.T @ K_a / 200, y.T @ K_b / 200], length, abs(C_a - 1).max())
    >>> start, identity = np.full((3, 1), 3**-0.5), lambda L: L
    >>> state = stochastic_landing(field, [start, start], [identity, identity],
    ...                            n_steps=100, step0=0.5)
    >>> [U[:, 0].round(1) + 0.0 for U in state.U]
    [array([1., 0., 0.]), array([1., 0., 0.])]
    """
    state = start_landing(U0_list, step0)
    for step in range(n_steps):
        field = batch_field(step, state.U)
        state = advance(state, field, apply_P_list, schedule(step, n_steps), trust=trust)
        if callback is not None:
            callback(state)
    return state


def fresh_batches(n_samples, batch_size, n_epochs, random_state=None):
    """Rows of each batch: a fresh permutation of all samples in every epoch, cut in batches.

    Parameters
    ----------
    n_samples, batch_size, n_epochs : int
        Sizes. The rows left over at the end of an epoch wait for the next one.
    random_state : int, RandomState instance or None, default=None
        Draws the permutations.

    Yields
    ------
    rows : ndarray of shape (batch_size,)

    Examples
    --------
    >>> batches = list(fresh_batches(10, 4, 3, random_state=0))
    >>> len(batches), batches[0].shape
    (6, (4,))
    """
    rng = check_random_state(random_state)
    for _ in range(n_epochs):
        order = rng.permutation(n_samples)
        for start in range(0, n_samples - batch_size + 1, batch_size):
            yield order[start : start + batch_size]
