"""The sizes of a recurrent node, what kind of cell it has, and what a walk over its steps begins with."""

from __future__ import annotations

from dataclasses import dataclass

from kcore.graph.core import Node
from kcore.kernels.recurrent.cells import Cell, cell_of


@dataclass(frozen=True)
class Sizes:
    """Sizes and flags of a recurrent node, or of its gradient.

    Attributes:
        cell: what kind it is.
        steps, batch, features, units: as in x ``(time, batch, features)`` and the state ``(batch, units)``.
        dtype: of all float operands.
        reverse: whether the last step comes first.
    """

    cell: Cell
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

    @property
    def columns(self) -> int:
        """Columns of both weight matrices."""
        return self.cell.blocks * self.units

    @property
    def wide(self) -> int:
        """Slots of all units."""
        return self.cell.count * self.units

    def walk(self, backward: bool) -> dict[str, int]:
        """Where a walk over the steps begins, and which way it goes."""
        falling = self.reverse != backward
        return {"first_step": self.steps - 1 if falling else 0, "direction": -1 if falling else 1}


def sizes_of(node: Node) -> Sizes:
    """The sizes of a recurrent node, or of its gradient."""
    cell, backward = cell_of(node), node.op.name.endswith("_grad")
    operands = dict(zip(cell.grad_inputs if backward else cell.inputs, node.inputs, strict=True))
    x, recurrent = operands["x"], operands["recurrent"]
    assert x is not None and recurrent is not None
    steps, batch, features = x.shape
    return Sizes(cell, steps, batch, features, recurrent.shape[0], x.dtype, bool(node.attrs["reverse"]))
