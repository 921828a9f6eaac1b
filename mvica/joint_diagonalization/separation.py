"""What the estimators that separate sources by second-order statistics share."""

from numbers import Integral, Real

import numpy as np

from mvica._validation import Interval, StrOptions
from mvica.base import MultiViewTransformer
from mvica.ica.stacked import StackedViews
from mvica.ica.summary import summarize
from mvica.joint_diagonalization.function import METHODS, joint_diagonalize
from mvica.reduction.mcca import multiset_cca
from mvica.reduction.reduce import reduce_views, stack_reduced

SIGN_FREE = ("uwedge", "ffdiag", "frobenius", "jacobi")  # methods for matrices of any sign


class SecondOrderSeparation(MultiViewTransformer):
    """Reduce and align the views, diagonalise a set of moments by one matrix for all of them.

    A subclass defines ``_moments(Y)``, which returns the moments (..., p, p) of aligned white
    signals Y (m, p, n) and their weights.
    """

    _parameter_constraints: dict = {
        **MultiViewTransformer._parameter_constraints,
        "method": [StrOptions(set(METHODS))],
        "reduction": [StrOptions({"mcca", "pca", "grouppca", "srm"}), None],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
    }
    del _parameter_constraints["verbose"]

    def _fit_views(self, views):
        reduction = reduce_views(
            views, self.n_components, method=self.reduction, random_state=self.random_state
        )
        Z = stack_reduced(views, reduction)
        rotations = _alignment(Z, len(views), self.random_state)
        Y = _rotated(Z, rotations)
        moments, weights = self._moments(Y)
        p = Y.shape[1]
        result = joint_diagonalize(
            moments.reshape(-1, p, p),
            self.method,
            weights=weights,
            tol=self.tol,
            max_iter=self.max_iter,
        )
        found = summarize(StackedViews(Z, len(views)), result.x @ rotations, reduction)
        self.components_ = [w @ R for w, R in zip(found.W, reduction.projections, strict=True)]
        self.mixing_ = [
            A @ np.linalg.inv(w) for w, A in zip(found.W, reduction.patterns, strict=True)
        ]
        self.mean_ = list(reduction.means)
        self.sources_ = found.sources
        self.noise_variances_ = found.noise_variances
        self.agreement_ = found.agreement
        self.explained_variance_ratio_ = found.explained
        powers = result.powers[:, found.order] / found.scale**2
        self.powers_ = powers.reshape(*moments.shape[:-2], p)
        self.separability_ = result.separability[np.ix_(found.order, found.order)]
        self.rank_ = reduction.ranks
        self.objective_ = result.objective
        self.n_iter_ = max(result.n_iter, 1)
        self.converged_ = result.converged


def _alignment(Z, n_views, random_state):
    """Rotations (m, p, p) of whitened views after which one unmixing is right for all of them.

    Views that share sources with independent noise are aligned by multiset CCA, up to a rotation
    that they have in common, where components are equally noisy.
    """
    p = len(Z) // n_views
    if n_views == 1:
        return np.eye(p)[None]
    blocks = multiset_cca(Z, p, random_state=random_state).directions.reshape(n_views, p, p)
    left, _, right = np.linalg.svd(blocks.transpose(0, 2, 1))
    return left @ right


def _rotated(Z, rotations):
    m, p = rotations.shape[:2]
    return np.matmul(rotations.astype(Z.dtype), Z.reshape(m, p, -1))
