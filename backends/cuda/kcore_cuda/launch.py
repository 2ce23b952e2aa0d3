"""What goes onto a GPU's stream: generated kernels with their arguments packed once, and calls of libraries.

Everything here can be recorded in a CUDA graph. A kernel whose thunk is none of this (control flow that asks the
device, work on the host) runs between graphs.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from kcore.backend.kernel import Site
from kcore.codegen import Argument, Code, Source
from kcore.dtypes import numpy_dtype
from kcore.kernels.operands import Operands
from kcore_cuda import cuda
from kcore_cuda.memory import Array

if TYPE_CHECKING:
    from kcore.graph.core import Node
    from kcore_cuda.place import Place


class Submission(ABC):
    """Work that goes onto the stream of a place and nowhere else; as a thunk it is submitted now.

    Args:
        place: the device.
        node: the node it computes, for the profile.
    """

    __slots__ = ("node", "place")

    def __init__(self, place: Place, node: Node | None = None):
        self.place = place
        self.node = node

    @property
    def sources(self) -> list[Source]:
        """The generated kernels in it that have work."""
        return []

    def prepare(self) -> None:  # noqa: B027 (most have nothing to prepare)
        """Do what cannot be done while a graph is recorded: compile, allocate, choose an algorithm."""

    @abstractmethod
    def submit(self) -> None:
        """Submit it to `place.stream`. It neither allocates nor waits: it may be recorded."""

    def __call__(self) -> None:
        with self.place.working():
            self.prepare()
            self.submit()


class Call(Submission):
    """A library's call on the place's stream.

    Args:
        submit: the call; the library has been told the stream and been given its workspace before.
        prepare: what must be done once before it can be recorded.
        keeps: what must live as long as this may run: workspaces, descriptors.
    """

    __slots__ = ("_prepare", "_submit", "keeps")

    def __init__(
        self,
        place: Place,
        submit: Callable[[], Any],
        node: Node | None = None,
        prepare: Callable[[], Any] | None = None,
        keeps: Sequence[Any] = (),
    ):
        super().__init__(place, node)
        self._submit = submit
        self._prepare = prepare
        self.keeps = tuple(keeps)

    def prepare(self) -> None:
        """Prepare it once."""
        if self._prepare is not None:
            self._prepare()
            self._prepare = None

    def submit(self) -> None:
        """Call the library."""
        self._submit()


class Launch(Operands, Submission):
    """A node's generated kernels, in order.

    Args:
        place: the device they run on.
        code: the sources.
        inputs, outputs: arrays of the node.
        scratch: array the sources share, or None.
        node: the node they compute, for the profile.
    """

    __slots__ = ("_calls", "_kept")

    def __init__(
        self,
        place: Place,
        code: Code,
        inputs: Sequence[Any],
        outputs: Sequence[Any],
        scratch: Array | None,
        node: Node | None = None,
    ):
        Submission.__init__(self, place, node)
        Operands.__init__(self, code, inputs, outputs, scratch)
        self._kept: list[Any] = []
        self._calls: list[tuple[int, ...]] | None = None

    def prepare(self) -> None:
        """Compile the kernels and pack their arguments."""
        if self._calls is None:
            self._calls = [self._packed(s) for s in self.sources]

    def calls(self) -> list[tuple[int, ...]]:
        """The arguments of ``cuLaunchKernel`` for each source that has work."""
        self.prepare()
        assert self._calls is not None
        return self._calls

    def submit(self) -> None:
        """Launch the kernels."""
        launch = cuda.driver.launchKernel
        for call in self.calls():
            launch(*call)

    def _packed(self, source: Source) -> tuple[int, ...]:
        """A launch as numbers: function, grid, block, shared memory, stream, address of the arguments, extra."""
        function = self.place.programs.function(source)
        values = np.zeros(len(source.arguments), np.uint64)
        for i, argument in enumerate(source.arguments):
            # each argument in a word of its own, where C reads as many bytes of it as its type has
            values[i : i + 1].view(_word(argument))[0] = self._value(source, argument)
        addresses = values.ctypes.data + 8 * np.arange(len(values), dtype=np.uint64)
        self._kept += [values, addresses]
        return (
            function, source.groups, 1, 1, source.local, 1, 1, 0, self.place.stream, int(addresses.ctypes.data), 0
        )  # fmt: skip

    def _value(self, source: Source, argument: Argument) -> int:
        if argument.kind == "start":  # the pointer before it points there
            return 0
        if argument.kind == "size":
            return argument.value
        if argument.kind == "table":
            return self._table(source)
        return self.array(argument.kind, argument.index).ptr

    def _table(self, source: Source) -> int:
        """Address of the table that says where each segment's arrays lie."""
        rows = source.table([[self.array(kind, index).ptr for kind, index in row] for row in source.operands])
        table = self.place.array(rows.shape, "int64")
        self.place.write(table, rows)
        self._kept.append(table)
        return table.ptr


def _word(argument: Argument) -> Any:
    """How an argument lies in its word of 8 bytes."""
    return numpy_dtype(argument.dtype) if argument.kind in ("size", "start") else np.dtype(np.uint64)


def launch(site: Site, code: Code) -> Launch:
    """What a kernel's bind function returns: the code bound to the site's arrays."""
    from kcore_cuda.place import place_of

    return Launch(place_of(site.device), code, site.inputs, site.outputs, site.scratch, site.node)
