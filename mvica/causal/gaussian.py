"""The estimator GaussianLiMVAM: the order of highest likelihood."""

from numbers import Integral

import numpy as np
from sklearn.utils import check_random_state

from mvica._validation import Interval, StrOptions
from mvica.causal.base import LiMVAMBase
from mvica.causal.likelihood import (
    MAX_EXACT,
    RowValues,
    exact_order,
    local_order,
    random_order,
)
from mvica.causal.order_search import direct_order, pairwise_order

EXACT = 12  # variables up to which all orders are searched by default


class GaussianLiMVAM(LiMVAMBase):
    """Causal order of highest Gaussian likelihood, shared over views.

    Every view follows ``x_v = B_v x_v + e_v`` with strengths of its own and one causal order for
    all. The likelihood of an order is a sum over variables of terms that depend on the set of
    predecessors alone, so up to a dozen variables the best of all orders is found, with its margin
    to the second best.

    Parameters
    ----------
    search : {"auto", "exact", "local"}, default="auto"
        "exact" searches all orders by dynamic programming over sets, 2^p p terms; "local" improves
        the orders of DirectLiMVAM and PairwiseLiMVAM, and random ones, by moving single variables;
        "auto" is exact for up to 12 variables.
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
    n_restarts : int, default=10
        Random orders that the local search starts from, besides two good ones.
    random_state : int, RandomState instance or None, default=None
        Seed of the random orders.
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
    order_margin_ : float
        Nats of likelihood to the second best order: of all orders after an exact search, of those
        one move away after a local one. Zero or small: the data do not tell.
    near_orders_ : ndarray of int, shape (k, p)
        Orders within 2 nats of the best, best first; after a local search, its result alone.
    near_order_gaps_ : ndarray of shape (k,)
        By how many nats their likelihood is lower.
    order_scores_ : ndarray of shape (p, p) or None
        With one view, the losses of the search for roots; else None.
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
    DirectLiMVAM : Much faster for many views.
    PairwiseLiMVAM : The same likelihood, pair by pair.

    Notes
    -----
    Only the covariances between views are used, computed once. One view has no other to correlate
    with: the order then comes from non-Gaussian disturbances (DirectLiNGAM).

    References
    ----------
    Heurtebise, Chehab, Ablin, Gramfort, Hyvarinen, "Multi-view causal discovery without
    non-Gaussianity: identifiability and algorithms", arXiv 2502.20115.

    Examples
    --------
    >>> from mvica.causal import GaussianLiMVAM
    >>> from mvica.datasets import make_limvam
    >>> data = make_limvam("gauss", n_views=4, n_samples=500, n_variables=4, random_state=0)
    >>> model = GaussianLiMVAM().fit(data.views)
    >>> bool((model.causal_order_ == data.causal_order).all())
    True
    >>> float(abs(model.adjacency_matrices_ - data.adjacency_matrices).max().round(1))
    0.1
    """

    _parameter_constraints: dict = {
        **LiMVAMBase._parameter_constraints,
        "search": [StrOptions({"auto", "exact", "local"})],
        "n_restarts": [Interval(Integral, 0, None, closed="left")],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        *,
        search="auto",
        prior_knowledge=None,
        prune=None,
        alpha=0.05,
        n_gls=3,
        shrinkage="auto",
        n_restarts=10,
        random_state=None,
        view_sizes=None,
        output="shared",
    ):
        self.search = search
        self.prior_knowledge = prior_knowledge
        self.prune = prune
        self.alpha = alpha
        self.n_gls = n_gls
        self.shrinkage = shrinkage
        self.n_restarts = n_restarts
        self.random_state = random_state
        self.view_sizes = view_sizes
        self.output = output

    def _find_order(self, C, rules, shrinkages, views):
        values = RowValues(C.blocks, rules.allowed, C.n_samples, shrinkages)
        if self.search == "exact" and C.n_variables > MAX_EXACT:
            raise ValueError(
                f'search="exact" is for up to {MAX_EXACT} variables, got {C.n_variables}: use '
                '"local".'
            )
        if self.search == "exact" or (self.search == "auto" and C.n_variables <= EXACT):
            found = exact_order(values, rules.before)
        else:
            found = local_order(values, rules.before, self._starts(C, rules))
        self.order_scores_ = None
        self._report_rivals(found.margin, found.near_orders, found.gaps)
        return found.order

    def _starts(self, C, rules):
        yield direct_order(C.blocks, rules.before).order
        yield pairwise_order(C.blocks, rules.before, C.n_samples, shrinkage=self._amount).order
        rng = check_random_state(self.random_state)
        for _ in range(self.n_restarts):
            yield random_order(rules.before, rng)

    def _report_order(self, order):
        super()._report_order(order)
        if self.n_views_ == 1:
            self._report_rivals(np.nan, self.causal_order_[None], np.zeros(1))

    def _report_rivals(self, margin, near_orders, gaps):
        self.order_margin_ = margin
        self.near_orders_ = near_orders
        self.near_order_gaps_ = gaps
