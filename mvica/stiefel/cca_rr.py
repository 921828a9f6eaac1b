"""CCA by block Rayleigh-Ritz: one pass over the data an iteration, and no step size.

Every iteration solves CCA inside a small space: the current directions, their preconditioned
residuals and the last change, as block preconditioned eigenvalue solvers do.
"""

from dataclasses import dataclass

import numpy as np

REFRESH = 5  # passes after which images are recomputed from the directions: rounding adds up
SMALL = {4: 1e-6, 8: 1e-12}  # relative eigenvalue of a basis that is dropped, by bytes of the data


@dataclass(frozen=True)
class RitzResult:
    """Canonical directions found by passes over the data.

    Attributes
    ----------
    directions : list of ndarray of shape (d_v, q)
        Ordered, white in the metrics of the constraints.
    own : list of ndarray of shape (d_v, q)
        ``B_v U_v``.
    cross : list of ndarray
        ``C_wv U_v``, in the features of the other view.
    values : ndarray of shape (q,)
        Canonical correlations, decreasing.
    n_iter : int
        Passes over the data after the first.
    converged : bool
    residual : float
        Largest preconditioned residual of the components that are wanted.
    history : ndarray of shape (n_iter + 1,)
        Sum of their correlations after each pass.
    """

    directions: list
    own: list
    cross: list
    values: np.ndarray
    n_iter: int
    converged: bool
    residual: float
    history: np.ndarray


class _Basis:
    """Bases of both views with their images; columns combine alike in all three."""

    def __init__(self, vectors, own, cross):
        self.vectors, self.own, self.cross = vectors, own, cross

    @classmethod
    def of(cls, data, vectors):
        vectors = [data.rounded(W, v) for v, W in enumerate(vectors)]
        return cls(vectors, *data.products(vectors))

    def combined(self, weights):
        """Return the basis whose columns are combinations of these."""
        return _Basis(*(
            [part @ w for part, w in zip(parts, weights, strict=True)]
            for parts in (self.vectors, self.own, self.cross)
        ))  # fmt: skip

    def columns(self, first, last=None):
        """Return some of the columns."""
        return _Basis(*(
            [part[:, first:last] for part in parts]
            for parts in (self.vectors, self.own, self.cross)
        ))  # fmt: skip

    def beside(self, other):
        """Return the columns of both."""
        return _Basis(*(
            [np.hstack(pair) for pair in zip(mine, theirs, strict=True)]
            for mine, theirs in (
                (self.vectors, other.vectors), (self.own, other.own), (self.cross, other.cross)
            )
        ))  # fmt: skip


def block_rayleigh_ritz(data, inverses, start, n_components, *, tol, max_iter, callback=None):
    """Leading canonical directions of two views.

    Parameters
    ----------
    data : CenteredRows
        The views: `products` and `rounded` are used.
    inverses : list of callable
        Preconditioners, near the inverses of the constraint matrices.
    start : list of ndarray of shape (d_v, q)
        Start; q is the number of components and some more.
    n_components : int
        Components that must converge.
    tol : float
        Stop when the largest preconditioned residual is below it, or when the sum of the
        correlations changes by less than it twice in a row, relatively.
    max_iter : int
        Largest number of passes after the first.
    callback : callable or None, default=None
        ``callback(n_iter, value, residual)`` after each pass.

    Returns
    -------
    result : RitzResult
        After an interrupt (Ctrl-C) as well.
    """
    q = min(W.shape[1] for W in start)
    # Beyond rounding there is nothing to gain, and in the long run something to lose.
    rounding = np.finfo(data.dtype).eps
    small = SMALL[np.dtype(data.dtype).itemsize]
    basis = _Basis.of(data, [W[:, :q] for W in start])
    history, quiet, n_iter = [], 0, 0
    current = None
    try:
        while True:
            current, weights, values = _rayleigh_ritz(basis, q, small)
            residuals, residual = _residuals(current, values, inverses, n_components)
            history.append(float(values[:n_components].sum()))
            quiet = quiet + 1 if _still(history, max(tol, rounding)) else 0
            if callback is not None:
                callback(n_iter, history[-1], residual)
            converged = residual < tol or quiet == 2
            if converged or n_iter == max_iter:
                break
            fresh = _search(current, residuals)
            if not min(W.shape[1] for W in fresh):
                converged = True
                break
            n_iter += 1
            basis = _extended(data, basis, current, weights, fresh, n_iter)
    except KeyboardInterrupt:
        if current is None:
            raise
        converged = False
    return RitzResult(
        current.vectors, current.own, current.cross, values, n_iter, converged, residual,
        np.array(history),
    )  # fmt: skip


def _rayleigh_ritz(basis, q, small):
    """Solve CCA inside the bases: q directions, their weights (k_v, q) and correlations."""
    white = [_whitening(S.T @ B, small) for S, B in zip(basis.vectors, basis.own, strict=True)]
    H = white[0].T @ (basis.vectors[0].T @ basis.cross[1]) @ white[1]
    u, s, vt = np.linalg.svd(H, full_matrices=False)
    weights = [white[0] @ u[:, :q], white[1] @ vt[:q].T]
    return basis.combined(weights), weights, np.minimum(s[:q], 1.0)


def _whitening(gram, small):
    """Weights that make a Gram matrix the identity, without its small directions."""
    gram = (gram + gram.T) / 2
    lengths = np.sqrt(np.maximum(np.diag(gram), 0.0))
    unit = np.where(lengths > 0, 1.0, 0.0) / np.where(lengths > 0, lengths, 1.0)
    values, vectors = np.linalg.eigh(unit[:, None] * gram * unit)
    kept = values > small * values[-1]
    return unit[:, None] * vectors[:, kept] / np.sqrt(values[kept])


def _residuals(current, values, inverses, n_components):
    """Preconditioned residuals of the optimality conditions and their largest norm."""
    partners = [current.cross[1], current.cross[0]]
    raw = [C - B * values for C, B in zip(partners, current.own, strict=True)]
    steps = [P(R) for P, R in zip(inverses, raw, strict=True)]
    squares = [np.einsum("ij,ij->j", R, W) for R, W in zip(raw, steps, strict=True)]
    total = np.sqrt(np.maximum(sum(squares), 0.0))
    lengths = [np.sqrt(np.maximum(square, 0.0)) for square in squares]
    return list(zip(steps, lengths, strict=True)), float(total[:n_components].max())


def optimality(own, cross, values, inverses, n_components):
    """Largest preconditioned residual of given directions.

    Parameters
    ----------
    own, cross : list of ndarray
        Images of the directions, as `CenteredRows.products` gives them.
    values : ndarray of shape (q,)
        Their correlations.
    inverses : list of callable
        Preconditioners.
    n_components : int
        Components that count.

    Returns
    -------
    residual : float
        The gap to the largest correlations is about its square.
    """
    return _residuals(_Basis(None, own, cross), values, inverses, n_components)[1]


def _still(history, tol):
    return len(history) > 1 and abs(history[-1] - history[-2]) <= tol * abs(history[-1])


def _search(current, residuals):
    """Find new directions: preconditioned residuals of unit length, without the current span."""
    found = []
    for U, B, (W, lengths) in zip(current.vectors, current.own, residuals, strict=True):
        kept = lengths > 0
        W = W[:, kept] / lengths[kept]
        found.append(W - U @ (B.T @ W))
    return found


def _extended(data, basis, current, weights, fresh, n_iter):
    """Bases of the next iteration: current directions, new ones, and the last change."""
    q = weights[0].shape[1]
    if n_iter % REFRESH == 0:
        together = [np.hstack(pair) for pair in zip(current.vectors, fresh, strict=True)]
        extended = _Basis.of(data, together)
    else:
        extended = current.beside(_Basis.of(data, fresh))
    if basis.vectors[0].shape[1] == q:
        return extended
    change = basis.columns(q).combined([w[q:] for w in weights])
    return extended.beside(change)
