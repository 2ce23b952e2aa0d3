"""Arrays of other packages that lie on the GPU, as arrays of this backend, without a copy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from kcore.dtypes import standardize_dtype
from kcore_cuda import cuda
from kcore_cuda.memory import Array, foreign_array

if TYPE_CHECKING:
    from kcore_cuda.place import Place

#: CUDA's default stream, where an interface names none.
DEFAULT_STREAM = 1
_CUDA_DEVICE, _CUDA_MANAGED = 2, 13
#: Vectors are loaded from addresses that are multiples of this.
VECTOR = 16


def adopt(values: Any, place: Place) -> Array | None:
    """The array, if it lies on the device, without gaps, aligned, and in a dtype kcore has; else None.

    What kcore submits from now on waits for what the array's own stream has.

    Args:
        values: anything with ``__cuda_array_interface__`` or, on a CUDA device, ``__dlpack__``.
        place: the device.
    """
    if isinstance(values, Array):
        return values if values.block.place is place else None
    facts = _interface(values, place)
    if facts is None:
        return None
    owner, ptr, stream, shape, dtype = facts
    if 0 in shape or ptr % VECTOR or _device_of(ptr) != place.gpu.ordinal:
        return None
    place.wait_for(stream)
    return foreign_array(place, owner, ptr, stream, shape, dtype)


def _interface(values: Any, place: Place) -> tuple[Any, int, int, tuple[int, ...], str] | None:
    """Owner, address, stream, shape and dtype of an array on a CUDA device."""
    interface = getattr(values, "__cuda_array_interface__", None)
    if interface is None:
        device = getattr(values, "__dlpack_device__", None)
        if device is None or int(device()[0]) not in (_CUDA_DEVICE, _CUDA_MANAGED):
            return None
        with place.current(), cuda.ExternalStream(place.stream, place.gpu.ordinal):
            values = cuda.from_dlpack(values)
        interface = values.__cuda_array_interface__
    dtype = np.dtype(interface["typestr"])
    shape = tuple(interface["shape"])
    strides = interface.get("strides")
    if strides is not None and tuple(strides) != _contiguous(shape, dtype.itemsize):
        return None
    try:
        name = standardize_dtype(dtype)
    except (TypeError, ValueError):
        return None
    return values, int(interface["data"][0]), int(interface.get("stream") or DEFAULT_STREAM), shape, name


def _contiguous(shape: tuple[int, ...], itemsize: int) -> tuple[int, ...]:
    strides, step = [], itemsize
    for n in reversed(shape):
        strides.append(step)
        step *= n
    return tuple(reversed(strides))


def _device_of(ptr: int) -> int:
    """The GPU an address lies on."""
    return cuda.runtime.pointerGetAttributes(ptr).device
