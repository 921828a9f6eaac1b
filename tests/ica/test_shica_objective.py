"""Likelihood of noisy shared sources: value, gradient and curvature against their definitions."""

import functools

import numpy as np
import pytest
from scipy.stats import norm

from mvica.datasets import make_shica
from mvica.ica import Mixture
from mvica.ica.mixture import MIXTURES, source_densities
from mvica.ica.noisy_curvature import newton_direction
from mvica.ica.noisy_objective import (
    MixtureSources,
    NoisyObjective,
    Weighting,
    mean_log_likelihood,
)
from mvica.ica.shica_second_order import canonical_variates, scales_and_noises
from mvica.ica.stacked import StackedViews
from mvica.testing import check_gradient
from tests.ica.conftest import random_unmixings, stacked

SKEWED = Mixture([2.0, 1.0], [0.5, 2.0], [0.0, 1.5])
DENSITIES = {**MIXTURES, "skewed": SKEWED}
RNG_SEED = 3


def views_of(m, p, n, scenario="half"):
    return stacked(make_shica(scenario, m, n, p, random_state=0).views)[0]


def unknowns(m, p, seed=RNG_SEED):
    log_nu = np.random.default_rng(seed).normal(scale=0.7, size=(m, p))
    return random_unmixings(m, p, seed), log_nu


def density_of(mixture, s):
    parts = zip(mixture.weights, mixture.variances, mixture.means, strict=True)
    return sum(w * norm.pdf(s, mean, np.sqrt(variance)) for w, variance, mean in parts)


@pytest.mark.parametrize("density", DENSITIES)
def test_value_is_the_integral_over_the_source(density):
    """One component, three views: ``p(x) = prod |w_v| int p(s) prod N(w_v x_v; s, nu_v) ds``."""
    rng = np.random.default_rng(0)
    X, W = rng.standard_normal((3, 40)), np.array([1.3, -0.8, 0.5])
    nu = np.array([0.3, 1.0, 0.1])
    s = np.linspace(-14, 14, 20_001)[:, None, None]
    joint = density_of(DENSITIES[density], s[:, 0]) * np.prod(
        np.abs(W)[:, None] * norm.pdf(W[:, None] * X, s, np.sqrt(nu)[:, None]), axis=1
    )
    expected = -np.mean(np.log(np.trapezoid(joint, s[:, 0], axis=0)))
    objective = NoisyObjective(StackedViews(X, 3), source_densities(DENSITIES[density], 1))
    value = objective.evaluate(W[:, None, None], np.log(nu)[:, None]).value
    assert value + np.log(2 * np.pi) == pytest.approx(expected, rel=1e-8)
    score = mean_log_likelihood(
        [w * x[:, None] for w, x in zip(W, X, strict=True)],
        list(W[:, None, None]),
        nu[:, None],
        objective.densities,
    )
    assert score == pytest.approx(-expected, rel=1e-8)


@pytest.mark.parametrize("density", DENSITIES)
@pytest.mark.parametrize(("m", "p", "n"), [(2, 3, 200), (4, 3, 300), (6, 4, 20)])
def test_gradient(m, p, n, density):
    objective = NoisyObjective(views_of(m, p, n), source_densities(DENSITIES[density], p))

    def value(x):
        return objective.evaluate(*x).value

    def gradient(x):
        point = objective.point(*x)
        return [point.gradient, point.noise_gradient]

    def move(x, step):
        return [x[0] + step[0] @ x[0], x[1] + step[1]]

    check_gradient(value, list(unknowns(m, p)), gradient, retraction=move, tol=1e-7)


def test_gradient_is_the_expected_one_of_complete_data():
    """Fisher's identity, with posterior moments written out sample by sample."""
    views = views_of(4, 3, 300)
    objective = NoisyObjective(views, source_densities("heavy", 3))
    W, log_nu = unknowns(4, 3)
    point = objective.point(W, log_nu)
    Y = W @ views.Z.reshape(4, 3, -1)
    weighting = Weighting.of(np.exp(log_nu))
    ybar = np.einsum("va,vat->at", weighting.omega, Y)
    np.testing.assert_allclose(objective.weighted_means(point), ybar, atol=1e-12)
    S, sums = objective.densities.posterior(ybar, weighting.nubar)
    r = weighting.precisions
    relative = r[:, :, None] * np.mean((Y - S)[:, :, None] * Y[:, None], axis=3) - np.eye(3)
    np.testing.assert_allclose(point.gradient, relative, atol=1e-11)
    residual = np.mean((Y - S) ** 2, axis=2) + sums[:, 1]
    np.testing.assert_allclose(point.noise_gradient, 0.5 - 0.5 * r * residual, atol=1e-11)


def test_normal_sources_need_no_samples():
    views = views_of(4, 3, 300)
    by_moment = NoisyObjective(views, source_densities("gaussian", 3))
    by_samples = NoisyObjective(views, by_moment.densities)
    by_samples.sources = MixtureSources(views, by_moment.densities)
    a, b = (objective.point(*unknowns(4, 3)) for objective in (by_moment, by_samples))
    assert a.value == pytest.approx(b.value, rel=1e-13)
    np.testing.assert_allclose(a.gradient, b.gradient, atol=1e-12)
    np.testing.assert_allclose(a.noise_gradient, b.noise_gradient, atol=1e-12)


def test_one_view_cancels_its_noise():
    weighting = Weighting.of(np.zeros((1, 3)))
    assert weighting.log_terms == pytest.approx(0, abs=1e-14)
    np.testing.assert_allclose(weighting.omega, 1)


# Curvature -----------------------------------------------------------------------------------


@functools.cache
def truth(density):
    """The objective on many samples, at the unmixings and noises that made them."""
    rng, (m, p, n) = np.random.default_rng(0), (4, 3, 200_000)
    mixture = MIXTURES[density]
    atoms = rng.choice(len(mixture.weights), p=mixture.weights, size=(p, n))
    S = np.sqrt(mixture.variances)[atoms] * rng.standard_normal((p, n))
    nu, A = rng.uniform(0.1, 1.0, (m, p)), rng.standard_normal((m, p, p))
    noise = np.sqrt(nu)[:, :, None] * rng.standard_normal((m, p, n))
    views = StackedViews((A @ (S + noise)).reshape(m * p, n), m)
    return NoisyObjective(views, source_densities(density, p)), np.linalg.inv(A), np.log(nu)


def second_derivatives(density, move, delta, h=1e-4):
    """Hessian of the objective at the truth times a step, by differences of the gradient."""
    objective, W, log_nu = truth(density)
    ahead, behind = (objective.point(W + t * move @ W, log_nu + t * delta) for t in (h, -h))
    # Along W + t E W the relative gradient also turns with W: remove that part, G E^T.
    turn = objective.point(W, log_nu).gradient @ move.mT
    product = (ahead.gradient - behind.gradient) / (2 * h) - turn
    return product, (ahead.noise_gradient - behind.noise_gradient) / (2 * h)


@pytest.mark.parametrize("kind", ["pairs", "scales and noises"])
def test_direction_inverts_the_hessian_at_the_truth(kind):
    density = "heavy" if kind == "pairs" else "gaussian"
    objective, W, log_nu = truth(density)
    m, p = log_nu.shape
    G, g = np.random.default_rng(0).standard_normal((m, p, p)), np.zeros((m, p))
    if kind == "pairs":
        G *= 1 - np.eye(p)
    else:
        G, g = G * np.eye(p), np.random.default_rng(1).standard_normal((m, p))
    point, held = objective.point(W, log_nu), np.zeros((m, p), dtype=bool)
    move, delta = newton_direction(point, G, g, held, np.ones(m, dtype=bool))
    found = np.append(*(x.ravel() for x in second_derivatives(density, move, delta)))
    right = np.append(G.ravel(), g.ravel())
    assert np.linalg.norm(found - right) < 0.06 * np.linalg.norm(right)


@pytest.mark.parametrize("density", ["gaussian", "paper", "heavy"])
def test_blocks_are_those_of_the_hessian_at_the_truth(density):
    point = truth(density)[0].point(*truth(density)[1:])
    m, p = point.log_nu.shape
    columns = []
    for k in range(2 * m):
        move, delta = np.zeros((m, p, p)), np.zeros((m, p))
        (np.einsum("vaa->va", move) if k < m else delta)[k % m, 0] = 1
        product, noises = second_derivatives(density, move, delta)
        columns.append(np.append(product[:, 0, 0], noises[:, 0]))
    H = component_system(point, 0)
    assert np.abs(np.array(columns).T - H).max() < 0.01 * np.abs(H).max()
    columns = []
    for k in range(2 * m):
        move = np.zeros((m, p, p))
        move[(k % m, 0, 1) if k < m else (k % m, 1, 0)] = 1
        product = second_derivatives(density, move, np.zeros((m, p)))[0]
        columns.append(np.append(product[:, 0, 1], product[:, 1, 0]))
    H = pair_system(point, 0, 1)
    assert np.abs(np.array(columns).T - H).max() < 0.01 * np.abs(H).max()


def statistics(m, p, seed=0):
    """A point not far from the optimum, where the Hessian is positive definite."""
    views = views_of(m, p, 400)
    W, nu = scales_and_noises(views, canonical_variates(views, 0)[0])
    rng = np.random.default_rng(seed)
    W = W + 0.02 * rng.standard_normal(W.shape) @ W
    log_nu = np.log(np.clip(nu, 0.05, 20)) + rng.normal(scale=0.1, size=nu.shape)
    return NoisyObjective(views, source_densities("paper", p)).point(W, log_nu)


def pair_system(point, a, b):
    m, r, nubar = len(point.W), point.weighting.precisions, point.weighting.nubar
    d = np.einsum("vaa->va", point.K)
    V, tau = point.sums[:, 1], np.maximum(point.sums[:, 4] - nubar, 1e-3)

    def h(i, j):
        own = d[:, j] * r[:, i] - V[i] * np.maximum(d[:, j] - tau[j], 0) * r[:, i] ** 2
        return np.diag(own)

    u, w = np.sqrt(V[a] * tau[b]) * r[:, a], np.sqrt(V[b] * tau[a]) * r[:, b]
    return np.block([[h(a, b) - np.outer(u, u), np.eye(m)], [np.eye(m), h(b, a) - np.outer(w, w)]])


def component_system(point, a):
    r, nubar = point.weighting.precisions[:, a], point.weighting.nubar[a]
    V, c = point.sums[a, 1], max(point.sums[a, 3] - point.sums[a, 1] * nubar, 0)
    d = np.einsum("vaa->va", point.K)[:, a]
    scales = np.diag(d * r + 1 - V * r) - c * np.outer(r, r)
    noises = (np.diag(1 - 2 * V * r) + V**2 * np.outer(r, r)) / 2
    cross = -np.diag(1 - V * r)
    return np.block([[scales, cross], [cross, noises]])


def guarded(H, nubar, held):
    """The system with its least curvature along the common scale, held noises apart."""
    m = len(H) // 2
    keep = np.append(np.ones(m, dtype=bool), ~held)
    q = np.append(np.ones(m), np.where(held, 0.0, 2.0))
    H = np.where(np.outer(keep, keep), H, np.diag(np.where(keep, np.diag(H), 1.0)))
    lack = max(0.75 / (1 + nubar) ** 2 - q @ H @ q, 0)
    return H + lack * np.outer(q, q) / (q @ q) ** 2


@pytest.mark.parametrize("m", [3, 20])
def test_direction_solves_the_systems_it_stands_for(m):
    p = 3
    point = statistics(m, p)
    rng = np.random.default_rng(1)
    G, g = rng.standard_normal((m, p, p)), rng.standard_normal((m, p))
    held = rng.uniform(size=(m, p)) < 0.2
    move, delta = newton_direction(point, G, g, held, np.ones(m, dtype=bool))
    solved = 0
    for a in range(p):
        for b in range(a + 1, p):
            H = pair_system(point, a, b)
            if np.linalg.eigvalsh(H)[0] > 0.05:  # else floors come into play
                x = np.append(move[:, a, b], move[:, b, a])
                np.testing.assert_allclose(H @ x, np.append(G[:, a, b], G[:, b, a]), atol=1e-9)
                solved += 1
        H = guarded(component_system(point, a), point.weighting.nubar[a], held[:, a])
        if np.linalg.eigvalsh(H)[0] > 1e-6:
            x = np.append(move[:, a, a], delta[:, a])
            rhs = np.append(G[:, a, a], np.where(held[:, a], 0, g[:, a]))
            np.testing.assert_allclose(H @ x, rhs, atol=1e-8)
            solved += 1
    assert solved >= 4
    assert np.all(delta[held] == 0)


def test_direction_of_tied_noises_solves_their_system():
    m, p = 5, 3
    point = statistics(m, p)
    groups = np.tile(np.arange(m)[:, None], (1, p))
    rng = np.random.default_rng(1)
    G, g = rng.standard_normal((m, p, p)), rng.standard_normal((m, p))
    free = np.ones(m, dtype=bool)
    move, delta = newton_direction(point, G, g, np.zeros((m, p), dtype=bool), free, groups)
    np.testing.assert_allclose(delta, np.tile(delta[:, :1], (1, p)))
    # Unknowns: scales of all components, then one noise a view.
    H = np.zeros((m * p + m, m * p + m))
    for a in range(p):
        block = np.append(np.arange(a * m, (a + 1) * m), np.arange(p * m, (p + 1) * m))
        H[np.ix_(block, block)] += component_system(point, a)
    x = np.append(np.einsum("vaa->av", move).ravel(), delta[:, 0])
    rhs = np.append(np.einsum("vaa->av", G).ravel(), g.sum(axis=1))
    assert np.linalg.eigvalsh(H)[0] > 1e-2, "the case must need no floor"
    np.testing.assert_allclose(H @ x, rhs, atol=1e-9)


@pytest.mark.parametrize("m", [2, 3, 30])
@pytest.mark.parametrize("tied", [False, True])
def test_direction_is_symmetric_and_positive(m, tied):
    p = 3
    groups = np.tile(np.arange(m)[:, None], (1, p)) if tied else None
    rng = np.random.default_rng(2)
    free, held = np.ones(m, dtype=bool), np.zeros((m, p), dtype=bool)
    for seed in range(10):
        point = statistics(m, p, seed)

        def vector(move, delta):
            return np.append(move.ravel(), delta.ravel())

        rights = [(rng.standard_normal((m, p, p)), rng.standard_normal((m, p))) for _ in "12"]
        solved = [vector(*newton_direction(point, *x, held, free, groups)) for x in rights]
        first, second = (vector(*x) for x in rights)
        assert first @ solved[0] > 0
        size = np.linalg.norm(solved[0]) * np.linalg.norm(second)
        assert abs(second @ solved[0] - first @ solved[1]) < 1e-9 * size


def test_direction_leaves_views_that_are_not_free():
    point = statistics(3, 3)
    rng = np.random.default_rng(0)
    G, g = rng.standard_normal((3, 3, 3)), rng.standard_normal((3, 3))
    free = np.array([False, True, True])
    move, delta = newton_direction(point, G, g, np.tile(~free[:, None], (1, 3)), free)
    assert not move[0].any()
    assert not delta[0].any()
    assert np.abs(move[1:]).min() > 0


def test_direction_meets_a_view_of_overwhelming_weight():
    """One precise view makes a diagonal entry negative though the system is positive."""
    objective = NoisyObjective(views_of(3, 2, 300), source_densities("heavy", 2))
    log_nu = np.log([[0.01, 0.01], [2.0, 2.0], [2.0, 2.0]])
    point = objective.point(np.stack([np.eye(2)] * 3), log_nu)
    assert (1 - 2 * point.sums[:, 1] * point.weighting.precisions).min() < 0
    held = np.zeros((3, 2), dtype=bool)
    move, delta = newton_direction(
        point, -point.gradient, -point.noise_gradient, held, np.ones(3, dtype=bool)
    )
    slope = np.vdot(move, point.gradient) + np.vdot(delta, point.noise_gradient)
    assert slope < 0
