"""Reference kernels in plain array code: short, and the truth that fast tables must meet."""


def score_step(xp, Y, dY, t, sub):
    """Move to ``Y + t dY`` and evaluate the score of every component there.

    Parameters
    ----------
    xp : namespace
        An array API namespace (NumPy, CuPy, PyTorch through array-api-compat, ...).
    Y, dY : array of shape (p, n_samples)
        Sources and search direction.
    t : float
        Step length.
    sub : array of bool, shape (p,)
        True: sub-Gaussian, minus log density ``y^2/2 - log(2 cosh y)``; False: ``log(2 cosh y)``.

    Returns
    -------
    out : array of shape (p, n_samples)
        ``Y + t dY``.
    psi : array of shape (p, n_samples)
        Derivative of the minus log density at `out`.
    sums : array of shape (p, 4)
        Means over samples of the minus log density, of psi', of psi' y^2 and of y^2.
    """
    out = Y + t * dY
    tanh = xp.tanh(out)
    log_cosh = xp.abs(out) + xp.log1p(xp.exp(-2.0 * xp.abs(out)))
    square = out * out
    rows = sub[:, None]
    psi = xp.where(rows, out - tanh, tanh)
    slope = xp.where(rows, tanh * tanh, 1.0 - tanh * tanh)
    value = xp.where(rows, 0.5 * square - log_cosh, log_cosh)
    sums = xp.stack([xp.mean(s, axis=1) for s in (value, slope, slope * square, square)], axis=1)
    return out, psi, sums
