"""How many canonical correlations are real, and what the components say about the features."""

from dataclasses import dataclass

import numpy as np
from sklearn.base import clone
from sklearn.model_selection import check_cv
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from mvica._validation import check_views, validate_views
from mvica.stiefel.cca_problem import Settings
from mvica.stiefel.cca_solve import whitened_samples
from mvica.stiefel.streams import ArrayRows
from mvica.uncertainty.multiplicity import holm
from mvica.views import MultiViewData

__all__ = [
    "CorrelationTest",
    "adequacy",
    "correlation_test",
    "held_out_correlations",
    "loadings",
    "redundancy",
]

NEAREST_SHIFT = 20  # shifts stay a twentieth of the samples away from none


@dataclass(frozen=True)
class CorrelationTest:
    """Canonical correlations next to those of views that are shifted or permuted.

    Attributes
    ----------
    correlations : ndarray of shape (n_components,)
        Canonical correlations of the data (of the regularised problem).
    p_values : ndarray of shape (n_components,)
        Share of the shuffles whose largest correlation, in what the components before leave, is
        at least that large; the data count as one shuffle.
    adjusted_p_values : ndarray of shape (n_components,)
        The same by Holm's method, and not smaller than those of the components before.
    shuffled : ndarray of shape (n_shuffles, n_components)
        Largest correlations of the shuffles, for each component.
    """

    correlations: np.ndarray
    p_values: np.ndarray
    adjusted_p_values: np.ndarray
    shuffled: np.ndarray

    def n_significant(self, level=0.05):
        """Count the leading components whose adjusted p-value is at most `level`."""
        return int(np.sum(self.adjusted_p_values <= level))


def correlation_test(
    X,
    n_components=None,
    *,
    regularization=0.0,
    scale=False,
    shuffle="shift",
    n_shuffles=199,
    view_sizes=None,
    random_state=None,
):
    """Test which canonical correlations of two views are larger than chance.

    Component k is compared with the largest correlation of shuffled data in the space that the
    components before it leave: a strong first component does not make the others significant, nor
    hide them.

    Parameters
    ----------
    X : MultiViewData, list of array-like, 3D array or array-like
        Two views, in one of the forms that `CCA` takes.
    n_components : int, default=None
        Components tested. None takes all.
    regularization, scale : float, list of float or str; bool
        Those of `CCA`.
    shuffle : {"shift", "permutation"}, default="shift"
        "shift" moves the second view circularly, which keeps the autocorrelation of time series;
        "permutation" permutes its samples, right when they have no order.
    n_shuffles : int, default=199
        Number of shuffles: the smallest p-value is ``1 / (n_shuffles + 1)``.
    view_sizes : int or sequence of int, default=None
        How one table is cut into views.
    random_state : int, RandomState instance or None, default=None
        Draws the shuffles.

    Returns
    -------
    test : CorrelationTest

    Raises
    ------
    ValueError
        If there are not two views, or the shuffle is unknown.

    References
    ----------
    Winkler, Renaud, Smith, Nichols, Permutation inference for canonical correlation analysis,
    NeuroImage 2020.

    Holm, A simple sequentially rejective multiple test procedure, Scandinavian Journal of
    Statistics 1979.

    Examples
    --------
    >>> import numpy as np
    >>> from mvica.stiefel import correlation_test
    >>> rng = np.random.default_rng(0)
    >>> X, Y = rng.standard_normal((2, 300, 4))
    >>> Y[:, 0] = X[:, 0] + rng.standard_normal(300)
    >>> correlation_test([X, Y], shuffle="permutation", random_state=0).n_significant()
    1
    """
    views = check_views(X, view_sizes=view_sizes)
    if len(views) != 2:
        raise ValueError(f"the test compares 2 views, X has {len(views)}.")
    if shuffle not in ("shift", "permutation"):
        raise ValueError(f"shuffle must be 'shift' or 'permutation', got {shuffle!r}.")
    rng = check_random_state(random_state)
    settings = Settings(n_components, "svd", regularization, scale, False, rng)
    first, second = whitened_samples(ArrayRows(views), settings)
    u, s, vt = np.linalg.svd(first.T @ second, full_matrices=True)
    first, second = first @ u, second @ vt.T
    p = min(n_components or len(s), len(s))
    shuffled = np.empty((n_shuffles, p))
    for row, order in zip(shuffled, _orders(len(first), n_shuffles, shuffle, rng), strict=True):
        K = first.T @ second[order]
        row[:] = [np.linalg.norm(K[k:, k:], 2) for k in range(p)]
    exceeded = np.sum(shuffled >= s[:p], axis=0)
    p_values = (exceeded + 1) / (n_shuffles + 1)
    # Nested tests: one is only of interest if those before reject.
    corrected = np.maximum.accumulate(holm(p_values))
    return CorrelationTest(s[:p], p_values, corrected, shuffled)


def _orders(n, n_shuffles, shuffle, rng):
    """Yield the order of the samples of the second view for each shuffle."""
    margin = n // NEAREST_SHIFT + 1
    for _ in range(n_shuffles):
        if shuffle == "shift":
            yield np.roll(np.arange(n), rng.randint(margin, n - margin + 1))
        else:
            yield rng.permutation(n)


def held_out_correlations(estimator, X, cv=5):
    """Canonical correlations on samples that the estimator has not seen.

    Parameters
    ----------
    estimator : CCA or GCCA
        A copy of it is fitted on the other folds.
    X : MultiViewData, list of array-like or 3D array
        The views.
    cv : int, cross-validation splitter or iterable, default=5
        Folds, as scikit-learn's `check_cv` takes them.

    Returns
    -------
    correlations : ndarray of shape (n_folds, n_components)
        Mean over the pairs of views.

    Examples
    --------
    >>> import numpy as np
    >>> from mvica import CCA
    >>> from mvica.stiefel import held_out_correlations
    >>> X, Y = np.random.default_rng(0).standard_normal((2, 500, 3))
    >>> Y[:, 0] += 3 * X[:, 0]
    >>> held_out_correlations(CCA(2), [X, Y]).mean(axis=0).round(1) + 0.0
    array([0.9, 0. ])
    """
    X = MultiViewData(X if isinstance(X, MultiViewData) else check_views(X))
    pairs = np.triu_indices(X.n_views, 1)
    found = []
    for train, test in check_cv(cv).split(X):
        correlations = clone(estimator).fit(X[train]).correlations(X[test])
        found.append(correlations[pairs].mean(axis=0))
    return np.array(found)


def loadings(estimator, X):
    """Correlations of every feature with the scores of its view.

    Parameters
    ----------
    estimator : CCA or GCCA
        Fitted.
    X : MultiViewData, list of array-like, 3D array or array-like
        Views, of the training data or others.

    Returns
    -------
    loadings : list of ndarray of shape (n_features_v, n_components)
        0 for constant features.

    Examples
    --------
    >>> import numpy as np
    >>> from mvica import CCA
    >>> from mvica.stiefel import loadings
    >>> X, Y = np.random.default_rng(0).standard_normal((2, 5000, 2))
    >>> Y[:, 0] += 3 * X[:, 0]
    >>> np.abs(loadings(CCA(1).fit([X, Y]), [X, Y])[0]).round(1)
    array([[1.],
           [0.]])
    """
    check_is_fitted(estimator)
    views = validate_views(estimator, X, reset=False)
    scores = estimator.transform_views(X)
    return [_correlation(x, y) for x, y in zip(views, scores, strict=True)]


def adequacy(estimator, X):
    """Share of the variance of standardised features that the scores of their own view explain.

    Parameters
    ----------
    estimator : CCA or GCCA
        Fitted.
    X : MultiViewData, list of array-like, 3D array or array-like
        Views, of the training data or others.

    Returns
    -------
    adequacy : ndarray of shape (n_views, n_components)
        Mean squared loadings.

    Examples
    --------
    >>> import numpy as np
    >>> from mvica import CCA
    >>> from mvica.stiefel import adequacy
    >>> X, Y = np.random.default_rng(0).standard_normal((2, 500, 3))
    >>> cca = CCA().fit([X, Y])
    >>> np.allclose(adequacy(cca, [X, Y]).sum(axis=1), 1)
    True
    """
    return np.array([np.mean(L**2, axis=0) for L in loadings(estimator, X)])


def redundancy(estimator, X):
    """Share of the variance of standardised features that the scores of other views explain.

    Parameters
    ----------
    estimator : CCA or GCCA
        Fitted.
    X : MultiViewData, list of array-like, 3D array or array-like
        Views, of the training data or others.

    Returns
    -------
    redundancy : ndarray of shape (n_views, n_components)
        Adequacy times the mean squared correlation with the scores of the other views; NaN for
        one view.

    Examples
    --------
    >>> import numpy as np
    >>> from mvica import CCA
    >>> from mvica.stiefel import redundancy
    >>> X = np.random.default_rng(0).standard_normal((500, 3))
    >>> np.allclose(redundancy(CCA().fit([X, X]), [X, X]).sum(axis=1), 1)
    True
    """
    squares = estimator.correlations(X) ** 2
    m = len(squares)
    if m == 1:
        return np.full(squares.shape[1:], np.nan)
    others = (squares.sum(axis=1) - np.einsum("vvi->vi", squares)) / (m - 1)
    return adequacy(estimator, X) * others


def _correlation(X, Y):
    """Correlations of the columns of X with those of Y, 0 where a column is constant."""
    X, Y = (Z - Z.mean(axis=0, dtype=np.float64) for Z in (X, Y))
    scale = np.outer(np.linalg.norm(X, axis=0), np.linalg.norm(Y, axis=0))
    return np.divide(X.T @ Y, scale, out=np.zeros_like(scale), where=scale > 0)
