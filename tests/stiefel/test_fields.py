"""Landing fields and their steps: every formula by finite differences or brute force."""

from itertools import combinations

import numpy as np
import pytest

from mvica.stiefel.fields import (
    congruence_field,
    gram_defect,
    pair_scores,
    residual_dual,
    residual_field,
)
from mvica.stiefel.rayleigh_ritz import rayleigh_ritz
from mvica.stiefel.safe_step import (
    batch_length,
    defect_curve,
    orthogonal_safe_step,
    safe_step,
)
from mvica.testing import check_gradient

D, P = 12, 4


def positive(rng, d=D):
    Q = rng.standard_normal((d, d))
    return Q @ Q.T + 0.1 * np.eye(d)


@pytest.fixture
def setting():
    """A pair (A, B), a preconditioner, and a point off the manifold."""
    rng = np.random.default_rng(0)
    A, B, metric = positive(rng), positive(rng), positive(rng)
    U = rng.standard_normal((D, P)) / 3
    return A, B, metric, U


def preconditioners(B, metric):
    return {"identity": np.eye(D), "inverse": np.linalg.inv(B), "any": metric}


def top(A, B, q=P):
    values, vectors = np.linalg.eig(np.linalg.solve(B, A))
    order = np.argsort(-values.real)[:q]
    V = vectors[:, order].real
    return V @ np.linalg.inv(np.linalg.cholesky(V.T @ B @ V)).T


def test_gradient_of_the_penalty_is_m_times_d(setting):
    _, B, _, U = setting
    penalty = lambda U: np.linalg.norm(U.T @ B @ U - np.eye(P)) ** 2 / 4  # noqa: E731
    check_gradient(penalty, U, lambda U: B @ U @ gram_defect(U, B @ U)[1], tol=1e-9)


@pytest.mark.parametrize("name", ["identity", "inverse", "any"])
def test_tangent_part_leaves_the_constraint_and_lowers_the_objective(setting, name):
    A, B, metric, U = setting
    apply_P = preconditioners(B, metric)[name].__matmul__
    M, G = B @ U, -A @ U
    _, defect = gram_defect(U, M)
    field = congruence_field(G, M, defect, apply_P)
    size = np.linalg.norm(field.P_tangent) * np.linalg.norm(M @ defect)
    assert abs(np.vdot(field.P_tangent, M @ defect)) < 1e-13 * size
    assert np.vdot(field.P_tangent, G) > 0
    assert np.vdot(field.P_normal, M @ defect) > 0
    K = M.T @ apply_P(M)
    H = M.T @ field.direction(0.7)
    np.testing.assert_allclose(H + H.T, 0.7 * (K @ defect + defect @ K), rtol=1e-10)


def test_descent_is_the_norm_of_a_skew_matrix(setting):
    A, B, metric, U = setting
    M, G = B @ U, -A @ U
    field = congruence_field(G, M, gram_defect(U, M)[1], metric.__matmul__)
    root = np.linalg.cholesky(metric).T
    skew = root @ G @ M.T @ root.T
    expected = np.linalg.norm((skew - skew.T) / 2) ** 2 / field.metric
    assert np.vdot(field.P_tangent, G) == pytest.approx(expected, rel=1e-11)


def test_congruence_field_with_the_inverse_is_the_field_in_the_metric_of_b(setting):
    A, B, _, U = setting
    M, G = B @ U, -A @ U
    C, defect = gram_defect(U, M)
    inverse = np.linalg.inv(B)
    field = congruence_field(G, M, defect, inverse.__matmul__)
    scale = np.linalg.eigvalsh(C)[-1]
    tangent = 0.5 * (inverse @ G @ C - U @ (G.T @ U)) / scale
    np.testing.assert_allclose(field.P_tangent, tangent, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(field.P_normal, U @ defect, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", ["identity", "inverse", "any"])
def test_fields_do_not_know_units(setting, name):
    A, B, metric, U = setting
    Q = preconditioners(B, metric)[name]
    a, b = 1e-5, 1e7

    def direction(field):
        return field.direction(field.balanced_omega)

    M, G = B @ U, -A @ U
    small = U / np.sqrt(b)
    for make in (
        lambda G, M, U, Q: congruence_field(G, M, gram_defect(U, M)[1], Q.__matmul__),
        lambda G, M, U, Q: residual_field(G, M, U, U.T @ M, Q.__matmul__),
    ):
        one = direction(make(G, M, U, Q))
        other = direction(make(-a * A @ small, b * B @ small, small, Q / b))
        np.testing.assert_allclose(other, one * a / b**1.5, rtol=1e-9)


@pytest.mark.parametrize("name", ["identity", "inverse", "any"])
def test_residual_field_vanishes_at_eigenvectors_in_any_rotation(setting, name):
    A, B, metric, _ = setting
    rng = np.random.default_rng(1)
    U = top(A, B) @ np.linalg.qr(rng.standard_normal((P, P)))[0]
    apply_P = preconditioners(B, metric)[name].__matmul__
    field = residual_field(-A @ U, B @ U, U, U.T @ B @ U, apply_P)
    assert np.linalg.norm(field.direction(1.0)) < 1e-9 * np.linalg.norm(apply_P(A @ U))
    assert np.linalg.norm(field.P_tangent) < 1e-9 * np.linalg.norm(apply_P(A @ U))


def test_residual_field_has_no_other_equilibrium(setting):
    """``U^T L`` is a skew matrix plus ``omega C D``: where L vanishes, so does D, for any P."""
    A, B, _, U = setting
    M, G = B @ U, -A @ U
    C, defect = gram_defect(U, M)
    tangent, normal = residual_dual(G, M, C, G.T @ U)
    skew = U.T @ tangent
    np.testing.assert_allclose(skew, -skew.T, atol=1e-12 * np.abs(skew).max())
    np.testing.assert_allclose(U.T @ normal, C @ defect, rtol=1e-10)


@pytest.mark.parametrize("name", ["identity", "inverse", "any"])
def test_residual_field_attracts_to_the_top_eigenvectors_only(setting, name):
    A, B, metric, _ = setting
    apply_P = preconditioners(B, metric)[name].__matmul__
    V = top(A, B, P + 1)
    omega = V[:, 0] @ A @ V[:, 0]  # a tenth of it is not enough for any P

    def curvatures(U):
        """Real parts of the eigenvalues of the field's derivative, by central differences."""
        h, columns = 1e-5 * np.linalg.norm(U), []
        for E in np.eye(U.size).reshape(-1, *U.shape):
            ahead, behind = (
                residual_field(-A @ V, B @ V, V, V.T @ B @ V, apply_P).direction(omega)
                for V in (U + h * E, U - h * E)
            )
            columns.append((ahead - behind).ravel() / (2 * h))
        values = np.linalg.eigvals(np.array(columns).T).real
        return np.sort(values) / np.abs(values).max()

    leading = curvatures(V[:, :P])
    rotations = P * (P - 1) // 2
    np.testing.assert_allclose(leading[:rotations], 0, atol=1e-6)
    assert leading[rotations] > 1e-6
    assert curvatures(V[:, 1:])[0] < -1e-6


def test_defect_along_a_step_is_the_polynomial(setting):
    A, B, metric, U = setting
    M, G = B @ U, -A @ U
    defect = gram_defect(U, M)[1]
    F = congruence_field(G, M, defect, metric.__matmul__).direction(0.3)
    curve = defect_curve(defect, M, F, B @ F)
    for eta in (0.0, 1e-3, 0.7):
        moved = U - eta * F
        exact = moved.T @ B @ moved - np.eye(P)
        np.testing.assert_allclose(curve.at(eta), exact, atol=1e-13 * np.abs(exact).max())
    length = np.sqrt(np.linalg.eigvalsh(F.T @ B @ F)[-1])
    assert curve.length == pytest.approx(length)


def test_safe_step_keeps_the_defect_within_reach(setting):
    A, B, metric, U = setting
    for scale in (0.1, 1.0):
        M, G = B @ (scale * U), -A @ (scale * U)
        defect = gram_defect(scale * U, M)[1]
        F = congruence_field(G, M, defect, metric.__matmul__).direction(1.0)
        curve = defect_curve(defect, M, F, B @ F)
        eta = safe_step(curve, 1e3, 0.5)
        limit = max(0.5, np.linalg.norm(defect))
        assert 0 < eta < 1e3
        assert np.linalg.norm(curve.at(eta)) <= limit < np.linalg.norm(curve.at(2 * eta))


def test_closed_form_step_is_safe_for_the_identity():
    rng = np.random.default_rng(0)
    for defect_size in (1e-3, 0.2, 0.45):
        U = np.linalg.qr(rng.standard_normal((D, P)))[0]
        root = rng.standard_normal((P, P))
        root = root + root.T
        values, vectors = np.linalg.eigh(root / np.linalg.norm(root) * defect_size)
        U = U @ (vectors * np.sqrt(1 + values)) @ vectors.T
        G = 50 * rng.standard_normal((D, P))
        C, defect = gram_defect(U, U)
        tangent, normal = 0.5 * (G @ C - U @ (G.T @ U)), U @ defect
        for omega in (0.01, 1.0, 100.0):
            F = tangent + omega * normal
            eta = orthogonal_safe_step(np.linalg.norm(F), np.linalg.norm(defect), omega)
            moved = U - eta * F
            assert np.linalg.norm(moved.T @ moved - np.eye(P)) < 0.5 + 1e-12


def batch_dual(x, y, U, V, omega, rho):
    """The plug-in residual dual of the first view of CCA."""
    a, b = x @ U, y @ V
    G, M = -x.T @ b / len(x), x.T @ a / len(x) + rho * U
    tangent, normal = residual_dual(G, M, U.T @ M, G.T @ U)
    return tangent + omega * normal


@pytest.mark.parametrize("rho", [0.0, 0.3])
def test_mean_over_all_pairs_of_samples_is_the_value_of_all(rho):
    rng = np.random.default_rng(0)
    x, y, U, V = (rng.standard_normal(s) for s in ((9, 5), (9, 4), (5, 2), (4, 2)))
    omega, R = 0.8, rho * U.T @ U

    def dual(rows):
        K, Q, _ = pair_scores(x[rows] @ U, y[rows] @ V, omega, R)
        return x[rows].T @ K / len(rows) + rho * U @ Q

    pairs = np.mean([dual(list(rows)) for rows in combinations(range(9), 2)], axis=0)
    np.testing.assert_allclose(dual(list(range(9))), pairs, atol=1e-14)


def test_pairs_are_unbiased_where_the_plug_in_is_not():
    """The mean over all batches of 3 of 7 equally likely rows, drawn with replacement."""
    rng = np.random.default_rng(1)
    x, y, U, V = (rng.standard_normal(s) for s in ((4, 3), (4, 2), (3, 2), (2, 2)))
    batches = np.array(np.meshgrid(*[range(4)] * 3)).reshape(3, -1).T
    unbiased = np.mean(
        [x[i].T @ pair_scores(x[i] @ U, y[i] @ V, 1.0)[0] / 3 for i in batches], axis=0
    )
    plug_in = np.mean([batch_dual(x[i], y[i], U, V, 1.0, 0.0) for i in batches], axis=0)
    truth = batch_dual(x, y, U, V, 1.0, 0.0)
    np.testing.assert_allclose(unbiased, truth, atol=1e-13)
    assert np.abs(plug_in - truth).max() > 0.1


def test_independent_batches_are_unbiased_too():
    """All triples of single-row batches: for the objective, for M and for C."""
    rng = np.random.default_rng(2)
    x, y, U, V = (rng.standard_normal(s) for s in ((4, 3), (4, 2), (3, 2), (2, 2)))
    G = [-np.outer(x[i], y[i] @ V) for i in range(4)]
    M = [np.outer(x[i], x[i] @ U) for i in range(4)]
    total = np.zeros((3, 2))
    for g in G:
        for m in M:
            for c in M:
                tangent, normal = residual_dual(g, m, U.T @ c, g.T @ U)
                total += tangent + normal
    np.testing.assert_allclose(total / 64, batch_dual(x, y, U, V, 1.0, 0.0), atol=1e-13)


def test_plug_in_bias_of_gaussian_batches_is_the_one_predicted():
    """Mean of the same-batch normal part at C = c I vanishes at c = 1 / (1 + (p + 1) / r)."""
    rng = np.random.default_rng(0)
    r, p = 20, 3
    c = 1 / (1 + (p + 1) / r)
    total, unbiased = np.zeros((p, p)), np.zeros((p, p))
    for _ in range(20_000):
        a = np.sqrt(c) * rng.standard_normal((r, p))
        C = a.T @ a / r
        total += C @ (C - np.eye(p))
        unbiased += a.T @ pair_scores(a, np.zeros_like(a), 1.0)[0] / r
    np.testing.assert_allclose(total / 20_000, 0, atol=5e-3)
    np.testing.assert_allclose(unbiased / 20_000, c * (c - 1) * np.eye(p), atol=5e-3)


def test_batch_length_is_the_spectral_norm():
    scores = np.random.default_rng(0).standard_normal((50, 3))
    assert batch_length(scores) == pytest.approx(np.linalg.norm(scores, 2) / np.sqrt(50))


def test_rayleigh_ritz_orders_normalises_and_is_best_in_the_span(setting):
    A, B, _, U = setting
    values, T = rayleigh_ritz(U, A @ U, B @ U)
    V = U @ T
    np.testing.assert_allclose(V.T @ B @ V, np.eye(P), atol=1e-12)
    np.testing.assert_allclose(V.T @ A @ V, np.diag(values), atol=1e-12)
    assert np.all(np.diff(values) < 0)
    leading = top(A, B)
    found, _ = rayleigh_ritz(leading, A @ leading, B @ leading)
    exact = np.sort(np.linalg.eigvals(np.linalg.solve(B, A)).real)[::-1][:P]
    np.testing.assert_allclose(found, exact, rtol=1e-9)
