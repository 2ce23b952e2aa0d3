"""One device at work: its context, queue, memory, programs and traits, and what moves between it and the host."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from contextlib import nullcontext
from functools import wraps
from typing import Any, TypeVar, cast

import numpy as np
import pyopencl as cl

from kcore.backend.base import Device
from kcore.backend.batch import Rows
from kcore.dtypes import itemsize, numpy_dtype
from kcore.kernels import Traits, choosing
from kcore_opencl import profile
from kcore_opencl.errors import explained
from kcore_opencl.feeding import Feeder
from kcore_opencl.memory import Array, Block, Pages, Pool
from kcore_opencl.programs import Programs
from kcore_opencl.traits import traits_of
from kcore_opencl.tuning.store import Store

#: Arrays begin at multiples of this many bytes.
ALIGNMENT = 128
#: Steps the host may run ahead of the device.
AHEAD = 2
#: Host arrays up to this size are copied aside and sent while the host goes on; larger ones are waited for.
STAGED = 1 << 22

Method = TypeVar("Method", bound=Callable[..., Any])


def _explaining(method: Method) -> Method:
    """Decorator: errors of OpenCL in a method of `Place` name the device and what to try."""

    @wraps(method)
    def explaining(self: Place, *args: Any) -> Any:
        try:
            return method(self, *args)
        except cl.Error as error:
            raise explained(error, self.name) from error

    return cast(Method, explaining)


class Place:
    """The state of one device.

    Attributes:
        device: PyOpenCL's device.
        name: the device in error messages.
        context, queue: one of each; the queue runs in order.
        pool: its memory.
        programs: its compiled kernels.
        traits: what generators want to know of it.
        feeder: what gathers batches on the device.
        profile: the record of what it does, or None where nobody asked for one.
    """

    def __init__(self, device: Any):
        self.device = device
        self.name = f"{device.name.strip()} ({device.platform.name})"
        self.context = cl.Context([device])
        self.queue = cl.CommandQueue(self.context, device, properties=profile.queue_properties())
        self.profile = profile.start(device, self.queue)
        self._enqueue_copy = self.profile.copy if self.profile else cl.enqueue_copy
        self.traits: Traits = traits_of(device)
        self.pool = Pool(self)
        self.programs = Programs(self.context, device, self.traits.maker == "pocl", self.profile)
        choosing.register(self.traits, Store(device))
        self._steps: deque[Any] = deque()
        self._staging = Staging(self.queue, self._enqueue_copy)
        self.feeder = Feeder(self)
        self._lock = threading.RLock()

    # -- memory --------------------------------------------------------------------------------------------------

    @property
    def page(self) -> int:
        """Bytes of the largest buffer, in whole units of alignment."""
        return self.traits.largest // ALIGNMENT * ALIGNMENT

    def allocate(self, nbytes: int) -> Block | Pages:
        """Raw memory."""
        return self.pool.take(nbytes)

    def array(self, shape: tuple[int, ...], dtype: str) -> Array:
        """A new array with undefined contents."""
        nbytes = itemsize(dtype)
        for n in shape:
            nbytes *= n
        block = self.pool.take(nbytes)
        if isinstance(block, Pages):
            raise MemoryError(f"{dtype}{list(shape)} has {nbytes:,} bytes; one buffer may have {self.page:,}")
        return Array(block, 0, shape, dtype)

    # -- transfers -----------------------------------------------------------------------------------------------

    @_explaining
    def write(self, array: Array, values: np.ndarray) -> None:
        """Copy host values in; they may change when it returns."""
        if not array.size:
            return
        values = np.ascontiguousarray(values, numpy_dtype(array.dtype))
        with self._lock:
            if array.nbytes <= STAGED:
                slot = self._staging.slot(array.nbytes)
                slot.fill(values)
                slot.send(array)
            else:
                self._enqueue_copy(self.queue, array.buffer, values, dst_offset=array.offset, is_blocking=True)

    @_explaining
    def gather(self, array: Array, rows: Rows) -> None:
        """Gather rows of a host array into an array."""
        if not array.size:
            return
        with self._lock:
            if self.feeder.gather(array, rows):
                return
            slot = self._staging.slot(array.nbytes)
            rows.into(slot.array(array.shape, array.dtype))
            slot.send(array)

    @_explaining
    def read(self, array: Array) -> np.ndarray:
        """Wait for an array and copy it to the host."""
        values = np.empty(array.shape, numpy_dtype(array.dtype))
        if array.size:
            self._enqueue_copy(self.queue, values, array.buffer, src_offset=array.offset, is_blocking=True)
        return values

    @_explaining
    def copy(self, dst: Array, src: Array) -> None:
        """Copy between two arrays of this device."""
        if dst.nbytes and not (dst.buffer is src.buffer and dst.offset == src.offset):
            self._enqueue_copy(
                self.queue, dst.buffer, src.buffer, byte_count=dst.nbytes, src_offset=src.offset, dst_offset=dst.offset
            )

    # -- steps ---------------------------------------------------------------------------------------------------

    @_explaining
    def stepped(self, event: Any) -> None:
        """Note that a step was submitted, and wait where the host is too far ahead."""
        self.queue.flush()
        self._steps.append(event)
        if len(self._steps) > AHEAD:
            with self.profile.span("wait for a step") if self.profile else nullcontext():
                self._steps.popleft().wait()

    @_explaining
    def synchronize(self) -> None:
        """Wait for all that was submitted."""
        self._steps.clear()
        self.queue.finish()


class Staging:
    """Host memory that transfers read from while the host goes on."""

    def __init__(self, queue: Any, copy: Any):
        self._queue = queue
        self._copy = copy
        self._slots: list[Slot] = []

    def slot(self, nbytes: int) -> Slot:
        """Memory of at least `nbytes` that no transfer reads any more."""
        free = [s for s in self._slots if s.free]
        for slot in free:
            if slot.nbytes >= nbytes:
                return slot
        if free:
            self._slots.remove(free[0])
        elif len(self._slots) >= 16:
            oldest = self._slots.pop(0)
            oldest.wait()
        slot = Slot(self._queue, self._copy, max(nbytes, 4096))
        self._slots.append(slot)
        return slot


class Slot:
    """One piece of staging memory."""

    def __init__(self, queue: Any, copy: Any, nbytes: int):
        self._queue = queue
        self._copy = copy
        self.nbytes = nbytes
        self._raw = np.empty(nbytes, np.uint8)
        self._event: Any = None

    @property
    def free(self) -> bool:
        return self._event is None or self._event.command_execution_status == cl.command_execution_status.COMPLETE

    def wait(self) -> None:
        if self._event is not None:
            self._event.wait()

    def array(self, shape: tuple[int, ...], dtype: str) -> np.ndarray:
        """The memory as an array."""
        return np.ndarray(shape, numpy_dtype(dtype), self._raw)

    def fill(self, values: np.ndarray) -> None:
        self._raw[: values.nbytes] = values.reshape(-1).view(np.uint8)

    def send(self, array: Array) -> None:
        """Begin to copy into a device array."""
        self._event = self._copy(
            self._queue, array.buffer, self._raw[: array.nbytes], dst_offset=array.offset, is_blocking=False
        )


_devices: dict[str, Any] = {}
_places: dict[str, Place] = {}
_tested: dict[str, Place] = {}
_testing: set[str] = set()
_lock = threading.RLock()


def register(device: Device, opencl_device: Any) -> None:
    """Say which OpenCL device stands behind one of kcore's."""
    _devices[str(device)] = opencl_device


def places() -> list[Place]:
    """The states of all devices that were used."""
    return list(_places.values())


def place_of(device: Device) -> Place:
    """The state of a device, made and tested when it is first used.

    Raises:
        DeviceRefusedError: the self-test found that it computes wrong numbers.
    """
    place = _tested.get(str(device))
    return place if place is not None else _first_place(device)


def _first_place(device: Device) -> Place:
    from kcore.backend.selection import backend_of
    from kcore_opencl import selftest

    name = str(device)
    with _lock:
        if name in _testing:  # it is the self-test that asks
            return _places[name]
        if name not in _places:
            _places[name] = Place(_devices[name])
        if name not in _tested:  # no other thread was faster
            _testing.add(name)
            try:
                selftest.check(device, _devices[name], backend_of(device.backend))
            finally:
                _testing.discard(name)
            _tested[name] = _places[name]
        return _tested[name]


def feeders() -> list[Feeder]:
    """What gathers batches on the devices in use."""
    return [place.feeder for place in list(_places.values())]
