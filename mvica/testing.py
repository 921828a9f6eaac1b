"""Finite-difference checks of gradients and curvatures, for tests and for users' own objectives."""

import numpy as np
from sklearn.utils import check_random_state

__all__ = ["check_curvature", "check_gradient", "check_hessian"]

# Lengths of the steps, relative to the point: of several, one suits truncation and rounding.
STEPS = (1e-1, 1e-2, 1e-3, 1e-4)


def check_gradient(
    fun, x, gradient=None, *, retraction=None, tol=1e-6, n_directions=5, steps=STEPS, random_state=0
):
    """Compare a gradient with central differences of its function along random directions.

    Parameters
    ----------
    fun : callable
        ``fun(x)`` is the value, a float; or, where `gradient` is None, the pair
        (value, gradient).
    x : ndarray, or list or tuple of ndarrays
        Point of the check, as `fun` takes it. Not a stationary point: there the derivatives are
        zero and only rounding would be compared.
    gradient : callable or None
        ``gradient(x)`` has the shapes of `x`.
    retraction : callable or None
        ``retraction(x, step)`` is the point that a step leads to; `step` has the shapes of `x`.
        With None, ``x + step``. The relative gradient of unmixings, for which W moves to
        (I + E) W, has ``retraction=lambda W, E: W + E @ W``.
    tol : float, default=1e-6
        Largest relative error accepted.
    n_directions : int, default=5
        Number of random directions.
    steps : sequence of floats, default=(1e-1, 1e-2, 1e-3, 1e-4)
        Lengths tried. Directions have unit length; without `retraction` each array's part is in
        units of that array's root mean square. The step that agrees best counts.
    random_state : int, RandomState or None, default=0
        Draws the directions.

    Returns
    -------
    error : float
        Largest relative error over the directions.

    Raises
    ------
    AssertionError
        If the error of a direction is above `tol`; the message gives both derivatives.
    ValueError
        If the gradient does not have the shapes of `x`, or the value is not a number.

    Examples
    --------
    >>> import numpy as np
    >>> from mvica.testing import check_gradient
    >>> x = np.array([1.0, 2.0, -3.0])
    >>> check_gradient(lambda x: np.sum(x**4), x, lambda x: 4 * x**3) < 1e-8
    True

    The relative gradient of ``-log|det W|`` is minus the identity:

    >>> W = np.array([[2.0, 1.0], [0.0, 1.0]])
    >>> check_gradient(lambda W: -np.linalg.slogdet(W)[1], W, lambda W: -np.eye(2),
    ...                retraction=lambda W, E: W + E @ W) < 1e-8
    True
    """
    if gradient is None:
        blocks = _check_shapes(fun(x)[1], x, "gradient")
        value = lambda point: _number(fun(point)[0], "value")  # noqa: E731
    else:
        blocks = _check_shapes(gradient(x), x, "gradient")
        value = lambda point: _number(fun(point), "value")  # noqa: E731
    errors = []
    for direction in _directions(x, retraction, n_directions, random_state):
        products = np.concatenate([(g * d).ravel() for g, d in zip(blocks, direction, strict=True)])
        curve = _along(value, x, direction, retraction)
        errors.append(
            _compare(
                lambda h, curve=curve: _first_difference(curve, h),
                products.sum(),
                typical=np.linalg.norm(products),  # a derivative may be small by chance
                steps=steps,
                tol=tol,
                words=("derivative", "gradient"),
            )
        )
    return max(errors)


def check_hessian(
    gradient, x, product, *, retraction=None, tol=1e-6, n_directions=5, steps=STEPS, random_state=0
):
    """Compare products with a Hessian with central differences of the gradient.

    With a retraction, what is checked is the derivative of the gradient as the point moves along
    it. For relative gradients this is not the second derivative of the function along
    t -> (I + t E) W, for which there is :func:`check_curvature`.

    Parameters
    ----------
    gradient : callable
        ``gradient(x)`` has the shapes of `x`.
    x : ndarray, or list or tuple of ndarrays
        Point of the check.
    product : callable
        ``product(x, direction)`` is the Hessian times the direction, with the shapes of `x`.
    retraction : callable or None
        As in :func:`check_gradient`.
    tol : float, default=1e-6
        Largest relative error accepted, in norm.
    n_directions : int, default=5
        Number of random directions.
    steps : sequence of floats, default=(1e-1, 1e-2, 1e-3, 1e-4)
        As in :func:`check_gradient`.
    random_state : int, RandomState or None, default=0
        Draws the directions.

    Returns
    -------
    error : float
        Largest relative error over the directions.

    Raises
    ------
    AssertionError
        If the error of a direction is above `tol`; the message gives both entries that differ
        most.
    ValueError
        If the gradient or the product does not have the shapes of `x`.

    Examples
    --------
    >>> import numpy as np
    >>> from mvica.testing import check_hessian
    >>> x = np.array([1.0, 2.0, -3.0])
    >>> check_hessian(lambda x: 4 * x**3, x, lambda x, d: 12 * x**2 * d) < 1e-8
    True
    """
    weights = _scales(x, retraction)  # a gradient has the inverse units of its variable

    def flat(blocks, what):
        blocks = _check_shapes(blocks, x, what)
        return np.concatenate([(w * b).ravel() for w, b in zip(weights, blocks, strict=True)])

    errors = []
    for direction in _directions(x, retraction, n_directions, random_state):
        curve = _along(lambda point: flat(gradient(point), "gradient"), x, direction, retraction)
        errors.append(
            _compare(
                lambda h, curve=curve: _first_difference(curve, h),
                flat(product(x, _like(x, direction)), "product"),
                typical=0.0,
                steps=steps,
                tol=tol,
                words=("derivative of the gradient", "product"),
            )
        )
    return max(errors)


def check_curvature(
    fun, x, form, *, retraction=None, tol=1e-5, n_directions=5, steps=STEPS, random_state=0
):
    """Compare a quadratic form with second differences of its function.

    Parameters
    ----------
    fun : callable
        ``fun(x)`` is the value, a float.
    x : ndarray, or list or tuple of ndarrays
        Point of the check.
    form : callable
        ``form(x, direction)`` is the second derivative of ``fun(retraction(x, t * direction))``
        at t = 0, a float.
    retraction : callable or None
        As in :func:`check_gradient`.
    tol : float, default=1e-5
        Largest relative error accepted; second differences have about five digits less than the
        function.
    n_directions : int, default=5
        Number of random directions.
    steps : sequence of floats, default=(1e-1, 1e-2, 1e-3, 1e-4)
        As in :func:`check_gradient`.
    random_state : int, RandomState or None, default=0
        Draws the directions.

    Returns
    -------
    error : float
        Largest relative error over the directions.

    Raises
    ------
    AssertionError
        If the error of a direction is above `tol`; the message gives both curvatures.
    ValueError
        If a value is not a number.

    Examples
    --------
    Along W -> (I + t E) W, the curvature of ``-log|det W|`` is tr(E E):

    >>> import numpy as np
    >>> from mvica.testing import check_curvature
    >>> W = np.array([[2.0, 1.0], [0.0, 1.0]])
    >>> check_curvature(lambda W: -np.linalg.slogdet(W)[1], W, lambda W, E: np.trace(E @ E),
    ...                 retraction=lambda W, E: W + E @ W) < 1e-6
    True
    """
    errors = []
    for direction in _directions(x, retraction, n_directions, random_state):
        curve = _along(lambda point: _number(fun(point), "value"), x, direction, retraction)
        errors.append(
            _compare(
                lambda h, curve=curve: _second_difference(curve, h),
                _number(form(x, _like(x, direction)), "form"),
                typical=0.0,
                steps=steps,
                tol=tol,
                words=("curvature", "form"),
            )
        )
    return max(errors)


# Differences -------------------------------------------------------------------------------------


def _first_difference(curve, h):
    return (8 * (curve(h) - curve(-h)) - (curve(2 * h) - curve(-2 * h))) / (12 * h)


def _second_difference(curve, h):
    near, far = curve(h) + curve(-h), curve(2 * h) + curve(-2 * h)
    return (16 * near - far - 30 * curve(0.0)) / (12 * h**2)


def _compare(difference, analytic, *, typical, steps, tol, words):
    """Relative error at the step that agrees best; raise if it is above tol."""
    best_error, best_numeric = np.inf, np.nan
    for h in steps:
        numeric = difference(h)
        size = max(np.linalg.norm(numeric), np.linalg.norm(analytic), typical)
        error = np.linalg.norm(numeric - analytic) / size if size != 0 else 0.0
        if error < best_error:  # false for NaN
            best_error, best_numeric = error, numeric
    if not best_error <= tol:
        numeric, analytic = np.broadcast_arrays(best_numeric, analytic)
        worst = np.argmax(np.abs(numeric - analytic))
        raise AssertionError(
            f"Finite differences give the {words[0]} {numeric.flat[worst]:.10g}, the {words[1]}"
            f" {analytic.flat[worst]:.10g}: relative error {best_error:.2g}, tol={tol:g}."
        )
    return float(best_error)


# Points and directions ---------------------------------------------------------------------------


def _blocks(x):
    return [np.asarray(block) for block in (x if isinstance(x, (list, tuple)) else [x])]


def _like(x, blocks):
    return type(x)(blocks) if isinstance(x, (list, tuple)) else blocks[0]


def _scales(x, retraction):
    """Units of the steps of each array: its root mean square, one for a retraction or zeros."""
    if retraction is not None:
        return [1.0 for _ in _blocks(x)]
    sizes = [float(np.sqrt(np.mean(np.square(block)))) for block in _blocks(x)]
    return [size if size > 0 else 1.0 for size in sizes]


def _directions(x, retraction, n_directions, random_state):
    rng = check_random_state(random_state)
    blocks, scales = _blocks(x), _scales(x, retraction)
    for _ in range(n_directions):
        normal = [rng.standard_normal(block.shape) for block in blocks]
        length = np.sqrt(sum(np.sum(d**2) for d in normal))
        yield [scale * d / length for scale, d in zip(scales, normal, strict=True)]


def _along(function, x, direction, retraction):
    """Return t -> function at the point that the step t * direction leads to."""

    def curve(t):
        step = [t * d for d in direction]
        if retraction is not None:
            return function(retraction(x, _like(x, step)))
        return function(_like(x, [b + s for b, s in zip(_blocks(x), step, strict=True)]))

    return curve


def _check_shapes(blocks, x, what):
    blocks = _blocks(blocks)
    found, expected = [b.shape for b in blocks], [b.shape for b in _blocks(x)]
    if found != expected:
        raise ValueError(f"{what} has shape {found}; expected {expected}, as x.")
    return blocks


def _number(value, what):
    value = np.asarray(value)
    if value.shape != ():
        raise ValueError(f"{what} has shape {value.shape}; expected a number.")
    return float(value)
