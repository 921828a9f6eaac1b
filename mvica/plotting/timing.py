"""Timing of the views: against age, and next to a truth."""

import numpy as np

from mvica.plotting.canvas import (
    DIVERGING,
    FIT_COLOUR,
    MARK_COLOUR,
    component_ticks,
    finish,
    one_panel,
    open_frame,
    p_text,
    panels,
    shortened,
)
from mvica.timing_statistics import normalise_timing, regress

POINT = {"linestyle": "none", "marker": "o", "markersize": 5, "markeredgewidth": 0, "alpha": 0.7}


def plot_timing_vs_age(
    delays,
    dilations,
    ages,
    *,
    components="mean",
    normalise=True,
    robust=False,
    band=True,
    axes=None,
    show=False,
):
    """Draw delays and dilations of the views against age, with regression lines.

    Parameters
    ----------
    delays : array-like of shape (n_views, n_components) or None
        In seconds; positive for a view that is late. None leaves the panel out.
    dilations : array-like of shape (n_views, n_components) or None
        Factors; above one for a view that is slow. None leaves the panel out.
    ages : array-like of shape (n_views,)
        In years. Views of unknown age (NaN) are left out.
    components : {"mean", "each"} or sequence of int, default="mean"
        "mean" draws the mean over components in one row, a sequence the mean over those; "each"
        has a row for every component.
    normalise : bool, default=True
        Take the timings to the clock of the average view first: mean delay 0, mean dilation 1.
    robust : bool, default=False
        Add the Theil-Sen line, which outliers do not move.
    band : bool, default=True
        Shade the 95 % confidence band of the least-squares line.
    axes : array of matplotlib Axes, default=None
        Panels to draw in: rows of delays and dilations. None makes a new figure, out of `pyplot`.
    show : bool, default=False
        Show the figure in a window.

    Returns
    -------
    fig : matplotlib Figure
        Titles give the slope, R2, and the correlations of Pearson and Spearman.

    Raises
    ------
    ValueError
        If shapes do not fit each other, or fewer than three ages are known.

    See Also
    --------
    mvica.timing_statistics.regress : The numbers.

    Examples
    --------
    >>> import numpy as np
    >>> from mvica.plotting import plot_timing_vs_age
    >>> ages = np.array([20, 35, 50, 65, 80])
    >>> delays = 1e-4 * ages[:, None] * [1, 2]
    >>> fig = plot_timing_vs_age(delays, None, ages)
    >>> fig.axes[0].get_title().split(",")[0]
    'slope +0.15 ms/year'
    """
    columns = _timing_columns(delays, dilations, normalise)
    p = columns[0][0].shape[1]
    rows = _timing_rows(components, p)
    width = 4.6 * len(columns) + 0.4
    fig, grid = panels(
        axes, len(rows), len(columns), width, 0.6 + 2.9 * len(rows), show, sharex=True
    )
    for (name, chosen), row in zip(rows, grid, strict=True):
        for ax, (values, label, unit, reference) in zip(row, columns, strict=True):
            _regression_panel(
                ax, ages, values[:, chosen].mean(axis=1), unit, reference, robust, band
            )
            ax.set_ylabel(f"{name}{label}")
    for ax in grid[-1]:
        ax.set_xlabel("age (years)")
    if robust:
        grid[0, 0].legend(fontsize=8, frameon=False)
    return finish(fig, show)


def plot_view_matrix(
    values, *, label="value", centre=None, view_names=None, view_label="view", ax=None, show=False
):
    """Draw a number of every view and component, such as its delay, as a heat map.

    Parameters
    ----------
    values : array-like of shape (n_views, n_components)
        In the unit that `label` names.
    label : str, default="value"
        What the numbers are, with their unit.
    centre : float, default=None
        Neutral value, in the middle of a two-sided colour scale. None takes a one-sided scale.
    view_names : sequence of str, default=None
        Names of the views; None numbers them.
    view_label : str, default="view"
        What the rows are.
    ax : matplotlib Axes, default=None
        Where to draw; None makes a new figure, which stays out of `pyplot`.
    show : bool, default=False
        Show the figure in a window.

    Returns
    -------
    fig : matplotlib Figure

    Raises
    ------
    ValueError
        If `values` is not a matrix, or the names are not one a view.

    Examples
    --------
    >>> import numpy as np
    >>> from mvica.plotting import plot_view_matrix
    >>> len(plot_view_matrix(np.eye(3), label="delay (ms)", centre=0).axes)  # the map and its bar
    2
    """
    values = np.asarray(values, dtype=float)
    if values.ndim != 2:
        raise ValueError(f"values have shape {values.shape}, expected (n_views, n_components)")
    m, p = values.shape
    if view_names is not None and len(view_names) != m:
        raise ValueError(f"view_names has {len(view_names)} names, expected {m}: one a view")
    fig, ax = one_panel(ax, max(4.2, 2.4 + 0.4 * p), min(max(2.4, 1.2 + 0.22 * m), 8), show)
    if centre is None:
        scale = {"cmap": "viridis"}
    else:
        half = np.nanmax(np.abs(values - centre), initial=0.0) or 1.0
        scale = {"cmap": DIVERGING, "vmin": centre - half, "vmax": centre + half}
    image = ax.imshow(values, aspect="auto", interpolation="nearest", **scale)
    component_ticks(ax, p)
    if view_names is None:
        ax.yaxis.get_major_locator().set_params(integer=True)
    else:
        step = -(-m // 30)
        ax.set_yticks(range(0, m, step), [shortened(str(n), 20) for n in view_names[::step]])
    ax.set(xlabel="component", ylabel=view_label)
    fig.colorbar(image, ax=ax, label=label)
    return finish(fig, show)


def plot_estimated_vs_true(estimated, true, *, label="value", ax=None, show=False):
    """Draw estimates against the truth that they should equal, and the line of equality.

    Parameters
    ----------
    estimated, true : array-like of one shape
        Such as delays (n_views, n_components); both on the same clock, and components matched.
        Columns have colours of their own.
    label : str, default="value"
        What the numbers are, with their unit.
    ax : matplotlib Axes, default=None
        Where to draw; None makes a new figure, which stays out of `pyplot`.
    show : bool, default=False
        Show the figure in a window.

    Returns
    -------
    fig : matplotlib Figure
        The title gives the root mean square error and the correlation.

    Raises
    ------
    ValueError
        If the shapes differ.

    Examples
    --------
    >>> import numpy as np
    >>> from mvica.plotting import plot_estimated_vs_true
    >>> true = np.arange(6.0).reshape(3, 2)
    >>> plot_estimated_vs_true(true + 1, true, label="delay (ms)").axes[0].get_title()
    'RMS error 1, correlation 1.000'
    """
    estimated, true = np.asarray(estimated, dtype=float), np.asarray(true, dtype=float)
    if estimated.shape != true.shape:
        raise ValueError(f"estimated has shape {estimated.shape} and true {true.shape}")
    fig, ax = one_panel(ax, 4.8, 4.6, show)
    columns = estimated.reshape(len(estimated), -1).T, true.reshape(len(true), -1).T
    many = 1 < len(columns[0]) <= 10
    for c, (y, x) in enumerate(zip(*columns, strict=True)):
        ax.plot(x, y, color=_colour(c, len(columns[0])), label=f"component {c}", **POINT)
    low, high = min(estimated.min(), true.min()), max(estimated.max(), true.max())
    margin = 0.05 * ((high - low) or 1.0)
    limits = low - margin, high + margin
    ax.plot(limits, limits, color="0.4", linewidth=0.9, linestyle="--", zorder=1)
    ax.set(xlim=limits, ylim=limits, aspect="equal")
    ax.set(xlabel=f"true {label}", ylabel=f"estimated {label}")
    error = np.sqrt(np.mean((estimated - true) ** 2))
    constant = np.ptp(true) == 0 or np.ptp(estimated) == 0
    r = np.nan if constant else np.corrcoef(estimated.ravel(), true.ravel())[0, 1]
    ax.set_title(f"RMS error {error:.3g}, correlation {r:.3f}", fontsize=10)
    if many:
        ax.legend(fontsize=8, frameon=False, loc="upper left", handletextpad=0.1)
    open_frame(ax)
    return finish(fig, show)


# Parts -----------------------------------------------------------------------------------------


def _timing_columns(delays, dilations, normalise):
    """List what the columns show: values (m, p), label, unit of a slope, reference value."""
    if delays is None and dilations is None:
        raise ValueError("delays and dilations are both None: there is nothing to draw")
    given = delays is not None, dilations is not None
    delays = np.zeros(np.shape(dilations)) if delays is None else np.asarray(delays, dtype=float)
    dilations = np.ones(delays.shape) if dilations is None else np.asarray(dilations, dtype=float)
    if normalise:
        delays, dilations = normalise_timing(delays, dilations)
    if delays.ndim != 2 or delays.shape != dilations.shape:
        raise ValueError(
            f"delays have shape {delays.shape} and dilations {dilations.shape}; expected "
            "(n_views, n_components)"
        )
    columns = (
        (1000 * delays, "delay (ms)", "ms/year", 0.0),
        (100 * dilations, "dilation (%)", "%/year", 100.0),
    )
    return [column for column, drawn in zip(columns, given, strict=True) if drawn]


def _timing_rows(components, p):
    """Name and component numbers of each row."""
    if isinstance(components, str):
        if components == "mean":
            return [("mean " if p > 1 else "", list(range(p)))]
        if components == "each":
            return [(f"component {c}: ", [c]) for c in range(p)]
        raise ValueError(f'components={components!r}; expected "mean", "each" or numbers')
    return [("mean " if len(components) > 1 else "", list(components))]


def _regression_panel(ax, ages, values, unit, reference, robust, band):
    ages = np.asarray(ages, dtype=float)
    line = regress(ages, values)
    ax.axhline(reference, color="0.4", linewidth=0.9, linestyle="--", zorder=1)
    ax.plot(ages, values, color="0.25", **POINT)
    x = np.linspace(np.nanmin(ages), np.nanmax(ages), 50)
    ax.plot(x, line.predict(x), color=FIT_COLOUR, linewidth=2, label="least squares")
    if band:
        ax.fill_between(x, *line.band(x), color=FIT_COLOUR, alpha=0.2, linewidth=0)
    if robust:
        y = line.theil_sen_intercept + line.theil_sen * x
        ax.plot(x, y, color=MARK_COLOUR, linewidth=2, linestyle="-.", label="Theil-Sen")
    ax.set_title(
        f"slope {line.slope:+.2g} {unit}, $R^2$ = {line.r2:.2f}, {line.n} subjects\n"
        f"Pearson {line.pearson:+.2f} ({p_text(line.pearson_p)}), "
        f"Spearman {line.spearman:+.2f} ({p_text(line.spearman_p)})",
        fontsize=9,
    )
    open_frame(ax)


def _colour(c, count):
    from matplotlib import colormaps

    return "0.25" if count == 1 else colormaps["viridis"](0.92 * c / (count - 1))
