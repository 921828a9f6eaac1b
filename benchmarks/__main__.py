"""Command line of the benchmarks: `python -m benchmarks paper memory --repeats 5`."""

import argparse
import sys
from importlib import import_module
from pathlib import Path

from threadpoolctl import threadpool_limits

from benchmarks import iterations, measure, memory, table
from benchmarks.solvers import SOLVERS
from benchmarks.workloads import WORKLOADS

# Studies of other families, modules with a function `run(repeats)`, and their titles.
STUDIES = {
    "shica": "Shared sources with learned noise next to published figures",
    "delays": "Delays and dilations",
    "joint_diagonalization": "Joint diagonalisation next to qndiag and pyriemann",
    "causal": "Causal discovery next to lingam",
    "tlnmf": "Transform-learning NMF next to the package of its authors",
    "stiefel_eigen": "Generalized eigenproblems and ICA under orthogonality constraints",
    "stiefel_cca": "Canonical correlations next to scikit-learn and cca-zoo",
    "stiefel_seeds": "Canonical correlations on fresh seeds: gap and violation of the constraint",
    "stiefel_crossover": "Covariances or passes over the data",
}
OTHER = ("iterations", "memory", *STUDIES)


def parse(arguments):
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    names = [*WORKLOADS, *OTHER, "all"]
    parser.add_argument("names", nargs="+", choices=names, metavar="NAME", help=", ".join(names))
    parser.add_argument("--repeats", type=int, default=5, help="timed runs of each fit (default 5)")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"), help="folder")
    chosen = parser.parse_args(arguments)
    if chosen.repeats < 1:
        parser.error("--repeats must be at least 1")
    if "all" in chosen.names:
        chosen.names = names[:-1]
    return chosen


def main(arguments=None):
    """Run the chosen benchmarks, print their tables and save them."""
    chosen = parse(arguments)
    chosen.out.mkdir(parents=True, exist_ok=True)
    for title, name, records in _measure(chosen):
        text = f"# {title}\n\n{table.header(chosen.repeats)}\n{table.markdown(records)}"
        table.write_csv(chosen.out / f"{name}.csv", records)
        (chosen.out / f"{name}.md").write_text(text)
        print(text)


def _measure(chosen):
    """Yield the title, file name and records of each table."""
    with threadpool_limits(1):
        workloads = [WORKLOADS[name] for name in chosen.names if name in WORKLOADS]
        installed = [solver for solver in SOLVERS if solver.installed]
        rows = []
        for workload in workloads:
            print(f"{workload.name} ({workload.size}) ...", file=sys.stderr, flush=True)
            rows += measure.compare(workload, installed, chosen.repeats)
        if rows:
            yield "Fits next to other packages", "fits", [vars(row) for row in rows]
        if "iterations" in chosen.names:
            sized = workloads or WORKLOADS.values()
            pairs = [(w, dtype) for w in sized for dtype in ("float64", "float32")]
            records = [iterations.cost(w, dtype, chosen.repeats) for w, dtype in pairs]
            yield "One iteration next to the two products it needs", "iterations", records
        if "memory" in chosen.names:
            yield "Peak memory of one fit", "memory", [memory.measure()]
        for name in (name for name in chosen.names if name in STUDIES):
            study = import_module(f"benchmarks.{name}")
            yield STUDIES[name], name, study.run(chosen.repeats)


if __name__ == "__main__":
    main()
