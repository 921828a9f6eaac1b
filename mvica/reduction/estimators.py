"""Estimators of principal components: of each view on its own, and of all views together."""

from numbers import Integral, Real

import numpy as np

from mvica._validation import Interval, StrOptions
from mvica.base import MultiViewTransformer
from mvica.reduction.group_pca import group_components
from mvica.reduction.pca import principal_components
from mvica.reduction.reduce import (
    check_n_components,
    reduce_views,
)
from mvica.reduction.shared_components import (
    SharedComponents,
    feature_maps,
    skew_signs,
    summed_signals,
)

_SHARED = MultiViewTransformer._parameter_constraints


class ViewPCA(MultiViewTransformer):
    """Principal components of each view, on its own.

    Components come by decreasing variance, with the sign that makes the third moment of each view
    source positive.

    Parameters
    ----------
    n_components : int, default=None
        Number of components, the same for all views. None keeps the smallest numerical rank.
    whiten : bool, default=True
        Scale the components to unit variance. If False, the rows of `components_` are orthonormal.
    view_sizes : int or sequence of int, default=None
        How one table of shape (n_samples, n_features) is cut into views. None makes it one view,
        an int that number of nearly equal contiguous blocks of columns, a sequence gives the
        widths. Data that come as separate views do not need it.
    output : {"concat", "views"}, default="concat"
        What `transform` returns: the sources of the views side by side, of shape (n_samples,
        n_views * n_components), or these as a `MultiViewData`. Components of different views do
        not correspond, so there are no shared sources.

    Attributes
    ----------
    components_ : list of ndarray of shape (n_components, n_features_v)
        Principal directions of each view, scaled by the inverse standard deviations if `whiten`.
    mixing_ : list of ndarray of shape (n_features_v, n_components)
        Maps from components to features, the least-squares inverses of `components_`.
    mean_ : list of ndarray of shape (n_features_v,)
        Mean of each view.
    rank_ : ndarray of shape (n_views,)
        Numerical rank of each view.
    explained_variance_ : ndarray of shape (n_views, n_components)
        Variance of each view along its components.
    explained_variance_ratio_ : ndarray of shape (n_views, n_components)
        The same divided by the total variance of the view.
    n_views_ : int
        Number of views.
    view_sizes_ : tuple of int
        Number of features of each view.
    n_features_in_ : int
        Number of features of all views together.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features, when fitted on one dataframe whose column names are all str.

    See Also
    --------
    GroupPCA : Components of all views together.
    MultisetCCA : Components that the views share, whatever their variance.

    Examples
    --------
    >>> import numpy as np
    >>> from mvica.reduction.estimators import ViewPCA
    >>> rng = np.random.default_rng(0)
    >>> views = [rng.standard_normal((200, 3)), rng.standard_normal((200, 4))]
    >>> Y = ViewPCA(n_components=2).fit_transform(views)
    >>> Y.shape, np.allclose(np.cov(Y[:, :2].T, ddof=0), np.eye(2))
    ((200, 4), True)
    """

    _parameter_constraints: dict = {
        "n_components": _SHARED["n_components"],
        "whiten": ["boolean"],
        "view_sizes": _SHARED["view_sizes"],
        "output": [StrOptions({"concat", "views"})],
    }

    def __init__(self, n_components=None, whiten=True, view_sizes=None, output="concat"):
        self.n_components = n_components
        self.whiten = whiten
        self.view_sizes = view_sizes
        self.output = output

    def _fit_views(self, views):
        reduction = reduce_views(views, self.n_components, method="pca")
        self.components_, self.mixing_, variances = [], [], []
        maps = zip(views, reduction.means, reduction.projections, reduction.patterns, strict=True)
        for X, mean, projection, pattern in maps:
            sign = skew_signs(summed_signals([X], [mean], [projection]))
            variance = np.sum(pattern**2, axis=0)
            scale = sign if self.whiten else sign * np.sqrt(variance)
            self.components_.append(projection * scale[:, None])
            self.mixing_.append(pattern / scale)
            variances.append(variance)
        self.mean_ = reduction.means
        self.rank_ = reduction.ranks
        self.explained_variance_ = np.array(variances)
        self.explained_variance_ratio_ = variances / reduction.variances[:, None]


class GroupPCA(SharedComponents):
    """Principal components of all views side by side, each view counting as much as another.

    Views are scaled to unit total variance, so their units do not matter. The shared sources have
    unit variance, come by decreasing variance of the group component, and have the sign that
    makes their third moment positive.

    Parameters
    ----------
    n_components : int, default=None
        Number of components. None keeps the smallest numerical rank of the views.
    max_iter : int, default=50
        Largest number of rounds of the subspace iteration. A dense solver takes over then, unless
        there are so many views that their joint covariance is not formed.
    tol : float, default=1e-8
        Stop when the subspace moves by less than this between two rounds.
    view_sizes : int or sequence of int, default=None
        How one table of shape (n_samples, n_features) is cut into views. None makes it one view,
        an int that number of nearly equal contiguous blocks of columns, a sequence gives the
        widths. Data that come as separate views do not need it.
    output : {"shared", "concat", "views"}, default="shared"
        What `transform` returns: the shared sources, of shape (n_samples, n_components); the
        contributions of the views side by side, of shape (n_samples, n_views * n_components); or
        these as a `MultiViewData`.
    random_state : int, RandomState instance or None, default=None
        Draws the start of the subspace iteration.

    Attributes
    ----------
    components_ : list of ndarray of shape (n_components, n_features_v)
        Maps from centred features to view sources, whose mean over views is the shared sources.
    mixing_ : list of ndarray of shape (n_features_v, n_components)
        Patterns: covariance of the features with the shared sources.
    mean_ : list of ndarray of shape (n_features_v,)
        Mean of each view.
    sources_ : ndarray of shape (n_samples, n_components)
        Shared sources of the training data.
    rank_ : ndarray of shape (n_views,)
        Numerical rank of each view.
    explained_variance_ : ndarray of shape (n_components,)
        Variance of the group components of the scaled views; their total variance is `n_views_`.
    explained_variance_ratio_ : ndarray of shape (n_views, n_components)
        Share of the variance of each view that each shared source explains.
    n_iter_ : int
        Rounds of the subspace iteration.
    converged_ : bool
        Whether `tol` was reached.
    n_views_ : int
        Number of views.
    view_sizes_ : tuple of int
        Number of features of each view.
    n_features_in_ : int
        Number of features of all views together.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features, when fitted on one dataframe whose column names are all str.

    See Also
    --------
    MultisetCCA : Finds shared signals of small variance, which group PCA misses.

    References
    ----------
    Calhoun, Adali, Pearlson, Pekar, A method for making group inferences from functional MRI data
    using independent component analysis, Human Brain Mapping 2001.

    Examples
    --------
    >>> import numpy as np
    >>> from mvica.reduction.estimators import GroupPCA
    >>> rng = np.random.default_rng(0)
    >>> S = rng.laplace(size=(500, 2))
    >>> views = [S @ rng.standard_normal((2, d)) for d in (4, 6)]
    >>> pca = GroupPCA(random_state=0, n_components=2).fit(views)
    >>> pca.transform(views).shape, pca.explained_variance_.sum().round(6)
    ((500, 2), np.float64(2.0))
    """

    _parameter_constraints: dict = {
        "n_components": _SHARED["n_components"],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "view_sizes": _SHARED["view_sizes"],
        "output": _SHARED["output"],
        "random_state": _SHARED["random_state"],
    }

    def __init__(
        self,
        n_components=None,
        max_iter=50,
        tol=1e-8,
        view_sizes=None,
        output="shared",
        random_state=None,
    ):
        self.n_components = n_components
        self.max_iter = max_iter
        self.tol = tol
        self.view_sizes = view_sizes
        self.output = output
        self.random_state = random_state

    def _fit_views(self, views):
        pcas = [principal_components(X) for X in views]
        p = check_n_components([X.shape for X in views], pcas, self.n_components)
        found = group_components(
            views,
            pcas,
            p,
            random_state=self.random_state,
            tol=self.tol,
            max_iter=self.max_iter,
        )
        maps, patterns = feature_maps(views, pcas, found.weights, found.regressions)
        S = summed_signals(views, [pca.mean for pca in pcas], maps)
        sign = skew_signs(S)
        self.sources_ = S * sign.astype(S.dtype)
        self._set_shared(pcas, [sign[:, None] * W for W in maps], [A * sign for A in patterns])
        self.explained_variance_ = found.variances
        self.n_iter_ = found.n_iter
        self.converged_ = found.converged
