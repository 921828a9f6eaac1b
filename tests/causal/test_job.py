"""The command `mvica causal`, from files to the folder of results."""

import csv

import numpy as np
import pytest

import mvica
from mvica import GaussianLiMVAM, ICALiMVAM
from mvica._result_folder import CAUSAL_OUTPUTS
from mvica.causal import PriorKnowledge
from mvica.cli import main
from mvica.datasets import make_limvam

pytest.importorskip("matplotlib")
NAMES = ("task", "left", "right", "front")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Four files with names in the order of the columns, and the data that made them."""
    folder = tmp_path_factory.mktemp("study")
    data = make_limvam("gauss", 4, 400, 4, random_state=0)
    for v, X in enumerate(data.views):
        head = "\t".join(NAMES)
        np.savetxt(folder / f"sub{v}.tsv", X, delimiter="\t", header=head, comments="", fmt="%.17g")
    return folder, data


def table(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_whole_way(files, tmp_path, capsys):
    folder, data = files
    out = tmp_path / "graph"
    assert main(["causal", folder, "-o", out, "--bootstrap", "10", "--block", "4"]) == 0
    order = [NAMES[j] for j in data.causal_order]
    assert f"Causal order: {', '.join(order)}." in capsys.readouterr().out
    assert {path.name for path in out.iterdir()} == set(CAUSAL_OUTPUTS)
    assert [row["variable"] for row in table(out / "order.csv")] == order
    reference = GaussianLiMVAM().fit_named(data.views, NAMES)
    edges = table(out / "edges.csv")
    assert [(e["cause"], e["effect"]) for e in edges] == [
        (e["cause"], e["effect"]) for e in reference.edge_records()
    ]
    i, j = NAMES.index(edges[0]["effect"]), NAMES.index(edges[0]["cause"])
    assert float(edges[0]["pvalue"]) == pytest.approx(reference.edge_pvalues_[i, j], rel=1e-6)
    assert float(edges[0]["ci95_low"]) < float(edges[0]["strength"])
    strengths = table(out / "strengths.csv")
    assert len(strengths) == (reference.adjacency_matrices_ != 0).sum()
    one = next(s for s in strengths if s["view"] == "sub2" and s["cause"] == NAMES[j])
    i = NAMES.index(one["effect"])
    assert float(one["strength"]) == pytest.approx(reference.adjacency_matrices_[2, i, j])
    assert float(one["standard_error"]) == pytest.approx(reference.adjacency_se_[2, i, j])
    model = mvica.load(out / "model.npz")
    np.testing.assert_allclose(model.adjacency_matrices_, reference.adjacency_matrices_)
    page = (out / "report.html").read_text(encoding="utf-8")
    assert page.count("data:image/png;base64") == 3
    assert f"Causal order: {', '.join(order)}." in page
    assert main(["causal", folder, "-o", out, "--method", "direct", "--force"]) == 0
    assert not (out / "order_stability.png").exists()


def test_knowledge_and_methods(files, tmp_path):
    folder, data = files
    first, last = (NAMES[j] for j in data.causal_order[[0, -1]])
    out = tmp_path / "graph"
    options = ["--prune", "bic", "--exogenous", first, "--required", f"{first}:{last}"]
    assert main(["causal", folder, "-o", out, "--method", "pairwise", *options]) == 0
    model = mvica.load(out / "model.npz")
    assert isinstance(model.prior_knowledge, PriorKnowledge)
    assert model.adjacency_matrices_[:, NAMES.index(last), NAMES.index(first)].all()
    out = tmp_path / "own"
    assert main(["causal", folder, "-o", out, "--method", "ica", "--own-orders"]) == 0
    model = mvica.load(out / "model.npz")
    assert type(model) is ICALiMVAM
    assert model.causal_order_.shape == (4, 4)
    assert {row["view"] for row in table(out / "order.csv")} == {f"sub{v}" for v in range(4)}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--own-orders"], "--own-orders is for --method ica"),
        (["--sinks", "nobody"], "no variable 'nobody'"),
        (["--required", "task:left,left:task"], "in a cycle: task, left"),
        (["--bootstrap", "5", "--block", "1000"], "block=1000"),
    ],
)
def test_bad_options_write_nothing(files, tmp_path, capsys, options, message):
    out = tmp_path / "graph"
    assert main(["causal", files[0], "-o", out, *options]) == 2
    assert message in capsys.readouterr().err
    assert not out.exists()


def test_bad_files_are_named(files, tmp_path, capsys):
    folder, data = files
    other = tmp_path / "other.tsv"
    np.savetxt(other, data.views[1], delimiter="\t", header="a\tb\tc\td", comments="")
    first = folder / "sub0.tsv"
    assert main(["causal", first, other, "-o", tmp_path / "graph"]) == 2
    error = capsys.readouterr().err
    assert "other.tsv has the columns a, b, c, d" in error
    flat = data.views[1].copy()
    flat[:, 2] = 3.0
    constant = tmp_path / "constant.tsv"
    np.savetxt(constant, flat, delimiter="\t", header="\t".join(NAMES), comments="")
    assert main(["causal", first, constant, "-o", tmp_path / "graph"]) == 2
    error = capsys.readouterr().err
    assert "constant.tsv" in error
    assert "column 2 is constant" in error


def test_names_must_be_as_many_as_variables(files):
    with pytest.raises(ValueError, match="3 names for 4 variables"):
        GaussianLiMVAM().fit_named(files[1].views, NAMES[:3])
