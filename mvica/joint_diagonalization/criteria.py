"""Criteria of joint diagonalisation with their derivatives, in plain NumPy.

The compiled loops evaluate the same formulas without forming the transformed matrices; this file
is the reference that they are tested against, and what other solvers are checked with.
"""

import numpy as np


def likelihood(d, weights, B):
    """Pham's criterion ``1/2 sum_k w_k sum_a log d_ka - log|det B|``.

    Parameters
    ----------
    d : ndarray of shape (n_matrices, p)
        Diagonals of ``B C_k B^T``, positive.
    weights : ndarray of shape (n_matrices,)
        Weights that sum to 1.
    B : ndarray of shape (p, p)
        Joint diagonaliser.

    Returns
    -------
    float
    """
    return 0.5 * weights @ np.log(d).sum(axis=1) - np.linalg.slogdet(B)[1]


def likelihood_gradient(D, weights):
    """Relative gradient of Pham's criterion: ``L((I + E) B) = L(B) + <G, E> + O(E^2)``.

    Parameters
    ----------
    D : ndarray of shape (n_matrices, p, p)
        Transformed matrices ``B C_k B^T``.
    weights : ndarray of shape (n_matrices,)
        Weights that sum to 1.

    Returns
    -------
    G : ndarray of shape (p, p)
        Its diagonal is 0: the criterion does not depend on the scale of the rows.
    """
    d = np.einsum("kaa->ka", D)
    return np.einsum("ka,kab->ab", weights[:, None] / d, D) - np.eye(D.shape[1])


def likelihood_hessian(D, weights, E):
    """Exact relative Hessian of Pham's criterion, applied to E.

    Parameters
    ----------
    D : ndarray of shape (n_matrices, p, p)
        Transformed matrices ``B C_k B^T``.
    weights : ndarray of shape (n_matrices,)
        Weights that sum to 1.
    E : ndarray of shape (p, p)
        Direction.

    Returns
    -------
    H : ndarray of shape (p, p)
        ``L((I + E) B) = L(B) + <G, E> + <E, H> / 2 + O(E^3)``.
    """
    d = np.einsum("kaa->ka", D)
    ED = E @ D
    own = np.einsum("kaa->ka", ED)
    return (
        np.einsum("ka,kab->ab", weights[:, None] / d, ED)
        - 2.0 * np.einsum("ka,kab->ab", weights[:, None] * own / d**2, D)
        + E.T
    )


def rotation_gradient(D, weights):
    """Gradient of the likelihood along rotations: the derivative along E is ``<g, E> / 2``.

    Parameters
    ----------
    D : ndarray of shape (n_matrices, p, p)
        Transformed matrices ``B C_k B^T``, with B orthogonal.
    weights : ndarray of shape (n_matrices,)
        Weights that sum to 1.

    Returns
    -------
    g : ndarray of shape (p, p)
        Antisymmetric.
    """
    T = likelihood_gradient(D, weights)
    return T - T.T


def frobenius(d, weights):
    """Minus half the weighted sum of the squared diagonals of ``B C_k B^T``, B orthogonal.

    Parameters
    ----------
    d : ndarray of shape (n_matrices, p)
        Diagonals.
    weights : ndarray of shape (n_matrices,)
        Weights.

    Returns
    -------
    float
        The weighted squares of the off-diagonals are a constant plus twice this.
    """
    return -0.5 * np.sum(weights @ d**2)


def frobenius_gradient(D, weights):
    """Gradient of `frobenius` along rotations: the derivative along E is ``<g, E> / 2``.

    Parameters
    ----------
    D : ndarray of shape (n_matrices, p, p)
        Transformed matrices ``B C_k B^T``, with B orthogonal.
    weights : ndarray of shape (n_matrices,)
        Weights.

    Returns
    -------
    g : ndarray of shape (p, p)
        Antisymmetric.
    """
    d = np.einsum("kaa->ka", D)
    T = -2.0 * np.einsum("ka,kab->ab", weights[:, None] * d, D)
    return T - T.T


def separability(d, weights):
    """How well each pair of sources can be told apart by their powers.

    Parameters
    ----------
    d : ndarray of shape (n_matrices, p)
        Powers, positive.
    weights : ndarray of shape (n_matrices,)
        Weights that sum to 1.

    Returns
    -------
    ndarray of shape (p, p)
        ``h_ab h_ba - 1`` with ``h_ab = sum_k w_k d_kb / d_ka``; 0 if and only if the powers of the
        two sources are proportional. Does not depend on the scale of the sources.
    """
    h = (weights[:, None] / d).T @ d
    return h * h.T - 1.0


def typical_separability(d, weights):
    """Mean separability of the pairs, none above 1: the unit of the stopping rule.

    Parameters
    ----------
    d : ndarray of shape (n_matrices, p)
        Powers, positive.
    weights : ndarray of shape (n_matrices,)
        Weights that sum to 1.

    Returns
    -------
    float
    """
    pairs = separability(d, weights)[np.tril_indices(d.shape[1], -1)]
    return max(float(np.mean(np.minimum(pairs, 1.0))), 1e-8) if len(pairs) else 1.0


def profile_angles(d, weights):
    """Squared sines of the angles between the power profiles of the sources, of any sign.

    Parameters
    ----------
    d : ndarray of shape (n_matrices, p)
        Powers.
    weights : ndarray of shape (n_matrices,)
        Weights that sum to 1.

    Returns
    -------
    ndarray of shape (p, p)
        Between 0, for proportional powers, and 1. Does not depend on the scale of the sources.
    """
    z = (weights[:, None] * d).T @ d
    norms = np.sqrt(np.where(np.diag(z) > 0, np.diag(z), 1.0))
    return np.clip(1.0 - (z / norms[:, None] / norms) ** 2, 0.0, 1.0)


def profile_distances(d, weights):
    """Squared distances between the power profiles, relative to their squares.

    Parameters
    ----------
    d : ndarray of shape (n_matrices, p)
        Powers.
    weights : ndarray of shape (n_matrices,)
        Weights that sum to 1.

    Returns
    -------
    ndarray of shape (p, p)
        Between 0, for equal powers (any rotation of the pair is then as good), and 2.
    """
    z = (weights[:, None] * d).T @ d
    squares = np.diag(z)[:, None] + np.diag(z)
    return np.maximum(squares - 2.0 * z, 0.0) / np.where(squares > 0, squares, 1.0)
