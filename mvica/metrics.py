"""Scores that compare unmixings, sources and reconstructions with a truth or another estimate."""

from typing import NamedTuple

import numpy as np
from scipy.optimize import linear_sum_assignment

__all__ = [
    "SourceMatch",
    "amari_distance",
    "amari_index",
    "match_sources",
    "reconstruction_r2",
    "source_error",
    "time_segment_matching",
    "view_agreement",
]

_SEGMENT_ROWS = 1024  # segments correlated at a time: bounds the memory of long recordings


# Unmixing against mixing -------------------------------------------------------------------------


def amari_distance(components, mixings=None):
    r"""Squared Amari distance between unmixings and true mixings, averaged over views.

    This is the score of the MultiView ICA papers. It is *not* the classical Amari index, which is
    :func:`amari_index`; never compare numbers of one with numbers of the other.

    Parameters
    ----------
    components : ndarray of shape (p, d), or list or 3D array of m of them
        Unmixing matrices, ``components_`` of an estimator.
    mixings : ndarray of shape (d, p), or list or 3D array of m of them, or None
        True mixing matrices, in the same order. With None, `components` already holds the
        products ``W @ A`` of shape (p, p).

    Returns
    -------
    distance : float
        Between 0, where every product is a scaled permutation, and p - 1.

    Raises
    ------
    ValueError
        If shapes do not fit together, a product is not finite or has a row or a column of zeros.

    See Also
    --------
    amari_index : The classical index, with absolute values.

    Notes
    -----
    With :math:`P = W A`, the distance of one view is

    .. math:: d(P) = \frac{1}{2p} \Big[ \sum_r \Big( \sum_c \frac{P_{rc}^2}{\max_c P_{rc}^2} - 1
              \Big) + \sum_c \Big( \sum_r \frac{P_{rc}^2}{\max_r P_{rc}^2} - 1 \Big) \Big].

    Entries are squared: a leakage of order eps between components gives a distance of order
    eps^2. It does not change when sources are permuted, change sign, or are all multiplied by one
    number.

    References
    ----------
    Richard, Gresele, Hyvarinen, Thirion, Gramfort, Ablin, "Modeling shared responses in
    neuroimaging studies through MultiView ICA", NeurIPS 2020.

    Examples
    --------
    >>> import numpy as np
    >>> mixing = np.array([[0.0, 2.0], [-1.0, 0.0]])
    >>> amari_distance(np.eye(2), mixing)
    0.0
    >>> round(amari_distance(np.array([[1.0, 0.1], [0.0, 1.0]])), 6)
    0.005
    """
    products = _products(components, mixings)
    return float(np.mean([_leakage(P**2) / (2 * len(P)) for P in products]))


def amari_index(components, mixings=None):
    r"""Classical Amari index between unmixings and true mixings, averaged over views.

    Absolute values, normalised by 2 p (p - 1). The papers on MultiView ICA use another score, the
    squared one of :func:`amari_distance`; never compare numbers of one with numbers of the other.

    Parameters
    ----------
    components : ndarray of shape (p, d), or list or 3D array of m of them
        Unmixing matrices, ``components_`` of an estimator.
    mixings : ndarray of shape (d, p), or list or 3D array of m of them, or None
        True mixing matrices, in the same order. With None, `components` already holds the
        products ``W @ A`` of shape (p, p).

    Returns
    -------
    index : float
        Between 0, where every product is a scaled permutation, and 1. For one component, 0.

    Raises
    ------
    ValueError
        If shapes do not fit together, a product is not finite or has a row or a column of zeros.

    See Also
    --------
    amari_distance : The squared score of the MultiView ICA papers.

    Notes
    -----
    With :math:`P = W A`, the index of one view is

    .. math:: \frac{1}{2p(p-1)} \Big[ \sum_r \Big( \sum_c \frac{|P_{rc}|}{\max_c |P_{rc}|} - 1
              \Big) + \sum_c \Big( \sum_r \frac{|P_{rc}|}{\max_r |P_{rc}|} - 1 \Big) \Big].

    A leakage of order eps between components gives an index of order eps.

    References
    ----------
    Amari, Cichocki, Yang, "A new learning algorithm for blind signal separation", NIPS 1995.

    Examples
    --------
    >>> import numpy as np
    >>> round(amari_index(np.array([[1.0, 0.1], [0.0, 1.0]])), 6)
    0.05
    """
    products = _products(components, mixings)
    p = len(products[0])
    if p == 1:
        return 0.0
    return float(np.mean([_leakage(np.abs(P)) / (2 * p * (p - 1)) for P in products]))


def _products(components, mixings):
    """List of the square products W A, checked."""
    W = _matrices(components, "components")
    A = None if mixings is None else _matrices(mixings, "mixings")
    if A is not None and len(W) != len(A):
        raise ValueError(
            f"components holds {len(W)} matrices and mixings {len(A)}; expected one of each a view."
        )
    products = (
        W if A is None else [_product(w, a, v) for v, (w, a) in enumerate(zip(W, A, strict=True))]
    )
    for v, P in enumerate(products):
        _check_product(P, v, len(products[0]))
    return products


def _matrices(matrices, name):
    arrays = [np.asarray(M, dtype=float) for M in matrices]
    if not arrays:
        raise ValueError(f"{name} is empty; expected one matrix a view.")
    if all(M.ndim == 1 for M in arrays):
        arrays = [np.asarray(matrices, dtype=float)]
    for v, M in enumerate(arrays):
        if M.ndim != 2:
            raise ValueError(f"{name}[{v}] has shape {M.shape}; expected a 2D matrix.")
    return arrays


def _product(W, A, view):
    if W.shape != A.shape[::-1]:
        raise ValueError(
            f"View {view}: components has shape {W.shape} and mixings {A.shape}; expected"
            " (n_components, n_features) and (n_features, n_components)."
        )
    return W @ A


def _check_product(P, view, p):
    if P.shape != (p, p):
        raise ValueError(f"View {view}: the product has shape {P.shape}; expected {(p, p)}.")
    if not np.all(np.isfinite(P)):
        raise ValueError(f"View {view}: the product of unmixing and mixing is not finite.")
    largest = np.abs(P)
    if not (np.all(largest.max(axis=0)) and np.all(largest.max(axis=1))):
        raise ValueError(
            f"View {view}: the product of unmixing and mixing has a row or a column of zeros,"
            " for which no Amari score is defined."
        )


def _leakage(Q):
    """Sum over rows and columns of a non-negative matrix of (sum / max - 1)."""
    rows = np.sum(Q / Q.max(axis=1, keepdims=True)) - len(Q)
    columns = np.sum(Q / Q.max(axis=0, keepdims=True)) - len(Q)
    return rows + columns


# Sources -----------------------------------------------------------------------------------------


class SourceMatch(NamedTuple):
    """Which estimated component goes with which reference component.

    ``estimated[:, permutation] * signs`` has the order and the signs of the reference.

    Attributes
    ----------
    permutation : ndarray of shape (p,), int
        Column of the estimate matched to each column of the reference.
    signs : ndarray of shape (p,)
        +1 or -1.
    correlations : ndarray of shape (p,)
        Absolute correlation of each matched pair.

    Examples
    --------
    >>> import numpy as np
    >>> S = np.array([[1.0, 0.0], [2.0, 5.0], [4.0, 1.0]])
    >>> match_sources(-S[:, ::-1], S).signs
    array([-1., -1.])
    """

    permutation: np.ndarray
    signs: np.ndarray
    correlations: np.ndarray


def match_sources(estimated, reference):
    """Match estimated sources to reference sources, up to order, sign and scale.

    The matching maximises the sum of absolute correlations (Hungarian algorithm).

    Parameters
    ----------
    estimated : ndarray of shape (n_samples, q)
        Estimated sources.
    reference : ndarray of shape (n_samples, p)
        Reference sources, p <= q.

    Returns
    -------
    match : SourceMatch
        The named tuple (permutation, signs, correlations), each of shape (p,). A constant source
        correlates 0 with everything; a correlation of 0 gets the sign +1.

    Raises
    ------
    ValueError
        If the arrays are not 2D, differ in samples, hold fewer estimated than reference sources,
        or are not finite.

    Examples
    --------
    >>> import numpy as np
    >>> reference = np.random.default_rng(0).laplace(size=(100, 3))
    >>> permutation, signs, correlations = match_sources(reference[:, [2, 0, 1]] * [-1, 1, 5],
    ...                                                  reference)
    >>> permutation, signs
    (array([1, 2, 0]), array([ 1.,  1., -1.]))
    >>> np.allclose(correlations, 1)
    True
    """
    E, R = _sources(estimated, "estimated"), _sources(reference, "reference")
    if len(E) != len(R) or E.shape[1] < R.shape[1]:
        raise ValueError(
            f"estimated has shape {E.shape} and reference {R.shape}; expected as many samples, and"
            " at least as many estimated sources as reference sources."
        )
    correlation = _standardise(R).T @ _standardise(E)
    rows, permutation = linear_sum_assignment(-np.abs(correlation))
    matched = correlation[rows, permutation]
    return SourceMatch(permutation, np.where(matched < 0, -1.0, 1.0), np.abs(matched))


def source_error(estimated, reference):
    """Mean of 1 - abs(correlation) over matched sources.

    Parameters
    ----------
    estimated : ndarray of shape (n_samples, q)
        Estimated sources.
    reference : ndarray of shape (n_samples, p)
        Reference sources, p <= q.

    Returns
    -------
    error : float
        Between 0 (equal up to order, sign, scale and mean) and 1.

    Raises
    ------
    ValueError
        As :func:`match_sources`.

    Examples
    --------
    >>> import numpy as np
    >>> reference = np.random.default_rng(0).laplace(size=(100, 3))
    >>> abs(round(source_error(-3 * reference[:, ::-1] + 7, reference), 12))
    0.0
    """
    return float(np.mean(1 - match_sources(estimated, reference).correlations))


def view_agreement(view_sources):
    """Correlation of each view's source with the mean of the other views' sources.

    Parameters
    ----------
    view_sources : list of m ndarrays of shape (n_samples, p), or 3D array
        What each view says of the p sources, as ``transform_views`` returns it.

    Returns
    -------
    agreement : ndarray of shape (m, p)
        Correlations in [-1, 1]; NaN with a single view, which has no other to agree with.

    Raises
    ------
    ValueError
        If views differ in shape or are not finite.

    Examples
    --------
    >>> import numpy as np
    >>> S = np.random.default_rng(0).laplace(size=(100, 2))
    >>> view_agreement([S, S, -S]).round(6) + 0
    array([[ 0.,  0.],
           [ 0.,  0.],
           [-1., -1.]])
    """
    Y = [_sources(Y_v, f"view_sources[{v}]") for v, Y_v in enumerate(view_sources)]
    if not Y:
        raise ValueError("view_sources is empty; expected one array a view.")
    for v, Y_v in enumerate(Y):
        if Y_v.shape != Y[0].shape:
            raise ValueError(
                f"view_sources[{v}] has shape {Y_v.shape}; expected {Y[0].shape}, as view 0."
            )
    if len(Y) == 1:
        return np.full((1, Y[0].shape[1]), np.nan)
    total = np.sum(Y, axis=0)
    return np.array([np.sum(_standardise(y) * _standardise(total - y), axis=0) for y in Y])


def _sources(S, name):
    S = np.asarray(S, dtype=float)
    if S.ndim != 2 or min(S.shape) == 0:
        raise ValueError(f"{name} has shape {S.shape}; expected (n_samples, n_components).")
    if not np.all(np.isfinite(S)):
        raise ValueError(f"{name} contains NaN or infinity.")
    return S


def _standardise(S):
    """Centre columns and give them unit norm; a column constant to rounding becomes zero."""
    peak = np.abs(S).max(axis=0)
    centred = S / np.where(peak > 0, peak, 1.0)  # so that squares neither overflow nor underflow
    centred -= centred.mean(axis=0)
    norm = np.linalg.norm(centred, axis=0)
    constant = norm <= 10 * np.finfo(float).eps * np.sqrt(len(S))
    return np.where(constant, 0.0, centred / np.where(constant, 1.0, norm))


# Predictions of unseen data ----------------------------------------------------------------------


def reconstruction_r2(X_true, X_pred):
    """Coefficient of determination of each feature of a reconstructed view.

    Parameters
    ----------
    X_true : ndarray of shape (n_samples, n_features)
        The view as recorded.
    X_pred : ndarray of shape (n_samples, n_features)
        The view as predicted, for instance from the other views.

    Returns
    -------
    r2 : ndarray of shape (n_features,)
        1 for a perfect prediction, 0 for one as good as the feature's own mean, negative below.
        NaN where a feature is constant, for which there is nothing to explain.

    Raises
    ------
    ValueError
        If shapes differ or values are not finite.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.array([[1.0, 0.0], [3.0, 2.0]])
    >>> reconstruction_r2(X, np.array([[1.0, 1.0], [3.0, 1.0]]))
    array([1., 0.])
    """
    T, P = (_sources(X, name) for X, name in ((X_true, "X_true"), (X_pred, "X_pred")))
    if T.shape != P.shape:
        raise ValueError(f"X_true has shape {T.shape} and X_pred {P.shape}; expected equal shapes.")
    peak = np.abs(T).max(axis=0)
    unit = np.where(peak > 0, peak, 1.0)
    total = np.sum(((T - T.mean(axis=0)) / unit) ** 2, axis=0)
    constant = total <= (10 * np.finfo(float).eps) ** 2 * len(T)
    residual = np.sum(((T - P) / unit) ** 2, axis=0)
    return np.where(constant, np.nan, 1 - residual / np.where(constant, 1.0, total))


def time_segment_matching(S_a, S_b, window):
    """Accuracy with which time segments of one recording are found again in another.

    Parameters
    ----------
    S_a, S_b : ndarray of shape (n_samples, n_features)
        Shared responses estimated from two groups of views (or features of the same meaning) over
        the same samples. Each column is standardised over time first.
    window : int
        Length of the segments, in samples. At least ``3 * window - 1`` samples are needed, so that
        every segment has a competitor.

    Returns
    -------
    accuracy : float
        Share of the segments of `S_a` that are matched, in [0, 1]. Chance is about
        1 / (n_samples - 3 * window + 3).

    Raises
    ------
    ValueError
        If shapes differ, values are not finite or there are too few samples for the window.

    Notes
    -----
    The segment i of a recording is the vector of its ``window * n_features`` values from sample i
    on; there are n - window + 1 of them. Segment i of `S_a` is correlated (Pearson) with segment i
    of `S_b` and with every segment j of `S_b` that does not overlap it, ``abs(i - j) >= window``.
    It is matched if the first correlation is larger than all others; a tie is a failure. The
    published studies take the mean of all other subjects for `S_b` and average over subjects.

    References
    ----------
    Haxby et al., "A common, high-dimensional model of the representational space in human ventral
    temporal cortex", Neuron 2011. Chen et al., "A reduced-dimension fMRI shared response model",
    NIPS 2015.

    Examples
    --------
    >>> import numpy as np
    >>> S = np.random.default_rng(0).laplace(size=(60, 3))
    >>> time_segment_matching(S, S, window=5)
    1.0
    """
    A, B = _sources(S_a, "S_a"), _sources(S_b, "S_b")
    if A.shape != B.shape:
        raise ValueError(f"S_a has shape {A.shape} and S_b {B.shape}; expected equal shapes.")
    if not isinstance(window, (int, np.integer)) or window < 1 or len(A) < 3 * window - 1:
        raise ValueError(
            f"window={window!r} with {len(A)} samples: expected a positive integer window and at"
            " least 3 * window - 1 samples."
        )
    A, B = _segments(_standardise(A), window), _segments(_standardise(B), window)
    matched = 0
    for start in range(0, len(A), _SEGMENT_ROWS):
        matched += _count_matched(A[start : start + _SEGMENT_ROWS], B, start, window)
    return matched / len(A)


def _segments(S, window):
    """Unit-norm centred segments, one a row; a constant segment is a row of zeros."""
    sliding = np.lib.stride_tricks.sliding_window_view(S, window, axis=0)
    return _standardise(sliding.reshape(len(sliding), -1).T).T


def _count_matched(A, B, start, window):
    rows = np.arange(len(A))
    correlation = A @ B.T
    same = correlation[rows, start + rows].copy()
    overlap = np.abs(start + rows[:, None] - np.arange(len(B))) < window
    correlation[overlap] = -np.inf
    return int(np.sum(same > correlation.max(axis=1)))
