"""What the estimators of canonical correlations share: reading data, fitted attributes, scores."""

import numpy as np
from sklearn.utils.validation import check_is_fitted

from mvica._validation import _fit_context, validate_views
from mvica.base import MultiViewTransformer
from mvica.reduction.subspace import stable_signs
from mvica.stiefel.cca_solve import solve
from mvica.stiefel.streams import ArrayRows, BatchRows, is_single_pass


class CanonicalAnalysis(MultiViewTransformer):
    """Base of `CCA` and `GCCA`: a subclass says what `_settings` asks for."""

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None):
        """Find the canonical directions of the views.

        Parameters
        ----------
        X : MultiViewData, list of array-like, 3D array, array-like or callable
            The views: a `MultiViewData`, a list of arrays of shape (n_samples, n_features_v), an
            array of shape (n_views, n_samples, n_features), or one table of shape (n_samples,
            n_features) that `view_sizes` cuts. Memory-mapped arrays are read in chunks. Data that
            are no array: a function without arguments that returns, at every call, an iterable
            over batches of the same samples, each in one of these forms.
        y : None
            Ignored, here for scikit-learn.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If a view has a smaller rank than `n_components`; if it has as many directions as
            samples and no regularization; or if a batch does not fit the first one.
        """
        if is_single_pass(X):
            raise TypeError(
                "an iterator can be read only once: give a function that returns a new one at "
                "every call, or each batch to partial_fit"
            )
        if callable(X):
            rows = BatchRows(X, self.view_sizes)
            self._set_sizes(rows.sizes)
        else:
            rows = ArrayRows(validate_views(self, X, reset=True))
        self._fit_rows(rows)
        return self

    def _set_sizes(self, sizes):
        self.n_views_, self.view_sizes_ = len(sizes), tuple(sizes)
        self.n_features_in_ = sum(sizes)
        vars(self).pop("feature_names_in_", None)

    def _fit_rows(self, rows):
        self._set_solution(solve(rows, self._settings()), rows.n_samples)

    def score(self, X, y=None):
        """Mean correlation of the scores of different views, for data that may be new.

        Parameters
        ----------
        X : MultiViewData, list of array-like, 3D array or array-like
            The views, in one of the forms that `transform` takes.
        y : None
            Ignored, here for scikit-learn.

        Returns
        -------
        score : float
            Mean over components and pairs of views; NaN for one view.
        """
        return _mean_over_pairs(self.correlations(X))

    def correlations(self, X):
        """Correlations of the scores of all pairs of views, for data that may be new.

        Parameters
        ----------
        X : MultiViewData, list of array-like, 3D array or array-like
            The views, in one of the forms that `transform` takes.

        Returns
        -------
        correlations : ndarray of shape (n_views, n_views, n_components)
            Of each component in two views.
        """
        check_is_fitted(self)
        scores = [Y.astype(np.float64) for Y in self.transform_views(X)]
        scores = np.array([Y - Y.mean(axis=0) for Y in scores])
        return correlation_of_moments(np.einsum("vni,wni->vwi", scores, scores))

    def _set_solution(self, solution, n_samples):
        """Set the fitted attributes that all solvers give."""
        components, mixing = self._maps(solution)
        signs = np.where(stable_signs(mixing[0]) < 0, -1.0, 1.0)
        self.components_ = [rows * signs[:, None] for rows in components]
        self.mixing_ = [A * signs for A in mixing]
        self.mean_ = [np.array(mean) for mean in solution.means]
        diagonal = np.einsum("vwii->vwi", solution.moments)
        self.correlations_ = correlation_of_moments(diagonal)
        self.canonical_correlations_ = _mean_over_pairs(self.correlations_, axis=0)
        self.objective_ = float(np.sum(solution.values))
        self.regularization_ = solution.ridges
        self.rank_ = solution.ranks
        self.solver_ = solution.solver
        self.n_samples_seen_ = int(n_samples)
        self.n_iter_ = solution.n_iter
        self.converged_ = solution.converged


def correlation_of_moments(moments):
    """Correlations from second moments (m, m, p) of centred scores; NaN for constant scores."""
    powers = np.einsum("vvi->vi", moments)
    scale = np.sqrt(powers[:, None] * powers[None])
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.clip(moments / scale, -1.0, 1.0)


def _mean_over_pairs(correlations, axis=None):
    """Mean over the pairs of different views, and over components unless `axis` is 0."""
    m = len(correlations)
    if m == 1:
        return np.nan if axis is None else np.full(correlations.shape[2], np.nan)
    pairs = correlations[np.triu_indices(m, 1)]
    return float(pairs.mean()) if axis is None else pairs.mean(axis=0)


def feature_directions(solution):
    """Directions and patterns in the units of the features.

    Returns
    -------
    weights : list of ndarray of shape (n_features_v, p)
        The scores are the centred features times them.
    covariances : list of ndarray of shape (n_features_v, p)
        Of the features with the scores of their view.
    """
    weights = [t[:, None] * U for t, U in zip(solution.scales, solution.directions, strict=True)]
    covariances = [
        image / np.where(t > 0, t, np.inf)[:, None]
        for t, image in zip(solution.scales, solution.images, strict=True)
    ]
    return weights, covariances
