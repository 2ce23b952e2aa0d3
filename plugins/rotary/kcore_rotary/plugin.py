"""What this package brings to kcore; the imports stand in the hooks, so that it costs nothing until it is used."""

from __future__ import annotations

from typing import Any

from kcore.plugins import hookimpl

kcore_contract = 1


@hookimpl
def kcore_layers() -> list[type]:
    """The two layers."""
    from kcore_rotary.layers import RMSNormalization, RotaryEmbedding

    return [RotaryEmbedding, RMSNormalization]


@hookimpl
def kcore_ops() -> list[Any]:
    """The rotation."""
    from kcore_rotary.rotate import rotate

    return [rotate]


@hookimpl
def kcore_kernels(backend: str) -> None:
    """The rotation's kernels for NumPy, and for OpenCL and CUDA; other backends run its decomposition."""
    if backend == "numpy":
        import kcore_rotary.numpy_kernels  # noqa: F401
    elif backend in ("opencl", "cuda"):
        import kcore_rotary.c_kernels  # noqa: F401
