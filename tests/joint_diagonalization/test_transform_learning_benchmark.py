"""The benchmark judges by values that do not come from the solvers."""

import numpy as np
import pytest

from benchmarks import tlnmf as benchmark
from mvica.joint_diagonalization import make_frames, tl_nmf


@pytest.mark.parametrize("criterion", ["likelihood", "itakura-saito"])
def test_value_is_the_objective_of_the_solver(criterion):
    X = make_frames(200, 8, 4, random_state=0).frames
    alpha = benchmark.PENALTY * np.mean(X**2)
    options = {"alpha": alpha, "floor": 1e-12, "tol": 1.0, "random_state": 0}
    result = tl_nmf(X, 4, objective=criterion, **options)
    found = benchmark.Found(result.x, result.activations, result.dictionary, result.n_iter)
    assert benchmark.value(criterion, X, found) == pytest.approx(result.objective, rel=1e-7)


def test_a_run_gives_one_row_a_solver(monkeypatch):
    monkeypatch.setattr(benchmark, "N_FRAMES", (120,))
    few = tuple(solver for solver in benchmark.SOLVERS if solver.package == "mvica")[:2]
    monkeypatch.setattr(benchmark, "SOLVERS", few)
    rows = benchmark.run(1)
    assert [row["solver"] for row in rows] == [solver.name for solver in few]
    for row in rows:
        assert (row["frames"], row["iterations"], row["speedup"]) == (120, 100, None)
        assert row["ms an iteration"] > 0
        assert 0 < row["lowest recovery"] <= row["recovery"] <= 1
