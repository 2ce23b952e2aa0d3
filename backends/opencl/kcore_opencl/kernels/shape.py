"""Movement: reshapes are views; the rest are kernels that copy."""

from __future__ import annotations

from typing import Any

from kcore.backend.kernel import Site, Thunk, kernel
from kcore_opencl.memory import Array


def _reshaped(array: Array, shape: tuple[int, ...], **attrs: Any) -> Array:
    return Array(array.block, array.offset - array.block.offset, shape, array.dtype)


@kernel("reshape", backend="opencl", view=_reshaped)
def reshape(site: Site) -> Thunk:
    """A reshape of an array that is not planned as a view: copied."""
    source, target = site.inputs[0], site.outputs[0]
    return lambda: target.block.place.copy(target, source)
