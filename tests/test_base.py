"""The base class: what transform and its relatives compute, and the words of their errors."""

import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_predict, cross_validate
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import StandardScaler

from mvica import MultiViewData
from mvica._validation import StrOptions
from mvica.base import MultiViewTransformer


class Scale(MultiViewTransformer):
    """Keep the first columns of each view, divided by their standard deviation."""

    def __init__(
        self, n_components=2, view_sizes=None, output="shared", random_state=None, verbose=0
    ):
        self.n_components = n_components
        self.view_sizes = view_sizes
        self.output = output
        self.random_state = random_state
        self.verbose = verbose

    def _fit_views(self, views):
        self.mean_ = [X.mean(axis=0) for X in views]
        spreads = [X.std(axis=0) for X in views]
        self.components_ = [np.diag(1 / s)[: self.n_components] for s in spreads]
        self.mixing_ = [np.diag(s)[:, : self.n_components] for s in spreads]


@pytest.fixture
def views():
    rng = np.random.default_rng(0)
    return [rng.standard_normal((30, d)) * d + 5 for d in (3, 2, 4)]


def scores(X):
    """The answer of Scale, written down directly."""
    return ((X - X.mean(axis=0)) / X.std(axis=0))[:, :2]


def test_outputs(views):
    Y = [scores(X) for X in views]
    est = Scale().fit(views)
    np.testing.assert_allclose(est.transform(views), sum(Y) / 3, atol=1e-12)
    np.testing.assert_allclose(
        est.set_params(output="concat").transform(views), np.hstack(Y), atol=1e-12
    )
    container = est.set_params(output="views").transform(views)
    assert isinstance(container, MultiViewData)
    np.testing.assert_allclose(np.asarray(container), np.hstack(Y), atol=1e-12)


def test_feature_names(views):
    est = Scale().fit(views)
    assert list(est.get_feature_names_out()) == ["scale0", "scale1"]
    for output in ("concat", "views"):
        names = est.set_params(output=output).get_feature_names_out()
        assert list(names) == [f"view{v}_scale{c}" for v in range(3) for c in range(2)]
        assert names.dtype == object
    with pytest.raises(ValueError, match="length equal to number of features"):
        est.get_feature_names_out(["a"])


def test_names_of_views_go_through(views):
    X = MultiViewData(views, view_names=["meg", "eeg", "fmri"])
    est = Scale(output="views").fit(X)
    assert est.transform(X).view_names == X.view_names
    assert est.inverse_transform(est.transform(X)).view_names == X.view_names
    frame = pd.DataFrame(np.hstack(views)).rename(columns={0: "view_names"}).rename(columns=str)
    assert Scale(output="views", view_sizes=(3, 2, 4)).fit_transform(frame).n_views == 3


def test_inverse_transform_is_the_mixing(views):
    est = Scale(output="concat").fit(views)
    Y = np.random.default_rng(1).standard_normal((7, 6))
    expected = [
        Y[:, 2 * v : 2 * v + 2] @ A.T + mean
        for v, (A, mean) in enumerate(zip(est.mixing_, est.mean_, strict=True))
    ]
    blocks = [Y[:, :2], Y[:, 2:4], Y[:, 4:]]
    for form in (Y, blocks, np.stack(blocks), MultiViewData(blocks), Y.tolist(), pd.DataFrame(Y)):
        X = est.inverse_transform(form)
        np.testing.assert_allclose(np.asarray(X), np.hstack(expected), atol=1e-12)
    est.set_params(output="shared")
    for v, X_v in enumerate(est.inverse_transform(Y[:, :2]).views):
        np.testing.assert_allclose(X_v, Y[:, :2] @ est.mixing_[v].T + est.mean_[v], atol=1e-12)
    (only,) = est.inverse_transform(Y[:, :2], views=[2]).views
    assert only.shape == (7, 4)
    assert est.inverse_transform(Y[:, :2].astype(np.float32)).dtype == np.float32


def test_the_mean_is_that_of_the_views_present(views):
    est = Scale().fit(views)
    S = est.transform([views[2], views[0]], views=[2, 0])
    np.testing.assert_allclose(S, (scores(views[2]) + scores(views[0])) / 2, atol=1e-12)


def test_a_large_mean_costs_no_more_than_the_type_gives():
    rng = np.random.default_rng(0)
    X = rng.integers(-50, 50, size=(200, 3)) + 2.0**14
    exact, single = scores(X), Scale().fit([X]).transform(X.astype(np.float32))
    np.testing.assert_allclose(single, exact, atol=5e-3)


@pytest.mark.parametrize(
    ("output", "width", "message"),
    [
        ("shared", 3, r"blocks of \[3\] columns, expected 2 columns"),
        ("concat", 5, r"blocks of \[5\] columns, expected 6 columns: 2 components times 3"),
        ("views", 2, r"output='views' and 3 views"),
    ],
)
def test_inverse_transform_of_a_wrong_width(views, output, width, message):
    est = Scale(output=output).fit(views)
    with pytest.raises(ValueError, match=message):
        est.inverse_transform(np.zeros((4, width)))


def test_transform_view(views):
    est = Scale().fit(views)
    np.testing.assert_allclose(est.transform_view(views[1], view=1), scores(views[1]), atol=1e-12)
    with pytest.raises(ValueError, match=r"4 features, but view 1 has 2: .*\(3, 2, 4\)"):
        est.transform_view(views[2], view=1)
    with pytest.raises(ValueError, match=r"between 0 and 2.*got 3"):
        est.transform_view(views[2], view=3)
    with pytest.raises(ValueError, match="view 1 contains NaN"):
        est.transform_view(views[1] * np.nan, view=1)


def test_nothing_works_before_fit(views):
    est = Scale()
    for call in (
        lambda: est.transform(views),
        lambda: est.transform(views, views=[0]),
        lambda: est.transform_views(views),
        lambda: est.transform_view(views[0], view=0),
        lambda: est.inverse_transform(views[0]),
        est.get_feature_names_out,
    ):
        with pytest.raises(NotFittedError):
            call()


def test_dataframes_have_the_columns_of_all_views(views):
    est = Scale(output="concat").fit(views).set_output(transform="pandas")
    with pytest.raises(ValueError, match="names the columns of all 3 views"):
        est.transform(views[:2], views=[0, 1])
    est.set_params(output="shared")
    assert list(est.transform(views[:2], views=[0, 1]).columns) == ["scale0", "scale1"]


class ScaleEach(Scale):
    """An estimator without shared sources."""

    _parameter_constraints: dict = {
        **MultiViewTransformer._parameter_constraints,
        "output": [StrOptions({"concat", "views"})],
    }


def test_a_subclass_may_allow_fewer_outputs(views):
    est = ScaleEach(output="concat").fit(views)
    np.testing.assert_allclose(est.transform(views), np.hstack([scores(X) for X in views]))
    with pytest.raises(ValueError, match="'output' parameter of ScaleEach must be a str among"):
        ScaleEach(output="shared").fit(views)


def test_a_subclass_must_fit(views):
    with pytest.raises(NotImplementedError, match="must define _fit_views"):
        MultiViewTransformer().fit(views)


@pytest.fixture
def labelled():
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1], 40)
    views = [rng.standard_normal((80, 3)) + y[:, None] for _ in range(2)]
    return MultiViewData(views), y


def test_pipelines_on_the_container(labelled):
    X, y = labelled
    pipelines = (
        make_pipeline(Scale(), LogisticRegression()),
        make_pipeline(Scale(3, output="views"), Scale(output="concat"), LogisticRegression()),
        make_pipeline(StandardScaler(), Scale(view_sizes=2), LogisticRegression()),
        make_pipeline(
            FeatureUnion([("a", Scale(1)), ("b", Scale(output="concat"))]), LogisticRegression()
        ),
    )
    for pipeline in pipelines:
        predicted = cross_val_predict(pipeline, X, y)
        assert np.mean(predicted == y) > 0.8


def test_inverse_of_a_pipeline_gives_the_table(labelled):
    X, _ = labelled
    pipeline = make_pipeline(StandardScaler(), Scale(3, view_sizes=2, output="views"))
    back = pipeline.inverse_transform(pipeline.fit_transform(X))
    np.testing.assert_allclose(back, np.asarray(X), atol=1e-12)


def test_grid_search_and_workers(labelled):
    X, y = labelled
    pipeline = make_pipeline(Scale(), LogisticRegression())
    grid = {"scale__n_components": [1, 3], "scale__output": ["shared", "concat"]}
    search = GridSearchCV(pipeline, grid, error_score="raise").fit(X, y)
    assert search.best_score_ > 0.8
    serial, workers = (cross_validate(pipeline, X, y, n_jobs=n)["test_score"] for n in (1, 2))
    np.testing.assert_array_equal(serial, workers)


def test_a_plain_list_is_split_by_views_and_says_so(views):
    with pytest.raises(ValueError, match="wrap it in MultiViewData"):
        cross_validate(
            Scale(),
            views,
            cv=3,
            scoring=lambda est, X, y=None: est.transform(X).sum(),
            error_score="raise",
        )


def test_float32_offsets_cost_no_digits():
    """The centred data are what counts: a mean of 1e5 standard deviations must not drown them."""
    from mvica import ViewPCA

    X = np.random.default_rng(0).standard_normal((500, 3))
    offset = (X + 1e5).astype(np.float32)
    model = ViewPCA().fit(offset)
    expected = (offset.astype(np.float64) - model.mean_[0]) @ model.components_[0].T
    np.testing.assert_allclose(model.transform(offset), expected, atol=1e-6)
