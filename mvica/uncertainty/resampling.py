"""Rows and views of a replicate."""

import numpy as np


def row_sampler(n, block=None, groups=None):
    """Make a function that draws the rows of a replicate.

    Parameters
    ----------
    n : int
        Number of rows.
    block : int, default=None
        Draw stretches of so many consecutive rows, round the end. None draws single rows.
    groups : array-like of shape (n,), default=None
        Labels of rows that are drawn together.

    Returns
    -------
    draw : callable
        ``draw(rng)`` gives indices of rows, n of them where the groups are equally long.

    Raises
    ------
    ValueError
        If both `block` and `groups` are given, or do not fit n.

    Examples
    --------
    >>> import numpy as np
    >>> from mvica.uncertainty.resampling import row_sampler
    >>> rows = row_sampler(12, block=4)(np.random.RandomState(0))
    >>> len(rows), np.unique(np.diff(rows.reshape(3, 4)) % 12)
    (12, array([1]))
    """
    if block is not None and groups is not None:
        raise ValueError("Give block or groups, not both.")
    if groups is not None:
        labels = np.asarray(groups)
        if labels.shape != (n,):
            raise ValueError(f"groups has shape {labels.shape}, expected ({n},): one a row.")
        members = [np.flatnonzero(labels == label) for label in np.unique(labels)]
        if len(members) < 2:
            raise ValueError("groups names one group only: there is nothing to draw.")
        return lambda rng: np.concatenate(
            [members[k] for k in rng.randint(len(members), size=len(members))]
        )
    length = 1 if block is None else block
    if not 1 <= length <= n:
        raise ValueError(f"block={block}; expected 1 to {n}, the number of rows.")

    def draw(rng):
        starts = rng.randint(n, size=-(-n // length))
        return ((starts[:, None] + np.arange(length)) % n).ravel()[:n]

    return draw


def half_of_views(m, rng):
    """Draw half of m views, increasing.

    What a half says differs from what all say about as much as all differ from the population: half
    a mean less the whole mean varies like the whole mean.
    """
    return np.sort(rng.choice(m, m // 2, replace=False))
