"""Medians, quantiles and percentiles, of all elements or of those that are not NaN."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from kcore.dtypes import result_type
from kcore.ops.elementwise import cast, ceil, equal, floor, isnan, maximum, round, where
from kcore.ops.indexing import gather, take_along_axis
from kcore.ops.operands import floating
from kcore.ops.reduction import any as reduce_any
from kcore.ops.reduction import sum as reduce_sum
from kcore.ops.shape import broadcast_to, moveaxis, reshape
from kcore.ops.shapes import canonical_axes, reduced
from kcore.ops.sorting import sort
from kcore.runtime.apply import convert_to_tensor

__all__ = ["median", "nanmedian", "nanpercentile", "nanquantile", "percentile", "quantile"]

METHODS = ("linear", "lower", "higher", "midpoint", "nearest")


def _lines(x: Any, axes: tuple[int, ...]) -> Any:
    """The tensor with the axes merged into one, which comes last."""
    kept = [d for i, d in enumerate(x.shape) if i not in axes]
    moved = moveaxis(x, list(axes), list(range(len(kept), len(x.shape))))
    return reshape(moved, (*kept, math.prod(x.shape[i] for i in axes)))


def _quantile(
    function: str, x: Any, q: Any, axis: Any, method: str, keepdims: bool, skip: bool, whole: float = 1.0
) -> Any:
    """The quantiles at ``q / whole``; `skip` says that NaN do not count."""
    if method not in METHODS:
        raise ValueError(f"{function}: expected method to be one of {METHODS}; received {method!r}")
    x = floating(x)
    ndim = len(x.shape)
    work = result_type(x.dtype, "float32")  # positions do not fit into 16 bits
    q = convert_to_tensor(q, work)
    if len(q.shape) > 1:
        raise ValueError(f"{function}: expected q to be a number or a vector; received shape {tuple(q.shape)}")
    axes = canonical_axes(tuple(axis) if isinstance(axis, Iterable) else axis, ndim)
    values = sort(_lines(x, axes))  # NaN comes last
    n = values.shape[-1]
    if n == 0:
        raise ValueError(f"{function}: there are no elements along axis {axis} of shape {tuple(x.shape)}")
    nan = isnan(values)
    many = reshape(q / whole, (-1,))
    if skip:
        count = reduce_sum(cast(nan == 0, "int32"), axis=-1, keepdims=True)
        places = many * cast(maximum(count - 1, 0), work)
    else:
        places = many * float(n - 1)
    low, high = floor(places), ceil(places)
    if method == "lower":
        high = low
    elif method == "higher":
        low = high
    elif method == "nearest":
        low = high = round(places)
    first, second = (_at(values, cast(p, "int32"), skip) for p in (low, high))
    share = 0.5 if method == "midpoint" else places - low
    between = first + (second - first) * cast(share, x.dtype)
    y = where(equal(first, second), first, between)  # also of two equal infinities
    if not skip:
        y = where(reduce_any(nan, axis=-1, keepdims=True), math.nan, y)
    y = moveaxis(y, -1, 0) if len(q.shape) else reshape(y, tuple(values.shape[:-1]))
    return reshape(y, (*q.shape, *reduced(tuple(x.shape), axes, True))) if keepdims else y


def _at(values: Any, places: Any, skip: bool) -> Any:
    """Elements of the last axis; where NaN are skipped each line has places of its own."""
    if not skip:
        return gather(values, places, axis=len(values.shape) - 1)
    lead = tuple(values.shape[:-1])
    return take_along_axis(values, broadcast_to(places, (*lead, places.shape[-1])), axis=-1)


def quantile(x: Any, q: Any, axis: Any = None, method: str = "linear", keepdims: bool = False) -> Any:
    """The values below which given shares of the elements lie; NaN where one of the elements is.

    Args:
        x: tensor; integers become floatx.
        q: the share in [0, 1], a number or a vector of them.
        axis: the axis or axes; None means all.
        method: between two elements: ``"linear"`` interpolation, the ``"lower"``, the ``"higher"``, their
            ``"midpoint"``, or the ``"nearest"``.
        keepdims: whether the axes stay, with size 1.

    Returns:
        The shape without the axes; with a vector `q` an axis of its size comes first.

    Raises:
        ValueError: an unknown method, `q` with several dimensions, or no elements.

    Example:
        >>> quantile([1.0, 2.0, 3.0, 4.0], [0.25, 0.5]).numpy().tolist()
        [1.75, 2.5]

    Source: `keras.ops.quantile`.
    """
    return _quantile("quantile", x, q, axis, method, keepdims, False)


def nanquantile(x: Any, q: Any, axis: Any = None, method: str = "linear", keepdims: bool = False) -> Any:
    """The values below which given shares of the elements lie, of those that are not NaN; NaN if there are none.

    Args:
        x: tensor; integers become floatx.
        q: the share in [0, 1], a number or a vector of them.
        axis: the axis or axes; None means all.
        method: between two elements, as in `quantile`.
        keepdims: whether the axes stay, with size 1.

    Returns:
        The shape without the axes; with a vector `q` an axis of its size comes first.

    Raises:
        ValueError: an unknown method, `q` with several dimensions, or no elements.

    Example:
        >>> nanquantile([1.0, float("nan"), 3.0], 0.5).item()
        2.0

    Source: `keras.ops.nanquantile`.
    """
    return _quantile("nanquantile", x, q, axis, method, keepdims, True)


def percentile(x: Any, q: Any, axis: Any = None, method: str = "linear", keepdims: bool = False) -> Any:
    """The values below which given percentages of the elements lie; NaN where one of the elements is.

    Args:
        x: tensor; integers become floatx.
        q: the percentage in [0, 100], a number or a vector of them.
        axis: the axis or axes; None means all.
        method: between two elements, as in `quantile`.
        keepdims: whether the axes stay, with size 1.

    Returns:
        The shape without the axes; with a vector `q` an axis of its size comes first.

    Raises:
        ValueError: an unknown method, `q` with several dimensions, or no elements.

    Example:
        >>> percentile([1.0, 2.0, 3.0], 50).item()
        2.0

    Source: `keras.ops.percentile`.
    """
    return _quantile("percentile", x, q, axis, method, keepdims, False, 100.0)


def nanpercentile(x: Any, q: Any, axis: Any = None, method: str = "linear", keepdims: bool = False) -> Any:
    """The values below which given percentages of the elements lie, of those that are not NaN; NaN if there are none.

    Args:
        x: tensor; integers become floatx.
        q: the percentage in [0, 100], a number or a vector of them.
        axis: the axis or axes; None means all.
        method: between two elements, as in `quantile`.
        keepdims: whether the axes stay, with size 1.

    Returns:
        The shape without the axes; with a vector `q` an axis of its size comes first.

    Raises:
        ValueError: an unknown method, `q` with several dimensions, or no elements.

    Example:
        >>> nanpercentile([1.0, float("nan"), 3.0], 50).item()
        2.0

    Source: `keras.ops.nanpercentile`.
    """
    return _quantile("nanpercentile", x, q, axis, method, keepdims, True, 100.0)


def median(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """The middle element over axes, or the mean of the two in the middle; NaN where one of the elements is.

    Args:
        x: tensor; integers become floatx.
        axis: the axis or axes; None means all.
        keepdims: whether the axes stay, with size 1.

    Raises:
        ValueError: there are no elements.

    Example:
        >>> median([3.0, 1.0, 2.0, 10.0]).item()
        2.5

    Source: `keras.ops.median`.
    """
    return _quantile("median", x, 0.5, axis, "linear", keepdims, False)


def nanmedian(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """The middle element over axes of those that are not NaN; NaN if there are none.

    Args:
        x: tensor; integers become floatx.
        axis: the axis or axes; None means all.
        keepdims: whether the axes stay, with size 1.

    Raises:
        ValueError: there are no elements.

    Example:
        >>> nanmedian([3.0, float("nan"), 2.0]).item()
        2.5

    Source: `keras.ops.nanmedian`.
    """
    return _quantile("nanmedian", x, 0.5, axis, "linear", keepdims, True)
