"""The record that every simulator returns: the views and the truth that made them."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class MultiViewDataset:
    """Simulated views, with the truth.

    Each view is ``(sources + noise_v) @ mixings[v].T``, plus what the simulator adds to it:
    ``private_sources[v] @ private_mixings[v].T`` and white noise on the features.

    Attributes
    ----------
    name : str
        Function that made the data, with its scenario.
    views : list of m ndarrays of shape (n_samples, n_features_v)
        The data to give to an estimator.
    sources : ndarray of shape (n_samples, p)
        Shared sources.
    mixings : list of m ndarrays of shape (n_features_v, p)
        From shared sources to features.
    noise_variances : ndarray of shape (m, p)
        Variance of the noise that each view adds to each shared source, before the mixing.
    private_sources : list of m ndarrays of shape (n_samples, r_v)
        Signals of one view only; r_v is 0 where it has none.
    private_mixings : list of m ndarrays of shape (n_features_v, r_v)
        From private sources to features, their scale included.
    sensor_noise_std : ndarray of shape (m,)
        Standard deviation of the white noise added to the features of each view.
    seed : int or None
        The integer given as `random_state`; None where it was a generator or None.

    Examples
    --------
    >>> from mvica.datasets import make_multiview_ica
    >>> make_multiview_ica(3, 100, 2, n_features=[4, 5, 6], random_state=0)
    MultiViewDataset(make_multiview_ica(sources='laplace'): 3 views of 100 samples and 4, 5, 6
        features; 2 shared sources; noise std 1; private ranks 0, 0, 0; float64; seed 0)
    """

    name: str
    views: list
    sources: np.ndarray
    mixings: list
    noise_variances: np.ndarray
    private_sources: list
    private_mixings: list
    sensor_noise_std: np.ndarray
    seed: int | None

    @property
    def n_views(self):
        """Number of views m."""
        return len(self.views)

    @property
    def n_samples(self):
        """Number of samples n."""
        return len(self.sources)

    @property
    def n_components(self):
        """Number of shared sources p."""
        return self.sources.shape[1]

    @property
    def view_sizes(self):
        """Number of features of each view, a tuple."""
        return tuple(X.shape[1] for X in self.views)

    @property
    def noise_std(self):
        """Standard deviation of the noise on the sources, of shape (m, p)."""
        return np.sqrt(self.noise_variances)

    def __repr__(self):
        low, high = self.noise_std.min(), self.noise_std.max()
        noise = f"{low:.3g}" if low == high else f"{low:.3g} to {high:.3g}"
        return (
            f"{type(self).__name__}({self.name}: {self.n_views} views of {self.n_samples} samples"
            f" and {_shorten(self.view_sizes)}\n    features; {self.n_components} shared sources;"
            f" noise std {noise}; private ranks"
            f" {_shorten([P.shape[1] for P in self.private_sources])};"
            f" {self.views[0].dtype}; seed {self.seed})"
        )


def _shorten(numbers, limit=8):
    """Numbers of all views in a line; the first ones where there are many."""
    text = ", ".join(str(number) for number in numbers[:limit])
    return text if len(numbers) <= limit else f"{text}, ..."


def seed_of(random_state):
    """Return the integer seed that a record keeps, None for a generator or None."""
    return int(random_state) if isinstance(random_state, (int, np.integer)) else None
