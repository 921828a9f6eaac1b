"""The simulated group studies that every package is timed on."""

from dataclasses import dataclass

import numpy as np

from mvica.datasets import make_multiview_ica


@dataclass(frozen=True)
class Data:
    """Views to fit, and the truth to compare the fit with."""

    views: list  # m arrays (n, p), centred
    mixings: np.ndarray  # (m, p, p)


@dataclass(frozen=True)
class Workload:
    """Laplace sources, Gaussian mixings, noise of deviation `sigma` on the sources."""

    name: str
    n_views: int
    n_components: int
    n_samples: int
    sigma: float

    @property
    def size(self):
        """What the tables call this workload."""
        return f"m={self.n_views} p={self.n_components} n={self.n_samples} sigma={self.sigma:g}"

    def generate(self):
        """Draw the data, the same each time, and centre it: packages differ in whether they do."""
        m, p, n = self.n_views, self.n_components, self.n_samples
        data = make_multiview_ica(m, n, p, noise_std=self.sigma, random_state=0)
        return Data([view - view.mean(axis=0) for view in data.views], np.array(data.mixings))


WORKLOADS = {
    workload.name: workload
    for workload in (
        Workload("small", 5, 5, 1000, 0.5),
        Workload("paper", 10, 15, 1000, 1.0),
        Workload("lownoise", 10, 15, 1000, 0.1),
        Workload("noiseless", 10, 15, 1000, 0.01),
        Workload("largen", 10, 40, 50_000, 1.0),
        Workload("manyviews", 100, 20, 1000, 1.0),
    )
}
