"""Compiled passes over squared coefficients and the variances that model them.

Arrays are flat, C-contiguous, float64. Sums go to independent lanes, and stretches are cut as
slices, because the compiler vectorises both. One logarithm is taken of the product of a few
numbers, which must lie between 1e-18 and 1e18.
"""

import math

import numpy as np
from numba import njit

OPTIONS = {"cache": True, "nogil": True, "fastmath": {"contract"}, "error_model": "numpy"}
LANES = 256
FACTORS = 16  # numbers multiplied before one logarithm


@njit(**OPTIONS)
def weighted_power(x, r, floor):
    """Sum of ``(x^2 + floor) r``."""
    lanes = np.zeros(LANES)
    for start in range(0, x.size, LANES):
        a, b = x[start : start + LANES], r[start : start + LANES]
        for j in range(a.size):
            lanes[j] += (a[j] * a[j] + floor) * b[j]
    return lanes.sum()


@njit(**OPTIONS)
def power_divergence(x, r, floor):
    """Sum of ``(x^2 + floor) r - log(x^2 + floor)``."""
    lanes, products, logs = np.zeros(LANES), np.ones(LANES), 0.0
    factors = 0
    for start in range(0, x.size, LANES):
        a, b = x[start : start + LANES], r[start : start + LANES]
        for j in range(a.size):
            power = a[j] * a[j] + floor
            lanes[j] += power * b[j]
            products[j] *= power
        factors += 1
        if factors == FACTORS:
            logs += _take_logs(products)
            factors = 0
    return lanes.sum() - logs - _take_logs(products)


@njit(**OPTIONS)
def log_sum(v, floor):
    """Sum of ``log(v + floor)``."""
    products, logs = np.ones(LANES), 0.0
    factors = 0
    for start in range(0, v.size, LANES):
        a = v[start : start + LANES]
        for j in range(a.size):
            products[j] *= a[j] + floor
        factors += 1
        if factors == FACTORS:
            logs += _take_logs(products)
            factors = 0
    return logs + _take_logs(products)


@njit(**OPTIONS)
def _take_logs(products):
    """Sum of the logarithms of the products, which become 1 again."""
    logs = 0.0
    for j in range(products.size):
        logs += math.log(products[j])
        products[j] = 1.0
    return logs


@njit(**OPTIONS)
def likelihood_weights(x, r, slopes, squares):
    """Fill ``x r`` and ``x^2``."""
    for i in range(x.size):
        slopes[i] = x[i] * r[i]
        squares[i] = x[i] * x[i]


@njit(**OPTIONS)
def divergence_weights(x, r, floor, slopes, squares, weights):
    """Fill ``x r - x / (x^2 + floor)``, ``x^2`` and ``r + 1 / (x^2 + floor)``."""
    for i in range(x.size):
        inverse = 1.0 / (x[i] * x[i] + floor)
        slopes[i] = x[i] * (r[i] - inverse)
        squares[i] = x[i] * x[i]
        weights[i] = r[i] + inverse


@njit(**OPTIONS)
def power_ratios(x, v, floor, r, ratios):
    """Fill ``r = 1 / (v + floor)`` and ``(x^2 + floor) r^2``."""
    for i in range(x.size):
        r[i] = 1.0 / (v[i] + floor)
        ratios[i] = (x[i] * x[i] + floor) * r[i] * r[i]


@njit(**OPTIONS)
def fit_activations(X, D, penalty, floor, max_iter, tol, H):
    """Fit the activations of frames one by one, the dictionary fixed.

    Parameters
    ----------
    X : ndarray of shape (N, M)
        Coefficients, one row a frame.
    D : ndarray of shape (K, M)
        Dictionary.
    penalty : float
        Weight of the sum of the activations.
    floor : float
        Added to squares and variances.
    max_iter : int
        Most multiplicative steps of a frame.
    tol : float
        Largest change of an activation in the last step, relative to the largest of the frame.
    H : ndarray of shape (N, K)
        Activations to start from; replaced by the fitted ones.

    Returns
    -------
    unsettled : int
        Number of frames that did not reach `tol`.
    """
    N, M = X.shape
    K = len(D)
    positive, negative = np.empty(K), np.empty(K)
    unsettled = 0
    for n in range(N):
        h, settled = H[n], False
        for _ in range(max_iter):
            positive[:] = 0.0
            negative[:] = penalty
            for m in range(M):
                v = floor
                for k in range(K):
                    v += D[k, m] * h[k]
                ratio = (X[n, m] * X[n, m] + floor) / (v * v)
                for k in range(K):
                    positive[k] += D[k, m] * ratio
                    negative[k] += D[k, m] / v
            change, largest = 0.0, 0.0
            for k in range(K):
                moved = h[k] * math.sqrt(positive[k] / negative[k])
                change = max(change, abs(moved - h[k]))
                largest = max(largest, moved)
                h[k] = moved
            settled = change <= tol * largest
            if settled:
                break
        unsettled += not settled
    return unsettled
