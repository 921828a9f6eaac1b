"""Preconditioner of the joint solver: all 2m x 2m pair blocks in one compiled pass.

Every block is ``[[diag(h_ab) - g_a c_b c_b^T, I], [I, diag(h_ba) - g_b c_a c_a^T]]``: two by two
blocks per view plus a rank-two coupling between views, inverted by Woodbury's formula and kept
positive definite.
"""

import math

import numpy as np
from numba import njit

OPTIONS = {"cache": True, "nogil": True, "fastmath": {"contract"}, "error_model": "numpy"}
TINY = 1e-12


@njit(**OPTIONS)
def one_factor(k, q):
    """Fit ``E[y_ub y_vb] ~ diag(d_b) + c_b c_b^T`` to its diagonal k and row means q, (m, p)."""
    m, p = k.shape
    c = np.zeros((m, p))
    d = np.empty((m, p))
    for b in range(p):
        shared = 0.0
        for v in range(m):
            c[v, b] = max(q[v, b] - k[v, b] / m, 0.0)
            shared += c[v, b]
        o = c[:, b].copy()
        scale = math.sqrt(m / max(shared, TINY)) if m > 1 else 0.0
        for v in range(m):
            c[v, b] *= scale
        for _ in range(10 if m > 1 else 0):
            total = 0.0
            for v in range(m):
                total += c[v, b]
            squares = 0.0
            moved = 0.0
            for v in range(m):
                c[v, b] = m * o[v] / max(total - c[v, b], TINY)
                moved += c[v, b]
                squares += c[v, b] * c[v, b]
            scale = math.sqrt(m * shared / max(moved * moved - squares, TINY))
            for v in range(m):
                c[v, b] *= scale
        for v in range(m):
            c[v, b] = min(c[v, b], math.sqrt(k[v, b]))
            d[v, b] = max(k[v, b] - c[v, b] * c[v, b], 0.0)
    return c, d


@njit(**OPTIONS)
def _largest_eigenvalue(a, b, c):
    """Of the symmetric ``[[a, b], [b, c]]``."""
    return 0.5 * (a + c + math.sqrt((a - c) * (a - c) + 4.0 * b * b))


@njit(**OPTIONS)
def _shrink(largest, damping):
    """Factor on the coupling that keeps the block positive definite with a margin of `damping`."""
    return (1.0 - damping) / largest if largest > 1.0 - damping else 1.0


@njit(**OPTIONS)
def _pair(G, a, b, h, c, gamma, damping, work, out):
    m = G.shape[0]
    h1, h2, z1, z2, inverses = work
    M11 = M22 = M12 = r1 = r2 = 0.0
    for v in range(m):
        ab, ba = h[v, a, b], h[v, b, a]
        lift = damping_floor(damping) - 0.5 * (ab + ba - math.sqrt((ab - ba) * (ab - ba) + 4.0))
        if lift > 0.0:
            ab += lift
            ba += lift
        inverse = 1.0 / (ab * ba - 1.0)
        h1[v], h2[v] = ab * inverse, ba * inverse
        ca, cb = c[v, a], c[v, b]
        z1[v] = h2[v] * G[v, a, b] - inverse * G[v, b, a]
        z2[v] = h1[v] * G[v, b, a] - inverse * G[v, a, b]
        M11 += cb * cb * h2[v]
        M22 += ca * ca * h1[v]
        M12 -= ca * cb * inverse
        r1 += cb * z1[v]
        r2 += ca * z2[v]
        inverses[v] = inverse
    ga, gb = gamma[a], gamma[b]
    pa, pb = max(ga, 0.0), max(gb, 0.0)
    factor = _shrink(_largest_eigenvalue(pa * M11, math.sqrt(pa * pb) * M12, pb * M22), damping)
    ga *= factor
    gb *= factor
    a11, a12, a21, a22 = 1.0 - ga * M11, -ga * M12, -gb * M12, 1.0 - gb * M22
    determinant = a11 * a22 - a12 * a21
    x1 = (a22 * ga * r1 - a12 * gb * r2) / determinant
    x2 = (a11 * gb * r2 - a21 * ga * r1) / determinant
    for v in range(m):
        ca, cb, inverse = c[v, a] * x2, c[v, b] * x1, inverses[v]
        out[v, a, b] = z1[v] + h2[v] * cb - inverse * ca
        out[v, b, a] = z2[v] + h1[v] * ca - inverse * cb


@njit(**OPTIONS)
def damping_floor(damping):
    """Smallest eigenvalue allowed in a view's own block."""
    return max(0.01, damping)


@njit(**OPTIONS)
def _diagonal(G, a, own, c, q, gamma, radial, power, damping, out):
    """Scales of component a: ``diag(own) - gamma c c^T - radial b b^T``, b = q / power."""
    m = G.shape[0]
    M11 = M12 = M22 = r1 = r2 = 0.0
    for v in range(m):
        inverse = 1.0 / own[v]
        b = q[v, a] / power
        z = G[v, a, a] * inverse
        M11 += c[v, a] * c[v, a] * inverse
        M12 += c[v, a] * b * inverse
        M22 += b * b * inverse
        r1 += c[v, a] * z
        r2 += b * z
    s1, s2 = gamma, radial
    p1, p2 = max(s1, 0.0), max(s2, 0.0)
    factor = _shrink(_largest_eigenvalue(p1 * M11, math.sqrt(p1 * p2) * M12, p2 * M22), damping)
    s1 *= factor
    s2 *= factor
    a11, a12, a21, a22 = 1.0 - s1 * M11, -s1 * M12, -s2 * M12, 1.0 - s2 * M22
    determinant = a11 * a22 - a12 * a21
    x1 = (a22 * s1 * r1 - a12 * s2 * r2) / determinant
    x2 = (a11 * s2 * r2 - a21 * s1 * r1) / determinant
    for v in range(m):
        out[v, a, a] = (G[v, a, a] + c[v, a] * x1 + q[v, a] / power * x2) / own[v]


@njit(**OPTIONS)
def precondition(G, k, q, slope, slope_square, power, noise, damping):
    """Apply the inverse of the approximate joint curvature to a relative gradient.

    Parameters
    ----------
    G : ndarray of shape (m, p, p)
        Relative gradient, or the vector left by the first loop of L-BFGS.
    k, q : ndarray of shape (m, p)
        ``E[y_vb^2]`` and ``E[ybar_b y_vb]``.
    slope, slope_square, power : ndarray of shape (p,)
        ``E[psi'(ybar_a)]``, ``E[psi'(ybar_a) ybar_a^2]`` and ``E[ybar_a^2]``.
    noise : float
        Noise variance of the model.
    damping : float
        Levenberg-Marquardt damping of the direction that all views share, in (0, 1).

    Returns
    -------
    D : ndarray of shape (m, p, p)
        Positive definite, symmetric linear function of G.
    """
    m, p = k.shape
    c, d = one_factor(k, q)
    gamma = 1.0 / (m * noise) - slope / m**2
    h = np.empty((m, p, p))
    for v in range(m):
        for a in range(p):
            for b in range(p):
                h[v, a, b] = k[v, b] / noise - gamma[a] * d[v, b]
    out = np.empty((m, p, p))
    work = np.empty((5, m))
    work_own = np.empty(m)
    for a in range(p):
        for b in range(a + 1, p):
            _pair(G, a, b, h, c, gamma, damping, work, out)
        for v in range(m):
            work_own[v] = max(h[v, a, a] + 1.0, damping_floor(damping))
        radial = (slope[a] * power[a] - slope_square[a]) / m**2
        _diagonal(G, a, work_own, c, q, gamma[a], radial, power[a], damping, out)
    return out
