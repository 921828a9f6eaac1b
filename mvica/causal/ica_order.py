"""From unmixings to causal graphs: whose equation a row is, and in which order they stand."""

import numpy as np
from scipy.optimize import linear_sum_assignment

from mvica.causal.likelihood import MAX_EXACT, exact_order, local_order, random_order

SMALLEST = 1e-12  # of a column's largest entry: bounds the cost of an entry that is zero
SWEEPS, SETTLED = 200, 1e-9  # over the loadings of one source
N_STARTS = 10  # random orders tried where not all can be


def match_rows(W):
    """Find one permutation for all views that makes row i of the unmixings the equation of i.

    The product of the diagonal entries is largest, whatever the units of variables and sources.

    Parameters
    ----------
    W : ndarray of shape (m, p, p)

    Returns
    -------
    rows : ndarray of int, shape (p,)
        Row that belongs to each variable.
    """
    size = np.abs(W)
    size = size / np.maximum(size.max(axis=1, keepdims=True), np.finfo(float).tiny)
    cost = -np.log(np.maximum(size, SMALLEST)).sum(axis=0)
    variables, rows = linear_sum_assignment(cost.T)
    return rows[np.argsort(variables)]


def energies(W):
    """Squared strengths (m, p, p) between variables in units of their own disturbances."""
    diagonal = np.einsum("vii->vi", W)
    energy = (W / diagonal[:, None, :]) ** 2
    energy[:, np.arange(W.shape[1]), np.arange(W.shape[1])] = 0.0
    return energy


def triangular_order(energy, before):
    """Find the order with the least energy on effects of later variables on earlier ones.

    Parameters
    ----------
    energy : ndarray of shape (p, p)
        ``[i, j]``: squared strength of the effect of j on i.
    before : ndarray of bool, shape (p, p)
        ``before[a, b]``: a has to come before b.

    Returns
    -------
    order : ndarray of int, shape (p,)
    share : float
        Of the energy that does not fit the order.
    """
    values = _Misfit(energy)
    if len(energy) <= MAX_EXACT:
        found = exact_order(values, before, window=0.0)
    else:
        rng = np.random.RandomState(0)
        greedy = np.argsort(energy.sum(axis=1) - energy.sum(axis=0), kind="stable")
        starts = [_respecting(greedy, before)]
        starts += [random_order(before, rng) for _ in range(N_STARTS)]
        found = local_order(values, before, starts)
    return found.order, float(found.value / max(energy.sum(), np.finfo(float).tiny))


def one_source(R):
    """Fit ``b b^T`` to correlations off the diagonal, by least squares one loading at a time.

    Parameters
    ----------
    R : ndarray of shape (p, m, m)
        Correlations between two views or more, of p variables.

    Returns
    -------
    b : ndarray of shape (p, m)
        Between -1 and 1, with a sum that is not negative. Two views share theirs equally.
    """
    m = R.shape[1]
    values, vectors = np.linalg.eigh(R)
    size = np.sqrt(np.maximum(values[:, -1:] - 1, 0) * m / (m - 1))
    b = np.clip(vectors[:, :, -1] * size, -1, 1)
    for _ in range(SWEEPS if m > 2 else 0):
        former = b.copy()
        for v in range(m):
            others = b.copy()
            others[:, v] = 0
            fitted = (R[:, v] * others).sum(axis=1)
            b[:, v] = np.clip(fitted / np.maximum((others**2).sum(axis=1), SMALLEST), -1, 1)
        if np.abs(b - former).max() < SETTLED:
            break
    return np.where(b.sum(axis=1, keepdims=True) < 0, -b, b)


class _Misfit:
    """Energy of the effects on j of what does not come before it, as values of rows."""

    n_samples = 2  # one unit of energy counts as one nat

    def __init__(self, energy):
        self.energy = energy

    def __call__(self, j, members):
        later = [q for q in range(len(self.energy)) if not members >> q & 1]
        return float(self.energy[j, later].sum())

    def of_order(self, order):
        """Sum over an order."""
        return float(np.triu(self.energy[np.ix_(order, order)], 1).sum())

    def table(self):
        """All values, of shape (p, 2**p)."""
        p = len(self.energy)
        sets = np.arange(1 << p)
        absent = np.stack([(sets >> q & 1) == 0 for q in range(p)]).astype(float)
        return self.energy @ absent


def _respecting(order, before):
    """Move variables of an order as little as a partial order asks for."""
    done, left = [], list(order)
    while left:
        free = next(j for j in left if not any(before[q, j] for q in left))
        done.append(free)
        left.remove(free)
    return np.array(done)
