"""Causal order of highest Gaussian likelihood: exact search over sets, or insertion moves.

The profile likelihood of an order is a sum of row values, ``-n/2 sum_j f(j, predecessors of j)``,
each of which depends on the set of predecessors alone.
"""

import heapq
from dataclasses import dataclass
from itertools import count

import numpy as np

from mvica.causal.strengths import fit_row

ROUNDS = 2  # of generalised least squares in a row value
MIN_DECREASE = 1e-10  # of the sum of row values, for a move
COMPILED = 128  # largest linear system of a row that the compiled kernel solves
MAX_EXACT = 16  # the tables hold p 2^p numbers


class RowValues:
    """The values ``f(j, set)``, each computed once.

    Parameters
    ----------
    blocks : ndarray of shape (p, p, m, m)
        Cross-covariances of standardised variables.
    allowed : ndarray of bool, shape (p, p)
        ``allowed[j, q]``: q may be a parent of j.
    n_samples : int
    shrinkages : ndarray of shape (p,)
        See `mvica.kernels.causal_numba.shrinkage_of_variables`.
    rounds : int, default=2
        Rounds of generalised least squares.
    """

    def __init__(self, blocks, allowed, n_samples, shrinkages, *, rounds=ROUNDS):
        self.blocks, self.allowed, self.rounds = blocks, allowed, rounds
        self.n_samples, self.shrinkages = n_samples, shrinkages
        self.n_lifted = 0
        self._cache = {}
        self._choices = [np.flatnonzero(row) for row in allowed]

    def __call__(self, j, members):
        """Log determinant of the disturbance of j after the set with these bits."""
        parents = [q for q in self._choices[j] if members >> int(q) & 1]
        key = j, tuple(parents)
        if key not in self._cache:
            self._cache[key] = self._compute(j, parents)
        return self._cache[key]

    def _compute(self, j, parents):
        p, m = self.blocks.shape[1:3]
        if len(parents) * m <= COMPILED:
            from mvica.kernels.causal_numba import row_log_det

            chosen = np.array(parents, dtype=np.int64)
            value, lifted = row_log_det(
                self.blocks, j, chosen, self.rounds, self.shrinkages[j], self.n_samples
            )
        else:
            kept = np.zeros((m, p), bool)
            kept[:, parents] = True
            row = fit_row(
                self.blocks,
                j,
                kept,
                rounds=self.rounds,
                shrinkage=self.shrinkages[j],
                n_samples=self.n_samples,
            )
            value, lifted = row.log_det, row.lifted
        self.n_lifted += lifted
        return value

    def of_order(self, order):
        """Sum of the row values of an order."""
        total, members = 0.0, 0
        for j in order:
            total += self(j, members)
            members |= 1 << int(j)
        return total

    def table(self):
        """All values, of shape (p, 2**p); those of sets that hold j itself are undefined."""
        p, m = self.blocks.shape[1:3]
        values = np.zeros((p, 1 << p))
        if p * m <= COMPILED:
            from mvica.kernels.causal_numba import all_row_log_dets

            self.n_lifted += all_row_log_dets(
                self.blocks, self.allowed, self.rounds, self.shrinkages, self.n_samples, values
            )
            return values
        for j, members in np.ndindex(values.shape):
            if not members >> j & 1:
                values[j, members] = self(j, members)
        return values


@dataclass(frozen=True)
class LikelihoodOrder:
    """An order of high likelihood and its rivals.

    Attributes
    ----------
    order : ndarray of int, shape (p,)
    value : float
        Sum of its row values.
    near_orders : ndarray of int, shape (k, p)
        Orders within the window asked for, best first; that of a local search alone holds `order`.
    gaps : ndarray of shape (k,)
        By how many nats their likelihood is lower.
    margin : float
        Nats to the second best order: of all orders for the exact search, of those one move away
        for the local one.
    """

    order: np.ndarray
    value: float
    near_orders: np.ndarray
    gaps: np.ndarray
    margin: float


def exact_order(values, before, *, window=2.0, max_orders=1000):
    """Find the order of highest likelihood among all, by dynamic programming over sets.

    Parameters
    ----------
    values : RowValues
    before : ndarray of bool, shape (p, p)
        ``before[a, b]``: a has to come before b.
    window : float, default=2.0
        Orders within so many nats of the best are listed.
    max_orders : int, default=1000
        At most so many.

    Returns
    -------
    found : LikelihoodOrder
    """
    from mvica.kernels.causal_numba import best_orders

    p = len(before)
    table = values.table()
    best, _ = best_orders(table, before)
    nats = values.n_samples / 2
    lowest, second = best[-1]
    orders, gaps = [], []
    for order, value in _in_turn(table, before, best[:, 0], lowest + window / nats):
        orders.append(order)
        gaps.append(nats * (value - lowest))
        if len(orders) == max_orders:
            break
    near = np.array(orders, dtype=np.int64).reshape(-1, p)
    gaps = np.maximum(np.array(gaps), 0.0)
    return LikelihoodOrder(near[0], float(lowest), near, gaps, float(nats * (second - lowest)))


def _in_turn(table, before, best, limit):
    """Yield orders and values, best first, up to a limit: suffixes grow from the full set."""
    p, ticket = len(before), count()
    limit += 1e-12 * abs(limit)
    full = (1 << p) - 1
    queue = [(best[full], next(ticket), full, 0.0, ())]
    while queue and queue[0][0] <= limit:
        _, _, members, value, suffix = heapq.heappop(queue)
        if not members:
            yield suffix, value
            continue
        for j in range(p):
            earlier = members ^ (1 << j)
            if members >> j & 1 and np.isfinite(best[earlier]):
                if any(before[q, j] and not earlier >> q & 1 for q in range(p)):
                    continue
                grown = value + table[j, earlier]
                if grown + best[earlier] <= limit:
                    entry = grown + best[earlier], next(ticket), earlier, grown, (j, *suffix)
                    heapq.heappush(queue, entry)


def local_order(values, before, starts, *, least=MIN_DECREASE):
    """Improve orders by insertion moves, and keep the best.

    The single best move of all variables to all places is made until none lowers the sum of the
    row values.

    Parameters
    ----------
    values : RowValues
    before : ndarray of bool, shape (p, p)
        ``before[a, b]``: a has to come before b; the starts agree with it.
    starts : sequence of ndarray of int, shape (p,)
    least : float, default=1e-10
        Least decrease of the sum of the row values for a move.

    Returns
    -------
    found : LikelihoodOrder
    """
    ends = []
    for start in starts:
        order = [int(j) for j in start]
        while True:
            change, moved = min(_moves(values, order, before), default=(0.0, order))
            if change >= -least:
                break
            order = moved
        ends.append((values.of_order(order), order))
    value, order = min(ends)
    nats = values.n_samples / 2
    margin = nats * min((change for change, _ in _moves(values, order, before)), default=np.inf)
    near = np.array([order], dtype=np.int64)
    return LikelihoodOrder(near[0], float(value), near, np.zeros(1), float(margin))


def _moves(values, order, before):
    """Yield (change of value, new order) of every insertion move; a swap counts once."""
    p = len(order)
    masks = np.concatenate([[0], np.cumsum([1 << j for j in order], dtype=object)])
    for place, a in enumerate(order):
        change = 0.0
        for t in range(place - 1, -1, -1):
            b, members = order[t], int(masks[t])
            if before[b, a]:
                break
            change += _swap(values, b, a, members)
            yield change, [*order[:t], a, *order[t:place], *order[place + 1 :]]
        change = 0.0
        for t in range(place + 1, p):
            b, members = order[t], int(masks[t]) ^ (1 << a)
            if before[a, b]:
                break
            change += _swap(values, a, b, members)
            if t > place + 1:
                yield change, [*order[:place], *order[place + 1 : t + 1], a, *order[t + 1 :]]


def _swap(values, first, second, members):
    """Change of value when `first`, then `second`, after a set, trade places."""
    f, s = 1 << first, 1 << second
    return (
        values(second, members)
        + values(first, members | s)
        - values(first, members)
        - values(second, members | f)
    )


def swap_gaps(values, order):
    """Nats that each pair of neighbours in the order is ahead of its swap, of shape (p - 1,)."""
    gaps, members = [], 0
    for first, second in zip(map(int, order[:-1]), map(int, order[1:]), strict=True):
        gaps.append(_swap(values, first, second, members))
        members |= 1 << first
    return values.n_samples / 2 * np.array(gaps)


def random_order(before, rng):
    """Draw an order that agrees with a partial one."""
    rank = rng.permutation(len(before))
    order, left = [], set(range(len(before)))
    while left:
        free = [j for j in left if not any(before[q, j] for q in left)]
        order.append(min(free, key=lambda j: rank[j]))
        left.remove(order[-1])
    return np.array(order, dtype=np.int64)
