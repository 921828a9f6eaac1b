"""The estimator MultiViewICA."""

from numbers import Integral, Real

import numpy as np
from sklearn.utils.validation import check_is_fitted

from mvica._validation import Interval, StrOptions
from mvica.ica.alternate import fit_new_view
from mvica.ica.base import SOLVER_CONSTRAINTS, MultiViewICABase
from mvica.ica.densities import component_densities
from mvica.ica.solve import INITS, fit_stacked, mean_log_likelihood
from mvica.optim.progress import progress_bar


class MultiViewICA(MultiViewICABase):
    """Independent sources that all views share, by maximum likelihood.

    The model is ``x_v = A_v (s + n_v)``: every view mixes the same independent non-Gaussian
    sources, each with Gaussian noise of its own on the sources. All unmixings are fitted jointly.

    Parameters
    ----------
    n_components : int, default=None
        Number of components. None keeps as many as every view allows: the smallest numerical rank
        of the views.
    reduction : {"mcca", "pca", "grouppca", "srm"} or None, default="mcca"
        How a view with more features than components is reduced first. "mcca" keeps what the views
        share, whatever its variance, and is the safe choice for recordings full of artefacts and
        private activity; see `mvica.reduction.reduce.reduce_views`.
    density : {"logcosh", "sub", "extended"} or Density, default="logcosh"
        Source density: super-Gaussian (sparse, bursting sources), sub-Gaussian (uniform-like,
        oscillating sources), "extended" to let the data choose for every component, or a density of
        your own.
    noise : float, default=1.0
        Noise variance of the model, relative to sources of about unit variance. It weighs the
        agreement of the views against the independence of the sources; the result depends little
        on it.
    init : {"mcca", "permica", "groupica", "best", "random"} or list of ndarray, default="mcca"
        Start: one ICA of the signals that the views share, one ICA a view with matched components,
        one ICA of the group's principal components, the better of the first two, random unmixings
        (with `n_init`), or unmixings of shape (n_components, n_features_v), such as the
        `components_` of a fit to be continued (warm start).
    solver : {"joint", "alternate"}, default="joint"
        "joint" moves all views together; "alternate" is the published algorithm, one view at a
        time, kept for comparison: same optimum, many more iterations.
    max_iter : int, default=200
        Most iterations.
    tol : float, default=1e-5
        Largest entry of the relative gradient at convergence. The predicted decrease of the
        objective must be below ``1e-6 * n_components`` as well.
    n_init : int, default=1
        Number of starts; the fit with the lowest objective is kept. Useful with ``init="random"``.
    sources_estimate : {"mean", "mmse"}, default="mean"
        Shared sources of `transform`: the mean of the views' sources, or the posterior mean, which
        shrinks it and is better when few views are present or the noise is high.
    view_sizes : int or sequence of int, default=None
        How one table of shape (n_samples, n_features) is cut into views. None makes it one view,
        an int that number of nearly equal contiguous blocks of columns, a sequence gives the
        widths.
    output : {"shared", "concat", "views"}, default="shared"
        What `transform` returns: the shared sources (n_samples, n_components); the sources of each
        view side by side; or these as a `MultiViewData`.
    n_jobs : int, default=None
        Threads for the ICAs of ``init="permica"`` and "best", in joblib's convention.
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
        Components fitted with the sub-Gaussian density.
    scale_ : ndarray of shape (n_components,)
        Standard deviation of the shared sources in the solver, which fixes its own scale.
    rank_ : ndarray of shape (n_views,)
        Numerical rank of each view.
    n_iter_ : int
        Iterations of the best start.
    converged_ : bool
        Whether it met `tol`.
    objective_ : float
        Negative log-likelihood at the end, up to a constant, of the whitened reduced views.
    objective_history_ : ndarray of shape (n_iter_ + 1,)
        Objective at the start and after each iteration.
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
    PermICA : One ICA a view, components matched.
    GroupICA : One ICA of the group's principal components.

    Notes
    -----
    The objective is ``E sum_a f(ybar_a) + sum_v E|y_v - ybar|^2 / (2 noise) - sum_v log|det
    W_v|``, with ``y_v`` the view sources, ``ybar`` their mean and f minus the log density. One
    view makes it ordinary maximum-likelihood ICA. Sources that are all Gaussian cannot be told
    apart by this model.

    References
    ----------
    Richard, Gresele, Hyvarinen, Thirion, Gramfort, Ablin (2020), Modeling shared responses in
    neuroimaging studies through MultiView ICA, NeurIPS.

    Examples
    --------
    >>> from mvica import MultiViewICA
    >>> from mvica.datasets import make_multiview_ica
    >>> from mvica.metrics import amari_distance
    >>> data = make_multiview_ica(n_views=4, n_samples=1000, n_components=3, random_state=0)
    >>> model = MultiViewICA(random_state=0).fit(data.views)
    >>> model.transform(data.views).shape
    (1000, 3)
    >>> bool(amari_distance(model.components_, data.mixings) < 0.02)
    True
    """

    _parameter_constraints: dict = {
        **MultiViewICABase._parameter_constraints,
        **SOLVER_CONSTRAINTS,
        "noise": [Interval(Real, 0, None, closed="neither")],
        "init": [StrOptions(set(INITS)), list, tuple, np.ndarray],
        "solver": [StrOptions({"joint", "alternate"})],
        "n_init": [Interval(Integral, 1, None, closed="left")],
        "sources_estimate": [StrOptions({"mean", "mmse"})],
        "n_jobs": [Integral, None],
    }

    def __init__(
        self,
        n_components=None,
        *,
        reduction="mcca",
        density="logcosh",
        noise=1.0,
        init="mcca",
        solver="joint",
        max_iter=200,
        tol=1e-5,
        n_init=1,
        sources_estimate="mean",
        view_sizes=None,
        output="shared",
        n_jobs=None,
        random_state=None,
        verbose=0,
    ):
        self.n_components = n_components
        self.reduction = reduction
        self.density = density
        self.noise = noise
        self.init = init
        self.solver = solver
        self.max_iter = max_iter
        self.tol = tol
        self.n_init = n_init
        self.sources_estimate = sources_estimate
        self.view_sizes = view_sizes
        self.output = output
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    def score(self, X, y=None):
        """Mean log-likelihood of data per sample, to compare models on held-out samples.

        Parameters
        ----------
        X : MultiViewData, list of array-like, 3D array or array-like
            The views, all of them.
        y : None
            Ignored, here for scikit-learn.

        Returns
        -------
        score : float
            With fewer components than features it is the likelihood of the data projected on the
            span of the unmixings: comparable between fits of one `n_components` only.
        """
        check_is_fitted(self)
        Y = [Y_v * self.scale_ for Y_v in self.transform_views(X)]
        U = [U_v * self.scale_[:, None] for U_v in self.components_]
        return mean_log_likelihood(Y, U, self.noise, self.density, self.sub_gaussian_)

    def _solve(self, stacked, patterns):
        with progress_bar("MultiViewICA", self.max_iter, self.verbose) as callback:
            solution = fit_stacked(
                stacked,
                patterns,
                density=self.density,
                noise=self.noise,
                init=self.init,
                solver=self.solver,
                max_iter=self.max_iter,
                tol=self.tol,
                n_init=self.n_init,
                random_state=self.random_state,
                n_jobs=self.n_jobs,
                callback=callback,
            )
        return solution.W, solution.kinds, solution.result

    def _unmixing_of_new_view(self, Z, S):
        scaled = np.ascontiguousarray((S * self.scale_).T, dtype=Z.dtype)
        kinds = self.sub_gaussian_
        result = fit_new_view(Z, scaled, self.n_views_, self.density, kinds, noise=self.noise)
        return result.x[0] / self.scale_[:, None]

    def _shared_sources(self, Y, views):
        S = super()._shared_sources(Y, views)
        return S if self.sources_estimate == "mean" else self._posterior_mean(S, len(views))

    def _posterior_mean(self, S, n_present):
        """Tweedie's formula on unit-variance sources, for the mean over `n_present` views."""
        tau = self.noise_variances_.mean(axis=0)
        inflation = np.sqrt(1 + np.maximum(tau * (1 / n_present - 1 / self.n_views_), 0))
        densities = component_densities(self.density, self.sub_gaussian_)
        for a, density in enumerate(densities):
            slope = density.std / inflation[a]
            score = density.score(slope * S[:, a])
            S[:, a] -= (tau[a] / n_present * slope * score).astype(S.dtype)
        return S
