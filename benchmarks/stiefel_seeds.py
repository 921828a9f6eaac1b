"""The default settings of CCA on ten fresh seeds: gap and violation of the constraint."""

from dataclasses import dataclass

import numpy as np

from benchmarks.stiefel_workloads import simulated, split_digits
from mvica.stiefel.cca_landing import cca_landing
from mvica.stiefel.cca_problem import Settings
from mvica.stiefel.cca_rows import CenteredRows, feature_statistics
from mvica.stiefel.cca_rr import block_rayleigh_ritz
from mvica.stiefel.cca_solve import solve
from mvica.stiefel.preconditioner import sampled_start
from mvica.stiefel.streams import ArrayRows

N_COMPONENTS, OVERSAMPLING, SEEDS = 5, 3, range(100, 110)


@dataclass(frozen=True)
class Workload:
    """A family of data sets, one a seed."""

    name: str
    n_samples: int
    n_features: int
    condition: float
    n_epochs: int = 5
    batch_size: int | None = None
    degrees: int | None = None

    def generate(self, seed):
        """Draw the views and ridges of a seed; digits are the same for all."""
        if self.name == "digits":
            return split_digits()
        size = self.n_samples, self.n_features, self.condition
        return simulated(*size, seed=seed, degrees=self.degrees), [0.0, 0.0]


WORKLOADS = (
    Workload("digits", 1797, 32, 567, n_epochs=40, batch_size=128),
    Workload("mnist size", 60_000, 392, 1e3),
    Workload("condition 1e2", 40_000, 200, 1e2),
    Workload("condition 1e6", 40_000, 200, 1e6),
    Workload("heavy tails (t, 4)", 50_000, 200, 1e4, degrees=4),
    Workload("small batches (d/2)", 40_000, 200, 1e4, batch_size=100),
)


def run(repeats, workloads=WORKLOADS, seeds=SEEDS):
    """Return the lines of the table; the seeds, not `repeats`, say how often a fit is repeated."""
    rows = []
    for workload in workloads:
        fits = [measure(workload, seed) for seed in seeds]
        passes, landing, violation, n_iter = (np.array(c) for c in zip(*fits, strict=True))
        rows.append({
            "workload": workload.name,
            "samples": workload.n_samples,
            "features": workload.n_features,
            "batch size": workload.batch_size or "default",
            "epochs": workload.n_epochs,
            "seeds": len(fits),
            "passes": int(n_iter.max()),
            "passes gap, largest": float(passes.max()),
            "landing gap, median": float(np.median(landing)),
            "landing gap, largest": float(landing.max()),
            "violation, median": float(np.median(violation)),
            "violation, largest": float(violation.max()),
        })  # fmt: skip
    return rows


def measure(workload, seed):
    """Gaps of passes and landing, violation before the last rotation, and number of passes."""
    views, ridges = workload.generate(seed)
    rows, rng = ArrayRows(views), np.random.RandomState(seed)
    exact = solve(rows, Settings(N_COMPONENTS, "direct", ridges, False, False, rng))
    data = CenteredRows(rows, feature_statistics(rows), exact.scales, ridges)
    inverses, start = sampled_start(data, N_COMPONENTS + OVERSAMPLING, rng)
    passes = block_rayleigh_ritz(data, inverses, start, N_COMPONENTS, tol=1e-5, max_iter=100)
    landing = cca_landing(
        data, inverses, start, n_epochs=workload.n_epochs, batch_size=workload.batch_size, rng=rng
    )
    gaps = [
        float(1 - values[:N_COMPONENTS].sum() / exact.values.sum())
        for values in (passes.values, landing.values)
    ]
    return *gaps, landing.violation, passes.n_iter
