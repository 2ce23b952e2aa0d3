"""One GPU at work: its streams, memory, programs and traits, and what moves between it and the host."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import numpy as np

from kcore.backend.base import Device
from kcore.backend.batch import Rows
from kcore.backend.slabs import Block
from kcore.dtypes import itemsize, numpy_dtype
from kcore.errors import warn_user
from kcore.kernels import Traits
from kcore_cuda import cuda, gpus, settings
from kcore_cuda.errors import STICKY, CaptureError, DeviceLostError, ForkedError, explained, status_of
from kcore_cuda.gpus import Gpu
from kcore_cuda.memory import Array, Foreign, Pool
from kcore_cuda.programs import Programs
from kcore_cuda.staging import Event, Staging, order
from kcore_cuda.traits import traits_of

#: Steps the host may run ahead of the device.
AHEAD = 2
#: Host arrays up to this size are copied aside and sent while the host goes on; larger ones are waited for.
STAGED = 1 << 22
#: Batches from this size on are sent on a stream of their own while the step before still computes.
OVERLAPPED = 1 << 16


class Place:
    """The state of one GPU.

    Attributes:
        gpu: the GPU.
        name: the device in error messages.
        stream: what everything is submitted to, in order. CUDA's default stream, on which CuPy and torch work unless
            told otherwise, waits for it and is waited for.
        uploads: the stream batches come by, while the other one computes.
        pool: its memory.
        programs: its compiled kernels.
        traits: what generators want to know of it.
        profile: the record of what it does, or None where nobody asked for one.
        recording: whether a graph is being recorded.
    """

    def __init__(self, device: Device, gpu: Gpu):
        self.gpu = gpu
        self.name = f"{device} ({gpu.name})"
        self.traits: Traits = traits_of(gpu)
        self.profile: Any = None
        self._lock = threading.RLock()
        self._lost = ""
        self.recording = False
        self.stream = self.uploads = 0
        with self.working():
            runtime = cuda.runtime
            self.stream = runtime.streamCreateWithFlags(runtime.streamDefault)
            self.uploads = runtime.streamCreateWithFlags(runtime.streamNonBlocking)
            self.pool = Pool(self)
            self._staging = Staging(self)
            self._steps: deque[Event] = deque()
            self.profile = start_profile(self)
            self.programs = Programs(self.name, gpu.architecture, self.profile)

    # -- whose turn it is ----------------------------------------------------------------------------------------

    def working(self) -> _Working:
        """The context of everything that calls CUDA: one thread at a time, this GPU the current one, errors in words.

        Raises:
            DeviceLostError: a kernel broke the device's context before.
            ForkedError: this process is a fork of one that had initialised CUDA.
        """
        return _Working(self)

    @contextmanager
    def current(self) -> Iterator[None]:
        """The context in which this GPU is the thread's current one, for code that uses CuPy itself."""
        before = cuda.runtime.getDevice()
        cuda.runtime.setDevice(self.gpu.ordinal)
        try:
            yield
        finally:
            cuda.runtime.setDevice(before)

    @contextmanager
    def capturing(self) -> Iterator[None]:
        """The context in which a graph is recorded."""
        self.recording = True
        try:
            yield
        finally:
            self.recording = False

    def outside_capture(self, what: str) -> None:
        """Raise where a graph is being recorded.

        Raises:
            CaptureError: it is.
        """
        if self.recording:
            raise CaptureError(f"{what} while a CUDA graph is being recorded on {self.name}")

    def failed(self, error: BaseException) -> Exception:
        """The error to raise from an error of CUDA's or of a library's; a broken context is remembered."""
        if status_of(error) not in STICKY:
            error = self._broken() or error
        found = explained(error, self.name)
        if isinstance(found, DeviceLostError):
            self._lost = str(found)
        return found

    def _broken(self) -> BaseException | None:
        """The error behind another one, where the context is broken: libraries only say that they failed."""
        if not self.stream:
            return None
        status = cuda.runtime.streamQuery(self.stream)  # which does not raise
        return cuda.runtime.CUDARuntimeError(status) if status in STICKY else None

    # -- memory --------------------------------------------------------------------------------------------------

    def allocate(self, nbytes: int) -> Block:
        """Raw memory."""
        with self.working():
            block = self.pool.take(nbytes)
        assert isinstance(block, Block)
        return block

    def array(self, shape: tuple[int, ...], dtype: str) -> Array:
        """A new array with undefined contents."""
        nbytes = itemsize(dtype)
        for n in shape:
            nbytes *= n
        return Array(self.allocate(nbytes), 0, shape, dtype)

    # -- transfers -----------------------------------------------------------------------------------------------

    def write(self, array: Array, values: np.ndarray) -> None:
        """Copy host values in; they may change when it returns."""
        if not array.size:
            return
        values = np.ascontiguousarray(values, numpy_dtype(array.dtype))
        with self.working():
            self.outside_capture("host values cannot be uploaded")
            if array.nbytes <= STAGED:
                slot = self._staging.slot(array.nbytes)
                slot.fill(values)
                self._transfer("upload", array.nbytes, slot.send, array.ptr, array.nbytes, self.stream)
            else:  # from memory that is not pinned: read when the call returns
                runtime = cuda.runtime
                self._memcpy("upload", array.ptr, values.ctypes.data, array.nbytes, runtime.memcpyHostToDevice)
                runtime.streamSynchronize(self.stream)

    def gather(self, array: Array, rows: Rows) -> None:
        """Gather rows of a host array into an array, while the device still computes the step before."""
        if not array.size:
            return
        with self.working():
            self.outside_capture("a batch cannot be gathered")
            slot = self._staging.slot(array.nbytes, landing=array.nbytes >= OVERLAPPED)
            rows.into(slot.array(array.shape, array.dtype))
            if slot.landing is None:
                self._transfer("gather", array.nbytes, slot.send, array.ptr, array.nbytes, self.stream)
            else:
                ahead = (array.ptr, array.nbytes, self.uploads, self.stream)
                self._transfer("gather", array.nbytes, slot.send_ahead, *ahead)

    def read(self, array: Array) -> np.ndarray:
        """Wait for an array and copy it to the host."""
        values = np.empty(array.shape, numpy_dtype(array.dtype))
        if array.size:
            with self.working():
                self.outside_capture("an array cannot be read")
                runtime = cuda.runtime
                self._memcpy("download", values.ctypes.data, array.ptr, array.nbytes, runtime.memcpyDeviceToHost)
                runtime.streamSynchronize(self.stream)
        return values

    def copy(self, dst: Array, src: Array) -> None:
        """Copy between two arrays of this device; the source may be another package's, which may change it then."""
        if not dst.nbytes or dst.ptr == src.ptr:
            return
        with self.working():
            self._memcpy("copy", dst.ptr, src.ptr, dst.nbytes, cuda.runtime.memcpyDeviceToDevice)
            if isinstance(src.buffer, Foreign):
                order(self.stream, src.buffer.stream)

    def _memcpy(self, name: str, to: int, source: int, nbytes: int, kind: int) -> None:
        moved = 2 * nbytes if name == "copy" else nbytes
        self._transfer(name, moved, cuda.runtime.memcpyAsync, to, source, nbytes, kind, self.stream)

    def _transfer(self, name: str, nbytes: int, call: Callable[..., Any], *arguments: Any) -> None:
        """Submit a transfer, noted where there is a profile."""
        if self.profile:
            self.profile.copy(name, nbytes, call, *arguments)
        else:
            call(*arguments)

    def wait_for(self, stream: int) -> None:
        """Let what is submitted from now on wait for what another stream has by now."""
        with self.working():
            order(stream, self.stream)

    # -- steps ---------------------------------------------------------------------------------------------------

    def stepped(self) -> None:
        """Note that a step was submitted, and wait where the host is too far ahead."""
        if len(self._steps) > AHEAD:
            event = self._steps.popleft()
            with self.profile.span("wait for a step") if self.profile else nullcontext():
                event.wait()
        else:
            event = Event()
        event.record(self.stream)
        self._steps.append(event)

    def synchronize(self) -> None:
        """Wait for all that was submitted."""
        with self.working():
            self.outside_capture("nobody can wait")
            cuda.runtime.streamSynchronize(self.stream)


class _Working:
    """See `Place.working`."""

    __slots__ = ("_before", "_place")

    def __init__(self, place: Place):
        self._place = place

    def __enter__(self) -> None:
        place = self._place
        if place._lost:
            raise DeviceLostError(place._lost)
        if gpus.forked():
            raise ForkedError(
                f"{place.name} cannot be used here: this process was forked after CUDA was initialised in its parent. "
                "Start it by multiprocessing.get_context('spawn'), or use the device only after the fork"
            )
        place._lock.acquire()
        try:
            self._before = cuda.runtime.getDevice()
            if self._before != place.gpu.ordinal:
                cuda.runtime.setDevice(place.gpu.ordinal)
            if place.gpu.ordinal not in _contexts.gpus:  # a thread's first call of the driver wants one that is there
                cuda.runtime.free(0)
                _contexts.gpus.add(place.gpu.ordinal)
        except BaseException as error:
            place._lock.release()
            if status_of(error):
                raise place.failed(error) from error
            raise

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        place = self._place
        try:
            if error is not None and status_of(error) and not isinstance(error, MemoryError):
                failed = place.failed(error)
                number = getattr(error, "launch", None)
                if number is not None:
                    failed.launch = number  # type: ignore[attr-defined]
                raise failed from error
            if self._before != place.gpu.ordinal:
                cuda.runtime.setDevice(self._before)
        finally:
            place._lock.release()


class _Contexts(threading.local):
    """The GPUs whose contexts a thread has."""

    def __init__(self) -> None:
        self.gpus: set[int] = set()


_contexts = _Contexts()
_gpus: dict[str, Gpu] = {}
_places: dict[str, Place] = {}
_making = threading.RLock()


def register(device: Device, gpu: Gpu) -> None:
    """Say which GPU stands behind one of kcore's devices."""
    _gpus[str(device)] = gpu


def places() -> list[Place]:
    """The states of all devices that were used."""
    return list(_places.values())


def place_of(device: Device) -> Place:
    """The state of a device, made when it is first used."""
    place = _places.get(str(device))
    return place if place is not None else _first_place(device)


def start_profile(place: Place) -> Any:
    """The profile of a GPU, or None."""
    from kcore_cuda import profile

    return profile.start(place)


def _first_place(device: Device) -> Place:
    with _making:
        name = str(device)
        if name not in _places:
            for said in settings.misspelt() if not _places else ():
                warn_user(said, RuntimeWarning)
            _places[name] = Place(device, _gpus[name])
        return _places[name]
