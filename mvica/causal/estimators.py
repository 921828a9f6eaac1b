"""The estimators DirectLiMVAM and PairwiseLiMVAM: one root after another."""

from mvica._validation import StrOptions
from mvica.causal.base import LiMVAMBase
from mvica.causal.order_search import ML_STEPS, direct_order, pairwise_order


class DirectLiMVAM(LiMVAMBase):
    """Causal order of linear models that share it over views, from residuals.

    Every view follows ``x_v = B_v x_v + e_v`` with strengths of its own and one causal order for
    all. A variable is a root when the residuals of all others, regressed on it in each view, are
    uncorrelated with it over all pairs of views. Disturbances may be Gaussian: what identifies the
    order is that they are correlated between views.

    Parameters
    ----------
    prior_knowledge : PriorKnowledge or array-like of shape (p, p), default=None
        What is known of the graph. A matrix speaks of paths: [i, j] is 1 where one leads from j to
        i, 0 where there is none, -1 where nothing is known.
    prune : {"wald", "bic", "bic_view", "alasso"}, float or None, default=None
        Which edges to keep of those that the order allows. None keeps all; "wald" those whose
        joint test over views is significant at level `alpha` (Holm's correction); "bic" and
        "bic_view" eliminate parents in all views at once, or view by view; "alasso" is the adaptive
        lasso in each view; a number is the least absolute strength between standardised
        variables. The others are refitted.
    alpha : float, default=0.05
        Level of ``prune="wald"``.
    n_gls : int, default=3
        Rounds of generalised least squares for the strengths. 0 is ordinary least squares in each
        view, which ignores what the disturbances share and has several times the error.
    shrinkage : {"auto", "oas"} or float, default="auto"
        Of covariances between views towards their diagonal: 1e-6 where one is near singular, oracle
        approximating shrinkage, or a factor in [0, 1]. Matters when views are nearly as many as
        samples.
    view_sizes : int or sequence of int, default=None
        How one table of shape (n_samples, n_features) is cut into views. None makes it one view,
        an int that number of equal contiguous blocks of columns.
    output : {"shared", "concat", "views"}, default="shared"
        What `transform` returns: the shared part of the disturbances, the first principal component
        over views of each, (n_samples, p); the disturbances of each view side by side; or these
        as a `MultiViewData`.

    Attributes
    ----------
    causal_order_ : ndarray of int, shape (p,)
        The variables, causes before effects.
    adjacency_matrices_ : ndarray of shape (n_views, p, p)
        ``[v, i, j]``: direct effect of variable j on variable i in view v.
    adjacency_matrix_ : ndarray of shape (p, p)
        Median over views.
    adjacency_se_ : ndarray of shape (n_views, p, p)
        Standard errors, given the order.
    edge_pvalues_ : ndarray of shape (p, p)
        Joint Wald test over views of no effect of j on i, among all edges that the order allows;
        NaN for the others.
    total_effects_ : ndarray of shape (n_views, p, p)
        Direct and indirect effects of j on i.
    disturbance_covariances_ : ndarray of shape (p, n_views, n_views)
        Covariance between views of the disturbance of each variable.
    order_scores_ : ndarray of shape (p, p)
        ``[k, i]``: loss of variable i as the k-th in the order, the least was taken; NaN where it
        was no candidate.
    log_likelihood_ : float
        Gaussian log-likelihood of the training data, in nats.
    variable_names_ : tuple of str
        Column names of dataframes; else x0, x1, ...
    components_ : list of ndarray of shape (p, p)
        From centred variables to disturbances: ``I - B_v``.
    mixing_ : list of ndarray of shape (p, p)
        From disturbances to variables: the inverse.
    mean_ : list of ndarray of shape (p,)
        Mean of each view.
    scale_ : ndarray of shape (n_views, p)
        Standard deviation of each variable.
    covariances_ : ndarray of shape (p, p, n_views, n_views)
        Correlations ``[i, j, v, w]`` of variable i in view v with variable j in view w: all that
        the fit used.
    rank_ : ndarray of int, shape (n_views,)
        Numerical rank of each view; less than p when variables are redundant.
    n_samples_ : int
        Number of samples.
    n_views_ : int
        Number of views.
    view_sizes_ : tuple of int
        Number of variables of each view, all equal.
    n_features_in_ : int
        Number of variables of all views together.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns, when fitted on one dataframe whose column names are all str.

    See Also
    --------
    PairwiseLiMVAM : Compares likelihoods instead; also cubic in the number of views.
    GaussianLiMVAM : Searches the order of highest likelihood; more accurate in few samples.

    Notes
    -----
    Only the covariances between views are used, computed once. Time grows as ``p^3 m^2`` for the
    order and ``p^4 m^3`` for the strengths. One view has no other to correlate with: the order
    then comes from non-Gaussian disturbances (DirectLiNGAM).

    References
    ----------
    Heurtebise, Chehab, Ablin, Gramfort, Hyvarinen, "Multi-view causal discovery without
    non-Gaussianity: identifiability and algorithms", arXiv 2502.20115.

    Examples
    --------
    >>> from mvica.causal import DirectLiMVAM
    >>> from mvica.datasets import make_limvam
    >>> data = make_limvam("gauss", n_views=4, n_samples=500, n_variables=4, random_state=0)
    >>> model = DirectLiMVAM().fit(data.views)
    >>> bool((model.causal_order_ == data.causal_order).all())
    True
    >>> float(abs(model.adjacency_matrices_ - data.adjacency_matrices).max().round(1))
    0.1
    """

    _parameter_constraints: dict = {
        **LiMVAMBase._parameter_constraints,
    }

    def __init__(
        self,
        *,
        prior_knowledge=None,
        prune=None,
        alpha=0.05,
        n_gls=3,
        shrinkage="auto",
        view_sizes=None,
        output="shared",
    ):
        self.prior_knowledge = prior_knowledge
        self.prune = prune
        self.alpha = alpha
        self.n_gls = n_gls
        self.shrinkage = shrinkage
        self.view_sizes = view_sizes
        self.output = output

    def _find_order(self, C, rules, shrinkages, views):
        found = direct_order(C.blocks, rules.before)
        self.order_scores_ = found.scores
        return found.order


class PairwiseLiMVAM(LiMVAMBase):
    """Causal order of linear models that share it over views, from likelihood ratios.

    Every view follows ``x_v = B_v x_v + e_v`` with strengths of its own and one causal order for
    all. The Gaussian likelihoods of both directions of each pair of variables, all views together,
    are compared, and the best root is taken again and again.

    Parameters
    ----------
    slopes : {"ml", "ols"}, default="ml"
        Slopes of each pair: by maximum likelihood over all views, or by least squares in each view.
        "ml" is at least as accurate, and the only one whose likelihood ratios have the textbook
        distribution.
    prior_knowledge : PriorKnowledge or array-like of shape (p, p), default=None
        What is known of the graph. A matrix speaks of paths: [i, j] is 1 where one leads from j to
        i, 0 where there is none, -1 where nothing is known.
    prune : {"wald", "bic", "bic_view", "alasso"}, float or None, default=None
        Which edges to keep of those that the order allows. None keeps all; "wald" those whose
        joint test over views is significant at level `alpha` (Holm's correction); "bic" and
        "bic_view" eliminate parents in all views at once, or view by view; "alasso" is the adaptive
        lasso in each view; a number is the least absolute strength between standardised
        variables. The others are refitted.
    alpha : float, default=0.05
        Level of ``prune="wald"``.
    n_gls : int, default=3
        Rounds of generalised least squares for the strengths. 0 is ordinary least squares in each
        view, which ignores what the disturbances share and has several times the error.
    shrinkage : {"auto", "oas"} or float, default="auto"
        Of covariances between views towards their diagonal: 1e-6 where one is near singular, oracle
        approximating shrinkage, or a factor in [0, 1]. Matters when views are nearly as many as
        samples.
    view_sizes : int or sequence of int, default=None
        How one table of shape (n_samples, n_features) is cut into views. None makes it one view,
        an int that number of equal contiguous blocks of columns.
    output : {"shared", "concat", "views"}, default="shared"
        What `transform` returns: the shared part of the disturbances, the first principal component
        over views of each, (n_samples, p); the disturbances of each view side by side; or these
        as a `MultiViewData`.

    Attributes
    ----------
    causal_order_ : ndarray of int, shape (p,)
        The variables, causes before effects.
    adjacency_matrices_ : ndarray of shape (n_views, p, p)
        ``[v, i, j]``: direct effect of variable j on variable i in view v.
    adjacency_matrix_ : ndarray of shape (p, p)
        Median over views.
    adjacency_se_ : ndarray of shape (n_views, p, p)
        Standard errors, given the order.
    edge_pvalues_ : ndarray of shape (p, p)
        Joint Wald test over views of no effect of j on i, among all edges that the order allows;
        NaN for the others.
    total_effects_ : ndarray of shape (n_views, p, p)
        Direct and indirect effects of j on i.
    disturbance_covariances_ : ndarray of shape (p, n_views, n_views)
        Covariance between views of the disturbance of each variable.
    order_scores_ : ndarray of shape (p, p)
        ``[k, i]``: loss of variable i as the k-th in the order, the least was taken; NaN where it
        was no candidate.
    log_likelihood_ : float
        Gaussian log-likelihood of the training data, in nats.
    variable_names_ : tuple of str
        Column names of dataframes; else x0, x1, ...
    components_ : list of ndarray of shape (p, p)
        From centred variables to disturbances: ``I - B_v``.
    mixing_ : list of ndarray of shape (p, p)
        From disturbances to variables: the inverse.
    mean_ : list of ndarray of shape (p,)
        Mean of each view.
    scale_ : ndarray of shape (n_views, p)
        Standard deviation of each variable.
    covariances_ : ndarray of shape (p, p, n_views, n_views)
        Correlations ``[i, j, v, w]`` of variable i in view v with variable j in view w: all that
        the fit used.
    rank_ : ndarray of int, shape (n_views,)
        Numerical rank of each view; less than p when variables are redundant.
    n_samples_ : int
        Number of samples.
    n_views_ : int
        Number of views.
    view_sizes_ : tuple of int
        Number of variables of each view, all equal.
    n_features_in_ : int
        Number of variables of all views together.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns, when fitted on one dataframe whose column names are all str.

    See Also
    --------
    DirectLiMVAM : Sums squared correlations instead; faster for many views.
    GaussianLiMVAM : Searches the order of highest likelihood; more accurate in few samples.

    Notes
    -----
    Only the covariances between views are used, computed once. Time grows as ``p^3 m^3``. One view
    has no other to correlate with: the order then comes from non-Gaussian disturbances
    (DirectLiNGAM).

    References
    ----------
    Heurtebise, Chehab, Ablin, Gramfort, Hyvarinen, "Multi-view causal discovery without
    non-Gaussianity: identifiability and algorithms", arXiv 2502.20115.

    Examples
    --------
    >>> from mvica.causal import PairwiseLiMVAM
    >>> from mvica.datasets import make_limvam
    >>> data = make_limvam("gauss", n_views=4, n_samples=500, n_variables=4, random_state=0)
    >>> model = PairwiseLiMVAM().fit(data.views)
    >>> bool((model.causal_order_ == data.causal_order).all())
    True
    >>> float(abs(model.adjacency_matrices_ - data.adjacency_matrices).max().round(1))
    0.1
    """

    _parameter_constraints: dict = {
        **LiMVAMBase._parameter_constraints,
        "slopes": [StrOptions({"ml", "ols"})],
    }

    def __init__(
        self,
        *,
        slopes="ml",
        prior_knowledge=None,
        prune=None,
        alpha=0.05,
        n_gls=3,
        shrinkage="auto",
        view_sizes=None,
        output="shared",
    ):
        self.slopes = slopes
        self.prior_knowledge = prior_knowledge
        self.prune = prune
        self.alpha = alpha
        self.n_gls = n_gls
        self.shrinkage = shrinkage
        self.view_sizes = view_sizes
        self.output = output

    def _find_order(self, C, rules, shrinkages, views):
        steps = ML_STEPS if self.slopes == "ml" else 0
        found = pairwise_order(
            C.blocks, rules.before, C.n_samples, steps=steps, shrinkage=self._amount
        )
        self.order_scores_ = found.scores
        return found.order
