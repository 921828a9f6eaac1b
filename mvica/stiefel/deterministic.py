"""Landing for an objective of the user's own, with steps that need no tuning."""

import warnings
from dataclasses import dataclass
from functools import partial

import numpy as np
from scipy.linalg import LinAlgError, cholesky, solve_triangular
from scipy.sparse.linalg import LinearOperator
from sklearn.exceptions import ConvergenceWarning

from mvica.stiefel.fields import congruence_field, gram_defect, residual_field
from mvica.stiefel.operators import inverse_of, symmetric_operator
from mvica.stiefel.safe_step import barzilai_borwein, defect_curve, safe_step
from mvica.testing import check_gradient as compare_gradient

FIRST = 0.3  # length of the first step in the metric of B, where the constraint is one
LONGEST = 0.5  # of the later ones
RADIUS = 0.5  # defect within which the iterates stay
RENEWAL = 50  # iterations between products B U of its own, against drift
MAX_HALVINGS = 30  # of a step to a point where the objective is not finite


@dataclass(frozen=True)
class LandingSolution:
    """Outcome of `landing`.

    Attributes
    ----------
    x : ndarray of shape (d, p)
        The point, ``x^T B x = I`` to rounding.
    objective : float
        Objective at `x`.
    gradient_norm : float
        Norm of the tangent part of the field at the last iterate, relative to that of the gradient.
    violation : float
        ``|U^T B U - I|_F`` of the last iterate, before it was normalised to `x`.
    n_iter : int
        Iterations done.
    converged : bool
        Whether both are below the tolerance.
    history : ndarray of shape (n_iter + 1, 3)
        Objective, `gradient_norm` and `violation` at the start and after each iteration.
    message : str
        Why the solver stopped, in words.
    """

    x: np.ndarray
    objective: float
    gradient_norm: float
    violation: float
    n_iter: int
    converged: bool
    history: np.ndarray
    message: str


def landing(
    fun_grad,
    B,
    U0,
    *,
    preconditioner=None,
    field="congruence",
    tol=1e-6,
    max_iter=1000,
    check_gradient=False,
    callback=None,
):
    """Minimise an objective of U under ``U^T B U = I``, without retractions.

    The iterates follow a landing field: they lower the objective along the constraint and drift
    back to it, always within a safe distance. An iteration costs one gradient, one product with B
    and two with the preconditioner. Steps are Barzilai-Borwein steps in the metric of the
    preconditioner, bounded by the exact polynomial that the constraint follows along a step.

    Parameters
    ----------
    fun_grad : callable
        ``fun_grad(U)`` gives the objective, a float, and its gradient, (d, p).
    B : array, sparse array, LinearOperator, callable or None
        Symmetric positive definite (d, d) matrix; a data matrix X of shape (n_samples, d), not
        square, for ``X^T X / n_samples``; a function that returns an iterator over batches of its
        rows; None for the identity: the Stiefel manifold, or the orthogonal group where p = d.
    U0 : ndarray of shape (d, p)
        Start, of full column rank. It is normalised to fulfil the constraint.
    preconditioner : callable, array, LinearOperator or None, default=None
        Symmetric positive definite P, close to the inverse of B. None factors a dense or sparse B,
        and a sample of the rows of data; a LinearOperator gets the identity, which is slow where B
        is ill-conditioned.
    field : {"congruence", "residual"}, default="congruence"
        "congruence" is orthogonal to the constraint's gradient and a descent direction for every P;
        "residual" is the field of the stochastic solvers, for P near the inverse of B.
    tol : float, default=1e-6
        Bound on the tangent part of the field, relative to the gradient, and on the violation of
        the constraint.
    max_iter : int, default=1000
        Most iterations.
    check_gradient : bool, default=False
        Compare the gradient with finite differences at the start first.
    callback : callable or None
        ``callback(n_iter, objective, gradient_norm)``.

    Returns
    -------
    solution : LandingSolution

    Raises
    ------
    ValueError
        If B is not symmetric positive definite, U0 does not fit or has not full column rank, or
        the gradient is wrong.

    Warns
    -----
    ConvergenceWarning
        If `max_iter` is reached first.

    References
    ----------
    Vary, Ablin, Gao, Absil (2024), Optimization without retraction on the random generalized
    Stiefel manifold, ICML.

    Ablin, Vary, Gao, Absil (2024), Infeasible deterministic, stochastic, and variance-reduction
    algorithms for optimization under orthogonality constraints, JMLR.

    Examples
    --------
    The orthogonal matrix nearest to a given one:

    >>> import numpy as np
    >>> from mvica.stiefel import landing
    >>> T = np.array([[2.0, 1.0], [-0.5, 1.0]])
    >>> def distance(U):
    ...     return 0.5 * np.sum((U - T) ** 2), U - T
    >>> solution = landing(distance, None, np.eye(2), tol=1e-8)
    >>> left, _, right = np.linalg.svd(T)
    >>> bool(np.allclose(solution.x, left @ right, atol=1e-6))
    True
    """
    U0 = _checked_start(U0)
    B = symmetric_operator(B, "B", size=len(U0))
    apply_P = inverse_of(B) if preconditioner is None else as_product(preconditioner, len(U0))
    U = normalized(U0, B.apply(U0))
    if check_gradient:
        _check_gradient(fun_grad, U)
    if field not in {"congruence", "residual"}:
        raise ValueError(f"field must be 'congruence' or 'residual', got {field!r}.")
    evaluate = partial(_evaluate, fun_grad)
    run = _descend(evaluate, B.apply, apply_P, U, field, tol, max_iter, callback)
    solution = _finish(evaluate, B.apply, *run, tol)
    if not solution.converged:
        warnings.warn(
            f"landing did not converge ({solution.message}): relative gradient "
            f"{solution.gradient_norm:.2g}, violation {solution.violation:.2g}, tol={tol:g}. Raise "
            f"max_iter (now {max_iter}) or tol, or give a preconditioner closer to the inverse of "
            "B.",
            ConvergenceWarning,
            stacklevel=2,
        )
    return solution


def _descend(evaluate, apply_B, apply_P, U, kind, tol, max_iter, callback):
    """Iterate; return the last point, the records of all iterations and a message."""
    history, last = [], None
    M = apply_B(U)
    value, G = evaluate(U)
    if not (np.isfinite(value) and np.isfinite(G).all()):
        raise ValueError("fun_grad is not finite at the start, the normalised U0.")
    for n_iter in range(max_iter + 1):
        C, D = gram_defect(U, M)
        field = (
            congruence_field(G, M, D, apply_P)
            if kind == "congruence"
            else residual_field(G, M, U, C, apply_P)
        )
        size = field.tangent_norm / field.gradient_norm if field.gradient_norm > 0 else 0.0
        history.append((value, size, float(np.linalg.norm(D))))
        if callback is not None:
            callback(n_iter, value, size)
        if size < tol and history[-1][2] < tol:
            return U, history, "converged"
        if n_iter == max_iter:
            return U, history, f"max_iter={max_iter} reached"
        omega = field.balanced_omega
        F, L = field.direction(omega), field.dual(omega)
        BF = apply_B(F)
        eta = _step_length(defect_curve(D, M, F, BF), F, L, omega, last, long=n_iter % 2 == 1)
        eta, value, G = _move(evaluate, U, F, eta)
        if eta == 0.0:
            return U, history, "no step keeps the objective finite and the constraint in reach"
        U, M = U - eta * F, M - eta * BF
        if n_iter % RENEWAL == RENEWAL - 1:
            M = apply_B(U)
        last = (eta, F, L, field)


def _step_length(curve, F, L, omega, last, *, long):
    """Barzilai-Borwein step, within the trust in the metric of B and the safe radius."""
    if curve.length == 0:
        return 0.0
    eta = np.nan
    if last is not None:
        # Both fields with the weight of now: a change of omega is no curvature.
        step, old_F, old_L, old = last
        change_F, change_L = F - old.direction(omega), L - old.dual(omega)
        eta = barzilai_borwein(step, old_F, old_L, change_F, change_L, long=long)
    if not np.isfinite(eta):
        eta = FIRST / curve.length
    return safe_step(curve, min(eta, LONGEST / curve.length), RADIUS)


def _move(evaluate, U, F, eta):
    """Step, value and gradient at the new point, the step halved until they are finite."""
    for _ in range(MAX_HALVINGS):
        value, G = evaluate(U - eta * F)
        if np.isfinite(value) and np.isfinite(G).all():
            return eta, value, G
        eta *= 0.5
    return 0.0, value, G


def _finish(evaluate, apply_B, U, history, message, tol):
    x = normalized(U, apply_B(U))
    value, _ = evaluate(x)
    _, size, violation = history[-1]
    return LandingSolution(
        x=x,
        objective=value,
        gradient_norm=size,
        violation=violation,
        n_iter=len(history) - 1,
        converged=size < tol and violation < tol,
        history=np.array(history),
        message=message,
    )


def normalized(U, BU):
    """Turn U into a basis of its span with ``U^T B U = I``, by a Cholesky factor.

    Parameters
    ----------
    U, BU : ndarray of shape (d, p)

    Returns
    -------
    U : ndarray of shape (d, p)

    Raises
    ------
    ValueError
        If the Gram matrix is not positive definite.
    """
    gram = U.T @ BU
    try:
        lower = cholesky(0.5 * (gram + gram.T), lower=True)
    except LinAlgError as error:
        smallest = np.linalg.eigvalsh(0.5 * (gram + gram.T))[0]
        raise ValueError(
            f"U^T B U is not positive definite, its smallest eigenvalue is {smallest:.3g}: the "
            "start has dependent columns, or B is singular or indefinite."
        ) from error
    return solve_triangular(lower, U.T, lower=True).T


def as_product(matrix, size):
    """Turn a preconditioner given as array, LinearOperator or function into a function.

    Parameters
    ----------
    matrix : callable, array or LinearOperator
    size : int
        Its order.

    Returns
    -------
    apply_P : callable
        (d, k) -> (d, k).
    """
    if callable(matrix) and not isinstance(matrix, LinearOperator):
        return matrix
    return symmetric_operator(matrix, "preconditioner", size=size).apply


def _checked_start(U0):
    U0 = np.array(U0, dtype=np.float64)
    if U0.ndim != 2 or not 1 <= U0.shape[1] <= U0.shape[0]:
        raise ValueError(f"U0 has shape {U0.shape}, expected (d, p) with 1 <= p <= d.")
    if not np.isfinite(U0).all():
        raise ValueError("U0 contains NaN or infinity.")
    return U0


def _evaluate(fun_grad, U):
    value, G = fun_grad(U)
    G = np.asarray(G, dtype=np.float64)
    if G.shape != U.shape:
        raise ValueError(f"The gradient has shape {G.shape}, expected {U.shape}, as U.")
    return float(value), G


def _check_gradient(fun_grad, U):
    try:
        compare_gradient(fun_grad, U, tol=1e-5)
    except AssertionError as error:
        raise ValueError(f"fun_grad gives a gradient that is not one: {error}") from error
