"""Sums, products and extremes of segments; tensors with some elements, or a window of them, replaced."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from kcore.dtypes import int_range, is_float, numpy_dtype
from kcore.errors import TracingError
from kcore.graph.op import In, Spec, composite, sample
from kcore.ops.creation import full
from kcore.ops.elementwise import (
    add,
    cast,
    clip,
    equal,
    greater_equal,
    less,
    logical_and,
    maximum,
    minimum,
    multiply,
    where,
)
from kcore.ops.indexing import _check_indices, _wrap, gather, scatter_add
from kcore.ops.shape import _tensor, broadcast_to, concatenate, pad, reshape
from kcore.ops.sorting import argsort, searchsorted
from kcore.runtime.tape import vjp
from kcore.runtime.tensor import EagerTensor, KerasTensor

__all__ = [
    "scatter_update", "segment_max", "segment_min", "segment_prod", "segment_sum", "slice_update",
]  # fmt: skip

_COMBINE: dict[str, Callable[[Any, Any], Any]] = {"max": maximum, "min": minimum, "mul": multiply}


def _neutral(dtype: str, reduction: str) -> np.ndarray:
    """What changes nothing, and stands where there is nothing."""
    if reduction == "mul":
        return np.ones((), numpy_dtype(dtype))
    if is_float(dtype):
        value: float = -math.inf if reduction == "max" else math.inf
    elif dtype == "bool":
        value = reduction == "min"
    else:
        value = int_range(dtype)[0 if reduction == "max" else 1]
    return np.asarray(value, numpy_dtype(dtype))


def _ids(*values: int) -> In:
    return In((len(values),), dtype="int32", value=np.array(values, np.int32))


def _one_each(indices: Any, rows: Any) -> bool:
    """Whether there may be one index for each row."""
    if len(indices.shape) != 1 or not len(rows.shape):
        return False
    return indices.shape[0] == rows.shape[0] or None in (indices.shape[0], rows.shape[0])


def _reduce_infer(indices: Spec, updates: Spec, *, size: int, reduction: str) -> Spec:
    _check_indices("scatter_reduce", indices)
    if not _one_each(indices, updates):
        raise ValueError(f"expected indices (n,) and updates (n, ...); received {indices} and {updates}")
    return Spec((size, *updates.shape[1:]), updates.dtype)


@composite(
    "indexing",
    infer=_reduce_infer,
    bounds={"indices": lambda specs, attrs: attrs["size"]},
    samples=[
        sample(_ids(3, 0, 2, 1, 3, 1), (6, 3), size=4, reduction="max"),
        sample(_ids(1, 1, 3, 1), (4,), size=5, reduction="min", grad=False),
        sample(_ids(2, 0, 2, 2, 0), (5, 2), size=4, reduction="mul"),
        sample(In((0,), dtype="int32", value=np.zeros(0, np.int32)), (0, 2), size=2, reduction="max"),
    ],
)
def scatter_reduce(indices, updates, *, size, reduction):
    """The largest, the smallest or the product of the updates of each index; what changes nothing where there are none.

    The updates are put in the order of their indices; then each is combined with the one 1, 2, 4, ... places before, if
    that has the same index, which leaves the result of an index at its last place.
    """
    combine, neutral = _COMBINE[reduction], _neutral(updates.dtype, reduction)
    n, rest = updates.shape[0], updates.shape[1:]
    if not n:
        return full((size, *rest), neutral, dtype=updates.dtype)
    order = argsort(indices)
    places, values = gather(indices, order), gather(updates, order, axis=0)
    shape = (-1,) + (1,) * len(rest)
    step = 1
    while step < n:
        together = combine(values[step:], values[:-step])
        same = reshape(equal(places[step:], places[:-step]), shape)
        values = concatenate([values[:step], where(same, together, values[step:])], axis=0)
        step *= 2
    slots = np.arange(size, dtype=np.int32)
    last = maximum(searchsorted(places, slots.astype(places.dtype), side="right") - 1, np.int32(0))
    there = equal(gather(places, last), slots.astype(places.dtype))
    return where(reshape(there, shape), gather(values, last, axis=0), neutral)


@scatter_reduce.gradient
def _(ctx, g):
    indices, updates = ctx.inputs
    reduction, size = ctx.attrs["reduction"], ctx.attrs["size"]
    if reduction == "mul":
        return None, vjp(lambda x: scatter_reduce.fn(indices, x, size=size, reduction=reduction), (updates,), (g,))[0]
    reached = cast(equal(updates, gather(ctx.outputs[0], indices, axis=0)), g.dtype)  # those that are equal share
    share = gather(scatter_add(indices, reached, size=size), indices, axis=0)
    return None, reached / share * gather(g, indices, axis=0)


# -- segments --------------------------------------------------------------------------------------------------------


def _segments(function: str, data: Any, segment_ids: Any, num_segments: int | None) -> tuple[Any, Any, int]:
    """The data, their segments, and how many there are; ids of none of them, negative ones say, are one more."""
    constant = not hasattr(segment_ids, "dtype") or isinstance(segment_ids, np.ndarray)
    known = np.asarray(segment_ids) if constant else None
    data, ids = _tensor(data), _tensor(segment_ids)
    if (
        len(ids.shape) != 1
        or not data.shape
        or (None not in (ids.shape[0], data.shape[0]) and ids.shape[0] != data.shape[0])
    ):
        raise ValueError(
            f"{function}: expected segment_ids (n,) and data (n, ...); "
            f"received shapes {tuple(ids.shape)} and {tuple(data.shape)}"
        )
    if "int" not in ids.dtype:
        raise ValueError(f"{function}: expected segment_ids to be integers; received {ids.dtype}")
    if num_segments is None:
        if known is None and type(ids) is EagerTensor:
            known = ids.numpy()
        if known is None:
            raise TracingError(
                f"{function}: num_segments must be given where segment_ids are computed in a compiled step, "
                "whose shapes are fixed"
            )
        num_segments = int(known.max(initial=-1)) + 1
    count = int(num_segments)
    ids = cast(ids, "int32")
    inside = logical_and(greater_equal(ids, np.int32(0)), less(ids, np.int32(count)))
    return data, where(inside, ids, np.int32(count)), count


def _segment_reduce(function: str, data: Any, segment_ids: Any, num_segments: int | None, reduction: str) -> Any:
    if isinstance(data, KerasTensor) or isinstance(segment_ids, KerasTensor):
        if num_segments is None:
            return KerasTensor((None, *data.shape[1:]), data.dtype)
    data, ids, count = _segments(function, data, segment_ids, num_segments)
    if reduction == "add":
        return scatter_add(ids, data, size=count + 1)[:count]
    return scatter_reduce(ids, data, size=count + 1, reduction=reduction)[:count]


def segment_sum(data: Any, segment_ids: Any, num_segments: int | None = None, sorted: bool = False) -> Any:
    """Sums of the rows of each segment.

    Args:
        data: (n, ...).
        segment_ids: (n,), integers, the segment of each row; rows whose segment is negative, or beyond the last, do
            not count.
        num_segments: how many there are; None means the largest id plus one, which a compiled step cannot know.
        sorted: accepted for Keras's sake; the result does not depend on it.

    Returns: (num_segments, ...), of the data's dtype; 0 for a segment without rows.

    Raises:
        ValueError: shapes that do not fit, or ids that are not integers.
        TracingError: num_segments is not given and the ids are computed in a compiled step.

    Example:
        >>> import numpy as np
        >>> from kcore import ops
        >>> ops.segment_sum(np.array([1, 2, 10, 20]), np.array([0, 0, 2, 2])).numpy().tolist()
        [3, 0, 30]

    Source: `keras.ops.segment_sum`.
    """
    return _segment_reduce("segment_sum", data, segment_ids, num_segments, "add")


def segment_max(data: Any, segment_ids: Any, num_segments: int | None = None, sorted: bool = False) -> Any:
    """The largest of each segment; rows that are equal share its gradient.

    Args:
        data: (n, ...).
        segment_ids: (n,), as for `segment_sum`.
        num_segments: how many there are; None means the largest id plus one, which a compiled step cannot know.
        sorted: accepted for Keras's sake; the result does not depend on it.

    Returns: (num_segments, ...), of the data's dtype; -inf, or the least integer, for a segment without rows.

    Raises:
        ValueError: shapes that do not fit, or ids that are not integers.
        TracingError: num_segments is not given and the ids are computed in a compiled step.

    Example:
        >>> import numpy as np
        >>> from kcore import ops
        >>> ops.segment_max(np.array([1, 2, 10, 20]), np.array([0, 0, 1, 1])).numpy().tolist()
        [2, 20]

    Source: `keras.ops.segment_max`.
    """
    return _segment_reduce("segment_max", data, segment_ids, num_segments, "max")


def segment_min(data: Any, segment_ids: Any, num_segments: int | None = None, sorted: bool = False) -> Any:
    """The smallest of each segment; rows that are equal share its gradient.

    Args:
        data: (n, ...).
        segment_ids: (n,), as for `segment_sum`.
        num_segments: how many there are; None means the largest id plus one, which a compiled step cannot know.
        sorted: accepted for Keras's sake; the result does not depend on it.

    Returns: (num_segments, ...), of the data's dtype; inf, or the largest integer, for a segment without rows.

    Raises:
        ValueError: shapes that do not fit, or ids that are not integers.
        TracingError: num_segments is not given and the ids are computed in a compiled step.

    Example:
        >>> import numpy as np
        >>> from kcore import ops
        >>> ops.segment_min(np.array([1, 2, 10, 20]), np.array([0, 0, 1, 1])).numpy().tolist()
        [1, 10]

    Source: `keras.ops.segment_min`.
    """
    return _segment_reduce("segment_min", data, segment_ids, num_segments, "min")


def segment_prod(data: Any, segment_ids: Any, num_segments: int | None = None, sorted: bool = False) -> Any:
    """Products of the rows of each segment.

    Args:
        data: (n, ...).
        segment_ids: (n,), as for `segment_sum`.
        num_segments: how many there are; None means the largest id plus one, which a compiled step cannot know.
        sorted: accepted for Keras's sake; the result does not depend on it.

    Returns: (num_segments, ...), of the data's dtype; 1 for a segment without rows.

    Raises:
        ValueError: shapes that do not fit, or ids that are not integers.
        TracingError: num_segments is not given and the ids are computed in a compiled step.

    Example:
        >>> import numpy as np
        >>> from kcore import ops
        >>> ops.segment_prod(np.array([1, 2, 10, 20]), np.array([0, 0, 1, 1])).numpy().tolist()
        [2, 200]

    Source: `keras.ops.segment_prod`.
    """
    return _segment_reduce("segment_prod", data, segment_ids, num_segments, "mul")


# -- replacing -------------------------------------------------------------------------------------------------------

REDUCTIONS = (None, "add", "max", "min", "mul")


def scatter_update(inputs: Any, indices: Any, updates: Any, reduction: str | None = None) -> Any:
    """A tensor with some of its slots replaced, or combined with updates.

    Args:
        inputs: (D0, D1, ...).
        indices: integers (n, k), the first k coordinates of n slots; negative ones count from the end.
        updates: (n, *inputs.shape[k:]).
        reduction: None to replace, where the last of several updates of a slot counts; ``"add"``, ``"max"``, ``"min"``
            or ``"mul"`` to combine them with what is there.

    Returns: a tensor of the inputs' shape and dtype.

    Raises:
        ValueError: shapes that do not fit, or another reduction.

    Example:
        >>> import numpy as np
        >>> from kcore import ops
        >>> ops.scatter_update(np.zeros(4), [[0], [2], [2]], np.array([1.0, 2.0, 3.0])).numpy().tolist()
        [1.0, 0.0, 3.0, 0.0]

    Source: `keras.ops.scatter_update`.
    """
    kind = reduction.lower() if isinstance(reduction, str) else reduction
    if kind not in REDUCTIONS:
        raise ValueError(f"scatter_update: expected reduction to be one of {REDUCTIONS}; received {reduction!r}")
    inputs = _tensor(inputs)
    if isinstance(indices, list | tuple):
        indices = np.asarray(indices, np.int32)
    updates = cast(updates, inputs.dtype)
    shape = tuple(inputs.shape)
    depth = indices.shape[-1] if len(indices.shape) == 2 else 0
    if not 0 < depth <= len(shape) or tuple(updates.shape) != (indices.shape[0], *shape[depth:]):
        raise ValueError(
            f"scatter_update: expected indices (n, k) and updates (n, *inputs.shape[k:]) for inputs of shape {shape}; "
            f"received shapes {tuple(indices.shape)} and {tuple(updates.shape)}"
        )
    slots = None
    for i in range(depth):
        part = _wrap(indices[:, i], shape[i], "scatter_update") * np.int32(math.prod(shape[i + 1 : depth]))
        slots = part if slots is None else slots + part
    size = math.prod(shape[:depth])
    flat = reshape(inputs, (size, *shape[depth:]))
    if kind == "add":
        result = add(flat, scatter_add(slots, updates, size=size))
    elif kind is not None:
        result = _COMBINE[kind](flat, scatter_reduce(slots, updates, size=size, reduction=kind))
    elif not updates.shape[0]:
        result = flat
    else:
        turn = np.arange(updates.shape[0], dtype=np.int32)
        last = scatter_reduce(slots, turn, size=size, reduction="max")  # the update of each slot that comes last
        written = reshape(greater_equal(last, np.int32(0)), (size,) + (1,) * (len(shape) - depth))
        result = where(written, gather(updates, maximum(last, np.int32(0)), axis=0), flat)
    return reshape(result, shape)


def slice_update(inputs: Any, start_indices: Any, updates: Any) -> Any:
    """A tensor with a window of it replaced.

    Args:
        inputs: (D0, D1, ...).
        start_indices: where the window begins on each axis: integers, or a tensor of them, which is moved back to where
            the window fits.
        updates: the window, of the inputs' rank.

    Returns: a tensor of the inputs' shape and dtype.

    Raises:
        ValueError: another rank, a window that is too large, or one that does not fit where it begins.

    Example:
        >>> import numpy as np
        >>> from kcore import ops
        >>> ops.slice_update(np.zeros((2, 3)), (0, 1), np.ones((2, 2))).numpy().tolist()
        [[0.0, 1.0, 1.0], [0.0, 1.0, 1.0]]

    Source: `keras.ops.slice_update`.
    """
    inputs, updates = _tensor(inputs), _tensor(updates)
    shape, window = tuple(inputs.shape), tuple(updates.shape)
    fits = len(shape) == len(window) and all(
        d is None or w is None or w <= d for d, w in zip(shape, window, strict=True)
    )
    if not fits:
        raise ValueError(
            f"slice_update: expected updates of the rank of inputs and not larger; received shapes {window} and {shape}"
        )
    if isinstance(inputs, KerasTensor) or isinstance(updates, KerasTensor) or isinstance(start_indices, KerasTensor):
        return KerasTensor(shape, inputs.dtype)
    updates = cast(updates, inputs.dtype)
    starts = _starts(start_indices, shape, window)
    inside = None
    for axis, (start, size, width) in enumerate(zip(starts, shape, window, strict=True)):
        if width == size:
            continue
        at = np.arange(size, dtype=np.int32) - start
        here = logical_and(greater_equal(at, np.int32(0)), less(at, np.int32(width)))
        here = reshape(here, (size,) + (1,) * (len(shape) - axis - 1))
        inside = here if inside is None else logical_and(inside, here)
        if isinstance(start, int):
            widths = [(start, size - start - width) if i == axis else (0, 0) for i in range(len(shape))]
            updates = pad(updates, widths)
        elif width:
            updates = gather(updates, clip(at, np.int32(0), np.int32(width - 1)), axis=axis)
    if inside is None:
        return updates
    if 0 in window:
        return inputs
    return where(broadcast_to(inside, shape), updates, inputs)


def _starts(start_indices: Any, shape: tuple[int, ...], window: tuple[int, ...]) -> list[Any]:
    if isinstance(start_indices, np.ndarray):
        start_indices = start_indices.tolist()
    parts = [start_indices[i] for i in range(len(shape))] if len(start_indices) == len(shape) else []
    if len(parts) != len(shape):
        raise ValueError(
            f"slice_update: expected {len(shape)} start_indices for inputs of shape {shape}; "
            f"received {len(start_indices)}"
        )
    starts: list[Any] = []
    for start, size, width in zip(parts, shape, window, strict=True):
        if hasattr(start, "__index__") and not hasattr(start, "shape"):
            at = int(start)
            if not 0 <= at <= size - width:
                raise ValueError(
                    f"slice_update: a window of shape {window} that begins at {list(start_indices)} is not inside of "
                    f"shape {shape}"
                )
            starts.append(at)
        else:
            starts.append(clip(cast(start, "int32"), np.int32(0), np.int32(size - width)))
    return starts
