"""Elementwise ops and fused groups: one generated kernel each."""

from __future__ import annotations

from kcore.backend.kernel import Site, Thunk
from kcore.codegen import SpanTile, Tile, can_emit, emit
from kcore.graph.core import Node
from kcore.graph.fuse import FUSED
from kcore.graph.op import OPS
from kcore.kernels.table import bound, home, segment_buffers
from kcore.kernels.traits import Traits

#: Work-items per core that a CPU's work is cut into, so that cores end together.
_TURNS = 4
#: Least and most elements of a work-item on a CPU: fewer cost more to hand out than to compute.
_LEAST, _MOST = 1 << 10, 1 << 14


def tile_of(node: Node, traits: Traits) -> Tile | SpanTile:
    """How a group is cut: long rows in wide vectors on a CPU, neighbours side by side on a GPU."""
    if traits.cpu:
        n = sum(v.size for v in node.outputs) // max(len(node.outputs) // node.attrs.get("segments", 1), 1)
        share = -(-n // (_TURNS * traits.units))
        return SpanTile(share=min(max(-(-share // 64) * 64, _LEAST), _MOST))
    return Tile(local=min(256, traits.group), vector=4)


@bound(*(op.name for op in OPS if op.elementwise and op.expr is not None), FUSED.name, supports=can_emit)
def fused(site: Site) -> Thunk:
    """One kernel; a segmented one is told how many buffers its segments lie in, where a pointer is no number."""
    node, backend = site.node, home(site)
    traits = backend.traits(site.device)
    dialect, tile = traits.dialect, tile_of(node, traits)
    code = emit(node, dialect, tile, starts=True)
    source = code.launches[0]
    if source.segments and not dialect.addresses:
        bases = len(segment_buffers(source.operands, site.inputs, site.outputs))
        code = emit(node, dialect, tile, starts=True, bases=bases)
    return backend.bind(site, code)
