"""Which of the edges that an order allows to keep."""

import numpy as np
from sklearn.linear_model import lars_path_gram

from mvica.causal.strengths import fit_row

METHODS = {"wald", "bic", "bic_view", "alasso"}


def prune(blocks, rows, required, method, *, alpha, rounds, shrinkages, n_samples):
    """Choose the edges to keep; strengths are refitted by the caller.

    Parameters
    ----------
    blocks : ndarray of shape (p, p, m, m)
        Cross-covariances of standardised variables.
    rows : list of Row
        The equations with all parents, with their errors.
    required : ndarray of bool, shape (p, p)
        ``required[i, j]``: the effect of j on i stays.
    method : {"wald", "bic", "bic_view", "alasso"} or float
        "wald": joint test over views of each edge, Holm's correction over all edges. "bic":
        backward elimination of parents in all views at once. "bic_view": of single coefficients.
        "alasso": adaptive lasso in each view. A float: least absolute standardised strength.
    alpha : float
        Level of the test.
    rounds, shrinkages, n_samples
        As in `fit_strengths`.

    Returns
    -------
    kept : ndarray of bool, shape (m, p, p)
    """
    p, m = blocks.shape[1:3]
    kept = np.zeros((m, p, p), bool)
    for j, row in enumerate(rows):
        kept[:, j, row.parents] = row.kept.T
    if method == "wald":
        return kept & (required | _holm(rows, n_samples, alpha, p))
    if not isinstance(method, str):
        large = np.zeros(kept.shape, bool)
        for j, row in enumerate(rows):
            large[:, j, row.parents] = np.abs(row.strengths.T) >= method
        return kept & (required | large)

    def fit(j, mask, errors=False):
        return fit_row(
            blocks,
            j,
            mask,
            rounds=rounds,
            shrinkage=shrinkages[j],
            n_samples=n_samples,
            errors=errors,
        )

    eliminate = {"bic": _bic, "bic_view": _bic_view, "alasso": _adaptive_lasso}[method]
    for j, row in enumerate(rows):
        kept[:, j] = eliminate(blocks, j, row, kept[:, j], required[j], fit, n_samples)
    return kept


def _holm(rows, n_samples, alpha, p):
    """Edges [i, j] whose joint test is rejected at level alpha over all edges."""
    pvalues = np.ones((p, p))
    for i, row in enumerate(rows):
        pvalues[i, row.parents] = row.pvalues(n_samples)
    edges = [(i, j) for i, row in enumerate(rows) for j in row.parents]
    edges.sort(key=lambda edge: pvalues[edge])
    significant = np.zeros((p, p), bool)
    for rank, edge in enumerate(edges):
        if pvalues[edge] > alpha / (len(edges) - rank):
            break
        significant[edge] = True
    return significant


def _bic(blocks, j, row, mask, required, fit, n_samples):
    """Drop the least significant parent in all views while ``n log det + (size) log n`` falls."""
    while True:
        statistics, _ = row.wald(n_samples)
        free = ~required[row.parents]
        if not free.any():
            return mask
        weakest = row.parents[free][np.argmin(statistics[free])]
        smaller = mask.copy()
        smaller[:, weakest] = False
        saved = (mask.sum() - smaller.sum()) * np.log(n_samples)
        reduced = fit(j, smaller, errors=True)
        if n_samples * (reduced.log_det - row.log_det) > saved:
            return mask
        mask, row = smaller, reduced


def _bic_view(blocks, j, row, mask, required, fit, n_samples):
    """Drop coefficients whose squared Wald statistic is below log n, a quarter at a time."""
    while True:
        errors = row.standard_errors(n_samples)
        squares = np.where(row.kept, (row.strengths / np.where(row.kept, errors, 1.0)) ** 2, np.inf)
        squares[required[row.parents]] = np.inf
        weak = np.argwhere(squares < np.log(n_samples))
        if not len(weak):
            return mask
        weak = weak[np.argsort(squares[tuple(weak.T)])][: -(-len(weak) // 4)]
        mask = mask.copy()
        mask[weak[:, 1], row.parents[weak[:, 0]]] = False
        row = fit(j, mask, errors=True)


def _adaptive_lasso(blocks, j, row, mask, required, fit, n_samples):
    """Lasso with weights from least squares in each view; the penalty by BIC."""
    mask = mask.copy()
    for v in range(len(mask)):
        parents = np.flatnonzero(mask[v])
        if not len(parents):
            continue
        G, h = blocks[np.ix_(parents, parents)][:, :, v, v], blocks[parents, j, v, v]
        weight = np.abs(np.linalg.lstsq(G, h, rcond=None)[0])
        _, _, path = lars_path_gram(
            weight * h, weight[:, None] * G * weight, n_samples=n_samples, method="lasso"
        )
        path = weight[:, None] * path
        residual = 1 - 2 * h @ path + np.einsum("ak,ab,bk->k", path, G, path)
        size = (path != 0).sum(axis=0)
        bic = n_samples * np.log(np.maximum(residual, 1e-12)) + size * np.log(n_samples)
        mask[v, parents] = (path[:, np.argmin(bic)] != 0) | required[parents]
    return mask
