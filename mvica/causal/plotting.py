"""Pictures of a causal graph: the graph, its matrix, and how stable its order is."""

from itertools import pairwise

import numpy as np
from sklearn.utils.validation import check_is_fitted

from mvica.causal.dot_layout import dot_layout
from mvica.causal.layout import layered_layout
from mvica.plotting.canvas import figure, shortened

POSITIVE, NEGATIVE, INK = "#b2182b", "#2166ac", "#1a2230"
SMALLEST = 0.1  # of the largest strength: weaker edges are left out by default
LETTERS = 14
HALF_WIDTH, HALF_HEIGHT = 0.26, 0.22  # of a variable's box, in layers and rows
TIP = 0.1  # length of an arrowhead, in layers


def plot_graph(estimator, threshold=None, *, layout="layers", fig=None):
    """Draw the causal graph in layers, and the strength of every edge in every view beside it.

    Parameters
    ----------
    estimator : estimator
        A fitted LiMVAM.
    threshold : float, default=None
        Least absolute strength shown, in standard deviations of the effect for one of the cause,
        median over views. None shows the 2 p strongest edges, those below a tenth of the largest
        left out.
    layout : {"layers", "dot"}, default="layers"
        Who places variables and lines. "layers" needs Matplotlib alone; "dot" is Graphviz, whose
        program and Python package have to be installed, and draws many edges with fewer crossings.
    fig : matplotlib Figure or SubFigure, default=None
        Where to draw; None makes a new figure, which stays out of `pyplot`.

    Returns
    -------
    fig : matplotlib Figure or SubFigure
        Left, causes stand left of their effects and lines are as wide as the effect is strong; red
        is positive, blue negative. Right, one line per edge: dots are views, the bar their median.

    Raises
    ------
    ValueError
        If `layout` is unknown.
    ImportError, RuntimeError
        If a package, or the program dot, is missing.

    Examples
    --------
    >>> from mvica import DirectLiMVAM
    >>> from mvica.causal import plot_graph
    >>> from mvica.datasets import make_limvam
    >>> data = make_limvam("gauss", n_views=3, n_samples=300, n_variables=4, random_state=0)
    >>> len(plot_graph(DirectLiMVAM().fit(data.views)).axes)
    2
    """
    check_is_fitted(estimator)
    B = _standardised(estimator)
    edges = _strongest(np.median(B, axis=0), threshold)
    position, curves = _lay_out(estimator, edges, layout)
    letters = min(max(len(name) for name in estimator.variable_names_), LETTERS)
    width = 0.6 + max(1.15, 0.3 + 0.17 * letters) * (position[:, 0].max() + 1)
    height = max(3.2, 1.0 + 0.75 * (1 + np.ptp(np.concatenate([position, *curves])[:, 1])))
    height = max(height, 1.2 + 0.22 * len(edges))
    fig = figure(fig, width + 4.2, height)
    left, right = fig.subplots(1, 2, width_ratios=[width, 4.2])
    _draw_graph(left, estimator, np.median(B, axis=0), edges, position, curves)
    _draw_spread(right, estimator, B, edges)
    hidden = int(np.sum((B != 0).any(axis=0))) - len(edges)
    more = f", {hidden} weaker edges not shown" if hidden else ""
    left.set_title(f"Causal graph, median of {len(B)} views{more}", fontsize=10, loc="left")
    return fig


def plot_adjacency(estimator, *, fig=None):
    """Draw the median strengths as a heat map: causes in columns, effects in rows, in causal order.

    Parameters
    ----------
    estimator : estimator
        A fitted LiMVAM.
    fig : matplotlib Figure or SubFigure, default=None
        Where to draw; None makes a new figure, which stays out of `pyplot`.

    Returns
    -------
    fig : matplotlib Figure or SubFigure

    Examples
    --------
    >>> from mvica import DirectLiMVAM
    >>> from mvica.causal import plot_adjacency
    >>> from mvica.datasets import make_limvam
    >>> data = make_limvam("gauss", n_views=3, n_samples=300, n_variables=4, random_state=0)
    >>> len(plot_adjacency(DirectLiMVAM().fit(data.views)).axes)
    2
    """
    check_is_fitted(estimator)
    order = np.argsort(_mean_position(estimator.causal_order_))
    B = np.median(_standardised(estimator), axis=0)[np.ix_(order, order)]
    names = [shortened(estimator.variable_names_[j], LETTERS) for j in order]
    p = len(order)
    fig = figure(fig, 2.6 + 0.5 * p, 1.8 + 0.42 * p)
    ax = fig.subplots()
    limit = np.abs(B).max() or 1.0
    image = ax.imshow(B, cmap="RdBu_r", vmin=-limit, vmax=limit)
    ax.set_xticks(range(p), names, rotation=45, ha="right")
    ax.set_yticks(range(p), names)
    ax.set(xlabel="cause", ylabel="effect", title="Direct effects, median over views")
    for i, j in np.argwhere(B != 0) if p <= 15 else ():
        colour = "white" if abs(B[i, j]) > 0.6 * limit else INK
        ax.text(j, i, f"{B[i, j]:.2f}", ha="center", va="center", fontsize=7, color=colour)
    fig.colorbar(image, ax=ax, label="strength (standard deviations)")
    return fig


def plot_order_stability(result, names=None, *, fig=None):
    """Draw how often each variable takes each place in the orders of a bootstrap.

    Parameters
    ----------
    result : Bootstrap
    names : sequence of str, default=None
        Names of the variables, such as the `variable_names_` of the estimator.
    fig : matplotlib Figure or SubFigure, default=None
        Where to draw; None makes a new figure, which stays out of `pyplot`.

    Returns
    -------
    fig : matplotlib Figure or SubFigure

    Examples
    --------
    >>> import numpy as np
    >>> from mvica.causal import Bootstrap, plot_order_stability
    >>> result = Bootstrap(np.array([[0, 1], [1, 0]]), np.zeros((2, 3, 2, 2)))
    >>> len(plot_order_stability(result).axes)
    2
    """
    share = result.order_positions()
    p = len(share)
    names = [f"x{j}" for j in range(p)] if names is None else names
    order = np.argsort(share @ np.arange(p), kind="stable")
    fig = figure(fig, 2.6 + 0.45 * p, 1.6 + 0.38 * p)
    ax = fig.subplots()
    image = ax.imshow(share[order], cmap="Blues", vmin=0, vmax=1)
    ax.set_yticks(range(p), [shortened(str(names[j]), LETTERS) for j in order])
    ax.set_xticks(range(p), range(1, p + 1))
    ax.set(xlabel="place in the order", title=f"Orders of {len(result.orders)} replicates")
    for j, k in np.argwhere(share[order] >= 0.005) if p <= 15 else ():
        value = share[order][j, k]
        colour = "white" if value > 0.6 else INK
        ax.text(k, j, f"{value:.2f}", ha="center", va="center", fontsize=7, color=colour)
    fig.colorbar(image, ax=ax, label="share of replicates")
    return fig


# Parts -----------------------------------------------------------------------------------------


def _standardised(estimator):
    scale = estimator.scale_
    return estimator.adjacency_matrices_ * scale[:, None, :] / scale[:, :, None]


def _mean_position(order):
    """Place of each variable in the order; where views have their own, in their mean."""
    position = np.argsort(np.atleast_2d(order), axis=1).mean(axis=0)
    return np.argsort(np.argsort(position, kind="stable"))


def _strongest(median, threshold):
    """Edges (effect, cause) to show, strongest first."""
    size = np.abs(median)
    least = SMALLEST * size.max() if threshold is None else threshold
    edges = [tuple(edge) for edge in np.argwhere((size >= least) & (size > 0)).tolist()]
    edges.sort(key=lambda edge: -size[edge])
    return edges[: 2 * len(median)] if threshold is None else edges


def _lay_out(estimator, edges, layout):
    """Positions of the variables, and Bezier points of each edge from box to arrowhead."""
    rank, pairs = _mean_position(estimator.causal_order_), [(j, i) for i, j in edges]
    if layout == "layers":
        position, routes = layered_layout(rank, pairs)
        return position, [_smooth(route) for route in routes]
    if layout == "dot":
        box = 2 * HALF_WIDTH, 2 * HALF_HEIGHT
        return dot_layout(np.argsort(rank), pairs, box=box, tip=TIP)
    raise ValueError(f'layout={layout!r}; expected "layers" or "dot".')


def _smooth(route):
    """Bezier points of a curve through those of a route, flat at each of them."""
    start, end = route[0] + [HALF_WIDTH, 0], route[-1] - [HALF_WIDTH + TIP, 0]
    points = [start]
    for a, b in pairwise([start, *route[1:-1], end]):
        bend = [0.5 * (b[0] - a[0]), 0]
        points += [a + bend, b - bend, b]
    return np.array(points)


def _draw_graph(ax, estimator, median, edges, position, curves):
    from matplotlib.patches import FancyBboxPatch, PathPatch, Polygon
    from matplotlib.path import Path

    largest = max((abs(median[edge]) for edge in edges), default=1.0)
    for edge, points in reversed(list(zip(edges, curves, strict=True))):
        share = abs(median[edge]) / largest
        colour = POSITIVE if median[edge] > 0 else NEGATIVE
        style = {"linewidth": 0.8 + 4.2 * share, "color": colour, "alpha": 0.35 + 0.6 * share}
        codes = [Path.MOVETO] + [Path.CURVE4] * (len(points) - 1)
        ax.add_patch(PathPatch(Path(points, codes), fill=False, capstyle="butt", **style))
        tip = position[edge[0]] - [HALF_WIDTH, 0]
        across = np.array([points[-1][1] - tip[1], tip[0] - points[-1][0]])
        across *= (0.05 + 0.07 * share) / max(np.hypot(*across), 1e-9)
        corners = [points[-1] - across, tip, points[-1] + across]
        ax.add_patch(Polygon(corners, color=colour, alpha=style["alpha"], linewidth=0))
    for (x, y), name in zip(position, estimator.variable_names_, strict=True):
        corner, size = (x - HALF_WIDTH, y - HALF_HEIGHT), (2 * HALF_WIDTH, 2 * HALF_HEIGHT)
        box = FancyBboxPatch(
            corner,
            *size,
            boxstyle="round,pad=0,rounding_size=0.08",
            facecolor="white",
            edgecolor=INK,
            zorder=3,
        )
        ax.add_patch(box)
        text = shortened(name, LETTERS)
        ax.text(x, y, text, ha="center", va="center", fontsize=10, color=INK, zorder=4)
    heights = np.concatenate([position, *curves])[:, 1]
    ax.set_xlim(-0.5, position[:, 0].max() + 0.5)
    ax.set_ylim(heights.min() - 0.6, heights.max() + 0.6)
    ax.set_axis_off()


def _draw_spread(ax, estimator, B, edges):
    """Strength of each edge in each view."""
    names = [shortened(name, LETTERS) for name in estimator.variable_names_]
    jitter = np.random.default_rng(0).uniform(-0.18, 0.18, len(B))
    for row, (i, j) in enumerate(edges):
        own, median = B[:, i, j], np.median(B[:, i, j])
        colour = POSITIVE if median > 0 else NEGATIVE
        alpha = float(np.clip(6 / len(own), 0.15, 0.7))
        ax.plot(own, row + jitter, ".", color=colour, alpha=alpha, markersize=5)
        ax.plot([median] * 2, [row - 0.32, row + 0.32], color=INK, linewidth=2)
        ax.text(1.02, row, f"{median:.2f}", transform=ax.get_yaxis_transform(), va="center", size=8)
    ax.axvline(0, color=INK, linewidth=0.8)
    ax.set_yticks(range(len(edges)), [f"{names[j]} → {names[i]}" for i, j in edges], fontsize=8)
    ax.set_ylim(len(edges) - 0.4, -0.6)
    ax.set_xlabel("strength in each view (standard deviations)", fontsize=9)
    ax.set_title("Edges, views and median", fontsize=10, loc="left")
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    ax.grid(axis="x", alpha=0.3)
