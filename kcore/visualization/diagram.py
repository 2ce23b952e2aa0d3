"""A model as a diagram in Graphviz's language: a box per layer, an arrow per tensor."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from kcore import tree
from kcore.extras import require
from kcore.layers import InputLayer, Layer
from kcore.models import Functional, Sequential
from kcore.models.calls import OpCall
from kcore.naming import did_you_mean
from kcore.registry import public

#: Fill and ink of a box's head, by what the layer is for.
_HEADS = {
    "input": ("#5b6b7f", "white"),
    "weights": ("#1f4e79", "white"),
    "plain": ("#dfe6ee", "#222b38"),
    "highlight": ("#c2410c", "white"),
}
_LINE = "#9aa7b5"


@public("keras.utils")
def model_to_dot(
    model: Any,
    show_shapes: bool = False,
    show_dtype: bool = False,
    show_layer_names: bool = True,
    rankdir: str = "TB",
    expand_nested: bool = False,
    dpi: int = 200,
    subgraph: bool = False,
    show_layer_activations: bool = False,
    show_trainable: bool = False,
    splines: str = "ortho",
    highlight: str | Sequence[str] = (),
    **kwargs: Any,
) -> Any:
    """Describe a model as a diagram for Graphviz. Needs pydot, but no Graphviz.

    Layers with weights have dark heads, inputs grey ones, all others light ones.

    Args:
        model: a built model; a subclassed one is a single box.
        show_shapes: show shapes of inputs and outputs.
        show_dtype: show dtypes of outputs.
        show_layer_names: show names, not only classes.
        rankdir: ``"TB"`` from top to bottom, ``"LR"`` from left to right, ``"BT"``, ``"RL"``.
        expand_nested: draw inner models as frames with their layers.
        dpi: dots per inch of a bitmap.
        subgraph: give a cluster, to be put into another diagram.
        show_layer_activations: show activations of layers that have one.
        show_trainable: show whether layers with weights are trained.
        splines: how arrows run: ``"ortho"``, ``"curved"``, ``"polyline"``, ``"spline"``, ``"line"``.
        highlight: names of layers, or regular expressions, whose heads are drawn in a colour of their own.

    Returns:
        A ``pydot.Dot``, or a ``pydot.Cluster``.

    Raises:
        MissingExtraError: pydot is not installed.
        TypeError: `model` is no model.
        ValueError: the model is not built, an argument is unknown, or nothing matches `highlight`.

    Example:
        >>> import kcore
        >>> model = kcore.Sequential([kcore.Input((4,)), kcore.layers.Dense(2, name="scores")])
        >>> dot = model_to_dot(model, show_shapes=True)
        >>> "scores" in dot.to_string()
        True

    Source: `keras.utils.model_to_dot`.
    """
    if not isinstance(model, Layer):
        raise TypeError(f"model must be a model, received {model!r} of type {type(model).__name__}")
    if not model.built:
        raise ValueError(
            f"model {model.name!r} is not built yet, so its layers have no shapes: call it on data, or build(), first"
        )
    if kwargs:
        unknown = next(iter(kwargs))
        raise ValueError(f"model_to_dot() has no argument {unknown!r}{did_you_mean(unknown, _ARGUMENTS)}")
    if rankdir not in ("TB", "LR", "BT", "RL"):
        raise ValueError(f"rankdir={rankdir!r}: expected 'TB', 'LR', 'BT' or 'RL'")
    pydot = require("pydot", "graphviz", "a diagram of a model")
    patterns = [highlight] if isinstance(highlight, str) else list(highlight)
    drawing = _Drawing(
        pydot,
        _Look(
            show_shapes, show_dtype, show_layer_names, show_layer_activations, show_trainable, expand_nested, patterns
        ),
    )
    if subgraph:
        dot = drawing.frame(model)
    else:
        dot = pydot.Dot(graph_type="digraph", rankdir=rankdir, dpi=dpi, splines=splines, bgcolor="white", pad=0.2)
        dot.set("nodesep", 0.45)
        dot.set("ranksep", 0.4)
    dot.set_node_defaults(shape="plain", fontname="Helvetica", fontsize=12)
    dot.set_edge_defaults(color=_LINE, penwidth=1.6, arrowsize=0.8)
    drawing.draw(model, dot)
    missing = [pattern for pattern in patterns if pattern not in drawing.matched]
    if missing:
        near = did_you_mean(missing[0], drawing.names)
        raise ValueError(f"highlight={missing[0]!r} matches no layer of model {model.name!r}{near}")
    return dot


_ARGUMENTS = tuple(model_to_dot.__annotations__)


@dataclass
class _Look:
    """What is shown of a layer."""

    shapes: bool
    dtype: bool
    names: bool
    activations: bool
    trainable: bool
    nested: bool
    highlight: list[str]


class _Drawing:
    """A diagram in the making: boxes, frames, and where arrows may end."""

    def __init__(self, pydot: Any, look: _Look):
        self._pydot = pydot
        self._look = look
        self._edges: set[tuple[str, str]] = set()
        self.names: list[str] = []
        self.matched: set[str] = set()

    def draw(self, model: Any, dot: Any, prefix: str = "") -> tuple[list[str], list[str]]:
        """Put a model's layers into a graph.

        Returns:
            The boxes that take its inputs, and those that give its outputs, in their order.
        """
        if isinstance(model, Sequential) and model._functional is not None:
            return self._draw_stack(model, dot, prefix)
        if isinstance(model, Functional):
            return self._draw_graph(model, dot, prefix)
        box = self._box(model, dot, prefix, None, [])
        return [box], [box]

    def frame(self, model: Any) -> Any:
        """An empty frame with a model's name."""
        cluster = self._pydot.Cluster(graph_name=re.sub(r"\W", "_", model.name), label=model.name, labeljust="l")
        for name, value in (
            ("style", "rounded"),
            ("color", _LINE),
            ("fontname", "Helvetica"),
            ("fontcolor", "#5b6b7f"),
        ):
            cluster.set(name, value)
        cluster.set("margin", 14)
        return cluster

    def _draw_stack(self, model: Sequential, dot: Any, prefix: str) -> tuple[list[str], list[str]]:
        first: list[str] = []
        last: list[str] = []
        tensor: Any = model.inputs[0]
        for layer in model.layers:
            record = next((r for r in layer._records if tensor in tree.flatten([r.args, r.kwargs])), None)
            outputs = None if record is None else record.outputs
            entries, exits = self._layer(layer, dot, prefix, tensor, outputs)
            for source in last:
                self._arrow(dot, source, entries[0])
            first = first or entries
            last = exits[:1]
            flat = tree.flatten(outputs)
            tensor = flat[0] if flat else None
        return first, last

    def _draw_graph(self, model: Functional, dot: Any, prefix: str) -> tuple[list[str], list[str]]:
        graph = model._graph
        ends: dict[Any, tuple[list[str], list[str]]] = {}
        for operation in graph.operations:
            calls = graph.calls_of(operation)
            inputs = None if calls[-1].is_input else _structure(calls[-1])
            ends[operation] = self._layer(operation, dot, prefix, inputs, calls[-1].structure)
        for call in graph.calls:
            entries = ends[call.operation][0]
            for place, tensor in enumerate(() if call.is_input else call.inputs):
                source, index = graph.producer(tensor)
                exits = ends[source.operation][1]
                self._arrow(dot, exits[min(index, len(exits) - 1)], entries[min(place, len(entries) - 1)])
        inputs = [ends[graph.input_layer(tensor)][0][0] for tensor in model.inputs]
        outputs = []
        for tensor in model.outputs:
            call, index = graph.producer(tensor)
            exits = ends[call.operation][1]
            outputs.append(exits[min(index, len(exits) - 1)])
        return inputs, outputs

    def _layer(self, layer: Any, dot: Any, prefix: str, inputs: Any, outputs: Any) -> tuple[list[str], list[str]]:
        """A layer as a box, or an inner model as a frame; the boxes where arrows end and begin."""
        if self._look.nested and isinstance(layer, Functional | Sequential):
            cluster = self.frame(layer)
            ends = self.draw(layer, cluster, f"{prefix}{layer.name}/")
            dot.add_subgraph(cluster)
            return ends
        box = self._box(layer, dot, prefix, inputs, outputs)
        return [box], [box]

    def _arrow(self, dot: Any, source: str, target: str) -> None:
        if (source, target) not in self._edges:
            self._edges.add((source, target))
            dot.add_edge(self._pydot.Edge(f'"{source}"', f'"{target}"'))

    # -- boxes -------------------------------------------------------------------------------------------------------

    def _box(self, layer: Any, dot: Any, prefix: str, inputs: Any, outputs: Any) -> str:
        name = prefix + layer.name
        self.names.append(layer.name)
        dot.add_node(self._pydot.Node(f'"{name}"', label=f"<{self._table(layer, inputs, outputs)}>"))
        return name

    def _table(self, layer: Any, inputs: Any, outputs: Any) -> str:
        look = self._look
        kind = f"ops.{layer.op.name}" if isinstance(layer, OpCall) else type(layer).__name__
        fill, ink = _HEADS[self._head(layer)]
        title = (
            f"<b>{html.escape(layer.name)}</b>  {html.escape(kind)}" if look.names else f"<b>{html.escape(kind)}</b>"
        )
        cells = []
        if look.shapes:
            if not isinstance(layer, InputLayer):
                cells.append(("input", _shapes(inputs)))
            cells.append(("output", _shapes(outputs)))
        if look.dtype:
            cells.append(("dtype", _describe(outputs, lambda tensor: tensor.dtype)))
        if look.activations and getattr(layer, "activation", None) is not None:
            activation = layer.activation
            cells.append(("activation", str(getattr(activation, "name", None) or _name(activation))))
        rows = [f'<tr><td colspan="2" bgcolor="{fill}"><font color="{ink}">{title}</font></td></tr>']
        for label, value in cells:
            rows.append(
                f'<tr><td align="left" bgcolor="white"><font point-size="10" color="#6b7685">{label}</font></td>'
                f'<td align="left" bgcolor="white"><font point-size="11">{html.escape(value)}</font></td></tr>'
            )
        if look.trainable and getattr(layer, "weights", None):
            text, colour = ("trainable", "#1b7f4b") if layer.trainable else ("not trainable", "#b3261e")
            rows.append(
                f'<tr><td colspan="2" align="left" bgcolor="white"><font point-size="10" color="{colour}">'
                f"<b>{text}</b></font></td></tr>"
            )
        return (
            f'<table border="0" cellborder="1" cellspacing="0" cellpadding="6" color="{_LINE}">{"".join(rows)}</table>'
        )

    def _head(self, layer: Any) -> str:
        for pattern in self._look.highlight:
            if pattern == layer.name or re.fullmatch(pattern, layer.name):
                self.matched.add(pattern)
                return "highlight"
        if isinstance(layer, InputLayer):
            return "input"
        return "weights" if getattr(layer, "weights", None) else "plain"


def _name(activation: Any) -> str:
    return getattr(activation, "__name__", type(activation).__name__)


def _structure(call: Any) -> Any:
    """The symbolic tensors a call took."""
    return call.inputs[0] if len(call.inputs) == 1 else list(call.inputs)


def _shapes(structure: Any) -> str:
    return _describe(structure, lambda tensor: str(tuple(tensor.shape)))


def _describe(structure: Any, of: Any) -> str:
    """What is said of each tensor in a structure; a question mark where there is none."""
    if isinstance(structure, dict):
        return ", ".join(f"{key}: {_describe(value, of)}" for key, value in structure.items())
    flat = [leaf for leaf in tree.flatten(structure) if leaf is not None]
    return ", ".join(of(leaf) for leaf in flat) or "?"
