"""Noise levels of the views: who stands out, and whether it goes with age."""

import numpy as np

from mvica.plotting.canvas import (
    FIT_COLOUR,
    MARK_COLOUR,
    SEQUENTIAL,
    component_ticks,
    finish,
    open_frame,
    panels,
    shortened,
)

FAR = 3  # median absolute deviations above the median


def plot_noise_levels(levels, ages=None, *, view_names=None, axes=None, show=False):
    """Draw the noise level of every view, sorted; views far above the others in another colour.

    Parameters
    ----------
    levels : array-like of shape (n_views,) or (n_views, n_components)
        Noise standard deviations relative to the shared sources, such as the square root of
        `noise_variances_`. Bars show the root mean square over components; the matrix is drawn
        beside them.
    ages : array-like of shape (n_views,), default=None
        Adds a panel of the levels against age (years).
    view_names : sequence of str, default=None
        Names of the views; None numbers them.
    axes : array of matplotlib Axes, default=None
        Panels to draw in: bars, then matrix and ages where there are any. None makes a new figure,
        which stays out of `pyplot`.
    show : bool, default=False
        Show the figure in a window.

    Returns
    -------
    fig : matplotlib Figure
        Views above the median by more than three median absolute deviations stand out.

    Raises
    ------
    ValueError
        If shapes do not fit each other.

    Examples
    --------
    >>> import numpy as np
    >>> from mvica.plotting import plot_noise_levels
    >>> fig = plot_noise_levels([0.5, 0.55, 0.52, 0.48, 2.0])
    >>> fig.axes[0].get_title()
    '1 of 5 subjects is far above the median'
    """
    levels = np.asarray(levels, dtype=float)
    if levels.ndim not in (1, 2) or not len(levels):
        raise ValueError(f"levels has shape {levels.shape}, expected (n_views, n_components)")
    mean = levels if levels.ndim == 1 else np.sqrt(np.mean(levels**2, axis=1))
    m = len(mean)
    names = [str(v) for v in range(m)] if view_names is None else list(map(str, view_names))
    if len(names) != m:
        raise ValueError(f"view_names has {len(names)} names, expected {m}: one a view")
    order = np.argsort(mean, kind="stable")
    matrix, aged = levels.ndim == 2, ages is not None
    widths = [max(3.6, min(0.22 * m, 8.0))]
    widths += [2.4 + 0.25 * min(levels.shape[-1], 24)] if matrix else []
    widths += [3.8] if aged else []
    fig, grid = panels(axes, 1, len(widths), sum(widths) + 0.6, 3.6, show, width_ratios=widths)
    rest = list(grid[0])
    _bars(rest.pop(0), mean, order, names)
    if matrix:
        _matrix(fig, rest.pop(0), levels[order], [names[v] for v in order])
    if aged:
        _against_age(rest.pop(0), ages, mean)
    return finish(fig, show)


def far_above(levels):
    """Say which of the values lie above the median by more than three absolute deviations."""
    middle = np.median(levels)
    return levels > middle + FAR * np.median(np.abs(levels - middle))


def _bars(ax, levels, order, names):
    far, m = far_above(levels), len(levels)
    colours = [MARK_COLOUR if far[v] else FIT_COLOUR for v in order]
    ax.bar(range(m), levels[order], color=colours, width=0.8)
    ax.axhline(np.median(levels), color="0.3", linewidth=0.9, linestyle="--")
    step = -(-m // 24)
    long = max(map(len, names)) > 3
    ticks = [shortened(names[v], 14) for v in order[::step]]
    ax.set_xticks(range(0, m, step), ticks, rotation=90 if long else 0, fontsize=8)
    ax.set(xlabel="subject, least noisy first", ylabel="noise level\n(standard deviations)")
    verb = "is" if far.sum() == 1 else "are"
    ax.set_title(f"{far.sum()} of {m} subjects {verb} far above the median", fontsize=10)
    ax.set_xlim(-0.7, m - 0.3)
    open_frame(ax)


def _matrix(fig, ax, levels, names):
    image = ax.imshow(levels, aspect="auto", cmap=SEQUENTIAL, interpolation="nearest", vmin=0)
    step = -(-len(names) // 16)
    ax.set_yticks(range(0, len(names), step), [shortened(n, 14) for n in names[::step]], fontsize=8)
    component_ticks(ax, levels.shape[1])
    ax.set(xlabel="component", ylabel="subject")
    fig.colorbar(image, ax=ax, label="noise level")


def _against_age(ax, ages, levels):
    ages = np.asarray(ages, dtype=float)
    if ages.shape != levels.shape:
        raise ValueError(f"ages has shape {ages.shape}, expected {levels.shape}: one a view")
    far = far_above(levels)
    for chosen, colour in ((~far, FIT_COLOUR), (far, MARK_COLOUR)):
        ax.plot(ages[chosen], levels[chosen], "o", color=colour, markersize=5, alpha=0.8)
    ax.set(xlabel="age (years)", ylabel="noise level")
    open_frame(ax)
