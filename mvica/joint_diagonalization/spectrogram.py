"""Learned spectrograms and their factors: objective, derivatives along rotations, updates.

Frames of a signal are the rows of Y, of shape (N, M), with unit mean square. An orthogonal
transform Phi (M, M), one atom a row, turns them into coefficients ``Y Phi^T``. Their squares raised
by a floor, P, are modelled by variances ``V = H D + floor``: activations H (N, K) and a dictionary
D (K, M), both non-negative, with rows of D of sum 1. The objective is

    sum [P / V + log V] + penalty * sum(H),

twice the negative log-likelihood of Gaussian coefficients, or for the Itakura-Saito divergence

    sum [P / V - log(P / V) - 1] + penalty * sum(H).

Without a floor, a coefficient that is turned to zero, with its variance, would gain without bound.

Everything runs over blocks of frames that stay in the cache; coefficients are never stored.
"""

from functools import cached_property
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from mvica.optim.orthogonal import positive_curvature

_CACHE = 2**14  # entries of a block that stays in the cache with its temporaries
_PRODUCT = 1_000_000  # multiply-adds of one matrix product: OpenBLAS is fastest up to here


def blocks_of_frames(n_frames, n_window):
    """Return slices that cut the frames into blocks of about equal size."""
    height = max(min(_CACHE // n_window, _PRODUCT // n_window**2), n_window)
    n_blocks = max(1, round(n_frames / height))
    bounds = [n_frames * b // n_blocks for b in range(n_blocks + 1)]
    return [slice(*ends) for ends in pairwise(bounds)]


class Criterion(NamedTuple):
    """What is minimised."""

    divergence: bool  # the Itakura-Saito divergence, or else the likelihood
    floor: float  # added to squares and variances
    penalty: float = 0.0  # weight of the sum of H


class TransformObjective:
    """The part of the objective that depends on the transform, for fixed variances.

    It is ``sum P / V``, less ``sum log P`` for the divergence. Calling it gives a point for the
    solvers of `mvica.optim.orthogonal`.

    Parameters
    ----------
    Y : ndarray of shape (N, M)
        Frames, C-contiguous.
    precisions : ndarray of shape (N, M)
        Inverses of the variances, C-contiguous.
    criterion : Criterion
        What is minimised.
    """

    def __init__(self, Y, precisions, criterion):
        from mvica.kernels import powers_numba

        self.criterion = criterion
        self._kernels = powers_numba
        blocks = blocks_of_frames(*Y.shape)
        self._blocks = [(Y[rows], precisions[rows].ravel()) for rows in blocks]

    def __call__(self, Phi):
        """Return the `TransformPoint` at an orthogonal matrix."""
        return TransformPoint(self, Phi)

    def value(self, Phi):
        """Return the value at a transform of shape (M, M)."""
        divergence, floor, _ = self.criterion
        total = self._kernels.power_divergence if divergence else self._kernels.weighted_power
        turn = np.ascontiguousarray(Phi.T)
        return sum(total((Y @ turn).ravel(), r, floor) for Y, r in self._blocks)

    def products(self, Phi):
        """Return the slopes and the curvature sums of all pairs of atoms, both (M, M).

        The slopes are ``T = 2 (X / V)^T X`` and the sums ``q = 2 (1 / V)^T X^2``, X being the
        coefficients. The divergence takes ``1 / P`` from ``1 / V`` in T, and adds it in q.
        """
        turn = np.ascontiguousarray(Phi.T)
        T, q = np.zeros_like(turn), np.zeros_like(turn)
        for Y, r in self._blocks:
            X = Y @ turn
            slopes, squares, weights = self._weights(X.ravel(), r)
            T += slopes.reshape(X.shape).T @ X
            q += weights.reshape(X.shape).T @ squares.reshape(X.shape)
        return 2.0 * T, 2.0 * q

    def _weights(self, x, r):
        slopes, squares = np.empty_like(x), np.empty_like(x)
        if not self.criterion.divergence:
            self._kernels.likelihood_weights(x, r, slopes, squares)
            return slopes, squares, r
        weights, floor = np.empty_like(x), self.criterion.floor
        self._kernels.divergence_weights(x, r, floor, slopes, squares, weights)
        return slopes, squares, weights


class TransformPoint:
    """The objective at one transform; the derivatives are computed when they are first read.

    Attributes
    ----------
    value : float
        The objective.
    """

    def __init__(self, objective, Phi):
        self._objective, self._Phi = objective, Phi
        self.value = objective.value(Phi)

    @cached_property
    def products(self):
        """Slopes and curvature sums, see `TransformObjective.products`."""
        return self._objective.products(self._Phi)

    @cached_property
    def gradient(self):
        """Antisymmetric ``T - T^T`` (M, M), half of whose product with E is the derivative."""
        T, _ = self.products
        return T - T.T

    @cached_property
    def curvature(self):
        """Second derivatives ``q_ab + q_ba - T_aa - T_bb`` in the planes, made positive.

        For the divergence T_aa, near 0 where the variances fit, is left out.
        """
        T, q = self.products
        both = q + q.T
        unit = both.mean()
        if self._objective.criterion.divergence:
            return positive_curvature(both, unit)
        own = np.diag(T)
        return positive_curvature(both - (own + own[:, None]), unit)


def fixed_part(H, D, criterion):
    """Terms of the objective that do not depend on the transform."""
    from mvica.kernels.powers_numba import log_sum

    value = criterion.penalty * H.sum()
    for rows in blocks_of_frames(len(H), D.shape[1]):
        value += log_sum((H[rows] @ D).ravel(), criterion.floor)
    return value - (len(H) * D.shape[1] if criterion.divergence else 0)


def precisions_of(H, D, floor):
    """Inverses of the variances, of shape (N, M)."""
    V = H @ D
    V += floor
    return np.reciprocal(V, out=V)


def update_factors(Y, Phi, H, D, criterion):
    """Lower the objective over H, then over D, by one multiplicative step each.

    Parameters
    ----------
    Y : ndarray of shape (N, M)
        Frames.
    Phi : ndarray of shape (M, M)
        Transform.
    H, D : ndarray of shape (N, K) and (K, M)
        Factors.
    criterion : Criterion
        What is minimised; both objectives have the same steps.

    Returns
    -------
    H, D : ndarray
        New factors, with rows of D of sum 1 and H scaled to leave the variances as they are.
    """
    turn = np.ascontiguousarray(Phi.T)
    updated = np.empty_like(H)
    above, below = np.zeros_like(D), np.zeros_like(D)
    for rows in blocks_of_frames(*Y.shape):
        X = Y[rows] @ turn
        H_b = update_activations(X, H[rows], D, criterion)
        precisions, ratios = _power_ratios(X, H_b @ D, criterion.floor)
        above += H_b.T @ ratios
        below += H_b.T @ precisions
        updated[rows] = H_b
    # Under the constraint the penalty is that of sum_k |H_:k| |D_k:|, which D changes too.
    below += criterion.penalty * updated.sum(axis=0)[:, None]
    D = D * _root_ratio(above, below)
    sums = D.sum(axis=1)
    return updated * sums, D / np.where(sums > 0, sums, 1.0)[:, None]


def update_activations(X, H, D, criterion):
    """Lower the objective over H (N, K) by one multiplicative step, for coefficients X (N, M)."""
    precisions, ratios = _power_ratios(X, H @ D, criterion.floor)
    return H * _root_ratio(ratios @ D.T, precisions @ D.T + criterion.penalty)


def _power_ratios(X, modelled, floor):
    """Return ``1 / V`` and ``P / V^2`` for coefficients X and ``V = modelled + floor``."""
    from mvica.kernels.powers_numba import power_ratios

    precisions, ratios = np.empty_like(modelled), np.empty_like(modelled)
    power_ratios(X.ravel(), modelled.ravel(), floor, precisions.ravel(), ratios.ravel())
    return precisions, ratios


def _root_ratio(above, below):
    """Square root of a ratio of non-negative arrays; 1 for components without power, 0 / 0."""
    ratio = np.ones_like(above)
    np.divide(above, below, out=ratio, where=below > 0)
    return np.sqrt(ratio, out=ratio)
