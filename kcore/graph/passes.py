"""Graph-to-graph passes: dead nodes, duplicates, constant folding, algebra, lowering by decomposition."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from kcore.graph.core import Graph, Node, Value

#: Constants larger than this many elements are not computed ahead.
FOLD_LIMIT = 1 << 16

#: The same for values made from nothing, such as the gradient a loss starts from: a kernel fills larger ones.
FILL_LIMIT = 64

Decompose = Callable[[Node, tuple], tuple[list[Node], list[Value]]]


def remove_dead(graph: Graph) -> None:
    """Drop, in place, the nodes nothing reads."""
    live = set(graph.results)
    kept = []
    for node in reversed(graph.nodes):
        if any(v in live for v in node.outputs):
            kept.append(node)
            live.update(node.sources)
    kept.reverse()
    graph.nodes = kept
    graph.state = {k: v for k, v in graph.state.items() if v in live or k in graph.updates}


def rewrite(graph: Graph, has_kernel: Callable[[Node], bool] | None, decompose: Decompose) -> Graph:
    """A simplified copy of the graph; with `has_kernel`, composites that have none are decomposed.

    One sweep in program order merges equal nodes, computes constants, applies the rules of `SIMPLIFY` and lowers.
    """
    sweep = _Sweep(graph, has_kernel, decompose)
    for node in graph.nodes:
        sweep.emit(node)
    result = sweep.graph
    result.outputs = [sweep.now[v] for v in graph.outputs]  # type: ignore[misc]
    result.updates = {k: sweep.now[v] for k, v in graph.updates.items()}  # type: ignore[misc]
    remove_dead(result)
    return result


class _Sweep:
    def __init__(self, graph: Graph, has_kernel: Callable[[Node], bool] | None, decompose: Decompose):
        self.graph = Graph(graph.name)
        self.graph.inputs = graph.inputs
        self.graph.state = graph.state
        self.graph._scalars = graph._scalars
        self.has_kernel = has_kernel
        self.decompose = decompose
        self.seen: dict[tuple, tuple[Value, ...]] = {}
        self.now: dict[Value | None, Value | None] = _Identity()

    def emit(self, node: Node) -> None:
        inputs = tuple(self.now[v] for v in node.inputs)
        self.now.update(zip(node.outputs, self._emit(node, inputs), strict=True))

    def _emit(self, node: Node, inputs: tuple) -> Sequence[Value]:
        op = node.op
        rule = SIMPLIFY.get(op.name)
        if rule is not None:
            simpler = rule(node, inputs)
            if simpler is not None:
                return (simpler,)
        key = None
        if not op.effect:
            folded = self._fold(node, inputs)
            if folded is not None:
                return folded
            key = _key(node, inputs)
            known = self.seen.get(key) if key is not None else None
            if known is not None:
                return known
        if op.primitive and op.elementwise:
            inputs = self._narrow(node, inputs)
        fresh = Node(op, inputs, node.attrs, [v.spec for v in node.outputs], node.path, node.where, node.device)
        if self.has_kernel is not None and not op.primitive and not self.has_kernel(fresh):
            steps, outputs = self.decompose(fresh, inputs)
            for step in steps:
                self.emit(step)
            values: Sequence[Value] = [self.now[v] for v in outputs]  # type: ignore[misc]
        else:
            values = self.graph.add(fresh)
        if key is not None:
            self.seen[key] = tuple(values)
        return values

    def _narrow(self, node: Node, inputs: tuple) -> tuple:
        """The inputs, with a constant that holds one number throughout as that number where another has the shape."""
        shape = node.outputs[0].shape
        if not any(v.constant is None and v.shape == shape for v in inputs):
            return inputs
        return tuple(self._number(v) if 1 < v.size <= FOLD_LIMIT else v for v in inputs)

    def _number(self, value: Value) -> Value:
        array = value.constant
        if array is None:
            return value
        rows = np.ascontiguousarray(array).reshape(-1, 1).view(np.uint8)  # bits: NaN equals NaN, and -0 is not 0
        return self.graph.constant(array.reshape(-1)[:1].reshape(()), value.dtype) if (rows == rows[0]).all() else value

    def _fold(self, node: Node, inputs: tuple) -> list[Value] | None:
        limit = FOLD_LIMIT if inputs else FILL_LIMIT
        if not node.op.primitive or any(v.size > limit for v in node.outputs):
            return None
        if any(v.dtype == "bfloat16" for v in inputs if v is not None) and not node.op.elementwise:
            return None  # NumPy's own functions, which a reference may use, do not know it
        arrays = [v.constant if v is not None else None for v in inputs]
        if any(a is None and v is not None for a, v in zip(arrays, inputs, strict=True)):
            return None
        with np.errstate(all="ignore"):  # NaN and infinity are results
            result = node.op.fn(*arrays, **node.attrs)
        results = result if isinstance(result, tuple) else (result,)
        return [
            self.graph.constant(np.ascontiguousarray(r, dtype=_np(v.dtype)).reshape(v.shape), v.dtype)
            for r, v in zip(results, node.outputs, strict=True)
        ]


class _Identity(dict):
    """A map of values that maps an unknown one to itself."""

    def __missing__(self, key: Any) -> Any:
        return key


def _np(dtype: str) -> np.dtype:
    if dtype == "bfloat16":
        import ml_dtypes

        return np.dtype(ml_dtypes.bfloat16)
    return np.dtype(dtype)


def _key(node: Node, inputs: tuple) -> tuple | None:
    try:
        key = (node.op, inputs, tuple(node.attrs.items()))
        hash(key)
    except TypeError:
        return None
    return key


# -- algebra: (node, inputs) -> the value it equals, or None ---------------------------------------------------------


def _is(value: Value, number: float) -> bool:
    array = value.constant
    return array is not None and array.size == 1 and bool(array.reshape(())[()] == number)


def _neutral(number: float, both: bool) -> Callable[[Node, tuple], Value | None]:
    def rule(node: Node, inputs: tuple) -> Value | None:
        a, b = inputs
        if _is(b, number) and a.spec == node.outputs[0].spec:
            return a
        if both and _is(a, number) and b.spec == node.outputs[0].spec:
            return b
        return None

    return rule


def _same_spec(node: Node, inputs: tuple) -> Value | None:
    return inputs[0] if inputs[0].spec == node.outputs[0].spec else None


def _inverse(node: Node, inputs: tuple) -> Value | None:
    producer = inputs[0].node
    return producer.inputs[0] if producer is not None and producer.op is node.op else None


def _transpose(node: Node, inputs: tuple) -> Value | None:
    axes = node.attrs["axes"]
    if axes == tuple(range(len(axes))):
        return inputs[0]
    producer = inputs[0].node
    if producer is not None and producer.op.name == "transpose":
        inner = producer.attrs["axes"]
        if all(inner[a] == i for i, a in enumerate(axes)):
            return producer.inputs[0]
    return None


def _reshape(node: Node, inputs: tuple) -> Value | None:
    value = inputs[0]
    while value.node is not None and value.node.op.name == "reshape":
        value = value.node.inputs[0]
    return value if value.spec == node.outputs[0].spec else None


SIMPLIFY: dict[str, Callable[[Node, tuple], Value | None]] = {
    "add": _neutral(0, both=True),
    "subtract": _neutral(0, both=False),
    "multiply": _neutral(1, both=True),
    "divide": _neutral(1, both=False),
    "power": _neutral(1, both=False),
    "cast": _same_spec,
    "broadcast_to": _same_spec,
    "sum_to": _same_spec,
    # over no axis, or over axes of one element that are kept
    **dict.fromkeys(("sum", "prod", "max", "min", "any", "all"), _same_spec),
    "stop_gradient": lambda node, inputs: inputs[0],
    "identity": lambda node, inputs: inputs[0],
    "known_as": lambda node, inputs: inputs[1],
    "negative": _inverse,
    "logical_not": _inverse,
    "transpose": _transpose,
    "reshape": _reshape,
}
