"""Stacking tensors along given axes, and cutting them there again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from kcore.ops.getitem import split
from kcore.ops.shape import concatenate, expand_dims, reshape
from kcore.ops.shapes import canonical_axis
from kcore.runtime.apply import convert_to_tensor

__all__ = ["append", "array_split", "dsplit", "dstack", "hsplit", "hstack", "vsplit", "vstack"]


def append(x1: Any, x2: Any, axis: int | None = None) -> Any:
    """One tensor behind the other.

    Args:
        x1, x2: tensors of one shape but for `axis`.
        axis: the axis; None joins the flattened tensors.

    Example:
        >>> append([1, 2], [[3], [4]]).numpy().tolist()
        [1, 2, 3, 4]

    Source: `keras.ops.append`.
    """
    if axis is None:
        x1, x2, axis = reshape(x1, (-1,)), reshape(x2, (-1,)), 0
    return concatenate([x1, x2], axis=axis)


def _at_least(x: Any, ndim: int) -> Any:
    """The tensor with so many dimensions: new ones stand in front of a vector, and behind a matrix."""
    x = convert_to_tensor(x)
    if len(x.shape) == 0:
        return reshape(x, (1,) * ndim)
    if len(x.shape) == 1 and ndim > 1:
        x = expand_dims(x, 0)
    return expand_dims(x, 2) if len(x.shape) == 2 and ndim == 3 else x


def _stacked(function: str, xs: Sequence[Any], ndim: int) -> list[Any]:
    tensors = [_at_least(x, ndim) for x in xs]
    if not tensors:
        raise ValueError(f"{function}: expected one tensor or more; received none")
    return tensors


def hstack(xs: Sequence[Any]) -> Any:
    """Tensors side by side: joined along the second axis, vectors along their only one.

    Args:
        xs: tensors of one shape but for that axis; one or more.

    Raises:
        ValueError: there are none, or their shapes differ.

    Example:
        >>> hstack([[[1], [2]], [[3], [4]]]).numpy().tolist()
        [[1, 3], [2, 4]]

    Source: `keras.ops.hstack`.
    """
    tensors = _stacked("hstack", xs, 1)
    return concatenate(tensors, axis=min(len(tensors[0].shape), 2) - 1)


def vstack(xs: Sequence[Any]) -> Any:
    """Tensors one below the other: joined along the first axis, vectors as rows.

    Args:
        xs: tensors of one shape but for that axis; one or more.

    Raises:
        ValueError: there are none, or their shapes differ.

    Example:
        >>> vstack([[1, 2], [3, 4]]).numpy().tolist()
        [[1, 2], [3, 4]]

    Source: `keras.ops.vstack`.
    """
    return concatenate(_stacked("vstack", xs, 2), axis=0)


def dstack(xs: Sequence[Any]) -> Any:
    """Tensors one behind the other: joined along the third axis, vectors and matrices as layers of size 1.

    Args:
        xs: tensors of one shape but for that axis; one or more.

    Raises:
        ValueError: there are none, or their shapes differ.

    Example:
        >>> dstack([[1, 2], [3, 4]]).numpy().tolist()
        [[[1, 3], [2, 4]]]

    Source: `keras.ops.dstack`.
    """
    return concatenate(_stacked("dstack", xs, 3), axis=2)


def array_split(x: Any, indices_or_sections: Any, axis: int = 0) -> list[Any]:
    """Parts of a tensor along an axis; equal ones, or the first ones longer by one.

    Args:
        x: tensor.
        indices_or_sections: how many parts, or the indices before which to cut.
        axis: the axis.

    Raises:
        ValueError: the number of parts is not positive, or the size of the axis is not known.

    Example:
        >>> [part.numpy().tolist() for part in array_split([1, 2, 3], 2)]
        [[1, 2], [3]]

    Source: `keras.ops.array_split`.
    """
    x = convert_to_tensor(x)
    axis = canonical_axis(axis, len(x.shape))
    if not isinstance(indices_or_sections, int | np.integer):
        return split(x, indices_or_sections, axis)
    n, parts = x.shape[axis], int(indices_or_sections)
    if parts < 1 or n is None:
        raise ValueError(f"array_split: axis {axis} of shape {tuple(x.shape)} cannot be cut into {parts} parts")
    size, longer = divmod(n, parts)
    return split(x, [size * i + min(i, longer) for i in range(1, parts)], axis)


def _along(function: str, x: Any, indices_or_sections: Any, axis: int) -> list[Any]:
    x = convert_to_tensor(x)
    if len(x.shape) <= axis:
        raise ValueError(f"{function}: expected {axis + 1} dimensions or more; received shape {tuple(x.shape)}")
    return split(x, indices_or_sections, axis)


def hsplit(x: Any, indices_or_sections: Any) -> list[Any]:
    """Parts of a tensor along its second axis; of a vector along its only one.

    Args:
        x: tensor of one dimension or more.
        indices_or_sections: how many equal parts, or the indices before which to cut.

    Raises:
        ValueError: the axis has no such parts, or the tensor too few dimensions.

    Example:
        >>> [part.numpy().tolist() for part in hsplit([[1, 2], [3, 4]], 2)]
        [[[1], [3]], [[2], [4]]]

    Source: `keras.ops.hsplit`.
    """
    x = convert_to_tensor(x)
    return _along("hsplit", x, indices_or_sections, 0 if len(x.shape) == 1 else 1)


def vsplit(x: Any, indices_or_sections: Any) -> list[Any]:
    """Parts of a tensor along its first axis.

    Args:
        x: tensor of two dimensions or more.
        indices_or_sections: how many equal parts, or the indices before which to cut.

    Raises:
        ValueError: the axis has no such parts, or the tensor too few dimensions.

    Example:
        >>> [part.numpy().tolist() for part in vsplit([[1, 2], [3, 4]], 2)]
        [[[1, 2]], [[3, 4]]]

    Source: `keras.ops.vsplit`.
    """
    x = convert_to_tensor(x)
    if len(x.shape) < 2:
        raise ValueError(f"vsplit: expected 2 dimensions or more; received shape {tuple(x.shape)}")
    return _along("vsplit", x, indices_or_sections, 0)


def dsplit(x: Any, indices_or_sections: Any) -> list[Any]:
    """Parts of a tensor along its third axis.

    Args:
        x: tensor of three dimensions or more.
        indices_or_sections: how many equal parts, or the indices before which to cut.

    Raises:
        ValueError: the axis has no such parts, or the tensor too few dimensions.

    Example:
        >>> [part.numpy().tolist() for part in dsplit([[[1, 2]]], 2)]
        [[[[1]]], [[[2]]]]

    Source: `keras.ops.dsplit`.
    """
    return _along("dsplit", x, indices_or_sections, 2)
