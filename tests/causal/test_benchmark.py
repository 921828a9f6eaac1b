from benchmarks import causal


def test_a_workload_gives_one_row_a_solver_and_the_published_figures():
    workload = causal.WORKLOADS[0]
    rows = list(causal._compare(workload, causal.SOLVERS[:2], 1))
    assert [row["solver"] for row in rows[:2]] == ["mvica DirectLiMVAM", "mvica PairwiseLiMVAM"]
    published = {row["solver"]: row for row in rows[2:]}
    assert set(published) == set(causal.PUBLISHED["gauss"])
    for row in rows[:2]:
        reference = published["LiMVAM Direct (published code)"]
        assert row["wrong orders"] == row["reversed edges"] == 0
        assert row["squared error"] <= reference["squared error"]
        assert row["seconds"] > 0
    assert all(row.keys() == rows[0].keys() for row in rows)
