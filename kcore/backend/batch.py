"""A batch that has not been gathered yet: rows of an array, written straight into a planned input buffer."""

from __future__ import annotations

from typing import Any

import numpy as np


class Rows:
    """Some rows of an array, to be gathered where they are wanted.

    Args:
        array: host array, or a `kcore.backend.resident.Resident` on a device; first axis the samples.
        indices: int64 row numbers, or a slice.
        dtype: dtype on the device; that of the array if not given.
    """

    __slots__ = ("array", "dtype", "indices", "shape")

    def __init__(self, array: Any, indices: np.ndarray | slice, dtype: str | None = None):
        self.array = array
        self.indices = indices
        count = len(range(*indices.indices(len(array)))) if isinstance(indices, slice) else len(indices)
        self.shape = (count, *array.shape[1:])
        self.dtype = dtype or array.dtype.name

    def into(self, out: np.ndarray) -> None:
        """Gather into an array of this shape; conversion of dtype happens on the way."""
        if not isinstance(self.array, np.ndarray):
            np.copyto(out, self.array.read(self.indices), casting="unsafe")
        elif isinstance(self.indices, slice):
            np.copyto(out, self.array[self.indices], casting="unsafe")
        elif out.dtype == self.array.dtype:
            # mode="clip" keeps numpy from gathering into a temporary first; the indices are the loader's own
            np.take(self.array, self.indices, axis=0, out=out, mode="clip")
        else:
            for i, row in enumerate(self.indices):
                out[i] = self.array[row]

    def gather(self) -> np.ndarray:
        """The rows as a new array."""
        out = np.empty(self.shape, _np_dtype(self.dtype))
        self.into(out)
        return out

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return self.gather() if dtype is None else self.gather().astype(dtype)


def _np_dtype(name: str) -> np.dtype:
    from kcore.dtypes import numpy_dtype

    return numpy_dtype(name)
