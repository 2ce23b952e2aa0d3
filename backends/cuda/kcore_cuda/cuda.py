"""CuPy's doors to CUDA, each opened when it is first used: this backend calls CUDA through here and nowhere else.

Importing this imports nothing of CuPy, which takes a second and wants a driver to be of use.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    runtime: Any
    driver: Any
    nvrtc: Any
    memory: Any
    ExternalStream: Any
    get_default_memory_pool: Any
    ndarray: Any
    from_dlpack: Any

#: Where each name lies in CuPy.
_DOORS = {
    "runtime": ("cupy.cuda.runtime", ""),
    "driver": ("cupy.cuda.driver", ""),
    "nvrtc": ("cupy.cuda.nvrtc", ""),
    "memory": ("cupy.cuda.memory", ""),
    "ExternalStream": ("cupy.cuda", "ExternalStream"),
    "get_default_memory_pool": ("cupy", "get_default_memory_pool"),
    "ndarray": ("cupy", "ndarray"),
    "from_dlpack": ("cupy", "from_dlpack"),
}


def __getattr__(name: str) -> Any:
    if name not in _DOORS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    package = importlib.import_module("cupy")
    importlib.import_module("cupy.cuda")
    module, attribute = _DOORS[name]
    value: Any = package
    for part in module.split(".")[1:]:
        value = getattr(value, part)
    value = getattr(value, attribute) if attribute else value
    globals()[name] = value
    return value
