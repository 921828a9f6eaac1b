"""P values of several tests at once."""

import numpy as np


def holm(p_values):
    """Correct p values for their number, by Holm's step-down rule.

    Parameters
    ----------
    p_values : ndarray of shape (n_tests,)

    Returns
    -------
    corrected : ndarray of shape (n_tests,)
        In the order given. Those at most 0.05 are all right with a probability of 0.95.

    References
    ----------
    Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of
    Statistics 6, 1979.

    Examples
    --------
    >>> import numpy as np
    >>> from mvica.uncertainty.multiplicity import holm
    >>> holm(np.array([0.01, 0.04, 0.03]))
    array([0.03, 0.06, 0.06])
    """
    order = np.argsort(p_values, kind="stable")
    factors = len(p_values) - np.arange(len(p_values))
    corrected = np.empty(len(p_values))
    corrected[order] = np.minimum(np.maximum.accumulate(factors * p_values[order]), 1.0)
    return corrected
