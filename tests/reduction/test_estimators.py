"""What the estimators promise: order, sign, scale, patterns, reconstruction, missing views."""

import numpy as np
import pytest
from scipy.linalg import subspace_angles
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.utils.estimator_checks import check_estimator

from mvica.reduction.estimators import GroupPCA, ViewPCA
from mvica.reduction.mcca_estimator import MultisetCCA
from mvica.reduction.shared_response import SharedResponseModel

SHARED = [GroupPCA, MultisetCCA, SharedResponseModel]


def shared_views(widths=(6, 9, 7), p=3, n=500, noise=0.5, seed=0):
    """Views of skewed sources of distinct strengths."""
    rng = np.random.default_rng(seed)
    S = (rng.exponential(size=(n, p)) - 1) * np.arange(p, 0, -1)
    return [
        S @ np.linalg.qr(rng.standard_normal((d, p)))[0].T
        + noise * rng.standard_normal((n, d))
        + rng.normal(size=d)
        for d in widths
    ], S


@pytest.mark.filterwarnings("ignore:view . of shape .* has numerical rank:UserWarning")
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("view_sizes", [None, 2])
@pytest.mark.parametrize(
    "estimator",
    [
        ViewPCA(whiten=False),
        GroupPCA(output="concat"),
        MultisetCCA(n_directions=None),
        SharedResponseModel(algorithm="deterministic"),
        SharedResponseModel(scale_views=False, output="concat"),
    ],
    ids=repr,
)
def test_scikit_learn_accepts_other_settings(estimator, view_sizes):
    results = check_estimator(clone(estimator).set_params(view_sizes=view_sizes))
    assert {result["status"] for result in results} == {"passed"}


# ---- per-view PCA ------------------------------------------------------------------------------


@pytest.mark.parametrize("whiten", [True, False])
@pytest.mark.parametrize("n", [500, 20])
def test_view_pca_is_pca_of_each_view(whiten, n):
    views, _ = shared_views(widths=(6, 30), n=n)
    model = ViewPCA(n_components=4, whiten=whiten).fit(views)
    assert list(model.rank_) == [6, min(30, n - 1)]
    for v, (X, Y) in enumerate(zip(views, model.transform_views(views), strict=True)):
        reference = PCA(4, whiten=whiten, svd_solver="full").fit(X)
        ddof = (n - 1) / n
        expected = reference.transform(X) / (np.sqrt(ddof) if whiten else 1)
        signs = np.sign(np.mean(expected**3, axis=0))
        np.testing.assert_allclose(Y, expected * signs, atol=1e-9)
        variances = reference.explained_variance_ * ddof
        np.testing.assert_allclose(model.explained_variance_[v], variances)
        ratios = reference.explained_variance_ratio_
        np.testing.assert_allclose(model.explained_variance_ratio_[v], ratios)
        back = model.inverse_transform(model.transform(views)).views[v]
        np.testing.assert_allclose(back, reference.inverse_transform(reference.transform(X)))
    if not whiten:
        np.testing.assert_allclose(
            model.components_[1] @ model.components_[1].T, np.eye(4), atol=1e-9
        )


# ---- shared components -------------------------------------------------------------------------


@pytest.mark.parametrize("cls", SHARED)
def test_sources_are_ordered_signed_and_reproduced(cls):
    views, S = shared_views()
    model = cls(n_components=3, random_state=0).fit(views)
    np.testing.assert_allclose(model.transform(views), model.sources_, atol=1e-10)
    if cls is MultisetCCA:  # whose sign is known without the samples
        A = model.mixing_[0]
        assert (A[np.argmax(np.abs(A), axis=0), range(3)] > 0).all()
    else:
        assert (np.mean(model.sources_**3, axis=0) > 0).all()
    assert np.sin(subspace_angles(S - S.mean(axis=0), model.sources_)).max() < 0.3
    if cls is not MultisetCCA:  # whose order is by agreement: strengths decide here too
        correlations = np.corrcoef(S.T, model.sources_.T)[:3, 3:]
        assert (np.diag(correlations) > 0.95).all()
    if cls is not SharedResponseModel:
        np.testing.assert_allclose(model.sources_.T @ model.sources_ / 500, np.eye(3), atol=1e-9)
        for X, A in zip(views, model.mixing_, strict=True):
            Xc = X - X.mean(axis=0)
            np.testing.assert_allclose(A, Xc.T @ model.sources_ / 500, atol=1e-9)
            residual = Xc - model.sources_ @ A.T
            explained = 1 - np.sum(residual**2) / np.sum(Xc**2)
            v = next(k for k in range(3) if views[k] is X)
            assert model.explained_variance_ratio_[v].sum() == pytest.approx(explained)


@pytest.mark.parametrize("cls", SHARED)
@pytest.mark.parametrize("output", ["shared", "concat", "views"])
def test_inverse_transform(cls, output):
    views, _ = shared_views(noise=0)
    model = cls(n_components=3, output=output, random_state=0).fit(views)
    back = model.inverse_transform(model.transform(views))
    for found, X in zip(back.views, views, strict=True):
        # Three signals in each view: nothing is lost, save the shrinkage of a posterior mean.
        np.testing.assert_allclose(found, X, atol=1e-4)


@pytest.mark.parametrize("cls", SHARED)
def test_missing_views_still_give_the_sources(cls):
    views, _ = shared_views(noise=0.1)
    model = cls(n_components=3, random_state=0).fit(views)
    some = model.transform([views[2], views[0]], views=[2, 0])
    correlations = np.corrcoef(some.T, model.sources_.T)[:3, 3:]
    assert (np.diag(correlations) > 0.98).all()


@pytest.mark.parametrize("cls", SHARED)
def test_a_large_offset_of_float32_data_costs_little(cls):
    views, _ = shared_views()
    narrow = [np.float32(X + 1000) for X in views]
    model = cls(n_components=3, random_state=0).fit(views)
    other = cls(n_components=3, random_state=0).fit(narrow)
    assert other.sources_.dtype == np.float32
    scale = model.sources_.std()
    np.testing.assert_allclose(other.sources_, model.sources_, atol=2e-3 * scale)


def test_group_pca_is_pca_of_the_scaled_views():
    views, _ = shared_views()
    model = GroupPCA(n_components=3, random_state=0).fit(views)
    scaled = np.hstack([X / np.sqrt(X.var(axis=0).sum()) for X in views])
    reference = PCA(3, whiten=True, svd_solver="full").fit(scaled)
    expected = reference.transform(scaled) * np.sqrt(500 / 499)
    expected *= np.sign(np.mean(expected**3, axis=0))
    np.testing.assert_allclose(model.sources_, expected, atol=1e-8)
    np.testing.assert_allclose(model.explained_variance_, reference.explained_variance_ * 499 / 500)


def test_one_view_of_cca_is_its_pca():
    (X,), _ = shared_views(widths=(6,))
    cca, pca = MultisetCCA(n_components=2).fit([X]), ViewPCA(n_components=2).fit([X])
    signs = np.sign(np.sum(cca.transform([X]) * pca.transform([X]), axis=0))
    np.testing.assert_allclose(cca.transform([X]), pca.transform([X]) * signs, atol=1e-10)
    np.testing.assert_array_equal(cca.eigenvalues_, [1, 1])


def test_all_directions_of_few_samples_seem_to_agree():
    """Noise of 90 directions and 100 samples: keep 10 directions instead, or shrink."""
    views = [np.random.default_rng(v).standard_normal((100, 90)) for v in range(2)]
    settings = {"n_components": 2, "shrinkage": None, "random_state": 0}
    every = MultisetCCA(n_directions=None, **settings).fit(views)
    auto = MultisetCCA(**settings).fit(views)
    shrunk = MultisetCCA(n_components=2, random_state=0).fit(views)
    assert every.eigenvalues_[0] > 1.99
    assert shrunk.eigenvalues_[0] < 1.2
    assert auto.eigenvalues_[0] < 1.7
    again = MultisetCCA(n_directions=10, **settings).fit(views)
    np.testing.assert_array_equal(again.eigenvalues_, auto.eigenvalues_)
    with pytest.raises(ValueError, match="n_directions=1 must be at least n_components=2"):
        MultisetCCA(n_components=2, n_directions=1).fit(views)


@pytest.mark.parametrize("cls", [ViewPCA, *SHARED])
def test_constant_views_are_named(cls):
    views, _ = shared_views()
    views[1] = np.full_like(views[1], 0.1)
    with pytest.raises(ValueError, match=r"view 1 of shape \(500, 9\) is constant"):
        cls().fit(views)
