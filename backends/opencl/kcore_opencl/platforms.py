"""Finding OpenCL's drivers: Intel's CPU runtime is made usable from the environment it is installed in, then all are listed."""

from __future__ import annotations

import ctypes
import os
import sys
from functools import cache
from pathlib import Path
from typing import Any

from platformdirs import user_cache_path

#: Libraries Intel's runtime needs from beside it, in the order of loading.
_PRELOAD = ("libintlc.so.5", "libimf.so", "libirng.so", "libsvml.so", "libtbb.so.12")


def cache_folder() -> Path:
    """Where this backend keeps what it may lose: compiled kernels, tuning results, driver files."""
    return Path(os.environ.get("KCORE_CACHE_DIR") or user_cache_path("kcore")) / "opencl"


def prepare() -> None:
    """Make the drivers that pip installed visible to the ICD loader; must run before pyopencl is imported."""
    if os.environ.get("OCL_ICD_VENDORS") or os.environ.get("OCL_ICD_FILENAMES"):
        return
    libraries = Path(sys.prefix) / "lib"
    driver = libraries / "libintelocl.so"
    if not driver.exists():
        return
    for name in _PRELOAD:
        ctypes.CDLL(str(libraries / name), ctypes.RTLD_GLOBAL)
    folder = cache_folder() / "vendors"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "intel.icd").write_text(f"{driver}\n")
    for known in (Path("/etc/OpenCL/vendors"),):
        for icd in known.glob("*.icd") if known.exists() else ():
            (folder / icd.name).write_text(icd.read_text())
    os.environ["OCL_ICD_VENDORS"] = str(folder)


@cache
def devices() -> list[Any]:
    """Every OpenCL device, GPUs first, without doubles."""
    prepare()
    import pyopencl as cl

    found: dict[tuple[str, str, str], list[Any]] = {}
    for platform in cl.get_platforms():
        listed = platform.get_devices()
        key = (platform.name, platform.version, ",".join(d.name for d in listed))
        found.setdefault(key, listed)
    everything = [d for listed in found.values() for d in listed]
    return sorted(everything, key=lambda d: (d.type & cl.device_type.GPU == 0, "Intel" not in d.platform.name))
