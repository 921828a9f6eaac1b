"""Choose the number of components, or the noise level, of an estimator for given views."""

from dataclasses import dataclass
from numbers import Integral

import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.utils import check_random_state

from mvica._validation import check_views
from mvica.model_selection.heldout import likelihood, reconstruction
from mvica.model_selection.refits import fit_quietly, template
from mvica.model_selection.reproducibility import (
    chance_of_match,
    halves_of_samples,
    halves_of_views,
    matched_correlations,
    shifted_views,
)
from mvica.model_selection.selection import Selection, leading_above, smallest_within_one_error
from mvica.model_selection.splitters import BlockKFold
from mvica.parallel import map_fits
from mvica.reduction.mcca_estimator import MultisetCCA
from mvica.reduction.pca import principal_components

METHODS = ("permutation", "likelihood", "reconstruction", "split_samples", "split_views")
MOST_COMPONENTS = 20  # tried unless the caller names them


def select_n_components(
    estimator,
    X,
    n_components=None,
    *,
    method="permutation",
    cv=5,
    n_splits=10,
    level=0.05,
    shuffle="shift",
    n_jobs=None,
    random_state=None,
    verbose=0,
):
    """Find how many components views share.

    Parameters
    ----------
    estimator : estimator
        A multi-view ICA estimator with a parameter `n_components`; it is not changed.
    X : MultiViewData, list of array-like, 3D array or array-like
        The views, in one of the forms that `fit` takes; two or more.
    n_components : sequence of int, default=None
        Numbers to try, increasing. None tries 1 to the smallest numerical rank of the views, at
        most 20.
    method : {"permutation", "likelihood", "reconstruction", "split_samples", "split_views"}, \
default="permutation"
        How components are judged:

        - "permutation": eigenvalues of multiset CCA against those of views moved in time. Quick:
          one decomposition, no fit of `estimator`.
        - "likelihood": held-out log-likelihood, where what components leave of a view is normal
          noise. The most precise where the estimator learns its noise (ShICAML, AVICA).
        - "reconstruction": variance of each view that the other views predict on held-out samples.
        - "split_samples", "split_views": components found in both halves of the samples, or of
          the views, of one fit with the largest number tried. It tells how many are found again,
          not how many exist.
    cv : int or splitter, default=5
        For "likelihood" and "reconstruction": number of blocks of neighbouring samples, or an
        object with ``split(X)``, like `BlockKFold`.
    n_splits : int, default=10
        For "split_samples" and "split_views": number of random halvings.
    level : float, default=0.05
        For "permutation" and "split_views": probability that a component that is not shared is
        kept. With "split_samples" chance is the best match in `n_splits` halvings of views that
        were moved in time.
    shuffle : {"shift", "permutation"}, default="shift"
        For "permutation": views moved circularly, right for time series, or samples permuted,
        right when they have no order.
    n_jobs : int, default=None
        Processes, in joblib's convention.
    random_state : int, RandomState instance or None, default=None
        Draws shuffles and halves. The fits follow the `random_state` of the estimator.
    verbose : int, default=0
        1 shows a progress bar.

    Returns
    -------
    selection : Selection
        `best` is the number to take, `recommendation` says it in words, `plot` draws the scores.

    Raises
    ------
    ValueError
        If a parameter is not allowed, there are too few views, or `n_components` asks for more
        than a view has.
    TypeError
        If the estimator lacks what the method needs.

    Notes
    -----
    "likelihood" and "reconstruction" take the smallest number whose score is within one standard
    error of the best, errors of the differences between values in the same split.

    Examples
    --------
    >>> from mvica import MultiViewICA
    >>> from mvica.datasets import make_multiview_ica
    >>> from mvica.model_selection import select_n_components
    >>> data = make_multiview_ica(
    ...     6, 500, 3, n_features=8, noise_std=0.5, sensor_noise_std=0.5, random_state=0
    ... )
    >>> selection = select_n_components(MultiViewICA(), data.views, random_state=0)
    >>> selection.best
    3
    """
    views = _checked(estimator, X, "n_components")
    values = _numbers_to_try(n_components, views)
    if method not in METHODS:
        raise ValueError(f"method={method!r}; expected one of {METHODS}.")
    if not 0 < level < 1:
        raise ValueError(f"level={level!r}; expected a probability between 0 and 1.")
    if method == "permutation":
        return _by_permutation(views, values[-1], level, shuffle, random_state)
    base = template(estimator)
    if method in ("likelihood", "reconstruction"):
        return _by_cross_validation(
            base, "n_components", values, views, method, cv, n_jobs, verbose
        )
    base.set_params(n_components=values[-1].item())
    return _by_halves(base, views, method, n_splits, level, n_jobs, random_state, verbose)


def select_noise(estimator, X, noise=None, *, cv=5, n_jobs=None, verbose=0):
    """Find the noise variance of an estimator that does not learn it, by held-out likelihood.

    Parameters
    ----------
    estimator : estimator
        With a numeric parameter `noise` and a `score`: `MultiViewICA`; it is not changed.
    X : MultiViewData, list of array-like, 3D array or array-like
        The views, in one of the forms that `fit` takes; two or more.
    noise : sequence of float, default=None
        Variances to try, increasing. None tries 0.01 to 100 in seven steps of equal ratio.
    cv : int or splitter, default=5
        Number of blocks of neighbouring samples, or an object with ``split(X)``.
    n_jobs : int, default=None
        Processes, in joblib's convention.
    verbose : int, default=0
        1 shows a progress bar.

    Returns
    -------
    selection : Selection
        `best` has the highest mean score.

    Raises
    ------
    ValueError
        If a parameter is not allowed.
    TypeError
        If the estimator has no numeric `noise`.

    Examples
    --------
    >>> from mvica import MultiViewICA
    >>> from mvica.datasets import make_multiview_ica
    >>> from mvica.model_selection import select_noise
    >>> data = make_multiview_ica(6, 500, 3, noise_std=0.5, random_state=0)
    >>> select_noise(MultiViewICA(n_components=3), data.views, [0.01, 1.0, 100.0]).best
    1.0
    """
    views = _checked(estimator, X, "noise")
    if isinstance(estimator.get_params()["noise"], str):
        raise TypeError(
            f"{type(estimator).__name__} learns its noise (noise="
            f"{estimator.get_params()['noise']!r}): there is nothing to select."
        )
    values = np.logspace(-2, 2, 7) if noise is None else np.asarray(noise, dtype=float)
    if values.ndim != 1 or not len(values) or np.any(values <= 0) or np.any(np.diff(values) <= 0):
        raise ValueError(f"noise={noise!r}; expected increasing positive variances.")
    base = template(estimator)
    return _by_cross_validation(base, "noise", values, views, "likelihood", cv, n_jobs, verbose)


def _checked(estimator, X, parameter):
    """Return the views; an estimator without the parameter is refused."""
    if not isinstance(estimator, BaseEstimator) or parameter not in estimator.get_params():
        raise TypeError(f"{estimator!r} is not an estimator with a parameter {parameter!r}.")
    views = check_views(X, view_sizes=estimator.get_params().get("view_sizes"))
    if len(views) < 2:
        raise ValueError("There is one view; what views share takes two or more.")
    return views


def _numbers_to_try(n_components, views):
    most = min(principal_components(X).rank for X in views)
    if n_components is None:
        return np.arange(1, min(most, MOST_COMPONENTS) + 1)
    values = np.asarray(n_components)
    if values.ndim != 1 or not len(values) or not np.issubdtype(values.dtype, np.integer):
        raise ValueError(f"n_components={n_components!r}; expected a sequence of int.")
    if values[0] < 1 or values[-1] > most or np.any(np.diff(values) <= 0):
        raise ValueError(
            f"n_components={values.tolist()}; expected increasing numbers from 1 to {most}, the "
            "smallest numerical rank of the views."
        )
    return values


def _by_permutation(views, most, level, shuffle, random_state):
    n_shuffles = max(int(np.ceil(1 / level)) - 1, 1)
    mcca = MultisetCCA(
        int(most), n_shuffles=n_shuffles, shuffle=shuffle, random_state=random_state
    ).fit(views)
    scores = mcca.eigenvalues_[:, None]
    threshold = mcca.chance_level_
    best = leading_above(scores, threshold)
    values = np.arange(1, len(scores) + 1)
    return Selection("n_components", "eigenvalue", values, scores, threshold, best, 0)


def _by_cross_validation(base, parameter, values, views, method, cv, n_jobs, verbose):
    if method == "likelihood" and not hasattr(base, "score"):
        raise TypeError(
            f"{type(base).__name__} has no likelihood (score): choose method='reconstruction'."
        )
    splitter = BlockKFold(cv) if isinstance(cv, Integral) else cv
    splits = list(splitter.split(views[0]))
    fold = _Fold(base, parameter, views, method)
    items = [(value.item(), *split) for value in values for split in splits]
    found = map_fits(fold, items, n_jobs=n_jobs, label=f"select {parameter}", verbose=verbose)
    scores = np.array([score for score, _ in found]).reshape(len(values), len(splits))
    failures = sum(not converged for _, converged in found)
    best = (
        smallest_within_one_error(values, scores)
        if parameter == "n_components"
        else values[np.argmax(scores.mean(axis=1))].item()
    )
    return Selection(parameter, method, values, scores, None, best, failures)


def _by_halves(base, views, method, n_splits, level, n_jobs, random_state, verbose):
    if method == "split_views" and len(views) < 4:
        raise ValueError(f"There are {len(views)} views; halves of two take four or more.")
    if not isinstance(n_splits, Integral) or n_splits < 1:
        raise ValueError(f"n_splits={n_splits!r}; expected an int, at least 1.")
    seeds = check_random_state(random_state).randint(np.iinfo(np.int32).max, size=n_splits)
    of_views = method == "split_views"
    halving = _HalvesOfViews(base, views, level) if of_views else _HalvesOfSamples(base, views)
    found = map_fits(halving, seeds, n_jobs=n_jobs, label="fit halves", verbose=verbose)
    scores = np.array([correlations for correlations, _, _ in found]).T
    levels = [chance for _, chance, _ in found]
    threshold = float(np.median(levels) if of_views else np.max(levels))
    failures = sum(count for _, _, count in found)
    values = np.arange(1, len(scores) + 1)
    best = leading_above(scores, threshold)
    kind = "correlation of halves"
    return Selection("n_components", kind, values, scores, threshold, best, failures)


@dataclass
class _Fold:
    """Score one value on one split."""

    base: BaseEstimator
    parameter: str
    views: list
    method: str

    def __call__(self, item):
        value, train, test = item
        estimator = clone(self.base).set_params(**{self.parameter: value})
        converged = fit_quietly(estimator, [X[train] for X in self.views])
        if self.method == "likelihood":
            return likelihood(estimator, self.views, train, test), converged
        return reconstruction(estimator, self.views, test), converged


@dataclass
class _HalvesOfSamples:
    """Match the components of two halves of the samples, and those of views that share nothing."""

    base: BaseEstimator
    views: list

    def __call__(self, seed):
        rng = check_random_state(seed)
        halves = halves_of_samples(len(self.views[0]), rng)
        correlations, failures = self._match(self.views, halves)
        moved = shifted_views(self.views, rng)
        chance, more = self._match(moved, halves)
        return correlations, chance[0], failures + more

    def _match(self, views, halves):
        fits = [clone(self.base) for _ in halves]
        converged = [
            fit_quietly(fit, [X[rows] for X in views])
            for fit, rows in zip(fits, halves, strict=True)
        ]
        return matched_correlations(*(fit.transform(views) for fit in fits)), converged.count(False)


@dataclass
class _HalvesOfViews:
    """Match the components of two halves of the views."""

    base: BaseEstimator
    views: list
    level: float

    def __call__(self, seed):
        rng = check_random_state(seed)
        sources, failures = [], 0
        for half in halves_of_views(len(self.views), rng):
            fit, views = clone(self.base), [self.views[v] for v in half]
            failures += not fit_quietly(fit, views)
            sources.append(fit.transform(views))
        correlations = matched_correlations(*sources)
        return correlations, chance_of_match(*sources, self.level, rng), failures
