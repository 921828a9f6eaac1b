"""Maps of the patterns on the sensors, subjects by components; MNE draws them."""

import numpy as np

from mvica.plotting.canvas import DIVERGING, finish, panels

# What a value is shown in, by channel type: unit, and how many of them one SI unit is.
UNITS = {"mag": ("fT", 1e15), "grad": ("fT/cm", 1e13), "eeg": ("µV", 1e6)}
MAX_SUBJECTS = 12
MAX_COMPONENTS = 12


def plot_topomaps(
    patterns,
    infos,
    *,
    components=None,
    subjects=None,
    component_names=None,
    subject_names=None,
    ch_type=None,
    median=True,
    spread=True,
    axes=None,
    show=False,
):
    """Draw the field maps of all subjects in a grid, the median over subjects on top.

    Parameters
    ----------
    patterns : sequence of ndarrays of shape (n_channels_v, n_components)
        Patterns in SI units (T, T/m, V) for one standard deviation of the source.
    infos : mne.Info or sequence of mne.Info
        Channels of the patterns' rows, of all subjects or of each.
    components, subjects : sequence of int, default=None
        Which ones to draw. None draws the first 12 of each.
    component_names, subject_names : sequence of str, default=None
        Names of all components and of all subjects; None numbers them.
    ch_type : {"mag", "grad", "eeg"}, default=None
        Channels to draw, where there are several types; None takes the first of these. Of planar
        gradiometers, the map shows the size of the two of a site.
    median : bool, default=True
        Draw the median over all subjects in the first row, on the channels that all have.
    spread : bool, default=True
        Write the mean absolute correlation between the maps of two subjects under each name.
    axes : array of matplotlib Axes, default=None
        Panels to draw in, row by row. None makes a new figure, which stays out of `pyplot`.
    show : bool, default=False
        Show the figure in a window.

    Returns
    -------
    fig : matplotlib Figure
        The colours of a column have one range, given below it.

    Raises
    ------
    ImportError
        If MNE-Python is not installed.
    ValueError
        If shapes do not fit each other, or no channel has the type.

    Examples
    --------
    >>> import numpy as np
    >>> from mvica.plotting import plot_topomaps
    >>> import mne
    >>> montage = mne.channels.make_standard_montage("biosemi16")
    >>> info = mne.create_info(montage.ch_names, 100.0, "eeg").set_montage(montage)
    >>> patterns = np.random.default_rng(0).normal(size=(2, 16, 3))
    >>> len(plot_topomaps(patterns, info).axes)  # two subjects and their median; the colour bar
    10
    """
    maps, infos, ch_type = _maps(patterns, infos, ch_type)
    m, p = len(maps), maps[0].shape[1]
    components = list(range(min(p, MAX_COMPONENTS)) if components is None else components)
    subjects = list(range(min(m, MAX_SUBJECTS)) if subjects is None else subjects)
    component_names = _names(component_names, p, "component")
    subject_names = _names(subject_names, m, "subject")
    common, common_info = common_maps(maps, infos)
    rows = [("median", np.median(common, axis=0), common_info)] if median else []
    rows += [(subject_names[v], maps[v], infos[v]) for v in subjects]
    agreement = map_agreement(common)
    fig, grid = panels(
        axes, len(rows), len(components), 1.6 + len(components), 1.0 + 1.05 * len(rows), show
    )
    unit, factor = UNITS[ch_type]
    low = 0 if ch_type == "grad" else -1
    for j, c in enumerate(components):
        limit = factor * max(np.abs(A[:, c]).max() for _, A, _ in rows) or 1.0
        for ax, (_, A, info) in zip(grid[:, j], rows, strict=True):
            image = _draw_map(ax, factor * A[:, c], info, low * limit, limit)
        words = f"\nr = {agreement[c]:.2f}" if spread and m > 1 else ""
        grid[0, j].set_title(component_names[c] + words, fontsize=9)
        grid[-1, j].set_xlabel(f"max {limit:.3g} {unit}", fontsize=8)
    for ax, (name, _, _) in zip(grid[:, 0], rows, strict=True):
        ax.set_ylabel(name, fontsize=9)
    if axes is None:
        ticks = [low * limit, 0, limit] if low else [0, limit]
        bar = fig.colorbar(image, ax=list(grid.flat), ticks=ticks, shrink=0.5, aspect=25)
        bar.ax.set_yticklabels(["-max", "0", "max"] if low else ["0", "max"], fontsize=8)
    return finish(fig, show)


def common_maps(maps, infos):
    """Give the maps on the channels that all subjects have, (m, n_common, p), and their Info."""
    import mne

    names = [[name.replace(" ", "") for name in info["ch_names"]] for info in infos]
    shared = [name for name in names[0] if all(name in other for other in names[1:])]
    if not shared:
        raise ValueError("the subjects have no channel in common: a median map is not defined")
    common = [A[[own.index(name) for name in shared]] for A, own in zip(maps, names, strict=True)]
    return np.stack(common), mne.pick_info(infos[0], [names[0].index(name) for name in shared])


def map_agreement(common):
    """Mean absolute correlation between the maps (m, n_channels, p) of two subjects, (p,)."""
    m = len(common)
    if m < 2:
        return np.full(common.shape[2], np.nan)
    A = common - common.mean(axis=1, keepdims=True)
    level = np.sqrt((A**2).sum(axis=1, keepdims=True))
    A = A / np.where(level > 0, level, 1.0)
    r = np.abs(np.einsum("vdc,wdc->cvw", A, A, optimize=True))
    return (r.sum(axis=(1, 2)) - np.trace(r, axis1=1, axis2=2)) / (m * (m - 1))


# Parts -----------------------------------------------------------------------------------------


def _maps(patterns, infos, ch_type):
    """Patterns and infos of the channels of one type, for each subject."""
    try:
        import mne
    except ImportError as error:
        raise ImportError('maps need MNE-Python: pip install "mvica[meg]"') from error
    patterns = [np.asarray(A, dtype=float) for A in patterns]
    infos = [infos] * len(patterns) if isinstance(infos, mne.Info) else list(infos)
    if len(infos) != len(patterns):
        raise ValueError(f"{len(infos)} infos for {len(patterns)} patterns: give one a subject")
    for v, (A, info) in enumerate(zip(patterns, infos, strict=True)):
        if A.ndim != 2 or len(A) != len(info["ch_names"]):
            raise ValueError(
                f"pattern of subject {v} has shape {A.shape}, expected ({len(info['ch_names'])}, "
                "n_components): one row a channel of its info"
            )
    present = set(infos[0].get_channel_types(unique=True))
    ch_type = ch_type or next((kind for kind in UNITS if kind in present), None)
    if ch_type not in UNITS or ch_type not in present:
        raise ValueError(f"no channels of type {ch_type!r}; the channels are {sorted(present)}")
    maps, kept = [], []
    for A, info in zip(patterns, infos, strict=True):
        chosen = [i for i, kind in enumerate(info.get_channel_types()) if kind == ch_type]
        maps.append(A[chosen])
        kept.append(mne.pick_info(info, chosen))
    return maps, kept, ch_type


def _draw_map(ax, values, info, low, high):
    import mne

    image, _ = mne.viz.plot_topomap(
        values,
        info,
        axes=ax,
        show=False,
        sensors=False,
        contours=0,
        res=48,
        cmap="Reds" if low == 0 else DIVERGING,
        vlim=(low, high),
    )
    return image


def _names(names, count, what):
    if names is None:
        return [f"{what} {i}" for i in range(count)]
    if len(names) != count:
        raise ValueError(f"{len(names)} names for {count} {what}s: give one for each")
    return [str(name) for name in names]
