"""Composites that work row by row, such as softmax, layer normalization and losses: one generated kernel each."""

from __future__ import annotations

from kcore.backend.kernel import ANY_COMPOSITE, Site, Thunk, kernel
from kcore.codegen import OPENCL, Code
from kcore.codegen.row_kernels import choose_row_tile, emit_rows, row_scratch_bytes
from kcore.codegen.row_program import row_program
from kcore.graph.core import Node
from kcore.graph.fuse_rows import FUSED_ROWS
from kcore_opencl.launch import launch
from kcore_opencl.place import place_of
from kcore_opencl.traits import Traits


def _supports(node: Node) -> bool:
    return row_program(node) is not None


def _scratch(node: Node) -> int:
    program = row_program(node)
    assert program is not None
    return row_scratch_bytes(program)


def code_for(node: Node, traits: Traits, wanted: tuple[bool, ...] | None = None) -> Code:
    """The kernels of a composite that is a row program, for a device."""
    program = row_program(node)
    assert program is not None, node
    tile = choose_row_tile(program, traits.units if traits.cpu else 0, min(traits.group, 128))
    return emit_rows(program, node, OPENCL, tile, starts=True, wanted=wanted)


def _bind(site: Site) -> Thunk:
    """One kernel, and one more where there are sums over all rows."""
    wanted = tuple(out is not None for out in site.outputs)
    return launch(site, code_for(site.node, place_of(site.device).traits, wanted))


for name in (ANY_COMPOSITE, FUSED_ROWS.name):
    kernel(name, backend="opencl", supports=_supports, scratch=_scratch)(_bind)
