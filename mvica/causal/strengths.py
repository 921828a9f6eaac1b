"""Causal strengths given the order: generalised least squares over all views at once."""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve
from scipy.stats import chi2

TEST_ROUNDS = 3  # fewer give tests that reject too often


@dataclass(frozen=True)
class Row:
    """One equation: the strengths of the parents of a variable, in every view.

    Attributes
    ----------
    parents : ndarray of int, shape (k,)
        Variables that are parents in some view.
    kept : ndarray of bool, shape (k, m)
        In which views.
    strengths : ndarray of shape (k, m)
        Zero where not kept.
    residual : ndarray of shape (m, m)
        Covariance over views of the disturbance.
    log_det : float
        Of `residual`, shrunk where it is near singular.
    inverse_weight : ndarray or None, shape (kept.sum(), kept.sum())
        Covariance of the strengths kept, times the number of samples; None if not asked for.
    lifted : bool
        Whether `residual` was near singular.
    """

    parents: np.ndarray
    kept: np.ndarray
    strengths: np.ndarray
    residual: np.ndarray
    log_det: float
    inverse_weight: np.ndarray | None
    lifted: bool

    def standard_errors(self, n_samples):
        """Return the standard errors of the strengths, (k, m); 0 where there is no strength."""
        errors = np.zeros(self.kept.shape)
        errors[self.kept] = np.sqrt(np.diag(self.inverse_weight) / n_samples)
        return errors

    def wald(self, n_samples):
        """Joint Wald statistic over views of each parent, and its degrees of freedom."""
        owner = np.nonzero(self.kept)[0]
        t = self.strengths[self.kept]
        statistics = np.zeros(len(self.parents))
        for a in range(len(self.parents)):
            own = owner == a
            block = self.inverse_weight[np.ix_(own, own)]
            statistics[a] = n_samples * t[own] @ np.linalg.solve(block, t[own])
        return statistics, self.kept.sum(axis=1)

    def pvalues(self, n_samples):
        """Probability, without the effect, of a Wald statistic as large; of shape (k,)."""
        return chi2.sf(*self.wald(n_samples))


def fit_row(blocks, j, kept, *, rounds=3, shrinkage=-1.0, n_samples=1, errors=False):
    """Fit the equation of one variable in all views together.

    Ordinary least squares in each view, then `rounds` times generalised least squares with the
    covariance over views of the residuals: one linear system of the size of all strengths.

    Parameters
    ----------
    blocks : ndarray of shape (p, p, m, m)
        Cross-covariances of standardised variables.
    j : int
        The variable.
    kept : ndarray of bool, shape (m, p)
        ``kept[v, q]``: q is a parent of j in view v.
    rounds : int, default=3
    shrinkage : float, default=-1.0
        See `mvica.kernels.causal_numba.factor`.
    n_samples : int, default=1
        Used by the shrinkage alone.
    errors : bool, default=False
        Whether to compute the covariance of the strengths.

    Returns
    -------
    row : Row
    """
    parents = np.flatnonzero(kept.any(axis=0))
    kept = kept[:, parents].T
    G, h = blocks[np.ix_(parents, parents)], blocks[parents, j]
    t = _least_squares(G, h, kept)
    S = _residual(blocks[j, j], G, h, t)
    log_det, weight, lifted = weigh(S, shrinkage, n_samples)
    for _ in range(rounds if kept.any() else 0):
        H, rhs = _normal_equations(G, h, weight, kept)
        t = np.zeros(kept.shape)
        t[kept] = _solve(H, rhs)
        S = _residual(blocks[j, j], G, h, t)
        log_det, weight, again = weigh(S, shrinkage, n_samples)
        lifted = lifted or again
    inverse = None
    if errors:
        H, _ = _normal_equations(G, h, weight, kept)
        inverse = _solve(H, np.eye(len(H)))
    return Row(parents, kept, t, S, log_det, inverse, lifted)


def weigh(S, shrinkage, n_samples):
    """Log determinant and inverse of a covariance over views, and whether it had to be shrunk."""
    from mvica.kernels.causal_numba import factor

    scale, U = np.empty(len(S)), np.empty(S.shape)
    log_det, lifted = factor(S, shrinkage, n_samples, scale, U)
    inverse = cho_solve((U, False), np.eye(len(S)), check_finite=False)
    return log_det, inverse / scale[:, None] / scale, lifted


def fit_strengths(blocks, kept, shrinkages, *, rounds=3, n_samples=1, errors=False):
    """Fit the equations of all variables.

    Parameters
    ----------
    blocks : ndarray of shape (p, p, m, m)
        Cross-covariances of standardised variables.
    kept : ndarray of bool, shape (m, p, p)
        ``kept[v, i, j]``: j is a parent of i in view v.
    shrinkages : ndarray of shape (p,)
        One a variable.
    rounds, n_samples, errors
        As in `fit_row`.

    Returns
    -------
    strengths : ndarray of shape (m, p, p)
    rows : list of Row
        One a variable.
    """
    rows = [
        fit_row(
            blocks,
            j,
            kept[:, j],
            rounds=rounds,
            shrinkage=shrinkages[j],
            n_samples=n_samples,
            errors=errors,
        )
        for j in range(len(blocks))
    ]
    strengths = np.zeros(kept.shape)
    for j, row in enumerate(rows):
        strengths[:, j, row.parents] = row.strengths.T
    return strengths, rows


def earlier(orders):
    """Mask (m, p, p) of the variables [v, :, j] that come before variable [v, i, :] in an order.

    Parameters
    ----------
    orders : ndarray of int, shape (m, p)
        One order a view.
    """
    position = np.argsort(orders, axis=1)
    return position[:, None, :] < position[:, :, None]


def _least_squares(G, h, kept):
    """Own-view coefficients (k, m)."""
    within, cross = np.einsum("abvv->vab", G), np.einsum("avv->va", h)
    if kept.all() and kept.size:
        try:
            return np.linalg.solve(within, cross[:, :, None])[:, :, 0].T
        except np.linalg.LinAlgError:  # redundant parents in some view: one by one
            pass
    t = np.zeros(kept.shape)
    for v, own in enumerate(kept.T):
        if own.any():
            t[own, v] = _solve(within[v][np.ix_(own, own)], cross[v, own])
    return t


def _residual(own, G, h, t):
    """Covariance over views of what the parents leave."""
    cross = np.einsum("av,avw->vw", t, h)
    quadratic = np.einsum("av,abvw,bw->vw", t, G, t)
    return own - cross - cross.T + quadratic


def _normal_equations(G, h, weight, kept):
    k, m = kept.shape
    H = (G * weight).transpose(0, 2, 1, 3).reshape(k * m, k * m)
    rhs = (h * weight).sum(axis=2).ravel()
    if kept.all():
        return H, rhs
    flat = kept.ravel()
    return H[np.ix_(flat, flat)], rhs[flat]


def _solve(H, rhs):
    try:
        return cho_solve(cho_factor(H, check_finite=False), rhs, check_finite=False)
    except LinAlgError:  # redundant parents
        return np.linalg.lstsq(H, rhs, rcond=None)[0]
