import numpy as np
import pytest
from scipy.stats import kurtosis

from mvica.datasets import make_evoked_group
from mvica.metrics import source_error


def test_same_seed_same_bits():
    first, again = make_evoked_group(3, random_state=1), make_evoked_group(3, random_state=1)
    generator = make_evoked_group(3, random_state=np.random.RandomState(1))
    for a, b, c in zip(first.views, again.views, generator.views, strict=True):
        assert a.tobytes() == b.tobytes() == c.tobytes()
    assert make_evoked_group(3, random_state=2).views[0].tobytes() != first.views[0].tobytes()


def test_sources_are_super_gaussian_responses_silent_before_the_stimulus():
    data = make_evoked_group(random_state=0)
    S = data.by_condition(data.sources)
    assert S.shape == (6, 250, 5)
    np.testing.assert_allclose(data.sources.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(data.sources.var(axis=0), 1, rtol=1e-12)
    assert np.all(kurtosis(data.sources) > 1)
    before = S[:, data.times <= 0]
    np.testing.assert_allclose(before, np.broadcast_to(before[:1, :1], before.shape), atol=1e-12)
    assert np.all(np.abs(np.diff(S, axis=1)).max(axis=(0, 1)) < 3)  # smooth: no jump
    peaks = data.times[np.abs(S).mean(axis=0).argmax(axis=0)]
    assert np.all(np.diff(peaks) > 0)
    assert 0.05 < peaks[0] < 0.12
    assert data.times[0] == -0.2
    assert np.isclose(data.times[1] - data.times[0], 1 / data.sfreq)


def test_views_are_sources_noise_and_private_signals_in_the_unit_of_the_view():
    data = make_evoked_group(4, noise_std=0.4, sensor_noise_std=0.2, random_state=0)
    assert data.units == ("T", "V", "a.u.", "T")
    sizes = [np.sqrt(np.mean(X**2)) for X in data.views]
    np.testing.assert_allclose(np.log10(sizes), [-12.6, -5.6, 0.4, -12.6], atol=0.5)
    for v, X in enumerate(data.views):
        rest = X - data.private_sources[v] @ data.private_mixings[v].T
        noise = rest @ np.linalg.pinv(data.mixings[v]).T - data.sources
        sensor = data.sensor_noise_std[v] * np.linalg.norm(np.linalg.pinv(data.mixings[v]), axis=1)
        np.testing.assert_allclose(
            noise.var(axis=0), data.noise_variances[v] + sensor**2, rtol=0.15
        )
    assert np.all((data.noise_std > 0.2) & (data.noise_std < 0.8))


def test_without_noise_the_rank_counts_shared_and_private_signals():
    data = make_evoked_group(
        3, noise_std=0, private_rank=[0, 1, 3], sensor_noise_std=0, random_state=0
    )
    assert [np.linalg.matrix_rank(X) for X in data.views] == [5, 6, 8]


def test_consensus_of_the_views_finds_the_sources_where_variance_does_not():
    data = make_evoked_group(random_state=0)
    S = data.sources
    centred = [X - X.mean(axis=0) for X in data.views]
    bases = [np.linalg.svd(X, full_matrices=False)[0] for X in centred]
    consensus = np.linalg.svd(np.hstack(bases), full_matrices=False)[0][:, :5]
    projected = consensus @ (consensus.T @ S)
    assert source_error(projected, S) < 0.02
    own = bases[0][:, :5]
    assert source_error(own @ (own.T @ S), S) > 0.03


def test_sensors_patterns_and_names_fit_the_views():
    data = make_evoked_group(3, n_features=[40, 60, 80], random_state=0, dtype=np.float32)
    assert [p.shape for p in data.positions] == [(40, 2), (60, 2), (80, 2)]
    assert data.view_names == ("sub-01", "sub-02", "sub-03")
    assert all(np.all(np.linalg.norm(p, axis=1) < 1.2) for p in data.positions)
    assert {X.dtype for X in data.views} == {np.dtype(np.float32)}
    # neighbouring sensors see alike
    for position, A in zip(data.positions, data.mixings, strict=True):
        distance = np.linalg.norm(position[:, None] - position, axis=2) + 9 * np.eye(len(A))
        assert np.all([np.corrcoef(a, a[distance.argmin(axis=1)])[0, 1] > 0.5 for a in A.T])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n_views": 0}, "n_views=0"),
        ({"n_features": 4}, "n_features=4; expected finite values of at least 5"),
        ({"sfreq": 10}, "sfreq=10; expected at least 50"),
        ({"noise_std": -1}, "noise_std=-1"),
        ({"private_rank": [1, 2]}, "private_rank has shape"),
        ({"dtype": "int32"}, "dtype=int32"),
    ],
)
def test_refuses(change, message):
    with pytest.raises(ValueError, match=message):
        make_evoked_group(**{"n_views": 3} | change)
