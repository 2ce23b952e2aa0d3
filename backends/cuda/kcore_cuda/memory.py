"""Memory of one GPU: the core's slabs inside CuPy's pool, arrays with an address, and both doors to other packages."""

from __future__ import annotations

from typing import Any

from kcore.backend import slabs
from kcore.backend.slabs import Block
from kcore.dtypes import numpy_dtype
from kcore_cuda import cuda, settings
from kcore_cuda.errors import FULL, status_of

#: Arrays begin at multiples of this many bytes: more than vectors and tensor cores ask for.
ALIGNMENT = 64


class Array(slabs.Array):
    """A contiguous array in a GPU's memory, which other packages read where it lies.

    It hands itself out by ``__cuda_array_interface__`` and DLPack, for reading: what is written there shows through,
    and kcore's tensors are meant never to change.
    """

    __slots__ = ()

    @property
    def ptr(self) -> int:
        """Address of the first element."""
        return self.buffer.ptr + self.offset

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        if self.dtype == "bfloat16":  # which that interface cannot say; DLPack can
            raise AttributeError("__cuda_array_interface__ has no bfloat16")
        return {
            "shape": self.shape,
            "typestr": numpy_dtype(self.dtype).str,
            "data": (self.ptr if self.size else 0, False),
            "strides": None,
            "version": 3,
            "stream": self.block.place.stream,
        }

    def __dlpack__(self, **options: Any) -> Any:
        """A DLPack capsule over this memory, ordered behind what kcore has submitted for the stream that asks."""
        place = self.block.place
        with place.current(), cuda.ExternalStream(place.stream, place.gpu.ordinal):
            return self._as_cupy().__dlpack__(**options)

    def __dlpack_device__(self) -> tuple[int, int]:
        return 2, self.block.place.gpu.ordinal  # kDLCUDA

    def _as_cupy(self) -> Any:
        """The same memory as a CuPy array, which keeps this array's block."""
        owned = cuda.memory.UnownedMemory(self.ptr, max(self.nbytes, 1), self.block, self.block.place.gpu.ordinal)
        return cuda.ndarray(self.shape, numpy_dtype(self.dtype), cuda.memory.MemoryPointer(owned, 0))

    def __repr__(self) -> str:
        return f"<cuda array {self.dtype}{list(self.shape)} at {self.ptr:#x}>"


class Pool(slabs.Pool):
    """Gives out blocks of the memory of a `Place`, whose stream runs in order."""

    def __init__(self, place: Any):
        super().__init__(place)
        self.limit = settings.memory_limit(place.gpu.memory)

    def _buffer(self, nbytes: int) -> Any:
        place = self._place
        place.outside_capture("memory cannot be allocated")
        if self._nbytes + nbytes > self.limit:
            raise MemoryError(
                f"{nbytes:,} bytes more than the {self._nbytes:,} that kcore holds would exceed the limit of "
                f"{self.limit:,} ({settings.MEMORY})"
            )
        try:
            # of the arena of this stream: what is given back is used again in its order
            with place.current(), cuda.ExternalStream(place.stream, place.gpu.ordinal):
                return cuda.get_default_memory_pool().malloc(nbytes)
        except MemoryError as error:
            raise MemoryError(f"the GPU refused {nbytes:,} bytes ({error}); kcore holds {self._nbytes:,}") from error
        except Exception as error:
            if status_of(error) == FULL:
                raise MemoryError(f"the GPU refused {nbytes:,} bytes ({error})") from error
            raise place.failed(error) from error


class Foreign:
    """The memory of an array of another package, as a buffer; it keeps that array.

    Attributes:
        ptr: its address.
        stream: the stream its owner works on; 1 is CUDA's default one.
    """

    __slots__ = ("owner", "ptr", "stream")

    def __init__(self, owner: Any, ptr: int, stream: int):
        self.owner = owner
        self.ptr = ptr
        self.stream = stream


def foreign_array(place: Any, owner: Any, ptr: int, stream: int, shape: tuple[int, ...], dtype: str) -> Array:
    """Another package's memory as an array of this backend, without a copy."""
    array = Array(Block(place, Foreign(owner, ptr, stream), 0, 0), 0, shape, dtype)
    array.block.nbytes = array.nbytes
    return array
