"""A data set that lies on a device: its batches are gathered there, and never come to the host."""

from __future__ import annotations

from typing import Any

import numpy as np

from kcore.backend import compile as backend_compile
from kcore.backend.base import Backend, Device
from kcore.backend.kernel import Site
from kcore.dtypes import numpy_dtype
from kcore.graph.core import Node, Value
from kcore.graph.op import OPS, Spec

#: Sizes of batches whose memory and kernel are kept: those of training, of its last batch, and as many of another loop.
KEPT = 4


class Resident:
    """Rows of an array in a device's memory; slices of it lie over the same memory.

    Args:
        data: the backend's array, contiguous.
        dtype: its dtype.
        backend, device: where it lies.
    """

    __slots__ = ("__weakref__", "_gathers", "backend", "data", "device", "dtype", "shape")

    def __init__(self, data: Any, dtype: str, backend: Backend, device: Device):
        self.data = data
        self.shape: tuple[int, ...] = tuple(data.shape)
        self.dtype = numpy_dtype(dtype)
        self.backend = backend
        self.device = device
        self._gathers: dict[int, _Gather] = {}

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, part: slice) -> Resident:
        start, stop, _ = part.indices(len(self))
        return Resident(self.backend.rows(self.data, start, stop), self.dtype.name, self.backend, self.device)

    def lies_on(self, backend: Backend, device: Device) -> bool:
        """Whether that is where it lies."""
        return self.backend is backend and self.device == device

    def gather(self, out: Any, rows: slice | np.ndarray) -> None:
        """Begin to copy some rows to an array of the same device.

        Args:
            out: the backend's array, of the dtype of this one.
            rows: a slice without steps, or row numbers.
        """
        if isinstance(rows, slice):
            start, stop, _ = rows.indices(len(self))
            self.backend.copy(out, self.backend.rows(self.data, start, stop))
        elif len(rows):
            found = self._gathers.get(len(rows))
            if found is None:
                if len(self._gathers) == KEPT:
                    self._gathers.clear()
                found = self._gathers[len(rows)] = _Gather(self, len(rows))
            self.backend.copy(out, found.of(rows))

    def read(self, rows: slice | np.ndarray) -> np.ndarray:
        """Some rows on the host."""
        count = len(range(*rows.indices(len(self)))) if isinstance(rows, slice) else len(rows)
        out = self.backend.empty((count, *self.shape[1:]), self.dtype.name, self.device)
        self.gather(out, rows)
        return self.backend.download(out)

    def numpy(self) -> np.ndarray:
        """All of it on the host."""
        return self.backend.download(self.data)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return self.numpy() if dtype is None else self.numpy().astype(dtype)


class _Gather:
    """The kernel that gathers so many rows, bound once; they land in memory of its own.

    Args:
        source: whose rows.
        count: how many.
    """

    __slots__ = ("_backend", "_indices", "_landing", "_thunk", "_type")

    def __init__(self, source: Resident, count: int):
        backend, device = source.backend, source.device
        self._backend = backend
        kind = "int32" if len(source) < 2**31 else "int64"
        self._type = numpy_dtype(kind)
        spec = Spec((count, *source.shape[1:]), source.dtype.name)
        node = Node(OPS["gather"], [Value(source.shape, spec.dtype), Value((count,), kind)], {"axis": 0}, [spec])
        kernel = backend_compile.choose(backend, node) or backend_compile.host_kernel(backend, node)
        self._indices = backend.empty((count,), kind, device)
        self._landing = backend.empty(tuple(spec.shape), spec.dtype, device)  # type: ignore[arg-type]
        nbytes = int(kernel.scratch(node)) if kernel.scratch is not None else 0
        storage = backend.allocate(nbytes, device) if nbytes else None
        scratch = backend.view(storage, 0, (nbytes,), "uint8") if nbytes else None
        arrays = (source.data, self._indices)
        self._thunk = kernel.bind(Site(node, arrays, (self._landing,), scratch, device, (backend, storage, 0)))

    def of(self, rows: np.ndarray) -> Any:
        """The rows of these numbers, until the next are asked for."""
        self._backend.upload(self._indices, rows.astype(self._type))
        with self._backend.session():
            self._thunk()
        return self._landing
