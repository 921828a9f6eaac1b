"""The one door to dimension reduction: whitened signals of equal number from every view."""

import warnings

import numpy as np
from scipy.linalg import eigh

from mvica.kernels.blocks import project
from mvica.kernels.moments import second_moment
from mvica.reduction.group_pca import group_components
from mvica.reduction.mcca import shared_directions
from mvica.reduction.pca import (
    pattern_map,
    principal_components,
    projection_map,
)
from mvica.reduction.record import Reduction
from mvica.reduction.srm import shared_response
from mvica.reduction.stacking import by_view, stack_reduced

__all__ = ["METHODS", "check_n_components", "reduce_views", "stack_reduced"]

METHODS = ("mcca", "pca", "grouppca", "srm", None)
SAMPLES_PER_DIRECTION = 10  # fewer, and views agree by chance on what they share
WHITE_CONDITION = 3e5  # variances spread beyond that lose digits of the identity: refine


def reduce_views(views, n_components=None, *, method="mcca", random_state=None):
    """Reduce every view to the same number of whitened signals.

    Parameters
    ----------
    views : list of ndarray of shape (n_samples, n_features_v)
        The views, float32 or float64. Statistics are float64; no view is copied whole.
    n_components : int, default=None
        Number of signals p kept of each view. None keeps as many as every view allows: the
        smallest numerical rank.
    method : {"mcca", "pca", "grouppca", "srm", None}, default="mcca"
        What is kept of a view with more than p directions:

        - ``"mcca"``: what it shares with the others (multiset CCA), however small its variance;
        - ``"pca"``: its own directions of largest variance;
        - ``"grouppca"``: its best prediction of the principal components of all views together;
        - ``"srm"``: its basis in the probabilistic shared response model;
        - None: nothing is dropped, every view must have rank p.

        When every view has rank p all of them only whiten.
    random_state : int, RandomState or None, default=None
        Draws the start of the subspace iterations.

    Returns
    -------
    reduction : Reduction
        `stack_reduced` applies it.

    Raises
    ------
    ValueError
        If a view is constant, or has a smaller rank than `n_components`.

    Warns
    -----
    UserWarning
        If `n_components` is None and a rank-deficient view limits it.
    ConvergenceWarning
        If the iterations of the method end before their tolerance is reached.

    Notes
    -----
    "mcca" and "grouppca" first reduce a view to ``max(p, min(rank, n_samples // 10))`` principal
    directions: with fewer samples a direction, views of pure noise seem to agree. Directions are
    never chosen by a share of the variance, which private activity may own.

    References
    ----------
    Richard, Gresele, Hyvarinen, Thirion, Gramfort, Ablin, Modeling shared responses in
    neuroimaging studies through MultiView ICA, NeurIPS 2020.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> S = rng.laplace(size=(500, 2))
    >>> views = [S @ rng.standard_normal((2, d)) + rng.standard_normal((500, d)) for d in (4, 6)]
    >>> Z = stack_reduced(views, reduce_views(views, 2, random_state=0))
    >>> Z.shape, np.allclose(Z[:2] @ Z[:2].T / 500, np.eye(2))
    ((4, 500), True)
    """
    if method not in METHODS:
        raise ValueError(f"unknown reduction {method!r}: choose one of {METHODS}")
    limit = None if n_components is None else _n_directions(len(views[0]), n_components, method)
    pcas = [principal_components(X, max_directions=limit) for X in views]
    p = check_n_components([X.shape for X in views], pcas, n_components)
    if method is None:
        _check_nothing_dropped(views, pcas, p)
    pcas = [pca.leading(_n_directions(len(views[0]), p, method)) for pca in pcas]
    return white_reduction(views, pcas, _white_rows(views, pcas, p, method, random_state))


def white_reduction(views, pcas, rows):
    """Record of the white signals that orthonormal rows (p, k_v) of whitened coordinates give."""
    maps = [_white_maps(*args) for args in zip(views, pcas, rows, strict=True)]
    return Reduction(
        means=[pca.mean for pca in pcas],
        projections=[projection for projection, _ in maps],
        patterns=[pattern for _, pattern in maps],
        ranks=np.array([pca.rank for pca in pcas]),
        variances=np.array([pca.total_variance for pca in pcas]),
    )


def _n_directions(n_samples, p, method):
    """Principal directions of a view that the method chooses from; None for all."""
    if method == "srm":
        return None
    return p if method in ("pca", None) else max(p, n_samples // SAMPLES_PER_DIRECTION)


def check_n_components(shapes, pcas, n_components):
    """Return the number of components that every view can give; refuse more than that.

    Parameters
    ----------
    shapes : list of tuple of int
        Numbers of samples and features of the views.
    pcas : list of PrincipalComponents
        Their principal components.
    n_components : int or None
        Number asked for; None for the largest possible.

    Returns
    -------
    p : int

    Raises
    ------
    ValueError
        If a view is constant, or has a smaller rank than `n_components`.

    Warns
    -----
    UserWarning
        If `n_components` is None and a rank-deficient view limits it.
    """
    ranks = [pca.rank for pca in pcas]
    v = int(np.argmin(ranks))
    shape, largest = shapes[v], ranks[v]
    if largest == 0:
        raise ValueError(f"view {v} of shape {shape} is constant: it has no component to find")
    if n_components is None:
        if largest < min(min(n - 1, d) for n, d in shapes):
            warnings.warn(
                f"view {v} of shape {shape} has numerical rank {largest}: using "
                f"n_components={largest}; set n_components to choose it",
                UserWarning,
                stacklevel=3,
            )
        return largest
    if n_components > largest:
        raise ValueError(
            f"n_components={n_components} is too large: view {v} of shape {shape} has numerical "
            f"rank {largest}, so n_components can be at most {largest}"
        )
    return int(n_components)


def _check_nothing_dropped(views, pcas, p):
    for v, (X, pca) in enumerate(zip(views, pcas, strict=True)):
        if pca.rank > p:
            raise ValueError(
                f"view {v} of shape {X.shape} has numerical rank {pca.rank}, more than the "
                f"{p} components: without reduction all views need the same rank; choose a "
                'reduction, for example "mcca"'
            )


def _white_rows(views, pcas, p, method, random_state):
    """Orthonormal rows (p, k_v) that combine the whitened coordinates of each view."""
    if all(pca.n_directions == p for pca in pcas) or method == "pca":
        return [np.eye(p) for _ in pcas]
    if method == "mcca":
        found = shared_directions(views, pcas, p, random_state=random_state)
        rows = [block.T for block in by_view(found.directions, pcas)]
    elif method == "grouppca":
        rows = group_components(views, pcas, p, random_state=random_state).regressions
    else:
        response = shared_response(views, pcas, p, random_state=random_state)
        pairs = zip(response.bases, pcas, strict=True)
        rows = [(basis * np.sqrt(pca.variances)[:, None]).T for basis, pca in pairs]
    return [orthonormal_rows(block) for block in rows]


def orthonormal_rows(rows):
    """Closest orthonormal rows: white combinations of white signals, also where rank is lost."""
    left, _, right = np.linalg.svd(rows, full_matrices=False)
    return left @ right


def _white_maps(X, pca, weights):
    """Projection and pattern of a view, corrected from the data where whitening loses digits."""
    projection, pattern = projection_map(pca, X, weights), pattern_map(pca, X, weights)
    if pca.variances[0] < WHITE_CONDITION * pca.variances[-1]:
        return projection, pattern
    Z = project(X, pca.mean, projection, out=np.empty((len(weights), len(X)), dtype=X.dtype))
    values, vectors = eigh(second_moment(Z))
    root = np.sqrt(values)
    return (vectors / root) @ vectors.T @ projection, pattern @ (vectors * root) @ vectors.T
