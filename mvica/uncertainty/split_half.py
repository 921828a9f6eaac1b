"""How much sources depend on which views they come from: split halves."""

import numpy as np
from sklearn.utils import check_random_state

__all__ = ["split_half_correlations"]


def split_half_correlations(view_sources, n_draws=50, *, random_state=0):
    """Correlate the mean source of a random half of the views with that of the other half.

    Parameters
    ----------
    view_sources : sequence of n_views ndarrays of shape (n_samples, n_components)
        Sources of each view, in the shared time, as `transform_views` gives them.
    n_draws : int, default=50
        Random splits. With an odd number of views one half is larger by one.
    random_state : int, RandomState or None, default=0
        An int gives the same splits on every call.

    Returns
    -------
    correlations : ndarray of shape (n_draws, n_components)
        Near 1: the source is that of the group, not of a few views. The unmixings are those of
        the whole group, so this is about the sources, not about fitting them anew.

    Raises
    ------
    ValueError
        If there are fewer than two views, or their shapes differ.

    Examples
    --------
    >>> import numpy as np
    >>> from mvica.uncertainty import split_half_correlations
    >>> rng = np.random.default_rng(0)
    >>> S = rng.laplace(size=(500, 2))
    >>> Y = [S + 0.1 * rng.normal(size=S.shape) for _ in range(6)]
    >>> r = split_half_correlations(Y)
    >>> r.shape, bool(r.min() > 0.99)
    ((50, 2), True)
    """
    shapes = sorted({np.shape(Y_v) for Y_v in view_sources})
    if len(view_sources) < 2 or len(shapes) > 1 or len(shapes[0]) != 2:
        raise ValueError(
            f"got {len(view_sources)} views with sources of shapes {shapes}; expected at least two "
            "views of one shape (n_samples, n_components)"
        )
    Y = np.asarray(view_sources, dtype=float)
    Y = Y - Y.mean(axis=1, keepdims=True)
    m = len(Y)
    gram = np.einsum("vtc,wtc->cvw", Y, Y, optimize=True)  # every split from these alone
    rng, drawn = check_random_state(random_state), []
    for _ in range(n_draws):
        half = np.zeros(m)
        half[rng.permutation(m)[: m // 2]] = 1
        drawn.append(_correlations(gram, half / half.sum(), (1 - half) / (1 - half).sum()))
    return np.array(drawn)


def _correlations(gram, a, b):
    """Correlation of the weighted sums a and b of the views, for each component's Gram matrix."""
    power = np.sqrt((gram @ a @ a) * (gram @ b @ b))
    return np.divide(gram @ b @ a, power, out=np.zeros(len(gram)), where=power > 0)
