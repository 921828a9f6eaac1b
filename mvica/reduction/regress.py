"""Reduction of one more view towards signals that are known already."""

from mvica.reduction.pca import principal_components, signal_regressions
from mvica.reduction.reduce import (
    SAMPLES_PER_DIRECTION,
    check_n_components,
    orthonormal_rows,
    white_reduction,
)


def reduce_to_signals(X, S):
    """Reduce a view to the directions that predict given signals best.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        The view.
    S : ndarray of shape (n_samples, p)
        Signals of the same samples.

    Returns
    -------
    reduction : mvica.reduction.record.Reduction
        Of one view, to p white signals.

    Raises
    ------
    ValueError
        If the view has a rank below p.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> S = rng.laplace(size=(500, 2))
    >>> X = np.hstack([S @ rng.standard_normal((2, 3)), 100 * rng.standard_normal((500, 3))])
    >>> reduction = reduce_to_signals(X, S)
    >>> Z = (X - reduction.means[0]) @ reduction.projections[0].T
    >>> residual = S - S.mean(0) - Z @ np.linalg.lstsq(Z, S - S.mean(0))[0]
    >>> bool(np.abs(residual).max() < 1e-8)
    True
    """
    n, p = S.shape
    pca = principal_components(X, max_directions=max(p, n // SAMPLES_PER_DIRECTION))
    check_n_components([X.shape], [pca], p)
    rows = orthonormal_rows(signal_regressions(pca, X, S))
    return white_reduction([X], [pca], [rows])
