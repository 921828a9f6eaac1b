"""The benchmarks of CCA judge by values that do not come from the solvers."""

from dataclasses import replace

import numpy as np
import pytest

from benchmarks import stiefel_cca, stiefel_crossover, stiefel_disk, stiefel_seeds
from benchmarks.stiefel_workloads import correlations, simulated, split_digits
from mvica import CCA


def test_simulated_views_have_the_correlations_said():
    views = simulated(40_000, 25, 1e2)
    found = CCA(20).fit(views).canonical_correlations_
    np.testing.assert_allclose(found[:10], correlations()[:10], atol=0.02)
    heavy = simulated(40_000, 25, 1e2, degrees=4)[0]
    kurtosis = np.mean(heavy**4, axis=0) / np.mean(heavy**2, axis=0) ** 2
    assert kurtosis.min() > 4


@pytest.mark.parametrize("ridge", [1e-3, 1e-1])
def test_judge_gives_the_objective(ridge):
    views, ridges = split_digits(ridge)
    cca = CCA(5, regularization=ridges).fit(views)
    judge = stiefel_cca.Judge(views, ridges)
    assert judge.sum([W.T for W in cca.components_]) == pytest.approx(cca.objective_, abs=1e-9)
    rng = np.random.default_rng(0)
    assert judge.sum([rng.standard_normal((32, 5)) for _ in range(2)]) < cca.objective_


def test_a_run_gives_one_row_a_solver():
    pytest.importorskip("cca_zoo")
    digits = stiefel_cca.WORKLOADS[0]
    rows = stiefel_cca.run(1, (digits,))
    gaps = {row["solver"]: row["gap"] for row in rows}
    assert gaps["mvica direct"] == 0
    assert gaps["cca-zoo RidgeCCA"] == pytest.approx(0, abs=1e-6)
    assert gaps["mvica lobpcg"] == pytest.approx(0, abs=1e-6)
    assert 0 < gaps["mvica landing"] < 2e-3


def test_seeds_and_crossover_measure_gaps():
    small = replace(stiefel_seeds.WORKLOADS[1], n_samples=4000, n_features=30)
    (row,) = stiefel_seeds.run(1, (small,), seeds=(0, 1))
    assert row["passes gap, largest"] < 1e-6
    assert 0 < row["landing gap, median"] <= row["landing gap, largest"] < 2e-2
    (row,) = stiefel_crossover.run(1, ((2000, 40, 3),))
    assert abs(row["gap"]) < 1e-5
    assert row["auto takes"] == "direct"


def test_views_on_disk_are_fitted_in_little_memory(tmp_path):
    stiefel_disk.write(tmp_path, 3000, 30, 1e2)
    found = stiefel_disk.fit(tmp_path, "lobpcg", 3)
    assert found["solver"] == "lobpcg"
    np.testing.assert_allclose(found["correlations"], correlations()[:3], atol=0.05)
