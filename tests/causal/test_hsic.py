"""The test of independence by kernels."""

import numpy as np
import pytest

from mvica import DirectLiMVAM
from mvica.causal import hsic_test
from mvica.datasets import make_limvam


@pytest.mark.parametrize("columns", [1, 5])
def test_size_under_independence(columns):
    rng = np.random.default_rng(0)
    roots = rng.standard_normal((2, columns, columns))
    pvalues = [hsic_test(*(rng.laplace(size=(2, 150, columns)) @ roots))[1] for _ in range(400)]
    assert 0.03 <= np.mean(np.array(pvalues) < 0.05) <= 0.075


def test_statistic_is_the_criterion():
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((2, 20, 3))
    centre = np.eye(20) - 1 / 20

    def kernel(x):
        z = (x - x.mean(axis=0)) / x.std(axis=0)
        distance = ((z[:, None] - z) ** 2).sum(axis=2)
        return np.exp(-distance / np.median(distance[np.triu_indices(20, 1)]))

    expected = np.trace(kernel(x) @ centre @ kernel(y) @ centre) / 20
    np.testing.assert_allclose(hsic_test(x, y)[0], expected)
    np.testing.assert_allclose(hsic_test(5 * x + 3, -y), hsic_test(x, y))


def test_bent_effects_are_seen_by_hsic_alone():
    rng = np.random.default_rng(0)
    data = make_limvam("shared", 4, 600, 3, random_state=0)
    X = np.stack(data.views)
    order = data.causal_order
    linear = DirectLiMVAM().fit(X)
    assert np.nanmin(linear.independence_test(X, method="hsic")) > 0.01
    spread = X[:, :, order[0]] / X[:, :, order[0]].std(axis=1, keepdims=True)
    X[:, :, order[2]] += 2 * (spread**2 - 1)
    bent = DirectLiMVAM().fit(X)
    pair = order[2], order[0]
    pvalues = bent.independence_test(X, method="hsic", max_samples=500, random_state=0)
    assert pvalues[pair] < 1e-6
    np.testing.assert_array_equal(pvalues, pvalues.T)
    assert pvalues[pair] < bent.independence_test()[pair]
    x, z = rng.standard_normal((2, 200))
    assert hsic_test(x, x**2 + 0.5 * z)[1] < 1e-4


def test_bad_input():
    model = DirectLiMVAM().fit(make_limvam("gauss", 3, 50, 2, random_state=0).views)
    with pytest.raises(ValueError, match="give X"):
        model.independence_test(method="hsic")
    with pytest.raises(ValueError, match="method='rank'"):
        model.independence_test(method="rank")
    with pytest.raises(ValueError, match="x has 10 samples, y has 9"):
        hsic_test(np.zeros(10), np.zeros(9))
    with pytest.raises(ValueError, match="5 samples: expected 6 or more"):
        hsic_test(np.zeros(5), np.zeros(5))
    assert np.isnan(hsic_test(np.zeros(20), np.arange(20))[1])
