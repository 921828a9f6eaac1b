"""Value, gradient, line and curvature of the objective against definitions and differences."""

import numpy as np
import pytest
from scipy.integrate import quad

from mvica.datasets import make_multiview_ica
from mvica.ica import Density, multiview_ica_objective
from mvica.ica.alternate import fit_new_view
from mvica.ica.densities import SUB, SUPER, initial_kinds, score_step_for
from mvica.ica.objective import OneViewObjective
from mvica.ica.solve import mean_log_likelihood
from mvica.ica.stacked import StackedViews, side_by_side
from tests.ica.conftest import objective, random_unmixings, stacked

CUBIC = Density(lambda u: u**4 / 12, lambda u: u**3 / 3, lambda u: u**2)


def views_of(m, p, n, seed=0):
    data = make_multiview_ica(n_views=m, n_samples=n, n_components=p, random_state=seed)
    return stacked(data.views)[0]


def central_difference(value, step=1e-5):
    return (value(step) - value(-step)) / (2 * step)


@pytest.mark.parametrize("density", ["logcosh", "sub", CUBIC])
@pytest.mark.parametrize("noise", [0.3, 1.0, 2.5])
@pytest.mark.parametrize(("m", "p", "n"), [(1, 3, 400), (3, 4, 300), (6, 5, 20)])
def test_gradient(m, p, n, noise, density):
    views = views_of(m, p, n)
    model, W = objective(views, noise=noise, density=density), random_unmixings(m, p)
    point = model.start(W)
    E = np.random.default_rng(1).standard_normal((m, p, p))
    slope = central_difference(
        lambda t: objective(views, noise=noise, density=density).start(W + t * E @ W).value
    )
    assert np.vdot(point.gradient, E) == pytest.approx(slope, rel=1e-6, abs=1e-7)


@pytest.mark.parametrize(("m", "n"), [(1, 500), (4, 500), (4, 12)])
def test_value_is_the_definition(m, n):
    views = views_of(m, 3, n)
    W = random_unmixings(m, 3)
    per_view = [views.Z[3 * v : 3 * v + 3].T for v in range(m)]
    for density in ("logcosh", "sub"):
        value = objective(views, noise=0.7, density=density).start(W).value
        expected = multiview_ica_objective(per_view, W, noise=0.7, density=density)
        assert value == pytest.approx(expected, rel=1e-12)


def test_line_equals_a_fresh_evaluation():
    views = views_of(4, 3, 500)
    W, D = random_unmixings(4, 3), 0.2 * random_unmixings(4, 3, seed=1)
    model = objective(views)
    line = model.line(model.start(W), D)
    for t in (1.0, 0.25):
        fresh = objective(views).start(W + t * D @ W)
        assert line.value(t) == pytest.approx(fresh.value, rel=1e-12)
    moved = line.point()
    np.testing.assert_allclose(moved.gradient, fresh.gradient, atol=1e-12)
    np.testing.assert_allclose(moved.x, fresh.x)


def test_stored_moments_change_nothing():
    views = views_of(4, 3, 500)
    without = StackedViews(views.Z, 4)
    without.__dict__["moment"] = None
    W = random_unmixings(4, 3)
    a, b = objective(views).start(W), objective(without).start(W)
    assert views.moment is not None
    assert a.value == pytest.approx(b.value, rel=1e-13)
    np.testing.assert_allclose(a.gradient, b.gradient, atol=1e-12)


def test_preconditioner_inverts_the_curvature_at_the_truth():
    data = make_multiview_ica(n_views=4, n_samples=100_000, n_components=3, random_state=0)
    views, reduction = stacked(data.views)
    W = np.stack(
        [np.linalg.inv(R @ A) for R, A in zip(reduction.projections, data.mixings, strict=True)]
    )
    model = objective(views)
    G = np.random.default_rng(0).standard_normal(W.shape)
    D = model.precondition(model.start(W), G, 1e-8)

    def gradient(t):
        return objective(views).start(W + t * D @ W).gradient

    product = (gradient(1e-4) - gradient(-1e-4)) / 2e-4
    # Along W + t D W the relative gradient also turns with W: remove that part, G D^T.
    product -= objective(views).start(W).gradient @ D.mT
    assert np.linalg.norm(product - G) < 0.05 * np.linalg.norm(G)


def test_one_view_objective_is_the_joint_one_with_others_fixed():
    m, p = 4, 3
    views, W = views_of(m, p, 500), random_unmixings(4, 3)
    kinds = initial_kinds("logcosh", p)
    score_step = score_step_for(views.Z, "logcosh", kinds)
    single = StackedViews(views.Z[:p], 1)
    others = views.mix(side_by_side(W[1:] / m) @ np.eye((m - 1) * p, m * p, p))
    E = np.random.default_rng(1).standard_normal((1, p, p))

    def one(t):
        model = OneViewObjective(single, others, 1 / m, 0.8, score_step)
        return model.start(W[:1] + t * E @ W[:1])

    def joint(t):
        moved = W.copy()
        moved[:1] += t * E @ W[:1]
        return objective(views, noise=0.8).start(moved)

    assert one(0.3).value - one(0).value == pytest.approx(joint(0.3).value - joint(0).value)
    np.testing.assert_allclose(one(0).gradient[0], joint(0).gradient[0], atol=1e-12)
    model = OneViewObjective(single, others, 1 / m, 0.8, score_step)
    line = model.line(model.start(W[:1]), E)
    assert line.value(0.3) == pytest.approx(one(0.3).value, rel=1e-12)


def test_new_view_reaches_a_stationary_point():
    views, W = views_of(5, 3, 800), random_unmixings(5, 3)
    S = views.mix(side_by_side(W[:4]) / 4 @ np.eye(12, 15))
    result = fit_new_view(views.Z[12:], S, 4, "logcosh", initial_kinds("logcosh", 3), noise=1.0)
    assert result.converged
    assert result.gradient_norm < 1e-6


@pytest.mark.parametrize("density", [SUPER, SUB, CUBIC])
def test_density_derivatives_and_constants(density):
    u = np.linspace(-3, 3, 13)
    slope = (density.value(u + 1e-5) - density.value(u - 1e-5)) / 2e-5
    np.testing.assert_allclose(density.score(u), slope, atol=1e-9)
    curvature = (density.score(u + 1e-5) - density.score(u - 1e-5)) / 2e-5
    np.testing.assert_allclose(density.score_derivative(u), curvature, atol=1e-9)


def test_published_constants():
    assert np.exp(SUPER.log_normalizer) == pytest.approx(np.pi / 2)
    assert np.exp(SUB.log_normalizer) == pytest.approx(2 * np.sqrt(2 * np.pi * np.e))
    assert SUPER.std == pytest.approx(np.pi / 2)
    assert SUB.std == pytest.approx(np.sqrt(2))


@pytest.mark.parametrize("density", ["logcosh", "sub"])
def test_likelihood_is_a_probability_density(density):
    """Integrated over all data of two views with one feature each, exp(score) is one."""
    U = [np.array([[1.3]]), np.array([[-0.7]])]
    kinds = initial_kinds(density, 1)

    def likelihood(x, y):
        Y = [np.array([[x]]) @ U[0].T, np.array([[y]]) @ U[1].T]
        return np.exp(mean_log_likelihood(Y, U, 0.6, density, kinds))

    def marginal(x):
        return quad(lambda y: likelihood(x, y), -40, 40, limit=200, points=[-1.3 * x / 0.7])[0]

    total = quad(marginal, -20, 20, limit=200)[0]
    assert total == pytest.approx(1.0, abs=1e-5)


def test_likelihood_of_a_projection_does_not_depend_on_the_basis():
    """Fewer components than features: the score is that of orthogonally projected data."""
    rng = np.random.default_rng(0)
    X, U = rng.laplace(size=(50, 4)), rng.standard_normal((2, 4))
    rotation = np.linalg.qr(rng.standard_normal((4, 4)))[0]
    kinds = initial_kinds("logcosh", 2)
    a = mean_log_likelihood([X @ U.T], [U], 1.0, "logcosh", kinds)
    b = mean_log_likelihood(
        [X @ rotation @ (U @ rotation).T], [U @ rotation], 1.0, "logcosh", kinds
    )
    assert a == pytest.approx(b)
