"""Derivatives of learned spectrograms by finite differences, and updates that never increase."""

from functools import cache

import numpy as np
import pytest
from scipy.linalg import expm

from mvica.joint_diagonalization import make_frames
from mvica.joint_diagonalization import spectrogram as model
from mvica.kernels.powers_numba import fit_activations
from mvica.optim.orthogonal import random_orthogonal
from mvica.testing import check_curvature, check_gradient

FLOOR = 1e-9
BOTH = pytest.mark.parametrize("divergence", [False, True], ids=["likelihood", "divergence"])


@cache
def problem(n_frames=60, n_window=7, n_components=3):
    """Frames of unit mean square, a transform and factors."""
    rng = np.random.default_rng(0)
    Y = make_frames(n_frames, n_window, n_components, random_state=0).frames
    Y /= np.sqrt(np.mean(Y**2))
    D = rng.uniform(0.1, 1.0, (n_components, n_window))
    H = rng.uniform(0.1, 3.0, (n_frames, n_components))
    arrays = Y, random_orthogonal(n_window, rng), H, D / D.sum(axis=1, keepdims=True)
    for array in arrays:
        array.flags.writeable = False
    return arrays


def smooth_problem():
    """Coefficients away from zero, where the divergence bends without bound."""
    _, Phi, H, D = problem()
    rng = np.random.default_rng(1)
    X = rng.choice([-1.0, 1.0], (60, 7)) * rng.uniform(0.5, 2.0, (60, 7))
    return X @ Phi, Phi, H, D


def value(Y, Phi, H, D, penalty=0.0, *, divergence):
    """The objective, as it is defined."""
    V, P = H @ D + FLOOR, (Y @ Phi.T) ** 2 + FLOOR
    terms = P / V - np.log(P / V) - 1 if divergence else P / V + np.log(V)
    return terms.sum() + penalty * H.sum()


def objective(Y, Phi, H, D, penalty=0.0, *, divergence, floor=FLOOR):
    """The objective, as the solver computes it."""
    criterion = model.Criterion(divergence, floor, penalty)
    precisions = model.precisions_of(H, D, floor)
    part = model.TransformObjective(Y, precisions, criterion)(Phi).value
    return part + model.fixed_part(H, D, criterion)


def objective_of_transforms(Y, H, D, divergence):
    criterion = model.Criterion(divergence, FLOOR)
    return model.TransformObjective(Y, model.precisions_of(H, D, FLOOR), criterion)


def turned(Phi, E):
    return expm((E - E.T) / 2) @ Phi


# ---- values ----------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize("n_frames", [2, 60, 300, 5000])
def test_value_is_the_one_defined(divergence, n_frames):
    Y, Phi, H, D = problem(n_frames)
    found = objective(Y, Phi, H, D, 0.7, divergence=divergence)
    assert found == pytest.approx(value(Y, Phi, H, D, 0.7, divergence=divergence), rel=1e-12)


def test_blocks_hold_every_frame_once():
    for shape in [(1, 1), (7, 40), (5000, 7), (100_000, 3), (300, 200)]:
        blocks = model.blocks_of_frames(*shape)
        rows = np.concatenate([np.arange(shape[0])[rows] for rows in blocks])
        np.testing.assert_array_equal(rows, np.arange(shape[0]))
    assert len(model.blocks_of_frames(5000, 7)) > 1


def test_divergence_expects_the_same_at_every_transform():
    # The mean of c - log(c) - 1 for squares c of normal variables, which any transform gives.
    truth = make_frames(4000, 40, 4, random_state=0)
    H, D = truth.activations, truth.dictionary
    rng = np.random.default_rng(0)
    found = objective(truth.frames, truth.transform, H, D, divergence=True)
    assert found / truth.frames.size == pytest.approx(1.2704, abs=0.01)
    # Powers of turned frames have low rank too: their own variances fit them as well.
    Q = random_orthogonal(40, rng)
    turned = objective(truth.frames, Q @ truth.transform, H, D @ (Q**2).T, divergence=True)
    assert turned / truth.frames.size == pytest.approx(1.2704, abs=0.01)
    likely = objective(truth.frames, truth.transform, H, D, divergence=False)
    assert likely < objective(truth.frames, Q @ truth.transform, H, D @ (Q**2).T, divergence=False)


def test_figures_of_the_study():
    # Values of both objectives at the truth, with a weight of 1e-3 on the activations; no floor.
    for n_frames, expected in [(400, (20722, 26049)), (4000, (203802, 259455))]:
        truth = make_frames(n_frames, 40, 4, random_state=0)
        Y, H, D = truth.frames, truth.activations, truth.dictionary
        for divergence, figure in zip((True, False), expected, strict=True):
            options = {"divergence": divergence, "floor": 1e-13}
            found = objective(Y, truth.transform, H, D, 1e-3, **options)
            assert found == pytest.approx(figure, abs=0.6)


# ---- derivatives along rotations -------------------------------------------------------------


def second_derivative(Y, Phi, H, D, E, divergence):
    """The exact one, along ``expm(t E) Phi`` for antisymmetric E."""
    X, V = Y @ Phi.T, H @ D + FLOOR
    slopes, bends = 2 * X / V, 2 / V
    if divergence:
        slopes = slopes - 2 * X / (X**2 + FLOOR)
        bends = bends + 2 * (X**2 - FLOOR) / (X**2 + FLOOR) ** 2
    return np.sum(bends * (X @ E.T) ** 2) + np.sum((slopes.T @ X) * (E @ E))


@BOTH
def test_gradient(divergence):
    Y, Phi, H, D = smooth_problem()
    evaluate = objective_of_transforms(Y, H, D, divergence)
    check_gradient(
        lambda Phi: value(Y, Phi, H, D, divergence=divergence),
        Phi,
        lambda Phi: evaluate(Phi).gradient / 2,
        retraction=turned,
        tol=1e-8,
    )
    G = evaluate(Phi).gradient
    np.testing.assert_array_equal(G, -G.T)


@BOTH
def test_second_derivative(divergence):
    Y, Phi, H, D = smooth_problem()
    check_curvature(
        lambda Phi: value(Y, Phi, H, D, divergence=divergence),
        Phi,
        lambda Phi, E: second_derivative(Y, Phi, H, D, (E - E.T) / 2, divergence),
        retraction=turned,
        steps=(1e-2, 3e-3, 1e-3, 3e-4),
        tol=1e-5,
    )


@BOTH
def test_curvature_of_planes(divergence):
    Y, Phi, H, D = smooth_problem()
    point = objective_of_transforms(Y, H, D, divergence)(Phi)
    T, q = point.products
    exact = q + q.T - (np.diag(T) + np.diag(T)[:, None])
    p, safe = len(Phi), point.curvature
    for a in range(p):
        for b in range(a):
            E = np.zeros((p, p))
            E[a, b], E[b, a] = 1.0, -1.0
            expected = second_derivative(Y, Phi, H, D, E, divergence)
            assert exact[a, b] == pytest.approx(expected, rel=1e-8)
            if not divergence and expected > 1e-3 * (q + q.T).mean():
                assert safe[a, b] == pytest.approx(expected, rel=1e-9)
    assert safe.min() > 0
    np.testing.assert_array_equal(safe, safe.T)


@BOTH
def test_blocks_give_the_products_of_the_whole(divergence):
    Y, Phi, H, D = problem(5000)
    X, V = Y @ Phi.T, H @ D + FLOOR
    T, q = objective_of_transforms(Y, H, D, divergence).products(Phi)
    inverse = 1 / (X**2 + FLOOR) if divergence else 0.0
    np.testing.assert_allclose(T, 2 * (X * (1 / V - inverse)).T @ X, rtol=1e-10)
    np.testing.assert_allclose(q, 2 * (1 / V + inverse).T @ X**2, rtol=1e-10)


# ---- updates of the factors ------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize("penalty", [0.0, 1.0, 100.0])
def test_no_half_step_increases_the_objective(divergence, penalty):
    Y, Phi, H, D = problem()
    X, criterion = Y @ Phi.T, model.Criterion(divergence, FLOOR, penalty)
    values = [value(Y, Phi, H, D, penalty, divergence=divergence)]
    for _ in range(200):
        halfway = model.update_activations(X, H, D, criterion)
        values.append(value(Y, Phi, halfway, D, penalty, divergence=divergence))
        H, D = model.update_factors(Y, Phi, H, D, criterion)
        values.append(value(Y, Phi, H, D, penalty, divergence=divergence))
        np.testing.assert_allclose(D.sum(axis=1), 1.0, rtol=1e-12)
    assert np.diff(values).max() < 1e-12 * np.abs(values).max()
    assert values[-1] < values[0] - 1.0


def test_rows_of_the_dictionary_are_scaled_and_the_variances_stay():
    Y, Phi, H, D = problem()
    X, penalty = Y @ Phi.T, 0.3
    criterion = model.Criterion(False, FLOOR, penalty)
    H_half = model.update_activations(X, H, D, criterion)
    V = H_half @ D + FLOOR
    P = X**2 + FLOOR
    unscaled = D * np.sqrt(
        (H_half.T @ (P / V**2)) / (H_half.T @ (1 / V) + penalty * H_half.sum(axis=0)[:, None])
    )
    H_new, D_new = model.update_factors(Y, Phi, H, D, criterion)
    np.testing.assert_allclose(H_new @ D_new, H_half @ unscaled, rtol=1e-10)


def test_fixed_points_are_stationary():
    Y, Phi, H, D = problem()
    for _ in range(20_000):
        H, D = model.update_factors(Y, Phi, H, D, model.Criterion(False, FLOOR, 0.1))
    X = Y @ Phi.T
    V, P = H @ D + FLOOR, X**2 + FLOOR
    slopes = (1 / V - P / V**2) @ D.T + 0.1
    assert np.abs(slopes * H).max() < 1e-6
    assert slopes[H < 1e-9].min() > -1e-6


def test_dead_components_and_silent_frames_stay_finite():
    Y, Phi, H, D = problem()
    Y, H = Y.copy(), H.copy()
    H[:, 1], Y[5] = 0.0, 0.0
    for _ in range(50):
        H, D = model.update_factors(Y, Phi, H, D, model.Criterion(False, FLOOR))
    assert np.isfinite(H).all()
    assert np.isfinite(D).all()
    assert not H[:, 1].any()
    assert H[5].max() < 1e-6
    for divergence in (False, True):
        assert np.isfinite(objective(Y, Phi, H, D, divergence=divergence))


# ---- activations of single frames ------------------------------------------------------------


def test_single_frames_take_the_same_steps():
    Y, Phi, H, D = problem()
    X = Y @ Phi.T
    found, expected = H.copy(), H
    assert fit_activations(X, D, 0.2, FLOOR, 25, 0.0, found) == len(X)
    for _ in range(25):
        expected = model.update_activations(X, expected, D, model.Criterion(False, FLOOR, 0.2))
    np.testing.assert_allclose(found, expected, rtol=1e-10)


def test_single_frames_reach_the_closed_form_of_one_component():
    Y, Phi, *_ = problem()
    X = Y @ Phi.T
    D = np.full((1, 7), 1 / 7)
    H = np.ones((len(X), 1))
    assert fit_activations(X, D, 0.0, FLOOR, 1000, 1e-12, H) == 0
    np.testing.assert_allclose(H[:, 0], np.sum(X**2, axis=1), rtol=1e-9)
