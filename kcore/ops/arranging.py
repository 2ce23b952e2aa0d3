"""Functions that arrange elements anew: mirrored, rolled and turned, grids of coordinates, and diagonals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from operator import index
from typing import Any

import numpy as np

from kcore.ops.creation import iota
from kcore.ops.elementwise import floor_divide, mod, where
from kcore.ops.getitem import getitem
from kcore.ops.operands import whole
from kcore.ops.shape import _slice, broadcast_to, concatenate, expand_dims, flip, moveaxis, pad, reshape, swapaxes
from kcore.ops.shapes import canonical_axis
from kcore.runtime.apply import convert_to_tensor

__all__ = [
    "diag", "diagflat", "diagonal", "fliplr", "flipud", "get_item", "meshgrid", "ravel", "roll", "rot90",
    "unravel_index",
]  # fmt: skip


def get_item(x: Any, key: Any) -> Any:
    """Elements by an indexing expression, as ``x[key]``.

    Args:
        x: tensor.
        key: integers, slices, None, an Ellipsis, integer tensors or lists, or a tuple of them.

    Raises:
        IndexError: there are more indices than dimensions, or one is out of range.

    Example:
        >>> get_item([[1, 2], [3, 4]], (slice(None), 1)).numpy().tolist()
        [2, 4]

    Source: `keras.ops.get_item`.
    """
    return getitem(convert_to_tensor(x), key)


def ravel(x: Any) -> Any:
    """All elements in a row, the last axis first to count.

    Args:
        x: tensor.

    Example:
        >>> ravel([[1, 2], [3, 4]]).numpy().tolist()
        [1, 2, 3, 4]

    Source: `keras.ops.ravel`.
    """
    return reshape(x, (-1,))


def fliplr(x: Any) -> Any:
    """The elements in reverse order along the second axis.

    Args:
        x: tensor of two dimensions or more.

    Raises:
        ValueError: it has fewer dimensions.

    Example:
        >>> fliplr([[1, 2], [3, 4]]).numpy().tolist()
        [[2, 1], [4, 3]]

    Source: `keras.ops.fliplr`.
    """
    return _flipped("fliplr", x, 1)


def flipud(x: Any) -> Any:
    """The elements in reverse order along the first axis.

    Args:
        x: tensor of one dimension or more.

    Raises:
        ValueError: it has none.

    Example:
        >>> flipud([[1, 2], [3, 4]]).numpy().tolist()
        [[3, 4], [1, 2]]

    Source: `keras.ops.flipud`.
    """
    return _flipped("flipud", x, 0)


def _flipped(function: str, x: Any, axis: int) -> Any:
    x = convert_to_tensor(x)
    if len(x.shape) <= axis:
        raise ValueError(f"{function}: expected {axis + 1} dimensions or more; received shape {tuple(x.shape)}")
    return flip(x, axis)


def roll(x: Any, shift: int | Sequence[int], axis: int | Sequence[int] | None = None) -> Any:
    """The elements moved along axes; what leaves at one end enters at the other.

    Args:
        x: tensor.
        shift: by how many places, towards higher indices; one number, or one for each axis.
        axis: the axis or axes; None moves along the flattened tensor.

    Raises:
        ValueError: numbers of shifts and axes differ, or there is no such axis.

    Example:
        >>> roll([1, 2, 3, 4], 1).numpy().tolist()
        [4, 1, 2, 3]

    Source: `keras.ops.roll`.
    """
    x = convert_to_tensor(x)
    if axis is None:
        return reshape(roll(reshape(x, (-1,)), shift, 0), x.shape)
    axes = [axis] if isinstance(axis, int | np.integer) else list(axis)
    shifts = [index(shift)] if not isinstance(shift, Sequence | np.ndarray) else [index(s) for s in shift]
    if len(shifts) != len(axes) and 1 not in (len(shifts), len(axes)):
        raise ValueError(f"roll: expected one shift for each axis; received shift={shift} and axis={axis}")
    count = max(len(shifts), len(axes))
    shifts, axes = (values * count if len(values) == 1 else values for values in (shifts, axes))
    for places, along in zip(shifts, axes, strict=True):
        along = canonical_axis(along, len(x.shape))
        n = x.shape[along]
        places = places % n if n else 0
        if places:
            before = (slice(None),) * along
            x = concatenate([x[(*before, slice(n - places, None))], x[(*before, slice(0, n - places))]], axis=along)
    return x


def rot90(array: Any, k: int = 1, axes: Sequence[int] = (0, 1)) -> Any:
    """The tensor turned by 90 degrees in the plane of two axes, from the first towards the second.

    Args:
        array: tensor of two dimensions or more.
        k: how often.
        axes: two different axes.

    Raises:
        ValueError: there are too few dimensions, or not two different axes.

    Example:
        >>> rot90([[1, 2], [3, 4]]).numpy().tolist()
        [[2, 4], [1, 3]]

    Source: `keras.ops.rot90`.
    """
    x = convert_to_tensor(array)
    if len(x.shape) < 2:
        raise ValueError(f"rot90: expected 2 dimensions or more; received shape {tuple(x.shape)}")
    places = [canonical_axis(a, len(x.shape)) for a in axes]
    if len(places) != 2 or places[0] == places[1]:
        raise ValueError(f"rot90: expected axes to be two different axes; received {axes}")
    first, second = places
    turns = k % 4
    if turns in (2, 3):
        x = flip(x, [first, second])
    return swapaxes(flip(x, second), first, second) if turns in (1, 3) else x


def meshgrid(*x: Any, indexing: str = "xy") -> list[Any]:
    """Coordinates of the points of a grid, from those along its axes.

    Args:
        *x: n vectors (other tensors are flattened, numbers are vectors of one).
        indexing: ``"ij"``: result i varies along axis i. ``"xy"``: the first two axes are exchanged, as rows come
            before columns in pictures.

    Returns:
        n tensors of n dimensions.

    Raises:
        ValueError: another `indexing`.

    Example:
        >>> [g.numpy().tolist() for g in meshgrid([1, 2, 3], [4, 5])]
        [[[1, 2, 3], [1, 2, 3]], [[4, 4, 4], [5, 5, 5]]]

    Source: `keras.ops.meshgrid`.
    """
    if indexing not in ("xy", "ij"):
        raise ValueError(f"meshgrid: expected indexing to be 'xy' or 'ij'; received {indexing!r}")
    vectors = [reshape(v, (-1,)) for v in x]
    ndim = len(vectors)
    places = list(range(ndim))
    if indexing == "xy" and ndim > 1:
        places[:2] = 1, 0
    shape = [0] * ndim
    for v, place in zip(vectors, places, strict=True):
        shape[place] = index(v.shape[0])
    wide = [expand_dims(v, [i for i in range(ndim) if i != place]) for v, place in zip(vectors, places, strict=True)]
    return [broadcast_to(v, shape) for v in wide]


def unravel_index(indices: Any, shape: Sequence[int]) -> tuple[Any, ...]:
    """Coordinates in a shape of elements counted in row-major order.

    Args:
        indices: integers of any shape, in [0, size of `shape`); below 0 they count from the end.
        shape: the shape.

    Returns:
        One tensor per dimension, of the indices' shape and dtype.

    Example:
        >>> [i.numpy().tolist() for i in unravel_index([5, 3], (2, 3))]
        [[1, 1], [2, 0]]

    Source: `keras.ops.unravel_index`.
    """
    (rest,) = whole("unravel_index", indices=indices)
    sizes = [index(d) for d in shape]
    rest = where(rest < 0, rest + math.prod(sizes), rest)
    found = []
    for d in reversed(sizes):
        found.append(mod(rest, d))
        rest = floor_divide(rest, d)
    return tuple(reversed(found))


# -- diagonals ---------------------------------------------------------------------------------------------------------


def diagonal(x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    """The diagonals of the matrices that two axes span.

    Args:
        x: tensor of two dimensions or more.
        offset: which one: 0 is the main diagonal, 1 the one above it, -1 the one below.
        axis1: axis of the rows.
        axis2: axis of the columns.

    Returns:
        The shape without both axes, and the diagonal as last one.

    Raises:
        ValueError: there are too few dimensions, or the axes are one.

    Example:
        >>> diagonal([[1, 2, 3], [4, 5, 6]], offset=1).numpy().tolist()
        [2, 6]

    Source: `keras.ops.diagonal`.
    """
    x = convert_to_tensor(x)
    if len(x.shape) < 2:
        raise ValueError(f"diagonal: expected 2 dimensions or more; received shape {tuple(x.shape)}")
    first, second = canonical_axis(axis1, len(x.shape), "axis1"), canonical_axis(axis2, len(x.shape), "axis2")
    if first == second:
        raise ValueError(f"diagonal: axis1={axis1} and axis2={axis2} are the same axis of shape {tuple(x.shape)}")
    x = moveaxis(x, [first, second], [-2, -1])
    *lead, n, m = x.shape
    zeros, ones = (0,) * len(lead), (1,) * len(lead)
    if n is None or m is None:  # a shape only: how long the diagonal is depends on the shorter side
        flat = reshape(x, (*lead, -1))
        return _slice(flat, start=(*zeros, 0), stop=(*lead, None), step=(*ones, 1))
    start = offset if offset >= 0 else -offset * m
    count = max(min(n, m - offset) if offset >= 0 else min(n + offset, m), 0)
    first, end = (start, start + (count - 1) * (m + 1) + 1) if count else (0, 0)
    flat = reshape(x, (*lead, n * m))
    return _slice(flat, start=(*zeros, first), stop=(*lead, end), step=(*ones, m + 1))


def diag(x: Any, k: int = 0) -> Any:
    """The matrix with a vector on a diagonal, or the diagonal of a matrix.

    Args:
        x: vector or matrix.
        k: which diagonal: 0 is the main one, 1 the one above it, -1 the one below.

    Raises:
        ValueError: `x` is neither vector nor matrix.

    Example:
        >>> diag([1, 2]).numpy().tolist(), diag([[1, 2], [3, 4]]).numpy().tolist()
        ([[1, 0], [0, 2]], [1, 4])

    Source: `keras.ops.diag`.
    """
    x = convert_to_tensor(x)
    if len(x.shape) == 2:
        return diagonal(x, k)
    if len(x.shape) != 1:
        raise ValueError(f"diag: expected a vector or a matrix; received shape {tuple(x.shape)}")
    n = x.shape[0] + abs(k)
    columns_of = pad(x, ((max(k, 0), max(-k, 0)),))  # in the diagonal's column
    rows, columns = iota(shape=(n, n), axis=0, dtype="int32"), iota(shape=(n, n), axis=1, dtype="int32")
    return where(columns - rows == k, columns_of, 0)


def diagflat(x: Any, k: int = 0) -> Any:
    """The matrix with the elements of a tensor on a diagonal.

    Args:
        x: tensor, which is flattened.
        k: which diagonal: 0 is the main one, 1 the one above it, -1 the one below.

    Example:
        >>> diagflat([[1, 2]], k=1).numpy().tolist()
        [[0, 1, 0], [0, 0, 2], [0, 0, 0]]

    Source: `keras.ops.diagflat`.
    """
    return diag(reshape(x, (-1,)), k)
