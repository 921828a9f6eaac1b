"""The MultiView ICA likelihood on stacked views: value, relative gradient, curvature and line."""

from dataclasses import dataclass

import numpy as np

from mvica.ica.stacked import by_view, side_by_side

REFRESH = 20  # steps after which the shared sources are computed anew, to remove rounding drift
SCALE_ROUNDS = 10
SCALE_TOL = 1e-2  # relative: the solver refines the scales anyway
LOWEST_EIGENVALUE = 1e-3  # of the curvature blocks of a view that moves alone


@dataclass(frozen=True)
class Iterate:
    """One point of the objective and the statistics of its curvature.

    ``k[v, b] = E[y_vb^2]``, ``q[v, b] = E[ybar_b y_vb]``; ``sums[a]`` holds the means of f, psi',
    psi' ybar^2 and ybar^2 of component a; `work` (2p, n) holds psi in its first p rows (scratch)
    and ybar in the others.
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

    ``E sum_a f(ybar_a) + sum_v E|y_v - ybar|^2 / (2 noise) - sum_v log|det W_v|``. The quadratic
    term and its derivatives come from covariances; samples enter through ybar and psi alone, one
    product each.

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

    def rescale(self, W):
        """Scale the rows of all `W_v` alike to where the objective is least: no product per round.

        Newton's method on the logarithms of the p scales, which do not interact.
        """
        m, p = self.m, self.p
        work = self._spare
        Y = self.shared(W, np.empty_like(self._direction))
        power = self.views.powers(W).sum(axis=0)
        spread = np.maximum(power - m * np.einsum("an,an->a", Y, Y) / Y.shape[1], 0) / self.noise
        log_scale = np.zeros(p)
        for _ in range(SCALE_ROUNDS):
            scale = np.exp(log_scale)
            scaled = np.multiply(Y, scale[:, None].astype(Y.dtype), out=self._direction)
            _, psi, sums = self.score_step(scaled, scaled, 0.0, work[p:], work[:p])
            pull = np.einsum("an,an->a", psi, scaled) / Y.shape[1]
            gradient = pull + scale**2 * spread - m
            curvature = sums[:, 2] + pull + 2 * scale**2 * spread
            step = np.clip(gradient / np.maximum(curvature, 1e-3 * m), -1, 1)
            log_scale -= step
            if np.abs(step).max() < SCALE_TOL:
                break
        return W * np.exp(log_scale)[:, None]

    def precondition(self, point, vector, damping):
        """Inverse of the joint curvature, see `mvica.kernels.pairs_numba.precondition`."""
        from mvica.kernels.pairs_numba import precondition

        _, slope, slope_square, power = point.sums.T
        sums = np.ascontiguousarray(slope), np.ascontiguousarray(slope_square)
        return precondition(
            vector, point.k, point.q, *sums, np.ascontiguousarray(power), self.noise, damping
        )

    def line(self, point, direction):
        """Objective along ``W_v + t D_v W_v``: one product here, none per trial."""
        return _Line(self, point, direction)

    def linear(self, W, out):
        """Mean over views of ``W_v z_v``, written into `out` (p, n)."""
        return self.views.mix(side_by_side(W) / self.m, out=out)

    def shared(self, W, out):
        """Shared sources at W, written into `out` (p, n)."""
        return self.linear(W, out)

    def quadratic(self, W, move):
        """Coefficients in t of the quadratic term at ``W + t move``, apart from that of ybar."""
        moved = move @ self.views.covariances
        still = W @ self.views.covariances
        powers = np.vdot(still, W) / 2, np.vdot(moved, W), np.vdot(moved, move) / 2
        return [power / self.noise for power in powers]

    def combine(self, sums, quadratic, log_determinant):
        """Objective from its parts."""
        shared_power = self.m / (2 * self.noise) * sums[:, 3].sum()
        return sums[:, 0].sum() + quadratic - shared_power - log_determinant

    def _refreshed(self, W, work):
        shared = self.shared(W, work[self.p :])
        _, _, sums = self.score_step(shared, shared, 0.0, shared, work[: self.p])
        quadratic = self.quadratic(W, W)[0]
        return self._point(W, sums, quadratic, np.linalg.slogdet(W)[1].sum(), work, 0)

    def _moments_with_sources(self, W, work):
        """``E[z_v psi^T]`` and ``E[z_v ybar^T]``, both (m, p, p): the products over samples."""
        if self.views.moment is None:
            T, Q = np.split(self.views.correlate(work), 2, axis=1)
        else:
            T = self.views.correlate(work[: self.p])
            Q = self.views.correlate_mixture(side_by_side(W) / self.m)
        return by_view(T, self.m), by_view(Q, self.m)

    def _point(self, W, sums, quadratic, log_determinant, work, age):
        T, Q = self._moments_with_sources(W, work)
        CW = self.views.covariances @ W.mT
        k = (W * CW.mT).sum(axis=2)
        q = (W * Q.mT).sum(axis=2)
        gradient = (T / self.m + (CW - Q) / self.noise).mT @ W.mT
        gradient[:, range(self.p), range(self.p)] -= 1.0
        value = self.combine(sums, quadratic, log_determinant)
        return Iterate(W, value, gradient, k, q, sums, log_determinant, work, age)


class OneViewObjective(MultiViewObjective):
    """The same objective as a function of one view's unmixing, the other views fixed.

    ``E f(share y + B) + (1 - share)/(2 noise) E|y|^2 - E[y B] / noise - log|det W|``, where B is
    the other views' part of the shared sources.

    Parameters
    ----------
    views : StackedViews
        One view.
    others : ndarray of shape (p, n_samples)
        The other views' part B of the shared sources.
    share : float
        Weight of this view in the shared sources: one over the number of views.
    noise, score_step
        As in `MultiViewObjective`.
    """

    def __init__(self, views, others, share, noise, score_step):
        super().__init__(views, noise, score_step)
        self.others, self.share = others, share
        self.correlation = views.correlate(others)[None]

    def precondition(self, point, vector, damping):
        """Inverse of the two by two blocks of pairs of components."""
        curvature = self.share**2 * point.sums[:, 1] + (1 - self.share) / self.noise
        h = curvature[:, None] * point.k[0]
        lowest = (h + h.T - np.sqrt((h - h.T) ** 2 + 4)) / 2
        h += np.maximum(max(LOWEST_EIGENVALUE, damping) - lowest, 0)
        G = vector[0]
        D = (h.T * G - G.T) / (h * h.T - 1)
        radial = self.share**2 * point.sums[:, 2] * point.k[0] / point.sums[:, 3]
        own = 1 + (1 - self.share) / self.noise * point.k[0] + radial
        np.fill_diagonal(D, np.diag(G) / own)
        return D[None]

    def linear(self, W, out):
        """Share of this view in the shared sources."""
        return self.views.mix(self.share * W[0], out=out)

    def shared(self, W, out):
        """Shared sources, the fixed views included."""
        self.linear(W, out)
        out += self.others
        return out

    def quadratic(self, W, move):
        """Coefficients in t of the quadratic term, the products with the other views included."""
        own = [(1 - self.share) * c for c in super().quadratic(W, move)]
        cross = np.vdot(self.correlation.mT, W), np.vdot(self.correlation.mT, move), 0.0
        return [a - b / self.noise for a, b in zip(own, cross, strict=True)]

    def combine(self, sums, quadratic, log_determinant):
        """Objective from its parts."""
        return sums[:, 0].sum() + quadratic - log_determinant

    def _point(self, W, sums, quadratic, log_determinant, work, age):
        T = self.views.correlate(work[: self.p])[None]
        CW = self.views.covariances @ W.mT
        pull = ((1 - self.share) * CW - self.correlation) / self.noise
        gradient = (self.share * T + pull).mT @ W.mT
        gradient[:, range(self.p), range(self.p)] -= 1.0
        k = (W * CW.mT).sum(axis=2)
        value = self.combine(sums, quadratic, log_determinant)
        return Iterate(W, value, gradient, k, k, sums, log_determinant, work, age)


class _Line:
    """An objective along one relative direction, free of products over samples per trial."""

    def __init__(self, model, point, direction):
        self.model, self.start, self.direction = model, point, direction
        self.move = direction @ point.x
        model.linear(self.move, model._direction)
        self.coefficients = model.quadratic(point.x, self.move)
        self.identity = np.eye(model.p)

    def value(self, t):
        model, p = self.model, self.model.p
        ybar, work = self.start.work[p:], model._spare
        _, _, self.sums = model.score_step(ybar, model._direction, t, work[p:], work[:p])
        relative = np.linalg.slogdet(self.identity + t * self.direction)[1].sum()
        self.t, self.log_determinant = t, self.start.log_determinant + relative
        constant, slope, curvature = self.coefficients
        self.quadratic = constant + t * (slope + t * curvature)
        value = model.combine(self.sums, self.quadratic, self.log_determinant)
        return value if np.isfinite(value) else np.inf

    def point(self):
        model, start = self.model, self.start
        W = start.x + self.t * self.move
        work, model._spare = model._spare, start.work
        if start.age + 1 == REFRESH:
            return model._refreshed(W, work)
        return model._point(W, self.sums, self.quadratic, self.log_determinant, work, start.age + 1)
