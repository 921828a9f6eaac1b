"""SpectralJD: separation by spectra."""

from numbers import Integral, Real

import numpy as np

from mvica._validation import Interval
from mvica.joint_diagonalization.moments import band_moments
from mvica.joint_diagonalization.separation import SecondOrderSeparation


class SpectralJD(SecondOrderSeparation):
    """Separate sources by their spectra, by the Whittle likelihood.

    One invertible matrix makes the cross-spectra of the signals, averaged over bands of
    frequencies, as diagonal as possible. Several views of the same sources are whitened and
    aligned first, and share this matrix; every view has spectra of its own, so its noise may have
    any colour.

    Parameters
    ----------
    n_components : int, default=None
        Number of components. None keeps as many as every view allows: the smallest numerical rank
        of the views.
    bands : int or sequence of float, default=20
        Bands of frequencies: an int cuts the range from 0 to half of `sfreq` into that number of
        equal bands (fewer if they would hold less than 2 n_components Fourier modes), a sequence
        gives the increasing edges in the unit of `sfreq`.
    sfreq : float, default=1.0
        Sampling frequency, in Hz if `bands` are.
    method : str, default="quasi_newton"
        How the matrices are diagonalised, any of `joint_diagonalize`. The default is the likelihood
        of Gaussian sources whose powers differ between matrices.
    reduction : {"mcca", "pca", "grouppca", "srm"} or None, default="mcca"
        How a view with more features than components is reduced first; see
        `mvica.reduction.reduce.reduce_views`.
    tol : float, default=1e-6
        Tolerance of the joint diagonalisation.
    max_iter : int, default=1000
        Most iterations of it.
    view_sizes : int or sequence of int, default=None
        How one table of shape (n_samples, n_features) is cut into views. None makes it one view,
        an int that number of nearly equal contiguous blocks of columns, a sequence gives the
        widths.
    output : {"shared", "concat", "views"}, default="shared"
        What `transform` returns: the shared sources (n_samples, n_components); the sources of each
        view side by side; or these as a `MultiViewData`.
    random_state : int, RandomState instance or None, default=None
        Seed of the subspace iterations that reduce and align several views.

    Attributes
    ----------
    components_ : list of ndarray of shape (n_components, n_features_v)
        Unmixing of each view, from centred features to components, reduction included.
    mixing_ : list of ndarray of shape (n_features_v, n_components)
        Mixing of each view, the right inverse of the unmixing.
    mean_ : list of ndarray of shape (n_features_v,)
        Mean of each view.
    sources_ : ndarray of shape (n_samples, n_components)
        Shared sources of the training data: unit variance, positive third moment, by decreasing
        mean share of explained variance.
    powers_ : ndarray of shape (n_views, n_bands, n_components)
        Power of the sources of each view in each band.
    bands_ : ndarray of shape (n_bands + 1,)
        Edges of the bands, in the unit of `sfreq`.
    separability_ : ndarray of shape (n_components, n_components)
        How well each pair of sources is told apart: near 0, off the diagonal, their profiles are
        proportional and any mixture of the two fits as well.
    noise_variances_ : ndarray of shape (n_views, n_components)
        Mean squared difference between a view's source and the shared source.
    agreement_ : ndarray of shape (n_views, n_components)
        Correlation of a view's source with the mean of the other views'; NaN for one view.
    explained_variance_ratio_ : ndarray of shape (n_views, n_components)
        Share of a view's variance that the shared source explains.
    rank_ : ndarray of shape (n_views,)
        Numerical rank of each view.
    n_iter_ : int
        Iterations of the joint diagonalisation.
    converged_ : bool
        Whether it met `tol`.
    objective_ : float
        Criterion of the method at the end; see `joint_diagonalize`.
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
    SOBI : The same information as autocovariances, for orthogonal methods.
    NonStationaryJD : Sources told apart by how their powers change with time.

    References
    ----------
    Pham, Garat, Blind separation of mixture of independent sources through a quasi-maximum
    likelihood approach, IEEE Transactions on Signal Processing 1997.

    Examples
    --------
    >>> import numpy as np
    >>> from mvica.joint_diagonalization import SpectralJD
    >>> rng = np.random.default_rng(0)
    >>> noise = rng.standard_normal((2001, 2))
    >>> S = noise[1:] + np.array([0.9, -0.9]) * noise[:-1]
    >>> X = S @ np.array([[1.0, 0.5], [0.3, 1.0]])
    >>> model = SpectralJD(bands=10, sfreq=100.0).fit(X)
    >>> model.bands_[[0, 1, -1]]
    array([ 0.,  5., 50.])
    >>> np.round(np.abs(np.corrcoef(model.transform(X).T, S.T)[:2, 2:]).max(axis=1), 1)
    array([1., 1.])
    """

    _parameter_constraints: dict = {
        **SecondOrderSeparation._parameter_constraints,
        "bands": [Interval(Integral, 1, None, closed="left"), "array-like"],
        "sfreq": [Interval(Real, 0, None, closed="neither")],
    }

    def __init__(
        self,
        n_components=None,
        *,
        bands=20,
        sfreq=1.0,
        method="quasi_newton",
        reduction="mcca",
        tol=1e-6,
        max_iter=1000,
        view_sizes=None,
        output="shared",
        random_state=None,
    ):
        self.n_components = n_components
        self.bands = bands
        self.sfreq = sfreq
        self.method = method
        self.reduction = reduction
        self.tol = tol
        self.max_iter = max_iter
        self.view_sizes = view_sizes
        self.output = output
        self.random_state = random_state

    def _moments(self, Y):
        m, p, n = Y.shape
        self.bands_ = _check_bands(self.bands, self.sfreq, p, n)
        moments, n_modes = band_moments(Y, self.bands_ / self.sfreq)
        _check_filled(self.bands_, n_modes, p)
        return moments, np.tile(n_modes, m)


def _check_bands(bands, sfreq, p, n_samples):
    if isinstance(bands, Integral):
        return np.linspace(0, sfreq / 2, min(bands, max(n_samples // (4 * p), 1)) + 1)
    bands = np.asarray(bands, dtype=np.float64)
    if bands.ndim != 1 or len(bands) < 2 or not np.all(np.diff(bands) > 0):
        raise ValueError(f"bands must be an int or increasing edges of bands; found {bands}.")
    if bands[0] < 0 or bands[-1] > sfreq / 2 * (1 + 1e-9):
        raise ValueError(
            f"bands must lie between 0 and sfreq / 2 = {sfreq / 2:g}; found {bands[0]:g} to "
            f"{bands[-1]:g}."
        )
    return bands


def _check_filled(bands, n_modes, p):
    if 2 * n_modes.min() < p:
        b = np.argmin(n_modes)
        raise ValueError(
            f"The band from {bands[b]:g} to {bands[b + 1]:g} holds {n_modes[b]} Fourier modes, too "
            f"few for {p} components: make it wider or lower n_components."
        )
