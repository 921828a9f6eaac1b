"""Maps of sources on the sensors, in SI units, and as Evoked objects that MNE can plot and fit."""

import numpy as np

from mvica.meg._mne import QUIET, import_mne

__all__ = ["patterns_to_evoked", "sensor_patterns"]


def sensor_patterns(components, record, method="regression"):
    """Map each source of one subject to its sensors.

    Parameters
    ----------
    components : array-like of shape (n_components, k)
        Unmixing of the reduced view, k principal components, to sources.
    record : SubjectRecord
        How the view was made.
    method : {"regression", "pinv"}, default="regression"
        Regress the sensors on the sources, which is right also where the sources are correlated in
        these data; or invert the unmixing, as the mixing of the model.

    Returns
    -------
    patterns : ndarray of shape (n_channels, n_components)
        Field in SI units (tesla, tesla per metre, volt) for one standard deviation of the source
        in this subject.

    Raises
    ------
    ValueError
        If `method` is none of these.

    Examples
    --------
    >>> import mne, numpy as np
    >>> from mvica.meg import sensor_patterns, to_views
    >>> rng = np.random.default_rng(0)
    >>> info = mne.create_info(5, 100.0, "mag")
    >>> evoked = mne.EvokedArray(1e-13 * rng.normal(size=(5, 200)), info)
    >>> views = to_views([evoked])
    >>> patterns = sensor_patterns(np.eye(5), views.records[0])
    >>> power = np.sum(patterns**2) / evoked.data.var(axis=1).sum()
    >>> patterns.shape, round(float(power), 12)
    ((5, 5), 1.0)
    """
    W = np.asarray(components, dtype=np.float64)
    k = W.shape[1]
    axes, variances = record.pca_components[:k], record.explained_variance[:k]
    # Principal components are uncorrelated: their covariance is the diagonal of variances.
    covariance = (W * variances) @ W.T
    if method == "regression":
        scaled = np.linalg.solve(covariance, W * variances @ axes).T
    elif method == "pinv":
        scaled = axes.T @ np.linalg.pinv(W)
    else:
        raise ValueError(f"method={method!r}, expected 'regression' or 'pinv'.")
    return to_sensors(scaled * np.sqrt(np.diag(covariance)), record)


def to_sensors(scaled, record):
    """Take maps (n_channels, p) from scaled or whitened channels to SI units."""
    if record.whitener is not None:
        return np.linalg.pinv(record.whitener) @ scaled
    return scaled if record.scale is None else scaled * record.scale[:, None]


def patterns_to_evoked(patterns, info, comment="patterns"):
    """Put maps in an Evoked whose times are the numbers of the components.

    Parameters
    ----------
    patterns : array-like of shape (n_channels, n_components)
        Maps in SI units.
    info : mne.Info
        Of these channels, in this order: `record.info`.
    comment : str, default="patterns"
        Comment of the Evoked.

    Returns
    -------
    evoked : mne.EvokedArray
        One sample per second, the first at 0: component j is at time j, so that
        ``evoked.plot_topomap(times=range(p), ch_type="mag")`` shows all.

    Raises
    ------
    ValueError
        If there are not as many rows as channels.

    Examples
    --------
    >>> import mne, numpy as np
    >>> from mvica.meg import patterns_to_evoked
    >>> info = mne.create_info(5, 100.0, "mag")
    >>> patterns_to_evoked(np.ones((5, 3)), info).times
    array([0., 1., 2.])
    """
    mne = import_mne()
    patterns = np.asarray(patterns, dtype=np.float64)
    if patterns.ndim != 2 or len(patterns) != len(info["ch_names"]):
        raise ValueError(
            f"patterns has shape {patterns.shape}, expected ({len(info['ch_names'])}, "
            "n_components): one row a channel of info."
        )
    info = mne.Info({**info.copy(), "sfreq": 1.0, "lowpass": 0.5, "highpass": 0.0})
    return mne.EvokedArray(patterns, info, tmin=0.0, nave=1, comment=comment, **QUIET)
