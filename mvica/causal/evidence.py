"""What the data say for and against a fitted causal graph: margins, tests, resampling."""

import numpy as np
from sklearn.utils.validation import check_is_fitted

from mvica._validation import validate_views
from mvica.causal.covariances import disturbance_blocks
from mvica.causal.diagnostics import identifiability, independence_pvalues
from mvica.causal.hsic import hsic_pvalues
from mvica.causal.knowledge import resolve_knowledge
from mvica.causal.likelihood import RowValues, swap_gaps


class EvidenceMethods:
    """Tests and margins of a fitted causal estimator."""

    def order_confidence(self):
        """Nats of likelihood that each pair of neighbours in the order is worth.

        Returns
        -------
        gaps : ndarray of shape (p - 1,)
            By how much the Gaussian log-likelihood falls when variables k and k + 1 of the order
            trade places. Near zero, the data do not tell; negative, they prefer the swap. Nats are
            overstated where samples are autocorrelated.
        """
        C = self._shared_order_covariances()
        rules = resolve_knowledge(self.prior_knowledge, self.variable_names_)
        shrinkages = self._shrinkages(C, self.n_samples_)
        values = RowValues(C, rules.allowed, self.n_samples_, shrinkages)
        return swap_gaps(values, self.causal_order_)

    def identifiability(self, alpha=0.05):
        """Say how firmly the data fix the direction of each pair of variables.

        Parameters
        ----------
        alpha : float, default=0.05
            Level of the tests behind `determined`.

        Returns
        -------
        found : Identifiability
            Tests of both directions, and the ingredients that make a direction visible.
        """
        C = self._shared_order_covariances()
        return identifiability(C, self.causal_order_, self.n_samples_, alpha)

    def independence_test(
        self, X=None, *, method="correlation", max_samples=1000, random_state=None
    ):
        """Test that the disturbances of each pair of variables are independent, all views together.

        Parameters
        ----------
        X : MultiViewData, list of array-like, 3D array or array-like, default=None
            Data to take the disturbances from, for ``method="hsic"``.
        method : {"correlation", "hsic"}, default="correlation"
            "correlation" is the likelihood ratio of no correlation in the training data, over all
            pairs of views. "hsic" also sees effects that are not linear (see `hsic_test`), is
            slower, and takes samples as independent of each other.
        max_samples : int, default=1000
            Rows that "hsic" draws if there are more.
        random_state : int, RandomState instance or None, default=None
            Seed of this draw.

        Returns
        -------
        pvalues : ndarray of shape (p, p)
            Small values speak against the model: a missing edge, a hidden common cause or, with
            "hsic", an effect that is not linear. NaN on the diagonal.

        Raises
        ------
        ValueError
            If `method` is unknown, or is "hsic" without data.
        """
        check_is_fitted(self)
        if method == "hsic":
            if X is None:
                raise ValueError('method="hsic" needs the samples: give X.')
            E = np.stack(self.transform_views(X))
            return hsic_pvalues(E, max_samples=max_samples, random_state=random_state)
        if method != "correlation":
            raise ValueError(f'method={method!r}; expected "correlation" or "hsic".')
        to_standard = self.scale_[:, None, :] / self.scale_[:, :, None]
        strengths = self.adjacency_matrices_ * to_standard
        D = disturbance_blocks(self.covariances_, strengths)
        return independence_pvalues(D, (strengths != 0).sum(axis=0), self.n_samples_)

    def bootstrap(self, X, n_boot=100, **settings):
        """Refit to resampled data: see `mvica.causal.bootstrap`.

        Parameters
        ----------
        X : MultiViewData, list of array-like, 3D array or array-like
            The training data.
        n_boot : int, default=100
            Number of replicates.
        **settings : dict
            `block`, `groups`, `n_jobs`, `random_state`, `path`, `verbose`.

        Returns
        -------
        result : Bootstrap
        """
        from mvica.causal.bootstrap import bootstrap

        check_is_fitted(self)
        views = validate_views(self, X, reset=False)
        return bootstrap(self, views, n_boot, **settings)

    def _shared_order_covariances(self):
        check_is_fitted(self)
        if self.causal_order_.ndim == 2 or self.n_views_ == 1:
            raise ValueError(
                f"{type(self).__name__} was fitted with "
                f"{'one view' if self.n_views_ == 1 else 'one order a view'}: this needs several "
                "views and an order that they share."
            )
        return self.covariances_
