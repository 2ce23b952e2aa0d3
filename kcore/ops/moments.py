"""Mean and variance in one, and vectors scaled to length 1."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kcore import config
from kcore.ops.elementwise import abs as absolute
from kcore.ops.elementwise import divide, maximum, minimum, multiply, power, rsqrt, square
from kcore.ops.normalization import _back, _working
from kcore.ops.reduction import max as largest
from kcore.ops.reduction import mean as average
from kcore.ops.reduction import sum as total
from kcore.ops.reduction import var
from kcore.ops.shape import expand_dims
from kcore.ops.shapes import canonical_axes

__all__ = ["moments", "normalize"]


def moments(x: Any, axes: int | Sequence[int], keepdims: bool = False, synchronized: bool = False) -> tuple[Any, Any]:
    """Mean and biased variance over `axes`.

    Args:
        x: float, any shape; half precision is summed in float32.
        axes: one axis or several.
        keepdims: keep the reduced axes with size one.
        synchronized: statistics over all replicas; with one device the same.

    Returns:
        Mean and variance, in the dtype of x.

    Raises:
        ValueError: an axis x has not.

    Example:
        >>> from kcore import ops
        >>> [float(m) for m in ops.moments(ops.convert_to_tensor([1.0, 3.0]), 0)]
        [2.0, 1.0]

    Source: `keras.ops.moments`.
    """
    found = canonical_axes(axes, len(x.shape))
    x, dtype = _working(x)
    return tuple(_back(f(x, axis=found, keepdims=keepdims), None, dtype) for f in (average, var))


def normalize(x: Any, axis: int | Sequence[int] = -1, order: int = 2, epsilon: float | None = None) -> Any:
    """Divide by the norm of the given order over `axis`: ``x / max(norm(x), epsilon)``.

    Args:
        x: float, any shape; a scalar counts as a vector of one.
        axis: the axis of the norm, or several.
        order: order of the norm, an integer of at least 1.
        epsilon: least value divided by; None means `config.epsilon()`.

    Returns:
        The shape and dtype of x.

    Raises:
        ValueError: an order below 1, or an axis x has not.

    Example:
        >>> from kcore import ops
        >>> ops.convert_to_numpy(ops.normalize(ops.convert_to_tensor([3.0, 4.0]))).round(3)
        array([0.6, 0.8], dtype=float32)

    Source: `keras.ops.normalize`.
    """
    if not isinstance(order, int) or order < 1:
        raise ValueError(f"normalize: expected an integer order of at least 1; received {order!r}")
    if len(x.shape) == 0:
        x = expand_dims(x, 0)
    axes = canonical_axes(axis, len(x.shape))
    least = config.epsilon() if epsilon is None else epsilon
    if order == 2:
        return multiply(x, minimum(rsqrt(total(square(x), axis=axes, keepdims=True)), 1.0 / least))
    if order == 1:
        norm = total(absolute(x), axis=axes, keepdims=True)
    else:
        # Scaled by the largest element: its powers would overflow.
        top = maximum(largest(absolute(x), axis=axes, keepdims=True), least)
        norm = multiply(
            top, power(total(power(divide(absolute(x), top), order), axis=axes, keepdims=True), 1.0 / order)
        )
    return divide(x, maximum(norm, least))
