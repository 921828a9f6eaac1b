"""From a set of matrices to well-scaled coordinates with a first iterate."""

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np

_RANK_TOLERANCE = 1e-10  # eigenvalues below this share of the largest count as zero
_SAFE_SQUARE = 1e-8  # share of the largest eigenvalue above which a square keeps enough digits
_POWER_ROUNDS = 3  # more of them cost as much as the iterations that they save
_PIVOT_TOLERANCE = 1e-14  # unexplained share of a diagonal entry below which a matrix is singular


class Coordinates(NamedTuple):
    """A linear change of coordinates and its right inverse."""

    forward: np.ndarray  # (r, p)
    backward: np.ndarray  # (p, r)


@dataclass(frozen=True)
class Prepared:
    """A set of matrices in the coordinates where a solver works.

    Attributes
    ----------
    matrices : ndarray of shape (n_matrices, r, r)
        ``forward C_k forward^T / scales[k]``, C-contiguous. With the likelihood criteria their
        determinants are 1.
    scales : ndarray of shape (n_matrices,)
        Scale removed from each matrix.
    coordinates : Coordinates
        From the features to the working coordinates and back.
    start : ndarray of shape (r, r)
        First iterate.
    """

    matrices: np.ndarray
    scales: np.ndarray
    coordinates: Coordinates
    start: np.ndarray


def check_matrices(C):
    """Return the set as a float64 array that compiled code takes, or say what is wrong with it.

    Asymmetry at the level of rounding is let through: the working coordinates remove it.
    """
    from mvica.joint_diagonalization.kernels import NOT_FINITE, NOT_SYMMETRIC, first_fault

    C = np.asarray(C)
    if C.ndim != 3 or C.shape[1] != C.shape[2] or 0 in C.shape:
        raise ValueError(
            f"C must hold square matrices, shape (n_matrices, p, p); found shape {C.shape}."
        )
    if np.iscomplexobj(C):
        raise ValueError("C is complex, real matrices are needed: pass the real parts.")
    tolerance = 1e-4 if C.dtype == np.float32 else 1e-10
    C = np.ascontiguousarray(C, dtype=np.float64)
    if not C.flags.writeable:  # compiled code for read-only arrays would be compiled once more
        C = C.copy()
    fault, k, asymmetry = first_fault(C, tolerance)
    if fault == NOT_FINITE:
        raise ValueError(f"Matrix {k} of C has NaN or infinite entries.")
    if fault == NOT_SYMMETRIC:
        raise ValueError(
            f"Matrix {k} of C is not symmetric: C - C.T reaches {asymmetry:.1e} of its largest "
            "entry. Pass (C + C.T) / 2 if that is what you mean."
        )
    return C


def check_weights(weights, n_matrices):
    """Return positive weights that sum to 1."""
    if weights is None:
        return np.full(n_matrices, 1.0 / n_matrices)
    weights = np.asarray(weights, dtype=np.float64)
    if weights.shape != (n_matrices,):
        raise ValueError(
            f"weights has shape {weights.shape}, expected ({n_matrices},): one weight per matrix."
        )
    if not np.all(np.isfinite(weights) & (weights > 0)):
        raise ValueError("weights must be positive and finite; leave out matrices of weight 0.")
    weights = weights / weights.max()
    return weights / weights.sum()


def prepare_invertible(C, weights, n_components, init, *, positive):
    """Coordinates for invertible matrices: the average power becomes about the identity.

    The average is the weighted mean of positive definite matrices, each of which loses a scale
    that the likelihood does not see, or the root of the mean square of matrices of any sign.
    """
    from mvica.joint_diagonalization.kernels import congruence, standardised_mean

    if positive:
        scales, features, power = standardised_mean(C, weights)
        _check_positive(C, scales)
    else:
        scales = _common_scale(C)
        features = _feature_scales(C, weights, scales)
        power = _average_power(C, weights, scales, features, positive=False)
    white = _whitener(power)
    coordinates = _coordinates(white.forward / features, features[:, None] * white.backward)
    rank = len(white.forward)
    if positive and rank < C.shape[1]:
        _check_semidefinite(C / features[:, None] / features)
    r = _check_n_components(n_components, rank, "the rank of the set")
    if r < rank:
        axes = _principal_axes(C, weights, r, positive=positive)
        reduced = congruence(np.ascontiguousarray(axes.T), C, 1.0 / scales)
        ones = np.ones(len(C))
        white = _whitener(_average_power(reduced, weights, ones, np.ones(r), positive=positive))
        coordinates = _coordinates(white.forward @ axes.T, axes @ white.backward)
    working = congruence(coordinates.forward, C, 1.0 / scales)
    if positive:
        scales = scales * _unit_determinants(working)
    if isinstance(init, str):
        start = _first_iterate(working, weights, init, whitened=positive)
    else:
        start = _unit_rows(_check_init(init, coordinates) @ coordinates.backward)
        if not np.linalg.cond(start) < 1e12:
            raise ValueError("init does not have full rank on the range of the matrices.")
    return Prepared(working, scales, coordinates, start)


def prepare_rotation(C, weights, n_components, init, *, positive):
    """Coordinates for rotations: the features themselves, or their principal axes."""
    from mvica.joint_diagonalization.kernels import congruence

    p = C.shape[1]
    if positive:
        scales = np.einsum("kaa->k", C) / p
        _check_positive(C, scales)
    else:
        scales = _common_scale(C)
    r = _check_n_components(n_components, p, "the size of the matrices")
    axes = np.eye(p) if r == p else _principal_axes(C, weights, r, positive=positive)
    coordinates = _coordinates(axes.T, axes)
    working = congruence(coordinates.forward, C, 1.0 / scales)
    if positive:
        scales = scales * _unit_determinants(working)
    if isinstance(init, str):
        start = _first_iterate(working, weights, init, whitened=False)
    else:
        start = _check_init(init, coordinates) @ coordinates.backward
        if not np.allclose(start @ start.T, np.eye(r), rtol=0, atol=1e-8):
            raise ValueError(
                "init must have orthonormal rows (on the principal axes of the set, when "
                "n_components is given), because this method moves over rotations."
            )
    return Prepared(working, scales, coordinates, start)


def _coordinates(forward, backward):
    # Compiled code is compiled once more for every other order of the entries.
    return Coordinates(np.ascontiguousarray(forward), np.ascontiguousarray(backward))


def _check_positive(C, traces):
    if not traces.min() > 0:
        raise _not_positive_definite(C, np.argmin(traces > 0))


def _common_scale(C):
    largest = max(C.max(), -C.min())
    if largest == 0:
        raise ValueError("Every entry of C is zero: there is nothing to diagonalise.")
    return np.full(len(C), largest)


def _feature_scales(C, weights, scales):
    """Typical size of each feature: dividing by it, the units of the features decide nothing."""
    diagonals = np.einsum("kaa->ka", C) / scales[:, None]
    squares = np.sqrt(weights @ diagonals**2)
    return np.sqrt(np.where(squares > 0, squares, 1.0))


def _average_power(C, weights, scales, features, *, positive):
    """Average of the matrices divided by their scales and by those of the features."""
    if positive:
        return _combination(C, weights / scales) / features[:, None] / features
    factors = (np.sqrt(weights) / scales)[:, None, None] / features[:, None] / features
    rows = (C * factors).reshape(-1, C.shape[1])
    squares, vectors = np.linalg.eigh(rows.T @ rows)
    if squares[0] > _SAFE_SQUARE * squares[-1]:
        return (vectors * np.sqrt(squares)) @ vectors.T
    # Squaring the matrices loses half of the digits of the rank: QR and SVD keep them.
    _, values, vectors = np.linalg.svd(np.linalg.qr(rows, mode="r"))
    return (vectors.T * values) @ vectors


def _combination(C, coefficients):
    total = (coefficients @ C.reshape(len(C), -1)).reshape(C.shape[1:])
    return 0.5 * (total + total.T)


def _whitener(power):
    """Coordinates in which `power` is the identity, on its numerical range."""
    values, vectors = np.linalg.eigh(power)
    kept = np.flatnonzero(values > _RANK_TOLERANCE * values[-1])[::-1]
    roots, vectors = np.sqrt(values[kept]), vectors[:, kept]
    return _coordinates((vectors / roots).T, vectors * roots)


def _principal_axes(C, weights, r, *, positive):
    scale, ones = _common_scale(C), np.ones(C.shape[1])
    power = _average_power(C, weights, scale, ones, positive=positive)
    return np.linalg.eigh(power)[1][:, : -r - 1 : -1]


def _unit_determinants(C):
    """Divide each matrix in place by the scale that makes its determinant 1; return the scales."""
    from mvica.joint_diagonalization.kernels import unit_determinants

    scales, shares = unit_determinants(C)
    if not shares.min() > _PIVOT_TOLERANCE * C.shape[1]:
        raise _not_positive_definite(C, np.argmin(shares))
    return scales


def _check_semidefinite(C):
    values = np.linalg.eigvalsh(C)
    shares = values[:, 0] / values[:, -1]
    if shares.min() < -_RANK_TOLERANCE:
        raise _not_positive_definite(C, np.argmin(shares))


def _not_positive_definite(C, k):
    values = np.linalg.eigvalsh(C[k])
    share = values[0] / max(np.abs(values).max(), np.finfo(float).tiny)
    return ValueError(
        f"Matrix {k} of C is not positive definite: its smallest eigenvalue is {share:.1e} of its "
        "largest in absolute value. The likelihood needs positive definite matrices: use "
        'method="uwedge" (or "frobenius" for rotations), a smaller n_components, or regularise C.'
    )


def _check_n_components(n_components, limit, name):
    if n_components is None:
        return limit
    if not 1 <= n_components <= limit:
        raise ValueError(f"n_components={n_components} must be between 1 and {limit}, {name}.")
    return int(n_components)


def _first_iterate(C, weights, init, *, whitened):
    # A single whitened matrix is diagonal already.
    if init == "white" or (whitened and len(C) == 1):
        return np.eye(C.shape[1])
    # Eigenvectors of one combination of the matrices: the answer, if there is an exact one.
    mixed = _draw(len(C))
    if whitened:
        from mvica.joint_diagonalization.kernels import shared_rotation

        return shared_rotation(C, weights, mixed, _POWER_ROUNDS)
    return np.ascontiguousarray(np.linalg.eigh(_combination(C, weights * mixed))[1].T)


@lru_cache(maxsize=16)
def _draw(n_matrices):
    return np.random.default_rng(0).standard_normal(n_matrices)


def _check_init(init, coordinates):
    init = np.asarray(init, dtype=np.float64)
    expected = coordinates.forward.shape
    if init.shape != expected:
        raise ValueError(f"init has shape {init.shape}, expected {expected}.")
    if not np.all(np.isfinite(init)):
        raise ValueError("init has NaN or infinite entries.")
    return init


def _unit_rows(B):
    B = B / np.maximum(np.abs(B).max(axis=1, keepdims=True), np.finfo(float).tiny)
    return B / np.maximum(np.linalg.norm(B, axis=1, keepdims=True), np.finfo(float).tiny)
