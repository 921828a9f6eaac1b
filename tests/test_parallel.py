"""map_views: order, equality of serial and threaded work, one BLAS thread inside."""

import joblib
import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from mvica.parallel import map_views


def blas_threads(_):
    return max(pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas")


@pytest.mark.parametrize("n_jobs", [None, 1, 2, -1])
def test_results_keep_the_order(n_jobs):
    rng = np.random.default_rng(0)
    views = [rng.standard_normal((50, 3)) for _ in range(7)]
    results = map_views(lambda X: X.T @ X, views, n_jobs)
    for result, X in zip(results, views, strict=True):
        np.testing.assert_allclose(result, X.T @ X, rtol=1e-12)


def test_blas_keeps_its_threads_in_a_serial_run():
    with threadpool_limits(2, user_api="blas"):
        assert map_views(blas_threads, range(2)) == [2, 2]


def test_blas_gets_one_thread_inside_and_its_own_back():
    with threadpool_limits(2, user_api="blas"):
        assert map_views(blas_threads, range(4), n_jobs=2) == [1] * 4
        assert blas_threads(None) == 2


def test_the_context_of_joblib_decides_for_none():
    with threadpool_limits(2, user_api="blas"), joblib.parallel_config("threading", n_jobs=2):
        assert map_views(blas_threads, range(3)) == [1, 1, 1]


def test_errors_reach_the_caller():
    with pytest.raises(ZeroDivisionError):
        map_views(lambda x: 1 / x, [1, 0], n_jobs=2)
