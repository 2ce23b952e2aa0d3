"""Convolutions and their gradients, alone and with elementwise work behind them."""

from __future__ import annotations

from kcore.backend.kernel import Site, Thunk, kernel
from kcore.graph.core import Node
from kcore.graph.fuse_product import FUSED_PRODUCT
from kcore_opencl import convolutions
from kcore_opencl.launch import launch
from kcore_opencl.place import place_of, planned_traits


def _bind(site: Site) -> Thunk:
    return launch(site, convolutions.emit(site.node, place_of(site.device).traits))


def _scratch(node: Node) -> int:
    return convolutions.emit(node, planned_traits()).scratch_bytes


for name in (*convolutions.OPS, FUSED_PRODUCT.name):
    kernel(name, backend="opencl", supports=convolutions.supports, scratch=_scratch)(_bind)
