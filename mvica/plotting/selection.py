"""The scores behind a choice of the number of components or of the noise."""

import numpy as np

from mvica.plotting.canvas import (
    MARK_COLOUR,
    SHARED_COLOUR,
    VIEW_COLOUR,
    finish,
    one_panel,
    open_frame,
)

NAMES = {"n_components": "components", "noise": "noise variance"}


def plot_selection(selection, *, ax=None, show=False):
    """Draw the scores of the values tried, chance where it is known, and the choice.

    Parameters
    ----------
    selection : Selection
        From `mvica.model_selection`.
    ax : matplotlib Axes, default=None
        Where to draw. None makes a new figure, which stays out of `pyplot`.
    show : bool, default=False
        Show the figure in a window.

    Returns
    -------
    fig : matplotlib Figure

    Examples
    --------
    >>> import numpy as np
    >>> from mvica.model_selection import Selection
    >>> from mvica.plotting import plot_selection
    >>> scores = np.array([[5.0], [4.0], [1.1]])
    >>> found = Selection("n_components", "eigenvalue", np.arange(1, 4), scores, 1.2, 2, 0)
    >>> plot_selection(found).axes[0].get_xlabel()
    'components'
    """
    fig, ax = one_panel(ax, 6, 3.6, show)
    centre = selection.mean_scores if selection.threshold is None else _median(selection)
    several = selection.scores.shape[1] > 1
    if selection.threshold is None:
        errors = selection.standard_errors if several else None
        ax.errorbar(
            selection.values, centre, errors, fmt="o-", color=SHARED_COLOUR, markersize=4, capsize=3
        )
        label = f"held-out {selection.method}"
    else:
        if several:
            ax.plot(selection.values, selection.scores, color=VIEW_COLOUR, linewidth=0.6)
        ax.plot(selection.values, centre, "o-", color=SHARED_COLOUR, markersize=4)
        ax.axhline(selection.threshold, color="0.3", linestyle="--", linewidth=0.9)
        ax.text(
            selection.values[-1], selection.threshold, "chance ", ha="right", va="bottom", size=8
        )
        label = selection.method
    if selection.best != 0:
        ax.axvline(selection.best, color=MARK_COLOUR, linewidth=1)
    if selection.parameter == "noise":
        ax.set_xscale("log")
    else:
        ax.xaxis.get_major_locator().set_params(integer=True)
    name = NAMES[selection.parameter]
    ax.set(xlabel=name, ylabel=label, title=f"{name}: {selection.best:.3g}")
    open_frame(ax)
    return finish(fig, show)


def _median(selection):
    return np.median(selection.scores, axis=1)
