"""Where a convolution reads: windows over a batch, cut into cache-sized blocks and gathered into a reused buffer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
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
GRAIN = 8_000_000
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
    def at(self) -> tuple[slice, slice]:
        """Index of the block in an output."""
        return (self.images, self.rows)

    @property
    def kind(self) -> tuple[int, int, int]:
        """Equal for blocks that differ only in which images they hold."""
        return (self.images.stop - self.images.start, self.rows.start, self.rows.stop)


def block_shape(batch: int, height: int, row_bytes: int, parts: int, limit: int = BLOCK) -> tuple[int, int]:
    """Images and rows in a block of about `limit` bytes: whole images if they fit, else rows of one image."""
    image = max(1, height * row_bytes)
    if image <= limit * 5 // 2 and batch >= parts:
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

    @cached_property
    def depth(self) -> int:
        """Elements in one patch."""
        return self.channels * prod(a.taps for a in self.axes)

    @cached_property
    def outs(self) -> tuple[int, ...]:
        return tuple(a.outs for a in self.axes)

    @cached_property
    def direct(self) -> bool:
        """The input itself, seen as a matrix, is the patches."""
        return all(a.whole for a in self.axes)

    @cached_property
    def by_taps(self) -> bool:
        last = self.axes[-1]
        return self.channels * (last.taps if last.spacing == 1 else 1) < SHORT_RUN and not self.direct

    @cached_property
    def parts(self) -> int:
        """Threads worth using."""
        work = self.batch * prod(self.outs) * self.depth * self.filters
        return max(1, min(threads.count(), work // GRAIN))

    @cached_property
    def block_shape(self) -> tuple[int, int]:
        """Images and rows in a full block."""
        wide = self.depth + self.filters if self.gathers else 3 * self.channels
        row = prod(self.outs[1:]) * wide * self.itemsize
        return block_shape(self.batch, self.outs[0], row, self.parts)

    @property
    def block_positions(self) -> int:
        """Output positions in a full block."""
        images, rows = self.block_shape
        return images * rows * prod(self.outs[1:])

    def shares(self) -> list[list[Block]]:
        """The blocks of each thread."""
        return deal(cut(self.batch, self.outs[0], *self.block_shape), self.parts)

    def spans(self, rows: slice) -> list[tuple[int, int]]:
        """The index range that these output rows read, for each axis."""
        first, *others = self.axes
        return [first.reads(rows.start, rows.stop), *(a.reads(0, a.outs) for a in others)]

    def inside(self, rows: slice) -> bool:
        """These output rows read nothing outside the input."""
        return all(low >= 0 and high <= a.size for a, (low, high) in zip(self.axes, self.spans(rows), strict=True))

    @cached_property
    def padding_bytes(self) -> int:
        """Bytes of a thread's buffer for padded input."""
        images, rows = self.block_shape
        blocks = [b.rows for b in cut(1, self.outs[0], 1, rows) if not self.inside(b.rows)]
        sizes = [prod(high - low for low, high in self.spans(b)) for b in blocks]
        return aligned(images * max(sizes, default=0) * self.channels * self.itemsize)

    @cached_property
    def patch_bytes(self) -> int:
        """Bytes of a thread's buffer for gathered patches."""
        return 0 if self.direct or not self.gathers else aligned(self.block_positions * self.depth * self.itemsize)


class Reader:
    """One thread's way to the patches of an array: the steps that fill its buffers for a block, made at plan time.

    Args:
        patches: what is read.
        x: (batch, *spatial, channels), perhaps a slice of the channels.
        padding, gathered: the thread's buffers, of `Patches.padding_bytes` and `Patches.patch_bytes`.
    """

    def __init__(self, patches: Patches, x: np.ndarray, padding: np.ndarray, gathered: np.ndarray):
        self.patches, self.x, self.padding, self.gathered = patches, x, padding, gathered
        self.whole = patches.block_shape[1] == patches.outs[0]
        self._windows: dict[tuple, tuple] = {}  # blocks of one size share their buffers and views
        self._gathers: dict[tuple, tuple] = {}

    def prologue(self) -> list[Step]:
        """What comes once before all blocks: with whole images only the inside of the padding changes later."""
        if self.whole and not self.patches.inside(slice(0, self.patches.outs[0])):
            return [partial(self.padding.fill, 0)]
        return []

    def windows(self, block: Block) -> tuple[list[Step], np.ndarray]:
        """Steps that fill the padding buffer, and a view (images, *outs, *taps, channels) of the block's windows."""
        kept = self._windows.get(block.kind)
        if kept is None:
            kept = self._windows[block.kind] = self._plan(block)
        index, steps, inner, view, shape, strides = kept
        source = self.x[(block.images, *index)]
        if inner is None:
            return [], as_strided(source, shape, strides)
        return [*steps, partial(np.copyto, inner, source)], view

    def _plan(self, block: Block) -> tuple:
        """What `windows` needs for blocks of this kind."""
        patches, spans = self.patches, self.patches.spans(block.rows)
        images = block.images.stop - block.images.start
        steps: list[Step] = []
        if patches.inside(block.rows):
            base, inner = self.x, None
            index = tuple(slice(low, high) for low, high in spans)
        else:
            full = (images, *(high - low for low, high in spans), patches.channels)
            base = self.padding[: prod(full) * patches.itemsize].view(self.x.dtype).reshape(full)
            if not self.whole:
                steps.append(partial(base.fill, 0))
            # From a window wholly in the padding nothing is copied: both slices are empty.
            starts = [max(low, 0) for low, _ in spans]
            stops = [max(min(high, a.size), s) for a, (_, high), s in zip(patches.axes, spans, starts, strict=True)]
            index = tuple(slice(a, b) for a, b in zip(starts, stops, strict=True))
            inner = base[
                (slice(None), *(slice(a - low, b - low) for a, b, (low, _) in zip(starts, stops, spans, strict=True)))
            ]
        rows = block.rows.stop - block.rows.start
        shape = (images, rows, *patches.outs[1:], *(a.taps for a in patches.axes), patches.channels)
        spatial = base.strides[1:-1]
        strides = (
            base.strides[0],
            *(s * a.step for s, a in zip(spatial, patches.axes, strict=True)),
            *(s * a.spacing for s, a in zip(spatial, patches.axes, strict=True)),
            base.strides[-1],
        )
        view = None if inner is None else as_strided(base, shape, strides)
        return index, steps, inner, view, shape, strides

    def gather(self, block: Block) -> tuple[list[Step], np.ndarray]:
        """Steps that gather a block's patches, and the matrix (positions, taps * channels) they stand in."""
        if self.patches.direct:
            return [], as_matrix(self.x[block.at])
        steps, view = self.windows(block)
        kept = self._gathers.get(block.kind)
        if kept is None:
            kept = self._gathers[block.kind] = self._target(view)
        target, matrix, order, step = kept
        steps.append(step or partial(np.copyto, target, view if order is None else view.transpose(order)))
        return steps, matrix

    def _target(self, view: np.ndarray) -> tuple:
        """What `gather` needs for blocks of this kind; the copy itself if it always reads the padding buffer."""
        rank, depth = len(self.patches.axes), self.patches.depth
        positions = prod(view.shape[: rank + 1])
        buffer = self.gathered[: positions * depth * self.patches.itemsize].view(self.x.dtype)
        if self.patches.by_taps:
            order = (*range(rank + 1, 2 * rank + 2), *range(rank + 1))
            target, matrix = buffer.reshape([view.shape[i] for i in order]), buffer.reshape(depth, positions).T
            source = view.transpose(order)
        else:
            order, source = None, view
            target, matrix = buffer.reshape(view.shape), buffer.reshape(positions, depth)
        padded = np.may_share_memory(view, self.padding)
        return target, matrix, order, partial(np.copyto, target, source) if padded else None


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
