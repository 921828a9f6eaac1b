"""One component in all views: an image of views by time, which shows delays best."""

import numpy as np

from mvica.plotting.canvas import DIVERGING, finish, one_panel
from mvica.plotting.traces import mark_segments, name_segments, time_axis


def plot_source_image(
    traces,
    times=None,
    *,
    sort_by=None,
    sort_label="age (years)",
    latencies=None,
    segments=(),
    view_label="subject",
    title=None,
    ax=None,
    show=False,
):
    """Draw one component of all views as an image, one row a view.

    Parameters
    ----------
    traces : array-like of shape (n_views, n_samples)
        The component in each view, in the view's own time. Rows are drawn in units of their own
        standard deviation.
    times : array-like of shape (n_samples,), default=None
        Time of each sample in seconds; None numbers the samples.
    sort_by : array-like of shape (n_views,), default=None
        Orders the rows, smallest on top, such as ages or delays. NaN comes last. None keeps the
        order.
    sort_label : str, default="age (years)"
        What `sort_by` is.
    latencies : array-like of shape (n_views,) or (n_views, k), default=None
        Fitted latency of the peak in each view, drawn over the image, in the unit of `times`: the
        peak of the shared source times the view's dilation, plus its delay. With `segments`, the
        sample number instead.
    segments : sequence of (str, int), default=()
        Label and first sample of stretches that lie end to end; `times` starts again in each.
    view_label : str, default="subject"
        What the rows are.
    title : str, default=None
        Title of the panel.
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
        If shapes do not fit each other.

    Examples
    --------
    >>> import numpy as np
    >>> from mvica.plotting import plot_source_image
    >>> times, delays = np.linspace(-0.1, 0.4, 101), np.array([0.02, -0.01, 0.0])
    >>> traces = np.exp(-0.5 * ((times - 0.1 - delays[:, None]) / 0.02) ** 2)
    >>> fig = plot_source_image(traces, times, sort_by=delays, latencies=0.1 + delays)
    >>> fig.axes[0].lines[0].get_xdata().round(2).tolist()
    [0.09, 0.1, 0.12]
    """
    traces = np.asarray(traces, dtype=float)
    if traces.ndim != 2:
        raise ValueError(f"traces have shape {traces.shape}, expected (n_views, n_samples)")
    m, n = traces.shape
    keys = _per_view(sort_by, m, "sort_by")
    order = np.arange(m) if keys is None else np.argsort(keys, kind="stable")
    x, label, ticks = time_axis(n, times, segments)
    fig, ax = one_panel(ax, 7.5, min(max(2.8, 1.6 + 0.09 * m), 8), show)
    level = traces.std(axis=1, keepdims=True)
    image = traces / np.where(level > 0, level, 1.0)
    limit = np.quantile(np.abs(image), 0.998) or 1.0
    edges = x[0] - (x[1] - x[0]) / 2, x[-1] + (x[-1] - x[-2]) / 2
    drawn = ax.imshow(
        image[order],
        aspect="auto",
        interpolation="nearest",
        cmap=DIVERGING,
        vmin=-limit,
        vmax=limit,
        extent=(*edges, m - 0.5, -0.5),
    )
    if title:
        ax.set_title(title, fontsize=10, loc="left", pad=3)
    if latencies is not None:
        _draw_latencies(ax, latencies, order)
    mark_segments(ax, x, segments, ticks)
    name_segments(ax, x, segments, room=90)
    _row_ticks(ax, keys, order, sort_label, view_label)
    ax.set_xlabel(label)
    fig.colorbar(drawn, ax=ax, label="standard deviations", extend="both")
    return finish(fig, show)


def _per_view(values, m, name):
    if values is None:
        return None
    values = np.asarray(values, dtype=float)
    if values.shape[:1] != (m,):
        raise ValueError(f"{name} has shape {values.shape}, expected ({m},): one a view")
    return values


def _draw_latencies(ax, latencies, order):
    latencies = _per_view(latencies, len(order), "latencies")
    for column in latencies.reshape(len(order), -1).T:
        for colour, width in (("white", 3.0), ("black", 1.3)):  # seen on every background
            ax.plot(column[order], range(len(order)), color=colour, linewidth=width)


def _row_ticks(ax, keys, order, sort_label, view_label):
    m = len(order)
    rows = np.unique(np.linspace(0, m - 1, min(m, 7)).round().astype(int))
    if keys is None:
        ax.set_yticks(rows, rows + 1)
        ax.set_ylabel(view_label)
        return
    known = [row for row in rows if np.isfinite(keys[order[row]])]
    digits = ".0f" if np.ptp(keys[np.isfinite(keys)]) >= 10 else ".3g"
    ax.set_yticks(known, [format(keys[order[row]], digits) for row in known])
    ax.set_ylabel(f"{view_label}s by {sort_label}")
