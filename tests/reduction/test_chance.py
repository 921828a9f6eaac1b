"""Chance level: its eigenvalues against dense ones, false positives, power, what shuffles keep."""

import numpy as np
import pytest
from scipy.signal import lfilter

from mvica.reduction import chance
from mvica.reduction.chance import chance_eigenvalues
from mvica.reduction.mcca_estimator import MultisetCCA
from mvica.reduction.pca import principal_components, whitened_samples


def slow_views(m, d, n, *, p=0, gain=1.0, memory=0.0, seed=0):
    """Autoregressive noise, and p shared signals of the same memory."""
    rng = np.random.default_rng(seed)

    def signals(k):
        return lfilter([1], [1, -memory], rng.standard_normal((n + 200, k)), axis=0)[200:]

    S = signals(p)
    return [gain * S @ rng.standard_normal((p, d)) + signals(d) for _ in range(m)]


def count(views, seed, **settings):
    """Number of components beyond chance."""
    model = MultisetCCA("auto", random_state=seed, **settings)
    cca = model.fit(views)
    return int(np.sum(cca.eigenvalues_ > cca.chance_level_))


@pytest.mark.parametrize("shuffle", ["shift", "permutation"])
@pytest.mark.parametrize("n", [150, 12])
def test_eigenvalues_are_those_of_shuffled_views(shuffle, n):
    views = slow_views(4, 15, n, p=2)  # wide for 12 samples
    pcas = [principal_components(X, max_directions=6) for X in views]
    gains = [np.linspace(1, 0.5, 6)] * 4
    found = chance_eigenvalues(views, pcas, gains, n_shuffles=3, shuffle=shuffle, random_state=0)
    rng = np.random.RandomState(0)
    draw = chance.distinct_shifts if shuffle == "shift" else chance._permutations
    expected = []
    for _ in range(3):
        rows = []
        for pca, X, g, order in zip(pcas, views, gains, draw(rng, 4, n), strict=True):
            Z = g[:, None] * whitened_samples(pca, X, slice(None))
            rows.append(np.roll(Z, -order, axis=1) if shuffle == "shift" else Z[:, order])
        Z = np.vstack(rows)
        M = Z @ Z.T / n + np.diag(1 - np.concatenate(gains) ** 2)
        expected.append(np.linalg.eigvalsh(M)[-1])
    np.testing.assert_allclose(found, np.sort(expected), rtol=1e-3)


@pytest.mark.parametrize("n_views", [2, 3, 50])
def test_shifts_keep_views_apart(n_views):
    rng = np.random.RandomState(0)
    for _ in range(20):
        shifts = np.sort(chance.distinct_shifts(rng, n_views, 1000))
        gaps = np.diff(np.append(shifts, shifts[0] + 1000))
        assert gaps.min() >= 1000 // n_views // 2 - 1


@pytest.mark.filterwarnings("ignore:no component is shared:UserWarning")
@pytest.mark.parametrize(("m", "n", "memory"), [(2, 300, 0.0), (4, 300, 0.8)])
def test_false_positives(m, n, memory):
    """One in twenty is expected; more than 12 of 100 has a probability below 0.002."""
    found = [count(slow_views(m, 4, n, memory=memory, seed=s), s) for s in range(100)]
    assert 0 < np.sum(np.array(found) > 0) <= 12


@pytest.mark.filterwarnings("ignore:no component is shared:UserWarning")
def test_false_positives_of_permutations():
    """They are for exchangeable samples only: slow signals agree more than permuted ones."""
    draws = range(50)
    positives = []
    for memory in (0.0, 0.9):
        views = [slow_views(2, 4, 300, memory=memory, seed=s) for s in draws]
        found = [count(X, s, shuffle="permutation") for s, X in zip(draws, views, strict=True)]
        positives.append(np.sum(np.array(found) > 0))
    assert positives[0] <= 8
    assert positives[1] > 25


@pytest.mark.parametrize("shuffle", ["shift", "permutation"])
def test_power(shuffle):
    found = [
        count(slow_views(5, 6, 500, p=3, gain=0.5, seed=s), s, shuffle=shuffle) for s in range(10)
    ]
    assert np.mean(np.array(found) == 3) >= 0.9


def test_power_for_slow_signals_and_few_samples():
    found = [count(slow_views(5, 6, 500, p=3, gain=0.5, memory=0.8, seed=s), s) for s in range(10)]
    assert np.mean(found) > 2.5
    found = [count(slow_views(6, 60, 200, p=3, seed=s), s) for s in range(5)]  # shrunk
    assert found == [3] * 5


def test_more_components_than_are_looked_at_first():
    views = slow_views(4, 25, 2000, p=23)
    assert count(views, 0) == 23


def test_nothing_shared_keeps_one_and_says_so():
    views = slow_views(3, 4, 300, seed=1)
    with pytest.warns(UserWarning, match="no component is shared beyond chance"):
        cca = MultisetCCA("auto", random_state=0).fit(views)
    assert cca.transform(views).shape == (300, 1)
    assert cca.eigenvalues_[0] <= cca.chance_level_


def test_attributes_and_reproducibility():
    views = slow_views(4, 5, 400, p=2)
    auto = MultisetCCA("auto", random_state=0).fit(views)
    fixed = MultisetCCA(5, n_shuffles=19, random_state=0).fit(views)
    np.testing.assert_array_equal(auto.chance_eigenvalues_, fixed.chance_eigenvalues_)
    assert auto.chance_eigenvalues_.shape == (19,)
    assert auto.chance_level_ == auto.chance_eigenvalues_.max()
    assert np.sum(fixed.eigenvalues_ > fixed.chance_level_) == len(auto.eigenvalues_) == 2
    np.testing.assert_allclose(fixed.eigenvalues_[:2], auto.eigenvalues_)
    plain = MultisetCCA(2).fit(views)
    assert np.isnan(plain.chance_level_)
    assert plain.chance_eigenvalues_.shape == (0,)
    tiny = MultisetCCA("auto", random_state=0).fit([X * 1e-13 for X in views])
    np.testing.assert_allclose(tiny.chance_eigenvalues_, auto.chance_eigenvalues_, rtol=1e-6)


def test_bad_requests():
    views = slow_views(2, 4, 100)
    with pytest.raises(ValueError, match="needs n_shuffles of 1 or more"):
        MultisetCCA("auto", n_shuffles=0).fit(views)
    with pytest.raises(ValueError, match="X has 1 view"):
        MultisetCCA("auto").fit(views[:1])
    with pytest.raises(ValueError, match="needs all samples: use fit"):
        MultisetCCA("auto").partial_fit(views)
