"""Intel's MKL through ctypes, where it is installed: finding it, loading it when it is first asked for, its threads."""

from __future__ import annotations

import ctypes
import os
import platform
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

from threadpoolctl import ThreadpoolController

#: Where a wheel exists (https://pypi.org/project/mkl).
PLATFORMS = (("linux", "x86_64"), ("win32", "AMD64"))
#: What to type to have it.
COMMAND = 'pip install "kcore-numpy[mkl]"'

#: mkl_set_threading_layer and mkl_set_interface_layer: Intel's OpenMP, no threads; 32-bit integers.
_INTEL, _SEQUENTIAL, _LP64 = 0, 1, 0
#: mkl_cbwr_set: the best code for this processor, of which every way of cutting a product gives the same bits.
_AUTO, _STRICT = 2, 0x10000
#: How long a thread of MKL's OpenMP spins for more work before it sleeps. It must outlast what a step computes between
#: two products: to wake a thread that sleeps takes longer than many a product.
_SPIN = "2000us"
_OPENMP = {"linux": "libiomp5.so", "win32": "libiomp5md.dll"}


def installable() -> bool:
    """Whether there is a wheel for this machine.

    Example:
        >>> installable() in (True, False)
        True
    """
    return (sys.platform, platform.machine()) in PLATFORMS


def suits() -> bool:
    """Whether MKL is the better choice by itself: on Intel's processors. Others have not been measured.

    Example:
        >>> suits() in (True, False)
        True
    """
    facts = Path("/proc/cpuinfo")
    return "GenuineIntel" in (facts.read_text(encoding="utf-8") if facts.exists() else platform.processor())


def version() -> str | None:
    """The version that is installed, of the distribution or below NumPy; None without MKL."""
    present = _present()
    if present is not None:
        return str(present.version)
    try:
        return metadata.version("mkl")
    except metadata.PackageNotFoundError:
        return None


def find() -> Path | None:
    """The library of the distribution `mkl`, by its list of files; None where it is not installed.

    Example:
        >>> found = find()
        >>> found is None or "mkl_rt" in found.name
        True
    """
    try:
        files = metadata.files("mkl") or []
    except metadata.PackageNotFoundError:
        return None
    for file in files:
        if file.name.startswith(("libmkl_rt.so", "mkl_rt.")) and file.suffix != ".lib":
            path = Path(str(file.locate())).resolve()
            if path.exists():
                return path
    return None


class Mkl:
    """The library, loaded.

    Attributes:
        version: of the distribution, or of the library NumPy stands on.
        threaded: whether its own threads may be used: results do not depend on them, and they do not spin for long.
    """

    def __init__(self) -> None:
        present, path = _present(), find()
        if present is not None:  # how its threads wait is not ours to say
            self.library, self.version, self.threaded = present.dynlib, str(present.version), False
        elif path is None:
            raise OSError("the distribution mkl names no library that is there")
        else:
            openmp = _openmp(path.parent)
            self.library, self.version = ctypes.CDLL(str(path)), metadata.version("mkl")
            self.library.MKL_Set_Threading_Layer(_INTEL if openmp else _SEQUENTIAL)
            self.threaded = openmp
        if self.library.MKL_Set_Interface_Layer(_LP64) & 1:
            raise OSError("MKL is loaded with integers of 64 bits (MKL_INTERFACE_LAYER), which is not supported")
        self.library.MKL_Set_Dynamic(0)
        chosen = os.environ.get("MKL_CBWR", "")
        alike = "STRICT" in chosen if chosen else not self.library.MKL_CBWR_Set(_AUTO | _STRICT)
        self.threaded = self.threaded and alike
        self._forked = False
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._stay_alone)

    def _stay_alone(self) -> None:
        """After a fork the child has no such threads, and where KMP_INIT_AT_FORK is off, waits for them for ever."""
        self._forked = True
        self.set_threads(1)

    def function(self, name: str) -> Any:
        """A C function that returns nothing; its arguments must be C's int, or objects of ctypes."""
        found = self.library[name]  # an object of its own for each call of this
        found.restype = None
        return found

    def set_threads(self, number: int) -> None:
        """Threads of a call, from any thread that has not chosen otherwise."""
        self.library.MKL_Set_Num_Threads(1 if self._forked else number)

    def set_own_threads(self, number: int) -> None:
        """Threads of a call from this thread; 0 for what holds for all."""
        self.library.MKL_Set_Num_Threads_Local(1 if self._forked and number else number)


def _present() -> Any:
    """The MKL that is loaded already, as threadpoolctl knows it; None if there is none."""
    return next(iter(ThreadpoolController().select(internal_api="mkl").lib_controllers), None)


def _openmp(folder: Path) -> bool:
    """Load Intel's OpenMP from beside MKL; False where the process holds another, as a second one would abort it."""
    path = folder / _OPENMP.get(sys.platform, "")
    if not path.is_file():
        return False
    for library in ThreadpoolController().select(user_api="openmp").lib_controllers:
        if library.prefix in ("libiomp", "libomp") and Path(library.filepath).resolve() != path.resolve():
            return False
    openmp = ctypes.CDLL(str(path))
    if "KMP_BLOCKTIME" not in os.environ:
        openmp.kmp_set_defaults(f"KMP_BLOCKTIME={_SPIN}".encode())
    return True
