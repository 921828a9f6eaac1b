"""How stable a causal graph is: refits to resampled rows, the same rows in all views."""

import hashlib
import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sklearn.base import clone
from sklearn.utils import check_random_state
from tqdm import tqdm

from mvica.causal.covariances import from_moment
from mvica.parallel import map_views
from mvica.uncertainty.resampling import row_sampler

SAVE_EVERY = 50  # replicates between two savings


@dataclass(frozen=True)
class Bootstrap:
    """Orders and strengths of the replicates, and what they say.

    Attributes
    ----------
    orders : ndarray of int, shape (n_boot, p), or (n_boot, m, p) where views have their own
        Causes before effects.
    adjacency_matrices : ndarray of shape (n_boot, m, p, p)
        ``[b, v, i, j]``: direct effect of variable j on variable i.
    """

    orders: np.ndarray
    adjacency_matrices: np.ndarray

    def edge_probability(self, min_effect=0.0):
        """Share (p, p) of replicates with an edge j to i: a larger median over views."""
        medians = np.median(self.adjacency_matrices, axis=1)
        return ((medians != 0) & (np.abs(medians) > min_effect)).mean(axis=0)

    def direction_probability(self):
        """Share (p, p) of replicates whose order has j before i, at [i, j]; over views too."""
        position = np.argsort(self._orders(), axis=-1)
        return (position[..., None, :] < position[..., :, None]).mean(axis=(0, 1))

    def order_positions(self):
        """Share (p, p) of replicates in which variable j is the k-th of the order, at [j, k]."""
        orders = self._orders().reshape(-1, self._orders().shape[-1])
        p = orders.shape[1]
        return np.stack([(orders == j).mean(axis=0) for j in range(p)])

    def confidence_interval(self, level=0.95, median=True):
        """Percentile intervals of the strengths.

        Parameters
        ----------
        level : float, default=0.95
            Share of the replicates inside.
        median : bool, default=True
            Of the median over views; else of each view.

        Returns
        -------
        low, high : ndarray of shape (p, p) or (m, p, p)
        """
        return self._interval(self.adjacency_matrices, level, median)

    def total_effect_interval(self, level=0.95, median=True):
        """Percentile intervals of the total effects, as in `confidence_interval`."""
        identity = np.eye(self.adjacency_matrices.shape[-1])
        total = np.linalg.inv(identity - self.adjacency_matrices) - identity
        return self._interval(total, level, median)

    def path_probability(self, cause, effect, min_effect=0.0):
        """Share of replicates with a directed path between two variables, given by index."""
        medians = np.median(self.adjacency_matrices, axis=1)
        edges = (medians != 0) & (np.abs(medians) > min_effect)
        reached = edges.copy()
        for k in range(edges.shape[-1]):
            reached |= reached[:, :, k, None] & reached[:, k, None, :]
        return float(reached[:, effect, cause].mean())

    def graph_counts(self, min_effect=0.0):
        """Count the different graphs.

        Parameters
        ----------
        min_effect : float, default=0.0
            Least absolute median over views of an edge.

        Returns
        -------
        counts : list of (ndarray of bool, shape (p, p), int)
            Graphs, edge j to i at [i, j], and how often each was found, the most frequent first.
        """
        medians = np.median(self.adjacency_matrices, axis=1)
        edges = (medians != 0) & (np.abs(medians) > min_effect)
        counts = Counter(graph.tobytes() for graph in edges)
        shape = edges.shape[1:]
        return [
            (np.frombuffer(graph, dtype=bool).reshape(shape), count)
            for graph, count in counts.most_common()
        ]

    def _orders(self):
        return self.orders[:, None] if self.orders.ndim == 2 else self.orders

    @staticmethod
    def _interval(values, level, median):
        values = np.median(values, axis=1) if median else values
        tail = (1 - level) / 2
        return tuple(np.quantile(values, [tail, 1 - tail], axis=0))


def bootstrap(
    estimator,
    views,
    n_boot=100,
    *,
    block=None,
    groups=None,
    n_jobs=None,
    random_state=None,
    path=None,
    verbose=0,
):
    """Refit a causal estimator to resampled rows.

    Rows are drawn once for all views: their correlation between views is what identifies the model.
    A replicate costs one product of covariance and a fit to covariances.

    Parameters
    ----------
    estimator : fitted causal estimator
    views : list of ndarray of shape (n_samples, p)
    n_boot : int, default=100
        Number of replicates.
    block : int, default=None
        Draw stretches of so many consecutive rows, round the end, for time series. None draws
        single rows.
    groups : array-like of shape (n_samples,), default=None
        Labels of rows that are drawn together, such as trials or batches.
    n_jobs : int, default=None
        Threads, in joblib's convention.
    random_state : int, RandomState instance or None, default=None
        Seed. Each replicate has a seed of its own, so the result does not depend on `n_jobs`.
    path : path-like, default=None
        File (.npz) that replicates are saved to, every 50. If it exists, those in it are kept and
        the rest is added; it must come from the same data, parameters and int seed.
    verbose : int, default=0
        1 shows a progress bar.

    Returns
    -------
    result : Bootstrap

    Raises
    ------
    ValueError
        If the settings contradict each other, or the file belongs to another bootstrap.

    Examples
    --------
    >>> from mvica import DirectLiMVAM
    >>> from mvica.datasets import make_limvam
    >>> data = make_limvam("gauss", n_views=3, n_samples=300, n_variables=3, random_state=0)
    >>> model = DirectLiMVAM().fit(data.views)
    >>> result = model.bootstrap(data.views, n_boot=20, random_state=0)
    >>> result.adjacency_matrices.shape
    (20, 3, 3, 3)
    >>> first, second, _ = data.causal_order
    >>> bool(result.direction_probability()[second, first] > 0.9)
    True
    """
    draw = row_sampler(len(views[0]), block, groups)
    if path is not None and not isinstance(random_state, (int, np.integer)):
        raise ValueError("A bootstrap that can be resumed (path) needs an int as random_state.")
    seeds = check_random_state(random_state).randint(np.iinfo(np.int32).max, size=n_boot)
    mark = _mark(estimator, views, block, groups, random_state) if path is not None else None
    orders, matrices = _read(path, mark, n_boot)
    refit = _Refit(estimator, views, draw)
    with tqdm(total=n_boot, initial=len(orders), desc="bootstrap", disable=not verbose) as bar:
        for start in range(len(orders), n_boot, SAVE_EVERY):
            found = map_views(refit, seeds[start : start + SAVE_EVERY], n_jobs)
            orders += [order for order, _ in found]
            matrices += [B for _, B in found]
            if path is not None:
                _write(Path(path), mark, orders, matrices)
            bar.update(len(found))
    return Bootstrap(np.array(orders), np.array(matrices))


class _Refit:
    """Fit one replicate from its seed."""

    def __init__(self, estimator, views, draw):
        self.estimator, self.views, self.draw = estimator, views, draw
        # In units of the whole data: resampled moments of any unit stay of order one.
        units = zip(views, estimator.mean_, estimator.scale_, strict=True)
        self.stacked = np.concatenate([(X - mean) / scale for X, mean, scale in units], axis=1)

    def __call__(self, seed):
        rows = self.draw(np.random.RandomState(seed))
        estimator, (m, p) = self.estimator, self.estimator.scale_.shape
        replicate = clone(estimator)
        replicate.variable_names_, replicate.n_views_ = estimator.variable_names_, m
        C = self._covariances(rows, m, p)
        needed = m == 1 or estimator._needs_samples
        views = [X[rows] for X in self.views] if needed else None
        order, strengths, _, _ = replicate._discover(C, views, errors=False)
        B = C.in_units(strengths)
        scale = estimator.scale_
        return np.asarray(order), B * scale[:, :, None] / scale[:, None, :]

    def _covariances(self, rows, m, p):
        n = len(rows)
        weight = np.bincount(rows, minlength=len(self.stacked)) / n
        mean = weight @ self.stacked
        moment = (self.stacked * weight[:, None]).T @ self.stacked - np.outer(mean, mean)
        scales = np.sqrt(np.diag(moment)).reshape(m, p)
        if not np.all(scales > 0):
            raise ValueError("A replicate has a constant column: draw shorter blocks or groups.")
        return from_moment(moment, mean.reshape(m, p), scales, n)


def _mark(estimator, views, block, groups, seed):
    """Fingerprint of data and settings."""
    digest = hashlib.sha256()
    settings = sorted(estimator.get_params().items(), key=lambda item: item[0])
    digest.update(repr((type(estimator).__name__, settings, block, int(seed))).encode())
    for array in [*views, np.asarray([] if groups is None else groups)]:
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def _read(path, mark, n_boot):
    if path is None or not Path(path).exists():
        return [], []
    with np.load(path) as stored:
        if str(stored["mark"]) != mark:
            raise ValueError(
                f"{path} holds another bootstrap: other data, parameters, blocks or seed. Choose "
                "another file or remove it."
            )
        return list(stored["orders"][:n_boot]), list(stored["adjacency_matrices"][:n_boot])


def _write(path, mark, orders, matrices):
    """Replace the file in one step: a break leaves the former one."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with open(draft, "wb") as file:
            np.savez(file, mark=mark, orders=orders, adjacency_matrices=matrices)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
