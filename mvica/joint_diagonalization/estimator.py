"""JointDiagonalization: one unmixing for the covariances of all views, or for given matrices."""

from numbers import Integral, Real

import numpy as np
from sklearn.utils.validation import check_is_fitted

from mvica._validation import Interval, StrOptions, _fit_context
from mvica.base import MultiViewTransformer
from mvica.joint_diagonalization.function import METHODS, joint_diagonalize
from mvica.joint_diagonalization.preparation import check_matrices
from mvica.kernels.moments import mean_and_covariance


class JointDiagonalization(MultiViewTransformer):
    """One invertible (or orthogonal) unmixing that decorrelates the features in every view.

    The views are recordings of the same features: sessions, conditions, windows. One matrix makes
    all their covariances as diagonal as possible (common principal components); where the powers
    of the sources differ between views, it separates the sources. `fit_matrices` takes the matrices
    themselves, of whatever origin. The scale of the rows depends on the method, see
    `joint_diagonalize`; the default gives the sources unit power on average over views.

    Parameters
    ----------
    n_components : int, default=None
        Number of components; fewer than features restrict the problem to its principal axes. None
        keeps the numerical rank.
    method : str, default="quasi_newton"
        Any of `joint_diagonalize`: "quasi_newton", "pham", "uwedge" and "ffdiag" give an invertible
        unmixing, "rotation", "frobenius" and "jacobi" an orthogonal one.
    weights : array-like of shape (n_matrices,), default=None
        Weights of the views, or of the matrices given; the right ones are the numbers of samples
        behind each covariance. None weighs all alike.
    init : {"rotation", "white"} or array-like, default="rotation"
        First iterate; an array of shape (n_components, n_features) is a warm start.
    tol : float, default=1e-6
        Tolerance; its meaning depends on the method.
    max_iter : int, default=1000
        Most iterations.
    output : {"shared", "concat", "views"}, default="shared"
        What `transform` returns: the mean over views of their sources (n_samples, n_components);
        the sources of each view side by side; or these as a `MultiViewData`.

    Attributes
    ----------
    components_ : list of ndarray of shape (n_components, n_features)
        The joint diagonaliser, once for each view.
    mixing_ : list of ndarray of shape (n_features, n_components)
        Its right inverse, once for each view.
    mean_ : list of ndarray of shape (n_features,)
        Mean of each view; zeros after `fit_matrices`.
    powers_ : ndarray of shape (n_matrices, n_components)
        Power of each source in each view: the diagonals of the transformed matrices.
    separability_ : ndarray of shape (n_components, n_components)
        How well each pair of sources is told apart: near 0, off the diagonal, their powers are
        proportional and any mixture of the two fits as well.
    rank_ : ndarray of shape (n_matrices,)
        Numerical rank of each matrix.
    objective_ : float
        Criterion of the method at the end.
    objective_history_ : ndarray of shape (n_iterations + 1,)
        Criterion at the start and after each iteration; for "uwedge" and "ffdiag", sizes of steps.
    gradient_norm_ : float
        What the stopping rule compares with `tol`.
    n_iter_ : int
        Iterations, at least 1.
    converged_ : bool
        Whether the stopping rule was met.
    n_views_ : int
        Number of views; 1 after `fit_matrices`.
    view_sizes_ : tuple of int
        Number of features of each view.
    n_features_in_ : int
        Number of features of all views together.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features, when fitted on one dataframe whose column names are all str.

    See Also
    --------
    joint_diagonalize : The function.
    SOBI : Sources told apart by their autocovariances.
    NonStationaryJD : Sources of one recording told apart by their powers in windows.

    Notes
    -----
    A single table is a single view, whose covariance any method diagonalises exactly: principal
    components, of standardised features and scaled to unit variance, or of the features themselves
    for an orthogonal method.

    References
    ----------
    Flury, Common principal components in k groups, Journal of the American Statistical Association
    1984.

    Ablin, Cardoso, Gramfort, Beyond Pham's algorithm for joint diagonalization, ESANN 2019.

    Examples
    --------
    >>> import numpy as np
    >>> from mvica.joint_diagonalization import JointDiagonalization
    >>> rng = np.random.default_rng(0)
    >>> powers = np.array([[1, 4, 9], [4, 1, 4], [9, 9, 1]])
    >>> A = rng.standard_normal((3, 3))
    >>> views = [rng.standard_normal((2000, 3)) * np.sqrt(p) @ A.T for p in powers]
    >>> model = JointDiagonalization().fit(views)
    >>> np.round(np.sort(np.abs(model.components_[0] @ A) / 2, axis=1)[:, :2].max(), 0)
    np.float64(0.0)
    >>> model.transform_view(views[1], 1).shape
    (2000, 3)
    """

    _parameter_constraints: dict = {
        "n_components": MultiViewTransformer._parameter_constraints["n_components"],
        "method": [StrOptions(set(METHODS))],
        "weights": ["array-like", None],
        "init": [StrOptions({"rotation", "white"}), "array-like"],
        "tol": [Interval(Real, 0, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "output": MultiViewTransformer._parameter_constraints["output"],
    }

    def __init__(
        self,
        n_components=None,
        *,
        method="quasi_newton",
        weights=None,
        init="rotation",
        tol=1e-6,
        max_iter=1000,
        output="shared",
    ):
        self.n_components = n_components
        self.method = method
        self.weights = weights
        self.init = init
        self.tol = tol
        self.max_iter = max_iter
        self.output = output

    @_fit_context(prefer_skip_nested_validation=True)
    def fit_matrices(self, C):
        """Learn the unmixing from symmetric matrices instead of data.

        Parameters
        ----------
        C : array-like of shape (n_matrices, n_features, n_features)
            Symmetric matrices; positive definite for the likelihood methods. The estimator then
            transforms single tables of shape (n_samples, n_features), which it does not centre.

        Returns
        -------
        self : object
            The fitted estimator.
        """
        C = check_matrices(C)
        p = C.shape[1]
        self.n_views_, self.view_sizes_, self.n_features_in_ = 1, (p,), p
        if hasattr(self, "feature_names_in_"):
            del self.feature_names_in_
        self._diagonalize(C)
        self.mean_ = [np.zeros(p)]
        return self

    def transform_matrices(self, C):
        """Transform matrices: ``B C_k B^T`` with B the joint diagonaliser.

        Parameters
        ----------
        C : array-like of shape (n_matrices, n_features, n_features)
            Symmetric matrices.

        Returns
        -------
        D : ndarray of shape (n_matrices, n_components, n_components)
            Nearly diagonal for matrices like those of the fit.

        Raises
        ------
        ValueError
            If the matrices are not symmetric, finite and of the size of those of the fit.
        """
        check_is_fitted(self)
        C, B = check_matrices(C), self.components_[0]
        if C.shape[1] != B.shape[1]:
            raise ValueError(
                f"C holds matrices of size {C.shape[1]}, but {type(self).__name__} was fitted with "
                f"matrices of size {B.shape[1]}."
            )
        return B @ C @ B.T

    def _fit_views(self, views):
        if len(set(self.view_sizes_)) > 1:
            raise ValueError(
                f"JointDiagonalization needs the same features in every view; the views have "
                f"{self.view_sizes_} features. MultisetCCA and MultiViewICA take views of "
                "different sizes."
            )
        moments = [mean_and_covariance(X) for X in views]
        self._diagonalize(np.array([covariance for _, covariance in moments]))
        self.mean_ = [mean for mean, _ in moments]

    def _diagonalize(self, C):
        result = joint_diagonalize(
            C,
            self.method,
            weights=self.weights,
            init=self.init,
            n_components=self.n_components,
            tol=self.tol,
            max_iter=self.max_iter,
        )
        self.components_ = [result.x.copy() for _ in self.view_sizes_]
        self.mixing_ = [result.mixing.copy() for _ in self.view_sizes_]
        self.powers_ = result.powers
        self.separability_ = result.separability
        self.rank_ = np.linalg.matrix_rank(C, hermitian=True)
        self.objective_ = result.objective
        self.objective_history_ = result.history
        self.gradient_norm_ = result.gradient_norm
        self.n_iter_ = max(result.n_iter, 1)
        self.converged_ = result.converged
