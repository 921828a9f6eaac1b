"""The estimators of noisy shared sources by maximum likelihood: ShICAML and AVICA."""

import warnings
from numbers import Integral, Real

import numpy as np
from sklearn.utils import check_random_state

from mvica._validation import Interval, StrOptions
from mvica.ica.mixture import NAMES, Mixture
from mvica.ica.noisy_base import NoisySourcesBase
from mvica.ica.noisy_solve import INITS, SOLVERS, fit_noisy
from mvica.optim.progress import progress_bar


class _Likelihood(NoisySourcesBase):
    """Maximum likelihood: ShICAML and AVICA are the same fit with different defaults."""

    _parameter_constraints: dict = {
        **NoisySourcesBase._parameter_constraints,
        "density": [StrOptions(set(NAMES)), Mixture],
        "init": [StrOptions(set(INITS)), list, tuple, np.ndarray],
        "solver": [StrOptions(set(SOLVERS))],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="neither")],
    }

    def _fit_noisy(self, stacked, patterns):
        n, p = stacked.n_samples, stacked.n_components
        if n < 2 * p:
            raise ValueError(
                f"{n} samples are too few for {p} components: {type(self).__name__} needs two "
                f"samples a component. Set n_components to {n // 2} or less."
            )
        with progress_bar(type(self).__name__, self.max_iter, self.verbose) as callback:
            fit = fit_noisy(
                stacked,
                patterns,
                density=self.density,
                noise=getattr(self, "noise", "view_component"),
                init=self.init,
                solver=self.solver,
                max_iter=self.max_iter,
                tol=self.tol,
                random_state=check_random_state(self.random_state),
                callback=callback,
            )
        if fit.n_light > 1 and not (fit.densities.gaussian or fit.densities.means.any()):
            warnings.warn(
                f"{fit.n_light} sources have light tails, but density={self.density!r} has heavy "
                "ones, under which they count as normal and are hard to tell apart: use "
                'density="adaptive" (or "sub" if all sources are such).',
                UserWarning,
                stacklevel=5,
            )
        return fit


class ShICAML(_Likelihood):
    """Shared ICA by maximum likelihood: sources, and a noise level for each view and component.

    The model is ``x_v = A_v (s + n_v)``: every view mixes the same independent sources, each with
    Gaussian noise whose variance is learned for each view and component. Components are told apart
    by their densities, and normal ones by noise variances that differ between views. The shared
    sources are estimated by their posterior means, which weigh every view by its precision.

    Parameters
    ----------
    n_components : int, default=None
        Number of components. None keeps as many as every view allows: the smallest numerical rank
        of the views.
    reduction : {"mcca", "pca", "grouppca", "srm"} or None, default="mcca"
        How a view with more features than components is reduced first. "mcca" keeps what the views
        share, whatever its variance.
    density : {"heavy", "paper", "gaussian", "sub", "adaptive"} or Mixture, default="heavy"
        Source density, a mixture of Gaussians of unit variance. "heavy" has four of them and heavy
        tails: right for sparse sources, a few percent less exact for normal ones; "paper" the two
        of the paper, closer to normal; "gaussian" is normal and needs covariances only; "sub" has
        two peaks, for sub-Gaussian sources (uniform-like, oscillating); "adaptive" learns the
        weights of six for every component, which suits sources of all kinds together; or give a
        mixture of your own.
    init : {"auto", "shica_j", "ica", "mvica"} or list of ndarray, default="auto"
        Start: `ShICAJ`, good where noise levels differ; one ICA of the signals that the views
        share, good where sources are far from normal; `MultiViewICA`; "auto" runs two iterations
        from each of the first two and keeps the better; or unmixings of shape (n_components,
        n_features_v), such as the `components_` of a fit to be continued (warm start). Components
        must correspond between views: random starts do not lead anywhere.
    solver : {"joint", "em", "alternate"}, default="joint"
        "joint" moves all unmixings and noises together. "em" (generalised EM) and "alternate" (one
        view at a time) reach the same optimum in hundreds to thousands of iterations; they are
        kept for comparison.
    max_iter : int, default=1000
        Most iterations. "joint" needs some 10.
    tol : float, default=1e-6
        Largest entry of the gradient at convergence: relative for the unmixings, of the logarithm
        of the noise variances, those held at a bound (0.001 and 1000) left out.
    view_sizes : int or sequence of int, default=None
        How one table of shape (n_samples, n_features) is cut into views. None makes it one view,
        an int that number of nearly equal contiguous blocks of columns, a sequence gives the
        widths.
    output : {"shared", "concat", "views"}, default="shared"
        What `transform` returns: the shared sources (n_samples, n_components), estimated by their
        posterior means given the views present; the sources of each view side by side; or these
        as a `MultiViewData`.
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
        Posterior means of the shared sources of the training data, the most reliable first, with
        positive third moments. The sources themselves have unit variance: that of the posterior
        means is smaller by `posterior_variance_`.
    noise_variances_ : ndarray of shape (n_views, n_components)
        Variance of the noise that each view adds to a unit-variance source, about 0.001 to 1000.
    posterior_variance_ : ndarray of shape (n_components,)
        Expected squared error of `sources_` under the model.
    reliability_ : ndarray of shape (n_components,)
        Squared correlation of the precision-weighted mean over views with the source, under the
        model, decreasing.
    view_weights_ : ndarray of shape (n_views, n_components)
        Weights of the views in that mean, summing to one over views. Near one, a component is
        carried by one view alone.
    densities_ : list of Mixture
        Density of each source, at unit variance.
    agreement_ : ndarray of shape (n_views, n_components)
        Correlation of a view's source with the mean of the other views'; NaN for one view.
    explained_variance_ratio_ : ndarray of shape (n_views, n_components)
        Share of a view's variance that the shared source explains.
    scale_ : ndarray of shape (n_components,)
        Standard deviation that the shared sources had in the solver.
    rank_ : ndarray of shape (n_views,)
        Numerical rank of each view.
    n_iter_ : int
        Iterations, those of the start that was given up left out.
    converged_ : bool
        Whether the gradient met `tol`.
    objective_ : float
        Negative log-likelihood per sample at the end, up to a constant, of the whitened reduced
        views.
    objective_history_ : ndarray of shape (n_iter_ + 1,)
        Objective at the start and after each iteration; it never increases.
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
    ShICAJ : From covariances alone, faster and less accurate.
    AVICA : The same fit with one noise variance a view, if wanted.
    MultiViewICA : One known noise level for all.

    Notes
    -----
    The objective is the exact likelihood, ``- sum_v log|det W_v| + 1/2 sum log nu - 1/2 sum log
    nubar + 1/2 sum_v E|y_v - ybar|^2 / nu_v + sum E f(ybar; nubar)``, with ``y_v`` the view
    sources, ``ybar`` their precision-weighted mean, ``nubar`` its noise variance and f minus the
    log of the source density smoothed by that noise.

    Two views do not tell their scale from their noise: their noise variances are then taken to be
    equal, component by component. One view has no noise to tell from its sources: the fit is an
    ordinary ICA with the same density, and noise variances are 0. The solver works in float64.

    References
    ----------
    Richard, Ablin, Thirion, Gramfort, Hyvarinen (2021), Shared independent component analysis for
    multi-subject neuroimaging, NeurIPS.

    Examples
    --------
    >>> from mvica import ShICAML
    >>> from mvica.datasets import make_shica
    >>> from mvica.metrics import amari_distance
    >>> data = make_shica("half", random_state=0)
    >>> model = ShICAML(random_state=0).fit(data.views)
    >>> bool(amari_distance(model.components_, data.mixings) < 0.005)
    True

    The noise of the views is part of the answer, and so is what they say together:

    >>> model.noise_variances_.shape, bool(model.reliability_.min() > 0.7)
    ((5, 4), True)
    """

    _parameter_constraints: dict = {**_Likelihood._parameter_constraints}

    def __init__(
        self,
        n_components=None,
        *,
        reduction="mcca",
        density="heavy",
        init="auto",
        solver="joint",
        max_iter=1000,
        tol=1e-6,
        view_sizes=None,
        output="shared",
        random_state=None,
        verbose=0,
    ):
        self.n_components = n_components
        self.reduction = reduction
        self.density = density
        self.init = init
        self.solver = solver
        self.max_iter = max_iter
        self.tol = tol
        self.view_sizes = view_sizes
        self.output = output
        self.random_state = random_state
        self.verbose = verbose


class AVICA(_Likelihood):
    """Adaptive MultiView ICA: independent sources, noise levels of the views, optimal inference.

    The model is ``x_v = A_v (s + n_v)``, as in `MultiViewICA`, but the noise variances of the views
    are learned, so that clean views count more than noisy ones. The shared sources are estimated
    by their posterior means.

    Parameters
    ----------
    n_components : int, default=None
        Number of components. None keeps as many as every view allows: the smallest numerical rank
        of the views.
    reduction : {"mcca", "pca", "grouppca", "srm"} or None, default="mcca"
        How a view with more features than components is reduced first. "mcca" keeps what the views
        share, whatever its variance.
    noise : {"view_component", "view"}, default="view_component"
        Whether a view has a noise variance for each component, or one for all of them. One for all
        is steadier with few samples, but does not tell normal sources apart; the sources then have
        unit variance on average.
    density : {"heavy", "paper", "gaussian", "sub", "adaptive"} or Mixture, default="heavy"
        Source density, a mixture of Gaussians of unit variance. "heavy" has four of them and heavy
        tails: right for sparse sources, a few percent less exact for normal ones; "paper" the two
        of the paper, closer to normal; "gaussian" is normal and needs covariances only; "sub" has
        two peaks, for sub-Gaussian sources (uniform-like, oscillating); "adaptive" learns the
        weights of six for every component, which suits sources of all kinds together; or give a
        mixture of your own.
    init : {"auto", "shica_j", "ica", "mvica"} or list of ndarray, default="ica"
        Start: `ShICAJ`, good where noise levels differ; one ICA of the signals that the views
        share, good where sources are far from normal; `MultiViewICA`; "auto" runs two iterations
        from each of the first two and keeps the better; or unmixings of shape (n_components,
        n_features_v), such as the `components_` of a fit to be continued (warm start). Components
        must correspond between views: random starts do not lead anywhere.
    solver : {"joint", "em", "alternate"}, default="joint"
        "joint" moves all unmixings and noises together. "em" (generalised EM) and "alternate" (one
        view at a time) reach the same optimum in hundreds to thousands of iterations; they are
        kept for comparison.
    max_iter : int, default=1000
        Most iterations. "joint" needs some 10.
    tol : float, default=1e-6
        Largest entry of the gradient at convergence: relative for the unmixings, of the logarithm
        of the noise variances, those held at a bound (0.001 and 1000) left out.
    view_sizes : int or sequence of int, default=None
        How one table of shape (n_samples, n_features) is cut into views. None makes it one view,
        an int that number of nearly equal contiguous blocks of columns, a sequence gives the
        widths.
    output : {"shared", "concat", "views"}, default="shared"
        What `transform` returns: the shared sources (n_samples, n_components), estimated by their
        posterior means given the views present; the sources of each view side by side; or these
        as a `MultiViewData`.
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
        Posterior means of the shared sources of the training data, the most reliable first, with
        positive third moments. The sources themselves have unit variance: that of the posterior
        means is smaller by `posterior_variance_`.
    noise_variances_ : ndarray of shape (n_views, n_components)
        Variance of the noise that each view adds to a unit-variance source, about 0.001 to 1000.
    posterior_variance_ : ndarray of shape (n_components,)
        Expected squared error of `sources_` under the model.
    reliability_ : ndarray of shape (n_components,)
        Squared correlation of the precision-weighted mean over views with the source, under the
        model, decreasing.
    view_weights_ : ndarray of shape (n_views, n_components)
        Weights of the views in that mean, summing to one over views. Near one, a component is
        carried by one view alone.
    densities_ : list of Mixture
        Density of each source, at unit variance.
    agreement_ : ndarray of shape (n_views, n_components)
        Correlation of a view's source with the mean of the other views'; NaN for one view.
    explained_variance_ratio_ : ndarray of shape (n_views, n_components)
        Share of a view's variance that the shared source explains.
    scale_ : ndarray of shape (n_components,)
        Standard deviation that the shared sources had in the solver.
    rank_ : ndarray of shape (n_views,)
        Numerical rank of each view.
    n_iter_ : int
        Iterations, those of the start that was given up left out.
    converged_ : bool
        Whether the gradient met `tol`.
    objective_ : float
        Negative log-likelihood per sample at the end, up to a constant, of the whitened reduced
        views.
    objective_history_ : ndarray of shape (n_iter_ + 1,)
        Objective at the start and after each iteration; it never increases.
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
    ShICAML : The same likelihood, with starts that suit normal sources too.
    MultiViewICA : One known noise level for all.

    Notes
    -----
    The objective is the exact likelihood, ``- sum_v log|det W_v| + 1/2 sum log nu - 1/2 sum log
    nubar + 1/2 sum_v E|y_v - ybar|^2 / nu_v + sum E f(ybar; nubar)``, with ``y_v`` the view
    sources, ``ybar`` their precision-weighted mean, ``nubar`` its noise variance and f minus the
    log of the source density smoothed by that noise.

    Two views do not tell their scale from their noise: their noise variances are then taken to be
    equal, component by component. One view has no noise to tell from its sources: the fit is an
    ordinary ICA with the same density, and noise variances are 0. The solver works in float64.

    References
    ----------
    Richard, Ablin, Hyvarinen, Gramfort, Thirion (2021), Adaptive multi-view ICA: estimation of
    noise levels for optimal inference, arXiv 2102.10964.

    Examples
    --------
    >>> from mvica import AVICA
    >>> from mvica.datasets import make_multiview_ica
    >>> data = make_multiview_ica(
    ...     4, 1000, 3, source_scaling="unit_variance", noise_std=[0.3, 0.3, 0.3, 2], random_state=0
    ... )
    >>> model = AVICA(noise="view", random_state=0).fit(data.views)
    >>> model.view_weights_[:, 0].round(1)
    array([0.3, 0.3, 0.3, 0. ])
    """

    _parameter_constraints: dict = {
        **_Likelihood._parameter_constraints,
        "noise": [StrOptions({"view_component", "view"})],
    }

    def __init__(
        self,
        n_components=None,
        *,
        reduction="mcca",
        noise="view_component",
        density="heavy",
        init="ica",
        solver="joint",
        max_iter=1000,
        tol=1e-6,
        view_sizes=None,
        output="shared",
        random_state=None,
        verbose=0,
    ):
        self.n_components = n_components
        self.reduction = reduction
        self.noise = noise
        self.density = density
        self.init = init
        self.solver = solver
        self.max_iter = max_iter
        self.tol = tol
        self.view_sizes = view_sizes
        self.output = output
        self.random_state = random_state
        self.verbose = verbose
