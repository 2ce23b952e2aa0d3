"""Indexing expressions such as ``x[1:, ..., None]`` as slices, flips and gathers, and what is cut with them."""

from __future__ import annotations

import builtins
from operator import index
from types import EllipsisType
from typing import Any

import numpy as np

from kcore.graph.op import OPS
from kcore.ops.elementwise import where
from kcore.ops.shape import _flip, _reshape, _slice, _tensor
from kcore.ops.shapes import canonical_axis
from kcore.runtime.tensor import method

__all__ = ["getitem", "split", "unstack"]


class _Index:
    """One indexing expression taken apart: a strided slice, axes to flip, the resulting shape, and gathers."""

    def __init__(self) -> None:
        self.start: list[int] = []
        self.stop: list[int | None] = []
        self.step: list[int] = []
        self.flips: list[int] = []
        self.shape: list[int | None] = []
        self.gathers: list[tuple[int, Any]] = []

    def take(self, start: int, stop: int | None, step: int = 1) -> None:
        self.start.append(start)
        self.stop.append(stop)
        self.step.append(step)

    def slice(self, k: builtins.slice, d: int | None) -> None:
        """A slice of a dimension of size d."""
        if d is None:
            if (k.start or 0) < 0 or (k.stop is not None and k.stop >= 0) or (k.step or 1) != 1:
                a, b, s = k.indices(1 << 30)
                self.take(a, b, s)
                self.shape.append(len(range(a, b, s)))
            else:
                self.take(k.start or 0, None)
                self.shape.append(None)
            return
        a, b, s = k.indices(d)
        n = len(range(a, b, s))
        if s < 0:
            self.flips.append(len(self.start))
            a, b, s = (a + (n - 1) * s, a + 1, -s) if n else (0, 0, 1)
        self.take(a, b if n else a, s)
        self.shape.append(n)

    def gather(self, k: Any, d: int | None) -> None:
        """The elements a list or tensor of indices names."""
        self.take(0, d)
        self.gathers.append((len(self.shape), k))
        self.shape.append(d)

    def one(self, k: Any, d: int | None, shape: tuple) -> None:
        """A single element: the dimension goes."""
        i = index(k)
        if d is not None and not -d <= i < d:
            raise IndexError(f"index {i} is out of range for axis {len(self.start)} of a tensor of shape {shape}")
        i = i + d if i < 0 and d is not None else i
        self.take(i, i + 1)


def _whole_keys(key: Any, ndim: int, shape: tuple) -> list[Any]:
    """One key per dimension (and None for new ones): an Ellipsis and missing keys become full slices."""
    keys = list(key) if isinstance(key, tuple) else [key]
    used = builtins.sum(k is not None and not isinstance(k, EllipsisType) for k in keys)
    if used > ndim:
        raise IndexError(f"{used} indices for a tensor of shape {shape}")
    fill = [builtins.slice(None)] * (ndim - used)
    dots = next((i for i, k in enumerate(keys) if isinstance(k, EllipsisType)), None)
    return keys + fill if dots is None else keys[:dots] + fill + keys[dots + 1 :]


def _names_many(k: Any) -> bool:
    """Whether a key is a list or tensor of indices; a traced scalar counts, having no value yet."""
    return isinstance(k, list) or getattr(k, "shape", ()) != () or hasattr(k, "trace")


@method("__getitem__")
def getitem(x: Any, key: Any) -> Any:
    """Indexing with integers, slices, None, an Ellipsis, and integer tensors or lists, as in NumPy.

    Raises:
        IndexError: there are more indices than dimensions, or one is out of range.
        TypeError: an index is a boolean tensor, whose result has no static shape.
    """
    x = _tensor(x)
    shape = tuple(x.shape)
    found = _Index()
    for k in _whole_keys(key, len(shape), shape):
        d = shape[len(found.start)] if k is not None else None
        if k is None:
            found.shape.append(1)
        elif isinstance(k, builtins.slice):
            found.slice(k, d)
        elif _names_many(k):
            found.gather(k, d)
        else:
            found.one(k, d, shape)
    bounds = zip(found.start, found.stop, found.step, shape, strict=True)
    y = x
    if not all(a == 0 and (b is None or b == d) and s == 1 for a, b, s, d in bounds):
        y = _slice(x, start=tuple(found.start), stop=tuple(found.stop), step=tuple(found.step))
    if found.flips:
        y = _flip(y, axes=tuple(found.flips))
    if tuple(y.shape) != tuple(found.shape):
        y = _reshape(y, shape=tuple(found.shape))
    for place, indices in reversed(found.gathers):
        indices = OPS["identity"](indices) if isinstance(indices, list) else _tensor(indices)
        if indices.dtype == "bool":
            raise TypeError("indexing with a boolean tensor has no static shape; use ops.where")
        y = OPS["gather"](y, where(indices < 0, indices + y.shape[place], indices), axis=place)
    return y


def unstack(x: Any, num: int | None = None, axis: int = 0) -> list[Any]:
    """The slices along an axis, as a list."""
    x = _tensor(x)
    axis = canonical_axis(axis, len(x.shape))
    n = num if num is not None else x.shape[axis]
    return [getitem(x, (builtins.slice(None),) * axis + (i,)) for i in range(n)]


def split(x: Any, indices_or_sections: Any, axis: int = 0) -> list[Any]:
    """Parts of a tensor along an axis: that many equal ones, or cut at indices."""
    x = _tensor(x)
    axis = canonical_axis(axis, len(x.shape))
    n = x.shape[axis]
    if isinstance(indices_or_sections, int | np.integer):
        if n is None or n % indices_or_sections:
            raise ValueError(
                f"split: dimension {axis} of shape {tuple(x.shape)} cannot be cut into {indices_or_sections} parts"
            )
        size = n // indices_or_sections
        cuts = [size * i for i in range(1, indices_or_sections)]
    else:
        cuts = [index(i) for i in indices_or_sections]
    ends = [0, *cuts, n]
    return [
        getitem(x, (builtins.slice(None),) * axis + (builtins.slice(a, b),))
        for a, b in zip(ends, ends[1:], strict=False)
    ]
