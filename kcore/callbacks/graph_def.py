"""A traced graph as TensorBoard's ``GraphDef``, its nodes under the paths of their layers."""

from __future__ import annotations

from typing import Any

from kcore.extras import require
from kcore.graph.core import Graph, Placeholder, State, Value, format_attr

#: TensorFlow's numbers of dtypes, which the format uses.
_DTYPES = {
    "float32": 1,
    "float64": 2,
    "int32": 3,
    "uint8": 4,
    "int16": 5,
    "int8": 6,
    "int64": 9,
    "bool": 10,
    "bfloat16": 14,
    "uint16": 17,
    "float16": 19,
    "uint32": 22,
    "uint64": 23,
}


def graph_def(graph: Graph, within: str = "") -> Any:
    """Turn a graph into a ``GraphDef``.

    A node is called ``<layer path>/<op>``, a variable by its path, so that TensorBoard folds every layer into a box.
    Shapes and dtypes of outputs, and the ops' attributes, are kept.

    Args:
        graph: a traced graph.
        within: a path all names have in common and that is left away, such as the name of the model.

    Returns:
        A ``tensorboardX.proto.graph_pb2.GraphDef``.
    """
    return _Builder(graph, within).definition


class _Builder:
    def __init__(self, graph: Graph, within: str):
        self._within = within
        self._graph_proto = require("tensorboardX.proto.graph_pb2", "tensorboard", "the graph for TensorBoard")
        self._shape_proto = require("tensorboardX.proto.tensor_shape_pb2", "tensorboard")
        self.definition = self._graph_proto.GraphDef()
        self.definition.versions.producer = 22
        self._names: dict[Value, str] = {}
        scopes = {self._short(node.path) for node in graph.nodes}
        #: Names that are taken: a scope is no name for a node.
        self._taken = {"/".join(scope.split("/")[:n]) for scope in scopes for n in range(1, scope.count("/") + 2)}
        for value in graph.inputs:
            self._leaf(value, "")
        for node in graph.nodes:
            for value in node.sources:
                self._leaf(value, node.path)
            self._node(node)
        for index, value in enumerate(graph.outputs):
            if value in self._names:
                self._add(f"output_{index}" if len(graph.outputs) > 1 else "output", "Output", [self._names[value]], [])

    def _short(self, path: str) -> str:
        inside = path.removeprefix(self._within)
        return inside.strip("/") if inside != path and (not inside or inside[0] == "/") else path

    def _free(self, name: str) -> str:
        name = name.replace(" ", "_").replace("'", "").replace("[", "_").replace("]", "").replace(">", ".")
        number, chosen = 0, name
        while chosen in self._taken:
            number += 1
            chosen = f"{name}_{number}"
        self._taken.add(chosen)
        return chosen

    def _add(self, name: str, op: str, inputs: list[str], outputs: Any) -> str:
        node = self.definition.node.add(name=self._free(name), op=op, input=inputs)
        shapes = node.attr["_output_shapes"].list.shape
        for value in outputs:
            dims = [self._shape_proto.TensorShapeProto.Dim(size=size) for size in value.shape]
            shapes.append(self._shape_proto.TensorShapeProto(dim=dims))
        if outputs and outputs[0].dtype in _DTYPES:
            node.attr["dtype"].type = _DTYPES[outputs[0].dtype]
        return node.name

    def _leaf(self, value: Value, path: str) -> None:
        """An input, a variable or a constant, at its first use."""
        if value in self._names or value.node is not None:
            return
        source = value.source
        if isinstance(source, Placeholder):
            name, op = source.name, "Placeholder"
        elif isinstance(source, State):
            name, op = self._short(source.variable.path), "VariableV2"
        else:
            name, op = f"{self._short(path)}/constant".lstrip("/"), "Const"
        self._names[value] = self._add(name, op, [], [value])

    def _node(self, node: Any) -> None:
        name = self._add(
            f"{self._short(node.path)}/{node.op.name}".lstrip("/"),
            node.op.name,
            [self._names[value] for value in node.sources],
            node.outputs,
        )
        added = self.definition.node[-1]
        for key, value in node.attrs.items():
            added.attr[key].s = format_attr(value).encode()
        for index, value in enumerate(node.outputs):
            self._names[value] = f"{name}:{index}" if index else name
