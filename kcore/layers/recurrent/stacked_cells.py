"""Several recurrent cells as one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kcore.declare import argument
from kcore.layers.layer import Layer
from kcore.layers.recurrent.cells import call_cell, first_states, output_size
from kcore.registry import deserialize, public
from kcore.tree import flatten, is_nested


def _cells(cells: Any) -> list[Any]:
    if not is_nested(cells):
        raise ValueError(f"expected a list of recurrent cells, got {cells!r}")
    cells = list(cells)
    if not cells:
        raise ValueError("expected at least one cell")
    for i, cell in enumerate(cells):
        for part in ("call", "state_size"):
            if not hasattr(cell, part):
                kind = cell.__name__ if isinstance(cell, type) else type(cell).__name__
                raise ValueError(
                    f"a recurrent cell needs {part!r}, but number {i} of {len(cells)} is {cell!r}, of class {kind}, "
                    "and has none"
                )
    return cells


@public("keras.layers")
class StackedRNNCells(Layer):
    """Cells on top of each other: each takes the output of the one below.

    Args:
        cells: list of cells.

    Shapes:
        inputs ``(batch, features)``; output of the size of the last cell; states, one entry per cell.

    Raises:
        ValueError: no cells, or one without `call` or `state_size`.

    Example:
        >>> import numpy as np
        >>> from kcore import layers
        >>> layers.RNN([layers.LSTMCell(3), layers.LSTMCell(4)])(np.ones((2, 5, 6), "float32")).shape
        (2, 4)

    Source: `keras.layers.StackedRNNCells`.
    """

    cells: list[Any] = argument(kind=_cells)

    @property
    def state_size(self) -> list[Any]:
        """State sizes, one entry per cell."""
        return [c.state_size for c in self.cells]

    @property
    def output_size(self) -> int:
        """Size of the last cell's output."""
        return output_size(self.cells[-1])

    def build(self, input_shape: Any) -> None:
        shape = tuple(input_shape)
        for cell in self.cells:
            if isinstance(cell, Layer) and not cell.built:
                cell.build(shape)
            shape = (shape[0], output_size(cell))

    def get_initial_state(self, batch_size: Any = None) -> list[Any]:
        """The initial states of all cells."""
        return [first_states(cell, batch_size) for cell in self.cells]

    def call(self, inputs: Any, states: Any, training: bool = False) -> Any:
        new_states = []
        for cell, state in zip(self.cells, states, strict=True):
            inputs, state = call_cell(cell, inputs, list(state) if is_nested(state) else [state], training)
            new_states.append(flatten(state))
        return inputs, new_states

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Any:
        cells = config.get("cells")
        if not isinstance(cells, list | tuple):
            raise ValueError(f"StackedRNNCells: expected the configurations of cells in a list, got {cells!r}")
        made = []
        for i, cell in enumerate(cells):
            if not isinstance(cell, Mapping) or "class_name" not in cell:
                raise ValueError(
                    f"StackedRNNCells: number {i} of {len(cells)} cells is {cell!r}, expected a configuration with "
                    "'class_name' and 'config'"
                )
            made.append(deserialize(cell, module="keras.layers"))
        return super().from_config({**config, "cells": made})
