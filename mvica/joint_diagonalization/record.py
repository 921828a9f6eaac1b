"""The record that joint diagonalisation returns."""

from dataclasses import dataclass

import numpy as np

from mvica.optim.result import Result


@dataclass(frozen=True)
class Diagonalization(Result):
    """Outcome of a joint diagonalisation of ``C_k``, K matrices of size p.

    Attributes
    ----------
    x : ndarray of shape (r, p)
        The joint diagonaliser B: every ``B C_k B^T`` is as diagonal as possible.
    objective : float
        Value of the method's criterion at `x`.
    gradient_norm : float
        What the stopping rule of the method compares with the tolerance.
    n_iter : int
        Iterations, or sweeps over all pairs.
    converged : bool
        Whether the stopping rule was met.
    history : ndarray of shape (n_iter + 1,)
        Objective at the start and after each iteration.
    message : str
        Why the solver stopped, in words.
    mixing : ndarray of shape (p, r)
        Right inverse of `x`: ``C_k`` is close to ``mixing @ diag(powers[k]) @ mixing.T``.
    powers : ndarray of shape (K, r)
        Diagonals of ``B C_k B^T``.
    separability : ndarray of shape (r, r)
        How well each pair of rows is told apart: near 0, off the diagonal, the matrices leave a
        rotation of the pair undetermined. Does not depend on the scale of the rows.
    """

    mixing: np.ndarray
    powers: np.ndarray
    separability: np.ndarray
