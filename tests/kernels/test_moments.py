"""Second moments in float64, whatever the data."""

import numpy as np

from mvica.kernels.moments import mean_and_covariance, second_moment


def test_float32_moment_has_float64_sums():
    Z = np.random.default_rng(0).standard_normal((3, 50_001)).astype(np.float32)
    exact = Z.astype(np.float64) @ Z.T.astype(np.float64) / Z.shape[1]
    np.testing.assert_allclose(second_moment(Z), exact, rtol=1e-13, atol=1e-13)
    assert second_moment(Z).dtype == np.float64


def test_covariance_survives_a_large_offset():
    X = np.random.default_rng(0).standard_normal((50_000, 3))
    mean, covariance = mean_and_covariance(X + 1e8)
    np.testing.assert_allclose(mean, X.mean(axis=0) + 1e8)
    np.testing.assert_allclose(covariance, np.cov(X.T, bias=True), atol=1e-7)
