"""Function forms of ShICA and AVICA, for those who come from the research code."""

from dataclasses import dataclass

import numpy as np

from mvica.ica.noisy_estimators import AVICA, ShICAML
from mvica.ica.shica_j_estimator import ShICAJ


@dataclass(frozen=True)
class NoisyDecomposition:
    """What the functions return.

    Attributes
    ----------
    components : list of ndarray of shape (n_components, n_features_v)
        Unmixing of each view, from centred features to components.
    sources : ndarray of shape (n_samples, n_components)
        Posterior means of the shared sources.
    noise_variances : ndarray of shape (n_views, n_components)
        Variance of the noise that each view adds to each unit-variance source.
    """

    components: list
    sources: np.ndarray
    noise_variances: np.ndarray


def shica_j(views, n_components=None, **parameters):
    """Shared ICA from covariances as a function: see `mvica.ShICAJ`, whose parameters it takes.

    Parameters
    ----------
    views : list of ndarray of shape (n_samples, n_features_v)
        The views: samples in rows, in contrast to the research code.
    n_components : int, default=None
        Number of components.
    **parameters
        Parameters of `mvica.ShICAJ`.

    Returns
    -------
    decomposition : NoisyDecomposition
        With the fields ``components``, ``sources`` and ``noise_variances``.

    Examples
    --------
    >>> from mvica.ica import shica_j
    >>> from mvica.datasets import make_shica
    >>> shica_j(make_shica("gauss", random_state=0).views, random_state=0).sources.shape
    (1000, 4)
    """
    return _decompose(ShICAJ(n_components, **parameters), views)


def shica_ml(views, n_components=None, **parameters):
    """Shared ICA by maximum likelihood as a function: see `mvica.ShICAML`.

    Parameters
    ----------
    views : list of ndarray of shape (n_samples, n_features_v)
        The views.
    n_components : int, default=None
        Number of components.
    **parameters
        Parameters of `mvica.ShICAML`.

    Returns
    -------
    decomposition : NoisyDecomposition
        With the fields ``components``, ``sources`` and ``noise_variances``.

    Examples
    --------
    >>> from mvica.ica import shica_ml
    >>> from mvica.datasets import make_shica
    >>> shica_ml(make_shica("half", random_state=0).views, random_state=0).noise_variances.shape
    (5, 4)
    """
    return _decompose(ShICAML(n_components, **parameters), views)


def avica(views, n_components=None, **parameters):
    """Adaptive MultiView ICA as a function: see `mvica.AVICA`, whose parameters it takes.

    Parameters
    ----------
    views : list of ndarray of shape (n_samples, n_features_v)
        The views.
    n_components : int, default=None
        Number of components.
    **parameters
        Parameters of `mvica.AVICA`.

    Returns
    -------
    decomposition : NoisyDecomposition
        With the fields ``components``, ``sources`` and ``noise_variances``.

    Examples
    --------
    >>> from mvica.ica import avica
    >>> from mvica.datasets import make_shica
    >>> len(avica(make_shica("laplace", random_state=0).views, random_state=0).components)
    5
    """
    return _decompose(AVICA(n_components, **parameters), views)


def _decompose(estimator, views):
    estimator.fit(views)
    return NoisyDecomposition(estimator.components_, estimator.sources_, estimator.noise_variances_)
