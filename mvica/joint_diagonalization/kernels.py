"""Compiled passes over a set of matrices that leave no temporary set behind."""

import numpy as np
from numba import njit

_JIT = {"cache": True, "nogil": True, "fastmath": {"contract"}, "error_model": "numpy"}


NOT_FINITE, NOT_SYMMETRIC = 1, 2
_REGISTER, _REGISTERS = 8, 4  # numbers in a register, and registers of matrices side by side


@njit(**_JIT)
def first_fault(C, tolerance):
    """Find a matrix that is not finite, or not symmetric to a share of its largest entry.

    Returns the kind of fault (0 for none), the matrix, and the asymmetry as that share.
    """
    K, p = C.shape[0], C.shape[1]
    largest, asymmetry = np.empty(p), np.empty(p)  # of columns: the compiler vectorises them
    for k in range(K):
        largest[:] = 0.0
        asymmetry[:] = 0.0
        unordered = 0
        for i in range(p):
            row = C[k, i]
            for j in range(p):
                size = abs(row[j])
                unordered += not size < np.inf
                largest[j] = max(largest[j], size)
            for j in range(i):
                asymmetry[j] = max(asymmetry[j], abs(row[j] - C[k, j, i]))
        if unordered:
            return NOT_FINITE, k, 0.0
        if asymmetry.max() > tolerance * largest.max():
            return NOT_SYMMETRIC, k, asymmetry.max() / largest.max()
    return 0, 0, 0.0


@njit(**_JIT)
def congruence(M, C, factors):
    """``factors[k] * M C_k M^T``, symmetric to the last bit."""
    K, p, r = C.shape[0], C.shape[1], M.shape[0]
    D = np.empty((K, r, r))
    MT = np.ascontiguousarray(M.T)
    half, full = np.empty((p, r)), np.empty((r, r))
    for k in range(K):
        np.dot(C[k], MT, half)
        np.dot(M, half, full)
        for i in range(r):
            for j in range(i + 1):
                D[k, i, j] = 0.5 * factors[k] * (full[i, j] + full[j, i])
                D[k, j, i] = D[k, i, j]
    return D


@njit(**_JIT)
def unit_determinants(C):
    """Divide each matrix in place by the scale that makes its determinant 1.

    Returns the scales, and the smallest pivot of each matrix as a share of the diagonal entry: it
    is positive if and only if the matrix is positive definite (the others are left as they are),
    whatever the units of the features.
    """
    K, p = C.shape[0], C.shape[1]
    scales, shares = np.ones(K), np.full(K, np.inf)
    lanes = _REGISTER * min(_REGISTERS, (K + _REGISTER - 1) // _REGISTER)
    U = np.empty((p, p, lanes))
    for first in range(0, K, lanes):
        n = min(lanes, K - first)
        logs = _pivots(C[first : first + n], U, shares[first : first + n])
        for k in range(first, first + n):
            if shares[k] > 0.0:
                scales[k] = np.exp(logs[k - first] / p)
                C[k] /= scales[k]
    return scales, shares


@njit(**_JIT)
def _pivots(C, U, shares):
    """Eliminate matrices side by side; return the sums of the logarithms of their pivots.

    The last axis of U (p, p, lanes) is that of the matrices, the last one repeated to fill it.
    """
    n, p, lanes = C.shape[0], C.shape[1], U.shape[2]
    for i in range(p):
        for j in range(i, p):
            for k in range(n):
                U[i, j, k] = C[k, i, j]
            U[i, j, n:] = C[n - 1, i, j]
    logs, factor = np.zeros(n), np.empty(lanes)
    for j in range(p):
        for k in range(n):
            pivot, entry = U[j, j, k], C[k, j, j]
            if pivot > 0.0 and entry > 0.0:
                shares[k] = min(shares[k], pivot / entry)
                logs[k] += np.log(pivot)
            else:
                shares[k] = 0.0
        for i in range(j + 1, p):
            for k in range(lanes):
                factor[k] = U[j, i, k] / U[j, j, k]
            for c in range(i, p):
                for k in range(lanes):
                    U[i, c, k] -= factor[k] * U[j, c, k]
    return logs


@njit(**_JIT)
def shared_rotation(C, w, mixed, n_rounds):
    """Rows that whiten the mean of the matrices and diagonalise one combination of them.

    Every round of the power method brings the coefficients `mixed` (K,) closer to the combination
    that differs most between the matrices, whose eigenvalues are far apart.
    """
    K, p = C.shape[0], C.shape[1]
    flat = C.reshape(K, p * p)
    mean = np.dot(w, flat)
    combination = np.dot(w * mixed, flat)
    for _ in range(n_rounds):
        combination -= np.sum(w * mixed) * mean
        mixed = np.dot(flat, combination)
        largest = np.abs(mixed).max()
        if largest == 0.0:
            break
        mixed = mixed / largest
        combination = np.dot(w * mixed, flat)
    inverse = np.linalg.inv(np.linalg.cholesky(mean.reshape(p, p)))
    half = np.dot(inverse, combination.reshape(p, p))
    white = np.dot(half, np.ascontiguousarray(inverse.T))
    vectors = np.linalg.eigh(0.5 * (white + white.T))[1]
    return np.dot(np.ascontiguousarray(vectors.T), inverse)


@njit(**_JIT)
def standardised_mean(C, w):
    """Weighted mean of matrices of unit mean diagonal, then of standardised features.

    Returns the mean diagonal of each matrix, the scales of the features, and the mean.
    """
    K, p = C.shape[0], C.shape[1]
    traces, features, mean = np.zeros(K), np.zeros(p), np.zeros((p, p))
    for k in range(K):
        for i in range(p):
            traces[k] += C[k, i, i] / p
        for i in range(p):
            features[i] += w[k] * (C[k, i, i] / traces[k]) ** 2
            for j in range(p):
                mean[i, j] += (w[k] / traces[k]) * C[k, i, j]
    for i in range(p):
        features[i] = features[i] ** 0.25 if features[i] > 0.0 else 1.0
    for i in range(p):
        for j in range(i + 1):
            mean[i, j] = 0.5 * (mean[i, j] + mean[j, i]) / features[i] / features[j]
            mean[j, i] = mean[i, j]
    return traces, features, mean


@njit(**_JIT)
def in_features(B, forward, backward, d, scales, w, squares, rescaled):
    """Take a diagonaliser to the features: order, sign and, if asked, scale of its rows.

    Rows come by decreasing power that they explain, their largest entry positive; `rescaled` makes
    the weighted mean of their powers 1, or with `squares` the weighted mean square.

    Returns the diagonaliser, the mixing, the powers and the order.
    """
    K, r = d.shape
    B, A = np.dot(B, forward), np.dot(backward, np.linalg.inv(B))
    p = B.shape[1]
    level, explained = np.zeros(r), np.zeros(r)
    for a in range(r):
        for k in range(K):
            level[a] += w[k] * (d[k, a] ** 2 if squares else scales[k] * d[k, a])
        if squares:  # the squares of tiny powers would underflow: their scale comes last
            level[a] = scales[0] * np.sqrt(level[a])
        for i in range(p):
            explained[a] += A[i, a] ** 2 * level[a]
    order = _decreasing(explained)
    x, mixing, powers = np.empty((r, p)), np.empty((p, r)), np.empty((K, r))
    for a in range(r):
        row = B[order[a]]
        largest = 0
        for i in range(1, p):
            if abs(row[i]) > abs(row[largest]):
                largest = i
        norm = level[order[a]] if rescaled and level[order[a]] > 0.0 else 1.0
        scale = np.sqrt(norm) if row[largest] > 0.0 else -np.sqrt(norm)
        for i in range(p):
            x[a, i] = row[i] / scale
            mixing[i, a] = A[i, order[a]] * scale
        for k in range(K):
            powers[k, a] = scales[k] * d[k, order[a]] / norm
    return x, mixing, powers, order


@njit(**_JIT)
def _decreasing(values):
    """Order of few values; ties keep theirs."""
    order = np.arange(len(values))
    for i in range(1, len(values)):
        j, item = i, order[i]
        while j > 0 and values[order[j - 1]] < values[item]:
            order[j] = order[j - 1]
            j -= 1
        order[j] = item
    return order
