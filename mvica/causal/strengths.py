"""Causal strengths given the order: generalised least squares over all views at once."""

from dataclasses import dataclass
from functools import partial

import numpy as np
from scipy.linalg import lapack
from scipy.special import chdtrc

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
        statistics, freedom = self.wald(n_samples)
        return chdtrc(freedom, statistics)


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
    from mvica.kernels.causal_numba import row_residual

    parents = np.flatnonzero(kept.any(axis=0))
    kept = kept[:, parents].T
    t, S = _least_squares(blocks, j, parents, kept), np.empty(blocks.shape[2:])
    row_residual(blocks, j, parents, t, S)
    log_det, weight, lifted = weigh(S, shrinkage, n_samples)
    system = partial(_normal_equations, blocks, j, parents, kept)
    for _ in range(rounds if kept.any() else 0):
        t[kept] = _solve(system, weight)
        row_residual(blocks, j, parents, t, S)
        log_det, weight, again = weigh(S, shrinkage, n_samples)
        lifted = lifted or again
    inverse = _invert(system, weight) if errors else None
    return Row(parents, kept, t, S, log_det, inverse, lifted)


def weigh(S, shrinkage, n_samples):
    """Log determinant and inverse of a covariance over views, and whether it had to be shrunk."""
    from mvica.kernels.causal_numba import factor

    scale, U = np.empty(len(S)), np.empty(S.shape)
    log_det, lifted = factor(S, shrinkage, n_samples, scale, U)
    inverse = _mirrored(lapack.dpotri(U.T, lower=1, overwrite_c=1)[0].T)
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


def _least_squares(blocks, j, parents, kept):
    """Own-view coefficients (k, m)."""
    own = np.einsum("ijvv->vij", blocks)
    within, cross = own[:, parents[:, None], parents], own[:, parents, j]
    if kept.all() and kept.size:
        try:
            return np.linalg.solve(within, cross[:, :, None])[:, :, 0].T.copy()
        except np.linalg.LinAlgError:  # redundant parents in some view: one by one
            pass
    t = np.zeros(kept.shape)
    for v, mask in enumerate(kept.T):
        if mask.any():
            t[mask, v] = np.linalg.lstsq(within[v][np.ix_(mask, mask)], cross[v, mask])[0]
    return t


def _normal_equations(blocks, j, parents, kept, weight):
    """System of the strengths kept, in its upper triangle, and its right side."""
    from mvica.kernels.causal_numba import normal_equations

    H, rhs = np.empty((kept.size, kept.size)), np.empty(kept.size)
    normal_equations(blocks, j, parents, weight, H, rhs)
    if kept.all():
        return H, rhs
    flat = kept.ravel()
    return H[np.ix_(flat, flat)], rhs[flat]


def _solve(system, weight):
    """Solve the normal equations."""
    H, rhs = system(weight)
    if not len(H):
        return rhs
    _, x, failed = lapack.dposv(H.T, rhs, lower=1, overwrite_a=1)
    if failed:  # redundant parents
        return np.linalg.lstsq(_full(system, weight), rhs)[0]
    return x


def _invert(system, weight):
    """Inverse of the matrix of the normal equations."""
    H, _ = system(weight)
    if not len(H):
        return H
    factor, failed = lapack.dpotrf(H.T, lower=1, overwrite_a=1)
    if failed:  # redundant parents
        return np.linalg.pinv(_full(system, weight), hermitian=True)
    return _mirrored(lapack.dpotri(factor, lower=1, overwrite_c=1)[0].T)


def _full(system, weight):
    return _mirrored(system(weight)[0])


def _mirrored(A):
    from mvica.kernels.causal_numba import mirror

    mirror(A)
    return A
