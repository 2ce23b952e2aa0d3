"""Matrix products on CPUs: a work-item packs a panel of columns and multiplies register tiles of rows by it."""

from __future__ import annotations

from collections.abc import Sequence

from kcore.codegen import OPENCL, Argument, Code, Source
from kcore.codegen.group import Statements, indented
from kcore.codegen.signature import Signature, coordinates, index_dtype, offset_text
from kcore.dtypes import itemsize
from kcore_opencl.products.problem import Product
from kcore_opencl.products.tiling import Tiling
from kcore_opencl.products.vectors import Vectors
from kcore_opencl.traits import Traits


def emit_cpu(product: Product, traits: Traits, tiling: Tiling) -> Code:
    """The kernel of a product on a CPU."""
    return _Kernel(product, traits, tiling).code()


class _Kernel:
    def __init__(self, product: Product, traits: Traits, tiling: Tiling):
        self.product = product
        self.tiling = tiling
        self.vectors = Vectors(product.dtype, tiling.lanes, traits.fma)
        largest = max(product.a.size, product.b.size, product.products * product.rows * product.columns)
        self.sig = Signature(OPENCL, index_dtype(largest), starts=True)
        self.index = self.sig.index
        self.statements: Statements = product.epilogue.statements(self.sig)
        #: whether sums go to memory between blocks of terms
        self.blocked = product.inner > tiling.depth
        width = tiling.width
        self.edge = product.columns % width
        #: whether full tiles are stored straight from registers
        self.direct = product.plain
        #: sums between blocks lie where they belong in the end
        self.inplace = self.blocked and self.direct and not self.edge
        self.padded = tiling.panels(product.columns) * width
        tiles = tiling.row_tiles(product.rows)
        self.uneven = product.rows != tiles * tiling.rows
        self.heights = [tiling.rows, tiling.rows - 1] if self.uneven else [tiling.rows]
        self.narrow = -(-self.edge // tiling.lanes)

    def code(self) -> Code:
        product, tiling, sig = self.product, self.tiling, self.sig
        epilogue = product.epilogue
        sig.buffer("a", "input", product.a.dtype, epilogue.inputs[0] or 0, const=True)
        sig.buffer("b", "input", product.b.dtype, epilogue.inputs[1] or 0, const=True)
        epilogue.declare(sig)
        scratch = 0
        if self.blocked and not self.inplace:
            scratch = product.products * product.rows * self.padded * itemsize(product.dtype)
            sig.buffer("sums", "scratch", product.dtype)
        tiles = tiling.row_tiles(product.rows)
        for name, value in {
            "rows": product.rows,
            "columns": product.columns,
            "inner": product.inner,
            "tiles": tiles,
            "row_parts": tiling.row_parts,
            "column_parts": tiling.column_parts,
        }.items():
            sig.size(name, value)
        body = self._body()
        helpers = [self.vectors.declaration, *self._finish(), *self._pack()]
        for height in self.heights:
            if self.edge != product.columns:
                helpers += self._multiply(height, tiling.vectors, edge=False)
            if self.edge:
                helpers += self._multiply(height, self.narrow, edge=True)
        self.statements.uses(product.a.dtype)
        self.statements.uses(product.b.dtype)
        for line in ["\n".join(helpers)]:
            self.statements.helpers.setdefault(line)
        groups = product.products * tiling.row_parts * tiling.column_parts
        if not product.rows or not product.columns:
            groups = 0
        source: Source = sig.source(epilogue.group, self.statements, body, 1, groups)
        return Code((source,), scratch)

    # -- the kernel ----------------------------------------------------------------------------------------------

    def _body(self) -> list[str]:
        product, tiling, index = self.product, self.tiling, self.index
        width = tiling.width
        lines = [f"const {index} item = get_group_id(0);"]
        lines += [f"{index} part = item;"]
        lines += ["const int column_part = part % column_parts;", "part /= column_parts;"]
        lines += ["const int row_part = part % row_parts;"]
        if product.products > 1:
            lines += [f"const {index} product = part / row_parts;", *self._batch()]
        first = "(int)((long){n} * {part} / {part}s)"
        last = "(int)((long){n} * ({part} + 1) / {part}s)"
        lines += [
            f"const int panels = (columns + {width - 1}) / {width};",
            f"const int first_panel = {first.format(n='panels', part='column_part')};",
            f"const int last_panel = {last.format(n='panels', part='column_part')};",
            f"const int first_tile = {first.format(n='tiles', part='row_part')};",
            f"const int last_tile = {last.format(n='tiles', part='row_part')};",
        ]
        if self.uneven:
            short = tiling.rows - 1
            lines.append(f"const int tall = rows - tiles * {short};  // so many tiles have {tiling.rows} rows")
        if tiling.packed:
            vector = self.vectors
            size = f"{min(tiling.depth, max(product.inner, 1))} * {width}"
            if not self.blocked:
                size = f"{-(-product.inner // 64) * 64 or 64} * {width}"
            lines.append(f"__local {vector.type} panel[{size}] __attribute__((aligned(64)));")
        inner = self._panel()
        if self.blocked:
            lines += [
                f"const int blocks = (inner + {tiling.depth - 1}) / {tiling.depth};",
                "for (int block = 0; block < blocks; ++block) {",
                "    const int start = (int)((long)inner * block / blocks);",
                "    const int depth = (int)((long)inner * (block + 1) / blocks) - start;",
                "    const int first = block == 0;",
                "    const int last = block == blocks - 1;",
                *indented(inner),
                "}",
            ]
        else:
            lines += ["const int depth = inner;", *inner]
        return lines

    def _batch(self) -> list[str]:
        """Move the operands to their matrices."""
        sig, layout = self.sig, self.product.batch
        names = [sig.size(f"d{k}", d) if k else "" for k, d in enumerate(layout.dims)]
        used = {k for s in layout.strides for k, step in enumerate(s) if step}
        lines = coordinates(self.index, "product", "c", names, used)
        for name, strides in zip(("a", "b"), layout.strides, strict=True):
            if any(strides):
                lines.append(f"{name} += {offset_text(sig, name, 'c', strides, stride='batch')};")
        return lines

    def _panel(self) -> list[str]:
        """Every panel of the work-item: pack it, multiply all tiles of rows by it."""
        product, tiling = self.product, self.tiling
        start = "start" if self.blocked else "0"
        width = tiling.width
        lines = [f"const int column = p * {width};"]
        b = self._at("b", start, "column", product.transposed_b, "inner", "columns")
        if tiling.packed:
            row = "inner" if product.transposed_b else "columns"
            wide = f", min({width}, columns - column)" if self.edge else ""
            lines.append(f"pack(panel, {b}, {row}, depth{wide});")
        tile = []
        if self.uneven:
            tile.append(f"const int row = tile * {tiling.rows - 1} + min(tile, tall);")
        else:
            tile.append(f"const int row = tile * {tiling.rows};")
        matrix = "product * rows + row" if product.products > 1 else "row"
        tile.append(f"const {self.index} at = ({matrix}) * columns + column;")
        a = self._at("a", start, "row", not product.transposed_a, "inner", "rows")
        if self.blocked and not self.inplace:
            tile.append(f"__global {self.vectors.type} *sum = sums + ({matrix}) * {self.padded_text()} + column;")
        call = self._call(a, b)
        if self.edge and self.edge != product.columns:
            tile += [f"if (column + {width} <= columns) {{", *indented(call(False)), "} else {", *indented(call(True))]
            tile.append("}")
        else:
            tile += call(bool(self.edge))
        lines += ["for (int tile = first_tile; tile < last_tile; ++tile) {", *indented(tile), "}"]
        return ["for (int p = first_panel; p < last_panel; ++p) {", *indented(lines), "}"]

    def padded_text(self) -> str:
        return f"(panels * {self.tiling.width})"

    def _at(self, name: str, inner: str, other: str, across: bool, inner_size: str, other_size: str) -> str:
        """A pointer to an operand's element; `across` if its rows run along the inner axis."""
        row, column, size = (other, inner, inner_size) if across else (inner, other, other_size)
        if row == "0":
            return f"{name} + {column}"
        text = f"{name} + ({self.index}){row} * {size}"
        return text if column == "0" else f"{text} + {column}"

    def _call(self, a: str, b: str):
        def lines(edge: bool) -> list[str]:
            tall = self._calls(self.heights[0], a, b, edge)
            if not self.uneven:
                return [tall]
            return ["if (tile < tall)", "    " + tall, "else", "    " + self._calls(self.heights[1], a, b, edge)]

        return lines

    def _calls(self, height: int, a: str, b: str, edge: bool) -> str:
        product = self.product
        step = "inner" if not product.transposed_a else "rows"
        right = "panel" if self.tiling.packed else f"{b}, columns"
        arguments = [a, step, right, "depth"]
        if self.blocked:
            if not self.inplace:
                arguments += ["sum", self.padded_text()]
            arguments += ["first", "last"] if not self.inplace else ["first"]
        arguments += self._names()
        arguments += ["columns", "at"]
        if not self.direct or edge:
            arguments.append("column")
        return f"{self._function(height, edge)}({', '.join(arguments)});"

    def _function(self, height: int, edge: bool) -> str:
        return f"multiply_{height}x{(self.narrow if edge else self.tiling.vectors) * self.tiling.lanes}" + (
            "_edge" if edge else ""
        )

    # -- functions -----------------------------------------------------------------------------------------------

    def _buffers(self) -> list[Argument]:
        """Arguments of the kernel that the epilogue reads and writes."""
        return [a for a in self.sig.arguments if a.kind in ("input", "output") and a.name not in ("a", "b")]

    def _names(self) -> list[str]:
        return [a.name for a in self._buffers()]

    def _parameters(self) -> list[str]:
        return [OPENCL.pointer(a.dtype, a.kind == "input") + a.name for a in self._buffers()]

    def _pack(self) -> list[str]:
        """The function that copies columns of `b` into the panel; columns beyond the edge become zero."""
        tiling, product, vectors = self.tiling, self.product, self.vectors
        if not tiling.packed:
            return []
        width = tiling.width
        b = OPENCL.pointer(product.b.dtype, const=True)
        edge = ", const int width" if self.edge else ""
        lines = [
            f"static inline void pack(__local {vectors.type} *panel, {b}b, const {self.index} b_row, "
            f"const int depth{edge}) {{"
        ]
        at = "c * b_row + k" if product.transposed_b else "k * b_row + c"
        value = OPENCL.load(product.b.dtype, "b", at)
        if self.edge:
            value = f"c < width ? {value} : 0"
        scalar = [
            "for (int k = 0; k < depth; ++k)",
            f"    for (int c = 0; c < {width}; ++c)",
            f"        panel[k * {width} + c] = {value};",
        ]
        if product.transposed_b or product.b.dtype != product.dtype:
            return [*lines, *indented(scalar), "}"]
        copy = [f"for (int k = 0; k < depth; ++k, panel += {width}, b += b_row) {{"]
        for v in range(tiling.vectors):
            at = v * tiling.lanes
            copy.append("    " + vectors.store(f"panel + {at}", vectors.load(f"b + {at}"), "__local"))
        copy.append("}")
        if self.edge:
            lines += indented([f"if (width == {width}) {{", *indented(copy), "} else {", *indented(scalar), "}"])
        else:
            lines += indented(copy)
        return [*lines, "}"]

    def _finish(self) -> list[str]:
        """The function that takes a tile of finished sums through the epilogue, element by element."""
        if self.direct and not self.edge:
            return []
        vectors = self.vectors
        element = self.product.epilogue.element(self.statements, "total", "i", "c")
        parameters = [
            f"const {vectors.type} *tile",
            "const int height",
            *self._parameters(),
            f"const {self.index} columns",
            f"const {self.index} at",
            "const int column",
        ]
        return [
            f"static inline void finish({', '.join(parameters)}) {{",
            f"    const int width = min({self.tiling.width}, (int)columns - column);",
            f"    for (int row = 0; row < height; ++row, tile += {self.tiling.width}) {{",
            "        for (int lane = 0; lane < width; ++lane) {",
            f"            const {self.index} i = at + row * columns + lane;",
            "            const int c = column + lane;",
            f"            const {vectors.type} total = tile[lane];",
            *indented(element, 3),
            "        }",
            "    }",
            "}",
        ]

    def _multiply(self, height: int, count: int, edge: bool) -> list[str]:
        """The function that multiplies one tile of rows by the panel."""
        product, tiling, v = self.product, self.tiling, self.vectors
        direct = self.direct and not edge
        space = "__local" if tiling.packed else "__global"
        parameters = [
            f"{OPENCL.pointer(product.a.dtype, const=True)}a",
            f"const {self.index} a_row",
            f"const {space} {v.type} *b",
        ]
        if not tiling.packed:
            parameters.append(f"const {self.index} b_row")
        parameters.append("const int depth")
        if self.blocked:
            if not self.inplace:
                parameters += [f"__global {v.type} *sum", f"const {self.index} sum_row"]
            parameters += ["const int first", "const int last"] if not self.inplace else ["const int first"]
        parameters += self._parameters()
        parameters += [f"const {self.index} columns", f"const {self.index} at"]
        if not direct:
            parameters.append("const int column")
        cells = [(r, c) for r in range(height) for c in range(count)]
        lines = [f"static inline void {self._function(height, edge)}({', '.join(parameters)}) {{"]
        sums = [f"sum_{r}_{c}" for r, c in cells]
        zero = v.splat("0")
        sum_at = ["y0 + at + {r} * columns + {c}" if self.inplace else "sum + {r} * sum_row + {c}"][0]
        places = [sum_at.format(r=r, c=c * tiling.lanes) for r, c in cells]
        if self.blocked:
            lines += [f"    {v.vector} {', '.join(sums)};", "    if (first) {"]
            lines += [f"        {s} = {zero};" for s in sums]
            lines += ["    } else {"]
            lines += [f"        {s} = {v.load(p)};" for s, p in zip(sums, places, strict=True)]
            lines += ["    }"]
        else:
            lines += [f"    {v.vector} {s} = {zero};" for s in sums]
        row = str(tiling.width) if tiling.packed else "b_row"
        lines += ["    for (int k = 0; k < depth; ++k) {"]
        for c in range(count):
            lines.append(f"        const {v.vector} b{c} = {v.load(f'b + k * {row} + {c * tiling.lanes}', space)};")
        for r in range(height):
            at = f"k * a_row + {r}" if product.transposed_a else f"{r} * a_row + k"
            lines.append(f"        const {v.vector} a{r} = {v.splat(OPENCL.load(product.a.dtype, 'a', at))};")
            lines += [
                f"        sum_{r}_{c} = {v.multiply_add(f'a{r}', f'b{c}', f'sum_{r}_{c}')};" for c in range(count)
            ]
        lines += ["    }"]
        if self.inplace:
            return [*lines, *(f"    {v.store(p, s)}" for s, p in zip(sums, places, strict=True)), "}"]
        finish = self._store(cells, sums, height, direct)
        if self.blocked:
            lines += ["    if (!last) {"]
            lines += [f"        {v.store(p, s)}" for s, p in zip(sums, places, strict=True)]
            lines += ["        return;", "    }"]
        return [*lines, *indented(finish), "}"]

    def _store(self, cells: Sequence[tuple[int, int]], sums: Sequence[str], height: int, direct: bool) -> list[str]:
        v, lanes, width = self.vectors, self.tiling.lanes, self.tiling.width
        if direct:
            return [v.store(f"y0 + at + {r} * columns + {c * lanes}", s) for (r, c), s in zip(cells, sums, strict=True)]
        lines = [f"{v.type} tile[{height * width}] __attribute__((aligned(64)));"]
        for (r, c), s in zip(cells, sums, strict=True):
            lines.append(v.store(f"tile + {r * width + c * lanes}", s, "__private"))
        return [*lines, f"finish(tile, {height}, {', '.join(self._names())}, columns, at, column);"]
