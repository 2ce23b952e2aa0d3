"""Composites that work row by row, such as softmax, layer normalization and losses: one generated kernel each."""

from __future__ import annotations

from collections.abc import Sequence

from kcore.backend.kernel import ANY_COMPOSITE
from kcore.codegen import Code
from kcore.codegen.row_kernels import choose_row_tile, emit_rows
from kcore.codegen.row_program import row_program
from kcore.graph.core import Node
from kcore.graph.fuse_rows import FUSED_ROWS
from kcore.kernels.table import generated
from kcore.kernels.traits import Traits


def _supports(node: Node) -> bool:
    return row_program(node) is not None


@generated(ANY_COMPOSITE, FUSED_ROWS.name, supports=_supports, scratch=True)
def code_for(node: Node, traits: Traits, wanted: Sequence[bool] | None = None) -> Code:
    """The kernels of a composite that is a row program: one, and one more where there are sums over all rows."""
    program = row_program(node)
    assert program is not None, node
    tile = choose_row_tile(program, traits.units if traits.cpu else 0, min(traits.group, 128))
    kept = None if wanted is None else tuple(wanted)
    return emit_rows(program, node, traits.dialect, tile, starts=True, wanted=kept)
