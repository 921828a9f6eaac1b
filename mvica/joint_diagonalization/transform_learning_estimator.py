"""The estimator TransformLearningNMF."""

import warnings

import numpy as np
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_array
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted, validate_data

from mvica._validation import StrOptions, _fit_context
from mvica.joint_diagonalization.spectrogram import Criterion
from mvica.joint_diagonalization.transform_learning_nmf import (
    FACTOR_CONSTRAINTS,
    scale_of,
    solve,
    warn_unless_converged,
)
from mvica.optim.progress import progress_bar

FLOATS = [np.float64, np.float32]
_MAX_STEPS = 10_000  # multiplicative steps for the activations of one frame
_SETTLED = 1e-8  # relative change of the activations at which they stop


def _gives_coefficients(estimator):
    if estimator.output != "coefficients":
        raise AttributeError(
            "Activations are powers, from which no frame can be computed. Use "
            "output='coefficients' for an inverse_transform, or separate(X) for the part of each "
            "component in frames X."
        )
    return True


class TransformLearningNMF(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Spectral components of frames of a signal, with the transform learned from the frames.

    Non-negative factorisation of a spectrogram describes a sound or a brain signal by a few power
    spectra and their courses over time. Here the Fourier or cosine transform behind the
    spectrogram is replaced by the orthogonal transform that suits the data best. The model is
    ``x = transform_ @ frame``, with independent ``x_m ~ N(0, v_m)``, and powers ``v = activations
    @ dictionary_`` that mix a few non-negative spectra.

    Parameters
    ----------
    n_components : int, default=None
        Number of spectra, fewer than frames and samples of a frame. None takes 10, or a quarter of
        the length of a frame if that is less.
    objective : {"likelihood", "itakura-saito"}, default="likelihood"
        What is minimised, see Notes. "likelihood" finds the transform of the model;
        "itakura-saito" is the objective of the publication, which cannot, but may give useful
        atoms on audio.
    alpha : float, default=0.0
        Weight of the sum of the activations, which shrinks them; in units of the mean square of
        the data.
    floor : float, default=1e-4
        Power added to squares and variances, in the same units: in effect, white noise 40 dB below
        the mean power. It keeps the objective bounded, see Notes. A floor of 1e-6 resolves weaker
        parts of long recordings; 1e-12 is that of the publication.
    init : {"random", "dct", "jd"}, array-like or tuple, default="random"
        First transform: drawn uniformly; the cosine transform; the joint diagonaliser of the
        covariances of blocks of ``2 * n_window`` consecutive frames, when these are about
        stationary; or an orthogonal matrix of shape (n_window, n_window), one atom a row. The
        other unknowns are drawn. A tuple ``(transform_, dictionary_, activations_)`` continues a
        fit.
    n_init : int, default=1
        Number of starts; the fit with the lowest objective is kept. The objective has many local
        minima.
    n_inner : int, default=3
        Quasi-Newton steps of the transform in an iteration.
    max_iter : int, default=300
        Most iterations.
    tol : float, default=1e-4
        Largest decrease of the objective, a coefficient, in the last iteration.
    output : {"activations", "coefficients"}, default="activations"
        What `transform` returns: the activations, of shape (n_frames, n_components), or the
        coefficients ``frames @ transform_.T``, of shape (n_frames, n_window), which
        `inverse_transform` turns back into frames.
    random_state : int, RandomState instance or None, default=None
        Seed of the starts. An int makes repeated fits identical.
    verbose : int, default=0
        1 shows a progress bar.

    Attributes
    ----------
    transform_ : ndarray of shape (n_window, n_window)
        Orthogonal transform, one atom a row, by decreasing power in the data; the largest entry of
        each is positive.
    dictionary_ : ndarray of shape (n_components, n_window)
        Power spectra over the atoms, of sum 1, by decreasing power.
    activations_ : ndarray of shape (n_frames, n_components)
        Powers of the components in the frames of `fit`, when it stopped; in the units of the
        squared data. `transform` fits them to the end.
    n_iter_ : int
        Iterations of the best start.
    converged_ : bool
        Whether it met `tol`.
    objective_ : float
        Objective at the end.
    objective_history_ : ndarray of shape (n_iter_ + 1,)
        Objective at the start and after each iteration; it never increases.
    gradient_norm_ : float
        Largest entry of the gradient along rotations at the end, a frame.
    n_features_in_ : int
        Length of a frame, n_window.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features, when fitted on one dataframe whose column names are all str.

    See Also
    --------
    mvica.joint_diagonalization.frame_signal : Cut a signal into frames.
    mvica.joint_diagonalization.tl_nmf : The same as a function.

    Notes
    -----
    With p and v the squared coefficients and the powers, both raised by `floor`, and `mu` the
    weight of the activations, "likelihood" minimises ``sum(p / v + log(v)) + mu *
    sum(activations)``, up to a constant twice the negative log-likelihood. "itakura-saito"
    minimises ``sum(p / v - log(p / v) - 1) + mu * sum(activations)``. For a given transform both
    have the same factors, but the second also rewards transforms without small coefficients, and
    its expectation under the model is the same for every transform.

    Without a floor the likelihood has no bound: turning single coefficients to zero, with their
    powers, gains more and more. These would pin the transform, away from the one sought.

    An iteration takes one majorisation-minimisation step for the activations, one for the
    dictionary, and `n_inner` quasi-Newton steps on the orthogonal matrices. The cost of each of the
    latter is about six multiply-adds per frame and pair of samples of a frame.

    The data are not centred. A frame is one row here; several channels with one transform are the
    rows of one table.

    References
    ----------
    P. Ablin, D. Fagot, H. Wendt, A. Gramfort, C. Fevotte, "A quasi-Newton algorithm on the
    orthogonal manifold for NMF with transform learning", ICASSP 2019.

    D. Fagot, H. Wendt, C. Fevotte, "Nonnegative matrix factorization with transform learning",
    ICASSP 2018.

    S. Zhang, E. Soubies, C. Fevotte, "On the identifiability of transform learning for
    non-negative matrix factorization", IEEE Signal Processing Letters, 2020.

    Examples
    --------
    >>> import numpy as np
    >>> from mvica import TransformLearningNMF
    >>> from mvica.joint_diagonalization import frame_signal, overlap_add
    >>> time = np.arange(4000) / 1000
    >>> noise = 0.1 * np.random.default_rng(0).standard_normal(4000)
    >>> signal = np.sin(2 * np.pi * 50 * time) * (time < 2) + noise
    >>> frames = frame_signal(signal, 16)
    >>> model = TransformLearningNMF(2, random_state=0).fit(frames)
    >>> model.transform(frames).shape
    (501, 2)
    >>> parts = model.separate(frames)
    >>> np.allclose(overlap_add(parts, 4000).sum(axis=0), signal)
    True
    """

    _parameter_constraints: dict = {
        **FACTOR_CONSTRAINTS,
        "output": [StrOptions({"activations", "coefficients"})],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        n_components=None,
        *,
        objective="likelihood",
        alpha=0.0,
        floor=1e-4,
        init="random",
        n_init=1,
        n_inner=3,
        max_iter=300,
        tol=1e-4,
        output="activations",
        random_state=None,
        verbose=0,
    ):
        self.n_components = n_components
        self.objective = objective
        self.alpha = alpha
        self.floor = floor
        self.init = init
        self.n_init = n_init
        self.n_inner = n_inner
        self.max_iter = max_iter
        self.tol = tol
        self.output = output
        self.random_state = random_state
        self.verbose = verbose

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None):
        """Learn the transform, the dictionary and the activations of frames.

        Parameters
        ----------
        X : array-like of shape (n_frames, n_window)
            Frames of a signal.
        y : None
            Ignored, here for scikit-learn.

        Returns
        -------
        self : object
            The fitted estimator.
        """
        X = validate_data(self, X, dtype=FLOATS, ensure_min_samples=2)
        frames = X.astype(np.float64, copy=False)
        n_bars = self.n_init * self.max_iter
        with progress_bar(type(self).__name__, n_bars, self.verbose) as callback:
            result = solve(
                frames,
                self.n_components,
                Criterion(self.objective == "itakura-saito", self.floor, self.alpha),
                init=self.init,
                n_init=self.n_init,
                n_inner=self.n_inner,
                max_iter=self.max_iter,
                tol=self.tol,
                random_state=self.random_state,
                callback=callback,
            )
        warn_unless_converged(result, type(self).__name__, self.max_iter, self.tol, stacklevel=4)
        self._scale = scale_of(frames)
        self.transform_ = result.x
        self.dictionary_ = result.dictionary
        self.activations_ = result.activations
        self.n_iter_ = max(result.n_iter, 1)
        self.converged_ = result.converged
        self.objective_ = result.objective
        self.objective_history_ = result.history
        self.gradient_norm_ = result.gradient_norm
        return self

    def transform(self, X):
        """Compute the activations of frames, or their coefficients, as `output` says.

        Parameters
        ----------
        X : array-like of shape (n_frames, n_window)
            Frames.

        Returns
        -------
        S : ndarray of shape (n_frames, n_components) or (n_frames, n_window)
            For ``output="activations"`` the activations that minimise the objective for the learned
            transform and dictionary, each frame on its own; for ``"coefficients"`` the
            coefficients of the learned transform.
        """
        check_is_fitted(self)
        X = validate_data(self, X, reset=False, dtype=FLOATS)
        S = self._coefficients(X)
        if self.output == "activations":
            S = self._activations(S)
        return S.astype(X.dtype, copy=False)

    @available_if(_gives_coefficients)
    def inverse_transform(self, S):
        """Compute the frames that coefficients stand for; only with ``output="coefficients"``.

        Activations are powers, without the signs that a frame needs; `separate` gives the part of
        every component in given frames.

        Parameters
        ----------
        S : array-like of shape (n_frames, n_window)
            Coefficients, as `transform` gives them.

        Returns
        -------
        X : ndarray of shape (n_frames, n_window)
            Frames.

        Raises
        ------
        ValueError
            If `S` has not the number of columns that `transform` gives.
        """
        check_is_fitted(self)
        S = check_array(S, dtype=FLOATS, input_name="S")
        if S.shape[1] != self.n_features_in_:
            raise ValueError(
                f"S has {S.shape[1]} columns, expected {self.n_features_in_} coefficients a frame."
            )
        return S @ self.transform_.astype(S.dtype, copy=False)

    def separate(self, X):
        """Split frames into the parts of the components, by Wiener filters.

        Parameters
        ----------
        X : array-like of shape (n_frames, n_window)
            Frames.

        Returns
        -------
        parts : ndarray of shape (n_components, n_frames, n_window)
            Posterior means of the components. They add up to `X`.
        """
        check_is_fitted(self)
        X = validate_data(self, X, reset=False, dtype=FLOATS)
        C = self._coefficients(X)
        H, D = self._activations(C), self.dictionary_
        powers = H @ D
        silent = powers == 0
        gain = C / np.where(silent, 1.0, powers)
        shares = (H[:, k, None] * D[k] for k in range(len(D)))
        spread = C / len(D)  # of coefficients that the model gives no power
        parts = [np.where(silent, spread, share * gain) @ self.transform_ for share in shares]
        return np.stack(parts).astype(X.dtype, copy=False)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    @property
    def _n_features_out(self):
        return len(self.dictionary_ if self.output == "activations" else self.transform_)

    def _coefficients(self, X):
        return X.astype(np.float64, copy=False) @ self.transform_.T

    def _activations(self, C):
        """Fit the activations (N, K) of coefficients (N, M), the powers split evenly at first."""
        from mvica.kernels.powers_numba import fit_activations

        C, K = np.ascontiguousarray(C / self._scale), len(self.dictionary_)
        H = np.repeat(np.sum(C**2, axis=1, keepdims=True) / K, K, axis=1)
        unsettled = fit_activations(
            C, self.dictionary_, float(self.alpha), float(self.floor), _MAX_STEPS, _SETTLED, H
        )
        if unsettled:
            warnings.warn(
                f"The activations of {unsettled} of {len(C)} frames were still changing by more "
                f"than {_SETTLED:g} of the largest after {_MAX_STEPS} steps.",
                ConvergenceWarning,
                stacklevel=3,
            )
        return H * self._scale**2
