"""LiMVAM estimators on the published causal workloads, next to lingam and the published figures."""

import sys
import time
import types
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from statistics import median

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks import table
from mvica import DirectLiMVAM, GaussianLiMVAM, ICALiMVAM, PairwiseLiMVAM
from mvica.causal import adjacency_error, order_error
from mvica.datasets import make_limvam


@dataclass(frozen=True)
class Workload:
    """Simulated data, one set a seed."""

    name: str
    kind: str
    n_views: int
    n_variables: int
    n_samples: int
    n_seeds: int
    correlation: float = 1.0

    def draw(self):
        """Data sets of all seeds."""
        sizes = self.n_views, self.n_samples, self.n_variables
        return [
            make_limvam(self.kind, *sizes, correlation=self.correlation, random_state=seed)
            for seed in range(self.n_seeds)
        ]


WORKLOADS = (
    Workload("gauss", "gauss", 6, 5, 1000, 5),
    Workload("shared half", "shared", 5, 4, 1000, 5),
    Workload("wide", "elliptic", 8, 12, 1000, 3),
    Workload("weak small", "gauss", 4, 8, 100, 20, 0.4),
)
# Reference implementation of the paper's authors on the same data, run once on another machine:
# median seconds, median squared error, share of wrong orders, of reversed edges.
PUBLISHED = {
    "gauss": {
        "LiMVAM Direct (published code)": (1.56, 1.6e-4, 0.0, 0.0),
        "LiMVAM Pairwise (published code)": (0.87, 1.6e-4, 0.0, 0.0),
        "LiMVAM ICA-J (published code)": (1.8, 0.37, 0.40, 0.08),
    },
    "shared half": {
        "LiMVAM Direct (published code)": (0.27, 2.0e-4, 0.0, 0.0),
        "LiMVAM Pairwise (published code)": (0.33, 2.0e-4, 0.0, 0.0),
        "LiMVAM ICA-J (published code)": (0.18, 1.2e-3, 0.0, 0.0),
    },
    "wide": {
        "LiMVAM Direct (published code)": (4.8, 7.8e-4, 0.0, 0.0),
        "LiMVAM Pairwise (published code)": (6.6, 7.8e-4, 0.0, 0.0),
        "LiMVAM ICA-J (published code)": (1.1, 36.0, 1.0, 0.39),
    },
    "weak small": {
        "LiMVAM Direct (published code)": (0.028, 0.115, 0.70, 0.095),
        "LiMVAM Pairwise (published code)": (0.081, 0.131, 0.70, 0.093),
        "LiMVAM ICA-J (published code)": (1.1, 49.0, 1.0, 0.32),
    },
}


@dataclass(frozen=True)
class Solver:
    """A way to an order and strengths (m, p, p) from views."""

    name: str
    fit: Callable


def _ours(estimator):
    def fit(views):
        estimator.fit(views)
        return estimator.causal_order_, estimator.adjacency_matrices_

    return fit


SOLVERS = (
    Solver("mvica DirectLiMVAM", _ours(DirectLiMVAM())),
    Solver("mvica PairwiseLiMVAM", _ours(PairwiseLiMVAM())),
    Solver("mvica GaussianLiMVAM exact", _ours(GaussianLiMVAM())),
    Solver("mvica GaussianLiMVAM local", _ours(GaussianLiMVAM(search="local", n_restarts=0))),
    Solver("mvica ICALiMVAM", _ours(ICALiMVAM())),
    Solver("mvica ICALiMVAM, ICA order", _ours(ICALiMVAM(refine=False))),
)


def lingam_solver():
    """Return lingam's multi-group estimator as a solver, or the reason why there is none."""
    found = find_spec("lingam")
    if found is None:
        return "lingam is not installed"
    # Its package module imports plotting and modelling packages that are not compared here.
    package = types.ModuleType("lingam")
    package.__path__ = list(found.submodule_search_locations)
    sys.modules.setdefault("lingam", package)
    try:
        from lingam.multi_group_direct_lingam import MultiGroupDirectLiNGAM
    except ImportError as error:
        return f"lingam cannot be imported: {error}"

    def fit(views):
        model = MultiGroupDirectLiNGAM().fit(list(views))
        return np.array(model.causal_order_), np.array(model.adjacency_matrices_)

    return Solver("lingam MultiGroupDirectLiNGAM", fit)


def run(repeats):
    """Fit all workloads with all solvers; one dictionary a line of the table."""
    peer = lingam_solver()
    solvers = SOLVERS if isinstance(peer, str) else (*SOLVERS, peer)
    if isinstance(peer, str):
        print(peer, file=sys.stderr)
    with threadpool_limits(1):
        return [row for workload in WORKLOADS for row in _compare(workload, solvers, repeats)]


def _compare(workload, solvers, repeats):
    print(f"causal discovery, {workload.name} ...", file=sys.stderr, flush=True)
    data = workload.draw()
    results = [_timed(solver, data)[1] for solver in solvers]  # also loads the kernels
    seconds = [[] for _ in solvers]
    for _ in range(repeats):  # in turns, so that a busy machine slows all alike
        for solver, times in zip(solvers, seconds, strict=True):
            times.append(_timed(solver, data)[0])
    for solver, found, times in zip(solvers, results, seconds, strict=True):
        errors = [
            adjacency_error(B, d.adjacency_matrices) for (_, B), d in zip(found, data, strict=True)
        ]
        wrong = [np.any(order != d.causal_order) for (order, _), d in zip(found, data, strict=True)]
        edges = [
            order_error(order, d.adjacency_matrices)
            for (order, _), d in zip(found, data, strict=True)
        ]
        figures = median(times), median(errors), float(np.mean(wrong)), float(np.mean(edges))
        yield _row(workload, solver.name, figures)
    for name, figures in PUBLISHED[workload.name].items():
        yield _row(workload, name, figures)


def _row(workload, solver, figures):
    names = ("seconds", "squared error", "wrong orders", "reversed edges")
    sizes = f"m={workload.n_views} p={workload.n_variables} n={workload.n_samples}"
    return {"workload": workload.name, "size": sizes, "solver": solver} | dict(
        zip(names, figures, strict=True)
    )


def _timed(solver, data):
    """Median processor seconds of a fit, and what was found for each data set."""
    seconds, found = [], []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for one in data:
            start = time.process_time()
            found.append(solver.fit(one.views))
            seconds.append(time.process_time() - start)
    return median(seconds), found


if __name__ == "__main__":
    print(table.markdown(run(3)))
