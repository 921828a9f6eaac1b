"""Multiset canonical correlation analysis (SUMCOR, total variance constraint)."""

import warnings
from dataclasses import dataclass

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from mvica.reduction.stacking import coordinates_moment, signals_moment, times
from mvica.reduction.subspace import block_size, leading_subspace


@dataclass(frozen=True)
class MultisetCCAResult:
    """Leading canonical directions of whitened views.

    Attributes
    ----------
    directions : ndarray of shape (N, n_components)
        Orthonormal columns; the rows of view v combine its whitened signals.
    eigenvalues : ndarray of shape (n_components,)
        Decreasing, in [0, n_views]: n_views when all views agree, 1 when nothing is shared.
    n_iter : int
    converged : bool
    """

    directions: np.ndarray
    eigenvalues: np.ndarray
    n_iter: int
    converged: bool


def multiset_cca(whitened, n_components, *, random_state=None, tol=1e-8, max_iter=50, moment=None):
    """Multiset CCA of whitened views: leading eigenvectors of their stacked second moment.

    Parameters
    ----------
    whitened : ndarray of shape (N, n_samples) or None
        Whitened views one under the other, one signal per row. None if `moment` is given.
    n_components : int
        Number of canonical components, at most N.
    random_state : int, RandomState or None, default=None
        Draws the start of the subspace iteration.
    tol : float, default=1e-8
        Stop when the span moves by less than this. 1e-3 is enough to start an ICA.
    max_iter : int, default=50
        Largest number of rounds. A dense solver takes over then, unless there are so many signals
        that their moment is not formed.
    moment : ndarray of shape (N, N), default=None
        ``whitened @ whitened.T / n_samples`` when it is already known.

    Returns
    -------
    result : MultisetCCAResult

    Warns
    -----
    ConvergenceWarning
        When `max_iter` rounds do not reach `tol`: more components are asked than are shared.

    Examples
    --------
    Two identical views share everything:

    >>> import numpy as np
    >>> Z = np.random.default_rng(0).standard_normal((2, 1000))
    >>> Z = np.linalg.solve(np.linalg.cholesky(Z @ Z.T / 1000), Z)
    >>> result = multiset_cca(np.vstack([Z, Z]), 2, random_state=0)
    >>> np.round(result.eigenvalues, 6)
    array([2., 2.])
    """
    size = len(whitened if moment is None else moment)
    if moment is None:
        moment = signals_moment(whitened, block_size(size, n_components))
    return solve_moment(moment, size, n_components, random_state, tol, max_iter)


def shared_directions(views, pcas, n_components, *, random_state, tol=1e-8, max_iter=50):
    """Multiset CCA of views given by their principal components, each whitened.

    Returns the record of `multiset_cca`; its directions combine the whitened coordinates of the
    views. A single view shares its principal components with itself.
    """
    size = sum(pca.n_directions for pca in pcas)
    if len(views) == 1:
        return principal_directions(size, n_components)
    moment = coordinates_moment(views, pcas, block_size(size, n_components))
    return solve_moment(moment, size, n_components, random_state, tol, max_iter)


def principal_directions(size, n_components):
    """Record for a single view: its leading principal components, which it shares with itself."""
    return MultisetCCAResult(np.eye(size, n_components), np.ones(n_components), 1, True)


def solve_moment(moment, size, n_components, random_state, tol, max_iter):
    """Multiset CCA from the second moment (N, N) of whitened coordinates, or its products."""
    found = leading_subspace(
        moment, size, n_components, random_state=random_state, tol=tol, max_iter=max_iter
    )
    if not found.converged:
        warnings.warn(
            f"the shared subspace still moves by {found.change:.1e} (tol={tol:.1e}) after "
            f"{found.n_iter} rounds of multiset CCA: n_components={n_components} may be more "
            f"than the views share (smallest kept eigenvalue {found.values[-1]:.3g}); lower "
            "n_components or raise max_iter",
            ConvergenceWarning,
            stacklevel=3,
        )
    return MultisetCCAResult(found.vectors, found.values, found.n_iter, found.converged)


def white_sources(moment, directions):
    """Find uncorrelated unit sources closest to the canonical ones: weights and regressions."""
    products = times(moment, directions)
    values, vectors = np.linalg.eigh(directions.T @ products)
    root = (vectors / np.sqrt(values)) @ vectors.T
    return directions @ root, products @ root
