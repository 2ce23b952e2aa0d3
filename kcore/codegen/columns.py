"""Sums down the columns of large arrays: work-groups add up slices of rows, a second kernel joins them and goes on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from kcore.codegen.dialect import Dialect, compute_dtype
from kcore.codegen.group import Group, Statements, indented, numbered
from kcore.codegen.layout import Layout, aligned, collapse, contiguous, extent
from kcore.codegen.reduction import REDUCERS
from kcore.codegen.signature import Signature, coordinates, index_dtype, offset_text
from kcore.codegen.source import Code, Source
from kcore.codegen.wide import WideStatements, can_widen
from kcore.dtypes import int_range, is_float, itemsize
from kcore.graph.core import Graph, Node, Value


@dataclass(frozen=True)
class ColumnTile:
    """How sums down columns are cut; compiled in except `slices`.

    Attributes:
        vector: elements of a vector where a work-item is a core; 0 where work-items stand side by side.
        vectors: vectors of columns that a work-item keeps at once.
        unroll: rows a work-item adds up apart from one another.
        columns: columns that work-items of a group stand beside (without vectors).
        local: work-items per group.
        slices: parts the rows are cut into.
    """

    vector: int
    vectors: int
    unroll: int
    columns: int
    local: int
    slices: int


def choose_column_tile(node: Node, cpu: bool) -> ColumnTile:
    """A tile for a node of fused columns."""
    shape, columns, sums, size = _sizes(node)
    rows = prod(shape) // max(columns, 1)
    if cpu:
        width = 64 // size
        whole = columns // width
        vectors = max((b for b in range(1, max(8 // sums, 1) + 1) if whole and whole % b == 0), default=1)
        unroll = max(min(8 // (vectors * sums), 4), 1)
        blocks = max(-(-whole // vectors), 1)
        slices = max(min(rows * columns // (1 << 14), 256) // blocks, 1)
        return ColumnTile(width, vectors, unroll, 0, 1, min(slices, max(rows, 1)))
    local = 128
    beside = min(1 << max(columns - 1, 0).bit_length(), local)
    phases = local // beside
    slices = max(min(rows * columns // (1 << 12), 512) // max(-(-columns // beside), 1), 1) * phases
    return ColumnTile(0, 0, 1, beside, local, slices)


def _sizes(node: Node) -> tuple[tuple[int, ...], int, int, int]:
    """Shape of what is reduced, columns, how many reductions, bytes of the largest partial result."""
    body: Graph = node.attrs["body"]
    reductions = [n for n in body.nodes if n.op.family == "reduction"]
    shape, axis = reductions[0].sources[0].shape, reductions[0].attrs["axis"]
    size = max(itemsize(compute_dtype(n.outputs[0].dtype)) for n in reductions)
    return shape, prod(shape[len(axis) :]), len(reductions), size


def can_emit_columns(node: Node) -> bool:
    """Whether there is source for a node of fused columns."""
    body: Graph = node.attrs["body"]
    reductions = [n for n in body.nodes if n.op.family == "reduction"]
    if any(n.op.name not in REDUCERS or n.op.name in ("any", "all") for n in reductions):
        return False
    dtypes = {n.outputs[0].dtype for n in reductions}
    if len(dtypes) != 1 or not (is_float(*dtypes) or dtypes <= {"int32", "int64", "uint32", "uint64"}):
        return False
    others = [n for n in body.nodes if n.op.family != "reduction"]
    if not can_widen(others):
        return False
    columns = _Columns(node, None, None, False)
    return columns.plain


@dataclass
class _Operand:
    value: Value
    name: str
    index: int
    across: tuple[int, ...] = ()  # strides along rows
    step: int = 0  # along columns


def emit_columns(node: Node, dialect: Dialect, tile: ColumnTile, *, starts: bool = False) -> Code:
    """The two kernels of a node of fused columns.

    Args:
        node: a ``fused_columns`` node.
        dialect: `OPENCL` or `CUDA`; vectors are OpenCL's.
        tile: how the work is cut.
        starts: after every buffer an argument ``"start"`` says at which element the array begins.
    """
    columns = _Columns(node, dialect, tile, starts)
    return Code((columns.slices(), columns.joined()), column_scratch_bytes(node, tile))


def column_scratch_bytes(node: Node, tile: ColumnTile) -> int:
    """Bytes of the partial results."""
    _, columns, sums, size = _sizes(node)
    return tile.slices * columns * sums * size


class _Columns:
    def __init__(self, node: Node, dialect: Dialect | None, tile: ColumnTile | None, starts: bool):
        body: Graph = node.attrs["body"]
        self.starts = starts
        self.group = Group(list(body.nodes), [], [])
        self.reductions = [n for n in body.nodes if n.op.family == "reduction"]
        first = body.nodes.index(self.reductions[0])
        last = body.nodes.index(self.reductions[-1])
        self.before, self.after = body.nodes[:first], body.nodes[last + 1 :]
        shape, axis = self.reductions[0].sources[0].shape, self.reductions[0].attrs["axis"]
        self.columns = prod(shape[len(axis) :])
        self.rows = prod(shape[: len(axis)])
        early = {v for n in (*self.before, *self.reductions) for v in n.sources}
        late = {v for n in self.after for v in n.sources}
        self.early = [_Operand(v, f"x{i}", i) for i, v in enumerate(body.inputs) if v in early]
        self.late = [_Operand(v, f"x{i}", i) for i, v in enumerate(body.inputs) if v in late]
        self.written = [_Operand(v, f"y{i}", i) for i, v in enumerate(body.outputs)]
        labels = [d < len(axis) for d in range(len(shape))]
        strides = [aligned(o.value.shape, contiguous(o.value.shape), shape) for o in self.early]
        self.layout: Layout = collapse(shape, [*strides, contiguous(shape)], labels)
        self.across = [d for d, r in zip(self.layout.dims, self.layout.labels, strict=True) if r]
        kept = [d for d, r in zip(self.layout.dims, self.layout.labels, strict=True) if not r]
        self.plain = len(kept) == 1 and consecutive(node)
        for operand, own in zip(self.early, self.layout.strides, strict=False):
            operand.across = tuple(s for s, r in zip(own, self.layout.labels, strict=True) if r)
            along = [s for s, r in zip(own, self.layout.labels, strict=True) if not r]
            operand.step = along[0] if len(along) == 1 else 0
            self.plain = self.plain and operand.step in (0, 1)
        for operand in self.late:
            operand.step = 0 if operand.value.size == 1 else 1
            self.plain = self.plain and operand.value.size in (1, self.columns)
        self.held = compute_dtype(self.reductions[0].outputs[0].dtype)
        self.number = numbered(body.nodes)
        if dialect is None or tile is None:
            return
        self.dialect, self.tile = dialect, tile
        largest = [extent(self.layout.dims, s) for s in self.layout.strides]
        parts = tile.slices * len(self.reductions) * self.columns
        self.index_dtype = index_dtype(max([*largest, parts, self.rows + 2 * tile.slices + 8 * tile.unroll]))

    # -- the kernels -------------------------------------------------------------------------------------------------

    def slices(self) -> Source:
        """Each work-item adds up a slice of rows for its columns."""
        sig = Signature(self.dialect, self.index_dtype, self.starts)
        for operand in self.early:
            sig.buffer(operand.name, "input", operand.value.dtype, operand.index, const=True)
        sig.buffer("parts", "scratch", self.held)
        sig.size("rows", self.rows)
        sig.size("columns", self.columns)
        sig.size("share", -(-self.rows // self.tile.slices))
        plain = Statements(self.dialect, self.number)
        plain.uses(self.held)
        if not self.tile.vector:
            beside, local = self.tile.columns, self.tile.local
            blocks = -(-self.columns // beside)
            lines = self._beside(sig, plain, beside, local // beside)
            groups = blocks * -(-self.tile.slices // (local // beside))
            return sig.source(self.group, plain, lines, local, groups, part="_slices")
        width, vectors = self.tile.vector, self.tile.vectors
        wide = WideStatements(self.dialect, self.number, width)
        blocks, rest = self.columns // (width * vectors), self.columns % width
        lines = self._wide(sig, wide, plain, blocks, rest)
        groups = (blocks + bool(rest)) * self.tile.slices
        return sig.source(self.group, wide.join(plain), lines, 1, groups, part="_slices")

    def joined(self) -> Source:
        """The slices joined in order, and what follows."""
        sig = Signature(self.dialect, self.index_dtype, self.starts)
        statements = Statements(self.dialect, self.number)
        statements.uses(self.held)
        sig.buffer("parts", "scratch", self.held, const=True)
        for operand in self.late:
            sig.buffer(operand.name, "input", operand.value.dtype, operand.index, const=True)
        for operand in self.written:
            sig.buffer(operand.name, "output", operand.value.dtype, operand.index)
        sig.size("columns", self.columns)
        sig.size("slices", self.tile.slices)
        index, ctype, names = sig.index, self.dialect.types[self.held], {}
        inner, loop = [], []
        for r, node in enumerate(self.reductions):
            name = f"v{self.number[node]}"
            inner.append(f"{ctype} {name} = {self._identity(node)};  // {node.op.name}")
            joined = self._join(statements, node, name, f"parts[(slice * {len(self.reductions)} + {r}) * columns + c]")
            loop.append(f"{name} = {joined};")
            names[node.outputs[0]] = name
        inner += [f"for ({index} slice = 0; slice < slices; ++slice) {{", *indented(loop), "}"]
        for operand in self.late:
            dtype = operand.value.dtype
            statements.uses(dtype)
            names[operand.value] = f"{operand.name}_"
            load = self.dialect.load(dtype, operand.name, "c" if operand.step else "0")
            inner.append(f"const {self.dialect.type(dtype)} {operand.name}_ = {load};")
        inner += statements.of(self.after, names)
        for operand in self.written:
            inner.append(self.dialect.store(operand.value.dtype, operand.name, "c", names[operand.value]))
        local = 64
        lines = [
            f"const {index} c = ({index}){self.dialect.group} * {local} + ({index}){self.dialect.lane};",
            "if (c < columns) {",
            *indented(inner),
            "}",
        ]
        return sig.source(self.group, statements, lines, local, -(-self.columns // local), part="_join")

    # -- pieces ------------------------------------------------------------------------------------------------------

    def _join(self, statements: Statements, node: Node, a: str, b: str) -> str:
        return statements.filled(REDUCERS[node.op.name].expr, (a, b), self.held, self.held)

    def _identity(self, node: Node) -> str:
        identity = REDUCERS[node.op.name].identity
        if isinstance(identity, str):
            high = identity == "highest"
            identity = float("inf" if high else "-inf") if is_float(self.held) else int_range(self.held)[high]
        return self.dialect.literal(identity, self.held)

    def _range(self, sig: Signature) -> list[str]:
        index = sig.index
        return [
            f"const {index} first = slice * share;",
            f"const {index} end = first + share < rows ? first + share : rows;",
        ]

    def _rows(self, sig: Signature, row: str, suffix: str) -> tuple[list[str], list[str]]:
        """Statements that find where a row begins, and its offset in each operand."""
        index = sig.index
        if len(self.across) <= 1:
            offsets = []
            for operand in self.early:
                step = operand.across[0] if operand.across else 0
                offsets.append(
                    "" if not step else row if step == 1 else f"{row} * {sig.size(f'{operand.name}_r0', step)}"
                )
            return [], offsets
        names = [sig.size(f"d{k}", d) if k else "" for k, d in enumerate(self.across)]
        used = {k for o in self.early for k, s in enumerate(o.across) if s}
        lines = coordinates(index, row, f"r{suffix}_", names, used)
        offsets = [offset_text(sig, o.name, f"r{suffix}_", o.across, stride="r") for o in self.early]
        return lines, ["" if text == "0" else text for text in offsets]

    def _terms(
        self, statements: Statements, column: str, offsets: Sequence[str], fixed: dict[Value, str], suffix: str
    ) -> tuple[list[str], list[str]]:
        """Statements for one element, or one vector of them, and the operands of the reductions."""
        names, lines = dict(fixed), []
        for operand, offset in zip(self.early, offsets, strict=True):
            if operand.value in names:
                continue
            lines += self._load(statements, operand, column, offset, suffix)
            names[operand.value] = f"{operand.name}_{suffix}"
        lines += statements.of(self.before, names, suffix)
        return lines, [statements.operand(n.sources[0], names) for n in self.reductions]

    def _load(self, statements: Statements, operand: _Operand, column: str, offset: str, suffix: str) -> list[str]:
        dtype, name = operand.value.dtype, f"{operand.name}_{suffix}"
        statements.uses(dtype)
        place = " + ".join(t for t in (offset, column if operand.step else "") if t) or "0"
        if isinstance(statements, WideStatements):
            if operand.step:
                return [f"const {statements.type(dtype)} {name} = {statements.load(dtype, operand.name, place)};"]
            one = self.dialect.load(dtype, operand.name, place)
            return [f"const {statements.type(dtype)} {name} = {statements.everywhere(one, dtype)};"]
        return [f"const {self.dialect.type(dtype)} {name} = {self.dialect.load(dtype, operand.name, place)};"]

    def _fixed(self, statements: Statements, column: str, suffix: str) -> tuple[list[str], dict[Value, str]]:
        """What does not change from row to row, loaded once."""
        lines: list[str] = []
        names: dict[Value, str] = {}
        for operand in self.early:
            if not any(operand.across):
                lines += self._load(statements, operand, column, "", suffix)
                names[operand.value] = f"{operand.name}_{suffix}"
        return lines, names

    def _beside(self, sig: Signature, statements: Statements, beside: int, phases: int) -> list[str]:
        """Work-items stand beside columns; several slices share a group."""
        index, item = sig.index, f"({sig.index}){self.dialect.lane}"
        blocks = sig.size("blocks", -(-self.columns // beside))
        group = f"({index}){self.dialect.group}"
        inner = [*self._range(sig), *self._column(sig, statements)]
        return [
            f"const {index} c = {group} % {blocks} * {beside} + {item} % {beside};",
            f"const {index} slice = {group} / {blocks} * {phases} + {item} / {beside};",
            f"if (c < columns && slice < {sig.size('slices', self.tile.slices)}) {{",
            *indented(inner),
            "}",
        ]

    def _column(self, sig: Signature, statements: Statements) -> list[str]:
        """Column c of a slice, by one work-item, left in scratch memory."""
        head, fixed = self._fixed(statements, "c", "c")
        rows, offsets = self._rows(sig, "row", "")
        terms, operands = self._terms(statements, "c", offsets, fixed, "")
        joins = [
            f"acc{r} = {self._join(statements, n, f'acc{r}', t)};"
            for r, (n, t) in enumerate(zip(self.reductions, operands, strict=True))
        ]
        ctype, count = self.dialect.types[self.held], len(self.reductions)
        return [
            *head,
            *[f"{ctype} acc{r} = {self._identity(n)};" for r, n in enumerate(self.reductions)],
            f"for ({sig.index} row = first; row < end; ++row) {{",
            *indented([*rows, *terms, *joins]),
            "}",
            *[f"parts[(slice * {count} + {r}) * columns + c] = acc{r};" for r in range(count)],
        ]

    def _wide(self, sig: Signature, wide: WideStatements, plain: Statements, blocks: int, rest: int) -> list[str]:
        index, width, vectors = sig.index, self.tile.vector, self.tile.vectors
        every = sig.size("blocks", blocks + bool(rest))
        lines = [
            f"const {index} block = ({index}){self.dialect.group} % {every};",
            f"const {index} slice = ({index}){self.dialect.group} / {every};",
            *self._range(sig),
        ]
        body = [f"const {index} c = block * {width * vectors};", *self._vectors(sig, wide)] if blocks else []
        if not rest:
            return lines + body
        single = [
            f"for ({index} c = columns - columns % {width}; c < columns; ++c) {{",
            *indented(self._column(sig, plain)),
            "}",
        ]
        if not blocks:
            return lines + single
        return [*lines, f"if (block < {every} - 1) {{", *indented(body), "} else {", *indented(single), "}"]

    def _vectors(self, sig: Signature, wide: WideStatements) -> list[str]:
        """The columns of a work-item in vectors, some rows at a time."""
        index, width, vectors, unroll = sig.index, self.tile.vector, self.tile.vectors, self.tile.unroll
        lines: list[str] = []
        fixed: list[dict[Value, str]] = []
        columns = ["c" if not b else f"c + {b * width}" for b in range(vectors)]
        for b in range(vectors):
            head, names = self._fixed(wide, columns[b], f"c{b}")
            lines += head
            fixed.append(names)
        every = [(r, b, u) for r in range(len(self.reductions)) for b in range(vectors) for u in range(unroll)]
        vtype = wide.type(self.held)
        for r, b, u in every:
            lines.append(f"{vtype} acc{r}_{b}_{u} = {wide.everywhere(self._identity(self.reductions[r]), self.held)};")

        def rows(u: int) -> list[str]:
            row = "row" if not u else f"row_{u}"
            text = [] if not u else [f"const {index} {row} = row + {u};"]
            found, offsets = self._rows(sig, row, str(u) if u else "")
            text += found
            for b in range(vectors):
                terms, operands = self._terms(wide, columns[b], offsets, fixed[b], f"_{b}_{u}")
                text += terms
                for r, (node, term) in enumerate(zip(self.reductions, operands, strict=True)):
                    text.append(f"acc{r}_{b}_{u} = {self._join(wide, node, f'acc{r}_{b}_{u}', term)};")
            return text

        lines.append(f"{index} row = first;")
        if unroll > 1:
            text = [line for u in range(unroll) for line in rows(u)]
            lines += [f"for (; row + {unroll} <= end; row += {unroll}) {{", *indented(text), "}"]
        lines += ["for (; row < end; ++row) {", *indented(rows(0)), "}"]
        count = len(self.reductions)
        for r, node in enumerate(self.reductions):
            for b in range(vectors):
                step = unroll // 2
                while step:
                    for u in range(step):
                        joined = self._join(wide, node, f"acc{r}_{b}_{u}", f"acc{r}_{b}_{u + step}")
                        lines.append(f"acc{r}_{b}_{u} = {joined};")
                    step //= 2
                place = f"(slice * {count} + {r}) * columns + {columns[b]}"
                lines.append(wide.store(self.held, "parts", place, f"acc{r}_{b}_0"))
        return lines


def consecutive(node: Node) -> bool:
    """Whether the reductions of a node stand side by side in its body."""
    body: Graph = node.attrs["body"]
    at = [i for i, n in enumerate(body.nodes) if n.op.family == "reduction"]
    return at == list(range(at[0], at[0] + len(at)))
