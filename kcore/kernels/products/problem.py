"""A matrix product as its generators see it: sizes, transposes, dtypes, the matrices of the batch."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod

from kcore.codegen.dialect import compute_dtype
from kcore.codegen.epilogue import Epilogue
from kcore.codegen.layout import Layout, aligned, collapse, contiguous
from kcore.graph.core import Graph, Node, Value


@dataclass(frozen=True)
class Product:
    """``y[batch, rows, columns] = a[batch, rows, inner] @ b[batch, inner, columns]`` and what follows it.

    Attributes:
        rows, columns, inner: sizes of one product.
        transposed_a: whether `a` lies as (inner, rows).
        transposed_b: whether `b` lies as (columns, inner).
        a, b: the operands.
        batch: the leading axes, merged; strides of `a` and of `b`, in elements, along them.
        epilogue: what is done with each element.
    """

    rows: int
    columns: int
    inner: int
    transposed_a: bool
    transposed_b: bool
    a: Value
    b: Value
    batch: Layout
    epilogue: Epilogue

    @property
    def products(self) -> int:
        """How many there are in the batch."""
        return prod(self.batch.dims)

    @property
    def dtype(self) -> str:
        """The dtype products are added up in."""
        return compute_dtype(self.a.dtype)

    @property
    def plain(self) -> bool:
        """Whether sums are stored as they are: no epilogue, no narrower dtype."""
        return self.epilogue.plain and self.epilogue.product.outputs[0].dtype == self.dtype

    def turned(self, rows: int, row: int) -> Product:
        """The same with `a` laid by rows, in the dtype that is computed in: there is room for (rows, row) elements."""
        a = Graph().placeholder((rows, row), self.dtype)
        return replace(self, transposed_a=False, a=a)


def product_of(node: Node) -> Product:
    """The product that a ``matmul`` or ``fused_product`` node begins with."""
    epilogue = Epilogue(node)
    a, b = epilogue.product.sources
    attrs = epilogue.product.attrs
    shape = epilogue.product.outputs[0].shape
    lead = shape[:-2]
    strides = [aligned(v.shape[:-2], _leading(v), lead) for v in (a, b)]
    return Product(
        rows=shape[-2],
        columns=shape[-1],
        inner=a.shape[-2] if attrs["transpose_a"] else a.shape[-1],
        transposed_a=attrs["transpose_a"],
        transposed_b=attrs["transpose_b"],
        a=a,
        b=b,
        batch=collapse(lead, strides),
        epilogue=epilogue,
    )


def _leading(value: Value) -> tuple[int, ...]:
    return contiguous(value.shape)[:-2]
