"""MVICAD2: recovery, conventions, invariance, users' tools, errors."""

import warnings

import numpy as np
import pytest

from mvica import MVICAD2, MultiViewICA, load, save
from mvica.datasets import make_mvicad2
from mvica.ica.warps import centre_clock, latencies
from mvica.metrics import amari_distance, match_sources


def matched_timing(model, data):
    """True timing in the fitted order of components, on the same clock."""
    products = [
        np.abs(U @ A) / np.linalg.norm(U @ A, axis=1)[:, None]
        for U, A in zip(model.components_, data.mixings, strict=True)
    ]
    order = np.mean(products, axis=0).argmax(axis=1)
    assert sorted(order) == list(range(len(order)))
    return centre_clock(data.delays[:, order], data.dilations[:, order])


def timing_errors(model, data):
    tau, d = matched_timing(model, data)
    return np.abs(model.delays_ - tau).mean(), np.abs(model.dilations_ - d).mean()


@pytest.fixture(scope="module")
def exact():
    return make_mvicad2(
        6, 400, 3, n_epochs=4, max_delay=15, max_dilation=1.1, onset=60, noise_std=0.05,
        exact=True, random_state=0,
    )  # fmt: skip


SETTINGS = {"max_delay": 15, "max_dilation": 1.1, "epochs": 4, "onset": 60, "random_state": 0}


@pytest.fixture(scope="module")
def fitted(exact):
    return MVICAD2(**SETTINGS).fit(exact.views)


# ---- recovery ----------------------------------------------------------------------------------


@pytest.mark.parametrize("interpolation", ["linear", "cubic"])
@pytest.mark.parametrize("boundary", ["periodic", "edge"])
def test_recovery(exact, interpolation, boundary):
    model = MVICAD2(interpolation=interpolation, boundary=boundary, **SETTINGS).fit(exact.views)
    delay, dilation = timing_errors(model, exact)
    assert delay < 0.1
    assert dilation < 5e-4
    assert amari_distance(model.components_, exact.mixings) < 2e-4
    assert model.converged_
    assert not model.at_bounds_.any()
    np.testing.assert_allclose(model.dilations_.mean(axis=0), 1, atol=1e-10)
    np.testing.assert_allclose(model.delays_.mean(axis=0), 0, atol=1e-10)


def test_published_simulation():
    data = make_mvicad2(random_state=0)
    model = MVICAD2(max_delay=30, max_dilation=1.15, epochs=5, random_state=0).fit(data.views)
    delay, dilation = timing_errors(model, data)
    assert amari_distance(model.components_, data.mixings) < 2e-4
    assert delay < 0.36
    assert dilation < 0.0018


def test_permica_start_and_shared_warps():
    data = make_mvicad2(
        5, 300, 3, n_epochs=4, max_delay=10, max_dilation=1.1, shared_warps=True, exact=True,
        noise_std=0.02, random_state=2,
    )  # fmt: skip
    for init in ("match", "permica"):
        model = MVICAD2(
            max_delay=10, max_dilation=1.1, epochs=4, shared_warps=True, init=init, random_state=0
        ).fit(data.views)
        delay, dilation = timing_errors(model, data)
        assert delay < 0.1
        assert dilation < 1e-3
        np.testing.assert_allclose(np.ptp(model.delays_, axis=1), 0, atol=1e-12)
        np.testing.assert_allclose(np.ptp(model.dilations_, axis=1), 0, atol=1e-12)


def test_mean_dilation_does_not_drift(exact):
    """Before the clock is set: the loss itself would speed it up if it were free to."""
    from mvica.ica import dilations_estimator as module

    seen = []
    original = module.fit_dilated

    def spy(*arguments, **settings):
        seen.append(original(*arguments, **settings))
        return seen[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "fit_dilated", spy)
        MVICAD2(**SETTINGS).fit(exact.views)
    np.testing.assert_allclose(seen[0].dilations.mean(axis=0), 1, atol=1e-2)


def test_half_samples_do_not_attract():
    """Two views of one sine in white noise: without smoothing delays go to half samples."""
    t, errors = np.arange(2000), {0: [], 5: []}
    for seed in range(8):
        rng = np.random.default_rng(seed)
        views = [
            (np.sin(2 * np.pi * t / 100) + 0.05 * rng.standard_normal(2000))[:, None]
            for _ in range(2)
        ]
        for smoothing, found in errors.items():
            model = MVICAD2(
                max_delay=4, max_dilation=1, smoothing=smoothing, envelope=0, random_state=0,
                boundary="edge",
            ).fit(views)  # fmt: skip
            found.append(model.delays_[1, 0] - model.delays_[0, 0])
    rms = {k: np.sqrt(np.mean(np.square(found))) for k, found in errors.items()}
    assert rms[5] < 0.1
    assert rms[0] > 3 * rms[5]


def test_pure_stretch_of_two_peaks():
    t, rng = np.arange(500), np.random.default_rng(0)

    def source(u):
        peaks = [(150, 12, 1.0), (330, 20, -0.8)]
        return sum(g * np.exp(-0.5 * ((u - c) / w) ** 2) for c, w, g in peaks)

    true_d, true_tau = np.array([1.0, 1.1, 0.92]), np.array([0.0, 6.0, -4.0])
    views = []
    for d, tau in zip(true_d, true_tau, strict=True):
        own = 100 + (t - 100 - tau) / d
        views.append((source(own) + 0.01 * rng.standard_normal(500))[:, None])
    model = MVICAD2(max_delay=10, max_dilation=1.15, onset=100, reference=0, random_state=0)
    model.fit(views)
    np.testing.assert_allclose(model.dilations_[:, 0], true_d, atol=0.01)
    np.testing.assert_allclose(model.delays_[:, 0], true_tau, atol=0.3)
    expected = latencies(330, true_tau, true_d, onset=100)
    np.testing.assert_allclose(model.latencies(330)[:, 0], expected, atol=0.5)


def test_unequal_epochs():
    data = make_mvicad2(
        5, 400, 2, n_epochs=4, max_delay=12, max_dilation=1.1, exact=True, noise_std=0.02,
        random_state=1,
    )  # fmt: skip
    rows = np.concatenate([np.arange(400), 400 + np.arange(390), 800 + np.arange(400)])
    views = [X[rows] for X in data.views]
    model = MVICAD2(max_delay=12, max_dilation=1.1, epochs=(400, 390, 400), random_state=0)
    delay, dilation = timing_errors(model.fit(views), data)
    assert delay < 0.1
    assert dilation < 1e-3
    with pytest.raises(ValueError, match="their sum"):
        model.transform([X[:390] for X in views])


# ---- one model with MultiViewICA ----


def test_no_timing_is_multiview_ica(exact):
    plain = MultiViewICA(reduction="pca", tol=0.02, max_iter=1000, random_state=0).fit(exact.views)
    model = MVICAD2(max_delay=0, max_dilation=1, epochs=4, random_state=0).fit(exact.views)
    np.testing.assert_array_equal(model.components_, plain.components_)
    assert np.all(model.dilations_ == 1)
    assert model.timing_test_.p_value == 1.0


def test_group_without_timing():
    data = make_mvicad2(
        5, 400, 3, n_epochs=5, max_delay=0, max_dilation=1, exact=True, noise_std=0.1,
        random_state=0,
    )  # fmt: skip
    plain = amari_distance(MultiViewICA(random_state=0).fit(data.views).components_, data.mixings)
    model = MVICAD2(max_delay=10, max_dilation=1.1, epochs=5, random_state=0).fit(data.views)
    assert amari_distance(model.components_, data.mixings) < 1.05 * plain
    assert model.timing_test_.p_value > 0.001
    assert np.abs(model.delays_ / model.delays_std_).max() < 5


def test_timing_test_sees_timing(fitted):
    assert fitted.timing_test_.p_value < 1e-6
    assert fitted.timing_test_.degrees == 5 * 3 * 2
    assert fitted.timing_test_.view_p_values.shape == (6, 3)


@pytest.mark.parametrize(("bounds", "free"), [((15, 1), 0), ((0, 1.1), 1)])
def test_one_kind_of_timing_alone(bounds, free):
    data = make_mvicad2(
        4, 300, 2, n_epochs=3, max_delay=bounds[0], max_dilation=bounds[1], onset=40, exact=True,
        noise_std=0.02, random_state=0,
    )  # fmt: skip
    model = MVICAD2(
        max_delay=bounds[0], max_dilation=bounds[1], onset=40, epochs=3, random_state=0
    ).fit(data.views)
    errors = timing_errors(model, data)
    assert errors[0] < 0.1
    assert errors[1] < 1e-3
    fixed = [model.delays_ * 0, model.dilations_ * 0 + 1][1 - free]
    np.testing.assert_array_equal([model.delays_, model.dilations_][1 - free], fixed)
    stds = [model.delays_std_, model.dilations_std_]
    assert np.all(stds[free] > 0)
    assert np.all(stds[1 - free] == 0)


def test_invariances(exact, fitted):
    rng = np.random.default_rng(0)
    mixed = [X @ rng.standard_normal((3, 3)) * 1e-13 for X in exact.views]
    other = MVICAD2(**SETTINGS).fit(mixed[::-1])
    order = match_sources(other.sources_, fitted.sources_).permutation
    np.testing.assert_allclose(other.delays_[::-1][:, order], fitted.delays_, atol=0.02)
    np.testing.assert_allclose(other.dilations_[::-1][:, order], fitted.dilations_, atol=1e-4)


# ---- tools ---------------------------------------------------------------------------------------


def test_transform_and_inverse(exact, fitted):
    S = fitted.transform(exact.views)
    np.testing.assert_allclose(S, fitted.sources_, atol=1e-9)
    aligned = fitted.transform_views(exact.views, aligned=True)
    agreement = np.corrcoef(np.stack(aligned)[:, :, 0])
    own = np.corrcoef(np.stack(fitted.transform_views(exact.views))[:, :, 0])
    assert agreement.min() > 0.97
    assert own.min() < 0.8
    X = fitted.inverse_transform(S)
    for X_v, Y_v in zip(exact.views, X.views, strict=True):
        assert np.corrcoef(X_v.ravel(), Y_v.ravel())[0, 1] > 0.985
    np.testing.assert_allclose(fitted.agreement_[:, 0] > 0.97, True)


def test_saved_model_keeps_the_timing_of_unequal_epochs(exact, tmp_path):
    views = [X[:1500] for X in exact.views]
    model = MVICAD2(**{**SETTINGS, "epochs": (400, 400, 400, 300)}).fit(views)
    save(model, tmp_path / "model")
    loaded = load(tmp_path / "model")
    S = model.transform(views)
    np.testing.assert_array_equal(loaded.transform(views), S)
    aligned = loaded.transform_views(views, aligned=True)
    np.testing.assert_allclose(np.mean(aligned, axis=0), S, atol=1e-12)
    for X, Y in zip(loaded.inverse_transform(S).views, views, strict=True):
        assert np.linalg.norm(X - Y) < 0.2 * np.linalg.norm(Y)
    with pytest.raises(ValueError, match="their sum"):
        loaded.transform([X[:400] for X in views])
    assert loaded.timing_test_.statistic == model.timing_test_.statistic


def test_reference_view(exact, fitted):
    model = MVICAD2(**SETTINGS, reference=2).fit(exact.views)
    np.testing.assert_allclose(model.delays_[2], 0, atol=1e-12)
    np.testing.assert_allclose(model.dilations_[2], 1, atol=1e-12)
    tau, d = centre_clock(model.delays_, model.dilations_)
    np.testing.assert_allclose(tau, fitted.delays_, atol=1e-6)
    np.testing.assert_allclose(d, fitted.dilations_, atol=1e-8)


def test_warm_start(exact, fitted):
    start = (fitted.components_, fitted.delays_, fitted.dilations_)
    model = MVICAD2(**SETTINGS, init=start).fit(exact.views)
    np.testing.assert_allclose(model.delays_, fitted.delays_, atol=0.02)
    with pytest.raises(ValueError, match="not positive"):
        MVICAD2(**SETTINGS, init=(*start[:2], -fitted.dilations_)).fit(exact.views)


def test_added_view_gets_its_timing(exact):
    model = MVICAD2(**SETTINGS).fit(exact.views[:5])
    model.add_view(exact.views[5])
    assert model.delays_.shape == (6, 3)
    tau, d = (a[:, :] for a in matched_timing(model, exact))
    rate = d[:5].mean(axis=0)  # the clock of the first five views
    np.testing.assert_allclose(model.dilations_[5], d[5] / rate, atol=3e-3)
    expected = tau[5] - d[5] / rate * tau[:5].mean(axis=0)
    np.testing.assert_allclose(model.delays_[5], expected, atol=0.5)
    assert amari_distance(model.components_[5:], exact.mixings[5:]) < 1e-3
    S = model.transform(exact.views)
    assert match_sources(S, model.sources_).correlations.min() > 0.99


def test_standard_errors_and_bootstrap_agree():
    data = make_mvicad2(
        4, 300, 2, n_epochs=12, max_delay=8, max_dilation=1.08, onset=40, exact=True,
        noise_std=0.2, random_state=3,
    )  # fmt: skip
    model = MVICAD2(max_delay=8, max_dilation=1.08, onset=40, epochs=12, random_state=0)
    model.fit(data.views)
    found = model.bootstrap_timing(data.views, n_boot=40, random_state=0)
    assert found.delays.shape == (40, 4, 2)
    ratio = found.delays_std / model.delays_std_
    assert 0.6 < np.median(ratio) < 1.7
    ratio = found.dilations_std / model.dilations_std_
    assert 0.6 < np.median(ratio) < 1.7
    low, high = found.interval(0.9)[0]
    assert np.all(low < high)
    few = make_mvicad2(3, 200, 2, n_epochs=2, max_delay=5, random_state=0)
    model = MVICAD2(max_delay=5, max_dilation=1.15, epochs=2, random_state=0).fit(few.views)
    with pytest.raises(ValueError, match="at least 5"):
        model.bootstrap_timing(few.views)


def test_identifiability_sees_a_single_peak():
    t, rng = np.arange(400), np.random.default_rng(0)
    wave = np.exp(-0.5 * ((t - 300) / 8.0) ** 2)
    near = np.exp(-0.5 * ((t - 40) / 8.0) ** 2) + np.exp(-0.5 * ((t - 160) / 8.0) ** 2)
    values = []
    for source in (wave, near):
        views = [(source + 0.02 * rng.standard_normal(400))[:, None] for _ in range(4)]
        model = MVICAD2(max_delay=4, max_dilation=1.02, onset=100, random_state=0).fit(views)
        values.append(model.identifiability_.mean())
    assert values[0] > 30
    assert values[1] < 10


def test_score_and_new_epochs(exact, fitted):
    first = [X[:800] for X in exact.views]
    model = MVICAD2(**{**SETTINGS, "epochs": 2}).fit(first)
    held_out = [X[800:] for X in exact.views]
    plain = MVICAD2(max_delay=0, max_dilation=1, epochs=2, random_state=0).fit(first)
    assert model.score(held_out) > plain.score(held_out) + 1


# ---- errors --------------------------------------------------------------------------------------


def test_errors(exact):
    for parameters, message in [
        ({"max_dilation": 0.9}, "give the ratio >= 1"),
        ({"max_delay": 200, "epochs": 4}, "max_delay=200 is not below half"),
        ({"onset": 400, "epochs": 4}, "onset=400 is outside"),
        ({"max_dilation": 2.2, "epochs": 4}, "move samples by up to"),
        ({"smoothing": 4}, "smoothing=4: give an odd width"),
        ({"envelope": 2}, "envelope=2: give an odd width"),
        ({"epochs": 7}, "cannot be cut into epochs=7"),
        ({"reference": 9}, "reference=9"),
        ({"init": (1, 2)}, "init has 2 entries"),
    ]:
        with pytest.raises(ValueError, match=message):
            MVICAD2(**parameters).fit(exact.views)


def test_numpy_integers_are_accepted(exact):
    settings = {**SETTINGS, "onset": np.int32(60), "epochs": np.int64(4), "max_iter": np.int16(50)}
    assert MVICAD2(**settings).fit(exact.views).converged_


def test_loud_edges_warn_where_they_wrap(exact):
    rolled = [np.roll(X, 170, axis=0) for X in exact.views]
    with pytest.warns(UserWarning, match="do not begin and end near zero"):
        MVICAD2(**SETTINGS, boundary="periodic").fit(rolled)


def test_timings_at_the_bounds_warn(exact):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = MVICAD2(max_delay=2, max_dilation=1.01, epochs=4, onset=60, random_state=0)
        model.fit(exact.views)
    assert model.at_bounds_.mean() > 0.1
    assert any("raise max_delay or max_dilation" in str(w.message) for w in caught)


def test_one_view():
    X = make_mvicad2(1, 300, 2, n_epochs=2, random_state=0, max_delay=5).views
    model = MVICAD2(random_state=0).fit(X)
    assert np.all(model.delays_ == 0)
    assert np.all(model.dilations_ == 1)
    assert model.transform([X[0][:7]]).shape == (7, 2)


def test_iteration_limit_warns(exact):
    from sklearn.exceptions import ConvergenceWarning

    with pytest.warns(ConvergenceWarning, match="MVICAD2 did not converge in 2 iterations"):
        MVICAD2(**SETTINGS, max_iter=2).fit(exact.views)
