"""What the fits to resampled data say together: stability, standard errors, intervals."""

from dataclasses import dataclass

import numpy as np
from scipy.stats import norm

# Positive attributes: their intervals are symmetric on a logarithmic scale.
POSITIVE = ("noise_variances_", "dilations_")


@dataclass(frozen=True)
class Replicates:
    """Fits to resampled data, their components matched to those of the fit to all data.

    Attributes
    ----------
    resample : str
        What was drawn: "samples" or "views".
    correlations : ndarray of shape (n_boot, p)
        Absolute correlation of each shared source of a replicate, estimated from all data, with
        that of the fit.
    estimates : dict of str to ndarray or list of ndarray
        The fit: `mixing_`, a list of arrays (d_v, p), and where the model has them
        `noise_variances_`, `delays_` and `dilations_`, arrays (m, p); `sources_`, (n, p).
    replicates : dict of str to ndarray or list of ndarray
        The same with an axis of length n_boot in front; NaN where a view was not drawn.
    n_failures : int
        Replicates that did not converge. They count.
    """

    resample: str
    correlations: np.ndarray
    estimates: dict
    replicates: dict
    n_failures: int

    @property
    def stability(self):
        """Stability index (p,): mean of `correlations`; 1 where a component always comes back."""
        return self.correlations.mean(axis=0)

    def standard_error(self, name):
        """Compute the standard deviation over the replicates of an attribute.

        Parameters
        ----------
        name : str
            Key of `estimates`. For positive attributes (noise variances, dilations) it is that of
            the logarithm: a relative error.

        Returns
        -------
        error : ndarray, or list of ndarray for `mixing_`
        """
        return self._each(name, lambda fit, found: self._spread(name, found))

    def interval(self, name, level=0.9):
        """Confidence interval of an attribute.

        Parameters
        ----------
        name : str
            Key of `estimates`.
        level : float, default=0.9
            Confidence, for each value alone.

        Returns
        -------
        low, high : ndarray, or lists of ndarray for `mixing_`

        Notes
        -----
        Normal about the estimate, on a logarithmic scale for positive attributes. They cover the
        values that infinitely much data would give this estimator.
        """
        self._check(name)
        if not 0 < level < 1:
            raise ValueError(f"level={level!r}; expected a confidence between 0 and 1.")
        z = norm.ppf((1 + level) / 2)
        return tuple(
            self._each(name, lambda fit, found, s=sign: self._bound(name, fit, found, s * z))
            for sign in (-1, 1)
        )

    def plot(self, ax=None, *, show=False):
        """Draw the matched correlations of each component.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw. None makes a new figure, which stays out of `pyplot`.
        show : bool, default=False
            Show the figure in a window.

        Returns
        -------
        fig : matplotlib Figure
        """
        from mvica.plotting import plot_stability

        return plot_stability(self.correlations, ax=ax, show=show)

    def __repr__(self):
        low = self.stability.min()
        return f"Replicates({len(self.correlations)} of {self.resample}, stability from {low:.2f})"

    def _check(self, name):
        if name not in self.estimates:
            raise ValueError(f"name={name!r}; expected one of {tuple(self.estimates)}.")

    def _each(self, name, function):
        self._check(name)
        fit, found = self.estimates[name], self.replicates[name]
        if isinstance(fit, list):
            return [function(*pair) for pair in zip(fit, found, strict=True)]
        return function(fit, found)

    @staticmethod
    def _spread(name, found):
        found = np.log(found) if name in POSITIVE else found
        return np.nanstd(found, axis=0, ddof=1)

    def _bound(self, name, fit, found, z):
        error = self._spread(name, found)
        return fit * np.exp(z * error) if name in POSITIVE else fit + z * error
