"""LSTM, GRU and simple recurrent networks over a whole sequence, and their gradients."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from kcore.backend.kernel import Site, Thunk, kernel
from kcore.codegen import Code
from kcore.graph.core import Node
from kcore_opencl.launch import launch
from kcore_opencl.place import place_of, planned_traits
from kcore_opencl.recurrent import backward, forward, lanes
from kcore_opencl.recurrent.cells import OPERATIONS
from kcore_opencl.traits import Traits

Emit = Callable[[Node, Traits, Sequence[bool]], Code]


def _floating(node: Node) -> bool:
    floats = {v.dtype for v in node.inputs if v is not None and v.dtype != "bool"}
    return floats in ({"float32"}, {"float64"}) and all(v is None or v.size for v in node.inputs)


def _forward(node: Node, traits: Traits, wanted: Sequence[bool]) -> Code:
    return (forward.emit if traits.cpu else lanes.forward)(node, traits, wanted)


def _backward(node: Node, traits: Traits, wanted: Sequence[bool]) -> Code:
    return (backward.emit if traits.cpu else lanes.backward)(node, traits, wanted)


for name, emit in [(n + end, f) for n in OPERATIONS for end, f in (("", _forward), ("_grad", _backward))]:

    def _bind(site: Site, emit: Emit = emit) -> Thunk:
        wanted = [array is not None for array in site.outputs]
        return launch(site, emit(site.node, place_of(site.device).traits, wanted))

    def _scratch(node: Node, emit: Emit = emit) -> int:
        return emit(node, planned_traits(), [True] * len(node.outputs)).scratch_bytes

    kernel(name, backend="opencl", supports=_floating, scratch=_scratch)(_bind)
