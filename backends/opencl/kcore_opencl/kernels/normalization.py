"""Sums down the columns of large arrays, as batch normalization and its gradient take them: two kernels."""

from __future__ import annotations

from kcore.backend.kernel import Site, Thunk, kernel
from kcore.codegen import OPENCL
from kcore.codegen.columns import can_emit_columns, choose_column_tile, column_scratch_bytes, emit_columns
from kcore.graph.core import Node
from kcore.graph.fuse_columns import FUSED_COLUMNS
from kcore_opencl.launch import launch
from kcore_opencl.place import place_of, planned_traits


def _scratch(node: Node) -> int:
    return column_scratch_bytes(node, choose_column_tile(node, planned_traits().cpu))


@kernel(FUSED_COLUMNS.name, backend="opencl", supports=can_emit_columns, scratch=_scratch)
def fused_columns(site: Site) -> Thunk:
    """Two kernels: slices of rows, then all slices."""
    tile = choose_column_tile(site.node, place_of(site.device).traits.cpu)
    return launch(site, emit_columns(site.node, OPENCL, tile, starts=True))
