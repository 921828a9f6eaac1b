"""Transform-learning NMF: recovery, monotone descent, invariances, starts, refusals."""

import warnings
from functools import cache

import numpy as np
import pytest
from scipy.fft import dct
from sklearn.exceptions import ConvergenceWarning

from mvica.joint_diagonalization import learn_transform, make_frames, tl_nmf
from mvica.joint_diagonalization import transform_learning_nmf as algorithm
from mvica.joint_diagonalization.spectrogram import Criterion, TransformObjective
from mvica.joint_diagonalization.transform_scenarios import recovery
from mvica.optim.orthogonal import (
    cayley,
    exponential,
    minimize_over_rotations,
    random_orthogonal,
)

OBJECTIVES = ("likelihood", "itakura-saito")
EACH = pytest.mark.parametrize("objective", OBJECTIVES)


@cache
def small():
    return make_frames(500, 10, 2, random_state=0)


@cache
def large():
    return make_frames(4000, 40, 4, random_state=0)


def without_warning(X, *arguments, **options):
    """Factorise without a word about convergence."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return tl_nmf(X, *arguments, **options)


def stay(evaluate, Phi, descent, n_steps):
    """Leave the transform as it is."""
    return Phi, evaluate(Phi).value, 0.0


def value(X, result, alpha=0.0, objective="likelihood"):
    """The objective as it is defined, in the units of the data."""
    unit = np.mean(X**2)
    P = (X @ result.x.T) ** 2 + 1e-4 * unit
    V = result.activations @ result.dictionary + 1e-4 * unit
    mu = alpha / unit
    ratios = P / V
    terms = ratios + np.log(V) if objective == "likelihood" else ratios - np.log(ratios) - 1
    return terms.sum() + mu * result.activations.sum()


def assert_same_factorisation(a, b, tol, scale=1.0):
    np.testing.assert_allclose(a.x, b.x, atol=tol)
    np.testing.assert_allclose(a.dictionary, b.dictionary, atol=tol)
    size = b.activations.max()
    np.testing.assert_allclose(a.activations / scale**2 / size, b.activations / size, atol=tol)


# ---- recovery --------------------------------------------------------------------------------


def test_finds_the_transform_of_the_model():
    truth = large()
    result = without_warning(truth.frames, 4, max_iter=150, tol=0.0, random_state=1)
    assert recovery(result.x, truth.transform) > 0.94
    assert 236_000 < result.objective < 250_000


@pytest.mark.slow
def test_finds_the_transform_from_each_start():
    truth = large()
    runs = [
        without_warning(truth.frames, 4, alpha=1e-3, max_iter=150, tol=0.0, random_state=seed)
        for seed in range(1, 7)
    ]
    found = [recovery(run.x, truth.transform) for run in runs]
    assert min(found) >= 0.94
    assert found[np.argmin([run.objective for run in runs])] >= 0.96
    assert all(236_000 < run.objective < 250_000 for run in runs)


def test_itakura_saito_fits_without_finding_the_transform():
    # It overfits, and has no information on the transform: no start comes near.
    truth = large()
    for seed in (1, 2):
        result = without_warning(
            truth.frames,
            4,
            objective="itakura-saito",
            floor=1e-12,
            max_iter=100,
            tol=0.0,
            random_state=seed,
        )
        assert result.objective < 178_500  # 203802 at the truth
        assert recovery(result.x, truth.transform) < 0.45


def test_few_long_frames_beat_the_truth():
    truth = make_frames(400, 40, 4, random_state=0)
    for seed in (1, 2, 3):
        result = without_warning(truth.frames, 4, max_iter=150, tol=0.0, random_state=seed)
        assert result.objective < 24_000
        assert 0.6 < recovery(result.x, truth.transform) < 0.8


def test_small_problem_gives_back_atoms_and_variances():
    truth = make_frames(3000, 8, 2, random_state=2)
    result = tl_nmf(truth.frames, 2, n_init=5, random_state=1)
    cosines = np.abs(result.x @ truth.transform.T)
    atoms = cosines.argmax(axis=1)
    assert sorted(atoms) == list(range(8))
    assert cosines.max(axis=1).min() > 0.95
    # The variances are the model's; their factors need not be unique.
    found = result.activations @ result.dictionary
    true = (truth.activations @ truth.dictionary)[:, atoms]
    assert np.corrcoef(np.log(found.mean(axis=0)), np.log(true.mean(axis=0)))[0, 1] > 0.99
    assert np.corrcoef(np.sqrt(found.ravel()), np.sqrt(true.ravel()))[0, 1] > 0.75


def test_more_starts_are_no_worse():
    X = small().frames
    one, many = (tl_nmf(X, 2, n_init=n, random_state=0) for n in (1, 5))
    assert many.objective <= one.objective
    singles = np.random.RandomState(0)
    alone = [tl_nmf(X, 2, random_state=singles).objective for _ in range(5)]
    assert many.objective == pytest.approx(min(alone), rel=1e-12)


# ---- descent ---------------------------------------------------------------------------------


@EACH
@pytest.mark.parametrize("alpha", [0.0, 1.0])
def test_descends_to_the_objective_it_reports(objective, alpha):
    X = 3.0 * small().frames
    result = without_warning(
        X, 2, objective=objective, alpha=alpha, max_iter=120, tol=0.0, random_state=0
    )
    assert result.history.shape == (result.n_iter + 1,)
    assert np.diff(result.history).max() < 1e-12 * np.abs(result.history).max()
    assert result.objective == result.history[-1]
    assert value(X, result, alpha, objective) == pytest.approx(result.objective, rel=1e-8)


@EACH
def test_stays_orthogonal(objective):
    result = without_warning(
        small().frames, 2, objective=objective, max_iter=300, tol=0.0, random_state=0
    )
    assert result.n_iter == 300
    assert np.abs(result.x @ result.x.T - np.eye(10)).max() < 1e-12


def test_rounding_errors_of_many_turns_are_removed():
    Y = small().frames / np.sqrt(np.mean(small().frames ** 2))
    start = algorithm.first_unknowns(Y, 2, "random", 1.0, np.random.RandomState(0))
    options = dict(n_inner=3, max_iter=300, tol=-np.inf, callback=None)
    state, _ = algorithm._alternate(Y, start, Criterion(False, 1e-4), **options)
    assert np.abs(state.Phi @ state.Phi.T - np.eye(10)).max() < 1e-13


def test_tolerance_is_the_decrease_of_a_coefficient():
    X = small().frames
    for tol in (1e-3, 1e-5):
        result = tl_nmf(X, 2, tol=tol, max_iter=3000, random_state=0)
        changes = -np.diff(result.history) / X.size
        assert result.converged
        assert changes[-1] <= tol < changes[:-1].min()


def test_gradient_vanishes_at_the_end():
    X = small().frames
    coarse, fine = (tl_nmf(X, 2, tol=tol, max_iter=20_000, random_state=0) for tol in (1e-4, 1e-12))
    assert fine.gradient_norm < 1e-3 * coarse.gradient_norm


@EACH
def test_retractions_agree_at_convergence(objective):
    truth = make_frames(300, 6, 2, random_state=0)
    Y, V = truth.frames, truth.activations @ truth.dictionary
    evaluate = TransformObjective(Y, 1 / V, Criterion(objective == "itakura-saito", 1e-4))
    start = truth.transform
    runs = [
        minimize_over_rotations(evaluate, start, tol=1e-9, max_iter=2000, retraction=retraction)[1]
        for retraction in (cayley, exponential)
    ]
    assert all(run.converged for run in runs)
    np.testing.assert_allclose(runs[0].x, runs[1].x, atol=1e-7)


def test_both_objectives_have_the_same_factors_for_a_transform(monkeypatch):
    monkeypatch.setattr(algorithm, "_turn", stay)
    X = small().frames
    a, b = (
        without_warning(X, 2, objective=name, max_iter=30, tol=0.0, random_state=0)
        for name in OBJECTIVES
    )
    assert_same_factorisation(a, b, 1e-12)


# ---- invariances -----------------------------------------------------------------------------


@EACH
@pytest.mark.parametrize("init", ["random", "jd"])
@pytest.mark.parametrize("scale", [1e-13, 1e-6, 1e9])
def test_units_of_the_data(objective, init, scale):
    X = small().frames
    options = dict(alpha=0.05, init=init, max_iter=15, tol=0.0, random_state=0)
    options["objective"] = objective
    a, b = without_warning(scale * X, 2, **options), without_warning(X, 2, **options)
    assert_same_factorisation(a, b, 1e-6, scale)
    shift = 0.0 if objective == "itakura-saito" else 2 * X.size * np.log(scale)
    np.testing.assert_allclose(a.history, b.history + shift, rtol=1e-9)


def test_order_of_the_frames():
    X, order = small().frames, np.random.default_rng(0).permutation(500)
    start = without_warning(X, 2, max_iter=1, random_state=0)
    unknowns = start.x, start.dictionary, start.activations
    permuted = start.x, start.dictionary, start.activations[order]
    a = without_warning(X, 2, init=unknowns, max_iter=15, tol=0.0)
    b = without_warning(X[order], 2, init=permuted, max_iter=15, tol=0.0)
    np.testing.assert_allclose(a.x, b.x, atol=1e-8)
    np.testing.assert_allclose(a.activations[order], b.activations, rtol=1e-6)


def test_rotation_of_the_frames_rotates_the_atoms():
    X, Q = small().frames, random_orthogonal(10, np.random.default_rng(0))
    start = without_warning(X, 2, max_iter=1, random_state=0)
    unknowns = start.x, start.dictionary, start.activations
    rotated = start.x @ Q.T, start.dictionary, start.activations
    a = without_warning(X, 2, init=unknowns, max_iter=15, tol=0.0)
    b = without_warning(X @ Q.T, 2, init=rotated, max_iter=15, tol=0.0)
    signs = np.sign(np.sum(a.x @ Q.T * b.x, axis=1))
    np.testing.assert_allclose(a.x @ Q.T, signs[:, None] * b.x, atol=1e-8)
    np.testing.assert_allclose(a.dictionary, b.dictionary, atol=1e-8)


def test_order_and_signs_of_the_answer():
    X = small().frames
    result = tl_nmf(X, 2, random_state=0)
    powers = np.sum((X @ result.x.T) ** 2, axis=0)
    assert np.all(np.diff(powers) <= 0)
    assert np.all(np.diff(result.activations.sum(axis=0)) <= 0)
    assert np.all(result.x[np.arange(10), np.abs(result.x).argmax(axis=1)] > 0)
    np.testing.assert_allclose(result.dictionary.sum(axis=1), 1.0, rtol=1e-12)
    assert min(result.dictionary.min(), result.activations.min()) >= 0


def test_same_seed_same_answer_and_data_untouched():
    X = small().frames.copy()
    X.flags.writeable = False
    a, b = (tl_nmf(X, 2, random_state=3) for _ in range(2))
    np.testing.assert_array_equal(a.x, b.x)
    np.testing.assert_array_equal(a.activations, b.activations)


# ---- silence and short ranks -----------------------------------------------------------------


@EACH
def test_silent_frames(objective):
    X = small().frames.copy()
    X[::7] = 0.0
    result = without_warning(X, 2, objective=objective, max_iter=50, random_state=0)
    for array in (result.x, result.dictionary, result.activations, result.history):
        assert np.isfinite(array).all()
    assert result.activations[::7].max() < 1e-6 * result.activations.max()
    assert np.diff(result.history).max() < 1e-12 * np.abs(result.history).max()


@EACH
@pytest.mark.parametrize("n_frames", [2, 6, 30])
def test_fewer_frames_than_samples_of_one(objective, n_frames):
    X = small().frames[:n_frames]
    result = without_warning(X, 1, objective=objective, max_iter=50, random_state=0)
    assert np.isfinite(result.history).all()
    assert np.diff(result.history).max() < 1e-10 * np.abs(result.history).max()
    np.testing.assert_allclose(result.x @ result.x.T, np.eye(10), atol=1e-12)


def test_directions_without_power_become_atoms():
    # The frames live in six dimensions: the other four are atoms of their own.
    truth = make_frames(600, 6, 2, random_state=0)
    basis = random_orthogonal(10, np.random.default_rng(0))[:6]
    X = truth.frames @ basis
    result = without_warning(X, 2, max_iter=300, random_state=0)
    powers = np.mean((X @ result.x.T) ** 2, axis=0)
    assert powers[6:].max() < 1e-9 * powers[:6].min()


# ---- starts ----------------------------------------------------------------------------------


def first_transform(init, X, seed=0):
    return algorithm.first_transform(X, init, np.random.RandomState(seed))


@pytest.mark.parametrize("init", ["random", "dct", "jd"])
def test_starts_are_orthogonal(init):
    Phi = first_transform(init, small().frames)
    np.testing.assert_allclose(Phi @ Phi.T, np.eye(10), atol=1e-12)


def test_dct_has_cosines_of_rising_frequency_as_rows():
    Phi = first_transform("dct", small().frames)
    signal = np.random.default_rng(0).standard_normal(10)
    np.testing.assert_allclose(Phi @ signal, dct(signal, norm="ortho"), atol=1e-14)
    assert [np.sum(np.diff(np.sign(row)) != 0) for row in Phi] == list(range(10))


def test_joint_diagonalisation_starts_at_the_transform_of_stationary_blocks():
    # Six stretches of 500 frames, each with powers of its own.
    rng = np.random.default_rng(0)
    transform = random_orthogonal(10, rng)
    powers = np.repeat(rng.exponential(size=(6, 10)) ** 2 + 0.01, 500, axis=0)
    X = (np.sqrt(powers) * rng.standard_normal((3000, 10))) @ transform
    assert recovery(first_transform("jd", X), transform) > 0.98


def test_joint_diagonalisation_takes_silent_and_flat_blocks():
    X = small().frames.copy()
    X[:100] = 0.0
    X[:, 0] = 0.0
    result = without_warning(X, 2, init="jd", max_iter=5, random_state=0)
    assert np.isfinite(result.history).all()


def test_fits_can_be_continued():
    X = small().frames
    start = without_warning(X, 2, max_iter=10, random_state=0)
    unknowns = start.x, start.dictionary, start.activations
    more = without_warning(X, 2, init=unknowns, max_iter=10)
    assert more.history[0] == pytest.approx(start.objective, rel=1e-10)
    assert more.objective < start.objective
    scaled = start.x, 5.0 * start.dictionary, start.activations / 5.0
    again = without_warning(X, 2, init=scaled, max_iter=10)
    np.testing.assert_allclose(again.history, more.history, rtol=1e-10)


def test_transform_given_as_a_start_is_used(monkeypatch):
    monkeypatch.setattr(algorithm, "_turn", stay)
    truth = small()
    result = without_warning(truth.frames, 2, init=truth.transform, max_iter=1, random_state=0)
    assert recovery(result.x, truth.transform) == pytest.approx(1.0, abs=1e-12)
    assert not np.shares_memory(result.x, truth.transform)


# ---- the transform alone ---------------------------------------------------------------------


def test_known_variances_give_the_transform_from_any_start():
    truth = make_frames(2000, 12, 4, random_state=0)
    V = truth.activations @ truth.dictionary
    for seed in range(3):
        result = learn_transform(truth.frames, V, random_state=seed)
        # Rows come in the order of the columns of the variances.
        assert np.abs(np.sum(result.x * truth.transform, axis=1)).min() > 0.98
        true = np.sum((truth.frames @ truth.transform.T) ** 2 / V + np.log(V))
        assert result.objective < true
        assert np.all(np.diff(result.history) < 1e-12 * abs(true))


@EACH
def test_value_of_the_transform_alone(objective):
    truth = small()
    X, V = 1e-6 * truth.frames, 1e-12 * truth.activations @ truth.dictionary
    result = learn_transform(X, V, objective=objective, init=truth.transform)
    ratios = (X @ result.x.T) ** 2 / V
    terms = ratios + np.log(V) if objective == "likelihood" else ratios - np.log(ratios) - 1
    assert result.objective == pytest.approx(terms.sum(), rel=1e-8)
    assert result.converged


def test_transform_alone_says_that_it_has_not_converged():
    truth = small()
    V = truth.activations @ truth.dictionary
    with pytest.warns(ConvergenceWarning, match=r"2 iterations .*Raise max_iter or tol"):
        result = learn_transform(truth.frames, V, max_iter=2, random_state=0)
    assert not result.converged


# ---- words -----------------------------------------------------------------------------------


def test_says_that_it_has_not_converged():
    with pytest.warns(
        ConvergenceWarning, match=r"tl_nmf did not .* 3 iterations .*max_iter \(now 3"
    ):
        result = tl_nmf(small().frames, 2, max_iter=3, random_state=0)
    assert not result.converged
    assert result.message == "max_iter reached"


def test_interrupt_gives_the_best_so_far():
    def stop(n_iter, objective, gradient_norm):
        assert gradient_norm > 0
        if n_iter == 4:
            raise KeyboardInterrupt

    X = small().frames
    with pytest.warns(ConvergenceWarning, match="interrupted"):
        result = tl_nmf(X, 2, n_init=3, random_state=0, callback=stop)
    assert result.n_iter == 4
    assert value(X, result) == pytest.approx(result.history.min(), rel=1e-8)


def test_default_number_of_components():
    counts = {(100, 64): 10, (100, 20): 5, (100, 3): 1, (100, 1): 1, (3, 64): 2, (2, 1): 1}
    for shape, expected in counts.items():
        assert algorithm.resolve_n_components(None, *shape) == expected


X = small().frames
PHI = np.eye(10)


@pytest.mark.parametrize(
    ("data", "options", "message"),
    [
        (np.zeros((20, 4)), {}, "Every entry of X is zero"),
        (np.where(X > 2, np.nan, X), {}, "NaN"),
        (X[0], {}, "Expected 2D array"),
        (X[:1], {}, "1 sample"),
        (X, {"n_components": 10}, r"n_components=10 is more than 9 for X of shape \(500, 10\)"),
        (X[:5], {"n_components": 5}, r"n_components=5 is more than 4"),
        (X, {"objective": "euclidean"}, "'objective' parameter of tl_nmf must be .*'euclidean'"),
        (X, {"init": "svd"}, "'init' parameter of tl_nmf must be .*'svd'"),
        (X, {"n_init": 0}, "'n_init' parameter of tl_nmf must be .* 0"),
        (X, {"n_inner": 0}, "'n_inner' parameter of tl_nmf must be .* 0"),
        (X, {"max_iter": 0}, "'max_iter' parameter of tl_nmf must be .* 0"),
        (X, {"alpha": -1.0}, "'alpha' parameter of tl_nmf must be .* -1.0"),
        (X, {"floor": 0.0}, "'floor' parameter of tl_nmf must be .* 0.0"),
        (X, {"init": np.eye(9)}, r"init has shape \(9, 9\), expected \(10, 10\)"),
        (X, {"init": 2 * PHI}, "init is not orthogonal"),
        (X[:39], {"init": "jd"}, "needs at least 40 frames"),
        (X, {"init": (PHI, PHI)}, "tuple of 2 arrays"),
        (X, {"init": (PHI, np.ones((3, 10)), np.ones((500, 2)))}, r"\(3, 10\), expected \(2, 10\)"),
        (X, {"init": (PHI, np.ones((2, 10)), np.ones((9, 2)))}, r"\(9, 2\), expected \(500, 2\)"),
        (
            X,
            {"init": (PHI, -np.ones((2, 10)), np.ones((500, 2)))},
            "dictionary, must be .*negative",
        ),
        (X, {"init": (PHI, np.zeros((2, 10)), np.ones((500, 2)))}, "must not be all zero"),
    ],
)
def test_bad_input(data, options, message):
    with pytest.raises(ValueError, match=message):
        tl_nmf(data, **{"n_components": 2, **options})


@pytest.mark.parametrize(
    ("variances", "message"),
    [
        (np.ones((500, 9)), r"variances has shape \(500, 9\), expected \(500, 10\)"),
        (-np.ones((500, 10)), "variances must be finite and not negative"),
        (np.full((500, 10), np.inf), "variances must be finite and not negative"),
        (np.zeros((500, 10)), "variances must not be all zero"),
    ],
)
def test_bad_variances(variances, message):
    with pytest.raises(ValueError, match=message):
        learn_transform(X, variances)


def test_unknown_objective_of_the_transform_alone():
    with pytest.raises(ValueError, match="'objective' parameter of learn_transform"):
        learn_transform(X, np.ones_like(X), objective="kl")
