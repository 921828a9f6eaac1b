"""MultiViewTransformer: what every multi-view estimator shares, the fit and transform contract."""

from numbers import Integral

import numpy as np
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import check_array
from sklearn.utils.validation import check_is_fitted

from mvica._validation import (
    Interval,
    StrOptions,
    _check_feature_names_in,
    _fit_context,
    asks_for_dataframe,
    check_view_indices,
    check_views,
    split_columns,
    validate_views,
)
from mvica.kernels.blocks import project
from mvica.views import MultiViewData


class MultiViewTransformer(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Base of the estimators that learn one linear unmixing a view.

    A subclass has an `__init__` that only stores its parameters, a `_parameter_constraints` with
    exactly the names of these parameters (an `output` that allows less is fine), and a method
    `_fit_views(views)` that receives the validated views, does not write to them, and sets
    `components_`, `mixing_`, `mean_` and its own attributes. It repeats the entries below in its
    docstring. Where the shared sources are not the mean of the sources of the views, it redefines
    `_shared_sources`.

    Parameters
    ----------
    n_components : int, default=None
        Number of components. None keeps as many as every view allows: the smallest numerical
        rank of the views.
    view_sizes : int or sequence of int, default=None
        How one table of shape (n_samples, n_features) is cut into views. None makes it one view,
        an int that number of nearly equal contiguous blocks of columns, a sequence gives the
        widths. Data that come as separate views do not need it.
    output : {"shared", "concat", "views"}, default="shared"
        What `transform` returns: the shared sources, of shape (n_samples, n_components); the
        sources of each view side by side, of shape (n_samples, n_views * n_components); or these
        as a `MultiViewData`, for a multi-view step that follows.
    random_state : int, RandomState instance or None, default=None
        Seed of the random numbers. An int makes repeated fits identical.
    verbose : int, default=0
        0 prints nothing, 1 shows progress.

    Attributes
    ----------
    components_ : list of ndarray of shape (n_components, n_features_v)
        Unmixing of each view, from centred features to components.
    mixing_ : list of ndarray of shape (n_features_v, n_components)
        Mixing of each view, from components to features: the spatial patterns.
    mean_ : list of ndarray of shape (n_features_v,)
        Mean of each view, taken away before the unmixing.
    n_views_ : int
        Number of views.
    view_sizes_ : tuple of int
        Number of features of each view.
    n_features_in_ : int
        Number of features of all views together.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features, when fitted on one dataframe whose column names are all str.
    """

    # False where a row of transform depends on its neighbours in time (delays, dilations).
    _row_wise = True
    # True where all views hold the same variables: a table whose width is no multiple of the number
    # of views is refused.
    _same_variables = False

    _parameter_constraints: dict = {
        "n_components": [Interval(Integral, 1, None, closed="left"), None],
        "view_sizes": [Interval(Integral, 1, None, closed="left"), "array-like", None],
        "output": [StrOptions({"shared", "concat", "views"})],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None):
        """Learn the unmixing of each view.

        Parameters
        ----------
        X : MultiViewData, list of array-like, 3D array or array-like
            The views: a `MultiViewData`, a list of arrays of shape (n_samples, n_features_v), an
            array of shape (n_views, n_samples, n_features), or one table of shape (n_samples,
            n_features) that `view_sizes` cuts.
        y : None
            Ignored, here for scikit-learn.

        Returns
        -------
        self : object
            The fitted estimator.
        """
        self._fit_views(validate_views(self, X, reset=True))
        return self

    def _fit_views(self, views):
        raise NotImplementedError(f"{type(self).__name__} must define _fit_views(views).")

    def transform(self, X, views=None):
        """Estimate the sources of data, in the form that `output` asks for.

        Parameters
        ----------
        X : MultiViewData, list of array-like, 3D array or array-like
            The views, in one of the forms that `fit` takes.
        views : sequence of int, default=None
            Indices of the fitted views that `X` holds, when some are missing.

        Returns
        -------
        S : ndarray or MultiViewData
            For `output="shared"` the shared sources, of shape (n_samples, n_components); for
            `"concat"` the sources of each view present side by side; for `"views"` these as a
            `MultiViewData`.

        Raises
        ------
        ValueError
            If the views are not those of `fit`: the message gives the sizes found and expected.
        """
        Y = self.transform_views(X, views)
        if self.output == "shared":
            return self._shared_sources(Y, self._present(views))
        dataframe = asks_for_dataframe(self)
        if dataframe and views is not None:
            raise ValueError(
                f"set_output names the columns of all {self.n_views_} views: with views= and "
                f"output={self.output!r} use set_output(transform='default') or transform_views."
            )
        # A dataframe is made from a table: polars cannot read the container.
        if dataframe or self.output == "concat":
            return np.concatenate(Y, axis=1)
        return MultiViewData(Y, view_names=_names_of_views(X))

    def transform_views(self, X, views=None):
        """Estimate the sources of each view.

        Parameters
        ----------
        X : MultiViewData, list of array-like, 3D array or array-like
            The views, in one of the forms that `fit` takes.
        views : sequence of int, default=None
            Indices of the fitted views that `X` holds, when some are missing.

        Returns
        -------
        Y : list of ndarray of shape (n_samples, n_components)
            The sources of each view present.

        Raises
        ------
        ValueError
            If the views are not those of `fit`: the message gives the sizes found and expected.
        """
        check_is_fitted(self)
        blocks = validate_views(self, X, reset=False, min_samples=1, views=views)
        return [self._unmix(X_v, v) for X_v, v in zip(blocks, self._present(views), strict=True)]

    def transform_view(self, X_v, view):
        """Estimate the sources of one view.

        Parameters
        ----------
        X_v : array-like of shape (n_samples, n_features_v)
            Data of one of the fitted views.
        view : int
            Index of that view.

        Returns
        -------
        Y_v : ndarray of shape (n_samples, n_components)
            Its sources.

        Raises
        ------
        ValueError
            If there is no such view or it has another number of features.
        """
        check_is_fitted(self)
        (view,) = check_view_indices([view], self.n_views_)
        X_v = check_array(
            X_v, dtype=[np.float64, np.float32], input_name=f"view {view}", estimator=self
        )
        if X_v.shape[1] != self.view_sizes_[view]:
            raise ValueError(
                f"X_v has {X_v.shape[1]} features, but view {view} has "
                f"{self.view_sizes_[view]}: {type(self).__name__} was fitted with views of sizes "
                f"{self.view_sizes_}."
            )
        return self._unmix(X_v, view)

    def inverse_transform(self, S, views=None):
        """Compute the data that sources stand for.

        Parameters
        ----------
        S : MultiViewData or array-like
            What `transform` gave: shared sources of shape (n_samples, n_components), or the
            sources of the views.
        views : sequence of int, default=None
            Indices of the fitted views to compute; for `output="concat"` and `"views"`, of the
            views that `S` holds. None means all of them.

        Returns
        -------
        X : MultiViewData
            The views. `numpy.asarray` gives them side by side, as one table.

        Raises
        ------
        ValueError
            If `S` has not the number of columns that `transform` gives.
        """
        check_is_fitted(self)
        present = self._present(views)
        sources = self._check_sources(S, len(present))
        blocks = [self._mix(Y_v, v) for Y_v, v in zip(sources, present, strict=True)]
        return MultiViewData(blocks, view_names=_names_of_views(S))

    def get_feature_names_out(self, input_features=None):
        """Names of the columns that `transform` gives.

        Parameters
        ----------
        input_features : array-like of str, default=None
            Only compared with the names seen in `fit`.

        Returns
        -------
        names : ndarray of str
            The class name in lower case and the number of the component; with the number of the
            view in front for `output="concat"` and `"views"`.
        """
        check_is_fitted(self)
        _check_feature_names_in(self, input_features, generate_names=False)
        prefix, p = type(self).__name__.lower(), self._n_components
        names = [f"{prefix}{c}" for c in range(p)]
        if self.output != "shared":
            names = [f"view{v}_{name}" for v in range(self.n_views_) for name in names]
        return np.asarray(names, dtype=object)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = True
        tags.input_tags.three_d_array = True
        tags.input_tags.sparse = False
        tags.input_tags.allow_nan = False
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    @property
    def _n_components(self):
        return self.components_[0].shape[0]

    @property
    def _n_features_out(self):
        return self._n_components * (1 if self.output == "shared" else self.n_views_)

    def _present(self, views):
        """Return the indices of the views present: all of them for None."""
        return (
            list(range(self.n_views_))
            if views is None
            else check_view_indices(views, self.n_views_)
        )

    def _shared_sources(self, Y, views):
        """Return the shared sources, here the mean of the sources Y of these views."""
        S = Y[0].copy()
        for Y_v in Y[1:]:
            S += Y_v
        S /= len(Y)
        return S

    def _unmix(self, X_v, v):
        """Return the sources of one view, without a centred copy of the data."""
        Y_v = np.empty((len(X_v), self._n_components), dtype=X_v.dtype)
        project(X_v, self.mean_[v], self.components_[v], out=Y_v.T)
        return Y_v

    def _mix(self, Y_v, v):
        """Return the data of one view from its sources."""
        X_v = Y_v @ self.mixing_[v].T.astype(Y_v.dtype, copy=False)
        X_v += self.mean_[v].astype(Y_v.dtype, copy=False)
        return X_v

    def _check_sources(self, S, n_present):
        """Return the sources of each view present, from what transform gave."""
        p = self._n_components
        n_blocks = 1 if self.output == "shared" else n_present
        blocks = check_views(S, min_samples=1)
        widths = [block.shape[1] for block in blocks]
        if widths == [n_blocks * p]:
            blocks = split_columns(blocks[0], (p,) * n_blocks)
        elif widths != [p] * n_blocks:
            raise ValueError(
                f"S has blocks of {widths} columns, expected {n_blocks * p} columns: {p} "
                f"components times {n_blocks} for output={self.output!r} and {n_present} views."
            )
        return blocks * n_present if self.output == "shared" else blocks


def _names_of_views(X):
    """Return the names of the views of a container, to hand them on; None for other data."""
    return X.view_names if isinstance(X, MultiViewData) else None
