"""Integers that must lie in a range, such as labels and indices: which inputs hold them, and the check on the host."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kcore.graph.core import Graph, Node, Placeholder, Value
from kcore.runtime.scope import current_path

#: Ops that hand integers through unchanged, for checking indices on the host before a step.
_VALUE_PRESERVING = frozenset({"cast", "reshape", "identity", "transpose", "broadcast_to", "stop_gradient", "copy"})


@dataclass
class Bounds:
    """A check of one input: its integers must lie in [0, size)."""

    index: int
    name: str
    size: int
    op: str
    path: str


def check(bounds: Bounds, array: np.ndarray) -> None:
    """Raise ValueError where an integer is out of range."""
    if not array.size:
        return
    low, high = array.min(), array.max()
    if low < 0 or high >= bounds.size:
        worst = low if low < 0 else high
        at = f" in layer {bounds.path!r}" if bounds.path else ""
        raise ValueError(
            f"argument {bounds.name!r} holds {worst}, but op {bounds.op!r}{at} needs integers from 0 to "
            f"{bounds.size - 1} (there are {bounds.size} classes or rows)"
        )


def check_eager(node: Node, arrays: Sequence[Any], backend: Any) -> None:
    """Check the inputs of an op that runs now."""
    specs = [None if v is None else v.spec for v in node.inputs]
    for name, size_of in node.op.bounds.items():
        i = node.op.inputs.index(name)
        if arrays[i] is not None:
            size = int(size_of(specs, node.attrs))
            check(Bounds(i, name, size, node.op.name, current_path()), backend.download(arrays[i]))


def find_bounds(graph: Graph) -> list[Bounds]:
    """The host checks a graph asks for: index inputs of ops that come straight from an argument."""
    found: dict[tuple[int, int], Bounds] = {}
    position = {v: i for i, v in enumerate(graph.inputs)}
    for node in graph.nodes:
        for name, size_of in node.op.bounds.items():
            value = node.inputs[node.op.inputs.index(name)]
            if value is None:
                continue
            source = _origin(value)
            if source in position and isinstance(source.source, Placeholder):
                size = int(size_of([None if v is None else v.spec for v in node.inputs], node.attrs))
                found.setdefault(
                    (position[source], size),
                    Bounds(position[source], source.source.name, size, node.op.name, node.path),
                )
    return list(found.values())


def _origin(value: Value) -> Value:
    while value.node is not None and value.node.op.name in _VALUE_PRESERVING:
        value = value.node.inputs[0]  # type: ignore[assignment]
    return value
