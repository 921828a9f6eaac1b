"""Refits to resampled samples or views, with their components matched."""

from dataclasses import dataclass
from numbers import Integral

import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from mvica._validation import validate_views
from mvica.metrics import match_sources
from mvica.model_selection.refits import fit_quietly, template
from mvica.parallel import map_fits
from mvica.uncertainty.replicates import Replicates
from mvica.uncertainty.resampling import half_of_views, row_sampler

PER_VIEW = ("noise_variances_", "delays_", "dilations_")
FEWEST_VIEWS = 4


def bootstrap(
    estimator,
    X,
    n_boot=100,
    *,
    resample="samples",
    block=None,
    groups=None,
    n_jobs=None,
    random_state=None,
    verbose=0,
):
    """Refit an ICA estimator to resampled data, to see how sure its components are.

    Parameters
    ----------
    estimator : fitted estimator
        A multi-view ICA estimator, fitted to `X`. It is not changed.
    X : MultiViewData, list of array-like, 3D array or array-like
        The views that it was fitted to.
    n_boot : int, default=100
        Number of replicates, each a fit.
    resample : {"samples", "views"}, default="samples"
        "samples" draws samples with replacement, the same in all views: how sure are mixings,
        noise, delays? "views" draws half of the views: how sure are the shared sources, would other
        subjects give them? It takes four views or more.
    block : int, default=None
        With "samples": draw stretches of so many neighbouring samples, as many as the recording
        remembers. None draws single samples, right when they are independent.
    groups : array-like of shape (n_samples,), default=None
        With "samples": labels of samples that are drawn together. Models of time (MVICAD, MVICAD2)
        draw their epochs.
    n_jobs : int, default=None
        Processes, in joblib's convention.
    random_state : int, RandomState instance or None, default=None
        Draws the replicates; each has a seed of its own, so the result does not depend on `n_jobs`.
    verbose : int, default=0
        1 shows a progress bar.

    Returns
    -------
    result : Replicates
        Stability of the components, standard errors and intervals.

    Raises
    ------
    ValueError
        If a parameter is not allowed, there are too few views, or a model of time has one epoch.
    TypeError
        If the estimator is not a multi-view ICA estimator.
    sklearn.exceptions.NotFittedError
        If it is not fitted.

    Notes
    -----
    The components of a replicate are matched one to one with those of the fit by the correlation of
    the shared sources that both find in `X`. Mixings of a component that is not found again vary
    widely, as they should.

    Examples
    --------
    >>> from mvica import ShICAML
    >>> from mvica.datasets import make_shica
    >>> from mvica.uncertainty import bootstrap
    >>> data = make_shica("laplace", n_samples=400, n_components=2, random_state=0)
    >>> model = ShICAML(random_state=0).fit(data.views)
    >>> result = bootstrap(model, data.views, n_boot=10, random_state=0)
    >>> bool(result.stability.min() > 0.98)
    True
    >>> low, high = result.interval("noise_variances_")
    >>> low.shape
    (5, 2)
    """
    if not isinstance(estimator, BaseEstimator) or not hasattr(estimator, "transform_views"):
        raise TypeError(f"{estimator!r} is not a multi-view ICA estimator.")
    check_is_fitted(estimator)
    views = validate_views(estimator, X, reset=False)
    if not isinstance(n_boot, Integral) or n_boot < 2:
        raise ValueError(f"n_boot={n_boot!r}; expected an int, at least 2.")
    if resample == "samples":
        refit = _of_samples(estimator, views, block, groups)
    elif resample == "views":
        refit = _of_views(estimator, views, block, groups)
    else:
        raise ValueError(f"resample={resample!r}; expected 'samples' or 'views'.")
    seeds = check_random_state(random_state).randint(np.iinfo(np.int32).max, size=n_boot)
    found = map_fits(refit, seeds, n_jobs=n_jobs, label="bootstrap", verbose=verbose)
    return _gathered(estimator, refit, resample, found)


@dataclass
class _Refit:
    """Fit one replicate from its seed, and match it to the fit to all data."""

    base: BaseEstimator
    views: list
    reference: np.ndarray
    draw: object
    names: tuple

    def __call__(self, seed):
        rows, present = self.draw(check_random_state(seed))
        estimator = clone(self.base)
        drawn = [self.views[v] if rows is None else self.views[v][rows] for v in present]
        converged = fit_quietly(estimator, drawn)
        S = estimator.transform([self.views[v] for v in present])
        order, signs, correlations = match_sources(S, self.reference)
        values = {name: getattr(estimator, name)[:, order] for name in self.names}
        values["mixing_"] = [A[:, order] * signs for A in estimator.mixing_]
        values["sources_"] = (S[:, order] * signs).astype(np.float32)
        return present, correlations, values, converged


def refit_template(estimator, views):
    """Give an unfitted copy of a fitted estimator for refits, and its shared sources (n, p)."""
    base = template(estimator, n_components=estimator.components_[0].shape[0])
    Y = estimator.transform_views(views)
    return base, estimator._shared_sources(Y, list(range(len(views))))


def _prepared(estimator, views, draw):
    base, reference = refit_template(estimator, views)
    names = tuple(name for name in PER_VIEW if hasattr(estimator, name))
    return _Refit(base, views, reference, draw, names)


def _of_samples(estimator, views, block, groups):
    n, everyone = len(views[0]), range(len(views))
    if hasattr(estimator, "epochs_"):
        if block is not None or groups is not None:
            raise ValueError("A model of time draws its epochs: leave block and groups None.")
        lengths = estimator.epochs_
        if len(set(lengths)) > 1 or len(lengths) < 2:
            raise ValueError(
                f"{type(estimator).__name__} has epochs of {lengths} samples; drawing them takes "
                "two or more of one length. Give `epochs`, or use the standard errors of the model."
            )
        groups = np.repeat(np.arange(len(lengths)), lengths)
    rows = row_sampler(n, block, groups)
    return _prepared(estimator, views, lambda rng: (rows(rng), everyone))


def _of_views(estimator, views, block, groups):
    if block is not None or groups is not None:
        raise ValueError("block and groups draw samples: they need resample='samples'.")
    if len(views) < FEWEST_VIEWS:
        raise ValueError(f"There are {len(views)} views; halves of two take four or more.")
    return _prepared(estimator, views, lambda rng: (None, half_of_views(len(views), rng)))


def _gathered(estimator, refit, resample, found):
    m, n_boot = len(refit.views), len(found)
    estimates = {name: getattr(estimator, name) for name in refit.names}
    estimates["mixing_"] = list(estimator.mixing_)
    estimates["sources_"] = refit.reference
    replicates = {name: np.full((n_boot, *estimates[name].shape), np.nan) for name in refit.names}
    replicates["mixing_"] = [np.full((n_boot, *A.shape), np.nan) for A in estimator.mixing_]
    replicates["sources_"] = np.array([values["sources_"] for _, _, values, _ in found])
    for b, (present, _, values, _) in enumerate(found):
        present = list(present)
        for name in refit.names:
            replicates[name][b, present] = _same_gauge(
                name, values[name], estimates[name][present], len(present) < m
            )
        for v, A in zip(present, values["mixing_"], strict=True):
            replicates["mixing_"][v][b] = A
    correlations = np.array([r for _, r, _, _ in found])
    failures = sum(not converged for _, _, _, converged in found)
    return Replicates(resample, correlations, estimates, replicates, failures)


def _same_gauge(name, values, reference, fewer_views):
    """Give timings of some views the mean that the fit gives these views: it is not determined."""
    if not fewer_views or name == "noise_variances_":
        return values
    if name == "delays_":
        return values + (reference - values).mean(axis=0)
    return values * np.exp(np.log(reference / values).mean(axis=0))
