"""Weights of an input gradient: inputs and outputs of the kernel change places, tap by tap."""

from __future__ import annotations

from math import prod

from kcore.codegen.dialect import OPENCL
from kcore.codegen.group import Statements, group_of, indented, numbered
from kcore.codegen.signature import Signature, index_dtype
from kcore.codegen.source import Source
from kcore.graph.core import Node


def emit_packing(node: Node, kernel: tuple[str, int, str], shape: tuple[int, ...], groups: int) -> Source:
    """The kernel that writes (*window, outputs of a group, inputs) into scratch memory.

    Args:
        kernel: kind, index and dtype of the kernel, of `shape` (*window, inputs of a group, outputs).
    """
    *window, inner, outer = shape
    size = prod(shape)
    group = group_of(node)
    sig = Signature(OPENCL, index_dtype(size + 64), starts=True)
    statements = Statements(OPENCL, numbered(group.nodes))
    sig.buffer("w", kernel[0], kernel[2], kernel[1], const=True)
    sig.buffer("packed", "scratch", kernel[2], 0)
    n = sig.size("n", size)
    ins, outs = sig.size("inner", inner), sig.size("outer", outer // groups)
    index = sig.index
    if groups == 1:
        where = [
            f"const {index} c = i % {ins};",
            f"const {index} f = i / {ins} % {outs};",
            f"const {index} tap = i / ({ins} * {outs});",
            f"packed[i] = w[(tap * {ins} + c) * {outs} + f];",
        ]
    else:
        count = sig.size("groups", groups)
        where = [
            f"const {index} c = i % {ins};",
            f"const {index} group = i / {ins} % {count};",
            f"const {index} f = i / ({ins} * {count}) % {outs};",
            f"const {index} tap = i / ({ins} * {count} * {outs});",
            f"packed[i] = w[((tap * {ins} + c) * {count} + group) * {outs} + f];",
        ]
    lines = [f"const {index} i = ({index})get_global_id(0);", f"if (i < {n}) {{", *indented(where), "}"]
    return sig.source(group, statements, lines, 64, -(-size // 64), part="_packed")
