import numpy as np
import pytest

from mvica.uncertainty import split_half_correlations


def test_a_split_is_the_correlation_of_two_means():
    rng = np.random.default_rng(0)
    Y = rng.normal(size=(5, 200, 3)) + rng.normal(size=(200, 3)) + 7
    found = split_half_correlations(Y, 1, random_state=3)[0]
    half = np.random.RandomState(3).permutation(5)[:2]
    other = np.setdiff1d(np.arange(5), half)
    for c in range(3):
        expected = np.corrcoef(Y[half, :, c].mean(axis=0), Y[other, :, c].mean(axis=0))[0, 1]
        assert found[c] == pytest.approx(expected)


def test_two_views_and_what_they_do_not_share():
    rng = np.random.default_rng(0)
    S = rng.laplace(size=(2000, 2))
    Y = [np.column_stack([S[:, 0], rng.normal(size=2000)]) for _ in range(2)]
    r = split_half_correlations(Y)
    np.testing.assert_allclose(r[:, 0], 1)
    assert np.abs(r[:, 1]).max() < 0.1


def test_units_do_not_matter_and_silence_correlates_with_nothing():
    rng = np.random.default_rng(0)
    Y = rng.normal(size=(4, 50, 2))
    Y[:, :, 1] = 3.0
    r = split_half_correlations(Y)
    np.testing.assert_allclose(split_half_correlations(1e-13 * Y)[:, 0], r[:, 0])
    np.testing.assert_array_equal(r[:, 1], 0)


@pytest.mark.parametrize("Y", [np.ones((1, 5, 2)), [np.ones((5, 2)), np.ones((6, 2))], [1, 2]])
def test_views_must_fit(Y):
    with pytest.raises(ValueError, match="expected at least two views of one shape"):
        split_half_correlations(Y)
