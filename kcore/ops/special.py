"""Mathematical functions beyond the elementary: other bases, roots, inverse hyperbolic, of angles, erfc, Bessel."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from kcore.dtypes import is_float
from kcore.graph.op import In, Spec, composite, primitive, sample
from kcore.ops.elementwise import (
    _distance,
    abs,
    cast,
    divide,
    exp,
    floor_divide,
    log,
    log1p,
    maximum,
    minimum,
    mod,
    multiply,
    round,
    sin,
    sqrt,
    square,
    where,
    zeros_of,
)
from kcore.ops.halves import HALVES, through_float32
from kcore.ops.operands import floating, together
from kcore.ops.polynomials import ERFC, ERFINV_FAR, ERFINV_MIDDLE, ERFINV_NEAR, I0_FAR, I0_NEAR, polynomial
from kcore.ops.shapes import elementwise, same

__all__ = [
    "arccosh", "arcsinh", "arctanh", "cbrt", "deg2rad", "erfc", "erfinv", "exp2", "fmod", "hypot", "i0", "ldexp",
    "log2", "log10", "logaddexp2", "nextafter", "rad2deg", "sinc", "trunc",
]  # fmt: skip


def _unary(expr: str, low: float, high: float) -> Callable[[Callable[..., Any]], Any]:
    """Declare a primitive of one float tensor, with samples between two numbers."""
    samples = [sample(In((3, 5), low, high)), sample(In((33,), low, high))]
    return primitive("elementwise", infer=same, promote="float", expr=expr, samples=samples)


@_unary("asinh({0})", -3.0, 3.0)
def arcsinh(x):
    """The number whose hyperbolic sine is x, element by element.

    Args:
        x: tensor; integers are computed as floatx.

    Example:
        >>> arcsinh([0.0, 1.0]).numpy().round(4)
        array([0.    , 0.8814], dtype=float32)

    Source: `keras.ops.arcsinh`.
    """
    return np.arcsinh(x)


arcsinh.gradient(lambda ctx, g: g / sqrt(square(ctx.inputs[0]) + 1.0))


@_unary("acosh({0})", 1.2, 4.0)
def arccosh(x):
    """The number, at least 0, whose hyperbolic cosine is x, element by element; NaN where x is below 1.

    Args:
        x: tensor; integers are computed as floatx.

    Example:
        >>> arccosh([1.0, 2.0]).numpy().round(4)
        array([0.   , 1.317], dtype=float32)

    Source: `keras.ops.arccosh`.
    """
    return np.arccosh(x)


arccosh.gradient(lambda ctx, g: g / (sqrt(ctx.inputs[0] - 1.0) * sqrt(ctx.inputs[0] + 1.0)))


@_unary("atanh({0})", -0.9, 0.9)
def arctanh(x):
    """The number whose hyperbolic tangent is x, element by element; NaN where x is beyond -1 or 1.

    Args:
        x: tensor; integers are computed as floatx.

    Example:
        >>> arctanh([0.0, 0.5]).numpy().round(4)
        array([0.    , 0.5493], dtype=float32)

    Source: `keras.ops.arctanh`.
    """
    return np.arctanh(x)


arctanh.gradient(lambda ctx, g: g / (1.0 - square(ctx.inputs[0])))


@_unary("cbrt({0})", 0.2, 3.0)
def cbrt(x):
    """The cube root of each element, negative where x is.

    Args:
        x: tensor; integers are computed as floatx.

    Example:
        >>> cbrt([-8.0, 27.0]).numpy().round(4)
        array([-2.,  3.], dtype=float32)

    Source: `keras.ops.cbrt`.
    """
    return np.cbrt(x)


cbrt.gradient(lambda ctx, g: g / (square(ctx.outputs[0]) * 3.0))


@_unary("exp2({0})", -3.0, 3.0)
def exp2(x):
    """2 to the power of each element.

    Args:
        x: tensor; integers are computed as floatx.

    Example:
        >>> exp2([3.0, -1.0]).numpy().tolist()
        [8.0, 0.5]

    Source: `keras.ops.exp2`.
    """
    return np.exp2(x)


exp2.gradient(lambda ctx, g: g * ctx.outputs[0] * math.log(2.0))


@_unary("log2({0})", 0.2, 5.0)
def log2(x):
    """The logarithm of each element to base 2.

    Args:
        x: tensor; integers are computed as floatx.

    Example:
        >>> log2([8.0, 0.5]).numpy().tolist()
        [3.0, -1.0]

    Source: `keras.ops.log2`.
    """
    return np.log2(x)


log2.gradient(lambda ctx, g: g / ctx.inputs[0] * (1.0 / math.log(2.0)))


@_unary("log10({0})", 0.2, 5.0)
def log10(x):
    """The logarithm of each element to base 10.

    Args:
        x: tensor; integers are computed as floatx.

    Example:
        >>> log10([1000.0, 0.1]).numpy().round(4)
        array([ 3., -1.], dtype=float32)

    Source: `keras.ops.log10`.
    """
    return np.log10(x)


log10.gradient(lambda ctx, g: g / ctx.inputs[0] * (1.0 / math.log(10.0)))


@primitive("elementwise", "trunc", infer=same, promote="float", expr="trunc({0})", samples=[
    sample(In((3, 5), 0.1, 0.9)), sample(In((7,), value=[-2.5, -1.0, -0.3, 0.0, 0.7, 3.0, 9.9]), grad=False),
])  # fmt: skip
def _trunc(x):
    """Each element without its fraction."""
    return np.trunc(x)


_trunc.gradient(lambda ctx, g: zeros_of(g))


def trunc(x: Any) -> Any:
    """Each element without its fraction: the nearest whole number towards zero.

    Args:
        x: tensor; integers and truth values are returned as they are.

    Example:
        >>> trunc([-1.7, 0.4, 2.5]).numpy().tolist()
        [-1.0, 0.0, 2.0]

    Source: `keras.ops.trunc`.
    """
    x = together(x)[0]
    return _trunc(x) if is_float(x.dtype) else x


_PAIRS = [sample((3, 4), (3, 4)), sample((2, 1, 5), In((3, 1), 0.5, 2.0))]


@primitive("elementwise", infer=elementwise, promote="float", expr="hypot({0}, {1})", samples=_PAIRS)
def hypot(x1, x2):
    """sqrt(x1^2 + x2^2) without overflow, the longest side of a right triangle, element by element.

    Args:
        x1, x2: tensors that broadcast; integers are computed as floatx.

    Example:
        >>> hypot([3.0, 1e30], [4.0, 0.0]).numpy().tolist()[0]
        5.0

    Source: `keras.ops.hypot`.
    """
    return np.hypot(x1, x2)


@hypot.gradient
def _(ctx: Any, g: Any) -> tuple[Any, Any]:
    """The sides' shares of the result; 0 at the origin."""
    (x1, x2), (y,) = ctx.inputs, ctx.outputs
    scaled = g / where(y == 0, 1.0, y)
    return scaled * x1, scaled * x2


def _nextafter_infer(x1: Spec, x2: Spec) -> Spec:
    if x1.dtype in HALVES:
        raise ValueError(f"expected float32 or float64, whose neighbours every backend knows; received {x1.dtype}")
    return elementwise(x1, x2)


@primitive(
    "elementwise", infer=_nextafter_infer, promote="float", expr="nextafter({0}, {1})", differentiable=False,
    samples=[sample((3, 4), (4,), grad=False)],
)  # fmt: skip
def nextafter(x1, x2):
    """The next number that the dtype holds after each element of `x1` on the way to `x2`.

    Args:
        x1, x2: tensors that broadcast, float32 or float64; integers are computed as floatx.

    Example:
        >>> nextafter([1.0], [2.0]).numpy().tolist()
        [1.0000001192092896]

    Source: `keras.ops.nextafter`.
    """
    return np.nextafter(x1, x2)


# -- of angles ---------------------------------------------------------------------------------------------------------


def deg2rad(x: Any) -> Any:
    """Angles in degrees as radians.

    Args:
        x: tensor; integers are computed as floatx.

    Example:
        >>> deg2rad([180.0]).numpy().round(4)
        array([3.1416], dtype=float32)

    Source: `keras.ops.deg2rad`.
    """
    return floating(x) * (math.pi / 180.0)


def rad2deg(x: Any) -> Any:
    """Angles in radians as degrees.

    Args:
        x: tensor; integers are computed as floatx.

    Example:
        >>> rad2deg([1.0]).numpy().round(3)
        array([57.296], dtype=float32)

    Source: `keras.ops.rad2deg`.
    """
    return floating(x) * (180.0 / math.pi)


def sinc(x: Any) -> Any:
    """sin(pi x) / (pi x) of each element, 1 at 0.

    Args:
        x: tensor; integers are computed as floatx.

    Example:
        >>> sinc([0.0, 0.5]).numpy().round(4)
        array([1.    , 0.6366], dtype=float32)

    Source: `keras.ops.sinc`.
    """
    x = floating(x)
    zero = x == 0
    angle = where(zero, 1.0, x) * math.pi
    return where(zero, 1.0, sin(angle) / angle)


# -- arithmetic --------------------------------------------------------------------------------------------------------


def logaddexp2(x1: Any, x2: Any) -> Any:
    """log2(2^x1 + 2^x2), without overflow, element by element.

    Args:
        x1, x2: tensors that broadcast; integers are computed as floatx, minus infinity is the logarithm of 0.

    Example:
        >>> logaddexp2([3.0, 1000.0], [3.0, 1000.0]).numpy().tolist()
        [4.0, 1001.0]

    Source: `keras.ops.logaddexp2`.
    """
    x1, x2 = together(x1, x2, promote=float)
    return maximum(x1, x2) + log1p(exp2(-abs(_distance(x1, x2)))) * (1.0 / math.log(2.0))


def ldexp(x1: Any, x2: Any) -> Any:
    """x1 * 2^x2, element by element.

    Args:
        x1: tensor; integers are computed as floatx.
        x2: integer tensor that broadcasts.

    Raises:
        TypeError: `x2` holds floats or truth values.

    Example:
        >>> ldexp([0.75, 3.0], [4, -1]).numpy().tolist()
        [12.0, 1.5]

    Source: `keras.ops.ldexp`.
    """
    exponent = together(x2)[0]
    if "int" not in exponent.dtype:
        raise TypeError(f"ldexp: expected the exponents x2 to be integers; received {exponent.dtype}")
    x = together(x1, x2, promote=float)[0]
    half = floor_divide(exponent, 2)  # in two steps: 2^x2 alone may overflow where the product does not
    return x * exp2(cast(half, x.dtype)) * exp2(cast(exponent - half, x.dtype))


def fmod(x1: Any, x2: Any) -> Any:
    """The remainder of x1 / x2 with the sign of `x1`, element by element, as C's fmod; `mod` has the sign of `x2`.

    Args:
        x1, x2: tensors that broadcast; truth values are computed as int32.

    Example:
        >>> fmod([-7.0, 7.0], [3.0, -3.0]).numpy().tolist()
        [-1.0, 1.0]

    Source: `keras.ops.fmod`.
    """
    x1, x2 = together(x1, x2)
    if is_float(x1.dtype):
        rest = mod(abs(x1), abs(x2))
        return where(x1 < 0, -rest, rest)
    if x1.dtype == "bool":
        x1, x2 = cast(x1, "int32"), cast(x2, "int32")
    rest = mod(x1, x2)
    return where((rest != 0) & ((x1 < 0) != (x2 < 0)), rest - x2, rest)


# -- erfc, erfinv, I0 --------------------------------------------------------------------------------------------------


@composite(
    "elementwise", infer=same, promote="float",
    samples=[sample(In((3, 5), -2.0, 4.0)), sample(In((33,), -5.0, 9.0), grad=False)],
)  # fmt: skip
@through_float32("erfc")
def erfc(x):
    """1 - erf(x) of each element, exact to the last digits also where erf is nearly 1.

    Args:
        x: tensor; integers are computed as floatx.

    Example:
        >>> erfc([0.0, 5.0]).numpy().tolist()[0]
        1.0

    Source: `keras.ops.erfc`.
    """
    size = minimum(abs(x), 28.0)  # from where on it is 0 in every dtype
    u = divide(1.0, 1.0 + 0.5 * size)
    head = round(size * 256.0) * (1.0 / 256.0)  # its square is exact, so that exp(-x^2) loses nothing
    decay = exp(-square(head)) * exp((head - size) * (head + size))
    tail = u * polynomial(ERFC, 2.0 * u - 1.0) * decay
    return where(x < 0, 2.0 - tail, tail)


erfc.gradient(lambda ctx, g: g * (-2.0 / math.sqrt(math.pi)) * exp(-square(ctx.inputs[0])))


@composite(
    "elementwise", infer=same, promote="float",
    samples=[sample(In((3, 5), -0.95, 0.95)), sample(In((33,), 0.99, 0.9999999), grad=False)],
)  # fmt: skip
@through_float32("erfinv")
def erfinv(x):
    """The number whose error function is x, element by element; infinite at -1 and 1, NaN beyond.

    Args:
        x: tensor; integers are computed as floatx.

    Example:
        >>> erfinv([0.0, 0.5]).numpy().round(4)
        array([0.    , 0.4769], dtype=float32)

    Source: `keras.ops.erfinv`.
    """
    w = -log((1.0 - x) * (1.0 + x))
    root = sqrt(w)
    edge = math.sqrt(37.0)
    middle = polynomial(ERFINV_MIDDLE, (root - 3.25) * (1.0 / 0.75))
    far = polynomial(ERFINV_FAR, (root - (4.0 + edge) / 2.0) * (2.0 / (edge - 4.0)))
    inner = where(w < 16.0, middle, far)
    y = x * where(w < 6.25, polynomial(ERFINV_NEAR, w * 0.32 - 1.0), inner)
    return where(abs(x) == 1.0, x * math.inf, y)


erfinv.gradient(lambda ctx, g: g * (math.sqrt(math.pi) / 2.0) * exp(square(ctx.outputs[0])))


def i0(x: Any) -> Any:
    """The modified Bessel function of the first kind, order 0, of each element.

    Args:
        x: tensor; integers are computed as floatx.

    Example:
        >>> i0([0.0, 1.0]).numpy().round(4)
        array([1.    , 1.2661], dtype=float32)

    Source: `keras.ops.i0`.
    """
    x = floating(x)
    if x.dtype in HALVES:
        return cast(i0(cast(x, "float32")), x.dtype)
    size = abs(x)
    small = size <= 8.0
    near = polynomial(I0_NEAR, where(small, size, 8.0) * 0.25 - 1.0)
    outer = where(small, 8.0, size)
    scaled = where(small, near, polynomial(I0_FAR, 16.0 / outer - 1.0) / sqrt(outer))
    grown = exp(size * 0.5)  # twice, since exp(x) overflows before I0(x) does
    return multiply(scaled * grown, grown)
