"""Fused score kernels on the CPU: one pass over memory, no temporaries, SIMD by plain code.

The exponential is written out (range reduction, polynomial, exponent bits) because Numba's own
calls the scalar C library. Rounding must stay strict apart from fused multiply-add: any
reassociation removes the range reduction (``fastmath={"contract"}`` only). All helpers of a cached
kernel live in this file.
"""

import math

import numpy as np
from llvmlite import ir
from numba import float32, float64, int32, int64, njit, types
from numba.extending import intrinsic, overload

LANES = 128  # independent accumulators: lets the compiler vectorise sums under strict rounding
CLIP_64, CLIP_32 = -700.0, np.float32(-80.0)
OPTIONS = {"cache": True, "nogil": True, "fastmath": {"contract"}, "error_model": "numpy"}


def _bit_cast(source, target, llvm_type):
    @intrinsic
    def cast(typing_context, x):
        def codegen(context, builder, signature, arguments):
            return builder.bitcast(arguments[0], llvm_type)

        return target(source), codegen

    return cast


_bits_of_64 = _bit_cast(float64, int64, ir.IntType(64))
_from_bits_64 = _bit_cast(int64, float64, ir.DoubleType())
_bits_of_32 = _bit_cast(float32, int32, ir.IntType(32))
_from_bits_32 = _bit_cast(int32, float32, ir.FloatType())


def _exp(x):
    """Exponential of a non-positive number, chosen by its type at compile time."""
    raise AssertionError("only compiled code calls this")


def _exp_64(x):
    x = max(x, -700.0)
    t = x * 1.4426950408889634 + 6755399441055744.0
    k = t - 6755399441055744.0
    r = (x - k * 0.693147180369123816490) - k * 1.90821492927058770002e-10
    e = 2.5110037605963777e-08
    e = e * r + 2.763263963904103e-07
    e = e * r + 2.755724091857897e-06
    e = e * r + 2.4801485482328494e-05
    e = e * r + 0.00019841269890047113
    e = e * r + 0.0013888888952314775
    e = e * r + 0.008333333333319601
    e = e * r + 0.0416666666664881
    e = e * r + 0.1666666666666668
    e = e * r + 0.5000000000000019
    e = e * r + 1.0
    e = e * r + 1.0
    return e * _from_bits_64((_bits_of_64(t) + int64(1023)) << int64(52))


def _exp_32(x):
    x = max(x, float32(-80.0))
    t = x * float32(1.4426950408889634) + float32(12582912.0)
    k = t - float32(12582912.0)
    r = (x - k * float32(0.693359375)) - k * float32(-2.12194440e-4)
    e = float32(0.0013941108433972674)
    e = e * r + float32(0.008375126398153335)
    e = e * r + float32(0.04166635289677516)
    e = e * r + float32(0.16666415514653277)
    e = e * r + float32(0.5000000047117757)
    e = e * r + float32(1.000000037716214)
    e = e * r + float32(1.0)
    return e * _from_bits_32((_bits_of_32(t) + int32(127)) << int32(23))


@overload(_exp)
def _typed_exp(x):
    return _exp_32 if x == types.float32 else _exp_64


@njit(**OPTIONS)
def _score_block(y, dy, t, sub, out, psi, lanes):
    """Add one stretch to `lanes` (5, LANES): |y|, product of 1 + u, psi', psi' y^2, y^2."""
    one = y.dtype.type(1)
    two = y.dtype.type(2)
    absolute, product, slope, slope_square, square = lanes
    for i in range(y.size):
        v = y[i] + t * dy[i]
        out[i] = v
        a = abs(v)
        u = _exp(-two * a)
        th = math.copysign((one - u) / (one + u), v)
        v2 = v * v
        if sub:
            score = v - th
            derivative = th * th
        else:
            score = th
            derivative = one - th * th
        psi[i] = score
        absolute[i] += a
        product[i] *= one + u
        slope[i] += derivative
        slope_square[i] += derivative * v2
        square[i] += v2


@njit(**OPTIONS)
def _flush(lanes, factors, total):
    """Move the lanes' sums to the row's totals; a product holds at most 1000 factors <= 2."""
    product, held = 1.0, 0
    for i in range(lanes.shape[1]):
        if held + factors > 1000:
            total[0] += math.log(product)
            product, held = 1.0, 0
        product *= lanes[1, i]
        held += factors
        total[0] += lanes[0, i]
        total[1] += lanes[2, i]
        total[2] += lanes[3, i]
        total[3] += lanes[4, i]
    total[0] += math.log(product)
    lanes[:] = 0
    lanes[1] = 1


@njit(**OPTIONS)
def score_step(Y, dY, t, sub, out, psi, sums):
    """Move to ``Y + t dY`` and evaluate the score there; see :mod:`mvica.kernels.reference`."""
    p, n = Y.shape
    step = Y.dtype.type(t)
    limit = 100 if Y.itemsize == 4 else 1000  # 2^limit must not overflow
    lanes = np.zeros((5, LANES), dtype=Y.dtype)
    lanes[1] = 1
    for a in range(p):
        total = sums[a]
        total[:] = 0
        factors = 0
        for start in range(0, n, LANES):
            stop = min(start + LANES, n)
            _score_block(
                Y[a, start:stop],
                dY[a, start:stop],
                step,
                sub[a],
                out[a, start:stop],
                psi[a, start:stop],
                lanes,
            )
            factors += 1
            if factors == limit:
                _flush(lanes, factors, total)
                factors = 0
        _flush(lanes, factors, total)
        if sub[a]:
            total[0] = 0.5 * total[3] - total[0]
        total /= n
