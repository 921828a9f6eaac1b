"""MVICAD: exact delays, matching at all lags, recovery, invariance, errors."""

import numpy as np
import pytest

from mvica import MVICAD, MultiViewICA
from mvica.datasets import make_multiview_ica, make_mvicad
from mvica.ica.delays_fractional import FractionalViews, shift
from mvica.ica.delays_matching import Search, dilation_grid, lag_products, match, spectra
from mvica.ica.delays_solve import solve_delayed, step_delays
from mvica.ica.delays_start import find_start, missed_sources, most_predictable
from mvica.ica.delays_views import DelayedViews
from mvica.ica.densities import initial_kinds, score_step_for
from mvica.ica.objective import MultiViewObjective
from mvica.ica.stacked import StackedViews, side_by_side
from mvica.ica.warps import Clock, cut_epochs
from mvica.metrics import amari_distance, match_sources
from mvica.testing import check_gradient

LIMITS = {"noise": 1.0, "tol": 1e-5, "tol_decrease": 1e-6, "max_iter": 500}


def roll_epochs(x, delay, epochs):
    """Read x (..., n_samples) `delay` samples later, epoch by epoch."""
    parts = np.split(x, epochs.starts[1:], axis=-1)
    return np.concatenate([np.roll(part, -delay, axis=-1) for part in parts], axis=-1)


def small_views(m=3, p=2, lengths=(30, 21, 40), dtype=np.float64, seed=0):
    rng = np.random.default_rng(seed)
    epochs = cut_epochs(sum(lengths), lengths)
    Z = rng.laplace(size=(m * p, epochs.n_samples)).astype(dtype)
    delays = rng.integers(-9, 10, (m, p))
    return DelayedViews(Z, delays, epochs), rng


def delay_errors(model, data):
    """Absolute errors of the delays, components matched, in the clock of median error zero."""
    P = np.mean(
        [np.abs(U @ A) / np.linalg.norm(U @ A, axis=1)[:, None]
         for U, A in zip(model.components_, data.mixings, strict=True)], axis=0
    )  # fmt: skip
    errors = model.delays_ - data.delays[:, P.argmax(axis=1)]
    return np.abs(errors - np.median(errors, axis=0))


# ---- products over samples ----------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_mixtures_and_their_adjoint_roll_inside_epochs(dtype):
    views, rng = small_views(dtype=dtype)
    m, p, n = 3, 2, views.n_samples
    W = rng.standard_normal((m, p, p))
    S = W @ views.Z.reshape(m, p, n).astype(np.float64)
    expected = sum(
        np.stack([roll_epochs(S[v, j], views.delays[v, j], views.epochs) for j in range(p)])
        for v in range(m)
    )
    mixed = views.mix(side_by_side(W))
    np.testing.assert_allclose(mixed, expected, rtol=0, atol=1e-12 if dtype is np.float64 else 1e-4)
    signals = rng.standard_normal((2 * p, n)).astype(dtype)
    correlation = views.correlate(signals)
    for r in range(2 * p):
        back = [roll_epochs(signals[r], -views.delays[v, r % p], views.epochs) for v in range(m)]
        brute = np.concatenate([views.Z[v * p : (v + 1) * p] @ back[v] for v in range(m)]) / n
        np.testing.assert_allclose(
            correlation[:, r], brute, atol=1e-12 if dtype is np.float64 else 1e-5
        )


def test_an_impulse_at_a_join_stays_in_its_epoch():
    epochs = cut_epochs(20, (8, 12))
    Z = np.zeros((2, 20))
    Z[:, 7] = 1.0
    mixed = DelayedViews(Z, np.array([[-3, 3]]), epochs).mix(np.eye(2))
    np.testing.assert_array_equal(np.flatnonzero(mixed[0]), [2])
    np.testing.assert_array_equal(np.flatnonzero(mixed[1]), [4])


@pytest.mark.parametrize("kind", [DelayedViews, FractionalViews])
def test_gradient_with_delays(kind):
    views, rng = small_views()
    delays = views.delays if kind is DelayedViews else views.delays + 0.37
    views = kind(views.Z, delays, views.epochs)
    step = score_step_for(views.Z, "logcosh", initial_kinds("logcosh", 2))
    objective = MultiViewObjective(views, 0.7, step)
    W = np.eye(2) + 0.3 * rng.standard_normal((3, 2, 2))
    check_gradient(
        lambda W: objective.start(W).value,
        W,
        lambda W: objective.start(W).gradient,
        retraction=lambda W, E: W + E @ W,
    )


def test_fractional_views_agree_with_whole_ones():
    views, rng = small_views()
    fractional = FractionalViews(views.Z, views.delays, views.epochs)
    B = rng.standard_normal((2, 6))
    np.testing.assert_allclose(fractional.mix(B), views.mix(B), atol=1e-12)
    S = rng.standard_normal((4, views.n_samples))
    np.testing.assert_allclose(fractional.correlate(S), views.correlate(S), atol=1e-12)


def test_fractional_shift_is_exact_on_a_sine_and_so_is_its_derivative():
    epochs, t = cut_epochs(60, (20, 40)), np.concatenate([np.arange(20), np.arange(40)])
    Y, D = shift(np.sin(0.2 * np.pi * t)[None, None], np.array([[0.3]]), epochs, True)
    np.testing.assert_allclose(Y[0, 0], np.sin(0.2 * np.pi * (t + 0.3)), atol=1e-12)
    np.testing.assert_allclose(D[0, 0], 0.2 * np.pi * np.cos(0.2 * np.pi * (t + 0.3)), atol=1e-12)


# ---- delays ------------------------------------------------------------------------------------


def test_lag_products_equal_brute_force():
    rng, epochs = np.random.default_rng(0), cut_epochs(43, (20, 23))  # 23 is slow: padded
    A, B = rng.standard_normal((2, 43)), rng.standard_normal((3, 43))
    C = lag_products(spectra(A, epochs, 6, later=True), spectra(B, epochs, 6), 6)
    for lag in range(-6, 7):
        brute = roll_epochs(A, lag, epochs) @ B.T
        np.testing.assert_allclose(C[:, :, lag + 6], brute, atol=1e-12)


def loss(views, W, delays, noise=1.0):
    step = score_step_for(views.Z, "logcosh", initial_kinds("logcosh", views.n_components))
    return MultiViewObjective(views.delayed(delays), noise, step).start(W).value


@pytest.mark.parametrize("shared", [False, True])
def test_delay_step_is_the_best_of_all_lags(shared):
    views, _ = small_views(lengths=(40, 30))
    W = np.tile(np.eye(2), (3, 1, 1))
    delays = np.zeros((3, 2), dtype=int)
    start = views.delayed(delays)
    found = step_delays(start, W, 2, shared, 1.0)  # five lags: all of them are scored in full
    brute = delays.copy()
    for v in range(3):
        for j in [slice(None)] if shared else range(2):
            trials = []
            for lag in range(-2, 3):
                trial = brute.copy()
                trial[v, j] = lag
                trials.append(loss(views, W, trial))
            brute[v, j] = np.argmin(trials) - 2
    np.testing.assert_array_equal(found, brute)


@pytest.mark.parametrize("shared", [False, True])
def test_the_loss_never_increases(shared):
    data = make_mvicad(6, 300, 3, n_epochs=2, max_delay=8, noise_std=0.3, random_state=0)
    Z = np.concatenate([X.T / X.std() for X in data.views])
    rng = np.random.default_rng(0)
    views = DelayedViews(Z, rng.integers(-8, 9, (6, 3)), cut_epochs(600, 2))
    W = np.linalg.qr(rng.standard_normal((6, 3, 3)))[0]
    solution = solve_delayed(views, W, max_lag=16, shared=shared, **LIMITS)
    history = solution.result.history
    assert len(history) > 10
    rises = np.diff(history) > 1e-9 * np.abs(history[1:]) + 1e-11
    assert not rises.any(), np.diff(history)[rises]
    assert solution.result.converged


# ---- starts ------------------------------------------------------------------------------------


@pytest.mark.parametrize("init", ["match", "permica"])
def test_start_recovers_a_cycle_with_signs_and_long_delays(init):
    """Zero-lag correlation sees nothing here: delays exceed the sources' correlation length."""
    rng, n = np.random.default_rng(0), 2000
    S = rng.laplace(size=(3, n))
    delays = np.array([[0, 0, 0], [40, -40, 35], [-40, 38, -36]])
    signs, orders = (
        np.array([[1, 1, 1], [-1, 1, -1], [1, -1, -1]]),
        [[0, 1, 2], [1, 2, 0], [2, 0, 1]],
    )
    Z = np.concatenate([
        np.stack([np.roll(signs[v, j] * S[j], delays[v, j]) for j in range(3)])[orders[v]]
        for v in range(3)
    ])  # fmt: skip
    Z /= Z.std(axis=1, keepdims=True)
    search = Search(Clock(cut_epochs(n, 1)), 90, np.ones(1))
    views = StackedViews(Z, 3)
    found = find_start(views, search, init, np.random.RandomState(0))
    relative = found.delays - found.delays[0]
    P = np.stack([
        found.W[v] @ np.eye(3)[orders[v]] * signs[v] for v in range(3)
    ])  # from sources to components  # fmt: skip
    order = np.abs(P[0]).argmax(axis=1)
    np.testing.assert_allclose(relative, delays[:, order], atol=1e-9)
    for v in range(3):
        np.testing.assert_allclose(P[v, range(3), order], P[0, range(3), order], atol=0.1)


def test_shared_start_takes_one_delay_a_view():
    data = make_mvicad(4, 400, 3, max_delay=10, shared_delays=True, noise_std=0.1, random_state=1)
    views = StackedViews(np.concatenate([_white(X) for X in data.views]), 4)
    search = Search(Clock(cut_epochs(400, 1)), 20, np.ones(1), shared=True)
    for init in ("match", "permica"):
        found = find_start(views, search, init, np.random.RandomState(0))
        relative = found.delays - found.delays[0]
        np.testing.assert_allclose(relative, data.delays - data.delays[0], atol=1.0)
        assert np.all(np.ptp(found.delays, axis=1) == 0)


def _white(X):
    left = np.linalg.svd(X - X.mean(axis=0), full_matrices=False)[0]
    return left.T * np.sqrt(len(X))


def test_sources_that_other_views_predict_are_chosen_once_each():
    """Mixtures of sources with different delays are left out, and so are second copies."""
    data = make_mvicad(6, 400, 3, max_delay=15, noise_std=0.02, random_state=0)
    views = StackedViews(np.concatenate([_white(X) for X in data.views]), 6)
    delayed = np.stack([
        [np.roll(s, tau) for s, tau in zip(data.sources.T, delays, strict=True)]
        for delays in data.delays[:3]
    ])  # fmt: skip
    mixed = np.random.default_rng(0).standard_normal((2, 3, 3))
    firsts = np.stack([mixed[0] @ delayed[0], delayed[1], mixed[1] @ delayed[2]])
    search = Search(Clock(cut_epochs(400, 1)), 30, np.ones(1))
    S = most_predictable(views, firsts, np.arange(3), search)
    likeness = np.abs(np.corrcoef(S, delayed[1])[:3, 3:])
    np.testing.assert_allclose(np.sort(likeness, axis=1)[:, -1], 1, atol=1e-12)
    assert sorted(likeness.argmax(axis=1)) == [0, 1, 2]


def test_missed_sources_are_found_again():
    data = make_mvicad(6, 600, 3, max_delay=15, noise_std=0.1, random_state=0)
    views = StackedViews(np.concatenate([_white(X) for X in data.views]), 6)
    search = Search(Clock(cut_epochs(600, 1)), 30, np.ones(1))
    start = find_start(views, search, "match", np.random.RandomState(0))
    right = match(views, search, first=start.W[0] @ views.Z[:3])
    assert missed_sources(views, right.W, right.delays, right.dilations * 0 + 1, search) is None
    wrong = right.delays.copy()
    wrong[2, 1] += 20
    better = missed_sources(views, right.W, wrong, np.ones(wrong.shape), search)
    np.testing.assert_allclose(better.delays, right.delays, atol=1)


def test_dilation_grid_holds_one_and_is_symmetric():
    grid = dilation_grid(1.2)
    np.testing.assert_allclose(grid * grid[::-1], 1.0)
    assert 1.0 in grid
    assert grid[-1] == pytest.approx(1.44)
    np.testing.assert_array_equal(dilation_grid(1), [1.0])


# ---- the estimator -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def clean():
    return make_mvicad(6, 500, 3, n_epochs=2, max_delay=12, noise_std=0.1, random_state=0)


@pytest.fixture(scope="module")
def fitted(clean):
    return MVICAD(max_delay=12, epochs=2, random_state=0).fit(clean.views)


@pytest.mark.parametrize("init", ["match", "permica"])
def test_recovers_delays_and_mixings(clean, init):
    model = MVICAD(max_delay=12, epochs=2, init=init, random_state=0).fit(clean.views)
    assert np.all(delay_errors(model, clean) == 0)
    assert amari_distance(model.components_, clean.mixings) < 1e-3
    assert model.delays_.dtype == np.int64
    assert np.all(np.abs(model.delays_.mean(axis=0)) <= 0.5)
    assert not model.at_bounds_.any()


def test_unequal_epochs_and_float32(clean):
    rows = np.r_[0:500, 500:800]
    kept = [X[rows].copy() for X in clean.views]
    for X in kept:  # the second epoch is cut: its delays are no longer circular, the first rules
        X[500:] *= np.hanning(300)[:, None]
    wide = MVICAD(max_delay=12, epochs=(500, 300), random_state=0).fit(kept)
    narrow = MVICAD(max_delay=12, epochs=[500, 300], random_state=0).fit(
        [X.astype(np.float32) for X in kept]
    )
    np.testing.assert_array_equal(wide.delays_, narrow.delays_)
    assert np.mean(delay_errors(wide, clean) == 0) > 0.9
    assert narrow.transform([X.astype(np.float32) for X in kept]).dtype == np.float32


def test_reference_view_has_no_delay(clean, fitted):
    model = MVICAD(max_delay=12, epochs=2, reference=3, random_state=0).fit(clean.views)
    assert np.all(model.delays_[3] == 0)
    np.testing.assert_array_equal(model.delays_, fitted.delays_ - fitted.delays_[3])


def test_transform_aligns_and_inverse_puts_the_timing_back(clean, fitted):
    S = fitted.transform(clean.views)
    np.testing.assert_allclose(S, fitted.sources_, atol=1e-10)
    aligned = fitted.transform_views(clean.views, aligned=True)
    np.testing.assert_allclose(np.mean(aligned, axis=0), S, atol=1e-12)
    own = fitted.transform_views(clean.views)
    for v in range(6):
        for e in range(2):
            span = slice(500 * e, 500 * (e + 1))
            for j in range(3):
                rolled = np.roll(own[v][span, j], -fitted.delays_[v, j])
                np.testing.assert_array_equal(aligned[v][span, j], rolled)
    X = fitted.inverse_transform(S)
    for X_v, Y_v in zip(clean.views, X.views, strict=True):
        assert np.corrcoef(X_v.ravel(), Y_v.ravel())[0, 1] > 0.97
    views = MVICAD(max_delay=12, epochs=2, output="views", random_state=0).fit(clean.views)
    back = views.inverse_transform(views.transform_views(clean.views, aligned=True), aligned=True)
    np.testing.assert_allclose(np.stack(back.views), np.stack(clean.views), atol=1e-9)


def test_more_epochs_can_be_transformed_but_no_broken_ones(clean, fitted):
    three = [np.concatenate([X, X[:500]]) for X in clean.views]
    S = fitted.transform(three)
    np.testing.assert_allclose(S[1000:], S[:500], atol=1e-12)
    with pytest.raises(ValueError, match=r"750 samples.*epochs of \[500\]"):
        fitted.transform([X[:750] for X in clean.views])


def test_latencies_and_milliseconds(fitted):
    np.testing.assert_array_equal(fitted.latencies(100), 100 + fitted.delays_)
    assert fitted.latencies([1, 2, 3]).shape == (6, 3, 3)
    np.testing.assert_allclose(fitted.delays_in_ms(500.0), 2.0 * fitted.delays_)
    with pytest.raises(ValueError, match="sfreq=0"):
        fitted.delays_in_ms(0)


def test_no_delay_is_multiview_ica():
    data = make_multiview_ica(4, 1000, 3, noise_std=0.5, random_state=0)
    plain = MultiViewICA(random_state=0).fit(data.views)
    model = MVICAD(max_delay=0, random_state=0).fit(data.views)
    np.testing.assert_array_equal(model.components_, plain.components_)
    assert np.all(model.delays_ == 0)
    free = MVICAD(max_delay=15, random_state=0).fit(data.views)
    assert np.all(free.delays_ == 0)
    found, best = (amari_distance(e.components_, data.mixings) for e in (free, plain))
    assert found < 1.01 * best


def test_invariances(clean, fitted):
    rng = np.random.default_rng(0)
    mixed = [X @ rng.standard_normal((3, 3)) * 1e-13 for X in clean.views]
    other = MVICAD(max_delay=12, epochs=2, random_state=0).fit(mixed[::-1])
    found = match_sources(other.sources_, fitted.sources_)
    shifts = (other.delays_[::-1] - other.delays_[-1])[:, found.permutation]
    np.testing.assert_array_equal(shifts, fitted.delays_ - fitted.delays_[0])
    assert found.correlations.min() > 0.9  # the shared clocks may differ by a sample


def test_warm_start_stays(clean, fitted):
    start = (fitted.components_, fitted.delays_)
    model = MVICAD(max_delay=12, epochs=2, init=start).fit(clean.views)
    np.testing.assert_array_equal(model.delays_, fitted.delays_)
    assert model.n_iter_ <= 5
    assert model.objective_ == pytest.approx(fitted.objective_, abs=1e-6)
    with pytest.raises(TypeError, match="whole samples"):
        MVICAD(epochs=2, init=(fitted.components_, fitted.delays_ + 0.5)).fit(clean.views)
    with pytest.raises(ValueError, match=r"shape \(2, 3\), expected \(6, 3\)"):
        MVICAD(epochs=2, init=(fitted.components_, fitted.delays_[:2])).fit(clean.views)


def test_fractions_of_a_sample_are_recovered():
    rng, m, p, n = np.random.default_rng(0), 5, 2, 600
    source = make_mvicad(1, n, p, random_state=3).sources.T
    true = rng.uniform(-5, 5, (m, p))
    epochs = cut_epochs(n, 1)
    views = shift(np.broadcast_to(source, (m, p, n)), -true, epochs)
    views = views + 0.02 * rng.standard_normal(views.shape)
    mixed = [(rng.standard_normal((p, p)) @ Y).T for Y in views]
    model = MVICAD(max_delay=6, subsample=True, random_state=0).fit(mixed)
    order = match_sources(model.sources_, source.T).permutation
    errors = model.delays_[:, order] - (true - true.mean(axis=0))
    assert np.sqrt(np.mean(errors**2)) < 0.05
    np.testing.assert_allclose(model.delays_.mean(axis=0), 0, atol=1e-10)
    np.testing.assert_allclose(model.transform(mixed), model.sources_, atol=1e-10)


def test_refining_shared_delays_keeps_them_shared():
    data = make_mvicad(4, 400, 2, max_delay=8, shared_delays=True, noise_std=0.2, random_state=0)
    model = MVICAD(max_delay=8, shared_delays=True, subsample=True, random_state=0).fit(data.views)
    np.testing.assert_allclose(np.ptp(model.delays_, axis=1), 0, atol=1e-12)
    assert np.any(model.delays_ % 1)


def test_standard_errors_bootstrap_and_truth_agree():
    data = make_mvicad(6, 300, 2, n_epochs=10, max_delay=8, noise_std=0.5, random_state=0)
    model = MVICAD(max_delay=8, epochs=10, subsample=True, random_state=0).fit(data.views)
    found = model.bootstrap_timing(data.views, n_boot=12, random_state=0)
    assert found.delays.shape == (12, 6, 2)
    np.testing.assert_array_equal(found.dilations, 1)
    assert 0.6 < np.median(found.delays_std / model.delays_std_) < 1.7
    order = np.abs(model.components_[0] @ data.mixings[0]).argmax(axis=1)
    true = data.delays[:, order] - data.delays[:, order].mean(axis=0)
    assert np.abs((model.delays_ - true) / model.delays_std_).max() < 4
    with pytest.raises(ValueError, match="at least 5"):
        MVICAD(max_delay=8, random_state=0).fit(data.views).bootstrap_timing(data.views)


def test_whole_delays_of_resampled_epochs_stay():
    lengths = (100, 120, 90, 110, 180)
    model = MVICAD(max_delay=20, epochs=lengths, random_state=0)
    rng = np.random.default_rng(0)
    views = [rng.laplace(size=(600, 2))] * 3
    model.fit([X + 0.05 * rng.standard_normal(X.shape) for X in views])
    found = model.bootstrap_timing(views, n_boot=3, random_state=0)
    assert found.delays.dtype == np.int64
    np.testing.assert_array_equal(found.delays, 0)


def test_timing_test_is_calibrated_by_draws_without_timing():
    p_values = []
    for max_delay in (0, 6):
        data = make_mvicad(4, 300, 2, max_delay=max_delay, noise_std=0.5, random_state=0)
        model = MVICAD(max_delay=6, subsample=True, random_state=0).fit(data.views)
        test = model.test_timing(data.views, n_draws=19, random_state=0)
        assert test.statistic == model.timing_test_.statistic
        p_values.append(test.p_value)
    assert p_values[0] > 0.1
    assert p_values[1] == 0.05


def test_starts_are_reported_and_the_best_is_kept():
    data = make_mvicad(6, 300, 4, max_delay=10, noise_std=0.4, random_state=1)
    model = MVICAD(max_delay=10, n_init=3, random_state=0).fit(data.views)
    assert model.start_objectives_.shape == (3,)
    assert model.objective_ == pytest.approx(model.start_objectives_.min())


def test_errors(clean):
    views = clean.views
    for parameters, message in [
        ({"epochs": 3}, "1000 samples cannot be cut into epochs=3"),
        ({"epochs": (500, 400)}, "add up to 900 samples, but the data have 1000"),
        ({"epochs": (500, -500)}, "positive lengths"),
        ({"epochs": 2, "max_delay": 250}, "max_delay=250 is not below half"),
        ({"max_delay": -1}, "max_delay"),
        ({"reference": 6}, "reference=6, but there are 6 views"),
        ({"init": (1, 2, 3)}, "init has 3 entries"),
    ]:
        with pytest.raises(ValueError, match=message):
            MVICAD(**parameters).fit(views)


def test_score_prefers_the_right_delays(clean, fitted):
    wrong = MVICAD(max_delay=0, epochs=2).fit(clean.views)
    assert fitted.score(clean.views) > wrong.score(clean.views) + 1
