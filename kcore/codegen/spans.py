"""Elementwise groups where a work-item is a core: it goes through rows of the arrays, in wide vectors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from kcore.codegen.dialect import Dialect
from kcore.codegen.group import Group, Statements, indented, numbered
from kcore.codegen.layout import aligned, collapse, contiguous, extent
from kcore.codegen.signature import Signature, coordinates, index_dtype, offset_text
from kcore.codegen.source import Source, SpanTile
from kcore.codegen.wide import WideStatements, can_widen
from kcore.graph.core import Node, Value

#: Columns are split at multiples of this many, so that only the last part of a row has a rest.
_GRAIN = 64


@dataclass(frozen=True)
class Cut:
    """Planes of rows of columns, dealt out to work-items: some planes, or rows of a plane, or columns of a row each.

    Attributes:
        planes, rows, columns: how many there are.
        plane_share, row_share, column_share: how many a work-item takes.
    """

    planes: int
    rows: int
    columns: int
    plane_share: int
    row_share: int
    column_share: int

    @property
    def row_parts(self) -> int:
        return -(-self.rows // self.row_share)

    @property
    def column_parts(self) -> int:
        return -(-self.columns // self.column_share)

    @property
    def groups(self) -> int:
        """Work-items in all."""
        return -(-self.planes // self.plane_share) * self.row_parts * self.column_parts


def cut(dims: Sequence[int], share: int, row_limit: int | None = None, column_limit: int | None = None) -> Cut:
    """Deal out about `share` elements to each work-item: whole columns first, then rows, then planes.

    Args:
        dims: sizes of axes, of which the last is columns, the one before rows, and all others planes.
        row_limit, column_limit: most rows and columns a work-item may take.
    """
    *outer, rows, columns = (1, *dims) if len(dims) == 1 else dims
    planes, rows, columns = prod(outer), max(rows, 1), max(columns, 1)
    column_share = min(columns, column_limit or max(share // _GRAIN * _GRAIN, _GRAIN))
    row_share = min(rows, max(share // column_share, 1), row_limit or rows)
    whole = column_share == columns and row_share == rows
    plane_share = min(max(planes, 1), max(share // (rows * columns), 1)) if whole else 1
    return Cut(planes, rows, columns, plane_share, row_share, column_share)


def dealt(sig: Signature, part: Cut, rank: int, group: str) -> list[str]:
    """Statements that find what a work-item takes: columns `left` to `right`, rows `top` to `bottom`, and planes.

    Args:
        rank: number of axes; there are no rows with 1, no planes with less than 3.
        group: the work-item's number, as C text.
    """
    index = sig.index
    columns, share = sig.size("columns", part.columns), sig.size("column_share", part.column_share)
    if rank == 1:
        return [f"const {index} left = {group} * {share};", f"const {index} right = min(left + {share}, {columns});"]
    parts = sig.size("column_parts", part.column_parts)
    lines = [
        f"const {index} part = {group};",
        f"const {index} left = part % {parts} * {share};",
        f"const {index} right = min(left + {share}, {columns});",
    ]
    rest = f"part / {parts}"
    rows, share = sig.size("rows", part.rows), sig.size("row_share", part.row_share)
    if rank > 2:
        parts = sig.size("row_parts", part.row_parts)
        lines.append(f"const {index} block = {rest};")
        rest = f"block % {parts}"
    lines += [
        f"const {index} top = {rest} * {share};",
        f"const {index} bottom = min(top + {share}, {rows});",
    ]
    if rank > 2:
        share = sig.size("plane_share", part.plane_share)
        lines += [
            f"const {index} first_plane = block / {parts} * {share};",
            f"const {index} last_plane = min(first_plane + {share}, {sig.size('planes', part.planes)});",
        ]
    return lines


def over_rows(sig: Signature, dims: Sequence[int], used: set[int], body: Sequence[str]) -> list[str]:
    """Loops around what is done with a row: `c0`, `c1`, ... are a plane's coordinates, `row` is the row.

    Args:
        dims: sizes of all axes.
        used: which axes before the rows have strides that matter.
    """
    index, rank = sig.index, len(dims)
    if rank < 2:
        return list(body)
    lines = [f"for ({index} row = top; row < bottom; ++row) {{", *indented(body), "}"]
    if rank == 2:
        return lines
    names = [sig.size(f"d{k}", d) if k else "" for k, d in enumerate(dims[:-2])]
    return [
        f"for ({index} plane = first_plane; plane < last_plane; ++plane) {{",
        *indented([*coordinates(index, "plane", "c", names, used), *lines]),
        "}",
    ]


@dataclass
class _Operand:
    value: Value
    name: str
    strides: tuple[int, ...]
    linear: bool = False

    @property
    def fixed(self) -> bool:
        """One element for all."""
        return not any(self.strides)


def emit_spans(
    group: Group,
    node: Node,
    dialect: Dialect,
    tile: SpanTile,
    strides: Sequence[tuple[int, ...] | None] | None,
    starts: bool,
) -> Source:
    """The kernel of an elementwise group that is not segmented."""
    shape = node.outputs[0].shape
    reads = [
        _Operand(v, f"x{j}", aligned(v.shape, (strides and strides[i]) or contiguous(v.shape), shape))
        for j, (v, i) in enumerate(group.inputs)
    ]
    writes = [_Operand(v, f"y{j}", contiguous(shape)) for j, (v, _) in enumerate(group.outputs)]
    layout = collapse(shape, [o.strides for o in (*reads, *writes)])
    dims = layout.dims or (1,)
    for operand, along in zip((*reads, *writes), layout.strides, strict=True):
        operand.strides = along or (0,)
        operand.linear = along == contiguous(layout.dims)
    part = cut(dims, tile.share)
    largest = max([prod(dims) + tile.share + _GRAIN, *(extent(dims, o.strides) for o in reads)])
    sig = Signature(dialect, index_dtype(largest), starts)
    for operand, (value, i) in zip(reads, group.inputs, strict=True):
        sig.buffer(operand.name, "input", value.dtype, i, const=True)
    for operand, (value, i) in zip(writes, group.outputs, strict=True):
        sig.buffer(operand.name, "output", value.dtype, i)
    rank = len(dims)
    lines = dealt(sig, part, rank, f"({sig.index}){dialect.group}")
    loops = _Loops(sig, group, reads, writes, tile.vector)
    body = loops.row(rank, dims)
    used = {k for o in reads if not o.linear for k, s in enumerate(o.strides[:-2]) if s}
    lines += [*loops.before, *over_rows(sig, dims, used, body)]
    return sig.source(group, loops.statements, lines, 1, part.groups if prod(shape) else 0)


class _Loops:
    """What is done with one row: a loop over vectors, and one over the elements that are left.

    Attributes:
        before: statements that belong before all loops.
    """

    def __init__(
        self, sig: Signature, group: Group, reads: Sequence[_Operand], writes: Sequence[_Operand], vector: int
    ):
        self.sig, self.group, self.reads, self.writes = sig, group, reads, writes
        number = numbered(group.nodes)
        self._scalar = Statements(sig.dialect, number)
        self._wide = WideStatements(sig.dialect, number, vector)
        self.vector = vector if can_widen(group.nodes) and all(o.strides[-1] in (0, 1) for o in reads) else 1
        self.before: list[str] = []
        self._names: dict[Value, str] = {}
        self._wide_names: dict[Value, str] = {}
        for o in reads:
            if o.fixed:
                self.before += self._constant(o, "0")

    @property
    def statements(self) -> Statements:
        """What the kernel's prelude is made from."""
        return self._wide.join(self._scalar) if self.vector > 1 else self._scalar

    def _constant(self, o: _Operand, at: str) -> list[str]:
        """An operand that does not change along the row."""
        dtype, name = o.value.dtype, f"{o.name}_"
        load = self._scalar.load(dtype, o.name, at)
        lines = [f"const {self._scalar.type(dtype)} {name} = {load};"]
        self._names[o.value] = name
        if self.vector > 1:
            spread = self._wide.everywhere(name, dtype)
            lines.append(f"const {self._wide.type(dtype)} {name}wide = {spread};")
            self._wide_names[o.value] = f"{name}wide"
        return lines

    def row(self, rank: int, dims: Sequence[int]) -> list[str]:
        """Statements for one row, from column `left` to before `right`."""
        sig, index = self.sig, self.sig.index
        lines: list[str] = []
        at: dict[str, str] = {}
        if rank > 1:
            columns = sig.size("columns", dims[-1])
            where = "row" if rank == 2 else f"(plane * {sig.size('rows', dims[-2])} + row)"
            lines.append(f"const {index} first = {where} * {columns};")
        for o in (*self.reads, *self.writes):
            if o.fixed:
                continue
            if o.linear:
                at[o.name] = "first + column" if rank > 1 else "column"
                continue
            start = _start(sig, o, rank)
            if o.strides[-1] == 0:
                lines += self._constant(o, start)
                continue
            step = "column" if o.strides[-1] == 1 else f"column * {sig.size(f'{o.name}_column', o.strides[-1])}"
            if start == "0":
                at[o.name] = step
            else:
                lines.append(f"const {index} {o.name}_row = {start};")
                at[o.name] = f"{o.name}_row + {step}"
        return lines + self.loops(at)

    def loops(self, at: dict[str, str]) -> list[str]:
        """The two loops; `at` holds each varying operand's index, as C text of `column`."""
        w, index = self.vector, self.sig.index
        lines = [f"{index} column = left;"]
        if w > 1:
            body = self._body(self._wide, at, self._wide_names)
            lines += [f"for (; column + {w} <= right; column += {w}) {{", *indented(body), "}"]
        body = self._body(self._scalar, at, self._names)
        return [*lines, "for (; column < right; ++column) {", *indented(body), "}"]

    def _body(self, statements: Statements, at: dict[str, str], constants: dict[Value, str]) -> list[str]:
        names, lines = dict(constants), []
        for o in self.reads:
            if o.name in at:
                dtype = o.value.dtype
                load = statements.load(dtype, o.name, at[o.name])
                lines.append(f"const {statements.type(dtype)} {o.name}_ = {load};")
                names[o.value] = f"{o.name}_"
        lines += statements.of(self.group.nodes, names)
        for o in self.writes:
            lines.append(statements.store(o.value.dtype, o.name, at.get(o.name, "column"), names[o.value]))
        return lines


def _start(sig: Signature, o: _Operand, rank: int) -> str:
    """Where an operand's row begins."""
    terms = [] if rank < 3 else [offset_text(sig, o.name, "c", o.strides[: rank - 2])]
    step = o.strides[-2] if rank > 1 else 0
    if step:
        terms.append("row" if step == 1 else f"row * {sig.size(f'{o.name}_step', step)}")
    return " + ".join(t for t in terms if t != "0") or "0"


def segment_loops(
    sig: Signature, group: Group, reads: Sequence[tuple[Value, str, bool]], writes: Sequence[tuple[Value, str]],
    tile: SpanTile, work_group: str,
) -> tuple[list[str], Statements]:  # fmt: skip
    """What a work-item does with its part of a segment of `n` elements.

    Args:
        reads: value, name, and whether it has as many elements as the segment (else one).
        writes: value and name.
        work_group: the work-item's number in its segment, as C text.
    """
    operands = [_Operand(v, name, (int(full),), full) for v, name, full in reads]
    outputs = [_Operand(v, name, (1,), True) for v, name in writes]
    loops = _Loops(sig, group, operands, outputs, tile.vector)
    index, share = sig.index, sig.size("share", tile.share)
    lines = [
        f"const {index} left = ({index}){work_group} * {share};",
        f"const {index} right = min(left + {share}, n);",
        *loops.before,
        *loops.loops({o.name: "column" for o in (*operands, *outputs) if not o.fixed}),
    ]
    return lines, loops.statements
