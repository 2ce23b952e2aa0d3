"""The OpenCL backend of kcore: whatever OpenCL device the machine has, by kernels that are generated for it."""

from __future__ import annotations

from kcore_opencl.backend import OpenCLBackend

__all__ = ["OpenCLBackend"]
