"""The configuration of functional models, in Keras 3's form, and models made from it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kcore.models import operations
from kcore.models.calls import OpCall
from kcore.models.functional import Functional
from kcore.naming import did_you_mean
from kcore.registry import custom_object_scope, deserialize, serialize
from kcore.runtime import KerasTensor
from kcore.tree import flatten, is_nested, map_structure


def functional_config(model: Any) -> dict[str, Any]:
    """Layers with the calls made of them, and which tensors are inputs and outputs.

    Args:
        model: a `Functional`.

    Returns:
        A dict with ``name``, ``trainable``, ``layers``, ``input_layers`` and ``output_layers``.
    """
    graph = model._graph

    def history(tensor: KerasTensor) -> list[Any]:
        call, place = graph.producer(tensor)
        return [call.operation.name, call.index, place]

    def end(tensor: KerasTensor) -> list[Any]:
        """Where an input or output of the model comes from; Keras counts a functional model's making as a call here."""
        name, index, place = history(tensor)
        return [name, index + isinstance(graph.producer(tensor)[0].operation, Functional), place]

    def reference(leaf: Any) -> Any:
        if not isinstance(leaf, KerasTensor):
            return serialize(leaf)
        config = {"shape": leaf.shape, "dtype": leaf.dtype, "keras_history": history(leaf)}
        return {"class_name": "__keras_tensor__", "config": config}

    def node(args: Any, kwargs: Any) -> dict[str, Any]:
        return {"args": _map(reference, args), "kwargs": _map(reference, kwargs)}

    layers = []
    for operation in graph.operations:
        calls = [call for call in graph.calls_of(operation) if not call.is_input]
        if isinstance(operation, OpCall):
            described, args, kwargs = operations.describe(calls[0])
            described, nodes = serialize(described), [node(args, kwargs)]
        else:
            described, nodes = serialize(operation), [node(call.args, call.kwargs) for call in calls]
        layers.append({**described, "name": operation.name, "inbound_nodes": nodes})
    return {
        "name": model.name,
        "trainable": model.trainable,
        "layers": layers,
        "input_layers": map_structure(end, model._inputs_struct),
        "output_layers": map_structure(end, model._outputs_struct),
    }


def _map(fn: Any, structure: Any) -> Any:
    """`map_structure` for arguments, in which plain tuples of numbers (shapes, axes) are leaves too."""
    if is_nested(structure) and structure and any(isinstance(leaf, KerasTensor) for leaf in flatten(structure)):
        if isinstance(structure, dict):
            return {key: _map(fn, value) for key, value in structure.items()}
        return type(structure)(_map(fn, value) for value in structure)
    return fn(structure)


def functional_from_config(
    cls: type, config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None
) -> Any:
    """Make a model from what `functional_config` gave.

    Args:
        cls: the class of the model.
        config: its configuration.
        custom_objects: names -> classes and functions of your own.

    Raises:
        ValueError: a call refers to a layer that is not there, or the calls form a cycle.
    """
    rest = {key: value for key, value in config.items() if key not in ("layers", "input_layers", "output_layers")}
    made: dict[str, Any] = {}
    outputs: dict[tuple[str, int], list[Any]] = {}
    waiting: list[tuple[str, int, Mapping[str, Any]]] = []
    with custom_object_scope(custom_objects or {}):
        for described in config["layers"]:
            name = described["name"]
            made[name] = _make(described)
            nodes = described["inbound_nodes"]
            if not nodes:
                outputs[name, 0] = flatten(made[name].output)
            waiting += [(name, index, node) for index, node in enumerate(nodes)]
        while waiting:
            later = []
            for name, index, node in waiting:
                arguments = _resolve((node["args"], node["kwargs"]), outputs, made)
                if arguments is None or (index and (name, index - 1) not in outputs):
                    later.append((name, index, node))
                else:
                    args, kwargs = arguments
                    if not any(isinstance(leaf, KerasTensor) for leaf in flatten(arguments)):
                        raise ValueError(f"the configuration calls {name!r} on nothing that the model computes")
                    outputs[name, index] = flatten(made[name](*args, **kwargs))
            if len(later) == len(waiting):
                stuck = sorted({name for name, _, _ in later})
                raise ValueError(
                    f"the configuration of model {config.get('name')!r} has a cycle, or misses calls, at {stuck}"
                )
            waiting = later

    def tensor(place: Any) -> Any:
        if isinstance(place, (list, tuple)) and len(place) == 3 and isinstance(place[0], str):
            name, index, output = place
            return outputs[name, index - isinstance(made[name], Functional)][output]
        if isinstance(place, dict):
            return {key: tensor(value) for key, value in place.items()}
        return type(place)(tensor(value) for value in place)

    return cls(inputs=tensor(config["input_layers"]), outputs=tensor(config["output_layers"]), **rest)


def _make(described: Mapping[str, Any]) -> Any:
    if operations.is_operation(described):
        return operations.make(described)
    entry = {key: value for key, value in described.items() if key not in ("name", "inbound_nodes")}
    return deserialize(entry, module="keras.layers")


def _resolve(structure: Any, outputs: Mapping[tuple[str, int], list[Any]], made: Mapping[str, Any]) -> Any:
    """Arguments with tensors in place of references; None if one of them does not exist yet."""
    missing = False

    def fill(part: Any) -> Any:
        nonlocal missing
        if isinstance(part, Mapping):
            if part.get("class_name") == "__keras_tensor__":
                name, index, place = part["config"]["keras_history"]
                if name not in made:
                    raise ValueError(
                        f"the configuration refers to a layer {name!r} that is not in it{did_you_mean(name, made)}"
                    )
                if (name, index) not in outputs:
                    missing = True
                    return None
                return outputs[name, index][place]
            if "class_name" in part and "config" in part:
                return deserialize(part)
            return {key: fill(value) for key, value in part.items()}
        if isinstance(part, (list, tuple)):
            return type(part)(fill(value) for value in part)
        return part

    filled = fill(structure)
    return None if missing else filled
