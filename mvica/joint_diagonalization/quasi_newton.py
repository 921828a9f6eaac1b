"""Quasi-Newton joint diagonalisation, over invertible matrices or over rotations, compiled.

The three criteria (`LIKELIHOOD`, `ROTATION`, `FROBENIUS`) share one sweep over the matrices, one
line search and one loop. The transformed matrices ``B C_k B^T`` are never formed: their diagonals
and the gradient follow from the products ``C_k B^T``, so that an iteration costs one product.
"""

import numpy as np
from numba import njit

from mvica.optim.result import Result

LIKELIHOOD, ROTATION, FROBENIUS, LEAST_SQUARES = 0, 1, 2, 3
_CONVERGED, _STALLED, _STOPPED = 0, 1, 2
_MESSAGES = {
    _CONVERGED: "converged",
    _STALLED: "stalled: no step lowers the objective beyond rounding",
    _STOPPED: "max_iter was reached",
}

_JIT = {"cache": True, "nogil": True, "fastmath": {"contract"}, "error_model": "numpy"}
_PRODUCT = 1_000_000  # multiply-adds of one matrix product: OpenBLAS is fastest up to here
_FLATTEST = 24  # rows of a product below which it is slow again
_PACKED = 20  # size of matrices up to which, if they are as many, packed ones are faster
_CLAMP = 1e-4  # smallest determinant (or curvature) of a pair, relative to a typical one
_LEAST_CLAMP = 1e-8  # and in absolute terms: below it, rounding would turn the rows at random
_MAX_TRIALS = 12
_SLOPE = 1e-4  # share of the predicted decrease that a step must reach
_ROUNDING = 1e-14  # relative changes of the objective below this are rounding
_REACHED = 1e-9  # a run that stalls with a gradient below this is at machine precision


def minimise(C, weights, start, criterion, *, tol=1e-6, max_iter=1000, memory=10):
    """Minimise a criterion of joint diagonalisation over invertible matrices or rotations.

    Parameters
    ----------
    C : ndarray of shape (n_matrices, p, p), float64, C-contiguous
        Symmetric matrices of order 1; positive definite except for `FROBENIUS`.
    weights : ndarray of shape (n_matrices,)
        Positive weights that sum to 1.
    start : ndarray of shape (p, p)
        First iterate; orthogonal except for `LIKELIHOOD`.
    criterion : {LIKELIHOOD, ROTATION, FROBENIUS}
        `LIKELIHOOD`: ``1/2 sum_k w_k log det diag(B C_k B^T) - log|det B|`` over invertible B.
        `ROTATION`: the same over orthogonal B. `FROBENIUS`: minus half the weighted sum of squares
        of the diagonals, over orthogonal B.
    tol : float, default=1e-6
        Largest scale-free gradient at convergence, relative to the separability of the sources.
    max_iter : int, default=1000
        Iterations.
    memory : int, default=10
        Pairs of the L-BFGS correction, which starts when plain quasi-Newton is slow.

    Returns
    -------
    result : Result
        `x` is B of shape (p, p), its rows not scaled.
    diagonals : ndarray of shape (n_matrices, p)
        Diagonals of ``B C_k B^T``.
    """
    B, d, history, norm, unit, status = _loop(
        C, weights, np.array(start), criterion, tol, max_iter, memory
    )
    reached = status == _CONVERGED or (
        status == _STALLED and norm < max(1e3 * tol, _REACHED) * unit
    )
    result = Result(B, history[-1], norm, len(history) - 1, reached, history, _MESSAGES[status])
    return result, d


@njit(**_JIT)
def _phi(w, d, criterion):
    """Weigh a product with a matrix in the gradient, by the diagonal of that matrix."""
    if criterion == FROBENIUS:
        return -2.0 * w * d
    return w * d if criterion == LEAST_SQUARES else w / d


@njit(**_JIT)
def sweep(C, w, B, criterion, d, V):
    """Fill the diagonals ``d_ka = b_a^T C_k b_a`` and the rows ``v_a = sum_k phi_ka C_k b_a``.

    ``phi`` is ``w/d`` for the likelihoods, ``-2 w d`` for the Frobenius criterion and ``w d`` for
    least squares.
    """
    K, p = d.shape
    rows = C.reshape(K * p, p)
    BT = np.ascontiguousarray(B.T)
    VT = np.zeros((p, p))
    phi = np.empty(p)
    height = _PRODUCT // (p * p)
    if height < _FLATTEST:
        height = p
    per_block = min(max(1, height // p), K)
    products = np.empty((per_block * p, p))
    for first in range(0, K, per_block):
        last = min(K, first + per_block)
        n_rows = (last - first) * p
        for top in range(0, n_rows, height):
            end = min(n_rows, top + height)
            np.dot(rows[first * p + top : first * p + end], BT, products[top:end])
        for k in range(first, last):
            offset = (k - first) * p
            dk = d[k]
            dk[:] = 0.0
            for i in range(p):
                for a in range(p):
                    dk[a] += BT[i, a] * products[offset + i, a]
            for a in range(p):
                phi[a] = _phi(w[k], dk[a], criterion)
            for i in range(p):
                for a in range(p):
                    VT[i, a] += products[offset + i, a] * phi[a]
    V[:] = VT.T


@njit(**_JIT)
def pack(C):
    """Lower triangles of symmetric matrices, (K, p (p + 1) / 2)."""
    K, p = C.shape[0], C.shape[1]
    packed = np.empty((K, p * (p + 1) // 2))
    for k in range(K):
        first = 0
        for i in range(p):
            packed[k, first : first + i + 1] = C[k, i, : i + 1]
            first += i + 1
    return packed


@njit(**_JIT)
def sweep_packed(packed, w, B, criterion, d, V):
    """Fill the same as `sweep` from packed matrices, by two products with half the entries."""
    K, p = d.shape
    products = np.empty((p, packed.shape[1]))  # of the entries of each row of B
    for a in range(p):
        first = 0
        for i in range(p):
            twice = 2.0 * B[a, i]
            for j in range(i):
                products[a, first + j] = twice * B[a, j]
            products[a, first + i] = B[a, i] ** 2
            first += i + 1
    np.dot(packed, products.T, d)
    phi = np.empty((K, p))
    for k in range(K):
        for a in range(p):
            phi[k, a] = _phi(w[k], d[k, a], criterion)
    combinations = np.dot(phi.T, packed)
    V[:] = 0.0
    for a in range(p):
        first, v, b = 0, V[a], B[a]
        for i in range(p):
            row, own = combinations[a, first : first + i + 1], 0.0
            for j in range(i):
                v[j] += row[j] * b[i]
                own += row[j] * b[j]
            v[i] += own + row[i] * b[i]
            first += i + 1


@njit(**_JIT)
def objective(d, w, B, criterion):
    """Value of the criterion from the diagonals; infinite where it is not defined."""
    K, p = d.shape
    value = 0.0
    for k in range(K):
        if criterion == FROBENIUS:
            for a in range(p):
                value -= 0.5 * w[k] * d[k, a] ** 2
            continue
        logs, product = 0.0, 1.0
        for a in range(p):
            if not d[k, a] > 0.0:
                return np.inf
            product *= d[k, a]
            if product < 1e-150 or product > 1e150:  # one logarithm for many diagonals
                logs += np.log(product)
                product = 1.0
        value += 0.5 * w[k] * (logs + np.log(product))
    if criterion == LIKELIHOOD:
        value -= np.linalg.slogdet(B)[1]
    return value if np.isfinite(value) else np.inf


@njit(**_JIT)
def gradient(V, B, criterion):
    """Relative gradient with a zero diagonal; antisymmetric over rotations."""
    G = np.dot(V, np.ascontiguousarray(B.T))
    p = len(G)
    for a in range(p):
        G[a, a] = 0.0
        if criterion == LIKELIHOOD:
            continue
        for b in range(a):
            G[a, b] = 0.5 * (G[a, b] - G[b, a])
            G[b, a] = -G[a, b]
    return G


@njit(**_JIT)
def curvature(d, w, criterion):
    """Hessian coefficients: ``h_ab`` for the likelihood, that of each plane for rotations."""
    K, p = d.shape
    left = np.empty((K, p))
    for k in range(K):
        for a in range(p):
            left[k, a] = w[k] * d[k, a] if criterion == FROBENIUS else w[k] / d[k, a]
    h = np.dot(np.ascontiguousarray(left.T), d)
    if criterion == LIKELIHOOD:
        return h
    planes = np.empty((p, p))
    for a in range(p):
        for b in range(p):
            if criterion == FROBENIUS:
                planes[a, b] = 2.0 * (h[a, a] + h[b, b] - 2.0 * h[a, b])
            else:
                planes[a, b] = h[a, b] + h[b, a] - 2.0
    return planes


@njit(**_JIT)
def _separation(h, criterion):
    """Mean separability of the pairs, none above 1: the unit of the stopping rule and the clamp."""
    p = len(h)
    if p < 2:
        return 1.0
    total = 0.0
    for a in range(p):
        for b in range(a):
            total += min(h[a, b] * h[b, a] - 1.0 if criterion == LIKELIHOOD else h[a, b], 1.0)
    return max(2.0 * total / (p * (p - 1)), 1e-8)


@njit(**_JIT)
def _scaled_norm(G, d, w, criterion):
    """Largest entry of the gradient, in units that do not depend on the scale of the rows."""
    K, p = d.shape
    rho = np.ones(p)
    if criterion == LIKELIHOOD:
        for a in range(p):
            power = 0.0
            for k in range(K):
                power += w[k] * d[k, a]
            rho[a] = np.sqrt(power)
    largest = np.zeros(p)
    for a in range(p):
        for b in range(p):
            largest[b] = max(largest[b], abs(G[a, b]) * rho[a])
    norm = (largest / rho).max()
    return norm if criterion == LIKELIHOOD else 2.0 * norm


@njit(**_JIT)
def _newton_step(Q, h, floor, criterion):
    """Minus the inverse of the block-diagonal curvature, applied to the flattened Q."""
    p = len(h)
    E = np.zeros((p, p))
    Q = Q.reshape(p, p)
    if criterion != LIKELIHOOD:
        for a in range(p):
            for b in range(p):
                E[a, b] = -2.0 * Q[a, b] / max(h[a, b], floor)
            E[a, a] = 0.0
        return E.ravel()
    QT, hT = np.ascontiguousarray(Q.T), np.ascontiguousarray(h.T)
    n_weak = -p  # the diagonal is weak, and 0
    for a in range(p):
        for b in range(p):
            apart = h[a, b] * hT[a, b] - 1.0
            n_weak += not apart > floor
            E[a, b] = (QT[a, b] - hT[a, b] * Q[a, b]) / max(apart, floor)
        E[a, a] = 0.0
    if n_weak > 0:
        _bound_weak(E, Q, h, floor)
    return E.ravel()


@njit(**_JIT)
def _bound_weak(E, Q, h, floor):
    """Step of pairs whose powers are nearly proportional: bound the weak eigenvalue of the block.

    The block is balanced first, so that the step does not depend on the scale of the rows.
    """
    for a in range(len(h)):
        for b in range(len(h)):
            product = h[a, b] * h[b, a]
            if a != b and not product - 1.0 > floor:
                ratio, root = np.sqrt(h[b, a] / h[a, b]), np.sqrt(product)
                strong = 0.5 * (ratio * Q[a, b] + Q[b, a]) / (root + 1.0)
                weak = 0.5 * (ratio * Q[a, b] - Q[b, a]) / max(root - 1.0, 0.5 * floor)
                E[a, b] = -strong - weak


@njit(**_JIT)
def _add(x, scale, y):
    for i in range(len(x)):
        x[i] += scale * y[i]


@njit(**_JIT)
def _lbfgs_step(G, h, floor, criterion, steps, changes, gains, n_pairs, newest):
    """Two-loop recursion around `_newton_step`; the pairs lie in a ring that ends at `newest`."""
    memory = len(steps)
    Q = G.copy()
    alphas = np.empty(memory)
    for j in range(n_pairs):
        i = (newest - j) % memory
        alphas[i] = np.dot(steps[i], Q) / gains[i]
        _add(Q, -alphas[i], changes[i])
    E = _newton_step(Q, h, floor, criterion)
    for j in range(n_pairs - 1, -1, -1):
        i = (newest - j) % memory
        beta = np.dot(changes[i], E) / gains[i]
        _add(E, -alphas[i] - beta, steps[i])
    return E


@njit(**_JIT)
def move(B, E, t, criterion):
    """(I + tE) B, or B turned by the Cayley transform of tE."""
    p = len(B)
    moved = np.dot(E, B)
    share = t if criterion == LIKELIHOOD else 0.5 * t
    for a in range(p):
        for b in range(p):
            moved[a, b] = B[a, b] + share * moved[a, b]
    if criterion == LIKELIHOOD:
        return moved
    backward = np.empty((p, p))
    for a in range(p):
        for b in range(p):
            backward[a, b] = (1.0 if a == b else 0.0) - share * E[a, b]
    return np.dot(np.linalg.inv(backward), moved)


@njit(**_JIT)
def _evaluate(C, packed, w, B, criterion, d, V):
    if len(packed):
        sweep_packed(packed, w, B, criterion, d, V)
    else:
        sweep(C, w, B, criterion, d, V)


@njit(**_JIT)
def _search(C, packed, w, B, E, slope, value, criterion, d, V):
    """Halve the step until it lowers the objective; t = 0 says that none does."""
    t = 1.0
    for _ in range(_MAX_TRIALS):
        trial = move(B, E, t, criterion)
        _evaluate(C, packed, w, trial, criterion, d, V)
        reached = objective(d, w, trial, criterion)
        if reached < value + _SLOPE * t * slope + _ROUNDING * max(1.0, abs(value)):
            return t, trial, reached
        t *= 0.5
    return 0.0, B, value


@njit(**_JIT)
def _loop(C, w, B, criterion, tol, max_iter, memory):
    K, p = C.shape[0], C.shape[1]
    d, V = np.empty((K, p)), np.empty((p, p))
    d_trial, V_trial = np.empty((K, p)), np.empty((p, p))
    steps = np.empty((max(memory, 1), p * p))
    changes, gains = np.empty_like(steps), np.empty(len(steps))
    step, old_G = np.zeros(p * p), np.zeros(p * p)
    n_pairs, newest, lbfgs, slow = 0, -1, False, 0
    largest, smallest, value_then, since = 0.0, np.inf, np.inf, 0
    history = np.empty(max_iter + 1)

    packed = pack(C) if p <= _PACKED and p <= K else np.empty((0, 0))
    _evaluate(C, packed, w, B, criterion, d, V)
    value = objective(d, w, B, criterion)
    history[0] = value
    n_iter, status, previous = 0, _STOPPED, np.inf
    while True:
        matrix_G = gradient(V, B, criterion)
        G = matrix_G.ravel()
        h = curvature(d, w, criterion)
        norm = _scaled_norm(matrix_G, d, w, criterion)
        unit = _separation(h, criterion)
        if norm < tol * unit:
            status = _CONVERGED
            break
        # The line search accepts rounding errors, so a run at machine precision ends here.
        if norm < smallest:
            smallest, value_then, since = norm, value, 0
        else:
            since += 1
            if since >= 5 and value_then - value < 5 * _ROUNDING * max(1.0, abs(value)):
                status = _STALLED
                break
        if n_iter == max_iter:
            break

        largest = max(largest, norm)
        slow = slow + 1 if norm > 0.3 * previous and n_iter > 0 else 0
        previous = norm
        if lbfgs:
            old_slope = np.dot(step, old_G)
            gain = np.dot(step, G) - old_slope
            if gain > 1e-4 * abs(old_slope):
                newest, n_pairs = (newest + 1) % memory, min(n_pairs + 1, memory)
                gains[newest] = gain
                for i in range(p * p):
                    steps[newest, i], changes[newest, i] = step[i], G[i] - old_G[i]
        elif memory > 0 and slow >= 2 and norm < 0.1 * largest:
            lbfgs = True  # earlier, far from the optimum, the pairs mislead

        floor = max(_CLAMP * unit, _LEAST_CLAMP)
        t = 0.0
        while t == 0.0:
            step = _lbfgs_step(G, h, floor, criterion, steps, changes, gains, n_pairs, newest)
            slope = np.dot(G, step)
            if slope < 0.0:
                t, B, value = _search(
                    C, packed, w, B, step.reshape(p, p), slope, value, criterion, d_trial, V_trial
                )
            if t == 0.0 and n_pairs == 0:
                break
            if t == 0.0:
                n_pairs = 0
        if t == 0.0:
            status = _STALLED
            break
        for i in range(p * p):
            step[i] *= t
        old_G = G
        d, d_trial = d_trial, d
        V, V_trial = V_trial, V
        n_iter += 1
        history[n_iter] = value
    return B, d, history[: n_iter + 1].copy(), norm, unit, status
