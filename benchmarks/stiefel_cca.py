"""CCA of two views by every solver, next to scikit-learn and cca-zoo, at a common judge."""

import time
import warnings
from dataclasses import dataclass
from importlib.util import find_spec
from statistics import median

import numpy as np

from benchmarks.stiefel_workloads import simulated, split_digits
from mvica.stiefel.cca_covariance import no_covariance
from mvica.stiefel.cca_landing import canonical_rotation

N_COMPONENTS = 5
PATIENCE = 20.0  # seconds of a fit after which it is not repeated


@dataclass(frozen=True)
class Workload:
    """Two views and what is known about them."""

    name: str
    n_samples: int
    n_features: int
    condition: float
    dtype: str
    with_peers: bool = False

    def generate(self, seed=0):
        """Draw the views and their ridges."""
        if self.name == "digits":
            return split_digits()
        size = self.n_samples, self.n_features, self.condition
        return simulated(*size, seed=seed, dtype=np.dtype(self.dtype)), [0.0, 0.0]


WORKLOADS = (
    Workload("digits", 1797, 32, 567, "float64", with_peers=True),
    Workload("mnist size", 60_000, 392, 1e3, "float64", with_peers=True),
    Workload("mnist size", 60_000, 392, 1e3, "float32"),
    Workload("many rows", 100_000, 500, 1e4, "float32"),
    Workload("more rows", 200_000, 500, 1e4, "float32"),
    Workload("wide", 50_000, 1000, 1e4, "float32"),
)


class Judge:
    """Sum of the canonical correlations that weights reach in their span, from covariances."""

    def __init__(self, views, ridges):
        self.covariance = no_covariance([X.shape[1] for X in views]).added([views])
        means = [C.mean() for C in self.covariance.variances()]
        self.ridges = [rho * mean for rho, mean in zip(ridges, means, strict=True)]

    def sum(self, weights):
        """Sum for directions (d_v, p) of both views."""
        U, V = (W.astype(np.float64) for W in weights)
        C = self.covariance.covariance
        moments = [U.T @ C(0, 0) @ U, V.T @ C(1, 1) @ V, U.T @ C(0, 1) @ V]
        if any(self.ridges):
            scale = np.sqrt(self.ridges)
            U, V = U * scale[0], V * scale[1]
            return float(canonical_rotation([U, V], moments, [1.0, 1.0])[1].sum())
        return float(canonical_rotation([U, V], moments, [0.0, 0.0])[1].sum())


def solvers(workload, ridges):
    """Name and function from views to weights and passes, of each solver."""
    from mvica import CCA

    def ours(**settings):
        def fit(views):
            cca = CCA(N_COMPONENTS, regularization=ridges, random_state=0, **settings).fit(views)
            return [W.T for W in cca.components_], cca.n_iter_

        return fit

    epochs = {"n_epochs": 40, "batch_size": 128} if workload.name == "digits" else {}
    yield "mvica direct", ours(solver="direct")
    yield "mvica lobpcg", ours(solver="lobpcg")
    yield "mvica landing", ours(solver="landing", **epochs)
    if workload.with_peers:
        yield from peers(workload)


def peers(workload):
    """Solvers of other packages; scikit-learn's knows no ridge."""
    if find_spec("cca_zoo"):
        from cca_zoo.linear import RidgeCCA

        absolute = 1e-3 if workload.name == "digits" else 0.0
        c = absolute / (1 + absolute)  # its matrix is (1 - c) C + c I, C divided by n - 1

        def ridge_cca(views):
            return RidgeCCA(N_COMPONENTS, shrinkage=c).fit(views).weights_, None

        yield "cca-zoo RidgeCCA", ridge_cca
    if workload.name != "digits":
        from sklearn.cross_decomposition import CCA as PairCCA

        def pair_cca(views):
            cca = PairCCA(N_COMPONENTS, scale=False, max_iter=2000).fit(*views)
            return [cca.x_rotations_, cca.y_rotations_], max(cca.n_iter_)

        yield "scikit-learn CCA", pair_cca


def run(repeats, workloads=WORKLOADS):
    """Return the lines of the table: median processor seconds, gaps, ratios to ours, direct."""
    rows = []
    for workload in workloads:
        views, ridges = workload.generate()
        judge = Judge(views, ridges)
        best, reference = None, None
        for name, fit in solvers(workload, ridges):
            seconds, weights, n_iter = _measure(fit, views, repeats)
            found = judge.sum(weights)
            best = found if best is None else best
            reference = seconds if reference is None else reference
            rows.append({
                "workload": workload.name,
                "samples": workload.n_samples,
                "features": workload.n_features,
                "dtype": workload.dtype,
                "solver": name,
                "seconds": seconds,
                "iterations": n_iter,
                "gap": (best - found) / best,
                "time of direct": seconds / reference,
            })  # fmt: skip
    return rows


def _measure(fit, views, repeats):
    """Median processor seconds, and the last result."""
    seconds = []
    for _ in range(repeats):
        start = time.process_time()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            weights, n_iter = fit(views)
        seconds.append(time.process_time() - start)
        if seconds[-1] > PATIENCE:
            break
    return median(seconds), weights, n_iter
