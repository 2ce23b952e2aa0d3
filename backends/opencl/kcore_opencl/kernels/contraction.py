"""Matrix products, alone and with elementwise work behind them."""

from __future__ import annotations

from kcore.backend.kernel import Site, Thunk, kernel
from kcore.graph.core import Node
from kcore.graph.fuse_product import FUSED_PRODUCT
from kcore_opencl.launch import launch
from kcore_opencl.place import place_of, planned_traits
from kcore_opencl.products import emit, supports


def _bind(site: Site) -> Thunk:
    return launch(site, emit(site.node, place_of(site.device).traits))


def _scratch(node: Node) -> int:
    return emit(node, planned_traits()).scratch_bytes


for name in ("matmul", FUSED_PRODUCT.name):
    kernel(name, backend="opencl", supports=supports, scratch=_scratch)(_bind)
