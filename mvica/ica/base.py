"""What the ICA estimators share: reduction, reported attributes, and views added later."""

import warnings
from numbers import Integral, Real

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_array
from sklearn.utils.validation import check_is_fitted

from mvica._validation import Interval, StrOptions
from mvica.base import MultiViewTransformer
from mvica.ica.densities import NAMES, Density, super_gaussianity
from mvica.ica.stacked import StackedViews
from mvica.ica.summary import summarize
from mvica.reduction.reduce import reduce_views, stack_reduced
from mvica.reduction.regress import reduce_to_signals

GAUSSIAN = 0.005  # super-Gaussianity below which two sources are not told apart
GAUSSIAN_SAMPLES = 2000  # fewer do not tell the super-Gaussianity so precisely
REDUCTIONS = {"mcca", "pca", "grouppca", "srm"}

SOLVER_CONSTRAINTS = {
    "density": [StrOptions(set(NAMES)), Density],
    "max_iter": [Interval(Integral, 1, None, closed="left")],
    "tol": [Interval(Real, 0, None, closed="neither")],
}


class MultiViewICABase(MultiViewTransformer):
    """Reduce the views, solve, and report in one scale, order and sign.

    A subclass defines ``_solve(stacked, patterns)``, which returns unmixings (m, p, p), the kinds
    of the components (p,) and a `mvica.optim.result.Result`.
    """

    _parameter_constraints: dict = {
        **MultiViewTransformer._parameter_constraints,
        "reduction": [StrOptions(REDUCTIONS), None],
    }

    def _fit_views(self, views):
        reduction = reduce_views(
            views, self.n_components, method=self.reduction, random_state=self.random_state
        )
        stacked = StackedViews(stack_reduced(views, reduction), len(views))
        W, kinds, result = self._solve(stacked, reduction.patterns)
        self._report_solver(result)
        self._report_sources(stacked, W, kinds, reduction)
        self._warn_if_gaussian()

    def _report_solver(self, result):
        self.n_iter_ = max(result.n_iter, 1)
        self.converged_ = result.converged
        self.objective_ = result.objective
        self.objective_history_ = result.history
        self.gradient_norm_ = result.gradient_norm
        if not result.converged:
            warnings.warn(
                f"{type(self).__name__} did not converge in {result.n_iter} iterations "
                f"({result.message}): gradient {result.gradient_norm:.2g}, tol={self.tol:g}. "
                f"Raise max_iter (now {self.max_iter}) or tol, or lower n_components: too many "
                "components leave nothing shared to find.",
                ConvergenceWarning,
                stacklevel=5,
            )

    def _warn_if_gaussian(self):
        if len(self.sources_) < GAUSSIAN_SAMPLES:
            return
        kappa = super_gaussianity(np.ascontiguousarray(self.sources_.T))
        gaussian = np.flatnonzero(np.abs(kappa) < GAUSSIAN)
        if len(gaussian) > 1:
            warnings.warn(
                f"Components {gaussian.tolist()} are Gaussian to the eye of {type(self).__name__}: "
                "it cannot tell them from their mixtures. A model that learns a noise level for "
                "each view and component (ShICAML) can.",
                UserWarning,
                stacklevel=5,
            )

    def _report_sources(self, stacked, W, kinds, reduction):
        found = summarize(stacked, W, reduction)
        self.components_ = [w @ R for w, R in zip(found.W, reduction.projections, strict=True)]
        self.mixing_ = [
            A @ np.linalg.inv(w) for w, A in zip(found.W, reduction.patterns, strict=True)
        ]
        self.mean_ = list(reduction.means)
        self.rank_ = reduction.ranks
        self.sources_ = found.sources
        self.scale_ = found.scale
        self.sub_gaussian_ = np.asarray(kinds)[found.order]
        self.noise_variances_ = found.noise_variances
        self.agreement_ = found.agreement
        self.explained_variance_ratio_ = found.explained
        return found

    def add_view(self, X_new, shared=None):
        """Fit the unmixing of one more view; the sources and the other views stay as they are.

        Parameters
        ----------
        X_new : array-like of shape (n_samples, n_features_new)
            A new view of the samples that the shared sources belong to.
        shared : array-like of shape (n_samples, n_components), default=None
            Shared sources of these samples, as `transform` gives them. None takes `sources_`, those
            of the training data.

        Returns
        -------
        self : object
            The estimator with one more view, the last one.
        """
        check_is_fitted(self)
        S = self.sources_ if shared is None else check_array(shared, input_name="shared")
        dtypes = [np.float64, np.float32]
        X_new = check_array(X_new, dtype=dtypes, input_name="X_new", ensure_min_samples=2)
        p = self._n_components
        if S.shape != (len(X_new), p):
            raise ValueError(
                f"The shared sources have shape {S.shape}, expected {(len(X_new), p)}: X_new has "
                f"{len(X_new)} samples and the model {p} components. Give `shared` for these "
                "samples."
            )
        reduction = reduce_to_signals(X_new, S)
        Z = stack_reduced([X_new], reduction)
        self._append_view(Z, S, *self._fit_new_view(Z, S), reduction)
        return self

    def _fit_new_view(self, Z, S):
        """Unmixing (p, p) and noise variances (p,) of a reduced new view."""
        W = self._unmixing_of_new_view(Z, S)
        Y = (W.astype(Z.dtype) @ Z).T
        excess = np.mean((Y - S) ** 2, axis=0) - self.noise_variances_.mean(axis=0) / self.n_views_
        return W, np.maximum(excess, 0)

    def _unmixing_of_new_view(self, Z, S):
        """Unmixing (p, p) of a reduced new view: regression of the sources on it."""
        view = StackedViews(Z, 1)
        return np.linalg.solve(view.covariances[0], view.correlate(S.T.astype(Z.dtype))).T

    def _append_view(self, Z, S, W, noise, reduction):
        Y = (W.astype(Z.dtype) @ Z).T
        variance = np.var(S, axis=0)
        cross = np.mean(Y * S, axis=0) / variance
        pattern = Z @ S / len(S) / variance
        explained = ((reduction.patterns[0] @ pattern) ** 2).sum(axis=0) * variance
        self.components_ = [*self.components_, W @ reduction.projections[0]]
        self.mixing_ = [*self.mixing_, reduction.patterns[0] @ np.linalg.inv(W)]
        self.mean_ = [*self.mean_, reduction.means[0]]
        self.rank_ = np.append(self.rank_, reduction.ranks)
        self.noise_variances_ = np.vstack([self.noise_variances_, noise])
        correlation = cross * np.sqrt(variance / np.var(Y, axis=0))
        self.agreement_ = np.vstack([self.agreement_, correlation])
        shares = explained / reduction.variances[0]
        self.explained_variance_ratio_ = np.vstack([self.explained_variance_ratio_, shares])
        self.view_sizes_ = (*self.view_sizes_, len(reduction.means[0]))
        self.n_views_ += 1
        self.n_features_in_ = sum(self.view_sizes_)
        if hasattr(self, "feature_names_in_"):
            del self.feature_names_in_
