"""Index maps: strides of a group's operands along common axes, which are merged where memory allows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod


def contiguous(shape: Sequence[int]) -> tuple[int, ...]:
    """Strides in elements of a C-ordered array."""
    return tuple(prod(shape[i + 1 :]) for i in range(len(shape)))


def aligned(shape: Sequence[int], strides: Sequence[int], target: Sequence[int]) -> tuple[int, ...]:
    """Strides of an operand along the axes of what it broadcasts to: 0 where it is repeated."""
    extra = len(target) - len(shape)
    own = [0 if d == 1 else s for d, s in zip(shape, strides, strict=True)]
    return (0,) * extra + tuple(own)


@dataclass(frozen=True)
class Layout:
    """Axes left after merging.

    Attributes:
        dims: their sizes.
        labels: their classes; axes of different classes are never merged.
        strides: per operand, its strides along them.
    """

    dims: tuple[int, ...]
    labels: tuple[bool, ...]
    strides: tuple[tuple[int, ...], ...]


def collapse(shape: Sequence[int], operands: Sequence[Sequence[int]], labels: Sequence[bool] | None = None) -> Layout:
    """Drop axes of size 1 and merge neighbours that are one run of memory (or repeated alike) in every operand.

    Args:
        shape: the full shape.
        operands: strides of each operand along it, as `aligned` gives them.
        labels: a class per axis (whether it is reduced).

    Example:
        >>> collapse((4, 8, 3), [(24, 3, 1), (0, 0, 1)])
        Layout(dims=(32, 3), labels=(False, False), strides=((3, 1), (0, 1)))
    """
    marks = tuple(labels) if labels is not None else (False,) * len(shape)
    dims: list[int] = []
    kept: list[int] = []
    for axis, d in enumerate(shape):
        if d == 1:
            continue
        last = kept[-1] if kept else None
        if last is not None and marks[last] == marks[axis] and all(s[last] == s[axis] * d for s in operands):
            dims[-1] *= d
            kept[-1] = axis
        else:
            dims.append(d)
            kept.append(axis)
    return Layout(tuple(dims), tuple(marks[a] for a in kept), tuple(tuple(s[a] for a in kept) for s in operands))


def extent(dims: Sequence[int], strides: Sequence[int]) -> int:
    """Largest offset, counted from the first element in either direction."""
    return sum((d - 1) * abs(s) for d, s in zip(dims, strides, strict=True) if d)
