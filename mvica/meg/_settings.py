"""Settings of to_views: checked once, hashable, sent to every worker."""

from dataclasses import dataclass
from numbers import Integral, Real

import numpy as np

CHOICES = {
    "average": ("condition", "trials", None),
    "split": ("interleaved", "consecutive"),
    "channels": ("union", "intersection"),
    "scale": ("type", "cov", None),
    "on_bad": ("drop", "interpolate", "raise"),
    "dtype": ("float64", "float32"),
}


@dataclass(frozen=True)
class ViewSettings:
    """What `to_views` does to each subject. See `mvica.meg.to_views` for the meanings."""

    picks: tuple = ("mag",)
    condition: tuple | None = None
    average: str | None = "condition"
    n_splits: int = 1
    split: str = "interleaved"
    tmin: float | None = None
    tmax: float | None = None
    resample: float | None = None
    l_freq: float | None = None
    h_freq: float | None = None
    baseline: tuple | None = None
    channels: str = "union"
    scale: str | None = "type"
    n_components: int | float | None = None
    dtype: str = "float64"
    on_bad: str = "drop"


def checked_settings(picks, condition, baseline, dtype, n_components, **others):
    """Return the settings, after checking each.

    Raises
    ------
    ValueError
        Naming the setting, what was given and what it can be.
    """
    settings = ViewSettings(
        picks=_names("picks", picks),
        condition=None if condition is None else _names("condition", condition),
        baseline=_interval(baseline),
        dtype=np.dtype(dtype).name,
        n_components=_checked_size(n_components),
        **others,
    )
    for name, choices in CHOICES.items():
        value = getattr(settings, name)
        if value not in choices:
            raise ValueError(f"{name}={value!r}, expected one of {choices}.")
    if not isinstance(settings.n_splits, Integral) or settings.n_splits < 1:
        raise ValueError(f"n_splits={settings.n_splits!r}, expected an int of at least 1.")
    if settings.n_splits > 1 and settings.average != "condition":
        raise ValueError(
            f"n_splits={settings.n_splits} splits averages, but average={settings.average!r} "
            'keeps single trials: use average="condition" or n_splits=1.'
        )
    for name in ("tmin", "tmax", "resample", "l_freq", "h_freq"):
        value = getattr(settings, name)
        if value is not None and not (isinstance(value, Real) and np.isfinite(value)):
            raise ValueError(f"{name}={value!r}, expected a number or None.")
    if settings.resample is not None and settings.resample <= 0:
        raise ValueError(f"resample={settings.resample!r}, expected a rate in hertz above 0.")
    return settings


def _names(setting, given):
    names = (given,) if isinstance(given, str) else tuple(given)
    if not names or not all(isinstance(name, str) for name in names):
        raise ValueError(f"{setting}={given!r}, expected a name or a sequence of names.")
    return names


def _interval(baseline):
    if baseline is None:
        return None
    ends = tuple(baseline)
    if len(ends) != 2 or not all(end is None or isinstance(end, Real) for end in ends):
        raise ValueError(
            f"baseline={baseline!r}, expected (start, end) in seconds, None for an end of the "
            "segment."
        )
    return tuple(None if end is None else float(end) for end in ends)


def _checked_size(n_components):
    """Return an int, a float or None."""
    if n_components is None:
        return None
    count = isinstance(n_components, Integral) and not isinstance(n_components, bool)
    share = isinstance(n_components, Real) and not count
    if not ((count and n_components >= 1) or (share and 0 < n_components < 1)):
        raise ValueError(
            f"n_components={n_components!r}, expected an int of at least 1, a share of the "
            "variance between 0 and 1, or None."
        )
    return int(n_components) if count else float(n_components)
