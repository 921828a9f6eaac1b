"""The estimator: what it promises beyond the common contract."""

from functools import cache

import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils import estimator_checks

from mvica import TransformLearningNMF
from mvica.joint_diagonalization import frame_signal, make_frames, overlap_add, tl_nmf
from mvica.joint_diagonalization.transform_scenarios import recovery


@cache
def truth():
    return make_frames(600, 8, 2, random_state=0)


@cache
def fitted(**settings):
    return TransformLearningNMF(2, random_state=0, **settings).fit(truth().frames)


def objective_of_frames(model, X, H):
    """Its part of the objective for every frame."""
    floor = model.floor * np.mean(truth().frames ** 2)
    P, V = (X @ model.transform_.T) ** 2 + floor, H @ model.dictionary_ + floor
    return np.sum(P / V + np.log(V), axis=1)


# ---- fit -------------------------------------------------------------------------------------


@pytest.mark.parametrize("objective", ["likelihood", "itakura-saito"])
def test_fit_is_the_function(objective):
    settings = dict(objective=objective, alpha=0.1, n_inner=2, tol=1e-3, random_state=0)
    model = TransformLearningNMF(2, **settings).fit(truth().frames)
    result = tl_nmf(truth().frames, 2, **settings)
    np.testing.assert_array_equal(model.transform_, result.x)
    np.testing.assert_array_equal(model.dictionary_, result.dictionary)
    np.testing.assert_array_equal(model.activations_, result.activations)
    np.testing.assert_array_equal(model.objective_history_, result.history)
    assert model.objective_ == result.objective
    assert model.gradient_norm_ == result.gradient_norm
    assert (model.n_iter_, model.converged_) == (result.n_iter, result.converged)


def test_alpha_shrinks_the_activations():
    models = [fitted(alpha=alpha) for alpha in (0.0, 0.1, 1.0)]
    totals = [model.activations_.sum() for model in models]
    assert totals[0] > 1.01 * totals[1] > 1.1 * totals[2]
    totals = [model.transform(truth().frames).sum() for model in models]
    assert totals[0] > 1.01 * totals[1] > 1.1 * totals[2]


def test_fit_continues_from_its_own_attributes():
    X = truth().frames
    first = TransformLearningNMF(2, max_iter=10, tol=1.0, random_state=0).fit(X)
    start = first.transform_, first.dictionary_, first.activations_
    second = TransformLearningNMF(2, init=start, tol=1e-3).fit(X)
    assert second.objective_history_[0] == pytest.approx(first.objective_, rel=1e-10)
    assert second.objective_ < first.objective_


def test_not_converged_is_said_where_fit_was_called():
    model = TransformLearningNMF(2, max_iter=2, random_state=0)
    with pytest.warns(ConvergenceWarning, match="TransformLearningNMF did not") as caught:
        model.fit(truth().frames)
    assert caught[0].filename == __file__
    assert not model.converged_
    assert model.n_iter_ == 2


def test_verbose_shows_progress(capfd):
    TransformLearningNMF(2, tol=1e-2, verbose=1, random_state=0).fit(truth().frames)
    assert "TransformLearningNMF" in capfd.readouterr().err


# ---- transform -------------------------------------------------------------------------------


def test_activations_minimise_the_objective_of_each_frame():
    model, X = fitted(), truth().frames
    H = model.transform(X)
    at_best = objective_of_frames(model, X, H)
    assert np.mean(at_best) <= np.mean(objective_of_frames(model, X, model.activations_))
    rng = np.random.default_rng(0)
    for size in (1e-3, 0.1):
        other = H * np.exp(size * rng.standard_normal(H.shape))
        assert np.mean(objective_of_frames(model, X, other) >= at_best - 1e-6) == 1.0


def test_activations_of_louder_frames():
    model = fitted(floor=1e-12)
    H = model.transform(truth().frames)
    np.testing.assert_allclose(
        model.transform(3.0 * truth().frames), 9.0 * H, rtol=1e-3, atol=1e-6 * H.max()
    )


def test_single_precision():
    X = truth().frames
    narrow = TransformLearningNMF(2, tol=1e-3, random_state=0).fit(X.astype(np.float32))
    wide = TransformLearningNMF(2, tol=1e-3, random_state=0).fit(X)
    H = narrow.transform(X.astype(np.float32))
    assert H.dtype == np.float32
    np.testing.assert_allclose(H, wide.transform(X), atol=1e-3 * H.max())
    np.testing.assert_allclose(narrow.transform_, wide.transform_, atol=1e-4)


def test_activations_of_silence():
    silent = fitted().transform(np.zeros((3, 8)))
    np.testing.assert_array_equal(silent, 0.0)


def test_coefficients_are_turned_back():
    model, X = fitted(output="coefficients"), truth().frames
    C = model.transform(X)
    np.testing.assert_allclose(C, X @ model.transform_.T, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(model.inverse_transform(C), X, atol=1e-10)
    assert model.inverse_transform(C.astype(np.float32)).dtype == np.float32
    with pytest.raises(ValueError, match="S has 7 columns, expected 8"):
        model.inverse_transform(C[:, 1:])


def test_activations_cannot_be_turned_back():
    assert not hasattr(fitted(), "inverse_transform")
    with pytest.raises(AttributeError, match="inverse_transform"):
        _ = fitted().inverse_transform


@pytest.mark.parametrize(("output", "width"), [("activations", 2), ("coefficients", 8)])
def test_names_of_the_columns(output, width):
    frames = pd.DataFrame(truth().frames, columns=[f"t{j}" for j in range(8)])
    model = TransformLearningNMF(2, output=output, tol=1e-2, random_state=0)
    found = model.set_output(transform="pandas").fit_transform(frames)
    assert list(found.columns) == [f"transformlearningnmf{k}" for k in range(width)]
    assert list(model.feature_names_in_) == list(frames.columns)


def test_units_of_the_data():
    X, tiny = truth().frames, 1e-13 * truth().frames
    a, b = (TransformLearningNMF(2, tol=1e-3, random_state=0).fit(data) for data in (X, tiny))
    np.testing.assert_allclose(a.transform_, b.transform_, atol=1e-6)
    H = a.transform(X)
    np.testing.assert_allclose(1e26 * b.transform(tiny), H, atol=1e-4 * H.max())


# ---- separate --------------------------------------------------------------------------------


def test_parts_add_up_and_are_wiener_estimates():
    model, X = fitted(), truth().frames
    parts, H = model.separate(X), model.transform(X)
    assert parts.shape == (2, 600, 8)
    np.testing.assert_allclose(parts.sum(axis=0), X, atol=1e-10)
    for n in (0, 17):
        covariances = [
            model.transform_.T @ np.diag(H[n, k] * model.dictionary_[k]) @ model.transform_
            for k in range(2)
        ]
        expected = covariances[0] @ np.linalg.solve(sum(covariances), X[n])
        np.testing.assert_allclose(parts[0, n], expected, atol=1e-6 * np.abs(X[n]).max())


def test_parts_of_silence_and_of_single_precision():
    parts = fitted().separate(np.vstack([np.zeros((1, 8)), truth().frames[:2]]).astype(np.float32))
    assert parts.dtype == np.float32
    np.testing.assert_array_equal(parts[:, 0], 0.0)
    np.testing.assert_allclose(parts[:, 1:].sum(axis=0), truth().frames[:2], atol=1e-5)


def test_separates_two_sounds_that_take_turns():
    # A low and a high band of noise, one after the other and then together.
    rng = np.random.default_rng(0)
    n = 12_000
    spectrum = np.fft.rfftfreq(n)
    sounds = []
    for low, high, on in [(0.0, 0.1, slice(0, 8000)), (0.25, 0.35, slice(4000, n))]:
        band = (spectrum > low) & (spectrum < high)
        noise = np.fft.irfft(np.fft.rfft(rng.standard_normal(n)) * band)
        sound = np.zeros(n)
        sound[on] = noise[on] / noise.std()
        sounds.append(sound)
    frames = frame_signal(sum(sounds), 20)
    model = TransformLearningNMF(2, n_init=3, random_state=0).fit(frames)
    parts = overlap_add(model.separate(frames), n)
    correlation = np.abs(np.corrcoef(np.vstack([parts, sounds]))[:2, 2:])
    assert max(np.trace(correlation), np.trace(correlation[::-1])) > 1.96


# ---- with scikit-learn -----------------------------------------------------------------------


def test_checks_of_scikit_learn_for_coefficients():
    results = estimator_checks.check_estimator(
        TransformLearningNMF(output="coefficients"), on_skip=None, on_fail=None
    )
    assert {result["status"] for result in results} == {"passed"}


def test_features_for_a_classifier():
    # Two kinds of frames that differ in their spectra alone.
    rng = np.random.default_rng(0)
    data = make_frames(400, 8, 2, random_state=1)
    kinds = rng.integers(0, 2, 400)
    powers = np.where(kinds[:, None], data.dictionary[0], data.dictionary[1])
    X = (np.sqrt(powers) * rng.standard_normal((400, 8))) @ data.transform
    model = make_pipeline(
        TransformLearningNMF(random_state=0, tol=1e-3),
        FunctionTransformer(lambda H: np.log(H + 1e-3)),
        LogisticRegression(),
    )
    grid = {"transformlearningnmf__n_components": [1, 2]}
    search = GridSearchCV(model, grid, cv=3, error_score="raise").fit(X, kinds)
    assert search.best_params_ == {"transformlearningnmf__n_components": 2}
    assert search.best_score_ > 0.7


def test_recovers_the_transform():
    model = TransformLearningNMF(2, n_init=5, random_state=1)
    data = make_frames(2000, 8, 2, random_state=0)
    assert recovery(model.fit(data.frames).transform_, data.transform) > 0.97


@pytest.mark.parametrize("method", ["transform", "separate"])
def test_unfitted(method):
    with pytest.raises(NotFittedError):
        getattr(TransformLearningNMF(), method)(truth().frames)


def test_bad_data():
    spoiled = truth().frames.copy()
    spoiled[3, 2] = np.inf
    with pytest.raises(ValueError, match="infinity"):
        TransformLearningNMF().fit(spoiled)
    with pytest.raises(ValueError, match="zero"):
        TransformLearningNMF().fit(np.zeros((20, 4)))
    with pytest.raises(ValueError, match="n_components=8 is more than 7"):
        TransformLearningNMF(8).fit(truth().frames)
    for method in ("transform", "separate"):
        with pytest.raises(ValueError, match="X has 7 features"):
            getattr(fitted(), method)(truth().frames[:, 1:])
