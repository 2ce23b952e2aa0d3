"""Functions that search and count: distinct elements, membership, histograms, ranks, and places of what is not zero."""

from __future__ import annotations

from typing import Any

import numpy as np

from kcore import config
from kcore.dtypes import is_bool, is_float, result_type, standardize_dtype
from kcore.ops.arranging import unravel_index
from kcore.ops.creation import iota, one_hot, zeros_like
from kcore.ops.elementwise import cast, isnan, minimum, where
from kcore.ops.indexing import gather, scatter_add, take_along_axis
from kcore.ops.operands import floating, known, together, whole
from kcore.ops.ranges import linspace
from kcore.ops.reduction import any as reduce_any
from kcore.ops.reduction import cumsum
from kcore.ops.reduction import max as reduce_max
from kcore.ops.reduction import min as reduce_min
from kcore.ops.reduction import sum as reduce_sum
from kcore.ops.shape import broadcast_to, concatenate, expand_dims, flip, moveaxis, reshape
from kcore.ops.shapes import canonical_axis, size_of
from kcore.ops.sorting import argsort, searchsorted, sort
from kcore.runtime.apply import convert_to_tensor

__all__ = [
    "argpartition", "bincount", "digitize", "histogram", "in_top_k", "isin", "multi_hot", "nonzero", "unique",
]  # fmt: skip


def argpartition(x: Any, kth: int, axis: int | None = -1) -> Any:
    """Indices that bring the `kth` smallest element to its place: none before it is larger, none behind it smaller.

    Args:
        x: tensor.
        kth: which one, from 0; below 0 it counts from the end.
        axis: the axis; None looks at the flattened tensor.

    Returns:
        int32 indices of the shape of `x`; they sort it.

    Raises:
        ValueError: there is no such element.

    Example:
        >>> argpartition([3, 1, 2], 1).numpy().tolist()
        [1, 2, 0]

    Source: `keras.ops.argpartition`.
    """
    x = convert_to_tensor(x)
    if axis is None:
        x, axis = reshape(x, (-1,)), 0
    n = x.shape[canonical_axis(axis, len(x.shape))]
    if n is not None and not -n <= kth < n:
        raise ValueError(f"argpartition: kth={kth} is out of range for an axis of size {n}")
    return argsort(x, axis)


def nonzero(x: Any) -> tuple[Any, ...]:
    """Where the elements are that are not 0. How many there are depends on values: it cannot be compiled.

    Args:
        x: tensor of one dimension or more.

    Returns:
        One int32 vector of indices per dimension, in row-major order.

    Raises:
        TracingError: in a compiled function or a symbolic call.
        ValueError: `x` is a scalar.

    Example:
        >>> [i.numpy().tolist() for i in nonzero([[0, 3], [4, 0]])]
        [[0, 1], [1, 0]]

    Source: `keras.ops.nonzero`.
    """
    x = known("nonzero", x, "ops.where(condition, x1, x2) keeps the shape")
    if not x.shape:
        raise ValueError("nonzero: expected one dimension or more; received a scalar")
    running = cumsum(cast(reshape(x, (-1,)) != 0, "int32"))
    count = running[-1].item() if running.shape[0] else 0
    places = searchsorted(running, iota(shape=(count,), axis=0, dtype="int32") + 1)
    return unravel_index(places, x.shape)


# -- sets --------------------------------------------------------------------------------------------------------------


def isin(x1: Any, x2: Any, assume_unique: bool = False, invert: bool = False) -> Any:
    """Whether each element of a tensor is among those of another.

    Args:
        x1: tensor.
        x2: tensor of any shape.
        assume_unique: accepted for Keras' sake; nothing is gained by it.
        invert: whether the answer is turned over.

    Returns:
        Bool tensor of the shape of `x1`.

    Example:
        >>> isin([1, 2, 3], [3, 1]).numpy().tolist()
        [True, False, True]

    Source: `keras.ops.isin`.
    """
    x1, x2 = together(x1, x2)
    if is_bool(x1.dtype):
        x1, x2 = cast(x1, "int32"), cast(x2, "int32")
    candidates = sort(reshape(x2, (-1,)))
    if candidates.shape[0] == 0:
        found = zeros_like(x1, dtype="bool")
    else:
        place = minimum(searchsorted(candidates, x1), candidates.shape[0] - 1)
        found = gather(candidates, place) == x1
    return found == 0 if invert else found


def _order_of_rows(rows: Any) -> Any:
    """The stable order of the rows of a matrix, the first column counting most."""
    order = argsort(rows[:, -1])
    for column in range(rows.shape[1] - 2, -1, -1):
        order = gather(order, argsort(gather(rows[:, column], order)))
    return order


def unique(
    x: Any,
    sorted: bool = True,
    return_index: bool = False,
    return_inverse: bool = False,
    return_counts: bool = False,
    axis: int | None = None,
    size: int | None = None,
    fill_value: Any = None,
) -> Any:
    """The distinct elements of a tensor, smallest first; two NaN are distinct.

    Args:
        x: tensor.
        sorted: accepted for Keras' sake; the result is always sorted.
        return_index: whether the indices of the first occurrences are returned.
        return_inverse: whether the indices are returned that make `x` from the result.
        return_counts: whether it is returned how often each occurs.
        axis: of which the slices are compared; None compares the elements.
        size: how many elements the result has: further ones are left out, missing ones filled up. None gives all, and
            cannot be compiled, since how many they are depends on values.
        fill_value: what fills up; 0 if None. Missing counts and indices are 0.

    Returns:
        The elements, or a tuple: elements, and what else is asked for, int32.

    Raises:
        TracingError: in a compiled function or a symbolic call without `size`.
        ValueError: there is no such axis, or its slices are empty.

    Example:
        >>> unique([3, 1, 3]).numpy().tolist()
        [1, 3]
        >>> [t.numpy().tolist() for t in unique([3, 1, 3], return_counts=True, size=3)]
        [[1, 3, 0], [1, 2, 0]]

    Source: `keras.ops.unique`.
    """
    x = convert_to_tensor(x)
    shape = tuple(x.shape)
    place = 0 if axis is None else canonical_axis(axis, len(shape))
    parts = reshape(x, (-1,)) if axis is None else moveaxis(x, place, 0)
    n = parts.shape[0]
    if axis is not None and not size_of(parts.shape[1:]):
        raise ValueError(f"unique: slices along axis {axis} of shape {shape} have no elements to compare")
    rows = reshape(parts, (n, size_of(parts.shape[1:])))
    if is_bool(rows.dtype):
        rows = cast(rows, "int32")
    if n != 0:
        order = _order_of_rows(rows)
        ordered = gather(rows, order)
        begins = reduce_any(ordered[1:] != ordered[:-1], axis=1)
        group = concatenate([np.zeros(1, np.int32), cumsum(cast(begins, "int32"))], axis=0)  # which distinct one
        total = group[-1] + 1
    else:
        order = group = iota(shape=(0,), axis=0, dtype="int32")
        total = convert_to_tensor(0)
    if size is None:
        size = known("unique", total, "give size=, how many elements the result is to have").item()
    numbers = iota(shape=(size,), axis=0, dtype="int32")
    first = searchsorted(group, numbers)
    if n != 0:
        index = gather(order, minimum(first, n - 1))
        values = gather(parts, index)
        there = reshape(numbers < total, (size,) + (1,) * (len(parts.shape) - 1))
        values = where(there, values, cast(0 if fill_value is None else fill_value, values.dtype))
        index = where(numbers < total, index, 0)
    else:
        index = numbers * 0
        filler = cast(0 if fill_value is None else fill_value, parts.dtype)
        values = where(np.zeros((size, *parts.shape[1:]), bool), filler, filler)
    results = [moveaxis(values, 0, place)]
    if return_index:
        results.append(index)
    if return_inverse:
        inverse = scatter_add(order, group, size=n)
        results.append(reshape(inverse, shape) if axis is None else inverse)
    if return_counts:
        results.append(searchsorted(group, numbers, side="right") - first)
    return results[0] if len(results) == 1 else tuple(results)


# -- counting ----------------------------------------------------------------------------------------------------------


def bincount(x: Any, weights: Any = None, minlength: int = 0, sparse: bool = False) -> Any:
    """How often each number from 0 on occurs. How long the result is depends on values: it cannot be compiled.

    Args:
        x: integers of at least 0, a vector, or a matrix whose rows are counted each by itself.
        weights: of the shape of `x`; how much each counts, 1 if None.
        minlength: how long the result is at least.
        sparse: must be False.

    Returns:
        ``(n,)``, or ``(rows, n)``, n being the largest number + 1; int32, or the dtype of `x` and `weights` together.

    Raises:
        TracingError: in a compiled function or a symbolic call.
        TypeError: `x` holds floats.
        ValueError: a number is negative, shapes do not fit, or `sparse` is True.

    Example:
        >>> bincount([1, 1, 3]).numpy().tolist()
        [0, 2, 0, 1]

    Source: `keras.ops.bincount`.
    """
    if sparse:
        raise ValueError("bincount: sparse tensors are not supported, sparse must be False")
    advice = "ops.sum(ops.one_hot(x, n), axis=0) counts up to a given n"
    (x,) = whole("bincount", x=known("bincount", x, advice))
    if len(x.shape) not in (1, 2):
        raise ValueError(f"bincount: expected a vector or a matrix; received shape {tuple(x.shape)}")
    amounts = convert_to_tensor(1, "int32") if weights is None else convert_to_tensor(weights)
    if weights is not None:
        amounts = cast(amounts, result_type(x.dtype, amounts.dtype))
        if amounts.shape != x.shape:
            raise ValueError(
                f"bincount: expected weights of the shape of x, {tuple(x.shape)}; received {tuple(amounts.shape)}"
            )
    x = cast(x, "int32")
    size = int(minlength)
    if size_of(x.shape):
        least, largest = reduce_min(x).item(), reduce_max(x).item()
        if least < 0:
            raise ValueError(f"bincount: expected numbers of at least 0; received {least}")
        size = max(size, largest + 1)
    rows = x.shape[0] if len(x.shape) == 2 else 1
    places = x + iota(shape=(rows, 1), axis=0, dtype="int32") * size if len(x.shape) == 2 else x
    each = broadcast_to(amounts, x.shape)
    counts = scatter_add(reshape(places, (-1,)), reshape(each, (-1,)), size=rows * size)
    return reshape(counts, (rows, size)) if len(x.shape) == 2 else counts


def digitize(x: Any, bins: Any) -> Any:
    """Which bin each element falls into: i where ``bins[i - 1] <= x < bins[i]``, 0 below all of them.

    Args:
        x: tensor.
        bins: vector of edges, ascending, or descending: then i where ``bins[i - 1] > x >= bins[i]``.

    Returns:
        int32 tensor of the shape of `x`.

    Raises:
        ValueError: `bins` is no vector.

    Example:
        >>> digitize([0.5, 1.0, 9.0], [1.0, 3.0]).numpy().tolist()
        [0, 1, 2]

    Source: `keras.ops.digitize`.
    """
    x, bins = together(x, bins)
    if len(bins.shape) != 1:
        raise ValueError(f"digitize: expected bins to be a vector; received shape {tuple(bins.shape)}")
    if is_bool(x.dtype):
        x, bins = cast(x, "int32"), cast(bins, "int32")
    n = bins.shape[0]
    if n == 0:
        return searchsorted(bins, x)
    falling = bins[0] > bins[-1]
    rising = searchsorted(where(falling, flip(bins), bins), x, side="right")
    return where(falling, n - searchsorted(where(falling, flip(bins), bins), x), rising)


def histogram(x: Any, bins: int = 10, range: tuple[float, float] | None = None) -> tuple[Any, Any]:
    """How many elements fall into each of a number of equal intervals.

    Args:
        x: vector of numbers.
        bins: how many intervals.
        range: where the first one begins and the last one ends; the smallest and the largest element if None.

    Returns:
        Counts ``(bins,)``, int32, and edges ``(bins + 1,)``, float; the last interval holds its end, too.

    Raises:
        TypeError: `bins` is no integer.
        ValueError: `bins` is negative, `range` is no ascending pair, or `x` no vector.

    Example:
        >>> counts, edges = histogram([1.0, 1.5, 2.0, 5.0], bins=2)
        >>> counts.numpy().tolist(), edges.numpy().tolist()
        ([3, 1], [1.0, 3.0, 5.0])

    Source: `keras.ops.histogram`.
    """
    if not isinstance(bins, int) or isinstance(bins, bool):
        raise TypeError(f"histogram: expected bins to be an integer; received {bins!r}")
    if bins < 0:
        raise ValueError(f"histogram: expected bins to be 0 or more; received {bins}")
    if range and (not isinstance(range, tuple) or len(range) != 2 or range[1] < range[0]):
        raise ValueError(f"histogram: expected range to be a tuple of two ascending numbers; received {range!r}")
    x = floating(x)
    if len(x.shape) > 1:
        raise ValueError(f"histogram: expected a vector; received shape {tuple(x.shape)}")
    x = reshape(x, (-1,))
    if range:
        low, high = (convert_to_tensor(limit, x.dtype) for limit in range)
    elif x.shape[0] != 0:
        low, high = reduce_min(x), reduce_max(x)
    else:
        low, high = (convert_to_tensor(limit, x.dtype) for limit in (0.0, 1.0))
    flat = low == high
    low, high = where(flat, low - 0.5, low), where(flat, high + 0.5, high)
    edges = linspace(low, high, bins + 1)
    if not bins:
        return iota(shape=(0,), axis=0, dtype="int32"), edges
    place = minimum(searchsorted(edges, x, side="right") - 1, bins - 1)
    inside = (x >= low) & (x <= high)
    return scatter_add(where(inside, place, 0), cast(inside, "int32"), size=bins), edges


# -- classes -----------------------------------------------------------------------------------------------------------


def in_top_k(targets: Any, predictions: Any, k: int) -> Any:
    """Whether the prediction for the true class is among the k highest; equal ones share the better rank.

    Args:
        targets: true classes, integers ``(batch,)``.
        predictions: ``(batch, classes)``.
        k: how many.

    Returns:
        Bool tensor of the shape of `targets`.

    Raises:
        TypeError: `targets` are no integers.

    Example:
        >>> in_top_k([2, 0], [[0.1, 0.7, 0.2], [0.1, 0.7, 0.2]], k=2).numpy().tolist()
        [True, False]

    Source: `keras.ops.in_top_k`.
    """
    (targets,) = whole("in_top_k", targets=targets)
    predictions = convert_to_tensor(predictions)
    own = take_along_axis(predictions, expand_dims(targets, -1), axis=-1)
    if is_float(own.dtype):
        own = where(isnan(own), -float("inf"), own)
    return reduce_sum(cast(predictions > own, "int32"), axis=-1) < k


def multi_hot(
    inputs: Any, num_classes: int | None = None, axis: int = -1, dtype: Any = None, sparse: bool = False, **kwargs: Any
) -> Any:
    """One for each class that occurs in a row of labels, zero for the others.

    Args:
        inputs: integer labels, ``(labels,)`` or ``(batch, labels, ...)``; one out of range counts for none.
        num_classes: number of classes.
        axis: where the axis of classes stands before the labels are merged; -1 is the last.
        dtype: floatx if None.
        sparse: must be False.
        **kwargs: `num_tokens`, as `num_classes` was called once.

    Returns:
        ``(num_classes,)``, or ``(batch, ..., num_classes)``.

    Raises:
        ValueError: there is no `num_classes`, or `sparse` is True.

    Example:
        >>> multi_hot([0, 3], num_classes=4).numpy().tolist()
        [1.0, 0.0, 0.0, 1.0]

    Source: `keras.ops.multi_hot`.
    """
    classes = kwargs.pop("num_tokens", None) if num_classes is None else num_classes
    if kwargs:
        raise TypeError(f"multi_hot() has no argument {next(iter(kwargs))!r}")
    if classes is None:
        raise ValueError("multi_hot: num_classes, the number of classes, must be given")
    if sparse:
        raise ValueError("multi_hot: sparse tensors are not supported, sparse must be False")
    labels = cast(convert_to_tensor(inputs), "int32")
    name = config.floatx() if dtype is None else standardize_dtype(dtype)
    return reduce_max(one_hot(labels, classes, axis=axis, dtype=name), axis=1 if len(labels.shape) > 1 else 0)
