"""Max and average pooling and their gradients, in any rank."""

from __future__ import annotations

from kcore.backend.kernel import Site, Thunk, kernel
from kcore.graph.fuse_product import FUSED_PRODUCT
from kcore_opencl.launch import launch
from kcore_opencl.place import place_of
from kcore_opencl.windows import emit_pool, supports


def _bind(site: Site) -> Thunk:
    wanted = [y is not None for y in site.outputs]
    return launch(site, emit_pool(site.node, place_of(site.device).traits, wanted))


for name in ("max_pool", "max_pool_grad", "max_pool_pick", "average_pool", "average_pool_grad"):
    kernel(name, backend="opencl")(_bind)
kernel(FUSED_PRODUCT.name, backend="opencl", supports=supports)(_bind)
