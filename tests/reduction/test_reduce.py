"""The dispatcher: white signals whatever the views, and shared signals where variance misleads."""

import tracemalloc

import numpy as np
import pytest
from scipy.linalg import subspace_angles

from mvica.datasets import make_multiview_ica
from mvica.reduction import reduce as reduce_module
from mvica.reduction.reduce import METHODS, reduce_views, stack_reduced
from mvica.reduction.regress import reduce_to_signals

REDUCING = [method for method in METHODS if method is not None]


def shared_views(widths=(6, 9, 7), p=3, n=400, noise=0.5, seed=0):
    rng = np.random.default_rng(seed)
    S = rng.laplace(size=(n, p))
    return [
        S @ rng.standard_normal((p, d)) + noise * rng.standard_normal((n, d)) + rng.normal(size=d)
        for d in widths
    ], S


def check_white(views, reduction, p, tolerance=1e-10):
    """Z_v is white, the maps are consistent, and patterns are covariances."""
    Z = stack_reduced(views, reduction)
    n = len(views[0])
    assert Z.shape == (len(views) * p, n)
    assert Z.flags.c_contiguous
    assert Z.dtype == views[0].dtype
    for v, X in enumerate(views):
        Z_v = Z[v * p : (v + 1) * p].astype(np.float64)
        Xc = X.astype(np.float64) - reduction.means[v]
        np.testing.assert_allclose(Z_v @ Z_v.T / n, np.eye(p), atol=tolerance)
        np.testing.assert_allclose(Z_v.mean(axis=1), 0, atol=tolerance)
        R, P = reduction.projections[v], reduction.patterns[v]
        assert R.shape == (p, X.shape[1])
        np.testing.assert_allclose(R @ P, np.eye(p), atol=max(tolerance, 1e-9))
        spread = np.sqrt(reduction.variances[v])
        np.testing.assert_allclose(Xc.T @ Z_v.T / n / spread, P / spread, atol=max(tolerance, 1e-9))
        assert reduction.variances[v] == pytest.approx(np.mean(np.sum(Xc**2, axis=1)), rel=1e-6)
    return Z


def angle(a, b):
    """Largest principal angle of the row spans, as a sine."""
    return np.sin(subspace_angles(a.T, b.T)).max()


@pytest.mark.parametrize("method", REDUCING)
def test_reduced_views_are_white(method):
    views, _ = shared_views()
    reduction = reduce_views(views, 3, method=method, random_state=0)
    check_white(views, reduction, 3)
    np.testing.assert_array_equal(reduction.ranks, [6, 9, 7])


@pytest.mark.parametrize("method", METHODS)
def test_full_rank_square_views_are_only_whitened(monkeypatch, method):
    def fail(*args, **kwargs):
        raise AssertionError("whitening needs one covariance a view and nothing else")

    for name in ("shared_directions", "group_components", "shared_response", "second_moment"):
        monkeypatch.setattr(reduce_module, name, fail)
    views, _ = shared_views(widths=(4, 4, 4), p=4)
    reduction = reduce_views(views, method=method, random_state=0)
    check_white(views, reduction, 4)
    for R, P in zip(reduction.projections, reduction.patterns, strict=True):
        np.testing.assert_allclose(P @ R, np.eye(4), atol=1e-12)


def test_ill_conditioned_views_are_white_all_the_same():
    rng = np.random.default_rng(0)
    spreads = np.logspace(0, -5, 8)  # variances over ten decades
    views = [rng.laplace(size=(500, 8)) * spreads @ rng.standard_normal((8, 8)) for _ in range(3)]
    assert list(reduce_views(views).ranks) == [8, 8, 8]
    Z = stack_reduced(views, reduce_views(views))
    for v in range(3):
        Z_v = Z[8 * v : 8 * v + 8]
        np.testing.assert_allclose(Z_v @ Z_v.T / 500, np.eye(8), atol=1e-10)


@pytest.mark.parametrize("method", REDUCING)
def test_units_change_nothing(method):
    views, _ = shared_views()
    units = [1e-13, 1.0, 1e6]
    scaled = [X * unit for X, unit in zip(views, units, strict=True)]
    Z = stack_reduced(views, reduce_views(views, 3, method=method, random_state=0))
    Z_scaled = stack_reduced(scaled, reduce_views(scaled, 3, method=method, random_state=0))
    if method != "pca":  # whose axes have no common sign
        np.testing.assert_allclose(Z_scaled, Z, atol=1e-6)
    for v in range(3):
        assert angle(Z[3 * v : 3 * v + 3], Z_scaled[3 * v : 3 * v + 3]) < 1e-6


@pytest.mark.parametrize("method", REDUCING)
def test_order_of_views_changes_nothing(method):
    views, _ = shared_views()
    Z = stack_reduced(views, reduce_views(views, 3, method=method, random_state=0))
    back = stack_reduced(views[::-1], reduce_views(views[::-1], 3, method=method, random_state=0))
    for v in range(3):
        assert angle(Z[3 * v : 3 * v + 3], back[3 * (2 - v) : 3 * (3 - v)]) < 1e-6


@pytest.mark.parametrize("method", REDUCING)
@pytest.mark.parametrize("n_components", [None, 2])
def test_rank_deficient_views(method, n_components):
    views, _ = shared_views(widths=(6, 9, 7), p=4, noise=0)
    views[1] += np.random.default_rng(1).laplace(size=(400, 2)) @ np.ones((2, 9))  # rank 5
    if n_components is None:
        with pytest.warns(UserWarning, match=r"view 0 of shape \(400, 6\) has numerical rank 4"):
            reduction = reduce_views(views, method=method, random_state=0)
    else:
        reduction = reduce_views(views, n_components, method=method, random_state=0)
    np.testing.assert_array_equal(reduction.ranks, [4, 5, 4])
    check_white(views, reduction, n_components or 4)


@pytest.mark.parametrize("method", REDUCING)
def test_wide_views(method):
    views, S = shared_views(widths=(300, 250, 40), p=2, n=120, noise=0.3)
    reduction = reduce_views(views, 2, method=method, random_state=0)
    np.testing.assert_array_equal(reduction.ranks, [119, 119, 40])
    Z = check_white(views, reduction, 2)
    for v in range(3):
        assert angle((S - S.mean(axis=0)).T, Z[2 * v : 2 * v + 2]) < 0.05


def test_all_samples_of_wide_views_do_not_warn():
    views = [np.random.default_rng(v).standard_normal((12, 40)) for v in range(2)]
    reduction = reduce_views(views)
    check_white(views, reduction, 11)


def test_a_method_of_none_refuses_to_drop_directions():
    views, _ = shared_views(widths=(4, 6))
    with pytest.raises(ValueError, match=r"view 1 of shape \(400, 6\) .* rank 6.*4 components"):
        reduce_views(views, method=None)
    deficient = [X @ np.random.default_rng(0).standard_normal((4, 6)) for X in (views[0],) * 2]
    check_white(deficient, reduce_views(deficient, 4, method=None), 4)


def test_bad_requests_name_the_view():
    views, _ = shared_views()
    with pytest.raises(ValueError, match=r"n_components=7 .*view 0 .*\(400, 6\).*rank 6.*most 6"):
        reduce_views(views, 7)
    views[1] = views[1] @ np.eye(9)[:, :1] @ np.ones((1, 9))
    with pytest.raises(ValueError, match=r"n_components=2 .*view 1 .*\(400, 9\).*rank 1.*most 1"):
        reduce_views(views, 2)
    views[2] = np.full((400, 7), 0.1)
    with pytest.raises(ValueError, match=r"view 2 of shape \(400, 7\) is constant"):
        reduce_views(views, 1)
    with pytest.raises(ValueError, match=r"unknown reduction 'ppca'.*'mcca'"):
        reduce_views(views, 1, method="ppca")


@pytest.mark.parametrize("method", REDUCING)
def test_float32(method):
    views, _ = shared_views()
    narrow = [(X + 1000).astype(np.float32) for X in views]
    Z = check_white(
        narrow, reduce_views(narrow, 3, method=method, random_state=0), 3, tolerance=2e-6
    )
    wide = stack_reduced(views, reduce_views(views, 3, method=method, random_state=0))
    for v in range(3):
        assert angle(Z[3 * v : 3 * v + 3], wide[3 * v : 3 * v + 3]) < 2e-3


@pytest.mark.parametrize("method", ["mcca", "srm"])
def test_layouts_give_the_same(tmp_path, method):
    views, _ = shared_views()
    maps = []
    for v, X in enumerate(views):
        np.save(tmp_path / f"{v}.npy", X)
        maps.append(np.load(tmp_path / f"{v}.npy", mmap_mode="r"))
    expected = stack_reduced(views, reduce_views(views, 3, method=method, random_state=0))
    for form in (maps, [np.asfortranarray(X) for X in views]):
        found = stack_reduced(form, reduce_views(form, 3, method=method, random_state=0))
        np.testing.assert_allclose(found, expected, atol=1e-8)


@pytest.mark.parametrize("shape", [(40_000, 50), (300, 7000)])
def test_no_float64_copy_of_float32_views(shape):
    rng = np.random.default_rng(0)
    views = [rng.standard_normal(shape, dtype=np.float32) for _ in range(2)]
    few = [X[:50, :60] for X in views]
    stack_reduced(few, reduce_views(few, 3, method="mcca", random_state=0))  # imports and caches
    tracemalloc.start()
    reduction = reduce_views(views, 3, method="mcca", random_state=0)
    stack_reduced(views, reduction)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < views[0].nbytes  # half of what one float64 copy takes


@pytest.mark.parametrize("method", REDUCING)
def test_one_view_keeps_its_principal_directions(method):
    views, _ = shared_views(widths=(6,))
    Z = check_white(views, reduce_views(views, 2, method=method, random_state=0), 2)
    Xc = views[0] - views[0].mean(axis=0)
    left = np.linalg.svd(Xc, full_matrices=False)[0][:, :2]
    # The regression of group PCA, and the start of the shared response, find the same span.
    assert angle(left.T, Z) < 1e-3


# ---- which directions are kept -----------------------------------------------------------------


def source_angle(method, g):
    data = make_multiview_ica(
        8, 2000, 5, 30, noise_std=0, private_rank=5, private_scale=g, sensor_noise_std=0.5,
        random_state=0,
    )  # fmt: skip
    S = (data.sources - data.sources.mean(axis=0)).T
    Z = stack_reduced(data.views, reduce_views(data.views, 5, method=method, random_state=0))
    return np.mean([angle(S, Z[5 * v : 5 * v + 5]) for v in range(8)])


@pytest.mark.parametrize("method", REDUCING)
def test_without_private_signals_all_methods_find_the_sources(method):
    assert source_angle(method, 0) < 0.15


def test_only_shared_variance_survives_strong_private_signals():
    assert source_angle("mcca", 10) < 0.15
    for method in ("pca", "grouppca", "srm"):
        assert source_angle(method, 10) > 0.9


def test_weak_private_signals_mislead_pca_only_then_srm():
    errors = {method: source_angle(method, 1) for method in REDUCING}
    assert errors["mcca"] < 0.15
    assert errors["mcca"] <= errors["grouppca"] < errors["srm"] < errors["pca"]


def test_few_samples_do_not_make_noise_agree():
    """With all 100 directions and 500 samples, three views of noise fit each other."""
    data = make_multiview_ica(
        3, 500, 3, 100, noise_std=0, private_rank=5, private_scale=10.0, sensor_noise_std=0.5,
        random_state=0,
    )  # fmt: skip
    S = (data.sources - data.sources.mean(axis=0)).T
    Z = stack_reduced(data.views, reduce_views(data.views, 3, random_state=0))
    assert max(angle(S, Z[3 * v : 3 * v + 3]) for v in range(3)) < 0.2


def test_a_new_view_is_reduced_to_given_signals():
    views, S = shared_views(widths=(8,), noise=0.1)
    rng = np.random.default_rng(3)
    X = views[0] + 100 * rng.standard_normal((400, 4)) @ rng.standard_normal((4, 8))
    reduction = reduce_to_signals(X, S)
    Z = check_white([X], reduction, 3)
    # Their span holds the regression of the signals on the view.
    Xc, Sc = X - X.mean(axis=0), S - S.mean(axis=0)
    prediction = Xc @ np.linalg.lstsq(Xc, Sc, rcond=None)[0]
    assert angle(prediction.T, Z) < 1e-8
