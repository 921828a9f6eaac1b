"""The estimator ShICAJ: shared ICA from second-order statistics."""

from numbers import Integral, Real

from mvica._validation import Interval
from mvica.ica.noisy_base import NoisySourcesBase
from mvica.ica.noisy_solve import fit_second_order


class ShICAJ(NoisySourcesBase):
    """Shared ICA from covariances: sources told apart by noise levels that differ between views.

    Multiset CCA, joint diagonalisation of the views' covariances, and a maximum-likelihood
    one-factor model of every component. Sources may be normal: what separates two components is
    that their noise variances, as functions of the view, differ.

    Parameters
    ----------
    n_components : int, default=None
        Number of components. None keeps as many as every view allows: the smallest numerical rank
        of the views.
    reduction : {"mcca", "pca", "grouppca", "srm"} or None, default="mcca"
        How a view with more features than components is reduced first. "mcca" keeps what the views
        share, whatever its variance.
    max_iter : int, default=1000
        Most iterations of the joint diagonalisation and of the one-factor fits.
    tol : float, default=1e-6
        Largest gradient entry of the joint diagonalisation at convergence, relative to how well
        the components are told apart.
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
        Variance of the noise that each view adds to each unit-variance source.
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
    eigenvalues_ : ndarray of shape (n_components,)
        Eigenvalues of multiset CCA, decreasing: `n_views_` where all views agree, 1 where nothing
        is shared.
    n_iter_ : int
        Iterations of the joint diagonalisation.
    converged_ : bool
        Whether it met `tol`, and the one-factor fits converged.
    objective_ : float
        Departure of the views' covariances from joint diagonality.
    objective_history_ : ndarray
        Its course.
    gradient_norm_ : float
        Largest gradient entry of the joint diagonalisation at the end.
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
    ShICAML : Uses the shape of the sources' densities as well; more accurate.

    Notes
    -----
    Components whose noise variances are proportional over views (in particular equal noise
    everywhere) are not told apart: joint diagonalisation then has a flat direction.

    Two views do not tell their scale from their noise: their noise variances are taken to be equal
    and the components are those of canonical correlation analysis. For one view they are its
    principal components, without noise.

    References
    ----------
    Richard, Ablin, Thirion, Gramfort, Hyvarinen (2021), Shared independent component analysis for
    multi-subject neuroimaging, NeurIPS.

    Examples
    --------
    >>> from mvica import ShICAJ
    >>> from mvica.datasets import make_shica
    >>> from mvica.metrics import amari_distance
    >>> data = make_shica("gauss", random_state=0)
    >>> model = ShICAJ(random_state=0).fit(data.views)
    >>> model.transform(data.views).shape
    (1000, 4)
    >>> bool(amari_distance(model.components_, data.mixings) < 0.01)
    True
    """

    _parameter_constraints: dict = {
        name: constraint
        for name, constraint in NoisySourcesBase._parameter_constraints.items()
        if name != "verbose"
    } | {
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="neither")],
    }

    def __init__(
        self,
        n_components=None,
        *,
        reduction="mcca",
        max_iter=1000,
        tol=1e-6,
        view_sizes=None,
        output="shared",
        random_state=None,
    ):
        self.n_components = n_components
        self.reduction = reduction
        self.max_iter = max_iter
        self.tol = tol
        self.view_sizes = view_sizes
        self.output = output
        self.random_state = random_state

    def _fit_noisy(self, stacked, patterns):
        fit, self.eigenvalues_ = fit_second_order(
            stacked, tol=self.tol, max_iter=self.max_iter, random_state=self.random_state
        )
        return fit
