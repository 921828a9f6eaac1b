"""CCA of data that arrive: landing steps on batches, and a state that can be kept."""

from dataclasses import dataclass, replace

import numpy as np

from mvica.stiefel.cca_direct import feature_scales
from mvica.stiefel.cca_landing import (
    PER_COMPONENT,
    SMALLEST_BATCH,
    batch_field,
    canonical_rotation,
)
from mvica.stiefel.cca_problem import Solution
from mvica.stiefel.cca_rows import CenteredRows, FeatureStatistics
from mvica.stiefel.preconditioner import (
    CholeskyInverse,
    SpectralInverse,
    inverse_of,
    leading_directions,
)
from mvica.stiefel.safe_step import first_stochastic_step
from mvica.stiefel.stochastic import LandingState, advance, open_decay, start_landing
from mvica.stiefel.streams import ArrayRows

SAMPLE_FACTOR = 8  # rows for each feature that the preconditioner is made of
FORGET = 0.99  # weight of the past in the running moments, at each batch


@dataclass(frozen=True)
class LandingStream:
    """What a stream has taught: everything that is needed to go on.

    Attributes
    ----------
    n_samples : int
        Rows that were learned from.
    means, scales : list of ndarray of shape (n_features_v,)
        Running mean and fixed factor of each feature.
    ridges : list of float
        Of the constraint matrices.
    inverses : list of CholeskyInverse or SpectralInverse
        Preconditioners, made of the first rows.
    landing : LandingState
        Iterates and step.
    batch_size : int
        Rows of a step.
    waiting : list of ndarray of shape (n_waiting, n_features_v)
        Rows that wait for a batch to be full.
    moments : list of ndarray of shape (q, q)
        Running moments of the scores: of each view, and of both.
    images : list of ndarray of shape (n_features_v, q)
        Running covariances of the features with their scores.
    """

    n_samples: int
    means: list
    scales: list
    ridges: list
    inverses: list[CholeskyInverse | SpectralInverse]
    landing: LandingState
    batch_size: int
    waiting: list
    moments: list
    images: list

    def learned(self, views, schedule=open_decay):
        """Return the stream after more rows.

        Parameters
        ----------
        views : list of ndarray of shape (n_rows, n_features_v)
            Validated rows.
        schedule : callable, default=open_decay
            ``schedule(step)`` is the factor of a step.

        Returns
        -------
        stream : LandingStream
        """
        pairs = zip(self.waiting, views, strict=True)
        rows = [np.concatenate([old, new]) if len(old) else new for old, new in pairs]
        stream, size = self, self.batch_size
        whole = len(rows[0]) - len(rows[0]) % size
        for start in range(0, whole, size):
            stream = stream._stepped([X[start : start + size] for X in rows], schedule)
        return replace(stream, waiting=[X[whole:].copy() for X in rows])

    def solution(self, n_components):
        """Ordered directions of the present, from the running moments.

        Parameters
        ----------
        n_components : int
            Number of them.

        Returns
        -------
        solution : mvica.stiefel.cca_problem.Solution
        """
        U = [W.astype(np.float64) for W in self.landing.U]
        turned, values, _ = canonical_rotation(U, self.moments, self.ridges)
        # Images and moments turn as the directions do.
        turns = [np.linalg.lstsq(W, T)[0][:, :n_components] for W, T in zip(U, turned, strict=True)]
        first, second = turns
        cross = first.T @ self.moments[2] @ second
        own = [T.T @ C @ T for T, C in zip(turns, self.moments, strict=False)]
        return Solution(
            self.means,
            self.scales,
            [T[:, :n_components] for T in turned],
            [image @ T for image, T in zip(self.images, turns, strict=True)],
            np.array([[own[0], cross], [cross.T, own[1]]]),
            values[:n_components],
            None,
            np.array(self.ridges, dtype=np.float64),
            np.array([inverse.n_directions for inverse in self.inverses]),
            "landing",
            max(self.landing.n_steps, 1),
        )

    def _stepped(self, views, schedule):
        n = self.n_samples + len(views[0])
        means = [
            mean + (X.mean(axis=0, dtype=np.float64) - mean) * (len(X) / n)
            for mean, X in zip(self.means, views, strict=True)
        ]
        batch = _centered(views, means, self.scales, self.ridges)
        maps = batch.source.maps(self.landing.U)
        a, b = (score.astype(np.float64) for score in batch.scores(maps))
        field = batch_field(batch, self.landing.U)
        landing = advance(self.landing, field, self.inverses, schedule(self.landing.n_steps))
        fresh = [a.T @ a / len(a), b.T @ b / len(a), a.T @ b / len(a)]
        # The mean of the first hundred batches; the sample would overrate its own directions.
        weight = max(1 / (1 + self.landing.n_steps), 1 - FORGET)
        return replace(
            self,
            n_samples=n,
            means=means,
            landing=landing,
            moments=_faded(self.moments, fresh, weight),
            images=_faded(self.images, batch.back([a, b]), weight),
        )


def start_stream(covariance, ridges, n_vectors, batch_size, rng, *, scale=False):
    """Preconditioners and a start from the covariance of the first rows.

    Parameters
    ----------
    covariance : JointCovariance
        Of the first rows of two views.
    ridges : list of float
        Of the constraint matrices.
    n_vectors : int
        Columns of the iterate.
    batch_size : int or None
        Rows of a step; None takes twice the features of the wider view, at least 256.
    rng : RandomState
        Starts the randomized SVD.
    scale : bool, default=False
        Apply the ridges to features of unit variance.

    Returns
    -------
    stream : LandingStream
    """
    n, dtype, means = covariance.n_samples, covariance.dtype, covariance.means()
    scales = [
        feature_scales(variance, mean, n, dtype, standardize=scale or ridge == 0)
        for variance, mean, ridge in zip(covariance.variances(), means, ridges, strict=True)
    ]
    own = [covariance.covariance(v, v) * np.outer(scales[v], scales[v]) for v in (0, 1)]
    cross = covariance.covariance(0, 1) * np.outer(*scales)
    inverses = [inverse_of(C, ridge, n, dtype) for C, ridge in zip(own, ridges, strict=True)]
    U = leading_directions(inverses, cross, n_vectors, rng)
    dimension = max(inverse.dimension for inverse in inverses)
    widest = max(2 * max(covariance.sizes), PER_COMPONENT * U[0].shape[1], SMALLEST_BATCH)
    size = batch_size or widest
    return LandingStream(
        n,
        means,
        scales,
        list(ridges),
        inverses,
        start_landing([W.astype(dtype) for W in U], first_stochastic_step(dimension, size)),
        size,
        [np.zeros((0, width), dtype) for width in covariance.sizes],
        [U[0].T @ own[0] @ U[0], U[1].T @ own[1] @ U[1], U[0].T @ cross @ U[1]],
        [C @ W for C, W in zip(own, U, strict=True)],
    )


def enough_rows(covariance):
    """Say whether the first rows are enough to make preconditioners of."""
    return covariance.n_samples >= SAMPLE_FACTOR * max(covariance.sizes)


def _centered(views, means, scales, ridges):
    variances = [X.var(axis=0, dtype=np.float64) for X in views]
    statistics = FeatureStatistics(len(views[0]), means, variances)
    return CenteredRows(ArrayRows(views), statistics, scales, ridges).batch(views)


def _faded(past, fresh, weight):
    return [(1 - weight) * old + weight * new for old, new in zip(past, fresh, strict=True)]
