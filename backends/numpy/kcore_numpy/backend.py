"""The CPU as NumPy sees it: one device, host memory, arrays that are `numpy.ndarray`s."""

from __future__ import annotations

import importlib
import math
import os
import pkgutil
import platform
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

import kcore_numpy.kernels
from kcore.backend.base import Backend, Device
from kcore.backend.batch import Rows
from kcore.backend.kernel import Kernel, Site, Thunk
from kcore.dtypes import numpy_dtype
from kcore_numpy import blas, denormals, schedule, threads


class NumpyBackend(Backend):
    """Every op on the host, computed by NumPy and its BLAS.

    Example:
        >>> backend = NumpyBackend()
        >>> array = backend.empty((2, 3), "float32", backend.devices()[0])
        >>> array.shape, array.ctypes.data % backend.alignment
        ((2, 3), 0)
    """

    name = "numpy"
    aliases = ("cpu",)
    rank = 10
    kcore_contract = 1
    strided_views = True

    def __init__(self) -> None:
        for module in pkgutil.iter_modules(kcore_numpy.kernels.__path__, "kcore_numpy.kernels."):
            importlib.import_module(module.name)
        details = {"cores": _cores(), "numpy": np.__version__, "products": blas.description()}
        self._device = Device("numpy", 0, _cpu_name(), "cpu", _memory(), details)

    def devices(self) -> list[Device]:
        """The host, always."""
        return [self._device]

    def set_threads(self, count: int | None) -> None:
        """Use this many threads, here and in BLAS: how sums are cut into pieces depends on their number."""
        threads.set_count(count)

    def allocate(self, nbytes: int, device: Device) -> np.ndarray:
        """Bytes that start at a multiple of `alignment`, which numpy by itself does not promise."""
        return self._aligned(np.empty(nbytes + self.alignment, np.uint8))

    def _aligned(self, raw: np.ndarray) -> np.ndarray:
        start = -raw.ctypes.data % self.alignment
        return raw[start : len(raw) - self.alignment + start]

    def zeros(self, shape: tuple[int, ...], dtype: str, device: Device) -> np.ndarray:
        """Memory as the system gives it, which it does where something is first written or read."""
        nbytes = math.prod(shape) * numpy_dtype(dtype).itemsize
        return self.view(self._aligned(np.zeros(nbytes + self.alignment, np.uint8)), 0, shape, dtype)

    def view(self, storage: np.ndarray, offset: int, shape: tuple[int, ...], dtype: str) -> np.ndarray:
        """A contiguous array over part of a storage."""
        return np.ndarray(shape, numpy_dtype(dtype), storage, offset)

    def upload(self, array: np.ndarray, values: np.ndarray) -> None:
        """Copy the values in."""
        np.copyto(array, values)

    def gather(self, array: np.ndarray, rows: Rows) -> None:
        """Gather straight into the array."""
        rows.into(array)

    def download(self, array: np.ndarray) -> np.ndarray:
        """Copy the values out."""
        return np.array(array, order="C")

    def memory(self, array: np.ndarray) -> np.ndarray:
        """The array itself."""
        return array

    def contiguous(self, array: np.ndarray) -> bool:
        """Whether it is no strided view."""
        return bool(array.flags.c_contiguous)

    def copy(self, dst: np.ndarray, src: np.ndarray) -> None:
        """Copy one array to another."""
        np.copyto(dst, src)

    def arrange(self, launches: Sequence[tuple[Site, Thunk]]) -> list[tuple[Thunk, list[int]]]:
        """Gather launches into regions that the threads run side by side."""
        return schedule.arrange(launches)

    def launch(self, kernel: Kernel, site: Site) -> None:
        """Run one kernel now; NaN and infinity are results, not warnings."""
        with np.errstate(all="ignore"):
            kernel.bind(site)()

    @contextmanager
    def session(self) -> Iterator[None]:
        """NaN and infinity are results, not warnings, tiny numbers are zero, and BLAS keeps to the calling thread.

        The kernels split their products themselves, over one pool; where threads of BLAS serve a step better,
        `schedule.arrange` allows them for that step.

        OpenBLAS's own threads wait for each other by spinning. Where something else runs on the machine, too, a
        product of 0.3 ms then takes 5 to 20 ms; one split over the pool takes 0.6.
        """
        before = denormals.flush()
        try:
            with threads.single_blas(), np.errstate(all="ignore"):
                yield
        finally:
            denormals.restore(before)


def _cores() -> int:
    """Cores this process may use, which in a container are fewer than the machine has."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _cpu_name() -> str:
    facts = Path("/proc/cpuinfo")  # only Linux has it
    for line in facts.read_text(encoding="utf-8").splitlines() if facts.exists() else ():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def _memory() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # not POSIX: unknown
        return 0
