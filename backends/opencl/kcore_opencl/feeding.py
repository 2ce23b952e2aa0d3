"""Batches that a device gathers from the host's arrays where they lie, on devices that read the host's memory."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

import numpy as np
import pyopencl as cl

from kcore.backend.batch import Rows
from kcore.codegen import OPENCL, Source
from kcore.dtypes import itemsize, numpy_dtype
from kcore_opencl.memory import Array, Block

if TYPE_CHECKING:
    from kcore_opencl.place import Place

#: Batches of fewer bytes are gathered by the host: that costs less than a launch.
LEAST = 1 << 14

_TEXT = """\
// rows of a host array, where they lie, into a batch
{prelude}__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void {name}(
    __global const {read} *from,
{parameter}    __global {write} *batch,
    const long batch_start,
    const long last,
    const long rows,
    const long width,
    const long share)
{{
    batch += batch_start;
    const long first = get_group_id(0) * share;
    for (long row = first; row < first + share && row < rows; ++row) {{
        __global const {read} *source = from + {row} * width;
        __global {write} *target = batch + row * width;
        long c = 0;
        for (; c + 16 <= width; c += 16) vstore16({many}, 0, target + c);
        for (; c < width; ++c) target[c] = {one};
    }}
}}
"""


class Feeder:
    """Lets a device gather batches itself, so that the host neither copies nor waits for a copy.

    The device reads the user's array while later work may already be queued. `settle` waits until that is over, and
    must run before anything of the user's does.

    Args:
        place: the device.
    """

    def __init__(self, place: Place):
        self._place = place
        self._able = _reads_host_memory(place)
        self._kernels: weakref.WeakKeyDictionary[Block, dict[tuple, tuple[Any, tuple[int]]]] = (
            weakref.WeakKeyDictionary()
        )
        self._pending: Any = None
        self._held: list[Any] = []
        self._lock = threading.Lock()

    @property
    def busy(self) -> bool:
        """Whether arrays of the host may still be read."""
        return self._pending is not None

    def gather(self, array: Array, rows: Rows) -> bool:
        """Begin to gather a batch into a device array.

        Args:
            array: the batch, of `rows.shape` and `rows.dtype`.
            rows: rows of a host array.

        Returns:
            False where the host had better do it, and nothing was done: a device with memory of its own, rows that
            do not lie side by side or are converted (other than from float64 to float32), read-only arrays, small
            batches, and arrays that are one batch as a whole.
        """
        source, chosen = rows.array, rows.indices
        if not self._able or array.nbytes < LEAST or not self._copies(source.dtype, array.dtype):
            return False
        flags = source.flags
        if not (flags.c_contiguous and flags.aligned and flags.writeable):  # PyOpenCL refuses read-only memory
            return False
        if isinstance(chosen, slice):
            begin, _, step = chosen.indices(len(source))
            if step != 1 or rows.shape[0] == len(source):
                return False
            source = source[begin:]
        elif chosen.dtype != np.int64 or not chosen.flags.c_contiguous:
            return False
        with self._lock:
            kernel, size = self._kernel(array, rows)
            kernel.set_arg(0, cl.SVM(source))
            if not isinstance(chosen, slice):
                kernel.set_arg(1, cl.SVM(chosen))
            self._pending = self._enqueue(array.nbytes, kernel, size)
            self._held.append((source, chosen))
        return True

    def _enqueue(self, nbytes: int, kernel: Any, size: tuple[int]) -> Any:
        queue, profile = self._place.queue, self._place.profile
        if profile:
            return profile.transfer("gather", 2 * nbytes, cl.enqueue_nd_range_kernel, queue, kernel, size, (1,))
        return cl.enqueue_nd_range_kernel(queue, kernel, size, (1,))

    def settle(self) -> None:
        """Wait until no host array is read any more."""
        if self._pending is not None:
            with self._lock:
                if self._pending is not None:
                    with self._place.profile.span("wait for gather") if self._place.profile else nullcontext():
                        self._pending.wait()
                    self._pending = None
                    self._held.clear()

    def _copies(self, source: np.dtype, dtype: str) -> bool:
        """Whether the kernel reads a dtype and makes the other of it."""
        if source == numpy_dtype(dtype):
            return True
        return source == np.float64 and dtype == "float32" and self._place.traits.fp64

    def _kernel(self, array: Array, rows: Rows) -> tuple[Any, tuple[int]]:
        """The kernel that fills an array, with all arguments set but the host's arrays, and its global size."""
        known = self._kernels.setdefault(array.block, {})
        key = (array.offset, array.shape, array.dtype, rows.array.dtype, len(rows.array), type(rows.indices))
        found = known.get(key)
        if found is None:
            found = known[key] = self._bound(array, rows)
        return found

    def _bound(self, array: Array, rows: Rows) -> tuple[Any, tuple[int]]:
        count, listed = array.shape[0], not isinstance(rows.indices, slice)
        share = max(-(-count // (4 * self._place.traits.units)), 1)
        if rows.array.dtype == numpy_dtype(array.dtype):
            word = next(n for n in (4, 2, 1) if itemsize(array.dtype) % n == 0)
            read = write = {4: "uint", 2: "ushort", 1: "uchar"}[word]
        else:
            word, read, write = 4, "double", "float"
        sizes = (array.offset // word, len(rows.array) - 1, count, array.nbytes // count // word, share)
        kernel = self._place.programs.kernel(_source(read, write, listed))
        first = 2 if listed else 1
        kernel.set_arg(first, array.buffer)
        for k, size in enumerate(sizes, first + 1):
            kernel.set_arg(k, np.int64(size))
        return kernel, (-(-count // share),)


class Session:
    """The context around a step, in whose exit the feeders of all places settle.

    Args:
        feeders: gives the feeders.
        inner: another context to enter.
    """

    __slots__ = ("_feeders", "_inner")

    def __init__(self, feeders: Callable[[], Iterable[Feeder]], inner: AbstractContextManager[Any]):
        self._feeders = feeders
        self._inner = inner

    def __enter__(self) -> None:
        self._inner.__enter__()

    def __exit__(self, *raised: Any) -> None:
        for feeder in self._feeders():
            feeder.settle()
        self._inner.__exit__(*raised)


def _source(read: str, write: str, listed: bool) -> Source:
    """The kernel for rows of a C type that become another one, listed by indices or in order."""
    name = f"{'gather' if listed else 'copy'}_batch_{read}"
    many, one = "vload16(0, source + c)", "source[c]"
    if read != write:
        many, one = f"convert_{write}16({many})", f"({write}){one}"
    text = _TEXT.format(
        name=name,
        prelude=OPENCL.preludes["float64"] if read == "double" else "",
        read=read,
        write=write,
        parameter="    __global const long *rows_wanted,\n" if listed else "",
        row="clamp(rows_wanted[row], 0L, last)" if listed else "row",
        many=many,
        one=one,
    )
    return Source(name, text, (), 1, 1, OPENCL.name)


def _reads_host_memory(place: Place) -> bool:
    """Whether kernels may be given addresses of any host memory.

    PoCL does not say so, but its CPU devices run in the host's address space.
    """
    if place.traits.kind == "cpu" and place.traits.maker == "pocl":
        return True
    try:
        able = place.device.svm_capabilities
    except cl.Error:  # OpenCL 1.2 has no such question
        return False
    return bool(able & cl.device_svm_capabilities.FINE_GRAIN_SYSTEM)
