"""Delays of fractions of a sample, by Fourier shifts: no interpolation, no loss of power."""

from dataclasses import replace

import numpy as np

from mvica.ica.delays_views import DelayedViews, by_columns
from mvica.ica.densities import initial_kinds
from mvica.ica.joint import solve_joint
from mvica.ica.stacked import StackedViews

ROUNDS = 60
PACE = 4  # rounds between extrapolations
FARTHEST = 0.97  # ratio of steps that an extrapolation counts on at most
STILL = 1e-3  # samples: no delay moves more in the last round


class FractionalViews(DelayedViews):
    """`DelayedViews` with real delays, applied to the Fourier transforms of the epochs.

    Circular Fourier shifts preserve products in time like whole ones, apart from the Nyquist bin
    of even epochs, which keeps its real part.
    """

    def __init__(self, Z, delays, epochs):
        StackedViews.__init__(self, Z, len(delays))
        self.delays, self.epochs = np.asarray(delays, dtype=np.float64), epochs

    def delayed(self, delays):
        """Return the same views with other delays, sharing what does not depend on them."""
        other = FractionalViews(self.Z, delays, self.epochs)
        other.covariances = self.covariances
        return other

    def sources(self, W):
        """Return the sources of every view in its own time, (m, p, n_samples)."""
        return np.asarray(W, dtype=self.Z.dtype) @ self._blocks

    def aligned(self, W):
        """Return the sources of every view in the shared time, (m, p, n_samples)."""
        return shift(self.sources(W), self.delays, self.epochs)

    def mix(self, B, out=None):
        """Sum over views of the aligned sources ``B_v z_v``, (p, n_samples)."""
        return np.sum(self.aligned(by_columns(B, self.n_views)), axis=0, out=out)

    def correlate(self, S):
        """``Z S^T / n`` in float64, (m p, k), the signals `S` (k, n) taken to each view's time."""
        repeats = len(S) // self.n_components
        own = np.broadcast_to(S, (self.n_views, *S.shape))
        own = shift(own, -np.tile(self.delays, (1, repeats)), self.epochs)
        products = self._blocks.astype(np.float64, copy=False) @ own.astype(np.float64).mT
        return products.reshape(len(self.Z), len(S)) / self.n_samples


def shift(S, delays, epochs, derivatives=False):
    """Read sources (m, k, n_samples) `delays` (m, k) samples later, circular in every epoch.

    With `derivatives`, also the first derivative by the delay.
    """
    out = np.empty_like(S)
    slope = np.empty_like(S) if derivatives else None
    for n, index in epochs.by_length():
        angle = 2j * np.pi * np.fft.rfftfreq(n)
        turned = np.fft.rfft(S[..., index]) * np.exp(angle * delays[..., None])[..., None, :]
        out[..., index] = np.fft.irfft(turned, n)
        if derivatives:
            slope[..., index] = np.fft.irfft(turned * angle, n)
    return (out, slope) if derivatives else out


def refine_delays(views, W, *, shared, noise, tol, tol_decrease, max_iter):
    """Newton steps on fractional delays and the joint solver in turn, from a fit of whole delays.

    Returns
    -------
    delays : ndarray of float, shape (m, p)
    W : ndarray of shape (m, p, p)
    result : mvica.optim.result.Result
    """
    kinds = initial_kinds("logcosh", views.n_components)
    views = FractionalViews(views.Z, views.delays, views.epochs)
    n_iter, history = 0, []
    last = None
    for number in range(ROUNDS):
        step = newton_delays(views, W, shared, noise) - views.delays
        moved = np.abs(step).max()
        if number % PACE == PACE - 1:
            step, last = _extrapolated(step, last), None
        else:
            last = step
        delays = views.delays + step
        views = views.delayed(delays)
        limits = {"tol": tol, "tol_decrease": tol_decrease, "max_iter": max_iter - n_iter}
        _, result = solve_joint(views, W, "logcosh", kinds, noise=noise, **limits)
        W, n_iter = result.x, n_iter + result.n_iter
        history.append(result.history[1:] if history else result.history)
        if moved < STILL or n_iter >= max_iter or not result.converged:
            break
    converged = result.converged and moved < STILL
    history = np.concatenate(history)
    return delays, W, replace(result, n_iter=n_iter, history=history, converged=converged)


def _extrapolated(step, last):
    """Step to where steps of a constant ratio would end, as turns of delays and W crawl."""
    ratio = np.vdot(step, last) / max(np.vdot(last, last), 1e-300)
    return step / (1 - np.clip(ratio, 0.0, FARTHEST))


def newton_delays(views, W, shared, noise):
    """One damped Gauss-Newton step of all delays towards the mean of the aligned sources."""
    Y, D = shift(views.sources(W).astype(np.float64), views.delays, views.epochs, True)
    m, n = len(Y), views.n_samples
    mean = Y.mean(axis=0)
    g = np.sum((np.tanh(mean) / m + (Y - mean) / noise) * D, axis=2) / n
    h = (1 - 1 / m) / noise * np.sum(D**2, axis=2) / n
    if shared:
        g, h = (np.broadcast_to(a.sum(axis=1, keepdims=True), a.shape) for a in (g, h))
    step = np.clip(g / h, -0.5, 0.5)
    return views.delays - (step - step.mean(axis=0))
