"""Weights as strips read them: by blocks of the result's channels; for an input gradient, channels exchanged."""

from __future__ import annotations

from math import ceil, prod

from kcore.codegen.dialect import OPENCL, compute_dtype
from kcore.codegen.group import Statements, group_of, indented, numbered
from kcore.codegen.signature import Signature, index_dtype
from kcore.codegen.source import Source
from kcore.dtypes import itemsize
from kcore.graph.core import Node
from kcore.kernels.convolutions.geometry import Walk


def packed_bytes(walk: Walk, block: int, dtype: str) -> int:
    """Bytes of the packed weights of a walk, by blocks of so many channels; they are of the dtype computed with."""
    return _size(walk, block) * itemsize(compute_dtype(dtype))


def _size(walk: Walk, block: int) -> int:
    return ceil(walk.outer / block) * walk.groups * prod(walk.window) * walk.inner * block


def emit_packing(node: Node, walk: Walk, weights: tuple[str, int, str], block: int, exchanged: bool) -> Source:
    """The kernel that writes the weights to scratch memory as (groups, blocks, *window, inner, block).

    Channels a last block has too many are left undefined.

    Args:
        weights: kind, index and dtype of the kernel: (*window, inner, groups * outer) of the walk, or
            (*window, outer, groups * inner) if `exchanged`.
        block: channels of a block.
    """
    size = _size(walk, block)
    group = group_of(node)
    sig = Signature(OPENCL, index_dtype(size + 64), starts=True)
    statements = Statements(OPENCL, numbered(group.nodes))
    sig.buffer("w", weights[0], weights[2], weights[1], const=True)
    sig.buffer("packed", "scratch", compute_dtype(weights[2]), 0)
    n, taps = sig.size("n", size), sig.size("taps", prod(walk.window))
    inner, outer = sig.size("inner", walk.inner), sig.size("outer", walk.outer)
    blocks, groups = sig.size("blocks", ceil(walk.outer / block)), sig.size("groups", walk.groups)
    index = sig.index
    from_ = (
        f"((tap * {outer} + f) * {groups} + group) * {inner} + c"
        if exchanged
        else f"((tap * {inner} + c) * {groups} + group) * {outer} + f"
    )
    where = [
        f"const {index} row = i / {block};",
        f"const {index} c = row % {inner};",
        f"const {index} tap = row / {inner} % {taps};",
        f"const {index} column = row / {inner} / {taps};",
        f"const {index} group = column / {blocks};",
        f"const {index} f = column % {blocks} * {block} + i % {block};",
        f"if (f < {outer}) {{",
        f"    packed[i] = {OPENCL.load(weights[2], 'w', from_)};",
        "}",
    ]
    lines = [f"const {index} i = ({index})get_global_id(0);", f"if (i < {n}) {{", *indented(where), "}"]
    return sig.source(group, statements, lines, 64, -(-size // 64), part="_packed")
