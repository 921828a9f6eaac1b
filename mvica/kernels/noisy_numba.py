"""Newton direction of the noisy shared-source likelihood: all views and noises in one pass.

At independent components the Hessian splits into a system for every pair of components and one for
the scales and noises of every component. Each couples the views by a few rank-one terms only, so
that both are solved exactly in a time proportional to the number of views.
"""

import math

import numpy as np
from numba import njit

OPTIONS = {"cache": True, "nogil": True, "fastmath": {"contract"}, "error_model": "numpy"}
LOWEST_EIGENVALUE = 1e-3  # of a view's own two by two block of a pair
COMMON_SCALE = 0.75  # share of its Gaussian value 2/(1 + nubar)^2 that the common scale keeps, / 2
FIRST_SHIFT = 1e-3  # of the diagonal of a system that is not positive definite
MAX_SHIFTS = 20


@njit(**OPTIONS)
def _pair(G, a, b, d, r, V, tau, free, floor, work, out):
    """Solve for all (ab, ba) entries, by Woodbury's formula on two by two blocks."""
    m = len(d)
    u, w = math.sqrt(V[a] * tau[b]), math.sqrt(V[b] * tau[a])
    k11 = k12 = k22 = s1 = s2 = 0.0
    for v in range(m):
        if not free[v]:
            continue
        ra, rb = r[v, a], r[v, b]
        ab = d[v, b] * ra - V[a] * max(d[v, b] - tau[b], 0.0) * ra * ra
        ba = d[v, a] * rb - V[b] * max(d[v, a] - tau[a], 0.0) * rb * rb
        lowest = 0.5 * (ab + ba - math.sqrt((ab - ba) * (ab - ba) + 4.0))
        lift = max(LOWEST_EIGENVALUE - lowest, 0.0)
        ab += lift
        ba += lift
        inverse = 1.0 / (ab * ba - 1.0)
        h1, h2 = ab * inverse, ba * inverse
        u_v, w_v = u * ra, w * rb
        z1 = h2 * G[v, a, b] - inverse * G[v, b, a]
        z2 = h1 * G[v, b, a] - inverse * G[v, a, b]
        k11 += u_v * u_v * h2
        k22 += w_v * w_v * h1
        k12 -= u_v * w_v * inverse
        s1 += u_v * z1
        s2 += w_v * z2
        work[0, v], work[1, v], work[2, v] = h1, h2, inverse
        work[3, v], work[4, v] = z1, z2
    t1, t2 = _solve_coupling(k11, k12, k22, s1, s2, floor)
    for v in range(m):
        if not free[v]:
            continue
        u_v, w_v = u * r[v, a] * t1, w * r[v, b] * t2
        h1, h2, inverse = work[0, v], work[1, v], work[2, v]
        out[v, a, b] = work[3, v] + h2 * u_v - inverse * w_v
        out[v, b, a] = work[4, v] - inverse * u_v + h1 * w_v


@njit(**OPTIONS)
def _solve_coupling(k11, k12, k22, s1, s2, floor):
    """Solve ``(I - [[k11, k12], [k12, k22]]) t = s`` with eigenvalues of `floor` or more."""
    half, mean = 0.5 * (k11 - k22), 1.0 - 0.5 * (k11 + k22)
    radius = math.sqrt(half * half + k12 * k12)
    low = max(mean - radius, floor)
    high = max(mean + radius, floor)
    if radius == 0.0:
        return s1 / low, s2 / low
    # Projector on the eigenvector of `low`: that of the largest eigenvalue of k.
    c, s = half / radius, k12 / radius
    x1 = 0.5 * ((1.0 + c) * s1 + s * s2)
    x2 = 0.5 * (s * s1 + (1.0 - c) * s2)
    return x1 / low + (s1 - x1) / high, x2 / low + (s2 - x2) / high


@njit(**OPTIONS)
def _blocks(a, d, r, V, curvature, nubar, free, fixed, D, U, C):
    """Fill the system ``D + U C U^T`` of component a; fixed noises keep a unit diagonal."""
    total = noisy = guarded = length = 0.0
    for v in range(len(d)):
        x = V[a] * r[v, a]
        moves = 0.0 if fixed[v, a] else 1.0
        D[v, 0] = d[v, a] * r[v, a] + 1.0 - x
        D[v, 1] = -(1.0 - x) * moves
        D[v, 2] = 0.5 * (1.0 - 2.0 * x) if moves else 1.0
        U[v, 0, 0], U[v, 0, 1], U[v, 0, 2] = r[v, a], 0.0, 1.0
        U[v, 1, 0], U[v, 1, 1], U[v, 1, 2] = 0.0, moves * r[v, a], 2.0 * moves
        if free[v]:
            total += r[v, a]
            noisy += moves * r[v, a]
            guarded += D[v, 0] + 4.0 * D[v, 1] + 4.0 * moves * D[v, 2]
            length += 1.0 + 4.0 * moves
    C[:] = 0.0
    C[0, 0], C[1, 1] = -curvature[a], 0.5 * V[a] * V[a]
    guarded += C[0, 0] * total * total + 4.0 * C[1, 1] * noisy * noisy
    C[2, 2] = max(COMMON_SCALE / (1.0 + nubar[a]) ** 2 - guarded, 0.0) / (length * length)


@njit(**OPTIONS)
def _eliminate(D, U, C, shift, free, factors):
    """Factor ``D + shift + U C U^T`` view by view; False if it is not positive definite.

    Row v of `factors` keeps the inverse of the pivot (3), then ``C_v U_v^T`` (6).
    """
    C = C.copy()
    F = np.empty((3, 2))
    for v in range(len(D)):
        if not free[v]:
            continue
        for i in range(3):
            for j in range(2):
                F[i, j] = C[i, 0] * U[v, j, 0] + C[i, 1] * U[v, j, 1] + C[i, 2] * U[v, j, 2]
        p11, p12, p22 = D[v, 0] + shift, D[v, 1], D[v, 2] + shift
        for i in range(3):
            p11 += U[v, 0, i] * F[i, 0]
            p12 += U[v, 0, i] * F[i, 1]
            p22 += U[v, 1, i] * F[i, 1]
        determinant = p11 * p22 - p12 * p12
        if not (p11 > 0.0 and determinant > 1e-12 * p11 * abs(p22)):
            return False
        i11, i12, i22 = p22 / determinant, -p12 / determinant, p11 / determinant
        for i in range(3):
            x, y = F[i, 0] * i11 + F[i, 1] * i12, F[i, 0] * i12 + F[i, 1] * i22
            for j in range(3):
                C[i, j] -= x * F[j, 0] + y * F[j, 1]
            factors[v, 3 + 2 * i], factors[v, 4 + 2 * i] = F[i, 0], F[i, 1]
        factors[v, 0], factors[v, 1], factors[v, 2] = i11, i12, i22
    return True


@njit(**OPTIONS)
def _substitute(U, factors, free, x):
    """Solve in place for the right-hand side x (m, 2)."""
    s = np.zeros(3)
    for v in range(len(x)):
        if not free[v]:
            continue
        f = factors[v]
        e, n = x[v, 0], x[v, 1]
        for i in range(3):
            e -= U[v, 0, i] * s[i]
            n -= U[v, 1, i] * s[i]
        x[v, 0], x[v, 1] = f[0] * e + f[1] * n, f[1] * e + f[2] * n
        for i in range(3):
            s[i] += f[3 + 2 * i] * x[v, 0] + f[4 + 2 * i] * x[v, 1]
    s[:] = 0.0
    for v in range(len(x) - 1, -1, -1):
        if not free[v]:
            continue
        f = factors[v]
        e = f[3] * s[0] + f[5] * s[1] + f[7] * s[2]
        n = f[4] * s[0] + f[6] * s[1] + f[8] * s[2]
        x[v, 0] -= f[0] * e + f[1] * n
        x[v, 1] -= f[1] * e + f[2] * n
        for i in range(3):
            s[i] += U[v, 0, i] * x[v, 0] + U[v, 1, i] * x[v, 1]


@njit(**OPTIONS)
def pair_steps(G, d, r, V, tau, free, floor, out):
    """Fill the off-diagonal entries of the inverse Hessian times G.

    Parameters
    ----------
    G : ndarray of shape (m, p, p)
        Right-hand side: minus the relative gradient, for a Newton step.
    d, r : ndarray of shape (m, p)
        ``E[y_vj^2]`` and noise precisions.
    V, tau : ndarray of shape (p,)
        Mean posterior variances, and signal powers ``E[ybar_j^2] - nubar_j``.
    free : ndarray of bool, shape (m,)
        Views that may move.
    floor : float
        Smallest eigenvalue, in (0, 1), left to the direction that all views share.
    out : ndarray of shape (m, p, p)
        Entries of other views are left alone.
    """
    m, p = d.shape
    work = np.empty((5, m))
    for a in range(p):
        for b in range(a + 1, p):
            _pair(G, a, b, d, r, V, tau, free, floor, work, out)


@njit(**OPTIONS)
def scale_and_noise_steps(G, g, d, r, V, curvature, nubar, free, fixed, out, delta):
    """Fill the diagonals of `out` (m, p, p) and the steps of the log noises `delta` (m, p).

    Parameters
    ----------
    G, g : ndarray of shape (m, p, p) and (m, p)
        Right-hand sides, of the diagonals of G and of the log noises.
    d, r, V, free
        As in `pair_steps`.
    curvature : ndarray of shape (p,)
        ``E[pvar ybar^2] - E[pvar] nubar``, clipped at 0.
    nubar : ndarray of shape (p,)
        Noise variances of the weighted means.
    fixed : ndarray of bool, shape (m, p)
        Noises that stay.
    out, delta : ndarray
        Entries of views that are not free are left alone.
    """
    m, p = d.shape
    D, U, C = np.empty((m, 3)), np.empty((m, 2, 3)), np.empty((3, 3))
    factors, x = np.empty((m, 9)), np.empty((m, 2))
    for a in range(p):
        _blocks(a, d, r, V, curvature, nubar, free, fixed, D, U, C)
        shift = 0.0
        for k in range(MAX_SHIFTS):
            if _eliminate(D, U, C, shift, free, factors):
                break
            shift = FIRST_SHIFT * 4.0**k
        for v in range(m):
            x[v, 0], x[v, 1] = G[v, a, a], 0.0 if fixed[v, a] else g[v, a]
        _substitute(U, factors, free, x)
        for v in range(m):
            if free[v]:
                out[v, a, a], delta[v, a] = x[v, 0], x[v, 1]
