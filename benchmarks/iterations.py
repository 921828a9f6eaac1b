"""What one MultiView ICA iteration costs, next to the two matrix products that it needs."""

import time
from statistics import median

import numpy as np

from benchmarks.solvers import NOISE
from mvica.ica.densities import initial_kinds, score_step_for
from mvica.ica.initialization import mcca_start
from mvica.ica.objective import MultiViewObjective
from mvica.ica.stacked import StackedViews
from mvica.optim.lbfgs import minimize
from mvica.reduction.reduce import reduce_views
from mvica.reduction.stacking import stack_reduced

ITERATIONS = 5  # fewer than any workload needs, so that all of them are full steps


def cost(workload, dtype, repeats):
    """Return one line of the table: seconds of an iteration, of the products, and their ratio."""
    views = _stacked(workload, dtype)
    iterate, products = _iterations(views), _products(views)
    iterate(), products()  # loads the kernels, warms the memory
    pairs = [(iterate(), products()) for _ in range(repeats)]
    iteration, product = (median(seconds) / ITERATIONS for seconds in zip(*pairs, strict=True))
    return {
        "workload": workload.name,
        "size": workload.size,
        "dtype": np.dtype(dtype).name,
        "iteration seconds": iteration,
        "products seconds": product,
        "ratio": iteration / product,
    }


def _stacked(workload, dtype):
    """Whitened views of a workload, as the solver sees them."""
    views = [view.astype(dtype) for view in workload.generate().views]
    reduction = reduce_views(views, workload.n_components, method="pca")
    return StackedViews(stack_reduced(views, reduction), workload.n_views)


def _iterations(views):
    """Return a function that does `ITERATIONS` iterations from a good start and returns seconds."""
    kinds = initial_kinds("logcosh", views.n_components)
    start = mcca_start(views, "logcosh", np.random.RandomState(0))
    objective = MultiViewObjective(views, NOISE, score_step_for(views.Z, "logcosh", kinds))
    W = objective.rescale(start.W)
    limits = {"tol": 0.0, "tol_decrease": 0.0, "max_iter": ITERATIONS}

    def iterate():
        point = objective.start(W)
        return _seconds(lambda: minimize(objective, point, **limits))

    return iterate


def _products(views):
    """Return a function that does `ITERATIONS` times the two products and returns seconds.

    They are (p, mp) @ (mp, n) and (mp, n) @ (n, k), where k is p, or 2p for more stacked rows than
    samples: the correlations with the shared sources then come with those of the scores.
    """
    rng = np.random.default_rng(0)
    Z, p = views.Z, views.n_components
    k = p if views.moment is not None else 2 * p
    B = rng.standard_normal((p, len(Z)), dtype=Z.dtype)
    scores = rng.standard_normal((k, Z.shape[1]), dtype=Z.dtype)
    mixture, correlation = np.empty((p, Z.shape[1]), Z.dtype), np.empty((len(Z), k), Z.dtype)

    def products():
        for _ in range(ITERATIONS):
            np.matmul(B, Z, out=mixture)
            np.matmul(Z, scores.T, out=correlation)

    return lambda: _seconds(products)


def _seconds(function):
    start = time.process_time()
    function()
    return time.process_time() - start
