"""Figures of a fitted multi-view estimator: objective, sources, mixings, agreement of the views."""

import numpy as np
from sklearn.utils.validation import check_is_fitted

from mvica._validation import check_views
from mvica.views import MultiViewData

SHARED_COLOUR = "#08306b"
VIEW_COLOUR = "#8c8c8c"
SPLIT_COLOUR = "#b2182b"
MAX_POINTS = 4000  # drawn along a trace: more would not be seen, and slows the figure
MAX_PANELS = 20

__all__ = ["plot_agreement", "plot_mixings", "plot_objective", "plot_sources"]


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
    fig = _figure(fig, 9, 3.2)
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


def plot_sources(estimator, X, times=None, *, segments=(), fig=None):
    """Draw each shared source over the same source as every view sees it.

    Parameters
    ----------
    estimator : estimator
        Fitted.
    X : MultiViewData, list of array-like or array-like
        Data to unmix, in a form that the estimator's `transform` takes.
    times : array-like of shape (n_samples,), default=None
        Time of each sample in seconds; None numbers the samples.
    segments : sequence of (str, int), default=()
        Label and first sample of stretches that lie end to end, such as conditions; `times` then
        starts again in each.
    fig : matplotlib Figure or SubFigure, default=None
        Where to draw; None makes a new figure, which stays out of `pyplot`.

    Returns
    -------
    fig : matplotlib Figure or SubFigure
        One panel a component, in units of the source's standard deviation, with the mean agreement
        of the views in its title.

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
    """
    check_is_fitted(estimator)
    Y = np.stack(estimator.transform_views(X))
    S = estimator._shared_sources(list(Y), list(range(len(Y))))
    level = S.std(axis=0)
    level[level == 0] = 1.0
    S, Y = S / level, Y / level
    n, p = S.shape
    x, label, ticks = _time_axis(n, times, segments)
    columns = 1 if p <= 6 else 2
    rows = -(-p // columns)
    fig = _figure(fig, 10, 1.0 + 1.25 * rows)
    axes = fig.subplots(rows, columns, sharex=True, squeeze=False).T.ravel()
    for c, ax in enumerate(axes[:p]):
        _source_panel(ax, x, S[:, c], Y[:, :, c], estimator, c)
        _mark_segments(ax, x, segments, ticks)
        if c % rows == 0:
            _name_segments(ax, x, segments, room=150 // columns)
        ax.tick_params(labelbottom=c % rows == rows - 1 or c == p - 1)
    for ax in axes[p:]:
        ax.remove()
    fig.supxlabel(label, fontsize=10)
    fig.supylabel("source (standard deviations)", fontsize=10)
    lines = axes[0].get_lines()[0], axes[0].collections[0]
    names = "shared source", f"the {len(Y)} views"
    legend = fig.legend(lines, names, loc="outside upper right", ncols=2, frameon=False)
    legend.get_lines()[-1].set(linewidth=1.5, alpha=1)
    return fig


def plot_mixings(estimator, X=None, *, feature_names=None, view_names=None, fig=None):
    """Draw the mixing matrix of every view as a heat map, all on one colour scale.

    Parameters
    ----------
    estimator : estimator
        Fitted.
    X : MultiViewData, list of array-like or array-like, default=None
        Data of all views. With them each feature is taken in units of its own standard deviation,
        so features and views of unlike units compare; without, each view is divided by its largest
        absolute entry.
    feature_names : sequence of sequence of str, default=None
        Names of the features of each view, written where there is room.
    view_names : sequence of str, default=None
        Names of the views; None takes those of `X`, else numbers them.
    fig : matplotlib Figure or SubFigure, default=None
        Where to draw; None makes a new figure, which stays out of `pyplot`.

    Returns
    -------
    fig : matplotlib Figure or SubFigure
        Features in rows, components in columns; the first 20 views where there are more.

    Examples
    --------
    >>> import numpy as np
    >>> from mvica import MultiViewICA
    >>> from mvica.plotting import plot_mixings
    >>> rng = np.random.default_rng(0)
    >>> views = [rng.laplace(size=(200, 2)) for _ in range(3)]
    >>> model = MultiViewICA(random_state=0).fit(views)
    >>> len(plot_mixings(model, views).axes)  # three views and the colour bar
    4
    """
    check_is_fitted(estimator)
    matrices, label = _scaled_mixings(estimator, X)
    names = _view_names(view_names, X, len(matrices))
    shown = matrices[:MAX_PANELS]
    p = shown[0].shape[1]
    width = max(1.1 + 0.22 * p, 2.0)  # inches a panel
    rows = -(-len(shown) // min(max(2, int(13 // width)), 5))
    columns = -(-len(shown) // rows)
    depth = max(len(matrix) for matrix in shown)
    height = min(max(0.19 * depth, 1.3), 3.2)
    fig = _figure(fig, columns * width + 1.2, max(rows * (height + 0.5) + 0.8, 3.2))
    axes = fig.subplots(rows, columns, squeeze=False).ravel()
    for v, (ax, matrix) in enumerate(zip(axes, shown, strict=False)):
        image = ax.imshow(
            matrix, cmap="RdBu_r", vmin=-1, vmax=1, aspect="auto", interpolation="nearest"
        )
        ax.set_title(_shortened(names[v], int(9 * width)), fontsize=9)
        _component_ticks(ax, p)
        _feature_ticks(ax, len(matrix), None if feature_names is None else feature_names[v])
    for ax in axes[len(shown) :]:
        ax.remove()
    fig.colorbar(image, ax=list(axes[: len(shown)]), label=label, shrink=0.8, aspect=30)
    fig.supxlabel("component", fontsize=10)
    fig.supylabel("feature", fontsize=10)
    more = f", first {len(shown)} of {len(matrices)} views" if len(shown) < len(matrices) else ""
    fig.suptitle(f"Mixing matrices{more}")
    return fig


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
    names = _view_names(view_names, None, m)
    fig = _figure(fig, max(5.0, 3.0 + 0.42 * p), min(max(2.2, 1.2 + 0.3 * m), 11))
    ax = fig.subplots()
    image = ax.imshow(agreement, cmap="viridis", vmin=0, vmax=1, aspect="auto")
    _component_ticks(ax, p)
    step = -(-m // 40)
    ax.set_yticks(range(0, m, step), [_shortened(names[v], 28) for v in range(0, m, step)])
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


# Parts -----------------------------------------------------------------------------------------


def _figure(fig, width, height):
    """Make a figure of that size in inches, or give `fig` that size, laid out without overlaps."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError('plots need Matplotlib: pip install "mvica[plot]"') from error
    if fig is None:
        return Figure(figsize=(width, height), layout="constrained")
    if isinstance(fig, Figure):
        fig.set_size_inches(width, height)
        fig.set_layout_engine("constrained")
    return fig


def _view_names(names, X, m):
    if names is None:
        names = X.view_names if isinstance(X, MultiViewData) else [f"view{v}" for v in range(m)]
    if len(names) != m:
        raise ValueError(f"view_names has {len(names)} names, expected {m}: one a view")
    return [str(name) for name in names]


def _shortened(text, length):
    return text if len(text) <= length else text[: length - 1] + "…"


def _time_axis(n, times, segments):
    """Where each sample lies, the label of the axis, and its ticks (None: automatic)."""
    if times is None:
        return np.arange(n), "sample", None
    times = np.asarray(times, dtype=float)
    if times.shape != (n,):
        raise ValueError(f"times has shape {times.shape}, expected ({n},): one entry a sample")
    if len(segments) < 2:
        return times, "time (s)", None
    x, label = np.arange(n), "time in each condition (s)"
    starts = [start for _, start in segments]
    marks = []
    for start, end in zip(starts, [*starts[1:], n], strict=True):
        own = times[start:end]
        marks.append(start + int(np.argmin(np.abs(own))) if own[0] < 0 < own[-1] else start)
    # Times of recordings carry float32 noise: without rounding, zero would read -1.5e-09.
    return x, label, (marks, [f"{round(times[mark], 6) + 0:.3g}" for mark in marks])


def _source_panel(ax, x, shared, by_view, estimator, c):
    from matplotlib.collections import LineCollection

    position, traces = _thinned(x, np.vstack([shared, by_view]))
    lines = [np.column_stack([position, trace]) for trace in traces[1:]]
    alpha = float(np.clip(3.0 / len(lines), 0.15, 0.7))
    ax.add_collection(LineCollection(lines, colors=VIEW_COLOUR, linewidths=0.5, alpha=alpha))
    ax.plot(position, traces[0], color=SHARED_COLOUR, linewidth=1.3)
    ax.set_xlim(x[0], x[-1])
    low, high = np.quantile(traces, [0.001, 0.999])
    low, high = min(low, traces[0].min()), max(high, traces[0].max())
    margin = 0.05 * (high - low)
    ax.set_ylim(low - margin, high + margin)
    agreement = getattr(estimator, "agreement_", None)
    title = f"component {c}"
    if agreement is not None and not np.isnan(agreement[:, c]).all():
        title += f", agreement {np.nanmean(agreement[:, c]):.2f}"
    ax.set_title(title, fontsize=9, loc="left", pad=3)
    ax.tick_params(labelsize=8)
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)


def _thinned(x, traces):
    """Shorten traces (k, n) to what can be seen: the least and the largest value of each bin."""
    n = len(x)
    if n <= MAX_POINTS:
        return x, traces
    edges = np.linspace(0, n, MAX_POINTS // 2 + 1).astype(int)[:-1]
    low = np.minimum.reduceat(traces, edges, axis=1)
    high = np.maximum.reduceat(traces, edges, axis=1)
    return np.repeat(x[edges], 2), np.stack([low, high], axis=2).reshape(len(traces), -1)


def _mark_segments(ax, x, segments, ticks):
    """Draw the borders of segments and the time zero of each."""
    if len(segments) < 2:
        if x[0] < 0 < x[-1]:
            ax.axvline(0, color=SPLIT_COLOUR, linewidth=0.8, linestyle=":")
        return
    for _, start in segments[1:]:
        ax.axvline(x[start], color="black", linewidth=0.8)
    if ticks is not None:
        ax.set_xticks(*ticks)
        for mark in ticks[0]:
            ax.axvline(mark, color=SPLIT_COLOUR, linewidth=0.8, linestyle=":")


def _name_segments(ax, x, segments, room):
    """Write the names of segments between the title and the panel, in `room` letters in all."""
    if len(segments) < 2:
        return
    ax.set_title(ax.get_title(loc="left"), fontsize=9, loc="left", pad=14)
    ends = [start for _, start in segments[1:]] + [len(x)]
    for (label, start), end in zip(segments, ends, strict=True):
        ax.annotate(
            _shortened(label, max(2, room * (end - start) // len(x))),
            (x[start], 1.0),
            xytext=(1, 2),
            xycoords=("data", "axes fraction"),
            textcoords="offset points",
            va="bottom",
            fontsize=7.5,
        )


def _scaled_mixings(estimator, X):
    if X is None:
        matrices = [A / (np.abs(A).max() or 1.0) for A in estimator.mixing_]
        return matrices, "mixing\n(largest entry of the view = 1)"
    Y = estimator.transform_views(X)
    views = check_views(X, view_sizes=estimator.view_sizes_)
    matrices = []
    for A, X_v, Y_v in zip(estimator.mixing_, views, Y, strict=True):
        spread = X_v.std(axis=0, dtype=float)
        spread[np.ptp(X_v, axis=0) == 0] = np.inf  # a feature that never varies carries nothing
        matrices.append(A * Y_v.std(axis=0) / spread[:, None])
    return matrices, "mixing\n(standard deviations of the feature)"


def _component_ticks(ax, p):
    step = 1 if p <= 24 else -(-p // 12)
    ax.set_xticks(range(0, p, step))
    ax.tick_params(labelsize=8)


def _feature_ticks(ax, n_features, names):
    if names is not None and n_features <= 24:
        ax.set_yticks(range(n_features), [_shortened(str(name), 14) for name in names])
    else:
        ax.yaxis.get_major_locator().set_params(integer=True)
