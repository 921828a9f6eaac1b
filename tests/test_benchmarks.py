"""The benchmark runner: its workloads, its judgement and its tables, on a tiny study."""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.__main__ import STUDIES, main
from benchmarks.iterations import cost
from benchmarks.measure import compare
from benchmarks.solvers import SOLVERS
from benchmarks.table import markdown
from benchmarks.workloads import WORKLOADS, Workload
from mvica.ica.solve import multiview_ica_objective
from mvica.metrics import amari_distance

TINY = Workload("tiny", n_views=3, n_components=3, n_samples=500, sigma=0.5)
OURS, OURS32, PEER, PEER_GROUPICA = SOLVERS[:4]
needs_peer = pytest.mark.skipif(
    not PEER.installed, reason="multiviewica is not installed: pip install 'mvica[bench]'"
)


def objective_by_definition(views, unmixings):
    """The negative log-likelihood with unit noise, written out one view at a time."""
    sources = [view @ W.T for view, W in zip(views, unmixings, strict=True)]
    mean = np.mean(sources, axis=0)
    value = np.log(2 * np.cosh(mean)).sum(axis=1).mean()
    for Y, W in zip(sources, unmixings, strict=True):
        value += 0.5 * ((Y - mean) ** 2).sum(axis=1).mean() - np.log(abs(np.linalg.det(W)))
    return value


def test_workloads_are_seeded_and_centred():
    one, two = TINY.generate(), TINY.generate()
    assert [view.shape for view in one.views] == [(500, 3)] * 3
    np.testing.assert_array_equal(one.views, two.views)
    np.testing.assert_allclose(np.mean(one.views, axis=1), 0, atol=1e-14)


def test_judged_objective_is_the_one_defined():
    data = TINY.generate()
    unmixings = np.linalg.inv(data.mixings)
    judged = multiview_ica_objective(data.views, unmixings, noise=1.0)
    assert judged == pytest.approx(objective_by_definition(data.views, unmixings), abs=1e-10)


@needs_peer
def test_small_workload_has_its_known_optimum():
    # 8.1867132 is the optimum on centred data; the reference stops a little above it.
    data = WORKLOADS["small"].generate()
    fit = PEER.fit(PEER.prepare(data.views))
    reference = multiview_ica_objective(data.views, fit.unmixings)
    assert 8.1867131 < reference < 8.186715
    ours = OURS.fit(data.views)
    assert multiview_ica_objective(data.views, ours.unmixings) == pytest.approx(8.1867132, abs=2e-7)
    assert amari_distance(ours.unmixings, data.mixings) == pytest.approx(0.004456, abs=1e-5)


@needs_peer
def test_packages_reach_the_same_objective_and_solution():
    ours, single, *peers = compare(TINY, [OURS, OURS32, PEER, PEER_GROUPICA], repeats=2)
    assert ours.time_ratio is ours.objective_gap is None
    assert single.objective_gap == pytest.approx(0, abs=1e-5)
    assert ours.warning == single.warning == ""
    for peer in peers:
        assert -1e-9 < peer.objective_gap < 1e-6
        assert peer.amari == pytest.approx(ours.amari, rel=0.05)
        assert peer.time_ratio == peer.seconds / ours.seconds
        assert 0 < ours.n_iter < peer.n_iter
        assert peer.runs == 2


def test_slow_solver_is_not_run_again_and_again(monkeypatch):
    monkeypatch.setattr("benchmarks.measure.PATIENCE", 0.0)
    (row,) = compare(TINY, [OURS32], repeats=5)
    assert row.runs == 1
    assert row.time_ratio is row.objective_gap is None


def test_iteration_cost_is_a_ratio_of_its_two_columns():
    line = cost(replace(TINY, n_samples=300), "float32", repeats=1)
    assert line["dtype"] == "float32"
    assert line["ratio"] == line["iteration seconds"] / line["products seconds"]


def test_command_saves_what_it_prints(tmp_path, capsys):
    main(["small", "iterations", "--repeats", "1", "--out", str(tmp_path)])
    texts = [(tmp_path / f"{name}.md").read_text() for name in ("fits", "iterations")]
    assert capsys.readouterr().out.strip() == "\n".join(texts).strip()
    with (tmp_path / "fits.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [row["solver"] for row in rows] == [s.name for s in SOLVERS if s.installed]
    assert {row["workload"] for row in rows} == {"small"}
    assert (tmp_path / "iterations.csv").exists()
    assert not (tmp_path / "memory.csv").exists()


def test_every_module_with_a_study_is_on_the_command_line():
    folder = Path(__file__).resolve().parents[1] / "benchmarks"
    modules = {path.stem for path in folder.glob("*.py") if "\ndef run(" in path.read_text()}
    assert modules == set(STUDIES)


@pytest.mark.parametrize("arguments", [["nonsense"], ["small", "--repeats", "0"], []])
def test_command_refuses_what_it_does_not_know(arguments, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2
    assert "usage: python -m benchmarks" in capsys.readouterr().err


def test_markdown_leaves_unknown_figures_empty():
    lines = markdown([{"a": None, "objective": 0.5}, {"a": 1.23456, "objective": 211.4500801}])
    assert lines.splitlines()[2:] == ["|  | 0.500000 |", "| 1.23 | 211.450080 |"]
