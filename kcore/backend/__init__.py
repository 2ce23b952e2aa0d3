"""Backends: what one is, which are installed, and the one in use; and the names of `keras.backend`."""

from __future__ import annotations

import importlib
from typing import Any

import kcore.backend.control  # the kernels every backend has from the core
from kcore.backend.base import Backend, Device, Problem
from kcore.backend.selection import (
    Current,
    backend_of,
    current,
    current_device,
    devices,
    generation,
    is_backend_available,
    use_backend,
)

#: What Keras has in `keras.backend`, and the room each name comes from, which is loaded when it is asked for.
_ELSEWHERE: dict[str, str] = {
    "backend": "kcore.config:backend",
    "clear_session": "kcore.runtime:clear_session",
    "epsilon": "kcore.config:epsilon",
    "floatx": "kcore.config:floatx",
    "image_data_format": "kcore.config:image_data_format",
    "is_float_dtype": "kcore.dtypes:is_float",
    "is_int_dtype": "kcore.dtypes:is_int",
    "is_keras_tensor": "kcore.runtime:is_keras_tensor",
    "result_type": "kcore.dtypes:result_type",
    "set_epsilon": "kcore.config:set_epsilon",
    "set_floatx": "kcore.config:set_floatx",
    "set_image_data_format": "kcore.config:set_image_data_format",
    "standardize_dtype": "kcore.dtypes:standardize_dtype",
}

__all__ = [  # noqa: PLE0604
    "Backend",
    "Current",
    "Device",
    "Problem",
    "backend_of",
    "current",
    "current_device",
    "devices",
    "generation",
    "is_backend_available",
    "use_backend",
    *_ELSEWHERE,
]


def __getattr__(name: str) -> Any:
    if name not in _ELSEWHERE:
        raise AttributeError(f"module 'kcore.backend' has no attribute {name!r}")
    module, _, there = _ELSEWHERE[name].partition(":")
    return getattr(importlib.import_module(module), there)


def __dir__() -> list[str]:
    return __all__
