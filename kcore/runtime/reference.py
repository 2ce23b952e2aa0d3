"""Evaluating ops by their NumPy references alone: no backend, no kernel; the oracle of the conformance kit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from kcore.dtypes import numpy_dtype, standardize_dtype
from kcore.graph.core import Graph, Node, Value
from kcore.graph.op import Op, Spec
from kcore.runtime.trace import decompose


def run_op(op: Op, arrays: Sequence[np.ndarray | None], attrs: dict[str, Any]) -> tuple[np.ndarray, ...]:
    """Outputs of an op: a primitive's reference, or the references of what a composite decomposes into.

    Args:
        op: the op.
        arrays: one host array per tensor input; None for an absent optional one. Their dtypes are those computed in.
        attrs: the attributes.
    """
    if op.primitive:
        return _tuple(op.fn(*arrays, **attrs))
    specs = [None if a is None else Spec(a.shape, standardize_dtype(a.dtype)) for a in arrays]
    values = [None if s is None else Value(s.shape, s.dtype) for s in specs]  # type: ignore[arg-type]
    node = Node(op, values, attrs, ())
    known = {v: a for v, a in zip(values, arrays, strict=True) if v is not None}
    steps, results = decompose(node, tuple(values))
    return tuple(_run(steps, results, known))


def run_graph(graph: Graph, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Outputs of a graph without variables, node by node."""
    return _run(graph.nodes, graph.outputs, dict(zip(graph.inputs, inputs, strict=True)))


def _run(nodes: Sequence[Node], outputs: Sequence[Value], known: dict[Value, Any]) -> list[np.ndarray]:
    def get(value: Value | None) -> Any:
        if value is None:
            return None
        array = value.constant
        return array if array is not None else known[value]

    for node in nodes:
        results = run_op(node.op, [get(v) for v in node.inputs], node.attrs)
        # a reference may answer in NumPy's dtype (int64 for an argmax); the graph says which one is meant
        known.update((v, _typed(r, v.dtype)) for v, r in zip(node.outputs, results, strict=True))
    return [get(v) for v in outputs]


def _typed(array: Any, dtype: str) -> np.ndarray:
    return np.asarray(array, dtype=numpy_dtype(dtype))


def _tuple(result: Any) -> tuple:
    return tuple(result) if isinstance(result, tuple | list) else (result,)
