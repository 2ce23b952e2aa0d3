"""Pooling kernels: one strided view for each tap of the window, combined block by block in cache, over the threads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from math import prod
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from kcore.backend.kernel import Site, Thunk, kernel
from kcore_numpy import threads
from kcore_numpy.patches import Block, Step, aligned, block_shape, cut, deal, in_order, plain

if TYPE_CHECKING:
    from kcore.graph.core import Node

#: Bytes of output that a block takes; what it reads is the window times as much.
_BLOCK = 128 * 1024
#: Output elements times taps below which a second thread costs more than it brings.
_GRAIN = 60_000


class _Window(NamedTuple):
    """A pooling window over (batch, *spatial, channels): sizes of the inputs and outputs, and how it slides."""

    batch: int
    sizes: tuple[int, ...]
    outs: tuple[int, ...]
    channels: int
    pool: tuple[int, ...]
    strides: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]

    @classmethod
    def of(cls, x: Any, y: Any, attrs: dict[str, Any]) -> _Window:
        """From the shapes of the large and the small side."""
        return cls(
            x.shape[0],
            x.shape[1:-1],
            y.shape[1:-1],
            x.shape[-1],
            attrs["pool_size"],
            attrs["strides"],
            attrs["padding"],
        )

    @property
    def taps(self) -> int:
        return prod(self.pool)

    @property
    def tiles(self) -> bool:
        """Windows do not overlap and nothing is padded: each input element is in one window or in none."""
        return all(s >= w for s, w in zip(self.strides, self.pool, strict=True)) and not any(map(any, self.padding))

    @property
    def covers(self) -> bool:
        """Every input element is in a window."""
        return all(
            s <= w and (o - 1) * s + w >= n
            for s, w, o, n in zip(self.strides, self.pool, self.outs, self.sizes, strict=True)
        )

    @property
    def parts(self) -> int:
        work = self.batch * prod(self.outs) * self.channels * self.taps
        return max(1, min(threads.count(), work // _GRAIN))

    def block_shape(self, itemsize: int) -> tuple[int, int]:
        row = prod(self.outs[1:]) * self.channels * itemsize
        return block_shape(self.batch, self.outs[0], row, self.parts, _BLOCK)

    def shares(self, itemsize: int) -> list[list[Block]]:
        """The blocks of the output for each thread."""
        return deal(cut(self.batch, self.outs[0], *self.block_shape(itemsize)), self.parts)

    def image_shares(self, itemsize: int) -> list[list[Block]]:
        """The same with all rows of an image on one thread, for gradients of windows that overlap."""
        images, rows = self.block_shape(itemsize)
        by_image = deal(cut(self.batch, 1, images, 1), self.parts)
        return [
            [Block(b.images, row.rows) for b in share for row in cut(1, self.outs[0], 1, rows)] for share in by_image
        ]

    def block_elements(self, itemsize: int) -> int:
        images, rows = self.block_shape(itemsize)
        return images * rows * prod(self.outs[1:]) * self.channels

    def reach(self, rows: slice) -> Iterator[tuple[int, tuple[slice, ...], tuple[slice, ...]]]:
        """For each tap: its number, the outputs of a block it serves, and the input elements it reads for them.

        Both are slices of all axes but the batch; outputs count from the block's first row.
        """
        for number, tap in enumerate(np.ndindex(*self.pool)):
            small, large = [], []
            for axis, (t, step, (low, _)) in enumerate(zip(tap, self.strides, self.padding, strict=True)):
                start, stop = (rows.start, rows.stop) if axis == 0 else (0, self.outs[axis])
                first = max(start, -((t - low) // step))  # least o with o * step + t - low >= 0
                last = min(stop, (self.sizes[axis] - 1 - t + low) // step + 1)
                if last <= first:
                    break
                small.append(slice(first - start, last - start))
                large.append(slice(first * step + t - low, (last - 1) * step + t - low + 1, step))
            else:
                yield number, tuple(small), tuple(large)

    def first_taps(self) -> np.ndarray:
        """The first tap of each window that is not padding, shaped (*outs, 1)."""
        result = np.zeros((1, 1), np.int64)
        for out, width, step, (low, _) in zip(self.outs, self.pool, self.strides, self.padding, strict=True):
            first = np.maximum(0, low - np.arange(out) * step)
            result = result[..., None, :] * width + first[:, None]
        return result[0]

    def reciprocal_counts(self, dtype: np.dtype) -> np.ndarray:
        """One over the elements of each window that are not padding, shaped (*outs, 1)."""
        result = np.ones((1, 1))
        for size, out, width, step, (low, _) in zip(
            self.sizes, self.outs, self.pool, self.strides, self.padding, strict=True
        ):
            start = np.arange(out) * step - low
            inside = np.minimum(start + width, size) - np.maximum(start, 0)
            result = result[..., None, :] / inside[:, None]
        return result[0].astype(dtype)


def _piece(scratch: np.ndarray, offset: int, dtype: Any, shape: Sequence[int]) -> np.ndarray:
    return scratch[offset : offset + prod(shape) * np.dtype(dtype).itemsize].view(dtype).reshape(shape)


# -- max ---------------------------------------------------------------------------------------------------------------


def _index_type(taps: int) -> np.dtype:
    """The smallest integer that counts the taps: indices are combined as bytes where possible."""
    return np.dtype(np.int8 if taps <= 127 else np.int32)


def _max_scratch(node: Node) -> int:
    x, y = node.inputs[0], node.outputs[0]
    window = _Window.of(x, y, node.attrs)
    itemsize = np.dtype(y.dtype).itemsize
    elements = window.block_elements(itemsize)
    index = _index_type(window.taps).itemsize
    return window.parts * (aligned(elements) + 2 * aligned(elements * index))


@kernel("max_pool", backend="numpy", scratch=_max_scratch, strided=False)
def max_pool(site: Site) -> Thunk:
    """Running maximum over the taps; a later tap that is greater also overwrites the offset, which can only grow."""
    x, y, offsets = plain(site.inputs[0]), site.outputs[0], site.outputs[1]
    window = _Window.of(x, site.node.outputs[0], site.attrs)
    if y is None:  # only the offsets are read, and they need the values
        y = np.empty(site.node.outputs[0].shape, x.dtype)
    elements, index = window.block_elements(y.itemsize), _index_type(window.taps)
    padded = any(map(any, window.padding))
    first = window.first_taps().astype(index) if padded else None
    thunks, used = [], 0
    for share in window.shares(y.itemsize):
        steps: list[Step] = []
        room = site.scratch[used : used + aligned(elements) + 2 * aligned(elements * index.itemsize)]
        used += room.size
        for block in share:
            target = y[block.at]
            mask = _piece(room, 0, np.bool_, target.shape)
            winner = _piece(room, aligned(elements), index, target.shape)
            later = _piece(room, aligned(elements) + aligned(elements * index.itemsize), index, target.shape)
            if first is not None:
                steps.append(partial(target.fill, _lowest(x.dtype)))
                if offsets is not None:
                    steps.append(partial(np.copyto, winner, first[block.rows]))
            for number, small, large in window.reach(block.rows):
                part = (slice(None), *small)
                values = x[(block.images, *large)]
                if first is None and number == 0:
                    steps.append(partial(np.copyto, target, values))
                    if offsets is not None:
                        steps.append(partial(winner.fill, 0))
                    continue
                if offsets is not None:
                    steps.append(partial(np.greater, values, target[part], mask[part]))
                    flags = mask[part].view(np.int8)
                    steps.append(partial(np.multiply, flags, index.type(number), later[part]))
                    steps.append(partial(np.maximum, winner[part], later[part], out=winner[part]))
                steps.append(partial(np.maximum, target[part], values, out=target[part]))
            if offsets is not None:
                steps.append(partial(np.copyto, offsets[block.at], winner))
        thunks.append(in_order(steps))
    return threads.team(thunks)


def _lowest(dtype: np.dtype) -> Any:
    if dtype.kind in "iu":
        return np.iinfo(dtype).min
    return False if dtype.kind == "b" else -np.inf


def _spread_scratch(node: Node) -> int:
    """Scratch of the kernels that spread the small side over the large one: a mask and a product of a block."""
    small = node.inputs[-1]
    window = _Window.of(node.outputs[0], small, node.attrs)
    itemsize = np.dtype(small.dtype).itemsize  # type: ignore[union-attr]
    elements = window.block_elements(itemsize)
    return window.parts * (aligned(elements) + aligned(elements * itemsize))


@kernel("max_pool_grad", backend="numpy", scratch=_spread_scratch, strided=False)
def max_pool_grad(site: Site) -> Thunk:
    """For each tap, the gradients of the windows that took it."""
    offsets, g = (plain(a) for a in site.inputs)
    dx = site.outputs[0]
    window = _Window.of(dx, g, site.attrs)
    if not dx.size:
        return in_order([])
    elements = window.block_elements(g.itemsize)
    shares = window.shares(g.itemsize) if window.tiles else window.image_shares(g.itemsize)
    thunks, used = [], 0
    for share in shares:
        room = site.scratch[used : used + aligned(elements) + aligned(elements * g.itemsize)]
        used += room.size
        steps: list[Step] = []
        if share and not (window.tiles and window.covers):
            steps.append(partial(dx[share[0].images.start : share[-1].images.stop].fill, 0))
        for block in share:
            chosen, gradient = offsets[block.at], g[block.at]
            mask = _piece(room, 0, np.bool_, chosen.shape)
            product = _piece(room, aligned(elements), g.dtype, chosen.shape)
            for number, small, large in window.reach(block.rows):
                part, target = (slice(None), *small), dx[(block.images, *large)]
                steps.append(partial(np.equal, chosen[part], np.int32(number), mask[part]))
                if window.tiles:
                    steps.append(partial(np.multiply, gradient[part], mask[part], target))
                else:
                    steps.append(partial(np.multiply, gradient[part], mask[part], product[part]))
                    steps.append(partial(np.add, target, product[part], target))
        thunks.append(in_order(steps))
    return threads.team(thunks)


def _pick_scratch(node: Node) -> int:
    y = node.outputs[0]
    window = _Window.of(node.inputs[0], y, node.attrs)
    return window.parts * aligned(window.block_elements(np.dtype(y.dtype).itemsize))


@kernel("max_pool_pick", backend="numpy", scratch=_pick_scratch, strided=False)
def max_pool_pick(site: Site) -> Thunk:
    """For each tap, the elements of the windows that took it."""
    u, offsets = (plain(a) for a in site.inputs)
    y = site.outputs[0]
    window = _Window.of(u, y, site.attrs)
    size = aligned(window.block_elements(y.itemsize))
    thunks = []
    for i, share in enumerate(window.shares(y.itemsize)):
        steps: list[Step] = []
        for block in share:
            target, chosen = y[block.at], offsets[block.at]
            mask = _piece(site.scratch, i * size, np.bool_, chosen.shape)
            for number, small, large in window.reach(block.rows):
                part = (slice(None), *small)
                steps.append(partial(np.equal, chosen[part], np.int32(number), mask[part]))
                steps.append(partial(np.copyto, target[part], u[(block.images, *large)], where=mask[part]))
        thunks.append(in_order(steps))
    return threads.team(thunks)


# -- average -----------------------------------------------------------------------------------------------------------


@kernel("average_pool", backend="numpy", strided=False)
def average_pool(site: Site) -> Thunk:
    """Sum over the taps, times one over the count."""
    x, y = plain(site.inputs[0]), site.outputs[0]
    window = _Window.of(x, y, site.attrs)
    share_of_one = window.reciprocal_counts(y.dtype)
    thunks = []
    for share in window.shares(y.itemsize):
        steps: list[Step] = []
        for block in share:
            target = y[block.at]
            steps.append(partial(target.fill, 0))
            for _, small, large in window.reach(block.rows):
                part = (slice(None), *small)
                steps.append(partial(np.add, target[part], x[(block.images, *large)], target[part]))
            steps.append(partial(np.multiply, target, share_of_one[block.rows], target))
        thunks.append(in_order(steps))
    return threads.team(thunks)


@kernel("average_pool_grad", backend="numpy", scratch=_spread_scratch, strided=False)
def average_pool_grad(site: Site) -> Thunk:
    """The gradient times one over the count, added for each tap."""
    g, dx = plain(site.inputs[0]), site.outputs[0]
    window = _Window.of(dx, g, site.attrs)
    share_of_one = window.reciprocal_counts(g.dtype)
    size = aligned(window.block_elements(g.itemsize) * g.itemsize)
    shares = window.shares(g.itemsize) if window.tiles else window.image_shares(g.itemsize)
    thunks = []
    for i, share in enumerate(shares):
        steps: list[Step] = []
        if share and not (window.tiles and window.covers):
            steps.append(partial(dx[share[0].images.start : share[-1].images.stop].fill, 0))
        for block in share:
            gradient = g[block.at]
            product = _piece(site.scratch, i * size, g.dtype, gradient.shape)
            steps.append(partial(np.multiply, gradient, share_of_one[block.rows], product))
            for _, small, large in window.reach(block.rows):
                part, target = (slice(None), *small), dx[(block.images, *large)]
                if window.tiles:
                    steps.append(partial(np.copyto, target, product[part]))
                else:
                    steps.append(partial(np.add, target, product[part], target))
        thunks.append(in_order(steps))
    return threads.team(thunks)
