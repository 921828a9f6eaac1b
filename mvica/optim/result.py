"""The record that every solver returns."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Result:
    """Outcome of an optimisation.

    Attributes
    ----------
    x : ndarray
        The best iterate, in the shape of the problem's unknowns.
    objective : float
        Objective at `x`.
    gradient_norm : float
        Largest absolute entry of the gradient at `x`.
    n_iter : int
        Iterations done.
    converged : bool
        Whether the stopping rule was met.
    history : ndarray of shape (n_iter + 1,)
        Objective at the start and after each iteration.
    message : str
        Why the solver stopped, in words.
    """

    x: np.ndarray
    objective: float
    gradient_norm: float
    n_iter: int
    converged: bool
    history: np.ndarray
    message: str
