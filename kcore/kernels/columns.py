"""Sums down the columns of large arrays, as batch normalization and its gradient take them: two kernels."""

from __future__ import annotations

from collections.abc import Sequence

from kcore.codegen import Code
from kcore.codegen.columns import can_emit_columns, choose_column_tile, emit_columns
from kcore.graph.core import Node
from kcore.graph.fuse_columns import FUSED_COLUMNS
from kcore.kernels.table import generated
from kcore.kernels.traits import Traits


@generated(FUSED_COLUMNS.name, supports=can_emit_columns, scratch=True)
def code_for(node: Node, traits: Traits, wanted: Sequence[bool]) -> Code:
    """Two kernels: slices of rows, then all slices."""
    return emit_columns(node, traits.dialect, choose_column_tile(node, traits.cpu), starts=True)
