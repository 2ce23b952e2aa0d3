"""Attention and its gradients without the score matrix in memory: blocks on a CPU, lanes on a GPU."""

from __future__ import annotations

from collections.abc import Sequence

from kcore.codegen import Code
from kcore.graph.core import Node
from kcore.kernels.attention import backward, forward, lanes
from kcore.kernels.table import generated, in_one_float
from kcore.kernels.traits import Traits


@generated("attention", supports=in_one_float, scratch=True)
def forward_code(node: Node, traits: Traits, wanted: Sequence[bool]) -> Code:
    """The weighted values, in one pass."""
    return (forward.emit if traits.cpu else lanes.forward)(node, traits, wanted)


@generated("attention_grad", "attention_bias_grad", supports=in_one_float, scratch=True)
def backward_code(node: Node, traits: Traits, wanted: Sequence[bool]) -> Code:
    """The gradients, for which the scores are made again."""
    return (backward.emit if traits.cpu else lanes.backward)(node, traits, wanted)
