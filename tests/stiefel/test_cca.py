"""CCA and GCCA as estimators: the right answer by every solver, invariances, and bad input."""

import warnings

import numpy as np
import pytest
from scipy.linalg import eigh
from sklearn.covariance import ledoit_wolf_shrinkage, oas
from sklearn.cross_decomposition import CCA as PairCCA
from sklearn.exceptions import ConvergenceWarning

from benchmarks.stiefel_workloads import simulated, split_digits
from mvica import CCA, GCCA, MultiViewData, load, save

EXACT = ("direct", "svd")
SOLVERS = (*EXACT, "lobpcg", "landing")
TOLERANCE = {"direct": 1e-10, "svd": 1e-10, "lobpcg": 1e-6, "landing": 1e-2}


@pytest.fixture(scope="module")
def views():
    return simulated(3000, 20, 1e3)


def centred(views):
    return [X - X.mean(axis=0) for X in views]


def fit(solver, X, **settings):
    """Fit with a seed, and enough epochs for landing to be near."""
    return CCA(4, solver=solver, random_state=0, n_epochs=20, **settings).fit(X)


def pencil_values(views, ridges, p):
    """Largest generalized eigenvalues of both views at once, minus one, and their vectors."""
    X, Y = centred(views)
    n, d = X.shape
    B = [Z.T @ Z / n for Z in (X, Y)]
    B = [C + rho * np.trace(C) / len(C) * np.eye(len(C)) for C, rho in zip(B, ridges, strict=True)]
    zero = np.zeros((d, Y.shape[1]))
    C = X.T @ Y / n
    values, vectors = eigh(
        np.block([[B[0], C], [C.T, B[1]]]), np.block([[B[0], zero], [zero.T, B[1]]])
    )
    return values[::-1][:p] - 1, vectors[:, ::-1][:d, :p].T


@pytest.mark.parametrize("ridges", [(0.0, 0.0), (0.1, 0.02)])
@pytest.mark.parametrize("solver", SOLVERS)
def test_solution_is_that_of_the_generalized_eigenproblem(views, solver, ridges):
    cca = fit(solver, views, regularization=list(ridges))
    values, vectors = pencil_values(views, ridges, 4)
    assert cca.solver_ == solver
    assert cca.converged_
    assert cca.objective_ == pytest.approx(values.sum(), rel=TOLERANCE[solver])
    np.testing.assert_array_equal(cca.regularization_, ridges)
    for mine, other in zip(cca.components_[0], vectors, strict=True):
        cosine = mine @ other / np.linalg.norm(mine) / np.linalg.norm(other)
        assert abs(cosine) > 1 - 10 * TOLERANCE[solver]


@pytest.mark.parametrize("solver", SOLVERS)
def test_scores_are_white_and_correlated_as_said(views, solver):
    cca = fit(solver, views)
    first, second = cca.transform_views(views)
    for Y in (first, second):
        np.testing.assert_allclose(Y.T @ Y / len(Y), np.eye(4), atol=1e-9)
    cross = first.T @ second / len(first)
    np.testing.assert_allclose(cross, np.diag(cca.canonical_correlations_), atol=1e-8)
    assert (np.diff(cca.canonical_correlations_) < 0).all()
    assert cca.score(views) == pytest.approx(cca.canonical_correlations_.mean(), abs=1e-10)
    np.testing.assert_allclose(cca.correlations(views)[0, 1], cca.correlations_[0, 1], atol=1e-10)
    np.testing.assert_allclose(cca.transform(views), (first + second) / 2)
    for A in cca.mixing_[:1]:
        assert (A[np.abs(A).argmax(axis=0), np.arange(4)] > 0).all()
    for X, Y, A in zip(centred(views), (first, second), cca.mixing_, strict=True):
        np.testing.assert_allclose(A, np.linalg.lstsq(Y, X)[0].T, atol=1e-8)


def test_scikit_learn_finds_the_same_correlations():
    X, Y = simulated(500, 5, 10, seed=1)
    pair = PairCCA(3, max_iter=5000, tol=1e-10, scale=False).fit(X, Y)
    other = [
        np.corrcoef(a, b)[0, 1] for a, b in zip(*(S.T for S in pair.transform(X, Y)), strict=True)
    ]
    found = CCA(3).fit([X, Y]).canonical_correlations_
    np.testing.assert_allclose(found, other, atol=1e-6)


@pytest.mark.parametrize("solver", SOLVERS)
def test_units_and_mixings_do_not_matter(views, solver):
    rng = np.random.default_rng(0)
    expected = fit(solver, views).canonical_correlations_
    units = 10.0 ** rng.uniform(-8, 8, 20)
    mixed = rng.standard_normal((20, 20)) + 4 * np.eye(20)
    for changed in (
        [1e-12 * views[0], views[1]],
        [views[0], views[1] * units],
        [views[0] @ mixed, views[1]],
        [views[0] + 1e4, views[1]],
    ):
        found = fit(solver, changed).canonical_correlations_
        np.testing.assert_allclose(found, expected, atol=1e-6)
    found = fit(solver, views[::-1]).canonical_correlations_
    np.testing.assert_allclose(found, expected, atol=TOLERANCE[solver])


@pytest.mark.parametrize("solver", SOLVERS)
def test_ridge_has_no_units(views, solver):
    one = fit(solver, views, regularization=0.1)
    two = fit(solver, [1e-13 * views[0], 1e6 * views[1]], regularization=0.1)
    np.testing.assert_allclose(two.canonical_correlations_, one.canonical_correlations_, atol=1e-6)
    np.testing.assert_allclose(two.components_[0] * 1e-13, one.components_[0], atol=1e-5)


@pytest.mark.parametrize("solver", SOLVERS)
def test_scaled_ridge_is_that_of_standardised_features(views, solver):
    units = np.geomspace(1e-3, 1e3, 20)
    one = fit(solver, [X * units for X in views], regularization=0.3, scale=True)
    two = fit(solver, [X / X.std(axis=0) for X in views], regularization=0.3)
    np.testing.assert_allclose(one.canonical_correlations_, two.canonical_correlations_, atol=1e-6)


@pytest.mark.parametrize("solver", SOLVERS)
def test_float32(views, solver):
    narrow = [(X + 5).astype(np.float32) for X in views]
    one, two = fit(solver, views), fit(solver, narrow)
    np.testing.assert_allclose(two.canonical_correlations_, one.canonical_correlations_, atol=1e-4)
    assert two.transform(narrow).dtype == np.float32


@pytest.mark.parametrize("solver", SOLVERS)
def test_memory_map_gives_the_same_as_the_array(views, solver, tmp_path):
    for v, X in enumerate(views):
        np.save(tmp_path / f"{v}.npy", X)
    mapped = [np.load(tmp_path / f"{v}.npy", mmap_mode="r") for v in (0, 1)]
    one, two = fit(solver, views), fit(solver, mapped)
    np.testing.assert_array_equal(one.components_[0], two.components_[0])


@pytest.mark.parametrize("solver", ["direct", "lobpcg", "landing"])
def test_function_of_batches(views, solver):
    def batches():
        return ([X[k : k + 70] for X in views] for k in range(0, 3000, 70))

    one, two = fit(solver, views), fit(solver, batches)
    np.testing.assert_allclose(
        two.canonical_correlations_, one.canonical_correlations_, atol=TOLERANCE[solver]
    )
    assert two.n_samples_seen_ == 3000
    assert two.n_features_in_ == 40
    assert two.transform(views).shape == (3000, 4)


def test_choice_of_the_solver():
    rng = np.random.default_rng(0)
    tall, wide = rng.standard_normal((2, 1200, 24)), rng.standard_normal((2, 20, 30))
    assert CCA(2).fit(list(tall)).solver_ == "direct"
    assert CCA(2, regularization=1.0).fit(list(wide)).solver_ == "svd"
    many = rng.standard_normal((2, 17000, 420), dtype=np.float32)
    few = CCA(1, max_passes=3, oversampling=1)
    with pytest.warns(ConvergenceWarning, match="raise max_passes"):
        assert few.fit(list(many)).solver_ == "lobpcg"
    assert few.fit(list(many[:, :10000])).solver_ == "direct"
    assert CCA(30).fit(list(many)).solver_ == "direct"


def test_views_so_ill_conditioned_that_squares_lose_them():
    rng = np.random.default_rng(0)
    X, Y = simulated(400, 6, 1.0)
    weak = np.geomspace(1, 1e-6, 6)
    turn = np.linalg.qr(rng.standard_normal((6, 6)))[0]
    expected = CCA(3).fit([X, Y])
    found = CCA(3).fit([X * weak @ turn, Y])
    assert found.solver_ == "svd"
    np.testing.assert_allclose(
        found.canonical_correlations_, expected.canonical_correlations_, atol=1e-7
    )


@pytest.mark.parametrize("solver", SOLVERS)
def test_rank_deficient_views(views, solver):
    expected = fit(solver, views)
    constant = np.full((3000, 2), 0.1)
    average = [X.mean(axis=1, keepdims=True) for X in views]
    redundant = [np.hstack([X - a, constant, a]) for X, a in zip(views, average, strict=True)]
    found = fit(solver, redundant)
    np.testing.assert_array_equal(found.rank_, [20, 20])
    np.testing.assert_allclose(
        found.canonical_correlations_, expected.canonical_correlations_, atol=1e-6
    )
    np.testing.assert_array_equal(found.components_[0][:, 20:22], 0)
    np.testing.assert_array_equal(found.mixing_[0][20:22], 0)
    with pytest.raises(ValueError, match=r"n_components=21.*rank 20"):
        CCA(21, solver=solver).fit(redundant)


def test_feature_that_the_sample_misses():
    # 2000 of 6000 rows make the preconditioner; the only correlation is in rows that it misses.
    rng = np.random.default_rng(0)
    X, Y = rng.standard_normal((2, 6000, 30))
    rare = np.zeros((6000, 1))
    drawn = np.random.RandomState(0).permutation(6000)[:720]
    rare[np.setdiff1d(np.arange(6000), drawn)[:5]] = 1.0
    data = [np.hstack([X, rare]), np.hstack([Y, rare])]
    found = CCA(1, solver="lobpcg", random_state=0).fit(data)
    assert found.canonical_correlations_[0] == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("method", ["ledoit_wolf", "oas"])
@pytest.mark.parametrize("solver", EXACT)
def test_shrinkage_is_that_of_scikit_learn(views, solver, method):
    few = [X[:50] for X in views]
    shrinkage = {"ledoit_wolf": ledoit_wolf_shrinkage, "oas": lambda X: oas(X)[1]}[method]
    intensities = np.array([shrinkage(X) for X in centred(few)])
    cca = CCA(2, solver=solver, regularization=method).fit(few)
    np.testing.assert_allclose(cca.regularization_, intensities / (1 - intensities))
    # (1 - s) C + s mu I is the ridge's matrix but for a factor, which scores do not see.
    values, _ = pencil_values(few, cca.regularization_, 2)
    assert cca.objective_ == pytest.approx(values.sum())


def test_more_features_than_samples():
    rng = np.random.default_rng(0)
    X = [rng.standard_normal((20, 30)), rng.standard_normal((20, 4))]
    for solver in ("auto", *SOLVERS):
        with pytest.raises(ValueError, match=r"view 0 of shape \(20, 30\).*regularization"):
            CCA(2, solver=solver).fit(X)
    one, two = (CCA(2, solver=s, regularization=0.5).fit(X) for s in EXACT)
    np.testing.assert_allclose(one.components_[0], two.components_[0], atol=1e-10)
    assert one.canonical_correlations_[0] < 1
    np.testing.assert_array_equal(two.rank_, [19, 4])


def test_one_view_gives_its_principal_components(views):
    X = centred(views)[0]
    cca = CCA(3).fit(views[:1])
    axes = np.linalg.svd(X, full_matrices=False)[2][:3]
    cosines = np.abs(np.sum(cca.components_[0] * axes, axis=1))
    np.testing.assert_allclose(cosines, np.linalg.norm(cca.components_[0], axis=1))
    assert np.isnan(cca.score(views[:1]))


def test_warm_start_saves_passes():
    wide = simulated(3000, 60, 1e3)
    cca = CCA(4, solver="lobpcg", warm_start=True, random_state=0).fit(wide)
    cold = cca.n_iter_
    assert cca.fit(wide).n_iter_ <= 2 < cold


def test_warm_start_goes_on_with_landing(views):
    landing = CCA(4, solver="landing", n_epochs=2, warm_start=True, random_state=0)
    first = landing.fit(views).objective_
    found = [landing.fit(views).objective_ for _ in range(3)]
    assert min(found) > first


def test_unfinished_fits_say_so(views):
    with pytest.warns(ConvergenceWarning, match=r"residual is .*1\.0e-05.*raise max_passes"):
        cca = CCA(4, solver="lobpcg", max_passes=1, random_state=0).fit(simulated(3000, 60, 1e3))
    assert not cca.converged_


def test_progress_is_shown(views, capfd):
    for solver in ("lobpcg", "landing"):
        CCA(2, solver=solver, verbose=1, n_epochs=10, random_state=0).fit(views)
        assert "CCA" in capfd.readouterr().err


BAD = [
    ({"solver": "lobpcg"}, 3, "needs 2 views, X has 3"),
    ({"solver": "landing"}, 1, "needs 2 views, X has 1"),
    ({"solver": "lobpcg", "regularization": "oas"}, 2, "estimated from covariances"),
    ({"regularization": [0.1, 0.1, 0.1]}, 2, "one for each of the 2 views"),
    ({"regularization": [0.1, -0.1]}, 2, "one for each of the 2 views"),
    ({"regularization": [0.1, np.nan]}, 2, "one for each of the 2 views"),
]


@pytest.mark.parametrize(("settings", "n_views", "message"), BAD)
def test_what_cannot_be_done_is_refused(views, settings, n_views, message):
    with pytest.raises(ValueError, match=message):
        CCA(2, **settings).fit((views * 2)[:n_views])


def test_bad_functions_of_batches(views):
    good = [X[:100] for X in views]
    spoiled = [good[0].copy(), good[1]]
    spoiled[0][3, 4] = np.inf
    narrow = [good[0], good[1][:, :5]]
    for bad, message in (
        (spoiled, "batch 1: .*view 0 contains"),
        (narrow, "batch 1 .*20, 5.*20, 20"),
    ):
        with pytest.raises(ValueError, match=message):
            CCA(2).fit(lambda bad=bad: [good, bad])
    with pytest.raises(ValueError, match="gave no batch"):
        CCA(2).fit(lambda: [])
    with pytest.raises(TypeError, match="must return an iterable"):
        CCA(2).fit(lambda: None)
    with pytest.raises(TypeError, match="partial_fit"):
        CCA(2).fit(iter([good]))
    with pytest.raises(ValueError, match="needs arrays, not a function"):
        CCA(2, solver="svd").fit(lambda: [good])
    once = iter([good, good])
    with pytest.raises(ValueError, match="gave 0 samples, and 200 the first time"):
        CCA(2).fit(lambda: once)


def test_views_are_given_by_name(views):
    cca = CCA(2).fit(views)
    with pytest.raises(TypeError, match="by name"):
        cca.transform(views[:1] * 2, [0])
    assert cca.transform(views[:1], views=[0]).shape == (3000, 2)


# ---- many views ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def three(views):
    rng = np.random.default_rng(1)
    third = views[0][:, :6] + 0.5 * rng.standard_normal((3000, 6)) * views[0][:, :6].std(axis=0)
    return [X[:300] for X in (*views, third)]


@pytest.mark.parametrize("ridge", [0.0, 0.2])
@pytest.mark.parametrize("solver", EXACT)
def test_consensus_is_the_top_eigenvector_of_the_sum_of_projectors(three, solver, ridge):
    gcca = GCCA(3, solver=solver, regularization=ridge).fit(three)
    total = 0
    for X in centred(three):
        C = X.T @ X / len(X)
        C += ridge * np.trace(C) / len(C) * np.eye(len(C))
        total = total + X @ np.linalg.solve(C, X.T) / len(X)
    values, vectors = np.linalg.eigh(total)
    np.testing.assert_allclose(gcca.eigenvalues_, values[::-1][:3], rtol=1e-9)
    S = gcca.transform(three)
    np.testing.assert_allclose(S.std(axis=0), 1)
    cosines = np.abs(np.sum(S * vectors[:, ::-1][:, :3], axis=0)) / np.sqrt(len(S))
    np.testing.assert_allclose(cosines, 1, atol=1e-9)
    for X, A in zip(centred(three), gcca.mixing_, strict=True):
        np.testing.assert_allclose(A, np.linalg.lstsq(S, X)[0].T, atol=1e-8)


def test_two_views_have_one_plus_their_correlations(views):
    gcca, cca = GCCA(4).fit(views), CCA(4).fit(views)
    np.testing.assert_allclose(gcca.eigenvalues_, 1 + cca.canonical_correlations_)
    np.testing.assert_allclose(gcca.canonical_correlations_, cca.canonical_correlations_)


def test_three_views_by_cca_are_those_of_gcca_without_ridge(three):
    cca, gcca = CCA(3).fit(three), GCCA(3).fit(three)
    assert cca.objective_ == pytest.approx(gcca.objective_)
    assert cca.correlations_.shape == (3, 3, 3)
    for Y in cca.transform_views(three):
        np.testing.assert_allclose(Y.std(axis=0), 1)


def test_order_of_the_views_does_not_matter(three):
    one, two = GCCA(3).fit(three), GCCA(3).fit(three[::-1])
    np.testing.assert_allclose(one.eigenvalues_, two.eigenvalues_)
    np.testing.assert_allclose(
        np.abs(one.transform(three)), np.abs(two.transform(three[::-1])), atol=1e-8
    )


# ---- batches that arrive ---------------------------------------------------------------------


def test_batches_give_what_all_samples_give(views):
    whole, stream = CCA(4).fit(views), CCA(4)
    for k in range(0, 3000, 500):
        stream.partial_fit([X[k : k + 500] + 0.0 for X in views])
    np.testing.assert_allclose(stream.components_[1], whole.components_[1], atol=1e-9)
    assert stream.n_samples_seen_ == 3000
    with pytest.warns(UserWarning, match="starts anew"):
        whole.partial_fit(views)
    np.testing.assert_allclose(whole.components_[1], stream.components_[1], atol=1e-9)


def test_landing_follows_a_stream():
    views = simulated(40_000, 20, 1e4)
    held_out = simulated(40_000, 20, 1e4)
    stream = CCA(4, solver="landing", random_state=0)
    for k in range(0, 40_000, 400):
        stream.partial_fit([X[k : k + 400] for X in views])
    whole = CCA(4).fit(views)
    assert stream.score(held_out) > 0.99 * whole.score(held_out)
    np.testing.assert_allclose(
        stream.canonical_correlations_, whole.canonical_correlations_, atol=0.02
    )
    assert stream.n_samples_seen_ + len(stream.stream_.waiting[0]) == 40_000
    assert stream.solver_ == "landing"


@pytest.mark.parametrize("solver", ["auto", "landing"])
def test_stream_goes_on_after_it_was_saved(views, solver, tmp_path):
    whole = CCA(4, solver=solver, random_state=0)
    for k in range(0, 3000, 300):
        batch = [X[k : k + 300] for X in views]
        whole.partial_fit(batch)
        if k == 0:
            part = CCA(4, solver=solver, random_state=0)
        part.partial_fit(batch)
        save(part, tmp_path / "model.npz")
        part = load(tmp_path / "model.npz")
    np.testing.assert_array_equal(part.components_[0], whole.components_[0])


@pytest.mark.parametrize("solver", ["auto", "landing"])
def test_bad_batch_loses_nothing(views, solver):
    stream = CCA(4, solver=solver, random_state=0).partial_fit([X[:2000] for X in views])
    before = stream.components_[0].copy(), stream.stream_
    spoiled = [views[0][:50].copy(), views[1][:50]]
    spoiled[0][0, 0] = np.nan
    with pytest.raises(ValueError, match="view 0 contains NaN"):
        stream.partial_fit(spoiled)
    with pytest.raises(ValueError, match="view 1 has 19 features, 20 expected"):
        stream.partial_fit([views[0][:50], views[1][:50, :19]])
    assert stream.stream_ is before[1]
    np.testing.assert_array_equal(stream.components_[0], before[0])
    stream.partial_fit([X[2000:] for X in views])
    assert stream.score(views) > 0.98 * CCA(4).fit(views).score(views)


def test_first_rows_too_few_to_mean_anything(views):
    stream = CCA(4, solver="landing", random_state=0)
    with pytest.warns(UserWarning, match="3 samples of views of sizes"):
        stream.partial_fit([X[:3] for X in views])
    assert stream.components_[0].shape == (2, 20)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        for k in range(3, 3000, 7):
            stream.partial_fit([X[k : k + 7] for X in views])
    assert stream.components_[0].shape == (4, 20)
    assert stream.score(views) > 0.9 * CCA(4).fit(views).score(views)


def test_solvers_that_cannot_learn_by_batches(views):
    for solver in ("svd", "lobpcg"):
        with pytest.raises(ValueError, match="needs all samples"):
            CCA(2, solver=solver).partial_fit(views)
    with pytest.raises(ValueError, match="all samples at once"):
        CCA(2, regularization="ledoit_wolf").partial_fit(views)
    with pytest.raises(ValueError, match="2 views"):
        CCA(2, solver="landing").partial_fit(views[:1])


def test_digits_have_known_correlations():
    views, ridge = split_digits(1e-3)
    known = [0.8093, 0.7959, 0.6830, 0.6602, 0.6157]
    cca = CCA(5, regularization=ridge).fit(MultiViewData(views))
    assert cca.objective_ == pytest.approx(3.56413, abs=1e-5)
    _, second = split_digits(1e-2)
    weak = CCA(5, regularization=second).fit(views)
    values = [pencil_values(views, rho, 5)[0] for rho in (ridge, second)]
    np.testing.assert_allclose(values[0], known, atol=1e-4)
    np.testing.assert_allclose(values[1], [0.7748, 0.7566, 0.6292, 0.5966, 0.5266], atol=1e-4)
    assert weak.objective_ == pytest.approx(values[1].sum())
