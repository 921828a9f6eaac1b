"""What the estimators of noisy shared sources report, transform and add, beside their solvers."""

import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_is_fitted

from mvica.ica.base import MultiViewICABase
from mvica.ica.mixture import Mixture, invert_posterior
from mvica.ica.noisy_alternate import fit_beside
from mvica.ica.noisy_objective import (
    LARGEST_NOISE,
    LOWEST_NOISE,
    Weighting,
    mean_log_likelihood,
    weighted_mean,
)
from mvica.ica.stacked import StackedViews, by_view, side_by_side
from mvica.ica.summary import correlation_with_others, explained_variance
from mvica.reduction.reduce import reduce_views, stack_reduced

AT_BOUND = 1.001  # factor around the lowest noise variance
SAME = 1 - 1e-6  # mean squared canonical correlation of two views that are copies
ALONE = 0.9  # weight of one view that makes a component its own
DROWNED = 10.0  # noise variance above which a view does not show a component


class NoisySourcesBase(MultiViewICABase):
    """Estimators of ``x_v = A_v (s + n_v)`` with noise variances for every view and component.

    A subclass defines ``_fit_noisy(stacked, patterns)``, which returns a
    `mvica.ica.noisy_solve.NoisyFit`.
    """

    @property
    def _one_noise_a_view(self):
        return getattr(self, "noise", None) == "view"

    def _fit_views(self, views):
        reduction = reduce_views(
            views, self.n_components, method=self.reduction, random_state=self.random_state
        )
        Z = stack_reduced(views, reduction)
        stacked = StackedViews(Z.astype(np.float64, copy=False), len(views))
        fit = self._fit_noisy(stacked, reduction.patterns)
        self._report_solver(fit.result)
        self._report_noisy(stacked, fit, reduction)
        self.sources_ = self.sources_.astype(Z.dtype, copy=False)
        if len(views) > 2:
            self._warn_about_copies(stacked, fit.nu)
            self._warn_about_components()

    def _report_noisy(self, views, fit, reduction):
        """Report sources of unit variance, by reliability, with positive third moments.

        Where the density is not quite that of the sources, the solver's scale is off; the variance
        of the posterior tells by how much.
        """
        m, weighting = views.n_views, Weighting.of(fit.nu)
        ybar = views.mix(side_by_side(weighting.omega[:, :, None] * fit.W))
        S, sums = fit.densities.posterior(ybar, weighting.nubar, out=ybar)
        scale = np.sqrt(sums[:, 1] + sums[:, 2])
        if self._one_noise_a_view:  # one scale for all keeps it one
            scale[:] = np.sqrt(np.mean(scale**2))
        order = np.argsort(weighting.nubar / scale**2, kind="stable")
        sign = np.where(np.einsum("an,an,an->a", S, S, S) < 0, -1.0, 1.0)
        factor = (sign / scale)[order, None]
        W, S = factor * fit.W[:, order], factor * S[order]
        self._densities = fit.densities.reported(order, factor)
        self.scale_ = scale[order]
        self.components_ = [w @ R for w, R in zip(W, reduction.projections, strict=True)]
        self.mixing_ = [A @ np.linalg.inv(w) for w, A in zip(W, reduction.patterns, strict=True)]
        self.mean_ = list(reduction.means)
        self.rank_ = reduction.ranks
        self.sources_ = np.ascontiguousarray(S.T)
        self.noise_variances_ = fit.nu[:, order] * factor[:, 0] ** 2
        self.posterior_variance_ = sums[order, 1] * factor[:, 0] ** 2
        signals = by_view(views.correlate(S), m) / S.std(axis=1)
        self.explained_variance_ratio_ = explained_variance(signals, reduction)
        mean = by_view(views.correlate_mixture(side_by_side(W) / m), m)
        k = np.sum(W @ views.covariances * W, axis=2)
        q = np.einsum("vac,vca->va", W, mean)
        power = q.mean(
            axis=0
        )  # of the plain mean, which has unit variance in `correlation_with_others`
        self.agreement_ = correlation_with_others(k / power, q / power)
        self._n_source_views = m

    def _warn_about_copies(self, views, nu):
        copies = views_with_copies(views, nu)
        if copies:
            warnings.warn(
                f"Views {copies} show the same signals, as copies of one recording do. The "
                "likelihood has no maximum then: their noise variances stay at the lower bound, "
                f"{LOWEST_NOISE:g} of a source's variance. Leave copies out.",
                UserWarning,
                stacklevel=5,
            )

    def _warn_about_components(self):
        others = np.sort(self.noise_variances_, axis=0)[1]
        alone = np.flatnonzero((self.view_weights_.max(axis=0) > ALONE) & (others > DROWNED))
        if len(alone):
            owners = self.view_weights_[:, alone].argmax(axis=0)
            pairs = zip(alone, owners, strict=True)
            found = ", ".join(f"{c} (of view {v})" for c, v in pairs)
            warnings.warn(
                f"Components that one view alone shows: {found}. They are not shared; lower "
                f"n_components, now {self._n_components}, if they are not of interest.",
                UserWarning,
                stacklevel=5,
            )

    @property
    def view_weights_(self):
        """Weights of the views in each shared source, they sum to one over views."""
        check_is_fitted(self)
        return Weighting.of(self.noise_variances_).omega

    @property
    def reliability_(self):
        """Squared correlation of each weighted mean with its source under the model."""
        check_is_fitted(self)
        return 1 / (1 + Weighting.of(self.noise_variances_).nubar)

    @property
    def densities_(self):
        """Density of each source, at unit variance."""
        check_is_fitted(self)
        found = self._densities
        rows = zip(found.weights, found.variances, found.means, strict=True)
        return [Mixture(*row) for row in rows]

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
        Y = self.transform_views(X)
        return mean_log_likelihood(Y, self.components_, self.noise_variances_, self._densities)

    def _shared_sources(self, Y, views):
        """Posterior means of the sources given the views present."""
        weighting = Weighting.of(self.noise_variances_[views])
        ybar = weighted_mean(Y, weighting)
        S, _ = self._densities.posterior(ybar, weighting.nubar, out=ybar)
        return np.ascontiguousarray(S.T, dtype=Y[0].dtype)

    def _fit_new_view(self, Z, S):
        """Unmixing and noise variances of a reduced new view, the fitted views held still."""
        known = self._n_source_views if S is self.sources_ else self.n_views_
        nubar = Weighting.of(self.noise_variances_[:known]).nubar
        S = np.ascontiguousarray(S.T, dtype=np.float64)
        ybar = invert_posterior(S, self._densities, nubar)
        view = StackedViews(Z.astype(np.float64, copy=False), 1)
        W = np.linalg.solve(view.covariances[0], view.correlate(ybar)).T
        # Covariance 1 with the shared source, of which ybar is a noisy copy.
        W /= np.einsum("ac,ca->a", W, view.correlate(ybar))[:, None]
        noise = np.einsum("ac,cd,ad->a", W, view.covariances[0], W) - 1
        log_nu = np.log(np.clip(noise, LOWEST_NOISE, LARGEST_NOISE))
        tied = self._one_noise_a_view
        log_nu = np.full_like(log_nu, log_nu.mean()) if tied else log_nu
        point, result = fit_beside(
            view.Z, ybar, np.maximum(nubar, LOWEST_NOISE), self._densities, W, log_nu,
            tied=tied, tol=1e-6, max_iter=200,
        )  # fmt: skip
        if not result.converged:
            warnings.warn(
                f"The fit of the new view did not converge in {result.n_iter} iterations "
                f"({result.message}): gradient {result.gradient_norm:.2g}.",
                ConvergenceWarning,
                stacklevel=3,
            )
        return point.W[1], np.exp(point.log_nu[1])


def views_with_copies(views, nu):
    """Find the views, among those without noise, that show the signals of another one."""
    m, p = nu.shape
    exact = nu < AT_BOUND * LOWEST_NOISE
    left = np.flatnonzero((exact & (exact.sum(axis=0) > 1)).any(axis=1)).tolist()
    Z, found = views.Z.reshape(m, p, -1), []
    while left:
        first = left.pop(0)
        same = [v for v in left if np.mean(_cross(Z[first], Z[v]) ** 2) * p > SAME]
        found += [first, *same] if same else []
        left = [v for v in left if v not in same]
    return sorted(found)


def _cross(first, second):
    return first @ second.T / first.shape[1]
