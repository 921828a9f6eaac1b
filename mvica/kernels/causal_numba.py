"""Causal discovery on cross-covariances: scores of pairs and of rows, in compiled loops.

``C[i, j]`` is the (m, m) covariance over views of variables i and j, ``C[i, j, v, w] = cov(x_vi,
x_wj)``, in units where every variable has variance one in every view.
"""

import math

import numpy as np
from numba import njit

OPTIONS = {"cache": True, "nogil": True, "fastmath": {"contract"}, "error_model": "numpy"}
SINGULAR = 1e-10  # pivot of a correlation matrix below which it is shrunk
LIFT = 1e-6  # how far
AUTO = -1.0  # shrink where needed
OAS = -2.0  # oracle approximating shrinkage


@njit(**OPTIONS)
def _cholesky(R):
    """Factor ``R = U^T U`` in the upper triangle of R; return the smallest pivot."""
    m = R.shape[0]
    smallest = np.inf
    for k in range(m):
        pivot = R[k, k]
        smallest = min(smallest, pivot)
        if not pivot > 0.0:
            return -1.0
        root = math.sqrt(pivot)
        R[k, k] = root
        for j in range(k + 1, m):
            R[k, j] /= root
        for i in range(k + 1, m):
            factor = R[k, i]
            for j in range(i, m):
                R[i, j] -= factor * R[k, j]
    return smallest


@njit(**OPTIONS)
def _solve_factored(U, b):
    """Solve ``U^T U x = b`` in place."""
    m = len(b)
    for k in range(m):
        b[k] /= U[k, k]
        for j in range(k + 1, m):
            b[j] -= U[k, j] * b[k]
    for k in range(m - 1, -1, -1):
        total = b[k]
        for j in range(k + 1, m):
            total -= U[k, j] * b[j]
        b[k] = total / U[k, k]


@njit(**OPTIONS)
def _oas(R, n_samples):
    """Oracle approximating shrinkage of a correlation matrix towards the identity."""
    m = R.shape[0]
    squares = 0.0
    for v in range(m):
        for w in range(m):
            squares += R[v, w] * R[v, w]
    below = (n_samples + 1.0 - 2.0 / m) * (squares - m)
    above = (1.0 - 2.0 / m) * squares + m * m
    return min(1.0, above / below) if below > 0.0 else 1.0


@njit(**OPTIONS)
def _correlation(S, amount, scale, U):
    """Fill U with S scaled to unit diagonal, its other entries times ``1 - amount``."""
    m = S.shape[0]
    for v in range(m):
        for w in range(m):
            U[v, w] = (1.0 - amount) * S[v, w] / (scale[v] * scale[w])
        U[v, v] = 1.0


@njit(**OPTIONS)
def factor(S, shrinkage, n_samples, scale, U):
    """Cholesky factor of a covariance over views, shrunk towards its diagonal where it has to be.

    Parameters
    ----------
    S : ndarray of shape (m, m)
    shrinkage : float
        Factor in [0, 1] taken off the correlations, or `AUTO` or `OAS`.
    n_samples : int
    scale, U : ndarray of shape (m,) and (m, m)
        Filled: standard deviations, and the factor of the correlations in the upper triangle.

    Returns
    -------
    log_det : float
        Of the (shrunk) covariance.
    lifted : bool
        Whether it was near singular.
    """
    m = S.shape[0]
    for v in range(m):
        scale[v] = math.sqrt(max(S[v, v], 1e-300))
    amount = 0.0
    if shrinkage >= 0.0:
        amount = shrinkage
    elif shrinkage == OAS and m > 1:
        _correlation(S, 0.0, scale, U)
        amount = _oas(U, n_samples)
    _correlation(S, amount, scale, U)
    lifted = _cholesky(U) < SINGULAR
    if lifted:
        _correlation(S, max(amount, LIFT), scale, U)
        _cholesky(U)
    log_det = 0.0
    for v in range(m):
        log_det += 2.0 * math.log(U[v, v] * scale[v])
    return log_det, lifted


@njit(**OPTIONS)
def mirror(A):
    """Copy the upper triangle of a square array to the lower one."""
    for i in range(1, A.shape[0]):
        for j in range(i):
            A[i, j] = A[j, i]


@njit(**OPTIONS)
def _inverse(U, scale, V):
    """Inverse of a covariance from its factor; V is work space."""
    m = U.shape[0]
    V[:] = 0.0
    for i in range(m - 1, -1, -1):
        V[i, i] = 1.0
        for k in range(i + 1, m):
            weight = U[i, k]
            for j in range(k, m):
                V[i, j] -= weight * V[k, j]
        for j in range(i, m):
            V[i, j] /= U[i, i]
    inverse = np.dot(V, V.T)
    for v in range(m):
        for w in range(m):
            inverse[v, w] /= scale[v] * scale[w]
    return inverse


@njit(**OPTIONS)
def dependences(C, active, out):
    """Squared correlations of each regressor with the residuals of each other variable.

    ``out[i, j] = sum_vw corr(x_vi, residual of x_wj on x_wi)^2``: zero where i is a cause of j and
    nothing confounds them.
    """
    m = C.shape[2]
    beta, residual = np.empty(m), np.empty(m)
    for i in active:
        X = C[i, i]
        for j in active:
            if i == j:
                continue
            XY = C[i, j]
            for w in range(m):
                beta[w] = XY[w, w] / X[w, w]
                residual[w] = 1.0 / max(C[j, j, w, w] - beta[w] * XY[w, w], 1e-300)
            total = 0.0
            for v in range(m):
                row = 0.0
                for w in range(m):
                    K = XY[v, w] - beta[w] * X[v, w]
                    row += K * K * residual[w]
                total += row / X[v, v]
            out[i, j] = total


@njit(**OPTIONS)
def regress_out(C, r, active, beta):
    """Replace, in place, variables by their residuals ``x_vi - beta[i, v] x_vr``."""
    m = C.shape[2]
    R = C[r, r]
    for a in range(len(active)):
        i = active[a]
        for b in range(a, len(active)):
            j = active[b]
            for v in range(m):
                for w in range(m):
                    C[i, j, v, w] += (
                        beta[i, v] * (R[v, w] * beta[j, w] - C[r, j, v, w])
                        - C[i, r, v, w] * beta[j, w]
                    )
            if i != j:
                for v in range(m):
                    for w in range(m):
                        C[j, i, v, w] = C[i, j, w, v]


@njit(**OPTIONS)
def shrinkage_of_variables(C, shrinkage, n_samples):
    """Shrinkage (p,) of every variable: `LIFT` at least where its views are near singular.

    All fits of one variable are shrunk alike, so that their determinants can be compared.
    """
    p, m = C.shape[0], C.shape[2]
    amounts, scale, U = np.full(p, shrinkage), np.empty(m), np.empty((m, m))
    for j in range(p):
        _, lifted = factor(C[j, j], shrinkage, n_samples, scale, U)
        if lifted and shrinkage < LIFT:
            amounts[j] = LIFT
    return amounts


@njit(**OPTIONS)
def _residual(X, XY, Y, b, out):
    """Covariance over views of ``y - b x``."""
    m = len(b)
    for v in range(m):
        for w in range(m):
            out[v, w] = Y[v, w] - b[v] * XY[v, w] - b[w] * XY[w, v] + b[v] * b[w] * X[v, w]


@njit(**OPTIONS)
def _fit_pair(X, XY, Y, steps, shrinkage, n_samples, b, S, scale, U, V):
    """Slopes of y on x: least squares, then `steps` of reweighting; log det of the residuals."""
    m = len(b)
    for v in range(m):
        b[v] = XY[v, v] / X[v, v]
    _residual(X, XY, Y, b, S)
    log_det, lifted = factor(S, shrinkage, n_samples, scale, U)
    for _ in range(steps):
        weight = _inverse(U, scale, V)
        for v in range(m):
            b[v] = 0.0
            for w in range(m):
                b[v] += weight[v, w] * XY[v, w]
                S[v, w] = weight[v, w] * X[v, w]
        _cholesky(S)
        _solve_factored(S, b)
        _residual(X, XY, Y, b, S)
        log_det, again = factor(S, shrinkage, n_samples, scale, U)
        lifted = lifted or again
    return log_det, lifted


@njit(**OPTIONS)
def pair_likelihoods(C, active, steps, shrinkage, n_samples, own, residual, slopes):
    """Gaussian fit of every ordered pair of variables, all views together.

    Parameters
    ----------
    C : ndarray of shape (p, p, m, m)
    active : ndarray of int
        Variables to compare.
    steps : int
        Reweighting steps of the slopes; 0 is least squares in each view.
    shrinkage, n_samples
        As in `factor`.
    own : ndarray of shape (p,)
        Filled with ``log det cov(x_i)``.
    residual : ndarray of shape (p, p)
        Filled with ``log det cov(x_j - b x_i)`` at [i, j].
    slopes : ndarray of shape (p, p, m)
        Filled with b at [i, j].

    Returns
    -------
    n_lifted : int
        Covariances that were near singular.
    """
    m = C.shape[2]
    S, U, V = np.empty((m, m)), np.empty((m, m)), np.empty((m, m))
    scale, amounts = np.empty(m), np.empty(len(own))
    n_lifted = 0
    for i in active:
        own[i], lifted = factor(C[i, i], shrinkage, n_samples, scale, U)
        # Fits that are compared are shrunk alike: a shrunk determinant is larger than a raw one.
        amounts[i] = LIFT if lifted and shrinkage < LIFT else shrinkage
        n_lifted += lifted
    for i in active:
        for j in active:
            if i == j:
                continue
            residual[i, j], lifted = _fit_pair(
                C[i, i],
                C[i, j],
                C[j, j],
                steps,
                max(amounts[i], amounts[j]),
                n_samples,
                slopes[i, j],
                S,
                scale,
                U,
                V,
            )
            n_lifted += lifted
    return n_lifted


@njit(**OPTIONS)
def row_residual(C, j, parents, t, out):
    """Fill the covariance over views of ``x_j - sum_a t[a] x_parents[a]``, strengths t (k, m)."""
    m, half = C.shape[2], np.zeros(C.shape[2:])
    for a in range(len(parents)):
        cross, square = C[parents[a], j], C[parents[a], parents[a]]
        for v in range(m):
            for w in range(m):
                half[v, w] += t[a, v] * (0.5 * t[a, w] * square[v, w] - cross[v, w])
        for b in range(a):
            pair = C[parents[a], parents[b]]
            for v in range(m):
                for w in range(m):
                    half[v, w] += t[a, v] * (t[b, w] * pair[v, w])
    for v in range(m):
        for w in range(m):
            out[v, w] = C[j, j, v, w] + half[v, w] + half[w, v]


@njit(**OPTIONS)
def normal_equations(C, j, parents, weight, H, rhs):
    """Fill the system of the strengths of j (k, m), flattened: H in its upper triangle alone.

    ``H[a m + v, b m + w] = weight[v, w] C[parents[a], parents[b], v, w]``.
    """
    m, k = C.shape[2], len(parents)
    for a in range(k):
        cross = C[parents[a], j]
        for v in range(m):
            rhs[a * m + v] = np.dot(weight[v], cross[v])
            for b in range(a, k):
                pair = C[parents[a], parents[b]]
                for w in range(m):
                    H[a * m + v, b * m + w] = weight[v, w] * pair[v, w]


@njit(**OPTIONS)
def _row_least_squares(C, j, parents, t):
    m, k = C.shape[2], len(parents)
    G, h = np.empty((k, k)), np.empty(k)
    for v in range(m):
        for a in range(k):
            h[a] = C[parents[a], j, v, v]
            for b in range(k):
                G[a, b] = C[parents[a], parents[b], v, v]
        _cholesky(G)
        _solve_factored(G, h)
        for a in range(k):
            t[a, v] = h[a]


@njit(**OPTIONS)
def row_log_det(C, j, parents, rounds, shrinkage, n_samples):
    """Log determinant of the residuals of variable j given its parents, all views together.

    Parameters
    ----------
    C : ndarray of shape (p, p, m, m)
    j : int
    parents : ndarray of int
        The same in every view.
    rounds : int
        Rounds of generalised least squares after ordinary least squares.
    shrinkage, n_samples
        As in `factor`.

    Returns
    -------
    log_det : float
    lifted : bool
        Whether the covariance of the residuals was near singular.
    """
    m, k = C.shape[2], len(parents)
    S, U, V = np.empty((m, m)), np.empty((m, m)), np.empty((m, m))
    scale = np.empty(m)
    if k == 0:
        return factor(C[j, j], shrinkage, n_samples, scale, U)
    t = np.empty((k, m))
    _row_least_squares(C, j, parents, t)
    row_residual(C, j, parents, t, S)
    log_det, lifted = factor(S, shrinkage, n_samples, scale, U)
    H, flat = np.empty((k * m, k * m)), t.ravel()
    for _ in range(rounds):
        normal_equations(C, j, parents, _inverse(U, scale, V), H, flat)
        _cholesky(H)
        _solve_factored(H, flat)
        row_residual(C, j, parents, t, S)
        log_det, again = factor(S, shrinkage, n_samples, scale, U)
        lifted = lifted or again
    return log_det, lifted


@njit(**OPTIONS)
def all_row_log_dets(C, allowed, rounds, shrinkages, n_samples, out):
    """Fill ``out[j, set]`` with `row_log_det` for every variable and set of predecessors.

    `shrinkages` has one entry a variable. Bit q of `set` says whether q comes before j;
    `allowed[j, q]` whether q may be a parent of j.
    Entries with bit j set are left alone. Returns how many residual covariances were near singular.
    """
    p = C.shape[0]
    parents = np.empty(p, np.int64)
    n_lifted = 0
    for j in range(p):
        for members in range(1 << p):
            if members >> j & 1:
                continue
            k = 0
            for q in range(p):
                if members >> q & 1 and allowed[j, q]:
                    parents[k] = q
                    k += 1
            out[j, members], lifted = row_log_det(
                C, j, parents[:k], rounds, shrinkages[j], n_samples
            )
            n_lifted += lifted
    return n_lifted


@njit(**OPTIONS)
def best_orders(values, before):
    """Dynamic programme over sets: the two smallest sums of row values over orders.

    Parameters
    ----------
    values : ndarray of shape (p, 2**p)
        Value of variable j when the members of a set come before it.
    before : ndarray of bool, shape (p, p)
        ``before[a, b]``: a has to come before b.

    Returns
    -------
    best : ndarray of shape (2**p, 2)
        Smallest and second smallest value of ordering each set first; inf where there is none.
    last : ndarray of int, shape (2**p,)
        Last variable of the best order of each set.
    """
    p = values.shape[0]
    best = np.full((1 << p, 2), np.inf)
    last = np.full(1 << p, -1, np.int64)
    best[0, 0] = 0.0
    for members in range(1, 1 << p):
        for j in range(p):
            if not members >> j & 1:
                continue
            earlier = members ^ (1 << j)
            allowed = True
            for q in range(p):
                if before[q, j] and not earlier >> q & 1:
                    allowed = False
            if not allowed:
                continue
            for rank in range(2):
                value = best[earlier, rank] + values[j, earlier]
                if value < best[members, 0]:
                    best[members, 1] = best[members, 0]
                    best[members, 0] = value
                    last[members] = j
                elif value < best[members, 1]:
                    best[members, 1] = value
    return best, last
