"""A CUDA without a GPU, behind the very calls that the backend makes by CuPy; its memory is the host's.

It looks at each call: launches have as many arguments as the kernel's text declares, with pointers into live memory;
nothing is allocated, freed or waited for while a graph is recorded. Streams are lazy: what is submitted runs only when
somebody waits for it, as late as CUDA may run it, so that a missing event shows as wrong numbers. Kernels compute where
an executor is given (see `opencl_executor`), and are only looked at where none is.
"""

from __future__ import annotations

import ctypes
import re
import threading
from bisect import bisect_right
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np

from kcore_cuda.gpus import Gpu

OUT_OF_MEMORY, NOT_READY, CAPTURE_UNSUPPORTED, INVALID = 2, 600, 900, 1
GUARD = 256

HOPPER = Gpu(0, "NVIDIA Fake H100", (9, 0), 80 << 30, units=132, bus="0000:01:00.0")
TURING = Gpu(1, "NVIDIA Fake T4", (7, 5), 16 << 30, units=40, bus="0000:02:00.0")

#: C types of kernel parameters that are no pointers.
_SCALARS = {
    "signed char": ctypes.c_int8, "short": ctypes.c_int16, "int": ctypes.c_int32, "long long": ctypes.c_int64,
    "unsigned char": ctypes.c_uint8, "unsigned short": ctypes.c_uint16, "unsigned int": ctypes.c_uint32,
    "unsigned long long": ctypes.c_uint64,
}  # fmt: skip


class CUDARuntimeError(RuntimeError):
    """As CuPy's."""

    def __init__(self, status: int):
        super().__init__(f"cudaError{status}: from the fake")
        self.status = status


class CUDADriverError(CUDARuntimeError):
    """As CuPy's."""


class NVRTCError(RuntimeError):
    """As CuPy's."""


class Misuse(AssertionError):
    """The backend broke a rule of CUDA."""


@dataclass
class Function:
    """A kernel of a module: what its text declares."""

    name: str
    text: str
    local: int
    parameters: list[tuple[str, str]]  # (C type without const, name)
    alignments: dict[str, int] = field(default_factory=dict)  # bytes that vectors which are loaded by it ask for


@dataclass
class Launched:
    """One launch: the kernel and its arguments by name."""

    function: Function
    groups: int
    arguments: dict[str, int]


@dataclass
class _Stream:
    blocking: bool
    queue: deque[Callable[[], None]] = field(default_factory=deque)
    done: int = 0
    submitted: int = 0
    recording: list[Callable[[], None]] | None = None


class Fake:
    """All of CUDA: `runtime`, `driver`, `nvrtc` and the rest are what `kcore_cuda.cuda` has of CuPy.

    Attributes:
        launched: every launch that ran, in order.
        calls: names of the calls that matter for a step, as they were made.
        eager: streams that run at once, by whether they are CUDA's blocking kind: an upload may come any time.
        elsewhere: the GPU of addresses that do not lie on the first one.
        failing: status that the next call on a stream fails with, and all from then on.
    """

    def __init__(self, execute: Callable[[Launched], None] | None = None, memory: int = 1 << 34):
        self.execute = execute
        self.memory_left = memory
        self.launched: list[Launched] = []
        self.calls: list[str] = []
        self.failing = 0
        self.device = 0
        self.elsewhere: dict[int, int] = {}
        self.threads: set[tuple[int, int]] = set()
        self.eager_uploads = True
        self._next = 1000
        self._streams: dict[int, _Stream] = {1: _Stream(blocking=True)}  # CUDA's default one
        self._events: dict[int, tuple[int, int] | None] = {}
        self._graphs: dict[int, list[Callable[[], None]]] = {}
        self._executables: dict[int, list[Callable[[], None]]] = {}
        self._modules: dict[int, str] = {}
        self._functions: dict[int, Function] = {}
        self._programs: dict[int, str] = {}
        self._bases: list[int] = []
        self._memory: dict[int, tuple[int, np.ndarray]] = {}
        self._pinned: dict[int, np.ndarray] = {}
        self.runtime = _Runtime(self)
        self.driver = _Driver(self)
        self.nvrtc = _Nvrtc(self)
        self.memory = _Memory
        self.pool = _Pool(self)
        self.ExternalStream = _ExternalStream
        self.ndarray = _NDArray

    def install(self, patch: Any) -> None:
        """Stand in for CuPy, through pytest's monkeypatch."""
        from kcore_cuda import cuda

        for name in ("runtime", "driver", "nvrtc", "memory", "ExternalStream", "ndarray"):
            patch.setattr(cuda, name, getattr(self, name), raising=False)
        patch.setattr(cuda, "get_default_memory_pool", lambda: self.pool, raising=False)

    # -- memory --------------------------------------------------------------------------------------------------

    def reserve(self, nbytes: int) -> int:
        if nbytes > self.memory_left:
            raise CUDARuntimeError(OUT_OF_MEMORY)
        raw = np.full(nbytes + 3 * GUARD, 0xA5, np.uint8)
        base = -(-(raw.ctypes.data + GUARD) // 256) * 256
        self.memory_left -= nbytes
        self._memory[base] = (nbytes, raw)
        self._bases.insert(bisect_right(self._bases, base), base)
        return base

    def release(self, base: int) -> None:
        nbytes, _ = self._memory.pop(base)
        self._bases.remove(base)
        self.memory_left += nbytes

    def inside(self, address: int, nbytes: int, what: str) -> None:
        """An address, with so many bytes from there on, is live device memory."""
        i = bisect_right(self._bases, address) - 1
        base = self._bases[i] if i >= 0 else 0
        if i < 0 or address + nbytes > base + self._memory[base][0]:
            raise Misuse(f"{what}: {address:#x} with {nbytes} bytes is no live device memory")

    def ordinal_of(self, address: int) -> int:
        """The GPU an address lies on."""
        return self.elsewhere.get(address, 0)

    # -- streams -------------------------------------------------------------------------------------------------

    def handle(self) -> int:
        self._next += 8
        return self._next

    def check(self) -> None:
        if self.failing:
            raise CUDARuntimeError(self.failing)

    def submit(self, stream: int, work: Callable[[], None]) -> None:
        self.check()
        queue = self._streams[stream]
        if queue.recording is not None:
            queue.recording.append(work)
            return
        queue.queue.append(work)
        queue.submitted += 1
        if self.eager_uploads and not queue.blocking:
            self.drain(stream)

    def drain(self, stream: int, position: int | None = None) -> None:
        """Run what a stream has, up to a position."""
        queue = self._streams[stream]
        end = queue.submitted if position is None else position
        while queue.done < end:
            work = queue.queue.popleft()
            queue.done += 1
            work()

    def unrecorded(self, what: str) -> None:
        """A call that is forbidden while any graph is recorded."""
        if any(s.recording is not None for s in self._streams.values()):
            raise Misuse(f"{what} while a graph is recorded")

    def move(self, dst: int, src: int, nbytes: int) -> None:
        ctypes.memmove(dst, src, nbytes)


class _Runtime:
    """`cupy.cuda.runtime`."""

    CUDARuntimeError = CUDARuntimeError
    memcpyHostToDevice, memcpyDeviceToHost, memcpyDeviceToDevice = 1, 2, 3
    streamDefault, streamNonBlocking = 0, 1
    streamCaptureModeThreadLocal = 1
    eventDefault, eventDisableTiming = 0, 2
    hostAllocDefault = 0

    def __init__(self, fake: Fake):
        self._fake = fake

    def getDevice(self):
        return self._fake.device

    def setDevice(self, device):
        self._fake.device = device

    def streamCreateWithFlags(self, flags):
        stream = self._fake.handle()
        self._fake._streams[stream] = _Stream(blocking=flags == self.streamDefault)
        return stream

    def streamSynchronize(self, stream):
        self._fake.check()
        self._fake.unrecorded("streamSynchronize")
        self._fake.drain(stream)

    def streamQuery(self, stream):
        if self._fake.failing:
            return self._fake.failing
        queue = self._fake._streams[stream]
        return NOT_READY if queue.done < queue.submitted else 0

    def free(self, ptr):
        self._fake.unrecorded("free")
        assert not ptr, "memory is the pool's"
        self._fake.threads.add((threading.get_ident(), self._fake.device))

    def streamWaitEvent(self, stream, event, flags=0):
        fake = self._fake
        place = fake._events[event]
        if place is not None and place[0] != stream:
            fake.submit(stream, lambda: fake.drain(*place))

    def streamBeginCapture(self, stream, mode=0):
        fake = self._fake
        fake.check()
        if mode != self.streamCaptureModeThreadLocal:
            raise Misuse("a capture that other threads' allocations break")
        fake._streams[stream].recording = []
        fake.calls.append("begin")

    def streamEndCapture(self, stream):
        fake = self._fake
        graph = fake.handle()
        recorded = fake._streams[stream].recording
        fake._streams[stream].recording = None
        if recorded is None:
            raise CUDARuntimeError(401)  # cudaErrorIllegalState
        fake._graphs[graph] = recorded
        fake.calls.append("end")
        return graph

    def graphInstantiate(self, graph):
        executable = self._fake.handle()
        self._fake._executables[executable] = list(self._fake._graphs[graph])
        return executable

    def graphDestroy(self, graph):
        del self._fake._graphs[graph]

    def graphExecDestroy(self, graphExec):
        del self._fake._executables[graphExec]

    def graphUpload(self, graphExec, stream):
        assert graphExec in self._fake._executables and stream in self._fake._streams

    def graphLaunch(self, graphExec, stream):
        fake = self._fake
        fake.calls.append("graph")
        for work in fake._executables[graphExec]:
            fake.submit(stream, work)

    def memcpyAsync(self, dst, src, size, kind, stream):
        fake = self._fake
        if kind != self.memcpyHostToDevice:
            fake.inside(src, size, "memcpyAsync from")
        if kind != self.memcpyDeviceToHost:
            fake.inside(dst, size, "memcpyAsync to")
        fake.calls.append("copy")
        if kind == self.memcpyHostToDevice and not any(
            base <= src < base + len(raw) for base, raw in fake._pinned.items()
        ):
            # memory that is not pinned is read before the call returns
            values = ctypes.string_at(src, size)
            fake.submit(stream, lambda: ctypes.memmove(dst, values, size))
        else:
            fake.submit(stream, lambda: fake.move(dst, src, size))

    def pointerGetAttributes(self, ptr):
        self._fake.inside(ptr, 0, "pointerGetAttributes of")
        return SimpleNamespace(device=self._fake.ordinal_of(ptr))

    def hostAlloc(self, size, flags):
        self._fake.unrecorded("hostAlloc")
        raw = np.empty(size, np.uint8)
        self._fake._pinned[raw.ctypes.data] = raw
        return raw.ctypes.data

    def freeHost(self, ptr):
        self._fake.unrecorded("freeHost")
        del self._fake._pinned[ptr]

    def eventCreateWithFlags(self, flags):
        event = self._fake.handle()
        self._fake._events[event] = None
        return event

    def eventDestroy(self, event):
        del self._fake._events[event]

    def eventRecord(self, event, stream):
        self._fake.check()
        queue = self._fake._streams[stream]
        assert queue.recording is None, "an event of a recorded stream"
        self._fake._events[event] = (stream, queue.submitted)

    def eventQuery(self, event):
        if self._fake.failing:
            return self._fake.failing
        place = self._fake._events[event]
        return NOT_READY if place is not None and self._fake._streams[place[0]].done < place[1] else 0

    def eventElapsedTime(self, start, end):
        """Milliseconds: as if everything that is submitted took a microsecond."""
        marks = [self._fake._events[event] for event in (start, end)]
        assert None not in marks and all(self._fake._streams[s].done >= at for s, at in marks)
        return (marks[1][1] - marks[0][1]) / 1000

    def eventSynchronize(self, event):
        self._fake.check()
        self._fake.unrecorded("eventSynchronize")
        self._fake.calls.append("wait")
        place = self._fake._events[event]
        if place is not None:
            self._fake.drain(*place)


class _Driver:
    """`cupy.cuda.driver`."""

    CUDADriverError = CUDADriverError

    def __init__(self, fake: Fake):
        self._fake = fake

    def moduleLoadData(self, image):
        self._fake.unrecorded("moduleLoadData")
        if not image.startswith(b"FAKE"):
            raise CUDADriverError(200)
        module = self._fake.handle()
        self._fake._modules[module] = image[4:].decode()
        return module

    def moduleGetFunction(self, module, funcname):
        text = self._fake._modules[module]
        found = re.search(
            rf'extern "C" __global__ __launch_bounds__\((\d+)\)\s*void {re.escape(funcname)}\((.*?)\)\s*\{{', text, re.S
        )
        if found is None:
            raise CUDADriverError(500)
        parameters = [_parameter(p) for p in found[2].split(",")]
        handle = self._fake.handle()
        self._fake._functions[handle] = Function(funcname, text, int(found[1]), parameters, _alignments(text, funcname))
        return handle

    def launchKernel(
        self, f, grid_dim_x, grid_dim_y, grid_dim_z, block_dim_x, block_dim_y, block_dim_z, shared_mem_bytes, stream,
        kernel_params, extra,
    ):  # fmt: skip
        fake = self._fake
        if (threading.get_ident(), fake.device) not in fake.threads:
            raise CUDADriverError(201)  # this thread has no context
        function = fake._functions[f]
        assert grid_dim_x > 0 and (grid_dim_y, grid_dim_z, block_dim_y, block_dim_z) == (1, 1, 1, 1)
        assert block_dim_x == function.local and not shared_mem_bytes and not extra
        pointers = (ctypes.c_void_p * len(function.parameters)).from_address(kernel_params)
        arguments: dict[str, int] = {}
        for (ctype, name), address in zip(function.parameters, pointers, strict=True):
            if ctype.endswith("*"):
                arguments[name] = ctypes.c_uint64.from_address(address).value
                fake.inside(arguments[name], 0, f"argument {name} of {function.name}")
                if arguments[name] % function.alignments.get(name, 1):
                    raise CUDADriverError(716)  # a vector that is loaded from an address of no multiple of its size
            else:
                arguments[name] = _SCALARS[ctype].from_address(address).value
        launched = Launched(function, grid_dim_x, arguments)

        def run() -> None:
            fake.launched.append(launched)
            if fake.execute is not None:
                fake.execute(launched)

        fake.calls.append("launch")
        fake.submit(stream, run)


def _alignments(text: str, name: str) -> dict[str, int]:
    """By a kernel's parameters, bytes of the vectors that it loads and stores through them."""
    own = next(p for p in text.split('extern "C" __global__') if f"void {name}(" in p)
    found: dict[str, int] = {}
    for kind, lanes, parameter in re.findall(r"\*\((?:const )?(float|int|uint|double)([24]) \*\)\((\w+) \+", own):
        nbytes = int(lanes) * (8 if kind == "double" else 4)
        found[parameter] = max(nbytes, found.get(parameter, 1))
    return found


def _parameter(text: str) -> tuple[str, str]:
    """C type and name of one parameter."""
    found = re.fullmatch(r"\s*(?:const\s+)?([\w ]+?)\s*(\*?)\s*(?:__restrict__\s*)?(\w+)\s*", text)
    assert found is not None, text
    return found[1] + found[2], found[3]


class _Nvrtc:
    """`cupy.cuda.nvrtc`: the machine code is the text, and a text is refused that says so."""

    NVRTCError = NVRTCError

    def __init__(self, fake: Fake):
        self._fake = fake
        self.compiled = 0

    def getVersion(self):
        return 13, 0

    def getSupportedArchs(self):
        return [75, 80, 90, 100, 120]

    def createProgram(self, src, name, headers, include_names):
        program = self._fake.handle()
        self._fake._programs[program] = src
        return program

    def compileProgram(self, prog, options):
        assert any(o.startswith(("-arch=sm_", "-arch=compute_")) for o in options), options
        if "does_not_compile" in self._fake._programs[prog]:
            raise NVRTCError("NVRTC_ERROR_COMPILATION")
        self.compiled += 1

    def getProgramLog(self, prog):
        lines = self._fake._programs[prog].splitlines()
        line = next(i for i, text in enumerate(lines, start=1) if "does_not_compile" in text)
        return f'kernel.cu({line}): error: identifier "missing" is undefined\n\0'

    def getPTX(self, prog):
        return self.getCUBIN(prog)

    def getCUBIN(self, prog):
        return b"FAKE" + self._fake._programs[prog].encode()

    def destroyProgram(self, prog):
        del self._fake._programs[prog]


class _Pool:
    """CuPy's memory pool: what is given back is free for the same stream at once."""

    def __init__(self, fake: Fake):
        self._fake = fake

    def malloc(self, size):
        fake = self._fake
        fake.unrecorded("malloc")
        stream = _ExternalStream.current[-1] if _ExternalStream.current else 0
        assert stream in fake._streams, "memory of no stream's arena"
        return _Pointer(fake, fake.reserve(size), stream)


class _Pointer:
    """CuPy's `MemoryPointer` of the pool."""

    def __init__(self, fake: Fake, ptr: int, stream: int):
        self.ptr = ptr
        self._fake = fake
        self._stream = stream

    def __del__(self) -> None:
        # freed in the order of the stream: what is queued may still use it
        fake, ptr, queue = self._fake, self.ptr, self._fake._streams[self._stream]
        if queue.done == queue.submitted:
            fake.release(ptr)
            return
        queue.queue.append(lambda: fake.release(ptr))
        queue.submitted += 1


class _ExternalStream:
    current: list[int] = []  # noqa: RUF012

    def __init__(self, ptr, device_id=-1):
        self.ptr = ptr

    def __enter__(self):
        self.current.append(self.ptr)

    def __exit__(self, *raised):
        self.current.pop()


class _Memory:
    """`cupy.cuda.memory`."""

    class UnownedMemory:
        def __init__(self, ptr, size, owner, device_id=-1):
            self.ptr, self.size, self.owner, self.device_id = ptr, size, owner, device_id

    class MemoryPointer:
        def __init__(self, mem, offset):
            self.mem, self.ptr = mem, mem.ptr + offset


class _NDArray:
    """`cupy.ndarray`."""

    def __init__(self, shape, dtype=float, memptr=None, strides=None, order="C"):
        self.shape, self.dtype, self.data = shape, np.dtype(dtype), memptr

    def __dlpack__(self, **options):
        return self, options
