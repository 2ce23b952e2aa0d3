"""Source for gathering and scattering along an axis: rows copied by vectors, or an element per work-item.

Arrays are seen as ``(outer, size, inner)`` around the axis, the indices as one list of ``count``. Nothing is atomic:
whoever writes an element of a scatter adds all updates that meet there, in their order.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from kcore.codegen import OPENCL, Code, Dialect
from kcore.codegen.dialect import compute_dtype
from kcore.codegen.group import Statements, group_of, indented, numbered
from kcore.codegen.layout import aligned, collapse, contiguous
from kcore.codegen.signature import Signature, coordinates, index_dtype, offset_text
from kcore.dtypes import itemsize
from kcore.graph.core import Node
from kcore.kernels.table import generated
from kcore.kernels.traits import Traits

#: Work-items of a group that handles an element each.
LOCAL = 64

#: Bytes of a row from which on a CPU copies or adds it in vectors.
ROW_BYTES = 64

#: Bytes of a scatter's result that one work-group fills and adds to: it stays in a core's cache meanwhile.
RANGE_BYTES = 1 << 20

#: Most indices that all work-groups of a scatter together may look at beyond the first round of each core.
SCANS = 1 << 18

#: Elements of a scatter that a work-item of a GPU keeps in registers.
ITEMS = 4

#: What moves without being looked at, by item size.
_RAW = {1: "uint8", 2: "uint16", 4: "uint32", 8: "uint64"}


class _Writer:
    """A kernel of one node being written."""

    def __init__(self, dialect: Dialect, node: Node, index: str):
        self.node = node
        self.dialect = dialect
        self.sig = Signature(dialect, index, starts=True)
        self.statements = Statements(dialect, numbered([node]))
        self.index = self.sig.index

    def helper(self, *lines: str) -> None:
        self.statements.helpers.setdefault("\n".join(lines))

    def code(self, body: list[str], local: int, groups: int) -> Code:
        return Code((self.sig.source(group_of(self.node), self.statements, body, local, groups),))

    def clipped(self, indices: str, dtype: str) -> str:
        """An index inside of an axis of `size`: one beyond becomes the nearest that is inside."""
        types = self.dialect.types
        if dtype == "uint64":
            return f"({self.index})min({indices}, ({types['uint64']})(size - 1))"
        if dtype in ("int64", "uint32") or self.index == types["int64"]:
            wide = types["int64"]
            return f"({self.index})min(max(({wide}){indices}, ({wide})0), ({wide})size - 1)"
        return f"min(max((int){indices}, 0), size - 1)"

    def item(self) -> str:
        """The statement that names the work-item's element."""
        d = self.dialect
        return f"const {self.index} i = ({self.index}){d.group} * {LOCAL} + ({self.index}){d.lane};"


# -- gather ------------------------------------------------------------------------------------------------------------


def _has_rows(node: Node) -> bool:
    """Whether there is anything an index can be clipped to."""
    return node.sources[0].size > 0 or node.outputs[0].size == 0


@generated("gather", supports=_has_rows)
def emit_gather(node: Node, traits: Traits, wanted: Sequence[bool] | None = None) -> Code:
    """The kernel of a `gather`."""
    x, indices = node.sources
    axis = node.attrs["axis"]
    outer, size, inner = prod(x.shape[:axis]), x.shape[axis], prod(x.shape[axis + 1 :])
    raw = _RAW[itemsize(x.dtype)]
    writer = _Writer(traits.dialect, node, index_dtype(max(x.size, node.outputs[0].size + LOCAL)))
    sig, index = writer.sig, writer.index
    sig.buffer("x", "input", raw, 0, const=True)
    sig.buffer("indices", "input", indices.dtype, 1, const=True)
    sig.buffer("y", "output", raw, 0)
    at = writer.clipped("indices[k]", indices.dtype)
    if traits.cpu and inner * itemsize(x.dtype) >= ROW_BYTES:
        rows = outer * indices.size
        share = _share(rows, inner * itemsize(x.dtype), traits)
        for name, value in (("rows", rows), ("share", share), ("size", size), ("inner", inner)):
            sig.size(name, value)
        where = "at" if outer == 1 else f"row / {sig.size('count', indices.size)} * size + at"
        k = "row" if outer == 1 else "row % count"
        body = [
            f"const {index} first = ({index})get_group_id(0) * share;",
            f"for ({index} row = first; row < first + share && row < rows; ++row) {{",
            f"    const {index} k = {k}, at = {at};",
            f"    __global const {OPENCL.types[raw]} *from = x + ({where}) * inner;",
            f"    __global {OPENCL.types[raw]} *to = y + row * inner;",
            *indented(_along_row("to", raw, "vload{w}(0, from + c)", "from[c]", index, traits)),
            "}",
        ]
        return writer.code(body, 1, -(-rows // share))
    n = node.outputs[0].size
    for name, value in (("n", n), ("size", size)):
        sig.size(name, value)
    row, column = "i", ""
    if inner > 1:
        sig.size("inner", inner)
        row, column = "i / inner", " * inner + i % inner"
    if outer > 1:
        sig.size("count", indices.size)
        lines = [f"const {index} row = {row};", f"const {index} k = row % count, at = {at};"]
        row = "(row / count * size + at)"
    else:
        lines = [f"const {index} k = {row}, at = {at};"]
        row = "at"
    body = [writer.item(), "if (i < n) {", *indented([*lines, f"y[i] = x[{row}{column}];"]), "}"]
    return writer.code(body, LOCAL, -(-n // LOCAL))


def _share(rows: int, row_bytes: int, traits: Traits) -> int:
    """Rows a work-group copies: enough groups that all cores are busy, none for less than a few KB."""
    return max(-(-rows // (4 * traits.units)), -(-4096 // row_bytes), 1)


def _along_row(to: str, dtype: str, vector: str, scalar: str, index: str, traits: Traits) -> list[str]:
    """Statements that set the `inner` elements of a row: by vectors of 64 bytes and then singly.

    PoCL's compiler does better when it makes the vectors itself.
    """
    if traits.maker == "pocl":
        return [f"for ({index} c = 0; c < inner; ++c) {to}[c] = {scalar};"]
    width = _vector_width(dtype)
    return [
        f"{index} c = 0;",
        f"for (; c + {width} <= inner; c += {width}) vstore{width}({vector.format(w=width)}, 0, {to} + c);",
        f"for (; c < inner; ++c) {to}[c] = {scalar};",
    ]


def _vector_width(dtype: str) -> int:
    return 8 if itemsize(dtype) == 8 else 16


@generated("take_along_axis", supports=_has_rows)
def emit_take_along(node: Node, traits: Traits, wanted: Sequence[bool] | None = None) -> Code:
    """The kernel of a `take_along_axis`: an element per work-item."""
    x, indices = node.sources
    axis = node.attrs["axis"]
    shape = node.outputs[0].shape
    own = contiguous(x.shape)
    walk = tuple(0 if k == axis else s for k, s in enumerate(own))
    layout = collapse(shape, [walk, aligned(indices.shape, contiguous(indices.shape), shape)])
    raw = _RAW[itemsize(x.dtype)]
    n = prod(shape)
    writer = _Writer(traits.dialect, node, index_dtype(max(x.size, n + LOCAL)))
    sig, index = writer.sig, writer.index
    sig.buffer("x", "input", raw, 0, const=True)
    sig.buffer("indices", "input", indices.dtype, 1, const=True)
    sig.buffer("y", "output", raw, 0)
    for name, value in (("n", n), ("size", x.shape[axis]), ("step", own[axis])):
        sig.size(name, value)
    walk, listed = layout.strides
    names = [sig.size(f"d{k}", d) if k else "" for k, d in enumerate(layout.dims)]
    used = {k for strides in layout.strides for k, s in enumerate(strides) if s}
    lines = [
        *coordinates(index, "i", "c", names, used),
        f"const {index} k = {offset_text(sig, 'indices', 'c', listed)};",
        f"const {index} at = {writer.clipped('indices[k]', indices.dtype)};",
        f"y[i] = x[at * step + {offset_text(sig, 'x', 'c', walk)}];",
    ]
    return writer.code([writer.item(), "if (i < n) {", *indented(lines), "}"], LOCAL, -(-n // LOCAL))


# -- scatter -----------------------------------------------------------------------------------------------------------


@generated("scatter_add")
def emit_scatter_add(node: Node, traits: Traits, wanted: Sequence[bool] | None = None) -> Code:
    """The kernel of a `scatter_add`."""
    dtype = node.outputs[0].dtype
    if traits.cpu and compute_dtype(dtype) == dtype:
        return _scatter_ranges(node, traits)
    return _scatter_tiles(node, traits)


def _scatter(dialect: Dialect, node: Node) -> tuple[_Writer, int, int, int, int]:
    """The writer with the arguments all scatters have, and outer, size, inner and count."""
    indices, updates = node.sources
    axis, size, dtype = node.attrs["axis"], node.attrs["size"], node.outputs[0].dtype
    outer, inner = prod(updates.shape[:axis]), prod(updates.shape[axis + len(indices.shape) :])
    writer = _Writer(dialect, node, index_dtype(max(updates.size, node.outputs[0].size + LOCAL * ITEMS)))
    writer.sig.buffer("indices", "input", indices.dtype, 0, const=True)
    writer.sig.buffer("updates", "input", dtype, 1, const=True)
    writer.sig.buffer("y", "output", dtype, 0)
    for name, value in (("count", indices.size), ("size", size)):
        writer.sig.size(name, value)
    writer.statements.uses(dtype)
    return writer, outer, size, inner, indices.size


def _scatter_ranges(node: Node, traits: Traits) -> Code:
    """A work-group fills a range of the result's rows with zeros, then goes through all indices and adds its own."""
    writer, outer, size, inner, count = _scatter(OPENCL, node)
    sig, index, dtype = writer.sig, writer.index, node.outputs[0].dtype
    ctype = OPENCL.type(dtype)
    rows = outer * size
    groups = max(rows * inner * itemsize(dtype) // RANGE_BYTES, 1)
    groups = min(groups, SCANS // max(count, 1)) + traits.units
    share = -(-rows // min(groups, max(rows, 1))) if rows else 1
    width = _vector_width(dtype)
    for name, value in (("rows", rows), ("share", share), ("inner", inner)):
        sig.size(name, value)
    if inner == 1:
        add = ["target[at] += source[k];"]
    else:
        add = [
            f"__global const {ctype} *from = source + k * inner;",
            f"__global {ctype} *to = target + at * inner;",
            *_along_row("to", dtype, "vload{w}(0, to + c) + vload{w}(0, from + c)", "to[c] + from[c]", index, traits),
        ]
    scan = [
        f"for ({index} k = 0; k < count; ++k) {{",
        f"    const {index} at = {writer.clipped('indices[k]', node.sources[0].dtype)};",
        "    if (at >= low && at < high) {",
        *indented(add, 2),
        "    }",
        "}",
    ]
    body = [
        f"const {index} first = ({index})get_group_id(0) * share, last = min(first + share, rows);",
        f"{index} i = first * inner;",
        f"for (; i + {width} <= last * inner; i += {width}) vstore{width}(({ctype}{width})(0), 0, y + i);",
        "for (; i < last * inner; ++i) y[i] = 0;",
    ]
    if outer == 1:
        body += [
            f"const {index} low = first, high = last;",
            f"__global const {ctype} *source = updates;",
            f"__global {ctype} *target = y;",
            *scan,
        ]
    else:
        body += [
            f"for ({index} o = first / size; o * size < last; ++o) {{",
            f"    const {index} low = max(first - o * size, ({index})0), high = min(last - o * size, size);",
            f"    __global const {ctype} *source = updates + o * count * inner;",
            f"    __global {ctype} *target = y + o * size * inner;",
            *indented(scan),
            "}",
        ]
    return writer.code(body, 1, -(-rows // share) if rows * inner else 0)


def _scatter_tiles(node: Node, traits: Traits) -> Code:
    """A work-item keeps some elements of the result in registers while its group goes through all indices by tiles.

    A tile of indices lies in local memory; a group skips those in which no index meets its rows.
    """
    d = traits.dialect
    writer, outer, size, inner, _ = _scatter(d, node)
    sig, index, dtype = writer.sig, writer.index, node.outputs[0].dtype
    ctype, block = d.type(dtype), LOCAL * ITEMS
    n = outer * size * inner
    sig.size("n", n)
    sig.size("inner", inner)
    body = [
        f"{d.shared} {index} tile[{LOCAL}];",
        f"{d.shared} int hit;",
        f"const int lane = (int){d.lane};",
        f"const {index} begin = ({index}){d.group} * {block}, end = min(begin + {block}, n) - 1;",
        f"const {index} first = begin / inner, last = end / inner;",
        "const bool whole = first / size != last / size;  // its rows are all there are",
        f"const {index} low = whole ? 0 : first % size, high = whole ? size - 1 : last % size;",
    ]
    for j in range(ITEMS):
        body += [
            f"const {index} i{j} = begin + {j * LOCAL} + lane, row{j} = i{j} / inner, at{j} = row{j} % size;",
            f"const {index} from{j} = row{j} / size * count * inner + i{j} % inner;",
            f"{ctype} sum{j} = 0;",
        ]
    update = d.load(dtype, "updates", "from{j} + k * inner")
    body += [
        f"for ({index} start = 0; start < count; start += {LOCAL}) {{",
        "    if (lane == 0) hit = 0;",
        f"    const {index} k = min(start + lane, count - 1);",
        f"    tile[lane] = {writer.clipped('indices[k]', node.sources[0].dtype)};",
        f"    {d.barrier}",
        f"    if (tile[lane] >= low && tile[lane] <= high) {d.atomic_or}(&hit, 1);",
        f"    {d.barrier}",
        "    if (hit) {",
        f"        for ({index} k = start; k < count && k < start + {LOCAL}; ++k) {{",
        f"            const {index} at = tile[k - start];",
        *[f"            if (at == at{j} && i{j} < n) sum{j} += {update.format(j=j)};" for j in range(ITEMS)],
        "        }",
        "    }",
        f"    {d.barrier}",
        "}",
        *[f"if (i{j} < n) {d.store(dtype, 'y', f'i{j}', f'sum{j}')}" for j in range(ITEMS)],
    ]
    return writer.code(body, LOCAL, -(-n // block))
