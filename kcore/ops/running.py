"""Differences and products along an axis, and the area under a curve of points."""

from __future__ import annotations

from typing import Any

from kcore.ops.elementwise import cast, not_equal
from kcore.ops.operands import floating, together
from kcore.ops.reduction import cumprod_exclusive
from kcore.ops.reduction import max as reduce_max
from kcore.ops.reduction import min as reduce_min
from kcore.ops.reduction import sum as reduce_sum
from kcore.ops.shape import moveaxis, reshape
from kcore.ops.shapes import canonical_axis
from kcore.runtime.apply import convert_to_tensor

__all__ = ["cumprod", "diff", "ptp", "trapezoid"]


def cumprod(x: Any, axis: int | None = None, dtype: Any = None) -> Any:
    """Running product along an axis, or of the flat tensor.

    Args:
        x: tensor; truth values count as int32.
        axis: the axis; None flattens the tensor first.
        dtype: of the result; that of `x` if None.

    Raises:
        ValueError: there is no such axis.

    Example:
        >>> cumprod([1, 2, 3, 4]).numpy().tolist()
        [1, 2, 6, 24]

    Source: `keras.ops.cumprod`.
    """
    x = convert_to_tensor(x, dtype)
    x = cast(x, "int32") if x.dtype == "bool" else x
    if axis is None:
        x, axis = reshape(x, (-1,)), 0
    place = canonical_axis(axis, len(x.shape))
    moved = moveaxis(x, place, -1)
    return moveaxis(cumprod_exclusive(moved) * moved, -1, place)


def diff(a: Any, n: int = 1, axis: int = -1) -> Any:
    """Each element's difference from the one before along an axis, `n` times over.

    Args:
        a: tensor; of truth values it is whether they differ.
        n: how often.
        axis: the axis, which gets shorter by `n`.

    Raises:
        ValueError: `n` is negative, or there is no such axis.

    Example:
        >>> diff([1, 4, 9, 16]).numpy().tolist(), diff([1, 4, 9, 16], n=2).numpy().tolist()
        ([3, 5, 7], [2, 2])

    Source: `keras.ops.diff`.
    """
    x = convert_to_tensor(a)
    if n < 0:
        raise ValueError(f"diff: expected n to be 0 or more; received {n}")
    before = (slice(None),) * canonical_axis(axis, len(x.shape))
    for _ in range(n):
        later, earlier = x[(*before, slice(1, None))], x[(*before, slice(None, -1))]
        x = not_equal(later, earlier) if x.dtype == "bool" else later - earlier
    return x


def ptp(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Peak to peak: the largest element over axes less the smallest.

    Args:
        x: tensor of numbers.
        axis: the axis or axes; None means all.
        keepdims: whether the axes stay, with size 1.

    Raises:
        TypeError: `x` holds truth values.

    Example:
        >>> ptp([[1, 5], [2, 9]], axis=1).numpy().tolist()
        [4, 7]

    Source: `keras.ops.ptp`.
    """
    x = convert_to_tensor(x)
    if x.dtype == "bool":
        raise TypeError("ptp: expected numbers; received bool")
    return reduce_max(x, axis, keepdims) - reduce_min(x, axis, keepdims)


def trapezoid(y: Any, x: Any = None, dx: float = 1.0, axis: int = -1) -> Any:
    """The area under a curve of points by the trapezoidal rule.

    Args:
        y: heights; integers are computed as floatx.
        x: where they stand, a vector or a tensor that broadcasts with `y`; None: `dx` apart.
        dx: the distance between two.
        axis: the axis.

    Returns:
        The shape of `y` without the axis.

    Example:
        >>> trapezoid([1, 2, 3]).item(), trapezoid([1, 2, 3], x=[0, 2, 6]).item()
        (4.0, 13.0)

    Source: `keras.ops.trapezoid`.
    """
    y = floating(y)
    place = canonical_axis(axis, len(y.shape))
    widths: Any = dx
    if x is not None:
        y, x = together(y, x, promote=float)
        vector = len(x.shape) == 1
        widths = diff(x, axis=-1 if vector else place)
        if vector:
            widths = reshape(widths, [-1 if i == place else 1 for i in range(len(y.shape))])
    before = (slice(None),) * place
    heights = (y[(*before, slice(1, None))] + y[(*before, slice(None, -1))]) * 0.5
    return reduce_sum(heights * widths, axis=place)
