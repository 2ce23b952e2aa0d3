"""Host memory that the batches of a stream are copied into, used again once nobody refers to a batch in it."""

from __future__ import annotations

import sys
import threading

import numpy as np

#: Arrays of fewer bytes get new memory each time, which the allocator has at hand.
LEAST = 1 << 16


class Buffers:
    """Copies arrays, into the memory of earlier copies that nobody refers to any more.

    New memory for every batch would cost more than copying it: the system hands it out page by page.

    Example:
        >>> buffers = Buffers()
        >>> where = {buffers.copy(np.zeros((n, 40_000)), "float32").ctypes.data for n in (1, 1, 1, 2)}
        >>> len(where)
        2
    """

    def __init__(self) -> None:
        self._kept: list[np.ndarray] = []
        self._lock = threading.Lock()

    def copy(self, array: np.ndarray, dtype: str | np.dtype) -> np.ndarray:
        """A contiguous copy of another dtype, or the same."""
        dtype = np.dtype(dtype)
        if array.size * dtype.itemsize < LEAST:
            return np.array(array, dtype, order="C")
        with self._lock:
            found = self._free(array.shape, dtype)
        np.copyto(found, array, casting="unsafe")
        return found

    def _free(self, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
        unused = [i for i, count in enumerate(_references(self._kept)) if count == _UNUSED]
        for i in unused:
            if self._kept[i].shape == shape and self._kept[i].dtype == dtype:
                return self._kept[i]
        for i in reversed(unused):  # they have other shapes, which may never come again
            del self._kept[i]
        self._kept.append(np.empty(shape, dtype))
        return self._kept[-1]


def _references(arrays: list[np.ndarray]) -> list[int]:
    """How many references there are to each, those of the list and of this function among them."""
    return [sys.getrefcount(array) for array in arrays]


#: What `_references` counts where nobody but the list refers to an array; that differs between versions of Python.
_UNUSED = _references([np.empty(0)])[0]
