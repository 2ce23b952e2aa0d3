"""Backends: what one is, which are installed, and the one in use."""

from __future__ import annotations

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

__all__ = [
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
]
