import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from mvica import GroupICA, MultiViewData, MultiViewICA
from mvica.plotting import plot_agreement, plot_mixings, plot_objective, plot_sources

pytest.importorskip("matplotlib")


def make_views(m=3, p=2, d=4, n=300):
    rng = np.random.default_rng(0)
    S = rng.laplace(size=(n, p))
    return [
        (S + 0.5 * rng.normal(size=(n, p))) @ rng.normal(size=(p, d + v)) + 10 for v in range(m)
    ]


@pytest.fixture(scope="module")
def views():
    return make_views()


@pytest.fixture(scope="module")
def model(views):
    return MultiViewICA(n_components=2, random_state=0).fit(views)


def fake_model(m, p, d, n, names=False):
    """An estimator of any size at no cost: orthogonal unmixings of random views."""
    rng = np.random.default_rng(0)
    views = [rng.normal(size=(n, d)) for _ in range(m)]
    model = MultiViewICA(random_state=0).fit([view[:, :1] for view in views])
    model.components_ = [np.linalg.qr(rng.normal(size=(d, p)))[0].T for _ in views]
    model.mixing_ = [W.T for W in model.components_]
    model.mean_ = [np.zeros(d)] * m
    model.view_sizes_, model.n_features_in_ = (d,) * m, d * m
    model.noise_variances_ = np.ones((m, p))
    model.agreement_ = rng.uniform(-0.2, 1, size=(m, p))
    return model, views


# Objective ---------------------------------------------------------------------------------------


def test_objective_shows_the_history(model):
    left, right = plot_objective(model).axes
    np.testing.assert_array_equal(left.get_lines()[0].get_ydata(), model.objective_history_)
    gap = model.objective_history_[:-1] - model.objective_history_[-1]
    np.testing.assert_allclose(right.get_lines()[0].get_ydata()[: len(gap)], gap[gap > 0])
    assert right.get_yscale() == "log"
    assert left.get_xlabel() == "iteration"


@pytest.mark.parametrize(("converged", "words"), [(True, "converged"), (False, "NOT converged")])
def test_objective_says_whether_it_converged(converged, words):
    fit = SimpleNamespace(
        objective_history_=[3.0, 2.0, 1.5], gradient_norm_=2e-4, converged_=converged
    )
    title = plot_objective(fit).get_suptitle()
    assert title == f"{words} after 2 iterations, gradient 2.0e-04"


def test_objective_of_one_value_and_of_none():
    fit = SimpleNamespace(objective_history_=[3.0], gradient_norm_=0.0, converged_=True)
    assert plot_objective(fit).axes[1].get_yscale() == "linear"
    with pytest.raises(ValueError, match="has no objective_history_"):
        plot_objective(SimpleNamespace())


# Sources -----------------------------------------------------------------------------------------


def test_sources_in_units_of_the_shared_source(model, views):
    times = np.arange(300) / 100 - 1
    fig = plot_sources(model, views, times)
    S, Y = model.transform(views), model.transform_views(views)
    for c, ax in enumerate(fig.axes):
        x, y = ax.get_lines()[0].get_data()
        np.testing.assert_array_equal(x, times)
        np.testing.assert_allclose(y, S[:, c] / S[:, c].std())
        traces = ax.collections[0].get_segments()
        for v in range(3):
            np.testing.assert_allclose(traces[v][:, 1], Y[v][:, c] / S[:, c].std())
        agreement = model.agreement_[:, c].mean()
        assert ax.get_title(loc="left") == f"component {c}, agreement {agreement:.2f}"
        assert ax.get_lines()[1].get_xdata() == [0, 0]  # the time zero
    assert fig.get_supxlabel() == "time (s)"
    assert fig.get_supylabel() == "source (standard deviations)"
    assert plot_sources(model, views).get_supxlabel() == "sample"


def test_sources_of_any_estimator_and_container(views):
    group = GroupICA(n_components=2, random_state=0).fit(views)
    assert len(plot_sources(group, MultiViewData(views)).axes) == 2


def test_one_view_has_no_agreement(views):
    single = MultiViewICA(n_components=2, random_state=0).fit(views[:1])
    assert plot_sources(single, views[:1]).axes[0].get_title(loc="left") == "component 0"


def test_times_must_fit(model, views):
    with pytest.raises(ValueError, match=r"times has shape \(3,\), expected \(300,\)"):
        plot_sources(model, views, np.arange(3))


def test_segments_carry_their_times_and_names(model, views, overlapping, visible_texts):
    times = np.tile(np.arange(-20, 80) / 100 - 1.5e-9, 3)  # float32 noise on the zero
    segments = [("tone", 0), ("flash", 100), ("a much longer name of a condition" * 3, 200)]
    fig = plot_sources(model, views, times, segments=segments)
    ticks = [tick.get_text() for tick in fig.axes[-1].get_xticklabels()]
    assert ticks == ["0", "0.5"] * 3
    np.testing.assert_array_equal(fig.axes[0].get_xticks(), [20, 70, 120, 170, 220, 270])
    words = [found for found, _ in visible_texts(fig)]
    assert "tone" in words
    assert sum(found.endswith("…") for found in words) == 1
    assert overlapping(fig) == []


def test_long_recordings_are_thinned_to_their_extremes(views):
    model, _ = fake_model(2, 1, 1, 100)
    rng = np.random.default_rng(0)
    long = [rng.normal(size=(50_001, 1)) for _ in range(2)]
    long[0][33_333] = 100
    line = plot_sources(model, long).axes[0].get_lines()[0]
    S = model.transform(long)[:, 0]
    y = line.get_ydata() * S.std()
    assert len(y) <= 4000
    assert y.max() == pytest.approx(S.max())
    assert y.min() == pytest.approx(S.min())
    peak = line.get_xdata()[np.argmax(np.abs(y))]
    assert abs(peak - np.argmax(np.abs(S))) < 30


# Mixings and agreement ---------------------------------------------------------------------------


def test_mixings_in_standard_deviations(model, views):
    fig = plot_mixings(model, views)
    images = [ax.images[0] for ax in fig.axes[:3]]
    for v, image in enumerate(images):
        Y_v = model.transform_view(views[v], v)
        expected = model.mixing_[v] * Y_v.std(axis=0) / views[v].std(axis=0)[:, None]
        np.testing.assert_allclose(image.get_array(), expected, rtol=1e-10)
        assert image.get_clim() == (-1, 1)
    assert [ax.get_title() for ax in fig.axes[:3]] == ["view0", "view1", "view2"]


def test_mixings_do_not_depend_on_units(model, views):
    tiny = [view * 1e-13 for view in views]
    small = MultiViewICA(n_components=2, random_state=0).fit(tiny)
    for a, b in zip(
        plot_mixings(small, tiny).axes[:3], plot_mixings(model, views).axes[:3], strict=True
    ):
        np.testing.assert_allclose(a.images[0].get_array(), b.images[0].get_array(), atol=1e-4)


def test_mixings_without_data_and_of_a_flat_feature(views):
    flat = [np.column_stack([view, np.full(300, 7.3)]) for view in views]
    model = MultiViewICA(n_components=2, random_state=0).fit(flat)
    image = plot_mixings(model, flat).axes[0].images[0].get_array()
    np.testing.assert_array_equal(image[-1], 0)
    image = plot_mixings(model).axes[0].images[0].get_array()
    np.testing.assert_allclose(image, model.mixing_[0] / np.abs(model.mixing_[0]).max())


def test_mixings_of_many_views_say_that_some_are_left_out():
    model, views = fake_model(25, 2, 3, 50)
    fig = plot_mixings(model, views)
    assert len(fig.axes) == 21
    assert fig.get_suptitle() == "Mixing matrices, first 20 of 25 views"


def test_feature_and_view_names(model, views):
    names = [[f"f{i}" for i in range(view.shape[1])] for view in views]
    fig = plot_mixings(model, views, feature_names=names, view_names=["ann", "ben", "cleo"])
    assert fig.axes[1].get_title() == "ben"
    assert [tick.get_text() for tick in fig.axes[0].get_yticklabels()] == names[0]
    with pytest.raises(ValueError, match="view_names has 1 names, expected 3"):
        plot_mixings(model, view_names=["ann"])


def test_agreement_shows_the_correlations(model):
    fig = plot_agreement(model, view_names=["ann", "ben", "cleo"])
    ax = fig.axes[0]
    np.testing.assert_array_equal(ax.images[0].get_array(), model.agreement_)
    assert [number.get_text() for number in ax.texts] == [
        f"{r:.2f}" for r in model.agreement_.ravel()
    ]
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["ann", "ben", "cleo"]
    single = plot_agreement(SimpleNamespace(agreement_=np.full((1, 2), np.nan)))
    assert [number.get_text() for number in single.axes[0].texts] == ["n/a", "n/a"]


# All ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("m", "p", "d"), [(2, 1, 1), (2, 2, 30), (9, 5, 9), (42, 21, 25)])
def test_no_text_lies_on_another(m, p, d, overlapping):
    model, views = fake_model(m, p, d, 60)
    names = [f"sub-{v:03d}_a-long-name-of-a-recording" for v in range(m)]
    features = [[f"MEG {i:04d}-long-name" for i in range(d)]] * m
    times = np.arange(60) / 1000
    figures = [
        plot_sources(model, views, times),
        plot_mixings(model, views, feature_names=features, view_names=names),
        plot_agreement(model, view_names=names),
    ]
    for fig in figures:
        assert overlapping(fig) == []


def test_figures_go_where_they_are_asked_to(model, views):
    figure = pytest.importorskip("matplotlib.figure")
    for plot in (plot_objective, plot_agreement, plot_mixings):
        fig = figure.Figure()
        assert plot(model, fig=fig) is fig
        assert fig.axes
    left, right = figure.Figure(layout="constrained").subfigures(1, 2)
    assert plot_sources(model, views, fig=left) is left
    assert left.axes
    assert not right.axes


def test_no_display_and_no_pyplot_state():
    code = (
        "import io, sys\n"
        "from types import SimpleNamespace\n"
        "from mvica.plotting import plot_agreement\n"
        "picture = io.BytesIO()\n"
        "plot_agreement(SimpleNamespace(agreement_=[[0.1, 0.9]])).savefig(picture)\n"
        "print(picture.getvalue()[1:4].decode(), 'matplotlib.pyplot' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["PNG", "False"]


def test_a_missing_matplotlib_names_the_extra():
    code = (
        "import sys; sys.modules['matplotlib.figure'] = None\n"
        "from types import SimpleNamespace\n"
        "from mvica.plotting import plot_agreement\n"
        "try: plot_agreement(SimpleNamespace(agreement_=[[0.1, 0.9]]))\n"
        "except ImportError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert 'pip install "mvica[plot]"' in done.stdout
