"""Exact likelihood of independent shared sources with Gaussian noise of every view and component.

Views are ``x_v = A_v (s + n_v)``. Given unmixings W and noise variances nu, all that the samples
say about a source is its precision-weighted mean over views ``ybar`` with noise variance ``nubar``,
so that the likelihood is closed form for every Gaussian mixture density of the sources.
"""

from dataclasses import dataclass

import numpy as np

from mvica.ica.mixture import SourceDensities
from mvica.ica.stacked import StackedViews, by_view, side_by_side

LOWEST_NOISE, LARGEST_NOISE = 1e-3, 1e3  # variances, relative to unit sources
EXACT = 1e-12  # variance below which a view counts as free of noise
SCALE_ROUNDS, SCALE_STEP = 3, 1e-2
LOG_BOUNDS = np.log(LOWEST_NOISE), np.log(LARGEST_NOISE)


@dataclass(frozen=True)
class Weighting:
    """How views are averaged, from their noise variances.

    Attributes
    ----------
    precisions : ndarray of shape (m, p)
        ``r = 1 / nu``.
    nubar : ndarray of shape (p,)
        Noise variance of the weighted means.
    omega : ndarray of shape (m, p)
        Weights; they sum to one over views.
    """

    precisions: np.ndarray
    nubar: np.ndarray
    omega: np.ndarray

    @classmethod
    def of(cls, nu):
        """Weights of views with noise variances `nu` (m, p)."""
        precisions = 1 / np.maximum(nu, EXACT)
        nubar = 1 / precisions.sum(axis=0)
        return cls(precisions, nubar, nubar * precisions)

    @property
    def log_terms(self):
        """``1/2 sum log nu - 1/2 sum log nubar``: 0 for one view, whatever its noise."""
        return -0.5 * np.log(self.precisions[1:]).sum() - 0.5 * np.log(self.omega[0]).sum()


@dataclass(frozen=True)
class NoisyPoint:
    """Unknowns, value, and the statistics that gradient and curvature need.

    Attributes
    ----------
    W, log_nu : ndarray of shape (m, p, p) and (m, p)
        Unknowns.
    value : float
        Negative log-likelihood per sample, up to ``(m - 1) p log(2 pi) / 2``.
    weighting : Weighting
    K : ndarray of shape (m, p, p)
        Covariances of the view sources.
    sums : ndarray of shape (p, 5)
        See `mvica.ica.mixture.SourceDensities.posterior`.
    B : ndarray of shape (m, p, p)
        ``E[shat y_v^T]``; None before `NoisyObjective.with_gradient`.
    gradient, noise_gradient : ndarray of shape (m, p, p) and (m, p)
        Along ``W_v -> (I + eps) W_v`` and along log nu.
    """

    W: np.ndarray
    log_nu: np.ndarray
    value: float
    weighting: Weighting
    K: np.ndarray
    sums: np.ndarray
    B: np.ndarray | None = None
    gradient: np.ndarray | None = None
    noise_gradient: np.ndarray | None = None


class NoisyObjective:
    """Negative log-likelihood as a function of unmixings and log noise variances.

    ``- sum_v log|det W_v| + 1/2 sum log nu - 1/2 sum log nubar + 1/2 sum_v E|y_v - ybar|^2 / nu_v +
    sum_j E f(ybar_j; nubar_j)``, with f minus the log of the source density smoothed by nubar.

    Parameters
    ----------
    views : StackedViews
        The data, float64.
    densities : SourceDensities
        Of the p sources.
    """

    def __init__(self, views, densities):
        self.views, self.densities = views, densities
        self.m, self.p = views.n_views, views.n_components
        self.sources = source_statistics(views, densities)

    def evaluate(self, W, log_nu):
        """Point without gradient: one product over samples and one pass over the sources."""
        weighting = Weighting.of(np.exp(log_nu))
        K = W @ self.views.covariances @ W.mT
        sums = self.sources.evaluate(side_by_side(weighting.omega[:, :, None] * W), weighting.nubar)
        power = np.vdot(np.einsum("vaa->va", K), weighting.precisions)
        quadratic = 0.5 * (power - (sums[:, 4] / weighting.nubar).sum())
        log_determinants = np.linalg.slogdet(W)[1].sum()
        value = sums[:, 0].sum() + quadratic + weighting.log_terms - log_determinants
        return NoisyPoint(W, log_nu, float(value), weighting, K, sums)

    def with_gradient(self, point):
        """Complete the point that was evaluated last: one more product over samples."""
        W, r = point.W, point.weighting.precisions
        B = (W @ by_view(self.sources.correlate(), self.m)).mT
        gradient = np.ascontiguousarray(r[:, :, None] * (point.K - B))
        gradient[:, range(self.p), range(self.p)] -= 1.0
        residual = np.einsum("vaa->va", point.K - 2 * B) + point.sums[:, 1] + point.sums[:, 2]
        noise_gradient = 0.5 - 0.5 * r * residual
        return NoisyPoint(
            W, point.log_nu, point.value, point.weighting, point.K, point.sums,
            B, gradient, noise_gradient,
        )  # fmt: skip

    def point(self, W, log_nu):
        """Point with gradient."""
        return self.with_gradient(self.evaluate(W, log_nu))

    def rescale(self, W, log_nu):
        """Scale every source and its noises together to where the objective is least.

        Newton's method on differences: the scales do not interact, and a round needs three passes
        over the sources but no product. A density with heavy tails is nearly flat along them, where
        the Newton steps of many views are unsafe.
        """
        weighting = Weighting.of(np.exp(log_nu))
        ybar = self.views.mix(side_by_side(weighting.omega[:, :, None] * W))

        def values(log_scale):
            scale = np.exp(log_scale)
            noise = weighting.nubar * scale**2
            return self.densities.posterior(scale[:, None] * ybar, noise)[1][:, 0] - log_scale

        log_scale = np.zeros(self.p)
        for _ in range(SCALE_ROUNDS):
            low, here, high = (values(log_scale + h) for h in (-SCALE_STEP, 0, SCALE_STEP))
            slope = (high - low) / (2 * SCALE_STEP)
            curvature = (high - 2 * here + low) / SCALE_STEP**2
            log_scale -= np.clip(slope / np.maximum(curvature, 0.25), -0.7, 0.7)
        return W * np.exp(log_scale)[:, None], log_nu + 2 * log_scale

    def weighted_means(self, point):
        """Precision-weighted means of the view sources, (p, n)."""
        omega = point.weighting.omega
        return self.views.mix(side_by_side(omega[:, :, None] * point.W))


def source_statistics(views, densities):
    """Statistics of the shared sources: from the second moment alone where that is enough."""
    if densities.gaussian and views.moment is not None:
        return GaussianSources(views.moment)
    return MixtureSources(views, densities)


class MixtureSources:
    """Posterior statistics of sources with mixture densities, from the samples."""

    def __init__(self, views: StackedViews, densities: SourceDensities):
        self.views, self.densities = views, densities
        self._means = np.empty((views.n_components, views.n_samples))

    def evaluate(self, B, nubar):
        """Return the sums (p, 5) of `SourceDensities.posterior` at the weighted means ``B Z``."""
        ybar = self.views.mix(B, out=self._means)
        return self.densities.posterior(ybar, nubar, out=ybar)[1]

    def correlate(self):
        """``E[z shat^T]`` of shape (m p, p) at the sources evaluated last."""
        return self.views.correlate(self._means)


class GaussianSources:
    """The same for normal sources, from the second moment: no sample is read."""

    def __init__(self, moment):
        self.moment = moment

    def evaluate(self, B, nubar):
        """Return the sums (p, 5) at the weighted means ``B Z``."""
        self._products = self.moment @ B.T
        power = np.einsum("ac,ca->a", B, self._products)
        self._shrink = 1 / (1 + nubar)
        variance = nubar * self._shrink
        log_density = 0.5 * (np.log(2 * np.pi / self._shrink) + power * self._shrink)
        squares = power * self._shrink**2
        return np.stack([log_density, variance, squares, variance * power, power], axis=1)

    def correlate(self):
        """``E[z shat^T]`` at the sources evaluated last."""
        return self._products * self._shrink


def mean_log_likelihood(Y, U, nu, densities):
    """Mean log-likelihood per sample of view sources.

    Parameters
    ----------
    Y : list of ndarray of shape (n_samples, p)
        View sources.
    U : list of ndarray of shape (p, n_features_v)
        Unmixings that gave them. For p < n_features_v the likelihood is that of the data projected
        orthogonally on the rows of U.
    nu : ndarray of shape (m, p)
        Noise variances.
    densities : SourceDensities

    Returns
    -------
    score : float
    """
    weighting = Weighting.of(nu)
    ybar = weighted_mean(Y, weighting)
    value = densities.posterior(ybar, weighting.nubar)[1][:, 0].sum() + weighting.log_terms
    for Y_v, U_v, r in zip(Y, U, weighting.precisions, strict=True):
        value += np.mean((Y_v.T - ybar) ** 2, axis=1) @ r / 2
        value -= np.linalg.slogdet(U_v @ U_v.T)[1] / 2
    return -float(value + (len(Y) - 1) * len(ybar) / 2 * np.log(2 * np.pi))


def weighted_mean(Y, weighting):
    """Precision-weighted mean (p, n), float64 and contiguous, of view sources (n, p)."""
    total = np.zeros(Y[0].shape[::-1])
    for Y_v, omega in zip(Y, weighting.omega, strict=True):
        total += omega[:, None] * Y_v.T
    return total
