"""Shared sources over the sources of the views, as traces."""

import numpy as np
from sklearn.utils.validation import check_is_fitted

from mvica.metrics import view_agreement
from mvica.plotting.canvas import (
    BAND_COLOUR,
    SEQUENTIAL,
    SHARED_COLOUR,
    VIEW_COLOUR,
    figure,
    finish,
    open_frame,
    panels,
)
from mvica.plotting.traces import mark_segments, name_segments, thinned, time_axis

N_BOOTSTRAP = 200
OWN_COLUMNS = "aligned", "in each view's own time"


def plot_sources(
    sources,
    by_view,
    times=None,
    *,
    segments=(),
    own_time=None,
    ages=None,
    band=False,
    names=None,
    fig=None,
    axes=None,
    show=False,
):
    """Draw each shared source over the same source as every view sees it.

    Parameters
    ----------
    sources : estimator or ndarray of shape (n_samples, n_components)
        Fitted estimator, or shared sources.
    by_view : MultiViewData, list of array-like or array-like
        With an estimator, data to unmix, in a form that its `transform` takes. With an array, the
        sources of the views, (n_views, n_samples, n_components), in the shared time.
    times : array-like of shape (n_samples,), default=None
        Time of each sample in seconds; None numbers the samples.
    segments : sequence of (str, int), default=()
        Label and first sample of stretches that lie end to end, such as conditions; `times` then
        starts again in each.
    own_time : ndarray of shape (n_views, n_samples, n_components), default=None
        Sources of the views before they were aligned, drawn in a second column. An estimator with
        delays gives them by itself.
    ages : array-like of shape (n_views,), default=None
        Colours the views by age (years), or by any other number.
    band : bool, default=False
        Shade the 95 % bootstrap interval of the mean over views.
    names : sequence of str, default=None
        Names of the components; None numbers them.
    fig : matplotlib Figure or SubFigure, default=None
        Where to draw; None makes a new figure, which stays out of `pyplot`.
    axes : array of matplotlib Axes, default=None
        Panels to draw in instead, one a component, row by row where there are two columns.
    show : bool, default=False
        Show the figure in a window.

    Returns
    -------
    fig : matplotlib Figure or SubFigure
        One panel a component, in units of the source's standard deviation, with the mean agreement
        of the views in its title.

    Raises
    ------
    ValueError
        If shapes do not fit each other.

    Examples
    --------
    >>> import numpy as np
    >>> from mvica import MultiViewICA
    >>> from mvica.plotting import plot_sources
    >>> rng = np.random.default_rng(0)
    >>> views = [rng.laplace(size=(200, 2)) for _ in range(3)]
    >>> model = MultiViewICA(random_state=0).fit(views)
    >>> len(plot_sources(model, views, times=np.arange(200) / 100).axes)
    2
    >>> len(plot_sources(model.sources_, model.transform_views(views), band=True).axes)
    2
    """
    S, Y, own, agreement = _signals(sources, by_view, own_time)
    n, p = S.shape
    x, label, ticks = time_axis(n, times, segments)
    titles = _titles(names, agreement, p)
    colours = None if ages is None else _age_colours(ages, len(Y))
    whole = axes is None  # a figure of its own, not panels of another
    fig, grid = _grid(fig, axes, p, 1 if own is None else 2, show)
    for c, row in enumerate(grid):
        for ax, traces in zip(row, (Y, own), strict=False):
            _draw_traces(ax, x, S[:, c], traces[:, :, c], colours)
            mark_segments(ax, x, segments, ticks)
        row[0].set_title(titles[c], fontsize=9, loc="left", pad=3)
        if band:
            _draw_band(row[0], x, Y[:, :, c])
    if own is not None:
        for ax, words in zip(grid[0], OWN_COLUMNS, strict=True):
            ax.set_title(words, fontsize=9, loc="right", pad=3, color="0.4")
    top = [ax for ax in grid.flat if _is_top(ax)] if whole else grid[0]
    columns = sum(_is_top(ax) for ax in grid.flat) if whole else grid.shape[1]
    for ax in top:
        name_segments(ax, x, segments, room=150 // columns)
    if whole:
        _label_figure(fig, grid, label, len(Y), colours, band)
    else:
        grid[-1, 0].set_xlabel(label)
    return finish(fig, show)


# Parts -----------------------------------------------------------------------------------------


def _signals(sources, by_view, own_time):
    """Shared sources (n, p), those of the views (m, n, p) aligned and not, agreement (m, p)."""
    if hasattr(sources, "transform_views"):
        check_is_fitted(sources)
        Y = own = np.stack(sources.transform_views(by_view))
        aligned = {"aligned": True} if hasattr(sources, "delays_") else {}
        Y = np.stack(sources.transform_views(by_view, **aligned)) if aligned else own
        S = sources._shared_sources(list(own), list(range(len(own))))
        agreement = getattr(sources, "agreement_", np.full((1, S.shape[1]), np.nan))
        own = own if aligned else None
    else:
        S, Y = np.asarray(sources, dtype=float), np.asarray(by_view, dtype=float)
        if S.ndim != 2 or Y.ndim != 3 or Y.shape[1:] != S.shape:
            raise ValueError(
                f"sources has shape {S.shape} and by_view {Y.shape}; expected (n_samples, "
                "n_components) and (n_views, n_samples, n_components)"
            )
        own = None if own_time is None else np.asarray(own_time, dtype=float)
        if own is not None and own.shape != Y.shape:
            raise ValueError(f"own_time has shape {own.shape}, expected {Y.shape}, as by_view")
        agreement = view_agreement(list(Y))
    level = S.std(axis=0)
    level[level == 0] = 1.0
    return S / level, Y / level, None if own is None else own / level, agreement


def _titles(names, agreement, p):
    names = [f"component {c}" for c in range(p)] if names is None else [str(n) for n in names]
    if len(names) != p:
        raise ValueError(f"names has {len(names)} names, expected {p}: one a component")
    known = ~np.isnan(agreement).all(axis=0)
    return [
        f"{name}, agreement {np.nanmean(agreement[:, c]):.2f}" if known[c] else name
        for c, name in enumerate(names)
    ]


def _grid(fig, axes, p, width, show):
    """Figure, and an array (p, width) of axes: the panels of each component."""
    if axes is not None:
        return panels(axes, p, width, 0, 0, show)
    columns = width if width > 1 or p <= 6 else 2
    rows = p if width > 1 else -(-p // columns)
    fig = figure(fig, 10, 1.0 + 1.25 * rows, show)
    grid = fig.subplots(rows, columns, sharex=True, squeeze=False)
    if width > 1:
        return fig, grid
    used = grid.T.ravel()
    for ax in used[p:]:
        ax.remove()
    for c, ax in enumerate(used[:p]):
        ax.tick_params(labelbottom=c % rows == rows - 1 or c == p - 1)
    return fig, used[:p, None]


def _is_top(ax):
    return ax.get_subplotspec().is_first_row()


def _draw_traces(ax, x, shared, by_view, colours):
    from matplotlib.collections import LineCollection

    position, traces = thinned(x, np.vstack([shared, by_view]))
    lines = [np.column_stack([position, trace]) for trace in traces[1:]]
    alpha = float(np.clip(5.0 / len(lines), 0.2, 0.7))
    ink = {"colors": VIEW_COLOUR, "alpha": alpha}
    if colours is not None:
        ink = {"colors": colours.to_rgba(colours.get_array()), "alpha": max(alpha, 0.5)}
    ax.add_collection(LineCollection(lines, linewidths=0.5, **ink))
    ax.plot(position, traces[0], color=SHARED_COLOUR if colours is None else "black", linewidth=1.3)
    ax.set_xlim(x[0], x[-1])
    low, high = np.quantile(traces, [0.001, 0.999])
    low, high = min(low, traces[0].min()), max(high, traces[0].max())
    margin = 0.05 * (high - low)
    ax.set_ylim(low - margin, high + margin)
    ax.tick_params(labelsize=8)
    open_frame(ax)


def _draw_band(ax, x, by_view):
    """Shade the percentile bootstrap interval of the mean over views."""
    m = len(by_view)
    counts = np.random.default_rng(0).multinomial(m, np.full(m, 1 / m), size=N_BOOTSTRAP)
    low, high = np.percentile(counts @ by_view / m, [2.5, 97.5], axis=0)
    ax.fill_between(x, low, high, color=BAND_COLOUR, alpha=0.45, linewidth=0, zorder=2)


def _age_colours(ages, m):
    """Colour scale of the views."""
    from matplotlib.cm import ScalarMappable

    ages = np.asarray(ages, dtype=float)
    if ages.shape != (m,):
        raise ValueError(f"ages has shape {ages.shape}, expected ({m},): one a view")
    colours = ScalarMappable(cmap=SEQUENTIAL)
    colours.set_array(ages)
    colours.autoscale()
    return colours


def _label_figure(fig, grid, label, m, colours, band):
    fig.supxlabel(label, fontsize=10)
    fig.supylabel("source (standard deviations)", fontsize=10)
    handles = [grid[0, 0].get_lines()[0], grid[0, 0].collections[0]]
    names = ["shared source", f"the {m} views"]
    if band:
        handles.append(grid[0, 0].collections[1])
        names.append("95 % of its mean")
    if colours is not None:
        fig.colorbar(colours, ax=list(grid.flat), label="age (years)", aspect=40, shrink=0.8)
    legend = fig.legend(handles, names, loc="outside upper right", ncols=3, frameon=False)
    legend.get_lines()[1].set(linewidth=1.5, alpha=1)
