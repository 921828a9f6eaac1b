"""What all pictures share: figures with or without a window, colours, names, ticks."""

import numpy as np

from mvica.views import MultiViewData

# Told apart by people with any colour vision (Okabe and Ito), and in print.
SHARED_COLOUR = "#08306b"
VIEW_COLOUR = "#8c8c8c"
SPLIT_COLOUR = "#b2182b"
MARK_COLOUR = "#d55e00"
BAND_COLOUR = "#56b4e9"
FIT_COLOUR = "#0072b2"
SEQUENTIAL = "viridis"
DIVERGING = "RdBu_r"

MISSING = 'plots need Matplotlib: pip install "mvica[plot]"'


def figure(fig, width, height, show=False):
    """Make a figure of that size in inches, or give `fig` that size, laid out without overlaps.

    A new figure stays out of `pyplot`, and so needs no display, unless it is to be shown.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError(MISSING) from error
    if fig is None and show:
        from matplotlib import pyplot

        return pyplot.figure(figsize=(width, height), layout="constrained")
    if fig is None:
        return Figure(figsize=(width, height), layout="constrained")
    if isinstance(fig, Figure):
        fig.set_size_inches(width, height)
        fig.set_layout_engine("constrained")
    return fig


def one_panel(ax, width, height, show):
    """Give (figure, axes): those of `ax`, or new ones."""
    if ax is not None:
        return ax.figure, ax
    fig = figure(None, width, height, show)
    return fig, fig.subplots()


def panels(axes, rows, columns, width, height, show, **options):
    """Give (figure, array (rows, columns) of axes): those given, or new ones."""
    if axes is None:
        fig = figure(None, width, height, show)
        return fig, fig.subplots(rows, columns, squeeze=False, **options)
    axes = np.asarray(axes, dtype=object)
    if axes.size != rows * columns:
        raise ValueError(
            f"axes holds {axes.size} axes, expected {rows * columns} ({rows} rows of {columns})"
        )
    return axes.flat[0].figure, axes.reshape(rows, columns)


def finish(fig, show):
    """Show the figure if asked to, and return it."""
    if show:
        from matplotlib import pyplot

        pyplot.show()
    return fig


def names_of_views(names, X, m):
    """Names of m views: those given, those of a container, or numbers."""
    if names is None:
        names = X.view_names if isinstance(X, MultiViewData) else [f"view{v}" for v in range(m)]
    if len(names) != m:
        raise ValueError(f"view_names has {len(names)} names, expected {m}: one a view")
    return [str(name) for name in names]


def shortened(text, length):
    """Cut a text to `length` letters, the last of them an ellipsis."""
    return text if len(text) <= length else text[: length - 1] + "…"


def component_ticks(ax, p):
    """Write numbers of components along the first axis, as many as there is room for."""
    step = 1 if p <= 24 else -(-p // 12)
    ax.set_xticks(range(0, p, step))
    ax.tick_params(labelsize=8)


def open_frame(ax):
    """Take the upper and the right line of the frame away."""
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)


def p_text(p):
    """Write a p value with one digit that counts."""
    return "p < 0.0001" if p < 1e-4 else f"p = {p:.1g}"


def stage_colours(count):
    """Give that many colours that differ for people with any colour vision."""
    palette = (SHARED_COLOUR, MARK_COLOUR, "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
    return [palette[i % len(palette)] for i in range(count)]
