"""Times, objectives and accuracies of all installed packages on one workload."""

import time
import warnings
from dataclasses import dataclass, replace
from statistics import median

from benchmarks.solvers import NOISE, OURS
from mvica.ica.solve import multiview_ica_objective
from mvica.metrics import amari_distance

PATIENCE = 100.0  # seconds of timed runs after which a solver is not run again


@dataclass(frozen=True)
class Row:
    """One line of the table: one package on one workload."""

    workload: str
    size: str
    solver: str
    seconds: float
    runs: int
    n_iter: int | None
    objective: float
    amari: float
    first_call_seconds: float
    warning: str
    time_ratio: float | None = None  # times the seconds of this package
    objective_gap: float | None = None  # objective above this package's: positive is worse


def compare(workload, solvers, repeats):
    """Fit one workload with every solver, taking turns so that a busy machine slows all alike.

    Seconds are of processor time: with one thread they are what an idle machine's clock would show.
    """
    data = workload.generate()
    runs = [_Run(solver, solver.prepare(data.views)) for solver in solvers]
    for run in runs:
        run.first_call()
    for _ in range(repeats):
        for run in runs:
            run.time_once()
    rows = [run.row(workload, data) for run in runs]
    ours = next((row for row in rows if row.solver == OURS), None)
    return [_relative_to(row, ours) for row in rows]


class _Run:
    """The repeated fits of one solver on one data set."""

    def __init__(self, solver, data):
        self.solver, self.data = solver, data
        self.seconds = []

    def first_call(self):
        """Fit before the timing: load kernels, count iterations, keep warnings."""
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            fit = self.solver.first_fit or self.solver.fit
            self.first_seconds, self.fit = _timed(fit, self.data)
        self.warning = "; ".join(sorted({str(w.message).splitlines()[0] for w in caught}))
        self.n_iter = self.fit.n_iter

    def time_once(self):
        if sum(self.seconds) > PATIENCE:
            return
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # reported from the first call
            seconds, self.fit = _timed(self.solver.fit, self.data)
        self.seconds.append(seconds)

    def row(self, workload, data):
        return Row(
            workload=workload.name,
            size=workload.size,
            solver=self.solver.name,
            seconds=median(self.seconds),
            runs=len(self.seconds),
            n_iter=self.n_iter,
            objective=multiview_ica_objective(data.views, self.fit.unmixings, noise=NOISE),
            amari=amari_distance(self.fit.unmixings, data.mixings),
            first_call_seconds=self.first_seconds,
            warning=self.warning,
        )


def _timed(function, *arguments):
    start = time.process_time()
    result = function(*arguments)
    return time.process_time() - start, result


def _relative_to(row, ours):
    if ours is None or row is ours:
        return row
    gap = row.objective - ours.objective
    return replace(row, time_ratio=row.seconds / ours.seconds, objective_gap=gap)
