"""Generalized eigenpairs: every solver against a known answer, every form of matrix, bad input."""

import numpy as np
import pytest
from scipy.linalg import eigh
from scipy.sparse import diags_array
from scipy.sparse.linalg import LinearOperator, aslinearoperator
from sklearn.exceptions import ConvergenceWarning

from mvica.stiefel import generalized_eigh


def haar(d, rng):
    Q, R = np.linalg.qr(rng.standard_normal((d, d)))
    return Q * np.sign(np.diag(R))


def pair(d, condition, seed=0):
    """The published process: a linear spectrum against a geometric one, turned apart."""
    rng = np.random.default_rng(seed)
    Q_A, Q_B = haar(d, rng), haar(d, rng)
    A = (Q_A * np.linspace(1, 0.01, d)) @ Q_A.T
    B = (Q_B * np.geomspace(1, 1 / condition, d)) @ Q_B.T
    A, B = (A + A.T) / 2, (B + B.T) / 2
    return A / np.linalg.norm(A), B / np.linalg.norm(B)


def check_pairs(A, B, pairs, k, rtol):
    reference = eigh(A, B, eigvals_only=True)[::-1][:k]
    np.testing.assert_allclose(pairs.eigenvalues, reference, rtol=rtol)
    U = pairs.eigenvectors
    np.testing.assert_allclose(U.T @ B @ U, np.eye(k), atol=1e-10)
    assert pairs.converged


def laplacian(d):
    """Sparse second differences, and a mass matrix with the same neighbours."""
    A = diags_array([-np.ones(d - 1), np.full(d, 2.0), -np.ones(d - 1)], offsets=[-1, 0, 1])
    weights = np.linspace(1, 3, d)
    B = diags_array([np.full(d - 1, 0.2), weights, np.full(d - 1, 0.2)], offsets=[-1, 0, 1])
    return A.tocsr(), B.tocsr()


@pytest.mark.parametrize("condition", [1e2, 1e4, 1e6])
@pytest.mark.parametrize("solver", ["direct", "lobpcg"])
def test_gap_and_constraint_for_any_condition(solver, condition):
    A, B = pair(300, condition)
    pairs = generalized_eigh(A, B, k=5, solver=solver)
    best = eigh(A, B, eigvals_only=True)[-5:].sum()
    assert abs(best - pairs.eigenvalues.sum()) < 1e-11 * best
    check_pairs(A, B, pairs, 5, rtol=1e-9)
    assert pairs.solver == solver
    assert pairs.residual_norms.max() < 1e-5


@pytest.mark.slow
@pytest.mark.parametrize("condition", [1e2, 1e4, 1e6])
def test_published_size(condition):
    A, B = pair(1000, condition)
    pairs = generalized_eigh(A, B, k=500)
    best = eigh(A, B, eigvals_only=True)[-500:].sum()
    # At a condition of 1e6 the drivers of LAPACK agree to 1e-12 of the sum.
    assert abs(best - pairs.eigenvalues.sum()) < (1e-12 if condition < 1e6 else 5e-12) * best
    U = pairs.eigenvectors
    assert np.linalg.norm(U.T @ B @ U - np.eye(500), 2) < 1e-10


@pytest.mark.parametrize("condition", [1e2, 1e6])
def test_landing_finds_the_same_pairs(condition):
    A, B = pair(100, condition)
    check_pairs(A, B, generalized_eigh(A, B, k=4, solver="landing"), 4, rtol=1e-9)


@pytest.mark.parametrize("solver", ["direct", "lobpcg"])
def test_vectors_are_eigenvectors_with_a_stated_sign(solver):
    A, B = pair(60, 1e2)
    pairs = generalized_eigh(A, B, k=4, solver=solver)
    U = pairs.eigenvectors
    np.testing.assert_allclose(A @ U, B @ U * pairs.eigenvalues, atol=1e-6)
    assert np.all(U[np.abs(U).argmax(axis=0), range(4)] > 0)
    assert np.all(np.diff(pairs.eigenvalues) < 0)


def test_without_b_it_is_the_symmetric_problem():
    A, _ = pair(50, 1e2)
    for solver in ("direct", "lobpcg"):
        pairs = generalized_eigh(A, k=3, solver=solver)
        check_pairs(A, np.eye(50), pairs, 3, rtol=1e-10)


def test_every_form_of_the_matrices_gives_the_same_pairs():
    A, B = laplacian(600)
    dense = generalized_eigh(A.toarray(), B.toarray(), k=3)
    assert dense.solver == "direct"
    forms = {
        "sparse": (A, B),
        "operator": (aslinearoperator(A), aslinearoperator(B)),
        "mixed": (A.toarray(), B),
    }
    for form, (a, b) in forms.items():
        pairs = generalized_eigh(a, b, k=3, tol=1e-6, max_iter=2000)
        assert pairs.solver == "lobpcg", form
        np.testing.assert_allclose(pairs.eigenvalues, dense.eigenvalues, rtol=1e-10)


def data_pair(n=20_000, d=450):
    rng = np.random.default_rng(0)
    mixing = haar(d, rng) * np.geomspace(1, 0.1, d)
    noise = rng.standard_normal((n, d)) @ mixing
    scores = rng.standard_normal((n, d))
    scores[:, :4] *= [4.0, 3.0, 2.5, 2.0]
    return scores @ mixing, noise


def test_data_matrices_and_streams_stand_for_their_second_moments():
    X, Y = data_pair()
    reference = generalized_eigh(X.T @ X / len(X), Y.T @ Y / len(Y), k=3)
    rows = generalized_eigh(X, Y, k=3)
    assert rows.solver == "lobpcg"

    def stream(data):
        return lambda: (data[start : start + 3000] for start in range(0, len(data), 3000))

    streamed = generalized_eigh(stream(X), stream(Y), k=3)
    assert streamed.solver == "lobpcg"
    for pairs in (rows, streamed):
        np.testing.assert_allclose(pairs.eigenvalues, reference.eigenvalues, rtol=1e-10)
        np.testing.assert_allclose(pairs.eigenvectors, reference.eigenvectors, atol=1e-5)
    short = generalized_eigh(X[:, :60], Y[:, :60], k=3)
    assert short.solver == "direct"


def test_auto_is_direct_for_many_vectors_and_for_few_rows():
    A, B = laplacian(600)
    assert generalized_eigh(A, B, k=61).solver == "direct"
    X, Y = data_pair(n=1000)
    assert generalized_eigh(X, Y, k=2).solver == "direct"


@pytest.mark.parametrize("solver", ["direct", "lobpcg", "landing"])
def test_units_do_not_matter(solver):
    A, B = pair(60, 1e3)
    one = generalized_eigh(A, B, k=2, solver=solver)
    other = generalized_eigh(1e-13 * A, 1e-26 * B, k=2, solver=solver)
    np.testing.assert_allclose(other.eigenvalues, 1e13 * one.eigenvalues, rtol=1e-8)


def test_preconditioner_of_the_caller_saves_iterations():
    A, B = pair(500, 1e4)
    inverse = np.linalg.inv(B)
    operators = aslinearoperator(A), aslinearoperator(B)
    pairs = generalized_eigh(*operators, k=3, preconditioner=(inverse + inverse.T) / 2)
    check_pairs(A, B, pairs, 3, rtol=1e-9)
    with pytest.warns(ConvergenceWarning, match="preconditioner closer to the inverse of B"):
        alone = generalized_eigh(*operators, k=3, max_iter=pairs.n_iter)
    assert not alone.converged


# ---- bad input -------------------------------------------------------------------------------


def spectrum(values, seed=0):
    Q = haar(len(values), np.random.default_rng(seed))
    B = (Q * values) @ Q.T
    return (B + B.T) / 2


@pytest.mark.parametrize("solver", ["direct", "lobpcg", "landing"])
@pytest.mark.parametrize(
    ("smallest", "word"), [(-0.25, "indefinite.*-0.25"), (0.0, "singular")], ids=["minus", "zero"]
)
def test_b_that_is_not_definite_is_named_with_its_eigenvalue(solver, smallest, word):
    B = spectrum(np.append(np.linspace(1, 2, 39), smallest))
    with pytest.raises(ValueError, match=word):
        generalized_eigh(np.eye(40), B, k=2, solver=solver)
    with pytest.raises(ValueError, match=word):
        generalized_eigh(np.eye(40), aslinearoperator(B), k=2, solver=solver)


@pytest.mark.parametrize("smallest", [-0.5, 0.0])
def test_sparse_b_that_is_not_definite(smallest):
    values = np.linspace(1, 2, 600)
    values[300] = smallest
    with pytest.raises(ValueError, match="positive definite"):
        generalized_eigh(diags_array(np.ones(600)), diags_array(values), k=2)


def test_data_that_span_too_little_stand_for_a_singular_b():
    X, Y = data_pair(n=20_000, d=450)
    Y[:, 3] = Y[:, 5]
    with pytest.raises(ValueError, match="singular"):
        generalized_eigh(X, Y, k=2)
    with pytest.raises(ValueError, match="singular"):
        generalized_eigh(X, Y[:300], k=2)


def test_matrices_that_do_not_fit_are_named():
    A, B = pair(20, 10)
    with pytest.raises(ValueError, match="A is not symmetric"):
        generalized_eigh(A + np.triu(A), B)
    with pytest.raises(ValueError, match="B is not symmetric"):
        generalized_eigh(A, LinearOperator((20, 20), matvec=lambda x: np.roll(x, 1), dtype=float))
    with pytest.raises(ValueError, match="k must be an int between 1 and 20"):
        generalized_eigh(A, B, k=21)
    with pytest.raises(ValueError, match="B is of order 19, expected 20"):
        generalized_eigh(A, B[:19, :19])
    B[0, 0] = np.nan
    with pytest.raises(ValueError, match="B contains NaN"):
        generalized_eigh(A, B)
    with pytest.raises(TypeError, match="A is complex"):
        generalized_eigh(A * 1j)
    with pytest.raises(ValueError, match="solver must be one of"):
        generalized_eigh(A, solver="magic")


def test_bad_batch_of_a_stream_is_named():
    x = np.random.default_rng(0).standard_normal((30, 4))
    spoilt = x.copy()
    spoilt[3, 1] = np.nan
    with pytest.raises(ValueError, match="Batch 1 of A contains NaN"):
        generalized_eigh(lambda: iter([x, spoilt]))
    with pytest.raises(ValueError, match=r"Batch 1 of A has shape \(30, 3\).*4 features"):
        generalized_eigh(lambda: iter([x, x[:, :3]]))
    with pytest.raises(ValueError, match="gives no batch"):
        generalized_eigh(lambda: iter([]))
