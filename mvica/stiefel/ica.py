"""ICA under the constraint of white sources, by landing: on all samples or on batches."""

import warnings
from functools import partial

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from mvica.ica.densities import (
    Density,
    component_densities,
    initial_kinds,
    score_step_for,
    super_gaussianity,
)
from mvica.kernels.moments import second_moment
from mvica.optim.result import Result
from mvica.stiefel.deterministic import landing
from mvica.stiefel.fields import pair_scores
from mvica.stiefel.safe_step import batch_length, first_stochastic_step
from mvica.stiefel.stochastic import BatchField, fresh_batches, stochastic_landing

OMEGA = 1.0  # weight of the constraint: score functions of white sources are of order one
ROWS_PER_COMPONENT = 20  # rows of a default batch: more leave too few steps
SMALLEST_BATCH = 128
KIND_ROUNDS = 5  # fits with other kinds of components, at most
KIND_MEMORY = 0.9  # of the running super-Gaussianity of the batches
SAMPLING = 1.0  # gradient of stochastic solutions, in units of its sampling error


def default_batch_size(n_samples, n_components):
    """Rows of a batch: twenty for each component, at most a tenth of all.

    Examples
    --------
    >>> default_batch_size(100_000, 10), default_batch_size(1000, 3)
    (200, 100)
    """
    wanted = max(ROWS_PER_COMPONENT * n_components, SMALLEST_BATCH)
    return int(max(min(wanted, n_samples // 10), 2))


def deterministic_ica(Z, density, *, tol, max_iter, callback=None):
    """Landing on all samples, as accurate as asked for.

    Parameters
    ----------
    Z : ndarray of shape (p, n_samples)
        Centred signals of full rank.
    density : {"logcosh", "sub", "extended"} or Density
        Source density.
    tol : float
        Relative gradient and violation of the constraint at convergence.
    max_iter : int
        Most iterations.
    callback : callable or None
        ``callback(n_iter, objective, gradient_norm)``.

    Returns
    -------
    kinds : ndarray of bool, shape (p,)
        Components taken for sub-Gaussian.
    result : mvica.optim.result.Result
        Its `x`, of shape (1, p, p), is the unmixing: ``x[0] @ Z`` are white.
    """
    C = second_moment(Z)
    kinds, W, n_iter, history = initial_kinds(density, len(Z)), np.eye(len(Z)), 0, []
    for _ in range(KIND_ROUNDS if density == "extended" else 1):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # the estimator says so itself
            run = landing(
                partial(_objective, Z, density, kinds),
                C,
                W,
                tol=tol,
                max_iter=max_iter,
                callback=callback,
            )
        W, n_iter = run.x, n_iter + run.n_iter
        history.extend(run.history[:, 0] if not history else run.history[1:, 0])
        found = super_gaussianity(W.T.astype(Z.dtype) @ Z) < 0
        if density != "extended" or np.array_equal(found, kinds):
            break
        kinds = found
    W = whitened(W, C)
    value, gradient_norm = _judge(Z, density, kinds, W)
    history[-1] = value
    x = W.T[None]
    result = Result(x, value, gradient_norm, n_iter, run.converged, np.array(history), run.message)
    return kinds, result


def stochastic_ica(Z, density, *, n_epochs, batch_size, random_state, callback=None):
    """Landing on batches, a few passes over the samples.

    Parameters
    ----------
    Z : ndarray of shape (p, n_samples)
        Centred signals of full rank, white or not far from it.
    density : {"logcosh", "sub", "extended"} or Density
        Source density.
    n_epochs : int
        Passes.
    batch_size : int or None
        Rows of a batch. None takes `default_batch_size`.
    random_state : RandomState
        Draws the order of the samples.
    callback : callable or None
        ``callback(n_iter, objective, violation)`` after each batch, both on this batch.

    Returns
    -------
    kinds : ndarray of bool, shape (p,)
        Components taken for sub-Gaussian.
    result : mvica.optim.result.Result
        As of `deterministic_ica`. Converged means that the gradient on all samples is within its
        sampling error.
    """
    p, n = Z.shape
    r = min(batch_size or default_batch_size(n, p), n)
    rows = np.ascontiguousarray(Z.T)
    n_steps = n_epochs * (n // r)
    scores = BatchScores(density, p)
    batches = fresh_batches(n, r, n_epochs, random_state)

    def field(step, U):
        return batch_field(rows[next(batches)], U[0], scores)

    def report(state):
        if callback is not None:
            callback(state.n_steps, scores.objective(), scores.defect)

    state = stochastic_landing(
        field,
        [np.eye(p, dtype=Z.dtype)],
        [_identity],
        n_steps=n_steps,
        step0=first_stochastic_step(p, r),
        callback=report,
    )
    W = whitened(state.U[0].astype(np.float64), second_moment(Z))
    value, gradient_norm = _judge(Z, density, scores.kinds, W)
    converged = gradient_norm < SAMPLING / np.sqrt(n)
    history = np.array([_judge(Z, density, scores.kinds, np.eye(p))[0], value])
    message = "passes done" if converged else "gradient above its sampling error after the passes"
    result = Result(W.T[None], value, gradient_norm, n_steps, converged, history, message)
    return scores.kinds, result


class BatchScores:
    """Score functions of batches, with the kinds of the components where the data choose them.

    Parameters
    ----------
    density : {"logcosh", "sub", "extended"} or Density
        Source density.
    n_components : int
        Number of components.
    kappa : ndarray of shape (n_components,) or None, default=None
        Running super-Gaussianity to go on from.
    """

    def __init__(self, density, n_components, kappa=None):
        self.density, self.kappa = density, kappa
        self.kinds = initial_kinds(density, n_components) if kappa is None else kappa < 0
        self.sources, self.defect = None, np.nan

    def objective(self):
        """Mean minus log density of the last batch."""
        columns = zip(component_densities(self.density, self.kinds), self.sources.T, strict=True)
        return float(sum(density.value(column).mean() for density, column in columns))

    def __call__(self, a):
        """Score functions of a batch of sources (r, p)."""
        self.sources = a
        if isinstance(self.density, Density):
            return self.density.score(a)
        t = np.tanh(a)
        if self.density == "extended":
            self._learn_kinds(a, t)
        return np.where(self.kinds, a - t, t) if self.kinds.any() else t

    def _learn_kinds(self, a, t):
        seen = (1 - np.mean(t**2, axis=0)) * np.mean(a**2, axis=0) - np.mean(a * t, axis=0)
        past = seen if self.kappa is None else self.kappa
        self.kappa = KIND_MEMORY * past + (1 - KIND_MEMORY) * seen
        self.kinds = self.kappa < 0


def batch_field(x, U, scores):
    """Landing field of ICA on one batch.

    Parameters
    ----------
    x : ndarray of shape (r, d)
        Centred rows.
    U : ndarray of shape (d, p)
        Iterate: the sources are ``x U``.
    scores : BatchScores

    Returns
    -------
    field : mvica.stiefel.stochastic.BatchField
    """
    r = len(x)
    a = x @ U
    K, _, C = pair_scores(a, -scores(a), OMEGA)
    scores.defect = float(np.linalg.norm(C - np.eye(len(C))))
    return BatchField([x.T @ K / r], lambda F: batch_length(x @ F[0]), scores.defect)


def _identity(L):
    return L


def whitened(U, C):
    """Normalise an unmixing so that its sources are white, without mixing them.

    Parameters
    ----------
    U : ndarray of shape (d, p)
        Sources are ``U^T z``.
    C : ndarray of shape (d, d)
        Covariance of z.

    Returns
    -------
    U : ndarray of shape (d, p)
        ``U (U^T C U)^(-1/2)``, by the symmetric root.
    """
    values, vectors = np.linalg.eigh(U.T @ C @ U)
    return U @ (vectors / np.sqrt(values)) @ vectors.T


def _scored(Z, density, kinds, W):
    """Return sources ``W^T Z``, their scores and the mean of their minus log densities."""
    Y = W.T.astype(Z.dtype) @ Z
    out, psi, sums = score_step_for(Z, density, kinds)(
        Y, Y, 0.0, np.empty_like(Y), np.empty_like(Y)
    )
    return out, psi, float(sums[:, 0].sum())


def _objective(Z, density, kinds, W):
    _, psi, value = _scored(Z, density, kinds, W)
    return value, (Z @ psi.T).astype(np.float64) / Z.shape[1]


def _judge(Z, density, kinds, W):
    """Objective, and the largest entry of the relative gradient on the constraint."""
    Y, psi, value = _scored(Z, density, kinds, W)
    S = (psi @ Y.T).astype(np.float64) / Z.shape[1]
    return value, float(np.abs(S - S.T).max()) / 2
