"""Components found twice: in two halves of the samples, or in two halves of the views."""

import numpy as np

from mvica.metrics import match_sources
from mvica.reduction.chance import distinct_shifts

BLOCKS = 10  # of the samples, dealt to the two halves
NULL_SHIFTS = 99


def matched_correlations(S, T):
    """Absolute correlations (p,) of sources (n, p) matched one by one, decreasing."""
    return np.sort(match_sources(S, T).correlations)[::-1]


def halves_of_samples(n_samples, rng):
    """Deal blocks of neighbouring samples to two halves; rows increase in both."""
    deal = rng.permutation(BLOCKS)
    cuts = np.array_split(np.arange(n_samples), BLOCKS)
    first, second = (np.sort(deal[: BLOCKS // 2]), np.sort(deal[BLOCKS // 2 :]))
    return tuple(np.concatenate([cuts[k] for k in half]) for half in (first, second))


def halves_of_views(n_views, rng):
    """Deal the views to two halves; of an odd number one more to the second."""
    deal = rng.permutation(n_views)
    return np.sort(deal[: n_views // 2]), np.sort(deal[n_views // 2 :])


def shifted_views(views, rng):
    """Move each view circularly in time, no two alike: nothing is shared any more."""
    shifts = distinct_shifts(rng, len(views), len(views[0]))
    return [np.roll(X, shift, axis=0) for X, shift in zip(views, shifts, strict=True)]


def chance_of_match(S, T, level, rng):
    """Find the matched correlation that chance exceeds with probability `level`.

    Parameters
    ----------
    S, T : ndarray of shape (n, p)
        Sources found in two halves of the views, at the same samples.
    level : float
        Probability.
    rng : RandomState

    Returns
    -------
    correlation : float
    """
    n = len(S)
    shifts = rng.randint(n // 10, n - n // 10, size=NULL_SHIFTS)
    best = [matched_correlations(S, np.roll(T, shift, axis=0))[0] for shift in shifts]
    return float(np.quantile(best, 1 - level))
