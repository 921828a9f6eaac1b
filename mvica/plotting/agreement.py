"""How far the views agree, as a heat map."""

import numpy as np

from mvica.plotting.canvas import component_ticks, figure, names_of_views, shortened


def plot_agreement(estimator, *, view_names=None, fig=None):
    """Draw how far every view's source agrees with the mean of the other views'.

    Parameters
    ----------
    estimator : estimator
        Fitted, with `agreement_` of shape (n_views, n_components).
    view_names : sequence of str, default=None
        Names of the views; None numbers them.
    fig : matplotlib Figure or SubFigure, default=None
        Where to draw; None makes a new figure, which stays out of `pyplot`.

    Returns
    -------
    fig : matplotlib Figure or SubFigure
        Views in rows, components in columns, correlations as colours, and as numbers where there is
        room.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> import numpy as np
    >>> from mvica.plotting import plot_agreement
    >>> len(plot_agreement(SimpleNamespace(agreement_=np.eye(3))).axes)  # the map and its bar
    2
    """
    agreement = np.asarray(estimator.agreement_, dtype=float)
    m, p = agreement.shape
    names = names_of_views(view_names, None, m)
    fig = figure(fig, max(5.0, 3.0 + 0.42 * p), min(max(2.2, 1.2 + 0.3 * m), 11))
    ax = fig.subplots()
    image = ax.imshow(agreement, cmap="viridis", vmin=0, vmax=1, aspect="auto")
    component_ticks(ax, p)
    step = -(-m // 40)
    ax.set_yticks(range(0, m, step), [shortened(names[v], 28) for v in range(0, m, step)])
    ax.set_xlabel("component")
    fig.suptitle("Agreement of each view with the others")
    if m * p <= 300 and m <= 40:
        for v, c in np.ndindex(m, p):
            value = agreement[v, c]
            text = "n/a" if np.isnan(value) else f"{value:.2f}"
            colour = "black" if value > 0.6 or np.isnan(value) else "white"
            ax.text(c, v, text, ha="center", va="center", fontsize=8, color=colour)
    extend = "min" if np.nanmin(agreement, initial=0) < 0 else "neither"
    fig.colorbar(image, ax=ax, label="correlation", extend=extend)
    return fig
