"""Transform-learning NMF next to the authors' package, and the recovery of the transform."""

import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from statistics import mean, median

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits

from benchmarks import table
from mvica.joint_diagonalization import make_frames, tl_nmf
from mvica.joint_diagonalization.transform_scenarios import recovery

WINDOW, COMPONENTS = 40, 4
N_FRAMES = (400, 4000)
SEEDS = (1, 2, 3)  # of the starts; the data have seed 0
PENALTY = 1e-3  # weight of the sum of the activations


@dataclass(frozen=True)
class Solver:
    """A package and an objective; `solve` maps frames and a seed to what it found."""

    name: str
    package: str
    objective: str
    max_iter: int
    solve: Callable


@dataclass(frozen=True)
class Found:
    """Transform (M, M), activations (N, K), dictionary (K, M)."""

    transform: np.ndarray
    activations: np.ndarray
    dictionary: np.ndarray
    n_iter: int


def _ours(**options):
    def solve(X, seed, objective, max_iter):
        result = tl_nmf(
            X,
            COMPONENTS,
            objective=objective,
            alpha=PENALTY * np.mean(X**2),
            max_iter=max_iter,
            random_state=seed,
            **{"tol": 0.0, **options},
        )
        return Found(result.x, result.activations, result.dictionary, result.n_iter)

    return solve


def _tlnmf(X, seed, objective, max_iter):
    with np.errstate():  # importing the package changes NumPy's reaction to overflow for all
        from tlnmf import tl_nmf as reference

        Phi, W, H, _, values = reference(
            np.ascontiguousarray(X.T), COMPONENTS, regul=PENALTY, max_iter=max_iter, tol=0, rng=seed
        )
    return Found(Phi, H.T, W.T, len(values))


DIVERGENCE, LIKELIHOOD = "itakura-saito", "likelihood"
SOLVERS = (
    Solver("tlnmf", "tlnmf", DIVERGENCE, 100, _tlnmf),
    Solver("mvica, its floor and steps", "mvica", DIVERGENCE, 100, _ours(floor=1e-12, n_inner=5)),
    Solver("mvica, its floor", "mvica", DIVERGENCE, 100, _ours(floor=1e-12)),
    Solver("mvica, no floor", "mvica", LIKELIHOOD, 150, _ours(floor=1e-12)),
    Solver("mvica", "mvica", LIKELIHOOD, 150, _ours()),
    Solver("mvica, default stop", "mvica", LIKELIHOOD, 300, _ours(tol=1e-4)),
)


def run(repeats):
    """Time all installed solvers on both data sets; one dictionary a line of the table."""
    with threadpool_limits(1):
        return [row for n_frames in N_FRAMES for row in _compare(n_frames, repeats)]


def value(objective, X, found):
    """Value of an objective, without a floor: the same function for every solver."""
    P = (X @ found.transform.T) ** 2
    V = np.maximum(found.activations @ found.dictionary, 1e-12 * np.mean(X**2))
    P = np.maximum(P, 1e-12 * np.mean(X**2))
    terms = P / V + np.log(V) if objective == LIKELIHOOD else P / V - np.log(P / V) - 1
    return float(terms.sum() + PENALTY * found.activations.sum())


def _compare(n_frames, repeats):
    print(f"transform-learning NMF, {n_frames} frames ...", file=sys.stderr, flush=True)
    truth = make_frames(n_frames, WINDOW, COMPONENTS, random_state=0)
    solvers = [solver for solver in SOLVERS if find_spec(solver.package)]
    for solver in solvers:  # loads the kernels
        _timed(solver, truth.frames[:100], SEEDS[0])
    runs = [[] for _ in solvers]
    for _ in range(repeats):  # in turns, so that a busy machine slows all alike
        for solver, kept in zip(solvers, runs, strict=True):
            kept.append([_timed(solver, truth.frames, seed) for seed in SEEDS])
    seconds = [_per_iteration(kept) for kept in runs]
    reference = seconds[0] if solvers[0].package == "tlnmf" else None
    for solver, kept, each in zip(solvers, runs, seconds, strict=True):
        found = [outcome for _, outcome in kept[0]]
        cosines = [recovery(outcome.transform, truth.transform) for outcome in found]
        yield {
            "frames": n_frames,
            "window": WINDOW,
            "criterion": solver.objective,
            "solver": solver.name,
            "iterations": round(mean(outcome.n_iter for outcome in found)),
            "ms an iteration": 1e3 * each,
            "value": mean(value(solver.objective, truth.frames, outcome) for outcome in found),
            "recovery": mean(cosines),
            "lowest recovery": min(cosines),
            "speedup": reference / each if reference else None,
        }


def _per_iteration(kept):
    return median(seconds / found.n_iter for repeat in kept for seconds, found in repeat)


def _timed(solver, X, seed):
    """Processor seconds, and what was found."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.simplefilter("ignore", RuntimeWarning)
        start = time.process_time()
        found = solver.solve(X, seed, solver.objective, solver.max_iter)
        return time.process_time() - start, found


if __name__ == "__main__":
    print(table.markdown(run(3)))
