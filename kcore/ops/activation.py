"""Activation functions as ops: elementwise chains, and the two that look along an axis, glu and sparsemax.

Slopes at kinks are those of Keras on JAX; `sigmoid`, `silu`, `softplus` and `relu` stand with the elementwise ops.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from kcore.graph.op import In, Spec, composite, sample
from kcore.ops.elementwise import abs as absolute
from kcore.ops.elementwise import (
    cast,
    elementwise_composite,
    erf,
    exp,
    expm1,
    logical_and,
    maximum,
    minimum,
    sigmoid,
    silu,
    softplus,
    sqrt,
    square,
    tanh,
    where,
)
from kcore.ops.halves import through_float32
from kcore.ops.reduction import cumsum
from kcore.ops.reduction import sum as total
from kcore.ops.shape import _tensor, concatenate, slice
from kcore.ops.shapes import canonical_axis, elementwise, same
from kcore.ops.sorting import sort

_SHAPES = ((3, 4), (16,), (2, 33), (0, 3), ())


def _pieces(*ranges: tuple[float, float], **attrs: Any) -> list[Any]:
    """Samples on each side of the kinks, where finite differences hold."""
    shapes = ((3, 5), (17,), (0, 3), ())
    return [sample(In(s, low, high), **attrs) for (low, high) in ranges for s in shapes]


# -- rectifiers --------------------------------------------------------------------------------------------------------


@elementwise_composite(promote="common", low=0.5, high=5.5)
def relu6(x: Any) -> Any:
    """min(max(x, 0), 6); its slope is 0 at both ends."""
    return minimum(maximum(x, 0), 6)


@relu6.gradient
def _(ctx: Any, g: Any) -> Any:
    y = ctx.outputs[0]
    return where(logical_and(y > 0, y < 6), g, 0)


@composite(
    "elementwise",
    "leaky_relu",
    infer=same,
    promote="float",
    samples=[sample(In((3, 5), 0.1, 3.0), negative_slope=0.2), sample(In((17,), -3.0, -0.1), negative_slope=0.3)],
)
def _leaky_relu(x: Any, *, negative_slope: float) -> Any:
    """x where x >= 0, else negative_slope * x."""
    return where(x >= 0, x, x * negative_slope)


def leaky_relu(x: Any, negative_slope: float = 0.2) -> Any:
    """x where x >= 0, else negative_slope * x.

    Example:
        >>> leaky_relu([-1.0, 1.0], negative_slope=0.5).numpy().tolist()
        [-0.5, 1.0]

    Source: `keras.ops.leaky_relu`.
    """
    return _leaky_relu(x, negative_slope=float(negative_slope))


@composite(
    "elementwise", "threshold", infer=same, promote="float",
    samples=_pieces((0.6, 3.0), (-3.0, 0.4), threshold=0.5, default_value=0.2),
)  # fmt: skip
def _threshold(x: Any, *, threshold: float, default_value: float) -> Any:
    """x where x > threshold, else default_value."""
    return where(x > threshold, x, default_value)


def threshold(x: Any, threshold: float, default_value: float) -> Any:
    """x where it lies above a threshold, another value elsewhere.

    Args:
        x: floating tensor of any shape.
        threshold: value that x must exceed to be kept.
        default_value: what stands where it does not.

    Returns:
        Tensor of the shape and dtype of `x`.

    Example:
        >>> threshold([-1.0, 0.0, 2.0], 0.0, 9.0).numpy().tolist()
        [9.0, 9.0, 2.0]

    Source: `keras.ops.threshold`.
    """
    return _threshold(x, threshold=float(threshold), default_value=float(default_value))


# -- exponential units -------------------------------------------------------------------------------------------------


def _exponential_unit(x: Any, alpha: float, scale: float = 1.0) -> Any:
    """x where x > 0, else alpha * (exp(x / scale) - 1); the exponential never sees a positive x."""
    below = where(x > 0, 0.0, x)
    return where(x > 0, x, expm1(below if scale == 1.0 else below / scale) * alpha)


@composite(
    "elementwise",
    "elu",
    infer=same,
    promote="float",
    samples=[sample(In((3, 5), 0.1, 3.0), alpha=1.0), sample(In((17,), -3.0, -0.1), alpha=0.5)],
)
def _elu(x: Any, *, alpha: float) -> Any:
    """x where x > 0, else alpha * (exp(x) - 1)."""
    return _exponential_unit(x, alpha)


def elu(x: Any, alpha: float = 1.0) -> Any:
    """Exponential linear unit: x where x > 0, else alpha * (exp(x) - 1).

    Example:
        >>> elu([0.0, 2.0]).numpy().tolist()
        [0.0, 2.0]

    Source: `keras.ops.elu`; Clevert et al., arXiv:1511.07289.
    """
    return _elu(x, alpha=float(alpha))


@composite(
    "elementwise", "selu", infer=same, promote="float", samples=_pieces((0.1, 3.0), (-3.0, -0.1)),
)  # fmt: skip
def selu(x: Any) -> Any:
    """Scaled exponential linear unit (Klambauer et al. 2017)."""
    return _exponential_unit(x, 1.6732632423543772) * 1.0507009873554805


@composite(
    "elementwise", "celu", infer=same, promote="float",
    samples=_pieces((0.1, 3.0), (-3.0, -0.1), alpha=0.7),
)  # fmt: skip
def _celu(x: Any, *, alpha: float) -> Any:
    """x where x > 0, else alpha * (exp(x / alpha) - 1)."""
    return _exponential_unit(x, alpha, alpha)


def celu(x: Any, alpha: float = 1.0) -> Any:
    """Continuously differentiable exponential linear unit: x above 0, alpha * (exp(x / alpha) - 1) below.

    Args:
        x: floating tensor of any shape.
        alpha: scale of the exponential part; not 0.

    Returns:
        Tensor of the shape and dtype of `x`.

    Raises:
        ValueError: alpha is 0.

    Example:
        >>> celu([0.0, 2.0]).numpy().tolist()
        [0.0, 2.0]

    Source: `keras.ops.celu`; Barron, arXiv:1704.07483.
    """
    if alpha == 0:
        raise ValueError(f"celu: alpha={alpha}: expected another number than 0, x is divided by it")
    return _celu(x, alpha=float(alpha))


# -- sigmoids and their kin --------------------------------------------------------------------------------------------


@elementwise_composite()
def log_sigmoid(x: Any) -> Any:
    """log(sigmoid(x)) = -softplus(-x)."""
    return -softplus(-x)


@elementwise_composite()
def softsign(x: Any) -> Any:
    """x / (1 + |x|)."""
    return x / (absolute(x) + 1.0)


@elementwise_composite(low=-2.9, high=2.9)
def hard_sigmoid(x: Any) -> Any:
    """relu6(x + 3) / 6."""
    return relu6(x + 3.0) * (1.0 / 6.0)


@elementwise_composite(low=-2.9, high=2.9)
def hard_silu(x: Any) -> Any:
    """x * hard_sigmoid(x)."""
    return x * hard_sigmoid(x)


@composite(
    "elementwise", infer=same, promote="float", samples=_pieces((-3.0, -1.1), (-0.9, 0.9), (1.1, 3.0)),
)  # fmt: skip
def hard_tanh(x: Any) -> Any:
    """x limited to [-1, 1]; its slope is 1 at both ends."""
    return where(x > 1, 1.0, where(x < -1, -1.0, x))


@composite(
    "elementwise", infer=same, promote="float", samples=_pieces((-3.0, -1.1), (-0.9, 0.9), (1.1, 3.0)),
)  # fmt: skip
def sparse_sigmoid(x: Any) -> Any:
    """(x + 1) / 2 limited to [0, 1]; its slope is a quarter at both ends."""
    return minimum(maximum(x + 1.0, 0.0), 2.0) * 0.5


@composite(
    "elementwise", infer=same, promote="float", samples=_pieces((-3.0, -1.1), (-0.9, 0.9), (1.1, 3.0)),
)  # fmt: skip
def sparse_plus(x: Any) -> Any:
    """0 where x <= -1, x where x >= 1, and (x + 1)^2 / 4 between them."""
    return where(x <= -1, 0.0, where(x >= 1, x, square(x + 1.0) * 0.25))


@composite(
    "elementwise", "squareplus", infer=same, promote="float",
    samples=[sample(In(s, -3.0, 3.0), b=b) for s in _SHAPES for b in (4.0, 0.5)],
)  # fmt: skip
def _squareplus(x: Any, *, b: float) -> Any:
    """(x + sqrt(x^2 + b)) / 2."""
    return (x + sqrt(square(x) + b)) * 0.5


def squareplus(x: Any, b: float = 4) -> Any:
    """Squareplus, a softplus without exponentials: (x + sqrt(x^2 + b)) / 2.

    Args:
        x: floating tensor of any shape.
        b: width of the bend; 4 has the curvature of softplus at 0.

    Returns:
        Tensor of the shape and dtype of `x`.

    Example:
        >>> squareplus([0.0]).numpy().tolist()
        [1.0]

    Source: `keras.ops.squareplus`; Barron, arXiv:2112.11687.
    """
    return _squareplus(x, b=float(b))


# -- shrinking ---------------------------------------------------------------------------------------------------------


@composite(
    "elementwise", "hard_shrink", infer=same, promote="float",
    samples=_pieces((0.6, 3.0), (-0.4, 0.4), (-3.0, -0.6), threshold=0.5),
)  # fmt: skip
def _hard_shrink(x: Any, *, threshold: float) -> Any:
    """x where |x| > threshold, else 0."""
    return where(absolute(x) > threshold, x, 0.0)


def hard_shrink(x: Any, threshold: float = 0.5) -> Any:
    """x where its absolute value exceeds a threshold, 0 elsewhere.

    Args:
        x: floating tensor of any shape.
        threshold: half the width of the band that becomes 0.

    Returns:
        Tensor of the shape and dtype of `x`.

    Example:
        >>> hard_shrink([-1.0, 0.5, 1.0]).numpy().tolist()
        [-1.0, 0.0, 1.0]

    Source: `keras.ops.hard_shrink`.
    """
    return _hard_shrink(x, threshold=float(threshold))


@composite(
    "elementwise", "soft_shrink", infer=same, promote="float",
    samples=_pieces((0.6, 3.0), (-0.4, 0.4), (-3.0, -0.6), threshold=0.5),
)  # fmt: skip
def _soft_shrink(x: Any, *, threshold: float) -> Any:
    """x moved towards 0 by the threshold, and 0 where it would cross it."""
    return where(x > threshold, x - threshold, where(x < -threshold, x + threshold, 0.0))


def soft_shrink(x: Any, threshold: float = 0.5) -> Any:
    """x moved towards 0 by a threshold; 0 where its absolute value is not above it.

    Args:
        x: floating tensor of any shape.
        threshold: by how much.

    Returns:
        Tensor of the shape and dtype of `x`.

    Example:
        >>> soft_shrink([-1.0, 0.5, 1.0]).numpy().tolist()
        [-0.5, 0.0, 0.5]

    Source: `keras.ops.soft_shrink`.
    """
    return _soft_shrink(x, threshold=float(threshold))


@elementwise_composite()
def tanh_shrink(x: Any) -> Any:
    """x - tanh(x)."""
    return x - tanh(x)


# -- gelu --------------------------------------------------------------------------------------------------------------


@composite(
    "elementwise", "gelu", infer=same, promote="float",
    samples=[sample(In(s, -4, 4), approximate=a) for s in _SHAPES for a in (True, False)],
)  # fmt: skip
@through_float32("gelu")
def _gelu(x: Any, *, approximate: bool) -> Any:
    """Gaussian error linear unit x * Phi(x) (Hendrycks and Gimpel 2016)."""
    if approximate:
        return x * 0.5 * (1.0 + tanh(math.sqrt(2.0 / math.pi) * (x + 0.044715 * x * x * x)))
    return x * 0.5 * (erf(x * math.sqrt(0.5)) + 1.0)


@_gelu.gradient
def _(ctx: Any, g: Any) -> Any:
    return gelu_grad(ctx.inputs[0], g, approximate=ctx.attrs["approximate"])


@composite(
    "elementwise",
    infer=elementwise,
    promote="float",
    samples=[sample(In((4, 5), -4, 4), (4, 5), approximate=a) for a in (True, False)],
)
@through_float32("gelu_grad")
def gelu_grad(x: Any, g: Any, *, approximate: bool) -> Any:
    """Gradient of gelu: g * (Phi(x) + x * phi(x)), or that of the tanh form."""
    if approximate:
        c = math.sqrt(2.0 / math.pi)
        t = tanh(c * (x + 0.044715 * x * x * x))
        return g * (0.5 * (1.0 + t) + 0.5 * x * (1.0 - t * t) * c * (1.0 + 3.0 * 0.044715 * x * x))
    phi = exp(x * x * -0.5) * (1.0 / math.sqrt(2.0 * math.pi))
    return g * (0.5 * (erf(x * math.sqrt(0.5)) + 1.0) + x * phi)


def gelu(x: Any, approximate: bool = True) -> Any:
    """Gaussian error linear unit; `approximate` uses the tanh form, as `keras.ops.gelu` does by default."""
    return _gelu(x, approximate=bool(approximate))


# -- along an axis -----------------------------------------------------------------------------------------------------


def _halves(x: Any, axis: int) -> tuple[Any, Any]:
    half = x.shape[axis] // 2
    first = tuple(half if i == axis else 0 for i in range(len(x.shape)))
    size = tuple(half if i == axis else d for i, d in enumerate(x.shape))
    return slice(x, (0,) * len(x.shape), size), slice(x, first, size)


def _glu_infer(x: Spec, *, axis: int) -> Spec:
    size = x.shape[axis]
    if size is not None and size % 2:
        raise ValueError(f"glu: the size of axis {axis} of {x} is {size}, expected an even number to cut in half")
    half = None if size is None else size // 2
    return Spec((*x.shape[:axis], half, *x.shape[axis + 1 :]), x.dtype)


@composite(
    "activation", "glu", infer=_glu_infer, promote="float",
    samples=[sample((3, 8), axis=1), sample((4, 3), axis=0), sample((2, 6, 5), axis=1), sample((0, 4), axis=1)],
)  # fmt: skip
def _glu(x: Any, *, axis: int) -> Any:
    """One half of x times the sigmoid of the other."""
    values, gates = _halves(x, axis)
    return values * sigmoid(gates)


@_glu.gradient
def _(ctx: Any, g: Any) -> Any:
    (x,), axis = ctx.inputs, ctx.attrs["axis"]
    values, gates = _halves(x, axis)
    gate = sigmoid(gates)
    return concatenate([g * gate, g * values * gate * (1.0 - gate)], axis=axis)


def glu(x: Any, axis: int = -1) -> Any:
    """Gated linear unit: the first half of a tensor along an axis, times the sigmoid of the second.

    Args:
        x: floating tensor; its size along `axis` is even.
        axis: the axis that is cut in half.

    Returns:
        Tensor of the dtype of `x`, of half its size along `axis`.

    Raises:
        ValueError: there is no such axis, or its size is odd.

    Example:
        >>> glu([1.0, 2.0, 0.0, 0.0]).numpy().tolist()
        [0.5, 1.0]

    Source: `keras.ops.glu`; Dauphin et al., arXiv:1612.08083.
    """
    x = _tensor(x)
    return _glu(x, axis=canonical_axis(axis, len(x.shape), "glu: axis"))


_NO_TIES = np.array([[0.3, -0.2, 0.9, 0.05, -1.1], [2.0, 0.1, 1.8, -0.7, 0.4], [0.0, -0.3, -0.6, 0.2, 0.6]])


@composite(
    "activation", "sparsemax", infer=lambda x, *, axis: x, promote="float",
    samples=[
        sample(In((3, 5), value=_NO_TIES), axis=1),
        sample(In((5, 3), value=_NO_TIES.T), axis=0),
        sample((2, 7, 3), axis=1, grad=False),
    ],
)  # fmt: skip
def _sparsemax(x: Any, *, axis: int) -> Any:
    """max(x - tau, 0) with a tau per slice of the axis."""
    shape = tuple(x.shape[i] if i == axis else 1 for i in range(len(x.shape)))
    place = np.arange(1, x.shape[axis] + 1, dtype=x.dtype).reshape(shape)
    largest_first = -sort(-x, axis=axis)
    sums = cumsum(largest_first, axis=axis)
    supported = largest_first - (sums - 1.0) / place > 0
    count = total(cast(supported, x.dtype), axis=axis, keepdims=True)
    tau = (total(where(supported, sums, 0.0), axis=axis, keepdims=True) - 1.0) / count
    return maximum(x - tau, 0.0)


def sparsemax(x: Any, axis: int = -1) -> Any:
    """Sparsemax: ``max(x - tau, 0)``, an alternative to softmax with exact zeros.

    As in Keras, tau is (the sum of the running sums over the support, less 1) / (size of the support); it is that of
    the paper, which makes the result sum to 1, where one element is supported.

    Args:
        x: floating tensor, e.g. logits ``(batch, classes)``.
        axis: axis of the classes; its size is known.

    Returns:
        Tensor of the shape and dtype of `x`.

    Raises:
        ValueError: there is no such axis.

    Example:
        >>> sparsemax([[2.0, 0.5, 0.1]]).numpy().tolist()
        [[1.0, 0.0, 0.0]]

    Source: `keras.ops.sparsemax`; Martins and Astudillo, arXiv:1602.02068.
    """
    x = _tensor(x)
    return _sparsemax(x, axis=canonical_axis(axis, len(x.shape), "sparsemax: axis"))


swish = silu
hard_swish = hard_silu

__all__ = [
    "celu", "elu", "gelu", "glu", "hard_shrink", "hard_sigmoid", "hard_silu", "hard_swish", "hard_tanh", "leaky_relu",
    "log_sigmoid", "relu6", "selu", "soft_shrink", "softsign", "sparse_plus", "sparse_sigmoid", "sparsemax",
    "squareplus", "swish", "tanh_shrink", "threshold",
]  # fmt: skip
