"""Reductions, alone and with what leads into and out of them."""

from __future__ import annotations

from collections.abc import Sequence

from kcore.codegen import REDUCERS, Code, ReductionTile, SpanReductionTile, can_emit, emit
from kcore.codegen.group import group_of
from kcore.codegen.reduction import Reduction
from kcore.graph.core import Node
from kcore.graph.fuse_reduction import FUSED_REDUCTION
from kcore.kernels.table import generated
from kcore.kernels.traits import Traits

#: Elements a work-item of a CPU goes through, at least where a result is split, and else about.
_SPLIT, _SHARE = 1 << 15, 1 << 14
#: Elements gone over several times, for some columns each time, that still lie in a core's cache.
_CACHED = 1 << 18
#: Work-items enough for the cores of any CPU; a result is split only where there are fewer, and much to do.
_ENOUGH = 16
#: Nodes before the reduction up to which a loop holds several vectors.
_SHORT = 8


def tile_of(node: Node, traits: Traits) -> ReductionTile | SpanReductionTile | None:
    """How a reduction is cut: results by work-items that are cores on a CPU, by lanes that join in a tree on a GPU.

    Splits, which change the order of additions, follow from the shapes alone.
    """
    if not traits.cpu:
        return None
    taken = Reduction(group_of(node), traits.dialect, None, True)
    if not taken.rows:
        return SpanReductionTile()
    unroll = 4 if len(taken.before) <= _SHORT else 1
    vector = 16
    most = max(taken.rows * taken.n // _SPLIT, 1)
    if taken.columns:
        columns = next(d for d, r in zip(taken.layout.dims[::-1], taken.layout.labels[::-1], strict=True) if not r)
        # much to do is split along what is reduced, so that each goes through memory as it lies
        wide = 512 if most >= _ENOUGH // 2 else _SHARE // 4 // taken.n // vector * vector
        share = min(columns, max(vector * unroll, wide))
        items = -(-columns // share) * (taken.rows // columns)
        cached = min(taken.n * share // _CACHED, 64)
    else:
        share = min(max(_SHARE // max(taken.n, 1), 1), max(-(-taken.rows // _ENOUGH), 1))
        items, cached = -(-taken.rows // share), 1
    splits = min(max(-(-_ENOUGH // items), cached), most) if items and items * 2 <= _ENOUGH else 1
    return SpanReductionTile(vector, unroll, max(share, 1), splits)


@generated(*REDUCERS, FUSED_REDUCTION.name, supports=can_emit, scratch=True)
def code_for(node: Node, traits: Traits, wanted: Sequence[bool]) -> Code:
    """One kernel, and one more where a result is split."""
    return emit(node, traits.dialect, tile_of(node, traits), starts=True)
