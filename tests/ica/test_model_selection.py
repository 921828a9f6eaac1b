"""scikit-learn's model selection on six real views of digits, unequal in width and units."""

import os
from pathlib import Path

import pytest
from sklearn.model_selection import (
    GridSearchCV,
    StratifiedKFold,
    cross_validate,
    train_test_split,
)
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline

from mvica import MultiViewData, MultiViewICA
from mvica.data_fetchers import load_mfeat

ROOT = Path(__file__).parents[2]
FOLDER = Path(os.environ.get("MVICA_TEST_DATA", ROOT / "../shared/data")) / "mfeat"

pytestmark = pytest.mark.skipif(
    not FOLDER.is_dir(), reason=f"no digits in {FOLDER}: set MVICA_TEST_DATA"
)


@pytest.fixture(scope="module")
def digits():
    data = load_mfeat(FOLDER)
    return MultiViewData(data.views, view_names=data.view_names), data.targets["digit"]


def decoder(**parameters):
    return make_pipeline(MultiViewICA(random_state=0, **parameters), KNeighborsClassifier())


def test_cross_validation_learns_the_sources_in_every_fold(digits):
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    found = cross_validate(decoder(n_components=6), *digits, cv=folds)["test_score"]
    assert found.mean() > 0.84  # chance is 0.1; measured .861


def test_grid_search_over_components_and_reduction(digits):
    grid = {
        "multiviewica__n_components": [2, 6],
        "multiviewica__reduction": ["mcca", "grouppca"],
    }
    search = GridSearchCV(decoder(), grid, cv=3).fit(*digits)
    assert search.best_params_ == {
        "multiviewica__n_components": 6,
        "multiviewica__reduction": "grouppca",
    }
    assert search.best_score_ > 0.94  # measured .953


def test_split_into_training_and_test_samples(digits):
    X, y = digits
    split = train_test_split(X, y, random_state=0, stratify=y)
    train, test, y_train, y_test = split
    assert isinstance(train, MultiViewData)
    assert (len(train), len(test)) == (1500, 500)
    assert decoder(n_components=6).fit(train, y_train).score(test, y_test) > 0.84
