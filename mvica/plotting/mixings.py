"""Heat maps of the mixing matrices."""

import numpy as np
from sklearn.utils.validation import check_is_fitted

from mvica._validation import check_views
from mvica.plotting.canvas import component_ticks, figure, names_of_views, shortened

MAX_PANELS = 20


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
    names = names_of_views(view_names, X, len(matrices))
    shown = matrices[:MAX_PANELS]
    p = shown[0].shape[1]
    width = max(1.1 + 0.22 * p, 2.0)  # inches a panel
    rows = -(-len(shown) // min(max(2, int(13 // width)), 5))
    columns = -(-len(shown) // rows)
    depth = max(len(matrix) for matrix in shown)
    height = min(max(0.19 * depth, 1.3), 3.2)
    fig = figure(fig, columns * width + 1.2, max(rows * (height + 0.5) + 0.8, 3.2))
    axes = fig.subplots(rows, columns, squeeze=False).ravel()
    for v, (ax, matrix) in enumerate(zip(axes, shown, strict=False)):
        image = ax.imshow(
            matrix, cmap="RdBu_r", vmin=-1, vmax=1, aspect="auto", interpolation="nearest"
        )
        ax.set_title(shortened(names[v], int(9 * width)), fontsize=9)
        component_ticks(ax, p)
        _feature_ticks(ax, len(matrix), None if feature_names is None else feature_names[v])
    for ax in axes[len(shown) :]:
        ax.remove()
    fig.colorbar(image, ax=list(axes[: len(shown)]), label=label, shrink=0.8, aspect=30)
    fig.supxlabel("component", fontsize=10)
    fig.supylabel("feature", fontsize=10)
    more = f", first {len(shown)} of {len(matrices)} views" if len(shown) < len(matrices) else ""
    fig.suptitle(f"Mixing matrices{more}")
    return fig


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


def _feature_ticks(ax, n_features, names):
    if names is not None and n_features <= 24:
        ax.set_yticks(range(n_features), [shortened(str(name), 14) for name in names])
    else:
        ax.yaxis.get_major_locator().set_params(integer=True)
