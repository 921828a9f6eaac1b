"""Steps along a landing field that never leave the neighbourhood of the constraint.

Along ``U - eta F`` the defect is a polynomial, ``D(eta) = D - eta H + eta^2 Q`` with
``H = M^T F + F^T M`` and ``Q = F^T B F``: exact, and small (p, p) matrices only.
"""

from typing import NamedTuple

import numpy as np

from mvica.stiefel.fields import symmetric

MAX_HALVINGS = 60  # 2^-60: below the rounding of any step


class DefectCurve(NamedTuple):
    """The constraint defect along a step, ``D - eta H + eta^2 Q``.

    Attributes
    ----------
    D, H, Q : ndarray of shape (p, p)
        Coefficients, symmetric.
    """

    D: np.ndarray
    H: np.ndarray
    Q: np.ndarray

    def at(self, eta):
        """Defect after a step of length eta."""
        return self.D - eta * self.H + eta**2 * self.Q

    @property
    def length(self):
        """Spectral norm of F in the metric of B, ``sqrt(lambda_max(F^T B F))``."""
        return float(np.sqrt(max(np.linalg.eigvalsh(self.Q)[-1], 0.0)))


def defect_curve(D, M, F, BF):
    """Polynomial of the defect along ``U - eta F``.

    Parameters
    ----------
    D : ndarray of shape (p, p)
        Defect at U.
    M, F, BF : ndarray of shape (d, p)
        ``B U``, the field and ``B F``.

    Returns
    -------
    curve : DefectCurve
    """
    H = M.T @ F
    return DefectCurve(D, H + H.T, symmetric(F.T @ BF))


def safe_step(curve, eta, radius):
    """Halve a step until the defect is within `radius`, or no larger than it was.

    Parameters
    ----------
    curve : DefectCurve
        Defect along the step.
    eta : float
        Longest step.
    radius : float
        Frobenius norm of the defect that is accepted.

    Returns
    -------
    eta : float
        The step, 0.0 if no step of the sixty halvings qualifies.
    """
    limit = max(radius, float(np.linalg.norm(curve.D)))
    for _ in range(MAX_HALVINGS):
        if np.linalg.norm(curve.at(eta)) <= limit:
            return eta
        eta *= 0.5
    return 0.0


def orthogonal_safe_step(field_norm, defect_norm, omega, radius=0.5):
    """Closed-form step that keeps the defect within `radius` for B the identity.

    Parameters
    ----------
    field_norm, defect_norm : float
        Frobenius norms of the field and of the defect, the latter below `radius`.
    omega : float
        Weight of the normal part.
    radius : float, default=0.5
        Bound on the defect, below 1.

    Returns
    -------
    eta : float
        From ``|D(eta)| <= (1 - 2 eta omega) d + 2 eta omega d^2 + eta^2 g^2``, at most
        ``1 / (2 omega)``.
    """
    if field_norm == 0:
        return 0.5 / omega
    beta, square = omega * defect_norm * (1 - defect_norm), field_norm**2
    room = max(radius - defect_norm, 0.0)
    return min((beta + np.sqrt(beta**2 + square * room)) / square, 0.5 / omega)


def barzilai_borwein(eta, F, L, change_F, change_L, *, long):
    """Barzilai-Borwein step in the metric of P, from the last step ``-eta F`` with ``F = P L``.

    Parameters
    ----------
    eta : float
        Last step.
    F, L : ndarray of shape (d, p)
        Field and dual field at its start.
    change_F, change_L : ndarray of shape (d, p)
        What they changed by.
    long : bool
        The longer of the two rules, ``<s, P^-1 s> / |<s, y>|``; else ``|<s, y>| / <y, P y>``.

    Returns
    -------
    eta : float
        NaN where the field did not change along the step: there is nothing to learn from it.
    """
    along = eta * abs(float(np.vdot(F, change_L)))
    top, bottom = eta**2 * float(np.vdot(F, L)), float(np.vdot(change_L, change_F))
    ratio = (top, along) if long else (along, bottom)
    return ratio[0] / ratio[1] if ratio[0] > 0 and ratio[1] > 0 else np.nan


def first_stochastic_step(effective_dimension, batch_size):
    """Default step of the stochastic solvers, ``0.5 / (1 + d / r)^2``.

    Parameters
    ----------
    effective_dimension : float
        ``tr(P B)``: the number of features for P close to the inverse of B.
    batch_size : int
        Number of rows r of a batch.

    Returns
    -------
    step : float
        For fields without units, P close to the inverse of B and omega 1.

    Examples
    --------
    >>> first_stochastic_step(10, 10)
    0.125
    """
    return 0.5 / (1 + effective_dimension / batch_size) ** 2


def batch_length(scores):
    """Spectral norm of a step in the metric of a batch, ``|x F|_2 / sqrt(r)``.

    Parameters
    ----------
    scores : ndarray of shape (r, p)
        ``x F``, the field seen by the batch.

    Returns
    -------
    length : float
    """
    square = np.linalg.eigvalsh(scores.T @ scores)[-1] / len(scores)
    return float(np.sqrt(max(square, 0.0)))
