"""NonStationaryJD: separation by powers that change with time."""

from numbers import Integral

import numpy as np

from mvica._validation import Interval
from mvica.joint_diagonalization.moments import window_moments
from mvica.joint_diagonalization.separation import SecondOrderSeparation


class NonStationaryJD(SecondOrderSeparation):
    """Separate sources by how their powers change with time.

    One invertible matrix makes the covariances of the signals in windows of time as diagonal as
    possible, by the likelihood of Gaussian sources whose powers change. Several views of the same
    sources are whitened and aligned first, and share this matrix.

    Parameters
    ----------
    n_components : int, default=None
        Number of components. None keeps as many as every view allows: the smallest numerical rank
        of the views.
    n_windows : int, default=20
        Number of windows of equal length; fewer if they would hold less than 4 n_components
        samples.
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
    powers_ : ndarray of shape (n_views, n_windows, n_components)
        Power of the sources of each view in each window.
    windows_ : ndarray of shape (n_windows + 1,)
        First samples of the windows, and the number of samples.
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
    SpectralJD : Sources told apart by their spectra.

    References
    ----------
    Pham, Cardoso, Blind separation of instantaneous mixtures of nonstationary sources, IEEE
    Transactions on Signal Processing 2001.

    Examples
    --------
    >>> import numpy as np
    >>> from mvica.joint_diagonalization import NonStationaryJD
    >>> rng = np.random.default_rng(0)
    >>> t = np.linspace(0, 1, 2000)[:, None]
    >>> S = rng.standard_normal((2000, 2)) * np.exp([2, -2] * t)
    >>> X = S @ np.array([[1.0, 0.5], [0.3, 1.0]])
    >>> model = NonStationaryJD(n_windows=10).fit(X)
    >>> model.powers_.shape
    (1, 10, 2)
    >>> np.round(np.abs(np.corrcoef(model.transform(X).T, S.T)[:2, 2:]).max(axis=1), 1)
    array([1., 1.])
    """

    _parameter_constraints: dict = {
        **SecondOrderSeparation._parameter_constraints,
        "n_windows": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(
        self,
        n_components=None,
        *,
        n_windows=20,
        method="quasi_newton",
        reduction="mcca",
        tol=1e-6,
        max_iter=1000,
        view_sizes=None,
        output="shared",
        random_state=None,
    ):
        self.n_components = n_components
        self.n_windows = n_windows
        self.method = method
        self.reduction = reduction
        self.tol = tol
        self.max_iter = max_iter
        self.view_sizes = view_sizes
        self.output = output
        self.random_state = random_state

    def _moments(self, Y):
        m, p, n = Y.shape
        n_windows = min(self.n_windows, max(n // (4 * p), 1))
        self.windows_ = np.linspace(0, n, n_windows + 1).round().astype(int)
        return window_moments(Y, self.windows_), np.tile(np.diff(self.windows_), m)
