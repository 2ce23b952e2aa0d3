"""Ops that pick elements by index and put them back: gather, scatter, and the Keras functions made of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from kcore.graph.op import In, Spec, composite, primitive, sample
from kcore.ops.elementwise import add, cast, less, multiply, where
from kcore.ops.shape import reshape

__all__ = ["scatter", "take", "take_along_axis"]


def _at(*values: Any) -> In:
    array = np.asarray(values, dtype=np.int32)
    return In(array.shape, dtype="int32", value=array)


def _some(shape: tuple[int, ...], size: int, seed: int = 0) -> In:
    """Sample indices in [0, size), many of them more than once."""
    values = (np.arange(math.prod(shape), dtype=np.int64) * 7919 + seed) % 10007 % max(size, 1)
    return In(shape, dtype="int32", value=values.astype(np.int32).reshape(shape))


def _check_indices(op: str, indices: Spec) -> None:
    if "int" not in indices.dtype:
        raise ValueError(f"{op}: indices must be integers; received {indices}")


# -- gather ----------------------------------------------------------------------------------------------------------


def _gather_infer(x: Spec, indices: Spec, *, axis: int = 0) -> Spec:
    _check_indices("gather", indices)
    if not 0 <= axis < x.ndim:
        raise ValueError(f"gather: axis {axis} is not one of the {x.ndim} axes of {x}")
    return Spec(x.shape[:axis] + indices.shape + x.shape[axis + 1 :], x.dtype)


@primitive(
    "indexing",
    infer=_gather_infer,
    bounds={"indices": lambda specs, attrs: specs[0].shape[attrs["axis"]]},
    samples=[
        sample((5, 3), _at(4, 0, 0, 2)),
        sample((7, 16), _at([0, 6], [3, 3], [5, 1]), axis=0),
        sample((2, 9, 3), _at([8, 0], [1, 1]), axis=1),
        sample((4, 6), _at(5), axis=1),
        sample((6,), In((), dtype="int32", value=np.int32(2))),
        sample((5, 0), _at(4, 0)),
        sample((5, 3), In((0, 2), dtype="int32", value=np.zeros((0, 2), np.int32))),
        sample((65, 129), _some((300, 3), 65), grad=False),
        sample((5, 3), In((3,), dtype="int64", value=np.array([4, 0, 2]))),
    ],
)
def gather(x, indices, *, axis=0):
    """Slices of `x` along `axis`: ``result[..., i, ...] = x[..., indices[i], ...]``; an index beyond is clipped."""
    return np.take(x, np.clip(indices, 0, x.shape[axis] - 1), axis=axis)


@gather.gradient
def _(ctx, g):
    x, indices = ctx.inputs
    axis = ctx.attrs["axis"]
    return scatter_add(indices, g, axis=axis, size=x.shape[axis]), None


# -- scatter ---------------------------------------------------------------------------------------------------------


def _scatter_infer(indices: Spec, updates: Spec, *, axis: int = 0, size: int) -> Spec:
    _check_indices("scatter_add", indices)
    if updates.dtype == "bool":
        raise ValueError(f"scatter_add: expected numbers to add; received {updates}")
    if updates.shape[axis : axis + indices.ndim] != indices.shape:
        raise ValueError(
            f"scatter_add: expected updates with the shape of the indices, {indices.shape}, from axis {axis} on; "
            f"received {updates}"
        )
    return Spec(updates.shape[:axis] + (size,) + updates.shape[axis + indices.ndim :], updates.dtype)


@primitive(
    "indexing",
    infer=_scatter_infer,
    bounds={"indices": lambda specs, attrs: attrs["size"]},
    tolerance={"float32": (1e-5, 1e-5)},  # up to a few hundred updates share a slot below
    samples=[
        sample(_at(4, 0, 0, 2), (4, 3), size=5),
        sample(_at([0, 6], [3, 3], [5, 1]), (3, 2, 16), size=7),
        sample(_at([8, 0], [1, 1]), (2, 2, 2, 3), axis=1, size=9),
        sample(_at(3, 3, 1, 3, 0), (5,), size=4),
        sample(_at(3, 3, 1, 3, 0), (2, 5), axis=1, size=4),
        sample(_at(1, 1), (2, 0), size=3),
        sample(In((0,), dtype="int32", value=np.zeros(0, np.int32)), (0, 4), size=3),
        sample(_some((700,), 40), (700, 17), size=40, grad=False),
        sample(_some((9000,), 900), (9000, 5), size=900, grad=False),
        sample(_some((2500,), 20000), (2500, 33), size=20000, grad=False),
    ],
)
def scatter_add(indices, updates, *, axis=0, size):
    """Zeros with every update added at its index along `axis`, in the order of the updates: gather's gradient."""
    rows = updates.shape[:axis] + (indices.size,) + updates.shape[axis + indices.ndim :]
    moved = np.moveaxis(updates.reshape(rows), axis, 0)
    result = np.zeros((size,) + moved.shape[1:], dtype=updates.dtype)
    np.add.at(result, np.clip(indices.reshape(-1), 0, size - 1), moved)
    return np.moveaxis(result, 0, axis)


@scatter_add.gradient
def _(ctx, g):
    return None, gather(g, ctx.inputs[0], axis=ctx.attrs["axis"])


# -- composites ------------------------------------------------------------------------------------------------------


def _along_infer(x: Spec, indices: Spec, *, axis: int) -> Spec:
    _check_indices("take_along_axis", indices)
    if indices.ndim != x.ndim:
        raise ValueError(f"take_along_axis: expected indices of rank {x.ndim} like x {x}; received {indices}")
    for i, (d, n) in enumerate(zip(x.shape, indices.shape, strict=True)):
        if i != axis and d is not None and n is not None and d != n and n != 1:
            raise ValueError(f"take_along_axis: indices {indices} do not match x {x} on axis {i}")
    shape = tuple(n if i == axis else d for i, (d, n) in enumerate(zip(x.shape, indices.shape, strict=True)))
    return Spec(shape, x.dtype)


@composite(
    "indexing",
    "take_along_axis",
    infer=_along_infer,
    bounds={"indices": lambda specs, attrs: specs[0].shape[attrs["axis"]]},
    samples=[
        sample((3, 5), _at([4], [0], [2]), axis=1),
        sample((3, 5), _at([1, 0, 2, 2, 1]), axis=0),
        sample((2, 4, 3), _some((2, 7, 3), 4), axis=1),
        sample((6,), _at(5, 5, 0), axis=0),
        sample((0, 5), In((0, 1), dtype="int32", value=np.zeros((0, 1), np.int32)), axis=1),
    ],
)
def _take_along_axis(x, indices, *, axis):
    shape = tuple(n if i == axis else d for i, (d, n) in enumerate(zip(x.shape, indices.shape, strict=True)))
    strides = [math.prod(x.shape[i + 1 :]) for i in range(len(x.shape))]
    base = np.zeros(shape, dtype=np.int32)
    for i, n in enumerate(shape):
        if i != axis:
            base += (np.arange(n, dtype=np.int32) * strides[i]).reshape((-1,) + (1,) * (len(shape) - i - 1))
    flat = add(multiply(cast(indices, dtype="int32"), np.int32(strides[axis])), base)
    return gather(reshape(x, (math.prod(x.shape),)), flat, axis=0)


def _axis(function: str, axis: int, ndim: int) -> int:
    if not -ndim <= axis < ndim:
        raise ValueError(f"{function}: axis {axis} is out of range for a tensor of rank {ndim}")
    return axis % ndim


@composite(
    "indexing",
    "index_from_end",
    infer=lambda indices, *, size, caller: indices,
    bounds={"indices": lambda specs, attrs: (-attrs["size"], attrs["size"])},
    differentiable=False,
    samples=[sample(_at(-1, 0, 2, -3), size=3, caller="take"), sample(_at([-7, 6], [3, 0]), size=7, caller="take")],
)
def _index_from_end(indices, *, size, caller):
    """Indices in [-size, size) as indices in [0, size); errors name the caller."""
    return where(less(indices, np.asarray(0, indices.dtype)), add(indices, np.asarray(size, indices.dtype)), indices)


def _wrap(indices: Any, size: int, caller: str = "take") -> Any:
    """Indices with negative ones counted from the end, as NumPy does; nothing is added to the graph for constants."""
    if isinstance(indices, (int, list, tuple, np.ndarray, np.generic)):
        array = np.asarray(indices)
        if array.dtype.kind not in "iu":
            array = array.astype(np.int32)
        if array.size and not (-size <= array.min() and array.max() < size):
            wrong = array[(array < -size) | (array >= size)].flat[0]
            raise ValueError(f"{caller}: index {wrong} is out of range for an axis of size {size}")
        return np.where(array < 0, array + size, array).astype(array.dtype)
    if "int" not in indices.dtype:
        indices = cast(indices, dtype="int32")
    if indices.dtype.startswith("u"):
        return indices
    return _index_from_end(indices, size=size, caller=caller)


def take(x: Any, indices: Any, axis: int | None = None) -> Any:
    """Take slices of a tensor along an axis.

    Args:
        x: a tensor.
        indices: integers of any shape; negative ones count from the end.
        axis: the axis; None takes from the flattened tensor.

    Returns: a tensor of shape ``x.shape[:axis] + indices.shape + x.shape[axis + 1:]`` and of x's dtype.

    Raises:
        ValueError: if the axis is out of range, or indices are; inside a compiled function those that are its
            arguments are looked at.

    Example:

    >>> import numpy as np
    >>> from kcore import ops
    >>> ops.take(np.array([10, 20, 30]), np.array([2, -3])).numpy().tolist()
    [30, 10]

    Source: `keras.ops.take`.
    """
    if axis is None:
        x, axis = reshape(x, (-1,)), 0
    axis = _axis("take", axis, len(x.shape))
    size = x.shape[axis]
    return gather(x, indices if size is None else _wrap(indices, size), axis=axis)


def take_along_axis(x: Any, indices: Any, axis: int | None = None) -> Any:
    """Take one element per index along an axis: ``result[i, j] = x[i, indices[i, j]]`` for axis 1.

    Args:
        x: a tensor.
        indices: integers of x's rank, with x's shape except along `axis`; negative ones count from the end.
        axis: the axis; None takes from the flattened tensor.

    Returns: a tensor of the indices' shape and of x's dtype.

    Raises:
        ValueError: if the shapes do not match.

    Example:

    >>> import numpy as np
    >>> from kcore import ops
    >>> ops.take_along_axis(np.array([[1, 2], [3, 4]]), np.array([[1], [0]]), axis=1).numpy().tolist()
    [[2], [3]]

    Source: `keras.ops.take_along_axis`.
    """
    if axis is None:
        x, indices, axis = reshape(x, (-1,)), reshape(indices, (-1,)), 0
    axis = _axis("take_along_axis", axis, len(x.shape))
    size = x.shape[axis]
    return _take_along_axis(x, indices if size is None else _wrap(indices, size, "take_along_axis"), axis=axis)


def scatter(indices: Any, values: Any, shape: Sequence[int]) -> Any:
    """Zeros of `shape` with `values` added at `indices`.

    Args:
        indices: integers `(..., k)`, each row the first k coordinates of a slot.
        values: `(..., *shape[k:])`; values with equal indices add up, in order.
        shape: shape of the result.

    Returns: a tensor of `shape` and of the values' dtype.

    Example:

    >>> import numpy as np
    >>> from kcore import ops
    >>> ops.scatter(np.array([[0], [2], [2]]), np.array([1.0, 2.0, 3.0], "float32"), (4,)).numpy().tolist()
    [1.0, 0.0, 5.0, 0.0]

    Source: `keras.ops.scatter`.
    """
    shape = tuple(int(d) for d in shape)
    depth = indices.shape[-1]
    if not 0 < depth <= len(shape):
        raise ValueError(f"scatter: indices of shape {tuple(indices.shape)} address {depth} axes of a shape {shape}")
    head, tail = shape[:depth], shape[depth:]
    count = math.prod(indices.shape[:-1])
    rows = reshape(indices, (count, depth))
    linear = None
    for i in range(depth):
        part = reshape(gather(rows, np.array([i], np.int32), axis=1), (count,))
        part = multiply(_wrap(part, head[i], "scatter"), np.asarray(math.prod(head[i + 1 :]), part.dtype))
        linear = part if linear is None else add(linear, part)
    flat = scatter_add(linear, reshape(values, (count, *tail)), axis=0, size=math.prod(head))
    return reshape(flat, shape)
