"""3x3 convolutions by Winograd's F(2x2, 3x3): a tile of 2x2 results takes 16 products of each pair of channels, not 36.

Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", 2015: ``Y = A^T [(G g G^T) * (B^T d B)] A`` for a
tile d of 4x4 of what is read and the weights g; summed over the channels read, the products of one of the 16 places are
a matrix product of tiles by channels. B and A hold 0, 1 and -1, G also halves: rounding grows little.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

from kcore.codegen.dialect import OPENCL
from kcore.codegen.epilogue import Epilogue
from kcore.codegen.group import Statements, group_of, indented, numbered
from kcore.codegen.signature import Signature, index_dtype
from kcore.codegen.source import Code, Source
from kcore.dtypes import itemsize
from kcore.graph.core import Node
from kcore.kernels.convolutions.finishing import Finisher
from kcore.kernels.convolutions.geometry import Axis, Walk
from kcore.kernels.convolutions.lanes import Piece
from kcore.kernels.convolutions.tiling import lanes_of
from kcore.kernels.tiles import Real, RowTile, loop, real_of
from kcore.kernels.traits import Traits

#: Places of a transformed tile; results along a side of a tile, and what is read for them.
PLACES, OUT, IN = 16, 2, 4
#: Bytes of transformed tiles and their products that a work-item goes through at a time: half of a core's cache.
CACHED = 192 << 10
#: Work-items for each core.
TURNS = 8
#: Tiles from which on transforming the weights pays.
LEAST = 256
#: Pairs of channels from which on it is faster than strips; with 16 by 16 both take as long.
CHANNELS = 512
#: Elements scratch memory is laid out by.
_STEP = 32


@dataclass(frozen=True)
class Tiles:
    """How a convolution is cut.

    Attributes:
        rows, vectors: the piece of a product held in registers: tiles, and vectors of channels.
        count: tiles transformed at a time, a multiple of `rows`.
        lanes: channels of a vector.
    """

    rows: int
    vectors: int
    count: int
    lanes: int


def fits(walk: Walk, dtype: str, traits: Traits) -> bool:
    """Whether a walk is a 3x3 convolution without strides, over whole vectors of channels on both sides."""
    lanes = lanes_of(dtype, traits)
    return (
        traits.cpu
        and dtype in ("float32", "float64")
        and len(walk.axes) == 2
        and all(_plain(a) for a in walk.axes)
        and walk.groups == 1
        and not walk.channelwise
        and lanes >= 4
        and walk.inner % lanes == walk.outer % lanes == 0
    )


def _plain(axis: Axis) -> bool:
    return axis.taps == 3 and axis.step == axis.spacing == axis.every == 1 and axis.place == 0


def tilings(walk: Walk, dtype: str, traits: Traits) -> list[Tiles]:
    """Ways to cut a walk that `fits`, the most promising first."""
    lanes = lanes_of(dtype, traits)
    registers = 32 if traits.vector >= 16 else 16
    across = walk.outer // lanes
    found = []
    for vectors in (v for v in (4, 2, 3, 1) if across % v == 0):
        rows = (registers - vectors - 1) // vectors
        each = (walk.inner + vectors * lanes) * PLACES * itemsize(dtype)
        count = max(1, min(CACHED // each, 48) // rows) * rows
        found.append(Tiles(rows, vectors, count, lanes))
    return found


def wins(walk: Walk) -> bool:
    """Whether it is the default: so many tiles and channels that transforming both costs little beside the products."""
    return _tiles(walk) >= LEAST and walk.inner * walk.outer >= CHANNELS


def _tiles(walk: Walk) -> int:
    return walk.batch * ceil(walk.axes[0].out / OUT) * ceil(walk.axes[1].out / OUT)


def _up(elements: int) -> int:
    return -(-elements // _STEP) * _STEP


def emit_winograd(
    walk: Walk,
    epilogue: Epilogue,
    read: tuple[str, int, str],
    weights: tuple[str, int, str],
    exchanged: bool,
    node: Node,
    traits: Traits,
    tiles: Tiles,
) -> Code:
    """The kernels of a walk that `fits`: the weights transformed, then all tiles.

    Args:
        read, weights: kind, index and dtype of the arrays, as in `Argument`.
        exchanged: whether the weights are (*window, outer, inner).
    """
    kernel = _Kernel(walk, epilogue, read, traits, tiles)
    first = _transformed_weights(node, walk, weights, exchanged)
    second = kernel.source()
    return Code((first, second), kernel.scratch * itemsize(read[2]))


# -- weights -----------------------------------------------------------------------------------------------------------


def _transformed_weights(node: Node, walk: Walk, weights: tuple[str, int, str], exchanged: bool) -> Source:
    """The kernel that writes ``G g G^T`` as (16, inner, outer); a work-item has one pair of channels."""
    group, dtype = group_of(node), weights[2]
    pairs = walk.inner * walk.outer
    sig = Signature(OPENCL, index_dtype(PLACES * pairs + 64), starts=True)
    statements = Statements(OPENCL, numbered(group.nodes))
    sig.buffer("w", weights[0], dtype, weights[1], const=True)
    sig.buffer("u", "scratch", dtype, 0)
    n, inner, outer = (sig.size(k, v) for k, v in (("n", pairs), ("inner", walk.inner), ("outer", walk.outer)))
    index, real = sig.index, OPENCL.type(dtype)
    at = f"f * {inner} + c" if exchanged else f"c * {outer} + f"
    rows, columns = walk.axes
    half = OPENCL.literal(0.5, dtype)
    lines = [f"const {index} c = i / {outer}, f = i % {outer};"]
    for a in range(3):
        for b in range(3):
            tap = (rows.first + a * rows.stride) * 3 + columns.first + b * columns.stride
            load = OPENCL.load(dtype, "w", f"{tap} * {n} + {at}")
            lines.append(f"const {real} g{a}{b} = {load};")

    def halves(target: str, given: Sequence[str]) -> list[str]:
        g0, g1, g2 = given
        sums = [g0, f"{half} * ({g0} + {g2} + {g1})", f"{half} * ({g0} + {g2} - {g1})", g2]
        return [f"const {real} {target.format(k)} = {text};" for k, text in enumerate(sums)]

    for b in range(3):
        lines += halves(f"t{{}}{b}", [f"g{a}{b}" for a in range(3)])
    for a in range(IN):
        lines += halves(f"u{a}{{}}", [f"t{a}{b}" for b in range(3)])
    lines += [f"u[{IN * a + b} * {n} + i] = u{a}{b};" for a in range(IN) for b in range(IN)]
    body = [f"const {index} i = ({index})get_global_id(0);", f"if (i < {n}) {{", *indented(lines), "}"]
    return sig.source(group, statements, body, 64, -(-pairs // 64), part="_weights")


# -- tiles -------------------------------------------------------------------------------------------------------------


class _Kernel:
    """The kernel that goes through the tiles.

    Scratch memory holds the weights, then for each work-item the transformed tiles (16, count, inner) and the products
    of a block of channels (16, count, block).
    """

    def __init__(self, walk: Walk, epilogue: Epilogue, read: tuple[str, int, str], traits: Traits, tiles: Tiles):
        self.walk, self.tiles, self.epilogue = walk, tiles, epilogue
        self.real: Real = real_of(read[2], traits)
        self.block = tiles.vectors * tiles.lanes
        self.groups = max(1, min(ceil(_tiles(walk) / tiles.count), TURNS * traits.units))
        self.transformed = _up(PLACES * tiles.count * walk.inner)
        self.area = self.transformed + _up(PLACES * tiles.count * self.block)
        self.weights = _up(PLACES * walk.inner * walk.outer)
        #: Elements of scratch memory.
        self.scratch = self.weights + self.groups * self.area
        rows, columns = walk.axes
        largest = walk.batch * max(rows.size * columns.size * walk.inner, rows.full * columns.full * walk.outer)
        self.sig = sig = Signature(OPENCL, index_dtype(2 * max(largest, self.scratch)), starts=True)
        self.statements: Statements = epilogue.statements(sig)
        sig.buffer("x", read[0], read[2], read[1], const=True)
        sig.buffer("scratch", "scratch", read[2], 0)
        epilogue.declare(sig)
        self.finisher = Finisher(epilogue, sig, self.statements, tiles.lanes)

    def source(self) -> Source:
        walk, sig, tiles, index, real = self.walk, self.sig, self.tiles, self.sig.index, self.real
        share = ceil(ceil(_tiles(walk) / tiles.count) / self.groups) * tiles.count
        pointer = real.pointer()
        body = [
            f"{real.pointer(const=True)}weights = scratch;",
            f"{pointer}seen = scratch + {sig.size('seen_at', self.weights)}"
            f" + ({index}){OPENCL.group} * {sig.size('area', self.area)};  // (16, {tiles.count}, {walk.inner})",
            f"{pointer}products = seen + {self.transformed};  // (16, {tiles.count}, {self.block})",
            f"const {index} start = ({index}){OPENCL.group} * {sig.size('share', share)};",
            f"const {index} end = min(start + share, {sig.size('tiles', _tiles(walk))});",
            f"for ({index} first = start; first < end; first += {tiles.count}) {{",
            f"    const int count = (int)min(({index}){tiles.count}, end - first);",
            *indented(loop("tile", 0, "count", 1, [*self._place(), *self._see()])),
            *indented(self._multiply()),
            "}",
        ]
        return sig.source(self.epilogue.group, self.finisher.joined(), body, 1, self.groups, part="_tiles")

    def _place(self) -> list[str]:
        """Image `n` of a tile, and the first row and column of its results."""
        index, sig, (rows, columns) = self.sig.index, self.sig, self.walk.axes
        down, across = sig.size("down", ceil(rows.out / OUT)), sig.size("across", ceil(columns.out / OUT))
        return [
            f"const {index} row = (first + tile) / {across} % {down} * {OUT};",
            f"const {index} column = (first + tile) % {across} * {OUT};",
            f"const {index} n = (first + tile) / {across} / {down};",
        ]

    def _see(self) -> list[str]:
        """Transform what a tile reads: zero where it lies outside of the array."""
        index, sig, (rows, columns), real = self.sig.index, self.sig, self.walk.axes, self.real
        height, width = sig.size("height", rows.size), sig.size("width", columns.size)
        inner, lanes, v = self.walk.inner, self.tiles.lanes, self.real.vector
        lines = [
            f"const {index} top = row{_shift(rows.start)}, left = column{_shift(columns.start)};",
            f"{real.pointer()}to = seen + tile * {inner};",
        ]
        size = self.tiles.count * inner
        transform: list[str] = []
        for b in range(IN):
            transform += _differences(v, "t{}" + str(b), [f"d{a}{b}" for a in range(IN)])
        for a in range(IN):
            transform += _differences(v, f"v{a}{{}}", [f"t{a}{b}" for b in range(IN)])
        transform += [real.store(f"v{a}{b}", f"to + {(IN * a + b) * size} + c") for a in range(IN) for b in range(IN)]
        whole = [
            f"const {v} d{a}{b} = {real.load(f'from + ({a} * {width} + {b}) * {inner} + c')};"
            for a in range(IN)
            for b in range(IN)
        ]
        inside = f"top >= 0 && top + {IN} <= {height} && left >= 0 && left + {IN} <= {width}"
        within = [
            f"{real.pointer(const=True)}from = x + ((n * {height} + top) * {width} + left) * {inner};",
            *loop("c", 0, inner, lanes, [*whole, *transform]),
        ]
        if all(a.inside and a.out % OUT == 0 for a in self.walk.axes):
            return [*lines, *within]
        clipped, cut = [], []
        for a in range(IN):
            clipped.append(f"const int in_row{a} = top + {a} >= 0 && top + {a} < {height};")
            clipped.append(f"const int in_column{a} = left + {a} >= 0 && left + {a} < {width};")
            clipped.append(
                f"const {index} row{a} = (n * {height} + clamp(top + {a}, ({index})0, {height} - 1)) * {width};"
            )
            clipped.append(f"const {index} column{a} = clamp(left + {a}, ({index})0, {width} - 1);")
        zero = real.splat(real.number(0))
        for a in range(IN):
            for b in range(IN):
                load = real.load(f"x + (row{a} + column{b}) * {inner} + c")
                cut.append(f"const {v} d{a}{b} = in_row{a} && in_column{b} ? {load} : {zero};")
        outside = [*clipped, *loop("c", 0, inner, lanes, [*cut, *transform])]
        return [*lines, f"if ({inside}) {{", *indented(within), "} else {", *indented(outside), "}"]

    def _multiply(self) -> list[str]:
        """For each block of channels: the products of all places, then the results of all tiles."""
        walk, tiles, real, block = self.walk, self.tiles, self.real, self.block
        piece = RowTile(tiles.rows, tiles.vectors)
        product = [
            f"{real.pointer(const=True)}left = seen + (place * {tiles.count} + tile) * {walk.inner};",
            f"{real.pointer(const=True)}right = weights + place * {walk.inner * walk.outer} + channel;",
            *piece.accumulators(real),
            *piece.product(real, str(walk.inner), f"left[{{r}} * {walk.inner} + k]", "right", str(walk.outer)),
            f"{real.pointer()}to = products + (place * {tiles.count} + tile) * {block};",
            *(real.store(f"acc{r}_{v}", f"to + {r * block + v * tiles.lanes}") for r, v in piece),
        ]
        lines = [
            *loop("place", 0, PLACES, 1, loop("tile", 0, "count", tiles.rows, product)),
            *loop("tile", 0, "count", 1, [*self._place(), *self._finish()]),
        ]
        if block == walk.outer:
            return ["const int channel = 0;", *lines]
        return loop("channel", 0, walk.outer, block, lines)

    def _finish(self) -> list[str]:
        """Sum a tile's products to its 2x2 results, and store those that exist."""
        index, sig, walk, tiles, real = self.sig.index, self.sig, self.walk, self.tiles, self.real
        v, (rows, columns) = self.real.vector, walk.axes
        size = tiles.count * self.block
        wide = sig.size("out_width", columns.full)
        lines = [
            f"{real.pointer(const=True)}from = products + tile * {self.block};",
            f"const {index} at = ((n * {sig.size('out_height', rows.full)} + row) * {wide} + column) * {walk.outer}"
            " + channel;",
        ]
        sums = [
            f"const {v} m{a}{b} = {real.load(f'from + {(IN * a + b) * size} + c')};"
            for a in range(IN)
            for b in range(IN)
        ]
        for b in range(IN):
            sums += _sums(v, "s{}" + str(b), [f"m{a}{b}" for a in range(IN)])
        for a in range(OUT):
            sums += _sums(v, f"y{a}{{}}", [f"s{a}{b}" for b in range(IN)])
        piece = Piece(0, tiles.lanes, tiles.lanes)
        for a in range(OUT):
            for b in range(OUT):
                offset = "" if not a + b else f" + ({a} * {wide} + {b}) * {walk.outer}"
                store = self.finisher.store(f"y{a}{b}", f"at{offset} + c", "channel + c", piece)
                exists = [f"row + 1 < {sig.size('out_rows', rows.out)}"] if a and rows.out % OUT else []
                exists += [f"column + 1 < {sig.size('out_columns', columns.out)}"] if b and columns.out % OUT else []
                sums.append(f"if ({' && '.join(exists)}) {store}" if exists else store)
        return [*lines, *loop("c", 0, self.block, tiles.lanes, sums)]


def _shift(start: int) -> str:
    return f" {'-' if start < 0 else '+'} {abs(start)}" if start else ""


def _differences(vector: str, target: str, d: Sequence[str]) -> list[str]:
    """``B^T`` times four vectors."""
    sums = [f"{d[0]} - {d[2]}", f"{d[1]} + {d[2]}", f"{d[2]} - {d[1]}", f"{d[1]} - {d[3]}"]
    return [f"const {vector} {target.format(k)} = {text};" for k, text in enumerate(sums)]


def _sums(vector: str, target: str, m: Sequence[str]) -> list[str]:
    """``A^T`` times four vectors."""
    sums = [f"{m[0]} + {m[1]} + {m[2]}", f"{m[1]} - {m[2]} - {m[3]}"]
    return [f"const {vector} {target.format(k)} = {text};" for k, text in enumerate(sums)]
