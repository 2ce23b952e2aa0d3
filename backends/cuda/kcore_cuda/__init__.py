"""The CUDA backend of kcore: NVIDIA GPUs, by generated kernels, CUDA graphs and NVIDIA's libraries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kcore_cuda.backend import CUDABackend

__all__ = ["CUDABackend"]


def __getattr__(name: str) -> Any:
    # imported when used, so that the parts which need no GPU can be used alone
    if name == "CUDABackend":
        from kcore_cuda.backend import CUDABackend

        return CUDABackend
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
