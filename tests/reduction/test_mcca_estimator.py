"""MultisetCCA as an estimator: batches, reconstruction by patterns, and many views in memory."""

import subprocess
import sys
import textwrap
import tracemalloc

import numpy as np
import pytest
from sklearn.utils.estimator_checks import check_estimator

from mvica import MultiViewData
from mvica.reduction.mcca_estimator import MultisetCCA
from mvica.reduction.moments import Moments

LEARNED = ["components_", "mixing_", "mean_", "eigenvalues_", "shrinkage_", "rank_"]
LEARNED.append("explained_variance_ratio_")


def shared_views(widths=(5, 8, 6), p=3, n=400, noise=0.5, seed=0):
    rng = np.random.default_rng(seed)
    S = rng.laplace(size=(n, p))
    return [
        S @ rng.standard_normal((p, d)) + noise * rng.standard_normal((n, d)) + rng.normal(size=d)
        for d in widths
    ]


def assert_same_fit(found, expected, rtol=1e-7):
    for name in LEARNED:
        for a, b in zip(getattr(found, name), getattr(expected, name), strict=True):
            np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol * np.max(np.abs(b)), err_msg=name)


@pytest.mark.filterwarnings("ignore:view . of shape .* has numerical rank:UserWarning")
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(
    "estimator",
    [
        MultisetCCA(shrinkage="ledoit-wolf", view_sizes=2, output="concat"),
        MultisetCCA(shrinkage=0.2),
    ],
    ids=repr,
)
def test_scikit_learn_accepts_other_settings(estimator):
    assert {result["status"] for result in check_estimator(estimator)} == {"passed"}


# ---- batches -----------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["list", "container", "table"])
@pytest.mark.parametrize("shrinkage", [None, "ledoit-wolf", 0.2])
def test_partial_fit_equals_fit(form, shrinkage):
    views = shared_views()
    X = {"list": views, "container": MultiViewData(views), "table": np.hstack(views)}[form]
    settings = {"n_components": 3, "view_sizes": (5, 8, 6), "shrinkage": shrinkage}
    expected = MultisetCCA(**settings, random_state=0).fit(X)
    model = MultisetCCA(**settings, random_state=0)
    for rows in (slice(0, 50), slice(50, 51), slice(51, 300), slice(300, 400)):
        batch = [x[rows] for x in X] if form == "list" else X[rows]
        assert model.partial_fit(batch) is model
    assert_same_fit(model, expected)
    np.testing.assert_allclose(model.transform(X), expected.transform(X), atol=1e-7)
    assert model.moments_.n_samples == 400
    assert not hasattr(model, "sources_")


@pytest.mark.parametrize("n_components", [2, 30])
def test_partial_fit_of_few_samples_equals_fit(n_components):
    """More features than samples: fit reads the Gram matrix, moments the covariance."""
    views = shared_views(widths=(60, 50), n=45, p=2)
    model = MultisetCCA(n_components, random_state=0)
    model.partial_fit([X[:40] for X in views]).partial_fit([X[40:] for X in views])
    assert_same_fit(model, MultisetCCA(n_components, random_state=0).fit(views), rtol=1e-6)


def test_every_call_leaves_the_fit_of_the_samples_so_far():
    views = shared_views()
    model = MultisetCCA(random_state=0)
    for stop in (100, 250, 400):
        model.partial_fit([X[model_start(model) : stop] for X in views])
        assert_same_fit(model, MultisetCCA(random_state=0).fit([X[:stop] for X in views]))


def model_start(model):
    return model.moments_.n_samples if hasattr(model, "moments_") else 0


def test_moments_merged_from_two_machines():
    views = shared_views()
    far = Moments().update([X[150:] for X in views])
    merged = Moments().update([X[:150] for X in views]).merge(far)
    model = MultisetCCA(2, random_state=0).fit_moments(merged)
    expected = MultisetCCA(2, random_state=0).fit(views)
    assert_same_fit(model, expected)
    assert model.view_sizes_ == (5, 8, 6)
    assert model.n_features_in_ == 19
    more = shared_views(seed=1)
    model.partial_fit(more)
    assert merged.n_samples == 400, "the moments that were given are not modified"
    both = [np.vstack(pair) for pair in zip(views, more, strict=True)]
    assert_same_fit(model, MultisetCCA(2, random_state=0).fit(both))
    with pytest.raises(ValueError, match="hold 0 sample"):
        MultisetCCA().fit_moments(Moments())


def test_a_refused_batch_is_not_added():
    views = shared_views()
    with pytest.raises(ValueError, match=r"n_components=3 is too large: view 0 of shape \(3, 5\)"):
        MultisetCCA(3).partial_fit([X[:3] for X in views])
    model = MultisetCCA(3, random_state=0).partial_fit([X[:200] for X in views])
    with pytest.raises(ValueError, match=r"X has 2 views, but MultisetCCA was fitted with 3"):
        model.partial_fit(views[:2])
    model.set_params(n_components=6)
    with pytest.raises(ValueError, match="n_components=6 is too large"):
        model.partial_fit(views)
    assert model.moments_.n_samples == 200
    model.set_params(n_components=3).partial_fit([X[200:] for X in views])
    assert_same_fit(model, MultisetCCA(3, random_state=0).fit(views))


def test_partial_fit_after_fit_says_that_it_starts_anew():
    views = shared_views()
    model = MultisetCCA(2, random_state=0).fit(views)
    assert model.moments_ is None
    half = [X[:200] for X in views]
    with pytest.warns(UserWarning, match="starts anew"):
        model.partial_fit(half)
    assert_same_fit(model, MultisetCCA(2, random_state=0).fit(half))
    assert model.fit(views).sources_.shape == (400, 2)


# ---- reconstruction ----------------------------------------------------------------------------


@pytest.mark.parametrize("output", ["shared", "concat"])
@pytest.mark.parametrize("shrinkage", ["auto", 0.5])
def test_views_of_unequal_size_come_back_by_their_patterns(output, shrinkage):
    views = shared_views(widths=(4, 12, 40), noise=0.05, n=300)
    model = MultisetCCA(3, output=output, shrinkage=shrinkage, random_state=0).fit(views)
    for X, back in zip(views, model.inverse_transform(model.transform(views)).views, strict=True):
        error = np.linalg.norm(back - X) / np.linalg.norm(X - X.mean(axis=0))
        assert error < 0.08
        # No linear map of the shared sources does better than the patterns.
        Xc = X - X.mean(axis=0)
        best = model.sources_ @ np.linalg.lstsq(model.sources_, Xc)[0]
        if output == "shared":
            np.testing.assert_allclose(back - X.mean(axis=0), best, atol=1e-8)


def test_the_result_depends_on_the_seed_to_rounding_only():
    views = shared_views()
    first = MultisetCCA(3, random_state=0).fit(views)
    again = MultisetCCA(3, random_state=0).fit(views)
    np.testing.assert_array_equal(first.sources_, again.sources_)
    assert_same_fit(MultisetCCA(3, random_state=1).fit(views), first, rtol=1e-6)


# ---- size --------------------------------------------------------------------------------------


def test_no_moment_of_many_views_is_formed():
    views = shared_views(widths=(10,) * 200, n=400)
    MultisetCCA(2, n_shuffles=1, random_state=0).fit([X[:60] for X in views[:3]])  # imports
    tracemalloc.start()
    MultisetCCA(2, n_shuffles=3, random_state=0).fit(views)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    data = sum(X.nbytes for X in views)
    assert data < 2000**2 * 8 / 4  # a quarter of what the moment would take
    assert peak < 2 * data


@pytest.mark.slow
def test_700_memory_mapped_views_fit_in_little_memory(tmp_path):
    """The moment of 14000 signals would take 1.5 GB; the whole process takes less than half."""
    script = textwrap.dedent(
        f"""
        import resource, numpy as np
        from mvica import MultisetCCA
        rng = np.random.default_rng(0)
        S, views = rng.laplace(size=(2000, 20)), []
        for v in range(700):
            X = S @ rng.standard_normal((20, 20)) + rng.standard_normal((2000, 20))
            np.save(r"{tmp_path}/" + f"{{v}}.npy", X)
            views.append(np.load(r"{tmp_path}/" + f"{{v}}.npy", mmap_mode="r"))
        model = MultisetCCA(20, n_shuffles=2, random_state=0).fit(views)
        assert model.converged_ and (model.eigenvalues_ > 20 * model.chance_level_).all()
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
        """
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) * 1024 < 14_000**2 * 8 / 2
