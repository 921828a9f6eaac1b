"""Joint diagonalisation next to qndiag and pyriemann, each criterion on the same sets."""

import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from statistics import median

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks import table
from mvica.joint_diagonalization import joint_diagonalize
from mvica.joint_diagonalization.scenarios import (
    make_lagged_set,
    make_matrix_set,
    make_meg_windows,
    make_sample_covariances,
)

SHORTEST = 5e-3  # seconds: faster solvers are repeated within a timed run
MAX_ITER = 1000


@dataclass(frozen=True)
class Workload:
    """Sets of matrices, solved one after the other, and the criteria that are compared on them."""

    name: str
    draw: Callable
    criteria: tuple
    seeds: tuple = (0,)
    brief: bool = False  # only the reference of each criterion and the default method


@dataclass(frozen=True)
class Solver:
    """A package's method for one criterion; `solve` maps a set to a diagonaliser."""

    criterion: str
    name: str
    package: str
    solve: Callable


def _noisy(K, p):
    def draw(seed):
        return make_matrix_set(K, p, noise=0.1, random_state=seed)

    return Workload(f"noisy-{K}-{p}", draw, ("likelihood",), seeds=(1, 2, 3), brief=True)


ALL = ("likelihood", "rotation", "least squares")
WORKLOADS = (
    Workload("exact", lambda seed: make_matrix_set(100, 40, random_state=seed), ALL),
    Workload("noisy", lambda seed: make_matrix_set(100, 40, noise=0.1, random_state=seed), ALL),
    Workload("meg", lambda seed: make_meg_windows(random_state=seed), ALL),
    Workload("lagged", lambda seed: make_lagged_set(random_state=seed), ALL[1:]),
    Workload("few", lambda seed: make_sample_covariances(10, 20, random_state=seed), ALL),
    Workload(
        "large",
        lambda seed: make_matrix_set(200, 100, noise=0.1, random_state=seed),
        ("likelihood",),
        brief=True,
    ),
    *(_noisy(K, p) for p in (10, 30, 100) for K in (10, 50, 200)),
)


def _ours(method, **options):
    return lambda C: joint_diagonalize(C, method, **options).x


def _qndiag(C):
    from qndiag import qndiag

    return qndiag(C, max_iter=MAX_ITER)[0]


def _qndiag_pham(C):
    from qndiag import ajd_pham

    return ajd_pham(C, max_iter=MAX_ITER)[0]


def _pyriemann(name, transposed=False):
    def solve(C):
        from pyriemann.geometry import ajd

        V = getattr(ajd, name)(C, n_iter_max=MAX_ITER)[0]
        return V.T if transposed else V

    return solve


# The first peer of a criterion is the reference of its speedups.
SOLVERS = (
    Solver("likelihood", "qndiag", "qndiag", _qndiag),
    Solver("likelihood", "qndiag pham", "qndiag", _qndiag_pham),
    Solver("likelihood", "pyriemann pham", "pyriemann", _pyriemann("ajd_pham")),
    Solver("likelihood", "mvica quasi_newton", "mvica", _ours("quasi_newton")),
    Solver("likelihood", "mvica from white", "mvica", _ours("quasi_newton", init="white")),
    Solver("likelihood", "mvica pham", "mvica", _ours("pham")),
    Solver("rotation", "pyriemann rjd", "pyriemann", _pyriemann("rjd", transposed=True)),
    Solver("rotation", "mvica jacobi", "mvica", _ours("jacobi")),
    Solver("rotation", "mvica frobenius", "mvica", _ours("frobenius")),
    Solver("least squares", "pyriemann uwedge", "pyriemann", _pyriemann("uwedge")),
    Solver("least squares", "mvica uwedge", "mvica", _ours("uwedge")),
    Solver("least squares", "mvica ffdiag", "mvica", _ours("ffdiag")),
)


def run(repeats):
    """Time all installed solvers on all workloads; one dictionary a line of the table."""
    with threadpool_limits(1):
        return [row for workload in WORKLOADS for row in _compare(workload, repeats)]


def value(criterion, C, B):
    """Value of a criterion, the same function for every solver."""
    D = B @ C @ B.T
    d = np.einsum("kaa->ka", D)
    if criterion == "likelihood":
        return 0.5 * float(np.mean(np.log(d).sum(axis=1) - np.linalg.slogdet(D)[1]))
    scale = np.mean(d**2, axis=0) ** -0.25 if criterion == "least squares" else np.ones(len(B))
    squares = (scale[:, None] * D * scale) ** 2
    return float(1 - np.einsum("kaa->", squares) / squares.sum())


def _compare(workload, repeats):
    print(f"joint diagonalisation, {workload.name} ...", file=sys.stderr, flush=True)
    sets = [workload.draw(seed).matrices for seed in workload.seeds]
    for criterion in workload.criteria:
        whiten = criterion == "rotation" and workload.name != "lagged"  # those are white already
        data = [_whitened(C) for C in sets] if whiten else sets
        solvers = [s for s in SOLVERS if s.criterion == criterion and find_spec(s.package)]
        if workload.brief:
            solvers = [s for s in solvers if s.name in ("qndiag", "mvica quasi_newton")]
        found = [_first(solver, data) for solver in solvers]
        times = [[] for _ in solvers]
        for _ in range(repeats):  # in turns, so that a busy machine slows all alike
            for solver, (_, inner), seconds in zip(solvers, found, times, strict=True):
                seconds.append(_timed(solver, data, inner)[0])
        reference = median(times[0]) if solvers[0].package != "mvica" else None
        for solver, (diagonalisers, _), seconds in zip(solvers, found, times, strict=True):
            values = [value(criterion, C, B) for C, B in zip(data, diagonalisers, strict=True)]
            yield {
                "workload": workload.name,
                "matrices": len(sets[0]),
                "size": len(sets[0][0]),
                "criterion": criterion,
                "solver": solver.name,
                "seconds": median(seconds),
                "value": float(np.mean(values)),
                "speedup": reference / median(seconds) if reference else None,
            }


def _first(solver, sets):
    """Solve once to load kernels, once to know how often to repeat within a timed run."""
    seconds, diagonalisers = [_timed(solver, sets, 1) for _ in range(2)][1]
    return diagonalisers, max(1, round(SHORTEST / (seconds * len(sets))))


def _timed(solver, sets, inner):
    """Processor seconds per set, and the diagonalisers."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        start = time.process_time()
        for _ in range(inner):
            found = [solver.solve(C) for C in sets]
        return (time.process_time() - start) / (inner * len(sets)), found


def _whitened(C):
    values, vectors = np.linalg.eigh(C.mean(axis=0))
    W = (vectors / np.sqrt(values)).T
    return W @ C @ W.T


if __name__ == "__main__":
    print(table.markdown(run(5)))
