"""Landing fields: directions that lower an objective and its constraint ``U^T B U = I`` at once.

A field F is a tangent part plus `omega` times a normal part; the iteration is ``U <- U - eta F``.
Every field here is ``F = P L``: a preconditioner P, any symmetric positive definite operator, times
a *dual* field L. Arrays: U, the gradient G of the objective and ``M = B U`` are (d, p); the Gram
matrix ``C = U^T M`` and the defect ``D = C - I`` are (p, p).
"""

from typing import NamedTuple

import numpy as np


class Field(NamedTuple):
    """A landing field at one point, in its two parts.

    Attributes
    ----------
    tangent, normal : ndarray of shape (d, p)
        Parts of the dual field L.
    P_tangent, P_normal : ndarray of shape (d, p)
        P times these.
    gradient_norm : float
        ``sqrt(<P G, G>)``, to compare `tangent_norm` with.
    metric : float
        Largest eigenvalue of ``M^T P M``, which is one for P the inverse of B on the constraint.
    """

    tangent: np.ndarray
    normal: np.ndarray
    P_tangent: np.ndarray
    P_normal: np.ndarray
    gradient_norm: float
    metric: float

    def direction(self, omega):
        """Return ``F``, where the step is ``-eta F``, for a weight of the normal part."""
        return self.P_tangent + omega * self.P_normal

    def dual(self, omega):
        """Return ``L``, with ``F = P L``."""
        return self.tangent + omega * self.normal

    @property
    def tangent_norm(self):
        """``sqrt(<P T, T>)`` of the tangent part of the dual: zero at critical points."""
        return float(np.sqrt(max(np.vdot(self.tangent, self.P_tangent), 0.0)))

    @property
    def balanced_omega(self):
        """Weight that curves both parts alike, in the units of the objective.

        In an eigenproblem, a quarter of the root mean square of the Rayleigh quotients: the normal
        part has curvature ``2 omega``, the tangent part up to half the largest eigenvalue.
        """
        p = self.tangent.shape[1]
        return 0.25 * self.gradient_norm / np.sqrt(p * self.metric) if self.metric > 0 else 0.0


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


def congruence_field(G, M, D, apply_P):
    """P-field, tangent and orthogonal to the constraint's gradient everywhere, for any P.

    Its dual is ``1/2 [G K - M (G^T P M)] / |K|_2 + omega M D`` with ``K = M^T P M``. With P the
    identity it is the landing field of Vary et al. up to the scale; with P the inverse of B it is
    their field in the metric of B. The tangent part is (skew matrix) M, so it does not change D to
    first order, and it is a descent direction of the objective for every P.

    Parameters
    ----------
    G, M : ndarray of shape (d, p)
        Gradient and ``B U``.
    D : ndarray of shape (p, p)
        Constraint defect.
    apply_P : callable
        (d, k) -> (d, k) for any number of columns.

    Returns
    -------
    field : Field
    """
    PG, PM = np.hsplit(apply_P(np.hstack([G, M])), 2)
    K, S = symmetric(M.T @ PM), G.T @ PM
    metric = float(np.linalg.eigvalsh(K)[-1])
    half = 0.5 / metric
    return Field(
        half * (G @ K - M @ S), M @ D, half * (PG @ K - PM @ S), PM @ D, _norm(G, PG), metric
    )


def residual_field(G, M, U, C, apply_P):
    """Residual field, quadratic in B, with the right equilibria for every P.

    Its dual is ``1/2 [G C - M (G^T U)] + omega M (C - I)``. It is an unbiased estimate from samples
    as soon as G, M and C come from independent ones. Descent from every start is sure only for P
    near the inverse of B; near a solution another P needs an `omega` of about the largest
    eigenvalue, or the field may turn away from it.

    Parameters
    ----------
    G, M, U : ndarray of shape (d, p)
        Gradient, ``B U`` and the point.
    C : ndarray of shape (p, p)
        ``U^T B U``.
    apply_P : callable
        (d, k) -> (d, k) for any number of columns.

    Returns
    -------
    field : Field
    """
    PG, PM = np.hsplit(apply_P(np.hstack([G, M])), 2)
    S, D = G.T @ U, C - np.eye(len(C))
    metric = float(np.linalg.eigvalsh(symmetric(M.T @ PM))[-1])
    tangent, normal = residual_dual(G, M, C, S)
    return Field(tangent, normal, 0.5 * (PG @ C - PM @ S), PM @ D, _norm(G, PG), metric)


def _norm(G, PG):
    return float(np.sqrt(max(np.vdot(G, PG), 0.0)))


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
