"""The preconditioner against the matrices that it stands for, built and inverted by brute force."""

import numpy as np
import pytest

from mvica.kernels.pairs_numba import one_factor, precondition


def statistics(m, p, *, noise, seed=0):
    """Statistics of m views of p shared unit sources with noise variances around `noise`."""
    rng = np.random.default_rng(seed)
    gain = rng.uniform(2.5, 3.5, (m, p))
    variances = noise * rng.uniform(0.5, 1.5, (m, p)) * 4
    shared = gain.mean(axis=0)
    k = gain**2 + variances
    q = gain * shared + variances / m
    power = shared**2 + variances.mean(axis=0) / m
    slope = rng.uniform(0.2, 0.9, p)
    slope_square = slope * power * rng.uniform(0.3, 0.9, p)
    return k, q, slope, slope_square, power


def brute_force(k, q, slope, slope_square, power, noise, a, b):
    """Matrix of the pair (a, b), of order 2m, or of the scales of component a, of order m."""
    m = len(k)
    c, d = one_factor(k, q)
    gamma = 1 / (m * noise) - slope / m**2

    def block(of, other):
        """Curvature of E_{., of, other}: products of the sources `other`."""
        K = np.diag(d[:, other]) + np.outer(c[:, other], c[:, other])
        return np.diag(k[:, other]) / noise - gamma[of] * K

    if a != b:
        identity = np.eye(m)
        return np.block([[block(a, b), identity], [identity, block(b, a)]])
    regression = q[:, a] / power[a]
    radial = (slope_square[a] - slope[a] * power[a]) / m**2
    return block(a, a) + np.eye(m) + radial * np.outer(regression, regression)


@pytest.mark.parametrize("m", [2, 5, 20])
def test_inverts_the_pair_and_scale_matrices(m):
    p, noise = 3, 1.0
    values = statistics(m, p, noise=0.8)
    G = np.random.default_rng(1).standard_normal((m, p, p))
    D = precondition(G, *values, noise, 1e-8)
    for a in range(p):
        for b in range(a, p):
            H = brute_force(*values, noise, a, b)
            assert np.linalg.eigvalsh(H)[0] > 0.02, "the case must need no floor"
            x = D[:, a, a] if a == b else np.concatenate([D[:, a, b], D[:, b, a]])
            g = G[:, a, a] if a == b else np.concatenate([G[:, a, b], G[:, b, a]])
            np.testing.assert_allclose(H @ x, g, atol=1e-11)


@pytest.mark.parametrize("m", [1, 2, 5, 20])
@pytest.mark.parametrize("noise", [0.05, 1.0, 20.0])
@pytest.mark.parametrize("damping", [1e-8, 0.1, 0.5])
def test_symmetric_positive_definite(m, noise, damping):
    p = 4
    values = statistics(m, p, noise=0.5 if m > 1 else 0.0)
    rng = np.random.default_rng(2)
    for _ in range(20):
        G1, G2 = rng.standard_normal((2, m, p, p))
        D1 = precondition(G1, *values, noise, damping)
        D2 = precondition(G2, *values, noise, damping)
        assert np.vdot(G1, D1) > 0
        scale = np.linalg.norm(D1) * np.linalg.norm(G2)
        assert abs(np.vdot(G2, D1) - np.vdot(G1, D2)) < 1e-12 * scale


def test_one_factor_model_keeps_diagonal_and_total():
    k, q, *_ = statistics(6, 3, noise=0.5)
    c, d = one_factor(k, q)
    np.testing.assert_allclose(c**2 + d, k)
    total = c.sum(axis=0) ** 2 + d.sum(axis=0)
    np.testing.assert_allclose(total, 6 * q.sum(axis=0), rtol=1e-12)


def test_one_view_has_no_coupling():
    k = np.array([[1.0, 2.0]])
    c, d = one_factor(k, k)
    np.testing.assert_array_equal(c, 0)
    np.testing.assert_array_equal(d, k)
