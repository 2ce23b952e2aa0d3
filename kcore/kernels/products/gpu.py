"""Matrix products on GPUs: a work-group shares tiles of both operands in local memory, a work-item holds some sums."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

from kcore.codegen import Code, Dialect
from kcore.codegen.group import indented
from kcore.codegen.signature import Signature, coordinates, index_dtype, offset_text
from kcore.dtypes import itemsize, numpy_dtype
from kcore.kernels.products.problem import Product
from kcore.kernels.products.vectors import Vectors
from kcore.kernels.traits import Traits

#: Terms of the tiles in local memory.
DEPTH = 16


@dataclass(frozen=True)
class GroupTiling:
    """How a GPU's work-groups cut a product.

    Attributes:
        down, across: work-items of a group along rows and columns.
        rows, columns: sums of a work-item; they lie `down` rows and `across` columns apart, so that neighbouring
            work-items store neighbouring elements.
    """

    down: int
    across: int
    rows: int
    columns: int

    @property
    def local(self) -> int:
        """Work-items of a group."""
        return self.down * self.across

    @property
    def height(self) -> int:
        """Rows of a group."""
        return self.down * self.rows

    @property
    def width(self) -> int:
        """Columns of a group."""
        return self.across * self.columns

    def groups(self, product: Product) -> int:
        """Work-groups in all."""
        return product.products * ceil(product.rows / self.height) * ceil(product.columns / self.width)


def gpu_candidates(product: Product, traits: Traits) -> list[GroupTiling]:
    """Tilings the device has room for, the default first: the largest that gives every compute unit two groups."""
    ways = [GroupTiling(16, 16, 8, 4), GroupTiling(16, 16, 4, 4), GroupTiling(16, 16, 2, 2)]
    ways += [GroupTiling(8, 8, 4, 4), GroupTiling(8, 8, 2, 2), GroupTiling(8, 8, 1, 1), GroupTiling(2, 2, 2, 2)]
    room = traits.local // itemsize(product.dtype)
    fit = [w for w in ways if w.local <= traits.group and (w.height + w.width + 2) * DEPTH <= room]
    busy = [w for w in fit if w.groups(product) >= 2 * traits.units]
    return sorted(fit, key=lambda w: (w not in busy, -w.height * w.width if busy else w.height * w.width))


def emit_gpu(product: Product, traits: Traits, tiling: GroupTiling) -> Code:
    """The kernel of a product on a GPU."""
    epilogue = product.epilogue
    size = product.products * product.rows * product.columns
    d = traits.dialect
    sig = Signature(d, index_dtype(max(product.a.size, product.b.size, size)), starts=True)
    statements = epilogue.statements(sig)
    sig.buffer("a", "input", product.a.dtype, epilogue.inputs[0] or 0, const=True)
    sig.buffer("b", "input", product.b.dtype, epilogue.inputs[1] or 0, const=True)
    epilogue.declare(sig)
    for name, value in {"rows": product.rows, "columns": product.columns, "inner": product.inner}.items():
        sig.size(name, value)
    element = epilogue.element(statements, "total", "i", "c")
    operands = [a for a in sig.arguments if a.kind in ("input", "output") and a.name not in ("a", "b")]
    v = Vectors(product.dtype, 1, traits.fma, d)
    parameters = [f"const {v.type} total", f"const {sig.index} i", f"const {sig.index} c"]
    parameters += [d.pointer(a.dtype, a.kind == "input") + a.name for a in operands]
    helper = [f"{d.function} void finish({', '.join(parameters)}) {{", *indented(element), "}"]
    body = _body(product, tiling, v, sig, [a.name for a in operands])
    statements.uses(product.a.dtype)
    statements.uses(product.b.dtype)
    statements.helpers.setdefault("\n".join(helper))
    groups = tiling.groups(product)
    return Code((sig.source(epilogue.group, statements, body, tiling.local, groups),))


def _body(product: Product, tiling: GroupTiling, v: Vectors, sig: Signature, operands: list[str]) -> list[str]:
    high, wide, index, d = tiling.height, tiling.width, sig.index, sig.dialect
    lines = [
        f"{d.shared} {v.type} left[{DEPTH} * {high + 1}];",
        f"{d.shared} {v.type} right[{DEPTH} * {wide + 1}];",
        f"const {index} group = {d.group};",
        f"const int lane = {d.lane};",
        f"const int down = lane / {tiling.across}, across = lane % {tiling.across};",
        f"const {index} panels = (columns + {wide - 1}) / {wide};",
        f"const {index} tiles = (rows + {high - 1}) / {high};",
        f"const {index} column = group % panels * {wide};",
        f"const {index} row = group / panels % tiles * {high};",
    ]
    first = "0"
    if product.products > 1:
        lines.append(f"const {index} product = group / panels / tiles;")
        names = [sig.size(f"d{k}", d) if k else "" for k, d in enumerate(product.batch.dims)]
        used = {k for s in product.batch.strides for k, step in enumerate(s) if step}
        lines += coordinates(index, "product", "c", names, used)
        for name, strides in zip(("a", "b"), product.batch.strides, strict=True):
            if any(strides):
                lines.append(f"{name} += {offset_text(sig, name, 'c', strides, stride='batch')};")
        first = "product * rows"
    zero = f"({v.type})0" if numpy_dtype(product.dtype).kind != "b" else "0"
    cells = [(r, c) for r in range(tiling.rows) for c in range(tiling.columns)]
    lines += [f"{v.type} sum{r}_{c} = {zero};" for r, c in cells]
    terms = [f"const {v.type} a{r} = left[k * {high + 1} + down + {r * tiling.down}];" for r in range(tiling.rows)]
    terms += [
        f"const {v.type} b{c} = right[k * {wide + 1} + across + {c * tiling.across}];" for c in range(tiling.columns)
    ]
    terms += [f"sum{r}_{c} = {v.multiply_add(f'a{r}', f'b{c}', f'sum{r}_{c}')};" for r, c in cells]
    lines += [
        f"for ({index} start = 0; start < inner; start += {DEPTH}) {{",
        *indented(_fill(d, "left", product.a.dtype, high, tiling.local, "row", "rows", not product.transposed_a)),
        *indented(_fill(d, "right", product.b.dtype, wide, tiling.local, "column", "columns", product.transposed_b)),
        f"    {d.barrier}",
        f"    for (int k = 0; k < {DEPTH}; ++k) {{",
        *indented(terms, 2),
        "    }",
        f"    {d.barrier}",
        "}",
    ]
    for r in range(tiling.rows):
        lines += [f"if (row + down + {r * tiling.down} < rows) {{"]
        lines += [f"    const {index} at = ({first} + row + down + {r * tiling.down}) * columns;".replace("(0 + ", "(")]
        for c in range(tiling.columns):
            place = f"column + across + {c * tiling.across}"
            arguments = ", ".join([f"sum{r}_{c}", f"at + {place}", place, *operands])
            lines += [f"    if ({place} < columns)", f"        finish({arguments});"]
        lines += ["}"]
    return lines


def _fill(
    dialect: Dialect, to: str, dtype: str, size: int, local: int, start: str, limit: str, inward: bool
) -> list[str]:
    """Load a tile, zero beyond the edges; neighbouring work-items read neighbours, along the inner axis if `inward`."""
    name = "a" if to == "left" else "b"
    if inward:
        split = [f"const int k = n % {DEPTH}, other = n / {DEPTH};"]
        at = f"({start} + other) * inner + start + k"
    else:
        split = [f"const int k = n / {size}, other = n % {size};"]
        at = f"(start + k) * {limit} + {start} + other"
    inside = f"start + k < inner && {start} + other < {limit}"
    return [
        f"for (int n = lane; n < {DEPTH * size}; n += {local}) {{",
        *indented(split),
        f"    {to}[k * {size + 1} + other] = {inside} ? {dialect.load(dtype, name, at)} : 0;",
        "}",
    ]
