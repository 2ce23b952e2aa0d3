"""Convolutions where work-items are lanes: implicit matrix products, tiles of which a group shares in local memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, prod

from kcore.codegen.dialect import compute_dtype
from kcore.codegen.epilogue import Epilogue
from kcore.codegen.group import Group, Statements, group_of, indented, numbered
from kcore.codegen.signature import Signature, index_dtype
from kcore.codegen.source import Code, Source
from kcore.graph.core import Node
from kcore.kernels.convolutions.adding import emit_adding
from kcore.kernels.convolutions.geometry import Walk
from kcore.kernels.traits import Traits

#: Lanes of a work-group: they stand in a square over a tile.
SIDE = 16
LANES = SIDE * SIDE


@dataclass(frozen=True)
class Block:
    """How an implicit product is cut.

    Attributes:
        rows, columns: the tile of a work-group; multiples of `SIDE`.
        depth: terms of the sums held in local memory at a time; `SIDE`, so that a lane always loads the same term.
        splits: for a kernel gradient, parts of the positions that are summed apart.
    """

    rows: int
    columns: int
    depth: int = SIDE
    splits: int = 1


def blocks_for(walk: Walk, traits: Traits, correlation: bool) -> list[Block]:
    """Ways to cut a walk, the most promising first."""
    columns = [c for c in (64, 32, 16) if c < 2 * walk.outer or c == 16]
    found = []
    for wide in columns:
        for rows in (64, 128, 32) if wide < 64 else (64, 32):
            splits = 1
            if correlation:
                tiles = ceil(prod(walk.window) * walk.inner / rows) * ceil(walk.outer / wide) * walk.groups
                positions = walk.rows * walk.axes[-1].out
                splits = max(1, min(4 * traits.units // max(tiles, 1), positions // 256))
            found.append(Block(rows, wide, SIDE, splits))
    return found


class _Tiles:
    """What the kernels share: the walk's index arithmetic, and products of tiles in local memory."""

    def __init__(self, walk: Walk, traits: Traits, block: Block, group: Group, dtype: str, largest: int):
        self.walk, self.traits, self.block, self.group = walk, traits, block, group
        self.dialect = traits.dialect
        self.sig = Signature(self.dialect, index_dtype(2 * largest), starts=True)
        self.index = self.sig.index
        self.dtype = dtype
        self.real = self.dialect.type(dtype)
        self.across, self.down = block.columns // SIDE, block.rows // SIDE

    def ctype(self, names: str) -> str:
        return f"const {self.index} {names}"

    def head(self, row_tiles: int) -> list[str]:
        """Which tile the work-group computes, and where its lanes stand."""
        walk, block = self.walk, self.block
        tiles = ceil(walk.outer / block.columns)
        return [
            f"{self.dialect.shared} {self.real} left[{block.depth}][{block.rows + 1}];",
            f"{self.dialect.shared} {self.real} right[{block.depth}][{block.columns}];",
            f"{self.ctype('lane')} = ({self.index}){self.dialect.lane};",
            f"{self.ctype('number')} = ({self.index}){self.dialect.group};",
            f"{self.ctype('first_column')} = number % {self.sig.size('column_tiles', tiles)} * {block.columns};",
            f"{self.ctype('group')} = number / column_tiles % {self.sig.size('groups', walk.groups)};",
            f"{self.ctype('tile')} = number / column_tiles / groups;",
            f"{self.ctype('first_row')} = tile % {self.sig.size('row_tiles', row_tiles)} * {block.rows};",
            *(f"{self.real} {', '.join(f'a{i}_{j} = 0' for j in range(self.across))};" for i in range(self.down)),
        ]

    def position(self, number: str, mark: str) -> list[str]:
        """Where the window of a result position begins: b0, b1, ... and its image n, each with a mark."""
        lines, rest = [], number
        for k in range(len(self.walk.axes) - 1, -1, -1):
            axis = self.walk.axes[k]
            out = self.sig.size(f"out{k}", axis.out)
            start = f" - {self.sig.size(f'low{k}', -axis.start)}" if axis.start else ""
            step = f" * {axis.step}" if axis.step > 1 else ""
            lines.append(f"{self.ctype(f'b{k}{mark}')} = {rest} % {out}{step}{start};")
            lines.append(f"{self.ctype(f'q{k}{mark}')} = {rest} / {out};")
            rest = f"q{k}{mark}"
        return [*lines, f"{self.ctype(f'n{mark}')} = {rest};"]

    def term(self, number: str, mark: str) -> list[str]:
        """Tap t0, t1, ... and channel c of a number below taps * inner, each with a mark."""
        lines, rest = [f"{self.ctype(f'c{mark}')} = {number} % {self.walk.inner};"], f"{number} / {self.walk.inner}"
        for k in range(len(self.walk.axes) - 1, -1, -1):
            taps = self.walk.axes[k].taps
            lines.append(f"{self.ctype(f't{k}{mark}')} = {f'{rest} % {taps}' if k else rest};")
            rest = f"{rest} / {taps}"
        return lines

    def value(self, name: str, position: str, term: str, valid: str) -> list[str]:
        """Load what a window sees at a term: zero outside of the array."""
        walk, lines, at, inside = self.walk, [], f"n{position}", [valid]
        for k, axis in enumerate(walk.axes):
            size = self.sig.size(f"in{k}", axis.size)
            spread = f"t{k}{term}" if axis.spacing == 1 else f"t{k}{term} * {axis.spacing}"
            lines.append(f"{self.ctype(f'i{k}')} = b{k}{position} + {spread};")
            if not axis.inside:
                inside.append(f"i{k} >= 0 && i{k} < {size}")
            at = f"({at} * {size} + i{k})"
        at = f"{at} * {walk.read} + group * {walk.inner} + c{term}"
        load = self.dialect.load(self.x_dtype, "x", at)
        return [*lines, f"{name} = {' && '.join(inside)} ? {load} : 0;"]

    x_dtype = ""

    def multiply(self, load: Sequence[str], begin: str, end: str) -> list[str]:
        """The loop over terms: load a tile of each operand, multiply them."""
        block = self.block
        lines = [*(f"const {self.real} l{i} = left[k][row + {SIDE * i}];" for i in range(self.down))]
        lines += [f"const {self.real} r{j} = right[k][column + {SIDE * j}];" for j in range(self.across)]
        lines += [
            f"a{i}_{j} = {self.traits.fma.format(a=f'l{i}', b=f'r{j}', c=f'a{i}_{j}')};"
            for i in range(self.down)
            for j in range(self.across)
        ]
        return [
            f"{self.ctype('row')} = lane / {SIDE};",
            f"{self.ctype('column')} = lane % {SIDE};",
            f"for ({self.index} first = {begin}; first < {end}; first += {block.depth}) {{",
            *indented([*load, self.dialect.barrier]),
            f"    for (int k = 0; k < {block.depth}; ++k) {{",
            *indented(lines, 2),
            "    }",
            f"    {self.dialect.barrier}",
            "}",
        ]


class _Product(_Tiles):
    """Positions by channels: the convolution itself, and the phases of an input gradient."""

    def __init__(
        self,
        walk: Walk,
        epilogue: Epilogue,
        read: tuple[str, int, str],
        weights: tuple[str, int, str],
        exchanged: bool,
        traits: Traits,
        block: Block,
    ):
        largest = walk.batch * max(
            prod(a.size for a in walk.axes) * walk.read, prod(a.full for a in walk.axes) * walk.written
        )
        dtype = epilogue.product.outputs[0].dtype
        super().__init__(walk, traits, block, epilogue.group, dtype, largest)
        self.epilogue, self.exchanged = epilogue, exchanged
        self.statements: Statements = epilogue.statements(self.sig)
        self.sig.buffer("x", read[0], read[2], read[1], const=True)
        self.sig.buffer("w", weights[0], weights[2], weights[1], const=True)
        epilogue.declare(self.sig)
        self.x_dtype = read[2]
        self.w_dtype = weights[2]

    def source(self, part: str) -> Source:
        walk, block = self.walk, self.block
        rows = walk.rows * walk.axes[-1].out
        terms = prod(a.taps for a in walk.axes) * walk.inner
        row_tiles = ceil(rows / block.rows)
        self.sig.size("rows", rows)
        lines = self.head(row_tiles)
        loads = block.rows // SIDE
        for r in range(loads):
            lines.append(f"{self.ctype(f'm{r}')} = first_row + lane / {SIDE} + {SIDE * r};")
            lines += self.position(f"m{r}", f"_{r}")
        load: list[str] = []
        if terms:
            load += [f"{self.ctype('k')} = first + lane % {SIDE};", *self.term("k", "")]
            for r in range(loads):
                target = f"left[lane % {SIDE}][lane / {SIDE} + {SIDE * r}]"
                load += ["{", *indented(self.value(target, f"_{r}", "", f"k < {terms} && m{r} < rows")), "}"]
            load += self._weights(terms)
            lines += self.multiply(load, "0", str(terms))
        else:
            lines += [f"{self.ctype('row')} = lane / {SIDE};", f"{self.ctype('column')} = lane % {SIDE};"]
        for i in range(self.down):
            lines += self._finish(i)
        groups = row_tiles * ceil(walk.outer / block.columns) * walk.groups
        return self.sig.source(self.group, self.statements, lines, LANES, groups, part=part)

    def _weights(self, terms: int) -> list[str]:
        """Load the tile of the weights, a run of columns after another."""
        walk, block = self.walk, self.block
        step = LANES // block.columns
        lines = [f"{self.ctype('f')} = first_column + lane % {block.columns};"]
        for r in range(ceil(block.depth / step)):
            tap = "0"
            for k, (axis, stride) in enumerate(zip(walk.axes, walk.tap_strides(), strict=True)):
                if axis.first:
                    tap += f" + {axis.first * stride}"
                if axis.taps > 1:
                    tap += f" {'-' if axis.stride < 0 else '+'} t{k}_w * {abs(axis.stride) * stride}"
            tap = tap.removeprefix("0 + ")
            if self.exchanged:
                at = f"(({tap}) * {walk.outer} + f) * {walk.groups * walk.inner} + group * {walk.inner} + c_w"
            else:
                at = f"(({tap}) * {walk.inner} + c_w) * {walk.written} + group * {walk.outer} + f"
            load = self.dialect.load(self.w_dtype, "w", at)
            row = f"lane / {block.columns}" + (f" + {step * r}" if r else "")
            lines += [
                "{",
                f"    {self.ctype('kw')} = first + {row};",
                *indented(self.term("kw", "_w")),
                f"    right[{row}][lane % {block.columns}] = kw < {terms} && f < {walk.outer} ? {load} : 0;",
                "}",
            ]
        return lines

    def _finish(self, i: int) -> list[str]:
        """Store one row of the lane's sums, or what the epilogue makes of them."""
        walk, mark = self.walk, f"_y{i}"
        lines, rest, places = [f"{self.ctype(f'm{mark}')} = first_row + row + {SIDE * i};"], f"m{mark}", []
        for k in range(len(walk.axes) - 1, -1, -1):
            axis = walk.axes[k]
            out = self.sig.size(f"out{k}", axis.out)
            every = f" * {axis.every}" if axis.every > 1 else ""
            place = f" + {self.sig.size(f'at{k}', axis.place)}" if axis.place else ""
            lines.append(f"{self.ctype(f'o{k}{mark}')} = {rest} % {out}{every}{place};")
            rest = f"({rest} / {out})"
            places.append((k, axis.full))
        at = rest
        for k, full in reversed(places):
            at = f"({at} * {self.sig.size(f'full{k}', full)} + o{k}{mark})"
        lines.append(f"{self.ctype(f'y{mark}')} = {at} * {walk.written} + group * {walk.outer};")
        for j in range(self.across):
            element = self.epilogue.element(self.statements, f"a{i}_{j}", "i", "c")
            lines += [
                f"if (m{mark} < rows && first_column + column + {SIDE * j} < {walk.outer}) {{",
                f"    {self.ctype('f')} = first_column + column + {SIDE * j};",
                f"    {self.ctype('i')} = y{mark} + f;",
                f"    {self.ctype('c')} = group * {walk.outer} + f;",
                *indented(element),
                "}",
            ]
        return lines


class _Correlation(_Tiles):
    """Taps and input channels by output channels: the kernel gradient, summed over parts of the positions."""

    def __init__(self, walk: Walk, node: Node, traits: Traits, block: Block):
        x, g = node.inputs
        assert x is not None and g is not None
        dtype = compute_dtype(node.outputs[0].dtype)
        super().__init__(walk, traits, block, group_of(node), dtype, max(x.size, g.size))
        self.statements = Statements(self.dialect, numbered(self.group.nodes))
        self.sig.buffer("x", "input", x.dtype, 0, const=True)
        self.sig.buffer("g", "input", g.dtype, 1, const=True)
        self.sig.buffer("sums", "scratch", dtype, 0)
        self.x_dtype, self.g_dtype = x.dtype, g.dtype

    def source(self) -> Source:
        walk, block = self.walk, self.block
        rows = prod(walk.window) * walk.inner
        positions = walk.rows * walk.axes[-1].out
        row_tiles = ceil(rows / block.rows)
        share = ceil(positions / block.splits)
        sig = self.sig
        sig.size("positions", positions)
        lines = [
            *self.head(row_tiles),
            f"{self.ctype('split')} = tile / row_tiles;",
            f"{self.ctype('begin')} = split * {sig.size('share', share)};",
            f"{self.ctype('end')} = min(begin + share, positions);",
        ]
        # lanes along the terms of a window, several positions each
        step = max(1, LANES // block.rows)
        turns = max(1, block.rows // LANES)
        load: list[str] = []
        for q in range(turns):
            lines.append(f"{self.ctype(f'm{q}')} = first_row + lane % {block.rows} + {LANES * q};")
            lines += self.term(f"m{q}", f"_{q}")
        for r in range(block.depth // step):
            row = f"lane / {block.rows}" + (f" + {step * r}" if r else "")
            load += ["{", f"    {self.ctype('k')} = first + {row};", *indented(self.position("k", ""))]
            for q in range(turns):
                target = f"left[{row}][lane % {block.rows}{f' + {LANES * q}' if q else ''}]"
                loaded = self.value(target, "", f"_{q}", f"k < end && m{q} < {rows}")
                load += indented(["{", *indented(loaded), "}"])
            load.append("}")
        step = LANES // block.columns
        load.append(f"{self.ctype('f')} = first_column + lane % {block.columns};")
        for r in range(ceil(block.depth / step)):
            row = f"lane / {block.columns}" + (f" + {step * r}" if r else "")
            value = self.dialect.load(self.g_dtype, "g", f"(first + {row}) * {walk.written} + group * {walk.outer} + f")
            load.append(
                f"right[{row}][lane % {block.columns}] = first + {row} < end && f < {walk.outer} ? {value} : 0;"
            )
        lines += self.multiply(load, "begin", "end")
        for i in range(self.down):
            for j in range(self.across):
                lines += [
                    "{",
                    f"    {self.ctype('m')} = first_row + row + {SIDE * i};",
                    f"    {self.ctype('f')} = first_column + column + {SIDE * j};",
                    f"    if (m < {rows} && f < {walk.outer}) {{",
                    f"        sums[(split * {rows} + m) * {walk.written} + group * {walk.outer} + f] = a{i}_{j};",
                    "    }",
                    "}",
                ]
        groups = row_tiles * ceil(walk.outer / block.columns) * walk.groups * block.splits
        return sig.source(self.group, self.statements, lines, LANES, groups)


def _grouped(walk: Walk) -> Walk:
    """Depthwise convolutions as groups of one channel."""
    if not walk.channelwise:
        return walk
    return Walk(walk.batch, walk.axes, walk.outer, 1, 1, walk.window)


def emit_product(
    walk: Walk,
    epilogue: Epilogue,
    read: tuple[str, int, str],
    weights: tuple[str, int, str],
    exchanged: bool,
    traits: Traits,
    block: Block,
    part: str = "",
) -> Source:
    """The kernel of a convolution or of a phase of its input gradient.

    Args:
        read, weights: kind, index and dtype of the arrays, as in `Argument`.
        exchanged: whether the weights are (*window, outer, groups * inner).
        part: what the kernel's name ends with.
    """
    return _Product(_grouped(walk), epilogue, read, weights, exchanged, traits, block).source(part)


def emit_shared_correlation(walk: Walk, node: Node, traits: Traits, block: Block) -> Code:
    """The kernels of a kernel gradient: sums over parts of the positions, then the parts added in order."""
    out = node.outputs[0]
    if not node.inputs[1].size:  # type: ignore[union-attr]
        return Code((emit_adding(node, 0, traits.dialect),))
    source = _Correlation(_grouped(walk), node, traits, block).source()
    nbytes = block.splits * out.size * (8 if out.dtype == "float64" else 4)
    return Code((source, emit_adding(node, block.splits, traits.dialect)), nbytes)
