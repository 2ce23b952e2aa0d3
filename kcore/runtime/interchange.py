"""Arrays of other packages that already lie on the device in use, as tensors, without the host."""

from __future__ import annotations

from typing import Any

import numpy as np

from kcore.backend import selection
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


def tells_its_device(x: Any) -> bool:
    """Whether an array says where it lies."""
    return hasattr(type(x), "__dlpack_device__") or hasattr(type(x), "__cuda_array_interface__")


def owned(x: EagerTensor) -> EagerTensor:
    """The tensor in memory of its own."""
    data = x.backend.empty(x.shape, x.dtype, x.device)
    x.backend.copy(data, x.data)
    return EagerTensor(data, x.shape, x.dtype, x.backend, x.device)
