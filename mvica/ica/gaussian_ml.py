"""Maximum likelihood for normal sources, from covariances alone: no cost grows with the samples."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from mvica.ica.mixture import source_densities
from mvica.ica.noisy_joint import LARGEST_STEP, solve_joint
from mvica.ica.noisy_objective import LOG_BOUNDS, NoisyObjective, Weighting

FACTOR_TOL = 1e-7  # largest gradient entry of a one-factor fit
SCORING_ROUNDS = 30
ROUNDING = 1e-13  # increase of a component's objective that is none


@dataclass(frozen=True)
class CovarianceViews:
    """Views known by their second moment only; stands in for `mvica.ica.stacked.StackedViews`.

    Attributes
    ----------
    moment : ndarray of shape (m * p, m * p)
        Second moment of all views, one after the other.
    n_views : int
    """

    moment: np.ndarray
    n_views: int

    @property
    def n_components(self):
        """Signals of a view."""
        return len(self.moment) // self.n_views

    @cached_property
    def covariances(self):
        """Covariance of each view, (m, p, p)."""
        m, p = self.n_views, self.n_components
        return np.ascontiguousarray(np.einsum("vavb->vab", self.moment.reshape(m, p, m, p)))


def fit_gaussian(moment, W, nu, **options):
    """Fit unmixings and noise variances to a second moment, the sources being normal.

    Parameters
    ----------
    moment : ndarray of shape (m * p, m * p)
        Second moment of the views.
    W : ndarray of shape (m, p, p)
        Unmixings to start from.
    nu : ndarray of shape (m, p)
        Noise variances to start from.
    **options
        Of `mvica.ica.noisy_joint.solve_joint`.

    Returns
    -------
    point : mvica.ica.noisy_objective.NoisyPoint
    result : mvica.optim.result.Result
    """
    views = CovarianceViews(moment, len(W))
    objective = NoisyObjective(views, source_densities("gaussian", W.shape[1]))
    return solve_joint(objective, W, np.log(nu), **options)


def fit_factors(Gamma, nu, **options):
    """Scales and noises of every component at the maximum of its own likelihood.

    Parameters
    ----------
    Gamma : ndarray of shape (p, m, m)
        Covariances between the views of each component's sources, at a scale close to the right
        one.
    nu : ndarray of shape (m, p)
        Noise variances to start from.
    **options
        Of `mvica.ica.noisy_joint.solve_joint`.

    Returns
    -------
    scales, nu : ndarray of shape (m, p)
    converged : bool
        Whether the gradients of all components are small.
    """
    m = len(nu)
    scales, log_nu, done = _score_together(Gamma, np.log(nu))
    for a in np.flatnonzero(~done):  # the few that need damped steps
        G = scales[:, a, None] * Gamma[a] * scales[:, a]
        point, result = fit_gaussian(
            G, np.ones((m, 1, 1)), np.exp(log_nu[:, [a]]), tol=FACTOR_TOL, **options
        )
        scales[:, a] *= point.W[:, 0, 0]
        log_nu[:, a], done[a] = point.log_nu[:, 0], result.converged
    return scales, np.exp(log_nu), done.all()


def _score_together(Gamma, log_nu):
    """Fisher scoring of all components at once, without a line search.

    Returns the scales, the log noises and which components are done; the others are left at their
    best.
    """
    p, m, _ = Gamma.shape
    scales, log_nu = np.ones((m, p)), np.clip(log_nu, *LOG_BOUNDS)
    best = scales, log_nu, np.full(p, np.inf)
    done, active = np.zeros(p, dtype=bool), np.ones(p, dtype=bool)
    for _ in range(SCORING_ROUNDS):
        value, norm, step, delta = _scoring_step(Gamma, scales, log_nu)
        active &= value < best[2] + ROUNDING
        best = tuple(
            np.where(active, *pair) for pair in zip((scales, log_nu, value), best, strict=True)
        )
        done |= active & (norm < FACTOR_TOL)
        active &= ~done
        if not active.any():
            break
        scales = np.where(active, scales * (1 + step), scales)
        log_nu = np.where(active, np.clip(log_nu + delta, *LOG_BOUNDS), log_nu)
    return best[0], best[1], done


def _scoring_step(Gamma, scales, log_nu):
    """Objective and largest gradient entry of every component, and the step of each."""
    from mvica.kernels.noisy_numba import scale_and_noise_steps

    m, p = scales.shape
    weighting = Weighting.of(np.exp(log_nu))
    r, nubar = weighting.precisions, weighting.nubar
    mean = scales * np.einsum("avw,wa->va", Gamma, weighting.omega * scales)  # E[ybar y_v]
    powers = scales**2 * np.einsum("avv->va", Gamma)
    power, shrink = np.sum(weighting.omega * mean, axis=0), 1 / (1 + nubar)
    V, shared = nubar * shrink, shrink * mean
    value = 0.5 * np.sum(log_nu + powers * r, axis=0) - np.sum(np.log(np.abs(scales)), axis=0)
    value += 0.5 * (power * (shrink - 1 / nubar) - np.log(nubar * shrink))
    gradient = r * (powers - shared) - 1
    noise_gradient = 0.5 - 0.5 * r * (powers - 2 * shared + V + shrink**2 * power)
    low, high = LOG_BOUNDS
    held = ((log_nu <= low) & (noise_gradient > 0)) | ((log_nu >= high) & (noise_gradient < 0))
    noise_gradient[held] = 0.0
    norm = np.abs([gradient, noise_gradient]).max(axis=(0, 1))
    G, move, delta = np.zeros((m, p, p)), np.zeros((m, p, p)), np.zeros((m, p))
    np.einsum("vaa->va", G)[:] = -gradient
    curvature, free = np.maximum(V * (power - nubar), 0.0), np.ones(m, dtype=bool)
    scale_and_noise_steps(
        G, -noise_gradient, powers, r, V, curvature, nubar, free, held, move, delta
    )
    factor = LARGEST_STEP / np.maximum(np.abs(delta).max(axis=0), LARGEST_STEP)
    return value, norm, factor * np.einsum("vaa->va", move), factor * delta
