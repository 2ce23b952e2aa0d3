"""Functions that multiply one register tile, and that take its sums through the epilogue."""

from __future__ import annotations

from collections.abc import Sequence

from kcore.codegen import OPENCL
from kcore.codegen.group import Statements, indented
from kcore.codegen.signature import Signature
from kcore.kernels.products.problem import Product
from kcore.kernels.products.tiling import Tiling
from kcore.kernels.products.vectors import Vectors


class TileFunctions:
    """The functions ``multiply_ROWSxCOLUMNS`` of a kernel, one for each height and width of tile it has.

    Args:
        blocked: whether sums go to memory between blocks of terms; into `sum` if there is scratch memory for them,
            else into the result.

    Attributes:
        uneven: whether some tiles have a row less.
        full, edge: whether there are panels of full width, and how many columns the last one has if it is not.
        left_row, left_tile, left_size: elements of a row, of a tile, and of all of the packed part of `a`.
    """

    def __init__(
        self,
        product: Product,
        tiling: Tiling,
        vectors: Vectors,
        sig: Signature,
        statements: Statements,
        blocked: bool,
        scratch: int,
    ):
        self.product, self.tiling, self.vectors, self.sig, self.statements = product, tiling, vectors, sig, statements
        self.blocked, self.scratch = blocked, bool(scratch)
        self.uneven = product.rows != tiling.row_tiles(product.rows) * tiling.rows
        self.edge = product.columns % tiling.width
        self.full = product.columns >= tiling.width
        self._buffers = [a for a in sig.arguments if a.kind in ("input", "output") and a.name not in ("a", "b")]
        epilogue = product.epilogue
        self.wide = epilogue.wide_statements(sig, tiling.lanes) if epilogue.widens else None
        self.left_row, self.left_tile, self.left_size = tiling.left_shape(product)

    def text(self) -> list[str]:
        """All functions."""
        lines = [] if self._direct(bool(self.edge)) else self._finish()
        for height in [self.tiling.rows, self.tiling.rows - 1][: 1 + self.uneven]:
            if self.full:
                lines += self._multiply(height, edge=False)
            if self.edge:
                lines += self._multiply(height, edge=True)
        return lines

    def call(self, left: Sequence[str], right: Sequence[str], edge: bool) -> list[str]:
        """Statements that multiply tile number `tile`.

        Args:
            left, right: pointers to the operands' first elements, each with the length of its rows if not packed.
            edge: whether it is narrower than a full one.
        """
        arguments = [*left, *right, "depth"]
        if self.scratch:
            arguments += ["sum", f"panels * {self.tiling.width}", "first", "last"]
        elif self.blocked:
            arguments.append("first")
        arguments += [a.name for a in self._buffers] + ["columns", "at"]
        if not self._direct(edge):
            arguments.append("column")
        calls = [
            f"{self._name(height, edge)}({', '.join(arguments)});"
            for height in (self.tiling.rows, self.tiling.rows - 1)
        ]
        if not self.uneven:
            return calls[:1]
        return ["if (tile < tall)", f"    {calls[0]}", "else", f"    {calls[1]}"]

    def _direct(self, edge: bool) -> bool:
        """Whether sums are stored as whole vectors straight from registers."""
        return self.product.plain and not (edge and self.edge % self.tiling.lanes)

    def _vectors(self, edge: bool) -> int:
        return -(-self.edge // self.tiling.lanes) if edge else self.tiling.vectors

    def _name(self, height: int, edge: bool) -> str:
        return f"multiply_{height}x{self._vectors(edge) * self.tiling.lanes}" + ("_edge" if edge else "")

    def _parameters(self) -> list[str]:
        return [OPENCL.pointer(a.dtype, a.kind == "input") + a.name for a in self._buffers]

    def _signature(self, name: str, parameters: Sequence[str]) -> str:
        indent = " " * (len(name) + 20)
        lines, line = [], f"static inline void {name}("
        for i, parameter in enumerate(parameters):
            text = parameter + (") {" if i == len(parameters) - 1 else ",")
            if len(line) + len(text) > 119:
                lines.append(line.rstrip())
                line = indent
            line += text + " "
        return "\n".join([*lines, line.rstrip()])

    def _finish(self) -> list[str]:
        """The function that takes a tile of finished sums through the epilogue, by vectors as far as they reach."""
        v, index, width = self.vectors, self.sig.index, self.tiling.width
        turns = ["int lane = 0;"]
        if self.wide is not None:
            loop = f"for (; lane + {v.lanes} <= width; lane += {v.lanes})"
            turns += self._elements(self.wide, loop, v.vector, v.load("tile + lane", "__private"))
        if self.wide is None or self.edge % v.lanes:
            turns += self._elements(self.statements, "for (; lane < width; ++lane)", v.type, "tile[lane]")
        parameters = [f"const {v.type} *tile", "const int height", "const int width", *self._parameters()]
        parameters += [f"const {index} columns", f"const {index} at", "const int column"]
        return [
            self._signature("finish", parameters),
            f"    for (int row = 0; row < height; ++row, tile += {width}) {{",
            *indented(turns, 2),
            "    }",
            "}",
        ]

    def _elements(self, statements: Statements, loop: str, ctype: str, total: str) -> list[str]:
        lines = [f"const {self.sig.index} i = at + row * columns + lane;", "const int c = column + lane;"]
        lines += [f"const {ctype} total = {total};"]
        lines += self.product.epilogue.element(statements, "total", "i", "c")
        return [f"{loop} {{", *indented(lines), "}"]

    def _multiply(self, height: int, edge: bool) -> list[str]:
        """The function that multiplies one tile of rows by one of columns, and stores or finishes the sums."""
        tiling, v, index = self.tiling, self.vectors, self.sig.index
        count = self._vectors(edge)
        cells = {f"sum{r}_{c}": (r, c * tiling.lanes) for r in range(height) for c in range(count)}
        place = "sum + {r} * sum_row + {c}" if self.scratch else "y0 + at + {r} * columns + {c}"
        places = {name: place.format(r=r, c=c) for name, (r, c) in cells.items()}
        lines = [f"{v.vector} {name} = {v.splat('0')};" for name in cells]
        if self.blocked:
            lines += ["if (!first) {", *(f"    {name} = {v.load(p)};" for name, p in places.items()), "}"]
        lines += ["for (int k = 0; k < depth; ++k) {", *indented(self._terms(height, count)), "}"]
        kept = [v.store(p, name) for name, p in places.items()]
        if self._direct(edge):
            final = [v.store(f"y0 + at + {r} * columns + {c}", name) for name, (r, c) in cells.items()]
        else:
            final = [f"{v.type} tile[{height * tiling.width}] __attribute__((aligned(64)));"]
            for name, (r, c) in cells.items():
                final.append(v.store(f"tile + {r * tiling.width + c}", name, "__private"))
            wide = "columns - column" if edge else str(tiling.width)
            names = ", ".join(a.name for a in self._buffers)
            final.append(f"finish(tile, {height}, {wide}, {names}, columns, at, column);")
        if self.scratch:
            lines += ["if (!last) {", *indented(kept), "    return;", "}"]
        elif self.blocked:
            final = kept
        parameters = [*self._operands(), "const int depth"]
        if self.scratch:
            parameters += [f"__global {v.type} *sum", f"const {index} sum_row", "const int first", "const int last"]
        elif self.blocked:
            parameters.append("const int first")
        parameters += [*self._parameters(), f"const {index} columns", f"const {index} at"]
        if not self._direct(edge):
            parameters.append("const int column")
        return [self._signature(self._name(height, edge), parameters), *indented([*lines, *final]), "}"]

    def _operands(self) -> list[str]:
        tiling, v, index = self.tiling, self.vectors, self.sig.index
        if tiling.left:
            left = [f"const __local {v.type} *a"]
        else:
            left = [f"{OPENCL.pointer(self.product.a.dtype, const=True)}a", f"const {index} a_row"]
        if tiling.packed:
            return [*left, f"const __local {v.type} *b"]
        return [*left, f"const __global {v.type} *b", f"const {index} b_row"]

    def _terms(self, height: int, count: int) -> list[str]:
        """One term of every sum: a row of `b` times an element of each row of `a`."""
        tiling, v, product = self.tiling, self.vectors, self.product
        space, b_row = ("__local", tiling.width) if tiling.packed else ("__global", "b_row")
        a_row = self.left_row if tiling.left else "a_row"
        lines = [
            f"const {v.vector} b{c} = {v.load(f'b + k * {b_row} + {c * tiling.lanes}', space)};" for c in range(count)
        ]
        for r in range(height):
            at = f"k * {a_row} + {r}" if product.transposed_a else f"{r} * {a_row} + k"
            element = f"a[{at}]" if tiling.left else OPENCL.load(product.a.dtype, "a", at)
            lines.append(f"const {v.vector} a{r} = {v.splat(element)};")
            lines += [f"sum{r}_{c} = {v.multiply_add(f'a{r}', f'b{c}', f'sum{r}_{c}')};" for c in range(count)]
        return lines
