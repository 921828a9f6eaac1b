"""Simulated views of linear causal models that share one order."""

from dataclasses import dataclass

import numpy as np

from mvica.datasets._checks import check_dtype, check_sizes
from mvica.datasets.record import seed_of

KINDS = ("gauss", "student", "elliptic", "shared", "shared_general")
FREEDOM = 10  # of the Student disturbances


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class CausalDataset:
    """Simulated views of linear causal models, with the truth.

    Each view is ``x_v = B_v x_v + e_v``; row t of all views belongs together.

    Attributes
    ----------
    name : str
        Function that made the data, with its scenario.
    views : list of m ndarrays of shape (n_samples, p)
        The data to give to an estimator.
    adjacency_matrices : ndarray of shape (m, p, p)
        ``[v, i, j]``: direct effect of variable j on variable i.
    causal_order : ndarray of int, shape (p,), or (m, p) where views have orders of their own
        Causes before effects.
    disturbances : list of m ndarrays of shape (n_samples, p)
        What drives each variable from outside.
    seed : int or None
        The integer given as `random_state`; None where it was a generator or None.

    Examples
    --------
    >>> from mvica.datasets import make_limvam
    >>> make_limvam("gauss", n_views=3, n_samples=100, n_variables=4, random_state=0)
    CausalDataset(make_limvam('gauss'): 3 views of 100 samples, 4 variables, one order; seed 0)
    """

    name: str
    views: list
    adjacency_matrices: np.ndarray
    causal_order: np.ndarray
    disturbances: list
    seed: int | None

    @property
    def n_views(self):
        """Number of views m."""
        return len(self.views)

    @property
    def n_samples(self):
        """Number of samples n."""
        return len(self.views[0])

    @property
    def n_variables(self):
        """Number of variables p."""
        return self.views[0].shape[1]

    def __repr__(self):
        orders = "one order" if self.causal_order.ndim == 1 else "orders of their own"
        return (
            f"{type(self).__name__}({self.name}: {self.n_views} views of {self.n_samples} samples, "
            f"{self.n_variables} variables, {orders}; seed {self.seed})"
        )


def make_limvam(
    kind="gauss",
    n_views=6,
    n_samples=1000,
    n_variables=5,
    *,
    correlation=1.0,
    n_gaussian=None,
    betas=(1.5, 2.5),
    equal_gains=False,
    noise_level=1.0,
    n_equal_noise=0,
    n_zeros=0,
    n_own_orders=0,
    nonlinearity=0.0,
    random_state=None,
    dtype=np.float64,
):
    r"""Draw views of linear causal models whose disturbances are correlated between views.

    .. math:: x_v = B_v x_v + e_v

    with strengths that are standard normal below the diagonal of :math:`P B_v P^\top`, drawn anew
    for each view, and one order P.

    Parameters
    ----------
    kind : {"gauss", "student", "elliptic", "shared", "shared_general"}, default="gauss"
        Law of the disturbances. The first three have a random covariance over views for each
        variable: normal; Student with 10 degrees of freedom except `n_gaussian` normal ones; or
        elliptical with radius exponents `betas`. In the last two all views see one source per
        variable, with a gain, plus normal noise of their own: Laplace sources with noise of
        standard deviation 1/2 except `n_gaussian` normal ones with noise uniform on (0, 1); or
        generalised normal sources with exponents `betas` and noise uniform on (0, 1).
    n_views, n_samples, n_variables : int, default=6, 1000 and 5
        Sizes m, n and p.
    correlation : float, default=1.0
        Factor of the correlations between views, for the first three kinds. 0 makes the order
        unidentifiable.
    n_gaussian : int or None, default=None
        Normal disturbances of "student" and "shared", the last ones; None makes it p - p // 2.
    betas : pair of float, default=(1.5, 2.5)
        Exponents of the first and last p // 3 variables; those between have 2, the normal law.
    equal_gains : bool, default=False
        Gains of 1 for the shared kinds; else uniform on (0.5, 2).
    noise_level : float, default=1.0
        Factor of the noise of the shared kinds.
    n_equal_noise : int, default=0
        Views, drawn at random, in which the last two disturbances of the shared kinds have the
        same ratio of noise to source. In all of them, rotations of the two cannot be told apart.
    n_zeros : int, default=0
        Strengths set to zero in each view, drawn at random.
    n_own_orders : int, default=0
        Views with an order of their own, the last ones.
    nonlinearity : float in [0, 1], default=0.0
        How far every observation is moved to ``tanh(x / 2)``.
    random_state : int, Generator or None, default=None
        An int gives the same bits on every call.
    dtype : {float64, float32}, default=float64
        Type of the views; the truth stays in float64.

    Returns
    -------
    data : CausalDataset
        Views and truth.

    Raises
    ------
    ValueError
        If the kind, a size or a count is not allowed.

    Notes
    -----
    The draws are part of the interface. They are taken from ``default_rng(random_state)``: the
    disturbances, of shape (m, p, n); strengths ``standard_normal((m, p, p))``; the order
    ``permutation(p)``; then zeros and own orders, view by view, where asked for.

    References
    ----------
    Heurtebise, Chehab, Ablin, Gramfort, Hyvarinen, "Multi-view causal discovery without
    non-Gaussianity: identifiability and algorithms", arXiv 2502.20115.

    Examples
    --------
    >>> from mvica.datasets import make_limvam
    >>> data = make_limvam("shared", n_views=5, n_variables=4, random_state=0)
    >>> data.adjacency_matrices.shape, sorted(data.causal_order.tolist())
    ((5, 4, 4), [0, 1, 2, 3])
    """
    m, n, p = check_sizes(n_views=n_views, n_samples=n_samples, n_variables=n_variables)
    dtype = check_dtype(dtype)
    if kind not in KINDS:
        raise ValueError(f"kind={kind!r}; expected one of {KINDS}.")
    n_gaussian = p - p // 2 if n_gaussian is None else n_gaussian
    _check_counts(n_gaussian, n_zeros, n_own_orders, n_equal_noise, m, p)
    rng = np.random.default_rng(random_state)
    if kind.startswith("shared"):
        E = _shared(rng, kind, m, p, n, n_gaussian, betas, equal_gains, noise_level, n_equal_noise)
    else:
        E = _correlated(rng, kind, m, p, n, n_gaussian, betas, correlation)
    B, orders = _strengths(rng, m, p, n_zeros, n_own_orders)
    X = np.linalg.solve(np.eye(p) - B, E)
    if nonlinearity:
        X = (1 - nonlinearity) * X + nonlinearity * np.tanh(X / 2)
    return CausalDataset(
        name=f"make_limvam({kind!r})",
        views=[np.ascontiguousarray(X_v.T, dtype=dtype) for X_v in X],
        adjacency_matrices=B,
        causal_order=orders if n_own_orders else orders[0],
        disturbances=[np.ascontiguousarray(E_v.T) for E_v in E],
        seed=seed_of(random_state),
    )


def _check_counts(n_gaussian, n_zeros, n_own_orders, n_equal_noise, m, p):
    limits = {
        "n_gaussian": (n_gaussian, p),
        "n_zeros": (n_zeros, p * (p - 1) // 2),
        "n_own_orders": (n_own_orders, m),
        "n_equal_noise": (n_equal_noise, m if p > 1 else 0),
    }
    for name, (count, limit) in limits.items():
        if not 0 <= count <= limit:
            raise ValueError(f"{name}={count}; expected 0 to {limit} for {m} views, {p} variables.")


def _correlated(rng, kind, m, p, n, n_gaussian, betas, correlation):
    """Disturbances (m, p, n) with a random correlation matrix over views for each variable."""
    M = rng.standard_normal((p, m, m))
    E = np.empty((m, p, n))
    for j in range(p):
        S = M[j] @ M[j].T
        scale = np.sqrt(np.diag(S))
        R = S / np.outer(scale, scale)
        R[~np.eye(m, dtype=bool)] *= correlation
        Z = rng.standard_normal((n, m))
        beta = _beta(j, p, betas)
        if kind == "elliptic" and beta != 2:
            radius = (2 * rng.gamma(m / beta, size=n)) ** (1 / beta)
            Z *= (radius / np.linalg.norm(Z, axis=1))[:, None]
        if kind == "student" and j < p - n_gaussian:
            Z *= np.sqrt(FREEDOM / rng.chisquare(FREEDOM, size=n))[:, None]
        E[:, j] = np.linalg.cholesky(R) @ Z.T
    return E


def _shared(rng, kind, m, p, n, n_gaussian, betas, equal_gains, noise_level, n_equal_noise):
    """Disturbances (m, p, n): gains times sources, plus noise."""
    D = np.ones((m, p)) if equal_gains else rng.uniform(0.5, 2, (m, p))
    std = np.full((m, p), 0.5)
    if kind == "shared":
        laplace = rng.laplace(size=(p - n_gaussian, n))
        S = np.concatenate([laplace, rng.standard_normal((n_gaussian, n))])
        std[:, p - n_gaussian :] = rng.uniform(size=(m, n_gaussian))
    else:
        S = np.stack([_generalised_normal(rng, _beta(j, p, betas), n) for j in range(p)])
        std = rng.uniform(size=(m, p))
    if n_equal_noise:
        chosen = rng.choice(m, n_equal_noise, replace=False)
        std[chosen, -1] = D[chosen, -1] / D[chosen, -2] * std[chosen, -2]
    noise = std[:, :, None] * rng.standard_normal((m, p, n))
    return D[:, :, None] * S + noise_level * noise


def _beta(j, p, betas):
    third = p // 3
    return betas[0] if j < third else betas[1] if j >= p - third else 2


def _generalised_normal(rng, beta, n):
    """Density proportional to ``exp(-|x|^beta)``."""
    size = rng.gamma(1 / beta, size=n) ** (1 / beta)
    return size * rng.choice([-1.0, 1.0], size=n)


def _strengths(rng, m, p, n_zeros, n_own_orders):
    """Adjacency matrices (m, p, p) and orders (m, p)."""
    T = np.tril(rng.standard_normal((m, p, p)), -1)
    orders = np.tile(rng.permutation(p), (m, 1))
    rows, columns = np.tril_indices(p, -1)
    for v in range(m):
        zeros = rng.choice(len(rows), n_zeros, replace=False) if n_zeros else []
        T[v, rows[zeros], columns[zeros]] = 0.0
        if v >= m - n_own_orders:
            orders[v] = rng.permutation(p)
    B = np.zeros((m, p, p))
    for v, order in enumerate(orders):
        B[v][np.ix_(order, order)] = T[v]
    return B, orders
