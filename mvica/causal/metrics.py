"""How far an estimated causal graph is from the truth; nothing depends on the variables' labels."""

import numpy as np


def adjacency_error(estimate, truth, kind="mse"):
    """Compute the error of estimated strengths.

    Parameters
    ----------
    estimate, truth : array-like of shape (n_views, p, p) or (p, p)
        ``[v, i, j]``: direct effect of variable j on variable i.
    kind : {"mse", "mae"}, default="mse"
        Mean squared or mean absolute difference, over all entries, those of no edge included.

    Returns
    -------
    error : float

    Raises
    ------
    ValueError
        If the shapes differ or `kind` is unknown.

    Examples
    --------
    >>> from mvica.causal import adjacency_error
    >>> adjacency_error([[0, 0], [1, 0]], [[0, 0], [3, 0]])
    1.0
    """
    estimate, truth = _same_shape(estimate, truth)
    if kind not in ("mse", "mae"):
        raise ValueError(f'kind={kind!r}; expected "mse" or "mae".')
    difference = np.abs(estimate - truth)
    return float(np.mean(difference**2 if kind == "mse" else difference))


def order_error(order, adjacency):
    """Compute the share of true edges that an order reverses.

    The measure to look at first: an order can be right in several ways when the graph has few
    edges, and this one counts only what is wrong.

    Parameters
    ----------
    order : array-like of int, shape (p,) or (n_views, p)
        Estimated order, causes before effects; one, or one a view.
    adjacency : array-like of shape (n_views, p, p) or (p, p)
        True strengths.

    Returns
    -------
    share : float
        Between 0 and 1. With one order, of the pairs with an effect in some view; with one a view,
        of all effects of all views.

    Examples
    --------
    >>> from mvica.causal import order_error
    >>> chain = [[0, 0, 0], [1, 0, 0], [0, 1, 0]]
    >>> order_error([0, 1, 2], chain), order_error([1, 0, 2], chain)
    (0.0, 0.5)
    """
    edges = np.asarray(adjacency) != 0
    edges = edges[None] if edges.ndim == 2 else edges
    orders = np.asarray(order)
    if orders.ndim == 1:
        orders, edges = orders[None], edges.any(axis=0)[None]
    position = np.argsort(orders, axis=1)
    before = position[:, None, :] < position[:, :, None]
    return float(np.sum(edges & ~before) / max(edges.sum(), 1))


def order_correlation(order, truth):
    """Compute the rank correlation of the positions of the variables in two orders.

    Parameters
    ----------
    order, truth : array-like of int, shape (p,)
        Variables, causes before effects.

    Returns
    -------
    correlation : float
        Spearman's: 1 for the same order, -1 for the reverse.

    Raises
    ------
    ValueError
        If the orders are not of the same variables.

    Examples
    --------
    >>> from mvica.causal import order_correlation
    >>> order_correlation([3, 0, 1, 2, 4], [0, 3, 1, 2, 4])
    0.9
    """
    order, truth = np.asarray(order), np.asarray(truth)
    p = len(order)
    if not np.array_equal(np.sort(order), np.sort(truth)):
        raise ValueError(f"The orders {order} and {truth} are not of the same variables.")
    distance = np.sum((np.argsort(order) - np.argsort(truth)) ** 2)
    return float(1 - 6 * distance / max(p * (p**2 - 1), 1))


def reversed_edges(estimate, truth, threshold=0.0):
    """Count the true edges that were found the wrong way round.

    Parameters
    ----------
    estimate, truth : array-like of shape (n_views, p, p) or (p, p)
        Strengths. Views count together: an edge is there if it is in some view.
    threshold : float, default=0.0
        Least absolute strength of an edge.

    Returns
    -------
    count : int

    Examples
    --------
    >>> from mvica.causal import reversed_edges
    >>> reversed_edges([[0, 2], [0, 0]], [[0, 0], [1, 0]])
    1
    """
    found, present = (_edges(B, threshold) for B in _same_shape(estimate, truth))
    return int(np.sum(present & ~found & found.T))


def structural_hamming_distance(estimate, truth, threshold=0.0):
    """Count the edges to add, to remove or to turn round to make one graph the other.

    Parameters
    ----------
    estimate, truth : array-like of shape (n_views, p, p) or (p, p)
        Strengths. Views count together: an edge is there if it is in some view.
    threshold : float, default=0.0
        Least absolute strength of an edge.

    Returns
    -------
    distance : int

    Examples
    --------
    >>> from mvica.causal import structural_hamming_distance
    >>> found, true = [[0, 2, 0], [0, 0, 0], [0, 1, 0]], [[0, 0, 0], [1, 0, 0], [0, 0, 0]]
    >>> structural_hamming_distance(found, true)
    2
    """
    found, present = (_edges(B, threshold) for B in _same_shape(estimate, truth))
    different = (found != present) | (found != present).T
    return int(np.sum(np.triu(different)))


def _edges(B, threshold):
    large = (B != 0) & (np.abs(B) >= threshold)
    return large.any(axis=0) if large.ndim == 3 else large


def _same_shape(estimate, truth):
    estimate, truth = np.asarray(estimate, dtype=float), np.asarray(truth, dtype=float)
    if estimate.shape != truth.shape or estimate.ndim not in (2, 3):
        raise ValueError(
            f"The estimate has shape {estimate.shape}, the truth {truth.shape}; expected the same "
            "shape (n_views, p, p) or (p, p)."
        )
    return estimate, truth
