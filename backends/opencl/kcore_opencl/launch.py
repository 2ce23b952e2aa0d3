"""Launches: generated kernels with their arguments set once; a step is a bare sequence of enqueues."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pyopencl as cl

from kcore.backend.kernel import Site
from kcore.codegen import Argument, Code, Source
from kcore.dtypes import itemsize
from kcore.errors import DtypeError
from kcore.kernels.operands import Operands
from kcore.kernels.table import segment_buffers
from kcore_opencl.errors import explained
from kcore_opencl.memory import Array

if TYPE_CHECKING:
    from kcore.graph.core import Node
    from kcore_opencl.place import Place


#: A double outside of comments, which may name a layer so.
_DOUBLE = re.compile(r"^(?:(?!//).)*\bdouble\d*\b", re.MULTILINE)


class Launch(Operands):
    """What a node's kernels need to be enqueued; as a thunk it enqueues them now.

    Args:
        place: the device they run on.
        code: the sources, in order.
        inputs, outputs: arrays of the node.
        scratch: array the sources share, or None.
        node: the node they compute, for the profile.
    """

    __slots__ = ("_kept", "_ready", "node", "place")

    def __init__(
        self,
        place: Place,
        code: Code,
        inputs: Sequence[Any],
        outputs: Sequence[Any],
        scratch: Array | None,
        node: Node | None = None,
    ):
        self.place = place
        self.node = node
        super().__init__(code, inputs, outputs, scratch)
        self._kept: list[Any] = []  # OpenCL does not keep a kernel's buffers alive
        self._ready: list[tuple[Any, tuple[int], tuple[int]]] | None = None

    def ready(self) -> list[tuple[Any, tuple[int], tuple[int]]]:
        """(kernel with its arguments set, global size, local size) for each source that has work."""
        if self._ready is None:
            self._ready = []
            for source in self.sources:
                kernel = self.place.programs.kernel(source)
                arguments = self._arguments(source)
                kernel.set_args(*arguments)
                self._kept.append(arguments)
                self._ready.append((kernel, (source.global_size,), (source.local,)))
        return self._ready

    def __call__(self) -> None:
        if self.place.profile:
            self.place.profile.launches([self])()
            return
        queue = self.place.queue
        try:
            for kernel, size, local in self.ready():
                cl.enqueue_nd_range_kernel(queue, kernel, size, local)
        except cl.Error as error:
            raise explained(error, self.place.name) from error

    def _arguments(self, source: Source) -> list[Any]:
        values: list[Any] = []
        bases, table = _table(self.place, source, self.inputs, self.outputs) if source.segments else ([], None)
        for argument in source.arguments:
            if argument.kind == "start":
                values.append(np.int64(self._start(source.arguments[argument.index])))
            elif argument.kind == "size":
                values.append(np.dtype(argument.dtype).type(argument.value))
            elif argument.kind == "base":
                values.append(bases[argument.index])
            elif argument.kind == "table":
                values.append(table)
            else:
                values.append(self.array(argument.kind, argument.index).buffer)
        return values

    def _start(self, argument: Argument) -> int:
        return self.array(argument.kind, argument.index).offset // itemsize(argument.dtype)


def _table(place: Place, source: Source, inputs: Sequence[Any], outputs: Sequence[Any]) -> tuple[list[Any], Any]:
    """The buffers a segmented kernel reads and the table that says where each segment lies in them."""
    bases = segment_buffers(source.operands, inputs, outputs)
    number = {id(b): i for i, b in enumerate(bases)}
    places = []
    for row in source.operands:
        arrays = [(inputs if kind == "input" else outputs)[index] for kind, index in row]
        places.append([(number[id(a.buffer)], a.offset) for a in arrays])
    flags = cl.mem_flags.READ_ONLY | cl.mem_flags.COPY_HOST_PTR
    return bases, cl.Buffer(place.context, flags, hostbuf=source.table(places))


def launch(site: Site, code: Code) -> Launch:
    """What a kernel's bind function returns: the code bound to the site's arrays.

    Raises:
        DtypeError: the code computes with float64, which the device cannot.
    """
    from kcore_opencl.place import place_of

    place = place_of(site.device)
    if not place.traits.fp64 and any(_DOUBLE.search(source.text) for source in code.launches):
        raise DtypeError(
            f"op {site.node.op.name!r} needs float64, which device {str(site.device)!r} ({site.device.name}) cannot "
            f"compute; cast to float32, or leave keras.config.floatx() at it ({site.node.location()})"
        )
    return Launch(place, code, site.inputs, site.outputs, site.scratch, site.node)
