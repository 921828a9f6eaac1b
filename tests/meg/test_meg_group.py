import gzip
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
from sklearn.base import clone

from mvica import MVICAD, MVICAD2, MultiViewICA, ShICAML
from mvica.datasets import make_meg_group
from mvica.meg import MEGGroup, to_views

mne = pytest.importorskip("mne")

DATA = Path(os.environ.get("MVICA_TEST_DATA", "../shared/data")) / "meg"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason=f"no {DATA}: set MVICA_TEST_DATA")
QUIET = {"verbose": "ERROR"}
# The bounds are tight on purpose: the tests are about what reaches the estimator, not its answer.
BOUNDED = pytest.mark.filterwarnings("ignore:.*of the timings are at:UserWarning")
TOLERANCE = 1e-10
SUBJECTS = [f"CC99990{v}" for v in range(6)]


@pytest.fixture(scope="module")
def study():
    return make_meg_group(6, ch_types=("mag",), sfreq=250.0, max_bads=3, random_state=0)


@pytest.fixture(scope="module")
def group(study):
    ica = MultiViewICA(n_components=8, random_state=0)
    return MEGGroup(ica, n_components=20).fit(study.data, subjects=SUBJECTS)


def error(found, expected):
    return np.abs(found - expected).max() / np.abs(expected).max()


def test_sources_of_the_simulation_are_found(study, group):
    correlations = np.abs(np.corrcoef(study.template.T, group.sources_.T)[:8, 8:])
    assert np.sum(correlations.max(axis=1) > 0.9) >= 6


def test_sign_scale_and_order(group):
    S = group.sources_
    np.testing.assert_allclose(S.std(axis=0), 1, rtol=1e-12)
    assert np.all(S.max(axis=0) + S.min(axis=0) > 0)
    assert np.all(np.diff(np.abs(S).argmax(axis=0)) >= 0)
    np.testing.assert_allclose(np.mean(group.transform(), axis=0), S, atol=1e-10)


def test_order_by_variance_and_of_the_estimator(study, group):
    by_variance = clone(group).set_params(order="variance").fit(group.views_)
    power = np.mean([np.sum(A**2, axis=0) / np.sum(A**2) for A in by_variance.patterns_], axis=0)
    assert np.all(np.diff(power) < 0)
    as_given = clone(group).set_params(order=None).fit(group.views_)
    assert as_given.order_.tolist() == list(range(8))
    with pytest.raises(ValueError, match="order='size', expected one of"):
        MEGGroup(MultiViewICA(), order="size").fit(group.views_)


def test_maps_are_those_of_the_simulation(study, group):
    correlations = np.abs(np.corrcoef(study.template.T, group.sources_.T)[:8, 8:])
    best = [j for j in range(8) if correlations[j].max() > 0.95]
    assert len(best) >= 5
    found = []
    for v, record in enumerate(group.views_.records):
        rows = [study.infos[v]["ch_names"].index(name) for name in record.ch_names]
        for j in best:
            A = group.patterns_[v][:, correlations[j].argmax()]
            found.append(abs(np.corrcoef(A, study.mixing[v][rows, j])[0, 1]))
    assert np.median(found) > 0.9


@BOUNDED
def test_parameters_are_untouched_and_cloned(study):
    ica = MVICAD(n_components=3, max_delay=2, random_state=0)
    group = MEGGroup(ica, n_components=10, noise_cov=None)
    before = group.get_params()
    group.fit(study.data)
    after = group.get_params()
    assert all(before[name] is after[name] for name in before)
    assert not hasattr(ica, "components_")
    assert clone(group).get_params()["estimator__max_delay"] == 2
    assert group.estimator_.epochs_ == (175, 175) or len(group.estimator_.epochs_) == 2


@BOUNDED
def test_timing_estimators_hear_of_segments_and_onset(group):
    lengths = np.diff(group.views_.boundaries).tolist()
    ica = MVICAD2(n_components=2, max_delay=3, max_dilation=1.05, max_iter=30, random_state=0)
    timed = MEGGroup(ica, n_components=8).fit(group.views_)
    assert list(timed.estimator_.epochs) == lengths
    onset = timed.estimator_.onset
    assert abs(group.views_.times[onset]) < 1e-9
    np.testing.assert_allclose(timed.delays_ * 250, timed.estimator_.delays_[:, timed.order_])
    np.testing.assert_array_equal(timed.dilations_, timed.estimator_.dilations_[:, timed.order_])
    own = MEGGroup(ica.set_params(epochs=lengths[::1], onset=7)).fit(group.views_)
    assert own.estimator_.onset == 7
    aligned = timed.get_sources(aligned=True)
    assert aligned[0][0].comment.endswith("(aligned)")
    mean = np.mean([np.hstack([e.data for e in one]) for one in aligned], axis=0).T
    np.testing.assert_allclose(mean, timed.sources_, atol=1e-6)
    params = timed.icas_[1].fit_params["mvica"]
    assert params["estimator"] == "MVICAD2"
    np.testing.assert_allclose(params["delay_s"], timed.delays_[1])
    np.testing.assert_allclose(params["dilation"], timed.dilations_[1])


def test_new_recordings_go_through_what_was_fitted(study, group):
    again = group.transform(study.data)
    for new, old in zip(again, group.transform(), strict=True):
        assert error(new, old) < TOLERANCE
    (one,) = group.transform([study.data[3]], subjects=[SUBJECTS[3]])
    assert error(one, group.transform()[3]) < TOLERANCE
    louder = [[2 * e.data for e in study.data[3]]]
    evokeds = [
        mne.EvokedArray(x, e.info, tmin=e.times[0], comment=e.comment, **QUIET)
        for x, e in zip(louder[0], study.data[3], strict=True)
    ]
    (loud,) = group.transform([evokeds], subjects=[SUBJECTS[3]])
    centred = one - one.mean(axis=0)
    assert error(loud - loud.mean(axis=0), 2 * centred) < TOLERANCE
    with pytest.raises(ValueError, match="data has 1 entries for 6 subjects"):
        group.transform([study.data[0]])
    with pytest.raises(ValueError, match="not among the fitted subjects: nobody"):
        group.transform([study.data[0]], subjects=["nobody"])
    lacking = [e.copy().drop_channels([group.views_.records[0].ch_names[0]]) for e in study.data[0]]
    with pytest.raises(ValueError, match="the recording lacks the channels"):
        group.transform([lacking], subjects=[SUBJECTS[0]])


def test_sources_as_averages_and_of_recordings(study, group):
    Y = group.transform()
    for v, made in enumerate(group.get_sources()):
        assert [e.comment for e in made] == [s["condition"] for s in group.views_.segments]
        assert error(np.hstack([e.data for e in made]).T, Y[v]) < TOLERANCE
        np.testing.assert_allclose(made[0].times, study.data[v][0].times, atol=1e-9)
    names = SUBJECTS[:2]
    for v, made in enumerate(group.get_sources(data=study.data[:2], subjects=names)):
        assert error(np.hstack([e.data for e in made]).T, Y[v]) < TOLERANCE
    with pytest.raises(ValueError, match="give `data`"):
        group.get_sources("raw")


def test_ica_objects_of_subjects_with_their_own_bads(study, group):
    counts = {len(record.ch_names) for record in group.views_.records}
    assert len(counts) > 1
    for v, ica in enumerate(group.icas_):
        first = study.data[v][0]
        Y = group.transform()[v][: len(first.times)]
        assert error(ica.get_sources(first).data.T, Y) < TOLERANCE
        own = first.copy().pick(ica.ch_names, **QUIET)
        assert error(ica.apply(own.copy(), exclude=[], **QUIET).data, own.data) < TOLERANCE
    assert group.icas_ is group.icas_


def test_dipoles_of_the_group(study, group):
    names = list(SUBJECTS[:3])
    fitted = group.fit_dipoles(names)
    assert fitted.positions.shape == (3, 8, 3)
    assert fitted.gof.shape == fitted.distances.shape == (3, 8)
    median = np.median(fitted.positions, axis=0)
    assert fitted.distances[1, 2] == pytest.approx(
        np.linalg.norm(fitted.positions[1, 2] - median[2])
    )
    assert fitted.subjects == tuple(names)


def test_maps_as_evoked_by_name_or_number(study, group):
    by_name, by_number = group.patterns_evoked(SUBJECTS[2]), group.patterns_evoked(2)
    np.testing.assert_array_equal(by_name.data, group.patterns_[2])
    np.testing.assert_array_equal(by_number.data, group.patterns_[2])


def test_units_do_not_matter(study, group):
    other = [[mne.EvokedArray(1e6 * e.data, e.info, e.times[0], e.comment) for e in one]
             for one in study.data]  # fmt: skip
    again = clone(group).fit(other, subjects=SUBJECTS)
    assert error(again.sources_, group.sources_) < 1e-6
    assert error(again.patterns_[0], 1e6 * group.patterns_[0]) < 1e-6


def test_pickle_and_other_estimators(group):
    same = pickle.loads(pickle.dumps(group))
    np.testing.assert_array_equal(same.sources_, group.sources_)
    shica = MEGGroup(ShICAML(n_components=4, random_state=0)).fit(group.views_)
    assert shica.sources_.shape == (group.views_.n_samples, 4)
    with pytest.raises(TypeError, match="gives no components_"):
        MEGGroup(_Nothing()).fit(group.views_)


class _Nothing(MultiViewICA):
    def fit(self, X, y=None):
        return self


def test_raw_recordings_come_back_as_raw():
    rng = np.random.default_rng(0)
    S = rng.laplace(size=(3, 2000))
    info = mne.create_info(8, 100.0, "eeg", **QUIET)
    raws = []
    for _ in range(3):
        x = 1e-6 * (rng.normal(size=(8, 3)) @ S + 0.1 * rng.normal(size=(8, 2000)))
        raw = mne.io.RawArray(x, info, first_samp=100, **QUIET)
        raws.append(raw.set_annotations(mne.Annotations([2.0], [1.0], ["blink"])))
    ica = MultiViewICA(n_components=3, random_state=0)
    group = MEGGroup(ica, picks="eeg", tmin=1.0, tmax=15.0).fit(raws)
    correlations = np.abs(np.corrcoef(S[:, 100:1501], group.sources_.T)[:3, 3:])
    assert correlations.max(axis=1).min() > 0.99
    made = group.get_sources("raw")[1]
    assert made.first_samp == 200
    assert made.annotations.description.tolist() == ["blink"]
    assert error(made.get_data().T, group.transform()[1]) < TOLERANCE
    whole = group.get_sources("raw", data=raws)[1]
    assert whole.n_times == 2000
    assert error(whole.get_data()[:, 100:1501], made.get_data()) < TOLERANCE


@needs_data
def test_real_averages_are_fitted_and_cleaned(tmp_path):
    path = tmp_path / "test-ave.fif"
    path.write_bytes(gzip.decompress((DATA / "test-ave.fif.gz").read_bytes()))
    evokeds = mne.read_evokeds(path, proj=False, **QUIET)
    # Two averages of tones and two of flashes: the views are what one person showed four times.
    views = to_views(evokeds, "meg", n_components=10)
    group = MEGGroup(MultiViewICA(n_components=4, random_state=0)).fit(views)
    assert group.estimator_.converged_
    assert np.median(group.estimator_.agreement_) > 0.5
    for v, ica in enumerate(group.icas_):
        for evoked in evokeds:
            own = evoked.copy().pick(ica.ch_names, **QUIET)
            assert error(ica.apply(own.copy(), exclude=[], **QUIET).data, own.data) < TOLERANCE
        found = ica.get_sources(evokeds[v]).data.T
        assert error(found, group.transform()[v]) < TOLERANCE


@needs_data
def test_real_clean_averages_are_fitted():
    evokeds = mne.read_evokeds(DATA / "test_elekta-ave.fif", proj=False, **QUIET)
    many = [evoked for evoked in evokeds if evoked.nave > 100]
    group = MEGGroup(MultiViewICA(n_components=3, random_state=0), n_components=10).fit(many)
    assert group.sources_.shape == (351, 3)
    assert np.all(np.isfinite(group.patterns_[0]))
    assert 1e-15 < np.abs(group.patterns_[0]).max() < 1e-11
