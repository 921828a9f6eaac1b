"""One way to call every package: centred views in, unmixings at the scale of its optimiser out."""

import contextlib
import io
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec

import numpy as np

NOISE = 1.0  # the noise variance that every package assumes
PEER_OPTIONS = {"noise": NOISE, "tol": 1e-4, "max_iter": 10_000, "random_state": 0}
OURS = "mvica"  # all others are compared with it


@dataclass(frozen=True)
class Fit:
    """What a package found."""

    unmixings: np.ndarray  # (m, p, p)
    n_iter: int | None = None  # None where the package does not say


@dataclass(frozen=True)
class Solver:
    """A package and how to call it: `prepare` lays the data out, outside the clock."""

    name: str
    package: str
    prepare: Callable
    fit: Callable
    first_fit: Callable | None = None  # a slower fit that also counts its iterations

    @property
    def installed(self):
        """Whether the package can be imported here."""
        return find_spec(self.package) is not None


def as_float64(views):
    """Views as they are."""
    return views


def as_float32(views):
    """Single-precision copies."""
    return [view.astype(np.float32) for view in views]


def as_channels_by_samples(views):
    """The (m, p, n) array that the reference implementation takes."""
    return np.array([np.ascontiguousarray(view.T) for view in views])


def fit_mvica(views):
    """Fit this package's MultiViewICA with its default stopping rule."""
    from mvica import MultiViewICA

    estimator = MultiViewICA(noise=NOISE, random_state=0).fit(views)
    # Fitted components give sources of unit variance; `scale_` leads back to the optimiser's scale.
    components = np.array(estimator.components_, dtype=np.float64)
    return Fit(estimator.scale_[:, None] * components, estimator.n_iter_)


def fit_multiviewica(X, init="permica", verbose=False):
    """Fit the reference implementation of the method's authors."""
    from multiviewica import multiviewica

    return Fit(multiviewica(X, init=init, verbose=verbose, **PEER_OPTIONS)[1])


def fit_and_count_multiviewica(X, init="permica"):
    """Count its sweeps over the views, of which it prints one line each."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        fit = fit_multiviewica(X, init, verbose=True)
    n_iter = sum(line.startswith("it ") for line in printed.getvalue().splitlines())
    return Fit(fit.unmixings, n_iter)


def fit_mvlearn(views):
    """Fit mvlearn's estimator around the reference implementation."""
    from mvlearn.decomposition import MultiviewICA

    return Fit(np.asarray(MultiviewICA(**PEER_OPTIONS).fit(views).components_))


SOLVERS = (
    Solver(OURS, "mvica", as_float64, fit_mvica),
    Solver("mvica float32", "mvica", as_float32, fit_mvica),
    *(
        Solver(
            f"multiviewica {init}",
            "multiviewica",
            as_channels_by_samples,
            partial(fit_multiviewica, init=init),
            partial(fit_and_count_multiviewica, init=init),
        )
        for init in ("permica", "groupica")  # its default, and its faster start
    ),
    Solver("mvlearn", "mvlearn", as_float64, fit_mvlearn),
)
