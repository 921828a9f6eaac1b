import numpy as np
import pytest

from mvica.testing import check_curvature, check_gradient, check_hessian

rng = np.random.default_rng(0)
A = rng.standard_normal((6, 6))
A = A @ A.T + np.eye(6)


def move(W, E):
    return W + E @ W


# Functions with known derivatives ----------------------------------------------------------------


def quadratic(x):
    return 0.5 * x @ A @ x


def log_cosh(W, Z):
    """Infomax loss of one view, with its relative gradient and curvature."""
    Y = W @ Z
    value = np.mean(np.sum(np.log(np.cosh(Y)), axis=0)) - np.linalg.slogdet(W)[1]
    return value, np.tanh(Y) @ Y.T / Z.shape[1] - np.eye(len(W))


def log_cosh_form(W, E, Z):
    Y = W @ Z
    return np.trace(E @ E) + np.sum((1 - np.tanh(Y) ** 2) * (E @ Y) ** 2) / Z.shape[1]


W0 = rng.standard_normal((4, 4))
Z0 = rng.laplace(size=(4, 200))


def test_right_gradients_pass():
    x = rng.standard_normal(6)
    assert check_gradient(quadratic, x, lambda x: A @ x) < 1e-9
    assert check_gradient(lambda x: (quadratic(x), A @ x), x) < 1e-9
    assert check_gradient(lambda x: np.exp(x), 1.5, lambda x: np.exp(x)) < 1e-9


def test_relative_gradient_needs_its_retraction():
    assert check_gradient(lambda W: log_cosh(W, Z0), W0, retraction=move) < 1e-8
    with pytest.raises(AssertionError, match="Finite differences give the derivative"):
        check_gradient(lambda W: log_cosh(W, Z0), W0)


def test_relative_curvature():
    value = lambda W: log_cosh(W, Z0)[0]  # noqa: E731
    form = lambda W, E: log_cosh_form(W, E, Z0)  # noqa: E731
    assert check_curvature(value, W0, form, retraction=move) < 1e-6
    with pytest.raises(AssertionError, match="Finite differences give the curvature"):
        check_curvature(value, W0, lambda W, E: form(W, E) + 0.01 * np.sum(E**2), retraction=move)


@pytest.mark.parametrize("error", [1e-4, 1e-2, 1.0])
def test_a_wrong_entry_is_found(error):
    x = rng.standard_normal(6)

    def gradient(x):
        g = A @ x
        g[2] *= 1 + error
        return g

    assert check_gradient(quadratic, x, gradient, tol=10) > 0.01 * error
    with pytest.raises(AssertionError, match="relative error"):
        check_gradient(quadratic, x, gradient)
    with pytest.raises(AssertionError, match="the product"):
        check_hessian(lambda x: A @ x, x, lambda x, d: A @ d * (1 + error * (x > x.mean())))


def test_message_gives_both_numbers():
    # along t -> 3 (1 + t) or 3 (1 - t)
    with pytest.raises(AssertionError, match=r"derivative (-?)18, the gradient \1(45): relative"):
        check_gradient(lambda x: x**2, 3.0, lambda x: 5 * x)


def test_nan_and_zero_derivatives():
    with pytest.raises(AssertionError, match="nan"):
        check_gradient(lambda x: np.nan, np.ones(3), lambda x: x)
    with pytest.raises(AssertionError, match="nan"):
        check_gradient(lambda x: np.sum(x**2), np.ones(3), lambda x: np.nan * x)
    with pytest.raises(AssertionError):
        check_gradient(lambda x: np.sum(x), np.ones(3), lambda x: 0 * x)
    assert check_gradient(lambda x: 7.0, np.ones(3), lambda x: 0 * x) == 0


@pytest.mark.parametrize("unit", [1e-13, 1e6])
def test_units_do_not_matter(unit):
    x = rng.standard_normal(6)
    fun = lambda x: quadratic(x / unit)  # noqa: E731
    gradient = lambda x: A @ x / unit**2  # noqa: E731
    assert check_gradient(fun, unit * x, gradient) < 1e-9
    assert check_hessian(gradient, unit * x, lambda x, d: A @ d / unit**2) < 1e-9
    assert check_curvature(fun, unit * x, lambda x, d: d @ A @ d / unit**2) < 1e-7


@pytest.mark.parametrize("kind", [list, tuple])
def test_points_of_several_arrays_of_different_units(kind):
    x = kind([rng.standard_normal((2, 3)), 1e-13 * rng.standard_normal(4)])

    def fun(x):
        assert isinstance(x, kind)
        return np.sum(x[0] ** 4) + np.sum((x[1] / 1e-13) ** 3) * np.sum(x[0])

    def gradient(x):
        b = x[1] / 1e-13
        return kind([4 * x[0] ** 3 + np.sum(b**3), 3 * b**2 / 1e-13 * np.sum(x[0])])

    def product(x, d):
        b, e = x[1] / 1e-13, d[1] / 1e-13
        first = 12 * x[0] ** 2 * d[0] + np.sum(3 * b**2 * e)
        second = (6 * b * e * np.sum(x[0]) + 3 * b**2 * np.sum(d[0])) / 1e-13
        return kind([first, second])

    def form(x, d):
        return sum(np.sum(a * b) for a, b in zip(d, product(x, d), strict=True))

    assert check_gradient(fun, x, gradient) < 1e-8
    assert check_hessian(gradient, x, product) < 1e-8
    assert check_curvature(fun, x, form) < 1e-6
    with pytest.raises(AssertionError):  # the array of small values is seen, too
        check_gradient(fun, x, lambda x: kind([gradient(x)[0], 1.001 * gradient(x)[1]]))


def test_hessian_along_a_retraction_is_the_derivative_of_the_gradient():
    def product(W, E):
        Y = W @ Z0
        D = E @ Y
        return ((1 - np.tanh(Y) ** 2) * D @ Y.T + np.tanh(Y) @ D.T) / Z0.shape[1]

    error = check_hessian(lambda W: log_cosh(W, Z0)[1], W0, product, retraction=move)
    assert error < 1e-8


def test_wrong_shapes_are_refused():
    x = np.ones(3)
    with pytest.raises(ValueError, match=r"gradient has shape \[\(2,\)\]; expected \[\(3,\)\]"):
        check_gradient(np.sum, x, lambda x: x[:2])
    with pytest.raises(ValueError, match=r"value has shape \(3,\); expected a number"):
        check_gradient(lambda x: x, x, lambda x: x)
    with pytest.raises(ValueError, match="product has shape"):
        check_hessian(lambda x: x, x, lambda x, d: d[:1])
    with pytest.raises(ValueError, match="form has shape"):
        check_curvature(np.sum, x, lambda x, d: d)


def test_same_seed_same_directions():
    seen = [[], []]
    for log in seen:
        check_hessian(lambda x: x, np.ones(3), lambda x, d, log=log: log.append(d) or d)
    np.testing.assert_array_equal(*seen)
    assert len(seen[0]) == 5
