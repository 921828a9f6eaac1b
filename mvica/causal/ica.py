"""The estimator ICALiMVAM: shared sources first, then the graph."""

import warnings
from numbers import Integral, Real

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state

from mvica._validation import Interval, StrOptions
from mvica.causal.base import LiMVAMBase
from mvica.causal.gaussian_iva import fit_gaussian_iva, whiteners
from mvica.causal.ica_order import energies, match_rows, one_source, triangular_order
from mvica.causal.likelihood import RowValues, local_order
from mvica.ica.noisy_solve import fit_noisy, fit_second_order
from mvica.ica.stacked import StackedViews

REFINED = 2.0  # nats that a move has to gain: less is what noise gains too


class ICALiMVAM(LiMVAMBase):
    """Causal graph of linear models over views from their independent sources.

    Every view follows ``x_v = B_v x_v + e_v``, and the disturbances of a variable are one source
    shared by all views, plus noise. An independent component analysis of all views gives
    ``I - B_v`` up to the order of its rows, which is found by making the diagonal large and the
    rest triangular. The only LiMVAM that allows views with causal orders of their own.

    Parameters
    ----------
    ica : {"gaussian", "shica_j", "shica_ml"}, default="gaussian"
        "gaussian" is Gaussian independent vector analysis: from covariances, for any correlation
        between the views' disturbances. "shica_j" and "shica_ml" need them to be one source plus
        independent noise; "shica_ml" uses that sources are not Gaussian, and reads the samples.
    shared_order : bool, default=True
        Whether all views have one causal order.
    refine : bool, default=True
        Improve a shared order by moves of single variables that each gain more than 2 nats of
        Gaussian likelihood. In few samples or with weak correlations between views the analysis
        alone gives no usable order. False is the published method.
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
    max_iter : int, default=1000
        Most iterations of the component analysis.
    tol : float, default=1e-7
        Where it stops: predicted decrease of its objective ("gaussian"), or largest entry of its
        gradient.
    random_state : int, RandomState instance or None, default=None
        Seed of the component analysis; "gaussian" draws no random numbers.
    view_sizes : int or sequence of int, default=None
        How one table of shape (n_samples, n_features) is cut into views. None makes it one view,
        an int that number of equal contiguous blocks of columns.
    output : {"shared", "concat", "views"}, default="shared"
        What `transform` returns: the shared part of the disturbances, the first principal component
        over views of each, (n_samples, p); the disturbances of each view side by side; or these
        as a `MultiViewData`.

    Attributes
    ----------
    causal_order_ : ndarray of int, shape (p,), or (n_views, p) with ``shared_order=False``
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
    ica_adjacency_matrices_ : ndarray of shape (n_views, p, p)
        Strengths as the component analysis gives them, before an order is imposed.
    above_diagonal_ : float
        Share of their energy on effects of later on earlier variables, each variable in units of
        its disturbance. Near 0.5, the analysis found no order.
    gains_ : ndarray of shape (n_views, p)
        Of the unit-variance source in each disturbance, ``e_v = gain s + noise``, fitted to
        `disturbance_covariances_`.
    noise_variances_ : ndarray of shape (n_views, p)
        Of that noise, at least 1e-8 of the signal. Two views share one signal-to-noise ratio.
    n_iter_ : int
        Iterations of the component analysis.
    converged_ : bool
        Whether it met `tol`.
    gradient_norm_ : float
        Largest entry of its gradient at the end.
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
    DirectLiMVAM : No component analysis, one order for all views.
    GaussianLiMVAM : The order of highest likelihood.

    Notes
    -----
    Strengths are refitted by generalised least squares once the order is known. One view has no
    other to share a source with: its order comes from non-Gaussian disturbances (DirectLiNGAM).

    References
    ----------
    Heurtebise, Chehab, Ablin, Gramfort, Hyvarinen, "Multi-view causal discovery without
    non-Gaussianity: identifiability and algorithms", arXiv 2502.20115.

    Examples
    --------
    >>> from mvica.causal import ICALiMVAM
    >>> from mvica.datasets import make_limvam
    >>> data = make_limvam("gauss", n_views=4, n_samples=1000, n_variables=4, n_own_orders=4,
    ...     random_state=0)
    >>> model = ICALiMVAM(shared_order=False).fit(data.views)
    >>> bool((model.causal_order_ == data.causal_order).all())
    True
    """

    _parameter_constraints: dict = {
        **LiMVAMBase._parameter_constraints,
        "ica": [StrOptions({"gaussian", "shica_j", "shica_ml"})],
        "shared_order": ["boolean"],
        "refine": ["boolean"],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="neither")],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        *,
        ica="gaussian",
        shared_order=True,
        refine=True,
        prior_knowledge=None,
        prune=None,
        alpha=0.05,
        n_gls=3,
        shrinkage="auto",
        max_iter=1000,
        tol=1e-7,
        random_state=None,
        view_sizes=None,
        output="shared",
    ):
        self.ica = ica
        self.shared_order = shared_order
        self.refine = refine
        self.prior_knowledge = prior_knowledge
        self.prune = prune
        self.alpha = alpha
        self.n_gls = n_gls
        self.shrinkage = shrinkage
        self.max_iter = max_iter
        self.tol = tol
        self.random_state = random_state
        self.view_sizes = view_sizes
        self.output = output

    @property
    def _needs_samples(self):
        return self.ica != "gaussian"

    def _find_order(self, C, rules, shrinkages, views):
        W, self._result = self._unmix_all(C, shrinkages, views)
        W = W[:, match_rows(W)]
        B = np.eye(C.n_variables) - W / np.einsum("vii->vi", W)[:, :, None]
        self.ica_adjacency_matrices_ = C.in_units(B)
        self.order_scores_ = None
        energy = energies(W)
        if not self.shared_order:
            found = [triangular_order(own, rules.before) for own in energy]
            self.above_diagonal_ = float(np.mean([share for _, share in found]))
            return np.stack([order for order, _ in found])
        # Every view counts alike, also one with a disturbance that was hardly seen.
        weights = np.maximum(energy.sum(axis=(1, 2), keepdims=True), np.finfo(float).tiny)
        order, self.above_diagonal_ = triangular_order((energy / weights).sum(axis=0), rules.before)
        if self.refine:
            values = RowValues(C.blocks, rules.allowed, C.n_samples, shrinkages)
            least = 2 * REFINED / C.n_samples
            order = local_order(values, rules.before, [order], least=least).order
        return order

    def _unmix_all(self, C, shrinkages, views):
        """Unmixings (m, p, p) of standardised variables, and the record of the solver."""
        if self.ica == "gaussian":
            # Smaller covariances between views shrink those of every source alike.
            amount = max(shrinkages.max(), 0.0)
            between = 1 - amount * ~np.eye(C.n_views, dtype=bool)
            return fit_gaussian_iva(C.blocks * between, tol=self.tol, max_iter=self.max_iter)
        if C.n_samples <= C.n_variables:
            raise ValueError(
                f'ica="{self.ica}" needs more samples than variables, got {C.n_samples} samples of '
                f'{C.n_variables} variables: use ica="gaussian" or fewer variables.'
            )
        R = whiteners(C.blocks)
        Z = [
            r @ ((X - mean) / scale).T
            for r, X, mean, scale in zip(R, views, C.means, C.scales, strict=True)
        ]
        stacked = StackedViews(np.concatenate(Z), C.n_views)
        rng = check_random_state(self.random_state)
        limits = {"tol": self.tol, "max_iter": self.max_iter, "random_state": rng}
        if self.ica == "shica_j":
            fit, _ = fit_second_order(stacked, **limits)
        else:
            fit = fit_noisy(stacked, None, **limits)
        return fit.W @ R, fit.result

    def _report_strengths(self, C, strengths, rows, tested):
        super()._report_strengths(C, strengths, rows, tested)
        if self.n_views_ == 1:
            self.ica_adjacency_matrices_, self.above_diagonal_ = self.adjacency_matrices_, 0.0
            self.n_iter_, self.converged_, self.gradient_norm_ = C.n_variables, True, 0.0
        else:
            self._report_solver(self.__dict__.pop("_result"))
        self.gains_, self.noise_variances_ = _gains_and_noises(self.disturbance_covariances_)

    def _report_solver(self, result):
        self.n_iter_ = max(result.n_iter, 1)
        self.converged_ = result.converged
        self.gradient_norm_ = result.gradient_norm
        if not result.converged:
            warnings.warn(
                f"ICALiMVAM: the component analysis ({self.ica}) did not converge in "
                f"{result.n_iter} iterations ({result.message}): gradient "
                f"{result.gradient_norm:.2g}, tol={self.tol:g}. Raise max_iter (now "
                f"{self.max_iter}) or tol.",
                ConvergenceWarning,
                stacklevel=6,
            )


def _gains_and_noises(covariances):
    """One source plus noise for each variable, (m, p) each, from covariances (p, m, m)."""
    m = covariances.shape[1]
    scale = np.sqrt(np.einsum("jvv->jv", covariances))
    if m == 1:
        return scale.T, np.zeros((1, len(covariances)))
    loadings = one_source(covariances / scale[:, :, None] / scale[:, None, :])
    noise = np.maximum(1 - loadings**2, 1e-8) * scale**2
    return (loadings * scale).T, noise.T
