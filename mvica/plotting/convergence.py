"""The course of a fit: objective and gradient over the iterations."""

import numpy as np

from mvica.plotting.canvas import SHARED_COLOUR, figure, finish, panels, stage_colours


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


def plot_convergence(objective, gradient=None, *, tol=None, axes=None, show=False):
    """Draw the objective and the gradient of one fit, or of each of its stages.

    Parameters
    ----------
    objective : array-like of shape (k,) or dict of str to array-like
        Objective at the start and after each iteration; in a dict, of each stage, which follow
        each other on the axis.
    gradient : as `objective`, default=None
        Gradient norms, drawn on a logarithmic axis. None draws how far the objective still is
        above its last value instead.
    tol : float, default=None
        Gradient norm at which the fit counts as converged.
    axes : array of two matplotlib Axes, default=None
        Panels to draw in. None makes a new figure, which stays out of `pyplot`.
    show : bool, default=False
        Show the figure in a window.

    Returns
    -------
    fig : matplotlib Figure

    Raises
    ------
    ValueError
        If there are no values, or the stages of the gradient are not those of the objective.

    See Also
    --------
    plot_objective : The same from a fitted estimator.

    Examples
    --------
    >>> from mvica.plotting import plot_convergence
    >>> stages = {"start": [5.0, 3.0], "joint": [3.0, 2.0, 1.9]}
    >>> fig = plot_convergence(stages)
    >>> [line.get_xdata().tolist() for line in fig.axes[0].lines]
    [[0, 1], [1, 2, 3]]
    """
    stages = _stages(objective, "objective")
    gradients = None if gradient is None else _stages(gradient, "gradient")
    if gradients is not None and list(gradients) != list(stages):
        raise ValueError(f"gradient has the stages {list(gradients)}, objective {list(stages)}")
    fig, grid = panels(axes, 1, 2, 9, 3.2, show)
    left, right = grid[0]
    colours = stage_colours(len(stages))
    shown = stages if gradients is None else gradients
    last = list(stages.values())[-1][-1]
    start = 0
    for (name, values), colour in zip(stages.items(), colours, strict=True):
        iterations = start + np.arange(len(values))
        left.plot(iterations, values, ".-", color=colour, label=name)
        beside = np.abs(values - last) if gradients is None else shown[name]
        drawn = beside > 0
        x = start + np.arange(len(beside))
        right.plot(x[drawn], beside[drawn], ".-", color=colour, label=name)
        start += len(values) - 1
    if any(line.get_xdata().size for line in right.lines):
        right.set_yscale("log")
    left.set(xlabel="iteration", ylabel="objective")
    right.set(xlabel="iteration")
    right.set_ylabel("distance to the last value" if gradients is None else "gradient norm")
    if tol is not None and gradients is not None:
        right.axhline(tol, color="0.3", linewidth=0.9, linestyle="--")
    if len(stages) > 1:
        left.legend(fontsize=8, frameon=False)
    for ax in (left, right):
        ax.grid(alpha=0.3)
        ax.xaxis.get_major_locator().set_params(integer=True)
    return finish(fig, show)


def _stages(values, name):
    stages = values if isinstance(values, dict) else {"": values}
    stages = {stage: np.asarray(array, dtype=float) for stage, array in stages.items()}
    if not stages or any(array.ndim != 1 or not len(array) for array in stages.values()):
        raise ValueError(f"{name} holds no values, or arrays that are not of shape (k,)")
    return stages
