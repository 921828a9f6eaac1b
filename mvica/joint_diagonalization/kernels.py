"""Compiled passes over a set of matrices that leave no temporary set behind."""

import numpy as np
from numba import njit

_JIT = {"cache": True, "nogil": True, "fastmath": {"contract"}, "error_model": "numpy"}


@njit(**_JIT)
def extremes(C):
    """Largest absolute entry, and largest ``|C - C^T|``, of each matrix; infinite if not finite."""
    K, p = C.shape[0], C.shape[1]
    largest, asymmetry = np.zeros(K), np.zeros(K)
    for k in range(K):
        total = 0.0
        for i in range(p):
            for j in range(p):
                total += abs(C[k, i, j])
                largest[k] = max(largest[k], abs(C[k, i, j]))
            for j in range(i):
                asymmetry[k] = max(asymmetry[k], abs(C[k, i, j] - C[k, j, i]))
        if not np.isfinite(total):  # a maximum alone would pass over NaN
            largest[k] = np.inf
    return largest, asymmetry


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
def log_determinants(C):
    """Log-determinant of each matrix, and its smallest pivot as a share of the diagonal entry.

    The share is positive if and only if the matrix is positive definite; the features' units do
    not change it.
    """
    K, p = C.shape[0], C.shape[1]
    logs, shares = np.zeros(K), np.full(K, np.inf)
    U = np.empty((p, p))
    for k in range(K):
        for i in range(p):
            for j in range(i, p):
                U[i, j] = C[k, i, j]
        for j in range(p):
            pivot = U[j, j]
            shares[k] = min(shares[k], pivot / C[k, j, j])
            if not (pivot > 0.0 and C[k, j, j] > 0.0):
                shares[k] = min(shares[k], 0.0)
                break
            logs[k] += np.log(pivot)
            for i in range(j + 1, p):
                factor = U[j, i] / pivot
                for c in range(i, p):
                    U[i, c] -= factor * U[j, c]
    return logs, shares
