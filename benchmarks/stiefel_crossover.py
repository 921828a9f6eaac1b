"""Where passes over the data beat covariances: CCA by both, over samples, features, components."""

import time
from statistics import median

import numpy as np

from benchmarks.stiefel_workloads import simulated
from mvica import CCA
from mvica.stiefel.cca_solve import automatic_solver

SIZES = (
    *((n, 200, 5) for n in (20_000, 80_000)),
    *((n, 400, 5) for n in (8000, 16_000, 40_000, 80_000)),
    *((n, 800, 5) for n in (8000, 16_000, 40_000, 80_000)),
    *((n, 1600, 5) for n in (16_000, 40_000, 80_000)),
    (40_000, 800, 20),
    (40_000, 800, 40),
)
CONDITION = 1e4


def run(repeats, sizes=SIZES):
    """Return the lines of the table: median processor seconds of both solvers."""
    rows = []
    for n, d, p in sizes:
        views = simulated(n, d, CONDITION, dtype=np.float32)
        direct, exact = _measure(CCA(p, solver="direct"), views, repeats)
        passes, found = _measure(CCA(p, solver="lobpcg", random_state=0), views, repeats)
        rows.append({
            "samples": n,
            "features": d,
            "components": p,
            "direct seconds": direct,
            "lobpcg seconds": passes,
            "passes": found.n_iter_,
            "gap": 1 - found.objective_ / exact.objective_,
            "times faster": direct / passes,
            "auto takes": automatic_solver(n, d, p, oversampling=3),
        })  # fmt: skip
    return rows


def plot(rows, path):
    """Draw how many times faster passes are, against samples a feature."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import FormatStrFormatter, LogLocator, NullLocator

    figure = Figure(figsize=(8, 4), layout="constrained")
    ax = figure.subplots()
    for d in sorted({row["features"] for row in rows}):
        for p in sorted({row["components"] for row in rows if row["features"] == d}):
            line = [row for row in rows if (row["features"], row["components"]) == (d, p)]
            x = [row["samples"] / d for row in line]
            y = [row["times faster"] for row in line]
            ax.plot(x, y, "o-", label=f"{d} features, {p} components")
    ax.axhline(1, color="0.5", linewidth=1)
    ax.axvline(40, color="0.5", linewidth=1, linestyle=":")
    ax.set(
        xscale="log",
        yscale="log",
        xlabel="samples for each feature",
        ylabel="time of direct / time of passes",
        title="Above the line, passes over the data are faster",
    )
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.set_major_formatter(FormatStrFormatter("%g"))
        axis.set_minor_locator(NullLocator())
    figure.legend(fontsize="small", loc="outside right upper", frameon=False)
    figure.savefig(path, dpi=110)


def _measure(estimator, views, repeats):
    seconds = []
    for _ in range(repeats):
        start = time.process_time()
        estimator.fit(views)
        seconds.append(time.process_time() - start)
    return median(seconds), estimator
