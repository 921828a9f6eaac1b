"""Times, objectives and accuracies of all installed packages on one workload."""

import time
import warnings
from dataclasses import dataclass
from statistics import median

from benchmarks.solvers import NOISE, REFERENCE
from mvica.ica.multiview_ica import multiview_ica_objective
from mvica.metrics import amari_distance


@dataclass(frozen=True)
class Row:
    """One line of the table: one package on one workload."""

    workload: str
    size: str
    solver: str
    seconds: float
    first_call_seconds: float
    n_iter: int | None
    objective: float
    amari: float
    warning: str
    speedup: float | None = None  # how many times faster than the reference
    objective_gap: float | None = None  # objective above the reference's; negative is better


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
    reference = next((row for row in rows if row.solver == REFERENCE), None)
    return [_relative_to(row, reference) for row in rows]


class _Run:
    """The repeated fits of one solver on one data set."""

    def __init__(self, solver, data):
        self.solver, self.data = solver, data
        self.seconds = []

    def first_call(self):
        """Fit before the timing: load kernels, count iterations, keep warnings."""
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            self.first_seconds, self.fit = _timed(self.solver.fit, self.data)
        self.warning = "; ".join(sorted({str(w.message).splitlines()[0] for w in caught}))
        self.n_iter = self.fit.n_iter
        if self.solver.count is not None:
            self.n_iter = self.solver.count(self.data)

    def time_once(self):
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
            first_call_seconds=self.first_seconds,
            n_iter=self.n_iter,
            objective=multiview_ica_objective(data.views, self.fit.unmixings, noise=NOISE),
            amari=amari_distance(self.fit.unmixings, data.mixings),
            warning=self.warning,
        )


def _timed(function, *arguments):
    start = time.process_time()
    result = function(*arguments)
    return time.process_time() - start, result


def _relative_to(row, reference):
    if reference is None or row is reference:
        return row
    return Row(
        **{
            **vars(row),
            "speedup": reference.seconds / row.seconds,
            "objective_gap": row.objective - reference.objective,
        }
    )
