"""Row programs to source: a work-group takes whole rows, stage by stage, each reduction a loop over the row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kcore.codegen.dialect import Dialect, compute_dtype
from kcore.codegen.group import Group, Statements, indented, numbered
from kcore.codegen.layout import collapse, extent
from kcore.codegen.reduction import REDUCERS
from kcore.codegen.row_program import RowProgram, needed
from kcore.codegen.signature import Signature, coordinates, index_dtype, offset_text
from kcore.codegen.source import Code, Source
from kcore.dtypes import INTS, int_range, itemsize
from kcore.graph.core import Node, Value
from kcore.graph.fuse_rows import FUSED_ROWS

#: Into how many parts a sum over all rows is cut at most; the same on every device, so that its order is too.
PARTS = 64

#: Ops worth keeping the results of, where a row is gone over several times.
_COSTLY = {
    "exp", "expm1", "log", "log1p", "tanh", "erf", "power", "sin", "cos", "tan", "sinh", "cosh", "arcsin", "arccos",
    "arctan", "arctan2",
}  # fmt: skip


@dataclass(frozen=True)
class RowProgramTile:
    """How a row program is cut; the only sizes that are compiled in.

    Attributes:
        lanes: work-items that share a row, a power of two.
        rows: rows of a work-group that stand side by side.
        vector: 0, or elements of the vectors in which one work-item goes along a row by itself (`lanes` is 1 then).
        share: rows a work-group takes one after the other; with more than one, `rows` is 1.
        keep: rows up to this many elements keep costly intermediate values from one loop to the next in private
            memory (one lane only); 0 computes them again.
    """

    lanes: int = 64
    rows: int = 1
    vector: int = 0
    share: int = 1
    keep: int = 0

    def __post_init__(self) -> None:
        if self.lanes < 1 or self.lanes & (self.lanes - 1) or self.rows < 1 or self.share < 1:
            raise ValueError(f"lanes of a row are a power of two, got {self}")
        if (self.vector and (self.lanes, self.rows) != (1, 1)) or (self.share > 1 and self.rows > 1):
            raise ValueError(f"vectors and rows taken in turn leave no room for rows side by side, got {self}")


def choose_row_tile(program: RowProgram, cores: int = 0, width: int = 128) -> RowProgramTile:
    """A tile for a program.

    Args:
        cores: cores of a CPU, where a work-item is a wide worker; 0 on a GPU.
        width: work-items per group on a GPU.
    """
    from kcore.codegen.row_vectors import lanes_of

    rows, n = program.rows, program.n
    apart = not program.along[-1]
    share = max(-(-rows // min(PARTS, max(rows // 4, 1))), 1) if program.columns else 1
    if cores:
        wide = lanes_of(program)
        if wide and (n >= 3 * wide or program.columns):
            if not program.columns:
                groups = max(min(rows * n // 8192, 8 * cores), min(cores, rows))
                share = max(-(-rows // max(groups, 1)), 1)
            keep = 1 << max(n - 1, 1).bit_length()
            return RowProgramTile(1, 1, wide, share, keep if keep <= 4096 else 0)
        if not program.columns:
            keep = 1 << max(n - 1, 1).bit_length()
            return RowProgramTile(1, 64 if rows >= 64 * cores else 16, keep=keep if keep <= 64 else 0)
    if apart and not program.columns:
        return RowProgramTile(1, 64)
    lanes = min(16 if cores else width, 1 << max((n + 3) // 4 - 1, 0).bit_length())
    return RowProgramTile(lanes, 1 if program.columns else max(width // lanes, 1), share=share)


def emit_rows(
    program: RowProgram,
    node: Node,
    dialect: Dialect,
    tile: RowProgramTile,
    *,
    starts: bool = False,
    wanted: Sequence[bool] | None = None,
) -> Code:
    """The kernels of a row program: one, and a second where there are sums over all rows.

    Args:
        program: what `row_program` made of the node.
        node: the composite, for names and comments.
        dialect: `OPENCL` or `CUDA`; vectors are OpenCL's.
        tile: how the work is cut.
        starts: after every buffer an argument ``"start"`` says at which element the array begins.
        wanted: for each output whether anybody reads it; all if None.

    Raises:
        ValueError: the tile has vectors and the program, or the dialect, cannot be written so.
    """
    from kcore.codegen.row_vectors import WideRows

    kind = WideRows if tile.vector else Rows
    rows = kind(program, node, dialect, tile, starts, wanted)
    launches = [rows.whole()]
    if rows.columns:
        launches.append(rows.joined())
    return Code(tuple(launches), rows.scratch_bytes)


def row_scratch_bytes(program: RowProgram) -> int:
    """Bytes of scratch the kernels of a program may use, whatever the tile."""
    if not program.columns:
        return 0
    width = max(itemsize(compute_dtype(n.outputs[0].dtype)) for n in program.columns)
    return PARTS * len(program.columns) * program.n * width


class _Title(Group):
    """Names a kernel after the composite, not after what it is made of."""

    def __init__(self, node: Node, nodes: list[Node]):
        super().__init__(nodes, [], [])
        self._node = Group(list(node.attrs["body"].nodes) if node.op is FUSED_ROWS else [node], [], [])

    @property
    def name(self) -> str:
        return self._node.name

    @property
    def comment(self) -> list[str]:
        ops = ", ".join(dict.fromkeys(n.op.name for n in self.nodes))
        return [*self._node.comment, f"// computed by {ops}"]


@dataclass
class _Operand:
    """A buffer of the kernel: the value it holds and its strides along rows and elements."""

    value: Value
    name: str
    index: int
    across: tuple[int, ...] = ()
    along: tuple[int, ...] = ()
    row: str = ""  # where its row begins

    @property
    def varies(self) -> bool:
        return any(self.along)


class Rows:
    """A row program being written, in plain statements: lanes along a row, a tree in shared memory."""

    def __init__(
        self,
        program: RowProgram,
        node: Node,
        dialect: Dialect,
        tile: RowProgramTile,
        starts: bool,
        wanted: Sequence[bool] | None,
    ):
        self.program, self.node, self.dialect, self.tile, self.starts = program, node, dialect, tile, starts
        body = program.body
        outputs = [(v, i) for i, v in enumerate(body.outputs) if wanted is None or wanted[i]]
        self.live = needed(body.nodes, [v for v, _ in outputs], [])
        read = {v for n in self.live for v in n.sources}
        self.columns = [n for n in self.live if n in program.columns]
        column_values = {n.outputs[0] for n in self.columns}
        self.reads = [_Operand(v, f"x{j}", i) for j, (v, i) in enumerate(program.inputs) if v in read]
        self.writes = [_Operand(v, f"y{i}", i) for v, i in outputs if v not in column_values]
        self.sums = [_Operand(v, f"y{i}", i) for v, i in outputs if v in column_values]
        everything = (*self.reads, *self.writes)
        layout = collapse(program.shape, [program.strides[o.value] for o in everything], program.along)
        self.across = [d for d, a in zip(layout.dims, layout.labels, strict=True) if not a]
        self.along = [d for d, a in zip(layout.dims, layout.labels, strict=True) if a]
        for operand, strides in zip(everything, layout.strides, strict=True):
            operand.across = tuple(s for s, a in zip(strides, layout.labels, strict=True) if not a)
            operand.along = tuple(s for s, a in zip(strides, layout.labels, strict=True) if a)
        self.rows, self.n = program.rows, program.n
        groups = self.groups
        parts = groups * len(self.columns) * self.n
        largest = [extent(layout.dims, s) for s in layout.strides]
        spare = tile.lanes * tile.rows * tile.share
        self.index_dtype = index_dtype(max([*largest, self.rows + spare, self.n + 4 * tile.lanes, parts, 1]))
        self.group = _Title(node, self.live)
        self.statements = Statements(dialect, numbered(self.live))
        self.sig = Signature(dialect, self.index_dtype, starts)
        self.shared: list[str] = []  # declarations that must stand at the head of the kernel
        self.names: dict[Value, str] = {}  # what is known for the whole row
        self.kept = self._kept()
        self.filled: set[Value] = set()  # what a loop before has kept
        for node_ in self.live:
            self.statements.uses(node_.outputs[0].dtype)

    # -- sizes -------------------------------------------------------------------------------------------------------

    @property
    def groups(self) -> int:
        return -(-self.program.rows // (self.tile.rows * self.tile.share))

    @property
    def scratch_bytes(self) -> int:
        return max(self.groups, 1) * len(self.columns) * self.n * self._column_size

    @property
    def _column_size(self) -> int:
        return max((itemsize(compute_dtype(n.outputs[0].dtype)) for n in self.columns), default=0)

    @property
    def column_dtype(self) -> str:
        return compute_dtype(self.columns[0].outputs[0].dtype)

    # -- kernels -----------------------------------------------------------------------------------------------------

    def whole(self) -> Source:
        """The kernel that goes over the rows."""
        sig = self.sig
        for operand in self.reads:
            sig.buffer(operand.name, "input", operand.value.dtype, operand.index, const=True)
        for operand in self.writes:
            sig.buffer(operand.name, "output", operand.value.dtype, operand.index)
        if self.columns:
            sig.buffer("parts", "scratch", self.column_dtype)
        sig.size("rows", self.rows)
        sig.size("n", self.n)
        lines = self._framed(self._row())
        local = self.tile.lanes * self.tile.rows
        return sig.source(self.group, self.statements, [*self.shared, *lines], local, self.groups)

    def joined(self) -> Source:
        """The kernel that joins the parts of sums over all rows, in order."""
        sig = Signature(self.dialect, self.index_dtype, self.starts)
        statements = Statements(self.dialect, {})
        sig.buffer("parts", "scratch", self.column_dtype, const=True)
        for operand in self.sums:
            sig.buffer(operand.name, "output", operand.value.dtype, operand.index)
        sig.size("n", self.n)
        sig.size("groups", self.groups)
        index, local, width = sig.index, 64, len(self.columns) * self.n
        stride = sig.size("stride", width)
        inner = []
        at = {n.outputs[0]: j for j, n in enumerate(self.columns)}
        ctype = self.dialect.types[self.column_dtype]
        for operand in self.sums:
            total, first = f"{operand.name}_total", f"{at[operand.value]} * n + k"
            inner += [
                f"{ctype} {total} = 0;",
                f"for ({index} group = 0; group < groups; ++group) {total} += parts[group * {stride} + {first}];",
                self.dialect.store(operand.value.dtype, operand.name, "k", total),
            ]
        lines = [
            f"const {index} k = ({index}){self.dialect.group} * {local} + ({index}){self.dialect.lane};",
            "if (k < n) {",
            *indented(inner),
            "}",
        ]
        statements.uses(self.column_dtype)
        return sig.source(self.group, statements, lines, local, -(-self.n // local), part="_join")

    # -- the frame: which rows, by whom ------------------------------------------------------------------------------

    def _framed(self, row: list[str]) -> list[str]:
        index, tile, dialect = self.sig.index, self.tile, self.dialect
        group, item = f"({index}){dialect.group}", f"({index}){dialect.lane}"
        if self.turns:
            self.sig.size("share", tile.share)
            return [
                f"const {index} lane = {item};",
                f"const {index} first = {group} * share;",
                f"const {index} end = first + share < rows ? first + share : rows;",
                *self._cleared(),
                f"for ({index} row = first; row < end; ++row) {{",
                *indented(row),
                *([f"    {dialect.barrier}"] if tile.lanes > 1 and self.shared else []),
                "}",
            ]
        if tile.lanes == 1:
            head = f"const {index} row = {group} * {tile.rows} + {item};"
            return [head, *self._keepers(), "if (row < rows) {", *indented(row), "}"]
        if tile.rows == 1:
            return [f"const {index} lane = {item};", f"const {index} row = {group};", *row]
        return [
            f"const {index} item = {item};",
            f"const {index} lane = item % {tile.lanes};",
            f"const {index} slot = item / {tile.lanes};",
            f"const {index} own = {group} * {tile.rows} + slot;",
            f"const {index} row = own < rows ? own : rows - 1;  // all must reach the barriers",
            *row,
        ]

    @property
    def turns(self) -> bool:
        """Whether a work-group takes rows one after the other."""
        return self.tile.share > 1 or bool(self.columns)

    @property
    def guard(self) -> str:
        """Who may write: no work-item that only keeps others company."""
        return "own < rows" if self.tile.lanes > 1 and self.tile.rows > 1 else ""

    def _cleared(self) -> list[str]:
        """Statements that clear this group's part of the sums over all rows."""
        if not self.columns:
            return []
        index, ctype = self.sig.index, self.dialect.pointer(self.column_dtype, const=False)
        lines = [f"parts += ({index}){self.dialect.group} * {len(self.columns)} * n;"]
        lines += [f"{ctype}part{j} = parts + {j} * n;" for j in range(len(self.columns))]
        clear = " ".join(f"part{j}[k] = 0;" for j in range(len(self.columns)))
        return [*lines, f"{self._each()} {{ {clear} }}"]

    def _each(self) -> str:
        """The head of a loop over the elements of a row."""
        index, lanes = self.sig.index, self.tile.lanes
        if lanes == 1:
            return f"for ({index} k = 0; k < n; ++k)"
        return f"for ({index} k = lane; k < n; k += {lanes})"

    # -- one row -----------------------------------------------------------------------------------------------------

    def _row(self) -> list[str]:
        program, level = self.program, self.program.level
        lines = self._head()
        reductions = [n for n in self.live if self._reduces(n)]
        last = max((level[n.outputs[0]] for n in reductions), default=0)
        full = [w for w in self.writes if w.varies]
        for stage in range(last + 1):
            lines += self._scalars(stage)
            here = [n for n in reductions if level[n.outputs[0]] == stage + 1]
            if here:
                lines += self._stage(here)
        if full or self.columns:
            lines += self._final(full)
        single = [w for w in self.writes if not w.varies]
        stores = [
            self.dialect.store(w.value.dtype, w.name, w.row, self.statements.operand(program.root(w.value), self.names))
            for w in single
        ]
        conditions = [c for c in ("lane == 0" if self.tile.lanes > 1 else "", self.guard) if c]
        if stores and conditions:
            return [*lines, f"if ({' && '.join(conditions)}) {{", *indented(stores), "}"]
        return lines + stores

    def _reduces(self, node: Node) -> bool:
        value = node.outputs[0]
        return node.op.family == "reduction" and value not in self.program.aliases and node not in self.columns

    def _head(self) -> list[str]:
        """Where the row begins in each operand, and what is the same for all of its elements."""
        sig, index = self.sig, self.sig.index
        operands = [*self.reads, *self.writes]
        used = {k for o in operands for k, s in enumerate(o.across) if s}
        lines: list[str] = []
        if len(self.across) > 1:
            names = [sig.size(f"r{k}", d) if k else "" for k, d in enumerate(self.across)]
            lines += coordinates(index, "row", "c", names, used)
        for operand in operands:
            if len(self.across) > 1:
                operand.row = offset_text(sig, operand.name, "c", operand.across)
            elif any(operand.across):
                step = operand.across[0]
                operand.row = "row" if step == 1 else f"row * {sig.size(f'{operand.name}_c0', step)}"
            else:
                operand.row = "0"
            if operand.varies and operand.row != "0":
                lines.append(f"const {index} {operand.name}_row = {operand.row};")
                operand.row = f"{operand.name}_row"
        for operand in self.reads:
            if not operand.varies:
                dtype = operand.value.dtype
                load = self.dialect.load(dtype, operand.name, operand.row)
                self.statements.uses(dtype)
                lines.append(f"const {self.dialect.type(dtype)} {operand.name}_ = {load};")
                self.names[operand.value] = f"{operand.name}_"
        return lines

    def _scalars(self, stage: int) -> list[str]:
        """What there is one of in a row and what can be computed at this stage."""
        lines: list[str] = []
        for node in self.live:
            value = node.outputs[0]
            root = self.program.root(value)
            if self.program.level[value] != stage or value in self.names or node in self.columns:
                continue
            if root is not value:
                if not self.program.varies(root):
                    self.names[value] = self.statements.operand(root, self.names)
            elif node.op.name == "take_along_axis":
                lines += self._picked(node)
            elif not self.program.varies(value) and not self._reduces(node):
                lines += self.statements.of([node], self.names)
        return lines

    def _picked(self, node: Node) -> list[str]:
        """The one element of the row at an index, computed for it alone."""
        source, at = node.sources
        number = self.statements.number[node]
        place = f"k{number}"
        indices = self.statements.operand(at, self.names)
        names = dict(self.names)
        lines = [f"const {self.sig.index} {place} = ({self.sig.index}){indices};"]
        lines += self._element([source], names, place, f"_{place}")
        self.names[node.outputs[0]] = self.statements.operand(source, names)
        return lines

    # -- what is kept from loop to loop ------------------------------------------------------------------------------

    def _kept(self) -> list[Value]:
        """Costly values that more than one loop needs."""
        if not self.tile.keep:
            return []
        program, level = self.program, self.program.level
        single = [n.outputs[0] for n in self.live if not program.varies(n.outputs[0])]
        loops: list[list[Value]] = []
        reductions = [n for n in self.live if self._reduces(n)]
        for stage in range(max((level[n.outputs[0]] for n in reductions), default=0)):
            loops.append([n.sources[0] for n in reductions if level[n.outputs[0]] == stage + 1])
        final = [program.root(w.value) for w in self.writes if any(w.along)]
        loops.append(final + [n.sources[0] for n in self.columns])
        counts: dict[Value, int] = {}
        for targets in loops:
            for node in self._inner(targets, single):
                if node.op.name in _COSTLY and program.varies(node.outputs[0]):
                    counts[node.outputs[0]] = counts.get(node.outputs[0], 0) + 1
        return [v for v, count in counts.items() if count > 1]

    def _keepers(self) -> list[str]:
        """Declarations of the memory for what is kept."""
        return [f"{self.dialect.type(v.dtype)} {self._keeper(v)}[{self.tile.keep}];" for v in self.kept]

    def _keep(self, nodes: Sequence[Node]) -> None:
        self.filled.update(n.outputs[0] for n in nodes if n.outputs[0] in self.kept)

    def _keeper(self, value: Value) -> str:
        assert value.node is not None
        return f"kept{self.statements.number[value.node]}"

    # -- one element -------------------------------------------------------------------------------------------------

    def _inner(self, targets: Sequence[Value], known: Sequence[Value] = ()) -> list[Node]:
        """The nodes that compute the targets at one element, from what is known of the row."""
        return needed(self.live, targets, [*self.names, *known])

    def _loads(self, nodes: Sequence[Node], targets: Sequence[Value]) -> list[_Operand]:
        """The operands that those nodes read at each element."""
        wanted = {v for n in nodes for v in n.sources} | set(targets)
        return [o for o in self.reads if o.varies and o.value in wanted]

    def _counts(self, nodes: Sequence[Node]) -> list[Value]:
        return [v for v in dict.fromkeys(v for n in nodes for v in n.sources) if v in self.program.counting]

    def _place(self, operand: _Operand, k: str, lines: list[str], prefix: str) -> str:
        """The offset of element `k` of the row in an operand; coordinates it needs are added to `lines` once."""
        base = operand.row if operand.row != "0" else ""
        if len(self.along) <= 1:
            step = operand.along[0] if operand.along else 0
            if not step:
                return operand.row
            moved = k if step == 1 else f"{k} * {self.sig.size(f'{operand.name}_k0', step)}"
            return f"{base} + {moved}" if base else moved
        names = [self.sig.size(f"n{j}", d) if j else "" for j, d in enumerate(self.along)]
        if not any(line.startswith(f"const {self.sig.index} {prefix}0") for line in lines):
            lines += coordinates(self.sig.index, k, prefix, names, range(len(names)))
        return offset_text(self.sig, operand.name, prefix, operand.along, base, stride="k")

    def _element(self, targets: Sequence[Value], names: dict[Value, str], k: str, suffix: str = "") -> list[str]:
        """Statements that compute the targets at element `k`."""
        names.update((value, f"{self._keeper(value)}[{k}]") for value in self.filled)
        nodes = self._inner(targets, [v for v in names if v not in self.names])
        lines: list[str] = []
        for operand in self._loads(nodes, targets):
            dtype = operand.value.dtype
            if operand.value in names:
                continue
            self.statements.uses(dtype)
            load = self.dialect.load(dtype, operand.name, self._place(operand, k, lines, f"q{suffix}"))
            names[operand.value] = f"{operand.name}_{suffix}"
            lines.append(f"const {self.dialect.type(dtype)} {operand.name}_{suffix} = {load};")
        for value in self._counts(nodes):
            start, step = self.program.counting[value]
            text = k if (start, step) == (0, 1) else f"({start} + {step} * {k})"
            names[value] = f"({self.dialect.type(value.dtype)}){text}"
        for node in nodes:
            if node.outputs[0] in self.program.aliases:
                names[node.outputs[0]] = self.statements.operand(node.sources[0], names)
            else:
                lines += self.statements.of([node], names, suffix)
                if node.outputs[0] in self.kept and k == "k":
                    lines.append(f"{self._keeper(node.outputs[0])}[k] = {names[node.outputs[0]]};")
        return lines

    # -- loops -------------------------------------------------------------------------------------------------------

    def held(self, node: Node) -> str:
        """The dtype a reduction's partial results have."""
        dtype = node.outputs[0].dtype
        return "bool" if dtype == "bool" else compute_dtype(dtype)

    def _joined(self, node: Node, a: str, b: str) -> str:
        held = self.held(node)
        return self.statements.filled(REDUCERS[node.op.name].expr, (a, b), held, held)

    def _identity(self, node: Node) -> str:
        identity, held = REDUCERS[node.op.name].identity, self.held(node)
        if isinstance(identity, str):
            high = identity == "highest"
            if held in INTS:
                identity = int_range(held)[high]
            else:
                identity = int(high) if held == "bool" else float("inf") if high else float("-inf")
        return self.dialect.literal(identity, held)

    def _operand(self, node: Node, names: dict[Value, str]) -> str:
        """What a reduction takes in at one element."""
        source = node.sources[0]
        text = self.statements.operand(source, names)
        return f"({text} != 0)" if self.held(node) == "bool" and source.dtype != "bool" else text

    def _result(self, node: Node) -> str:
        return f"v{self.statements.number[node]}"

    def _stage(self, reductions: Sequence[Node]) -> list[str]:
        """One loop over the row that computes several reductions."""
        number = self.statements.number
        lines = [f"{self._ctype(n)} acc{number[n]} = {self._identity(n)};" for n in reductions]
        names = dict(self.names)
        inner = self._element([n.sources[0] for n in reductions], names, "k")
        for node in reductions:
            acc = f"acc{number[node]}"
            inner.append(f"{acc} = {self._joined(node, acc, self._operand(node, names))};")
        lines += [f"{self._each()} {{", *indented(inner), "}", *self._tree(reductions)]
        self._keep(self._inner([n.sources[0] for n in reductions]))
        for node in reductions:
            self.names[node.outputs[0]] = self._result(node)
        return lines

    def _ctype(self, node: Node) -> str:
        return self.dialect.types[self.held(node)]

    def _tree(self, reductions: Sequence[Node]) -> list[str]:
        """The lanes' partial results joined in shared memory, halving the lanes at each step; all lanes get them."""
        tile, number = self.tile, self.statements.number
        if tile.lanes == 1:
            return [f"const {self._ctype(n)} {self._result(n)} = acc{number[n]};  // {n.op.name}" for n in reductions]
        item = "item" if tile.rows > 1 else "lane"
        parts = {n: f"shared{number[n]}" for n in reductions}
        for node in reductions:
            self.shared.append(f"{self.dialect.shared} {self._ctype(node)} {parts[node]}[{tile.lanes * tile.rows}];")
        lines = [f"{p}[{item}] = acc{number[n]};" for n, p in parts.items()]
        step = tile.lanes // 2
        while step:
            joins = [
                f"{p}[{item}] = {self._joined(n, f'{p}[{item}]', f'{p}[{item} + {step}]')};" for n, p in parts.items()
            ]
            lines += [self.dialect.barrier, f"if (lane < {step}) {{", *indented(joins), "}"]
            step //= 2
        where = f"slot * {tile.lanes}" if tile.rows > 1 else "0"
        lines.append(self.dialect.barrier)
        return lines + [
            f"const {self._ctype(n)} {self._result(n)} = {p}[{where}];  // {n.op.name}" for n, p in parts.items()
        ]

    def _final(self, full: Sequence[_Operand]) -> list[str]:
        """The loop that writes what has an element for each element of a row, and adds up the sums over all rows."""
        names = dict(self.names)
        targets = [*(self.program.root(w.value) for w in full), *(n.sources[0] for n in self.columns)]
        inner = self._element(targets, names, "k")
        for j, node in enumerate(self.columns):
            inner.append(f"part{j}[k] += {self.statements.operand(node.sources[0], names)};")
        for operand in full:
            value = self.statements.operand(self.program.root(operand.value), names)
            place = self._place(operand, "k", inner, "q")
            inner.append(self.dialect.store(operand.value.dtype, operand.name, place, value))
        loop = [f"{self._each()} {{", *indented(inner), "}"]
        return [f"if ({self.guard}) {{", *indented(loop), "}"] if self.guard else loop
