"""Source of kernels that move elements: blocks of one array copied into another by strides, or filled with a value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from kcore.codegen import Argument, Code, Dialect, Source
from kcore.codegen.group import Group, indented
from kcore.codegen.layout import collapse, contiguous, extent
from kcore.codegen.signature import index_dtype
from kcore.dtypes import itemsize
from kcore.graph.core import Node
from kcore.kernels.traits import Traits

#: Elements a work-item of a CPU moves, about.
SHARE = 1 << 14
#: Work-items there should be before they grow.
ITEMS = 8
#: Elements moved as one vector.
WIDTH = 16
#: Elements are moved as unsigned integers of their size.
UNSIGNED = {1: "uint8", 2: "uint16", 4: "uint32", 8: "uint64"}


@dataclass(frozen=True)
class Block:
    """What is copied: a block of `shape` elements, read and written by strides in elements.

    Attributes:
        shape: of the block.
        write: strides along it in the output.
        read: strides along it in the input.
        input: index among the node's inputs, or None to fill the block with `value`.
        at: element of the output at which the block begins.
        origin: element of the input at which the block begins.
        value: bits of the element to fill with.
    """

    shape: tuple[int, ...]
    write: tuple[int, ...]
    read: tuple[int, ...] = ()
    input: int | None = 0
    at: int = 0
    origin: int = 0
    value: int = 0


def moves(node: Node, blocks: Sequence[Block], traits: Traits) -> Code:
    """One launch per block that has elements, in order."""
    return Code(tuple(_source(node, b, traits) for b in blocks if prod(b.shape)))


@dataclass(frozen=True)
class _Axes:
    """A block as planes of rows of columns.

    Attributes:
        dims: sizes of the axes the planes lie along, then rows, then columns.
        reads, writes: strides along them.
        turned: whether neighbours in the input are not neighbours in a row of the output, but lie along the rows.
    """

    dims: tuple[int, ...]
    reads: tuple[int, ...]
    writes: tuple[int, ...]
    turned: bool


def _axes(block: Block) -> _Axes:
    """Axes merged where memory allows, at least rows and columns; rows are chosen so that few lines are touched."""
    read = block.read or (0,) * len(block.shape)
    layout = collapse(block.shape, [read, block.write])
    dims, reads, writes = list(layout.dims), list(layout.strides[0]), list(layout.strides[1])
    while len(dims) < 2:
        dims.insert(0, 1)
        reads.insert(0, 0)
        writes.insert(0, 1 if len(dims) == 1 else 0)
    order = list(range(len(dims)))
    near = [k for k in order[:-1] if abs(reads[k]) == 1 and dims[k] > 1]
    turned = bool(near) and abs(reads[-1]) > 1
    if turned:  # the axis along which the input's neighbours lie becomes the rows
        order.remove(near[0])
        order.insert(len(order) - 1, near[0])
    return _Axes(tuple(dims[k] for k in order), tuple(reads[k] for k in order), tuple(writes[k] for k in order), turned)


def _source(node: Node, block: Block, traits: Traits) -> Source:
    dtype = UNSIGNED[itemsize(node.outputs[0].dtype)]
    axes = _axes(block)
    reach = [extent(axes.dims, s) for s in (axes.reads, axes.writes)]
    index = index_dtype(max(reach) + abs(block.origin) + block.at + 2 * SHARE)
    kernel = _Text(node, block, axes, dtype, index, traits.dialect)
    return kernel.for_cpu() if traits.cpu else kernel.for_gpu()


class _Text:
    """A kernel being written."""

    def __init__(self, node: Node, block: Block, axes: _Axes, dtype: str, index: str, dialect: Dialect):
        self.dialect = dialect
        self.group = Group([node], [], [])
        self.block, self.axes, self.dtype = block, axes, dtype
        self.index_dtype = index
        self.index, self.type = dialect.types[index], dialect.types[dtype]
        self.arguments: list[Argument] = []
        self.parameters: list[str] = []
        self.body: list[str] = []
        self.prelude: list[str] = []
        if block.input is not None:
            self._buffer("x", "input", block.input, const=True)
        self._buffer("y", "output", 0, const=False)
        if block.input is None:
            self._argument(Argument("value", "size", dtype, value=block.value), f"const {self.type} value")

    def _buffer(self, name: str, kind: str, index: int, const: bool) -> None:
        self._argument(Argument(name, kind, self.dtype, index), self.dialect.pointer(self.dtype, const) + name)
        begin = len(self.arguments) - 1
        long = self.dialect.types["int64"]
        self._argument(Argument(f"{name}_start", "start", "int64", begin), f"const {long} {name}_start")
        self.body.append(f"{name} += {name}_start;")

    def _argument(self, argument: Argument, parameter: str) -> None:
        self.arguments.append(argument)
        self.parameters.append(parameter)

    def size(self, name: str, value: int) -> str:
        """An integer argument."""
        if not any(a.name == name for a in self.arguments):
            self._argument(Argument(name, "size", self.index_dtype, value=value), f"const {self.index} {name}")
        return name

    def _source(self, local: int, groups: int) -> Source:
        name = self.group.name + ("_fill" if self.block.input is None and self.group.nodes[0].inputs else "")
        lines = [
            *self.group.comment,
            *self.prelude,
            f"{self.dialect.kernel.format(name=name, local=local)}(",
            ",\n".join(indented(self.parameters)) + ")",
            "{",
            *indented(self.body),
            "}",
            "",
        ]
        return Source(name, "\n".join(lines), tuple(self.arguments), local, groups, self.dialect.name)

    def _offset(self, array: str, strides: Sequence[int], first: int, names: Sequence[str]) -> str:
        """Where an array's part lies for coordinates of the names given."""
        terms = [self.size(f"{array}_first", first)] if first else []
        for k, (name, stride) in enumerate(zip(names, strides, strict=True)):
            if stride == 1:
                terms.append(name)
            elif stride:
                terms.append(f"{name} * {self.size(f'{array}_{_label(k, len(self.axes.dims))}', stride)}")
        return " + ".join(terms) or "0"

    # -- one wide work-item per part ---------------------------------------------------------------------------------

    def for_cpu(self) -> Source:
        """A work-item moves whole rows, or blocks of a turned plane, in vectors."""
        axes, index = self.axes, self.index
        *outer, rows, columns = axes.dims
        planes = prod(outer)
        share = max(min(SHARE, -(-planes * rows * columns // ITEMS)), 256)
        line = WIDTH * 4
        if axes.turned:
            column_share = min(columns, max(WIDTH, share // line))
            row_share = min(rows, line)
        else:
            column_share = min(columns, share)
            row_share = min(rows, max(share // column_share, 1))
        whole = row_share == rows and column_share == columns
        plane_share = min(planes, max(share // (rows * columns), 1)) if whole else 1
        column_parts, row_parts = -(-columns // column_share), -(-rows // row_share)
        body = self.body
        body.append(f"{index} part = ({index})get_group_id(0);")
        for what, n, each, parts, least, most in (
            ("column", columns, column_share, column_parts, "left", "right"),
            ("row", rows, row_share, row_parts, "top", "bottom"),
        ):
            end, step = self.size(f"{what}s", n), self.size(f"{what}_share", each)
            self.size(f"{what}_parts", parts)
            body += [
                f"const {index} {least} = part % {what}_parts * {step};",
                f"const {index} {most} = min({least} + {step}, {end});",
                f"part /= {what}_parts;",
            ]
        names, inner = self._plane(outer)
        filled = self.block.input is None
        ends = [*names, "row"]
        source = "" if filled else self._offset("x", axes.reads[:-1], self.block.origin, ends)
        target = self._offset("y", axes.writes[:-1], self.block.at, ends)
        row = [
            *([] if filled else [f"__global const {self.type} *from = x + {source};"]),
            f"__global {self.type} *to = y + {target};",
        ]
        over_rows = f"for ({index} row = top; row < bottom; ++row) {{"
        if axes.turned:
            inner += self._blocks(over_rows, row, source, target)
        else:
            inner += [over_rows, *indented([*row, *self._run()]), "}"]
        if planes > 1 or outer:
            self.size("planes", planes)
            self.size("plane_share", plane_share)
            body += [
                f"const {index} last = min((part + 1) * plane_share, planes);",
                f"for ({index} plane = part * plane_share; plane < last; ++plane) {{",
                *indented(inner),
                "}",
            ]
        else:
            body += inner
        return self._source(1, -(-planes // plane_share) * row_parts * column_parts)

    def _blocks(self, over_rows: str, row: Sequence[str], source: str, target: str) -> list[str]:
        """A part of a turned plane in square blocks, each read and written by whole vectors; the rest one by one."""
        index, w = self.index, WIDTH
        single = [*row, f"for ({index} column = left; column < right; ++column)", f"    {self._move()}"]
        reads, writes = self.axes.reads, self.axes.writes
        if reads[-2] != 1 or writes[-1] != 1:
            return [over_rows, *indented(single), "}"]
        self.prelude = _turned_block(self.type)
        across, down = self.size("x_column", reads[-1]), self.size("y_row", writes[-2])
        from_, to = (f"{p} + {at}" for p, at in (("x", f"{source} + column * {across}"), ("y", f"{target} + column")))
        return [
            f"{index} row = top;",
            f"for (; row + {w} <= bottom; row += {w}) {{",
            f"    {index} column = left;",
            f"    for (; column + {w} <= right; column += {w})",
            f"        turn_block({from_}, {across}, {to}, {down});",
            "    for (; column < right; ++column)",
            f"        for (int step = 0; step < {w}; ++step)",
            f"            y[{target} + column + step * {down}] = x[{source} + column * {across} + step];",
            "}",
            "for (; row < bottom; ++row) {",
            *indented(single),
            "}",
        ]

    def _plane(self, outer: Sequence[int]) -> tuple[list[str], list[str]]:
        """Names of a plane's coordinates, and the statements that find them."""
        names = [f"c{k}" for k in range(len(outer))]
        lines, rest = [], "plane"
        for k in range(len(outer) - 1, 0, -1):
            d = self.size(f"d{k}", outer[k])
            lines.append(f"const {self.index} c{k} = {rest} % {d};")
            if k > 1:
                lines.append(f"const {self.index} c{k}_ = {rest} / {d};")
                rest = f"c{k}_"
            else:
                rest = f"{rest} / {d}"
        if outer:
            lines.append(f"const {self.index} c0 = {rest};")
        return names, lines

    def _stepped(self, pointer: str, strides: Sequence[int], column: str = "column") -> str:
        step = strides[-1]
        array = "x" if pointer == "from" else "y"
        if step in (0, 1):
            return f"{pointer}[{column if step else 0}]"
        return f"{pointer}[{column} * {self.size(f'{array}_column', step)}]"

    def _move(self) -> str:
        value = "value" if self.block.input is None else self._stepped("from", self.axes.reads)
        return f"{self._stepped('to', self.axes.writes)} = {value};"

    def _run(self) -> list[str]:
        """One row: in vectors where both sides allow it."""
        index, vector = self.index, f"{self.type}{WIDTH}"
        read, write = self.axes.reads[-1], self.axes.writes[-1]
        lines = [f"{index} column = left;"]
        if write == 1 and (self.block.input is None or read in (0, 1)):
            if self.block.input is None:
                value = f"({vector})(value)"
            elif read:
                value = f"vload{WIDTH}(0, from + column)"
            else:
                lines.append(f"const {self.type} repeated = from[0];")
                value = f"({vector})(repeated)"
            lines += [
                f"for (; column + {WIDTH} <= right; column += {WIDTH})",
                f"    vstore{WIDTH}({value}, 0, to + column);",
            ]
        return [*lines, "for (; column < right; ++column)", f"    {self._move()}"]

    # -- one element per work-item -----------------------------------------------------------------------------------

    def for_gpu(self, local: int = 256) -> Source:
        """A work-item moves an element; neighbours write neighbours."""
        d, index, axes = self.dialect, self.index, self.axes
        order = sorted(range(len(axes.dims)), key=lambda k: -abs(axes.writes[k]))
        dims = [axes.dims[k] for k in order]
        reads, writes = [axes.reads[k] for k in order], [axes.writes[k] for k in order]
        n = prod(dims)
        self.axes = _Axes(tuple(dims), tuple(reads), tuple(writes), False)
        names, lines = self._plane(dims)
        value = "value"
        if self.block.input is not None:
            value = f"x[{self._offset('x', reads, self.block.origin, names)}]"
        target = self._offset("y", writes, self.block.at, names)
        self.body += [
            f"const {index} plane = ({index}){d.group} * {local} + ({index}){d.lane};",
            f"if (plane < {self.size('n', n)}) {{",
            *indented([*lines, f"y[{target}] = {value};"]),
            "}",
        ]
        return self._source(local, -(-n // local))


def _turned_block(ctype: str) -> list[str]:
    """A function that turns a square block: rows become columns in four steps, each a shuffle of pairs of vectors."""
    w, vector = WIDTH, f"{ctype}{WIDTH}"
    lines = [
        f"static inline void turn_block(__global const {ctype} *from, const long from_step,",
        f"                              __global {ctype} *to, const long to_step) {{",
        "    // each step takes element (row, column) to row (column % 2, row / 2), column (row % 2, column / 2)",
        *(f"    const {vector} a{i} = vload{w}(0, from + {i} * from_step);" for i in range(w)),
    ]
    for before, after in ("ab", "bc", "cd", "de"):
        for half, which in enumerate(("even", "odd")):
            for i in range(w // 2):
                pair = f"{before}{2 * i}.{which}, {before}{2 * i + 1}.{which}"
                lines.append(f"    const {vector} {after}{i + half * w // 2} = ({vector})({pair});")
    return [*lines, *(f"    vstore{w}(e{i}, 0, to + {i} * to_step);" for i in range(w)), "}", ""]


def _label(k: int, rank: int) -> str:
    """What an axis is called in the names of strides."""
    return {rank - 2: "row", rank - 1: "column"}.get(k, f"d{k}")


def within(shape: Sequence[int], start: Sequence[int], step: Sequence[int]) -> tuple[int, tuple[int, ...]]:
    """First element and strides of a slice of a contiguous array of the shape."""
    strides = contiguous(shape)
    return sum(a * s for a, s in zip(start, strides, strict=True)), tuple(
        s * t for s, t in zip(strides, step, strict=True)
    )
