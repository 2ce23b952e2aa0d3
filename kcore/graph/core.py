"""The graph: values, nodes in program order, and the state (variables) a traced step reads and updates."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kcore.graph.op import Op, Spec

LeafSource = Any  # Placeholder | Constant | State


@dataclass(frozen=True, eq=False)
class Placeholder:
    """Source of a value that comes in with every call."""

    name: str


@dataclass(frozen=True, eq=False)
class Constant:
    """Source of a value known when the graph was made."""

    array: np.ndarray


@dataclass(frozen=True, eq=False)
class State:
    """Source of a value that is a variable's content when the call begins."""

    variable: Any


class Value:
    """One tensor in a graph: an output of a node, or a leaf (input, constant, variable)."""

    __slots__ = ("dtype", "index", "node", "shape", "source")

    def __init__(
        self, shape: tuple[int, ...], dtype: str, node: Node | None = None, index: int = 0, source: LeafSource = None
    ):
        self.shape = shape
        self.dtype = dtype
        self.node = node
        self.index = index
        self.source = source

    @property
    def spec(self) -> Spec:
        return Spec(self.shape, self.dtype)

    @property
    def size(self) -> int:
        n = 1
        for d in self.shape:
            n *= d
        return n

    @property
    def nbytes(self) -> int:
        return self.size * _itemsize(self.dtype)

    @property
    def constant(self) -> np.ndarray | None:
        """The array, if this is a constant."""
        return self.source.array if type(self.source) is Constant else None

    def __repr__(self) -> str:
        return f"<value {self.spec}>"


_ITEMSIZE = {"bool": 1, "bfloat16": 2}


def _itemsize(dtype: str) -> int:
    size = _ITEMSIZE.get(dtype)
    if size is None:
        size = _ITEMSIZE[dtype] = np.dtype(dtype).itemsize
    return size


class Node:
    """One application of an op.

    Attributes:
        path: the layer path it was traced under, e.g. ``"sequential/dense"``.
        where: the user's source line, as (file, line), or None.
        device: the device it is placed on; None means the graph's own.
    """

    __slots__ = ("attrs", "device", "inputs", "op", "outputs", "path", "where")

    def __init__(
        self,
        op: Op,
        inputs: Sequence[Value | None],
        attrs: Mapping[str, Any],
        specs: Iterable[Spec],
        path: str = "",
        where: tuple[str, int] | None = None,
        device: Any = None,
    ):
        self.op = op
        self.inputs = tuple(inputs)
        self.attrs = dict(attrs)
        self.path = path
        self.where = where
        self.device = device
        self.outputs = tuple(Value(shape, dtype, self, i) for i, (shape, dtype) in enumerate(specs))  # type: ignore[arg-type]

    @property
    def sources(self) -> list[Value]:
        """The inputs that are present."""
        return [v for v in self.inputs if v is not None]

    def location(self) -> str:
        """Where it comes from, for error messages: layer path and the user's line."""
        parts = [f"layer {self.path!r}"] if self.path else []
        if self.where:
            parts.append(f"{self.where[0]}:{self.where[1]}")
        return ", ".join(parts) or "no layer"

    def __repr__(self) -> str:
        return f"<node {self.op.name} {', '.join(str(v.spec) for v in self.outputs)}>"


class Graph:
    """A pure function of its inputs and of variables: nodes in program order.

    Attributes:
        inputs: placeholder values, in the order of the call's arguments.
        outputs: values handed back.
        state: variable -> the leaf value that stands for its content at the start.
        updates: variable -> the value it takes when the step is committed.
    """

    def __init__(self, name: str = "graph"):
        self.name = name
        self.inputs: list[Value] = []
        self.outputs: list[Value] = []
        self.nodes: list[Node] = []
        self.state: dict[Any, Value] = {}
        self.updates: dict[Any, Value] = {}
        self._scalars: dict[tuple, Value] = {}

    def placeholder(self, shape: tuple[int, ...], dtype: str, name: str = "") -> Value:
        value = Value(shape, dtype, source=Placeholder(name or f"input{len(self.inputs)}"))
        self.inputs.append(value)
        return value

    def constant(self, array: np.ndarray, dtype: str) -> Value:
        if array.size == 1:
            key = (array.shape, dtype, array.tobytes())
            value = self._scalars.get(key)
            if value is None:
                value = self._scalars[key] = Value(array.shape, dtype, source=Constant(array))
            return value
        return Value(array.shape, dtype, source=Constant(array))

    def variable(self, variable: Any) -> Value:
        value = self.state.get(variable)
        if value is None:
            value = self.state[variable] = Value(tuple(variable.shape), variable.dtype, source=State(variable))
        return value

    def add(self, node: Node) -> tuple[Value, ...]:
        self.nodes.append(node)
        return node.outputs

    @property
    def results(self) -> list[Value]:
        """Everything the graph must produce: outputs and updates."""
        return [*self.outputs, *self.updates.values()]

    def uses(self) -> dict[Value, int]:
        """How often each value is read, by nodes and as a result."""
        counts: dict[Value, int] = {}
        for node in self.nodes:
            for value in node.inputs:
                if value is not None:
                    counts[value] = counts.get(value, 0) + 1
        for value in self.results:
            counts[value] = counts.get(value, 0) + 1
        return counts

    def __str__(self) -> str:
        return format_graph(self)


def format_attr(value: Any) -> str:
    if isinstance(value, Graph):
        return f"<{value.name}: {len(value.nodes)} nodes>"
    return repr(value)


class Names:
    """Short names for the values of a graph, for printing."""

    def __init__(self, graph: Graph):
        self._names: dict[Value, str] = {}
        for i, value in enumerate(graph.inputs):
            self._names[value] = f"${value.source.name or i}"
        for variable, value in graph.state.items():
            self._names[value] = f"@{getattr(variable, 'path', None) or getattr(variable, 'name', 'variable')}"
        for node in graph.nodes:
            for value in node.outputs:
                self._names[value] = f"%{len(self._names)}"

    def __call__(self, value: Value | None) -> str:
        if value is None:
            return "-"
        array = value.constant
        if array is not None:
            return f"{array.item()!r}" if array.size == 1 else f"const{list(array.shape)}"
        return self._names.get(value, "?")


def format_graph(graph: Graph) -> str:
    """The graph as text, one node a line, each with its layer path."""
    name = Names(graph)
    lines = [f"graph {graph.name}({', '.join(f'{name(v)}: {v.spec}' for v in graph.inputs)})"]
    for node in graph.nodes:
        outs = ", ".join(f"{name(v)}: {v.spec}" for v in node.outputs)
        attrs = "".join(f", {k}={format_attr(v)}" for k, v in node.attrs.items())
        path = f"    # {node.path}" if node.path else ""
        lines.append(f"  {outs} = {node.op.name}({', '.join(name(v) for v in node.inputs)}{attrs}){path}")
    for variable, value in graph.updates.items():
        lines.append(f"  @{getattr(variable, 'path', 'variable')} <- {name(value)}")
    lines.append(f"  return {', '.join(name(v) for v in graph.outputs)}")
    return "\n".join(lines)
