"""Compiled OpenCL programs on disk, and what they depend on.

Drivers that keep a cache of their own by source text, and whose binaries do not hold all of the machine code (PoCL
compiles once more for the size of a work-group), get back the very text they know instead.
"""

from __future__ import annotations

import platform
import re
from collections.abc import Sequence
from contextlib import suppress
from functools import cache as once
from importlib.metadata import version
from typing import Any

from kcore.backend.disk_cache import DiskCache, digest
from kcore_opencl.cache import CACHE


def disk_cache(device: Any, options: Sequence[str], by_source: bool) -> DiskCache:
    """The stored programs of one device.

    Args:
        device: PyOpenCL's device.
        options: how programs are built.
        by_source: whether the driver's own cache is used: programs are kept as text.
    """
    return DiskCache(CACHE, {**identity(device), "options": " ".join(options), "form": str(by_source)})


def identity(device: Any) -> dict[str, str]:
    """All that a compiled program or a measured choice depends on but for its source: device, driver, versions."""
    about = {
        "platform": f"{device.platform.name} {device.platform.version}".strip(),
        "device": device.name.strip(),
        "driver": device.driver_version,
        "extensions": digest(" ".join(sorted(device.extensions.split()))),
        "vectors": f"{device.native_vector_width_float} {device.preferred_vector_width_float}",
        "units": str(device.max_compute_units),
        "kcore": f"{version('kcore')} {version('kcore-opencl')}",
    }
    if device.type & _cpu_type():
        about["processor"] = processor()
    return about


def _cpu_type() -> int:
    import pyopencl as cl

    return cl.device_type.CPU


@once
def processor() -> str:
    """What the host's processor can do: machine code for one that can do more would crash here."""
    features = platform.machine()
    with suppress(OSError), open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
        for line in file:
            if re.match(r"(flags|Features)\s*:", line):
                return f"{features} {digest(line)}"
    return f"{features} {platform.processor()}"
