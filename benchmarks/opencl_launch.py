"""What a launch costs on OpenCL devices: the host's share, the device's, and whether command buffers would save any.

    python benchmarks/opencl_launch.py opencl:intel opencl:pocl

A step here is 20 small kernels, each of which depends on the one before.
"""

from __future__ import annotations

import ctypes
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pyopencl as cl

from kcore.backend.selection import use_backend
from kcore_opencl.place import place_of

KERNELS = 20
TEXT = """
__kernel void halve(__global float *x, const int n)
{
    const int i = (int)get_global_id(0);
    if (i < n) x[i] = x[i] * 0.5f + 1.0f;
}
"""


def microseconds(repeats: int, work: Callable[[], Any], finish: Callable[[], Any], each: int) -> tuple[float, float]:
    """Median time until `work` returns and until `finish` does, divided by `each`."""
    returned, done = [], []
    for _ in range(repeats):
        begin = time.perf_counter()
        work()
        returned.append(time.perf_counter() - begin)
        finish()
        done.append(time.perf_counter() - begin)
    return statistics.median(returned) / each * 1e6, statistics.median(done) / each * 1e6


class Recorded:
    """A command buffer (cl_khr_command_buffer), which PyOpenCL does not know: by ctypes from the driver itself."""

    def __init__(self, queue: Any, calls: list[Any], library: ctypes.CDLL):
        pointer, uint, status = ctypes.c_void_p, ctypes.c_uint, ctypes.c_int
        address = library.clGetExtensionFunctionAddressForPlatform
        address.restype, address.argtypes = pointer, [pointer, ctypes.c_char_p]

        def function(name: str, result: Any, *arguments: Any) -> Any:
            found = address(queue.device.platform.int_ptr, name.encode())
            return ctypes.CFUNCTYPE(result, *arguments)(found)

        create = function("clCreateCommandBufferKHR", pointer, uint, pointer, pointer, pointer)
        record = function(
            "clCommandNDRangeKernelKHR", status, *[pointer] * 4, uint, *[pointer] * 3, uint, *[pointer] * 3
        )
        self._enqueue = function("clEnqueueCommandBufferKHR", status, uint, pointer, pointer, uint, pointer, pointer)
        error = ctypes.c_int()
        self._buffer = create(1, (pointer * 1)(queue.int_ptr), None, ctypes.byref(error))
        self._check(error.value)
        for kernel, size, local in calls:
            sizes = [(ctypes.c_size_t * 1)(*s) for s in (size, local)]
            arguments = (self._buffer, None, None, kernel.int_ptr, 1, None, *sizes, 0, None, None, None)
            self._check(record(*arguments))
        self._check(function("clFinalizeCommandBufferKHR", status, pointer)(self._buffer))

    def __call__(self) -> None:
        self._check(self._enqueue(0, None, self._buffer, 0, None, None))

    @staticmethod
    def _check(code: int) -> None:
        if code:
            raise RuntimeError(f"the command buffer failed: OpenCL error {code}")


def driver_of(platform: Any) -> ctypes.CDLL | None:
    """The library of a driver that is loaded here and answers for the platform."""
    with open("/proc/self/maps", encoding="utf-8") as maps:
        paths = {line.split()[-1] for line in maps if "libintelocl" in line or "libpocl" in line}
    wanted = "intelocl" if "Intel" in platform.name else "pocl"
    return next((ctypes.CDLL(p) for p in sorted(paths) if wanted in p and not p.endswith(".icd")), None)


def measure(wanted: str, elements: int, groups: int) -> None:
    """Print the times for kernels over so many elements in so many work-groups."""
    place = place_of(use_backend(wanted).device)
    queue = place.queue
    program = cl.Program(place.context, TEXT).build()
    buffer = cl.Buffer(place.context, cl.mem_flags.READ_WRITE, 4 * elements)
    calls = []
    for _ in range(KERNELS):
        kernel = cl.Kernel(program, "halve")
        kernel.set_args(buffer, np.int32(elements))
        calls.append((kernel, (elements,), (elements // groups,)))

    def step() -> None:
        for kernel, size, local in calls:
            cl.enqueue_nd_range_kernel(queue, kernel, size, local)
        queue.flush()

    def burst(what: Callable[[], None]) -> Callable[[], None]:
        return lambda: [what() for _ in range(10)] and None

    step()
    queue.finish()
    host, _ = microseconds(300, step, queue.finish, KERNELS)
    _, device = microseconds(30, burst(step), queue.finish, 10 * KERNELS)
    line = f"{wanted:14s} {elements:7d} elements in {groups:3d} groups: enqueue {host:5.2f} us, launch {device:5.2f} us"
    library = driver_of(place.device.platform) if "cl_khr_command_buffer" in place.device.extensions.split() else None
    if library is not None:
        recorded = Recorded(queue, calls, library)
        recorded()
        queue.finish()
        host, _ = microseconds(300, recorded, queue.finish, KERNELS)
        _, device = microseconds(30, burst(recorded), queue.finish, 10 * KERNELS)
        line += f"; by command buffer: enqueue {host:5.2f} us, launch {device:5.2f} us"
    print(line)


if __name__ == "__main__":
    for name in sys.argv[1:] or ["opencl"]:
        for elements, groups in ((64, 1), (4096, 16), (65536, 64), (1 << 20, 256)):
            measure(name, elements, groups)
