"""What MVICAD and MVICAD2 share: epochs, timing, and views in the shared time or their own."""

import warnings
from abc import abstractmethod
from numbers import Integral, Real

import numpy as np
from sklearn.base import clone
from sklearn.utils import check_array, check_random_state
from sklearn.utils.validation import check_is_fitted

from mvica._validation import Interval, StrOptions
from mvica.base import _names_of_views
from mvica.ica.base import MultiViewICABase
from mvica.ica.delays_start import timing_of_new_view
from mvica.ica.dilations_errors import (
    MIN_EPOCHS,
    TimingBootstrap,
    calibrate,
    draw_epochs,
    draw_without_timing,
    timing_covariances,
    wald_test,
)
from mvica.ica.solve import fit_stacked, mean_log_likelihood
from mvica.ica.stacked import StackedViews
from mvica.ica.warps import Clock, Epochs, cut_epochs, latencies
from mvica.reduction.pca import principal_components, whitened_samples
from mvica.reduction.reduce import reduce_views, stack_reduced
from mvica.views import MultiViewData

SAMPLES_PER_DIRECTION = 20  # fewer, and noise predicts the sources at some lag
BANDWIDTH = 5  # samples over which residuals are taken for correlated, besides the smoothing
MANY = 0.1  # share of timings at their bounds that is worth a warning

TIMING_CONSTRAINTS = {
    "epochs": [Interval(Integral, 1, None, closed="left"), list, tuple, np.ndarray],
    "noise": [Interval(Real, 0, None, closed="neither")],
    "reference": [StrOptions({"mean"}), Interval(Integral, 0, None, closed="left")],
    "init": [StrOptions({"match", "permica"}), tuple],
    "max_iter": [Interval(Integral, 1, None, closed="left")],
    "tol": [Interval(Real, 0, None, closed="neither")],
    "n_init": [Interval(Integral, 1, None, closed="left")],
    "n_jobs": [Integral, None],
}


class TimedICABase(MultiViewICABase):
    """Reduce the views, find what delays them, and report in one clock.

    A subclass defines ``_fit_timing(Z, epochs, reduction)``, which sets the timing and the report.
    """

    _row_wise = False

    def _fit_views(self, views):
        self._check_parameters(len(views))
        epochs = cut_epochs(len(views[0]), self.epochs) if len(views) > 1 else None
        reduction = reduce_views(
            views, self.n_components, method=self.reduction, random_state=self.random_state
        )
        Z = stack_reduced(views, reduction)
        self.epochs_ = (len(views[0]),) if epochs is None else epochs.lengths
        if len(views) == 1 or not self._has_timing(epochs):
            self._fit_without_timing(StackedViews(Z, len(views)), reduction)
        else:
            self._fit_timing(Z, epochs, reduction)
            self._warn_at_bounds()
        self._warn_if_gaussian()

    @abstractmethod
    def _has_timing(self, epochs):
        """Check the bounds against the epochs; say whether there is any timing to find."""

    @abstractmethod
    def _fit_timing(self, Z, epochs, reduction):
        """Fit white stacked views, set the timing and all other attributes."""

    @abstractmethod
    def _set_timing(self, shape):
        """Set the timing of views that have none."""

    def _check_parameters(self, m):
        if self.reference != "mean" and self.reference >= m:
            raise ValueError(
                f"reference={self.reference}, but there are {m} views: give one of their indices."
            )

    def _fit_without_timing(self, stacked, reduction):
        """MultiView ICA, which this model is where nothing may be delayed."""
        init = list(self.init[0]) if isinstance(self.init, tuple) else "mcca"
        solution = fit_stacked(
            stacked,
            reduction.patterns,
            noise=self.noise,
            init=init,
            max_iter=self.max_iter,
            tol=self.tol,
            n_init=self.n_init,
            random_state=self.random_state,
            n_jobs=self.n_jobs,
        )
        self._report_solver(solution.result)
        self._report_sources(stacked, solution.W, solution.kinds, reduction)
        self.start_objectives_ = np.array([solution.result.objective])
        self._set_timing(self.agreement_.shape)

    def _warn_at_bounds(self):
        share = self.at_bounds_.mean()
        if share > MANY:
            warnings.warn(
                f"{100 * share:.0f} % of the timings are at or beyond the range that was searched:"
                f" raise {self._bounds_names} if timings that large are plausible, or lower "
                "n_components: components that the views do not share have no timing.",
                UserWarning,
                stacklevel=5,
            )

    # ---- how sure the timing is ----------------------------------------------------------------

    def _report_errors(self, S, clock, window, shared, *, envelope, smoothing, free):
        """Set standard errors, identifiability and test from sources (m, p, n_samples)."""
        dilations = self._fitted_dilations
        C, conditions = timing_covariances(
            S, self.delays_, dilations, clock,
            window=window, envelope=envelope, bandwidth=BANDWIDTH + smoothing, shared=shared,
            free=free,
        )  # fmt: skip
        std = np.sqrt(np.diagonal(C, axis1=-2, axis2=-1))
        found = std[..., 0], std[..., 1], conditions
        self._set_errors(*(np.broadcast_to(a, dilations.shape).copy() for a in found))
        self.timing_test_ = wald_test(self.delays_, dilations, C, shared)

    @abstractmethod
    def _set_errors(self, delays_std, dilations_std, conditions):
        """Set the standard errors, and how well delay and dilation are told apart."""

    def bootstrap_timing(self, X, *, n_boot=100, random_state=None):
        """Fit resampled epochs: standard errors that assume nothing about the noise.

        Parameters
        ----------
        X : MultiViewData, list of array-like, 3D array or array-like
            The views, in at least five whole epochs.
        n_boot : int, default=100
            Number of samples of epochs. Each is fitted from the fitted model.
        random_state : int, RandomState or None, default=None
            Draws the epochs.

        Returns
        -------
        found : TimingBootstrap
            With `delays`, `dilations`, their `delays_std`, `dilations_std`, and `interval(level)`.

        Raises
        ------
        ValueError
            If there are fewer than five epochs.
        """
        check_is_fitted(self)
        Y = self.transform_views(X)
        sources = np.concatenate([(Y_v * self.scale_).T for Y_v in Y]).astype(np.float64)
        epochs, rng = self._clock(sources.shape[1]).epochs, check_random_state(random_state)
        if len(epochs.lengths) < MIN_EPOCHS:
            raise ValueError(
                f"A bootstrap over epochs needs at least {MIN_EPOCHS} of them, found "
                f"{len(epochs.lengths)}: give `epochs` that are averages of fewer trials, or use "
                "delays_std_."
            )
        draws = (draw_epochs(sources, epochs, rng) for _ in range(n_boot))
        found = [self._fit_again(*draw) for draw in draws]
        return TimingBootstrap(*(np.stack(a) for a in zip(*found, strict=True)))

    @abstractmethod
    def _fit_again(self, sources, epochs):
        """Return delays and dilations of other epochs of the fitted sources (m p, n_samples)."""

    def test_timing(self, X, *, n_draws=99, random_state=None):
        """Test that no view differs in timing, calibrated on data drawn without any.

        The fitted views are aligned, their noise is moved in time, and the whole fit is repeated on
        every such draw: right at any noise, at the price of `n_draws` fits.

        Parameters
        ----------
        X : MultiViewData, list of array-like, 3D array or array-like
            The views that were fitted.
        n_draws : int, default=99
            Fits of data without timing; no p-value is below ``1 / (n_draws + 1)``.
        random_state : int, RandomState or None, default=None
            Draws the noise.

        Returns
        -------
        test : TimingTest
            `timing_test_` with p-values from the draws.
        """
        check_is_fitted(self)
        Y = np.stack(self.transform_views(X, aligned=True)).astype(np.float64)
        epochs, rng = self._clock(Y.shape[1]).epochs, check_random_state(random_state)
        init = self.init if isinstance(self.init, str) else "match"
        model = clone(self).set_params(
            n_components=None, view_sizes=None, init=init, epochs=epochs.lengths, verbose=0
        )
        drawn = []
        for _ in range(n_draws):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of draws, not of the data
                model.fit(draw_without_timing(Y, epochs, rng))
            drawn.append(model.timing_test_)
        return calibrate(self.timing_test_, drawn)

    # ---- the shared time and the views' own ----------------------------------------------------

    @property
    def _is_timed(self):
        """Whether any source is delayed or dilated at all."""
        return bool(np.any(self.delays_ != 0) or np.any(self._fitted_dilations != 1))

    @property
    def _fitted_dilations(self):
        return np.ones(self.delays_.shape)

    def _clock(self, n_samples):
        """Clock of data with this number of samples."""
        lengths = self.epochs_
        if n_samples != sum(lengths):
            n = lengths[0]
            if len(set(lengths)) > 1 or n_samples % n:
                expected = "a multiple of that" if len(set(lengths)) == 1 else "their sum"
                raise ValueError(
                    f"X has {n_samples} samples, but {type(self).__name__} was fitted with epochs "
                    f"of {sorted(set(lengths))} samples: expected {expected}, as whole epochs."
                )
            lengths = (n,) * (n_samples // n)
        return Clock(Epochs(lengths), **self._clock_settings())

    def _clock_settings(self):
        return {}

    def _align(self, Y_v, v):
        """Return the sources of one view in the shared time."""
        return self._warped(Y_v, self.delays_[v], self._fitted_dilations[v])

    def _put_back(self, Y_v, v):
        """Return the sources of one view in its own time."""
        d = self._fitted_dilations[v]
        return self._warped(Y_v, -self.delays_[v] / d, 1 / d)

    def _warped(self, Y_v, delays, dilations):
        if not self._is_timed:
            return Y_v
        rows = np.ascontiguousarray(Y_v.T)[None]
        warped = self._clock(len(Y_v)).warp(rows, delays[None], dilations[None])[0][0]
        return np.ascontiguousarray(warped.T)

    def _shared_sources(self, Y, views):
        return super()._shared_sources([self._align(*pair) for pair in zip(Y, views)], views)  # noqa: B905

    def transform_views(self, X, views=None, *, aligned=False):
        """Estimate the sources of each view.

        Parameters
        ----------
        X : MultiViewData, list of array-like, 3D array or array-like
            The views, whole epochs of consecutive samples.
        views : sequence of int, default=None
            Indices of the fitted views that `X` holds, when some are missing.
        aligned : bool, default=False
            False leaves each view in its own time, row by row; True takes it to the shared time.

        Returns
        -------
        Y : list of ndarray of shape (n_samples, n_components)
            The sources of each view present.

        Raises
        ------
        ValueError
            If the views are not those of `fit`, or `aligned` and the samples are no whole epochs.
        """
        Y = super().transform_views(X, views)
        if not aligned:
            return Y
        return [self._align(Y_v, v) for Y_v, v in zip(Y, self._present(views), strict=True)]

    def inverse_transform(self, S, views=None, *, aligned=False):
        """Compute the data that sources stand for, each view in its own time.

        Parameters
        ----------
        S : MultiViewData or array-like
            What `transform` gave: shared sources, which every view's timing is put back into, or
            the sources of the views.
        views : sequence of int, default=None
            Indices of the fitted views to compute. None means all of them.
        aligned : bool, default=False
            For `output="concat"` and "views": whether their sources are in the shared time.

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
        present = self._present(views)
        sources = self._check_sources(S, len(present))
        if self.output == "shared" or aligned:
            sources = [self._put_back(Y_v, v) for Y_v, v in zip(sources, present, strict=True)]
        blocks = [self._mix(Y_v, v) for Y_v, v in zip(sources, present, strict=True)]
        return MultiViewData(blocks, view_names=_names_of_views(S))

    def add_view(self, X_new, shared=None):
        """Fit timing and unmixing of one more view; the sources and other views stay as they are.

        Parameters
        ----------
        X_new : array-like of shape (n_samples, n_features_new)
            A new view of the epochs that the shared sources belong to.
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
        X_new = check_array(X_new, dtype=[np.float64, np.float32], input_name="X_new")
        if S.shape != (len(X_new), self._n_components):
            raise ValueError(
                f"The shared sources have shape {S.shape}, expected "
                f"{(len(X_new), self._n_components)}: give `shared` for the samples of X_new."
            )
        if self.n_views_ > 1:
            epochs = self._clock(len(X_new)).epochs
            Z = _white(X_new, self._n_components)
            delays, dilations = timing_of_new_view(Z, S.T.astype(float), self._search(epochs))
            self._append_timing(delays, dilations)
            S = self._put_back(S, self.n_views_)
        return super().add_view(X_new, S)

    @abstractmethod
    def _search(self, epochs):
        """Return the timings to try on these epochs."""

    @abstractmethod
    def _append_timing(self, delays, dilations):
        """Add the timing (p,) of a new view."""

    def latencies(self, t):
        """When features of the shared sources show up in each view.

        Parameters
        ----------
        t : float or array-like of shape (k,)
            Samples of an epoch of the shared sources.

        Returns
        -------
        u : ndarray of shape (n_views, n_components) or (n_views, n_components, k)
            Samples of an epoch of the view.
        """
        check_is_fitted(self)
        onset = self._clock_settings().get("onset", 0)
        return latencies(t, self.delays_, self._fitted_dilations, onset=onset)

    def delays_in_ms(self, sfreq):
        """Delays in milliseconds.

        Parameters
        ----------
        sfreq : float
            Sampling rate in hertz.

        Returns
        -------
        delays : ndarray of shape (n_views, n_components)
        """
        check_is_fitted(self)
        if not sfreq > 0:
            raise ValueError(f"sfreq={sfreq}; give the sampling rate in hertz, above 0.")
        return self.delays_ * (1000.0 / sfreq)

    def score(self, X, y=None):
        """Mean log-likelihood of data per sample, the timing as fitted.

        Parameters
        ----------
        X : MultiViewData, list of array-like, 3D array or array-like
            The views, all of them, in whole epochs.
        y : None
            Ignored, here for scikit-learn.

        Returns
        -------
        score : float
            To compare models on held-out epochs.
        """
        Y = [Y_v * self.scale_ for Y_v in self.transform_views(X, aligned=True)]
        U = [U_v * self.scale_[:, None] for U_v in self.components_]
        return mean_log_likelihood(Y, U, self.noise, "logcosh", self.sub_gaussian_)

    def _given_timing(self, names):
        """Unmixings and timing of `init`, checked against the names of its entries."""
        if len(self.init) != len(names):
            raise ValueError(f"init has {len(self.init)} entries, expected {names}.")
        m, p = self.n_views_, len(self.init[0][0])
        timing = [np.asarray(a) for a in self.init[1:]]
        for name, a in zip(names[1:], timing, strict=True):
            if a.shape != (m, p):
                raise ValueError(f"init has {name} of shape {a.shape}, expected {(m, p)}.")
            if not np.all(np.isfinite(a)):
                raise ValueError(f"init has {name} that are not finite.")
        return timing


def _white(X, p):
    """White signals (k, n_samples) of a view: its leading principal components, at least p."""
    pca = principal_components(X, max_directions=max(p, len(X) // SAMPLES_PER_DIRECTION))
    return np.ascontiguousarray(whitened_samples(pca, X, slice(None)), dtype=np.float64)
