"""Random draws: the stream is made inside of the kernel that uses it, and never lies in memory."""

from __future__ import annotations

from kcore.backend.kernel import Site, Thunk, kernel
from kcore.codegen.philox import draw_of
from kcore.graph.core import Node
from kcore_opencl.launch import launch
from kcore_opencl.philox import emit_random
from kcore_opencl.place import place_of


def _supports(node: Node) -> bool:
    return draw_of(node) is not None


def _bind(site: Site) -> Thunk:
    draw = draw_of(site.node, [y is not None for y in site.outputs])
    assert draw is not None
    return launch(site, emit_random(draw, place_of(site.device).traits))


for name in ("random_bits", "random_uniform", "random_integer", "random_normal"):
    kernel(name, backend="opencl", supports=_supports)(_bind)

# Its gradient has no kernel of its own: it decomposes into elementwise ops, which join what stands around them.
kernel("dropout", backend="opencl", supports=_supports, inplace=((0, 0),))(_bind)
