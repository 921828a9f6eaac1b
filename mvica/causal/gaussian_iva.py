"""Gaussian independent vector analysis: unmixings of all views from their cross-covariances."""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import eigh

from mvica.optim.lbfgs import minimize

RIDGE = 1e-10  # relative, on within-view covariances that are inverted


@dataclass(frozen=True)
class IvaPoint:
    """One iterate.

    Attributes
    ----------
    x : ndarray of shape (m, p, p)
        Unmixings.
    value : float
        ``1/2 sum_k log det S_k - sum_v log |det W_v|``.
    gradient : ndarray of shape (m, p, p)
        Relative gradient.
    S : ndarray of shape (p, m, m)
        Covariance over views of each source.
    weight : ndarray of shape (p, m, m)
        Their inverses.
    """

    x: np.ndarray
    value: float
    gradient: np.ndarray
    S: np.ndarray
    weight: np.ndarray


class GaussianIva:
    """The objective, for `mvica.optim.lbfgs.minimize`.

    Parameters
    ----------
    blocks : ndarray of shape (p, p, m, m)
        Cross-covariances ``[i, j, v, w] = cov(x_vi, x_wj)``.
    """

    rounding = 1e-13

    def __init__(self, blocks):
        self.blocks = blocks
        self.identity = np.eye(len(blocks))

    def start(self, W):
        """Return the point at these unmixings (m, p, p)."""
        half = np.einsum("via,abvw->ibvw", W, self.blocks, optimize=True)
        Y = np.einsum("ibvw,wjb->ijvw", half, W, optimize=True)
        S = np.einsum("kkvw->kvw", Y).copy()
        scale = np.sqrt(np.einsum("kvv->kv", S))
        R = S / scale[:, :, None] / scale[:, None, :]
        _, log_dets = np.linalg.slogdet(R)
        value = log_dets.sum() / 2 + np.log(scale).sum() - np.linalg.slogdet(W)[1].sum()
        weight = np.linalg.inv(R) / scale[:, :, None] / scale[:, None, :]
        gradient = np.einsum("kvw,klwv->vkl", weight, Y, optimize=True) - self.identity
        return IvaPoint(W, float(value), gradient, S, weight)

    def precondition(self, point, vector, damping):
        """Apply the inverse curvature at independent sources, pair of sources by pair.

        Entries (k, l) and (l, k) of all views form a block ``[[A, cI], [cI, B]]`` with A the
        entrywise product of the inverse covariance of source k and the covariance of source l.
        """
        m, p, _ = vector.shape
        out = vector.copy()
        if p == 1:
            return out
        k, left = np.triu_indices(p, 1)
        H = np.zeros((len(k), 2 * m, 2 * m))
        H[:, :m, :m] = point.weight[k] * point.S[left]
        H[:, m:, m:] = point.weight[left] * point.S[k]
        diagonal = np.arange(m)
        H[:, diagonal, m + diagonal] = H[:, m + diagonal, diagonal] = 1 - max(damping, 1e-3)
        rhs = np.concatenate([vector[:, k, left], vector[:, left, k]]).T
        step = np.linalg.solve(H, rhs[:, :, None])[:, :, 0].T
        out[:, k, left], out[:, left, k] = step[:m], step[m:]
        return out

    def line(self, point, direction):
        """Return the objective along a relative direction."""
        return _Line(self, point, direction)


class _Line:
    def __init__(self, model, origin, direction):
        self.model, self.origin, self.direction = model, origin, direction
        self.last = None

    def value(self, t):
        step = self.model.identity + t * self.direction
        self.last = self.model.start(step @ self.origin.x)
        return self.last.value

    def point(self):
        return self.last


def fit_gaussian_iva(blocks, *, tol=1e-7, max_iter=1000):
    """Unmix all views so that each source is correlated with its own copies in other views alone.

    Parameters
    ----------
    blocks : ndarray of shape (p, p, m, m)
        Cross-covariances of standardised variables.
    tol : float, default=1e-7
        Predicted decrease of the objective at convergence, in nats per sample.
    max_iter : int, default=1000

    Returns
    -------
    W : ndarray of shape (m, p, p)
        Unmixings, rows matched over views, sources of unit variance.
    result : mvica.optim.result.Result

    References
    ----------
    Anderson, Fu, Phlypo, Adali (2014), Independent vector analysis: identification conditions and
    performance bounds, IEEE Transactions on Signal Processing 62.
    """
    R = whiteners(blocks)
    half = np.einsum("via,abvw->ibvw", R, blocks, optimize=True)
    whitened = np.einsum("ibvw,wjb->ijvw", half, R, optimize=True)
    model = GaussianIva(whitened)
    point, result = minimize(
        model,
        model.start(_canonical_start(whitened)),
        tol=np.inf,  # entries of near-singular sources stay large where nothing is left to gain
        tol_decrease=tol,
        max_iter=max_iter,
    )
    scale = np.sqrt(np.einsum("kvv->vk", point.S))
    return (point.x / scale[:, :, None]) @ R, result


def whiteners(blocks):
    """Compute symmetric inverse square roots of the within-view covariances, (m, p, p)."""
    within = np.einsum("ijvv->vij", blocks)
    values, vectors = np.linalg.eigh(within)
    values = np.maximum(values, RIDGE * values[:, -1:])
    return vectors / np.sqrt(values)[:, None] @ vectors.mT


def _canonical_start(whitened):
    """Rotations nearest to the leading directions of multiset CCA."""
    p, m = whitened.shape[1:3]
    full = whitened.transpose(2, 0, 3, 1).reshape(m * p, m * p)
    _, vectors = eigh(full, subset_by_index=(m * p - p, m * p - 1))
    left, _, right = np.linalg.svd(vectors.reshape(m, p, p).mT)
    return left @ right
