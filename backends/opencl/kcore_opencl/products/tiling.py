"""How a matrix product is cut: register tiles, packed panels, parts for work-items; from sizes and traits alone."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil

from kcore.dtypes import itemsize
from kcore_opencl.products.problem import Product
from kcore_opencl.traits import Traits

#: Multiply-adds below which another work-item costs more than it saves.
WORK = 1 << 16


@dataclass(frozen=True)
class Tiling:
    """How a CPU's work-items cut a product.

    Attributes:
        rows: most rows of a register tile; tiles have this many or one less, so that none is nearly empty.
        vectors: vectors of columns of a register tile.
        lanes: elements of a vector.
        depth: most terms added up before the next block of the panel is packed.
        packed: whether a work-item copies its columns of `b` into a panel; if not they are read where they lie.
        row_parts, column_parts: work-items along rows and columns.
    """

    rows: int
    vectors: int
    lanes: int
    depth: int
    packed: bool
    row_parts: int
    column_parts: int

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


def lanes_of(dtype: str, traits: Traits) -> int:
    """Elements of the device's vector registers, at least two."""
    return min(16, max(2, traits.vector * 4 // max(itemsize(dtype), 4)))


def candidates(product: Product, traits: Traits) -> list[Tiling]:
    """Tilings worth measuring, the default first."""
    lanes = lanes_of(product.dtype, traits)
    registers = 32 if traits.vector >= 16 else 16
    found: dict[Tiling, None] = {}
    for vectors in (2, 1, 3, 4):
        if vectors > 1 and (vectors - 1) * lanes >= product.columns:
            continue
        most = (registers - vectors - 2) // vectors
        for rows in sorted({min(most, n) for n in (12, 8, 6, 4, 14)}, reverse=True):
            for packed in (True, False):
                if packed or _direct(product, vectors * lanes):
                    found.setdefault(_cut(product, traits, vectors, lanes, rows, packed))
    return sorted(found, key=lambda t: _cost(product, t, traits))


def choose(product: Product, traits: Traits) -> Tiling:
    """The default tiling."""
    return candidates(product, traits)[0]


def _direct(product: Product, width: int) -> bool:
    """Whether rows of `b` can be read as vectors where they lie."""
    return not product.transposed_b and product.b.dtype == product.dtype and product.columns % width == 0


def _cut(product: Product, traits: Traits, vectors: int, lanes: int, most: int, packed: bool) -> Tiling:
    rows = ceil(product.rows / ceil(product.rows / most)) if product.rows else 1
    blocks = ceil(product.inner / 400) or 1
    depth = ceil(ceil(product.inner / blocks) / 8) * 8 or 8
    tiling = Tiling(rows, vectors, lanes, depth, packed, 1, 1)
    tiles, panels = tiling.row_tiles(product.rows), tiling.panels(product.columns)
    options = [
        replace(tiling, row_parts=r, column_parts=c)
        for r in _parts(tiles, traits.units)
        for c in _parts(panels, traits.units)
    ]
    return min(options, key=lambda t: _cost(product, t, traits))


def _parts(most: int, units: int) -> list[int]:
    return [n for n in (1, *(units * i for i in (1, 2, 3, 4, 6, 8, 16))) if n <= most] or [1]


def _cost(product: Product, tiling: Tiling, traits: Traits) -> float:
    """Estimated cycles of the busiest core."""
    tiles = ceil(tiling.row_tiles(product.rows) / tiling.row_parts)
    panels = ceil(tiling.panels(product.columns) / tiling.column_parts)
    # a term of a tile: multiply-adds two a cycle, loads two a cycle, latency four cycles
    term = max(tiling.rows * tiling.vectors / 2, (tiling.rows + tiling.vectors) / 2 + 1, 4)
    tile = term * product.inner + 2 * tiling.rows * tiling.vectors + 30
    scattered = product.transposed_b or product.b.dtype != product.dtype
    pack = product.inner * tiling.vectors * (tiling.lanes / 2 if scattered else 2) if tiling.packed else 0
    if not tiling.packed:
        tile *= 1.06
    item = panels * (pack + tiles * tile) + 600
    items = product.products * tiling.row_parts * tiling.column_parts
    return ceil(items / traits.units) * item
