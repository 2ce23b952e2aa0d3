"""Random draws: the stream is made inside of the kernel that uses it, and never lies in memory."""

from __future__ import annotations

from collections.abc import Sequence

from kcore.codegen import Code
from kcore.codegen.philox import draw_of
from kcore.graph.core import Node
from kcore.kernels.philox import emit_random
from kcore.kernels.table import generated
from kcore.kernels.traits import Traits


def _supports(node: Node) -> bool:
    return draw_of(node) is not None


# The gradient of dropout has no kernel: it decomposes into elementwise ops, which join what stands around them.
@generated("dropout", supports=_supports, inplace=((0, 0),))
@generated("random_bits", "random_uniform", "random_integer", "random_normal", supports=_supports)
def code_for(node: Node, traits: Traits, wanted: Sequence[bool]) -> Code:
    """One kernel, in which the stream is made as well."""
    draw = draw_of(node, list(wanted))
    assert draw is not None
    return emit_random(draw, traits)
