"""The contract of every public estimator: scikit-learn's checks, then the multi-view promises.

The estimators are found by walking `mvica.__all__`, so a new one is tested without editing this
file. `Whitening` is the smallest subclass of the base class: it tests the base itself.
"""

import copy
import functools
import inspect
import pickle

import joblib
import numpy as np
import pandas as pd
import pytest
from numpydoc.docscrape import ClassDoc
from scipy.optimize import linear_sum_assignment
from scipy.signal import lfilter
from sklearn.base import BaseEstimator, clone
from sklearn.model_selection import KFold, cross_validate
from sklearn.utils import estimator_checks
from sklearn.utils._testing import SkipTest
from sklearn.utils.estimator_checks import estimator_checks_generator

import mvica
from mvica import MultiViewData
from mvica.base import MultiViewTransformer


class Whitening(MultiViewTransformer):
    """Whiten each view and turn it towards the first one.

    Parameters
    ----------
    n_components : int, default=None
        Number of components.
    view_sizes : int or sequence of int, default=None
        How one table is cut into views.
    output : {"shared", "concat", "views"}, default="shared"
        What `transform` returns.

    Attributes
    ----------
    components_ : list of ndarray of shape (n_components, n_features_v)
        Unmixing of each view.
    mixing_ : list of ndarray of shape (n_features_v, n_components)
        Mixing of each view.
    mean_ : list of ndarray of shape (n_features_v,)
        Mean of each view.
    n_views_ : int
        Number of views.
    view_sizes_ : tuple of int
        Number of features of each view.
    n_features_in_ : int
        Number of features of all views together.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features.
    """

    _parameter_constraints: dict = {
        name: MultiViewTransformer._parameter_constraints[name]
        for name in ("n_components", "view_sizes", "output")
    }

    def __init__(self, n_components=None, view_sizes=None, output="shared"):
        self.n_components = n_components
        self.view_sizes = view_sizes
        self.output = output

    def _fit_views(self, views):
        self.mean_ = [X.mean(axis=0) for X in views]
        bases = [_principal_axes(X - mean) for X, mean in zip(views, self.mean_, strict=True)]
        limit = min(len(scales) for _, scales in bases)
        p = limit if self.n_components is None else self.n_components
        if p > limit:
            raise ValueError(f"n_components={p} is larger than the rank {limit} of a view.")
        self.components_, self.mixing_ = [], []
        reference = None
        for X, mean, (axes, scales) in zip(views, self.mean_, bases, strict=True):
            Z = (X - mean) @ (axes[:, :p] / scales[:p])
            reference = Z if reference is None else reference
            left, _, right = np.linalg.svd(reference.T @ Z)
            rotation = left @ right
            self.components_.append(rotation @ (axes[:, :p] / scales[:p]).T)
            self.mixing_.append((axes[:, :p] * scales[:p]) @ rotation.T)


def _principal_axes(X):
    _, singular, axes = np.linalg.svd(X, full_matrices=False)
    rank = np.sum(singular > singular[0] * max(X.shape) * np.finfo(X.dtype).eps)
    axes = axes[:rank] * np.sign(axes[np.arange(rank), np.abs(axes[:rank]).argmax(axis=1)])[:, None]
    return axes.T, singular[:rank] / np.sqrt(len(X))


# ---- the estimators --------------------------------------------------------------------------


def parameters(cls):
    return inspect.signature(cls).parameters


PUBLIC = [getattr(mvica, name) for name in mvica.__all__]
ESTIMATORS = [c for c in PUBLIC if inspect.isclass(c) and issubclass(c, BaseEstimator)]
ESTIMATORS = [c for c in ESTIMATORS if not inspect.isabstract(c) and c is not MultiViewTransformer]
ESTIMATORS.append(Whitening)
MULTI_VIEW = [c for c in ESTIMATORS if "view_sizes" in parameters(c)]
TRANSFORMERS = [c for c in MULTI_VIEW if hasattr(c, "transform")]
LINEAR = [c for c in TRANSFORMERS if hasattr(c, "inverse_transform")]


def outputs(cls):
    (allowed,) = cls._parameter_constraints["output"]
    return sorted(allowed.options)


def instances(cls):
    """The configurations that scikit-learn's checks see."""
    yield cls()
    # The checks know nothing of neighbours in time, and their tables have odd widths too.
    neighbours, equal = not getattr(cls, "_row_wise", True), getattr(cls, "_same_variables", False)
    if "view_sizes" in parameters(cls) and not neighbours and not equal:
        yield cls(view_sizes=2)
        if cls is Whitening:
            yield cls(view_sizes=2, output="concat")


INSTANCES = [instance for cls in ESTIMATORS for instance in instances(cls)]


def make(cls, **settings):
    """An estimator with a fixed seed, if it draws random numbers."""
    seed = {"random_state": 0} if "random_state" in parameters(cls) else {}
    return cls(**seed, **settings)


each = functools.partial(pytest.mark.parametrize, "cls", ids=lambda cls: cls.__name__)


# ---- scikit-learn's checks -------------------------------------------------------------------

CHECK_WARNINGS = (
    # Tiny or Gaussian data: solvers say that they have not converged.
    "ignore::sklearn.exceptions.ConvergenceWarning",
    # The data of check_array_api_input have redundant columns: a reduction says so.
    "ignore:view . of shape .* has numerical rank:UserWarning",
    # The checks of set_output fit on a dataframe and transform an array, and the reverse.
    "ignore:X (has|does not have valid) feature names:UserWarning",
)


def allow_check_warnings(test):
    for line in CHECK_WARNINGS:
        test = pytest.mark.filterwarnings(line)(test)
    return test


def run_check(check, *arguments):
    """Run a check; a check that skips itself is a failure here."""
    try:
        check(*arguments)
    except SkipTest as error:
        pytest.fail(f"scikit-learn skipped the check: {error}")


# A list, which parametrize_with_checks is not in scikit-learn 1.6.
CHECKS = [pair for instance in INSTANCES for pair in estimator_checks_generator(instance)]


@allow_check_warnings
@pytest.mark.parametrize(
    ("estimator", "check"), CHECKS, ids=[f"{est!r}-{check.func.__name__}" for est, check in CHECKS]
)
def test_scikit_learn(estimator, check):
    run_check(check, estimator)


STRICTER = (
    "check_param_validation",
    "check_set_output_transform",
    "check_set_output_transform_pandas",
    "check_global_output_transform_pandas",
    "check_set_output_transform_polars",
    "check_global_set_output_transform_polars",
    "check_transformer_get_feature_names_out",
    "check_transformer_get_feature_names_out_pandas",
    "check_dataframe_column_names_consistency",
    "check_get_feature_names_out_error",
    "check_inplace_ensure_writeable",
)


@allow_check_warnings
@pytest.mark.parametrize("check", STRICTER)
@pytest.mark.parametrize("estimator", INSTANCES, ids=repr)
def test_scikit_learn_stricter(estimator, check):
    name = type(estimator).__name__
    if "output_transform" in check:
        name = f"mvica.{name}"  # of scikit-learn's CCA these checks expect a pair of outputs
    run_check(getattr(estimator_checks, check), name, estimator)


@pytest.mark.parametrize("estimator", INSTANCES, ids=repr)
def test_no_check_is_left_out(estimator):
    names = [check.func.__name__ for _, check in estimator_checks_generator(estimator)]
    assert len(names) >= 40
    assert {"check_fit_idempotent", "check_estimators_nan_inf"} <= set(names)


@allow_check_warnings
def test_every_result_of_check_estimator_is_passed():
    results = estimator_checks.check_estimator(Whitening(view_sizes=2), on_skip=None, on_fail=None)
    assert {result["status"] for result in results} == {"passed"}


# ---- multi-view promises ---------------------------------------------------------------------


@functools.cache
def data():
    """Three views (300, 4) of four coloured super-Gaussian sources, with noise of many levels."""
    rng = np.random.default_rng(0)
    n, m, p = 400, 3, 4
    innovations = rng.laplace(size=(p, n)) ** 3
    colours = (0.5, 0.25, 0.0, -0.4)
    S = np.array([lfilter([1], [1, -a], e) for a, e in zip(colours, innovations, strict=True)])
    S /= S.std(axis=1, keepdims=True)
    noise = rng.uniform(0.05, 0.5, size=(m, p, 1)) * rng.standard_normal((m, p, n))
    A = rng.standard_normal((m, p, p))
    cube = np.ascontiguousarray((A @ (S + noise)).transpose(0, 2, 1)) + 0.5
    cube.flags.writeable = False
    return cube


FORMS = {
    "tuple": tuple,
    "cube": lambda cube: cube,
    "container": MultiViewData,
    "table": np.hstack,
    "read-only dataframe": lambda cube: pd.DataFrame(np.hstack(cube)),
}


@functools.cache
def fitted_on_list(cls):
    return make(cls).fit(list(data()))


def learned(est):
    """The fitted public attributes."""
    return {k: v for k, v in vars(est).items() if k.endswith("_") and not k.startswith("_")}


def assert_identical(a, b, name=""):
    """Compare to the last bit, inside lists and dictionaries too."""
    assert type(a) is type(b), name
    if isinstance(a, (list, tuple)):
        assert len(a) == len(b), name
        for k, pair in enumerate(zip(a, b, strict=True)):
            assert_identical(*pair, f"{name}[{k}]")
    elif isinstance(a, dict):
        assert a.keys() == b.keys(), name
        for key in a:
            assert_identical(a[key], b[key], f"{name}.{key}")
    elif isinstance(a, (np.ndarray, np.generic, int, float, str)):
        np.testing.assert_array_equal(a, b, err_msg=name, strict=True)
    elif hasattr(a, "__dict__"):
        assert_identical(vars(a), vars(b), name)


def assert_same_sources(S, T, tolerance):
    """Compare columns after matching them by correlation, up to sign and scale."""
    S, T = ((Y - Y.mean(axis=0)) / np.linalg.norm(Y - Y.mean(axis=0), axis=0) for Y in (S, T))
    correlation = S.T.astype(np.float64) @ T
    rows, columns = linear_sum_assignment(-np.abs(correlation))
    T = T[:, columns] * np.sign(correlation[rows, columns])
    assert np.max(np.linalg.norm(S - T, axis=0)) < tolerance


@each(MULTI_VIEW)
@pytest.mark.parametrize("form", FORMS)
def test_forms_give_the_same_bits(cls, form, capfd):
    X = FORMS[form](data())
    before = joblib.hash(X)
    reference, est = fitted_on_list(cls), make(cls, view_sizes=3)
    assert est.fit(X) is est
    assert_identical(learned(est), learned(reference))
    if cls in TRANSFORMERS:
        assert_identical(est.transform(X), reference.transform(list(data())))
    assert joblib.hash(X) == before, "the data were modified"
    assert capfd.readouterr() == ("", ""), "verbose=0 prints nothing"


@each(MULTI_VIEW)
def test_copies(cls, tmp_path):
    est = fitted_on_list(cls)
    joblib.dump(est, tmp_path / "est.joblib")
    for other in (
        clone(est).fit(list(data())),
        pickle.loads(pickle.dumps(est)),
        joblib.load(tmp_path / "est.joblib"),
        copy.deepcopy(est),
    ):
        assert other.get_params() == est.get_params()
        assert_identical(learned(other), learned(est))


@each(TRANSFORMERS)
def test_cross_validation_on_the_container_splits_samples(cls):
    def power(est, X, y=None):
        return float(np.sum(np.asarray(est.transform(X)) ** 2))

    score = (lambda est, X, y=None: est.score(X)) if hasattr(cls, "score") else power
    folds = KFold(2)
    X = MultiViewData(data())
    found = cross_validate(make(cls), X, cv=folds, scoring=score, error_score="raise")
    expected = [
        score(make(cls).fit(data()[:, train]), list(data()[:, test]))
        for train, test in folds.split(X)
    ]
    np.testing.assert_array_equal(found["test_score"], expected)


@each(MULTI_VIEW)
def test_errors_name_the_view(cls):
    views = list(data())
    spoiled = views[1].copy()
    spoiled[3, 2] = np.nan
    bad_fits = [
        ([views[0], spoiled, views[2]], "view 1 contains NaN"),
        ([views[0], views[1][:-1], views[2]], "view 0: 400, view 1: 399, view 2: 400"),
        ([views[0], views[1][:, 0], views[2]], r"view 1 .*\(400,\)"),
    ]
    for X, message in bad_fits:
        with pytest.raises(ValueError, match=message):
            make(cls).fit(X)
    if cls not in TRANSFORMERS:
        return
    bad_transforms = [
        (views[:2], r"X has 2 views, but .* 3 views.*MultiViewData.*views=\["),
        ([views[0], views[1][:, 1:], views[2]], r"\(4, 3, 4\).*\(4, 4, 4\): view 1 has 3"),
    ]
    for X, message in bad_fits + bad_transforms:
        with pytest.raises(ValueError, match=message):
            fitted_on_list(cls).transform(X)


@each(TRANSFORMERS)
def test_float32_is_kept(cls):
    views = [X.astype(np.float32) for X in data()]
    narrow, wide = make(cls, output="concat").fit(views), fitted_on_list(cls)
    Y = narrow.transform(views)
    assert Y.dtype == np.float32
    for output in outputs(cls):
        assert narrow.set_params(output=output).transform(views).dtype == np.float32
    p = Y.shape[1] // 3
    for v, Y_v in enumerate(wide.transform_views(list(data()))):
        assert_same_sources(Y_v, Y[:, v * p : (v + 1) * p], 1e-3)


@each(LINEAR)
def test_tiny_units(cls):
    scale = 1e-13
    est, wide = make(cls).fit(list(data() * scale)), fitted_on_list(cls)
    for Y, T in zip(
        est.transform_views(data() * scale), wide.transform_views(list(data())), strict=True
    ):
        assert_same_sources(Y, T, 1e-4)


SIZES = [(1, None), (1, 1), (2, 1), (2, 2), (3, 4)]
SIZED = [c for c in TRANSFORMERS if "n_components" in parameters(c)]


@each(SIZED)
@pytest.mark.parametrize(("n_views", "n_components"), SIZES)
def test_sizes(cls, n_views, n_components):
    views, p = list(data()[:n_views]), n_components or 4
    est = make(cls, output="concat", n_components=n_components).fit(views)
    Y = est.transform(views)
    assert Y.shape == (400, n_views * p)
    assert np.isfinite(Y).all()
    assert np.linalg.matrix_rank(Y[:, :p]) == p
    assert len(est.get_feature_names_out()) == n_views * p


@each(SIZED)
def test_too_many_components_are_refused(cls):
    with pytest.raises(ValueError, match=r"n_components=5\b.*\b4\b"):
        make(cls, n_components=5).fit(list(data()))


@each(TRANSFORMERS)
@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_set_output(cls, library):
    for output in outputs(cls):
        est = copy.deepcopy(fitted_on_list(cls)).set_params(output=output)
        plain = np.asarray(est.transform(data()))
        frame = est.set_output(transform=library).transform(data())
        assert type(frame).__module__.startswith(library)
        assert list(frame.columns) == list(est.get_feature_names_out())
        np.testing.assert_array_equal(frame.to_numpy(), plain)


@each(TRANSFORMERS)
def test_views_alone_and_together(cls):
    est = copy.deepcopy(fitted_on_list(cls)).set_params(output="concat")
    Y = est.transform_views(data())
    np.testing.assert_array_equal(est.transform(data()), np.hstack(Y))
    for v in range(3):
        np.testing.assert_allclose(est.transform_view(data()[v], view=v), Y[v], atol=1e-10)
    some = est.transform(data()[[2, 0]], views=[2, 0])
    np.testing.assert_allclose(some, np.hstack([Y[2], Y[0]]), atol=1e-10)


@each(LINEAR)
def test_inverse_transform_takes_what_transform_gave(cls):
    for output in outputs(cls):
        est = copy.deepcopy(fitted_on_list(cls)).set_params(output=output)
        X = est.inverse_transform(est.transform(MultiViewData(data())))
        assert isinstance(X, MultiViewData)
        assert X.shape == (400, 12)
        if output != "shared":
            np.testing.assert_allclose(np.stack(X.views), data(), atol=1e-6)
        some = est.inverse_transform(est.transform(data()[[2, 0]], views=[2, 0]), views=[2, 0])
        assert some.shape == (400, 8)


# ---- documentation ---------------------------------------------------------------------------


@each(ESTIMATORS)
def test_docstring_lists_what_there_is(cls):
    doc = ClassDoc(cls)
    names = {
        section: [name for entry in doc[section] for name in entry.name.split(", ")]
        for section in ("Parameters", "Attributes")
    }
    assert names["Parameters"] == list(parameters(cls))
    if cls in MULTI_VIEW:
        table = pd.DataFrame(np.hstack(data()), columns=[f"f{k}" for k in range(12)])
        est = make(cls, view_sizes=3).fit(table)
        missing = set(learned(est)) - set(names["Attributes"])
        assert not missing, "fitted attributes without documentation"
        assert all(hasattr(est, name) for name in names["Attributes"]), names["Attributes"]
