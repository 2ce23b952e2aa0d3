"""The OpenCL backend: devices, memory, and steps as one sequence of enqueues."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from kcore.backend.base import Device, Problem
from kcore.backend.kernel import Site, Thunk
from kcore.codegen import Code
from kcore.kernels import PlacedBackend, provide
from kcore_opencl import drivers

drivers.load()

import pyopencl as cl  # noqa: E402  (the drivers must be made visible before it is imported)

from kcore_opencl import diagnosis, feeding, profile, sub_devices  # noqa: E402
from kcore_opencl.device_list import MAKERS, DeviceList  # noqa: E402
from kcore_opencl.errors import explained  # noqa: E402
from kcore_opencl.launch import Launch, launch  # noqa: E402
from kcore_opencl.memory import Array, Block, Pages  # noqa: E402
from kcore_opencl.place import ALIGNMENT, Place, feeders, place_of, places  # noqa: E402


class OpenCLBackend(PlacedBackend):
    """Every op on an OpenCL device, by generated kernels."""

    name = "opencl"
    rank = 20
    kcore_contract = 1
    alignment = ALIGNMENT

    def __init__(self) -> None:
        provide("opencl", package="kcore-opencl")
        self._list = DeviceList()

    def devices(self) -> list[Device]:
        """The devices that answer, GPUs first."""
        return self._list.devices

    def unused(self) -> list[tuple[Device, str]]:
        """The devices that cannot be used."""
        return self._list.unused

    def problems(self) -> list[Problem]:
        """What is not used and why: devices, drivers, and GPUs without a driver."""
        return [*self._list.problems, *diagnosis.problems(self.devices())]

    def find_device(self, wanted: str) -> Device | None:
        """A device by number, maker or part of its name, or a piece of one (``0.1``)."""
        wish = sub_devices.parse(wanted)
        whole = self.find_device(wish[0]) if wish else None
        if wish and whole:
            return self._list.piece(whole, *wish[1:])
        maker = wanted.lower()
        return self._list.of_maker(maker) if maker in MAKERS else super().find_device(wanted)

    def place(self, device: Device) -> Place:
        """The state of a device, tested when it is first used."""
        return place_of(device)

    # -- memory --------------------------------------------------------------------------------------------------

    def release(self) -> None:
        """Let go of compiled kernels that no executable runs."""
        for place in places():
            place.programs.release()

    def largest(self, device: Device) -> int:
        """Bytes of the largest single buffer."""
        return place_of(device).page

    def view(self, storage: Block | Pages, offset: int, shape: tuple[int, ...], dtype: str) -> Array:
        """An array over part of a block."""
        if isinstance(storage, Pages):
            number, offset = divmod(offset, storage.page)
            storage = storage.blocks[number]
        return Array(storage, offset, shape, dtype)

    # -- computing -----------------------------------------------------------------------------------------------

    def bind(self, site: Site, code: Code) -> Thunk:
        """Code bound to a site's arrays."""
        return launch(site, code)

    def session(self) -> Any:
        """The context around a step: when it ends no array of the user's is read any more; KCORE_PROFILE notes it."""
        return feeding.Session(feeders, profile.session())

    def build(self, launches: Iterable[tuple[Site, Thunk]]) -> None:
        """Build what is not there yet, many kernels as one program."""
        generated = [thunk for _, thunk in launches if isinstance(thunk, Launch)]
        if generated:
            generated[0].place.programs.build(s for thunk in generated for s in thunk.code.launches)

    def joinable(self, site: Site, thunk: Thunk) -> Launch | None:
        """A launch of generated kernels."""
        return thunk if isinstance(thunk, Launch) else None

    def joined(self, run: Sequence[Launch], numbers: Sequence[int]) -> Thunk:
        """One run of enqueues."""
        return _enqueued(run, numbers)


def _enqueued(run: Sequence[Launch], numbers: Sequence[int]) -> Thunk:
    """One thunk that enqueues the kernels of several launches; an error in it carries the number of its launch."""
    place = run[0].place
    if place.profile:
        enqueue_all = place.profile.launches(run, numbers)
        return lambda: place.stepped(enqueue_all())
    queue = place.queue
    calls = [(kernel, size, local) for launch in run for kernel, size, local in launch.ready()]
    number_of = {id(kernel): n for launch, n in zip(run, numbers, strict=True) for kernel, _, _ in launch.ready()}
    enqueue = cl.enqueue_nd_range_kernel

    def thunk() -> None:
        event = None
        try:
            for kernel, size, local in calls:
                event = enqueue(queue, kernel, size, local)
        except cl.Error as error:
            failed = explained(error, place.name)
            failed.launch = number_of[id(kernel)]  # type: ignore[attr-defined]
            raise failed from error
        if event is not None:
            place.stepped(event)

    return thunk
