"""Scores on held-out samples: likelihood of all features, and left-out views predicted."""

import numpy as np

from mvica.reduction.pca import principal_components, projection_map


def reconstruction(estimator, views, test):
    """Share of the variance of held-out samples of each view that the other views predict.

    Parameters
    ----------
    estimator : fitted estimator
        Fitted on other samples of the same views, with ``output="shared"``.
    views : list of ndarray of shape (n_samples, n_features_v)
        Two views or more.
    test : ndarray of int
        Rows of the held-out samples.

    Returns
    -------
    score : float
        Mean over views; 1 is perfect, below 0 worse than the mean of the training data.
    """
    held = [X[test] for X in views]
    return float(np.mean([_predicted_share(estimator, held, v) for v in range(len(held))]))


def _predicted_share(estimator, held, v):
    others = [u for u in range(len(held)) if u != v]
    S = estimator.transform([held[u] for u in others], views=others)
    (predicted,) = estimator.inverse_transform(S, views=[v]).views
    error = np.sum((held[v] - predicted) ** 2, dtype=np.float64)
    return 1 - error / np.sum((held[v] - estimator.mean_[v]) ** 2, dtype=np.float64)


def likelihood(estimator, views, train, test):
    r"""Mean log-likelihood of held-out samples, of all directions that the training data have.

    The model of an estimator covers the components; what is left of each view is taken as normal
    and independent between views, in directions uncorrelated with the components on the training
    data. So fits of different numbers of components are densities of the same data.

    Parameters
    ----------
    estimator : fitted estimator
        Fitted on the training samples, with a `score`.
    views : list of ndarray of shape (n_samples, n_features_v)
    train, test : ndarray of int
        Rows.

    Returns
    -------
    score : float
        Natural logarithms, per sample, up to a constant of the training data.
    """
    held = [X[test] for X in views]
    total = estimator.score(held)
    for U, X, X_held in zip(estimator.components_, views, held, strict=True):
        total += _rest_of_view(U, X[train], X_held)
    return total


def _rest_of_view(U, X, X_held):
    """Log-density of the directions beside the components, and the change of coordinates."""
    pca = principal_components(X)
    whiten = projection_map(pca, X, np.eye(pca.n_directions))
    B = U @ np.linalg.pinv(whiten)
    basis, triangle = np.linalg.qr(B.T)
    Z = (X_held - pca.mean) @ whiten.T
    rest = np.sum(Z**2) - np.sum((Z @ basis) ** 2)
    n_rest = pca.n_directions - len(U)
    normal = -0.5 * (rest / len(Z) + n_rest * np.log(2 * np.pi))
    return normal + np.sum(np.log(np.abs(np.diag(triangle)))) - 0.5 * np.linalg.slogdet(U @ U.T)[1]
