"""The number of components and the noise level, chosen on views whose truth is known."""

import numpy as np
import pytest

from mvica import AVICA, MVICAD, GroupICA, MultiViewData, MultiViewICA, ShICAML
from mvica.datasets import make_multiview_ica, make_mvicad
from mvica.model_selection import BlockKFold, select_n_components, select_noise
from tests.model_selection.scenarios import NAMES, draw


@pytest.mark.parametrize("name", NAMES)
def test_permutation_finds_the_number_of_shared_components(name):
    views, p = draw(name, 0)
    selection = select_n_components(MultiViewICA(), views, random_state=0)
    assert selection.best == p
    assert selection.scores[p - 1] > selection.threshold > selection.scores[p]


@pytest.mark.parametrize("name", ["gauss", "half"])
def test_held_out_likelihood_of_learned_noise_finds_it_too(name):
    views, p = draw(name, 0)
    selection = select_n_components(
        ShICAML(), views, [p - 1, p, p + 1, p + 2], method="likelihood", cv=4
    )
    assert selection.best == p
    assert np.argmax(selection.mean_scores) == 1


def test_reconstruction_of_left_out_views_finds_it():
    views, p = draw("private", 0)
    grid = [p - 1, p, p + 2]
    selection = select_n_components(MultiViewICA(), views, grid, method="reconstruction", cv=3)
    assert selection.best == p


@pytest.mark.parametrize("method", ["split_samples", "split_views"])
def test_components_beyond_the_shared_ones_are_not_found_twice(method):
    views, p = draw("private", 0)
    grid = range(1, p + 3)
    selection = select_n_components(
        MultiViewICA(), views, list(grid), method=method, n_splits=4, random_state=0
    )
    assert selection.best == p
    assert np.all(selection.scores[:p] > 0.8)
    assert np.all(np.median(selection.scores[p:], axis=1) < selection.threshold)


def test_views_that_share_nothing_are_told_so():
    rng = np.random.default_rng(0)
    views = [rng.standard_normal((400, 6)) for _ in range(4)]
    selection = select_n_components(MultiViewICA(), views, random_state=0)
    assert selection.best == 0
    assert "Nothing is shared" in selection.recommendation


def test_delay_model_predicts_a_left_out_view_in_its_own_time():
    data = make_mvicad(5, 600, 2, n_epochs=2, max_delay=20, random_state=0)
    delayed, fixed = (
        select_n_components(estimator, data.views, [2], method="reconstruction", cv=BlockKFold(2))
        for estimator in (MVICAD(max_delay=20), MultiViewICA())
    )
    assert delayed.mean_scores[0] > fixed.mean_scores[0] + 0.05


def test_forms_of_data_and_processes_do_not_change_the_answer():
    data = make_multiview_ica(4, 300, 2, n_features=5, sensor_noise_std=0.3, random_state=1)
    grid = [1, 2, 3]
    reference = select_n_components(MultiViewICA(), data.views, grid, method="likelihood", cv=3)
    again = [
        select_n_components(
            MultiViewICA(), MultiViewData(data.views), grid, method="likelihood", cv=3, n_jobs=2
        ),
        select_n_components(
            MultiViewICA(view_sizes=4), np.hstack(data.views), grid, method="likelihood", cv=3
        ),
    ]
    for other in again:
        np.testing.assert_array_equal(other.scores, reference.scores)


def test_units_of_views_do_not_matter():
    views, p = draw("gauss", 1)
    scaled = [X * s for X, s in zip(views, (1e-13, 1e-6, 1.0, 1e5, 1e12), strict=True)]
    ours, theirs = (
        select_n_components(ShICAML(), X, [p - 1, p], method="likelihood", cv=3)
        for X in (views, scaled)
    )
    gaps = [np.diff(s.mean_scores) for s in (ours, theirs)]
    np.testing.assert_allclose(*gaps, rtol=1e-4)


@pytest.mark.parametrize("true", [0.1, 1.0, 10.0])
def test_noise_variance_is_found(true):
    # Laplace sources have variance 2 and log cosh wants (pi/2)^2: noise is in the model's units.
    data = make_multiview_ica(6, 2000, 3, noise_std=np.sqrt(true * 2 / 2.47), random_state=0)
    grid = true * np.array([0.01, 0.1, 1.0, 10.0, 100.0])
    selection = select_noise(MultiViewICA(n_components=3), data.views, grid, cv=3)
    assert selection.best == pytest.approx(true)


def test_estimator_is_left_alone():
    views, _ = draw("gauss", 0)
    estimator = MultiViewICA(n_components=2, output="concat")
    select_n_components(estimator, views, [2], method="reconstruction", cv=2)
    assert estimator.get_params()["output"] == "concat"
    assert not hasattr(estimator, "components_")


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"estimator": GroupICA(), "method": "likelihood"}, TypeError, "reconstruction"),
        ({"estimator": "MultiViewICA"}, TypeError, "n_components"),
        ({"method": "guess"}, ValueError, "expected one of"),
        ({"n_components": [0, 1]}, ValueError, "from 1 to 5"),
        ({"n_components": [2, 9]}, ValueError, "from 1 to 5"),
        ({"n_components": [2.5]}, ValueError, "sequence of int"),
        ({"level": 0.0}, ValueError, "probability"),
        ({"method": "split_views", "n_splits": 0}, ValueError, "n_splits"),
        ({"X": [np.zeros((50, 3))]}, ValueError, "one view"),
    ],
)
def test_errors_say_what_to_do(change, error, message):
    data = make_multiview_ica(4, 100, 2, n_features=5, sensor_noise_std=0.3, random_state=0)
    arguments = {"estimator": MultiViewICA(), "X": data.views} | change
    with pytest.raises(error, match=message):
        select_n_components(**arguments)


def test_halves_of_views_need_four_views():
    data = make_multiview_ica(3, 100, 2, random_state=0)
    with pytest.raises(ValueError, match="four or more"):
        select_n_components(MultiViewICA(), data.views, method="split_views")


def test_noise_that_is_learned_cannot_be_selected():
    data = make_multiview_ica(3, 100, 2, random_state=0)
    with pytest.raises(TypeError, match="learns its noise"):
        select_noise(AVICA(), data.views)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("method", ["permutation", "likelihood"])
def test_number_is_found_in_18_of_20_seeds(name, method):
    found = 0
    for seed in range(20):
        views, p = draw(name, seed)
        grid = np.arange(1, p + 4)
        estimator = ShICAML()
        selection = select_n_components(estimator, views, grid, method=method, random_state=seed)
        found += selection.best == p
    assert found >= 18
