"""Arrays of other packages that already lie on the device in use, as tensors, without the host."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from kcore.backend import selection
from kcore.backend.batch import Rows
from kcore.backend.resident import Resident
from kcore.graph.op import OPS
from kcore.runtime.tensor import EagerTensor


def on_device(x: Any) -> EagerTensor | None:
    """The tensor of an array that lies on the device in use, over the same memory; None if it does not lie there.

    Args:
        x: a tensor of kcore, or anything that tells by ``__cuda_array_interface__`` or DLPack where it lies.
    """
    kind = type(x)
    if kind is EagerTensor:
        place = selection.current()
        return x if x.backend is place.backend and x.device == place.device else None
    if isinstance(x, np.ndarray | np.generic) or not tells_its_device(x):
        return None
    place = selection.current()
    data = place.backend.adopt(x, place.device)
    return None if data is None else EagerTensor(data, data.shape, data.dtype, place.backend, place.device)


def resident(x: Any, dtype_of: Callable[[EagerTensor], str]) -> Resident | None:
    """A data set that lies on the device in use, whose batches are gathered there; None if the host has it.

    Args:
        x: a tensor of kcore, or anything that tells by ``__cuda_array_interface__`` or DLPack where it lies.
        dtype_of: the dtype of its batches; where it has another one it is cast once, on the device.
    """
    tensor = on_device(x)
    if tensor is None or not tensor.shape or isinstance(tensor.data, np.ndarray):
        return None
    dtype = dtype_of(tensor)
    if dtype != tensor.dtype:
        tensor = OPS["cast"](tensor, dtype=dtype)
    return Resident(tensor.data, tensor.dtype, tensor.backend, tensor.device)


def gathered(rows: Rows) -> EagerTensor | np.ndarray:
    """The rows of a batch: on the device in use if they lie there, else on the host."""
    place, source = selection.current(), rows.array
    if not isinstance(source, Resident) or not source.lies_on(place.backend, place.device):
        return rows.gather()
    out = place.backend.empty(rows.shape, source.dtype.name, place.device)
    source.gather(out, rows.indices)
    return EagerTensor(out, rows.shape, source.dtype.name, place.backend, place.device)


def tells_its_device(x: Any) -> bool:
    """Whether an array says where it lies."""
    return hasattr(type(x), "__dlpack_device__") or hasattr(type(x), "__cuda_array_interface__")


def owned(x: EagerTensor) -> EagerTensor:
    """The tensor in memory of its own."""
    data = x.backend.empty(x.shape, x.dtype, x.device)
    x.backend.copy(data, x.data)
    return EagerTensor(data, x.shape, x.dtype, x.backend, x.device)
