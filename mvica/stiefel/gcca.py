"""Generalized canonical correlation analysis: one consensus of many views."""

from numbers import Real

import numpy as np
from sklearn.utils import check_random_state

from mvica._validation import Interval, StrOptions
from mvica.base import MultiViewTransformer
from mvica.reduction.shared_components import SharedComponents
from mvica.stiefel.cca_base import CanonicalAnalysis, feature_directions
from mvica.stiefel.cca_problem import Settings

_SHARED = MultiViewTransformer._parameter_constraints


class GCCA(CanonicalAnalysis, SharedComponents):
    r"""Generalized canonical correlation analysis: signals that every view predicts best.

    The consensus maximises the sum over views of the share of its variance that ridge regression
    on the view explains (MAXVAR). It is the sum of the scores :math:`X_v U_v` that solve

    .. math:: \max \sum_{v,w} U_v^\top C_{vw} U_w \quad \text{subject to} \quad
              \sum_v U_v^\top (C_v + \rho_v \bar c_v I) U_v = I,

    with the mean variance :math:`\bar c_v` of the features of view v. Its components come by
    decreasing eigenvalue and have unit variance, and the largest entry of the mixing of the first
    view is positive. `MCCA` is the same class.

    Parameters
    ----------
    n_components : int, default=None
        Number of components. None keeps the smallest numerical rank of the views.
    solver : {"auto", "direct", "svd"}, default="auto"
        "direct" takes the covariances of all views in one pass; "svd" an SVD of each view, which
        squares nothing; "auto" takes "svd" for more features than samples, else "direct".
    regularization : float, list of float, "ledoit_wolf" or "oas", default=0.0
        Ridge of all views or of each, in units of the mean variance of the features of the view,
        which makes it free of units. "ledoit_wolf" and "oas" estimate it. Needed where a view has
        as many features as samples.
    scale : bool, default=False
        Apply the ridge to features of unit variance. Without a ridge it changes nothing.
    view_sizes : int or sequence of int, default=None
        How one table of shape (n_samples, n_features) is cut into views. None makes it one view,
        an int that number of nearly equal contiguous blocks of columns, a sequence gives the
        widths. Data that come as separate views do not need it.
    output : {"shared", "concat", "views"}, default="shared"
        What `transform` returns: the consensus, of shape (n_samples, n_components); what each view
        says of it side by side, of shape (n_samples, n_views * n_components), whose mean over
        views it is; or these as a `MultiViewData`.
    random_state : int, RandomState instance or None, default=None
        Starts the subspace iteration.

    Attributes
    ----------
    components_ : list of ndarray of shape (n_components, n_features_v)
        Maps from centred features to view scores, whose mean over views is the consensus.
    mixing_ : list of ndarray of shape (n_features_v, n_components)
        Patterns: regression of the features on the consensus.
    mean_ : list of ndarray of shape (n_features_v,)
        Mean of each view.
    eigenvalues_ : ndarray of shape (n_components,)
        Decreasing, at most `n_views_`: how many views' worth of the consensus is explained.
    canonical_correlations_ : ndarray of shape (n_components,)
        Mean over the pairs of views of the correlations of their scores, on the training data.
    correlations_ : ndarray of shape (n_views, n_views, n_components)
        The same for all pairs of views.
    objective_ : float
        Sum of the eigenvalues.
    regularization_ : ndarray of shape (n_views,)
        Ridge of each view, in units of the mean variance of its features.
    rank_ : ndarray of shape (n_views,)
        Numerical rank of each view.
    solver_ : str
        The solver that was taken.
    n_samples_seen_ : int
        Number of samples.
    n_iter_ : int
        Always 1.
    converged_ : bool
        Always True.
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
    CCA : Two views.
    MultisetCCA : The same problem on the leading directions of each view, with a chance level.

    References
    ----------
    Kettenring, Canonical analysis of several sets of variables, Biometrika 1971.

    Examples
    --------
    >>> import numpy as np
    >>> from mvica import GCCA
    >>> rng = np.random.default_rng(0)
    >>> S = rng.standard_normal((1000, 2))
    >>> mixings = [rng.standard_normal((2, d)) for d in (3, 4, 6)]
    >>> X = [S @ A + 0.1 * rng.standard_normal((1000, A.shape[1])) for A in mixings]
    >>> gcca = GCCA(n_components=2).fit(X)
    >>> gcca.transform(X).shape, bool(gcca.eigenvalues_.min() > 2.8)
    ((1000, 2), True)
    """

    _parameter_constraints: dict = {
        "n_components": _SHARED["n_components"],
        "solver": [StrOptions({"auto", "direct", "svd"})],
        "regularization": [
            Interval(Real, 0, None, closed="left"),
            StrOptions({"ledoit_wolf", "oas"}),
            "array-like",
        ],
        "scale": ["boolean"],
        "view_sizes": _SHARED["view_sizes"],
        "output": _SHARED["output"],
        "random_state": _SHARED["random_state"],
    }

    def __init__(
        self,
        n_components=None,
        solver="auto",
        regularization=0.0,
        scale=False,
        view_sizes=None,
        output="shared",
        random_state=None,
    ):
        self.n_components = n_components
        self.solver = solver
        self.regularization = regularization
        self.scale = scale
        self.view_sizes = view_sizes
        self.output = output
        self.random_state = random_state

    def _settings(self):
        return Settings(
            n_components=self.n_components,
            solver=self.solver,
            regularization=self.regularization,
            scale=self.scale,
            consensus=True,
            random_state=check_random_state(self.random_state),
        )

    def _set_solution(self, solution, n_samples):
        super()._set_solution(solution, n_samples)
        self.eigenvalues_ = solution.values

    def _maps(self, solution):
        """Directions to scores whose mean is the consensus, and the regressions on that."""
        total = solution.moments.sum(axis=(0, 1))
        deviations = np.sqrt(np.diag(total))
        weights, _ = feature_directions(solution)
        m = len(weights)
        components = [m * (W / deviations).T for W in weights]
        mixing = []
        for pattern, t in zip(solution.patterns, solution.scales, strict=True):
            C = pattern / np.where(t > 0, t, np.inf)[:, None]
            mixing.append(np.linalg.solve(total, C.T).T * deviations)
        return components, mixing


MCCA = GCCA  # the other name of the same analysis
