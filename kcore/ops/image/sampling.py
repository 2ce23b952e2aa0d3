"""Reading tensors between their elements: nearest or linear, and what lies beyond the border."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from kcore.dtypes import is_float, result_type
from kcore.ops.elementwise import abs as absolute
from kcore.ops.elementwise import cast, clip, floor, floor_divide, greater_equal, less, logical_and, mod, sign, where
from kcore.ops.indexing import gather
from kcore.ops.shape import _tensor, expand_dims, reshape
from kcore.ops.shapes import size_of

#: What is read beyond the border: a value, the last element, or the tensor again, turned round or not.
FILL_MODES = ("constant", "nearest", "wrap", "mirror", "reflect")


def fill_mode_checked(function: str, fill_mode: str) -> None:
    """Refuse an unknown fill mode.

    Raises:
        ValueError: it is none of `FILL_MODES`.
    """
    if fill_mode not in FILL_MODES:
        raise ValueError(f"{function}: expected fill_mode to be one of {FILL_MODES}; received {fill_mode!r}")


def read(x: Any, at: Sequence[Any], order: int, fill_mode: str, fill_value: float) -> Any:
    """Elements of each row of a batch at places between its elements.

    Args:
        x: (batch, *sizes, channels), float, of known sizes.
        at: a float tensor for each of the sizes, all of one shape (batch, *places) or (1, *places).
        order: 0 for the nearest element, 1 for linear interpolation.
        fill_mode: one of `FILL_MODES`.
        fill_value: what lies beyond the border if `fill_mode` is "constant".

    Returns: (batch, *places, channels), of x's dtype; the gradient reaches x, and `at` where the order is 1.
    """
    batch, *sizes, channels = x.shape
    places = at[0].shape[1:]
    flat = reshape(x, (batch * math.prod(sizes), channels))
    rows = (np.arange(batch, dtype=np.int32) * math.prod(sizes)).reshape((batch,) + (1,) * len(places))
    near = []
    for position in at:
        if order == 0:
            near.append([(floor(position + 0.5), None)])
        else:
            low = floor(position)
            part = position - low
            near.append([(low, 1.0 - part), (low + 1.0, part)])
    beyond = np.asarray(fill_value, x.dtype)
    total = None
    for corner in itertools.product(*near):
        index, inside, weight = rows, None, None
        for (place, share), size, stride in zip(corner, sizes, _strides(sizes), strict=True):
            if fill_mode == "constant":
                here = logical_and(greater_equal(place, 0.0), less(place, float(size)))
                inside = here if inside is None else logical_and(inside, here)
            index = _within(place, size, fill_mode) * np.int32(stride) + index
            if share is not None:
                weight = share if weight is None else weight * share
        value = gather(flat, index, axis=0)
        if inside is not None:
            value = where(expand_dims(inside, -1), value, beyond)
        if weight is not None:
            value = value * cast(expand_dims(weight, -1), x.dtype)
        total = value if total is None else total + value
    return total


def _strides(sizes: Sequence[int]) -> list[int]:
    return [math.prod(sizes[i + 1 :]) for i in range(len(sizes))]


def _within(place: Any, size: int, fill_mode: str) -> Any:
    """Whole places as int32 indices in [0, size)."""
    if fill_mode in ("constant", "nearest"):
        return cast(clip(place, 0.0, float(size - 1)), "int32")
    index = cast(place, "int32")
    if fill_mode == "wrap":
        return mod(index, np.int32(size))
    if fill_mode == "mirror":
        return _mirrored(index, size)
    return floor_divide(_mirrored(index * np.int32(2) + np.int32(1), 2 * size + 1) - np.int32(1), np.int32(2))


def _mirrored(index: Any, size: int) -> Any:
    """Indices of a sequence that runs to its last element and back to its first, again and again."""
    last = np.int32(size - 1)
    if not last:
        return index * np.int32(0)
    return absolute(mod(index + last, np.int32(2 * last)) - last)


def map_coordinates(
    inputs: Any, coordinates: Any, order: int, fill_mode: str = "constant", fill_value: float = 0.0
) -> Any:
    """Elements of a tensor at places between its elements.

    Args:
        inputs: a tensor of rank n, of known sizes.
        coordinates: (n, *places), places counted in elements, or a list of n tensors.
        order: 0 for the nearest element, 1 for linear interpolation.
        fill_mode: what lies beyond the border: ``"constant"`` (`fill_value`), ``"nearest"`` (the last element),
            ``"wrap"`` (the tensor again), ``"mirror"`` (turned round at the middle of the last element) or
            ``"reflect"`` (turned round at its edge).
        fill_value: see `fill_mode`.

    Returns: (*places), of the inputs' dtype; integers are interpolated in floats and rounded.

    Raises:
        ValueError: coordinates that are not n tensors of rank 1 or more, another order, or an unknown `fill_mode`.

    Example:
        >>> import numpy as np
        >>> from kcore import ops
        >>> x = np.array([[0.0, 10.0], [20.0, 30.0]], "float32")
        >>> ops.image.map_coordinates(x, np.array([[0.5, 1.0], [0.0, 0.25]], "float32"), order=1).numpy().tolist()
        [10.0, 22.5]

    Source: `keras.ops.image.map_coordinates`.
    """
    x = _tensor(inputs)
    rank = len(x.shape)
    if isinstance(coordinates, list | tuple):
        at, shape = [_tensor(c) for c in coordinates], (len(coordinates), *_tensor(coordinates[0]).shape)
    else:
        places = _tensor(coordinates)
        shape = tuple(places.shape)
        at = [places[i] for i in range(shape[0])] if shape else []
    if len(shape) < 2 or shape[0] != rank:
        raise ValueError(
            f"map_coordinates: expected coordinates (rank of inputs, *places), at least of rank 2; received "
            f"coordinates of shape {shape} for inputs of shape {tuple(x.shape)}"
        )
    if order not in (0, 1):
        raise ValueError(f"map_coordinates: expected order to be 0 or 1; received {order!r}")
    fill_mode_checked("map_coordinates", fill_mode)
    if size_of(x.shape) is None:
        raise ValueError(f"map_coordinates: sizes must be known; received inputs of shape {tuple(x.shape)}")
    dtype = result_type(x.dtype if is_float(x.dtype) else "float32", "float32")
    wide = reshape(cast(x, dtype), (1, *x.shape, 1))
    at = [cast(expand_dims(c, 0), result_type(c.dtype if is_float(c.dtype) else "float32", "float32")) for c in at]
    y = read(wide, at, order, fill_mode, fill_value)
    y = reshape(y, y.shape[1:-1])
    return cast(y if is_float(x.dtype) else rounded_away(y), x.dtype)


def rounded_away(x: Any) -> Any:
    """Whole numbers, halves away from zero."""
    return sign(x) * floor(absolute(x) + 0.5)
