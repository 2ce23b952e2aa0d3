"""LSTM, GRU and simple recurrent networks over a whole sequence, and their gradients."""

from __future__ import annotations

from collections.abc import Sequence

from kcore.codegen import Code
from kcore.graph.core import Node
from kcore.kernels.recurrent import backward, forward, lanes
from kcore.kernels.recurrent.cells import OPERATIONS
from kcore.kernels.table import generated, in_one_float
from kcore.kernels.traits import Traits


@generated(*OPERATIONS, supports=in_one_float, scratch=True)
def forward_code(node: Node, traits: Traits, wanted: Sequence[bool]) -> Code:
    """A whole sequence, no launch per gate."""
    return (forward.emit if traits.cpu else lanes.forward)(node, traits, wanted)


@generated(*(f"{name}_grad" for name in OPERATIONS), supports=in_one_float, scratch=True)
def backward_code(node: Node, traits: Traits, wanted: Sequence[bool]) -> Code:
    """The gradients, from the last time step to the first."""
    return (backward.emit if traits.cpu else lanes.backward)(node, traits, wanted)
