"""MultiView ICA with delays and dilations: the loss as a function of unmixings and timing."""

from dataclasses import dataclass

import numpy as np

from mvica.ica.dilations_curvature import gauss_newton_blocks, inverse_blocks
from mvica.kernels import kernels_for

TINY = 1e-12  # share of the raw spread in time below which delay and dilation are one
EASIEST = 1e-3  # of the initial curvature of a timing: smaller ones count as that much
SOFT = 0.01  # square of the rounding of the envelope's corner, in noise variances
REFRESH = 20  # points for which the curvature blocks are kept
ROUNDING = 1e-8  # relative: the loss has kinks where positions and envelopes pass samples


@dataclass(frozen=True)
class Timing:
    """Free variables of the timing on a clock that cannot drift.

    With ``theta = box tanh(xi / (scale box))``, dilations are ``exp(theta_0)`` over their geometric
    mean over views, and delays are ``theta_1 - (d - 1) centroid`` less their mean over views:
    `theta_1` is the delay where the source has its energy, which decorrelates the two.

    Attributes
    ----------
    scale : ndarray of shape (2, m, q)
        Square roots of the initial curvatures; q is p, or 1 for a timing shared by components.
    centroid : ndarray of shape (1, q)
        Mean time of the energy of the sources' slopes, relative to the onset.
    box : ndarray of shape (2, 1, q)
        Bounds of theta; zero where there is no dilation, or no delay.
    """

    scale: np.ndarray
    centroid: np.ndarray
    box: np.ndarray

    def theta(self, xi):
        """Log dilations and centred delays, (2, m, q), and their derivatives by `xi`."""
        box = np.maximum(self.box, 1e-300)
        ratio = np.where(self.box > 0, np.tanh(xi / (self.scale * box)), 0.0)
        return self.box * ratio, np.where(self.box > 0, (1 - ratio**2) / self.scale, 0.0)

    def decode(self, xi):
        """Delays and dilations, (m, q) each."""
        (x, tc), _ = self.theta(xi)
        d = np.exp(x - x.mean(axis=0))
        if not np.any(self.box[1] > 0):
            return np.zeros(d.shape), d
        y = tc - (d - 1) * self.centroid
        return y - y.mean(axis=0), d

    def encode(self, delays, dilations):
        """Free variables of a timing, moved to the clock that these variables live on."""
        d = dilations / np.exp(np.log(dilations).mean(axis=0))
        tau = delays - d * delays.mean(axis=0) / d.mean(axis=0)
        theta = np.stack([np.log(d), tau + (d - 1) * self.centroid])
        box = np.maximum(self.box, 1e-300)
        inside = np.clip(theta / box, -0.999, 0.999)
        return np.where(self.box > 0, box * np.arctanh(inside) * self.scale, 0.0)

    def gradient(self, xi, d, g_tau, g_d):
        """Gradient by the free variables, (2, m, q), from that by delays and dilations (m, q)."""
        if np.any(self.box[1] > 0):
            g_tc = g_tau - g_tau.mean(axis=0)
            h = d * (g_d - self.centroid * g_tc)
        else:
            g_tc, h = np.zeros(g_tau.shape), d * g_d
        return np.stack([h - h.mean(axis=0), g_tc]) * self.theta(xi)[1]


@dataclass(frozen=True)
class TimedPoint:
    """One point of the objective.

    `x` is the pair (W, xi); `gradient` the relative gradient of W and that of xi, flat; `k`, `q`
    and `sums` are those of `mvica.ica.objective.Iterate`; `curvature` (2, m, q) that of xi.
    """

    x: tuple
    value: float
    gradient: np.ndarray
    k: np.ndarray
    q: np.ndarray
    sums: np.ndarray
    curvature: np.ndarray


class DilationsObjective:
    """Loss of MVICAD2 and its gradient in closed form, a model of `mvica.optim.lbfgs.minimize`.

    Parameters
    ----------
    Z : ndarray of shape (m * p, n_samples)
        Reduced views, float64, smoothed.
    n_views : int
        m.
    clock : Clock
        How warps act.
    timing : Timing or None
        Free variables; None where only `evaluate` is called.
    shared : bool
        One timing a view.
    noise : float
        Noise variance.
    envelope : int
        Odd width of the envelopes' box in samples; 0 for no envelope term.
    """

    rounding = ROUNDING

    def __init__(self, Z, n_views, clock, timing, *, shared, noise, envelope):
        m, p, n = n_views, len(Z) // n_views, Z.shape[1]
        self.Z, self.m, self.p, self.n = Z.reshape(m, p, n), m, p, n
        self.clock, self.timing, self.shared, self.noise = clock, timing, shared, noise
        self._terms = 2 if envelope else 1  # an envelope is nearly as curved as its source
        self.half, self.soft = (envelope // 2 if envelope else -1), SOFT * noise
        self._S, self._Y, self._D, self._gS = (np.empty((m, p, n)) for _ in range(4))
        self._E = np.empty((m, p, n) if envelope else (1, 1, 1))
        self._Yb, self._Eb, self._psi, self._spare = np.empty((4, p, n))
        self._kinds = np.zeros(p, dtype=bool)
        self._seen, self._age, self._damping = None, -1, None
        self.window = np.ones((p, n))

    # ---- what the solver calls ---------------------------------------------------------------

    def start(self, W, delays, dilations):
        """Point at these unmixings (m, p, p) and this timing (m, q)."""
        return self._point_at(W, self.timing.encode(delays, dilations))

    def precondition(self, point, vector, damping):
        """Inverse curvature: of the mean over views of all steps, and of each source's deviations.

        All views moving together leave the squares alone; what a source does apart from the mean
        is least squares, in which its unmixing and its timing may stand in for each other.
        """
        from mvica.kernels.pairs_numba import precondition

        m, p = self.m, self.p
        size = m * p**2
        G, g = vector[:size].reshape(m, p, p), vector[size:].reshape(2, m, -1)
        _, slope, slope_square, power = np.ascontiguousarray(point.sums.T)
        mean = np.broadcast_to(G.mean(axis=0), G.shape).copy()
        noise = self.noise / self._terms
        D = precondition(mean, point.k, point.q, slope, slope_square, power, noise, damping)
        rest = np.zeros((m, p, p + 2))
        rest[..., :p] = G - G.mean(axis=0)
        if not self.shared:
            rest[..., p:] = g.transpose(1, 2, 0)
        rest = (self._inverse(point, damping) @ rest[..., None])[..., 0]
        rows = D.mean(axis=0) + rest[..., :p] - rest[..., :p].mean(axis=0)
        timing = rest[..., p:].transpose(2, 0, 1)
        if self.shared:
            timing = g / (np.maximum(point.curvature, EASIEST) * (1 + damping))
        return np.concatenate([rows.ravel(), timing.ravel()])

    def _inverse(self, point, damping):
        """Inverse blocks of `gauss_newton_blocks`, anew every few points."""
        if point is not self._seen:
            self._seen, self._age = point, self._age + 1
            if self._age % REFRESH == 0:
                timing = self._full(*self.timing.decode(point.x[1]))
                rates = np.broadcast_to(self.timing.theta(point.x[1])[1], (2, self.m, self.p))
                centroid = np.broadcast_to(self.timing.centroid[0], self.p)
                self._blocks = gauss_newton_blocks(
                    point.x[0] @ self.Z, timing, self.clock, self.window, centroid, rates
                )
                self._damping = None
        if damping != self._damping:
            self._damping, weight = damping, self._terms / self.noise
            self._inverses = inverse_blocks(self._blocks, weight, damping, EASIEST)
        return self._inverses

    def line(self, point, direction):
        """Objective along one direction: W moves by ``t D W``, xi by t times its part."""
        return _Line(self, point, direction)

    # ---- values and gradients ----------------------------------------------------------------

    def value(self, W, delays, dilations):
        """Loss; leaves the aligned sources in the work arrays."""
        from mvica.kernels import warp_numba

        np.matmul(W, self.Z, out=self._S)
        self._grid = (*self._full(delays, dilations), *self.clock.grid, self.half, self.soft)
        arrays = (self._Y, self._D, self._E, self._Yb, self._Eb)
        warp_numba.align(self._S, *self._grid, *arrays)
        step = kernels_for(self._Yb).score_step
        _, _, self._sums = step(self._Yb, self._Yb, 0.0, self._kinds, self._spare, self._psi)
        self._residual = warp_numba.spread(self._Y, self._Yb, self.window)
        if self.half >= 0:
            self._residual += warp_numba.spread(self._E, self._Eb, self.window)
        determinants = np.linalg.slogdet(W)[1].sum()
        value = self._sums[:, 0].sum() + self._residual / (2 * self.noise * self.n) - determinants
        return value if np.isfinite(value) else np.inf

    def gradients(self):
        """Relative gradient (m, p, p), and sums over time (m, p, 7), where `value` was called."""
        from mvica.kernels import warp_numba

        slopes = np.empty((self.m, self.p, 7))
        arrays = (self._Y, self._D, self._E, self._Yb, self._Eb, self._psi)
        warp_numba.pull_back(*arrays, *self._grid, float(self.noise), self.window, self._gS, slopes)
        slopes /= self.n
        G = self._gS @ self._S.mT / self.n
        G[:, range(self.p), range(self.p)] -= 1.0
        return G, slopes

    def curvatures(self, slopes):
        """Curvatures A0, A1, A2 of the timing: of tau, of tau with d, and of d, (m, q) each."""
        A = (1 - 1 / self.m) * self._terms / self.noise * slopes[:, :, 2:5]
        if self.shared:
            A = A.sum(axis=1, keepdims=True)
        return A.transpose(2, 0, 1)

    def aligned(self):
        """Aligned sources (m, p, n) and their mean (p, n) where `value` was called last."""
        return self._Y, self._Yb

    def scales(self):
        """Factors (p,) of all views' rows that nearly minimise the loss, where `value` was called.

        Roots of a quadratic: log cosh y is taken for abs(y).
        """
        spread = np.sum((self._Y - self._Yb) ** 2 * self.window, axis=(0, 2))
        if self.half >= 0:
            spread += np.sum((self._E - self._Eb) ** 2 * self.window, axis=(0, 2))
        q = np.maximum(spread / (self.noise * self.n), 1e-300)
        b = np.abs(self._Yb).mean(axis=1)
        return 2 * self.m / (b + np.sqrt(b**2 + 4 * q * self.m))

    def _full(self, delays, dilations):
        shape = (self.m, self.p)
        return tuple(
            np.ascontiguousarray(np.broadcast_to(a, shape), dtype=np.float64)
            for a in (delays, dilations)
        )

    def _point_at(self, W, xi):
        self.value(W, *self.timing.decode(xi))
        return self._point(W, xi)

    def _point(self, W, xi):
        """Point where `value` was called last."""
        G, slopes = self.gradients()
        _, d = self.timing.decode(xi)
        g_tau, g_d = slopes[:, :, 0], slopes[:, :, 1]
        if self.shared:
            g_tau, g_d = (g.sum(axis=1, keepdims=True) for g in (g_tau, g_d))
        A0, A1, A2 = self.curvatures(slopes)
        jacobian = self.timing.theta(xi)[1]
        spread = d**2 * np.maximum(A2 - A1**2 / np.maximum(A0, 1e-300), TINY * A2)
        value = self._sums[:, 0].sum() + self._residual / (2 * self.noise * self.n)
        value -= np.linalg.slogdet(W)[1].sum()
        return TimedPoint(
            x=(W, xi),
            value=float(value),
            gradient=np.concatenate([G.ravel(), self.timing.gradient(xi, d, g_tau, g_d).ravel()]),
            k=np.ascontiguousarray(slopes[:, :, 5]),
            q=np.ascontiguousarray(slopes[:, :, 6]),
            sums=self._sums,
            curvature=np.stack([spread, A0]) * jacobian**2,
        )


class _Line:
    """The objective along one direction."""

    def __init__(self, model, point, direction):
        self.model, (self.W, self.xi) = model, point.x
        size = model.m * model.p**2
        self.move = direction[:size].reshape(self.W.shape) @ self.W
        self.turn = direction[size:].reshape(self.xi.shape)

    def value(self, t):
        self.at = self.W + t * self.move, self.xi + t * self.turn
        return self.model.value(self.at[0], *self.model.timing.decode(self.at[1]))

    def point(self):
        return self.model._point(*self.at)


def timing_for(objective, W, delays, dilations, *, max_delay, max_dilation):
    """Free variables scaled by the curvature at a point, in a box of twice the bounds."""
    objective.value(W, delays, dilations)
    _, slopes = objective.gradients()
    A0, A1, A2 = objective.curvatures(slopes)
    A0 = np.maximum(A0, 1e-12 * A0.max())
    spread = np.maximum(A2 - A1**2 / A0, np.maximum(TINY * A2, 1e-12 * A2.max()))
    centroid = np.mean(A1 / A0, axis=0, keepdims=True)
    if max_delay == 0:
        centroid = np.zeros_like(centroid)
    log_box = np.full_like(centroid, 2 * np.log(max_dilation))
    delay_box = 2 * max_delay + (max_dilation**2 - 1) * np.abs(centroid)
    box = np.stack([log_box, delay_box if max_delay > 0 else 0 * centroid])
    return Timing(np.sqrt(np.stack([spread, A0])), centroid, box)
