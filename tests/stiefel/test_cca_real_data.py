"""CCA on real views: genes and lipids of few mice, and six tables of digits."""

import os
from pathlib import Path

import numpy as np
import pytest
from sklearn.model_selection import GridSearchCV, KFold, train_test_split

from mvica import CCA, GCCA, MultiViewData
from mvica.data_fetchers import load_mfeat, load_nutrimouse
from mvica.stiefel import correlation_test, held_out_correlations

ROOT = Path(__file__).parents[2]
FOLDER = Path(os.environ.get("MVICA_TEST_DATA", ROOT / "../shared/data"))

pytestmark = pytest.mark.skipif(
    not (FOLDER / "nutrimouse").is_dir(), reason=f"no data in {FOLDER}: set MVICA_TEST_DATA"
)
FOLDS = KFold(5, shuffle=True, random_state=0)


@pytest.fixture(scope="module")
def mice():
    return MultiViewData(load_nutrimouse(FOLDER / "nutrimouse").views)


@pytest.fixture(scope="module")
def digits():
    data = load_mfeat(FOLDER / "mfeat")
    return MultiViewData(data.views, view_names=data.view_names)


def test_genes_and_lipids_need_a_ridge_that_cross_validation_chooses(mice):
    with pytest.raises(ValueError, match="as many directions as samples"):
        CCA(2).fit(mice)
    grid = {"regularization": [1e-3, 1e-2, 1e-1, 1.0, 10.0]}
    search = GridSearchCV(CCA(2), grid, cv=FOLDS).fit(mice)
    assert search.best_params_["regularization"] in (1e-2, 1e-1, 1.0)
    assert search.best_score_ > search.cv_results_["mean_test_score"][-1] + 0.05
    held_out = held_out_correlations(search.best_estimator_, mice, cv=FOLDS).mean(axis=0)
    assert search.best_score_ == pytest.approx(held_out.mean())
    assert held_out[0] > 0.7
    assert held_out[1] > 0.85


@pytest.mark.parametrize("method", ["ledoit_wolf", "oas"])
def test_shrinkage_of_genes_and_lipids_is_as_good_as_the_best_ridge(mice, method):
    found = held_out_correlations(CCA(2, regularization=method), mice, cv=FOLDS).mean()
    assert found > held_out_correlations(CCA(2, regularization=0.1), mice, cv=FOLDS).mean() - 0.03


def test_some_correlations_of_genes_and_lipids_are_real(mice):
    test = correlation_test(
        mice, 5, regularization="oas", scale=True, shuffle="permutation", random_state=0
    )
    assert 2 <= test.n_significant() <= 5


def test_consensus_of_six_views_of_digits(digits):
    train, test = train_test_split(digits, random_state=0)
    gcca = GCCA(5, regularization=1e-3, scale=True).fit(train)
    assert gcca.score(test) > 0.5
    held_out = gcca.correlations(test)
    pairs = held_out[np.triu_indices(6, 1)]
    assert pairs[:, 0].mean() > 0.75
    assert (pairs[:, 0] > 0.4).all()
    noisy = GCCA(5, regularization=1e-3, scale=True).fit([X * 1e6 for X in train.views])
    np.testing.assert_allclose(noisy.eigenvalues_, gcca.eigenvalues_, rtol=1e-8)
