"""What a backend of generated kernels is: it says what a device is like and binds the code that is made for it."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, Protocol

from kcore.backend.base import Backend, Device
from kcore.backend.kernel import Site, Thunk
from kcore.codegen import Code
from kcore.kernels.traits import Traits


class DeviceArray(Protocol):
    """What generated kernels ask of a backend's arrays: contiguous memory somewhere in a buffer.

    Attributes:
        buffer: what a kernel gets as its argument.
        offset: bytes from there to the first element.
        shape, dtype, size, nbytes: as NumPy's.
    """

    buffer: Any
    offset: int
    shape: tuple[int, ...]
    dtype: str
    size: int
    nbytes: int

    def reshaped(self, shape: tuple[int, ...]) -> DeviceArray:
        """The same memory in another shape of as many elements."""
        ...


class GeneratedBackend(Backend):
    """A backend whose kernels are C text made by `kcore.kernels`: subclass it and call `kcore.kernels.provide`.

    Example::

        class Metal(GeneratedBackend):
            name = "metal"

            def __init__(self):
                provide("metal", package="kcore-metal")

            def traits(self, device): ...   # with a `kcore.codegen.Dialect` of its own
            def bind(self, site, code): ...
    """

    @abstractmethod
    def traits(self, device: Device) -> Traits:
        """What generators want to know of a device; equal each time it is asked."""

    @abstractmethod
    def bind(self, site: Site, code: Code) -> Thunk:
        """Bind code to a site's arrays; the thunk submits its kernels in order."""
