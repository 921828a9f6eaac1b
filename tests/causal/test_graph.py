import shutil
import sys

import numpy as np
import pandas as pd
import pytest

from mvica import DirectLiMVAM
from mvica.causal.layout import layered_layout
from mvica.causal.plotting import plot_adjacency, plot_graph, plot_order_stability
from mvica.datasets import make_limvam

NAMES = ["left", 'ri"ght', "front", "back"]


@pytest.fixture(scope="module")
def model():
    data = make_limvam("gauss", 4, 400, 4, n_zeros=2, random_state=0)
    return DirectLiMVAM(prune="bic").fit([pd.DataFrame(X, columns=NAMES) for X in data.views])


def test_edge_table_lists_every_edge_once(model):
    table = model.edge_table()
    assert len(table) == (model.adjacency_matrices_ != 0).any(axis=0).sum()
    assert table["standardised"].abs().is_monotonic_decreasing
    for edge in table.itertuples():
        i, j = NAMES.index(edge.effect), NAMES.index(edge.cause)
        own = model.adjacency_matrices_[:, i, j]
        assert edge.strength == np.median(own)
        assert (edge.low, edge.high, edge.views) == (own.min(), own.max(), (own != 0).sum())
        assert edge.pvalue == model.edge_pvalues_[i, j]
    strong = model.edge_table(threshold=0.3)
    assert strong["strength"].abs().min() >= 0.3
    assert len(strong) == (table["strength"].abs() >= 0.3).sum()


def test_networkx_graph_has_the_strengths(model):
    nx = pytest.importorskip("networkx")
    graph = model.to_networkx()
    assert nx.is_directed_acyclic_graph(graph)
    back = nx.to_numpy_array(graph, nodelist=NAMES).T
    np.testing.assert_array_equal(back, model.adjacency_matrix_)
    order = [NAMES[j] for j in model.causal_order_]
    assert sorted(graph, key=lambda name: graph.nodes[name]["position"]) == order
    one = model.to_networkx(threshold=0.1, view=2)
    B = model.adjacency_matrices_[2]
    assert one.number_of_edges() == (np.abs(B) >= 0.1).sum()
    for cause, effect, edge in one.edges(data=True):
        i, j = NAMES.index(effect), NAMES.index(cause)
        assert edge["weight"] == B[i, j]
        assert edge["se"] == model.adjacency_se_[2, i, j]


@pytest.mark.parametrize(
    ("package", "export"), [("networkx", "to_networkx"), ("pandas", "edge_table")]
)
def test_missing_package_is_named(model, monkeypatch, package, export):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ImportError, match=rf'{package}: pip install "mvica\[graph\]"'):
        getattr(model, export)()


def test_dot_text(model):
    text = model.to_dot(threshold=0.3)
    assert text.count(" -> ") == (np.abs(model.adjacency_matrix_) >= 0.3).sum()
    assert '"ri\\"ght";' in text


def test_layout_puts_causes_left_of_effects():
    edges = [(0, 1), (1, 3), (0, 3), (2, 3), (3, 4), (0, 4)]
    position, routes = layered_layout([0, 1, 2, 3, 4], edges)
    for (cause, effect), route in zip(edges, routes, strict=True):
        assert position[cause, 0] < position[effect, 0]
        np.testing.assert_array_equal(route[[0, -1]], position[[cause, effect]])
        np.testing.assert_array_equal(np.diff(route[:, 0]), 1)
    assert len(np.unique(position, axis=0)) == 5
    stops = np.concatenate([route[1:-1] for route in routes] + [position])
    assert len(np.unique(stops, axis=0)) == len(stops)


def test_layout_of_parallel_chains_has_no_crossing():
    edges = [(0, 3), (1, 2), (3, 4), (2, 5)]
    position, _ = layered_layout([0, 1, 2, 3, 4, 5], edges)
    side = np.sign(position[[0, 3, 4], 1]) * np.sign(position[[1, 2, 5], 1])
    assert (side == -1).all()
    assert len(set(np.sign(position[[0, 3, 4], 1]))) == 1


def test_pictures_show_the_graph(model):
    from matplotlib.patches import PathPatch

    fig = plot_graph(model, threshold=0.0)
    graph, spread = fig.axes
    n_edges = (model.adjacency_matrices_ != 0).any(axis=0).sum()
    assert {text.get_text() for text in graph.texts} == set(NAMES)
    lines = [patch for patch in graph.patches if isinstance(patch, PathPatch)]
    assert len(lines) == n_edges == len(spread.get_yticks())
    widths = sorted(line.get_linewidth() for line in lines)
    assert widths[-1] == 5.0
    dots = spread.get_lines()[0].get_xdata()
    scale = model.scale_
    B = model.adjacency_matrices_ * scale[:, None, :] / scale[:, :, None]
    size = np.abs(np.median(B, axis=0))
    i, j = np.unravel_index(size.argmax(), size.shape)
    np.testing.assert_allclose(dots, B[:, i, j])
    shown = plot_adjacency(model).axes[0].images[0].get_array()
    assert np.all(np.triu(shown) == 0)
    result = model.bootstrap([np.asarray(X) for X in model.simulate(50, 0).views], 5)
    heat = plot_order_stability(result, NAMES).axes[0].images[0].get_array()
    np.testing.assert_allclose(heat.sum(axis=1), 1)


# A program dot that writes what Graphviz does: a chain of boxes, each edge a straight line.
DOT = """\
#!{python}
import re, sys
text = sys.stdin.read()
assert "rankdir=LR" in text
place = {{name: k for k, name in enumerate(re.findall(r"^(n\\d+);$", text, re.M))}}
print("graph 1 5 1")
for name, x in place.items():
    print("node", name, x + 3, 2, 0.52, 0.44, name, "solid box black lightgrey")
for a, b in re.findall(r"^(n\\d+) -> (n\\d+);$", text, re.M):
    x, end = place[a] + 3.26, place[b] + 2.64
    print("edge", a, b, 4, x, 2, x, 2.5, end, 2.5, end, 2, "solid black")
print("stop")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="the stand-in for dot is a script")
def test_graphviz_places_variables_and_edges(model, tmp_path, monkeypatch):
    pytest.importorskip("graphviz")
    program = tmp_path / "dot"
    program.write_text(DOT.format(python=sys.executable), encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    fig = model.plot_graph(0.0, layout="dot")
    place = {text.get_text(): text.get_position()[0] for text in fig.axes[0].texts}
    assert [place[NAMES[j]] for j in model.causal_order_] == [0, 1, 2, 3]
    assert_edges_join_their_boxes(fig, model)


@pytest.mark.skipif(shutil.which("dot") is None, reason="Graphviz is not installed")
def test_graphviz_itself(model):
    pytest.importorskip("graphviz")
    assert_edges_join_their_boxes(model.plot_graph(0.0, layout="dot"), model)


def test_own_layout_joins_boxes(model):
    assert_edges_join_their_boxes(model.plot_graph(0.0), model)


def assert_edges_join_their_boxes(fig, model):
    """Curves start right of the cause, and arrowheads end at the left side of the effect."""
    from matplotlib.patches import PathPatch, Polygon

    graph = fig.axes[0]
    place = {text.get_text(): np.array(text.get_position()) for text in graph.texts}
    lines = [patch for patch in graph.patches if isinstance(patch, PathPatch)]
    heads = [patch for patch in graph.patches if isinstance(patch, Polygon)]
    edges = model.edge_records()
    assert len(lines) == len(heads) == len(edges)
    ends = {(edge["cause"], edge["effect"]) for edge in edges}
    for line, head in zip(lines, heads, strict=True):
        start, tip = line.get_path().vertices[0], head.get_xy()[1]
        (edge,) = (
            (a, b)
            for a, b in ends
            if np.allclose(place[a] + [0.26, 0], start, atol=0.02)
            and np.allclose(place[b] - [0.26, 0], tip, atol=0.02)
        )
        ends.remove(edge)
        assert place[edge[0]][0] < place[edge[1]][0]


def test_missing_graphviz_is_named(model, monkeypatch, tmp_path):
    pytest.importorskip("graphviz")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RuntimeError, match=r'program dot of Graphviz.*"apt install graphviz"'):
        model.plot_graph(layout="dot")
    monkeypatch.setitem(sys.modules, "graphviz", None)
    with pytest.raises(ImportError, match=r'package graphviz: pip install "mvica\[graph\]"'):
        model.plot_graph(layout="dot")
    with pytest.raises(ValueError, match="layout='circle'"):
        model.plot_graph(layout="circle")


def test_pictures_of_no_edges():
    data = make_limvam("gauss", 3, 300, 1, random_state=0)
    fig = plot_graph(DirectLiMVAM().fit(data.views))
    assert [text.get_text() for text in fig.axes[0].texts] == ["x0"]
