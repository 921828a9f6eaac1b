"""Quasi-Newton minimisation over orthogonal matrices, for any objective.

Every iterate is turned from the one before: ``Q <- R(E) Q``, with E antisymmetric and R(E) the
rotation that it generates. An objective says what it is worth at an orthogonal matrix, how it
changes along rotations, and how it curves in each coordinate plane; see `Point`.
"""

from typing import NamedTuple, Protocol

import numpy as np
from scipy.linalg import expm

from mvica.optim.lbfgs import Pairs
from mvica.optim.result import Result

MAX_TRIALS = 20
_ENOUGH = 1e-4  # share of the predicted decrease that a step must reach


class Point(Protocol):
    """The objective at one orthogonal matrix. The derivatives are read at accepted points only."""

    value: float
    gradient: np.ndarray  # (p, p), antisymmetric G: along E the derivative is <G, E> / 2
    curvature: np.ndarray  # (p, p), symmetric, positive: second derivative in the plane (a, b)


class Step(NamedTuple):
    """A step that was taken."""

    Q: np.ndarray  # (p, p)
    point: Point
    length: float


def cayley(E, Q):
    """Turn Q by the Cayley transform ``(I - E/2)^-1 (I + E/2)`` of an antisymmetric matrix.

    Parameters
    ----------
    E : ndarray of shape (p, p)
        Antisymmetric. Equal to `exponential` up to third order in E, and cheaper.
    Q : ndarray of shape (p, r)
        What is turned.

    Returns
    -------
    ndarray of shape (p, r)

    Examples
    --------
    >>> import numpy as np
    >>> from mvica.optim.orthogonal import cayley
    >>> Q = cayley(np.array([[0.0, 2.0], [-2.0, 0.0]]), np.eye(2))
    >>> Q.round(12) + 0.0
    array([[ 0.,  1.],
           [-1.,  0.]])
    """
    return 2.0 * np.linalg.solve(np.eye(len(E)) - 0.5 * E, Q) - Q


def exponential(E, Q):
    """Turn Q by the exponential of an antisymmetric matrix: along a geodesic.

    Parameters
    ----------
    E : ndarray of shape (p, p)
        Antisymmetric.
    Q : ndarray of shape (p, r)
        What is turned.

    Returns
    -------
    ndarray of shape (p, r)

    Examples
    --------
    >>> import numpy as np
    >>> from mvica.optim.orthogonal import exponential
    >>> Q = exponential(np.array([[0.0, np.pi], [-np.pi, 0.0]]), np.eye(2))
    >>> np.allclose(Q, -np.eye(2))
    True
    """
    return expm(E) @ Q


def random_orthogonal(p, rng):
    """Draw an orthogonal matrix (p, p) uniformly (Haar), from a NumPy random generator."""
    Q, R = np.linalg.qr(rng.standard_normal((p, p)))
    return Q * np.where(np.diag(R) < 0, -1.0, 1.0)


def nearest_orthogonal(Q):
    """Return the orthogonal matrix nearest to Q (p, p): its polar factor."""
    U, _, V = np.linalg.svd(Q)
    return U @ V


def positive_curvature(curvature, unit):
    """Raise curvatures that are negative or nearly zero to a thousandth of a unit, for `Point`."""
    return np.maximum(curvature, max(1e-3 * unit, np.finfo(float).tiny))


def take_step(evaluate, Q, point, direction, *, first=1.0, retraction=cayley, rounding=1e-14):
    """Turn Q along a direction, as far as the objective falls enough.

    Parameters
    ----------
    evaluate : callable
        ``evaluate(Q)`` is the `Point` at an orthogonal matrix.
    Q : ndarray of shape (p, p)
        Where to start; orthogonal.
    point : Point
        The objective there.
    direction : ndarray of shape (p, p)
        Antisymmetric step along which the objective falls.
    first : float, default=1.0
        Length tried first; each later one is at the minimum of a parabola.
    retraction : callable, default=cayley
        ``retraction(E, Q)`` turns Q; `cayley` or `exponential`.
    rounding : float, default=1e-14
        Relative rounding error of the objective: smaller increases are accepted where the
        predicted decrease is smaller still.

    Returns
    -------
    Step or None
        None if none of 20 lengths does it.
    """
    slope = 0.5 * np.vdot(point.gradient, direction)
    noise = rounding * abs(point.value)
    hidden = abs(slope) < noise  # rounding hides the decrease: the gradient alone can judge
    t = first
    for _ in range(MAX_TRIALS):
        moved = retraction(t * direction, Q)
        trial = evaluate(moved)
        if trial.value <= point.value + (noise if hidden else _ENOUGH * t * slope):
            return Step(moved, trial, t)
        t *= _shrinkage(trial.value - point.value, t * slope)
    return None


def _shrinkage(change, predicted):
    """Where a parabola through the slope and the failed trial has its minimum, 0.1 to 0.5."""
    if not np.isfinite(change):
        return 0.1
    return min(max(-0.5 * predicted / (change - predicted), 0.1), 0.5)


class Descent:
    """Quasi-Newton steps that learn from those before: curvatures, and the length accepted last.

    Parameters
    ----------
    memory : int, default=7
        Steps kept by the L-BFGS correction of the curvatures; 0 turns it off.
    retraction : callable, default=cayley
        ``retraction(E, Q)`` turns Q by an antisymmetric step; `cayley` or `exponential`.
    rounding : float, default=1e-14
        Relative rounding error of the objective.
    """

    def __init__(self, *, memory=7, retraction=cayley, rounding=1e-14):
        self.pairs = Pairs(memory) if memory else None
        self.options = {"retraction": retraction, "rounding": rounding}
        self.first = 1.0

    def step(self, evaluate, Q, point):
        """Return the `Step` that lowers the objective from a point, or None if none does.

        The objective may change between two steps, as it does where other unknowns take turns.
        """
        if self.pairs and self.pairs.steps:
            # Antisymmetric matrices: <., .> counts every plane twice, in all products alike.
            direction = self.pairs.direction(point.gradient, lambda v: v / point.curvature)
            descends = np.vdot(direction, point.gradient) < 0
            step = self._search(evaluate, Q, point, direction) if descends else None
            if step is not None:
                return step
            self.pairs.clear()
        return self._search(evaluate, Q, point, quasi_newton_direction(point))

    def _search(self, evaluate, Q, point, direction):
        step = take_step(evaluate, Q, point, direction, first=self.first, **self.options)
        if step is None:
            self.first = 1.0
            return None
        at_once = step.length == self.first
        self.first = min(1.0, 2.0 * step.length) if at_once else step.length
        if self.pairs:
            change = step.point.gradient - point.gradient
            self.pairs.append(step.length * direction.ravel(), change.ravel())
        return step


def minimize_over_rotations(
    evaluate,
    Q,
    *,
    tol=1e-6,
    max_iter=100,
    memory=7,
    retraction=cayley,
    rounding=1e-14,
    callback=None,
):
    """Minimise an objective over orthogonal matrices, from a first one.

    Parameters
    ----------
    evaluate : callable
        ``evaluate(Q)`` is the `Point` at an orthogonal matrix Q of shape (p, p): its `value`, its
        antisymmetric `gradient` G (the derivative along ``R(tE) Q`` at t = 0 is ``<G, E> / 2``) and
        the positive `curvature` of every coordinate plane, for which any approximation does
        (`positive_curvature` makes one safe). The derivatives may be computed when they are first
        read.
    Q : ndarray of shape (p, p)
        First iterate, orthogonal.
    tol : float, default=1e-6
        Largest angle, in radians, by which the quasi-Newton step turns a coordinate plane at
        convergence. Does not depend on the scale of the objective.
    max_iter : int, default=100
        Most iterations.
    memory : int, default=7
        Steps kept by the L-BFGS correction of the curvatures; 0 turns it off.
    retraction : callable, default=cayley
        ``retraction(E, Q)`` turns Q by an antisymmetric step; `cayley` or `exponential`.
    rounding : float, default=1e-14
        Relative rounding error of the objective.
    callback : callable, default=None
        ``callback(n_iter, value, gradient_norm)`` after each iteration.

    Returns
    -------
    point : Point
        The last, best point. After an interrupt (Ctrl-C) as well.
    result : Result
        Its record, with `x` the orthogonal matrix.

    Raises
    ------
    ValueError
        If `Q` is not an orthogonal matrix.

    References
    ----------
    P. Ablin, D. Fagot, H. Wendt, A. Gramfort, C. Fevotte, "A quasi-Newton algorithm on the
    orthogonal manifold for NMF with transform learning", ICASSP 2019.

    Examples
    --------
    The orthogonal matrix nearest to A maximises ``tr(A^T Q)``:

    >>> import numpy as np
    >>> from mvica.optim.orthogonal import minimize_over_rotations, nearest_orthogonal
    >>> A = np.array([[3.0, 1.0], [0.5, 2.0]])
    >>> class Trace:
    ...     def __init__(self, Q):
    ...         T = -A @ Q.T
    ...         self.value = np.trace(T)
    ...         self.gradient = T - T.T
    ...         self.curvature = -np.add.outer(np.diag(T), np.diag(T))
    >>> point, result = minimize_over_rotations(Trace, np.eye(2))
    >>> result.converged, np.allclose(result.x, nearest_orthogonal(A))
    (True, True)
    """
    check_orthogonal(Q)
    descent = Descent(memory=memory, retraction=retraction, rounding=rounding)
    point = evaluate(Q)
    history, message = [point.value], None
    try:
        while message is None:
            if np.abs(quasi_newton_direction(point)).max() < tol:
                message = "converged"
            elif len(history) > max_iter:
                message = "max_iter reached"
            else:
                step = descent.step(evaluate, Q, point)
                if step is None:
                    message = "the line search failed"
                    break
                Q, point = step.Q, step.point
                history.append(point.value)
                if callback is not None:
                    callback(len(history) - 1, point.value, np.abs(point.gradient).max())
    except KeyboardInterrupt:
        message = "interrupted"
    norm = float(np.abs(point.gradient).max())
    found, converged = np.array(history, dtype=np.float64), message == "converged"
    return point, Result(Q, float(point.value), norm, len(found) - 1, converged, found, message)


def quasi_newton_direction(point):
    """Return the antisymmetric step (p, p) of Newton's method for independent planes."""
    return -point.gradient / point.curvature


def check_orthogonal(Q, name="Q"):
    """Raise ValueError unless Q is a square matrix with orthonormal rows."""
    if np.ndim(Q) != 2 or np.shape(Q)[0] != np.shape(Q)[1]:
        raise ValueError(f"{name} must be a square matrix, found shape {np.shape(Q)}.")
    error = np.abs(Q @ Q.T - np.eye(len(Q))).max()
    if not error < 1e-8:
        raise ValueError(
            f"{name} is not orthogonal: {name} @ {name}.T differs from the identity by {error:.1e}."
            " nearest_orthogonal of mvica.optim.orthogonal gives the closest orthogonal matrix."
        )
