"""Function forms of the ICA estimators, for those who come from the research code."""

from dataclasses import dataclass

import numpy as np

from mvica.ica.baselines import GroupICA, PermICA
from mvica.ica.estimators import MultiViewICA


@dataclass(frozen=True)
class Decomposition:
    """What the functions return.

    Attributes
    ----------
    components : list of ndarray of shape (n_components, n_features_v)
        Unmixing of each view, from centred features to components.
    sources : ndarray of shape (n_samples, n_components)
        Shared sources.
    """

    components: list
    sources: np.ndarray


def multiview_ica(views, n_components=None, **parameters):
    """MultiView ICA as a function: see `mvica.MultiViewICA`, whose parameters it takes.

    Parameters
    ----------
    views : list of ndarray of shape (n_samples, n_features_v)
        The views: samples in rows, in contrast to the research code.
    n_components : int, default=None
        Number of components.
    **parameters
        Parameters of `mvica.MultiViewICA`.

    Returns
    -------
    decomposition : Decomposition
        With the fields ``components`` and ``sources``.

    Raises
    ------
    ValueError
        If views or parameters do not fit; the message names the view.

    References
    ----------
    Richard, Gresele, Hyvarinen, Thirion, Gramfort, Ablin (2020), Modeling shared responses in
    neuroimaging studies through MultiView ICA, NeurIPS.

    Examples
    --------
    >>> from mvica.ica import multiview_ica
    >>> from mvica.datasets import make_multiview_ica
    >>> data = make_multiview_ica(n_views=3, n_samples=500, n_components=2, random_state=0)
    >>> multiview_ica(data.views, random_state=0).sources.shape
    (500, 2)
    """
    return _decompose(MultiViewICA(n_components, **parameters), views)


def permica(views, n_components=None, **parameters):
    """One ICA a view with matched components, as a function: see `mvica.PermICA`.

    Parameters
    ----------
    views : list of ndarray of shape (n_samples, n_features_v)
        The views.
    n_components : int, default=None
        Number of components.
    **parameters
        Parameters of `mvica.PermICA`.

    Returns
    -------
    decomposition : Decomposition
        With the fields ``components`` and ``sources``.

    Examples
    --------
    >>> from mvica.ica import permica
    >>> from mvica.datasets import make_multiview_ica
    >>> data = make_multiview_ica(n_views=3, n_samples=500, n_components=2, random_state=0)
    >>> len(permica(data.views, random_state=0).components)
    3
    """
    return _decompose(PermICA(n_components, **parameters), views)


def groupica(views, n_components=None, **parameters):
    """One ICA of the group's principal components, as a function: see `mvica.GroupICA`.

    Parameters
    ----------
    views : list of ndarray of shape (n_samples, n_features_v)
        The views.
    n_components : int, default=None
        Number of components.
    **parameters
        Parameters of `mvica.GroupICA`.

    Returns
    -------
    decomposition : Decomposition
        With the fields ``components`` and ``sources``.

    Examples
    --------
    >>> from mvica.ica import groupica
    >>> from mvica.datasets import make_multiview_ica
    >>> data = make_multiview_ica(n_views=3, n_samples=500, n_components=2, random_state=0)
    >>> groupica(data.views, random_state=0).sources.shape
    (500, 2)
    """
    return _decompose(GroupICA(n_components, **parameters), views)


def _decompose(estimator, views):
    estimator.fit(views)
    return Decomposition(estimator.components_, estimator.sources_)
