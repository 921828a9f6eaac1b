"""The estimators PermICA and GroupICA: the classical ways to ICA of a group."""

from numbers import Integral

from sklearn.utils import check_random_state

from mvica.ica.base import SOLVER_CONSTRAINTS, MultiViewICABase
from mvica.ica.initialization import groupica_start, permica_start
from mvica.optim.progress import progress_bar


class PermICA(MultiViewICABase):
    """One ICA a view, components matched across views: the baseline of multi-view ICA.

    The views' noise is not modelled, so it works for clean views that each show all sources.

    Parameters
    ----------
    n_components : int, default=None
        Number of components. None keeps as many as every view allows: the smallest numerical rank
        of the views.
    reduction : {"mcca", "pca", "grouppca", "srm"} or None, default="mcca"
        How a view with more features than components is reduced first.
    density : {"logcosh", "sub", "extended"} or Density, default="logcosh"
        Source density, see `MultiViewICA`.
    max_iter : int, default=200
        Most iterations of each ICA.
    tol : float, default=1e-5
        Largest entry of the relative gradient at convergence.
    view_sizes : int or sequence of int, default=None
        How one table of shape (n_samples, n_features) is cut into views. None makes it one view,
        an int that number of nearly equal contiguous blocks of columns, a sequence gives the
        widths.
    output : {"shared", "concat", "views"}, default="shared"
        What `transform` returns: the shared sources (n_samples, n_components); the sources of each
        view side by side; or these as a `MultiViewData`.
    n_jobs : int, default=None
        Threads over views, in joblib's convention.
    random_state : int, RandomState instance or None, default=None
        Seed of the random numbers. An int makes repeated fits identical.
    verbose : int, default=0
        1 shows a progress bar over views.

    Attributes
    ----------
    components_ : list of ndarray of shape (n_components, n_features_v)
        Unmixing of each view, from centred features to components, reduction included.
    mixing_ : list of ndarray of shape (n_features_v, n_components)
        Mixing of each view: the spatial patterns of its sources, the right inverse of the unmixing.
    mean_ : list of ndarray of shape (n_features_v,)
        Mean of each view.
    sources_ : ndarray of shape (n_samples, n_components)
        Shared sources of the training data: unit variance, positive third moment, by decreasing
        mean share of explained variance.
    matching_score_ : ndarray of shape (n_components,)
        Mean absolute correlation of the matched components with their mean over views.
    noise_variances_ : ndarray of shape (n_views, n_components)
        Mean squared difference between a view's source and the shared source.
    agreement_ : ndarray of shape (n_views, n_components)
        Correlation of a view's source with the mean of the other views'; NaN for one view.
    explained_variance_ratio_ : ndarray of shape (n_views, n_components)
        Share of a view's variance that the shared source explains.
    sub_gaussian_ : ndarray of bool, shape (n_components,)
        Components taken for sub-Gaussian in most views.
    scale_ : ndarray of shape (n_components,)
        Standard deviation of the mean of the matched unit-variance sources.
    rank_ : ndarray of shape (n_views,)
        Numerical rank of each view.
    n_iter_ : int
        Most iterations that a view took.
    converged_ : bool
        Whether all views met `tol`.
    objective_ : float
        Sum over views of the ICA objectives at the end, of the whitened reduced views.
    objective_history_ : ndarray of shape (n_iter_ + 1,)
        Its course.
    gradient_norm_ : float
        Largest gradient entry at the end.
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
    MultiViewICA : Joint maximum likelihood, more accurate as soon as there is noise.

    References
    ----------
    Richard, Gresele, Hyvarinen, Thirion, Gramfort, Ablin (2020), Modeling shared responses in
    neuroimaging studies through MultiView ICA, NeurIPS.

    Examples
    --------
    >>> from mvica import PermICA
    >>> from mvica.datasets import make_multiview_ica
    >>> data = make_multiview_ica(
    ...     n_views=4, n_samples=1000, n_components=3, noise_std=0.1, random_state=0
    ... )
    >>> PermICA(random_state=0).fit(data.views).matching_score_.round(1)
    array([1., 1., 1.])
    """

    _parameter_constraints: dict = {
        **MultiViewICABase._parameter_constraints,
        **SOLVER_CONSTRAINTS,
        "n_jobs": [Integral, None],
    }

    def __init__(
        self,
        n_components=None,
        *,
        reduction="mcca",
        density="logcosh",
        max_iter=200,
        tol=1e-5,
        view_sizes=None,
        output="shared",
        n_jobs=None,
        random_state=None,
        verbose=0,
    ):
        self.n_components = n_components
        self.reduction = reduction
        self.density = density
        self.max_iter = max_iter
        self.tol = tol
        self.view_sizes = view_sizes
        self.output = output
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    def _report_sources(self, stacked, W, kinds, reduction):
        found = super()._report_sources(stacked, W, kinds, reduction)
        self.matching_score_ = self.matching_score_[found.order]
        return found

    def _solve(self, stacked, patterns):
        with progress_bar("PermICA", stacked.n_views, self.verbose) as callback:
            start, self.matching_score_ = permica_start(
                stacked,
                self.density,
                n_jobs=self.n_jobs,
                callback=callback,
                tol=self.tol,
                max_iter=self.max_iter,
                max_samples=None,
            )
        return start.W, start.kinds, start.result


class GroupICA(MultiViewICABase):
    """One ICA of the group's principal components, sources regressed on every view.

    Parameters
    ----------
    n_components : int, default=None
        Number of components. None keeps as many as every view allows: the smallest numerical rank
        of the views.
    reduction : {"mcca", "pca", "grouppca", "srm"} or None, default="mcca"
        How a view with more features than components is reduced first.
    density : {"logcosh", "sub", "extended"} or Density, default="logcosh"
        Source density, see `MultiViewICA`.
    max_iter : int, default=200
        Most iterations.
    tol : float, default=1e-5
        Largest entry of the relative gradient at convergence.
    view_sizes : int or sequence of int, default=None
        How one table of shape (n_samples, n_features) is cut into views. None makes it one view,
        an int that number of nearly equal contiguous blocks of columns, a sequence gives the
        widths.
    output : {"shared", "concat", "views"}, default="shared"
        What `transform` returns: the shared sources (n_samples, n_components); the sources of each
        view side by side; or these as a `MultiViewData`.
    random_state : int, RandomState instance or None, default=None
        Seed of the random numbers. An int makes repeated fits identical.
    verbose : int, default=0
        1 shows a progress bar.

    Attributes
    ----------
    components_ : list of ndarray of shape (n_components, n_features_v)
        Unmixing of each view, from centred features to components, reduction included.
    mixing_ : list of ndarray of shape (n_features_v, n_components)
        Mixing of each view: the spatial patterns of its sources, the right inverse of the unmixing.
    mean_ : list of ndarray of shape (n_features_v,)
        Mean of each view.
    sources_ : ndarray of shape (n_samples, n_components)
        Shared sources of the training data: unit variance, positive third moment, by decreasing
        mean share of explained variance.
    noise_variances_ : ndarray of shape (n_views, n_components)
        Mean squared difference between a view's source and the shared source.
    agreement_ : ndarray of shape (n_views, n_components)
        Correlation of a view's source with the mean of the other views'; NaN for one view.
    explained_variance_ratio_ : ndarray of shape (n_views, n_components)
        Share of a view's variance that the shared source explains.
    sub_gaussian_ : ndarray of bool, shape (n_components,)
        Components taken for sub-Gaussian.
    scale_ : ndarray of shape (n_components,)
        Standard deviation of the mean of the regressed sources.
    rank_ : ndarray of shape (n_views,)
        Numerical rank of each view.
    n_iter_ : int
        Iterations of the ICA.
    converged_ : bool
        Whether it met `tol`.
    objective_ : float
        Objective of the ICA at the end, of the group's white components.
    objective_history_ : ndarray of shape (n_iter_ + 1,)
        Its course.
    gradient_norm_ : float
        Largest gradient entry at the end.
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
    MultiViewICA : Joint maximum likelihood.

    References
    ----------
    Calhoun, Adali, Pearlson, Pekar (2001), A method for making group inferences from functional
    MRI data using independent component analysis, Human Brain Mapping 14.

    Examples
    --------
    >>> from mvica import GroupICA
    >>> from mvica.datasets import make_multiview_ica
    >>> from mvica.metrics import source_error
    >>> data = make_multiview_ica(n_views=4, n_samples=1000, n_components=3, random_state=0)
    >>> model = GroupICA(random_state=0).fit(data.views)
    >>> bool(source_error(model.sources_, data.sources) < 0.15)
    True
    """

    _parameter_constraints: dict = {
        **MultiViewICABase._parameter_constraints,
        **SOLVER_CONSTRAINTS,
    }

    def __init__(
        self,
        n_components=None,
        *,
        reduction="mcca",
        density="logcosh",
        max_iter=200,
        tol=1e-5,
        view_sizes=None,
        output="shared",
        random_state=None,
        verbose=0,
    ):
        self.n_components = n_components
        self.reduction = reduction
        self.density = density
        self.max_iter = max_iter
        self.tol = tol
        self.view_sizes = view_sizes
        self.output = output
        self.random_state = random_state
        self.verbose = verbose

    def _solve(self, stacked, patterns):
        rng = check_random_state(self.random_state)
        with progress_bar("GroupICA", self.max_iter, self.verbose) as callback:
            start = groupica_start(
                stacked,
                patterns,
                self.density,
                rng,
                tol=self.tol,
                max_iter=self.max_iter,
                max_samples=None,
                callback=callback,
            )
        return start.W, start.kinds, start.result
