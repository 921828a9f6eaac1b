"""Principal components of all views side by side, each view counting as much as another."""

import warnings
from dataclasses import dataclass

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from mvica.reduction.stacking import by_view, coordinates_moment, scaled_moment, times
from mvica.reduction.subspace import block_size, leading_subspace


@dataclass(frozen=True)
class GroupComponents:
    """Leading components of the concatenated views, each view scaled to unit total variance.

    Attributes
    ----------
    weights : list of ndarray of shape (n_components, k_v)
        The group components are the sum over views of ``weights[v] @ whitened_v``; they are white.
    regressions : list of ndarray of shape (n_components, k_v)
        ``regressions[v] @ whitened_v`` is the best prediction of the components by view v.
    variances : ndarray of shape (n_components,)
        Variance of each component before scaling, decreasing; all sum to the number of views.
    n_iter : int
    converged : bool
    """

    weights: list
    regressions: list
    variances: np.ndarray
    n_iter: int
    converged: bool


def group_components(views, pcas, n_components, *, random_state, tol=1e-8, max_iter=50):
    """Group PCA of views given by their principal components.

    Parameters
    ----------
    views : list of ndarray of shape (n_samples, n_features_v)
        The views.
    pcas : list of PrincipalComponents
        Their principal components.
    n_components : int
        Number of group components.
    random_state : int, RandomState or None
        Draws the start of the subspace iteration.
    tol : float, default=1e-8
        Stop when the span moves by less than this.
    max_iter : int, default=50
        Largest number of rounds.

    Returns
    -------
    components : GroupComponents
    """
    spreads = np.concatenate([np.sqrt(pca.variances / pca.total_variance) for pca in pcas])
    spreads = spreads[:, None]
    moment = coordinates_moment(views, pcas, block_size(len(spreads), n_components))
    found = leading_subspace(
        scaled_moment(moment, spreads),
        len(spreads),
        n_components,
        random_state=random_state,
        tol=tol,
        max_iter=max_iter,
    )
    if not found.converged:
        warnings.warn(
            f"the group components still move by {found.change:.1e} (tol={tol:.1e}) after "
            f"{found.n_iter} rounds: change n_components={n_components}, or raise max_iter",
            ConvergenceWarning,
            stacklevel=2,
        )
    weights = spreads * found.vectors / np.sqrt(found.values)
    return GroupComponents(
        weights=[block.T for block in by_view(weights, pcas)],
        regressions=[block.T for block in by_view(times(moment, weights), pcas)],
        variances=found.values,
        n_iter=found.n_iter,
        converged=found.converged,
    )
