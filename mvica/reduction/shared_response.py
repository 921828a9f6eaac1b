"""The shared response model as an estimator."""

from numbers import Integral, Real

import numpy as np
from sklearn.utils import check_array
from sklearn.utils.validation import check_is_fitted

from mvica._validation import FLOATS, Interval, StrOptions, validate_views
from mvica.base import MultiViewTransformer
from mvica.kernels.blocks import blocks
from mvica.reduction.pca import (
    principal_components,
    projection_map,
    signal_regressions,
)
from mvica.reduction.reduce import check_n_components
from mvica.reduction.shared_components import skew_signs, summed_signals
from mvica.reduction.srm import NOISE_FLOOR, shared_response

_SHARED = MultiViewTransformer._parameter_constraints


class SharedResponseModel(MultiViewTransformer):
    r"""Shared response model: one orthonormal basis a view, common time courses.

    .. math:: x_v = \mu_v + a_v B_v s + \varepsilon_v, \qquad B_v^\top B_v = I, \quad
              s \sim N(0, \Lambda), \quad \varepsilon_v \sim N(0, \rho_v I)

    Sources come by decreasing variance and have the sign that makes their third moment positive.

    Parameters
    ----------
    n_components : int, default=None
        Number of shared sources. None keeps the smallest numerical rank of the views.
    algorithm : {"probabilistic", "deterministic"}, default="probabilistic"
        EM on the model above, or alternating orthogonal Procrustes problems, which minimise the
        sum of the squared errors of the views and know no noise level.
    scale_views : bool, default=True
        Give every view a gain :math:`a_v`, so that its unit does not matter; sources then have a
        mean variance of one. False is the classical model with :math:`a_v = 1`, for views in one
        unit: the rows of `components_` are then orthonormal.
    max_iter : int, default=1000
        Largest number of rounds.
    tol : float, default=1e-4
        Stop when the sources change by less than this in a round, relatively. EM is slow near its
        end: the subspaces settle long before the axes in them.
    view_sizes : int or sequence of int, default=None
        How one table of shape (n_samples, n_features) is cut into views. None makes it one view,
        an int that number of nearly equal contiguous blocks of columns, a sequence gives the
        widths. Data that come as separate views do not need it.
    output : {"shared", "concat", "views"}, default="shared"
        What `transform` returns: the shared sources, of shape (n_samples, n_components); the
        sources of each view side by side, of shape (n_samples, n_views * n_components); or these
        as a `MultiViewData`.
    random_state : int, RandomState instance or None, default=None
        Draws the start of the group PCA that starts the rounds.

    Attributes
    ----------
    components_ : list of ndarray of shape (n_components, n_features_v)
        Maps from centred features to the sources of a view, :math:`B_v^\top / a_v`.
    mixing_ : list of ndarray of shape (n_features_v, n_components)
        Maps from shared sources to features, :math:`a_v B_v`.
    mean_ : list of ndarray of shape (n_features_v,)
        Mean of each view.
    scales_ : ndarray of shape (n_views,)
        Gains :math:`a_v`, in the unit of each view.
    noise_variance_ : ndarray of shape (n_views,)
        Noise variance :math:`\rho_v` of one feature of each view.
    source_variances_ : ndarray of shape (n_components,)
        Diagonal of :math:`\Lambda`, decreasing.
    sources_ : ndarray of shape (n_samples, n_components)
        Shared sources of the training data: posterior means (probabilistic) or means over views.
    explained_variance_ratio_ : ndarray of shape (n_views, n_components)
        Share of the variance of each view that each shared source explains.
    rank_ : ndarray of shape (n_views,)
        Numerical rank of each view.
    objective_ : float
        Last value of `objective_history_`.
    objective_history_ : ndarray of shape (n_iter_,)
        Negative log-likelihood of a sample (probabilistic), or share of the variance of the views,
        scaled to the same total unless `scale_views` is False, that is not explained.
    n_iter_ : int
        Rounds done.
    converged_ : bool
        Whether `tol` was reached.
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
    MultisetCCA : Needs no equal noise in all features, and ignores private signals of any size.

    Notes
    -----
    The rounds use second moments only: the data are read once before them, and views with more
    features than samples through their Gram matrix.

    References
    ----------
    Chen, Chen, Yeshurun, Hasson, Haxby, Ramadge, A reduced-dimension fMRI shared response model,
    NeurIPS 2015.

    Richard, Martin, Pinho, Pillow, Thirion, Fast shared response model for fMRI data, 2019.

    Examples
    --------
    >>> import numpy as np
    >>> from mvica.reduction.shared_response import SharedResponseModel
    >>> rng = np.random.default_rng(0)
    >>> S = rng.standard_normal((2000, 2)) * [2.0, 1.0]
    >>> bases = [np.linalg.qr(rng.standard_normal((d, 2)))[0] for d in (6, 8, 10)]
    >>> noise = [std * rng.standard_normal((2000, len(B))) for std, B in zip((1, 1, 2), bases)]
    >>> views = [S @ B.T + E for B, E in zip(bases, noise)]
    >>> model = SharedResponseModel(n_components=2, random_state=0).fit(views)
    >>> model.noise_variance_.round()
    array([1., 1., 4.])
    """

    _parameter_constraints: dict = {
        "n_components": _SHARED["n_components"],
        "algorithm": [StrOptions({"probabilistic", "deterministic"})],
        "scale_views": ["boolean"],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "view_sizes": _SHARED["view_sizes"],
        "output": _SHARED["output"],
        "random_state": _SHARED["random_state"],
    }

    def __init__(
        self,
        n_components=None,
        algorithm="probabilistic",
        scale_views=True,
        max_iter=1000,
        tol=1e-4,
        view_sizes=None,
        output="shared",
        random_state=None,
    ):
        self.n_components = n_components
        self.algorithm = algorithm
        self.scale_views = scale_views
        self.max_iter = max_iter
        self.tol = tol
        self.view_sizes = view_sizes
        self.output = output
        self.random_state = random_state

    def _fit_views(self, views):
        pcas = [principal_components(X) for X in views]
        p = check_n_components([X.shape for X in views], pcas, self.n_components)
        found = shared_response(
            views,
            pcas,
            p,
            algorithm=self.algorithm,
            scale_views=self.scale_views,
            random_state=self.random_state,
            tol=self.tol,
            max_iter=self.max_iter,
        )
        self.mean_ = [pca.mean for pca in pcas]
        self.rank_ = np.array([pca.rank for pca in pcas])
        self.scales_ = found.scales
        self.noise_variance_ = found.noise_variances
        self.source_variances_ = found.source_variances
        self._set_maps(views, pcas, found.bases)
        totals = np.array([pca.total_variance for pca in pcas])
        self.explained_variance_ratio_ = (
            self.scales_[:, None] ** 2 * self.source_variances_ / totals[:, None]
        )
        self.objective_history_ = found.history
        self.objective_ = float(found.history[-1])
        self.n_iter_ = found.n_iter
        self.converged_ = found.converged

    def _set_maps(self, views, pcas, bases):
        """Set unmixings, mixings and sources, with the sign rule."""
        rows = [
            projection_map(pca, X, basis.T * np.sqrt(pca.variances))
            for pca, X, basis in zip(pcas, views, bases, strict=True)
        ]
        gains = self._posterior_weights(range(len(views)))
        maps = [g[:, None] / a * R for g, a, R in zip(gains, self.scales_, rows, strict=True)]
        S = summed_signals(views, self.mean_, maps)
        sign = skew_signs(S)
        self.sources_ = S * sign.astype(S.dtype)
        self.components_ = [sign[:, None] * R / a for a, R in zip(self.scales_, rows, strict=True)]
        self.mixing_ = [sign * a * R.T for a, R in zip(self.scales_, rows, strict=True)]

    def _posterior_weights(self, views):
        """Weights (len(views), p) of the view sources in the shared ones."""
        views = list(views)
        if self.algorithm == "deterministic":
            return np.full((len(views), len(self.source_variances_)), 1 / len(views))
        precisions = (self.scales_**2 / self.noise_variance_)[views]
        return precisions[:, None] / (precisions.sum() + 1 / self.source_variances_)

    def _posterior_variances(self):
        """Variances (p,) of the sources given all views."""
        return 1 / (np.sum(self.scales_**2 / self.noise_variance_) + 1 / self.source_variances_)

    def _shared_sources(self, Y, views):
        S = np.zeros_like(Y[0])
        for Y_v, weights in zip(Y, self._posterior_weights(views), strict=True):
            S += Y_v * weights.astype(S.dtype)
        return S

    def score(self, X, y=None):
        """Mean log-likelihood of samples under the Gaussian model.

        Parameters
        ----------
        X : MultiViewData, list of array-like, 3D array or array-like
            The views, in one of the forms that `fit` takes.
        y : None
            Ignored, here for scikit-learn.

        Returns
        -------
        score : float
            Natural logarithm of the density of a sample of all views, averaged.
        """
        check_is_fitted(self)
        views = validate_views(self, X, reset=False, min_samples=1)
        posterior = self._posterior_variances()
        weights = self.scales_**2 / self.noise_variance_
        maps = [w * R for w, R in zip(weights, self.components_, strict=True)]
        S = summed_signals(views, self.mean_, maps)
        quadratic = -np.sum(np.mean(S**2, axis=0, dtype=np.float64) * posterior)
        for X_v, mean, noise in zip(views, self.mean_, self.noise_variance_, strict=True):
            quadratic += _mean_square(X_v, mean) / noise
        widths = np.array(self.view_sizes_)
        log_det = np.sum(widths * np.log(2 * np.pi * self.noise_variance_))
        log_det += np.sum(np.log(self.source_variances_ / posterior))
        return float(-0.5 * (log_det + quadratic))

    def add_view(self, X_new, shared=None):
        """Fit the basis of one more view; the sources and the other views stay as they are.

        Parameters
        ----------
        X_new : array-like of shape (n_samples, n_features_new)
            A new view of the samples that the shared sources belong to.
        shared : array-like of shape (n_samples, n_components), default=None
            Shared sources of these samples, as `transform` gives them. None takes `sources_`,
            those of the training data.

        Returns
        -------
        self : object
            The estimator with one more view, the last one.

        Raises
        ------
        ValueError
            If the numbers of samples differ, or the view has fewer directions than components.
        """
        check_is_fitted(self)
        S = self.sources_ if shared is None else check_array(shared, input_name="shared")
        X = check_array(X_new, dtype=list(FLOATS), input_name="X_new", ensure_min_samples=2)
        p = len(self.source_variances_)
        if S.shape != (len(X), p):
            raise ValueError(
                f"The shared sources have shape {S.shape}, expected {(len(X), p)}: X_new has "
                f"{len(X)} samples and the model {p} components. Give `shared` for the samples "
                "of X_new."
            )
        self._append_view(X, S)
        return self

    def _append_view(self, X, S):
        """Basis and gain of the regression on S; what S leaves out of the sources is not noise."""
        p = S.shape[1]
        pca = principal_components(X)
        check_n_components([X.shape], [pca], p)
        power = np.sum(np.mean(S**2, axis=0, dtype=np.float64))
        unseen = np.sum(self._posterior_variances()) if self.algorithm == "probabilistic" else 0.0
        spread = np.sqrt(pca.variances)
        left, singular, right = np.linalg.svd(
            signal_regressions(pca, X, S) * spread, full_matrices=False
        )
        scale = singular.sum() / power if self.scale_views else 1.0
        residual = pca.total_variance - 2 * scale * singular.sum()
        residual += scale**2 * (power - unseen)
        basis = projection_map(pca, X, left @ right * spread)
        self.components_ = [*self.components_, basis / scale]
        self.mixing_ = [*self.mixing_, scale * basis.T]
        self.mean_ = [*self.mean_, pca.mean]
        self.rank_ = np.append(self.rank_, pca.rank)
        self.scales_ = np.append(self.scales_, scale)
        noise = max(residual, NOISE_FLOOR * pca.total_variance) / X.shape[1]
        self.noise_variance_ = np.append(self.noise_variance_, noise)
        explained = scale**2 * self.source_variances_ / pca.total_variance
        self.explained_variance_ratio_ = np.vstack([self.explained_variance_ratio_, explained])
        self.view_sizes_ = (*self.view_sizes_, X.shape[1])
        self.n_views_ += 1
        self.n_features_in_ = sum(self.view_sizes_)
        if hasattr(self, "feature_names_in_"):
            del self.feature_names_in_


def _mean_square(X, mean):
    """Mean over samples of the squared norm of a centred view, centred in float64 by blocks."""
    return sum(np.sum((X[rows] - mean) ** 2) for rows in blocks(*X.shape)) / len(X)
