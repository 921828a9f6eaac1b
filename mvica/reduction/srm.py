"""Shared response model, deterministic and probabilistic, from second moments only.

In coordinates c_v of view v (its principal components, in a unit of its own) the model is
``c_v = a_v B_v s + noise`` with orthonormal columns in B_v. Any linear estimate of the sources is
``S = sum_v T_v^T c_v``; with M the second moment of the stacked coordinates, ``M T`` holds all
covariances of the views with S, and every quantity of the iterations is a product with it.
"""

import warnings
from dataclasses import dataclass

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from mvica.reduction.stacking import by_view, coordinates_moment, scaled_moment, times
from mvica.reduction.subspace import leading_subspace

NOISE_FLOOR = np.finfo(np.float64).eps  # relative to the variance of the view: exact fits


@dataclass(frozen=True)
class SharedResponse:
    """Outcome of a shared response model.

    Attributes
    ----------
    bases : list of ndarray of shape (k_v, n_components)
        Orthonormal columns, in principal coordinates; by decreasing variance of the sources.
    scales : ndarray of shape (n_views,)
        Gains: view v is ``scales[v] * bases[v] @ s`` plus noise, in its own unit.
    noise_variances : ndarray of shape (n_views,)
        Noise variance of one feature, in the squared unit of the view.
    source_variances : ndarray of shape (n_components,)
    history : ndarray of shape (n_iter,)
        Negative log-likelihood of a sample (probabilistic) or share of the scaled variance that
        is not explained (deterministic), at the sources of each round.
    n_iter : int
    converged : bool
    """

    bases: list
    scales: np.ndarray
    noise_variances: np.ndarray
    source_variances: np.ndarray
    history: np.ndarray
    n_iter: int
    converged: bool


@dataclass
class _State:
    """Parameters in scaled coordinates; `B` is stacked (N, p)."""

    B: np.ndarray
    gains: np.ndarray
    noise: np.ndarray
    variances: np.ndarray


class _Moments:
    """Second moments of scaled coordinates: unit per view, dimensions, products by view."""

    def __init__(self, views, pcas, n_vectors, *, scale_views):
        self.pcas = pcas
        self.widths = np.array([X.shape[1] for X in views])
        self.sizes = [pca.n_directions for pca in pcas]
        totals = np.array([pca.total_variance for pca in pcas])
        self.units = np.sqrt(totals if scale_views else np.full(len(totals), totals.mean()))
        self.powers = totals / self.units**2
        pairs = zip(pcas, self.units, strict=True)
        spreads = np.concatenate([np.sqrt(p.variances) / u for p, u in pairs])[:, None]
        self.moment = scaled_moment(coordinates_moment(views, pcas, n_vectors), spreads)

    def times(self, T):
        """Covariances (N, p) of the stacked coordinates with ``T.T @ stacked``."""
        return times(self.moment, T)

    def per_row(self, values):
        """Repeat one value a view on all its rows, as a column."""
        return np.repeat(values, self.sizes)[:, None]

    def polar(self, G):
        """Polar factors of the blocks of G, stacked, and the sums of their singular values."""
        factors, sums = [], []
        for block in by_view(G, self.pcas):
            left, singular, right = np.linalg.svd(block, full_matrices=False)
            factors.append(left @ right)
            sums.append(singular.sum())
        return np.vstack(factors), np.array(sums)


def shared_response(
    views,
    pcas,
    n_components,
    *,
    algorithm="probabilistic",
    scale_views=True,
    random_state=None,
    tol=1e-3,
    max_iter=1000,
):
    """Fit a shared response model to views given by their principal components.

    Parameters
    ----------
    views : list of ndarray of shape (n_samples, n_features_v)
        The views.
    pcas : list of PrincipalComponents
        Their principal components, to the numerical rank.
    n_components : int
        Number of shared sources.
    algorithm : {"probabilistic", "deterministic"}, default="probabilistic"
        EM on the Gaussian model, or alternating orthogonal Procrustes.
    scale_views : bool, default=True
        Give each view a gain of its own, so that its unit does not matter. False is the classical
        model, where all views have the same unit and all gains are 1.
    random_state : int, RandomState or None, default=None
        Draws the start of the group PCA that starts the iterations.
    tol : float, default=1e-3
        Stop when the sources change by less than this, relatively.
    max_iter : int, default=1000
        Largest number of rounds.

    Returns
    -------
    response : SharedResponse
    """
    moments = _Moments(views, pcas, 2 * n_components, scale_views=scale_views)
    step = _em_step if algorithm == "probabilistic" else _procrustes_step
    free_gains = scale_views and algorithm == "probabilistic"
    state = _start(moments, n_components, random_state)
    T_old = G_old = None
    history, change = [], np.inf
    while len(history) < max_iter and change >= tol:
        state, T, G, objective = step(moments, state, free_gains)
        history.append(objective)
        if T_old is not None:
            change = np.sqrt(max(np.sum((T - T_old) * (G - G_old)), 0.0) / np.sum(T * G))
        T_old, G_old = T, G
    if change >= tol:
        warnings.warn(
            f"the shared response still changes by {change:.1e} (tol={tol:.1e}) after "
            f"{max_iter} rounds: raise max_iter or tol",
            ConvergenceWarning,
            stacklevel=2,
        )
    if algorithm == "deterministic":
        state = _principal_axes(moments, state)
    return _in_units(moments, state, history, change < tol, scale_views)


def _start(moments, p, random_state):
    """Bases from the group PCA, then the noise and source variances of their mean source."""
    size = sum(moments.sizes)
    found = leading_subspace(
        moments.moment, size, p, random_state=random_state, tol=1e-8, max_iter=50
    )
    B, _ = moments.polar(found.vectors * np.sqrt(found.values))
    m = len(moments.sizes)
    T = B / m
    G = moments.times(T)
    power = np.sum(T * G)
    fits = np.array([np.sum(block) for block in by_view(B * G, moments.pcas)])
    noise = _floored(moments, moments.powers - 2 * fits + power)
    return _State(B, np.ones(m), noise, np.sum(T * G, axis=0))


def _floored(moments, residuals):
    """Noise variance of one feature from the residual variance of a view."""
    return np.maximum(residuals, NOISE_FLOOR * moments.powers) / moments.widths


def _em_step(moments, state, free_gains):
    """One round of EM; returns the new state, T, its covariances, and the objective before."""
    a, rho = state.gains, state.noise
    V = 1 / (np.sum(a**2 / rho) + 1 / state.variances)
    T = moments.per_row(a / rho) * state.B * V
    G = moments.times(T)
    power = np.sum(T * G, axis=0)
    objective = _negative_log_likelihood(moments, state, V, power)
    B, sums = moments.polar(G)
    second = np.sum(power + V)
    if free_gains:
        a = sums / second
    residuals = moments.powers - 2 * a * sums + a**2 * second
    return _State(B, a, _floored(moments, residuals), power + V), T, G, objective


def _negative_log_likelihood(moments, state, V, power):
    """Mean over samples, in the units of the data."""
    widths, rho = moments.widths, state.noise
    log_det = np.sum(widths * np.log(rho * moments.units**2)) + np.sum(np.log(state.variances / V))
    quadratic = np.sum(moments.powers / rho) - np.sum(power / V)
    return 0.5 * float(log_det + quadratic + np.sum(widths) * np.log(2 * np.pi))


def _procrustes_step(moments, state, free_gains):
    """One round of alternating least squares; gains stay 1."""
    m = len(moments.sizes)
    T = state.B / m
    G = moments.times(T)
    power = np.sum(T * G, axis=0)
    B, sums = moments.polar(G)
    residuals = moments.powers - 2 * sums + power.sum()
    objective = float(np.sum(residuals) / np.sum(moments.powers))
    return _State(B, state.gains, _floored(moments, residuals), power), T, G, objective


def _principal_axes(moments, state):
    """Rotate the sources, which the deterministic model leaves free, to be uncorrelated."""
    T = state.B / len(moments.sizes)
    variances, rotation = np.linalg.eigh(T.T @ moments.times(T))
    rotation = rotation[:, ::-1]
    return _State(state.B @ rotation, state.gains, state.noise, variances[::-1])


def _in_units(moments, state, history, converged, scale_views):
    """Leave the scaled coordinates: sources of mean variance 1, or in the common unit."""
    order = np.argsort(-state.variances, kind="stable")
    unit = np.sqrt(state.variances.mean()) if scale_views else 1 / moments.units[0]
    return SharedResponse(
        bases=by_view(state.B[:, order], moments.pcas),
        scales=state.gains * moments.units * unit,
        noise_variances=state.noise * moments.units**2,
        source_variances=state.variances[order] / unit**2,
        history=np.array(history),
        n_iter=len(history),
        converged=bool(converged),
    )
