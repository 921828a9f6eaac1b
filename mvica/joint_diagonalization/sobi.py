"""SOBI: separation by autocovariances."""

from numbers import Integral

import numpy as np

from mvica._validation import Interval, StrOptions
from mvica.joint_diagonalization.moments import lagged_moments
from mvica.joint_diagonalization.separation import SIGN_FREE, SecondOrderSeparation


class SOBI(SecondOrderSeparation):
    """Separate sources by their autocovariances (second-order blind identification).

    One rotation, after whitening, makes the covariances of the signals with themselves some samples
    later as diagonal as possible. Sources are told apart by their spectra, Gaussian or not. Several
    views of the same sources are whitened and aligned first; only products of different views are
    then used, which the noise of single views does not enter, whatever its spectrum.

    Parameters
    ----------
    n_components : int, default=None
        Number of components. None keeps as many as every view allows: the smallest numerical rank
        of the views.
    lags : int or sequence of int, default=40
        Lags in samples: an int takes 1 to `lags` (to a quarter of the samples at most), a sequence
        those that it names. They should cover the time over which sources remember their past.
    method : str, default="frobenius"
        How the matrices are diagonalised; they have no sign, so "frobenius", "jacobi" (rotations),
        "uwedge" or "ffdiag" (invertible). See `joint_diagonalize`.
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
    powers_ : ndarray of shape (n_lags, n_components)
        Autocovariances of the shared sources at the lags, up to the noise of the views.
    lags_ : ndarray of shape (n_lags,)
        Lags used, in samples.
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
    SpectralJD : The same information, weighted by the likelihood.

    References
    ----------
    Belouchrani, Abed-Meraim, Cardoso, Moulines, A blind source separation technique using
    second-order statistics, IEEE Transactions on Signal Processing 1997.

    Examples
    --------
    >>> import numpy as np
    >>> from mvica.joint_diagonalization import SOBI
    >>> t = np.arange(1000)
    >>> S = np.column_stack([np.sin(0.1 * t), np.sign(np.sin(0.037 * t))])
    >>> X = S @ np.array([[1.0, 0.5], [0.3, 1.0]])
    >>> Y = SOBI(lags=30).fit_transform(X)
    >>> np.round(np.abs(np.corrcoef(Y.T, S.T)[:2, 2:]).max(axis=1), 2)
    array([1., 1.])
    """

    _parameter_constraints: dict = {
        **SecondOrderSeparation._parameter_constraints,
        "lags": [Interval(Integral, 1, None, closed="left"), "array-like"],
        "method": [StrOptions(set(SIGN_FREE))],
    }

    def __init__(
        self,
        n_components=None,
        *,
        lags=40,
        method="frobenius",
        reduction="mcca",
        tol=1e-6,
        max_iter=1000,
        view_sizes=None,
        output="shared",
        random_state=None,
    ):
        self.n_components = n_components
        self.lags = lags
        self.method = method
        self.reduction = reduction
        self.tol = tol
        self.max_iter = max_iter
        self.view_sizes = view_sizes
        self.output = output
        self.random_state = random_state

    def _moments(self, Y):
        self.lags_ = _check_lags(self.lags, Y.shape[2])
        return lagged_moments(Y, self.lags_), None


def _check_lags(lags, n_samples):
    if isinstance(lags, Integral):
        return np.arange(1, min(lags, max(n_samples // 4, 1)) + 1)
    lags = np.asarray(lags)
    if lags.ndim != 1 or len(lags) == 0 or not np.issubdtype(lags.dtype, np.integer):
        raise ValueError(f"lags must be an int or a sequence of int, in samples; found {lags!r}.")
    if lags.min() < 1 or lags.max() >= n_samples or len(np.unique(lags)) < len(lags):
        raise ValueError(
            f"lags must be different numbers of samples from 1 to {n_samples - 1}; found {lags}."
        )
    return lags
