"""What the data say for and against a causal order: tests of directions and of independence."""

from dataclasses import dataclass

import numpy as np
from scipy.special import chdtrc

from mvica.causal.order_search import ML_STEPS


@dataclass(frozen=True)
class Identifiability:
    """How firmly the data fix the direction of every pair of variables.

    Each pair is looked at after the variables that come before its cause were regressed out. Entry
    [i, j] is about "j before i", as in an adjacency matrix; NaN for the pairs the other way round.

    Attributes
    ----------
    forward_pvalues : ndarray of shape (p, p)
        Test of the direction found: small values speak against it.
    reverse_pvalues : ndarray of shape (p, p)
        Test of the other direction: small values speak for the one found.
    margins : ndarray of shape (p, p)
        Root mean square, over pairs of views, of the correlations of residuals and regressor in
        the wrong direction. Zero where second-order statistics cannot tell.
    cause_correlations, disturbance_correlations : ndarray of shape (p, p)
        Mean absolute correlation between views of the cause, and of the disturbance of the effect.
    signal_to_noise : ndarray of shape (m, p, p)
        Signed ratio of the standard deviations of the effect's two parts.
    determined : ndarray of bool, shape (p, p)
        Whether the other direction is rejected at the level asked for.
    """

    forward_pvalues: np.ndarray
    reverse_pvalues: np.ndarray
    margins: np.ndarray
    cause_correlations: np.ndarray
    disturbance_correlations: np.ndarray
    signal_to_noise: np.ndarray
    determined: np.ndarray


def direction_test(C, i, j, n_samples, *, steps=ML_STEPS):
    """Test whether variable i is a cause of variable j, against any other dependence.

    The likelihood ratio of "residuals of j on i are uncorrelated with i over all pairs of views"
    is chi-square with m (m - 1) degrees of freedom.

    Parameters
    ----------
    C : ndarray of shape (p, p, m, m)
        Cross-covariances.
    i, j : int
        Cause and effect.
    n_samples : int
    steps : int, default=3
        Reweighting steps of the slopes. Without any the test rejects far too often.

    Returns
    -------
    statistic : float
    pvalue : float
        NaN where a covariance over views is singular.
    slopes : ndarray of shape (m,)
        Of j on i, by maximum likelihood.

    Examples
    --------
    >>> import numpy as np
    >>> from mvica.causal import cross_covariances, direction_test
    >>> rng = np.random.default_rng(0)
    >>> s, e = rng.standard_normal((2, 500))
    >>> noise = 0.5 * rng.standard_normal((3, 2, 500))
    >>> x, e = s + noise[:, 0], e + noise[:, 1]
    >>> views = [np.stack([x[v], (v + 1) * x[v] + e[v]], axis=1) for v in range(3)]
    >>> C = cross_covariances(views)
    >>> right, wrong = (direction_test(C.blocks, *pair, 500)[1] for pair in [(0, 1), (1, 0)])
    >>> bool(right > 0.05), bool(wrong < 1e-6)
    (True, True)
    """
    from mvica.kernels.causal_numba import AUTO, factor, pair_likelihoods

    p, m = C.shape[1:3]
    own, residual, slopes = np.zeros(p), np.zeros((p, p)), np.zeros((p, p, m))
    pair = np.array([i, j])
    lifted = pair_likelihoods(C, pair, steps, AUTO, n_samples, own, residual, slopes)
    joint = C[np.ix_(pair, pair)].transpose(0, 2, 1, 3).reshape(2 * m, 2 * m)
    joint_value, singular = factor(joint, AUTO, n_samples, np.empty(2 * m), np.empty(joint.shape))
    if lifted or singular:
        return np.nan, np.nan, slopes[i, j]
    statistic = n_samples * (own[i] + residual[i, j] - joint_value)
    return statistic, float(chdtrc(max(m * (m - 1), 1), statistic)), slopes[i, j]


def identifiability(blocks, order, n_samples, alpha):
    """Fill an `Identifiability` for all pairs of an order."""
    from mvica.kernels.causal_numba import regress_out

    C, (p, m) = blocks.copy(), blocks.shape[1:3]
    table = {name: np.full((p, p), np.nan) for name in Identifiability.__dataclass_fields__}
    signal = np.full((m, p, p), np.nan)
    for k, j in enumerate(order[:-1]):
        rest = order[k + 1 :]
        removal = np.zeros((p, m))
        for i in rest:
            _, forward, removal[i] = direction_test(C, j, i, n_samples)
            _, reverse, _ = direction_test(C, i, j, n_samples)
            table["forward_pvalues"][i, j], table["reverse_pvalues"][i, j] = forward, reverse
            found = _parts(C, j, i, removal[i])
            (
                table["cause_correlations"][i, j],
                table["disturbance_correlations"][i, j],
                signal[:, i, j],
                table["margins"][i, j],
            ) = found
        regress_out(C, j, np.asarray(rest), removal)
    table["signal_to_noise"] = signal
    table["determined"] = table["reverse_pvalues"] < alpha
    return Identifiability(**table)


def _parts(C, j, i, slopes):
    """Correlations over views of cause and disturbance, signal to noise, and the margin."""
    m = C.shape[2]
    X, XY, Y = C[j, j], C[j, i], C[i, i]
    E = Y - slopes[:, None] * XY - XY.T * slopes + np.outer(slopes, slopes) * X
    sx, se, sy = (np.sqrt(np.maximum(np.diag(S), 1e-300)) for S in (X, E, Y))
    signal = slopes * sx / se
    Rx, Re = X / np.outer(sx, sx), E / np.outer(se, se)
    wrong = np.outer(se / sy, se / sy) * (signal * Rx - signal[:, None] * Re)
    off = ~np.eye(m, dtype=bool)
    mean = [np.abs(R[off]).mean() if m > 1 else np.nan for R in (Rx, Re)]
    return *mean, signal, np.sqrt(np.mean(wrong[off] ** 2)) if m > 1 else np.nan


def independence_pvalues(D, edges, n_samples):
    """Test that the disturbances of each pair of variables are uncorrelated over all views.

    Parameters
    ----------
    D : ndarray of shape (p, p, m, m)
        Cross-covariances of the disturbances.
    edges : ndarray of int, shape (p, p)
        In how many views a strength was fitted between the two: each costs a degree of freedom.
    n_samples : int

    Returns
    -------
    pvalues : ndarray of shape (p, p)
        Symmetric; NaN on the diagonal and where a covariance over views is singular.
    """
    from mvica.kernels.causal_numba import AUTO, factor

    p, m = D.shape[1:3]

    def log_det(variables):
        S = D[np.ix_(variables, variables)].transpose(0, 2, 1, 3).reshape(len(variables) * m, -1)
        value, lifted = factor(
            np.ascontiguousarray(S), AUTO, n_samples, np.empty(len(S)), np.empty(S.shape)
        )
        return np.nan if lifted else value

    own = [log_det([j]) for j in range(p)]
    pvalues = np.full((p, p), np.nan)
    for i in range(p):
        for j in range(i):
            statistic = n_samples * (own[i] + own[j] - log_det([i, j]))
            freedom = max(m * m - max(edges[i, j], edges[j, i]), 1)
            pvalues[i, j] = pvalues[j, i] = chdtrc(freedom, statistic)
    return pvalues
