"""Fits of one estimator to parts of the data, over and over."""

import warnings

from sklearn.base import clone


def template(estimator, **parameters):
    """Copy an estimator for refits: lists of views in, shared sources out.

    Parameters
    ----------
    estimator : estimator
    **parameters
        Parameters of the copy, such as `n_components`.

    Returns
    -------
    copy : estimator
        Not fitted.
    """
    return clone(estimator).set_params(output="shared", view_sizes=None, **parameters)


def fit_quietly(estimator, views):
    """Fit, and say whether it converged: warnings of many fits are counted, not shown.

    Parameters
    ----------
    estimator : estimator
        Fitted in place.
    views : list of ndarray

    Returns
    -------
    converged : bool
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        estimator.fit(views)
    return bool(getattr(estimator, "converged_", True))
