import numpy as np
import pytest

from mvica import DirectLiMVAM, GaussianLiMVAM
from mvica.causal import Bootstrap
from mvica.causal import bootstrap as bootstrap_module
from mvica.datasets import make_limvam


@pytest.fixture(scope="module")
def study():
    data = make_limvam("gauss", 4, 300, 4, random_state=0)
    return data, DirectLiMVAM(n_gls=2).fit(data.views)


def test_a_replicate_is_a_fit_to_the_drawn_rows(study, monkeypatch):
    data, model = study
    rows = np.random.default_rng(0).integers(300, size=300)
    monkeypatch.setattr(bootstrap_module, "row_sampler", lambda *_: lambda rng: rows)
    found = model.bootstrap(data.views, 2, random_state=0)
    refit = DirectLiMVAM(n_gls=2).fit([X[rows] for X in data.views])
    np.testing.assert_array_equal(found.orders[1], refit.causal_order_)
    np.testing.assert_allclose(found.adjacency_matrices[0], refit.adjacency_matrices_, atol=1e-10)


def test_rows_are_drawn_for_all_views_together(study, monkeypatch):
    data, model = study
    seen = []

    def keep(self, C, views, *, errors):
        seen.append(C.blocks)
        return model.causal_order_, model.adjacency_matrices_, None, None

    monkeypatch.setattr(DirectLiMVAM, "_discover", keep)
    model.bootstrap(data.views, 20, random_state=0)
    off = ~np.eye(4, dtype=bool)
    drawn = np.mean([np.abs(C[j, j][off]).mean() for C in seen for j in range(4)])
    whole = np.mean([np.abs(model.covariances_[j, j][off]).mean() for j in range(4)])
    assert drawn == pytest.approx(whole, rel=0.05)


def test_seed_decides_and_threads_do_not(study):
    data, model = study
    one = model.bootstrap(data.views, 12, random_state=3)
    two = model.bootstrap(data.views, 12, random_state=3, n_jobs=2)
    np.testing.assert_array_equal(one.adjacency_matrices, two.adjacency_matrices)
    other = model.bootstrap(data.views, 12, random_state=4)
    assert not np.array_equal(one.adjacency_matrices, other.adjacency_matrices)


def test_spread_of_replicates_is_the_standard_error(study):
    data, model = study
    found = model.bootstrap(data.views, 300, random_state=0)
    spread = found.adjacency_matrices.std(axis=0)
    edges = model.adjacency_matrices_ != 0
    ratio = spread[edges] / model.adjacency_se_[edges]
    assert 0.8 < np.median(ratio) < 1.25
    low, high = found.confidence_interval(median=False)
    inside = (low <= data.adjacency_matrices) & (data.adjacency_matrices <= high)
    assert inside[edges].mean() > 0.8


@pytest.mark.parametrize("settings", [{"block": 7}, {"groups": np.repeat(np.arange(30), 10)}])
def test_neighbours_stay_together(settings):
    draw = bootstrap_module.row_sampler(300, settings.get("block"), settings.get("groups"))
    rows = draw(np.random.RandomState(0))
    assert len(rows) == 300
    steps = np.diff(rows) % 300
    assert np.mean(steps == 1) > 0.8
    counts = np.bincount(rows, minlength=300)
    assert counts.max() > 1
    if "groups" in settings:
        np.testing.assert_array_equal(np.ptp(counts.reshape(30, 10), axis=1), 0)


def test_resumes_from_its_file(study, tmp_path, monkeypatch):
    data, model = study
    monkeypatch.setattr(bootstrap_module, "SAVE_EVERY", 4)
    path = tmp_path / "boot.npz"
    whole = model.bootstrap(data.views, 10, random_state=0)
    model.bootstrap(data.views, 6, random_state=0, path=path)
    fits = []
    monkeypatch.setattr(
        DirectLiMVAM, "_discover", _counted(DirectLiMVAM._discover, fits), raising=True
    )
    resumed = model.bootstrap(data.views, 10, random_state=0, path=path)
    assert len(fits) == 4
    np.testing.assert_array_equal(resumed.adjacency_matrices, whole.adjacency_matrices)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["boot.npz"]
    with pytest.raises(ValueError, match="another bootstrap"):
        model.bootstrap(data.views, 10, random_state=1, path=path)
    with pytest.raises(ValueError, match="int as random_state"):
        model.bootstrap(data.views, 10, path=path)


def _counted(function, calls):
    def call(*args, **kwargs):
        calls.append(1)
        return function(*args, **kwargs)

    return call


def test_summaries():
    orders = np.array([[0, 1, 2], [0, 1, 2], [0, 2, 1], [1, 0, 2]])
    B = np.zeros((4, 1, 3, 3))
    B[:, 0, 1, 0] = [1.0, 2.0, 3.0, 0.0]
    B[:, 0, 2, 1] = [1.0, 1.0, 0.0, 1.0]
    found = Bootstrap(orders, B)
    assert found.edge_probability()[1, 0] == 0.75
    assert found.edge_probability(min_effect=1.5)[1, 0] == 0.5
    assert found.direction_probability()[1, 0] == 0.75
    assert found.direction_probability()[0, 1] == 0.25
    np.testing.assert_array_equal(found.order_positions()[0], [0.75, 0.25, 0])
    assert found.path_probability(0, 2) == 0.5
    graph, count = found.graph_counts()[0]
    assert count == 2
    assert graph[1, 0]
    assert graph[2, 1]
    low, high = found.total_effect_interval(level=0.5)
    assert low[2, 0] == 0
    assert high[2, 0] == np.quantile([1, 2, 0, 0], 0.75)


def test_single_view_resamples_its_rows():
    data = make_limvam("shared", 1, 2000, 3, n_gaussian=0, random_state=0)
    model = DirectLiMVAM().fit(data.views)
    found = model.bootstrap(data.views, 10, random_state=0)
    assert (found.orders == data.causal_order).all(axis=1).mean() >= 0.9


def test_other_estimators_and_pruning():
    data = make_limvam("gauss", 3, 300, 4, n_zeros=3, random_state=0)
    model = GaussianLiMVAM(prune="bic").fit(data.views)
    found = model.bootstrap(data.views, 10, random_state=0)
    assert found.edge_probability().max() == 1
    absent = (data.adjacency_matrices == 0).all(axis=0)
    assert found.edge_probability()[absent].mean() < 0.2


def test_bad_settings(study):
    data, model = study
    for settings, message in [
        ({"block": 301}, "block=301"),
        ({"block": 3, "groups": np.zeros(300)}, "not both"),
        ({"groups": np.zeros(20)}, r"shape \(20,\), expected \(300,\)"),
    ]:
        with pytest.raises(ValueError, match=message):
            model.bootstrap(data.views, 5, **settings)
