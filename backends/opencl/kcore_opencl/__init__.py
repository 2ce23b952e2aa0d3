"""The OpenCL backend of kcore: whatever OpenCL device the machine has, by kernels that are generated for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kcore_opencl.backend import OpenCLBackend
    from kcore_opencl.tuning.tuner import tune

__all__ = ["OpenCLBackend", "tune"]


def __getattr__(name: str) -> Any:
    # imported when used: the command line asks this package for its commands, on machines without a driver, too
    if name == "OpenCLBackend":
        from kcore_opencl.backend import OpenCLBackend

        return OpenCLBackend
    if name == "tune":
        from kcore_opencl.tuning.tuner import tune

        return tune
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
