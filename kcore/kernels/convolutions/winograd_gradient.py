"""The kernel gradient of 3x3 convolutions by Winograd's tiles: ``dg = G^T [sum of (B^T d B) * (A dY A^T)] G``.

For each of the 16 places the sum over all tiles is a matrix product of channels read by channels written.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from kcore.codegen.dialect import OPENCL
from kcore.codegen.group import Statements, group_of, indented, numbered
from kcore.codegen.signature import Signature, index_dtype
from kcore.codegen.source import Code, Source
from kcore.dtypes import itemsize
from kcore.graph.core import Node
from kcore.kernels.convolutions.geometry import Walk
from kcore.kernels.convolutions.tiling import lanes_of
from kcore.kernels.convolutions.winograd_tiles import IN, OUT, PLACES, Seeing, Tiles, shares, tiles_of, up
from kcore.kernels.tiles import Real, RowTile, loop, real_of
from kcore.kernels.traits import Traits

#: Bytes of transformed tiles that a work-item goes through at a time: a part of a core's cache.
CACHED = 256 << 10
#: Work-items for each core: each has sums of its own, which are added in the end.
TURNS = 2


def tilings(walk: Walk, dtype: str, traits: Traits) -> list[Tiles]:
    """Ways to cut a walk that `fits`, the most promising first."""
    lanes = lanes_of(dtype, traits)
    across, each = walk.outer // lanes, (walk.inner + walk.outer) * PLACES * itemsize(dtype)
    count = max(8, min(CACHED // each, 64))
    most = 24 if traits.vector >= 16 else 12
    found = []
    for vectors in (v for v in (4, 2, 3, 1) if across % v == 0):
        rows = max(r for r in (1, 2, 4, 8, 16) if r * vectors <= most and walk.inner % r == 0)
        found.append(Tiles(rows, vectors, count, lanes))
    return found


def emit_winograd_gradient(walk: Walk, node: Node, traits: Traits, tiles: Tiles) -> Code:
    """The kernels of a kernel gradient: sums over a part of the tiles each, then all parts in order.

    Args:
        walk: the convolution's own, which `fits`.
        node: a ``conv_kernel_grad``.
    """
    kernel = _Sums(walk, node, traits, tiles)
    return Code((kernel.source(), kernel.added()), kernel.scratch * itemsize(node.outputs[0].dtype))


class _Sums:
    """The kernel that goes through the tiles.

    Scratch memory holds for each work-item its sums (16, inner, outer), then the transformed tiles of what is read
    (16, count, inner) and of the output's gradient (16, count, outer).
    """

    def __init__(self, walk: Walk, node: Node, traits: Traits, tiles: Tiles):
        self.walk, self.node, self.tiles = walk, node, tiles
        x, g = node.sources
        self.dtype = node.outputs[0].dtype
        self.real: Real = real_of(self.dtype, traits)
        self.groups, self.share = shares(walk, tiles.count, TURNS * traits.units)
        self.sums = up(PLACES * walk.inner * walk.outer)
        self.seen = up(PLACES * tiles.count * walk.inner)
        self.area = self.sums + self.seen + up(PLACES * tiles.count * walk.outer)
        #: Elements of scratch memory.
        self.scratch = self.groups * self.area
        self.group = group_of(node)
        self.sig = sig = Signature(OPENCL, index_dtype(2 * max(x.size, g.size, self.scratch)), starts=True)
        self.statements = Statements(OPENCL, numbered(self.group.nodes))
        sig.buffer("x", "input", x.dtype, 0, const=True)
        sig.buffer("g", "input", g.dtype, 1, const=True)
        sig.buffer("scratch", "scratch", self.dtype, 0)
        self.seeing = Seeing(walk, sig, self.real, tiles)

    def source(self) -> Source:
        walk, sig, tiles, index, real = self.walk, self.sig, self.tiles, self.sig.index, self.real
        pointer, pairs = real.pointer(), walk.inner * walk.outer
        zero = real.splat(real.number(0))
        body = [
            f"{pointer}sums = scratch + ({index}){OPENCL.group} * {sig.size('area', self.area)};",
            f"{pointer}seen = sums + {self.sums};  // (16, {tiles.count}, {walk.inner})",
            f"{pointer}given = seen + {self.seen};  // (16, {tiles.count}, {walk.outer})",
            *loop("i", 0, PLACES * pairs, tiles.lanes, [real.store(zero, "sums + i")]),
            f"const {index} start = ({index}){OPENCL.group} * {sig.size('share', self.share)};",
            f"const {index} end = min(start + share, {sig.size('tiles', tiles_of(walk))});",
            f"for ({index} first = start; first < end; first += {tiles.count}) {{",
            f"    const int count = (int)min(({index}){tiles.count}, end - first);",
            *indented(loop("tile", 0, "count", 1, [*self.seeing.place(), *self.seeing.see(), *self._give()])),
            *indented(self._multiply()),
            "}",
        ]
        return sig.source(self.group, self.statements, body, 1, self.groups, part="_tiles")

    def _give(self) -> list[str]:
        """Transform a tile of the output's gradient: zero where there is no such output."""
        index, sig, walk, real = self.sig.index, self.sig, self.walk, self.real
        v, (rows, columns), outer = real.vector, walk.axes, walk.outer
        height, width = sig.size("out_rows", rows.out), sig.size("out_columns", columns.out)
        size, zero = self.tiles.count * outer, real.splat(real.number(0))
        lines = [f"const {index} at = ((n * {height} + row) * {width} + column) * {outer};"]
        if rows.out % OUT:
            lines.append(f"const int below = row + 1 < {height};")
        if columns.out % OUT:
            lines.append(f"const int beside = column + 1 < {width};")
        body = []
        for a in range(OUT):
            for b in range(OUT):
                load = real.load(f"g + at{f' + ({a} * {width} + {b}) * {outer}' if a + b else ''} + c")
                exists = ["below"] * (a and rows.out % OUT) + ["beside"] * (b and columns.out % OUT)
                value = f"{' && '.join(exists)} ? {load} : {zero}" if exists else load
                body.append(f"const {v} g{a}{b} = {value};")
        for b in range(OUT):
            body += _spread(v, f"t{{}}{b}", [f"g{a}{b}" for a in range(OUT)])
        for a in range(IN):
            body += _spread(v, f"w{a}{{}}", [f"t{a}{b}" for b in range(OUT)])
        for a in range(IN):
            body += [real.store(f"w{a}{b}", f"given + {(IN * a + b) * size} + tile * {outer} + c") for b in range(IN)]
        return [*lines, *loop("c", 0, outer, self.tiles.lanes, body)]

    def _multiply(self) -> list[str]:
        """Add the tiles at hand to the sums, by pieces of channels read and written."""
        walk, tiles, real = self.walk, self.tiles, self.real
        block, piece = tiles.vectors * tiles.lanes, RowTile(tiles.rows, tiles.vectors)
        at = f"to + {{r}} * {walk.outer} + {{v}} * {tiles.lanes}"
        product = [
            f"{real.pointer(const=True)}left = seen + place * {tiles.count * walk.inner} + c;",
            f"{real.pointer(const=True)}right = given + place * {tiles.count * walk.outer} + channel;",
            f"{real.pointer()}to = sums + (place * {walk.inner} + c) * {walk.outer} + channel;",
            *piece.accumulators(real, real.load(at)),
            *piece.product(real, "count", f"left[k * {walk.inner} + {{r}}]", "right", str(walk.outer)),
            *(real.store(f"acc{r}_{v}", at.format(r=r, v=v)) for r, v in piece),
        ]
        over = loop("c", 0, walk.inner, tiles.rows, loop("channel", 0, walk.outer, block, product))
        return loop("place", 0, PLACES, 1, over)

    def added(self) -> Source:
        """The kernel that makes the gradient of all sums, added in order; a work-item has a pair of channels."""
        walk, pairs, out = self.walk, self.walk.inner * self.walk.outer, self.node.outputs[0]
        sig = Signature(OPENCL, index_dtype(self.scratch + 64), starts=True)
        statements = Statements(OPENCL, numbered(self.group.nodes))
        sig.buffer("sums", "scratch", self.dtype, 0, const=True)
        sig.buffer("y0", "output", self.dtype, 0)
        n, parts, area = (sig.size(k, v) for k, v in (("n", pairs), ("parts", self.groups), ("area", self.area)))
        index, real, half = sig.index, OPENCL.type(self.dtype), OPENCL.literal(0.5, self.dtype)
        assert prod(walk.window) * pairs == out.size
        lines = [f"{real} m{a}{b} = 0;" for a in range(IN) for b in range(IN)]
        adds = [f"m{a}{b} += sums[part * {area} + {IN * a + b} * {n} + i];" for a in range(IN) for b in range(IN)]
        lines += [f"for ({index} part = 0; part < {parts}; ++part) {{", *indented(adds), "}"]
        for b in range(IN):
            lines += _back(real, f"t{{}}{b}", [f"m{a}{b}" for a in range(IN)], half)
        for a in range(3):
            lines += _back(real, f"d{a}{{}}", [f"t{a}{b}" for b in range(IN)], half)
        lines += [
            OPENCL.store(self.dtype, "y0", f"{3 * a + b} * {n} + i", f"d{a}{b}") for a in range(3) for b in range(3)
        ]
        body = [f"const {index} i = ({index})get_global_id(0);", f"if (i < {n}) {{", *indented(lines), "}"]
        return sig.source(self.group, statements, body, 64, -(-pairs // 64), part="_added")


def _spread(vector: str, target: str, g: Sequence[str]) -> list[str]:
    """``A`` times two vectors."""
    parts = [g[0], f"{g[0]} + {g[1]}", f"{g[0]} - {g[1]}", f"-{g[1]}"]
    return [f"const {vector} {target.format(k)} = {text};" for k, text in enumerate(parts)]


def _back(kind: str, target: str, m: Sequence[str], half: str) -> list[str]:
    """``G^T`` times four numbers."""
    parts = [f"{m[0]} + {half} * ({m[1]} + {m[2]})", f"{half} * ({m[1]} - {m[2]})"]
    parts.append(f"{half} * ({m[1]} + {m[2]}) + {m[3]}")
    return [f"const {kind} {target.format(k)} = {text};" for k, text in enumerate(parts)]
