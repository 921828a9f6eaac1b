"""Filtered subspace iteration against dense eigenvectors."""

import numpy as np
import pytest

from mvica.reduction.subspace import block_size, leading_subspace


def symmetric(values, seed=0):
    Q = np.linalg.qr(np.random.default_rng(seed).standard_normal((len(values),) * 2))[0]
    return Q, (Q * values) @ Q.T


SPECTRA = {
    "gap": np.r_[50.0, 9.0, 8.0, 7.0, np.linspace(1, 0, 116)],
    "flat": np.r_[1.05, 1.04, 1.03, 1.02, np.linspace(1, 0, 196)],
    "huge spread": np.r_[1e6, 1e4, 10.0, 5.0, np.linspace(1, 0, 96)],
    "low rank": np.r_[4.0, 3.0, 2.0, 1.0, np.zeros(96)],
    "tiny": 1e-26 * np.r_[50.0, 9.0, 8.0, 7.0, np.linspace(1, 0, 116)],
}


@pytest.mark.parametrize("name", SPECTRA)
def test_finds_the_leading_eigenvectors(name):
    values = SPECTRA[name]
    Q, M = symmetric(values)
    found = leading_subspace(M.__matmul__, len(M), 4, random_state=0, tol=1e-9, max_iter=100)
    assert found.converged
    np.testing.assert_allclose(found.values, values[:4], rtol=1e-12 * values[0] / values[3])
    overlap = np.abs(Q[:, :4].T @ found.vectors)
    np.testing.assert_allclose(overlap, np.eye(4), atol=2e-6)
    np.testing.assert_allclose(found.vectors.T @ found.vectors, np.eye(4), atol=1e-13)


def test_the_filter_saves_products_where_the_spectrum_is_flat():
    values = SPECTRA["flat"]
    _, M = symmetric(values)
    products = []

    def apply(V):
        products.append(V.shape[1])
        return M @ V

    assert leading_subspace(apply, len(M), 4, random_state=0, tol=1e-8, max_iter=100).converged
    powers = np.log(1e-8) / np.log(values[block_size(len(M), 4)] / values[3])
    assert len(products) < powers / 2


def test_a_whole_space_takes_one_round():
    _, M = symmetric(np.array([3.0, 2.0, 1.0]))
    found = leading_subspace(M.__matmul__, 3, 2, random_state=0, tol=1e-12, max_iter=1)
    assert found.n_iter == 1
    assert found.converged
    np.testing.assert_allclose(found.values, [3, 2], rtol=1e-13)


def test_says_when_it_has_not_converged():
    Q, M = symmetric(SPECTRA["flat"])
    limits = {"random_state": 0, "tol": 1e-9, "max_iter": 3}
    found = leading_subspace(M.__matmul__, len(M), 4, **limits)
    assert not found.converged
    assert found.n_iter == 3
    assert found.change > 1e-9
    # A matrix, not only its products, lets a dense solver finish.
    found = leading_subspace(M, len(M), 4, **limits)
    assert found.converged
    np.testing.assert_allclose(found.values, SPECTRA["flat"][:4], rtol=1e-12)
    np.testing.assert_allclose(np.abs(Q[:, :4].T @ found.vectors), np.eye(4), atol=1e-9)


def test_equal_eigenvalues_end_the_rounds():
    """Any two vectors of a space of four are right."""
    Q, M = symmetric(np.r_[np.full(4, 3.0), np.linspace(1, 0, 60)])
    found = leading_subspace(M.__matmul__, 64, 2, random_state=0, tol=1e-8, max_iter=50)
    assert found.converged
    assert found.n_iter < 30
    assert np.linalg.norm(Q[:, 4:].T @ found.vectors) < 1e-8
