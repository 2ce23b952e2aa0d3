"""Reductions and running sums that pass over NaN."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from kcore.dtypes import is_float
from kcore.ops.elementwise import cast, isnan, sqrt, square, where
from kcore.ops.operands import floating
from kcore.ops.reduction import all as reduce_all
from kcore.ops.reduction import argmax, argmin, cumsum, prod, sum
from kcore.ops.reduction import max as reduce_max
from kcore.ops.reduction import min as reduce_min
from kcore.ops.running import cumprod
from kcore.runtime.apply import convert_to_tensor

__all__ = [
    "nanargmax", "nanargmin", "nancumprod", "nancumsum", "nanmax", "nanmean", "nanmin", "nanprod", "nanstd", "nansum",
    "nanvar",
]  # fmt: skip


def _filled(x: Any, value: float) -> Any:
    """The tensor with a number in the place of NaN."""
    x = convert_to_tensor(x)
    return where(isnan(x), value, x) if is_float(x.dtype) else x


def nansum(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Sum over axes of the elements that are not NaN; 0 if there are none.

    Args:
        x: tensor.
        axis: the axis or axes; None means all.
        keepdims: whether the axes stay, with size 1.

    Example:
        >>> nansum([[1.0, float("nan")], [2.0, 3.0]], axis=0).numpy().tolist()
        [3.0, 3.0]

    Source: `keras.ops.nansum`.
    """
    return sum(_filled(x, 0.0), axis, keepdims)


def nanprod(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Product over axes of the elements that are not NaN; 1 if there are none.

    Args:
        x: tensor.
        axis: the axis or axes; None means all.
        keepdims: whether the axes stay, with size 1.

    Example:
        >>> nanprod([2.0, float("nan"), 3.0]).item()
        6.0

    Source: `keras.ops.nanprod`.
    """
    return prod(_filled(x, 1.0), axis, keepdims)


def _extreme(reduce: Callable[..., Any], worst: float, x: Any, axis: Any, keepdims: bool) -> Any:
    x = convert_to_tensor(x)
    if not is_float(x.dtype):
        return reduce(x, axis, keepdims)
    nan = isnan(x)
    return where(reduce_all(nan, axis, keepdims), math.nan, reduce(where(nan, worst, x), axis, keepdims))


def nanmax(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Largest element over axes, of those that are not NaN; NaN if there are none.

    Args:
        x: tensor.
        axis: the axis or axes; None means all.
        keepdims: whether the axes stay, with size 1.

    Example:
        >>> nanmax([1.0, float("nan"), 3.0]).item()
        3.0

    Source: `keras.ops.nanmax`.
    """
    return _extreme(reduce_max, -math.inf, x, axis, keepdims)


def nanmin(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Smallest element over axes, of those that are not NaN; NaN if there are none.

    Args:
        x: tensor.
        axis: the axis or axes; None means all.
        keepdims: whether the axes stay, with size 1.

    Example:
        >>> nanmin([1.0, float("nan"), 3.0]).item()
        1.0

    Source: `keras.ops.nanmin`.
    """
    return _extreme(reduce_min, math.inf, x, axis, keepdims)


def _place(find: Callable[..., Any], worst: float, x: Any, axis: int | None, keepdims: bool) -> Any:
    x = convert_to_tensor(x)
    if not is_float(x.dtype):
        return find(x, axis, keepdims)
    nan = isnan(x)
    return where(reduce_all(nan, axis, keepdims), -1, find(where(nan, worst, x), axis, keepdims))


def nanargmax(x: Any, axis: int | None = None, keepdims: bool = False) -> Any:
    """Index of the first largest element that is not NaN, int32; -1 if there is none.

    Args:
        x: tensor.
        axis: the axis; None looks at the flattened tensor.
        keepdims: whether the axis stays, with size 1.

    Example:
        >>> nanargmax([1.0, float("nan"), 3.0]).item()
        2

    Source: `keras.ops.nanargmax`.
    """
    return _place(argmax, -math.inf, x, axis, keepdims)


def nanargmin(x: Any, axis: int | None = None, keepdims: bool = False) -> Any:
    """Index of the first smallest element that is not NaN, int32; -1 if there is none.

    Args:
        x: tensor.
        axis: the axis; None looks at the flattened tensor.
        keepdims: whether the axis stays, with size 1.

    Example:
        >>> nanargmin([float("nan"), 2.0, 1.0]).item()
        2

    Source: `keras.ops.nanargmin`.
    """
    return _place(argmin, math.inf, x, axis, keepdims)


def _count(x: Any, axis: Any, keepdims: bool) -> Any:
    """How many elements are no NaN."""
    return cast(sum(cast(isnan(x) == 0, "int32"), axis, keepdims), x.dtype)


def nanmean(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Arithmetic mean over axes of the elements that are not NaN; NaN if there are none.

    Args:
        x: tensor; integers become floatx.
        axis: the axis or axes; None means all.
        keepdims: whether the axes stay, with size 1.

    Example:
        >>> nanmean([1.0, float("nan"), 3.0]).item()
        2.0

    Source: `keras.ops.nanmean`.
    """
    x = floating(x)
    return nansum(x, axis, keepdims) / _count(x, axis, keepdims)


def nanvar(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Biased variance over axes of the elements that are not NaN; NaN if there are none.

    Args:
        x: tensor; integers become floatx.
        axis: the axis or axes; None means all.
        keepdims: whether the axes stay, with size 1.

    Example:
        >>> nanvar([1.0, float("nan"), 3.0]).item()
        1.0

    Source: `keras.ops.nanvar`.
    """
    x = floating(x)
    away = square(_filled(x - nanmean(x, axis, True), 0.0))
    return sum(away, axis, keepdims) / _count(x, axis, keepdims)


def nanstd(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Biased standard deviation over axes of the elements that are not NaN; NaN if there are none.

    Args:
        x: tensor; integers become floatx.
        axis: the axis or axes; None means all.
        keepdims: whether the axes stay, with size 1.

    Example:
        >>> nanstd([1.0, float("nan"), 3.0]).item()
        1.0

    Source: `keras.ops.nanstd`.
    """
    return sqrt(nanvar(x, axis, keepdims))


def nancumsum(x: Any, axis: int | None = None, dtype: Any = None) -> Any:
    """Running sum along an axis, or of the flat tensor, in which NaN counts as 0.

    Args:
        x: tensor.
        axis: the axis; None flattens the tensor first.
        dtype: of the result.

    Example:
        >>> nancumsum([1.0, float("nan"), 3.0]).numpy().tolist()
        [1.0, 1.0, 4.0]

    Source: `keras.ops.nancumsum`.
    """
    x = _filled(x, 0.0)
    return cumsum(x, axis, dtype or ("int32" if x.dtype == "bool" else x.dtype))


def nancumprod(x: Any, axis: int | None = None, dtype: Any = None) -> Any:
    """Running product along an axis, or of the flat tensor, in which NaN counts as 1.

    Args:
        x: tensor.
        axis: the axis; None flattens the tensor first.
        dtype: of the result.

    Example:
        >>> nancumprod([2.0, float("nan"), 3.0]).numpy().tolist()
        [2.0, 2.0, 6.0]

    Source: `keras.ops.nancumprod`.
    """
    return cumprod(_filled(x, 1.0), axis, dtype)
