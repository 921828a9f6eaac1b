"""Symmetric matrices in any form, as products with blocks of vectors, checked on the way in."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from scipy.linalg import LinAlgError, cholesky, eigvalsh
from scipy.sparse import issparse
from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigsh, splu

from mvica.kernels.blocks import blocks
from mvica.stiefel.preconditioner import CholeskyInverse, reciprocal_condition, sample_rows

SYMMETRY = {4: 1e-4, 8: 1e-9}  # largest relative asymmetry, by the bytes of a number
JITTER = 1e-7  # of the mean variance, added to a sampled covariance
SMALL = 500  # order up to which all eigenvalues are computed
RESTARTS = 10  # of Lanczos: this only looks for an indefinite matrix
PASS_ROWS = 2**12  # rows of a data matrix multiplied at a time


@dataclass(frozen=True)
class SymmetricOperator:
    """A symmetric matrix that is only multiplied with.

    Attributes
    ----------
    name : str
        "A" or "B", for messages.
    kind : {"identity", "dense", "sparse", "operator", "rows", "stream"}
        What the caller gave.
    size : int
        Order d of the matrix.
    apply : callable
        (d, k) -> (d, k), in float64.
    source : object
        What the caller gave, checked.
    """

    name: str
    kind: str
    size: int
    apply: Callable = field(repr=False)
    source: object = field(repr=False, default=None)

    def dense(self):
        """Return the whole matrix, (d, d) in float64."""
        if self.kind == "dense":
            return self.source
        if self.kind == "sparse":
            return self.source.toarray()
        if self.kind in {"rows", "stream"}:
            return _second_moment(self)
        matrix = self.apply(np.eye(self.size))
        return 0.5 * (matrix + matrix.T)


def symmetric_operator(matrix, name, *, size=None):
    """Check a matrix and return it as an operator.

    Parameters
    ----------
    matrix : array, sparse array, LinearOperator, callable or None
        A symmetric (d, d) array, sparse array or LinearOperator; a data matrix X of shape
        (n_samples, d), not square, that stands for ``X^T X / n_samples``; a function without
        arguments that returns an iterator over batches of rows of such a data matrix; None, the
        identity. Data are taken as they are: centre them first.
    name : str
        For messages.
    size : int, default=None
        Order expected. Needed for None.

    Returns
    -------
    operator : SymmetricOperator

    Raises
    ------
    ValueError
        If the matrix is not symmetric, not finite, or not of the order expected.
    TypeError
        If it is complex.

    Examples
    --------
    >>> import numpy as np
    >>> from mvica.stiefel.operators import symmetric_operator
    >>> symmetric_operator(np.ones((10, 3)), "B").apply(np.ones((3, 1))).ravel()
    array([3., 3., 3.])
    """
    if matrix is None:
        return SymmetricOperator(name, "identity", size, np.copy)
    if callable(matrix) and not isinstance(matrix, LinearOperator):
        operator = _stream(matrix, name)
    elif isinstance(matrix, LinearOperator):
        operator = _linear(matrix, name)
    elif issparse(matrix):
        operator = _sparse(matrix, name)
    else:
        operator = _array(matrix, name)
    if size is not None and operator.size != size:
        raise ValueError(
            f"{name} is of order {operator.size}, expected {size}, that of the other arguments."
        )
    return operator


def _array(matrix, name):
    matrix = np.asarray(matrix)
    if np.iscomplexobj(matrix):
        raise TypeError(f"{name} is complex; only real matrices are supported.")
    if matrix.ndim != 2 or min(matrix.shape) == 0:
        raise ValueError(f"{name} has shape {matrix.shape}, expected a matrix.")
    if matrix.shape[0] != matrix.shape[1]:
        rows = _check_finite(_floats(matrix), name)
        return SymmetricOperator(name, "rows", rows.shape[1], _products_of(rows), rows)
    tolerance = SYMMETRY[4 if matrix.dtype == np.float32 else 8]
    dense = _check_finite(np.asarray(matrix, dtype=np.float64), name)
    largest = np.abs(dense).max()
    _check_symmetric(np.abs(dense - dense.T).max(), largest, tolerance, name)
    return SymmetricOperator(name, "dense", len(dense), dense.__matmul__, dense)


def _sparse(matrix, name):
    matrix = matrix.tocsc().astype(np.float64)
    _check_finite(matrix.data, name)
    if matrix.shape[0] != matrix.shape[1]:
        raise ValueError(f"{name} is sparse of shape {matrix.shape}, expected a square matrix.")
    largest = abs(matrix).max()
    _check_symmetric(abs(matrix - matrix.T).max(), largest, SYMMETRY[8], name)
    return SymmetricOperator(name, "sparse", matrix.shape[0], matrix.__matmul__, matrix)


def _linear(matrix, name):
    """Check a LinearOperator on two random vectors: there is nothing else to look at."""
    d = matrix.shape[0]
    if matrix.shape != (d, d):
        raise ValueError(f"{name} is an operator of shape {matrix.shape}, expected a square one.")
    probe = np.random.default_rng(0).standard_normal((d, 2))
    image = _check_finite(matrix.matmat(probe), name)
    cross = probe.T @ image
    size = np.linalg.norm(probe, axis=0).max() * np.linalg.norm(image, axis=0).max()
    _check_symmetric(abs(cross[0, 1] - cross[1, 0]), size, SYMMETRY[8], name)
    return SymmetricOperator(name, "operator", d, matrix.matmat, matrix)


def _stream(factory, name):
    first = next(iter(factory()), None)
    if first is None:
        raise ValueError(f"{name}() gives no batch of rows.")
    first = _check_batch(first, 0, None, name)
    d = first.shape[1]

    def apply(U):
        total, n = np.zeros(U.shape), 0
        for x in stream_rows(factory, d, name):
            total += x.T @ (x @ U.astype(x.dtype, copy=False))
            n += len(x)
        return total / n

    return SymmetricOperator(name, "stream", d, apply, factory)


def stream_rows(factory, size, name):
    """Batches of a stream, each checked, so that a bad one is named before it does harm."""
    for k, batch in enumerate(factory()):
        yield _check_batch(batch, k, size, name)


def _check_batch(batch, k, size, name):
    x = np.asarray(batch)
    width = "any number" if size is None else size
    if x.ndim != 2 or x.shape[0] == 0 or (size is not None and x.shape[1] != size):
        raise ValueError(
            f"Batch {k} of {name} has shape {x.shape}, expected (n_rows, n_features) with "
            f"{width} features."
        )
    return _check_finite(_floats(x), f"Batch {k} of {name}")


def _products_of(rows):
    def apply(U):
        total, V = np.zeros(U.shape), U.astype(rows.dtype, copy=False)
        for start in range(0, len(rows), PASS_ROWS):
            x = rows[start : start + PASS_ROWS]
            total += x.T @ (x @ V)
        return total / len(rows)

    return apply


def _second_moment(operator):
    d = operator.size
    total, n = np.zeros((d, d)), 0
    for x in _row_blocks(operator):
        x = x.astype(np.float64, copy=False)
        total += x.T @ x
        n += len(x)
    return total / n


def _row_blocks(operator):
    if operator.kind == "stream":
        return stream_rows(operator.source, operator.size, operator.name)
    rows = operator.source
    return (rows[part] for part in blocks(*rows.shape, shortest=operator.size))


def _floats(array):
    if np.iscomplexobj(array):
        raise TypeError("Complex data are not supported.")
    return array if array.dtype in (np.float32, np.float64) else array.astype(np.float64)


def _check_finite(array, name):
    if not np.isfinite(array).all():
        raise ValueError(f"{name} contains NaN or infinity.")
    return array


def _check_symmetric(difference, size, tolerance, name):
    if difference > tolerance * size:
        raise ValueError(
            f"{name} is not symmetric: {name} - {name}.T reaches {difference / size:.2g} of its "
            f"largest entry. Give ({name} + {name}.T) / 2 if that is what you mean."
        )


# ---- inverses --------------------------------------------------------------------------------


def inverse_of(operator, random_state=None):
    """Inverse of a positive definite matrix, or a cheap stand-in: the default preconditioner.

    Parameters
    ----------
    operator : SymmetricOperator
        B.
    random_state : RandomState or None, default=None
        Draws the rows that stand for a data matrix.

    Returns
    -------
    apply_P : callable
        (d, k) -> (d, k): a Cholesky factor for a dense matrix, a sparse factor for a sparse one,
        the inverse for a sample of rows for data, the identity where there is nothing to factor.

    Raises
    ------
    ValueError
        If the matrix is singular or indefinite. The message names its smallest eigenvalue.
    """
    if operator.kind == "dense":
        return CholeskyInverse(checked_cholesky(operator.source, operator.name))
    if operator.kind == "sparse":
        return _sparse_inverse(operator)
    if operator.kind in {"rows", "stream"}:
        return _sampled_inverse(operator, random_state)
    return np.copy


def _sampled_inverse(operator, random_state):
    rows = np.asarray(_sample(operator, random_state), dtype=np.float64)
    C = rows.T @ rows / len(rows)
    if _factor(C)[1] <= len(C) * np.finfo(float).eps:
        checked_cholesky(operator.dense(), operator.name)  # the sample may miss what all rows have
    C.flat[:: len(C) + 1] += JITTER * np.trace(C) / len(C)
    return CholeskyInverse(cholesky(C, lower=True, check_finite=False))


def _sample(operator, random_state):
    """Rows enough for a preconditioner: random ones, or the first ones of a stream."""
    if operator.kind == "rows":
        n, d = operator.source.shape
        rng = np.random.default_rng(0) if random_state is None else random_state
        return operator.source[np.sort(rng.permutation(n)[: sample_rows(n, d)])]
    taken, n = [], 0
    for x in _row_blocks(operator):
        taken.append(x)
        n += len(x)
        if n >= 8 * operator.size:
            break
    return np.vstack(taken)


def checked_cholesky(matrix, name):
    """Lower Cholesky factor of a matrix that has to be positive definite.

    Parameters
    ----------
    matrix : ndarray of shape (d, d)
        Symmetric.
    name : str
        For the message.

    Returns
    -------
    lower : ndarray of shape (d, d)

    Raises
    ------
    ValueError
        If the matrix is singular to rounding, or indefinite.
    """
    lower, rcond = _factor(matrix)
    floor = len(matrix) * np.finfo(float).eps
    if rcond <= floor:
        values = eigvalsh(matrix, check_finite=False)
        if lower is None or values[0] <= floor * values[-1]:
            raise not_definite(name, values[0], values[-1])
    return lower


def _factor(matrix):
    """Lower Cholesky factor and an estimate of 1 / cond; (None, 0) where there is none."""
    try:
        lower = cholesky(matrix, lower=True, check_finite=False)
    except LinAlgError:
        return None, 0.0
    return lower, reciprocal_condition(matrix, lower)


def not_definite(name, smallest, largest=None):
    """Error for a matrix that is not positive definite."""
    word = (
        "indefinite" if smallest < 0 and abs(smallest) > 1e-12 * abs(largest or 1) else "singular"
    )
    scale = "" if largest is None else f" (the largest is {largest:.3g})"
    return ValueError(
        f"{name} has to be positive definite, but it is {word}: the smallest eigenvalue found is "
        f"{smallest:.3g}{scale}. Add a ridge, {name} + rho I, or project on the range of {name}."
    )


def _sparse_inverse(operator):
    B, name = operator.source, operator.name
    try:
        # Without pivoting off the diagonal the pivots have the signs of the eigenvalues.
        options = {"SymmetricMode": True}
        factor = splu(B, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options=options)
        pivots = factor.U.diagonal()
    except RuntimeError:  # exactly singular
        pivots = np.zeros(1)
    if pivots.min() <= B.shape[0] * np.finfo(float).eps * np.abs(pivots).max():
        raise not_definite(name, *extreme_eigenvalues(operator))
    return factor.solve


def extreme_eigenvalues(operator):
    """Smallest and largest eigenvalue by Lanczos, or the best bounds that a short run found.

    Parameters
    ----------
    operator : SymmetricOperator

    Returns
    -------
    smallest, largest : float
    """
    d = operator.size
    if d <= SMALL:
        values = eigvalsh(operator.dense())
        return float(values[0]), float(values[-1])
    product = LinearOperator((d, d), matvec=lambda x: operator.apply(x.reshape(d, -1)), dtype=float)
    start = np.random.default_rng(0).standard_normal(d)
    return _lanczos(product, start, "SA"), _lanczos(product, start, "LA")


def _lanczos(product, start, which):
    options = {"k": 1, "which": which, "v0": start, "tol": 1e-3, "maxiter": RESTARTS}
    try:
        return float(eigsh(product, return_eigenvectors=False, **options)[0])
    except ArpackNoConvergence:
        x = start / np.linalg.norm(start)
        return float(x @ product.matvec(x))  # between the two
