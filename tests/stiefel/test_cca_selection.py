"""Tests of correlations, held-out correlations, and what components say about features."""

import numpy as np
import pytest
from scipy.signal import lfilter

from benchmarks.stiefel_workloads import simulated
from mvica import CCA, GCCA
from mvica.stiefel import (
    adequacy,
    correlation_test,
    held_out_correlations,
    loadings,
    redundancy,
)


def pair(n=400, seed=0, colour=0.0):
    """Two views with two shared components, of time series with this autocorrelation."""
    rng = np.random.default_rng(seed)
    X, Y = lfilter([1], [1, -colour], rng.standard_normal((2, n, 5)), axis=1)
    Y[:, :2] += [2, 1] * X[:, :2]
    return [X, Y @ rng.standard_normal((5, 5))]


@pytest.mark.parametrize("shuffle", ["shift", "permutation"])
def test_number_of_real_correlations(shuffle):
    test = correlation_test(pair(), shuffle=shuffle, random_state=0)
    assert test.n_significant() == 2
    np.testing.assert_array_equal(test.p_values[:2], 1 / 200)
    assert (test.adjusted_p_values >= test.p_values).all()
    assert (np.diff(test.adjusted_p_values) >= 0).all()
    expected = CCA().fit(pair()).canonical_correlations_
    np.testing.assert_allclose(test.correlations, expected)


def test_shifts_keep_the_level_where_permutations_do_not():
    rng = np.random.default_rng(0)
    found = {"shift": 0, "permutation": 0}
    for _ in range(40):
        views = lfilter([1], [1, -0.95], rng.standard_normal((2, 300, 3)), axis=1)
        for shuffle in found:
            test = correlation_test(
                list(views), 1, shuffle=shuffle, n_shuffles=39, random_state=rng.integers(1 << 30)
            )
            found[shuffle] += test.n_significant()
    assert found["shift"] <= 6  # 2 are expected of 40
    assert found["permutation"] > 25


def test_p_values_of_noise_are_uniform():
    rng = np.random.default_rng(0)
    p = [
        correlation_test(
            list(rng.standard_normal((2, 60, 3))), 1, shuffle="permutation", n_shuffles=19,
            random_state=seed,
        ).p_values[0]
        for seed in range(200)
    ]  # fmt: skip
    assert np.mean(p) == pytest.approx(0.525, abs=0.06)
    assert np.mean(np.array(p) <= 0.1) == pytest.approx(0.1, abs=0.06)


def test_more_features_than_samples_with_a_ridge():
    rng = np.random.default_rng(0)
    S = rng.standard_normal((40, 1))
    views = [S + 0.5 * rng.standard_normal((40, d)) for d in (60, 10)]
    test = correlation_test(
        views, 3, regularization="ledoit_wolf", shuffle="permutation", random_state=0
    )
    assert test.n_significant() == 1


def test_the_test_refuses_what_it_cannot_do():
    with pytest.raises(ValueError, match="2 views, X has 3"):
        correlation_test([*pair(), pair()[0]])
    with pytest.raises(ValueError, match="shuffle must be"):
        correlation_test(pair(), shuffle="bootstrap")


def test_held_out_correlations_are_not_those_of_the_fit():
    rng = np.random.default_rng(0)
    noise = list(rng.standard_normal((2, 60, 15)))
    assert CCA(1).fit(noise).canonical_correlations_[0] > 0.7
    assert abs(held_out_correlations(CCA(1), noise).mean()) < 0.25
    real = held_out_correlations(CCA(3), simulated(2000, 20, 1e3))
    assert real.shape == (5, 3)
    np.testing.assert_allclose(real.mean(axis=0), [0.9, 0.765, 0.65], atol=0.03)


def test_loadings_and_shares_by_definition():
    views = pair()
    cca = CCA(3).fit(views)
    scores = cca.transform_views(views)
    joined = [np.corrcoef(X.T, S.T)[:5, 5:] for X, S in zip(views, scores, strict=True)]
    for mine, other in zip(loadings(cca, views), joined, strict=True):
        np.testing.assert_allclose(mine, other)
    crossed = [np.corrcoef(views[v].T, scores[1 - v].T)[:5, 5:] for v in (0, 1)]
    np.testing.assert_allclose(
        redundancy(cca, views), [np.mean(L**2, axis=0) for L in crossed], atol=1e-10
    )
    np.testing.assert_allclose(adequacy(cca, views), [np.mean(L**2, axis=0) for L in joined])
    three = [*views, views[0]]
    assert redundancy(GCCA(2).fit(three), three).shape == (3, 2)
    assert np.isnan(redundancy(CCA(2).fit(views[:1]), views[:1])).all()
