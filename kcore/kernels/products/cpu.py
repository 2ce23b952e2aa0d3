"""Matrix products on CPUs: a work-item packs panels of both operands and multiplies register tiles of them."""

from __future__ import annotations

from kcore.codegen import OPENCL, Code
from kcore.codegen.group import indented
from kcore.codegen.signature import Signature, coordinates, index_dtype, offset_text
from kcore.dtypes import itemsize
from kcore.kernels.products.packing import copy_function, tiles_function, transpose_function
from kcore.kernels.products.problem import Product
from kcore.kernels.products.tile import TileFunctions
from kcore.kernels.products.tiling import Tiling, readable
from kcore.kernels.products.turning import Turn
from kcore.kernels.products.vectors import Vectors
from kcore.kernels.traits import Traits


def emit_cpu(product: Product, traits: Traits, tiling: Tiling) -> Code:
    """The kernel of a product on a CPU: one work-item per part of the rows and columns of each product.

    For each block of terms, and of rows of `a`, and panel of columns of `b`: what is packed is copied to local memory,
    then every tile of rows is multiplied by the panel in registers. Between blocks of terms the sums are kept in the
    result, or in scratch memory where they are not what is stored in the end.

    Raises:
        ValueError: the tiling is for another product: it reads `b` in place where that is transposed, of a dtype that
            is only stored, or has columns that are no whole number of tiles.
    """
    if not tiling.packed and not readable(product, tiling.width):
        raise ValueError(f"{tiling} does not fit a product with {product.columns} columns of {product.b.spec}")
    return _Kernel(product, traits, tiling).code()


class _Kernel:
    def __init__(self, product: Product, traits: Traits, tiling: Tiling):
        self.turn = Turn(product, tiling, traits) if tiling.turned else None
        self.product = product = self.turn.product if self.turn else product
        self.tiling = tiling
        self.vectors = Vectors(product.dtype, tiling.lanes, traits.fma)
        padded = product.products * product.rows * tiling.panels(product.columns) * tiling.width
        self.parts = product.products * tiling.row_parts * tiling.column_parts
        self.sig = Signature(OPENCL, index_dtype(max(product.a.size, product.b.size, padded)), starts=True)
        self.index = self.sig.index
        self.statements = product.epilogue.statements(self.sig)
        self.blocked = product.inner > tiling.depth
        self.scratch = padded * itemsize(product.dtype) if self._keeps_sums() else 0

    def _keeps_sums(self) -> bool:
        """Whether sums lie in scratch memory between blocks of terms."""
        return self.blocked and bool(self.product.columns % self.tiling.lanes or not self.product.plain)

    def code(self) -> Code:
        product, tiling, sig = self.product, self.tiling, self.sig
        epilogue = product.epilogue
        first, second = epilogue.inputs
        sig.buffer("a", "scratch" if self.turn else "input", product.a.dtype, first or 0, const=True)
        sig.buffer("b", "input", product.b.dtype, second or 0, const=True)
        epilogue.declare(sig)
        self.functions = TileFunctions(product, tiling, self.vectors, sig, self.statements, self.blocked, self.scratch)
        if self.scratch:
            sig.buffer("sums", "scratch", product.dtype)
        sizes = {"rows": product.rows, "columns": product.columns, "inner": product.inner}
        parts = {"tiles": tiling.row_tiles(product.rows), "row_parts": tiling.row_parts}
        for name, value in {**sizes, **parts, "column_parts": tiling.column_parts}.items():
            sig.size(name, value)
        empty = not product.rows or not product.columns
        groups = 0 if empty else self.parts
        if self.turn and self.scratch:
            sig.size("sums_at", self.turn.nbytes // itemsize(product.dtype))
        body = self._body()
        helpers = [self.vectors.declaration, *self._packing(), *self.functions.text()]
        statements = self.statements
        if self.functions.wide is not None:
            statements = self.functions.wide.join(statements)
        statements.uses(product.a.dtype)
        statements.uses(product.b.dtype)
        statements.helpers.setdefault("\n".join(helpers))
        source = sig.source(epilogue.group, statements, body, 1, groups)
        if self.turn is None:
            return Code((source,), self.scratch)
        return Code((self.turn.source(first or 0), source), self.turn.nbytes + self.scratch)

    def _packing(self) -> list[str]:
        """Functions that copy pieces of the operands to local memory."""
        product, tiling, v = self.product, self.tiling, self.vectors
        copied: dict[str, None] = {}
        if tiling.left and not product.transposed_a:
            copied[product.a.dtype] = None
        if tiling.packed and not product.transposed_b:
            copied[product.b.dtype] = None
        lines = [line for dtype in copied for line in copy_function(v, dtype, self.index)]
        if tiling.left and product.transposed_a:
            to = self.functions.left_row, self.functions.left_tile
            lines += tiles_function(v, product.a.dtype, self.index, *to, self._row("tile"))
        if tiling.packed and product.transposed_b:
            lines += transpose_function(v, product.b.dtype, self.index)
        return lines

    # -- the kernel ----------------------------------------------------------------------------------------------

    def _body(self) -> list[str]:
        tiling, v = self.tiling, self.vectors
        first, last = (f"(int)((long){{n}} * {part} / {{part}}s)" for part in ("{part}", "({part} + 1)"))
        lines = ["sums += sums_at;"] if self.turn and self.scratch else []
        lines += [f"const {self.index} item = get_group_id(0);", *self._places()]
        for what, part in (("panel", "column_part"), ("tile", "row_part")):
            lines.append(f"const int first_{what} = {first.format(n=what + 's', part=part)};")
            lines.append(f"const int last_{what} = {last.format(n=what + 's', part=part)};")
        if self.functions.uneven:
            lines.append(f"const int tall = rows - tiles * {tiling.rows - 1};  // so many have {tiling.rows} rows")
        if tiling.left:
            lines.append(f"__local {v.type} left[{self.functions.left_size}] __attribute__((aligned(64)));")
        if tiling.packed:
            size = f"{tiling.depth} * {tiling.width}"
            lines.append(f"__local {v.type} panel[{size}] __attribute__((aligned(64)));")
        if not self.blocked:
            return [*lines, "const int start = 0;", "const int depth = inner;", *self._rows()]
        return [
            *lines,
            f"const int blocks = (inner + {tiling.depth - 1}) / {tiling.depth};",
            "for (int block = 0; block < blocks; ++block) {",
            "    const int start = (int)((long)inner * block / blocks);",
            "    const int depth = (int)((long)inner * (block + 1) / blocks) - start;",
            "    const int first = block == 0;",
            *(["    const int last = block == blocks - 1;"] if self.scratch else []),
            *indented(self._rows()),
            "}",
        ]

    def _places(self) -> list[str]:
        """Which part of which product the work-item computes."""
        sig, layout, width = self.sig, self.product.batch, self.tiling.width
        lines = [
            "const int column_part = item % column_parts;",
            "const int row_part = item / column_parts % row_parts;",
            f"const int panels = (columns + {width - 1}) / {width};",
        ]
        if self.product.products == 1:
            return lines
        lines.append(f"const {self.index} product = item / column_parts / row_parts;")
        names = [sig.size(f"d{k}", d) if k else "" for k, d in enumerate(layout.dims)]
        used = {k for s in layout.strides for k, step in enumerate(s) if step}
        lines += coordinates(self.index, "product", "c", names, used)
        for name, strides in zip(("a", "b"), layout.strides, strict=True):
            if any(strides):
                lines.append(f"{name} += {offset_text(sig, name, 'c', strides, stride='batch')};")
        return lines

    def _rows(self) -> list[str]:
        """Every block of rows of the work-item; a single one if `a` is read where it lies."""
        tiling = self.tiling
        if not tiling.left:
            return self._panels("first_tile", "last_tile")
        functions, end = self.functions, f"const int block_end = min(block_tile + {tiling.left}, last_tile);"
        row = f"const int block_row = {self._row('block_tile')};"
        if self.product.transposed_a:  # tile by tile, so that a tile's elements follow each other
            at, size = self._at("a", "start", "block_row", False, "inner", "rows")
            tiles = f"block_tile, block_end, {'tall' if functions.uneven else 0}"
            lines = [end, row, f"copy_tiles(left, {at}, {size}, depth, {tiles}, {self._rest('a', at)});"]
        else:
            at, size = self._at("a", "start", "block_row", True, "inner", "rows")
            shape = f"{self._row('block_end')} - block_row, depth"
            lines = [end, row, f"copy(left, {functions.left_row}, {at}, {size}, {shape}, {self._rest('a', at)});"]
        lines += self._panels("block_tile", "block_end")
        head = f"for (int block_tile = first_tile; block_tile < last_tile; block_tile += {tiling.left}) {{"
        return [head, *indented(lines), "}"]

    def _panels(self, first: str, last: str) -> list[str]:
        """Every panel of columns of the work-item: pack it, multiply all tiles of rows by it."""
        tiling, width = self.tiling, self.tiling.width
        lines = [f"const int column = p * {width};"]
        at, size = self._at("b", "start", "column", self.product.transposed_b, "inner", "columns")
        if tiling.packed:
            wide = f"min({width}, columns - column)"
            if self.product.transposed_b:
                lines.append(f"transpose(panel, {width}, {at}, {size}, {wide}, depth, {self._rest('b', at)});")
            else:
                lines.append(f"copy(panel, {width}, {at}, {size}, depth, {wide}, {self._rest('b', at)});")
        lines += [f"for (int tile = {first}; tile < {last}; ++tile) {{", *indented(self._tile(at)), "}"]
        return ["for (int p = first_panel; p < last_panel; ++p) {", *indented(lines), "}"]

    def _tile(self, b: str) -> list[str]:
        product, tiling = self.product, self.tiling
        lines = [f"const int row = {self._row('tile')};"]
        matrix = "product * rows + row" if product.products > 1 else "row"
        rows = f"({matrix})" if product.products > 1 else matrix
        lines.append(f"const {self.index} at = {rows} * columns + column;")
        if self.scratch:
            lines.append(f"__global {self.vectors.type} *sum = sums + {rows} * (panels * {tiling.width}) + column;")
        if not tiling.left:
            inner = str(self.turn.row) if self.turn else "inner"
            a, size = self._at("a", "start", "row", not product.transposed_a, inner, "rows")
            left = [a, size]
        elif product.transposed_a:
            left = [f"left + (tile - block_tile) * {self.functions.left_tile}"]
        else:
            left = [f"left + (row - block_row) * {self.functions.left_row}"]
        right = ["panel"] if tiling.packed else [b, "columns"]
        if self.functions.full and self.functions.edge:
            return [
                *lines,
                f"if (column + {tiling.width} <= columns) {{",
                *indented(self.functions.call(left, right, edge=False)),
                "} else {",
                *indented(self.functions.call(left, right, edge=True)),
                "}",
            ]
        return [*lines, *self.functions.call(left, right, edge=bool(self.functions.edge))]

    def _row(self, tile: str) -> str:
        """The first row of a tile."""
        if self.functions.uneven:
            return f"{tile} * {self.tiling.rows - 1} + min({tile}, tall)"
        return f"{tile} * {self.tiling.rows}"

    def _at(self, name: str, inner: str, other: str, across: bool, inner_size: str, other_size: str) -> tuple[str, str]:
        """Pointer to an operand's element and the size of its rows; `across` if they run along the inner axis."""
        row, column, size = (other, inner, inner_size) if across else (inner, other, other_size)
        return f"{name} + (({self.index}){row} * {size} + {column})", size

    def _rest(self, name: str, at: str) -> str:
        """How many elements there are from a pointer to the end of the matrix."""
        size = "rows" if name == "a" else "columns"
        return f"({self.index}){size} * inner - {at.removeprefix(f'{name} + ')}"
