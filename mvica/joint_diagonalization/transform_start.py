"""Starts of transform learning: the first transform, and factors drawn or given."""

import warnings
from typing import NamedTuple

import numpy as np
from scipy.fft import dct
from sklearn.exceptions import ConvergenceWarning

from mvica.optim.orthogonal import check_orthogonal, random_orthogonal

INITS = ("random", "dct", "jd")


class Unknowns(NamedTuple):
    """Transform (M, M), activations (N, K) and dictionary (K, M)."""

    Phi: np.ndarray
    H: np.ndarray
    D: np.ndarray


def first_unknowns(Y, K, init, scale, rng):
    """Start `tl_nmf` on frames Y (N, M) of unit mean square."""
    if isinstance(init, tuple):
        return _continued(Y, K, init, scale)
    N, M = Y.shape
    Phi = first_transform(Y, init, rng)
    D = np.abs(rng.standard_normal((K, M))) + 1.0
    H = np.abs(rng.standard_normal((N, K))) + 1.0
    H *= N * M / H.sum()  # the mean variance is the mean square of the data
    return Unknowns(Phi, H, D / D.sum(axis=1, keepdims=True))


def _continued(Y, K, init, scale):
    """Go on from the transform, dictionary and activations of a fit, in the data's units."""
    if len(init) != 3:
        raise ValueError(
            f"init is a tuple of {len(init)} arrays, expected (transform_, dictionary_, "
            "activations_) of a fit to be continued."
        )
    N, M = Y.shape
    D = check_non_negative(init[1], (K, M), "init[1], the dictionary,")
    H = check_non_negative(init[2], (N, K), "init[2], the activations,") / scale**2
    sums = D.sum(axis=1)
    return Unknowns(
        _given_transform(init[0], M, "init[0], the transform,"),
        H * sums,
        D / np.where(sums > 0, sums, 1.0)[:, None],
    )


def first_transform(Y, init, rng):
    """Return the first transform (M, M) for frames Y (N, M), or say why `init` is none."""
    M = Y.shape[1]
    if not isinstance(init, str):
        return _given_transform(init, M, "init")
    if init == "random":
        return random_orthogonal(M, rng)
    if init == "dct":
        return dct(np.eye(M), axis=0, norm="ortho")
    return _joint_diagonaliser(Y)


def _given_transform(init, M, name):
    init = np.array(init, dtype=np.float64)
    if init.shape != (M, M):
        raise ValueError(f"{name} has shape {init.shape}, expected {(M, M)}: one atom a row.")
    check_orthogonal(init, name)
    return init


def _joint_diagonaliser(Y):
    """Diagonalise the covariances of blocks of consecutive frames, taken for stationary."""
    from mvica.joint_diagonalization.function import joint_diagonalize

    N, M = Y.shape
    if N < 4 * M:
        raise ValueError(
            f"init='jd' needs at least {4 * M} frames, two blocks of twice the length of a frame, "
            f"found {N}. Use init='random' or 'dct', or more or shorter frames."
        )
    blocks = np.array_split(Y, N // (2 * M))
    # The ridge turns with the transform; without it, the rank of silent blocks is short.
    covariances = [block.T @ block / len(block) + 1e-9 * np.eye(M) for block in blocks]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # any rotation is a start
        return joint_diagonalize(covariances, method="rotation").x


def check_non_negative(array, shape, name):
    """Return a float64 copy of a non-negative array that is not all zero."""
    array = np.array(array, dtype=np.float64)
    if array.shape != shape:
        raise ValueError(f"{name} has shape {array.shape}, expected {shape}.")
    if not np.all(np.isfinite(array) & (array >= 0)):
        raise ValueError(f"{name} must be finite and not negative.")
    if not array.any():
        raise ValueError(f"{name} must not be all zero.")
    return array
