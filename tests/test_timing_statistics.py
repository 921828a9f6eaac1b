import numpy as np
import pytest
from scipy import stats

from mvica.ica.warps import latencies
from mvica.timing_statistics import normalise_timing, regress


@pytest.fixture
def cohort():
    rng = np.random.default_rng(0)
    ages = rng.uniform(18, 88, 40)
    return ages, 0.25 * (ages - 53) + rng.normal(0, 4, 40)


def test_least_squares_by_the_normal_equations(cohort):
    x, y = cohort
    line = regress(x, y)
    design = np.column_stack([np.ones(40), x])
    (intercept, slope), residual = np.linalg.lstsq(design, y)[:2]
    np.testing.assert_allclose([line.intercept, line.slope], [intercept, slope], rtol=1e-10)
    np.testing.assert_allclose(line.r2, 1 - residual[0] / np.sum((y - y.mean()) ** 2), rtol=1e-10)
    covariance = residual[0] / 38 * np.linalg.inv(design.T @ design)
    np.testing.assert_allclose(line.slope_std, np.sqrt(covariance[1, 1]), rtol=1e-8)
    at = np.array([20.0, 60.0])
    rows = np.column_stack([np.ones(2), at])
    half = stats.t.ppf(0.975, 38) * np.sqrt(np.einsum("ki,ij,kj->k", rows, covariance, rows))
    low, high = line.band(at)
    np.testing.assert_allclose(low, rows @ [intercept, slope] - half, rtol=1e-8)
    np.testing.assert_allclose(high, rows @ [intercept, slope] + half, rtol=1e-8)


def test_correlations_and_their_p_values_as_scipy(cohort):
    x, y = cohort
    line = regress(x, y)
    pearson, spearman = stats.pearsonr(x, y), stats.spearmanr(x, y)
    np.testing.assert_allclose([line.pearson, line.pearson_p], pearson, rtol=1e-10)
    np.testing.assert_allclose([line.spearman, line.spearman_p], spearman, rtol=1e-10)


def test_theil_sen_is_the_median_of_pairwise_slopes(cohort):
    x, y = cohort
    i, j = np.triu_indices(40, 1)
    line = regress(x, y)
    assert line.theil_sen == pytest.approx(np.median((y[j] - y[i]) / (x[j] - x[i])))
    assert line.theil_sen_intercept == pytest.approx(np.median(y) - line.theil_sen * np.median(x))
    low, high = line.theil_sen_interval
    assert low < line.theil_sen < high


def test_an_outlier_moves_the_line_and_not_the_robust_one(cohort):
    x, y = cohort
    plain = regress(x, y)
    far = y.copy()
    far[np.argmax(x)] += 1000
    moved = regress(x, far)
    assert abs(moved.slope - plain.slope) > 0.5
    assert abs(moved.theil_sen - plain.theil_sen) < 0.05


def test_units_scale_the_slopes_alone(cohort):
    x, y = cohort
    a, b = regress(x, y), regress(x, 1e-13 * y)
    assert b.slope == pytest.approx(1e-13 * a.slope)
    assert b.theil_sen == pytest.approx(1e-13 * a.theil_sen)
    assert (b.r2, b.pearson_p, b.spearman) == pytest.approx((a.r2, a.pearson_p, a.spearman))


def test_views_of_unknown_age_do_not_count(cohort):
    x, y = cohort
    holes = x.copy()
    holes[[3, 7]] = np.nan
    assert regress(holes, y) == regress(np.delete(x, [3, 7]), np.delete(y, [3, 7]))


def test_a_constant_has_no_correlation():
    line = regress([1, 2, 3], [5, 5, 5])
    assert line.slope == 0
    assert np.isnan([line.r2, line.pearson, line.pearson_p, line.spearman, line.spearman_p]).all()


def test_what_cannot_be_regressed_is_refused():
    with pytest.raises(ValueError, match="2 views have both values; a regression needs 3"):
        regress([1, 2, np.nan], [1, 2, 3])
    with pytest.raises(ValueError, match="all 3 views have x = 7"):
        regress([7, 7, 7], [1, 2, 3])
    with pytest.raises(ValueError, match=r"x has shape \(2,\) and y \(3,\)"):
        regress([1, 2], [1, 2, 3])


def test_the_clock_changes_no_latency_of_a_view():
    rng = np.random.default_rng(0)
    delays, dilations = rng.normal(3, 5, (6, 2)), rng.uniform(0.9, 1.3, (6, 2))
    d, D = normalise_timing(delays, dilations)
    np.testing.assert_allclose(d.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(D.mean(axis=0), 1)
    # What the average view shows at time T, each view shows when it did before.
    T = 100.0
    t = (T - delays.mean(axis=0)) / dilations.mean(axis=0)
    np.testing.assert_allclose(d + D * T, delays + dilations * t)
    np.testing.assert_allclose(latencies(T, d, D), d + D * T)


def test_delays_alone_are_centred_and_bad_timing_refused():
    d, D = normalise_timing([[1.0], [2.0]])
    np.testing.assert_array_equal(d, [[-0.5], [0.5]])
    np.testing.assert_array_equal(D, 1)
    with pytest.raises(ValueError, match="not above 0"):
        normalise_timing([[1.0]], [[0.0]])
    with pytest.raises(ValueError, match=r"delays have shape \(2, 1\) and dilations \(1, 1\)"):
        normalise_timing([[1.0], [2.0]], [[1.0]])
