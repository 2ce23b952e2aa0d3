"""The NVIDIA GPUs of this machine as their driver lists them, asked directly: without CuPy, and no context is made."""

from __future__ import annotations

import ctypes
import os
import sys
from dataclasses import dataclass
from typing import Any

#: Numbers of ``CUdevice_attribute``.
_GROUP, _LOCAL, _WARP, _UNITS, _INTEGRATED, _MAJOR, _MINOR = 1, 8, 10, 16, 18, 75, 76
#: The driver's library, by `sys.platform`; on Linux the name every version has.
_LIBRARY = {"win32": "nvcuda.dll"}

#: The process that has initialised CUDA; a fork of it cannot use CUDA.
_initialised_in: int | None = None


@dataclass(frozen=True)
class Gpu:
    """One GPU.

    Attributes:
        ordinal: its number for CUDA.
        name: what NVIDIA calls it.
        capability: compute capability, ``(9, 0)``.
        memory: bytes of its memory.
        units: multiprocessors.
        local: bytes of shared memory of a thread block, without asking for more.
        group: most threads of a block.
        warp: threads that run in step.
        integrated: whether it shares the host's memory.
        bus: its place on the PCI bus, ``"0000:01:00.0"``.
    """

    ordinal: int
    name: str
    capability: tuple[int, int]
    memory: int
    units: int = 1
    local: int = 48 << 10
    group: int = 1024
    warp: int = 32
    integrated: bool = False
    bus: str = ""

    @property
    def architecture(self) -> str:
        """What compilers call its machine code: ``"sm_90"``."""
        return "sm_{}{}".format(*self.capability)


@dataclass(frozen=True)
class Listing:
    """What the driver says.

    Attributes:
        version: the newest CUDA the driver serves, ``13000`` for 13.0; 0 where there is no driver.
        gpus: the GPUs, in CUDA's order.
        error: why there is no GPU: ``"library"`` (no driver), or the name of CUDA's error; empty if all is well.
        detail: more about it.
    """

    version: int = 0
    gpus: tuple[Gpu, ...] = ()
    error: str = ""
    detail: str = ""


class _Failure(Exception):
    """A call of the driver failed; `code` is its number."""

    def __init__(self, code: int, name: str, text: str):
        super().__init__(f"{name}: {text}" if text else name)
        self.name = name


def library() -> Any:
    """The driver's library, loaded.

    Raises:
        OSError: there is none.
    """
    return ctypes.CDLL(_LIBRARY.get(sys.platform, "libcuda.so.1"))


def listing() -> Listing:
    """The GPUs there are; never fails."""
    global _initialised_in
    try:
        cuda = library()
    except OSError as error:
        return Listing(error="library", detail=str(error))
    version = ctypes.c_int()
    if cuda.cuDriverGetVersion(ctypes.byref(version)):  # a stub of the toolkit, for linking only
        return Listing(error="library", detail="it is only a stub for linking")
    try:
        _call(cuda, cuda.cuInit, 0)
        _initialised_in = os.getpid()
        count = ctypes.c_int()
        _call(cuda, cuda.cuDeviceGetCount, ctypes.byref(count))
        gpus = tuple(_gpu(cuda, ordinal) for ordinal in range(count.value))
    except _Failure as error:
        return Listing(version.value, error=error.name, detail=str(error))
    return Listing(version.value, gpus, "" if gpus else "CUDA_ERROR_NO_DEVICE")


def forked() -> bool:
    """Whether this process is a fork of one that had initialised CUDA."""
    return _initialised_in is not None and _initialised_in != os.getpid()


def version_text(version: int) -> str:
    """CUDA's version number as people write it.

    Example:
        >>> version_text(13020)
        '13.2'
    """
    return f"{version // 1000}.{version % 1000 // 10}"


def _gpu(cuda: Any, ordinal: int) -> Gpu:
    handle, name, memory = ctypes.c_int(), ctypes.create_string_buffer(256), ctypes.c_size_t()
    _call(cuda, cuda.cuDeviceGet, ctypes.byref(handle), ordinal)
    _call(cuda, cuda.cuDeviceGetName, name, len(name), handle)
    _call(cuda, cuda.cuDeviceTotalMem_v2, ctypes.byref(memory), handle)
    bus = ctypes.create_string_buffer(32)
    _call(cuda, cuda.cuDeviceGetPCIBusId, bus, len(bus), handle)

    def attribute(number: int) -> int:
        value = ctypes.c_int()
        _call(cuda, cuda.cuDeviceGetAttribute, ctypes.byref(value), number, handle)
        return value.value

    return Gpu(
        ordinal,
        name.value.decode(errors="replace"),
        (attribute(_MAJOR), attribute(_MINOR)),
        memory.value,
        attribute(_UNITS),
        attribute(_LOCAL),
        attribute(_GROUP),
        attribute(_WARP),
        bool(attribute(_INTEGRATED)),
        bus.value.decode(errors="replace").lower(),
    )


def _call(cuda: Any, function: Any, *arguments: Any) -> None:
    code = function(*arguments)
    if code:
        name, text = ctypes.c_char_p(), ctypes.c_char_p()
        cuda.cuGetErrorName(code, ctypes.byref(name))
        cuda.cuGetErrorString(code, ctypes.byref(text))
        raise _Failure(code, (name.value or f"error {code}".encode()).decode(), (text.value or b"").decode())
