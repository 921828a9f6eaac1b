"""Causal order of a single view, from non-Gaussian disturbances."""

import warnings

import numpy as np
from scipy.stats import normaltest

from mvica.causal.order_search import OrderSearch

LOGCOSH, ODD = 79.047, 7.4129  # weights of the maximum-entropy approximation
LOGCOSH_OF_NORMAL = 0.37457  # E log cosh of a standard normal variable
TESTABLE = 300  # samples from which a test of normality says something


def single_view_order(X, before):
    """Order the variables of one view by pairwise likelihood ratios of non-Gaussian variables.

    Parameters
    ----------
    X : ndarray of shape (n_samples, p)
    before : ndarray of bool, shape (p, p)
        ``before[a, b]``: a has to come before b.

    Returns
    -------
    found : OrderSearch

    Warns
    -----
    UserWarning
        If more than one disturbance looks Gaussian: their order is then arbitrary.

    References
    ----------
    Hyvarinen, Smith (2013), Pairwise likelihood ratios for estimation of non-Gaussian structural
    equation models, Journal of Machine Learning Research 14.
    Shimizu et al. (2011), DirectLiNGAM, Journal of Machine Learning Research 12.
    """
    Z = _standardise(X - X.mean(axis=0, dtype=np.float64))
    p = Z.shape[1]
    active, order, scores = np.arange(p), [], np.full((p, p), np.nan)
    found = np.empty_like(Z)
    while len(active):
        free = active[~before[np.ix_(active, active)].any(axis=0)]
        gain = _gains(Z[:, active])
        loss = (np.minimum(gain, 0) ** 2).sum(axis=1)[np.isin(active, free)]
        scores[len(order), free] = loss
        root = free[np.argmin(loss)]
        found[:, len(order)] = Z[:, root]
        order.append(root)
        active = active[active != root]
        x = Z[:, root]
        Z[:, active] = _standardise(Z[:, active] - np.outer(x, x @ Z[:, active] / len(Z)))
    _warn_if_gaussian(found, order)
    return OrderSearch(np.array(order, dtype=np.int64), scores)


def _gains(Z):
    """Likelihood ratios (k, k) of standardised variables, positive at [i, j] for i before j."""
    own = _entropy(Z)
    cost = np.zeros((Z.shape[1],) * 2)
    correlation = Z.T @ Z / len(Z)
    for i in range(Z.shape[1]):
        residual = _standardise(Z - np.outer(Z[:, i], correlation[i]))
        cost[i] = own[i] + _entropy(residual)
    np.fill_diagonal(cost, 0)
    return cost.T - cost


def _entropy(Z):
    """Differential entropies of standardised columns, up to a constant."""
    size = np.abs(Z)
    log_cosh = (size + np.log1p(np.exp(-2 * size)) - np.log(2)).mean(axis=0)
    odd = (Z * np.exp(-(Z**2) / 2)).mean(axis=0)
    return -LOGCOSH * (log_cosh - LOGCOSH_OF_NORMAL) ** 2 - ODD * odd**2


def _standardise(Z):
    scale = Z.std(axis=0)
    return Z / np.where(scale > 0, scale, 1.0)


def _warn_if_gaussian(disturbances, order):
    if len(disturbances) < TESTABLE:
        return
    plain = np.flatnonzero(normaltest(disturbances).pvalue > 0.05)
    if len(plain) > 1:
        listed = [int(order[k]) for k in plain]
        warnings.warn(
            f"The disturbances of variables {listed} look Gaussian: one view does not tell their "
            "order. Two views or more can.",
            UserWarning,
            stacklevel=2,
        )
