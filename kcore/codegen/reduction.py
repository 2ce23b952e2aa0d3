"""Reductions with elementwise prologue and epilogue: lanes, a tree in shared memory, always the same order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from kcore.codegen.dialect import Dialect, compute_dtype
from kcore.codegen.group import Group, Statements, indented, numbered
from kcore.codegen.layout import aligned, collapse, contiguous, extent
from kcore.codegen.signature import Signature, coordinates, index_dtype, offset_text
from kcore.codegen.source import Code, Source
from kcore.dtypes import INTS, int_range, itemsize
from kcore.graph.core import Node, Value


@dataclass(frozen=True)
class Reducer:
    """How two partial results become one, as an op's expression, and what an empty reduction gives.

    `identity` is a number, or ``"lowest"``/``"highest"`` of the dtype.
    """

    expr: str
    identity: float | str


#: The reductions there is source for, by op name; a plugin may add its own.
REDUCERS: dict[str, Reducer] = {
    "sum": Reducer("{0} + {1}", 0),
    "prod": Reducer("{0} * {1}", 1),
    "max": Reducer("max({0}, {1})", "lowest"),
    "min": Reducer("min({0}, {1})", "highest"),
    "any": Reducer("{0} || {1}", 0),
    "all": Reducer("{0} && {1}", 1),
}


@dataclass(frozen=True)
class ReductionTile:
    """How a reduction is cut; the only sizes that are compiled in. All are powers of two except `splits`.

    Attributes:
        lanes: work-items that share one result.
        rows: results per work-group; a group has `lanes` x `rows` work-items.
        unroll: partial results per work-item, so that an addition need not wait for the one before it.
        splits: work-groups that share one result; with more than one, a second kernel joins their parts.
    """

    lanes: int = 64
    rows: int = 1
    unroll: int = 4
    splits: int = 1

    def __post_init__(self) -> None:
        powers = (self.lanes, self.rows, self.unroll)
        if any(p < 1 or p & (p - 1) for p in powers) or self.splits < 1:
            raise ValueError(f"lanes, rows and unroll of a reduction are powers of two, got {self}")


def choose_tile(rows: int, n: int, columns: bool, width: int = 256) -> ReductionTile:
    """A tile for `rows` results of `n` elements each, from the sizes alone, so that the order of additions is too.

    Args:
        columns: neighbours in memory belong to different results.
        width: work-items per group.
    """
    if columns:
        across = min(_power(rows), 64 if n > 8 else width)
        lanes = min(width // across, _power(max(n // 4, 1)))
    else:
        lanes = min(width, _power(max(n // 4, 1)))
        across = min(width // lanes, _power(rows))
    groups = max(-(-rows // across), 1)
    splits = min(64 // groups, n // (lanes * 16)) if groups < 32 else 1
    return ReductionTile(lanes, across, 4, max(splits, 1))


def _power(n: int) -> int:
    """The smallest power of two that is at least n."""
    return 1 << max(n - 1, 0).bit_length()


#: Statements that find coordinates, and the offset of each operand as text.
_Offsets = tuple[list[str], list[str]]


@dataclass
class Read:
    value: Value
    name: str  # of the pointer
    at: str = ""


def emit_reduction(
    group: Group,
    node: Node,
    dialect: Dialect,
    tile: ReductionTile | None,
    strides: Sequence[tuple[int, ...] | None] | None,
    starts: bool,
) -> Code:
    """The kernels of a reduction group: one, or two where the work of a result is split among groups."""
    kernel = _Lanes(group, dialect, strides, starts, tile)
    if kernel.tile.splits == 1:
        return Code((kernel.whole(),))
    parts, finish = kernel.parts(), kernel.finish()
    return Code((parts, finish), kernel.scratch_bytes(kernel.tile.splits))


class Reduction:
    """A group taken apart: what comes before the reduction, the reduction, what comes after.

    Attributes:
        before, after: the nodes before and after the node that reduces.
        source_value, total: what is reduced, and the result.
        rows, n: how many results there are, of how many elements each.
        held: dtype of partial results.
        early, late: operands read before and after the reduction.
        written: (value, name, output index) of everything stored; `stored` those of the shape of what is reduced.
        layout: axes left of what is reduced, labelled True where they are reduced.
        columns: neighbours in memory belong to different results.
    """

    def __init__(
        self,
        group: Group,
        dialect: Dialect,
        strides: Sequence[tuple[int, ...] | None] | None,
        starts: bool,
    ):
        self.group, self.dialect, self.starts = group, dialect, starts
        reduction = group.reduction
        assert reduction is not None
        reducer = REDUCERS.get(reduction.op.name)
        if reducer is None:
            raise ValueError(
                f"there is no source for reduction {reduction.op.name!r}, only for {', '.join(REDUCERS)} "
                f"({reduction.location()})"
            )
        self.reduction, self.reducer = reduction, reducer
        self.source_value, self.total = reduction.sources[0], reduction.outputs[0]
        shape, axis = self.source_value.shape, reduction.attrs["axis"]
        at = group.nodes.index(reduction)
        self.before, self.after = group.nodes[:at], group.nodes[at + 1 :]
        labels = [i in axis for i in range(len(shape))]
        self.rows = prod(d for d, r in zip(shape, labels, strict=True) if not r)
        self.n = prod(d for d, r in zip(shape, labels, strict=True) if r)
        self.held = "bool" if self.total.dtype == "bool" else compute_dtype(self.total.dtype)

        # every operand's strides along the axes of what is reduced; those of the epilogue do not move with the rest
        kept = [i for i, r in enumerate(labels) if not r]
        early = {v for n in (*self.before, reduction) for v in n.sources}
        late = {v for n in self.after for v in n.sources}
        self.early: list[Read] = []
        self.late: list[Read] = []
        columns: list[tuple[int, ...]] = []
        own_late: list[tuple[int, ...]] = []
        for j, (value, i) in enumerate(group.inputs):
            own = (strides and strides[i]) or contiguous(value.shape)
            if value in early:
                self.early.append(Read(value, f"x{j}"))
                columns.append(aligned(value.shape, own, shape))
            if value in late:
                self.late.append(Read(value, f"x{j}"))
                along = aligned(value.shape, own, self.total.shape)
                if len(self.total.shape) == len(shape):
                    own_late.append(tuple(0 if r else s for s, r in zip(along, labels, strict=True)))
                else:
                    spread = [0] * len(shape)
                    for k, s in zip(kept, along, strict=True):
                        spread[k] = s
                    own_late.append(tuple(spread))
        inner = {v for n in self.before for v in n.outputs}
        self.written = [(v, f"y{j}", i) for j, (v, i) in enumerate(group.outputs)]
        self.stored = [w for w in self.written if w[0] in inner]
        layout = collapse(shape, [*columns, *own_late, *[contiguous(shape)] * len(self.stored)], labels)
        self.layout = layout
        self.early_strides = layout.strides[: len(columns)]
        self.late_strides = layout.strides[len(columns) : len(columns) + len(own_late)]
        self.stored_strides = layout.strides[len(columns) + len(own_late) :]
        self.columns = bool(layout.labels) and not layout.labels[-1] and self.n > 1
        self.number = numbered(group.nodes)

    def index_for(self, *reach: int) -> str:
        """The index dtype, where a kernel counts up to each of `reach`."""
        return index_dtype(max([*reach, *(extent(self.layout.dims, s) for s in self.layout.strides)]))

    def scratch_bytes(self, splits: int) -> int:
        """Room for the parts of all results."""
        return self.rows * splits * itemsize(self.held)

    def joined(self, statements: Statements, a: str, b: str) -> str:
        """Two partial results as one."""
        return statements.filled(self.reducer.expr, (a, b), self.held, self.held)

    def identity(self) -> str:
        """What an empty reduction gives."""
        identity = self.reducer.identity
        if isinstance(identity, str):
            if self.held in INTS:
                identity = int_range(self.held)[identity == "highest"]
            elif self.held == "bool":
                identity = int(identity == "highest")
            else:
                identity = float("inf") if identity == "highest" else float("-inf")
        return self.dialect.literal(identity, self.held)

    def declare(self, sig: Signature, early: bool = True, late: bool = True) -> None:
        """Add the buffers of what comes before the reduction, of what comes after it, or of both."""
        wanted = {r.name for r in (*(self.early if early else ()), *(self.late if late else ()))}
        for j, (value, i) in enumerate(self.group.inputs):
            if f"x{j}" in wanted:
                sig.buffer(f"x{j}", "input", value.dtype, i, const=True)
        for value, name, i in self.written:
            if early if any(name == s[1] for s in self.stored) else late:
                sig.buffer(name, "output", value.dtype, i)


class _Lanes(Reduction):
    """Kernels in which several work-items share a result and join their parts in a tree."""

    def __init__(
        self,
        group: Group,
        dialect: Dialect,
        strides: Sequence[tuple[int, ...] | None] | None,
        starts: bool,
        tile: ReductionTile | None,
    ):
        super().__init__(group, dialect, strides, starts)
        self.tile = t = tile or choose_tile(self.rows, self.n, self.columns)
        self.index_dtype = self.index_for((self.rows + t.rows) * t.splits, self.n + t.lanes * t.unroll * (t.splits + 1))

    # -- the kernels -------------------------------------------------------------------------------------------------

    def whole(self) -> Source:
        """Prologue, reduction and epilogue in one kernel."""
        sig, statements = self._begin()
        lines = self._head(sig, 1) + self._loop(sig, statements) + self._tree(statements)
        lines += self._epilogue(sig, statements, "row", self._row_coordinates(sig, self.late_strides, "e"))
        return self._end(sig, statements, lines, 1)

    def parts(self) -> Source:
        """The first of two: each work-group leaves its part of a result in scratch memory."""
        sig, statements = self._begin(late=False)
        sig.buffer("parts", "scratch", self.held)
        splits = self.tile.splits
        lines = self._head(sig, splits) + self._loop(sig, statements, splits) + self._tree(statements)
        lines += [
            "if (lane == 0 && row < rows)",
            f"    parts[row * {splits} + split] = total;",
        ]
        return self._end(sig, statements, lines, splits, "_parts")

    def finish(self) -> Source:
        """The second: one work-item joins the parts of a result, in order, and runs the epilogue."""
        sig = Signature(self.dialect, self.index_dtype, self.starts)
        statements = Statements(self.dialect, self.number)
        self.declare(sig, early=False)
        sig.buffer("parts", "scratch", self.held, const=True)
        sig.size("rows", self.rows)
        index, local, splits = sig.index, 64, self.tile.splits
        ctype = self.dialect.types[self.held]
        inner = [
            f"{ctype} total = parts[row * {splits}];",
            f"for (int split = 1; split < {splits}; ++split)",
            f"    total = {self.joined(statements, 'total', f'parts[row * {splits} + split]')};",
            *self._results(sig, statements, "row", self._row_coordinates(sig, self.late_strides, "e")),
        ]
        lines = [
            f"const {index} row = ({index}){self.dialect.group} * {local} + ({index}){self.dialect.lane};",
            "if (row < rows) {",
            *indented(inner),
            "}",
        ]
        return sig.source(self.group, statements, lines, local, -(-self.rows // local), part="_finish")

    # -- arguments ---------------------------------------------------------------------------------------------------

    def _begin(self, late: bool = True) -> tuple[Signature, Statements]:
        sig = Signature(self.dialect, self.index_dtype, self.starts)
        self.declare(sig, late=late)
        sig.size("rows", self.rows)
        sig.size("n", self.n)
        return sig, Statements(self.dialect, self.number)

    def _end(self, sig: Signature, statements: Statements, lines: Sequence[str], splits: int, part: str = "") -> Source:
        statements.uses(self.held)
        local = self.tile.lanes * self.tile.rows
        groups = -(-self.rows // self.tile.rows) * splits
        return sig.source(self.group, statements, lines, local, groups, part=part)

    # -- pieces of text ----------------------------------------------------------------------------------------------

    def _head(self, sig: Signature, splits: int) -> list[str]:
        """Which result this work-item works on, and which of its elements."""
        index, dialect, tile = sig.index, self.dialect, self.tile
        local = f"({index}){dialect.lane}"
        group = f"({index}){dialect.group}"
        lines = [f"const {index} item = {local};"]
        # lanes of one result stand together where its elements do, results stand together where they are neighbours
        if self.columns:
            lane, row = f"item / {tile.rows}", f"item % {tile.rows}"
        else:
            lane, row = f"item % {tile.lanes}", f"item / {tile.lanes}"
        if tile.rows == 1:
            lane, row = "item", ""
        elif tile.lanes == 1:
            lane, row = "0", "item"
        lines.append(f"const {index} lane = {lane};")
        first = group
        if splits > 1:
            lines.append(f"const {index} split = {group} % {splits};")
            first = f"{group} / {splits}"
        where = first if tile.rows == 1 else f"{first} * {tile.rows}"
        lines.append(f"const {index} row = {where}{f' + {row}' if row else ''};")
        return lines

    def _row_coordinates(self, sig: Signature, strides: Sequence[Sequence[int]], prefix: str) -> _Offsets:
        """Statements for the coordinates of a row, and each operand's offset along the axes that stay."""
        kept = [k for k, r in enumerate(self.layout.labels) if not r]
        along = [[s[k] for k in kept] for s in strides]
        names = [sig.size(f"r{j}", self.layout.dims[k]) if j else "" for j, k in enumerate(kept)] if along else []
        used = {j for s in along for j, stride in enumerate(s) if stride}
        pointers = self.late if prefix == "e" else self.early
        labels = [*(r.name for r in pointers), *(f"{name}" for _, name, _ in self.stored)]
        offsets = [offset_text(sig, n, prefix, s) for n, s in zip(labels, along, strict=False)]
        return coordinates(sig.index, "row", prefix, names, used), offsets

    def _loop(self, sig: Signature, statements: Statements, splits: int = 1) -> list[str]:
        """Each lane's own partial result, in `acc0`."""
        tile, index = self.tile, sig.index
        ctype = self.dialect.types[self.held]
        moving = [*self.early_strides, *self.stored_strides]
        lines, rows_at = self._row_coordinates(sig, moving, "c")
        reduced = [k for k, r in enumerate(self.layout.labels) if r]
        along = [[s[k] for k in reduced] for s in moving]
        pointers = [r.name for r in self.early] + [name for _, name, _ in self.stored]
        inner: list[str] = []  # before the loop: offsets of rows, and what does not change with k
        fixed: dict[Value, str] = {}
        bases: list[str] = []
        for j, (name, at) in enumerate(zip(pointers, rows_at, strict=True)):
            if j < len(self.early) and not any(along[j]):
                value = self.early[j].value
                statements.uses(value.dtype)
                load = self.dialect.load(value.dtype, name, at)
                inner.append(f"const {self.dialect.type(value.dtype)} {name}_ = {load};")
                fixed[value] = f"{name}_"
                bases.append("")
            elif at == "0":
                bases.append("")
            else:
                inner.append(f"const {index} {name}_row = {at};")
                bases.append(f"{name}_row")
        names = [sig.size(f"k{j}", self.layout.dims[k]) if j else "" for j, k in enumerate(reduced)]
        used = {j for s in along for j, stride in enumerate(s) if stride}

        def element(u: int) -> list[str]:
            """Element `k + u * lanes` joined to the u-th partial result."""
            own = dict(fixed)
            suffix = f"_{u}"
            at = "k" if u == 0 else f"k{suffix}"
            text = [] if u == 0 else [f"const {index} {at} = k + {u * tile.lanes};"]
            prefix = f"q{u}_"
            text += coordinates(index, at, prefix, names, used)
            offsets = []
            for name, s, base in zip(pointers, along, bases, strict=True):
                # strides along reduced axes are named alike in every unrolled copy
                offsets.append(offset_text(sig, name, prefix, s, base, stride="k"))
            for read, offset in zip(self.early, offsets, strict=False):
                if read.value not in fixed:
                    dtype = read.value.dtype
                    statements.uses(dtype)
                    own[read.value] = f"{read.name}{suffix}"
                    load = self.dialect.load(dtype, read.name, offset)
                    text.append(f"const {self.dialect.type(dtype)} {read.name}{suffix} = {load};")
            text += statements.of(self.before, own, suffix)
            for (value, name, _), offset in zip(self.stored, offsets[len(self.early) :], strict=True):
                text.append(self.dialect.store(value.dtype, name, offset, own[value]))
            operand = statements.operand(self.source_value, own)
            if self.held == "bool" and self.source_value.dtype != "bool":
                operand = f"({operand} != 0)"
            text.append(f"acc{u} = {self.joined(statements, f'acc{u}', operand)};")
            return text

        unroll = tile.unroll
        end = "n"
        if splits > 1:
            sig.size("share", self._share())
            inner.append(f"const {index} end = split * share + share < n ? split * share + share : n;")
            end = "end"
        inner.append(f"{index} k = {'split * share + ' if splits > 1 else ''}lane;")
        if unroll > 1:
            far = (unroll - 1) * tile.lanes
            inner += [f"for (; k + {far} < {end}; k += {unroll * tile.lanes}) {{"]
            for u in range(unroll):
                inner += indented(element(u))
            inner.append("}")
        inner += [f"for (; k < {end}; k += {tile.lanes}) {{", *indented(element(0)), "}"]
        step = unroll // 2
        while step:  # pairs of partial results, pairs of pairs
            inner += [f"acc{u} = {self.joined(statements, f'acc{u}', f'acc{u + step}')};" for u in range(step)]
            step //= 2
        accumulators = [f"{ctype} acc{u} = {self.identity()};" for u in range(unroll)]
        return [*accumulators, "if (row < rows) {", *indented([*lines, *inner]), "}"]

    def _share(self) -> int:
        """Elements of a result that one split handles."""
        return -(-self.n // self.tile.splits)

    def _tree(self, statements: Statements) -> list[str]:
        """The lanes' partial results joined in shared memory, halving the lanes at each step."""
        tile, ctype = self.tile, self.dialect.types[self.held]
        if tile.lanes == 1:
            return [f"const {ctype} total = acc0;"]
        lines = [f"{self.dialect.shared} {ctype} part[{tile.lanes * tile.rows}];", "part[item] = acc0;"]
        step = tile.lanes // 2
        while step:
            far = step * tile.rows if self.columns else step
            joined = self.joined(statements, "part[item]", f"part[item + {far}]")
            lines += [self.dialect.barrier, f"if (lane < {step}) part[item] = {joined};"]
            step //= 2
        return [*lines, f"const {ctype} total = part[item];"]

    def _epilogue(
        self, sig: Signature, statements: Statements, row: str, late: tuple[list[str], list[str]]
    ) -> list[str]:
        return ["if (lane == 0 && row < rows) {", *indented(self._results(sig, statements, row, late)), "}"]

    def _results(
        self, sig: Signature, statements: Statements, row: str, late: tuple[list[str], list[str]]
    ) -> list[str]:
        """The epilogue's statements, and the stores of everything of the shape of the result."""
        lines, offsets = list(late[0]), late[1]
        names: dict[Value, str] = {self.total: "total"}
        for read, offset in zip(self.late, offsets, strict=False):
            dtype = read.value.dtype
            statements.uses(dtype)
            names[read.value] = f"{read.name}_late"
            lines.append(
                f"const {self.dialect.type(dtype)} {read.name}_late = {self.dialect.load(dtype, read.name, offset)};"
            )
        lines += statements.of(self.after, names)
        done = {s[1] for s in self.stored}
        for value, name, _ in self.written:
            if name not in done:
                lines.append(self.dialect.store(value.dtype, name, row, names[value]))
        return lines
