"""ICA of data that arrive: a start from the first rows, then landing steps on batches."""

from dataclasses import dataclass, replace

import numpy as np

from mvica.stiefel.ica import BatchScores, batch_field, whitened
from mvica.stiefel.safe_step import first_stochastic_step
from mvica.stiefel.stochastic import LandingState, advance, open_decay, start_landing

ROWS_PER_FEATURE = 40  # rows of the start for each feature
ROWS_PER_COMPONENT, SMALLEST_BATCH = 10, 128  # rows of a step: fewer than in `fit`, with its passes
FORGET = 0.99  # weight of the past in the running covariance, at each batch


@dataclass(frozen=True)
class IcaStream:
    """What a stream has taught: everything that is needed to go on.

    The steps are taken in the coordinates of the start, where the sources were white.

    Attributes
    ----------
    n_samples : int
        Rows that were learned from.
    means : list of ndarray of shape (n_features_v,)
        Running mean of each view.
    components : list of ndarray of shape (n_components, n_features_v)
        Unmixings of the start.
    mixing : list of ndarray of shape (n_features_v, n_components)
        Mixings of the start.
    landing : LandingState
        Iterate (p, p) in the coordinates of the start, and the step.
    moment : ndarray of shape (p, p)
        Running covariance of these coordinates.
    kappa : ndarray of shape (p,) or None
        Running super-Gaussianity, where the data choose the densities.
    batch_size : int
        Rows of a step.
    waiting : list of ndarray of shape (n_waiting, n_features_v)
        Rows that wait for a batch to be full.
    """

    n_samples: int
    means: list
    components: list
    mixing: list
    landing: LandingState
    moment: np.ndarray
    kappa: np.ndarray | None
    batch_size: int
    waiting: list

    def learned(self, views, density):
        """Return the stream after more rows.

        Parameters
        ----------
        views : list of ndarray of shape (n_rows, n_features_v)
            Validated rows.
        density : {"logcosh", "sub", "extended"} or Density
            Source density.

        Returns
        -------
        stream : IcaStream
        """
        rows = [np.concatenate(pair) for pair in zip(self.waiting, views, strict=True)]
        stream, size = self, self.batch_size
        whole = len(rows[0]) - len(rows[0]) % size
        for start in range(0, whole, size):
            stream = stream._stepped([X[start : start + size] for X in rows], density)
        return replace(stream, waiting=[X[whole:].copy() for X in rows])

    def unmixing(self):
        """Unmixing (p, p) of the present, from the coordinates of the start."""
        return whitened(self.landing.U[0], self.moment).T

    def _stepped(self, views, density):
        r, n = len(views[0]), self.n_samples + len(views[0])
        pairs = zip(self.means, views, strict=True)
        means = [mean + (X.mean(axis=0) - mean) * (r / n) for mean, X in pairs]
        parts = zip(views, means, self.components, strict=True)
        z = sum((X - mean) @ W.T for X, mean, W in parts) / len(views)
        scores = BatchScores(density, z.shape[1], self.kappa)
        field = batch_field(z, self.landing.U[0], scores)
        decay = open_decay(self.landing.n_steps)
        return replace(
            self,
            n_samples=n,
            means=means,
            landing=advance(self.landing, field, [np.copy], decay),
            moment=FORGET * self.moment + (1 - FORGET) * (z.T @ z / r),
            kappa=scores.kappa,
        )


def rows_to_start(view_sizes):
    """Rows that are kept and fitted at once before the steps begin."""
    return ROWS_PER_FEATURE * sum(view_sizes)


def start_ica_stream(model, n_samples, batch_size):
    """Stream that goes on from a fitted model.

    Parameters
    ----------
    model : estimator
        With ``components_``, ``mixing_`` and ``mean_``; its sources are white.
    n_samples : int
        Rows that it was fitted on.
    batch_size : int or None
        Rows of a step. None takes ten for each component, at least 128.

    Returns
    -------
    stream : IcaStream
    """
    p = len(model.components_[0])
    size = batch_size or max(ROWS_PER_COMPONENT * p, SMALLEST_BATCH)
    return IcaStream(
        n_samples=n_samples,
        means=[mean.astype(np.float64) for mean in model.mean_],
        components=list(model.components_),
        mixing=list(model.mixing_),
        landing=start_landing([np.eye(p)], first_stochastic_step(p, size)),
        moment=np.eye(p),
        kappa=None,
        batch_size=size,
        waiting=[np.empty((0, len(mean))) for mean in model.mean_],
    )
