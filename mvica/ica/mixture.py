"""Source densities that stay exact under noise: mixtures of Gaussians."""

from dataclasses import dataclass

import numpy as np

from mvica.ica.densities import Density

NAMES = ("heavy", "paper", "gaussian", "sub", "adaptive")
MATCH_ROUNDS = 100  # of the weights of adaptive densities, at given sources
MATCH_TOL = 1e-4  # change of a weight
SMALLEST_WEIGHT = 1e-6
ROUNDING = 1e-14
PRIOR_SAMPLES = 50  # that the first weights of an adaptive density count for
INVERSION_ROUNDS = 60


@dataclass(frozen=True, eq=False)
class Mixture:
    """A mixture of Gaussians as source density, for ``ShICAML(density=...)``.

    Parameters
    ----------
    weights : array-like of shape (K,)
        Positive weights of any sum.
    variances : array-like of shape (K,)
        Positive variances.
    means : array-like of shape (K,), default=None
        Means; None makes all of them zero. Such scale mixtures have heavy tails. Separate means
        make a sub-Gaussian density.

    Attributes
    ----------
    weights, variances, means : ndarray of shape (K,)
        Scaled and shifted so that the density has mean 0 and variance 1.

    Raises
    ------
    ValueError
        If shapes differ, or weights or variances are not positive and finite.

    Examples
    --------
    >>> from mvica.ica import Mixture
    >>> two_peaks = Mixture([1, 1], [0.25, 0.25], means=[-1, 1])
    >>> two_peaks.weights, two_peaks.variances
    (array([0.5, 0.5]), array([0.2, 0.2]))
    """

    weights: np.ndarray
    variances: np.ndarray
    means: np.ndarray | None = None

    def __post_init__(self):
        weights, variances = (
            np.atleast_1d(np.asarray(x, dtype=np.float64)) for x in (self.weights, self.variances)
        )
        means = np.zeros_like(weights) if self.means is None else np.atleast_1d(self.means)
        if not weights.shape == variances.shape == np.shape(means) or weights.ndim != 1:
            raise ValueError(
                f"weights, variances and means have shapes {weights.shape}, {variances.shape} and "
                f"{np.shape(means)}; expected one value of each for every Gaussian."
            )
        if not np.all(np.isfinite([weights, variances, means])):
            raise ValueError("weights, variances and means must be finite.")
        if np.any(weights <= 0) or np.any(variances <= 0):
            raise ValueError("weights and variances must be positive.")
        weights = weights / _unless_one(weights.sum())
        shift = weights @ means
        means = means - (shift if abs(shift) > ROUNDING * np.abs(means).max() else 0.0)
        power = _unless_one(weights @ (variances + means**2))
        for name, value in (
            ("weights", weights),
            ("variances", variances / power),
            ("means", means / np.sqrt(power)),
        ):
            object.__setattr__(self, name, value)


def _unless_one(total):
    """1 for a total that is 1 to rounding: what has been scaled stays the same to the last bit."""
    return 1.0 if abs(total - 1.0) < ROUNDING else total


HEAVY = Mixture([0.25, 0.35, 0.3, 0.1], [0.1, 0.5, 1.5, 4.0])
PAPER = Mixture([0.5, 0.5], [0.5, 1.5])
GAUSSIAN = Mixture([1.0], [1.0])
SUB = Mixture([0.5, 0.5], [0.25, 0.25], [-np.sqrt(0.75), np.sqrt(0.75)])
# Atoms whose weights "adaptive" learns: scales, and a pair of means for sub-Gaussian sources.
ATOMS = Mixture(
    [0.2, 0.3, 0.3, 0.1, 0.05, 0.05], [0.1, 0.5, 1.5, 5.0, 0.2, 0.2], [0, 0, 0, 0, -1.2, 1.2]
)
MIRROR = np.array([0, 1, 2, 3, 5, 4])  # atom with the opposite mean
MIXTURES = {"heavy": HEAVY, "paper": PAPER, "gaussian": GAUSSIAN, "sub": SUB, "adaptive": ATOMS}


@dataclass(frozen=True)
class SourceDensities:
    """Mixture of every component: `weights`, `variances` and `means` of shape (p, K)."""

    weights: np.ndarray
    variances: np.ndarray
    means: np.ndarray

    @property
    def gaussian(self):
        """Whether all sources are normal: covariances then say everything."""
        return self.weights.shape[1] == 1

    def posterior(self, Y, u, out=None):
        """Posterior means of sources seen through noise, and sums over samples.

        Parameters
        ----------
        Y : ndarray of shape (p, n), float64, C-contiguous
            Source plus noise.
        u : ndarray of shape (p,)
            Noise variances; 0 is allowed.
        out : ndarray of shape (p, n), default=None
            Filled with the posterior means. May be `Y`.

        Returns
        -------
        means : ndarray of shape (p, n)
        sums : ndarray of shape (p, 5)
            Means over samples of the minus log density of y, the posterior variance, the squared
            posterior mean, the posterior variance times y^2, and y^2.
        """
        from mvica.kernels.mixture_numba import posterior_pass

        out = np.empty_like(Y) if out is None else out
        sums = np.empty((len(Y), 5))
        posterior_pass(Y, self.weights, self.variances, self.means, u, out, sums)
        return out, sums

    def reported(self, order, factor):
        """Densities of reordered components, then multiplied by `factor` (p, 1)."""
        return SourceDensities(
            self.weights[order], factor**2 * self.variances[order], factor * self.means[order]
        )

    def as_density(self):
        """Minus log density and its derivatives as functions, for an ICA without noise."""
        constants = np.log(self.weights) - 0.5 * np.log(2 * np.pi * self.variances)

        def parts(y):
            away = y[..., None] - self.means[:, None]
            pull = away / self.variances[:, None]
            exponents = constants[:, None] - 0.5 * away * pull
            top = exponents.max(axis=-1, keepdims=True)
            weights = np.exp(exponents - top)
            total = weights.sum(axis=-1, keepdims=True)
            return weights / total, pull, top[..., 0] + np.log(total[..., 0])

        def score(y):
            weights, pull, _ = parts(y)
            return np.sum(weights * pull, axis=-1)

        def derivative(y):
            weights, pull, _ = parts(y)
            first = np.sum(weights * pull, axis=-1)
            bend = 1 / self.variances[:, None] - pull**2
            return np.sum(weights * bend, axis=-1) + first**2

        return Density(lambda y: -parts(y)[2], score, derivative)


def source_densities(density, p):
    """One copy of a density, a name or a `Mixture`, for each of p components."""
    mixture = MIXTURES[density] if isinstance(density, str) else density
    return SourceDensities(
        *(np.tile(x, (p, 1)) for x in (mixture.weights, mixture.variances, mixture.means))
    )


def adapt_weights(densities, Y, u):
    """Most likely weights of the mixtures for given sources, unit variance kept.

    EM under the constraints that weights sum to one and the variance is one: each round increases
    the likelihood. The weights of `ATOMS`, with the heavy tails that serve few samples best, count
    for `PRIOR_SAMPLES` samples; a source whose likelihood would fall for that keeps its weights.

    Parameters
    ----------
    densities : SourceDensities
        Mixtures of `ATOMS`, where to start.
    Y : ndarray of shape (p, n), float64, C-contiguous
        Source plus noise.
    u : ndarray of shape (p,)
        Noise variances.

    Returns
    -------
    densities : SourceDensities
    """
    from mvica.kernels.mixture_numba import fit_weights

    weights = densities.weights.copy()
    shape = densities.variances, densities.means
    prior = PRIOR_SAMPLES * ATOMS.weights
    fit_weights(Y, weights, *shape, MIRROR, prior, u, SMALLEST_WEIGHT, MATCH_TOL, MATCH_ROUNDS)
    found = SourceDensities(weights, *shape)
    before, after = (d.posterior(Y, u)[1][:, :1] for d in (densities, found))
    return SourceDensities(np.where(after < before, weights, densities.weights), *shape)


def invert_posterior(S, densities, u):
    """Find the noisy values whose posterior means are given, by bisection.

    Parameters
    ----------
    S : ndarray of shape (p, n)
        Posterior means. They increase with the noisy value, without bound.
    densities : SourceDensities
    u : ndarray of shape (p,)
        Noise variances.

    Returns
    -------
    Y : ndarray of shape (p, n)
    """
    shrink = (densities.variances / (densities.variances + u[:, None])).min(axis=1, keepdims=True)
    reach = np.abs(S) + np.abs(densities.means).max(axis=1, keepdims=True)
    low, high = -reach / shrink, reach / shrink
    for _ in range(INVERSION_ROUNDS):
        Y = (low + high) / 2
        below = densities.posterior(Y, u)[0] < S
        low, high = np.where(below, Y, low), np.where(below, high, Y)
    return (low + high) / 2
