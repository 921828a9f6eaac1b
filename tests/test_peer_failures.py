"""Cases in which other multi-view ICA packages are silently wrong: here right, or a clear error."""

import warnings

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from mvica import MultiViewICA
from mvica.metrics import amari_distance

LAPLACE = np.random.Generator.laplace


def uniform(rng, size):
    """Sub-Gaussian draws of unit variance."""
    return rng.uniform(-np.sqrt(3), np.sqrt(3), size=size)


def make_views(m=3, p=4, n=2000, widths=None, sigma=0.3, draw=LAPLACE):
    """Views (n, d_v) of shared sources with noise on the sources, and their mixings (d_v, p)."""
    rng = np.random.default_rng(0)
    sources = draw(rng, size=(n, p))
    mixings = [rng.standard_normal((d, p)) for d in widths or [p] * m]
    noisy = [sources + sigma * rng.standard_normal((n, p)) for _ in mixings]
    return [s @ A.T for s, A in zip(noisy, mixings, strict=True)], mixings


def fitted_amari(views, mixings, **parameters):
    """Squared Amari distance of a fit that must not warn."""
    estimator = MultiViewICA(random_state=0, **parameters).fit(views)
    assert estimator.converged_
    return amari_distance(estimator.components_, mixings)


# --- Data that others do not centre, reduce or align --------------------------------------------


@pytest.mark.parametrize("offset", [10.0, 1e6])
def test_data_with_an_offset(offset):
    views, mixings = make_views()
    centred = MultiViewICA(random_state=0).fit(views)
    shifted = MultiViewICA(random_state=0).fit([view + offset for view in views])
    for U, V in zip(centred.components_, shifted.components_, strict=True):
        np.testing.assert_allclose(U, V, rtol=1e-4, atol=1e-6 * np.abs(U).max())
    assert amari_distance(shifted.components_, mixings) < 0.005


def test_one_view_is_plain_ica():
    views, mixings = make_views(m=1, sigma=0.0)
    estimator = MultiViewICA(random_state=0).fit(views)
    assert estimator.converged_
    assert np.isfinite(estimator.objective_)
    assert np.isnan(estimator.agreement_).all()
    assert amari_distance(estimator.components_, mixings) < 0.005


@pytest.mark.parametrize("reduction", ["mcca", "pca", "srm", "grouppca"])
def test_views_of_unequal_width(reduction):
    views, mixings = make_views(p=4, widths=[6, 9, 5, 12])
    assert fitted_amari(views, mixings, n_components=4, reduction=reduction) < 0.005


def test_rank_deficient_view_with_as_many_components_as_its_rank():
    views, mixings = make_views(p=4, widths=[4, 6, 6])
    views[1] = np.column_stack([views[1], views[1][:, 0] - views[1][:, 1]])
    mixings[1] = np.vstack([mixings[1], mixings[1][0] - mixings[1][1]])
    assert fitted_amari(views, mixings, n_components=4) < 0.005


def test_rank_deficient_view_is_reduced_to_its_rank_with_a_warning():
    views, mixings = make_views(p=4)
    views = [np.column_stack([view, view.sum(axis=1)]) for view in views]
    mixings = [np.vstack([A, A.sum(axis=0)]) for A in mixings]
    with pytest.warns(UserWarning, match="rank 4"):
        estimator = MultiViewICA(random_state=0).fit(views)
    assert estimator.converged_
    assert [U.shape for U in estimator.components_] == [(4, 5)] * 3
    assert list(estimator.rank_) == [4, 4, 4]
    assert amari_distance(estimator.components_, mixings) < 0.005


def test_too_many_components_are_refused_before_the_fit():
    views, _ = make_views(p=6, widths=[6, 5, 6])
    with pytest.raises(ValueError, match=r"view 1 of shape \(2000, 5\).*at most 5"):
        MultiViewICA(n_components=6).fit(views)


def test_fewer_samples_than_components_are_refused():
    views, _ = make_views(p=10, n=6)
    with pytest.raises(ValueError, match=r"view 0 of shape \(6, 10\).*at most 5"):
        MultiViewICA(n_components=10).fit(views)


def test_views_of_unequal_length_are_refused_by_name():
    views, _ = make_views()
    with pytest.raises(ValueError, match=r"(?s)view.*1999"):
        MultiViewICA().fit([views[0], views[1][:-1], views[2]])


# --- Sources and noise --------------------------------------------------------------------------


@pytest.mark.parametrize("density", ["sub", "extended"])
def test_sub_gaussian_sources(density):
    views, mixings = make_views(m=5, sigma=0.5, draw=uniform)
    assert fitted_amari(views, mixings, density=density) < 0.005


def test_sub_and_super_gaussian_sources_together():
    def half_and_half(rng, size):
        n, p = size
        return np.hstack([rng.laplace(size=(n, p // 2)), uniform(rng, (n, p - p // 2))])

    views, mixings = make_views(m=4, sigma=0.3, draw=half_and_half)
    assert fitted_amari(views, mixings, density="extended") < 0.005


def test_many_views_reach_the_optimum():
    views, _ = make_views(m=60, p=5, n=500, sigma=1.0)
    usual = MultiViewICA(random_state=0).fit(views)
    tight = MultiViewICA(random_state=0, tol=1e-8).fit(views)
    assert usual.objective_ - tight.objective_ < 1e-5


@pytest.mark.parametrize("noise", [0.0, -1.0, np.nan, np.inf])
def test_noise_that_is_no_variance_is_refused(noise):
    views, _ = make_views(n=50)
    with pytest.raises(ValueError, match="noise"):
        MultiViewICA(noise=noise).fit(views)


@pytest.mark.parametrize("parameter", ["reduction", "init", "density", "solver"])
def test_unknown_choice_is_refused_and_the_choices_listed(parameter):
    views, _ = make_views(n=50)
    with pytest.raises(ValueError, match=rf"(?s)'{parameter}' parameter.*must be.*'abracadabra'"):
        MultiViewICA(**{parameter: "abracadabra"}).fit(views)


# --- What a fit says, and what it leaves alone ----------------------------------------------------


def test_unfinished_fit_warns_with_what_to_change():
    views, _ = make_views(n=200)
    with pytest.warns(ConvergenceWarning, match="max_iter"):
        estimator = MultiViewICA(max_iter=1, random_state=0).fit(views)
    assert not estimator.converged_
    assert estimator.n_iter_ == 1
    assert np.isfinite(estimator.gradient_norm_)


def test_unreachable_tolerance_is_not_passed_over_in_silence():
    views, _ = make_views(n=200)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        estimator = MultiViewICA(tol=1e-300, random_state=0).fit(views)
    assert not estimator.converged_
    assert [w.category for w in caught] == [ConvergenceWarning]


def test_view_sources_follow_the_published_components():
    views, _ = make_views(widths=[5, 6, 7])
    estimator = MultiViewICA(n_components=4, random_state=0).fit(views)
    for v, sources in enumerate(estimator.transform_views(views)):
        by_hand = (views[v] - estimator.mean_[v]) @ estimator.components_[v].T
        np.testing.assert_allclose(sources, by_hand, atol=1e-12)


def test_new_samples_are_transformed():
    views, mixings = make_views(n=4000)
    estimator = MultiViewICA(random_state=0).fit([view[:2000] for view in views])
    new = estimator.transform([view[2000:] for view in views])
    whole = MultiViewICA(random_state=0).fit(views)
    assert new.shape == (2000, 4)
    correlations = np.abs(np.corrcoef(new.T, whole.transform(views)[2000:].T)[:4, 4:])
    assert correlations.max(axis=1).min() > 0.99
    assert amari_distance(estimator.components_, mixings) < 0.005


def test_same_seed_same_result_and_global_generator_untouched():
    views, _ = make_views(widths=[8, 9, 10])
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    one = MultiViewICA(n_components=4, random_state=0)
    two = clone(one)
    np.testing.assert_array_equal(one.fit_transform(views), two.fit_transform(views))
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002


def test_shared_response_of_new_samples_forgets_no_mean():
    from mvica import SharedResponseModel

    views, _ = make_views(p=3, widths=[8, 9, 10])
    model = SharedResponseModel(n_components=3, random_state=0).fit(views)
    shifted = SharedResponseModel(n_components=3, random_state=0).fit([v + 5.0 for v in views])
    np.testing.assert_allclose(
        model.transform(views), shifted.transform([v + 5.0 for v in views]), atol=1e-6
    )
