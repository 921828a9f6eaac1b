"""Stability, intervals that cover, and the test of what is shared."""

import numpy as np
import pytest

from mvica import MVICAD, MultiViewICA, ShICAML
from mvica.datasets import make_multiview_ica, make_mvicad, make_shica
from mvica.metrics import match_sources
from mvica.uncertainty import bootstrap, shared_components_test
from mvica.uncertainty.multiplicity import holm
from mvica.uncertainty.resampling import half_of_views, row_sampler


def test_a_component_that_views_do_not_share_is_not_stable():
    data = make_multiview_ica(
        6, 500, 2, n_features=6, noise_std=0.5, sensor_noise_std=0.5, random_state=0
    )
    model = MultiViewICA(3).fit(data.views)
    result = bootstrap(model, data.views, 20, random_state=0)
    best = np.sort(result.stability)
    assert best[1] > 0.98
    assert best[0] < 0.8
    views = bootstrap(model, data.views, 20, resample="views", random_state=0)
    assert np.sort(views.stability)[0] < 0.8


def test_picture_shows_every_replicate_of_every_component():
    data = make_shica("laplace", 4, 200, 2, random_state=0)
    result = bootstrap(ShICAML().fit(data.views), data.views, 5, random_state=0)
    (ax,) = result.plot().axes
    drawn = [line.get_ydata() for line in ax.lines if line.get_marker() == "."]
    np.testing.assert_array_equal(np.transpose(drawn), result.correlations)


def test_processes_do_not_change_the_replicates():
    data = make_shica("laplace", 4, 200, 2, random_state=0)
    model = ShICAML().fit(data.views)
    one, two = (bootstrap(model, data.views, 4, random_state=1, n_jobs=k) for k in (1, 2))
    np.testing.assert_allclose(one.correlations, two.correlations, rtol=1e-10)


def test_bands_of_shared_sources_cover_the_sources():
    data = make_shica("laplace", 20, 400, 2, random_state=0)
    model = ShICAML().fit(data.views)
    low, high = bootstrap(model, data.views, 40, resample="views", random_state=0).interval(
        "sources_", 0.9
    )
    S = data.sources / data.sources.std(axis=0)
    order, signs, _ = match_sources(S, model.sources_)
    scale = model.sources_.std(axis=0)
    S = S[:, order] * signs * scale
    covered = np.mean((low <= S) & (high >= S))
    assert 0.8 < covered < 0.97


def test_delays_are_sure_where_epochs_are_drawn():
    data = make_mvicad(5, 300, 2, n_epochs=6, max_delay=10, noise_std=0.3, random_state=0)
    model = MVICAD(max_delay=10, epochs=6).fit(data.views)
    result = bootstrap(model, data.views, 8, random_state=0)
    assert np.all(result.standard_error("delays_") < 1)
    assert result.stability.min() > 0.9


def test_views_left_out_of_a_replicate_say_nothing_there():
    data = make_shica("laplace", 4, 200, 2, random_state=0)
    result = bootstrap(ShICAML().fit(data.views), data.views, 6, resample="views", random_state=0)
    missing = np.isnan(result.replicates["noise_variances_"]).all(axis=2)
    assert np.all(missing.sum(axis=1) == 2)
    for v, A in enumerate(result.replicates["mixing_"]):
        np.testing.assert_array_equal(np.isnan(A).all(axis=(1, 2)), missing[:, v])


def test_groups_and_blocks_are_drawn_whole():
    rng = np.random.RandomState(0)
    rows = row_sampler(30, groups=np.repeat(np.arange(5), 6))(rng)
    assert np.all(np.diff(rows.reshape(5, 6)) == 1)
    assert len(half_of_views(7, rng)) == 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_boot": 1}, "at least 2"),
        ({"resample": "rows"}, "'samples' or 'views'"),
        ({"block": 3, "groups": np.zeros(200)}, "not both"),
        ({"groups": np.zeros(200)}, "one group"),
        ({"groups": np.zeros(7)}, "expected"),
        ({"resample": "views", "block": 2}, "resample='samples'"),
    ],
)
def test_impossible_resampling_is_refused(options, message):
    data = make_shica("laplace", 4, 200, 2, random_state=0)
    model = ShICAML().fit(data.views)
    with pytest.raises(ValueError, match=message):
        bootstrap(model, data.views, **options)


def test_one_epoch_cannot_be_resampled():
    data = make_mvicad(3, 300, 2, random_state=0)
    model = MVICAD(max_delay=10).fit(data.views)
    with pytest.raises(ValueError, match="two or more"):
        bootstrap(model, data.views, 4)


def test_shared_components_are_told_from_the_others():
    data = make_multiview_ica(
        6, 600, 2, n_features=6, noise_std=1.0, sensor_noise_std=0.5, random_state=1
    )
    model = MultiViewICA(4).fit(data.views)
    found = shared_components_test(model, data.views, random_state=0)
    order, _, _ = match_sources(model.sources_, data.sources)
    np.testing.assert_array_equal(np.sort(np.flatnonzero(found.shared())), np.sort(order[:2]))


def test_view_that_lacks_a_component_is_named():
    rng = np.random.default_rng(0)
    data = make_multiview_ica(6, 800, 2, noise_std=0.5, random_state=0)
    views = list(data.views)
    S = np.column_stack([data.sources[:, 0], rng.laplace(size=800)])
    views[3] = S @ rng.standard_normal((2, 2)).T
    model = ShICAML(2).fit(views)
    found = shared_components_test(model, views, random_state=0)
    order, _, _ = match_sources(model.sources_, data.sources)
    assert found.p_values[3, order[1]] > 0.05
    assert np.all(np.delete(found.p_values, 3, axis=0) <= 0.01)


def test_holm_correction_is_stepwise():
    np.testing.assert_allclose(holm(np.array([0.01, 0.04, 0.03])), [0.03, 0.06, 0.06])


@pytest.mark.slow
def test_nominal_90_percent_intervals_cover_85_to_95():
    names = ("mixing_", "noise_variances_")
    covered = {name: [] for name in names}
    for seed in range(40):
        views, many = _draw(seed, 1000), _draw(seed, 60000)
        model, truth = ShICAML().fit(views), ShICAML().fit(many)
        order, signs, _ = match_sources(truth.transform(views), model.transform(views))
        result = bootstrap(model, views, 80, random_state=seed)
        values = {
            "mixing_": [A[:, order] * signs for A in truth.mixing_],
            "noise_variances_": list(truth.noise_variances_[:, order]),
        }
        for name in names:
            for low, high, value in zip(*result.interval(name), values[name], strict=True):
                covered[name].append(np.mean((low <= value) & (value <= high)))
    shares = {name: np.mean(covered[name]) for name in names}
    assert all(0.85 < share < 0.95 for share in shares.values()), shares


def _draw(seed, n):
    """Views (5, n, 3) of one model, whose noise differs over views and components."""
    model, signals = np.random.RandomState(seed), np.random.RandomState(seed + n)
    A, std = model.randn(5, 3, 3), model.uniform(0.5, 1.2, (5, 3))
    S = signals.laplace(size=(n, 3)) / np.sqrt(2)
    return [(S + scale * signals.randn(n, 3)) @ B.T for B, scale in zip(A, std, strict=True)]
