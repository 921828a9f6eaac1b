"""Figures from arrays: what is drawn is what was given, in the unit that the label names."""

import numpy as np
import pytest

from mvica import MVICAD
from mvica.datasets import make_mvicad
from mvica.metrics import view_agreement
from mvica.plotting import (
    plot_causal_graph,
    plot_convergence,
    plot_estimated_vs_true,
    plot_matching,
    plot_noise_levels,
    plot_source_image,
    plot_sources,
    plot_stability,
    plot_timing_vs_age,
    plot_view_matrix,
)
from mvica.timing_statistics import normalise_timing, regress

figure = pytest.importorskip("matplotlib.figure")

M, N, P = 12, 300, 3


@pytest.fixture(scope="module")
def cohort():
    """Sources of a group, aligned and not, with ages and timing."""
    rng = np.random.default_rng(0)
    times = np.arange(N) / 500 - 0.1
    ages = rng.uniform(18, 88, M)
    delays = 0.25e-3 * (ages[:, None] - 53) + rng.normal(0, 2e-3, (M, P))
    dilations = 1 + 0.001 * (ages[:, None] - 53) + rng.normal(0, 0.01, (M, P))
    peaks = np.array([0.08, 0.15, 0.25])

    def waves(t):
        return np.exp(-0.5 * ((t - peaks) / 0.02) ** 2)

    noise = 0.2 * rng.normal(size=(M, N, P))
    aligned = waves(times[:, None])[None] + noise
    own = waves((times[None, :, None] - delays[:, None]) / dilations[:, None]) + noise
    return {
        "times": times,
        "ages": ages,
        "delays": delays,
        "dilations": dilations,
        "shared": aligned.mean(axis=0),
        "aligned": aligned,
        "own": own,
        "peaks": peaks,
    }


# Sources ---------------------------------------------------------------------------------------


def test_aligned_sources_stand_left_and_own_time_right(cohort):
    S, Y, own = cohort["shared"], cohort["aligned"], cohort["own"]
    fig = plot_sources(S, Y, cohort["times"], own_time=own, names=["a", "b", "c"])
    level = S.std(axis=0)
    agreement = view_agreement(list(Y)).mean(axis=0)
    for c in range(P):
        for ax, traces in zip(fig.axes[2 * c : 2 * c + 2], (Y, own), strict=True):
            np.testing.assert_allclose(ax.get_lines()[0].get_ydata(), S[:, c] / level[c])
            drawn = np.array(ax.collections[0].get_segments())[:, :, 1]
            np.testing.assert_allclose(drawn, traces[:, :, c] / level[c])
        expected = f"{'abc'[c]}, agreement {agreement[c]:.2f}"
        assert fig.axes[2 * c].get_title(loc="left") == expected
    assert fig.axes[1].get_title(loc="right") == "in each view's own time"


def test_an_estimator_with_delays_shows_both_times():
    data = make_mvicad(n_views=4, n_samples=300, max_delay=10, noise_std=0.1, random_state=0)
    model = MVICAD(max_delay=10, random_state=0).fit(data.views)
    left, right = plot_sources(model, data.views).axes[:2]
    S = model.transform(data.views)
    level = S[:, 0].std()
    for ax, Y in (
        (left, model.transform_views(data.views, aligned=True)),
        (right, model.transform_views(data.views)),
    ):
        drawn = np.array(ax.collections[0].get_segments())[:, :, 1]
        np.testing.assert_allclose(drawn, np.stack(Y)[:, :, 0] / level)


def test_the_band_holds_the_mean_and_narrows_with_more_views(cohort):
    def band_of(Y):
        ax = plot_sources(Y.mean(axis=0), Y, cohort["times"], band=True).axes[0]
        path = ax.collections[1].get_paths()[0].vertices
        x = cohort["times"][150]
        y = path[np.isclose(path[:, 0], x), 1]
        mean = Y[:, 150, 0].mean() / Y.mean(axis=0)[:, 0].std()
        assert y.min() < mean < y.max()
        return np.ptp(y)

    Y = cohort["aligned"]
    many = np.concatenate([Y] * 16)
    assert band_of(many) == pytest.approx(band_of(Y) / 4, rel=0.25)


def test_ages_colour_the_views(cohort):
    fig = plot_sources(cohort["shared"], cohort["aligned"], ages=cohort["ages"])
    colours = fig.axes[0].collections[0].get_colors()
    luminance = colours[:, :3] @ [0.21, 0.72, 0.07]
    np.testing.assert_array_equal(np.argsort(luminance), np.argsort(cohort["ages"]))
    assert fig.axes[-1].get_ylabel() == "age (years)"


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"by_view": np.zeros((2, 5, 1))}, r"sources has shape \(300, 3\) and by_view \(2, 5, 1\)"),
        ({"own_time": np.zeros((2, 5, 1))}, r"own_time has shape \(2, 5, 1\), expected"),
        ({"ages": [1, 2]}, r"ages has shape \(2,\), expected \(12,\)"),
        ({"names": ["a"]}, "names has 1 names, expected 3"),
        ({"axes": [1, 2]}, "axes holds 2 axes, expected 3"),
    ],
)
def test_sources_must_fit(cohort, changed, message):
    given = {"sources": cohort["shared"], "by_view": cohort["aligned"], **changed}
    with pytest.raises(ValueError, match=message):
        plot_sources(**given)


# Image -----------------------------------------------------------------------------------------


def test_image_rows_are_sorted_and_carry_their_latency(cohort):
    traces, ages = cohort["own"][:, :, 1], cohort["ages"]
    latencies = cohort["peaks"][1] * cohort["dilations"][:, 1] + cohort["delays"][:, 1]
    fig = plot_source_image(traces, cohort["times"], sort_by=ages, latencies=latencies)
    order = np.argsort(ages)
    image = fig.axes[0].images[0]
    expected = traces / traces.std(axis=1, keepdims=True)
    np.testing.assert_allclose(image.get_array(), expected[order])
    left, right, bottom, top = image.get_extent()
    np.testing.assert_allclose([left, right], [-0.101, 0.499])
    assert (bottom, top) == (M - 0.5, -0.5)
    low, high = image.get_clim()
    assert low == -high
    for line in fig.axes[0].lines[:2]:
        np.testing.assert_allclose(line.get_xdata(), latencies[order])
        np.testing.assert_array_equal(line.get_ydata(), np.arange(M))
    assert fig.axes[0].get_ylabel() == "subjects by age (years)"


def test_unknown_ages_come_last_without_a_number(cohort):
    ages = cohort["ages"].copy()
    ages[0] = np.nan
    fig = plot_source_image(cohort["own"][:, :, 0], sort_by=ages)
    trace = cohort["own"][0, :, 0]
    np.testing.assert_allclose(fig.axes[0].images[0].get_array()[-1], trace / trace.std())
    assert fig.axes[0].get_yticks().max() < M - 1


# Timing ----------------------------------------------------------------------------------------


def test_timing_is_drawn_on_the_average_clock_in_ms_and_percent(cohort):
    d, D, ages = cohort["delays"], cohort["dilations"], cohort["ages"]
    fig = plot_timing_vs_age(d, D, ages, robust=True)
    d, D = normalise_timing(d, D)
    for ax, values, zero in zip(fig.axes, (1e3 * d, 100 * D), (0, 100), strict=True):
        reference, points, line, robust = ax.lines
        assert set(reference.get_ydata()) == {zero}
        np.testing.assert_array_equal(points.get_xdata(), ages)
        np.testing.assert_allclose(points.get_ydata(), values.mean(axis=1))
        found = regress(ages, values.mean(axis=1))
        np.testing.assert_allclose(line.get_ydata(), found.predict(line.get_xdata()))
        assert np.ptp(robust.get_ydata()) / np.ptp(robust.get_xdata()) == pytest.approx(
            abs(found.theil_sen)
        )
        assert f"slope {found.slope:+.2g}" in ax.get_title()
        assert f"$R^2$ = {found.r2:.2f}, 12 subjects" in ax.get_title()
    assert fig.axes[0].get_ylabel() == "mean delay (ms)"
    assert fig.axes[1].get_ylabel() == "mean dilation (%)"


def test_timing_of_chosen_and_of_each_component(cohort):
    d, ages = cohort["delays"], cohort["ages"]
    fig = plot_timing_vs_age(d, None, ages, components=[2], normalise=False)
    np.testing.assert_allclose(fig.axes[0].lines[1].get_ydata(), 1e3 * d[:, 2])
    assert len(plot_timing_vs_age(d, d + 1, ages, components="each").axes) == 2 * P
    with pytest.raises(ValueError, match="nothing to draw"):
        plot_timing_vs_age(None, None, ages)
    with pytest.raises(ValueError, match="components='all'"):
        plot_timing_vs_age(d, None, ages, components="all")


def test_view_matrix_is_centred_on_its_neutral_value(cohort):
    values = 100 * cohort["dilations"]
    fig = plot_view_matrix(values, label="dilation (%)", centre=100)
    image = fig.axes[0].images[0]
    np.testing.assert_array_equal(image.get_array(), values)
    assert np.mean(image.get_clim()) == pytest.approx(100)
    assert fig.axes[1].get_ylabel() == "dilation (%)"


def test_estimates_lie_on_the_line_of_the_truth(cohort):
    true = 1e3 * cohort["delays"]
    fig = plot_estimated_vs_true(true + 2, true, label="delay (ms)")
    for c in range(P):
        np.testing.assert_allclose(fig.axes[0].lines[c].get_data(), [true[:, c], true[:, c] + 2])
    assert fig.axes[0].get_title() == "RMS error 2, correlation 1.000"
    with pytest.raises(ValueError, match="shape"):
        plot_estimated_vs_true(true, true[:1])


# Noise, stability, matching ----------------------------------------------------------------------


def test_noise_is_sorted_and_the_noisy_stand_out():
    levels = np.array([[1.0, 1.0], [5.0, 5.0], [1.2, 0.8], [0.9, 0.9], [1.1, 1.1]])
    bars, matrix, aged = plot_noise_levels(levels, [30, 40, 50, 60, 70]).axes[:3]
    heights = [bar.get_height() for bar in bars.patches]
    np.testing.assert_allclose(heights, np.sort(np.sqrt(np.mean(levels**2, axis=1))))
    colours = [bar.get_facecolor() for bar in bars.patches]
    assert colours[:-1] == [colours[0]] * 4 != [colours[-1]] * 4
    np.testing.assert_array_equal(matrix.images[0].get_array()[-1], [5, 5])
    np.testing.assert_array_equal(aged.lines[1].get_data(), [[40], [5]])
    assert [tick.get_text() for tick in bars.get_xticklabels()] == ["3", "0", "2", "4", "1"]


def test_stability_shows_every_resample_and_counts_the_stable():
    r = np.array([[0.9, 0.5], [0.95, 0.9], [0.99, 0.95]])
    ax = plot_stability(r, threshold=0.8).axes[0]
    np.testing.assert_array_equal(ax.lines[0].get_ydata(), r[:, 0])
    np.testing.assert_array_equal(ax.lines[3].get_ydata(), [0.9, 0.9])
    assert ax.get_title() == "1 of 2 components stable"


def test_matching_frames_the_pairs():
    rng = np.random.default_rng(0)
    S = rng.laplace(size=(500, 3))
    E = np.column_stack([rng.normal(size=500), -S[:, 2], S[:, 0], S[:, 1] + S[:, 0]])
    left, right = plot_matching(E, S, names=["x", "y", "z"]).axes[:2]
    correlation = np.abs(np.corrcoef(S.T, E.T)[:3, 3:])
    np.testing.assert_allclose(left.images[0].get_array(), correlation[:, [2, 3, 1, 0]])
    assert [int(tick.get_text()) for tick in left.get_xticklabels()] == [2, 3, 1, 0]
    widths = [bar.get_width() for bar in right.patches]
    np.testing.assert_allclose(widths, [correlation[0, 2], correlation[1, 3], correlation[2, 1]])
    assert right.get_title() == "2 of 3 above 0.9"


# Convergence and graphs --------------------------------------------------------------------------


def test_stages_follow_each_other_with_their_gradients():
    objective = {"start": [5.0, 3.0], "joint": [3.0, 2.0, 1.9]}
    gradient = {"start": [1.0, 0.1], "joint": [0.1, 0.01, 1e-6]}
    left, right = plot_convergence(objective, gradient, tol=1e-5).axes
    np.testing.assert_array_equal(left.lines[1].get_data(), [[1, 2, 3], objective["joint"]])
    np.testing.assert_array_equal(right.lines[1].get_data(), [[1, 2, 3], gradient["joint"]])
    assert right.get_yscale() == "log"
    assert right.lines[2].get_ydata() == [1e-5, 1e-5]
    assert [text.get_text() for text in left.get_legend().get_texts()] == ["start", "joint"]
    with pytest.raises(ValueError, match=r"gradient has the stages \['start'\]"):
        plot_convergence(objective, {"start": [1.0]})


def test_without_gradients_the_distance_to_the_end_is_drawn():
    right = plot_convergence([3.0, 2.0, 1.5]).axes[1]
    np.testing.assert_allclose(right.lines[0].get_data(), [[0, 1], [1.5, 0.5]])
    with pytest.raises(ValueError, match="holds no values"):
        plot_convergence([])


def test_graph_draws_the_strongest_effects_from_cause_to_effect():
    B = np.zeros((4, 4))
    B[1, 0], B[2, 0], B[3, 1] = 0.9, -0.5, 0.1
    matrix, graph = plot_causal_graph(B, list("abcd"), top=2).axes[:2]
    np.testing.assert_array_equal(matrix.images[0].get_array(), B)
    assert matrix.images[0].get_clim() == (-0.9, 0.9)
    assert (matrix.get_xlabel(), matrix.get_ylabel()) == ("cause", "effect")
    arrows = [patch for patch in graph.patches if hasattr(patch, "get_arrowstyle")]
    assert len(arrows) == 2
    start, end = arrows[-1]._posA_posB  # the strongest is drawn last: a -> b
    np.testing.assert_allclose([start, end], [[0, 1], [1, 0]], atol=1e-12)
    widths = [arrow.get_linewidth() for arrow in arrows]
    assert widths[1] > widths[0]
    with pytest.raises(ValueError, match=r"positions have shape \(1, 2\)"):
        plot_causal_graph(B, positions=[[0, 0]])


# All ---------------------------------------------------------------------------------------------


def all_figures(m, p, n=80):
    rng = np.random.default_rng(0)
    Y = rng.laplace(size=(m, n, p))
    times = np.arange(n) / 100 - 0.2
    ages = rng.uniform(18, 88, m)
    names = [f"sub-{v:03d}_a-long-name" for v in range(m)]
    delays = 0.01 * rng.normal(size=(m, p))
    halves = [("audio/600Hz", 0), ("vis/checker", n // 2)]
    B = np.tril(rng.normal(size=(p, p)), -1)
    labels = [f"a-long-name-of-a-parcel_{c}-lh" for c in range(p)]
    yield plot_sources(Y.mean(axis=0), Y, times, own_time=Y, ages=ages, band=True)
    yield plot_sources(Y.mean(axis=0), Y, np.tile(times[: n // 2], 2), segments=halves)
    yield plot_source_image(Y[:, :, 0], times, sort_by=ages, title="component 0")
    yield plot_source_image(Y[:, :, 0], np.tile(times[: n // 2], 2), segments=halves)
    if m > 2:
        yield plot_timing_vs_age(delays, 1 + delays, ages, robust=True)
    yield plot_view_matrix(delays, label="delay (ms)", centre=0, view_names=names)
    yield plot_estimated_vs_true(delays, delays, label="delay (ms)")
    yield plot_noise_levels(np.exp(delays), ages, view_names=names)
    yield plot_convergence({"a": [3.0, 2.0], "b": [2.0, 1.0]})
    yield plot_stability(rng.uniform(size=(20, p)), names=labels)
    yield plot_matching(Y[0], Y[1])
    yield plot_causal_graph(B, labels)


@pytest.mark.parametrize(("m", "p"), [(2, 1), (60, 7)])
def test_no_text_lies_on_another(m, p, overlapping):
    for fig in all_figures(m, p):
        assert overlapping(fig) == []


def test_panels_of_other_figures_are_taken(cohort):
    fig = figure.Figure()
    axes = fig.subplots(2, 4)
    d, D, ages = cohort["delays"], cohort["dilations"], cohort["ages"]
    assert plot_timing_vs_age(d, D, ages, axes=axes[0, :2]) is fig
    assert plot_sources(cohort["shared"][:, :1], cohort["own"][:, :, :1], axes=axes[0, 2]) is fig
    assert plot_source_image(cohort["own"][:, :, 0], ax=axes[0, 3]) is fig
    assert plot_convergence([2.0, 1.0], axes=axes[1, :2]) is fig
    assert plot_stability(np.ones((3, 2)), ax=axes[1, 2]) is fig
    assert plot_estimated_vs_true(d, d, ax=axes[1, 3]) is fig
    assert all(ax.has_data() for ax in axes.flat)


def test_show_uses_a_window_of_pyplot(monkeypatch):
    pyplot = pytest.importorskip("matplotlib.pyplot")
    shown = []
    monkeypatch.setattr(pyplot, "show", lambda: shown.append(pyplot.get_fignums()))
    pyplot.switch_backend("Agg")
    fig = plot_stability(np.ones((3, 2)), show=True)
    assert shown == [[fig.number]]
    pyplot.close(fig)
