"""Fused pass over the weighted mean sources under Gaussian mixture densities.

Per sample it costs one exponential a mixture component; logarithms are taken of products of many
samples. Weights are formed relative to the largest, so that no value, however large, underflows.
The exponential is the one of `mvica.kernels.scores_numba`, repeated here because a cached kernel
must hold all its helpers.
"""

import math

import numpy as np
from llvmlite import ir
from numba import float64, int64, njit
from numba.extending import intrinsic

# Independent accumulators let the compiler vectorise sums under strict rounding. They are rows of
# one array, indexed as such: with an array each, it gives up proving that they do not overlap.
LANES = 256
LARGEST_PRODUCT = (
    1e140  # of the sums of weights that a lane multiplies up: two lanes do not overflow
)
OPTIONS = {"cache": True, "nogil": True, "fastmath": {"contract"}, "error_model": "numpy"}


@intrinsic
def _bits(typing_context, x):
    def codegen(context, builder, signature, arguments):
        return builder.bitcast(arguments[0], ir.IntType(64))

    return int64(float64), codegen


@intrinsic
def _from_bits(typing_context, x):
    def codegen(context, builder, signature, arguments):
        return builder.bitcast(arguments[0], ir.DoubleType())

    return float64(int64), codegen


@njit(**OPTIONS)
def _exp(x):
    """Exponential of a non-positive number, in vectorisable code."""
    x = max(x, -700.0)
    t = x * 1.4426950408889634 + 6755399441055744.0
    k = t - 6755399441055744.0
    r = (x - k * 0.693147180369123816490) - k * 1.90821492927058770002e-10
    e = 2.5110037605963777e-08
    e = e * r + 2.763263963904103e-07
    e = e * r + 2.755724091857897e-06
    e = e * r + 2.4801485482328494e-05
    e = e * r + 0.00019841269890047113
    e = e * r + 0.0013888888952314775
    e = e * r + 0.008333333333319601
    e = e * r + 0.0416666666664881
    e = e * r + 0.1666666666666668
    e = e * r + 0.5000000000000019
    e = e * r + 1.0
    e = e * r + 1.0
    return e * _from_bits((_bits(t) + int64(1023)) << int64(52))


@njit(**OPTIONS)
def _exponents(y, level, mean, slope, e, top):
    """Fill the log weights ``level_k - slope_k (y - mean_k)^2`` and the largest of each sample."""
    K = len(level)
    for k in range(K):
        row = e[k]
        for i in range(y.size):
            row[i] = level[k] - slope[k] * (y[i] - mean[k]) * (y[i] - mean[k])
    for i in range(y.size):
        top[i] = e[0, i]
    for k in range(1, K):
        row = e[k]
        for i in range(y.size):
            top[i] = max(top[i], row[i])


@njit(**OPTIONS)
def _levels(weights, variances, u, level, slope, shrink):
    """Constants of the mixture seen through noise of variance u."""
    for k in range(len(weights)):
        total = variances[k] + u
        level[k] = math.log(weights[k]) - 0.5 * math.log(2.0 * math.pi * total)
        slope[k] = 0.5 / total
        shrink[k] = variances[k] / total


@njit(**OPTIONS)
def _add_component(y, row, top, mean, shrink, work):
    """Add one mixture component to the four sums of each sample: 1, c, m and m^2, weighted."""
    offset = (1.0 - shrink) * mean
    for i in range(y.size):
        w = _exp(row[i] - top[i])
        m = offset + shrink * y[i]
        work[0, i] += w
        work[1, i] += w * shrink
        work[2, i] += w * m
        work[3, i] += w * m * m


@njit(**OPTIONS)
def _finish_block(y, u, top, work, out, lanes):
    """Posterior means of a stretch, and its share of the sums in `lanes` (6, LANES)."""
    for i in range(y.size):
        square = y[i] * y[i]
        inverse = 1.0 / work[0, i]
        s = work[2, i] * inverse
        spread = u * work[1, i] * inverse + (work[3, i] * inverse - s * s)
        lanes[0, i] += top[i]
        lanes[1, i] *= work[0, i]
        lanes[2, i] += spread
        lanes[3, i] += s * s
        lanes[4, i] += spread * square
        lanes[5, i] += square
        out[i] = s


@njit(**OPTIONS)
def _flush_logs(lanes, total):
    """Move the logarithms of the lanes' products to the total, few calls for many lanes."""
    product = 1.0
    for i in range(lanes.shape[1]):
        product *= lanes[1, i]
        lanes[1, i] = 1.0
        if product > LARGEST_PRODUCT:
            total[0] -= math.log(product)
            product = 1.0
    total[0] -= math.log(product)


@njit(**OPTIONS)
def posterior_pass(Y, weights, variances, means, u, out, sums):
    """Posterior means of sources seen through Gaussian noise, and the sums that a solver needs.

    Parameters
    ----------
    Y : ndarray of shape (p, n)
        Source plus noise, one row a source.
    weights, variances, means : ndarray of shape (p, K)
        Mixture of each source; positive weights.
    u : ndarray of shape (p,)
        Noise variances.
    out : ndarray of shape (p, n)
        Filled with the posterior means; may be `Y` itself.
    sums : ndarray of shape (p, 5)
        Filled with the means over samples of: minus log density of y; posterior variance; squared
        posterior mean; posterior variance times y^2; y^2.
    """
    p, n = Y.shape
    K = weights.shape[1]
    factors = int(math.log(LARGEST_PRODUCT) / math.log(K + 1.0))
    level, slope, shrink = np.empty(K), np.empty(K), np.empty(K)
    e, top = np.empty((K, LANES)), np.empty(LANES)
    work, lanes = np.empty((4, LANES)), np.zeros((6, LANES))
    lanes[1] = 1.0
    for a in range(p):
        total = sums[a]
        total[:] = 0.0
        _levels(weights[a], variances[a], u[a], level, slope, shrink)
        held = 0
        for start in range(0, n, LANES):
            stop = min(start + LANES, n)
            y = Y[a, start:stop]
            _exponents(y, level, means[a], slope, e, top)
            work[:] = 0.0
            for k in range(K):
                _add_component(y, e[k], top, means[a, k], shrink[k], work)
            _finish_block(y, u[a], top, work, out[a, start:stop], lanes)
            held += 1
            if held == factors:
                _flush_logs(lanes, total)
                held = 0
        _flush_logs(lanes, total)
        for i in range(LANES):
            total[0] -= lanes[0, i]
            for c in range(1, 5):
                total[c] += lanes[c + 1, i]
        lanes[:] = 0.0
        lanes[1] = 1.0
        total /= n


@njit(**OPTIONS)
def _exponentials(e, top, total, size):
    """Turn log weights into weights relative to the largest, and sum them."""
    for k in range(len(e)):
        row = e[k]
        for i in range(size):
            row[i] = _exp(row[i] - top[i])
    for k in range(len(e)):
        row = e[k]
        for i in range(size):
            total[i] += row[i]


@njit(**OPTIONS)
def _add_shares(e, total, size, lanes):
    for k in range(len(e)):
        row, lane = e[k], lanes[k]
        for i in range(size):
            lane[i] += row[i] / total[i]


@njit(**OPTIONS)
def _responsibilities(y, weights, variances, means, u, work, shares):
    """Fill `shares` (K,) with the mean posterior probability of each mixture component."""
    e, lanes, level, slope, shrink, top, total = work
    K, n = len(weights), y.size
    lanes[:] = 0.0
    _levels(weights, variances, u, level, slope, shrink)
    for start in range(0, n, LANES):
        stretch = y[start : min(start + LANES, n)]
        _exponents(stretch, level, means, slope, e, top)
        total[:] = 0.0
        _exponentials(e, top, total, stretch.size)
        _add_shares(e, total, stretch.size, lanes)
    for k in range(K):
        shares[k] = lanes[k].sum() / n


@njit(**OPTIONS)
def _unit_variance_weights(shares, power, weights):
    """Maximise ``sum shares log w`` with ``sum w = sum w power = 1``, by bisection."""
    low, high = -1.0 / (power.max() - 1.0), -1.0 / (power.min() - 1.0)
    for _ in range(60):
        middle = 0.5 * (low + high)
        slope = 0.0
        for k in range(len(shares)):
            slope += shares[k] * (power[k] - 1.0) / (1.0 + middle * (power[k] - 1.0))
        if slope > 0.0:
            low = middle
        else:
            high = middle
    for k in range(len(shares)):
        weights[k] = shares[k] / (1.0 + 0.5 * (low + high) * (power[k] - 1.0))
    weights /= weights.sum()


@njit(**OPTIONS)
def fit_weights(Y, weights, variances, means, mirror, prior, u, smallest, tol, max_rounds):
    """Fit the weights of mixtures in place by EM, symmetric and of variance one.

    Parameters
    ----------
    Y : ndarray of shape (p, n)
        Source plus noise, one row a source.
    weights, variances, means : ndarray of shape (p, K)
        Mixture of each source, of variances on both sides of one.
    mirror : ndarray of int, shape (K,)
        Mixture component with the opposite mean.
    prior : ndarray of shape (K,)
        Samples of each mixture component that count as seen before the data.
    u : ndarray of shape (p,)
        Noise variances.
    smallest : float
        Weight below which no component falls.
    tol : float
        Change of a weight at which a source is done.
    max_rounds : int
    """
    p, K = weights.shape
    e, lanes = np.empty((K, LANES)), np.empty((K, LANES))
    level, slope, shrink = np.empty(K), np.empty(K), np.empty(K)
    work = e, lanes, level, slope, shrink, np.empty(LANES), np.empty(LANES)
    shares, even = np.empty(K), np.empty(K)
    n = Y.shape[1]
    total = n + prior.sum()
    for a in range(p):
        power = variances[a] + means[a] * means[a]
        for _ in range(max_rounds):
            old = weights[a].copy()
            _responsibilities(Y[a], old, variances[a], means[a], u[a], work, shares)
            for k in range(K):
                share = 0.5 * (shares[k] + shares[mirror[k]])
                even[k] = max((n * share + prior[k]) / total, smallest)
            _unit_variance_weights(even, power, weights[a])
            if np.abs(weights[a] - old).max() < tol:
                break
