"""Test of independence that sees more than correlation: the Hilbert-Schmidt criterion."""

import numpy as np
from scipy.spatial.distance import pdist, squareform
from scipy.stats import gamma
from sklearn.utils import check_random_state

FEWEST = 6  # samples that the moments under independence need


def hsic_test(x, y, *, max_samples=1000, random_state=None):
    """Test that two variables, of one column or several, are independent.

    The Hilbert-Schmidt independence criterion with Gaussian kernels as wide as the median distance
    of two samples; its law under independence is approximated by a gamma law.

    Parameters
    ----------
    x, y : array-like of shape (n_samples,) or (n_samples, n_columns)
        Samples are taken as independent of each other: thin out time series first.
    max_samples : int, default=1000
        Draw so many rows if there are more: time and memory grow with their square.
    random_state : int, RandomState instance or None, default=None
        Seed of this draw.

    Returns
    -------
    statistic : float
    pvalue : float
        NaN where half of the samples of one variable are the same.

    Raises
    ------
    ValueError
        If the numbers of samples differ, or there are fewer than 6.

    References
    ----------
    Gretton, Fukumizu, Teo, Song, Schoelkopf, Smola (2007), A kernel statistical test of
    independence, Advances in Neural Information Processing Systems 20.

    Examples
    --------
    >>> import numpy as np
    >>> from mvica.causal import hsic_test
    >>> rng = np.random.default_rng(0)
    >>> x, z = rng.standard_normal((2, 300))
    >>> y = x**2 + 0.1 * z
    >>> bool(hsic_test(x, z)[1] > 0.05), bool(hsic_test(x, y)[1] < 1e-6)
    (True, True)
    """
    x, y = (np.asarray(a, dtype=float).reshape(len(a), -1) for a in (x, y))
    if len(x) != len(y):
        raise ValueError(f"x has {len(x)} samples, y has {len(y)}: expected the same number.")
    rows = _some_rows(len(x), max_samples, random_state)
    return _compare(_centred_kernel(x[rows]), _centred_kernel(y[rows]))


def hsic_pvalues(E, *, max_samples=1000, random_state=None):
    """Test all pairs of variables for independence, all views of each together.

    Parameters
    ----------
    E : ndarray of shape (m, n_samples, p)
        Disturbances.
    max_samples, random_state
        As in `hsic_test`.

    Returns
    -------
    pvalues : ndarray of shape (p, p)
        Symmetric; NaN on the diagonal.
    """
    p = E.shape[2]
    rows = _some_rows(E.shape[1], max_samples, random_state)
    kernels = [_centred_kernel(E[:, rows, j].T) for j in range(p)]
    pvalues = np.full((p, p), np.nan)
    for i in range(p):
        for j in range(i):
            pvalues[i, j] = pvalues[j, i] = _compare(kernels[i], kernels[j])[1]
    return pvalues


def _some_rows(n, max_samples, random_state):
    if min(n, max_samples) < FEWEST:
        raise ValueError(f"{min(n, max_samples)} samples: expected {FEWEST} or more.")
    if n <= max_samples:
        return np.arange(n)
    return check_random_state(random_state).choice(n, max_samples, replace=False)


def _centred_kernel(x):
    """Gaussian kernel (n, n) of standardised columns, centred, and its mean off the diagonal.

    None where the median distance is zero.
    """
    scale = x.std(axis=0)
    distance = pdist((x - x.mean(axis=0)) / np.where(scale > 0, scale, 1.0), "sqeuclidean")
    width = np.median(distance)
    if width == 0:
        return None
    close = np.exp(-distance / width)
    K = squareform(close)
    np.fill_diagonal(K, 1.0)
    mean = K.mean(axis=0)
    return K - mean - mean[:, None] + mean.mean(), close.mean()


def _compare(first, second):
    """Statistic and p-value from the centred kernels of two variables."""
    if first is None or second is None:
        return np.nan, np.nan
    (K, near_x), (L, near_y) = first, second
    n, product = len(K), K * L
    statistic = product.sum() / n
    mean = (1 - near_x) * (1 - near_y)
    spread = np.sum(product**2) - np.sum(np.diag(product) ** 2)
    variance = 2 * (n - 4) * (n - 5) / ((n - 1) ** 2 * (n - 2) * (n - 3)) * spread
    return float(statistic), float(gamma.sf(statistic, mean**2 / variance, scale=variance / mean))
