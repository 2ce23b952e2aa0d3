"""Elementwise ops and fused groups: one generated kernel each."""

from __future__ import annotations

from kcore.backend.kernel import Site, Thunk, kernel
from kcore.codegen import OPENCL, Tile, can_emit, emit
from kcore.graph.core import Node
from kcore.graph.fuse import FUSED
from kcore.graph.op import OPS
from kcore_opencl.launch import launch, segment_buffers

TILE = Tile(local=64, items=4)


def _bind(site: Site) -> Thunk:
    code = emit(site.node, OPENCL, TILE, starts=True)
    source = code.launches[0]
    if source.segments:
        bases = len(segment_buffers(source.operands, site.inputs, site.outputs))
        code = emit(site.node, OPENCL, TILE, starts=True, bases=bases)
    return launch(site, code)


def _supports(node: Node) -> bool:
    return can_emit(node)


for op in list(OPS):
    if op.elementwise and op.expr is not None:
        kernel(op.name, backend="opencl", supports=_supports)(_bind)

kernel(FUSED.name, backend="opencl", supports=_supports)(_bind)
