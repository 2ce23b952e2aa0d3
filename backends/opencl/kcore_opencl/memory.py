"""Memory of one OpenCL device: the core's slabs over OpenCL's buffers."""

from __future__ import annotations

from typing import Any

import pyopencl as cl

from kcore.backend import slabs
from kcore.backend.slabs import LARGE, SLAB, Array, Block, Pages
from kcore_opencl.errors import explained

__all__ = ["LARGE", "SLAB", "Array", "Block", "Pages", "Pool"]

#: What OpenCL says where there is no memory left, or not so much in one piece.
_EXHAUSTED = frozenset(
    {
        cl.status_code.MEM_OBJECT_ALLOCATION_FAILURE,
        cl.status_code.OUT_OF_RESOURCES,
        cl.status_code.OUT_OF_HOST_MEMORY,
        cl.status_code.INVALID_BUFFER_SIZE,
    }
)


class Pool(slabs.Pool):
    """Gives out blocks of the memory of a `Place`, whose queue runs in order."""

    @property
    def page(self) -> int:
        """Bytes of the largest buffer."""
        return self._place.page

    def _buffer(self, nbytes: int) -> Any:
        flags = cl.mem_flags.READ_WRITE | cl.mem_flags.ALLOC_HOST_PTR
        try:
            buffer = cl.Buffer(self._place.context, flags, nbytes)
        except cl.Error as error:
            if error.code not in _EXHAUSTED:
                raise explained(error, self._place.name) from error
            raise MemoryError(
                f"the device refused {nbytes:,} bytes ({error}); kcore holds {self._nbytes:,}, "
                f"and a single buffer may have at most {self._place.traits.largest:,}"
            ) from error
        return buffer
