"""Source densities: minus log density, score and its derivative."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.integrate import quad

from mvica.kernels import kernels_for

BLOCK = 4096  # samples evaluated at a time by a density given as Python functions


@dataclass(frozen=True)
class Density:
    """A source density given by its minus logarithm, for ``MultiViewICA(density=...)``.

    The functions take and return arrays elementwise. The density need not be normalised.

    Parameters
    ----------
    value : callable
        Minus log density ``f(u)``, even up to a shift, growing at infinity.
    score : callable
        Its derivative ``f'(u)``.
    score_derivative : callable
        Its second derivative ``f''(u)``.

    Attributes
    ----------
    log_normalizer : float
        Logarithm of the integral of ``exp(-f)``.
    std : float
        Standard deviation of the density.

    Examples
    --------
    >>> import numpy as np
    >>> from mvica.ica import Density
    >>> gaussian = Density(lambda u: u**2 / 2, lambda u: u, np.ones_like)
    >>> round(gaussian.log_normalizer, 6), round(gaussian.std, 6)
    (0.918939, 1.0)
    """

    value: Callable
    score: Callable
    score_derivative: Callable

    @cached_property
    def log_normalizer(self):
        """Logarithm of the integral of ``exp(-f)``."""
        return float(np.log(self._moment(0)))

    @cached_property
    def std(self):
        """Standard deviation of the normalised density."""
        mean = self._moment(1) / self._moment(0)
        return float(np.sqrt(self._moment(2) / self._moment(0) - mean**2))

    def _moment(self, power):
        def integrand(u):
            return u**power * float(np.exp(-self.value(np.float64(u))))

        return quad(integrand, -np.inf, 0)[0] + quad(integrand, 0, np.inf)[0]


def _log_cosh(u):
    return np.abs(u) + np.log1p(np.exp(-2 * np.abs(u)))


SUPER = Density(_log_cosh, np.tanh, lambda u: 1 - np.tanh(u) ** 2)
SUB = Density(
    lambda u: u**2 / 2 - _log_cosh(u), lambda u: u - np.tanh(u), lambda u: np.tanh(u) ** 2
)
NAMES = ("logcosh", "sub", "extended")


def initial_kinds(density, p):
    """Which components are taken for sub-Gaussian before any data are seen, (p,) bool."""
    return np.full(p, density == "sub")


def component_densities(density, kinds):
    """`Density` of each component."""
    if isinstance(density, Density):
        return [density] * len(kinds)
    return [SUB if sub else SUPER for sub in kinds]


def score_step_for(Z, density, kinds):
    """Return a density's kernel ``(Y, dY, t, out, psi) -> (out, psi, sums)`` on arrays like `Z`."""
    if isinstance(density, Density):
        return lambda Y, dY, t, out, psi: _python_step(density, Y, dY, t, out, psi)
    kernel = kernels_for(Z).score_step
    return lambda Y, dY, t, out, psi: kernel(Y, dY, t, kinds, out, psi)


def _python_step(density, Y, dY, t, out, psi):
    p, n = Y.shape
    sums = np.zeros((p, 4))
    for start in range(0, n, BLOCK):
        part = (slice(None), slice(start, start + BLOCK))
        y = Y[part] + Y.dtype.type(t) * dY[part]
        out[part] = y
        psi[part] = density.score(y)
        slope, square = density.score_derivative(y), y * y
        values = (density.value(y), slope, slope * square, square)
        sums += np.stack([v.sum(axis=1, dtype=np.float64) for v in values], axis=1)
    return out, psi, sums / n


def super_gaussianity(S):
    """Measure heavy tails: ``E[1 - tanh^2 u] E[u^2] - E[u tanh u]`` at unit variance.

    The sign of this quantity is the switch of extended Infomax.

    Parameters
    ----------
    S : ndarray of shape (p, n_samples)
        Signals.

    Returns
    -------
    kappa : ndarray of shape (p,)
        Positive for super-Gaussian signals (Laplace .148), negative for sub-Gaussian ones (uniform
        -.125), zero for Gaussian ones.
    """
    p, n = S.shape
    U = S / S.std(axis=1, keepdims=True)
    tanh, out = np.empty_like(U), np.empty_like(U)
    _, tanh, sums = kernels_for(S).score_step(U, U, 0.0, np.zeros(p, dtype=bool), out, tanh)
    return sums[:, 1] * sums[:, 3] - np.einsum("an,an->a", tanh, U) / n
