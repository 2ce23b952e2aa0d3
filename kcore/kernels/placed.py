"""A backend each of whose devices has one object that keeps its state: memory, programs, what it is like."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from kcore.backend.base import Device
from kcore.backend.batch import Rows
from kcore.backend.kernel import Site, Thunk
from kcore.backend.slabs import Pool
from kcore.kernels.backend import GeneratedBackend
from kcore.kernels.traits import Traits


class Place(Protocol):
    """One device at work; its arrays know it as ``array.block.place``.

    Attributes:
        traits: what kernel generators want to know of it.
        pool: its memory.
        profile: the record of what it does, or None where nobody asked for one.
    """

    profile: Any

    @property
    def traits(self) -> Traits: ...

    @property
    def pool(self) -> Pool: ...

    def allocate(self, nbytes: int) -> Any:
        """Raw memory."""

    def array(self, shape: tuple[int, ...], dtype: str) -> Any:
        """A new array with undefined contents."""

    def write(self, array: Any, values: np.ndarray) -> None:
        """Copy host values in; they may change when it returns."""

    def gather(self, array: Any, rows: Rows) -> None:
        """Begin to gather rows of a host array into an array."""

    def read(self, array: Any) -> np.ndarray:
        """Wait for an array and copy it to the host."""

    def copy(self, dst: Any, src: Any) -> None:
        """Copy between two arrays of this device."""

    def synchronize(self) -> None:
        """Wait for all that was submitted."""


class PlacedBackend(GeneratedBackend):
    """A `GeneratedBackend` that leaves memory and transfers to the `Place` of the device or of the array."""

    @abstractmethod
    def place(self, device: Device) -> Place:
        """The state of a device, made when it is first asked for."""

    def traits(self, device: Device) -> Traits:
        """What generators want to know of a device."""
        return self.place(device).traits

    def synchronize(self, device: Device) -> None:
        """Wait for all that was submitted."""
        self.place(device).synchronize()

    def held(self, device: Device) -> int:
        """Bytes of the device's memory that this process has taken."""
        return self.place(device).pool.nbytes

    def allocate(self, nbytes: int, device: Device) -> Any:
        """Raw device memory."""
        return self.place(device).allocate(nbytes)

    def empty(self, shape: tuple[int, ...], dtype: str, device: Device) -> Any:
        """A new array with undefined contents."""
        return self.place(device).array(shape, dtype)

    def upload(self, array: Any, values: np.ndarray) -> None:
        """Copy host values in."""
        array.block.place.write(array, values)

    def gather(self, array: Any, rows: Rows) -> None:
        """Gather the rows of a batch while the device still computes the step before."""
        array.block.place.gather(array, rows)

    def download(self, array: Any) -> np.ndarray:
        """Wait for the array and copy it out."""
        return array.block.place.read(array)

    def copy(self, dst: Any, src: Any) -> None:
        """Copy on the device."""
        dst.block.place.copy(dst, src)

    def row(self, array: Any, index: int) -> Any:
        """An element of the first axis, over the same memory."""
        return array.row(index)

    def rows(self, array: Any, start: int, stop: int) -> Any:
        """Some elements of the first axis, over the same memory."""
        return array.rows(start, stop)

    # -- steps ---------------------------------------------------------------------------------------------------

    @abstractmethod
    def joinable(self, site: Site, thunk: Thunk) -> Any:
        """What a thunk is within a run of submissions; None if it goes back to the host."""

    @abstractmethod
    def joined(self, run: Sequence[Any], numbers: Sequence[int]) -> Thunk:
        """One thunk for neighbouring `joinable` ones, whose numbers in the step are given."""

    def alone(self, site: Site, thunk: Thunk) -> Thunk:
        """A thunk between runs."""
        return thunk

    def arrange(self, launches: Sequence[tuple[Site, Thunk]]) -> list[tuple[Thunk, list[int]]]:
        """Build every kernel of the step at once, then join neighbours that need not go back to the host."""
        self.build(launches)
        parts: list[tuple[Thunk, list[int]]] = []
        run: list[Any] = []
        numbers: list[int] = []

        def close() -> None:
            if run:
                parts.append((self.joined(list(run), list(numbers)), list(numbers)))
                run.clear()
                numbers.clear()

        for i, (site, thunk) in enumerate(launches):
            submission = self.joinable(site, thunk)
            if submission is not None:
                run.append(submission)
                numbers.append(i)
                continue
            close()
            profile = self.place(site.device).profile
            parts.append((self.alone(site, profile.on_host(site, thunk) if profile else thunk), [i]))
        close()
        return parts
