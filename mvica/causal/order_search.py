"""Causal order by repeated search for a root: DirectLiMVAM and PairwiseLiMVAM."""

from dataclasses import dataclass

import numpy as np

ML_STEPS = 3  # reweighting steps of the slopes: enough for the order and for its test


@dataclass(frozen=True)
class OrderSearch:
    """A causal order and how clear each step was.

    Attributes
    ----------
    order : ndarray of int, shape (p,)
    scores : ndarray of shape (p, p)
        ``scores[k, i]``: loss of variable i as the k-th in the order; NaN where it was no
        candidate. The smallest of a row was chosen.
    n_lifted : int
        Covariances over views that had to be shrunk.
    """

    order: np.ndarray
    scores: np.ndarray
    n_lifted: int = 0


def direct_order(blocks, before):
    """Order by the dependence of regressors and residuals over all pairs of views.

    Parameters
    ----------
    blocks : ndarray of shape (p, p, m, m)
        Cross-covariances of standardised variables.
    before : ndarray of bool, shape (p, p)
        ``before[a, b]``: a has to come before b.

    Returns
    -------
    found : OrderSearch
    """
    from mvica.kernels.causal_numba import dependences

    p = len(blocks)
    dependence = np.zeros((p, p))

    def compare(C, active):
        dependences(C, active, dependence)
        return dependence.T - dependence, None

    return _search(blocks, before, compare)


def pairwise_order(blocks, before, n_samples, *, steps=ML_STEPS, shrinkage=-1.0):
    """Order by Gaussian likelihood ratios of pairs, all views together.

    Parameters
    ----------
    blocks : ndarray of shape (p, p, m, m)
        Cross-covariances of standardised variables.
    before : ndarray of bool, shape (p, p)
        ``before[a, b]``: a has to come before b.
    n_samples : int
    steps : int, default=3
        Reweighting steps of the slopes; 0 is least squares in each view.
    shrinkage : float, default=-1.0
        See `mvica.kernels.causal_numba.factor`.

    Returns
    -------
    found : OrderSearch
    """
    from mvica.kernels.causal_numba import pair_likelihoods

    p, m = len(blocks), blocks.shape[2]
    own, residual, slopes = np.zeros(p), np.zeros((p, p)), np.zeros((p, p, m))
    lifted = [0]

    def compare(C, active):
        lifted[0] += pair_likelihoods(C, active, steps, shrinkage, n_samples, own, residual, slopes)
        cost = own[:, None] + residual
        return cost.T - cost, slopes

    found = _search(blocks, before, compare)
    return OrderSearch(found.order, found.scores, lifted[0])


def _search(blocks, before, compare):
    """Take the best root, regress it out of everything, and start again.

    ``compare(C, active)`` gives the gains, positive at [i, j] where i seems to come before j, and
    the slopes (p, p, m) with which a root is removed; None stands for least squares.
    """
    from mvica.kernels.causal_numba import regress_out

    C, p = blocks.copy(), len(blocks)
    active, order, scores = np.arange(p), [], np.full((p, p), np.nan)
    while len(active) > 1:
        gain, slopes = compare(C, active)
        free = active[~before[np.ix_(active, active)].any(axis=0)]
        loss = (np.minimum(gain[np.ix_(free, active)], 0) ** 2).sum(axis=1)
        scores[len(order), free] = loss
        root = free[np.argmin(loss)]
        order.append(root)
        active = active[active != root]
        regress_out(C, root, active, _least_squares(C, root) if slopes is None else slopes[root])
    order.extend(active)
    scores[p - 1, order[-1]] = 0.0
    return OrderSearch(np.array(order, dtype=np.int64), scores)


def _least_squares(C, root):
    return np.einsum("jvv->jv", C[root]) / np.diag(C[root, root])
