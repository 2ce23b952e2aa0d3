"""NVIDIA's libraries: cuBLAS, which CuPy brings, and cuBLASLt and cuDNN where their packages are installed.

A module each. What can be decided without a device (operand order, leading dimensions, descriptors, epilogues) is a
pure function there; the rest are calls that are made ready when a step is compiled, and submitted when it runs.
"""

from __future__ import annotations

import weakref
from functools import cached_property
from typing import TYPE_CHECKING, Any

from kcore.backend.base import Problem
from kcore_cuda.libraries import cublas, cublaslt, cudnn

if TYPE_CHECKING:
    from kcore_cuda.place import Place

__all__ = ["Libraries", "libraries_of", "missing"]


class Libraries:
    """The handles of one device, each made when it is first used, all for the device's stream.

    Args:
        place: the device. `stream` is the address of its stream, `array(shape, dtype)` gives memory, `current()` makes
            it CUDA's current device, and `gpu.capability` says how new it is.
    """

    def __init__(self, place: Place):
        self._place = weakref.proxy(place)

    @cached_property
    def _workspace(self) -> Any:
        """Memory that cuBLAS and cuBLASLt work in, one call after the other."""
        return self._place.array((cublas.workspace_bytes(self._place.gpu.capability),), "uint8")

    @cached_property
    def cublas(self) -> cublas.Cublas:
        """cuBLAS."""
        with self._place.current():
            return cublas.Cublas(self._place.stream, (self._workspace.ptr, self._workspace.nbytes))

    @cached_property
    def cublaslt(self) -> cublaslt.CublasLt:
        """cuBLASLt; only where it is available."""
        with self._place.current():
            return cublaslt.CublasLt(self._place.stream, (self._workspace.ptr, self._workspace.nbytes))

    @cached_property
    def cudnn(self) -> cudnn.Cudnn:
        """cuDNN; only where it is available."""
        with self._place.current():
            return cudnn.Cudnn(self._place.stream)


_made: weakref.WeakKeyDictionary[Any, Libraries] = weakref.WeakKeyDictionary()


def libraries_of(place: Place) -> Libraries:
    """The libraries of a device."""
    found = _made.get(place)
    if found is None:
        found = _made[place] = Libraries(place)
    return found


def missing(cuda: int = 13) -> list[Problem]:
    """What `kcore doctor` says of optional libraries that are not installed: what would be gained, and what to type.

    Args:
        cuda: major version of CUDA that the installed CuPy is for.
    """
    return [p for p in (cudnn.missing(cuda), cublaslt.missing()) if p is not None]
