"""Pinned host memory that transfers read from while the host goes on, and memory where batches land ahead of time."""

from __future__ import annotations

import ctypes
import weakref
from collections import deque
from typing import TYPE_CHECKING, Any

import numpy as np

from kcore.dtypes import numpy_dtype
from kcore_cuda import cuda
from kcore_cuda.errors import NOT_READY

if TYPE_CHECKING:
    from kcore.backend.slabs import Block
    from kcore_cuda.place import Place

#: Most pieces of staging memory, and most bytes of them; then the oldest is waited for.
SLOTS, BYTES = 16, 1 << 30


class Event:
    """A mark in a stream that others wait for.

    Args:
        timed: whether it remembers when it was passed.
    """

    __slots__ = ("__weakref__", "_handle", "_recorded")

    def __init__(self, timed: bool = False) -> None:
        runtime = cuda.runtime
        self._handle = runtime.eventCreateWithFlags(runtime.eventDefault if timed else runtime.eventDisableTiming)
        self._recorded = False
        weakref.finalize(self, _free, runtime.eventDestroy, self._handle).atexit = False

    @property
    def over(self) -> bool:
        """Whether all before it is done."""
        if not self._recorded:
            return True
        status = cuda.runtime.eventQuery(self._handle)  # unlike all else this one does not raise
        if status not in (0, NOT_READY):
            raise cuda.runtime.CUDARuntimeError(status)
        return status == 0

    def record(self, stream: int) -> None:
        """Put the mark behind all that the stream has."""
        cuda.runtime.eventRecord(self._handle, stream)
        self._recorded = True

    def wait(self) -> None:
        """Wait on the host."""
        if self._recorded:
            cuda.runtime.eventSynchronize(self._handle)

    def since(self, earlier: Event) -> float:
        """Milliseconds from an earlier mark to this one, both timed and passed."""
        return cuda.runtime.eventElapsedTime(earlier._handle, self._handle)

    def let_wait(self, stream: int) -> None:
        """Let what a stream gets from now on wait."""
        cuda.runtime.streamWaitEvent(stream, self._handle)


class Staging:
    """The slots of one device, in a queue for each size and kind: what was used longest ago is asked about first."""

    def __init__(self, place: Place):
        self._place = place
        self._queues: dict[tuple[int, bool], deque[Slot]] = {}
        self._count = self._nbytes = 0

    def slot(self, nbytes: int, landing: bool = False) -> Slot:
        """Memory of at least `nbytes` that no transfer reads any more.

        Args:
            landing: whether it has memory on the device, too, where the bytes arrive before they are wanted.
        """
        step = max(1 << nbytes.bit_length() - 3, 4096) if nbytes > 4096 else 4096
        size = -(-nbytes // step) * step
        queue = self._queues.get((size, landing))
        if queue is None:
            queue = self._queues[size, landing] = deque()
        if queue and not queue[0].free and not self._has_room(size):
            queue[0].wait()
        elif not queue or not queue[0].free:
            self._make_room(size)
            queue.appendleft(Slot(self._place, size, landing))
            self._count, self._nbytes = self._count + 1, self._nbytes + size
        slot = queue[0]
        queue.rotate(-1)
        return slot

    def _has_room(self, size: int) -> bool:
        return self._count < SLOTS and self._nbytes + size <= BYTES

    def _make_room(self, size: int) -> None:
        """Let go of slots of other sizes, until one of this size may be had or there are no more."""
        for queue in self._queues.values():
            while queue and not self._has_room(size):
                slot = queue.popleft()
                slot.wait()
                self._count, self._nbytes = self._count - 1, self._nbytes - slot.nbytes


class Slot:
    """One piece of staging memory.

    Attributes:
        landing: as much memory on the device, or None.
    """

    def __init__(self, place: Place, nbytes: int, landing: bool):
        runtime = cuda.runtime
        self.nbytes = nbytes
        self.landing: Block | None = None
        if landing:
            self.landing = place.allocate(nbytes)
            order(place.stream, place.uploads)  # what used that memory before may not be over
        self._address = runtime.hostAlloc(nbytes, runtime.hostAllocDefault)
        weakref.finalize(self, _free, runtime.freeHost, self._address).atexit = False
        self._raw = np.ctypeslib.as_array((ctypes.c_uint8 * nbytes).from_address(self._address))
        self._arrived, self._taken = Event(), Event()

    @property
    def free(self) -> bool:
        """Whether nobody reads it any more."""
        return self._taken.over

    def wait(self) -> None:
        """Wait until nobody reads it any more."""
        self._taken.wait()

    def array(self, shape: tuple[int, ...], dtype: str) -> np.ndarray:
        """The host's memory as an array."""
        return np.ndarray(shape, numpy_dtype(dtype), self._raw)

    def fill(self, values: np.ndarray) -> None:
        """Copy values into the host's memory."""
        self._raw[: values.nbytes] = values.reshape(-1).view(np.uint8)

    def send(self, address: int, nbytes: int, stream: int) -> None:
        """Begin to copy to an address of the device, behind what the stream has."""
        cuda.runtime.memcpyAsync(address, self._address, nbytes, cuda.runtime.memcpyHostToDevice, stream)
        self._taken.record(stream)

    def send_ahead(self, address: int, nbytes: int, uploads: int, stream: int) -> None:
        """Begin to copy to the landing now, and from there to an address behind what the stream has."""
        assert self.landing is not None
        runtime, landing = cuda.runtime, self.landing.buffer.ptr + self.landing.offset
        runtime.memcpyAsync(landing, self._address, nbytes, runtime.memcpyHostToDevice, uploads)
        self._arrived.record(uploads)
        self._arrived.let_wait(stream)
        runtime.memcpyAsync(address, landing, nbytes, runtime.memcpyDeviceToDevice, stream)
        self._taken.record(stream)


def order(first: int, then: int) -> None:
    """Let a stream wait for what another one has by now."""
    event = Event()
    event.record(first)
    event.let_wait(then)


def _free(release: Any, handle: int) -> None:
    """Release something of CUDA's; a broken context has taken it already."""
    try:
        release(handle)
    except cuda.runtime.CUDARuntimeError:
        return
