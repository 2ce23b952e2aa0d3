"""3x3 convolutions by Winograd's F(2x2, 3x3): 2x2 results take 16 products of each pair of channels, not 36."""

from __future__ import annotations

from kcore.codegen.dialect import OPENCL
from kcore.codegen.epilogue import Epilogue
from kcore.codegen.group import Statements, group_of, indented, numbered
from kcore.codegen.signature import Signature, index_dtype
from kcore.codegen.source import Code, Source
from kcore.dtypes import itemsize
from kcore.graph.core import Node
from kcore.kernels.convolutions.finishing import Finisher
from kcore.kernels.convolutions.geometry import Walk
from kcore.kernels.convolutions.lanes import Piece
from kcore.kernels.convolutions.tiling import lanes_of
from kcore.kernels.convolutions.winograd_tiles import (
    IN,
    OUT,
    PLACES,
    Seeing,
    Tiles,
    half_sums,
    shares,
    sums,
    tiles_of,
    up,
)
from kcore.kernels.tiles import Real, RowTile, loop, real_of
from kcore.kernels.traits import Traits

#: Bytes of transformed tiles and their products that a work-item goes through at a time: a part of a core's cache.
CACHED = 192 << 10
#: Work-items for each core.
TURNS = 8


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

    for b in range(3):
        lines += half_sums(f"t{{}}{b}", real, [f"g{a}{b}" for a in range(3)], half)
    for a in range(IN):
        lines += half_sums(f"u{a}{{}}", real, [f"t{a}{b}" for b in range(3)], half)
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
        self.groups, self.share = shares(walk, tiles.count, TURNS * traits.units)
        self.transformed = up(PLACES * tiles.count * walk.inner)
        self.area = self.transformed + up(PLACES * tiles.count * self.block)
        self.weights = up(PLACES * walk.inner * walk.outer)
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
        self.seeing = Seeing(walk, sig, self.real, tiles)

    def source(self) -> Source:
        walk, sig, tiles, index, real = self.walk, self.sig, self.tiles, self.sig.index, self.real
        pointer = real.pointer()
        body = [
            f"{real.pointer(const=True)}weights = scratch;",
            f"{pointer}seen = scratch + {sig.size('seen_at', self.weights)}"
            f" + ({index}){OPENCL.group} * {sig.size('area', self.area)};  // (16, {tiles.count}, {walk.inner})",
            f"{pointer}products = seen + {self.transformed};  // (16, {tiles.count}, {self.block})",
            f"const {index} start = ({index}){OPENCL.group} * {sig.size('share', self.share)};",
            f"const {index} end = min(start + share, {sig.size('tiles', tiles_of(walk))});",
            f"for ({index} first = start; first < end; first += {tiles.count}) {{",
            f"    const int count = (int)min(({index}){tiles.count}, end - first);",
            *indented(loop("tile", 0, "count", 1, [*self.seeing.place(), *self.seeing.see()])),
            *indented(self._multiply()),
            "}",
        ]
        return sig.source(self.epilogue.group, self.finisher.joined(), body, 1, self.groups, part="_tiles")

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
            *loop("tile", 0, "count", 1, [*self.seeing.place(), *self._finish()]),
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
        body = [
            f"const {v} m{a}{b} = {real.load(f'from + {(IN * a + b) * size} + c')};"
            for a in range(IN)
            for b in range(IN)
        ]
        for b in range(IN):
            body += sums(v, "s{}" + str(b), [f"m{a}{b}" for a in range(IN)])
        for a in range(OUT):
            body += sums(v, f"y{a}{{}}", [f"s{a}{b}" for b in range(IN)])
        piece = Piece(0, tiles.lanes, tiles.lanes)
        for a in range(OUT):
            for b in range(OUT):
                offset = "" if not a + b else f" + ({a} * {wide} + {b}) * {walk.outer}"
                store = self.finisher.store(f"y{a}{b}", f"at{offset} + c", "channel + c", piece)
                exists = [f"row + 1 < {sig.size('out_rows', rows.out)}"] if a and rows.out % OUT else []
                exists += [f"column + 1 < {sig.size('out_columns', columns.out)}"] if b and columns.out % OUT else []
                body.append(f"if ({' && '.join(exists)}) {store}" if exists else store)
        return [*lines, *loop("c", 0, self.block, tiles.lanes, body)]
