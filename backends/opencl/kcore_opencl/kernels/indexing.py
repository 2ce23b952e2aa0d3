"""Gathering along an axis, and its gradient without atomics."""

from __future__ import annotations

from collections.abc import Callable

from kcore.backend.kernel import Site, Thunk, kernel
from kcore.codegen import Code
from kcore.graph.core import Node
from kcore_opencl.indexing import emit_gather, emit_scatter_add, emit_take_along
from kcore_opencl.launch import launch
from kcore_opencl.place import place_of
from kcore_opencl.traits import Traits


def _has_rows(node: Node) -> bool:
    """Whether there is anything an index can be clipped to."""
    return node.sources[0].size > 0 or node.outputs[0].size == 0


def _bound(emit: Callable[[Node, Traits], Code]) -> Callable[[Site], Thunk]:
    return lambda site: launch(site, emit(site.node, place_of(site.device).traits))


kernel("gather", backend="opencl", package="kcore-opencl", supports=_has_rows)(_bound(emit_gather))
kernel("take_along_axis", backend="opencl", package="kcore-opencl", supports=_has_rows)(_bound(emit_take_along))
kernel("scatter_add", backend="opencl", package="kcore-opencl")(_bound(emit_scatter_add))
