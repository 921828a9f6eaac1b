"""Maximum likelihood for normal sources, from covariances alone: no cost grows with the samples."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from mvica.ica.mixture import source_densities
from mvica.ica.noisy_joint import solve_joint
from mvica.ica.noisy_objective import NoisyObjective

FACTOR_TOL = 1e-7  # largest gradient entry of a one-factor fit


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
    fits = [
        fit_gaussian(G, np.ones((m, 1, 1)), column[:, None], tol=FACTOR_TOL, **options)
        for G, column in zip(Gamma, nu.T, strict=True)
    ]
    scales = np.stack([point.W[:, 0, 0] for point, _ in fits], axis=1)
    nu = np.stack([np.exp(point.log_nu[:, 0]) for point, _ in fits], axis=1)
    return scales, nu, all(result.converged for _, result in fits)
