"""The course of a fit: objective and gradient over the iterations."""

import numpy as np

from mvica.plotting.canvas import SHARED_COLOUR, figure


def plot_objective(estimator, *, fig=None):
    """Draw the objective over the iterations, and its distance to the last value.

    Parameters
    ----------
    estimator : estimator
        Fitted, with `objective_history_`, `gradient_norm_` and `converged_`.
    fig : matplotlib Figure or SubFigure, default=None
        Where to draw; None makes a new figure, which stays out of `pyplot`.

    Returns
    -------
    fig : matplotlib Figure or SubFigure

    Raises
    ------
    ValueError
        If the estimator has no objective (GroupICA, PermICA).

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> from mvica.plotting import plot_objective
    >>> fit = SimpleNamespace(
    ...     objective_history_=[3.0, 2.0, 1.9], gradient_norm_=1e-6, converged_=True
    ... )
    >>> len(plot_objective(fit).axes)
    2
    """
    history = np.asarray(getattr(estimator, "objective_history_", ()), dtype=float)
    if not len(history):
        raise ValueError(f"{type(estimator).__name__} has no objective_history_ to draw")
    fig = figure(fig, 9, 3.2)
    left, right = fig.subplots(1, 2)
    iterations = np.arange(len(history))
    left.plot(iterations, history, ".-", color=SHARED_COLOUR)
    left.set(xlabel="iteration", ylabel="objective", title="Objective")
    gap = history - history[-1]
    shown = gap > 0
    right.semilogy(iterations[shown], gap[shown], ".-", color=SHARED_COLOUR)
    right.set(xlabel="iteration", ylabel="objective - last value", title="Distance to the end")
    if not shown.any():
        right.set_yscale("linear")
    for ax in (left, right):
        ax.grid(alpha=0.3)
        ax.xaxis.get_major_locator().set_params(integer=True)
    state = "converged" if estimator.converged_ else "NOT converged"
    fig.suptitle(
        f"{state} after {len(history) - 1} iterations, gradient {estimator.gradient_norm_:.1e}"
    )
    return fig
