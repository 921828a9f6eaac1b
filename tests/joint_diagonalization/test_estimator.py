"""JointDiagonalization: common unmixing of views, and of given matrices."""

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning, NotFittedError

from mvica import MultiViewData
from mvica.joint_diagonalization import JointDiagonalization, joint_diagonalize, make_matrix_set


@pytest.fixture
def simulated():
    rng = np.random.default_rng(0)
    A = rng.standard_normal((4, 4))
    powers = rng.uniform(0.2, 5.0, (8, 4))
    views = [rng.standard_normal((3000, 4)) * np.sqrt(d) @ A.T + v for v, d in enumerate(powers)]
    return views, A, powers


def gain_error(gain):
    gain = np.abs(gain) / np.abs(gain).max(axis=1, keepdims=True)
    return np.sort(gain, axis=1)[:, :-1].max()


def test_views_with_a_common_mixing_are_separated(simulated):
    views, A, powers = simulated
    model = JointDiagonalization().fit(views)
    assert model.converged_
    assert gain_error(model.components_[0] @ A) < 0.1
    assert all(np.array_equal(B, model.components_[0]) for B in model.components_)
    found = np.abs(model.components_[0] @ A).argmax(axis=1)
    scaled = powers[:, found] / powers[:, found].mean(axis=0)
    np.testing.assert_allclose(model.powers_, scaled, rtol=0.15)
    Y = model.transform_views(views)
    np.testing.assert_allclose([np.var(y, axis=0) for y in Y], model.powers_, rtol=1e-8)
    np.testing.assert_allclose(model.transform(views), np.mean(Y, axis=0), atol=1e-12)
    np.testing.assert_array_equal(model.rank_, np.full(8, 4))


def test_forms_of_the_same_data(simulated):
    views, *_ = simulated
    expected = JointDiagonalization().fit(views)
    for X in (tuple(views), np.array(views), MultiViewData(views)):
        model = JointDiagonalization().fit(X)
        np.testing.assert_array_equal(model.components_[0], expected.components_[0])
        np.testing.assert_array_equal(model.transform(X), expected.transform(views))
    restored = expected.set_params(output="views").inverse_transform(expected.transform(views))
    np.testing.assert_allclose(np.stack(restored.views), np.array(views), atol=1e-10)


def test_matrices_and_data_agree(simulated):
    views, *_ = simulated
    C = np.array([np.cov(X.T, ddof=0) for X in views])
    weights = np.arange(1.0, 9.0)
    for method in ("quasi_newton", "uwedge", "jacobi"):
        settings = {"method": method, "weights": weights, "tol": 1e-9}
        data = JointDiagonalization(**settings).fit(views)
        given = JointDiagonalization(**settings).fit_matrices(C)
        np.testing.assert_allclose(given.components_[0], data.components_[0], atol=1e-7)
        np.testing.assert_allclose(given.powers_, data.powers_, rtol=1e-6)
        B = joint_diagonalize(C, method, weights=weights, tol=1e-9).x
        np.testing.assert_array_equal(given.components_[0], B)


def test_fitted_on_matrices(simulated):
    views, *_ = simulated
    problem = make_matrix_set(10, 4, random_state=0)
    model = JointDiagonalization(tol=1e-9).fit(views).fit_matrices(problem.matrices)
    assert model.n_features_in_ == 4
    assert model.n_views_ == 1
    assert gain_error(model.components_[0] @ problem.mixing) < 1e-8
    D = model.transform_matrices(problem.matrices)
    np.testing.assert_allclose(D, [np.diag(d) for d in model.powers_], atol=1e-8)
    X = views[0]
    np.testing.assert_allclose(model.transform(X), X @ model.components_[0].T, rtol=1e-10)
    np.testing.assert_allclose(model.inverse_transform(model.transform(X)).views[0], X, atol=1e-8)
    assert list(model.get_feature_names_out()) == [f"jointdiagonalization{k}" for k in range(4)]


def test_a_single_view_gives_principal_components(simulated):
    X = simulated[0][0]
    model = JointDiagonalization(method="jacobi").fit(X)
    values, vectors = np.linalg.eigh(np.cov(X.T, ddof=0))
    np.testing.assert_allclose(
        np.abs(model.components_[0] @ vectors[:, ::-1]), np.eye(4), atol=1e-6
    )
    np.testing.assert_allclose(model.powers_[0], values[::-1])
    white = JointDiagonalization().fit(X).transform(X)
    np.testing.assert_allclose(np.cov(white.T, ddof=0), np.eye(4), atol=1e-10)


def test_warm_start(simulated):
    views, *_ = simulated
    first = JointDiagonalization(tol=1e-9).fit(views)
    again = JointDiagonalization(init=first.components_[0]).fit(views)
    assert len(again.objective_history_) == 1
    np.testing.assert_allclose(again.components_[0], first.components_[0], atol=1e-6)


def test_bad_input(simulated):
    views, *_ = simulated
    with pytest.raises(ValueError, match=r"same features in every view.*\(4, 4, 3\)"):
        JointDiagonalization().fit([views[0], views[1], views[2][:, :3]])
    with pytest.raises(ValueError, match="Matrix 1 of C is not positive definite"):
        JointDiagonalization().fit([views[0], views[1] @ np.diag([1, 1, 1, 0]), views[2]])
    with pytest.raises(ValueError, match=r"weights has shape \(2,\), expected \(8,\)"):
        JointDiagonalization(weights=[1.0, 2.0]).fit(views)
    with pytest.raises(ValueError, match="'method' parameter"):
        JointDiagonalization(method="qr").fit_matrices(np.eye(3)[None])
    with pytest.raises(NotFittedError):
        JointDiagonalization().transform_matrices(np.eye(4)[None])
    with pytest.raises(ValueError, match=r"size 3, but .* size 4"):
        JointDiagonalization().fit(views).transform_matrices(np.eye(3)[None])
    with pytest.warns(ConvergenceWarning, match="max_iter"):
        model = JointDiagonalization(max_iter=1, init="white", tol=1e-12).fit(views)
    assert not model.converged_
    assert model.n_iter_ == 1
