"""The benchmark compares methods by values that do not come from them."""

import pytest

from benchmarks import joint_diagonalization as benchmark
from mvica.joint_diagonalization import joint_diagonalize, make_matrix_set


@pytest.mark.parametrize(
    ("criterion", "method"),
    [("likelihood", "pham"), ("least squares", "uwedge"), ("likelihood", "rotation")],
)
def test_values_are_the_objectives_of_the_methods(criterion, method):
    C = make_matrix_set(8, 4, noise=0.2, random_state=0).matrices
    result = joint_diagonalize(C, method)
    assert benchmark.value(criterion, C, result.x) == pytest.approx(result.objective, rel=1e-9)


def test_our_solvers_of_one_criterion_reach_one_value():
    C = make_matrix_set(12, 5, noise=0.05, random_state=0).matrices
    values = {}
    for solver in benchmark.SOLVERS:
        if solver.package == "mvica":
            found = benchmark.value(solver.criterion, C, solver.solve(C))
            assert found == pytest.approx(values.setdefault(solver.criterion, found), rel=1e-4)
    assert set(values) == set(benchmark.ALL)


def test_a_run_gives_one_row_a_solver(monkeypatch):
    few = next(w for w in benchmark.WORKLOADS if w.name == "noisy-10-10")
    monkeypatch.setattr(benchmark, "WORKLOADS", (few,))
    rows = [row for row in benchmark.run(1) if row["solver"].startswith("mvica")]
    assert [row["solver"] for row in rows] == ["mvica quasi_newton"]
    assert (rows[0]["matrices"], rows[0]["size"]) == (10, 10)
    assert rows[0]["seconds"] > 0
