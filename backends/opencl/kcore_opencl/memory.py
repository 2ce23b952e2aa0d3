"""Memory of one device: slabs that arrays are cut from, and arrays as (buffer, offset, shape, dtype)."""

from __future__ import annotations

import threading
import weakref
from typing import Any

import pyopencl as cl

from kcore.dtypes import itemsize
from kcore.graph.plan import Arena
from kcore_opencl.errors import explained

#: Bytes of a slab. Small arrays share slabs, so that an optimizer's update of many variables reads few buffers.
SLAB = 1 << 25
#: Requests from this size on get a buffer of their own.
LARGE = SLAB // 4

#: What OpenCL says where there is no memory left, or not so much in one piece.
_EXHAUSTED = frozenset(
    {
        cl.status_code.MEM_OBJECT_ALLOCATION_FAILURE,
        cl.status_code.OUT_OF_RESOURCES,
        cl.status_code.OUT_OF_HOST_MEMORY,
        cl.status_code.INVALID_BUFFER_SIZE,
    }
)


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

    def __repr__(self) -> str:
        return f"<opencl array {self.dtype}{list(self.shape)} at {self.offset}>"


class _Slab:
    """One buffer and the free gaps in it."""

    def __init__(self, buffer: Any):
        self.buffer = buffer
        self.arena = Arena()
        self.used = 0


class Pool:
    """Gives out blocks of the memory of a `Place`.

    A block may be used again as soon as it is given back, even if commands that read it are still queued: the queue
    runs in order, so whatever is written there next comes after them.
    """

    def __init__(self, place: Any):
        self._place = place
        self._slabs: list[_Slab] = []
        self._lock = threading.RLock()  # a finalizer may run inside of `take`
        self.nbytes = 0

    def take(self, nbytes: int) -> Block | Pages:
        """Memory of at least `nbytes` bytes; pages where a single buffer may not be so large.

        Raises:
            MemoryError: the device has not so much left.
        """
        nbytes = max(nbytes, 1)
        page = self._place.page
        if nbytes > page:
            return Pages([self._own(min(page, nbytes - at)) for at in range(0, nbytes, page)], page)
        if nbytes >= LARGE:
            return self._own(nbytes)
        with self._lock:
            for slab in self._slabs:
                before = slab.arena.size
                offset = slab.arena.take(nbytes)
                if offset + nbytes <= SLAB:
                    return self._cut(slab, offset, nbytes)
                slab.arena.give(offset, slab.arena.size - offset)
                slab.arena.size = before
            slab = _Slab(self._buffer(SLAB))
            self._slabs.append(slab)
            return self._cut(slab, slab.arena.take(nbytes), nbytes)

    def _cut(self, slab: _Slab, offset: int, nbytes: int) -> Block:
        slab.used += 1
        block = Block(self._place, slab.buffer, offset, nbytes)
        weakref.finalize(block, self._give, slab, offset, nbytes).atexit = False
        return block

    def _give(self, slab: _Slab, offset: int, nbytes: int) -> None:
        with self._lock:
            slab.arena.give(offset, nbytes)
            slab.used -= 1
            if not slab.used and len(self._slabs) > 1:
                self._slabs.remove(slab)
                self.nbytes -= SLAB

    def _own(self, nbytes: int) -> Block:
        block = Block(self._place, self._buffer(nbytes), 0, nbytes)
        weakref.finalize(block, self._forget, nbytes).atexit = False
        return block

    def _forget(self, nbytes: int) -> None:
        self.nbytes -= nbytes

    def _buffer(self, nbytes: int) -> Any:
        flags = cl.mem_flags.READ_WRITE | cl.mem_flags.ALLOC_HOST_PTR
        try:
            buffer = cl.Buffer(self._place.context, flags, nbytes)
        except cl.Error as error:
            if error.code not in _EXHAUSTED:
                raise explained(error, self._place.name) from error
            raise MemoryError(
                f"the device refused {nbytes:,} bytes ({error}); kcore holds {self.nbytes:,}, "
                f"and a single buffer may have at most {self._place.traits.largest:,}"
            ) from error
        self.nbytes += nbytes
        return buffer
