"""A causal graph from a matrix of effects: the matrix, and arrows between places."""

import numpy as np

from mvica.plotting.canvas import DIVERGING, finish, panels

LETTERS = 16
RADIUS = 0.09  # of a node, where the places span 2
POSITIVE, NEGATIVE = "#b2182b", "#2166ac"


def plot_causal_graph(
    B, labels=None, *, top=10, positions=None, stability=None, axes=None, show=False
):
    """Draw a matrix of direct effects, and its strongest entries as arrows.

    Parameters
    ----------
    B : array-like of shape (p, p)
        Entry [i, j] is the direct effect of variable j on variable i.
    labels : sequence of str, default=None
        Names of the variables; None numbers them.
    top : int, default=10
        Arrows: the entries of largest absolute value.
    positions : array-like of shape (p, 2), default=None
        Places of the variables seen from above, nose up, such as those of sensors or parcels.
        None sets them on a circle; given places are numbered, names stand at the matrix.
    stability : array-like of shape (p, p), default=None
        Share of resamples in which the edge is there; arrows are as opaque. None draws all alike.
    axes : array of two matplotlib Axes, default=None
        Panels to draw in. None makes a new figure, which stays out of `pyplot`.
    show : bool, default=False
        Show the figure in a window.

    Returns
    -------
    fig : matplotlib Figure
        Red is positive, blue negative; the wider an arrow, the stronger the effect.

    Raises
    ------
    ValueError
        If shapes do not fit each other.

    See Also
    --------
    mvica.causal.plot_graph : From a fitted estimator, in layers from causes to effects.

    Examples
    --------
    >>> import numpy as np
    >>> from mvica.plotting import plot_causal_graph
    >>> fig = plot_causal_graph([[0, 0], [0.8, 0]], ["cause", "effect"])
    >>> len(fig.axes[1].patches)  # two nodes and an arrow
    3
    """
    B = np.asarray(B, dtype=float)
    p = len(B)
    if B.shape != (p, p):
        raise ValueError(f"B has shape {B.shape}, expected (p, p)")
    labels = [f"x{j}" for j in range(p)] if labels is None else [str(label) for label in labels]
    if len(labels) != p:
        raise ValueError(f"labels has {len(labels)} names, expected {p}")
    places = _places(positions, p)
    opacity = np.ones((p, p)) if stability is None else np.clip(stability, 0.0, 1.0)
    if np.shape(opacity) != (p, p):
        raise ValueError(f"stability has shape {np.shape(opacity)}, expected {(p, p)}")
    side = min(max(3.6, 1.6 + 0.33 * p), 7)
    fig, grid = panels(axes, 1, 2, 2.4 * side + 1.6, side + 0.3, show)
    left, right = grid[0]
    limit = np.abs(B).max() or 1.0
    image = left.imshow(B, cmap=DIVERGING, vmin=-limit, vmax=limit)
    names = [_middle_out(label) for label in labels]
    if positions is not None:
        names = [f"{j + 1} {name}" for j, name in enumerate(names)]
    left.set_xticks(range(p), names, rotation=90, fontsize=8)
    left.set_yticks(range(p), names, fontsize=8)
    left.set(xlabel="cause", ylabel="effect")
    fig.colorbar(image, ax=left, label="direct effect", shrink=0.8)
    edges = _strongest(B, top)
    for i, j in reversed(edges):
        _arrow(right, places[j], places[i], B[i, j], abs(B[i, j]) / limit, opacity[i, j])
    _nodes(right, places, names, circle=positions is None)
    right.text(0, 1.5, f"the {len(edges)} strongest effects", ha="center", fontsize=10)
    return finish(fig, show)


def _middle_out(label):
    """Shorten a long name in its middle: parcels differ at both ends."""
    half = LETTERS // 2
    return label if len(label) <= LETTERS else f"{label[:half]}…{label[-half + 1 :]}"


def _places(positions, p):
    """Places of the nodes in the square from -1 to 1."""
    if positions is None:
        angle = np.pi / 2 - 2 * np.pi * np.arange(p) / p
        return np.column_stack([np.cos(angle), np.sin(angle)])
    places = np.asarray(positions, dtype=float)
    if places.shape != (p, 2):
        raise ValueError(f"positions have shape {places.shape}, expected {(p, 2)}")
    places = places - (places.max(axis=0) + places.min(axis=0)) / 2
    return places / (np.abs(places).max() or 1.0)


def _strongest(B, top):
    """Edges (effect, cause), strongest first."""
    size = np.abs(B)
    edges = [tuple(edge) for edge in np.argwhere(size > 0).tolist()]
    return sorted(edges, key=lambda edge: -size[edge])[:top]


def _arrow(ax, start, end, value, share, opacity):
    from matplotlib.patches import FancyArrowPatch

    ax.add_patch(
        FancyArrowPatch(
            start,
            end,
            connectionstyle="arc3,rad=0.12",
            arrowstyle="-|>",
            mutation_scale=10 + 8 * share,
            shrinkA=9,
            shrinkB=9,
            linewidth=0.8 + 3 * share,
            color=POSITIVE if value > 0 else NEGATIVE,
            alpha=float(opacity),
        )
    )


def _nodes(ax, places, names, circle):
    """Draw the variables: named around a circle, numbered where they have places of their own."""
    from matplotlib.patches import Circle

    for place, name in zip(places, names, strict=True):
        ax.add_patch(Circle(place, RADIUS, facecolor="white", edgecolor="0.2", zorder=3))
        if circle:  # names stand outside, away from the arrows
            x, y = 1.16 * place
            side = "left" if x > 0.3 else "right" if x < -0.3 else "center"
            above = "bottom" if y > 0.9 else "top" if y < -0.9 else "center"
        else:
            (x, y), side, above = place, "center", "center_baseline"
            name = name.split(" ")[0]
        ax.text(x, y, name, ha=side, va=above, fontsize=8, zorder=4)
    room = 1.25 + (0.05 * max(map(len, names)) if circle else 0.0)
    ax.set(xlim=(-room, room), ylim=(-1.3, 1.65), aspect="equal")
    ax.set_axis_off()
