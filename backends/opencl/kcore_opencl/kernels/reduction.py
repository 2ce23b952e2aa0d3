"""Reductions, alone and with what leads into and out of them."""

from __future__ import annotations

from kcore.backend.kernel import Site, Thunk, kernel
from kcore.codegen import OPENCL, REDUCERS, can_emit, emit
from kcore.graph.core import Node
from kcore.graph.fuse_reduction import FUSED_REDUCTION
from kcore_opencl.launch import launch


def _bind(site: Site) -> Thunk:
    return launch(site, emit(site.node, OPENCL, starts=True))


def _scratch(node: Node) -> int:
    return emit(node, OPENCL, starts=True).scratch_bytes


for name in [*REDUCERS, FUSED_REDUCTION.name]:
    kernel(name, backend="opencl", supports=can_emit, scratch=_scratch)(_bind)
