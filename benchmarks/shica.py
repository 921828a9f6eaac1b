"""Shared ICA with learned noise: time and accuracy next to published figures of the reference."""

import time
import warnings
from dataclasses import dataclass
from statistics import median

from mvica.datasets import make_shica
from mvica.metrics import amari_distance

SECOND_ORDER, LIKELIHOOD = "ShICAJ", "ShICAML"
# Published medians of the reference package on the same seeds, data not centred: seconds,
# iterations and squared Amari distance.
REFERENCE = {
    ("gauss", SECOND_ORDER): (0.071, None, 0.0035),
    ("gauss", LIKELIHOOD): (6.77, 568, 0.00157),
    ("laplace", SECOND_ORDER): (0.047, None, 0.944),
    ("laplace", LIKELIHOOD): (13.9, 938, 0.00742),
    ("half", SECOND_ORDER): (0.088, None, 0.151),
    ("half", LIKELIHOOD): (7.64, 458, 0.00350),
    ("cohort", SECOND_ORDER): (0.63, None, 0.00287),
    ("cohort", LIKELIHOOD): (16.9, 300, 0.00228),
}


@dataclass(frozen=True)
class Workload:
    """Simulated views of one regime; the median over seeds counts."""

    name: str
    scenario: str
    n_views: int
    n_samples: int
    n_components: int
    seeds: tuple

    @property
    def size(self):
        """What the table calls this workload."""
        return f"m={self.n_views} p={self.n_components} n={self.n_samples}"

    def generate(self):
        """Draw the data of all seeds."""
        sizes = self.n_views, self.n_samples, self.n_components
        return [make_shica(self.scenario, *sizes, random_state=seed) for seed in self.seeds]


WORKLOADS = (
    Workload("gauss", "gauss", 5, 1000, 4, (0, 1, 2)),
    Workload("laplace", "laplace", 5, 1000, 4, (0, 1, 2)),
    Workload("half", "half", 5, 1000, 4, (0, 1, 2)),
    Workload("cohort", "cohort", 30, 3000, 10, (0,)),
    Workload("manyviews", "cohort", 100, 3000, 20, (0,)),
)


def models():
    """Name, density and estimator of each line; AVICA is the fit of ShICAML from other starts."""
    from mvica import ShICAJ, ShICAML

    yield SECOND_ORDER, "gaussian", ShICAJ(random_state=0)
    for density in ("paper", "heavy", "adaptive", "gaussian"):
        yield LIKELIHOOD, density, ShICAML(density=density, random_state=0)


def run(repeats, workloads=WORKLOADS):
    """Return the lines of the table: processor seconds are medians over `repeats` fits a seed."""
    rows = []
    for workload in workloads:
        data = workload.generate()
        for name, density, model in models():
            fits = [_measure(model, one, repeats) for one in data]
            seconds, distance, n_iter, gradient = (
                median(column) for column in zip(*fits, strict=True)
            )
            published = REFERENCE.get((workload.name, name), (None, None, None))
            rows.append({
                "workload": workload.name,
                "size": workload.size,
                "solver": name,
                "density": density,
                "seconds": seconds,
                "iterations": n_iter,
                "gradient": gradient,
                "amari": distance,
                "reference seconds": published[0],
                "reference iterations": published[1],
                "reference amari": published[2],
            })  # fmt: skip
    return rows


def _measure(model, data, repeats):
    """Median seconds, and the accuracy of one fit in the scale of its solver."""
    _fit(model, data)  # loads the kernels
    seconds = median(_fit(model, data) for _ in range(repeats))
    unmixings = [U * model.scale_[:, None] for U in model.components_]
    distance = amari_distance(unmixings, data.mixings)
    return seconds, distance, model.n_iter_, model.gradient_norm_


def _fit(model, data):
    start = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(data.views)
    return time.process_time() - start
