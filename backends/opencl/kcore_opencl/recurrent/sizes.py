"""The sizes of an LSTM node, which of its operands are there, and what a walk over its steps begins with."""

from __future__ import annotations

from dataclasses import dataclass

from kcore.graph.core import Node

#: i, f, g and o.
GATES = 4


@dataclass(frozen=True)
class Sizes:
    """Sizes and flags of an `lstm` or `lstm_grad` node.

    Attributes:
        steps, batch, features, units: as in x ``(time, batch, features)`` and the state ``(batch, units)``.
        dtype: of all float operands.
        reverse: whether the last step comes first.
    """

    steps: int
    batch: int
    features: int
    units: int
    dtype: str
    reverse: bool

    @property
    def rows(self) -> int:
        """Rows of all steps together."""
        return self.steps * self.batch

    def walk(self, backward: bool) -> dict[str, int]:
        """Where a walk over the steps begins, and which way it goes."""
        falling = self.reverse != backward
        return {"first_step": self.steps - 1 if falling else 0, "direction": -1 if falling else 1}


def sizes_of(node: Node) -> Sizes:
    """The sizes of an `lstm` or `lstm_grad` node."""
    at = 0 if node.op.name == "lstm" else 3
    x, recurrent = node.inputs[at], node.inputs[at + 4]
    assert x is not None and recurrent is not None
    steps, batch, features = x.shape
    return Sizes(steps, batch, features, recurrent.shape[0], x.dtype, bool(node.attrs["reverse"]))
