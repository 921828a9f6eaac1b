import numpy as np
import pytest

from mvica.causal import (
    adjacency_error,
    order_correlation,
    order_error,
    reversed_edges,
    structural_hamming_distance,
)
from mvica.datasets import make_limvam


@pytest.fixture
def truth():
    return make_limvam("gauss", 3, 10, 6, n_zeros=6, random_state=0)


def test_perfect_estimates_have_no_error(truth):
    B, order = truth.adjacency_matrices, truth.causal_order
    assert adjacency_error(B, B) == adjacency_error(B, B, "mae") == 0
    assert order_error(order, B) == reversed_edges(B, B) == structural_hamming_distance(B, B) == 0
    assert order_correlation(order, order) == 1
    assert order_correlation(order[::-1], order) == -1
    assert order_error(order[::-1], B) == 1


def test_known_errors(truth):
    B = truth.adjacency_matrices
    assert adjacency_error(B + 0.5, B) == pytest.approx(0.25)
    assert adjacency_error(B - 0.5, B, "mae") == pytest.approx(0.5)
    flipped = B.copy()
    i, j = np.argwhere((B != 0).any(axis=0))[0]
    flipped[:, [i, j], [j, i]] = B[:, [j, i], [i, j]]
    assert reversed_edges(flipped, B) == structural_hamming_distance(flipped, B) == 1
    missing = B.copy()
    missing[:, i, j] = 0
    assert reversed_edges(missing, B) == 0
    assert structural_hamming_distance(missing, B) == 1
    assert structural_hamming_distance(np.zeros_like(B), B) == (B != 0).any(axis=0).sum()


def test_swap_of_neighbours_counts_only_if_they_are_joined():
    B = np.zeros((3, 3))
    B[2, 0] = 1.0
    assert order_error([1, 0, 2], B) == order_error([0, 1, 2], B) == 0
    assert order_error([2, 0, 1], B) == 1
    own = np.stack([B, B.T])
    assert order_error([[0, 1, 2], [2, 1, 0]], own) == 0
    assert order_error([[0, 1, 2], [0, 1, 2]], own) == 0.5


def test_labels_do_not_matter(truth, rng):
    B, order = truth.adjacency_matrices, truth.causal_order
    guess = rng.permutation(6)
    estimate = B + rng.standard_normal(B.shape)
    names = rng.permutation(6)  # old label of each new one
    new_label = np.argsort(names)
    B2, estimate2 = B[:, names][:, :, names], estimate[:, names][:, :, names]
    order2, guess2 = new_label[order], new_label[guess]
    assert order_correlation(guess2, order2) == order_correlation(guess, order)
    assert order_error(guess2, B2) == order_error(guess, B)
    for measure in (adjacency_error, reversed_edges, structural_hamming_distance):
        assert measure(estimate2, B2) == pytest.approx(measure(estimate, B))


def test_bad_input(truth):
    B = truth.adjacency_matrices
    with pytest.raises(ValueError, match="same shape"):
        adjacency_error(B[:2], B)
    with pytest.raises(ValueError, match="kind"):
        adjacency_error(B, B, "max")
    with pytest.raises(ValueError, match="not of the same variables"):
        order_correlation([0, 1], [0, 2])
