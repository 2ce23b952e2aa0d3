"""Where a convolution reads: windows over a batch, cut into cache-sized blocks and gathered into a reused buffer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from math import ceil, prod
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import as_strided

from kcore_numpy import threads

Step = Callable[[], Any]

#: Bytes of gathered patches and products that a block may take: they stay in a core's L2 cache between the steps.
BLOCK = 640 * 1024
#: Work, in multiply-adds, below which a second thread costs more than it brings.
GRAIN = 2_000_000
#: Below this many contiguous elements a gather by rows is slower than one by taps (see `Patches`).
SHORT_RUN = 13


def aligned(nbytes: int) -> int:
    """Rounded up to a cache line."""
    return -(-nbytes // 64) * 64


class Axis(NamedTuple):
    """How a window slides along one axis: output o reads ``start + o * step + t * spacing`` for each tap t.

    What lies outside ``range(size)`` reads as zero.
    """

    size: int
    start: int
    step: int
    taps: int
    spacing: int
    outs: int

    def reads(self, first: int, last: int) -> tuple[int, int]:
        """The index range that outputs first..last-1 read."""
        low = self.start + first * self.step
        return low, low + (last - 1 - first) * self.step + (self.taps - 1) * self.spacing + 1

    @property
    def whole(self) -> bool:
        """Every output reads just the input element of its own index."""
        return self.taps == 1 and self.start == 0 and self.step == 1 and self.outs == self.size


class Block(NamedTuple):
    """Images and rows of the first spatial axis of the output that are done at one time."""

    images: slice
    rows: slice

    @property
    def index(self) -> tuple[slice, slice]:
        return (self.images, self.rows)


def block_shape(batch: int, height: int, row_bytes: int, parts: int, limit: int = BLOCK) -> tuple[int, int]:
    """Images and rows in a block of about `limit` bytes: whole images if they fit, else rows of one image."""
    image = max(1, height * row_bytes)
    if image <= limit * 3 // 2 and batch >= parts:
        chunks = ceil(batch / min(max(1, limit // image), ceil(batch / parts)))
        return ceil(batch / (ceil(chunks / parts) * parts)), height
    chunks = max(ceil(height / max(1, limit // max(1, row_bytes))), ceil(parts / max(1, batch)))
    return 1, max(1, ceil(height / max(1, chunks)))


def cut(batch: int, height: int, images: int, rows: int) -> list[Block]:
    """All blocks of this many images and rows, in order."""
    return [
        Block(slice(n, min(n + images, batch)), slice(r, min(r + rows, height)))
        for n in range(0, batch, max(1, images))
        for r in range(0, height, rows)
    ]


def deal(blocks: list[Block], parts: int) -> list[list[Block]]:
    """The blocks in `parts` even shares, or fewer where there are not enough."""
    parts = max(1, min(parts, len(blocks)))
    edges = [len(blocks) * i // parts for i in range(parts + 1)]
    return [blocks[a:b] for a, b in pairwise(edges)]


@dataclass(frozen=True)
class Patches:
    """A gather plan: all windows of a (batch, *spatial, channels) array, block by block.

    Patches are gathered either by rows, (positions, taps * channels), each row from contiguous runs of the input; or,
    where those runs are short because there are few channels, by taps, (taps * channels, positions).

    Attributes:
        axes: the window along each spatial axis.
        batch: number of images.
        channels: input channels gathered.
        filters: channels of the other operand; the block size allows for its rows as well.
        itemsize: bytes of an element.
        gathers: whether patches are gathered; if not, a block holds some arrays of its own size instead.
    """

    axes: tuple[Axis, ...]
    batch: int
    channels: int
    filters: int
    itemsize: int
    gathers: bool = True

    @property
    def depth(self) -> int:
        """Elements in one patch."""
        return self.channels * prod(a.taps for a in self.axes)

    @property
    def outs(self) -> tuple[int, ...]:
        return tuple(a.outs for a in self.axes)

    @property
    def direct(self) -> bool:
        """The input itself, seen as a matrix, is the patches."""
        return all(a.whole for a in self.axes)

    @property
    def by_taps(self) -> bool:
        last = self.axes[-1]
        return self.channels * (last.taps if last.spacing == 1 else 1) < SHORT_RUN and not self.direct

    @property
    def parts(self) -> int:
        """Threads worth using."""
        work = self.batch * prod(self.outs) * self.depth * self.filters
        return max(1, min(threads.count(), work // GRAIN))

    def block_shape(self) -> tuple[int, int]:
        """Images and rows in a full block."""
        wide = self.depth + self.filters if self.gathers else 3 * self.channels
        row = prod(self.outs[1:]) * wide * self.itemsize
        return block_shape(self.batch, self.outs[0], row, self.parts)

    def shares(self) -> list[list[Block]]:
        """The blocks of each thread."""
        return deal(cut(self.batch, self.outs[0], *self.block_shape()), self.parts)

    # -- working memory --------------------------------------------------------------------------------------------

    def _padded_shape(self, rows: slice) -> tuple[int, ...] | None:
        """Spatial shape of the padded input of a block, or None where the block reads nothing outside the input."""
        spans = self._spans(rows)
        if all(low >= 0 and high <= a.size for a, (low, high) in zip(self.axes, spans, strict=True)):
            return None
        return tuple(high - low for low, high in spans)

    def _spans(self, rows: slice) -> list[tuple[int, int]]:
        first, *others = self.axes
        return [first.reads(rows.start, rows.stop), *(a.reads(0, a.outs) for a in others)]

    def padding_bytes(self) -> int:
        """Bytes of a thread's buffer for padded input."""
        images, rows = self.block_shape()
        shapes = [self._padded_shape(b.rows) for b in cut(1, self.outs[0], images, rows)]
        sizes = [prod(s) for s in shapes if s is not None]
        return aligned(images * max(sizes, default=0) * self.channels * self.itemsize)

    def patch_bytes(self) -> int:
        """Bytes of a thread's buffer for gathered patches."""
        if self.direct:
            return 0
        images, rows = self.block_shape()
        return aligned(images * rows * prod(self.outs[1:]) * self.depth * self.itemsize)

    # -- binding ---------------------------------------------------------------------------------------------------

    def prologue(self, x: np.ndarray, padding: np.ndarray) -> list[Step]:
        """What a thread does once before its blocks: with whole images only the inside of the padding changes."""
        if self.block_shape()[1] == self.outs[0] and self._padded_shape(slice(0, self.outs[0])) is not None:
            return [partial(padding[: self.padding_bytes()].fill, 0)]
        return []

    def windows(self, x: np.ndarray, block: Block, padding: np.ndarray) -> tuple[list[Step], np.ndarray]:
        """Steps that fill the padding buffer, and a view (images, *outs, *taps, channels) of the block's windows."""
        images = x[block.images]
        spans = self._spans(block.rows)
        shape = self._padded_shape(block.rows)
        steps: list[Step] = []
        if shape is None:
            base = images[(slice(None), *(slice(low, high) for low, high in spans))]
        else:
            full = (len(images), *shape, self.channels)
            base = padding[: prod(full) * self.itemsize].view(x.dtype).reshape(full)
            if self.block_shape()[1] != self.outs[0]:
                steps.append(partial(base.fill, 0))
            inner, outer = [slice(None)], [slice(None)]
            for axis, (low, high) in zip(self.axes, spans, strict=True):
                start, stop = max(low, 0), min(high, axis.size)
                inner.append(slice(start - low, max(stop, start) - low))
                outer.append(slice(start, max(stop, start)))
            steps.append(partial(np.copyto, base[tuple(inner)], images[tuple(outer)]))
        outs = (block.rows.stop - block.rows.start, *self.outs[1:])
        strides = base.strides[1:-1]
        view = as_strided(
            base,
            (len(images), *outs, *(a.taps for a in self.axes), self.channels),
            (
                base.strides[0],
                *(s * a.step for s, a in zip(strides, self.axes, strict=True)),
                *(s * a.spacing for s, a in zip(strides, self.axes, strict=True)),
                base.strides[-1],
            ),
        )
        return steps, view

    def gather(
        self, x: np.ndarray, block: Block, padding: np.ndarray, patches: np.ndarray
    ) -> tuple[list[Step], np.ndarray]:
        """Steps that gather a block's patches, and the matrix (positions, taps * channels) they stand in."""
        if self.direct:
            chosen = x[block.index]
            return [], as_matrix(chosen)
        steps, view = self.windows(x, block, padding)
        rank = len(self.axes)
        positions = prod(view.shape[: rank + 1])
        buffer = patches[: positions * self.depth * self.itemsize].view(x.dtype)
        if self.by_taps:
            order = (*range(rank + 1, 2 * rank + 2), *range(rank + 1))
            view = view.transpose(order)
            matrix = buffer.reshape(self.depth, positions).T
        else:
            matrix = buffer.reshape(positions, self.depth)
        steps.append(partial(np.copyto, buffer.reshape(view.shape), view))
        return steps, matrix


def as_matrix(array: np.ndarray) -> np.ndarray:
    """(..., channels) seen as (positions, channels), never copied; positions must lie evenly behind one another."""
    positions = prod(array.shape[:-1])
    if array.flags.c_contiguous:
        return array.reshape(positions, array.shape[-1])
    return as_strided(array, (positions, array.shape[-1]), array.strides[-2:])


def plain(array: np.ndarray) -> np.ndarray:
    """A contiguous array with the usual strides, also where an axis of size one had others."""
    return array.reshape(-1).reshape(array.shape)


def in_order(steps: Sequence[Step]) -> Step:
    """One step that does these one after the other."""
    steps = tuple(steps)

    def run() -> None:
        for step in steps:
            step()

    return run
