"""Whether a component is truly shared: agreement of views on samples that no fit has seen."""

from dataclasses import dataclass
from numbers import Integral

import numpy as np
from sklearn.base import clone
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from mvica._validation import validate_views
from mvica.metrics import match_sources
from mvica.model_selection.refits import fit_quietly
from mvica.model_selection.splitters import BlockKFold
from mvica.reduction.chance import distinct_shifts
from mvica.uncertainty.bootstrap import refit_template
from mvica.uncertainty.multiplicity import holm

FEWEST_VIEWS = 2


@dataclass(frozen=True)
class SharedComponentsTest:
    """Agreement of each view with the others on held-out samples, and its p values.

    Attributes
    ----------
    agreement : ndarray of shape (m, p)
        Correlation of a view's source with the mean of the other views' sources.
    p_values : ndarray of shape (m, p)
        Probability of as much agreement of that view with the others by chance.
    component_p_values : ndarray of shape (p,)
        The same for the mean agreement of all views, corrected over components (Holm).
    """

    agreement: np.ndarray
    p_values: np.ndarray
    component_p_values: np.ndarray

    def shared(self, level=0.05):
        """Tell which components (p,) views share, with a family-wise error of `level`."""
        return self.component_p_values <= level


def shared_components_test(estimator, X, *, cv=5, n_shifts=199, random_state=None):
    """Test which components of a fit views share, and which view shows them.

    The estimator is refitted without each block of samples in turn, its components are matched, and
    on the block each view's source is correlated with the mean of the other views'. Chance is what
    the same sources give when views are moved circularly against each other in time.

    Parameters
    ----------
    estimator : fitted estimator
        A multi-view ICA estimator, fitted to `X`. It is not changed.
    X : MultiViewData, list of array-like, 3D array or array-like
        The views that it was fitted to; two or more.
    cv : int or splitter, default=5
        Number of blocks of neighbouring samples, or an object with ``split(X)``.
    n_shifts : int, default=199
        Number of random shifts; p values are at least ``1 / (n_shifts + 1)``.
    random_state : int, RandomState instance or None, default=None
        Draws the shifts.

    Returns
    -------
    result : SharedComponentsTest

    Raises
    ------
    ValueError
        If there is one view, or a parameter is not allowed.
    sklearn.exceptions.NotFittedError
        If the estimator is not fitted.

    Examples
    --------
    >>> from mvica import MultiViewICA
    >>> from mvica.datasets import make_multiview_ica
    >>> from mvica.uncertainty import shared_components_test
    >>> data = make_multiview_ica(
    ...     5, 600, 2, n_features=5, noise_std=0.5, sensor_noise_std=0.5, random_state=0
    ... )
    >>> model = MultiViewICA(3, max_iter=500).fit(data.views)
    >>> int(shared_components_test(model, data.views, random_state=0).shared().sum())
    2
    """
    check_is_fitted(estimator)
    views = validate_views(estimator, X, reset=False)
    if len(views) < FEWEST_VIEWS:
        raise ValueError("There is one view; what views share takes two or more.")
    if not isinstance(n_shifts, Integral) or n_shifts < 1:
        raise ValueError(f"n_shifts={n_shifts!r}; expected an int, at least 1.")
    Y = _held_out_sources(estimator, views, BlockKFold(cv) if isinstance(cv, Integral) else cv)
    agreement = _agreement(Y)
    rng = check_random_state(random_state)
    chance = np.array([_agreement(_moved(Y, rng)) for _ in range(n_shifts)])
    p_values = (1 + np.sum(chance >= agreement, axis=0)) / (n_shifts + 1)
    means = agreement.mean(axis=0)
    of_components = (1 + np.sum(chance.mean(axis=1) >= means, axis=0)) / (n_shifts + 1)
    return SharedComponentsTest(agreement, p_values, holm(of_components))


def _held_out_sources(estimator, views, splitter):
    """Compute sources (m, p, n) of the views, each block by a fit to the others, of unit norm."""
    base, reference = refit_template(estimator, views)
    Y = np.zeros((len(views), reference.shape[1], len(reference)))
    for train, test in splitter.split(views[0]):
        fit = clone(base)
        fit_quietly(fit, [X[train] for X in views])
        order, signs, _ = match_sources(fit.transform(views), reference)
        for v, S in enumerate(fit.transform_views([X[test] for X in views])):
            Y[v][:, test] = (S[:, order] * signs).T
    Y -= Y.mean(axis=2, keepdims=True)
    return Y / np.linalg.norm(Y, axis=2, keepdims=True)


def _agreement(Y):
    """Correlation (m, p) of each view's source with the sum of the others', Y of unit norm."""
    others = Y.sum(axis=0) - Y
    return np.einsum("vpn,vpn->vp", Y, others) / np.linalg.norm(others, axis=2)


def _moved(Y, rng):
    """Move each view circularly in time, no two alike."""
    shifts = distinct_shifts(rng, len(Y), Y.shape[2])
    return np.array([np.roll(Y_v, shift, axis=1) for Y_v, shift in zip(Y, shifts, strict=True)])
