"""The last step of a kernel gradient: sums of all parts of the batch, added in order."""

from __future__ import annotations

from kcore.codegen.dialect import OPENCL, Dialect, compute_dtype
from kcore.codegen.group import Statements, group_of, indented, numbered
from kcore.codegen.signature import Signature, index_dtype
from kcore.codegen.source import Source
from kcore.graph.core import Node


def emit_adding(node: Node, splits: int, dialect: Dialect = OPENCL) -> Source:
    """The kernel that adds (splits, *kernel) in scratch memory into the kernel gradient; zeros if there are none."""
    out, group = node.outputs[0], group_of(node)
    dtype = compute_dtype(out.dtype)
    sig = Signature(dialect, index_dtype(max(splits, 1) * out.size + 64), starts=True)
    statements = Statements(dialect, numbered(group.nodes))
    if splits:
        sig.buffer("sums", "scratch", dtype, 0, const=True)
    sig.buffer("y0", "output", out.dtype, 0)
    sig.size("n", out.size)
    index = sig.index
    body = [f"{dialect.type(dtype)} total = 0;"]
    if splits:
        sig.size("splits", splits)
        body += [f"for ({index} s = 0; s < splits; ++s) {{", "    total += sums[s * n + i];", "}"]
    body.append(dialect.store(out.dtype, "y0", "i", "total"))
    lines = [f"const {index} i = ({index}){dialect.item};", "if (i < n) {", *indented(body), "}"]
    return sig.source(group, statements, lines, 64, -(-out.size // 64), part="_added")
