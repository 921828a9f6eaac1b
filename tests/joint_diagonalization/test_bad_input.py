"""Bad sets, weights and options: the stated errors, or right answers."""

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

from mvica.joint_diagonalization import joint_diagonalize, make_matrix_set
from mvica.joint_diagonalization.function import METHODS

LIKELIHOOD = ("quasi_newton", "pham", "rotation")
OTHERS = tuple(method for method in METHODS if method not in LIKELIHOOD)


@pytest.fixture
def C():
    return make_matrix_set(8, 5, noise=0.1, random_state=0).matrices


def off_diagonals(C, B):
    D = B @ C @ B.T
    off = np.abs(D[:, ~np.eye(len(B), dtype=bool)]).max(initial=0.0)
    return off / np.abs(D).max()


@pytest.mark.parametrize("method", LIKELIHOOD)
@pytest.mark.parametrize("kind", ["negative", "indefinite", "singular", "zero", "few samples"])
def test_matrices_that_are_not_positive_definite_are_named(C, method, kind):
    values, vectors = np.linalg.eigh(C[3])
    if kind == "negative":
        C[3] = -C[3]
    elif kind == "zero":
        C[3] = 0.0
    elif kind == "few samples":
        X = np.random.default_rng(0).standard_normal((4, 5))
        C[3] = X.T @ X
    else:
        values[0] = -0.1 * values[-1] if kind == "indefinite" else 0.0
        C[3] = (vectors * values) @ vectors.T
        C[3] = 0.5 * (C[3] + C[3].T)
    with pytest.raises(ValueError, match=r"Matrix 3 of C is not positive definite.*uwedge"):
        joint_diagonalize(C, method)


@pytest.mark.parametrize("method", LIKELIHOOD)
def test_negative_definite_sets_are_refused(C, method):
    with pytest.raises(ValueError, match="Matrix 0 of C is not positive definite"):
        joint_diagonalize(-C, method)


@pytest.mark.parametrize("method", LIKELIHOOD)
def test_sets_whose_mean_hides_the_sign_are_refused(method):
    C = np.array([np.diag([1.0, 2.0, 0.5]), np.diag([2.0, 1.0, -0.5])])
    with pytest.raises(ValueError, match="not positive definite"):
        joint_diagonalize(C, method)
    with pytest.raises(ValueError, match="not positive definite"):
        joint_diagonalize(np.array([np.diag([1.0, 2.0, -0.01])] * 2), method)


@pytest.mark.parametrize("method", OTHERS)
def test_other_methods_take_negative_and_singular_matrices(method):
    rng = np.random.default_rng(0)
    A = np.linalg.qr(rng.standard_normal((5, 5)))[0]
    powers = -rng.uniform(0.5, 2.0, (8, 5))
    powers[2, 1] = 0.0
    C = (A * powers[:, None]) @ A.T
    result = joint_diagonalize(C, method)
    assert off_diagonals(C, result.x) < 1e-6
    assert off_diagonals(-C, joint_diagonalize(-C, method).x) < 1e-6


@pytest.mark.parametrize("method", ["quasi_newton", "pham", "uwedge", "ffdiag"])
@pytest.mark.parametrize("factor", [1.0, 1e-26])
def test_rank_deficient_sets_are_diagonalised_on_their_range(method, factor):
    rng = np.random.default_rng(0)
    A = rng.standard_normal((7, 4))
    C = factor * (A * rng.uniform(0.5, 2.0, (9, 4))[:, None]) @ A.T
    result = joint_diagonalize(C, method, tol=1e-9)
    assert result.x.shape == (4, 7)
    gain = np.abs(result.x @ A)
    gain /= gain.max(axis=1, keepdims=True)
    assert np.sort(gain, axis=1)[:, -2].max() < 1e-7
    rebuilt = (result.mixing * result.powers[:, None]) @ result.mixing.T
    np.testing.assert_allclose(rebuilt, C, atol=1e-8 * np.abs(C).max())
    with pytest.raises(ValueError, match="n_components=5 must be between 1 and 4, the rank"):
        joint_diagonalize(C, method, n_components=5)


@pytest.mark.parametrize("method", METHODS)
def test_fewer_components_stay_on_the_principal_axes(method):
    rng = np.random.default_rng(0)
    A = np.linalg.qr(rng.standard_normal((7, 7)))[0]
    scales = np.array([10.0, 8.0, 7.0, 6.0, 0.1, 0.1, 0.1])
    C = (A * (scales**2 * rng.uniform(0.5, 2.0, (9, 7)))[:, None]) @ A.T
    result = joint_diagonalize(C, method, n_components=4, tol=1e-9)
    assert result.x.shape == (4, 7)
    np.testing.assert_allclose(result.x @ result.mixing, np.eye(4), atol=1e-10)
    leak = np.linalg.norm(result.x @ A[:, 4:]) / np.linalg.norm(result.x)
    assert leak < 0.01
    assert off_diagonals(C, result.x) < 1e-3


def test_dead_features_are_left_out(C):
    C[:, 2], C[:, :, 2] = 0.0, 0.0
    for method in ("quasi_newton", "pham", "uwedge", "ffdiag"):
        result = joint_diagonalize(C, method)
        assert result.x.shape == (4, 5)
        np.testing.assert_allclose(result.x[:, 2], 0.0, atol=1e-12)


def test_sets_with_nothing_on_their_diagonals():
    swap = np.array([[0.0, 1.0], [1.0, 0.0]])
    for method in OTHERS:
        result = joint_diagonalize(np.array([swap, 2 * swap]), method, init="rotation")
        assert off_diagonals(swap[None], result.x) < 1e-6
    for method in ("uwedge", "ffdiag"):  # from here on the fit knows no direction
        with pytest.warns(ConvergenceWarning, match="a diagonal vanishes"):
            result = joint_diagonalize(np.array([swap, 2 * swap]), method, init="white")
        assert not result.converged
        assert np.all(np.isfinite(result.x))


def test_multiples_of_the_identity_leave_nothing_to_do():
    C = np.array([1.0, 2.0, 5.0])[:, None, None] * np.eye(4)
    for method in METHODS:
        result = joint_diagonalize(C, method)
        assert result.converged
        assert off_diagonals(C, result.x) < 1e-12
        assert np.all(np.abs(result.separability) < 1e-12)


@pytest.mark.parametrize("method", METHODS)
def test_malformed_sets(C, method):
    with pytest.raises(ValueError, match=r"shape \(n_matrices, p, p\); found shape \(5, 5\)"):
        joint_diagonalize(C[0], method)
    with pytest.raises(ValueError, match=r"found shape \(8, 5, 4\)"):
        joint_diagonalize(C[:, :, :4], method)
    with pytest.raises(ValueError, match="found shape"):
        joint_diagonalize(np.empty((0, 3, 3)), method)
    with pytest.raises(ValueError, match="complex"):
        joint_diagonalize(C * 1j, method)
    for bad in (np.nan, np.inf):
        broken = C.copy()
        broken[2, 1, 3] = broken[2, 3, 1] = bad
        with pytest.raises(ValueError, match="Matrix 2 of C has NaN or infinite"):
            joint_diagonalize(broken, method)
    C[4, 0, 1] += 1e-3
    with pytest.raises(ValueError, match="Matrix 4 of C is not symmetric"):
        joint_diagonalize(C, method)


def test_all_zero_sets_are_refused():
    for method in OTHERS:
        with pytest.raises(ValueError, match="zero"):
            joint_diagonalize(np.zeros((3, 4, 4)), method)


def test_bad_weights(C):
    with pytest.raises(ValueError, match=r"weights has shape \(3,\), expected \(8,\)"):
        joint_diagonalize(C, weights=np.ones(3))
    for bad in (0.0, -1.0, np.nan):
        with pytest.raises(ValueError, match="weights must be positive"):
            joint_diagonalize(C, weights=np.r_[bad, np.ones(7)])


def test_bad_options(C):
    with pytest.raises(ValueError, match="method='qr' is unknown"):
        joint_diagonalize(C, "qr")
    with pytest.raises(ValueError, match="init='random' is unknown"):
        joint_diagonalize(C, init="random")
    with pytest.raises(ValueError, match=r"init has shape \(4, 4\), expected \(5, 5\)"):
        joint_diagonalize(C, init=np.eye(4))
    with pytest.raises(ValueError, match="init does not have full rank"):
        joint_diagonalize(C, init=np.ones((5, 5)))
    with pytest.raises(ValueError, match="init does not have full rank"):
        joint_diagonalize(C, init=np.zeros((5, 5)))
    with pytest.raises(ValueError, match="init has NaN"):
        joint_diagonalize(C, init=np.full((5, 5), np.nan))
    with pytest.raises(ValueError, match="orthonormal rows"):
        joint_diagonalize(C, "jacobi", init=2 * np.eye(5))
    with pytest.raises(ValueError, match="n_components=0"):
        joint_diagonalize(C, n_components=0)
    with pytest.raises(ValueError, match="n_components=6 must be between 1 and 5"):
        joint_diagonalize(C, "jacobi", n_components=6)
    with pytest.raises(ValueError, match="tol"):
        joint_diagonalize(C, tol=-1)
    with pytest.raises(ValueError, match="max_iter"):
        joint_diagonalize(C, max_iter=-1)


def test_inputs_of_other_types_are_read_and_never_written(C):
    expected = joint_diagonalize(C)
    kept = C.copy()
    frozen = C.copy()
    frozen.setflags(write=False)
    for form in (C, frozen, list(C), C.tolist(), np.asfortranarray(C)):
        np.testing.assert_allclose(joint_diagonalize(form).x, expected.x, atol=1e-12)
    np.testing.assert_array_equal(C, kept)
    single = joint_diagonalize(C.astype(np.float32))
    np.testing.assert_allclose(single.x, expected.x, atol=1e-3)
    integers = np.array([[[2, 0], [0, 1]], [[1, 0], [0, 3]]])
    assert joint_diagonalize(integers).converged
