"""Held-out scores against brute force, and the splitters."""

import numpy as np
import pytest
from scipy.stats import multivariate_normal
from sklearn.model_selection import cross_validate

from mvica import MultiViewData, MultiViewICA, ShICAML
from mvica.datasets import make_multiview_ica, make_shica
from mvica.model_selection import BlockKFold, LeaveViewsOut
from mvica.model_selection.heldout import likelihood, reconstruction
from mvica.model_selection.reproducibility import matched_correlations


def test_likelihood_is_the_joint_normal_density_of_a_gaussian_model():
    data = make_shica("cohort", 3, 600, 4, random_state=0)
    rows = np.arange(600)
    train, test = rows[:400], rows[400:]
    scores, expected = [], []
    for p in (1, 2, 3):
        model = ShICAML(p, density="gaussian").fit([X[train] for X in data.views])
        scores.append(likelihood(model, data.views, train, test))
        expected.append(_normal_score(model, data.views, train, test))
    # Up to a constant of the training data: the scale of the whitened coordinates.
    np.testing.assert_allclose(np.diff(scores), np.diff(expected), rtol=1e-6)


def _normal_score(model, views, train, test):
    """Density of all features: components covary by the model, what is left is independent."""
    m, p = model.noise_variances_.shape
    blocks, maps = [], []
    for v, X in enumerate(views):
        C = np.cov(X[train].T, bias=True)
        U = model.components_[v]
        rest = np.linalg.svd(U @ C)[2][p:]  # uncorrelated with the components
        maps.append(np.vstack([U, rest]))
        blocks.append(rest @ C @ rest.T)
    width = views[0].shape[1]
    covariance = np.zeros((m * width, m * width))
    for u in range(m):
        for v in range(m):
            block = covariance[u * width :, v * width :]
            block[:p, :p] = np.eye(p) + (u == v) * np.diag(model.noise_variances_[v])
            if u == v:
                block[p:width, p:width] = blocks[v]
    unmixed = [(X[test] - X[train].mean(axis=0)) @ M.T for X, M in zip(views, maps, strict=True)]
    log_density = multivariate_normal(cov=covariance).logpdf(np.hstack(unmixed)).mean()
    return log_density + sum(np.linalg.slogdet(M)[1] for M in maps)


def test_reconstruction_is_the_share_that_the_other_views_predict():
    data = make_multiview_ica(3, 400, 2, n_features=4, sensor_noise_std=0.2, random_state=0)
    train, test = np.arange(300), np.arange(300, 400)
    model = MultiViewICA(2).fit([X[train] for X in data.views])
    shares = []
    for v in range(3):
        others = [u for u in range(3) if u != v]
        S = np.mean([(data.views[u][test] - model.mean_[u]) @ model.components_[u].T
                     for u in others], axis=0)  # fmt: skip
        target = data.views[v][test] - model.mean_[v]
        error = target - S @ model.mixing_[v].T
        shares.append(1 - np.sum(error**2) / np.sum(target**2))
    found = reconstruction(model, data.views, test)
    assert found == pytest.approx(np.mean(shares), rel=1e-10)


def test_matching_ignores_order_and_sign():
    S = np.random.default_rng(0).standard_normal((200, 3))
    np.testing.assert_allclose(matched_correlations(S, -S[:, [2, 0, 1]]), 1)


def test_blocks_partition_the_samples_and_keep_their_distance():
    tests = []
    for train, test in BlockKFold(4, gap=3).split(np.zeros((30, 2))):
        assert np.all(np.diff(test) == 1)
        assert np.min(np.abs(train[:, None] - test)) == 4
        tests.append(test)
    np.testing.assert_array_equal(np.concatenate(tests), np.arange(30))


def test_blocks_serve_cross_validate():
    data = make_multiview_ica(3, 300, 2, random_state=0)
    found = cross_validate(MultiViewICA(), MultiViewData(data.views), cv=BlockKFold(3, gap=5))
    assert np.all(np.isfinite(found["test_score"]))


@pytest.mark.parametrize("splitter", [BlockKFold(1), BlockKFold(11), BlockKFold(2, gap=-1)])
def test_impossible_blocks_are_refused(splitter):
    with pytest.raises(ValueError, match="expected"):
        list(splitter.split(np.zeros((10, 2))))


def test_gap_that_leaves_nothing_is_refused():
    with pytest.raises(ValueError, match="leaves nothing"):
        list(BlockKFold(2, gap=9).split(np.zeros((10, 2))))


def test_views_left_out_are_all_or_drawn_without_repeats():
    assert len(list(LeaveViewsOut(2).split(5))) == LeaveViewsOut(2).get_n_splits(5) == 10
    drawn = list(LeaveViewsOut(3, max_splits=6, random_state=0).split(12))
    assert len({tuple(test) for _, test in drawn}) == 6
    for train, test in drawn:
        np.testing.assert_array_equal(np.sort(np.concatenate([train, test])), np.arange(12))


def test_leaving_all_views_out_is_refused():
    with pytest.raises(ValueError, match="expected 1 to 2"):
        list(LeaveViewsOut(3).split(3))
