"""The emitter: a fused or single elementwise node becomes one kernel; reductions are passed on to `reduction.py`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from kcore.codegen.dialect import Dialect
from kcore.codegen.group import Group, Statements, group_of, indented, numbered
from kcore.codegen.layout import Layout, aligned, collapse, contiguous, extent
from kcore.codegen.reduction import REDUCERS, ReductionTile, emit_reduction
from kcore.codegen.signature import Signature, coordinates, index_dtype, offset_text
from kcore.codegen.source import Argument, Code, Source, SpanReductionTile, SpanTile, Tile
from kcore.codegen.span_reduction import emit_span_reduction
from kcore.codegen.spans import emit_spans, segment_loops
from kcore.graph.core import Node, Value

Strides = tuple[int, ...]


def can_emit(node: Node) -> bool:
    """Whether a node can become source: a fused group, an elementwise op with a C expression, or a known reduction."""
    if not node.outputs or node.op.family == "reduction":
        return bool(node.outputs) and node.op.name in REDUCERS
    return all(
        n.op.name in REDUCERS if n.op.family == "reduction" else n.op.elementwise and n.op.expr is not None
        for n in group_of(node).nodes
    )


def emit(
    node: Node,
    dialect: Dialect,
    tile: Tile | SpanTile | ReductionTile | SpanReductionTile | None = None,
    *,
    strides: Sequence[Strides | None] | None = None,
    starts: bool = False,
    bases: int = 1,
) -> Code:
    """The kernels that compute a node.

    Args:
        node: a ``fused`` or ``fused_reduction`` node, a single elementwise node, or a reduction.
        dialect: `OPENCL` or `CUDA`.
        tile: how the work is cut: a `Tile`, or a `SpanTile` where work-items are cores; for a reduction a
            `ReductionTile` or `SpanReductionTile`. Chosen from the shapes if None.
        strides: per input of the node, its strides in elements; None where it is contiguous. Outputs are contiguous.
        starts: after every buffer an argument ``"start"`` says at which element the array begins, for buffers that
            are handles and not pointers.
        bases: for a segmented group where pointers cannot be stored, how many buffers its arrays lie in.

    Returns:
        One kernel; for a reduction that is split, two.

    Raises:
        ValueError: the node cannot be expressed in C.
    """
    group = group_of(node)
    if isinstance(tile, SpanTile | SpanReductionTile) and not dialect.wide:
        raise ValueError(f"{dialect.name} has no wide vectors: op {node.op.name!r} cannot be cut by {tile}")
    if group.reduction is not None:
        if isinstance(tile, Tile | SpanTile):
            raise ValueError(f"a reduction is cut by a ReductionTile, not by {tile} (op {node.op.name!r})")
        if isinstance(tile, SpanReductionTile):
            return emit_span_reduction(group, dialect, tile, strides, starts)
        return emit_reduction(group, node, dialect, tile, strides, starts)
    if isinstance(tile, ReductionTile | SpanReductionTile):
        raise ValueError(f"an elementwise group is cut by a Tile, not by {tile} (op {node.op.name!r})")
    if group.segments > 1:
        if strides is not None and any(s is not None for s in strides):
            raise ValueError(f"the arrays of a segmented group must be contiguous ({group.name})")
        return Code((_segmented(group, node, dialect, tile or Tile(), starts, bases),))
    if isinstance(tile, SpanTile):
        return Code((emit_spans(group, node, dialect, tile, strides, starts),))
    return Code((_elementwise(group, node, dialect, tile or Tile(), strides, starts),))


@dataclass
class _Operand:
    value: Value
    name: str
    strides: Strides
    linear: bool = False
    at: str = ""


def _elementwise(
    group: Group, node: Node, dialect: Dialect, tile: Tile, strides: Sequence[Strides | None] | None, starts: bool
) -> Source:
    shape = node.outputs[0].shape
    n = prod(shape)
    reads = [
        _Operand(v, f"x{j}", aligned(v.shape, (strides and strides[i]) or contiguous(v.shape), shape))
        for j, (v, i) in enumerate(group.inputs)
    ]
    writes = [_Operand(v, f"y{j}", contiguous(shape)) for j, (v, _) in enumerate(group.outputs)]
    layout = collapse(shape, [o.strides for o in (*reads, *writes)])
    groups = -(-n // tile.block)
    largest = max([groups * tile.block, *(extent(layout.dims, s) for s in layout.strides)])
    sig = Signature(dialect, index_dtype(largest), starts)
    for operand, along in zip((*reads, *writes), layout.strides, strict=True):
        operand.strides = along
        operand.linear = along == contiguous(layout.dims)
    for operand, (value, i) in zip(reads, group.inputs, strict=True):
        sig.buffer(operand.name, "input", value.dtype, i, const=True)
    for operand, (value, i) in zip(writes, group.outputs, strict=True):
        sig.buffer(operand.name, "output", value.dtype, i)
    sig.size("n", n)
    head = _index_maps(sig, layout, reads)
    statements = Statements(dialect, numbered(group.nodes))
    width = _vector_width(dialect, tile, [*reads, *writes])
    body = _block(sig, statements, group, reads, writes, head, tile, width)
    return sig.source(group, statements, body, tile.local, groups)


def _index_maps(sig: Signature, layout: Layout, reads: Sequence[_Operand]) -> list[str]:
    """Statements that find the coordinates, and each operand's offset as text."""
    used: set[int] = set()
    for operand in reads:
        if operand.linear:
            operand.at = "i"
        else:
            operand.at = offset_text(sig, operand.name, "c", operand.strides)
            used.update(k for k, s in enumerate(operand.strides) if s)
    if not used:
        return []
    names = [sig.size(f"d{k}", d) if k else "" for k, d in enumerate(layout.dims)]
    return coordinates(sig.index, "i", "c", names, used)


def _vector_width(dialect: Dialect, tile: Tile, operands: Sequence[_Operand]) -> int:
    """The tile's vector width if every operand that varies can be loaded so, else 1."""
    plain = all(o.linear or not any(o.strides) for o in operands)
    moved = [o for o in operands if o.linear]
    if tile.vector == 1 or not plain or any((o.value.dtype, tile.vector) not in dialect.vectors for o in moved):
        return 1
    return tile.vector


def _block(
    sig: Signature,
    statements: Statements,
    group: Group,
    reads: Sequence[_Operand],
    writes: Sequence[_Operand],
    head: Sequence[str],
    tile: Tile,
    width: int,
    work_group: str | None = None,
) -> list[str]:
    """What one work-item does with its elements."""
    dialect, index = sig.dialect, sig.index
    turns = tile.items * tile.vector // width
    where = f"({index}){dialect.group if work_group is None else work_group} * {tile.block}"
    lane = f"({index}){dialect.lane}" + (f" * {width}" if width > 1 else "")
    scalar = [*indented(_element(statements, group, reads, writes, head)), "}"]
    if width > 1:
        step = [
            f"if (i + {width} <= n) {{",
            *indented(_vector(statements, group, reads, writes, width)),
            "} else {",
            *indented(["for (; i < n; ++i) {", *scalar]),
            "}",
        ]
        if turns > 1:  # the tail moves i: each turn starts from its own
            step = [f"{index} i = j;", *step]
    else:
        step = ["if (i < n) {", *scalar]
    name = "j" if width > 1 and turns > 1 else "i"
    if turns == 1:
        return [f"{'const ' if width == 1 else ''}{index} i = {where} + {lane};", *step]
    return [
        f"{index} {name} = {where} + {lane};",
        f"for (int turn = 0; turn < {turns}; ++turn, {name} += {tile.local * width}) {{",
        *indented(step),
        "}",
    ]


def _element(
    statements: Statements,
    group: Group,
    reads: Sequence[_Operand],
    writes: Sequence[_Operand],
    head: Sequence[str],
) -> list[str]:
    """Load, compute and store element i."""
    dialect = statements.dialect
    lines, names = list(head), {}
    for o in reads:
        statements.uses(o.value.dtype)
        names[o.value] = f"{o.name}_"
        lines.append(f"const {dialect.type(o.value.dtype)} {o.name}_ = {dialect.load(o.value.dtype, o.name, o.at)};")
    lines += statements.of(group.nodes, names)
    return lines + [dialect.store(o.value.dtype, o.name, "i", names[o.value]) for o in writes]


def _vector(
    statements: Statements, group: Group, reads: Sequence[_Operand], writes: Sequence[_Operand], width: int
) -> list[str]:
    """The same for `width` elements at once: vector loads, one set of names per element, vector stores."""
    dialect = statements.dialect
    lines: list[str] = []
    names: dict[Value, str] = {}
    for o in reads:
        names[o.value] = f"{o.name}_"
        if o.linear:
            vector = dialect.vectors[o.value.dtype, width]
            load = dialect.vector_load.format(t=vector, w=width, p=o.name, i="i")
            lines.append(f"const {vector} {o.name}_ = {load};")
        else:
            load = dialect.load(o.value.dtype, o.name, o.at)
            lines.append(f"const {dialect.type(o.value.dtype)} {o.name}_ = {load};")
    results: dict[Value, list[str]] = {o.value: [] for o in writes}
    for lane in "xyzw"[:width]:
        own = dict(names)
        own.update({o.value: f"{o.name}_.{lane}" for o in reads if o.linear})
        lines += statements.of(group.nodes, own, f"_{lane}")
        for o in writes:
            results[o.value].append(own[o.value])
    for o in writes:
        vector = dialect.vectors[o.value.dtype, width]
        lines.append(dialect.vector_store.format(t=vector, w=width, p=o.name, i="i", v=", ".join(results[o.value])))
    return lines


def _segmented(group: Group, node: Node, dialect: Dialect, tile: Tile | SpanTile, starts: bool, bases: int) -> Source:
    """One launch over many arrays: a table says where each segment's arrays lie and which work-groups are its own."""
    if not dialect.addresses and bases < 1:
        raise ValueError(f"{dialect.name} cannot keep pointers in memory: name at least one base buffer")
    outs = len(group.outputs)
    own = len(group.inputs) - group.shared
    sizes = [node.outputs[s * outs].size for s in range(group.segments)]
    firsts, total = [], 0
    for size in sizes:
        firsts.append(total)
        total += -(-size // tile.block)
    sig = Signature(dialect, index_dtype(max([*sizes, total]) + 2 * tile.block), starts)
    shape = group.outputs[0][0].shape
    reads: list[_Operand] = []
    for j, (value, _) in enumerate(group.inputs):
        full = j >= group.shared and value.shape == shape
        reads.append(_Operand(value, f"x{j}", (1,) if full else (0,), full, "i" if full else "0"))
    writes = [_Operand(v, f"y{j}", (1,), True, "i") for j, (v, _) in enumerate(group.outputs)]
    for j, (value, i) in enumerate(group.inputs[: group.shared]):
        sig.buffer(f"x{j}", "input", value.dtype, i, const=True)
    names = [] if dialect.addresses else [f"base{k}" for k in range(bases)]
    for k, name in enumerate(names):
        sig.argument(Argument(name, "base", "uint8", k), dialect.pointer("uint8", const=False) + name)
    long = dialect.types["int64"]
    sig.argument(Argument("table", "table", "int64"), dialect.pointer("int64", const=True) + "table")
    sig.size("segments", group.segments)
    placed = [*reads[group.shared :], *writes]
    columns = 2 + len(placed) * (1 if dialect.addresses else 2)
    index = sig.index
    lines = [
        f"const {index} group = ({index}){dialect.group};",
        "int segment = 0;  // the last one that starts at or before this work-group",
        "for (int above = segments; above - segment > 1;) {",
        "    const int middle = (segment + above) / 2;",
        f"    if (table[middle * {columns}] <= group) segment = middle; else above = middle;",
        "}",
        f"{dialect.pointer('int64', const=True)}row = table + segment * {columns};",
        f"const {index} n = ({index})row[1];",
    ]
    column = 2
    for o in placed:
        ctype = dialect.pointer(o.value.dtype, const=o in reads)
        if dialect.addresses:
            lines.append(f"{ctype}{o.name} = ({ctype.rstrip()})row[{column}];")
            column += 1
        else:
            base = names[-1]
            for k in range(bases - 2, -1, -1):
                base = f"row[{column}] == {k} ? {names[k]} : {base}"
            base = f"({base})" if bases > 1 else base
            lines.append(f"{ctype}{o.name} = ({ctype.rstrip()})({base} + row[{column + 1}]);")
            column += 2
    number = f"(group - ({long})row[0])"
    if isinstance(tile, SpanTile):
        body, statements = segment_loops(
            sig, group, [(o.value, o.name, o.linear) for o in reads], [(o.value, o.name) for o in writes], tile, number
        )
        local = 1
    else:
        statements = Statements(dialect, numbered(group.nodes))
        width = _vector_width(dialect, tile, [*reads, *writes])
        body = _block(sig, statements, group, reads, writes, [], tile, width, number)
        local = tile.local
    lines += body
    operands = tuple(
        tuple(("input", group.shared + s * own + j) for j in range(own))
        + tuple(("output", s * outs + j) for j in range(outs))
        for s in range(group.segments)
    )
    return sig.source(group, statements, lines, local, total, tuple(zip(sizes, firsts, strict=True)), operands)
