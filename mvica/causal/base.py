"""What the LiMVAM estimators share: strengths, tests and attributes once an order is found."""

import warnings
from numbers import Integral, Real

import numpy as np
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from mvica._validation import Interval, StrOptions
from mvica.base import MultiViewTransformer
from mvica.causal.covariances import cross_covariances
from mvica.causal.evidence import EvidenceMethods
from mvica.causal.graph import GraphMethods
from mvica.causal.knowledge import PriorKnowledge, resolve_knowledge
from mvica.causal.pruning import METHODS, prune
from mvica.causal.single_view import single_view_order
from mvica.causal.strengths import TEST_ROUNDS, earlier, fit_strengths, weigh
from mvica.views import MultiViewData

SHRINKAGES = {"auto": -1.0, "oas": -2.0}
LOG_2PI = np.log(2 * np.pi)


class LiMVAMBase(GraphMethods, EvidenceMethods, MultiViewTransformer):
    """Fit strengths to an order, and report both.

    A subclass defines ``_find_order(C, rules, shrinkages, views)``, which returns an order (p,), or
    one a view (m, p). `views` is None in a bootstrap, unless the subclass says that it
    `_needs_samples`.
    """

    _same_variables = True
    _needs_samples = False

    _parameter_constraints: dict = {
        "prior_knowledge": [PriorKnowledge, "array-like", None],
        "prune": [StrOptions(METHODS), Interval(Real, 0, None, closed="left"), None],
        "alpha": [Interval(Real, 0, 1, closed="neither")],
        "n_gls": [Interval(Integral, 0, None, closed="left")],
        "shrinkage": [StrOptions(set(SHRINKAGES)), Interval(Real, 0, 1, closed="both")],
        "view_sizes": MultiViewTransformer._parameter_constraints["view_sizes"],
        "output": MultiViewTransformer._parameter_constraints["output"],
    }

    def fit(self, X, y=None):
        """Find the causal order and the strengths of every view.

        Parameters
        ----------
        X : MultiViewData, list of array-like, 3D array or array-like
            The views, with the same variables in the same columns: a `MultiViewData`, a list of
            arrays or dataframes of shape (n_samples, p), an array of shape (n_views, n_samples,
            p), or one table that `view_sizes` cuts. Rows of the same number belong together.
        y : None
            Ignored, here for scikit-learn.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If the views do not fit together, a column is constant, or the prior knowledge
            contradicts itself.
        """
        self._names = _names_of_variables(X)
        return super().fit(X)

    def fit_named(self, X, names):
        """Fit as `fit` does, to views without names of their own.

        Parameters
        ----------
        X : MultiViewData, list of array-like, 3D array or array-like
            The views, as in `fit`.
        names : sequence of str
            Names of the p variables, the same in all views: for prior knowledge, messages, tables
            and pictures.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If the number of names is not that of the variables, or `fit` refuses the data.
        """
        self._names = [str(name) for name in names]
        return super().fit(X)

    def _fit_views(self, views):
        self.variable_names_ = self._choose_names(views[0].shape[1])
        C = cross_covariances(views)
        order, strengths, rows, tested = self._discover(C, views, errors=True)
        self._warn_if_lifted(C, rows)
        self._report_order(order)
        self._report_strengths(C, strengths, rows, tested)

    def _choose_names(self, p):
        names = self.__dict__.pop("_names", None)
        if names is None and self.n_views_ == 1:
            names = getattr(self, "feature_names_in_", None)
        if names is None:
            return tuple(f"x{j}" for j in range(p))
        if len(names) != p:
            raise ValueError(f"There are {len(names)} names for {p} variables.")
        return tuple(map(str, names))

    def _discover(self, C, views, *, errors):
        """Order, standardised strengths, and the rows of the final and of the tested fit."""
        rules = resolve_knowledge(self.prior_knowledge, self.variable_names_)
        shrinkages = self._shrinkages(C.blocks, C.n_samples)
        if C.n_views == 1:
            found = single_view_order(views[0], rules.before)
            order, self.order_scores_ = found.order, found.scores
        else:
            order = self._find_order(C, rules, shrinkages, views)
        orders = np.broadcast_to(np.atleast_2d(order), (C.n_views, C.n_variables))
        kept = earlier(orders) & rules.allowed
        settings = {"shrinkages": shrinkages, "n_samples": C.n_samples}
        tested = None
        if errors or self.prune is not None:
            rounds = max(self.n_gls, TEST_ROUNDS)
            strengths, tested = fit_strengths(
                C.blocks, kept, rounds=rounds, errors=True, **settings
            )
            if self.prune is None and rounds == self.n_gls:
                return order, strengths, tested, tested
        if self.prune is not None:
            kept = prune(
                C.blocks,
                tested,
                rules.required,
                self.prune,
                alpha=self.alpha,
                rounds=self.n_gls,
                **settings,
            )
        strengths, rows = fit_strengths(
            C.blocks, kept, rounds=self.n_gls, errors=errors, **settings
        )
        return order, strengths, rows, tested

    @property
    def _amount(self):
        """The parameter `shrinkage` as the kernels take it."""
        return float(SHRINKAGES.get(self.shrinkage, self.shrinkage))

    def _shrinkages(self, blocks, n_samples):
        from mvica.kernels.causal_numba import shrinkage_of_variables

        return shrinkage_of_variables(blocks, self._amount, n_samples)

    def _warn_if_lifted(self, C, rows):
        lifted = [self.variable_names_[j] for j, row in enumerate(rows) if row.lifted]
        shared = self._shrinkages(C.blocks, C.n_samples) != self._amount
        lifted = sorted({*lifted, *(self.variable_names_[j] for j in np.flatnonzero(shared))})
        if lifted and C.n_views > 1:
            cause = (
                f"there are {C.n_views} views and only {C.n_samples} samples"
                if C.n_views >= C.n_samples
                else "they are the same in several views, but for scale and sign"
            )
            warnings.warn(
                f"The covariance between views of {', '.join(lifted)} is near singular: {cause}. "
                "It is shrunk by 1e-6, and tests that involve it say little; "
                'shrinkage="oas" or a number shrinks more.',
                UserWarning,
                stacklevel=5,
            )

    def _report_order(self, order):
        self.causal_order_ = np.asarray(order, dtype=np.int64)

    def _report_strengths(self, C, strengths, rows, tested):
        m, p = C.scales.shape
        B = C.in_units(strengths)
        self.adjacency_matrices_ = B
        self.adjacency_matrix_ = np.median(B, axis=0)
        errors, self.edge_pvalues_ = np.zeros((m, p, p)), np.full((p, p), np.nan)
        self.disturbance_covariances_ = np.empty((p, m, m))
        for j, (row, full) in enumerate(zip(rows, tested, strict=True)):
            errors[:, j, row.parents] = row.standard_errors(C.n_samples).T
            self.edge_pvalues_[j, full.parents] = full.pvalues(C.n_samples)
            scale = C.scales[:, j]
            self.disturbance_covariances_[j] = row.residual * np.outer(scale, scale)
        self.adjacency_se_ = C.in_units(errors)
        W = np.eye(p) - B
        A = np.linalg.inv(W)
        self.total_effects_ = A - np.eye(p)
        self.components_, self.mixing_ = list(W), list(A)
        self.mean_ = list(C.means)
        self.scale_, self.covariances_, self.n_samples_ = C.scales, C.blocks, C.n_samples
        self.rank_ = C.ranks
        value = sum(row.log_det for row in rows) + p * m * (1 + LOG_2PI)
        self.log_likelihood_ = float(-C.n_samples * (value / 2 + np.log(C.scales).sum()))

    # The transformer ----------------------------------------------------------------------------

    def disturbances(self, X, views=None):
        """Compute the disturbances ``(I - B_v) x_v`` of each view: `transform_views` by its name.

        Parameters
        ----------
        X : MultiViewData, list of array-like, 3D array or array-like
            The views, in one of the forms that `fit` takes.
        views : sequence of int, default=None
            Indices of the fitted views that `X` holds, when some are missing.

        Returns
        -------
        E : list of ndarray of shape (n_samples, p)
        """
        return self.transform_views(X, views)

    def _shared_sources(self, Y, views):
        """First principal component over views of each standardised disturbance, unit variance."""
        S = np.zeros_like(Y[0])
        for Y_v, weight in zip(Y, self._shared_weights(views), strict=True):
            S += Y_v * weight.astype(S.dtype)
        return S

    def _shared_weights(self, views):
        weights = np.empty((len(views), self._n_components))
        for j, full in enumerate(self.disturbance_covariances_):
            S = full[np.ix_(views, views)]
            scale = np.sqrt(np.maximum(np.diag(S), np.finfo(float).tiny))
            values, vectors = np.linalg.eigh(S / scale[:, None] / scale)
            lead = vectors[:, -1] * np.where(vectors[:, -1].sum() < 0, -1.0, 1.0)
            weights[:, j] = lead / scale / np.sqrt(values[-1])
        return weights

    def _check_sources(self, S, n_present):
        blocks = super()._check_sources(S, n_present)
        if self.output != "shared":
            return blocks
        views = list(range(self.n_views_))
        weights = self._shared_weights(views)
        loadings = np.einsum("jvw,wj->vj", self.disturbance_covariances_, weights)
        return [blocks[0] * loading.astype(blocks[0].dtype) for loading in loadings]

    def inverse_transform(self, S, views=None):
        """Compute the data that disturbances stand for.

        Parameters
        ----------
        S : MultiViewData or array-like
            What `transform` gave. Shared disturbances are first scaled to each view: to the part
            of its disturbances that they explain.
        views : sequence of int, default=None
            Indices of the fitted views to compute; for `output="concat"` and `"views"`, of the
            views that `S` holds. None means all of them.

        Returns
        -------
        X : MultiViewData
            The views.

        Raises
        ------
        ValueError
            If `S` has not the number of columns that `transform` gives.
        """
        check_is_fitted(self)
        if self.output != "shared" or views is None:
            return super().inverse_transform(S, views)
        everything = super().inverse_transform(S)
        return MultiViewData([everything.views[v] for v in self._present(views)])

    # The model ----------------------------------------------------------------------------------

    def score(self, X, y=None):
        """Mean Gaussian log-likelihood of a sample of all views, with the means of the training.

        Parameters
        ----------
        X : MultiViewData, list of array-like, 3D array or array-like
            The views, in one of the forms that `fit` takes.
        y : None
            Ignored.

        Returns
        -------
        score : float
            In nats per sample; larger is better.
        """
        check_is_fitted(self)
        E = np.stack([Y.astype(np.float64) for Y in self.transform_views(X)])
        total = E.shape[0] * E.shape[2] * LOG_2PI
        for j, S in enumerate(self.disturbance_covariances_):
            log_det, weight, _ = weigh(S, self._amount, self.n_samples_)
            e = E[:, :, j]
            total += log_det + np.mean(np.einsum("vn,vw,wn->n", e, weight, e, optimize=True))
        return float(-total / 2)

    def simulate(self, n_samples, random_state=None):
        """Draw Gaussian data from the fitted model.

        Parameters
        ----------
        n_samples : int
        random_state : int, RandomState instance or None, default=None
            Seed.

        Returns
        -------
        X : MultiViewData
            Views of shape (n_samples, p).
        """
        check_is_fitted(self)
        rng = check_random_state(random_state)
        E = np.empty((self.n_views_, n_samples, self._n_components))
        for j, S in enumerate(self.disturbance_covariances_):
            values, vectors = np.linalg.eigh(S)
            root = vectors * np.sqrt(np.maximum(values, 0))
            E[:, :, j] = root @ rng.standard_normal((len(S), n_samples))
        return MultiViewData([self._mix(E_v, v) for v, E_v in enumerate(E)])

    def predict_intervention(self, do):
        """Compute the expected values of all variables when some are set from outside.

        Parameters
        ----------
        do : dict of str or int to float
            Variable, by name or index, and the value that it is set to.

        Returns
        -------
        expected : ndarray of shape (n_views, p)
        """
        check_is_fitted(self)
        names, p = list(self.variable_names_), self._n_components
        fixed = [names.index(key) if isinstance(key, str) else int(key) for key in do]
        B = self.adjacency_matrices_.copy()
        constant = np.einsum("vij,vj->vi", np.stack(self.components_), np.stack(self.mean_))
        B[:, fixed] = 0.0
        constant[:, fixed] = list(do.values())
        return np.linalg.solve(np.eye(p) - B, constant[:, :, None])[:, :, 0]


def _names_of_variables(X):
    """Return the common column names of a list of dataframes, None for other data."""
    if not isinstance(X, (list, tuple)) or not X:
        return None
    columns = [getattr(view, "columns", None) for view in X]
    if any(names is None for names in columns):
        return None
    if not all(isinstance(name, str) for names in columns for name in names):
        return None
    for v, names in enumerate(columns):
        if list(names) != list(columns[0]):
            raise ValueError(
                f"view {v} has columns {list(names)}, view 0 has {list(columns[0])}: causal "
                "discovery needs the same variables, in the same order, in every view."
            )
    return list(columns[0])
