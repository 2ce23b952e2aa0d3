"""The OpenCL drivers (ICDs) of this machine: those that no .icd file names are made visible beside all others."""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from platformdirs import user_cache_path

#: Intel's CPU runtime, and the libraries it needs loaded before it, in this order.
INTEL = "libintelocl.so"
#: Where it is set, PyOpenCL keeps nothing on disk.
NO_CACHE = "PYOPENCL_NO_CACHE"
INTEL_NEEDS = ("libintlc.so.5", "libimf.so", "libirng.so", "libsvml.so", "libtbb.so.12")
#: The distributions that hold them.
INTEL_DISTRIBUTIONS = ("intel-opencl-rt", "intel-cmplr-lib-rt", "tbb")

#: NVIDIA's OpenCL, which containers are given without an .icd file that names it.
NVIDIA = "libnvidia-opencl.so.1"

#: Where ICD loaders look unless they are told otherwise.
VENDORS = Path("/etc/OpenCL/vendors")


@dataclass(frozen=True)
class Driver:
    """One ICD.

    Attributes:
        icd: the .icd file that names it; None for one that kcore has made visible.
        library: what the file says: a path, or a name for the dynamic loader.
    """

    icd: Path | None
    library: str


@dataclass(frozen=True)
class Loaded:
    """What the ICD loader found.

    Attributes:
        platforms: PyOpenCL's platforms.
        intel: Intel's CPU runtime from pip, if it is installed.
        intel_error: why that cannot be loaded, or "".
        early: whether PyOpenCL had been imported before kcore.
        added: drivers that no .icd file names and kcore has made visible.
    """

    platforms: tuple[Any, ...]
    intel: Path | None
    intel_error: str
    early: bool
    added: tuple[str, ...] = ()


@cache
def load() -> Loaded:
    """Import PyOpenCL and list the platforms, with every driver there is visible to the loader.

    The environment variables that this needs are set for the moment only: child processes do not inherit them.
    """
    early = "pyopencl" in sys.modules
    intel, error = (find_intel(), "") if sys.platform == "linux" else (None, "")
    if intel is not None:
        error = _preload(intel)
    added = [] if intel is None or error else [str(intel)]
    if sys.platform == "linux" and _unnamed(NVIDIA):
        added.append(NVIDIA)
    if chosen_by_user():
        added = []
    try:
        with _visible(added):
            platforms = _platforms()
    except _NoFolder as no_folder:
        error, added = str(no_folder), []
        platforms = _platforms()
    return Loaded(tuple(platforms), intel, error, early, tuple(added))


def _platforms() -> list[Any]:
    with _no_cache_where_none_can_be():
        import pyopencl as cl

    try:
        return cl.get_platforms()
    except cl.Error:  # the loader's way to say that there is none
        return []


@contextlib.contextmanager
def _no_cache_where_none_can_be() -> Iterator[None]:
    """PyOpenCL keeps Python code in the user's cache folder; where there can be none, every kernel would fail."""
    folder = user_cache_path("pytools", "pytools")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        able = os.access(folder, os.W_OK)
    except OSError:
        able = False
    if able or NO_CACHE in os.environ:
        yield
        return
    os.environ[NO_CACHE] = "1"
    try:
        yield
    finally:
        del os.environ[NO_CACHE]


def find_intel(name: str = INTEL) -> Path | None:
    """A library of Intel's CPU runtime, wherever pip put it: in the environment, the user's folder or elsewhere."""
    usual = Path(sys.prefix) / "lib" / name
    if usual.exists():
        return usual
    for distribution in INTEL_DISTRIBUTIONS:
        try:
            files = metadata.files(distribution) or []
        except metadata.PackageNotFoundError:
            continue
        for file in files:
            if file.name == name:
                found = Path(str(file.locate())).resolve()
                if found.exists():
                    return found
    return None


def intel_is_installed() -> bool:
    """Whether pip has installed Intel's CPU runtime, for a system it can run on."""
    try:
        return metadata.distribution(INTEL_DISTRIBUTIONS[0]) is not None and sys.platform == "linux"
    except metadata.PackageNotFoundError:
        return False


def _preload(intel: Path) -> str:
    """Load what Intel's runtime needs, then the runtime itself; why that fails, or ""."""
    for name in INTEL_NEEDS:
        library = find_intel(name)
        try:
            ctypes.CDLL(str(library or name), ctypes.RTLD_GLOBAL)
        except OSError as error:
            return str(error)
    try:
        ctypes.CDLL(str(intel))
    except OSError as error:
        return str(error)
    return ""


class _NoFolder(Exception):
    """The files that name drivers to the loader cannot be written anywhere."""


def chosen_by_user() -> str:
    """The environment variable by which the user says which drivers are to be seen, or ""."""
    return next((v for v in ("OCL_ICD_VENDORS", "OCL_ICD_FILENAMES") if os.environ.get(v)), "")


def _unnamed(library: str) -> bool:
    """Whether a driver is there that no .icd file of the system names."""
    if any(library in _library(icd) for icd in _files(system_folder())):
        return False
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


@contextlib.contextmanager
def _visible(added: Sequence[str]) -> Iterator[None]:
    """Within this context ICD loaders see further drivers beside the system's.

    ocl-icd, which PyOpenCL's wheels bring, and newer loaders of Khronos read the files in the one folder that
    OCL_ICD_VENDORS names, instead of the system's; older loaders of Khronos add what OCL_ICD_FILENAMES names.
    PyOpenCL's own folder, where PoCL's wheel puts its file, is read in any case.
    """
    if not added:
        yield
        return
    with contextlib.ExitStack() as stack:
        try:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="kcore-icd-"))
            for icd in _files(system_folder()):
                (Path(folder) / icd.name).write_text(_library(icd) + "\n")
            for i, library in enumerate(added):
                (Path(folder) / f"kcore-{i}.icd").write_text(f"{library}\n")
        except OSError as error:
            raise _NoFolder(
                f"the loader needs a file that names it, and no temporary one can be made: {error}"
            ) from None
        changed = {"OCL_ICD_VENDORS": folder, "OCL_ICD_FILENAMES": os.pathsep.join(added)}
        os.environ.update(changed)
        try:
            yield
        finally:
            for name in changed:
                del os.environ[name]


def system_folder() -> Path:
    """The folder of the system's .icd files."""
    return Path(os.environ.get("OPENCL_VENDOR_PATH") or VENDORS)


def installed() -> list[Driver]:
    """The drivers that .icd files name where the loader looks, and those that kcore has made visible."""
    found = []
    chosen = Path(os.environ.get("OCL_ICD_VENDORS") or system_folder())
    if chosen.is_dir():
        found += [Driver(icd, _library(icd)) for icd in _files(chosen)]
    elif chosen.exists() or os.environ.get("OCL_ICD_VENDORS"):
        found.append(Driver(chosen, _library(chosen) if chosen.suffix == ".icd" else str(chosen)))
    found += [Driver(None, name) for name in os.environ.get("OCL_ICD_FILENAMES", "").split(os.pathsep) if name]
    found += [Driver(icd, _library(icd)) for icd in _files(_pyopencl_folder())]
    return found + [Driver(None, library) for library in load().added]


def _pyopencl_folder() -> Path:
    import pyopencl as cl

    return Path(cl.__file__).parent / ".libs"


def _files(folder: Path) -> list[Path]:
    try:
        return sorted(p for p in folder.iterdir() if p.suffix == ".icd")
    except OSError:  # no such folder, or not for us
        return []


def _library(icd: Path) -> str:
    try:
        return icd.read_text(errors="replace").strip()
    except OSError as error:
        return f"{icd} ({error.strerror})"


def platforms_of(driver: Driver) -> int | str:
    """How many platforms a driver offers, asked without the ICD loader; or why it cannot be loaded."""
    try:
        library = ctypes.CDLL(driver.library)
    except OSError as error:
        return str(error)
    try:
        address = library.clGetExtensionFunctionAddress
    except AttributeError:
        return f"{driver.library} is no OpenCL driver"
    address.restype, address.argtypes = ctypes.c_void_p, [ctypes.c_char_p]
    function = address(b"clIcdGetPlatformIDsKHR")
    if not function:
        return f"{driver.library} is no OpenCL driver"
    count = ctypes.c_uint(0)
    signature = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_uint, ctypes.c_void_p, ctypes.POINTER(ctypes.c_uint))
    signature(function)(0, None, ctypes.byref(count))
    return count.value
