"""Do components come back: across resamples, and next to a truth."""

import numpy as np

from mvica.metrics import match_sources
from mvica.plotting.canvas import FIT_COLOUR, finish, one_panel, open_frame, panels

NUMBERS = 144  # cells at most, for a number in each


def plot_stability(correlations, *, names=None, threshold=0.8, ax=None, show=False):
    """Draw how well each component comes back, over resamples such as halves of the views.

    Parameters
    ----------
    correlations : array-like of shape (n_resamples, n_components)
        Absolute correlation of the matched component in each resample.
    names : sequence of str, default=None
        Names of the components; None numbers them.
    threshold : float, default=0.8
        Dashed line. The title counts the components of which nine in ten resamples lie above it.
    ax : matplotlib Axes, default=None
        Where to draw; None makes a new figure, which stays out of `pyplot`.
    show : bool, default=False
        Show the figure in a window.

    Returns
    -------
    fig : matplotlib Figure
        A dot a resample, a bar at the median.

    Raises
    ------
    ValueError
        If `correlations` is not a matrix, or the names are not one a component.

    See Also
    --------
    mvica.uncertainty.split_half_correlations : Such numbers, from the sources of the views.

    Examples
    --------
    >>> import numpy as np
    >>> from mvica.plotting import plot_stability
    >>> fig = plot_stability(np.array([[0.95, 0.4], [0.97, 0.9]]))
    >>> fig.axes[0].get_title()
    '1 of 2 components stable'
    """
    r = np.asarray(correlations, dtype=float)
    if r.ndim != 2:
        raise ValueError(f"correlations have shape {r.shape}, expected (n_resamples, n_components)")
    K, p = r.shape
    names = [str(c) for c in range(p)] if names is None else [str(name) for name in names]
    if len(names) != p:
        raise ValueError(f"names has {len(names)} names, expected {p}: one a component")
    fig, ax = one_panel(ax, max(4.5, 1.5 + 0.42 * p), 3.6, show)
    spread = np.linspace(-0.25, 0.25, K) if K > 1 else np.zeros(1)
    spread = np.random.default_rng(0).permutation(spread)
    alpha = float(np.clip(12 / K, 0.2, 0.8))
    for c in range(p):
        ax.plot(c + spread, r[:, c], ".", color=FIT_COLOUR, alpha=alpha, markersize=5)
        ax.plot([c - 0.34, c + 0.34], [np.median(r[:, c])] * 2, color="black", linewidth=2)
    ax.axhline(threshold, color="0.4", linewidth=0.9, linestyle="--", zorder=1)
    step = 1 if p <= 30 else -(-p // 20)
    long = max(map(len, names)) > 3
    ax.set_xticks(range(0, p, step), names[::step], rotation=90 if long else 0, fontsize=9)
    ax.set(xlabel="component", ylabel="correlation", ylim=(min(0.0, r.min() - 0.03), 1.03))
    ax.set_xlim(-0.6, p - 0.4)
    stable = int(np.sum(np.quantile(r, 0.1, axis=0) > threshold))
    ax.set_title(f"{stable} of {p} components stable", fontsize=10)
    open_frame(ax)
    return finish(fig, show)


def plot_matching(estimated, reference, *, names=None, axes=None, show=False):
    """Draw which estimated source goes with which reference source, and how well.

    Parameters
    ----------
    estimated : ndarray of shape (n_samples, q)
        Estimated sources.
    reference : ndarray of shape (n_samples, p)
        Reference sources, such as the truth or those of another fit; p <= q.
    names : sequence of str, default=None
        Names of the reference sources; None numbers them.
    axes : array of two matplotlib Axes, default=None
        Panels to draw in. None makes a new figure, which stays out of `pyplot`.
    show : bool, default=False
        Show the figure in a window.

    Returns
    -------
    fig : matplotlib Figure
        Left, absolute correlations of all pairs, matched ones framed; right, those of the matched
        pairs alone.

    Raises
    ------
    ValueError
        As :func:`mvica.metrics.match_sources`, or if the names are not one a reference source.

    Examples
    --------
    >>> import numpy as np
    >>> from mvica.plotting import plot_matching
    >>> S = np.random.default_rng(0).laplace(size=(300, 3))
    >>> fig = plot_matching(-S[:, ::-1], S)
    >>> [bar.get_width().round(6).item() for bar in fig.axes[1].patches]
    [1.0, 1.0, 1.0]
    """
    match = match_sources(estimated, reference)
    estimated, reference = np.asarray(estimated), np.asarray(reference)
    p, q = reference.shape[1], estimated.shape[1]
    names = [str(c) for c in range(p)] if names is None else [str(name) for name in names]
    if len(names) != p:
        raise ValueError(f"names has {len(names)} names, expected {p}: one a reference source")
    rest = np.setdiff1d(np.arange(q), match.permutation)
    order = np.concatenate([match.permutation, rest])
    correlation = _absolute_correlations(reference, estimated[:, order])
    height = max(3.0, 1.4 + 0.32 * p)
    width = max(4.0, 2.4 + 0.42 * q)
    fig, grid = panels(axes, 1, 2, width + 3.2, height, show, width_ratios=[width, 3.2])
    from matplotlib.patches import Rectangle

    left, right = grid[0]
    image = left.imshow(correlation, cmap="viridis", vmin=0, vmax=1, aspect="auto")
    left.set_xticks(range(q), order, fontsize=8)
    left.set_yticks(range(p), names, fontsize=8)
    left.set(xlabel="estimated source", ylabel="reference source")
    for c in range(p):
        left.add_patch(Rectangle((c - 0.5, c - 0.5), 1, 1, fill=False, edgecolor="white", lw=2))
    for (i, j), value in np.ndenumerate(correlation) if correlation.size <= NUMBERS else ():
        colour = "black" if value > 0.6 else "white"
        left.text(j, i, f"{value:.2f}", ha="center", va="center", fontsize=7, color=colour)
    fig.colorbar(image, ax=left, label="absolute correlation")
    right.barh(range(p), match.correlations, color=FIT_COLOUR, height=0.7)
    right.set_yticks(range(p), names, fontsize=8)
    right.set(xlim=(0, 1), ylim=(p - 0.5, -0.5), xlabel="correlation of the pair")
    right.set_title(f"{np.sum(match.correlations > 0.9)} of {p} above 0.9", fontsize=10)
    right.axvline(0.9, color="0.4", linewidth=0.9, linestyle="--")
    open_frame(right)
    return finish(fig, show)


def _absolute_correlations(A, B):
    """Absolute correlations (p, q) of the columns; 0 for a constant one."""
    A, B = A - A.mean(axis=0), B - B.mean(axis=0)
    size = np.sqrt(np.outer((A**2).sum(axis=0), (B**2).sum(axis=0)))
    return np.abs(np.divide(A.T @ B, size, out=np.zeros(size.shape), where=size > 0))
