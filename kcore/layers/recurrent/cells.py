"""What recurrent layers ask of a cell, be it a layer or any object with ``call`` and ``state_size``."""

from __future__ import annotations

import inspect
from typing import Any

from kcore import ops
from kcore.tree import is_nested, map_structure


def state_sizes(cell: Any) -> list[Any]:
    """Sizes of its states, one entry per state; a list of lists where cells are stacked."""
    size = cell.state_size
    return list(size) if is_nested(size) else [size]


def output_size(cell: Any) -> int:
    """Size of its output: what it says, or that of its first state."""
    size = getattr(cell, "output_size", None)
    if size is not None:
        return size
    first = state_sizes(cell)[0]
    return first[0] if is_nested(first) else first


def first_states(cell: Any, batch_size: Any) -> list[Any]:
    """The states before the first step, in a list: what the cell says, or zeros."""
    if hasattr(cell, "get_initial_state"):
        states = cell.get_initial_state(batch_size=batch_size)
        return list(states) if is_nested(states) else [states]
    dtype = getattr(cell, "compute_dtype", None)
    return map_structure(lambda size: ops.zeros((batch_size, size), dtype=dtype), state_sizes(cell))


def call_cell(cell: Any, inputs: Any, states: Any, training: bool) -> tuple[Any, Any]:
    """One step: output and new states; `training` goes to cells that take it."""
    takes = "training" in inspect.signature(cell.call).parameters
    run = cell if callable(cell) else cell.call
    return run(inputs, states, **({"training": training} if takes else {}))
