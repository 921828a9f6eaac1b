"""What a fitted ICA reports: unit scale, order, sign, and how much each view agrees."""

from dataclasses import dataclass

import numpy as np

from mvica.ica.initialization import unit_variance
from mvica.ica.stacked import by_view, side_by_side


@dataclass(frozen=True)
class Summary:
    """Unmixings in the reported scale, order and sign, and statistics of the sources.

    Attributes
    ----------
    W : ndarray of shape (m, p, p)
        Unmixings of the reduced views; the shared sources have unit variance.
    sources : ndarray of shape (n_samples, p)
        Shared sources: the mean of the views' sources.
    scale : ndarray of shape (p,)
        Standard deviation that the shared sources had in the solver.
    order : ndarray of shape (p,)
        Component of the solver behind each reported one.
    noise_variances : ndarray of shape (m, p)
        Mean squared difference of a view's source and the shared source, unbiased for equal noise.
    agreement : ndarray of shape (m, p)
        Correlation of a view's source with the mean of the other views'; NaN for one view.
    explained : ndarray of shape (m, p)
        Share of each view's variance that its shared source explains.
    """

    W: np.ndarray
    sources: np.ndarray
    scale: np.ndarray
    order: np.ndarray
    noise_variances: np.ndarray
    agreement: np.ndarray
    explained: np.ndarray


def summarize(views, W, reduction):
    """Bring a solution to its reported form: one rule for scale, order and sign.

    Shared sources have unit variance and a positive third moment, and come in the order of the mean
    share of the views' variance that they explain.

    Parameters
    ----------
    views : StackedViews
        The reduced data.
    W : ndarray of shape (m, p, p)
        Unmixings that a solver found.
    reduction : Reduction
        How the views were reduced.

    Returns
    -------
    summary : Summary
    """
    m = views.n_views
    W, scale = unit_variance(views, W)
    cross = by_view(views.correlate_mixture(side_by_side(W) / m), m)
    explained = explained_variance(cross, reduction)
    order = np.argsort(-explained.mean(axis=0), kind="stable")
    W, cross = W[:, order], cross[:, :, order]
    S = views.mix(side_by_side(W) / m)
    sign = np.where(np.einsum("an,an,an->a", S, S, S, dtype=np.float64) < 0, -1.0, 1.0)
    W = W * sign[:, None]
    S *= sign[:, None].astype(S.dtype)
    k = views.powers(W)
    q = np.einsum("vac,vca->va", W, cross * sign)
    return Summary(
        W=W,
        sources=np.ascontiguousarray(S.T),
        scale=scale[order],
        order=order,
        noise_variances=np.maximum(k - 2 * q + 1, 0) * m / max(m - 1, 1),
        agreement=correlation_with_others(k, q),
        explained=explained[:, order],
    )


def explained_variance(cross, reduction):
    """Share of the views' variance along ``Cov(X_v, s_a)``, from ``E[z_v s_a]``."""
    shares = [
        ((pattern @ C) ** 2).sum(axis=0) / variance
        for pattern, C, variance in zip(reduction.patterns, cross, reduction.variances, strict=True)
    ]
    return np.array(shares)


def correlation_with_others(k, q):
    """Correlation with the mean of the other views, from ``E[y_v^2]`` and ``E[ybar y_v]``."""
    m = len(k)
    if m == 1:
        return np.full_like(k, np.nan)
    covariance = (m * q - k) / (m - 1)
    others = (m**2 - 2 * m * q + k) / (m - 1) ** 2
    return covariance / np.sqrt(k * others)
