"""The MultiView ICA likelihood on stacked, reduced views: value, relative gradient, curvature, line."""

from dataclasses import dataclass

import numpy as np

from mvica.ica.stacked import by_view, side_by_side

REFRESH = 20  # steps after which the shared sources are computed anew, to remove rounding drift


@dataclass(frozen=True)
class Iterate:
    """One point of the objective and the statistics of its curvature.

    ``k[v, b] = E[y_vb^2]``, ``q[v, b] = E[ybar_b y_vb]``; ``sums[a]`` holds the means of f, psi', psi' ybar^2
    and ybar^2 of component a; `work` (2p, n) holds psi in its first p rows (scratch) and ybar in the others.
    """

    x: np.ndarray
    value: float
    gradient: np.ndarray
    k: np.ndarray
    q: np.ndarray
    sums: np.ndarray
    log_determinant: float
    work: np.ndarray
    age: int


class MultiViewObjective:
    """MultiView ICA's negative log-likelihood, up to a constant, as a function of all unmixings.

    Parameters
    ----------
    views : StackedViews
        The data.
    noise : float
        Noise variance of the model.
    score_step : callable
        Kernel of the source density, see `mvica.ica.densities.score_step_for`.
    """

    def __init__(self, views, noise, score_step):
        self.views, self.noise, self.score_step = views, noise, score_step
        self.m, self.p = views.n_views, views.n_components
        self.rounding = 1e-9 if views.Z.dtype == np.float64 else 1e-7
        self._spare = np.empty((2 * self.p, views.n_samples), dtype=views.Z.dtype)
        self._direction = np.empty((self.p, views.n_samples), dtype=views.Z.dtype)

    def start(self, W):
        """Point at the unmixings `W` (m, p, p)."""
        return self._refreshed(W, np.empty_like(self._spare))

    def precondition(self, point, vector, damping):
        """Inverse of the joint curvature, see `mvica.kernels.pairs_numba.precondition`."""
        from mvica.kernels.pairs_numba import precondition

        _, slope, slope_square, power = point.sums.T
        return precondition(vector, point.k, point.q, slope, slope_square, power, self.noise, damping)

    def line(self, point, direction):
        """Objective along ``W_v + t D_v W_v``: one product here, none per trial."""
        return _Line(self, point, direction)

    def shared(self, W, out):
        """Mean over views of the view sources ``W_v z_v``, written into `out` (p, n)."""
        return self.views.mix(side_by_side(W) / self.m, out=out)

    def _refreshed(self, W, work):
        p = self.p
        shared = self.shared(W, work[p:])
        _, _, sums = self.score_step(shared, shared, 0.0, shared, work[:p])
        log_determinant = np.linalg.slogdet(W)[1].sum()
        return self._point(W, sums, log_determinant, work, 0)

    def _moments_with_sources(self, W, work):
        """``E[z_v psi^T]`` and ``E[z_v ybar^T]``, both (m, p, p): the products over samples."""
        if self.views.moment is None:
            T, Q = np.split(self.views.correlate(work), 2, axis=1)
        else:
            T = self.views.correlate(work[: self.p])
            Q = self.views.correlate_mixture(side_by_side(W) / self.m)
        return by_view(T, self.m), by_view(Q, self.m)

    def _point(self, W, sums, log_determinant, work, age):
        m, p = self.m, self.p
        T, Q = self._moments_with_sources(W, work)
        CW = self.views.covariances @ W.mT
        k = (W * CW.mT).sum(axis=2)
        q = (W * Q.mT).sum(axis=2)
        gradient = (T / m + (CW - Q) / self.noise).mT @ W.mT
        gradient[:, range(p), range(p)] -= 1.0
        value = self.combine(sums, k.sum(), log_determinant)
        return Iterate(W, value, gradient, k, q, sums, log_determinant, work, age)

    def combine(self, sums, total_power, log_determinant):
        """Objective from its parts; `total_power` is ``sum_v E|y_v|^2``."""
        quadratic = (total_power - self.m * sums[:, 3].sum()) / (2 * self.noise)
        return sums[:, 0].sum() + quadratic - log_determinant


class _Line:
    """The objective along one relative direction, free of matrix products per trial."""

    def __init__(self, model, point, direction):
        self.model, self.start, self.direction = model, point, direction
        self.move = direction @ point.x
        model.shared(self.move, model._direction)
        moved_covariance = self.move @ model.views.covariances
        self.power = (
            point.k.sum(),
            2 * np.vdot(moved_covariance, point.x),
            np.vdot(moved_covariance, self.move),
        )

    def value(self, t):
        model, p = self.model, self.model.p
        work = model._spare
        _, _, self.sums = model.score_step(
            self.start.work[p:], model._direction, t, work[p:], work[:p]
        )
        relative = np.linalg.slogdet(np.eye(p) + t * self.direction)[1].sum()
        self.t, self.log_determinant = t, self.start.log_determinant + relative
        power = self.power[0] + t * (self.power[1] + t * self.power[2])
        value = model.combine(self.sums, power, self.log_determinant)
        return value if np.isfinite(value) else np.inf

    def point(self):
        model, start = self.model, self.start
        W = start.x + self.t * self.move
        work, model._spare = model._spare, start.work
        if start.age + 1 == REFRESH:
            return model._refreshed(W, work)
        return model._point(W, self.sums, self.log_determinant, work, start.age + 1)
