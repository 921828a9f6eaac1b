"""CCA of two large views on disk: memory beyond the file cache, time, and the gap to the truth.

`python -m benchmarks.stiefel_disk FOLDER` writes float32 views there (16 GB by default), fits them
in a process of its own, compares with the solution from all covariances, and deletes them.
"""

import argparse
import json
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np

from benchmarks.stiefel_workloads import ill_conditioned_mixing, latent_rows

BLOCK = 10_000  # rows drawn at a time


def write(folder, n_samples, n_features, condition):
    """Write the two views, block by block."""
    rng = np.random.default_rng(0)
    mixings = [ill_conditioned_mixing(n_features, condition, rng) for _ in range(2)]
    mixings = [T.astype(np.float32) for T in mixings]
    files = [
        np.lib.format.open_memmap(folder / name, "w+", np.float32, (n_samples, n_features))
        for name in ("first.npy", "second.npy")
    ]
    for start in range(0, n_samples, BLOCK):
        latent = latent_rows(min(BLOCK, n_samples - start), n_features, rng, np.float32)
        for file, rows, T in zip(files, latent, mixings, strict=True):
            file[start : start + len(rows)] = rows @ T


def anonymous_memory():
    """Memory of this process that is no file, in MiB (Linux)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("RssAnon")).split()[1]) / 2**10


class PeakMemory(threading.Thread):
    """Largest anonymous memory while the block runs."""

    def __enter__(self):
        self.peak, self._done = anonymous_memory(), threading.Event()
        self.start()
        return self

    def run(self):
        while not self._done.wait(0.05):
            self.peak = max(self.peak, anonymous_memory())

    def __exit__(self, *error):
        self._done.set()
        self.join()


def fit(folder, solver, n_components):
    """Fit the views in this process; return time, memory and correlations."""
    from mvica import CCA

    views = [np.load(folder / name, mmap_mode="r") for name in ("first.npy", "second.npy")]
    start, cpu = time.perf_counter(), time.process_time()
    with PeakMemory(daemon=True) as memory:
        cca = CCA(n_components, solver=solver, random_state=0).fit(views)
    return {
        "solver": cca.solver_,
        "seconds": time.perf_counter() - start,
        "processor seconds": time.process_time() - cpu,
        "peak memory beyond the file cache MiB": round(memory.peak, 1),
        "iterations": cca.n_iter_,
        "converged": cca.converged_,
        "correlations": cca.canonical_correlations_.tolist(),
    }


def main():
    """Write, fit by each solver in a fresh process, print, delete."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.stiefel_disk", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--samples", type=int, default=1_000_000)
    parser.add_argument("--features", type=int, default=2000)
    parser.add_argument("--components", type=int, default=10)
    parser.add_argument("--condition", type=float, default=1e4)
    parser.add_argument("--solvers", nargs="+", default=["lobpcg", "landing", "direct"])
    parser.add_argument("--here", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.here:
        print(json.dumps(fit(chosen.folder, chosen.here, chosen.components)))
        return
    chosen.folder.mkdir(parents=True, exist_ok=True)
    try:
        write(chosen.folder, chosen.samples, chosen.features, chosen.condition)
        for solver in chosen.solvers:
            command = [sys.executable, "-m", "benchmarks.stiefel_disk", str(chosen.folder)]
            command += ["--here", solver, "--components", str(chosen.components)]
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
            print(done.stdout, end="", flush=True)
    finally:
        for name in ("first.npy", "second.npy"):
            (chosen.folder / name).unlink(missing_ok=True)


if __name__ == "__main__":
    main()
