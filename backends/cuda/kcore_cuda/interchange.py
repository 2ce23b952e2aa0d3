"""Arrays of other packages that lie on the GPU, as arrays of this backend, without a copy."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from kcore.dtypes import standardize_dtype
from kcore_cuda import cuda
from kcore_cuda.errors import status_of
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
    if getattr(values, "requires_grad", False):
        values = values.detach()  # torch's, which says nothing of itself while it is watched
    interface = getattr(values, "__cuda_array_interface__", None)
    stream = _stream_of(values, interface or {}, place)
    if interface is None or np.dtype(interface["typestr"]).kind == "V":  # bfloat16 has no name there
        values = _by_dlpack(values, place)
        if values is None:
            return None
        interface = values.__cuda_array_interface__
    dtype = np.dtype(interface["typestr"])
    if dtype.kind == "V":
        dtype = values.dtype
    shape = tuple(interface["shape"])
    strides = interface.get("strides")
    if strides is not None and tuple(strides) != _contiguous(shape, dtype.itemsize):
        return None
    try:
        name = standardize_dtype(dtype)
    except (TypeError, ValueError):
        return None
    return values, int(interface["data"][0]), stream, shape, name


def _by_dlpack(values: Any, place: Place) -> Any:
    """The array as CuPy's, ordered for kcore's stream; None if it lies on no CUDA device or cannot be handed over."""
    device = getattr(values, "__dlpack_device__", None)
    if device is None or int(device()[0]) not in (_CUDA_DEVICE, _CUDA_MANAGED):
        return None
    try:
        with place.current(), cuda.ExternalStream(place.stream, place.gpu.ordinal):
            return cuda.from_dlpack(values)
    except (BufferError, RuntimeError, TypeError, ValueError) as error:
        if status_of(error):
            raise
        return None  # a dtype that CuPy does not know: it goes through the host


def _stream_of(values: Any, interface: Mapping[str, Any], place: Place) -> int:
    """The stream that the array's owner works on, which must not run ahead of what kcore reads."""
    if "stream" in interface:
        return int(interface["stream"] or DEFAULT_STREAM)
    torch = sys.modules.get("torch")  # whose interface does not tell it
    if torch is not None and isinstance(values, torch.Tensor):
        return int(torch.cuda.current_stream(place.gpu.ordinal).cuda_stream) or DEFAULT_STREAM
    return DEFAULT_STREAM


def _contiguous(shape: tuple[int, ...], itemsize: int) -> tuple[int, ...]:
    strides, step = [], itemsize
    for n in reversed(shape):
        strides.append(step)
        step *= n
    return tuple(reversed(strides))


def _device_of(ptr: int) -> int:
    """The GPU an address lies on."""
    return cuda.runtime.pointerGetAttributes(ptr).device
