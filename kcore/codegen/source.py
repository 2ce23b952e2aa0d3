"""What the emitter hands to a backend: sources, arguments in order, work-groups to launch, scratch wanted."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from kcore.dtypes import itemsize


@dataclass(frozen=True)
class Tile:
    """How an elementwise group is cut; the only sizes that are compiled in.

    Attributes:
        local: work-items in a group.
        items: turns of a work-item; it handles `items` x `vector` elements.
        vector: 1, 2 or 4 consecutive elements loaded and stored at once where all operands are plain. The buffers of
            vectorised operands must be aligned to the vector in CUDA.
    """

    local: int = 256
    items: int = 1
    vector: int = 1

    def __post_init__(self) -> None:
        if self.local < 1 or self.items < 1 or self.vector not in (1, 2, 4):
            raise ValueError(f"a tile has local and items of at least 1 and a vector of 1, 2 or 4, got {self}")

    @property
    def block(self) -> int:
        """Elements a work-group handles."""
        return self.local * self.items * self.vector


@dataclass(frozen=True)
class SpanTile:
    """How an elementwise group is cut where a work-item is a core that goes through rows in wide vectors; OpenCL only.

    Attributes:
        vector: elements of a vector, 4, 8 or 16: all that is compiled in.
        share: about how many elements a work-item handles.
    """

    vector: int = 16
    share: int = 1 << 14

    def __post_init__(self) -> None:
        if self.vector not in (4, 8, 16) or self.share < self.vector:
            raise ValueError(f"a span tile has a vector of 4, 8 or 16 and a share of at least that, got {self}")

    @property
    def block(self) -> int:
        """Elements a work-item handles."""
        return self.share


@dataclass(frozen=True)
class SpanReductionTile:
    """How a reduction is cut where a work-item is a core that goes along what it reduces in wide vectors; OpenCL only.

    Attributes:
        vector: elements of a vector, 4, 8 or 16.
        unroll: vectors at once, each with a partial result of its own; a power of two.
        share: results of a work-item.
        splits: work-items that share one result; with more than one, a second kernel joins their parts. Choose it from
            the shapes alone: the order of additions depends on it.
    """

    vector: int = 16
    unroll: int = 4
    share: int = 64
    splits: int = 1

    def __post_init__(self) -> None:
        if self.vector not in (4, 8, 16) or self.unroll not in (1, 2, 4, 8) or self.share < 1 or self.splits < 1:
            raise ValueError(f"a vector of 4, 8 or 16, an unroll of 1, 2, 4 or 8, a share and splits, got {self}")


@dataclass(frozen=True)
class Argument:
    """One kernel argument.

    Attributes:
        name: its name in the source.
        kind: ``"input"``, ``"output"`` (buffers of the node, at `index`), ``"scratch"`` (a buffer of
            `Code.scratch_bytes`), ``"base"`` (buffer number `index` of those the segments lie in), ``"table"`` (the
            int64 buffer `Source.table` makes), ``"start"`` (element at which the buffer before it begins, for the
            backend to fill in) or ``"size"`` (an integer, `value`).
        dtype: dtype of the buffer's elements, or ``"int32"``/``"int64"`` for an integer.
    """

    name: str
    kind: str
    dtype: str
    index: int = 0
    value: int = 0


@dataclass(frozen=True)
class Source:
    """One kernel, ready to be compiled and launched.

    Attributes:
        name: name of the kernel function: layer and ops it came from.
        text: the whole source.
        arguments: its arguments, in order.
        local: work-items per work-group.
        groups: work-groups to launch; 0 means there is nothing to do and nothing may be launched.
        dialect: name of the dialect.
        segments: for a segmented group, (elements, first work-group) of each segment.
        operands: for a segmented group, each segment's operands in table order: (``"input"``/``"output"``, index).
    """

    name: str
    text: str
    arguments: tuple[Argument, ...]
    local: int
    groups: int
    dialect: str
    segments: tuple[tuple[int, int], ...] = ()
    operands: tuple[tuple[tuple[str, int], ...], ...] = ()

    @property
    def global_size(self) -> int:
        """Work-items in all."""
        return self.groups * self.local

    @property
    def argument_bytes(self) -> int:
        """Bytes of arguments; OpenCL promises room for 1024, CUDA for 4096."""
        return sum(itemsize(a.dtype) if a.kind in ("size", "start") else 8 for a in self.arguments)

    @cached_property
    def key(self) -> str:
        """Equal for kernels that differ in name and comments only: one compiled program serves them all."""
        code = re.sub(r"//[^\n]*\n|[ \t]+//[^\n]*", "\n", self.text)
        code = re.sub(rf"\b{re.escape(self.name)}\b", "kernel_", code)
        return hashlib.sha256(f"{self.dialect}\n{code}".encode()).hexdigest()

    def table(self, places: Sequence[Sequence[tuple[int, int] | int]]) -> np.ndarray:
        """The int64 table a segmented kernel reads.

        Args:
            places: for each segment and each of its `operands`: (base buffer, byte offset) where arrays are found so
                (OpenCL), or an address (CUDA).

        Returns:
            One row per segment: first work-group, elements, places; shape (segments, columns).
        """
        rows = []
        for (size, first), row in zip(self.segments, places, strict=True):
            flat = [n for place in row for n in (place if isinstance(place, tuple) else (place,))]
            rows.append([first, size, *flat])
        return np.array(rows, np.int64)


@dataclass(frozen=True)
class Code:
    """All kernels of one node, to be launched in order.

    Attributes:
        launches: the kernels.
        scratch_bytes: size of the scratch buffer they share.
    """

    launches: tuple[Source, ...]
    scratch_bytes: int = 0
