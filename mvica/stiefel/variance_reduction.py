"""Stochastic landing whose noise vanishes at the solution: SAGA, with a table of gradients."""

from dataclasses import dataclass

import numpy as np
from sklearn.utils import check_random_state

from mvica.stiefel.deterministic import normalized
from mvica.stiefel.fields import gram_defect, residual_dual
from mvica.stiefel.safe_step import orthogonal_safe_step

RADIUS = 0.5  # defect within which the iterates stay


@dataclass(frozen=True)
class SagaSolution:
    """Outcome of `saga_landing`.

    Attributes
    ----------
    x : ndarray of shape (d, p)
        The point, ``x^T x = I`` to rounding.
    violation : float
        ``|U^T U - I|_F`` of the last iterate.
    n_steps : int
        Steps done.
    """

    x: np.ndarray
    violation: float
    n_steps: int


def saga_landing(gradient, n_batches, U0, *, step, n_steps, omega=1.0, random_state=None):
    """Minimise a mean over batches on the Stiefel manifold, with a table of their gradients.

    Each step replaces the gradient of one batch by its change plus the mean of the table, so that
    the noise vanishes at the solution: linear convergence at a constant step. Memory is
    ``n_batches * d * p``.

    Parameters
    ----------
    gradient : callable
        ``gradient(batch, U)``, of shape (d, p), of the objective of one batch.
    n_batches : int
        Number of batches.
    U0 : ndarray of shape (d, p)
        Start, of full column rank.
    step : float
        Constant step, about a third of the inverse of the largest curvature of a batch.
    n_steps : int
        Number of steps.
    omega : float, default=1.0
        Weight of the constraint.
    random_state : int, RandomState instance or None, default=None
        Draws the batches.

    Returns
    -------
    solution : SagaSolution

    References
    ----------
    Ablin, Vary, Gao, Absil (2024), Infeasible deterministic, stochastic, and variance-reduction
    algorithms for optimization under orthogonality constraints, JMLR.

    Examples
    --------
    >>> import numpy as np
    >>> from mvica.stiefel import saga_landing
    >>> A = np.diag([2.0, 1.0, 0.5])
    >>> rng = np.random.default_rng(0)
    >>> noise = [E + E.T for E in 0.1 * rng.standard_normal((9, 3, 3))]
    >>> noise.append(-sum(noise))
    >>> solution = saga_landing(lambda b, U: -(A + noise[b]) @ U, 10, np.ones((3, 1)),
    ...                         step=0.1, n_steps=2000, random_state=0)
    >>> np.abs(solution.x[:, 0]).round(6)
    array([1., 0., 0.])
    """
    rng = check_random_state(random_state)
    U0 = np.asarray(U0, dtype=np.float64)
    U = normalized(U0, U0)
    table = np.array([gradient(b, U) for b in range(n_batches)])
    mean = table.mean(axis=0)
    for b in rng.randint(n_batches, size=n_steps):
        fresh = gradient(b, U)
        G = fresh - table[b] + mean
        mean += (fresh - table[b]) / n_batches
        table[b] = fresh
        C, D = gram_defect(U, U)
        tangent, normal = residual_dual(G, U, C, G.T @ U)
        F = tangent + omega * normal
        safe = orthogonal_safe_step(np.linalg.norm(F), np.linalg.norm(D), omega, RADIUS)
        U = U - min(step, safe) * F
    violation = float(np.linalg.norm(gram_defect(U, U)[1]))
    return SagaSolution(normalized(U, U), violation, n_steps)
