"""Maps: units, one colour range a column, medians over the channels that all subjects have."""

import numpy as np
import pytest

from mvica.plotting import plot_topomaps
from mvica.plotting.maps import common_maps, map_agreement

mne = pytest.importorskip("mne")
pytest.importorskip("matplotlib")


@pytest.fixture(scope="module")
def eeg():
    montage = mne.channels.make_standard_montage("biosemi32")
    return mne.create_info(montage.ch_names, 100.0, "eeg").set_montage(montage)


@pytest.fixture(scope="module")
def patterns():
    return list(1e-6 * np.random.default_rng(0).normal(size=(3, 32, 4)))


def maps_of(fig):
    return [ax for ax in fig.axes if ax.images]


def test_grid_has_one_range_a_column_and_its_unit(eeg, patterns):
    fig = plot_topomaps(patterns, eeg)
    grid = np.array(maps_of(fig)).reshape(4, 4)
    for c in range(4):
        shown = [A[:, c] for A in patterns] + [np.median([A[:, c] for A in patterns], axis=0)]
        limit = 1e6 * np.max(np.abs(shown))
        for ax in grid[:, c]:
            np.testing.assert_allclose(ax.images[0].get_clim(), [-limit, limit])
        assert grid[-1, c].get_xlabel() == f"max {limit:.3g} µV"
        r = map_agreement(np.stack(patterns))[c]
        assert grid[0, c].get_title() == f"component {c}\nr = {r:.2f}"
    assert [ax.get_ylabel() for ax in grid[:, 0]] == [
        "median",
        "subject 0",
        "subject 1",
        "subject 2",
    ]


def test_a_strong_sensor_is_where_the_map_is_strong(eeg):
    pattern = np.zeros((32, 1))
    pattern[eeg.ch_names.index("Oz")] = 1e-6
    (ax,) = maps_of(plot_topomaps([pattern], eeg, median=False))
    image = np.nan_to_num(np.asarray(ax.images[0].get_array().filled(0)))
    row, column = np.unravel_index(np.abs(image).argmax(), image.shape)
    assert row < image.shape[0] / 3  # the origin is below: the back of the head
    assert abs(column - image.shape[1] / 2) < image.shape[1] / 8


def test_bad_channels_of_one_subject_leave_the_median(eeg, patterns):
    kept = [i for i in range(32) if i != 5]
    infos = [eeg, mne.pick_info(eeg, kept), eeg]
    shown = [patterns[0], patterns[1][kept], patterns[2]]
    common, info = common_maps(shown, infos)
    assert info.ch_names == [eeg.ch_names[i] for i in kept]
    np.testing.assert_array_equal(common, np.stack(patterns)[:, kept])
    assert len(maps_of(plot_topomaps(shown, infos, components=[1], subjects=[1]))) == 2


def test_agreement_of_maps_knows_no_sign_or_size(patterns):
    same = np.stack([patterns[0], -3 * patterns[0], 1e-9 * patterns[0]])
    np.testing.assert_allclose(map_agreement(same), 1)
    r = np.corrcoef(patterns[0][:, 0], patterns[1][:, 0])[0, 1]
    assert map_agreement(np.stack(patterns[:2]))[0] == pytest.approx(abs(r))


def test_gradiometers_are_drawn_by_their_size():
    if not hasattr(mne.channels, "read_meg_canonical_info"):
        pytest.skip("the table of sensors came with MNE 1.12")
    info = mne.channels.read_meg_canonical_info("neuromag")
    A = 1e-13 * np.random.default_rng(0).normal(size=(306, 2))
    grads = maps_of(plot_topomaps([A], info, ch_type="grad", median=False))
    assert grads[0].images[0].get_clim()[0] == 0
    assert "fT/cm" in grads[0].get_xlabel()
    mags = maps_of(plot_topomaps([A], info, median=False))
    assert mags[0].get_xlabel().endswith("fT")


def test_texts_do_not_overlap(eeg, patterns, overlapping):
    names = ["a-long-subject", "b", "c"]
    assert overlapping(plot_topomaps(patterns, eeg, subject_names=names)) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"patterns": [np.zeros((31, 2))]}, r"pattern of subject 0 has shape \(31, 2\)"),
        ({"ch_type": "mag"}, "no channels of type 'mag'"),
        ({"component_names": ["a"]}, "1 names for 4 components"),
    ],
)
def test_what_does_not_fit_is_refused(eeg, patterns, change, message):
    with pytest.raises(ValueError, match=message):
        plot_topomaps(**{"patterns": patterns, "infos": eeg, **change})
