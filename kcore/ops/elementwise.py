"""Elementwise ops: arithmetic, comparison, logic and mathematical functions; each is a line or a few."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from kcore.dtypes import numpy_dtype, standardize_dtype
from kcore.graph.op import OPS, In, Op, Spec, composite, sample
from kcore.ops.shapes import broadcast, elementwise, predicate, same

_SHAPES = ((3, 4), (16,), (2, 33), (0, 3), ())


def unary(
    name: str,
    reference: Callable[[Any], Any],
    grad: Callable[[Any, Any, Any], Any] | None,
    expr: str,
    *,
    promote: str | None = "float",
    low: float = -2.0,
    high: float = 2.0,
    infer: Callable[..., Spec] = same,
    doc: str = "",
) -> Op:
    """Declare a primitive of one tensor; `grad` is ``(x, y, g) -> gradient of x``."""

    def fn(x: Any) -> Any:
        return reference(x)

    fn.__doc__ = doc or f"{name} of each element."
    op = Op(
        name,
        fn,
        primitive=True,
        family="elementwise",
        infer=infer,
        promote=promote,
        expr=expr,
        differentiable=grad is not None,
        samples=[sample(In(s, low, high), grad=grad is not None) for s in _SHAPES],
    )
    op.__module__ = __name__
    if grad is not None:
        op.gradient(lambda ctx, g: grad(ctx.inputs[0], ctx.outputs[0], g))
    return OPS.add(op)


def binary(
    name: str,
    reference: Callable[[Any, Any], Any],
    grad: Callable[[Any, Any, Any, Any], tuple] | None,
    expr: str,
    *,
    promote: str = "common",
    infer: Callable[..., Spec] = elementwise,
    a: tuple[float, float] = (-2.0, 2.0),
    b: tuple[float, float] = (-2.0, 2.0),
    doc: str = "",
) -> Op:
    """Declare a primitive of two tensors that broadcast; `grad` is ``(a, b, y, g) -> gradients of a and b``."""

    def fn(x1: Any, x2: Any) -> Any:
        return reference(x1, x2)

    fn.__doc__ = doc or f"{name} of two tensors, element by element, with broadcasting."
    pairs = [((3, 4), (3, 4)), ((3, 4), (4,)), ((2, 1, 5), (3, 1)), ((17,), ()), ((0, 3), (3,)), ((31, 33), (31, 1))]
    op = Op(
        name,
        fn,
        primitive=True,
        family="elementwise",
        infer=infer,
        promote=promote,
        expr=expr,
        differentiable=grad is not None,
        samples=[sample(In(s, *a), In(t, *b), grad=grad is not None) for s, t in pairs],
    )
    op.__module__ = __name__
    if grad is not None:
        op.gradient(lambda ctx, g: grad(ctx.inputs[0], ctx.inputs[1], ctx.outputs[0], g))
    return OPS.add(op)


# -- arithmetic --------------------------------------------------------------------------------------------------------

add: Op = binary("add", np.add, lambda a, b, y, g: (g, g), "{0} + {1}")
subtract: Op = binary("subtract", np.subtract, lambda a, b, y, g: (g, -g), "{0} - {1}")
multiply: Op = binary("multiply", np.multiply, lambda a, b, y, g: (g * b, g * a), "{0} * {1}")
divide: Op = binary(
    "divide", np.true_divide, lambda a, b, y, g: (g / b, -g * y / b), "{0} / {1}", promote="float", b=(0.5, 2.0),
    doc="Quotient, element by element; integers are divided as floats.",
)  # fmt: skip
power: Op = binary(
    "power", np.power,
    lambda a, b, y, g: (g * b * power(a, b - 1), g * y * log(where(a > 0, a, 1.0))), "pow({0}, {1})",
    a=(0.2, 2.0), b=(0.5, 3.0),
)  # fmt: skip
maximum: Op = binary("maximum", np.maximum, lambda a, b, y, g: _shared(a >= b, b >= a, g), "max({0}, {1})")
minimum: Op = binary("minimum", np.minimum, lambda a, b, y, g: _shared(a <= b, b <= a, g), "min({0}, {1})")
mod: Op = binary(
    "mod", np.mod, lambda a, b, y, g: (g, -g * floor(a / b)), "pymod({0}, {1})", a=(0.6, 0.9), b=(1.1, 2.0)
)
floor_divide: Op = binary("floor_divide", np.floor_divide, None, "pyfloordiv({0}, {1})", a=(0.6, 5.9), b=(1.1, 2.0))
arctan2: Op = binary(
    "arctan2", np.arctan2,
    lambda a, b, y, g: (g * b / (a * a + b * b), -g * a / (a * a + b * b)), "atan2({0}, {1})",
    promote="float", a=(0.5, 2.0),
)  # fmt: skip


def _shared(first: Any, second: Any, g: Any) -> tuple[Any, Any]:
    """Gradients of max and min; where both are equal each gets half, as in Keras on JAX."""
    both = logical_and(first, second)
    half = where(both, g * 0.5, g)
    return where(first, half, 0.0), where(second, half, 0.0)


negative: Op = unary("negative", np.negative, lambda x, y, g: -g, "-{0}", promote=None)
abs: Op = unary("abs", np.abs, lambda x, y, g: g * sign(x), "fabs({0})", promote=None)
sign: Op = unary("sign", np.sign, lambda x, y, g: zeros_of(x), "sign({0})", promote=None)
floor: Op = unary("floor", np.floor, lambda x, y, g: zeros_of(x), "floor({0})", low=0.1, high=0.9)
ceil: Op = unary("ceil", np.ceil, lambda x, y, g: zeros_of(x), "ceil({0})", low=0.1, high=0.9)
_round: Op = unary(
    "round",
    np.rint,
    lambda x, y, g: zeros_of(x),
    "rint({0})",
    low=0.1,
    high=0.4,
    doc="Nearest integer, halves to even.",
)

# -- functions ---------------------------------------------------------------------------------------------------------

exp: Op = unary("exp", np.exp, lambda x, y, g: g * y, "exp({0})")
expm1: Op = unary("expm1", np.expm1, lambda x, y, g: g * (y + 1.0), "expm1({0})")
log: Op = unary("log", np.log, lambda x, y, g: g / x, "log({0})", low=0.2, high=3.0)
log1p: Op = unary("log1p", np.log1p, lambda x, y, g: g / (x + 1.0), "log1p({0})", low=-0.5)
sqrt: Op = unary("sqrt", np.sqrt, lambda x, y, g: g * 0.5 / y, "sqrt({0})", low=0.2, high=3.0)
sin: Op = unary("sin", np.sin, lambda x, y, g: g * cos(x), "sin({0})")
cos: Op = unary("cos", np.cos, lambda x, y, g: -g * sin(x), "cos({0})")
tan: Op = unary("tan", np.tan, lambda x, y, g: g * (1.0 + y * y), "tan({0})", low=-1.2, high=1.2)
arcsin: Op = unary("arcsin", np.arcsin, lambda x, y, g: g / sqrt(1.0 - x * x), "asin({0})", low=-0.9, high=0.9)
arccos: Op = unary("arccos", np.arccos, lambda x, y, g: -g / sqrt(1.0 - x * x), "acos({0})", low=-0.9, high=0.9)
arctan: Op = unary("arctan", np.arctan, lambda x, y, g: g / (1.0 + x * x), "atan({0})")
sinh: Op = unary("sinh", np.sinh, lambda x, y, g: g * cosh(x), "sinh({0})")
cosh: Op = unary("cosh", np.cosh, lambda x, y, g: g * sinh(x), "cosh({0})")
tanh: Op = unary("tanh", np.tanh, lambda x, y, g: g * (1.0 - y * y), "tanh({0})")
erf: Op = unary(
    "erf", lambda x: np.vectorize(math.erf, otypes=[np.float64])(x) if np.size(x) else np.zeros(np.shape(x)),
    lambda x, y, g: g * (2.0 / math.sqrt(math.pi)) * exp(-x * x), "erf({0})", low=-4.0, high=4.0,
    doc="Error function 2/sqrt(pi) * integral of exp(-t^2) from 0 to x.",
)  # fmt: skip

# -- comparison and logic ----------------------------------------------------------------------------------------------

equal: Op = binary("equal", np.equal, None, "{0} == {1}", infer=predicate)
not_equal: Op = binary("not_equal", np.not_equal, None, "{0} != {1}", infer=predicate)
less: Op = binary("less", np.less, None, "{0} < {1}", infer=predicate)
less_equal: Op = binary("less_equal", np.less_equal, None, "{0} <= {1}", infer=predicate)
greater: Op = binary("greater", np.greater, None, "{0} > {1}", infer=predicate)
greater_equal: Op = binary("greater_equal", np.greater_equal, None, "{0} >= {1}", infer=predicate)
logical_and: Op = binary("logical_and", np.logical_and, None, "{0} && {1}", infer=predicate)
logical_or: Op = binary("logical_or", np.logical_or, None, "{0} || {1}", infer=predicate)
logical_xor: Op = binary("logical_xor", np.logical_xor, None, "(({0}) != 0) != (({1}) != 0)", infer=predicate)
logical_not: Op = unary("logical_not", np.logical_not, None, "!{0}", promote=None, infer=predicate)
isnan: Op = unary("isnan", np.isnan, None, "isnan({0})", infer=predicate)
isinf: Op = unary("isinf", np.isinf, None, "isinf({0})", infer=predicate)
isfinite: Op = unary("isfinite", np.isfinite, None, "isfinite({0})", infer=predicate)


def _where_infer(condition: Spec, x1: Spec, x2: Spec) -> Spec:
    return Spec(broadcast(condition.shape, x1.shape, x2.shape), x1.dtype)


def _where_reference(condition: Any, x1: Any, x2: Any) -> Any:
    """`x1` where the condition holds, else `x2`; the three broadcast."""
    return np.where(condition, x1, x2)


where: Op = OPS.add(
    Op(
        "where",
        _where_reference,
        primitive=True,
        family="elementwise",
        infer=_where_infer,
        promote="common",
        promoted=(1, 2),
        expr="{0} ? {1} : {2}",
        samples=[
            sample(In((3, 4), 0, 2, "bool"), (3, 4), (3, 4)),
            sample(In((3, 1), 0, 2, "bool"), (4,), ()),
            sample(In((17,), 0, 2, "bool"), (17,), (17,)),
        ],
    )
)
where.__module__ = __name__
where.gradient(lambda ctx, g: (None, where(ctx.inputs[0], g, 0.0), where(ctx.inputs[0], 0.0, g)))


def _cast_reference(x: Any, *, dtype: str) -> Any:
    """The tensor in another dtype; floats are truncated towards zero when cast to integers."""
    with np.errstate(invalid="ignore"):
        return np.asarray(x).astype(numpy_dtype(dtype))


_cast: Op = OPS.add(
    Op(
        "cast",
        _cast_reference,
        primitive=True,
        family="elementwise",
        infer=lambda x, dtype: Spec(x.shape, dtype),
        expr="({dtype})({0})",
        samples=[
            sample((3, 4), dtype="float64"),
            sample((5,), dtype="int32", grad=False),
            sample((7,), dtype="bool", grad=False),
        ],
    )
)
_cast.__module__ = __name__
_cast.gradient(lambda ctx, g: _cast(g, dtype=ctx.inputs[0].dtype))


def cast(x: Any, dtype: Any) -> Any:
    """The tensor in another dtype.

    Args:
        x: tensor.
        dtype: name of the dtype.
    """
    return _cast(x, dtype=standardize_dtype(dtype))


identity: Op = unary("identity", np.array, lambda x, y, g: g, "{0}", promote=None, doc="The tensor itself.")
stop_gradient: Op = unary(
    "stop_gradient", np.array, None, "{0}", promote=None, doc="The tensor, through which no gradient flows."
)


def zeros_of(x: Any) -> Any:
    return OPS["zeros_like"](x)


# -- composites --------------------------------------------------------------------------------------------------------


def elementwise_composite(
    name: str | None = None, *, low: float = -3.0, high: float = 3.0, promote: str = "float"
) -> Any:
    """Declare an elementwise composite of one tensor, with the usual samples."""
    return composite(
        "elementwise", name, infer=same, promote=promote, samples=[sample(In(s, low, high)) for s in _SHAPES]
    )


@elementwise_composite(promote="common")
def square(x: Any) -> Any:
    """x * x."""
    return x * x


square.gradient(lambda ctx, g: g * ctx.inputs[0] * 2.0)


@elementwise_composite(low=0.2)
def rsqrt(x: Any) -> Any:
    """1 / sqrt(x)."""
    return 1.0 / sqrt(x)


rsqrt.gradient(lambda ctx, g: g * -0.5 * ctx.outputs[0] / ctx.inputs[0])


@elementwise_composite(low=0.2)
def reciprocal(x: Any) -> Any:
    """1 / x."""
    return 1.0 / x


@elementwise_composite(promote="common", low=0.1)
def relu(x: Any) -> Any:
    """max(x, 0); its slope at 0 is 0."""
    return maximum(x, 0)


@relu.gradient
def _(ctx: Any, g: Any) -> Any:
    return relu_grad(ctx.outputs[0], g)


@composite("elementwise", infer=elementwise, promote="common", samples=[sample((3, 5), (3, 5)), sample((33,), (33,))])
def relu_grad(y: Any, g: Any) -> Any:
    """Gradient of relu from its output: g where y > 0, else 0."""
    return where(y > 0, g, 0)


relu_grad.gradient(lambda ctx, g: (None, relu_grad(ctx.inputs[0], g)))


@composite(
    "elementwise",
    infer=elementwise,
    promote="float",
    samples=[sample((3, 5), In((3, 5), 0.5, 2.0)), sample((4,), In((4,), value=[0.0, 1.0, 0.0, -2.0]), grad=False)],
)
def divide_no_nan(x1: Any, x2: Any) -> Any:
    """x1 / x2, and 0 where x2 is 0."""
    zero = equal(x2, 0)
    return where(zero, 0, x1 / where(zero, 1, x2))


@composite(
    "elementwise",
    infer=elementwise,
    promote="float",
    samples=[sample(s, t) for s, t in [((3, 4), (3, 4)), ((2, 1, 5), (3, 1)), ((17,), ()), ((0, 3), (3,))]]
    + [sample(In((5,), -200.0, 200.0), In((5,), -200.0, 200.0), grad=False)],
)
def logaddexp(x1: Any, x2: Any) -> Any:
    """log(exp(x1) + exp(x2)), without overflow: the sum of two probabilities given by their logarithms.

    Args:
        x1, x2: tensors that broadcast; minus infinity is the logarithm of 0.

    Returns:
        The broadcast shape; integers are computed as floats.

    Example:
        >>> logaddexp([0.0, 1000.0], [0.0, 1000.0]).numpy().round(4).tolist()
        [0.6931, 1000.6931]

    Source: `keras.ops.logaddexp`.
    """
    return maximum(x1, x2) + log1p(exp(-abs(_distance(x1, x2))))


def _distance(x1: Any, x2: Any) -> Any:
    """x1 - x2, and 0 where both are the same infinity."""
    return where(equal(x1, x2), 0.0, x1 - x2)


@logaddexp.gradient
def _(ctx: Any, g: Any) -> tuple[Any, Any]:
    """Each input counts by its share of the sum."""
    distance = _distance(*ctx.inputs)
    return g * sigmoid(distance), g * sigmoid(-distance)


@elementwise_composite()
def sigmoid(x: Any) -> Any:
    """1 / (1 + exp(-x)), by way of tanh so that nothing overflows."""
    return tanh(x * 0.5) * 0.5 + 0.5


sigmoid.gradient(lambda ctx, g: g * ctx.outputs[0] * (1.0 - ctx.outputs[0]))


@elementwise_composite()
def silu(x: Any) -> Any:
    """x * sigmoid(x)."""
    return x * sigmoid(x)


@elementwise_composite()
def softplus(x: Any) -> Any:
    """log(exp(x) + 1), without overflow."""
    return maximum(x, 0.0) + log1p(exp(-abs(x)))


softplus.gradient(lambda ctx, g: g * sigmoid(ctx.inputs[0]))


def clip(x: Any, x_min: Any, x_max: Any) -> Any:
    """The tensor limited to [x_min, x_max]; a gradient passes where it was within."""
    return minimum(maximum(x, x_min), x_max)


def round(x: Any, decimals: int = 0) -> Any:
    """Nearest value with `decimals` decimals, halves to even."""
    if decimals == 0:
        return _round(x)
    scale = 10.0**decimals
    return _round(x * scale) / scale


true_divide = divide
absolute = abs

__all__ = [
    "abs", "absolute", "add", "arccos", "arcsin", "arctan", "arctan2", "cast", "ceil", "clip", "cos", "cosh",
    "divide", "divide_no_nan", "equal", "erf", "exp", "expm1", "floor", "floor_divide", "greater", "greater_equal",
    "isfinite", "isinf", "isnan", "less", "less_equal", "log", "log1p", "logaddexp", "logical_and", "logical_not",
    "logical_or", "logical_xor", "maximum", "minimum", "mod", "multiply", "negative", "not_equal", "power",
    "reciprocal", "relu", "round", "rsqrt", "sigmoid", "sign", "silu", "sin", "sinh", "softplus", "sqrt", "square",
    "stop_gradient", "subtract", "tan", "tanh", "true_divide", "where",
]  # fmt: skip
