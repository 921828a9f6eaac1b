import pickle

import numpy as np
import pytest
from scipy.linalg import eigh
from scipy.optimize import minimize
from scipy.stats import kurtosis

from mvica.datasets import MultiViewDataset, make_multiview_ica, make_shica
from mvica.metrics import amari_distance

# Reproducibility ---------------------------------------------------------------------------------


def all_arrays(data):
    lists = (data.views, data.mixings, data.private_sources, data.private_mixings)
    singles = (data.sources, data.noise_variances, data.sensor_noise_std)
    return [array for arrays in lists for array in arrays] + list(singles)


@pytest.mark.parametrize(
    "make",
    [
        lambda seed: make_multiview_ica(
            3, 50, 2, [3, 4, 5], private_rank=1, sensor_noise_std=0.1, random_state=seed
        ),
        lambda seed: make_shica("half", n_samples=50, random_state=seed),
    ],
)
def test_same_seed_same_bits(make):
    first, again, generator, other = make(7), make(7), make(np.random.RandomState(7)), make(8)
    for a, b, c, d in zip(*map(all_arrays, (first, again, generator, other)), strict=True):
        assert a.tobytes() == b.tobytes() == c.tobytes()
        assert a.size == 0 or np.ptp(a) == 0 or a.tobytes() != d.tobytes()
    assert (first.seed, generator.seed) == (7, None)
    assert pickle.loads(pickle.dumps(first)).sources.tobytes() == first.sources.tobytes()


def test_multiview_ica_draw_order():
    m, n, p, d, r = 3, 40, 3, [4, 6, 5], [0, 2, 1]
    rng = np.random.RandomState(3)
    S = rng.laplace(size=(p, n))
    A = [rng.randn(k, p) for k in d]
    N = [rng.randn(p, n) for _ in range(m)]
    B = [rng.randn(k, q) for k, q in zip(d, r, strict=True)]
    P = [rng.randn(q, n) for q in r]
    E = [rng.randn(k, n) for k in d]
    data = make_multiview_ica(
        m, n, p, d, noise_std=[0.1, 0.2, 0.3], private_rank=r, private_scale=[1, 2, 3],
        sensor_noise_std=0.5, random_state=3,
    )  # fmt: skip
    np.testing.assert_array_equal(data.sources, S.T)
    for v in range(m):
        X = A[v] @ (S + (v + 1) / 10 * N[v]) + (v + 1) * B[v] @ P[v] + 0.5 * E[v]
        np.testing.assert_allclose(data.views[v], X.T, rtol=1e-12, atol=1e-12)
        np.testing.assert_array_equal(data.mixings[v], A[v])
        np.testing.assert_array_equal(data.private_sources[v], P[v].T)
        np.testing.assert_array_equal(data.private_mixings[v], (v + 1) * B[v])


def test_reference_test_data_of_multiview_ica():
    # published test: unit-norm sources, noise on the sensors only, hence no draw for the sources
    m, n, p, d = 3, 1000, 5, 10
    rng = np.random.RandomState(0)
    S = rng.laplace(size=(p, n))
    S -= S.mean(axis=1, keepdims=True)
    S /= np.linalg.norm(S, axis=1, keepdims=True)
    A, N = rng.randn(m, d, p), rng.randn(m, d, n)
    data = make_multiview_ica(
        m, n, p, d, source_scaling="unit_norm", noise_std=0, sensor_noise_std=1e-4, random_state=0
    )
    for v in range(m):
        np.testing.assert_allclose(data.views[v].T, A[v] @ S + 1e-4 * N[v], rtol=1e-9, atol=1e-12)


def optimum_of_multiview_ica(views, mixings):
    """Loss and unmixings at the optimum next to the truth, by a general solver."""
    m, p = len(views), views[0].shape[1]
    Z = [X @ np.linalg.inv(A).T for X, A in zip(views, mixings, strict=True)]
    n = len(Z[0])
    offset = sum(np.linalg.slogdet(A)[1] for A in mixings)

    def loss(w):
        W = w.reshape(m, p, p)
        Y = np.array([z @ w.T for z, w in zip(Z, W, strict=True)])
        mean = Y.mean(axis=0)
        size = np.abs(mean)
        value = np.sum(size + np.log1p(np.exp(-2 * size))) / n + np.sum((Y - mean) ** 2) / (2 * n)
        value += offset - np.sum(np.linalg.slogdet(W)[1])
        D = np.tanh(mean) / m + Y - mean
        gradient = [d.T @ z / n - np.linalg.inv(w).T for d, z, w in zip(D, Z, W, strict=True)]
        return value, np.ravel(gradient)

    start = np.tile(np.eye(p), (m, 1, 1)).ravel()
    options = {"maxiter": 2000, "maxcor": 20, "ftol": 1e-15, "gtol": 1e-7}
    result = minimize(loss, start, jac=True, method="L-BFGS-B", options=options)
    W = result.x.reshape(m, p, p)
    return result.fun, [w @ np.linalg.inv(A) for w, A in zip(W, mixings, strict=True)]


@pytest.mark.parametrize(
    ("sizes", "noise_std", "loss", "distance"),
    [((5, 1000, 5), 0.5, 8.1973921, 0.004276), ((10, 1000, 15), 1.0, 211.5105178, 0.023727)],
)
def test_benchmark_workloads_have_their_published_optimum(sizes, noise_std, loss, distance):
    data = make_multiview_ica(*sizes, noise_std=noise_std, random_state=0)
    found, components = optimum_of_multiview_ica(data.views, data.mixings)
    assert abs(found - loss) < 2e-7
    assert abs(amari_distance(components, data.mixings) - distance) < 1e-6


def test_shica_draw_order():
    for scenario, n_laplace in (("gauss", 0), ("laplace", 4), ("half", 2), ("cohort", 2)):
        m, n, p = 3, 30, 4
        rng = np.random.RandomState(5)
        S = np.vstack([rng.laplace(size=(n_laplace, n)), rng.randn(p - n_laplace, n)])
        N = rng.randn(m, p, n)
        std = np.ones((m, p)) if scenario == "laplace" else rng.rand(m, p)
        if scenario == "half":
            std[:, :2] = 1
        if scenario == "cohort":
            std = std + 0.5
        A = rng.randn(m, p, p)
        data = make_shica(scenario, m, n, p, random_state=5)
        np.testing.assert_array_equal(data.sources, S.T)
        np.testing.assert_allclose(data.noise_std, std, rtol=1e-15)
        for v in range(m):
            X = A[v] @ (S + std[v][:, None] * N[v])
            np.testing.assert_allclose(data.views[v].T, X, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("scenario", "n", "published"),
    [("gauss", 464, 0.049), ("laplace", 464, 0.780), ("half", 464, 0.110), ("half", 100, 0.268)],
)
def test_multiset_cca_has_its_published_score_on_shica_data(scenario, n, published):
    distances = []
    for seed in range(5):
        data = make_shica(scenario, n_samples=n, random_state=seed)
        X = np.hstack(data.views)
        C = X.T @ X
        D = C * np.kron(np.eye(5), np.ones((4, 4)))
        U = eigh(C, D)[1][:, :-5:-1]
        distances.append(amari_distance([u.T for u in U.reshape(5, 4, 4)], data.mixings))
    assert abs(np.median(distances) - published) < 6e-4


# The model ---------------------------------------------------------------------------------------


def test_views_are_mixtures_of_sources_and_noise_of_the_stated_variance():
    std = np.array([[0.2, 1.0], [2.0, 0.5], [0.0, 3.0]])
    data = make_multiview_ica(3, 50_000, 2, [2, 4, 6], noise_std=std, random_state=0)
    for v in range(3):
        noise = data.views[v] @ np.linalg.pinv(data.mixings[v]).T - data.sources
        np.testing.assert_allclose(noise.var(axis=0), std[v] ** 2, rtol=0.03, atol=1e-12)
        assert np.all(np.abs(np.corrcoef(noise.T, data.sources.T)[2:, :2])[:, std[v] > 0] < 0.02)
    np.testing.assert_array_equal(data.noise_std, std)


@pytest.mark.parametrize(
    ("sources", "variances", "kurtoses"),
    [
        ("laplace", [2, 2, 2], [3, 3, 3]),
        ("uniform", [1, 1, 1], [-1.2] * 3),
        ("gaussian", [1, 1, 1], [0, 0, 0]),
        ("mixed", [2, 2, 1], [3, 3, -1.2]),
    ],
)
def test_source_laws_have_their_moments(sources, variances, kurtoses):
    S = make_multiview_ica(1, 100_000, 3, sources=sources, random_state=0).sources
    np.testing.assert_allclose(S.mean(axis=0), 0, atol=0.02)
    np.testing.assert_allclose(S.var(axis=0), variances, rtol=0.03)
    np.testing.assert_allclose(kurtosis(S), kurtoses, atol=0.25)
    np.testing.assert_allclose(np.corrcoef(S.T), np.eye(3), atol=0.02)


@pytest.mark.parametrize(("scaling", "total"), [("unit_variance", 400), ("unit_norm", 1)])
def test_source_scaling(scaling, total):
    data = make_multiview_ica(2, 400, 3, source_scaling=scaling, noise_std=0, random_state=0)
    np.testing.assert_allclose(data.sources.mean(axis=0), 0, atol=1e-15)
    np.testing.assert_allclose(np.sum(data.sources**2, axis=0), total, rtol=1e-12)
    np.testing.assert_allclose(data.views[1], data.sources @ data.mixings[1].T, atol=1e-12)


def test_private_ranks_are_found_in_what_the_shared_sources_leave():
    ranks = [0, 1, 4]
    data = make_multiview_ica(
        3, 300, 3, 12, noise_std=0, private_rank=ranks, private_scale=10, random_state=0
    )
    for v, rank in enumerate(ranks):
        rest = data.views[v] - data.sources @ data.mixings[v].T
        assert np.linalg.matrix_rank(rest, tol=1e-9) == rank
        private = data.private_sources[v] @ data.private_mixings[v].T
        np.testing.assert_allclose(rest, private, atol=1e-11)
        assert np.linalg.matrix_rank(data.views[v]) == 3 + rank


def test_private_directions_dominate_the_variance_but_not_the_agreement():
    # the case where a per-view PCA keeps private directions only
    data = make_multiview_ica(
        8, 2000, 5, 30, noise_std=0, private_rank=5, private_scale=10, sensor_noise_std=0.5,
        random_state=0,
    )  # fmt: skip
    for X, A, B in zip(data.views, data.mixings, data.private_mixings, strict=True):
        leading = np.linalg.svd(X - X.mean(axis=0), full_matrices=False)[2][:5].T
        kept = [np.linalg.norm(leading.T @ np.linalg.qr(M)[0]) ** 2 / 5 for M in (A, B)]
        assert kept[1] > 0.95 > 0.4 > kept[0]
    unit = [np.linalg.svd(X - X.mean(axis=0), full_matrices=False)[0] for X in data.views]
    consensus, values, _ = np.linalg.svd(np.hstack(unit), full_matrices=False)
    assert values[4] ** 2 > 6 > 3 > values[5] ** 2
    S = np.linalg.qr(data.sources - data.sources.mean(axis=0))[0]
    assert np.linalg.norm(consensus[:, :5].T @ S) ** 2 / 5 > 0.99


def test_scale_of_private_signals_does_not_change_the_draws():
    sizes = {"n_features": 6, "private_rank": 2, "sensor_noise_std": 0.1, "random_state": 0}
    zero, one = (make_multiview_ica(2, 50, 3, private_scale=g, **sizes) for g in (0, 1))
    rest = one.views[0] - one.private_sources[0] @ one.private_mixings[0].T
    np.testing.assert_allclose(zero.views[0], rest, atol=1e-12)


def test_sensor_noise_has_its_standard_deviation():
    data = make_multiview_ica(
        2, 20_000, 2, 5, noise_std=0, sensor_noise_std=[0.3, 2], random_state=0
    )
    for v, std in enumerate([0.3, 2]):
        E = data.views[v] - data.sources @ data.mixings[v].T
        np.testing.assert_allclose(np.cov(E.T), std**2 * np.eye(5), atol=0.05 * std**2)


def test_float32_views_are_rounded_float64_views():
    sizes = {"random_state": 0, "n_features": 4}
    double = make_multiview_ica(2, 30, 3, **sizes)
    single = make_multiview_ica(2, 30, 3, dtype=np.float32, **sizes)
    for a, b in zip(single.views, double.views, strict=True):
        assert a.dtype == np.float32
        assert a.flags.c_contiguous
        np.testing.assert_array_equal(a, b.astype(np.float32))
    assert single.sources.dtype == np.float64


def test_shica_scenarios_have_their_sizes_and_noise():
    sizes = {s: make_shica(s, random_state=0) for s in ("gauss", "laplace", "half", "cohort")}
    assert [(d.n_views, d.n_samples, d.n_components) for d in sizes.values()] == (
        [(5, 1000, 4)] * 3 + [(30, 3000, 10)]
    )
    assert sizes["cohort"].noise_std.min() > 0.5
    assert sizes["cohort"].noise_std.max() < 1.5
    assert np.all(sizes["laplace"].noise_std == 1)
    np.testing.assert_allclose(
        kurtosis(sizes["cohort"].sources).reshape(2, 5).mean(axis=1), [3, 0], atol=0.6
    )


# The record and bad parameters -------------------------------------------------------------------


def test_record_says_what_it_holds():
    data = make_multiview_ica(10, 20, 2, noise_std=np.arange(1, 11), random_state=4)
    assert isinstance(data, MultiViewDataset)
    assert (data.n_views, data.n_samples, data.n_components) == (10, 20, 2)
    assert data.view_sizes == (2,) * 10
    for words in ("laplace", "10 views of 20 samples", "noise std 1 to 10", "seed 4", "..."):
        assert words in repr(data)
    with pytest.raises(AttributeError):
        data.sources = None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n_views": 0}, "n_views=0; expected a positive integer"),
        ({"n_samples": 2.5}, "n_samples=2.5"),
        ({"n_features": 1}, "n_features=1; expected finite values of at least 2"),
        ({"n_features": [3, 4]}, r"n_features has shape \(2,\); expected one number or 3"),
        ({"n_features": 3.0}, "n_features=3.0; expected an int"),
        ({"sources": "cauchy"}, "sources='cauchy'; expected one of"),
        ({"source_scaling": "max"}, "source_scaling='max'; expected one of"),
        ({"noise_std": -1}, "noise_std has values that are negative"),
        ({"noise_std": np.ones((2, 3))}, r"noise_std has shape \(2, 3\).*\(3, 2\) per view and"),
        ({"private_rank": -1}, "private_rank=-1"),
        ({"private_scale": np.nan}, "private_scale=nan"),
        ({"sensor_noise_std": -0.1}, "sensor_noise_std=-0.1"),
        ({"dtype": np.int64}, "dtype=int64; expected float64 or float32"),
    ],
)
def test_make_multiview_ica_refuses(change, message):
    with pytest.raises(ValueError, match=message):
        make_multiview_ica(**{"n_views": 3, "n_samples": 20, "n_components": 2} | change)


def test_make_shica_refuses():
    with pytest.raises(ValueError, match="scenario='cauchy'; expected one of"):
        make_shica("cauchy")
    with pytest.raises(ValueError, match="n_views=0"):
        make_shica(n_views=0)
