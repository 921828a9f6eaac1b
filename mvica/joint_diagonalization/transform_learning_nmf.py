"""Non-negative factorisation of learned spectrograms: starts, alternation, functions."""

import warnings
from dataclasses import dataclass, replace
from numbers import Integral, Real

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_array, check_random_state

from mvica._validation import Interval, StrOptions, validate_params
from mvica.joint_diagonalization.spectrogram import (
    Criterion,
    TransformObjective,
    fixed_part,
    precisions_of,
    update_factors,
)
from mvica.joint_diagonalization.transform_start import (
    INITS,
    Unknowns,
    check_non_negative,
    first_transform,
    first_unknowns,
)
from mvica.optim.orthogonal import Descent, minimize_over_rotations, nearest_orthogonal
from mvica.optim.result import Result

_TINY = 1e-12  # share of the mean square that known variances have at least
_REPAIR = 50  # iterations between two removals of the rounding errors of the transform

_COUNT = Interval(Integral, 1, None, closed="left")
_NOT_NEGATIVE = Interval(Real, 0, None, closed="left")
CONSTRAINTS = {
    "objective": [StrOptions({"likelihood", "itakura-saito"})],
    "init": [StrOptions(set(INITS)), "array-like", tuple],
    "max_iter": [_COUNT],
    "tol": [_NOT_NEGATIVE],
    "random_state": ["random_state"],
}
FACTOR_CONSTRAINTS = {
    **CONSTRAINTS,
    "n_components": [_COUNT, None],
    "alpha": [_NOT_NEGATIVE],
    "floor": [Interval(Real, 1e-15, None, closed="left")],
    "n_init": [_COUNT],
    "n_inner": [_COUNT],
}


@dataclass(frozen=True)
class TransformFactorization(Result):
    """Outcome of `tl_nmf` on N frames of M samples.

    Attributes
    ----------
    x : ndarray of shape (M, M)
        The orthogonal transform, one atom a row, by decreasing power; the largest entry of each
        is positive.
    objective : float
        Objective at the end.
    gradient_norm : float
        Largest entry of the gradient along rotations, a frame.
    n_iter : int
        Iterations done.
    converged : bool
        Whether the objective had settled.
    history : ndarray of shape (n_iter + 1,)
        Objective at the start and after each iteration.
    message : str
        Why the iterations stopped, in words.
    dictionary : ndarray of shape (K, M)
        Power spectra of the components over the atoms, of sum 1, by decreasing power.
    activations : ndarray of shape (N, K)
        Power of each component in each frame.
    """

    dictionary: np.ndarray
    activations: np.ndarray


@validate_params(
    {**FACTOR_CONSTRAINTS, "callback": [callable, None]}, prefer_skip_nested_validation=True
)
def tl_nmf(
    X,
    n_components=None,
    *,
    objective="likelihood",
    alpha=0.0,
    floor=1e-4,
    init="random",
    n_init=1,
    n_inner=3,
    max_iter=300,
    tol=1e-4,
    random_state=None,
    callback=None,
):
    """Factorise the spectrogram of frames, and learn the orthogonal transform that gives it.

    Parameters
    ----------
    X : array-like of shape (n_frames, n_window)
        Frames of a signal, see `frame_signal`.
    n_components : int, default=None
        Number of components, fewer than frames and samples of a frame. None takes 10, or a quarter
        of `n_window` if that is less.
    objective : {"likelihood", "itakura-saito"}, default="likelihood"
        What is minimised, see the Notes of `TransformLearningNMF`.
    alpha : float, default=0.0
        Weight of the sum of the activations, in units of the mean square of the data.
    floor : float, default=1e-4
        Power added to squares and variances, in the same units, see `TransformLearningNMF`.
    init : {"random", "dct", "jd"}, array-like or tuple, default="random"
        Start, see `TransformLearningNMF`.
    n_init : int, default=1
        Number of starts; the factorisation with the lowest objective is kept.
    n_inner : int, default=3
        Steps of the transform in an iteration.
    max_iter : int, default=300
        Most iterations.
    tol : float, default=1e-4
        Largest decrease of the objective, a coefficient, in the last iteration.
    random_state : int, RandomState instance or None, default=None
        Seed of the starts.
    callback : callable, default=None
        ``callback(n_iter, value, gradient_norm)`` after each iteration; the gradient is the one
        before the last step.

    Returns
    -------
    result : TransformFactorization
        A frozen record: `x` is the transform of shape (n_window, n_window), `dictionary`
        (n_components, n_window), `activations` (n_frames, n_components), `objective`, `history`,
        `gradient_norm`, `n_iter`, `converged` and `message`.

    Raises
    ------
    ValueError
        If the data are not finite, are all zero, or do not fit `n_components` or `init`; if a
        parameter has no meaning.

    Warns
    -----
    ConvergenceWarning
        If the stopping rule was not met.

    See Also
    --------
    TransformLearningNMF : The estimator.
    learn_transform : The transform alone, for known variances.

    Examples
    --------
    >>> from mvica.joint_diagonalization import make_frames, tl_nmf
    >>> from mvica.joint_diagonalization.transform_scenarios import recovery
    >>> truth = make_frames(2000, 8, 2, random_state=0)
    >>> result = tl_nmf(truth.frames, 2, n_init=5, random_state=1)
    >>> bool(recovery(result.x, truth.transform) > 0.97)
    True
    """
    X = check_array(X, dtype=np.float64, input_name="X", ensure_min_samples=2)
    result = solve(
        X,
        n_components,
        Criterion(objective == "itakura-saito", floor, alpha),
        init=init,
        n_init=n_init,
        n_inner=n_inner,
        max_iter=max_iter,
        tol=tol,
        random_state=random_state,
        callback=callback,
    )
    warn_unless_converged(result, "tl_nmf", max_iter, tol, stacklevel=3)
    return result


@validate_params(CONSTRAINTS, prefer_skip_nested_validation=True)
def learn_transform(
    X,
    variances,
    *,
    objective="likelihood",
    init="random",
    max_iter=300,
    tol=1e-4,
    random_state=None,
):
    """Learn the orthogonal transform of frames whose coefficients have known variances.

    Parameters
    ----------
    X : array-like of shape (n_frames, n_window)
        Frames of a signal.
    variances : array-like of shape (n_frames, n_window)
        Variance of each coefficient, such as ``activations @ dictionary``; not negative, in the
        units of ``X**2``.
    objective : {"likelihood", "itakura-saito"}, default="likelihood"
        What is minimised, see the Notes of `TransformLearningNMF`.
    init : {"random", "dct", "jd"} or array-like of shape (n_window, n_window), default="random"
        First transform, see `TransformLearningNMF`.
    max_iter : int, default=300
        Most quasi-Newton steps.
    tol : float, default=1e-4
        Largest angle of the last step in the plane of two atoms, in radians.
    random_state : int, RandomState instance or None, default=None
        Seed of the start.

    Returns
    -------
    result : Result
        `x` is the transform, of shape (n_window, n_window), one atom a row, in the order of the
        columns of `variances`; `gradient_norm` is that of `TransformFactorization`.

    Raises
    ------
    ValueError
        If the variances have another shape than the frames, are negative or all zero.

    Warns
    -----
    ConvergenceWarning
        If the stopping rule was not met.

    Examples
    --------
    >>> from mvica.joint_diagonalization import learn_transform, make_frames
    >>> from mvica.joint_diagonalization.transform_scenarios import recovery
    >>> truth = make_frames(2000, 8, 4, random_state=0)
    >>> variances = truth.activations @ truth.dictionary
    >>> result = learn_transform(truth.frames, variances, random_state=1)
    >>> bool(recovery(result.x, truth.transform) > 0.97)
    True
    """
    criterion = Criterion(objective == "itakura-saito", _TINY)
    X = check_array(X, dtype=np.float64, input_name="X", ensure_min_samples=2)
    variances = check_non_negative(variances, X.shape, "variances")
    scale = scale_of(X)
    Y, V = X / scale, variances / scale**2 + _TINY
    Phi = first_transform(Y, init, check_random_state(random_state))
    evaluate = TransformObjective(Y, 1.0 / V, criterion)
    _, result = minimize_over_rotations(evaluate, Phi, tol=tol, max_iter=max_iter)
    constant = np.log(V).sum() + (-V.size if criterion.divergence else _log_units(V.size, scale))
    if not result.converged:
        warnings.warn(
            f"learn_transform did not converge in {result.n_iter} iterations ({result.message}): "
            f"gradient {result.gradient_norm / len(Y):.2g} a frame. Raise max_iter or tol.",
            ConvergenceWarning,
            stacklevel=2,
        )
    return replace(
        result,
        x=nearest_orthogonal(result.x),
        objective=result.objective + constant,
        history=result.history + constant,
        gradient_norm=result.gradient_norm / len(Y),
    )


def solve(X, n_components, criterion, *, init, n_init, random_state, callback=None, **options):
    """Factorise validated frames X (N, M) from each start; return the best outcome.

    `options` are ``n_inner``, ``max_iter`` and ``tol``.
    """
    scale = scale_of(X)
    Y = np.ascontiguousarray(X / scale)
    K = resolve_n_components(n_components, *Y.shape)
    rng = check_random_state(random_state)
    best = None
    for _ in range(n_init):
        start = first_unknowns(Y, K, init, scale, rng)
        found = _alternate(Y, start, criterion, callback=callback, **options)
        if best is None or found[1].objective < best[1].objective:
            best = found
        if found[1].message == "interrupted":
            break
    return _finish(Y, *best, scale, criterion)


def scale_of(X):
    """Root mean square of the data."""
    largest = np.abs(X).max()
    if largest == 0:
        raise ValueError("Every entry of X is zero: there is no transform to learn.")
    return largest * np.sqrt(np.mean((X / largest) ** 2))


def resolve_n_components(n_components, n_frames, n_window):
    """Return the number of components, or say why it is too large."""
    limit = max(min(n_frames, n_window) - 1, 1)
    if n_components is None:
        return min(10, max(n_window // 4, 1), limit)
    if n_components > limit:
        raise ValueError(
            f"n_components={n_components} is more than {limit} for X of shape "
            f"{(n_frames, n_window)}: as many components as rows or columns fit the spectrogram of "
            "any transform exactly, so that none is learnt."
        )
    return n_components


def warn_unless_converged(result, name, max_iter, tol, stacklevel):
    """Warn that the stopping rule was not met, with what was reached and what to change."""
    if not result.converged:
        change = -np.diff(result.history)[-1:].sum() / result.x.shape[0] / len(result.activations)
        warnings.warn(
            f"{name} did not converge in {result.n_iter} iterations ({result.message}): the "
            f"objective fell by {change:.1e} a coefficient in the last one, tol={tol:g}, with "
            f"gradient {result.gradient_norm:.2g} a frame. Raise max_iter (now {max_iter}) or tol.",
            ConvergenceWarning,
            stacklevel=stacklevel,
        )


# ---- the alternation -------------------------------------------------------------------------


def _alternate(Y, start, criterion, *, n_inner, max_iter, tol, callback):
    """Take turns between the factors and the transform; the objective never increases."""
    state, descent, message = start, Descent(memory=0), None
    value = _evaluate(Y, state, criterion).value
    history = [value + fixed_part(state.H, state.D, criterion)]
    try:
        while message is None:
            H, D = update_factors(Y, state.Phi, state.H, state.D, criterion)
            evaluate = TransformObjective(Y, precisions_of(H, D, criterion.floor), criterion)
            Phi, value, slope = _turn(evaluate, state.Phi, descent, n_inner)
            if len(history) % _REPAIR == 0:
                Phi = nearest_orthogonal(Phi)
            state = Unknowns(Phi, H, D)
            history.append(value + fixed_part(H, D, criterion))
            change = (history[-2] - history[-1]) / Y.size
            if callback is not None:
                callback(len(history) - 1, history[-1], slope / len(Y))
            if change <= tol:
                message = "converged"
            elif len(history) > max_iter:
                message = "max_iter reached"
    except KeyboardInterrupt:
        message = "interrupted"
    norm = np.abs(_evaluate(Y, state, criterion).gradient).max() / len(Y)
    found, converged = np.array(history), message == "converged"
    return state, Result(
        state.Phi, found[-1], float(norm), len(found) - 1, converged, found, message
    )


def _turn(evaluate, Phi, descent, n_steps):
    """Lower the objective by some quasi-Newton steps of the transform; the variances stay.

    Returns the transform, the objective there, and the largest slope before the last step.
    """
    point, slope = evaluate(Phi), 0.0
    for _ in range(n_steps):
        step = descent.step(evaluate, Phi, point)
        slope = np.abs(point.gradient).max()
        if step is None:
            break
        Phi, point = step.Q, step.point
    return Phi, point.value, slope


def _evaluate(Y, state, criterion):
    precisions = precisions_of(state.H, state.D, criterion.floor)
    return TransformObjective(Y, precisions, criterion)(state.Phi)


def _log_units(n_coefficients, scale):
    """Return what the likelihood of data has more than that of data of unit mean square."""
    return 2.0 * n_coefficients * np.log(scale)


# ---- the answer ------------------------------------------------------------------------------


def _finish(Y, state, result, scale, criterion):
    """Back to the units of the data, with the stated order and signs."""
    Phi = nearest_orthogonal(state.Phi)
    atoms = np.argsort(-np.einsum("am,am->a", Phi @ (Y.T @ Y), Phi), kind="stable")
    Phi = Phi[atoms]
    Phi *= np.sign(Phi[np.arange(len(Phi)), np.abs(Phi).argmax(axis=1)])[:, None]
    components = np.argsort(-state.H.sum(axis=0), kind="stable")
    constant = 0.0 if criterion.divergence else _log_units(Y.size, scale)
    return TransformFactorization(
        x=Phi,
        objective=float(result.objective + constant),
        gradient_norm=result.gradient_norm,
        n_iter=result.n_iter,
        converged=result.converged,
        history=result.history + constant,
        message=result.message,
        dictionary=np.ascontiguousarray(state.D[np.ix_(components, atoms)]),
        activations=np.ascontiguousarray(state.H[:, components] * scale**2),
    )
