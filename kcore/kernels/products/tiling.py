"""How a matrix product is cut: register tiles, packed panels, parts for work-items; from sizes and traits alone."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import ceil

from kcore.dtypes import itemsize
from kcore.kernels.products.problem import Product
from kcore.kernels.traits import Traits

#: Most terms of a block: of a panel that stays in a core's first cache, or in its second.
DEPTHS = (264, 520, 1024)
#: Most tilings that are worth measuring.
MEASURED = 24
#: Cycles until a cache line that another core has written is there, when many are on their way.
FETCH = 10
#: Most cycles that the last work-item is taken to be held up by what else a core has to do; a tenth of it otherwise.
HELD = 300_000
#: Most bytes of packed rows of `a` in local memory.
LEFT = 160 << 10
#: Cycles of a core to turn a cache line of `a`, and to launch that.
TURN, LAUNCH = 12, 12_000


@dataclass(frozen=True)
class Tiling:
    """How a CPU's work-items cut a product.

    Attributes:
        rows: most rows of a register tile; tiles have this many or one less, so that none is nearly empty.
        vectors: vectors of columns of a register tile.
        lanes: elements of a vector.
        depth: most terms added up before the next block is packed; a multiple of `lanes`.
        packed: whether a work-item copies its columns of `b` into a panel; if not they are read where they lie.
        left: tiles of rows of `a` that are copied at once; 0 if they are read where they lie.
        row_parts, column_parts: work-items along rows and columns.
        turned: whether a launch of its own, before, lays a transposed `a` by rows into scratch memory, once for all.
    """

    rows: int
    vectors: int
    lanes: int
    depth: int
    packed: bool = True
    left: int = 0
    row_parts: int = 1
    column_parts: int = 1
    turned: bool = False

    @property
    def width(self) -> int:
        """Columns of a register tile."""
        return self.vectors * self.lanes

    def row_tiles(self, rows: int) -> int:
        """Register tiles that cover so many rows."""
        return ceil(rows / self.rows)

    def panels(self, columns: int) -> int:
        """Register tiles side by side."""
        return ceil(columns / self.width)

    @property
    def tile_row(self) -> int:
        """Elements from one term of a packed tile of a transposed `a` to the next, so that no vector crosses a line."""
        return next(n for n in (2, 4, 8, 16) if n >= self.rows)

    def left_shape(self, product: Product) -> tuple[int, int, int]:
        """Elements of a row, of a tile, and of all of the packed part of `a`; whole vectors fit at the end of each.

        What lies as (rows, inner) stays so, in rows that are no power of two apart. What is transposed is cut into
        tiles, each with its rows side by side.
        """
        if product.transposed_a:
            tile = self.tile_row * self.depth + self.lanes
            return self.tile_row, tile, tile * self.left
        row = self.depth + self.lanes
        return row, row * self.rows, row * self.rows * self.left


def lanes_of(dtype: str, traits: Traits) -> int:
    """Elements of the device's vector registers, at least two."""
    return min(16, max(2, traits.vector * 4 // max(itemsize(dtype), 4)))


def cpu_candidates(product: Product, traits: Traits) -> list[Tiling]:
    """Tilings worth measuring, the default first."""
    return sorted(dict.fromkeys(_tilings(product, traits)), key=lambda t: _cost(product, t, traits))[:MEASURED]


def _tilings(product: Product, traits: Traits) -> Iterator[Tiling]:
    lanes = lanes_of(product.dtype, traits)
    registers = 32 if traits.vector >= 16 else 16
    ways = [(0, False)]
    if product.transposed_a:
        ways += [(LEFT, False), *([(0, True)] if product.products == 1 else [])]
    depths = {ceil(_even(product.inner, most) / lanes) * lanes for most in DEPTHS}
    for vectors in (2, 1, 3, 4):
        if vectors > 1 and (vectors - 1) * lanes >= product.columns:
            continue
        most = (registers - vectors - 1) // vectors
        places = (True, False) if readable(product, vectors * lanes) else (True,)
        heights = {_even(product.rows, min(most, n)) for n in (14, 13, 8)}
        for rows, packed, (left, turned), depth in itertools.product(heights, places, ways, depths):
            tiling = Tiling(rows, vectors, lanes, depth, packed, turned=turned)
            yield _divide(product, traits, tiling, left)


def readable(product: Product, width: int) -> bool:
    """Whether rows of `b` can be read as vectors where they lie."""
    return not product.transposed_b and product.b.dtype == product.dtype and product.columns % width == 0


def _divide(product: Product, traits: Traits, tiling: Tiling, left: int) -> Tiling:
    """The tiling with the cheapest parts; as many tiles of `a` packed as `left` bytes have room for."""
    tiles, panels = tiling.row_tiles(product.rows), tiling.panels(product.columns)
    options = [
        replace(tiling, row_parts=r, column_parts=c)
        for r in _parts(tiles, traits.units)
        for c in _parts(panels, traits.units)
        if r == 1 or c == 1 or r * c <= 8 * traits.units
    ]
    if left:
        size = itemsize(product.dtype)
        left = min(left, traits.local - tiling.depth * tiling.width * size - 1024)
        most = max(1, left // ((tiling.depth + tiling.lanes) * tiling.tile_row * size))
        options = [replace(t, left=_even(ceil(tiles / t.row_parts), most)) for t in options]
    return min(options, key=lambda t: _cost(product, t, traits))


def _even(total: int, most: int) -> int:
    """The size of the fewest equal parts of at most `most`."""
    return ceil(total / ceil(total / most)) if total else 1


def _parts(most: int, units: int) -> list[int]:
    return [n for n in (1, *(units * i for i in (1, 2, 4, 6, 8, 16))) if n <= most] or [1]


def _cost(product: Product, tiling: Tiling, traits: Traits) -> float:
    """Estimated cycles of the busiest core: two multiply-adds or loads a cycle, and what was measured to slow them."""
    size = itemsize(product.dtype)
    tiles = ceil(tiling.row_tiles(product.rows) / tiling.row_parts)
    rows, vectors, inner = tiling.rows, tiling.vectors, product.inner
    across = ceil(product.columns / tiling.lanes)
    if tiling.column_parts > 1:
        across = ceil(tiling.panels(product.columns) / tiling.column_parts) * vectors
    panels = across / vectors
    slower = (1.08, 0.99, 1.0) if tiling.left else (1.1, 1.06, 1.0)
    term = max(rows * vectors, rows + vectors, 8) / 2 * slower[min(max(vectors, 2), 4) - 2]
    if tiling.depth * tiling.width * size > 40 << 10:
        term *= 1.03  # the panel comes from the second cache
    if tiling.left:
        left = 6
        if tiling.depth * tiling.tile_row * size > 24 << 10:
            term *= 1.06  # so do the rows
    else:
        left = 4
        if product.transposed_a and not tiling.turned:  # cache lines that collide, pages that are looked up
            term *= 1.05 + min(product.rows * size / 4096, 1) * 0.3
            if min(product.rows * size, 4096) * tiling.depth > 80 * 4096:
                term *= 1.15
        elif rows > 13:
            term *= 1.15  # so many pointers are no longer held in registers
    pack = 0.0
    if tiling.packed:
        far = 5 if inner * product.columns * size > 2**20 else 0  # what lies no more in the second cache
        near = 6 if tiling.left else 4  # beside packed rows in the same cache
        pack = inner * vectors * (far + (max(tiling.lanes / 2.5, near) if product.transposed_b else near))
    elif product.rows > rows:  # read again for every tile, from rows far apart
        term *= 1.02 if inner * product.columns * size < 2**20 else 3
    blocks = ceil(inner / tiling.depth) or 1
    again = 2 + 14 * min(product.columns * size / 2048, 1)  # a vector of sums to memory and back
    tile = term * inner + rows * vectors * (3 + again * (blocks - 1)) + 40
    turns = ceil(tiles / tiling.left) if tiling.left else 1
    item = panels * (turns * pack + tiles * tile) + tiles * rows * inner / tiling.lanes * left + 500
    items = product.products * tiling.row_parts * tiling.column_parts
    held = min(0.1 * item, HELD)
    before = 0.0
    if tiling.turned:
        before = LAUNCH + TURN * product.rows * inner * size / 64 / traits.units
    return before + ceil(items / traits.units) * item + held + _fetched(product, tiling, traits)


def _fetched(product: Product, tiling: Tiling, traits: Traits) -> float:
    """Estimated cycles until a core has what it reads of both operands, which other cores have just written."""
    a, b = product.rows * product.inner, product.inner * product.columns
    if product.products > 1:
        a, b = a * product.products // traits.units, b * product.products // traits.units
    elif tiling.row_parts > 1:
        a //= traits.units
    elif tiling.column_parts > 1:
        b //= traits.units
    return FETCH * (a + b) * itemsize(product.dtype) / 64
