"""Ops on the bits of integers, and on their common divisors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from kcore.dtypes import int_range, is_unsigned
from kcore.graph.op import In, Spec, primitive, sample
from kcore.ops.elementwise import abs, floor_divide, logical_not, maximum
from kcore.ops.operands import whole
from kcore.ops.shapes import elementwise

__all__ = [
    "bitwise_and", "bitwise_invert", "bitwise_left_shift", "bitwise_not", "bitwise_or", "bitwise_right_shift",
    "bitwise_xor", "gcd", "lcm", "left_shift", "right_shift",
]  # fmt: skip

_SIGNED = [In((3, 4), -9, 9, "int32"), In((3, 1), -9, 9, "int32")]
_BYTES = [In((5,), 0, 255, "uint8"), In((5,), 0, 255, "uint8")]


def _infer(x: Spec, y: Spec) -> Spec:
    if "int" not in x.dtype and x.dtype != "bool":
        raise ValueError(f"expected integers or truth values; received {x.dtype}")
    return elementwise(x, y)


def _integers(x: Spec, y: Spec) -> Spec:
    if "int" not in x.dtype:
        raise ValueError(f"expected integers; received {x.dtype}")
    return elementwise(x, y)


def _bits(name: str, expr: str, infer: Callable[..., Spec], *samples: Any) -> Callable[[Callable[..., Any]], Any]:
    """Declare a primitive of two integer tensors."""
    return primitive(
        "elementwise",
        name,
        infer=infer,
        promote="common",
        expr=expr,
        differentiable=False,
        samples=[sample(*pair, grad=False) for pair in (_SIGNED, *samples)],
    )


_TRUTHS = [In((6,), 0, 2, "bool"), In((6,), 0, 2, "bool")]
_SHIFTS = [In((6,), dtype="int32", value=[1, -5, 7, -1, 3, 9]), In((6,), dtype="int32", value=[3, 1, 31, 40, 0, -1])]
_SMALL = [In((4,), dtype="uint8", value=[1, 200, 255, 7]), In((4,), dtype="uint8", value=[7, 1, 9, 0])]


@_bits("bitwise_and", "{0} & {1}", _infer, _TRUTHS)
def bitwise_and(x, y):
    """The bits that are set in both tensors.

    Args:
        x, y: tensors of integers or truth values that broadcast.

    Raises:
        ValueError: they hold floats.

    Example:
        >>> bitwise_and([12, 5], [10, 4]).numpy().tolist()
        [8, 4]

    Source: `keras.ops.bitwise_and`.
    """
    return np.bitwise_and(x, y)


@_bits("bitwise_or", "{0} | {1}", _infer, _TRUTHS)
def bitwise_or(x, y):
    """The bits that are set in one tensor or both.

    Args:
        x, y: tensors of integers or truth values that broadcast.

    Raises:
        ValueError: they hold floats.

    Example:
        >>> bitwise_or([12, 5], [10, 4]).numpy().tolist()
        [14, 5]

    Source: `keras.ops.bitwise_or`.
    """
    return np.bitwise_or(x, y)


@_bits("bitwise_xor", "{0} ^ {1}", _infer, _TRUTHS)
def bitwise_xor(x, y):
    """The bits that are set in exactly one of two tensors.

    Args:
        x, y: tensors of integers or truth values that broadcast.

    Raises:
        ValueError: they hold floats.

    Example:
        >>> bitwise_xor([12, 5], [10, 4]).numpy().tolist()
        [6, 1]

    Source: `keras.ops.bitwise_xor`.
    """
    return np.bitwise_xor(x, y)


@_bits("left_shift", "shift_left({0}, {1})", _integers, _SHIFTS, _SMALL)
def left_shift(x, y):
    """The bits of `x` moved `y` places up: x * 2^y, without what leaves the dtype; 0 where `y` is no place of it.

    Args:
        x, y: tensors of integers that broadcast.

    Raises:
        ValueError: they hold floats or truth values.

    Example:
        >>> left_shift([1, 3], [4, 1]).numpy().tolist()
        [16, 6]

    Source: `keras.ops.left_shift`.
    """
    return np.left_shift(x, y)


@_bits("right_shift", "shift_right({0}, {1})", _integers, _SHIFTS, _SMALL)
def right_shift(x, y):
    """The bits of `x` moved `y` places down: x / 2^y, rounded down; 0, or -1, where `y` is no place of the dtype.

    Args:
        x, y: tensors of integers that broadcast.

    Raises:
        ValueError: they hold floats or truth values.

    Example:
        >>> right_shift([16, -3], [4, 1]).numpy().tolist()
        [1, -2]

    Source: `keras.ops.right_shift`.
    """
    return np.right_shift(x, y)


def bitwise_left_shift(x: Any, y: Any) -> Any:
    """The bits of `x` moved `y` places up, as `left_shift`.

    Args:
        x, y: tensors of integers that broadcast.

    Example:
        >>> bitwise_left_shift([1, 3], [4, 1]).numpy().tolist()
        [16, 6]

    Source: `keras.ops.bitwise_left_shift`.
    """
    return left_shift(x, y)


def bitwise_right_shift(x: Any, y: Any) -> Any:
    """The bits of `x` moved `y` places down, as `right_shift`.

    Args:
        x, y: tensors of integers that broadcast.

    Example:
        >>> bitwise_right_shift([16, -3], [4, 1]).numpy().tolist()
        [1, -2]

    Source: `keras.ops.bitwise_right_shift`.
    """
    return right_shift(x, y)


def bitwise_not(x: Any) -> Any:
    """Every bit turned over: -x - 1 for signed integers.

    Args:
        x: tensor of integers or truth values.

    Raises:
        TypeError: it holds floats.

    Example:
        >>> bitwise_not([0, 5]).numpy().tolist()
        [-1, -6]

    Source: `keras.ops.bitwise_not`.
    """
    (x,) = whole("bitwise_not", x=x)
    if x.dtype == "bool":
        return logical_not(x)
    return bitwise_xor(x, int_range(x.dtype)[1] if is_unsigned(x.dtype) else -1)


def bitwise_invert(x: Any) -> Any:
    """Every bit turned over, as `bitwise_not`.

    Args:
        x: tensor of integers or truth values.

    Example:
        >>> bitwise_invert([0, 5]).numpy().tolist()
        [-1, -6]

    Source: `keras.ops.bitwise_invert`.
    """
    return bitwise_not(x)


@_bits("gcd", "gcd({0}, {1})", _integers, _BYTES)
def gcd(x1, x2):
    """The largest number that divides both, element by element; never negative, and 0 for two zeros.

    Args:
        x1, x2: tensors of integers that broadcast.

    Raises:
        ValueError: they hold floats or truth values.

    Example:
        >>> gcd([12, 0], [-18, 5]).numpy().tolist()
        [6, 5]

    Source: `keras.ops.gcd`.
    """
    return np.gcd(x1, x2)


def lcm(x1: Any, x2: Any) -> Any:
    """The smallest number that both divide, element by element; 0 where one of them is 0.

    Args:
        x1, x2: tensors of integers that broadcast.

    Raises:
        ValueError: they hold floats or truth values.

    Example:
        >>> lcm([4, 0], [-6, 5]).numpy().tolist()
        [12, 0]

    Source: `keras.ops.lcm`.
    """
    x1, x2 = whole("lcm", x1=x1, x2=x2)
    return abs(floor_divide(x1, maximum(gcd(x1, x2), 1)) * x2)
