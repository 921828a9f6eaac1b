"""Inner loops on plain arrays, one table of functions per backend."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np


@dataclass(frozen=True)
class Kernels:
    """The sample-sized loops that a solver needs, with one signature on every backend.

    Attributes
    ----------
    score_step : callable
        ``score_step(Y, dY, t, sub, out, psi) -> (out, psi, sums)``, see
        :func:`mvica.kernels.reference.score_step`. `out` and `psi` are work arrays that a backend
        may fill and return, or leave alone.
    """

    score_step: Callable


@cache
def numba_kernels():
    """Compiled table for NumPy arrays. Imports Numba at the first call, never before."""
    from mvica.kernels import scores_numba

    def score_step(Y, dY, t, sub, out, psi):
        sums = np.empty((len(Y), 4))
        scores_numba.score_step(Y, dY, float(t), sub, out, psi, sums)
        return out, psi, sums

    return Kernels(score_step)


@cache
def reference_kernels(xp=np):
    """Plain array table for any array API namespace."""
    from mvica.kernels import reference

    def score_step(Y, dY, t, sub, out, psi):
        return reference.score_step(xp, Y, dY, t, sub)

    return Kernels(score_step)


def kernels_for(X):
    """Return the kernel table of an array: compiled for NumPy, plain array code otherwise."""
    if isinstance(X, np.ndarray):
        return numba_kernels()
    return reference_kernels(X.__array_namespace__())
