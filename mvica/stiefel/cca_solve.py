"""From rows or covariances of views to canonical directions, by the solver that fits."""

import warnings
from dataclasses import dataclass

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from mvica.reduction.reduce import check_n_components
from mvica.stiefel.cca_covariance import (
    no_covariance,
    scaled_fourth_powers,
)
from mvica.stiefel.cca_direct import (
    ILL_CONDITIONED,
    many_view_directions,
    thin_svd,
    two_view_directions,
    whiten_covariance,
)
from mvica.stiefel.cca_landing import cca_landing
from mvica.stiefel.cca_problem import (
    Solution,
    check_samples,
    estimated_ridges,
    given_ridges,
    units,
)
from mvica.stiefel.cca_rows import CenteredRows, feature_statistics
from mvica.stiefel.cca_rr import block_rayleigh_ritz, optimality
from mvica.stiefel.preconditioner import sampled_start, with_known_directions

DIRECT_FEATURES = 400  # up to this many, covariances are quicker than passes over the data
DIRECT_SAMPLES = 40  # for each feature: with fewer, too
DIRECT_COMPONENTS = 20  # times the components: with fewer features, too
USUAL_VECTORS = 8  # columns for which these numbers were measured
LOOSE = 0.1  # residual of a landing that did its work: the gap is about its square


def solve(rows, settings):
    """Find the canonical directions of views.

    Parameters
    ----------
    rows : ArrayRows or BatchRows
        The views.
    settings : Settings
        What to do.

    Returns
    -------
    solution : Solution

    Raises
    ------
    ValueError
        If the solver cannot do what is asked, a view has a smaller rank than `n_components`, or
        has as many directions as samples and no regularization.
    """
    solver = _choose(rows, settings)
    if solver in ("lobpcg", "landing"):
        return _solve_by_passes(rows, settings, solver)
    if solver == "direct":
        covariance = no_covariance(rows.sizes).added(rows.chunks())
        solution, conditions = _solve_direct(covariance, settings, rows)
        squared_away = not solution.ridges.any() and min(conditions) < ILL_CONDITIONED
        if settings.solver == "direct" or not squared_away or not hasattr(rows, "views"):
            return solution
    return _solve_svd(rows, settings)


def solve_covariance(covariance, settings, *, few_samples=False):
    """Find the canonical directions of views of which only the covariance is known.

    Parameters
    ----------
    covariance : JointCovariance
        Of all views.
    settings : Settings
        What to do.
    few_samples : bool, default=False
        Accept views with as many directions as samples: more samples will come.

    Returns
    -------
    solution : Solution
    """
    return _solve_direct(covariance, settings, None, few_samples=few_samples)[0]


def _choose(rows, settings):
    """Solver to take; refuse what cannot be done."""
    solver, n, d = settings.solver, rows.n_samples, max(rows.sizes)
    two, shrunk = len(rows.sizes) == 2, isinstance(settings.regularization, str)
    in_memory = hasattr(rows, "views")
    if solver in ("lobpcg", "landing"):
        if not two:
            raise ValueError(
                f"solver={solver!r} needs 2 views, X has {len(rows.sizes)}: use solver='direct'"
            )
        if shrunk:
            raise ValueError(
                f"regularization={settings.regularization!r} is estimated from covariances, which "
                f"solver={solver!r} does not form: give numbers, or use solver='direct'"
            )
        return solver
    if solver == "svd" and not in_memory:
        raise ValueError("solver='svd' needs arrays, not a function: use 'direct' or 'lobpcg'")
    if solver != "auto":
        return solver
    if n < d and in_memory:
        return "svd"
    p = settings.n_components
    if not two or shrunk or p is None or settings.consensus:
        return "direct"
    return automatic_solver(n, d, p, settings.oversampling)


def automatic_solver(n_samples, n_features, n_components, oversampling):
    """Solver of two views that is quicker: covariances, or passes over the data.

    Parameters
    ----------
    n_samples, n_features, n_components, oversampling : int
        Rows, features of the wider view, components, and columns beyond them.

    Returns
    -------
    solver : {"direct", "lobpcg"}

    Examples
    --------
    >>> automatic_solver(100_000, 400, 5, 3), automatic_solver(100_000, 1000, 5, 3)
    ('direct', 'lobpcg')
    """
    crossover = DIRECT_FEATURES * max((n_components + oversampling) / USUAL_VECTORS, 1.0)
    few = n_features <= crossover or n_samples < DIRECT_SAMPLES * n_features
    return "direct" if few or DIRECT_COMPONENTS * n_components > n_features else "lobpcg"


def _solve_direct(covariance, settings, rows, *, few_samples=False):
    """Solution and condition of each view."""
    m, n, dtype = len(covariance.sizes), covariance.n_samples, covariance.dtype
    means, ridges = covariance.means(), given_ridges(settings.regularization, m)
    scales = units(covariance.variances(), means, n, dtype, settings, ridges)

    def scaled(v, w):
        return covariance.covariance(v, w) * np.outer(scales[v], scales[w])

    if ridges[0] is None:
        fourths = [None] * m
        if settings.regularization == "ledoit_wolf":
            if rows is None:
                raise ValueError(
                    "regularization='ledoit_wolf' needs all samples at once: use 'oas' or numbers"
                )
            fourths = scaled_fourth_powers(rows, means, scales)
        spectra = [np.linalg.eigvalsh(scaled(v, v)) for v in range(m)]
        shapes = [(n, d) for d in covariance.sizes]
        ridges = estimated_ridges(settings, shapes, spectra, fourths)
    whitened = [
        whiten_covariance(scaled(v, v), ridges[v], n, dtype, principal=m == 1) for v in range(m)
    ]
    ranks = [one.rank for one in whitened]
    if not few_samples:
        check_samples(n, covariance.sizes, ranks, ridges)
    wanted = settings.n_components
    if few_samples and wanted is not None and n <= max(covariance.sizes):
        wanted = min(wanted, max(min(ranks), 1))
    p = check_n_components([(n, d) for d in covariance.sizes], whitened, wanted)

    def block(v, w):
        half = whitened[v].inverse.whiten(scaled(v, w))
        return whitened[w].inverse.whiten(half.T).T

    U, values = _directions(whitened, block, p, settings)
    products = [[scaled(v, w) @ U[w] for w in range(m)] for v in range(m)]
    solution = Solution(
        means,
        scales,
        U,
        [products[v][v] for v in range(m)],
        _moments(U, products),
        values,
        [sum(row) for row in products],
        np.array(ridges, dtype=np.float64),
        np.array(ranks),
        "direct",
    )
    return solution, [one.condition for one in whitened]


def _solve_svd(rows, settings):
    m, n = len(rows.sizes), rows.n_samples
    means, scales, thin, ridges = _decomposed(rows, settings)
    whitened = [one.whitened(ridge) for one, ridge in zip(thin, ridges, strict=True)]
    p = check_n_components([(n, d) for d in rows.sizes], whitened, settings.n_components)
    shrunk = [one.shrunk(ridge) for one, ridge in zip(thin, ridges, strict=True)]
    U, values = _directions(whitened, lambda v, w: shrunk[v].T @ shrunk[w], p, settings)
    scores = [one.scores(W) for one, W in zip(thin, U, strict=True)]
    products = [[one.regressions(S) for S in scores] for one in thin]
    return Solution(
        means,
        scales,
        U,
        [products[v][v] for v in range(m)],
        _moments(U, products),
        values,
        [sum(row) for row in products],
        np.array(ridges, dtype=np.float64),
        np.array([one.rank for one in whitened]),
        "svd",
    )


def _decomposed(rows, settings):
    """Means and scales of the features, thin SVD and ridge of each view."""
    statistics = feature_statistics(rows)
    ridges = given_ridges(settings.regularization, len(rows.sizes))
    means, n = statistics.means, rows.n_samples
    scales = units(statistics.variances, means, n, rows.dtype, settings, ridges)
    thin = [thin_svd(*part) for part in zip(rows.views, means, scales, strict=True)]
    if ridges[0] is None:
        lw = settings.regularization == "ledoit_wolf"
        fourths = scaled_fourth_powers(rows, means, scales) if lw else [None] * len(thin)
        shapes, spectra = [X.shape for X in rows.views], [one.values**2 for one in thin]
        ridges = estimated_ridges(settings, shapes, spectra, fourths)
    check_samples(n, rows.sizes, [len(one.values) for one in thin], ridges)
    return means, scales, thin, ridges


def whitened_samples(rows, settings):
    """Whiten the samples of each view in the metric of its constraint.

    Parameters
    ----------
    rows : ArrayRows
        The views.
    settings : Settings
        Its regularization and scale.

    Returns
    -------
    whitened : list of ndarray of shape (n_samples, rank_v)
        ``whitened[v].T @ whitened[v]`` is the identity without a ridge.
    """
    _, _, thin, ridges = _decomposed(rows, settings)
    return [one.shrunk(ridge) for one, ridge in zip(thin, ridges, strict=True)]


def _directions(whitened, block, p, settings):
    if len(whitened) == 2 and not settings.consensus:
        return two_view_directions(whitened, block(0, 1), p)
    return many_view_directions(
        whitened,
        block,
        p,
        ridge_agrees=not settings.consensus,
        random_state=settings.random_state,
    )


def _moments(U, products):
    return np.array([
        [W.T @ product for product in row] for W, row in zip(U, products, strict=True)
    ])  # fmt: skip


def _solve_by_passes(rows, settings, solver):
    """Solve by reading rows again and again: block Rayleigh-Ritz or landing."""
    n, ridges = rows.n_samples, given_ridges(settings.regularization, 2)
    check_samples(n, rows.sizes, rows.sizes, ridges)
    statistics = feature_statistics(rows)
    scales = units(statistics.variances, statistics.means, n, rows.dtype, settings, ridges)
    data = CenteredRows(rows, statistics, scales, ridges)
    q = (settings.n_components or min(rows.sizes)) + settings.oversampling
    inverses, start = sampled_start(data, q, settings.random_state)
    known = [_Known(inverse.n_directions) for inverse in inverses]
    p = check_n_components([(n, d) for d in rows.sizes], known, settings.n_components)
    if settings.start is not None:
        start = with_known_directions(inverses, start, _in_units(settings.start, scales))
    if solver == "lobpcg":
        found = block_rayleigh_ritz(
            data,
            inverses,
            start,
            p,
            tol=settings.tol,
            max_iter=settings.max_iter,
            callback=settings.callback,
        )
        directions, own, cross = found.directions, found.own, found.cross
        values, n_iter, converged = found.values, max(found.n_iter, 1), found.converged
        _warn_unless(converged, found.residual, settings.tol, "max_passes")
    else:
        landed = cca_landing(
            data,
            inverses,
            start,
            n_epochs=settings.n_epochs,
            batch_size=settings.batch_size,
            rng=settings.random_state,
            callback=settings.callback,
        )
        directions = [data.rounded(W, v) for v, W in enumerate(landed.directions)]
        own, cross = data.products(directions)
        values, n_iter = landed.values, landed.n_iter
        residual = optimality(own, cross, values, inverses, p)
        converged = residual < LOOSE
        _warn_unless(converged, residual, LOOSE, "n_epochs")
    U = [W[:, :p] for W in directions]
    images = [B[:, :p] - rho * W for B, rho, W in zip(own, ridges, U, strict=True)]
    partners = [cross[1][:, :p], cross[0][:, :p]]
    products = [[images[0], partners[0]], [partners[1], images[1]]]
    return Solution(
        statistics.means,
        scales,
        U,
        images,
        _moments(U, products),
        values[:p],
        None,
        np.array(ridges, dtype=np.float64),
        np.array([inverse.n_directions for inverse in inverses]),
        solver,
        n_iter,
        bool(converged),
    )


@dataclass(frozen=True)
class _Known:
    rank: int


def _in_units(directions, scales):
    """Directions for features, in units of `feature_scales`."""
    pairs = zip(directions, scales, strict=True)
    return [W / np.where(t > 0, t, np.inf)[:, None] for W, t in pairs]


def _warn_unless(converged, residual, tol, name):
    if not converged:
        warnings.warn(
            f"CCA has not converged: the largest residual is {residual:.1e}, {tol:.1e} was asked; "
            f"raise {name}",
            ConvergenceWarning,
            stacklevel=2,
        )
