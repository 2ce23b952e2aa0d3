"""The launch before a product that lays a transposed first operand by rows, for all work-items at once."""

from __future__ import annotations

from math import ceil, prod

from kcore.codegen import OPENCL, Source
from kcore.codegen.signature import Signature, index_dtype
from kcore.dtypes import itemsize
from kcore.kernels.products.packing import transpose_function
from kcore.kernels.products.problem import Product
from kcore.kernels.products.tiling import Tiling
from kcore.kernels.products.vectors import Vectors
from kcore.kernels.traits import Traits


class Turn:
    """How `a`, which lies as (inner, rows), comes to lie as (rows, inner) in scratch memory.

    Attributes:
        product: the product of what lies there.
        row: elements from one row of it to the next: an odd number of vectors, so that rows do not collide in a cache.
    """

    def __init__(self, product: Product, tiling: Tiling, traits: Traits):
        if product.products != 1 or not product.transposed_a or tiling.left:
            raise ValueError(f"{tiling} is for a single product with a transposed first operand, read where it lies")
        self._given, self._lanes, self._units = product, tiling.lanes, traits.units
        self.row = (ceil(product.inner / tiling.lanes) | 1) * tiling.lanes
        self.product = product.turned(ceil(product.rows / tiling.lanes) * tiling.lanes, self.row)

    @property
    def nbytes(self) -> int:
        """Bytes of scratch memory, from its beginning."""
        return prod(self.product.a.shape) * itemsize(self.product.dtype)

    def source(self, index: int) -> Source:
        """The kernel; `index` is the number of `a` among the node's inputs."""
        product, lanes = self._given, self._lanes
        sig = Signature(OPENCL, index_dtype(max(product.a.size, self.product.a.size)), starts=True)
        statements = product.epilogue.statements(sig)
        sig.buffer("a", "input", product.a.dtype, index, const=True)
        sig.buffer("turned", "scratch", product.dtype)
        for name, value in {"rows": product.rows, "inner": product.inner, "turned_row": self.row}.items():
            sig.size(name, value)
        vectors = Vectors(product.dtype, lanes, "")
        statements.uses(product.a.dtype)
        function = transpose_function(vectors, product.a.dtype, sig.index, "__global")
        statements.helpers.setdefault("\n".join([vectors.declaration, *function]))
        width = 4 * lanes
        strips = ceil(product.rows / width)
        groups = min(strips, self._units) if product.columns and product.inner else 0
        body = [
            f"const int strips = (rows + {width - 1}) / {width};",
            "const int item = get_group_id(0), items = get_num_groups(0);",
            "const int last_strip = (int)((long)strips * (item + 1) / items);",
            "for (int strip = (int)((long)strips * item / items); strip < last_strip; ++strip) {",
            f"    const {sig.index} row = strip * {width};",
            f"    const int count = min({width}, rows - (int)row);",
            f"    const {sig.index} rest = ({sig.index})rows * inner - row;",
            "    transpose(turned + row * turned_row, turned_row, a + row, rows, inner, count, rest);",
            "}",
        ]
        return sig.source(product.epilogue.group, statements, body, 1, groups, part="_turn")
