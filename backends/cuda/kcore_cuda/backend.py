"""The CUDA backend: devices, memory, and steps as CUDA graphs."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterable, Sequence
from typing import Any

import kcore_cuda.kernels
from kcore.backend.base import Device, Problem
from kcore.backend.kernel import Site, Thunk
from kcore.backend.slabs import Block
from kcore.codegen import Code
from kcore.graph.core import Graph
from kcore.kernels import PlacedBackend, provide
from kcore_cuda import interchange, profile
from kcore_cuda.device_list import DeviceList
from kcore_cuda.graphs import Loop, Run, is_recordable, sources_of
from kcore_cuda.kernels import normalization
from kcore_cuda.launch import Submission, launch
from kcore_cuda.memory import ALIGNMENT, Array
from kcore_cuda.place import Place, place_of, places


class CUDABackend(PlacedBackend):
    """Every op on an NVIDIA GPU, by generated kernels and NVIDIA's libraries."""

    name = "cuda"
    rank = 30
    kcore_contract = 1
    alignment = ALIGNMENT

    def __init__(self) -> None:
        provide("cuda", package="kcore-cuda")
        for module in pkgutil.iter_modules(kcore_cuda.kernels.__path__, "kcore_cuda.kernels."):
            importlib.import_module(module.name)
        self._list = DeviceList()

    def devices(self) -> list[Device]:
        """The GPUs that can be used, in CUDA's order."""
        return self._list.devices

    def unused(self) -> list[tuple[Device, str]]:
        """The GPUs that cannot be used."""
        return self._list.unused

    def problems(self) -> list[Problem]:
        """What is missing, and what optional libraries would gain."""
        return self._list.problems

    def place(self, device: Device) -> Place:
        """The state of a GPU."""
        return place_of(device)

    # -- memory --------------------------------------------------------------------------------------------------

    def release(self) -> None:
        """Let go of compiled kernels that no executable runs."""
        for place in places():
            place.programs.release()

    def view(self, storage: Block, offset: int, shape: tuple[int, ...], dtype: str) -> Array:
        """An array over part of a block."""
        return Array(storage, offset, shape, dtype)

    def adopt(self, values: Any, device: Device) -> Array | None:
        """An array of CuPy, torch or another package that lies on the device, without a copy."""
        return interchange.adopt(values, place_of(device))

    # -- computing -----------------------------------------------------------------------------------------------

    def substitute(self, graph: Graph) -> None:
        """Batch normalization by cuDNN, where it should win."""
        normalization.substitute(graph)

    def bind(self, site: Site, code: Code) -> Thunk:
        """Generated code bound to a site's arrays."""
        return launch(site, code)

    def build(self, launches: Iterable[tuple[Site, Thunk]]) -> None:
        """Compile what is not there yet, many kernels as one program."""
        submissions = [thunk for _, thunk in launches if isinstance(thunk, Submission)]
        if submissions:
            place = submissions[0].place
            with place.working():
                place.programs.build(sources_of(submissions))

    def session(self) -> Any:
        """The context around a step: KCORE_PROFILE notes it."""
        return profile.session()

    def joinable(self, site: Site, thunk: Thunk) -> Submission | None:
        """A submission, or a loop of them."""
        if is_recordable(thunk):
            return Loop(thunk, place_of(site.device), site.node)
        return thunk if isinstance(thunk, Submission) else None

    def joined(self, run: Sequence[Submission], numbers: Sequence[int]) -> Thunk:
        """A run of submissions, which becomes one CUDA graph."""
        return Run(run, numbers)

    def alone(self, site: Site, thunk: Thunk) -> Thunk:
        """What lies between two graphs, with the reason."""
        return Plain(thunk, site)


class Plain:
    """A thunk that cannot be recorded: control flow that asks the device which way to go, and work on the host."""

    __slots__ = ("_thunk", "title")

    def __init__(self, thunk: Thunk, site: Site):
        self._thunk = thunk
        why = "it asks the device which way to go" if site.node.op.family == "control" else "it runs on the host"
        self.title = f"op {site.node.op.name!r} between graphs: {why}"

    def __call__(self) -> None:
        self._thunk()
