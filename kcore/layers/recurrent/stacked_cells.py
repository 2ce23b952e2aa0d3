"""Several recurrent cells as one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kcore.declare import argument
from kcore.layers.layer import Layer
from kcore.layers.recurrent.rnn import initial_state
from kcore.registry import deserialize, public
from kcore.tree import is_nested


@public("keras.layers")
class StackedRNNCells(Layer):
    """Cells on top of each other: each takes the output of the one below.

    Args:
        cells: list of cells.

    Shapes:
        inputs ``(batch, features)``; output of the size of the last cell; states, one entry per cell.

    Example:
        >>> import numpy as np
        >>> from kcore import layers
        >>> layers.RNN([layers.LSTMCell(3), layers.LSTMCell(4)])(np.ones((2, 5, 6), "float32")).shape
        (2, 4)

    Source: `keras.layers.StackedRNNCells`.
    """

    cells: list[Any] = argument(kind=list)

    @property
    def state_size(self) -> list[Any]:
        """State sizes, one entry per cell."""
        return [c.state_size for c in self.cells]

    @property
    def output_size(self) -> int:
        """Size of the last cell's output."""
        last = self.cells[-1]
        size = last.state_size
        return getattr(last, "output_size", None) or (size[0] if isinstance(size, list | tuple) else size)

    def build(self, input_shape: Any) -> None:
        shape = tuple(input_shape)
        for cell in self.cells:
            if isinstance(cell, Layer) and not cell.built:
                cell.build(shape)
            size = cell.state_size
            shape = (
                shape[0],
                getattr(cell, "output_size", None) or (size[0] if isinstance(size, list | tuple) else size),
            )

    def get_initial_state(self, batch_size: Any = None) -> list[Any]:
        """The initial states of all cells."""
        return [initial_state(cell, batch_size) for cell in self.cells]

    def call(self, inputs: Any, states: Any, training: bool = False) -> Any:
        new_states = []
        for cell, state in zip(self.cells, states, strict=True):
            state = list(state) if is_nested(state) else [state]
            inputs, state = cell(inputs, state, training=training)
            new_states.append(state)
        return inputs, new_states

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Any:
        return super().from_config({**config, "cells": deserialize(config["cells"])})
