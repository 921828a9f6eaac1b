import csv
import re
from pathlib import Path

import numpy as np
import pytest

from mvica._result_folder import OUTPUTS
from mvica.cli import main
from mvica.datasets import make_multiview_ica
from mvica.metrics import match_sources
from mvica.persistence import load

pytest.importorskip("matplotlib")

SHORT_OUTPUTS = [name for name in OUTPUTS if name != "sources_excerpt.png"]


@pytest.fixture(scope="module")
def study():
    return make_multiview_ica(4, 400, 3, n_features=[5, 6, 7, 5], noise_std=0.3, random_state=0)


@pytest.fixture(scope="module")
def result(study, tmp_path_factory):
    """One fit that the tests of its files share."""
    base = tmp_path_factory.mktemp("fit")
    for v, view in enumerate(study.views):
        np.save(base / f"s{v}.npy", view)
    files = [str(path) for path in sorted(base.glob("*.npy"))]
    out = base / "out"
    assert main(["fit", *files, "-n", "3", "--sfreq", "200", "-o", str(out)]) == 0
    return out


def table(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_the_folder_holds_what_is_promised(result):
    assert {path.name for path in result.iterdir()} == set(SHORT_OUTPUTS)
    for name in SHORT_OUTPUTS:
        if name.endswith(".png"):
            assert (result / name).read_bytes()[1:4] == b"PNG"


def test_the_sources_are_the_true_ones(result, study):
    sources = np.load(result / "sources.npy")
    assert match_sources(sources, study.sources).correlations.min() > 0.95
    rows = table(result / "sources.csv")
    np.testing.assert_array_equal([float(row["time"]) for row in rows], np.arange(400) / 200)
    columns = [[float(row[f"component{c}"]) for row in rows] for c in range(3)]
    np.testing.assert_array_equal(np.transpose(columns), sources)


def test_the_model_transforms_as_fitted(result, study):
    model = load(result / "model.npz")
    np.testing.assert_array_equal(model.transform(study.views), np.load(result / "sources.npy"))
    rows = table(result / "mixings.csv")
    assert len(rows) == sum(study.view_sizes)
    second = [row for row in rows if row["view"] == "s1"]
    found = [[float(row[f"component{c}"]) for c in range(3)] for row in second]
    np.testing.assert_array_equal(found, model.mixing_[1])
    assert {row["divided_by"] for row in rows} == {"1.0"}


def test_the_quality_of_views(result, study):
    model = load(result / "model.npz")
    rows = table(result / "views.csv")
    assert [row["name"] for row in rows] == ["s0", "s1", "s2", "s3"]
    sources = np.load(result / "sources.npy")
    for v, row in enumerate(rows):
        X = study.views[v]
        assert Path(row["file"]).name == f"s{v}.npy"
        assert (int(row["n_samples"]), int(row["n_features"])) == X.shape
        assert int(row["rank"]) == 3
        fitted = np.column_stack([sources, np.ones(400)])
        left = X - fitted @ np.linalg.lstsq(fitted, X)[0]
        share = 1 - left.var(axis=0).sum() / X.var(axis=0).sum()
        assert float(row["variance_explained"]) == pytest.approx(share, rel=1e-8)
        Y = model.transform_views(study.views)
        others = np.mean([y for u, y in enumerate(Y) if u != v], axis=0)
        agreement = [np.corrcoef(Y[v][:, c], others[:, c])[0, 1] for c in range(3)]
        assert float(row["agreement"]) == pytest.approx(np.mean(agreement))
        assert float(row["noise_variance"]) == pytest.approx(model.noise_variances_[v].mean())


def test_the_report_tells_it_all(result):
    html = (result / "report.html").read_text(encoding="utf-8")
    assert html.count("data:image/png;base64,") == 4
    assert not re.search(r'(src|href)="(?!data:|#)', html)
    for words in ("s3.npy", "converged in", "3 of 3 components agree", "--sfreq 200", "model.npz"):
        assert words in html
    assert ".part" not in html


def test_the_recipe_of_the_report_runs(result, monkeypatch):
    html = (result / "report.html").read_text(encoding="utf-8")
    recipe = re.findall(r"<pre><code>(.*?)</code></pre>", html, re.DOTALL)[-1]
    recipe = recipe.replace("&#x27;", "'").replace("&quot;", '"')
    scope = {}
    exec(recipe, scope)
    np.testing.assert_array_equal(scope["sources"], np.load(result / "sources.npy"))
