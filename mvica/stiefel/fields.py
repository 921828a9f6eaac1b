"""Landing fields: directions that lower an objective and its constraint ``U^T B U = I`` at once.

A field is a tangent part plus `omega` times a normal part, and the iteration is ``U <- U - eta F``.
Every field here is ``F = P L``: a preconditioner P, any symmetric positive definite operator, times
a *dual* field L. Arrays: U, the gradient G of the objective and ``M = B U`` are (d, p); the Gram
matrix ``C = U^T M`` and the defect ``D = C - I`` are (p, p).
"""

from typing import NamedTuple

import numpy as np


class Field(NamedTuple):
    """A landing field at one point.

    Attributes
    ----------
    direction : ndarray of shape (d, p)
        F: the step is ``-eta F``.
    dual : ndarray of shape (d, p)
        L, with ``F = P L``.
    tangent_norm : float
        ``sqrt(<P T, T>)`` with T the tangent part of the dual: zero at critical points.
    """

    direction: np.ndarray
    dual: np.ndarray
    tangent_norm: float


def gram_defect(U, M):
    """Gram matrix ``C = U^T B U`` and its defect ``D = C - I``.

    Parameters
    ----------
    U, M : ndarray of shape (d, p)
        Point and ``M = B U``.

    Returns
    -------
    C, D : ndarray of shape (p, p)
        Both symmetric. ``|D|_F^2 / 4`` has the gradient ``M D``.
    """
    C = symmetric(U.T @ M)
    return C, C - np.eye(len(C))


def symmetric(Q):
    """Symmetric part of a square matrix."""
    return 0.5 * (Q + Q.T)


def congruence_field(G, M, D, apply_P, omega, *, normalize=False):
    """P-field, tangent and orthogonal to the constraint's gradient everywhere, for any P.

    ``F = 1/2 [P G (M^T P M) - P M (G^T P M)] + omega P M D``. With P the identity it is the
    landing field of Vary et al.; with P the inverse of B it is their field in the metric of B.
    The tangent part is (skew matrix) M, so it does not change D to first order, and it is a descent
    direction of the objective for every P.

    Parameters
    ----------
    G, M : ndarray of shape (d, p)
        Gradient and ``B U``.
    D : ndarray of shape (p, p)
        Constraint defect.
    apply_P : callable
        (d, p) -> (d, p), used twice.
    omega : float
        Weight of the normal part.
    normalize : bool, default=False
        Divide the field by the spectral norm of ``M^T P M``: it then has no units of P.

    Returns
    -------
    field : Field
    """
    PG, PM = apply_P(G), apply_P(M)
    K, S = symmetric(M.T @ PM), G.T @ PM
    scale = 1.0 / np.linalg.eigvalsh(K)[-1] if normalize else 1.0
    tangent, toward = (0.5 * scale) * (G @ K - M @ S), (0.5 * scale) * (PG @ K - PM @ S)
    N = (omega * scale) * D
    norm = np.sqrt(max(float(np.vdot(tangent, toward)), 0.0))
    return Field(toward + PM @ N, tangent + M @ N, norm)


def residual_field(G, M, C, S, apply_P, omega):
    """Residual field, quadratic in B, with the right equilibria for every P.

    ``F = P (1/2 [G C - M S] + omega M (C - I))`` with ``S = G^T U``. One use of P, and an unbiased
    estimate from samples as soon as G, M and C come from independent ones. Descent from every start
    is sure only for P near the inverse of B.

    Parameters
    ----------
    G, M : ndarray of shape (d, p)
        Gradient and ``B U``, or independent estimates of them.
    C : ndarray of shape (p, p)
        ``U^T B U``, or an estimate independent of G and M.
    S : ndarray of shape (p, p)
        ``G^T U``.
    apply_P : callable
        (d, k) -> (d, k) for any number of columns, used once.
    omega : float
        Weight of the normal part.

    Returns
    -------
    field : Field
    """
    tangent, normal = residual_dual(G, M, C, S)
    toward, back = np.hsplit(apply_P(np.hstack([tangent, normal])), 2)
    norm = np.sqrt(max(float(np.vdot(tangent, toward)), 0.0))
    return Field(toward + omega * back, tangent + omega * normal, norm)


def residual_dual(G, M, C, S):
    """Tangent part ``1/2 [G C - M S]`` and normal part ``M (C - I)`` of the dual residual field.

    Parameters
    ----------
    G, M : ndarray of shape (d, p)
        Gradient and ``B U``.
    C, S : ndarray of shape (p, p)
        ``U^T B U`` and ``G^T U``.

    Returns
    -------
    tangent, normal : ndarray of shape (d, p)
    """
    return 0.5 * (G @ C - M @ S), M @ (C - np.eye(len(C)))


def pair_scores(a, b, omega, R=0.0):
    """Scores that a batch is multiplied with to give an unbiased residual field.

    The residual field is quadratic in the samples. Dropping the terms that use one sample twice
    leaves the mean over pairs of different samples, whose expectation is the field of the whole
    population, at no extra cost.

    Parameters
    ----------
    a : ndarray of shape (r, p)
        Scores ``x U`` of the r rows x of the batch.
    b : ndarray of shape (r, p)
        Partner scores: the gradient is ``-x^T b / r``. CCA: the scores of the other view; ICA:
        minus the score function of `a`.
    omega : float
        Weight of the normal part.
    R : ndarray of shape (p, p), default=0.0
        ``rho U^T U`` for a ridge ``B = x^T x / r + rho I``.

    Returns
    -------
    K : ndarray of shape (r, p)
        The dual field is ``x^T K / r`` plus, with a ridge, ``rho U Q``.
    Q : ndarray of shape (p, p)
        ``1/2 b^T a / r + omega (C + R - I)``.
    C : ndarray of shape (p, p)
        Gram matrix ``a^T a / r`` of the batch.

    Examples
    --------
    >>> import numpy as np
    >>> a = np.array([[1.0], [2.0], [0.0]])
    >>> K, Q, C = pair_scores(a, np.zeros((3, 1)), omega=1.0)
    >>> K.ravel()
    array([ 1., -1.,  0.])
    """
    r, p = a.shape
    C, S = symmetric(a.T @ a) / r, b.T @ a / r
    kappa, I = r / (r - 1), np.eye(p, dtype=a.dtype)
    powers = np.einsum("ij,ij->i", a, a)[:, None]
    K = a @ (0.5 * kappa * S + omega * (kappa * C + R - I))
    K -= b @ (0.5 * (kappa * C + R))
    K -= (omega * kappa / r) * powers * a
    return K, 0.5 * S + omega * (C + R - I), C
