"""Generalized eigenproblems and ICA under orthogonality constraints, next to direct solvers.

Every solver runs with its defaults on fresh seeds: the worst error and violation over the seeds are
what a user may meet, the seconds are medians.
"""

import time
import warnings
from statistics import median

import numpy as np
from scipy.linalg import cho_factor, cho_solve, eigh
from scipy.sparse.linalg import LinearOperator, lobpcg
from sklearn.decomposition import FastICA

from benchmarks import table
from mvica import LandingICA
from mvica.metrics import amari_distance
from mvica.stiefel import generalized_eigh, landing, riemannian_descent

ORDER, PAIRS = 500, 5
CONDITIONS = (1e2, 1e3, 1e4, 1e5, 1e6)
SAMPLES, SOURCES = 100_000, 10
MIXING_CONDITIONS = (1.0, 1e2, 1e4)


def run(repeats):
    """Return one record a problem and solver, over twice as many seeds as repeats."""
    seeds = range(2 * repeats)
    records = []
    for condition in CONDITIONS:
        problems = [_pair(condition, seed) for seed in seeds]
        for name, solve in EIGENSOLVERS.items():
            size = f"d={ORDER} k={PAIRS}"
            records.append(_record("GEVP", size, condition, name, problems, solve, _eigen_errors))
    for condition in MIXING_CONDITIONS:
        problems = [_mixture(condition, seed) for seed in seeds]
        for name, solve in ICA_SOLVERS.items():
            size = f"n={SAMPLES} p={SOURCES}"
            records.append(_record("ICA", size, condition, name, problems, solve, _ica_errors))
    return records


def _record(problem, size, condition, name, problems, solve, judge):
    times, errors, violations = [], [], []
    for data in problems:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            start = time.process_time()
            found = solve(*data[:2])
            times.append(time.process_time() - start)
        error, violation = judge(found, *data)
        errors.append(error)
        violations.append(violation)
    return {
        "problem": problem,
        "size": size,
        "condition": f"{condition:.0e}",
        "solver": name,
        "seconds": median(times),
        "median error": median(errors),
        "worst error": max(errors),
        "worst violation": max(violations),
        "seeds": len(problems),
    }


# ---- eigenproblems ---------------------------------------------------------------------------


def _pair(condition, seed):
    """Return the published process: A, B and the sum of the leading eigenvalues."""
    rng = np.random.default_rng(seed)
    Q_A, Q_B = (np.linalg.qr(rng.standard_normal((ORDER, ORDER)))[0] for _ in range(2))
    A = (Q_A * np.linspace(1, 0.01, ORDER)) @ Q_A.T
    B = (Q_B * np.geomspace(1, 1 / condition, ORDER)) @ Q_B.T
    A, B = (A + A.T) / 2, (B + B.T) / 2
    return A, B, eigh(A, B, eigvals_only=True)[-PAIRS:].sum()


def _eigen_errors(U, A, B, best):
    """Relative gap of the sum of the eigenvalues, and the violation of the constraint."""
    gram = U.T @ B @ U
    gap = 1 - np.trace(np.linalg.solve(gram, U.T @ A @ U)) / best
    return abs(float(gap)), float(np.linalg.norm(gram - np.eye(PAIRS)))


def _scipy_direct(A, B):
    return eigh(A, B, subset_by_index=(ORDER - PAIRS, ORDER - 1))[1]


def _scipy_lobpcg(A, B, inverse=None):
    U0 = np.random.default_rng(0).standard_normal((ORDER, PAIRS))
    return lobpcg(A, U0, B=B, M=inverse, tol=1e-7 * np.linalg.norm(A), maxiter=200)[1]


def _scipy_preconditioned(A, B):
    factor = cho_factor(B)
    solve = lambda R: cho_solve(factor, R)  # noqa: E731
    return _scipy_lobpcg(A, B, LinearOperator(B.shape, matvec=solve, matmat=solve, dtype=float))


def _ours(solver):
    return lambda A, B: generalized_eigh(A, B, PAIRS, solver=solver).eigenvectors


def _descent(method, **options):
    """Solver of the same problem as an objective, for at most 200 iterations."""

    def solve(A, B):
        def fun_grad(U):
            G = -A @ U
            return 0.5 * float(np.vdot(U, G)), G

        U0 = np.random.default_rng(0).standard_normal((ORDER, PAIRS))
        return method(fun_grad, B, U0, max_iter=200, **options).x

    return solve


EIGENSOLVERS = {
    "mvica direct": _ours("direct"),
    "scipy eigh": _scipy_direct,
    "mvica lobpcg": _ours("lobpcg"),
    "scipy lobpcg, M = B^-1": _scipy_preconditioned,
    "scipy lobpcg": _scipy_lobpcg,
    "mvica landing, P = B^-1": _descent(landing),
    "mvica landing, P = I": _descent(landing, preconditioner=np.copy),
    "Riemannian, Cholesky": _descent(riemannian_descent, retraction="cholesky"),
    "Riemannian, polar": _descent(riemannian_descent, retraction="polar"),
    "Riemannian, QR": _descent(riemannian_descent, retraction="qr"),
}


# ---- ICA -------------------------------------------------------------------------------------


def _mixture(condition, seed):
    """Laplace sources, mixed with a covariance of this condition; the mixing."""
    rng = np.random.default_rng(seed)
    left, right = (np.linalg.qr(rng.standard_normal((SOURCES, SOURCES)))[0] for _ in range(2))
    A = (left * np.geomspace(1, condition**-0.5, SOURCES)) @ right
    return rng.laplace(size=(SAMPLES, SOURCES)) @ A.T, seed, A


def _ica_errors(W, X, seed, A):
    """Squared Amari distance, and how far the sources are from white."""
    S = (X - X.mean(axis=0)) @ W.T
    S /= S.std(axis=0)
    return amari_distance([W], [A]), float(np.linalg.norm(S.T @ S / len(S) - np.eye(SOURCES)))


def _landing_ica(solver):
    return lambda X, seed: LandingICA(solver=solver, random_state=seed).fit(X).components_[0]


def _fast_ica(X, seed):
    return FastICA(whiten="unit-variance", random_state=seed).fit(X).components_


def _picard(X, seed):
    from picard import picard

    K, W, _ = picard(X.T, ortho=True, random_state=seed)
    return W @ K


ICA_SOLVERS = {
    "LandingICA, stochastic": _landing_ica("stochastic"),
    "LandingICA, deterministic": _landing_ica("deterministic"),
    "FastICA": _fast_ica,
    "picard-o": _picard,
}


if __name__ == "__main__":
    print(table.markdown(run(5)))
