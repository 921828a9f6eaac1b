"""`joint_diagonalize`, the function: methods, options, normalisation of the answer."""

import warnings
from contextlib import nullcontext
from dataclasses import replace
from functools import cache

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import ThreadpoolController

from mvica.joint_diagonalization.criteria import (
    profile_angles,
    profile_distances,
    separability,
)
from mvica.joint_diagonalization.preparation import (
    check_matrices,
    check_weights,
    prepare_invertible,
    prepare_rotation,
)
from mvica.joint_diagonalization.record import Diagonalization
from mvica.parallel import map_views

METHODS = ("quasi_newton", "pham", "uwedge", "ffdiag", "rotation", "frobenius", "jacobi")
_LIKELIHOOD = ("quasi_newton", "pham", "rotation")
_SMALL = 2**18  # multiply-adds of a product for which BLAS starts no threads
_ROTATIONS = ("rotation", "frobenius", "jacobi")


def joint_diagonalize(
    C,
    method="quasi_newton",
    *,
    weights=None,
    init="rotation",
    n_components=None,
    tol=1e-6,
    max_iter=1000,
    memory=10,
):
    """Diagonalise matrices jointly by an invertible matrix, or by an orthogonal one.

    Finds B such that every ``B C_k B^T`` is as diagonal as possible. The method decides the group
    over which B moves and the scale of its rows:

    =================  ==========  =============================  ================================
    method             group       criterion                      scale of the rows of B
    =================  ==========  =============================  ================================
    ``quasi_newton``   invertible  likelihood                     unit weighted mean of `powers`
    ``pham``           invertible  likelihood                     unit weighted mean of `powers`
    ``uwedge``         invertible  least squares                  unit weighted mean square of them
    ``ffdiag``         invertible  least squares                  unit weighted mean square of them
    ``rotation``       orthogonal  likelihood                     orthonormal rows
    ``frobenius``      orthogonal  squares of the off-diagonals   orthonormal rows
    ``jacobi``         orthogonal  squares of the off-diagonals   orthonormal rows
    =================  ==========  =============================  ================================

    The likelihood methods need positive definite matrices, the others take any symmetric ones.

    Parameters
    ----------
    C : array-like of shape (n_matrices, p, p)
        Symmetric matrices.
    method : str, default="quasi_newton"
        See the table. "quasi_newton" reaches the same minimum as "pham", faster; "frobenius"
        reaches the same minimum as "jacobi", and is faster for many or large matrices.
    weights : array-like of shape (n_matrices,), default=None
        Positive weights of the matrices, of any sum. For covariances the right ones are the numbers
        of samples (or of Fourier modes) behind each. None weighs all matrices alike.
    init : {"rotation", "white"} or array-like of shape (r, p), default="rotation"
        First iterate. "white" is the whitening of the average matrix (the identity for methods
        over rotations). "rotation" adds the rotation that diagonalises one fixed combination of the
        matrices: it solves exactly diagonalisable sets, even of nearly equal matrices, at once.
        An array is a warm start, taken as it is up to the scale of its rows.
    n_components : int, default=None
        Rows r of B; fewer than p restrict the set to its principal axes. None keeps the numerical
        rank of the set, or p for methods over rotations.
    tol : float, default=1e-6
        Tolerance, free of the scale of the data. "quasi_newton", "pham" and "rotation": largest
        entry of the relative gradient, in units of the separability of the sources; "frobenius":
        the same for squares; "jacobi": largest angle of a sweep; "uwedge" and "ffdiag": largest
        entry of the step.
    max_iter : int, default=1000
        Iterations; sweeps over all pairs for "pham" and "jacobi".
    memory : int, default=10
        Pairs kept by the L-BFGS correction of "quasi_newton", "rotation" and "frobenius"; 0 turns
        it off.

    Returns
    -------
    result : Diagonalization
        A frozen record: `x` is B of shape (r, p); `mixing` (p, r), `powers` (n_matrices, r),
        `separability` (r, r), `objective`, `gradient_norm`, `n_iter`, `converged`, `history` and
        `message`. Rows come in decreasing order of the power that they explain in the matrices,
        and the largest entry of each is positive.

    Raises
    ------
    ValueError
        For matrices that are not square, finite, symmetric, or positive definite where the method
        needs it (the message names the matrix); for unusable `weights`, `init` or `n_components`.

    Warns
    -----
    ConvergenceWarning
        If the stopping rule was not met.

    See Also
    --------
    joint_diagonalize_many : Solve many independent sets.
    JointDiagonalization : The estimator.

    Notes
    -----
    The likelihood criterion is ``J(B) = sum_k w_k [log det diag(D_k) - log det D_k] / 2`` with
    ``D_k = B C_k B^T`` and weights that sum to 1. It is 0 if and only if every matrix is diagonal,
    and does not change when a matrix or a row of B is scaled.

    `objective` is J for the likelihood methods, the weighted sum of the squared off-diagonals for
    "frobenius" and "jacobi", and their share of all squares, with the rows scaled as in the table,
    for "uwedge" and "ffdiag"; the last two descend no function, so their `history` holds the sizes
    of the steps.

    B is unique, up to the order and scale of its rows, if and only if no two columns of `powers`
    are proportional: `separability` measures the distance from that.

    References
    ----------
    P. Ablin, J.-F. Cardoso, A. Gramfort, "Beyond Pham's algorithm for joint diagonalization",
    ESANN 2019.

    D.-T. Pham, "Joint approximate diagonalization of positive definite Hermitian matrices", SIAM
    Journal on Matrix Analysis and Applications, 2001.

    J.-F. Cardoso, A. Souloumiac, "Jacobi angles for simultaneous diagonalization", SIAM Journal on
    Matrix Analysis and Applications, 1996.

    P. Tichavsky, A. Yeredor, "Fast approximate joint diagonalization incorporating weight
    matrices", IEEE Transactions on Signal Processing, 2009.

    A. Ziehe, P. Laskov, G. Nolte, K.-R. Mueller, "A fast algorithm for joint diagonalization with
    non-orthogonal transformations and its application to blind source separation", JMLR, 2004.

    Examples
    --------
    >>> import numpy as np
    >>> from mvica.joint_diagonalization import joint_diagonalize, make_matrix_set
    >>> C = make_matrix_set(5, 3, random_state=0).matrices
    >>> result = joint_diagonalize(C)
    >>> result.converged
    True
    >>> D = result.x @ C @ result.x.T
    >>> off_diagonals = D[:, ~np.eye(3, dtype=bool)]
    >>> bool(np.abs(off_diagonals).max() < 1e-6)
    True
    """
    _check_options(method, init, tol, max_iter, memory)
    C = check_matrices(C)
    weights = check_weights(weights, len(C))
    prepare = prepare_rotation if method in _ROTATIONS else prepare_invertible
    # More threads would only wait for each other in many small products. The smallest sets, which
    # BLAS leaves to one thread anyway, are spared the time to say so.
    small = C.size * C.shape[1] <= _SMALL
    with nullcontext() if small else _blas().limit(limits=1, user_api="blas"):
        prepared = prepare(C, weights, n_components, init, positive=method in _LIKELIHOOD)
        options = {"tol": tol, "max_iter": max_iter}
        result, diagonals = _RUNNERS[method](prepared, weights, options, memory)
        finished = _finish(result, diagonals, prepared, weights, method)
    if not result.converged:
        warnings.warn(
            f"joint_diagonalize(method={method!r}) did not converge ({result.message}): after "
            f"{result.n_iter} iterations the stopping criterion is at {result.gradient_norm:.1e}. "
            "Increase max_iter or tol, or try another init.",
            ConvergenceWarning,
            stacklevel=2,
        )
    return finished


def joint_diagonalize_many(sets, method="quasi_newton", *, n_jobs=None, **options):
    """Diagonalise many independent sets of matrices, in parallel threads.

    Bootstrap draws, cross-validation folds, frequency bands: each set gets a diagonaliser of its
    own, over the group of the method (see `joint_diagonalize`).

    Parameters
    ----------
    sets : array-like of shape (n_sets, n_matrices, p, p), or sequence of sets
        Sets may differ in the number and size of their matrices.
    method : str, default="quasi_newton"
        See `joint_diagonalize`.
    n_jobs : int, default=None
        Threads, in joblib's convention; None means 1.
    **options
        Other arguments of `joint_diagonalize`.

    Returns
    -------
    results : list of Diagonalization
        One record a set.

    Examples
    --------
    >>> from mvica.joint_diagonalization import joint_diagonalize_many, make_matrix_set
    >>> sets = [make_matrix_set(4, 3, random_state=seed).matrices for seed in range(5)]
    >>> results = joint_diagonalize_many(sets)
    >>> len(results), all(result.converged for result in results)
    (5, True)
    """
    return map_views(lambda C: joint_diagonalize(C, method, **options), sets, n_jobs)


@cache
def _blas():
    """Handle of the BLAS libraries, which takes milliseconds to find."""
    return ThreadpoolController()


def _check_options(method, init, tol, max_iter, memory):
    if method not in METHODS:
        raise ValueError(f"method={method!r} is unknown; choose one of {', '.join(METHODS)}.")
    if isinstance(init, str) and init not in ("rotation", "white"):
        raise ValueError(f'init={init!r} is unknown; choose "rotation", "white" or an array.')
    if not tol >= 0:
        raise ValueError(f"tol={tol} must be 0 or more.")
    if max_iter < 0 or memory < 0:
        raise ValueError(f"max_iter={max_iter} and memory={memory} must be 0 or more.")


# The solvers are imported when they are called, because they compile or load compiled code.


def _run_quasi_newton(prepared, weights, options, memory):
    from mvica.joint_diagonalization import quasi_newton as qn

    return qn.minimise(
        prepared.matrices, weights, prepared.start, qn.LIKELIHOOD, memory=memory, **options
    )


def _run_rotation(prepared, weights, options, memory):
    from mvica.joint_diagonalization import quasi_newton as qn

    result, diagonals = qn.minimise(
        prepared.matrices, weights, prepared.start, qn.ROTATION, memory=memory, **options
    )
    return _orthonormal(result), diagonals


def _run_pham(prepared, weights, options, memory):
    from mvica.joint_diagonalization.pham import minimise_by_pairs

    return minimise_by_pairs(prepared.matrices, weights, prepared.start, **options)


def _run_uwedge(prepared, weights, options, memory):
    from mvica.joint_diagonalization.least_squares import iterate_least_squares

    return iterate_least_squares(prepared.matrices, weights, prepared.start, **options)


def _run_ffdiag(prepared, weights, options, memory):
    from mvica.joint_diagonalization.least_squares import iterate_least_squares

    return iterate_least_squares(
        prepared.matrices, weights, prepared.start, step="ffdiag", **options
    )


def _run_frobenius(prepared, weights, options, memory):
    from mvica.joint_diagonalization import quasi_newton as qn

    def solve(C):
        return qn.minimise(C, weights, prepared.start, qn.FROBENIUS, memory=memory, **options)

    return _with_deviations(solve, prepared, weights)


def _run_jacobi(prepared, weights, options, memory):
    from mvica.joint_diagonalization.jacobi import rotate_by_pairs

    def solve(C):
        return rotate_by_pairs(C, weights, prepared.start, **options)

    return _with_deviations(solve, prepared, weights)


_RUNNERS = {
    "quasi_newton": _run_quasi_newton,
    "pham": _run_pham,
    "uwedge": _run_uwedge,
    "ffdiag": _run_ffdiag,
    "rotation": _run_rotation,
    "frobenius": _run_frobenius,
    "jacobi": _run_jacobi,
}


_SEPARABILITIES = {
    "quasi_newton": separability,
    "pham": separability,
    "uwedge": profile_angles,
    "ffdiag": profile_angles,
    "rotation": separability,
    "frobenius": profile_distances,
    "jacobi": profile_distances,
}


def _with_deviations(solve, prepared, weights):
    """Rotate the deviations of the matrices from multiples of the identity, scaled to order 1.

    No rotation moves a multiple of the identity, so what remains sets the unit of the problem.
    """
    C = prepared.matrices
    p = C.shape[1]
    means = np.einsum("kaa->k", C) / p
    C = C - means[:, None, None] * np.eye(p)
    total = weights @ np.sum(C**2, axis=(1, 2))
    unit = np.sqrt(total / p) or 1.0
    result, diagonals = solve(C / unit)

    def off_diagonals(value):  # the solver's value is minus half the squares of the diagonals
        return np.maximum(total + 2.0 * unit**2 * value, 0.0) * prepared.scales[0] ** 2

    result = replace(
        _orthonormal(result),
        objective=float(off_diagonals(result.objective)),
        history=off_diagonals(result.history),
    )
    return result, unit * diagonals + means[:, None]


def _orthonormal(result):
    """Remove the rounding errors that the rotations have piled up."""
    U, _, V = np.linalg.svd(result.x)
    return replace(result, x=U @ V)


def _finish(result, diagonals, prepared, weights, method):
    """Back to the features, with the stated scale, order and signs of the rows."""
    from mvica.joint_diagonalization.kernels import in_features

    x, mixing, powers, order = in_features(
        result.x,
        *prepared.coordinates,
        diagonals,
        prepared.scales,
        weights,
        method not in _LIKELIHOOD,
        method not in _ROTATIONS,
    )
    apart = _SEPARABILITIES[method](diagonals[:, order], weights)
    return Diagonalization(
        **vars(result) | {"x": x}, mixing=mixing, powers=powers, separability=apart
    )
