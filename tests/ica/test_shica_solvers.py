"""Solvers of the noisy shared-source likelihood: one optimum, no step up, bounds, interrupts."""

import numpy as np
import pytest

from mvica.datasets import make_shica
from mvica.ica import gaussian_ml
from mvica.ica.densities import Density
from mvica.ica.gaussian_ml import fit_factors, fit_gaussian
from mvica.ica.mixture import source_densities
from mvica.ica.noisy_alternate import fit_beside, solve_alternate
from mvica.ica.noisy_em import expected_noise, solve_em
from mvica.ica.noisy_joint import Scope, solve_joint
from mvica.ica.noisy_objective import LARGEST_NOISE, LOWEST_NOISE, NoisyObjective
from mvica.ica.noisy_solve import noise_groups
from mvica.ica.shica_second_order import (
    canonical_variates,
    scales_and_noises,
    separate_by_noise,
    source_covariances,
)
from mvica.ica.solve import fit_stacked
from mvica.metrics import amari_distance
from tests.ica.conftest import stacked

REGIMES = ["gauss", "laplace", "half"]


def problem(scenario, seed=0, density="paper", n=1000):
    """Objective, unmixings and log noise variances of the second-order start."""
    views, _ = stacked(make_shica(scenario, n_samples=n, random_state=seed).views)
    W, nu = scales_and_noises(views, separate_by_noise(views, canonical_variates(views, 0)[0])[0])
    return NoisyObjective(views, source_densities(density, views.n_components)), W, np.log(nu)


def never_up(history):
    return np.all(np.diff(history) <= 1e-13 * np.abs(history[0]))


@pytest.mark.parametrize("scenario", REGIMES)
def test_joint_solver_descends_to_a_small_gradient_in_few_steps(scenario):
    most = {"gauss": 9, "laplace": 23, "half": 21}[scenario]
    for density in ("paper", "heavy"):
        objective, W, log_nu = problem(scenario, density=density)
        point, result = solve_joint(objective, W, log_nu)
        assert result.converged
        assert result.gradient_norm < 1e-6
        assert result.n_iter <= most
        assert never_up(result.history)
        assert result.history[-1] == point.value == result.objective
        assert len(result.history) == result.n_iter + 1


@pytest.mark.parametrize("scenario", REGIMES)
def test_em_descends_for_500_steps(scenario):
    objective, W, log_nu = problem(scenario, density="heavy")
    _, result = solve_em(objective, W, log_nu, tol=1e-12, max_iter=500)
    assert result.n_iter == 500
    assert not result.converged
    assert np.all(np.diff(result.history) <= 1e-13)


@pytest.mark.parametrize(
    ("scenario", "noise"),
    [("laplace", "view_component"), ("half", "view_component"), ("laplace", "view")],
)
def test_three_solvers_reach_one_optimum(scenario, noise):
    objective, W, log_nu = problem(scenario)
    groups = noise_groups(5, 4, noise)
    if groups is not None:
        log_nu = np.tile(log_nu.mean(axis=1)[:, None], (1, 4))
    point, joint = solve_joint(objective, W, log_nu, groups=groups, tol=1e-7)
    for solve in (solve_em, solve_alternate):
        other, result = solve(objective, W, log_nu, groups=groups, tol=1e-5, max_iter=3000)
        assert result.objective == pytest.approx(joint.objective, abs=1e-6)
        assert result.n_iter > 3 * joint.n_iter
        assert never_up(result.history)
        assert amari_distance(other.W, np.linalg.inv(point.W)) < 1e-4
        assert groups is None or np.ptp(other.log_nu, axis=1).max() == 0


def test_solvers_agree_on_two_views_of_equal_noise():
    views, _ = stacked(make_shica("laplace", 2, 1000, 3, random_state=0).views)
    objective = NoisyObjective(views, source_densities("paper", 3))
    W, nu = scales_and_noises(views, canonical_variates(views, 0)[0])
    for noise in ("view_component", "view"):
        groups = noise_groups(2, 3, noise)
        log_nu = np.full_like(nu, np.log(nu).mean()) if noise == "view" else np.log(nu)
        point, joint = solve_joint(objective, W, log_nu, groups=groups)
        assert joint.converged
        np.testing.assert_allclose(point.log_nu[0], point.log_nu[1])
        assert noise == "view_component" or np.ptp(point.log_nu) == 0
        for solve in (solve_em, solve_alternate):
            _, result = solve(objective, W, log_nu, groups=groups, tol=1e-5, max_iter=3000)
            assert result.objective == pytest.approx(joint.objective, abs=1e-6)
            assert never_up(result.history)


def test_noise_at_the_optimum_is_the_expected_residual():
    """Fisher's identity: a vanishing gradient is a fixed point of EM."""
    point, _ = solve_joint(*problem("half", density="heavy"), tol=1e-9)
    inside = (point.log_nu > np.log(1.01 * LOWEST_NOISE)) & (point.log_nu < np.log(900))
    np.testing.assert_allclose(expected_noise(point)[inside], point.log_nu[inside], atol=1e-7)


def test_rejected_and_flat_regions_end_the_solver_honestly():
    objective, W, log_nu = problem("gauss")
    _, result = solve_joint(objective, W, log_nu, max_iter=2)
    assert (result.n_iter, result.converged, result.message) == (2, False, "max_iter reached")
    point, _ = solve_joint(objective, W, log_nu)
    _, again = solve_joint(objective, point.W, point.log_nu, tol=1e-18)
    assert again.message == "the line search failed"
    assert not again.converged
    assert again.objective <= point.value


@pytest.mark.parametrize("solve", [solve_joint, solve_em, solve_alternate])
def test_interrupt_returns_the_best_point(solve):
    def interrupt(n_iter, value, norm):
        if n_iter == 2:
            raise KeyboardInterrupt

    objective, W, log_nu = problem("laplace", n=300)
    point, result = solve(objective, W, log_nu, callback=interrupt)
    assert (result.n_iter, result.message, result.converged) == (2, "interrupted", False)
    assert result.objective == point.value < result.history[0]


def test_noises_stay_within_bounds_and_bounds_count_as_converged():
    """A component missing in two of five views, and a view given twice."""
    data = make_shica("half", random_state=0)
    rng = np.random.default_rng(0)
    views = []
    for v, (X, A) in enumerate(zip(data.views, data.mixings, strict=True)):
        Y = np.linalg.solve(A, X.T)
        if v < 2:
            Y[0] = rng.standard_normal(1000)
        views.append((A @ Y).T)
    views.append(views[4] @ rng.standard_normal((4, 4)))
    stack, _ = stacked(views)
    W, nu = scales_and_noises(stack, separate_by_noise(stack, canonical_variates(stack, 0)[0])[0])
    for density in ("paper", "heavy"):
        objective = NoisyObjective(stack, source_densities(density, 4))
        point, result = solve_joint(objective, W, np.log(nu))
        assert result.converged
        assert result.n_iter <= 150
        noise = np.exp(point.log_nu)
        np.testing.assert_allclose(noise[4:, 1:], LOWEST_NOISE)
        assert np.sum(noise[:2] > 100) == 2
        assert noise.max() <= LARGEST_NOISE * (1 + 1e-12)
        held = Scope.of(6).held(point)
        assert held[4:, 1:].all()
        assert np.abs(point.noise_gradient[4:, 1:]).min() > 0.01


def test_frozen_unit_noise_is_multiview_ica():
    """With noise 1 for all, the density smoothed by 1/m makes both models one."""
    m, p = 5, 4
    objective, W, log_nu = problem("laplace", density="heavy")
    nobody = np.zeros(m, dtype=bool)
    point, result = solve_joint(objective, W, 0 * log_nu, free_noise=nobody, tol=1e-8)
    assert result.converged
    np.testing.assert_array_equal(point.log_nu, 0)
    mixture = source_densities("heavy", 1)
    smoothed = type(mixture)(mixture.weights, mixture.variances + 1 / m, mixture.means).as_density()

    def along_rows(function):
        return lambda y: function(y.reshape(1, -1)).reshape(np.shape(y))

    density = Density(
        *(along_rows(f) for f in (smoothed.value, smoothed.score, smoothed.score_derivative))
    )
    found = fit_stacked(
        objective.views, [np.eye(p)] * m, density=density, init=list(point.W), tol=1e-8
    )
    np.testing.assert_allclose(found.W, point.W, atol=1e-6)


def test_gaussian_fit_equals_the_sample_fit():
    objective, W, log_nu = problem("gauss", density="gaussian")
    point, result = fit_gaussian(objective.views.moment, W, np.exp(log_nu))
    same, _ = solve_joint(objective, W, log_nu)
    assert result.converged
    np.testing.assert_allclose(point.W, same.W, atol=1e-6)


def test_factor_fits_maximise_the_likelihood_of_one_component():
    objective, W, log_nu = problem("half")
    Gamma = source_covariances(objective.views, W)
    scales, nu, converged = fit_factors(Gamma, np.exp(log_nu))
    assert converged

    def likelihood(a, scales, nu):
        loading = 1 / scales[:, a]
        C = np.outer(loading, loading) + np.diag(nu[:, a] * loading**2)
        return np.linalg.slogdet(C)[1] + np.trace(np.linalg.solve(C, Gamma[a]))

    rng = np.random.default_rng(0)
    for a in range(4):
        best = likelihood(a, scales, nu)
        for _ in range(20):
            moved = scales * np.exp(1e-3 * rng.standard_normal(scales.shape))
            noise = np.maximum(nu * np.exp(1e-3 * rng.standard_normal(nu.shape)), LOWEST_NOISE)
            assert likelihood(a, moved, noise) > best


@pytest.mark.parametrize("scenario", ["gauss", "half"])
def test_factor_fits_agree_with_and_without_damping(scenario, monkeypatch):
    objective, W, log_nu = problem(scenario)
    Gamma = source_covariances(objective.views, W)
    together = fit_factors(Gamma, np.exp(log_nu))
    monkeypatch.setattr(gaussian_ml, "SCORING_ROUNDS", 0)  # every component on its own, damped
    alone = fit_factors(Gamma, np.exp(log_nu))
    assert together[2]
    assert alone[2]
    np.testing.assert_allclose(together[0], alone[0], rtol=1e-5)
    np.testing.assert_allclose(together[1], alone[1], rtol=1e-5)


def test_one_view_beside_fixed_ones_is_the_joint_problem_with_these_fixed():
    objective, W, log_nu = problem("laplace", density="heavy")
    m, p = log_nu.shape
    only_last = np.arange(m) == m - 1
    point, _ = solve_joint(objective, W, log_nu, free=only_last, tol=1e-8)
    np.testing.assert_array_equal(point.W[:-1], W[:-1])
    np.testing.assert_array_equal(point.log_nu[:-1], log_nu[:-1])
    precisions = np.exp(-log_nu[:-1])
    Y = W[:-1] @ objective.views.Z.reshape(m, p, -1)[:-1]
    ybar = np.einsum("va,vat->at", precisions / precisions.sum(axis=0), Y)
    beside, result = fit_beside(
        objective.views.Z[-p:], ybar, 1 / precisions.sum(axis=0), objective.densities, W[-1],
        log_nu[-1], tol=1e-8, max_iter=100,
    )  # fmt: skip
    assert result.converged
    np.testing.assert_allclose(beside.W[1], point.W[-1], atol=1e-6)
    np.testing.assert_allclose(beside.log_nu[1], point.log_nu[-1], atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("scenario", "n", "median", "most"),
    [
        ("gauss", 200, 15, 54),
        ("gauss", 1000, 9, 14),
        ("laplace", 200, 39, 124),
        ("laplace", 1000, 16, 35),
        ("half", 200, 25, 116),
        ("half", 1000, 12, 32),
    ],
)
def test_iterations_over_twenty_seeds(scenario, n, median, most):
    results = [
        solve_joint(*problem(scenario, seed, "heavy", n), max_iter=500)[1] for seed in range(20)
    ]
    assert all(result.converged for result in results)
    iterations = [result.n_iter for result in results]
    assert np.median(iterations) <= median
    assert max(iterations) <= most
