"""Elementwise ops and fused groups: one generated kernel each."""

from __future__ import annotations

from collections.abc import Sequence

from kcore.backend.kernel import Site, Thunk
from kcore.codegen import Code, SpanTile, Tile, can_emit, emit
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


def code_for(node: Node, traits: Traits, wanted: Sequence[bool] | None = None, bases: int = 1) -> Code:
    """One kernel; of a segmented group it finds the arrays in `bases` buffers, where a pointer is no number."""
    return emit(node, traits.dialect, tile_of(node, traits), starts=True, bases=bases)


@bound(*(op.name for op in OPS if op.elementwise and op.expr is not None), FUSED.name, emit=code_for, supports=can_emit)
def fused(site: Site) -> Thunk:
    """The buffers that a segmented group's arrays lie in are known when it is bound."""
    backend = home(site)
    traits = backend.traits(site.device)
    code = code_for(site.node, traits)
    source = code.launches[0]
    if source.segments and not traits.dialect.addresses:
        bases = len(segment_buffers(source.operands, site.inputs, site.outputs))
        code = code_for(site.node, traits, bases=bases)
    return backend.bind(site, code)
