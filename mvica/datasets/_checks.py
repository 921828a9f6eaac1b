"""Checks of the parameters that simulators share."""

import numpy as np


def check_dtype(dtype):
    """Return the dtype of the views, float64 or float32."""
    dtype = np.dtype(dtype)
    if dtype not in (np.float64, np.float32):
        raise ValueError(f"dtype={dtype}; expected float64 or float32.")
    return dtype


def check_sizes(**sizes):
    """Return the sizes as ints, in the order given; refuse what is not a positive integer."""
    for name, size in sizes.items():
        if not isinstance(size, (int, np.integer)) or size < 1:
            raise ValueError(f"{name}={size!r}; expected a positive integer.")
    return tuple(int(size) for size in sizes.values())


def per_view(value, m, name, *, integer=False, low):
    """Return one number a view, from one number or m of them."""
    values = np.asarray(value)
    if integer and not np.issubdtype(values.dtype, np.integer):
        raise ValueError(f"{name}={value!r}; expected an int or {m} ints, one a view.")
    if values.shape not in ((), (m,)):
        raise ValueError(
            f"{name} has shape {values.shape}; expected one number or {m}, one a view."
        )
    if not np.all(np.isfinite(values) & (values >= low)):
        raise ValueError(f"{name}={value!r}; expected finite values of at least {low}.")
    return np.broadcast_to(values if integer else values.astype(float), (m,)).copy()


def per_view_and_component(value, m, p, name):
    """Return an (m, p) array of non-negative numbers, from one, m, or m p of them."""
    values = np.asarray(value, dtype=float)
    if values.shape == (m,):
        values = values[:, None]
    if values.shape not in ((), (m, 1), (1, p), (m, p)):
        raise ValueError(
            f"{name} has shape {values.shape}; expected a number, ({m},) per view, or"
            f" ({m}, {p}) per view and component."
        )
    if not np.all(np.isfinite(values) & (values >= 0)):
        raise ValueError(f"{name} has values that are negative or not finite.")
    return np.broadcast_to(values, (m, p)).copy()
