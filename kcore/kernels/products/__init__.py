"""Matrix products as generated kernels: register tiles on CPUs, tiles in local memory on GPUs."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from kcore.codegen import Code
from kcore.graph.core import Node
from kcore.graph.fuse_product import FUSED_PRODUCT
from kcore.kernels.choosing import chosen
from kcore.kernels.products.cpu import emit_cpu
from kcore.kernels.products.gpu import GroupTiling, emit_gpu, gpu_candidates
from kcore.kernels.products.problem import Product, product_of
from kcore.kernels.products.tiling import Tiling, cpu_candidates
from kcore.kernels.table import generated
from kcore.kernels.traits import Traits

__all__ = ["GroupTiling", "Product", "Tiling", "candidates", "emit", "product_of", "supports"]


def supports(node: Node) -> bool:
    """Whether `emit` can do a node: a ``matmul``, alone or with elementwise work behind it."""
    head, *after = node.attrs["body"].nodes if node.op is FUSED_PRODUCT else [node]
    return head.op.name == "matmul" and all(n.op.elementwise and n.op.expr is not None for n in after)


def candidates(node: Node, traits: Traits) -> list[Tiling] | list[GroupTiling]:
    """Tilings worth measuring for a node, the default first."""
    product = product_of(node)
    return cpu_candidates(product, traits) if traits.cpu else gpu_candidates(product, traits)


def emit(node: Node, traits: Traits, tiling: Tiling | GroupTiling | None = None) -> Code:
    """The kernel of a ``matmul`` or ``fused_product`` node.

    Args:
        node: the node.
        traits: of the device it will run on.
        tiling: how it is cut, one of `candidates`; if None, as was measured on the device or else the first of them.
    """
    product = product_of(node)
    if tiling is None:
        ways: Callable[[Node, Traits], Sequence[Tiling | GroupTiling]] = candidates
        tiling = chosen(node, traits, ways, emit)
    return emit_cpu(product, traits, tiling) if isinstance(tiling, Tiling) else emit_gpu(product, traits, tiling)


@generated("matmul", FUSED_PRODUCT.name, supports=supports, scratch=True)
def _code_for(node: Node, traits: Traits, wanted: Sequence[bool]) -> Code:
    return emit(node, traits)
