"""Timing of views against their age: one shared clock, regression lines, and their uncertainty."""

from dataclasses import dataclass

import numpy as np
from scipy import stats

from mvica.ica.warps import centre_clock

__all__ = ["Regression", "normalise_timing", "regress"]

LEAST_VIEWS = 3


@dataclass(frozen=True)
class Regression:
    """A value of each view against another, such as its delay against its age.

    Attributes
    ----------
    slope, intercept : float
        Least-squares line.
    slope_std : float
        Standard error of the slope.
    r2 : float
        Share of the variance of y that the line explains.
    pearson, pearson_p : float
        Linear correlation and its two-sided p value, which is that of the slope as well.
    spearman, spearman_p : float
        Rank correlation and its two-sided p value.
    theil_sen, theil_sen_intercept : float
        Robust line: median of the slopes between pairs of views, through the medians.
    theil_sen_interval : tuple of (float, float)
        95 % confidence interval of the robust slope.
    n : int
        Views that count: those for which both values are known.
    x_mean, x_scatter, residual_std : float
        Mean and sum of squared deviations of x, standard deviation about the line, for
        :meth:`band`.

    Examples
    --------
    >>> from mvica.timing_statistics import regress
    >>> line = regress([20, 40, 60, 80], [1.0, 2.0, 3.0, 4.0])
    >>> round(line.slope, 6), round(line.r2, 6), line.n
    (0.05, 1.0, 4)
    """

    slope: float
    intercept: float
    slope_std: float
    r2: float
    pearson: float
    pearson_p: float
    spearman: float
    spearman_p: float
    theil_sen: float
    theil_sen_intercept: float
    theil_sen_interval: tuple
    n: int
    x_mean: float
    x_scatter: float
    residual_std: float

    def predict(self, x):
        """Height of the least-squares line.

        Parameters
        ----------
        x : float or ndarray

        Returns
        -------
        y : float or ndarray
        """
        return self.intercept + self.slope * np.asarray(x, dtype=float)

    def band(self, x, level=0.95):
        """Pointwise confidence band of the least-squares line.

        Parameters
        ----------
        x : ndarray of shape (k,)
        level : float, default=0.95

        Returns
        -------
        low, high : ndarray of shape (k,)
            NaN for three views or fewer residual degrees of freedom than one.
        """
        x = np.asarray(x, dtype=float)
        leverage = 1 / self.n + (x - self.x_mean) ** 2 / self.x_scatter
        half = stats.t.ppf((1 + level) / 2, self.n - 2) * self.residual_std * np.sqrt(leverage)
        return self.predict(x) - half, self.predict(x) + half


def regress(x, y):
    """Regress a value of each view on another.

    Parameters
    ----------
    x : array-like of shape (n_views,)
        Such as ages in years. Views of which either value is NaN are left out.
    y : array-like of shape (n_views,)
        Such as delays.

    Returns
    -------
    regression : Regression
        A constant `y` has slope 0, and NaN for the correlations and their p values.

    Raises
    ------
    ValueError
        If the shapes differ, fewer than three views count, or `x` is constant.

    Examples
    --------
    >>> from mvica.timing_statistics import regress
    >>> regress([20, 40, 60, 80], [1.0, 2.0, 3.0, float("nan")]).n
    3
    """
    x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    if x.ndim != 1 or x.shape != y.shape:
        raise ValueError(f"x has shape {x.shape} and y {y.shape}; expected one value a view each")
    known = np.isfinite(x) & np.isfinite(y)
    x, y = x[known], y[known]
    if len(x) < LEAST_VIEWS:
        raise ValueError(f"{len(x)} views have both values; a regression needs {LEAST_VIEWS}")
    if np.ptp(x) == 0:
        raise ValueError(f"all {len(x)} views have x = {x[0]:g}: no line can be told")
    line = stats.linregress(x, y)
    flat = np.ptp(y) == 0
    unknown = np.nan, np.nan
    pearson, pearson_p = unknown if flat else (line.rvalue, line.pvalue)
    spearman, spearman_p = unknown if flat else stats.spearmanr(x, y)
    robust = stats.theilslopes(y, x)
    residual = y - line.intercept - line.slope * x
    return Regression(
        slope=float(line.slope),
        intercept=float(line.intercept),
        slope_std=float(line.stderr),
        r2=float(pearson**2),
        pearson=float(pearson),
        pearson_p=float(pearson_p),
        spearman=float(spearman),
        spearman_p=float(spearman_p),
        theil_sen=float(robust.slope),
        theil_sen_intercept=float(robust.intercept),
        theil_sen_interval=(float(robust.low_slope), float(robust.high_slope)),
        n=len(x),
        x_mean=float(x.mean()),
        x_scatter=float(np.sum((x - x.mean()) ** 2)),
        residual_std=float(np.sqrt(np.sum(residual**2) / (len(x) - 2))),
    )


def normalise_timing(delays, dilations=None):
    """Take timings to the clock of the average view: mean dilation 1, mean delay 0.

    No data determine the clock of a shared source. Only timings on the same one compare.

    Parameters
    ----------
    delays : array-like of shape (n_views, n_components)
        In any unit of time; what happens at t in the shared source happens at
        ``dilations * t + delays`` in the view.
    dilations : array-like of shape (n_views, n_components), default=None
        None means 1.

    Returns
    -------
    delays, dilations : ndarray of shape (n_views, n_components)
        Delays keep their unit.

    Raises
    ------
    ValueError
        If the shapes differ, or a dilation is not positive.

    Examples
    --------
    >>> from mvica.timing_statistics import normalise_timing
    >>> delays, dilations = normalise_timing([[0.0], [2.0]], [[1.0], [3.0]])
    >>> delays.tolist(), dilations.tolist()
    ([[-0.5], [0.5]], [[0.5], [1.5]])
    """
    delays = np.asarray(delays, dtype=float)
    dilations = np.ones(delays.shape) if dilations is None else np.asarray(dilations, dtype=float)
    if delays.ndim != 2 or delays.shape != dilations.shape:
        raise ValueError(
            f"delays have shape {delays.shape} and dilations {dilations.shape}; expected "
            "(n_views, n_components) for both"
        )
    if not np.all(dilations > 0):
        raise ValueError("dilations hold a value that is not above 0: they are factors of time")
    return centre_clock(delays, dilations)
