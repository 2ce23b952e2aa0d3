"""Device memory for backends whose buffers are costly to make: slabs that arrays are cut from, and the arrays."""

from __future__ import annotations

import threading
import weakref
from abc import ABC, abstractmethod
from collections import deque
from typing import Any

from kcore.dtypes import itemsize
from kcore.graph.plan import Arena, aligned

#: Bytes of a slab. Small arrays share slabs, so that an optimizer's update of many variables reads few buffers.
SLAB = 1 << 25
#: Requests from this size on get a buffer of their own.
LARGE = SLAB // 4


class Block:
    """Raw memory: a piece of a buffer, given back to its slab when nobody refers to it any more."""

    __slots__ = ("__weakref__", "buffer", "nbytes", "offset", "place")

    def __init__(self, place: Any, buffer: Any, offset: int, nbytes: int):
        self.place = place
        self.buffer = buffer
        self.offset = offset
        self.nbytes = nbytes


class Pages:
    """Raw memory larger than a single buffer may be: blocks of one size, one behind the other."""

    def __init__(self, blocks: list[Block], page: int):
        self.blocks = blocks
        self.page = page


class Array:
    """A contiguous array: where it begins in a buffer, its shape and dtype; it keeps its block alive."""

    __slots__ = ("block", "buffer", "dtype", "nbytes", "offset", "shape", "size")

    def __init__(self, block: Block, offset: int, shape: tuple[int, ...], dtype: str):
        self.block = block
        self.buffer = block.buffer
        self.offset = block.offset + offset
        self.shape = shape
        self.dtype = dtype
        size = 1
        for n in shape:
            size *= n
        self.size = size
        self.nbytes = size * itemsize(dtype)

    def reshaped(self, shape: tuple[int, ...]) -> Array:
        """The same memory in another shape."""
        return type(self)(self.block, self.offset - self.block.offset, shape, self.dtype)

    def row(self, index: int) -> Array:
        """An element of the first axis, over the same memory."""
        step = self.nbytes // max(self.shape[0], 1)
        return type(self)(self.block, self.offset - self.block.offset + index * step, self.shape[1:], self.dtype)

    def rows(self, start: int, stop: int) -> Array:
        """Some elements of the first axis, over the same memory."""
        step = self.nbytes // max(self.shape[0], 1)
        shape = (stop - start, *self.shape[1:])
        return type(self)(self.block, self.offset - self.block.offset + start * step, shape, self.dtype)

    def __repr__(self) -> str:
        return f"<array {self.dtype}{list(self.shape)} at {self.offset}>"


class _Slab:
    """One buffer of `SLAB` bytes and the free gaps in it: at first a single one, and never one behind its end."""

    def __init__(self, buffer: Any):
        self.buffer = buffer
        self.arena = Arena()
        self.arena.give(self.arena.take(SLAB), SLAB)
        self.used = 0


class Pool(ABC):
    """Gives out blocks of the memory of a device.

    A block may be used again as soon as it is given back, even if commands that read it are still queued: the device
    runs them in order, so whatever is written there next comes after them.

    Blocks are given back by finalizers, which the garbage collector may run in the middle of `take`, on the same
    thread: they only note it where the gaps are in use, and whoever comes next counts it.

    Args:
        place: what a block remembers as its place.
    """

    def __init__(self, place: Any):
        self._place = place
        #: What finalizers know of it: a place that nobody uses goes, with the blocks that it keeps for itself.
        self._reference = weakref.ref(self)
        self._slabs: list[_Slab] = []
        self._lock = threading.Lock()
        self._given: deque[tuple[_Slab | None, int, int]] = deque()
        self._nbytes = 0

    @property
    def page(self) -> int:
        """Bytes of the largest buffer; 0 where there is no limit."""
        return 0

    @abstractmethod
    def _buffer(self, nbytes: int) -> Any:
        """A new buffer of the device, freed when nobody refers to it.

        Raises:
            MemoryError: the device has not so much left.
        """

    @property
    def nbytes(self) -> int:
        """Bytes of the buffers there are."""
        with self._lock:
            self._collect()
            return self._nbytes

    def take(self, nbytes: int) -> Block | Pages:
        """Memory of at least `nbytes` bytes; pages where a single buffer may not be so large.

        Raises:
            MemoryError: the device has not so much left.
        """
        nbytes = max(nbytes, 1)
        page = self.page
        if page and nbytes > page:
            return Pages([self._own(min(page, nbytes - at)) for at in range(0, nbytes, page)], page)
        if nbytes >= LARGE:
            return self._own(nbytes)
        with self._lock:
            self._collect()
            slab = next((s for s in self._slabs if s.arena.largest_gap >= aligned(nbytes)), None)
            if slab is None:
                slab = _Slab(self._buffer(SLAB))
                self._slabs.append(slab)
                self._nbytes += SLAB
            slab.used += 1
            block = Block(self._place, slab.buffer, slab.arena.take(nbytes), nbytes)
        weakref.finalize(block, _given_back, self._reference, slab, block.offset, nbytes).atexit = False
        return block

    def _own(self, nbytes: int) -> Block:
        block = Block(self._place, self._buffer(nbytes), 0, nbytes)
        with self._lock:
            self._nbytes += nbytes
        weakref.finalize(block, _given_back, self._reference, None, 0, nbytes).atexit = False
        return block

    def _give(self, slab: _Slab | None, offset: int, nbytes: int) -> None:
        """Note that a block, or a buffer of its own (`slab` None), is not needed any more."""
        self._given.append((slab, offset, nbytes))
        if self._lock.acquire(blocking=False):
            try:
                self._collect()
            finally:
                self._lock.release()

    def _collect(self) -> None:
        """Count what was given back; whoever calls it holds the lock."""
        while self._given:
            slab, offset, nbytes = self._given.popleft()
            if slab is None:
                self._nbytes -= nbytes
                continue
            slab.arena.give(offset, nbytes)
            slab.used -= 1
            if not slab.used and len(self._slabs) > 1:
                self._slabs.remove(slab)
                self._nbytes -= SLAB


def _given_back(pool: weakref.ref[Pool], slab: _Slab | None, offset: int, nbytes: int) -> None:
    there = pool()
    if there is not None:
        there._give(slab, offset, nbytes)
