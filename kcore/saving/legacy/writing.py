"""Models described in the words that Keras 2 and Keras 3's HDF5 reader share."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from kcore.registry import serialize
from kcore.saving.legacy.models import CHAIN, TWICE

Config = dict[str, Any]

#: Arguments that Keras 2 does not have, and the value at which they may be left out.
NEWER: dict[str, Any] = {
    "quantization_config": None,
    "groups": 1,
    "zero_output_for_mask": False,
    "synchronized": False,
    "lora_rank": None,
    "lora_alpha": None,
    "optional": False,
    "keepdims": False,
    "input_axes": None,
    "output_axes": None,
    "use_cudnn": "auto",
    "ragged": False,
    "renorm": False,
    "renorm_clipping": None,
    "renorm_momentum": 0.99,
}

#: Initializers that are functions in Keras 2, as the class behind them: scale, mode, distribution.
SCALINGS = {
    "GlorotUniform": (1.0, "fan_avg", "uniform"),
    "GlorotNormal": (1.0, "fan_avg", "normal"),
    "HeUniform": (2.0, "fan_in", "uniform"),
    "HeNormal": (2.0, "fan_in", "normal"),
    "LecunUniform": (1.0, "fan_in", "uniform"),
    "LecunNormal": (1.0, "fan_in", "normal"),
}


#: What the layers are called in files of Keras 2.2, where they mean this; see `kcore.saving.legacy.meanings`.
OLD_NAMES = {"OldBidirectional": "Bidirectional"}


def version_of_words(described: Any) -> str | None:
    """The older version that a file must bear, so that what meant something else then is read with that meaning.

    tf.keras and Keras 2.2 agree about `hard_sigmoid`, but not about `Bidirectional` layers.
    """
    text = json.dumps(described)
    if any(f'"kcore>{name}"' in text for name in OLD_NAMES):
        return "2.2.4"
    return "2.2.4-tf" if "legacy_hard_sigmoid" in text else None


def legacy_model_config(model: Any) -> Config:
    """A model's architecture as ``{"class_name", "config"}``.

    Args:
        model: a Sequential or functional model of layers that Keras brings.

    Raises:
        ValueError: a subclassed model, or a step that the old form cannot describe; the message names it.
    """
    return _layer(serialize(model))


def _layer(entry: Mapping[str, Any]) -> Config:
    name, config = entry["class_name"], entry["config"]
    if "input_layers" in config:
        return _functional(entry)
    if name == "Sequential":
        if any("input_layers" in layer["config"] for layer in config["layers"]):
            return {**_functional(_chain(config)), CHAIN: True}
        layers = [_layer(layer) for layer in config["layers"]]
        return {"class_name": name, "config": {"name": config["name"], "layers": layers}}
    if name in OLD_NAMES:
        return {"class_name": OLD_NAMES[name], "config": _arguments(OLD_NAMES[name], config)}
    if entry.get("registered_name") not in (None, name):
        return {"class_name": entry["registered_name"], "config": _arguments(name, config)}
    return {"class_name": name, "config": _arguments(name, config)}


def _arguments(name: str, config: Mapping[str, Any]) -> Config:
    kept: Config = {}
    for key, value in config.items():
        if key in NEWER and value in (NEWER[key], None):
            continue
        if key == "seed" and value is None:  # which few layers of Keras 2.2 have
            continue
        if key == "dtype":
            value = value["config"]["name"] if isinstance(value, Mapping) else value
        elif key == "backward_layer" and _mirrors(value, config["layer"]):
            continue  # Keras 2.2 makes it of the forward one
        elif key in ("layer", "backward_layer", "cell") and isinstance(value, Mapping):
            value = _inner(value)
        elif key == "cells":
            value = [_inner(cell) for cell in value]
        elif isinstance(value, Mapping) and "class_name" in value:
            value = plain(value)
        kept[key] = value
    if name == "InputLayer":
        kept["batch_input_shape"] = kept.pop("batch_shape", None)
    if name == "LeakyReLU":
        kept["alpha"] = kept.pop("negative_slope")
    if kept.get("activation") == "kcore>legacy_hard_sigmoid":
        kept["activation"] = "hard_sigmoid"
    if kept.get("recurrent_activation") == "kcore>legacy_hard_sigmoid":
        kept["recurrent_activation"] = "hard_sigmoid"
    return kept


def _inner(entry: Mapping[str, Any]) -> Config:
    """A layer within a layer, which Keras 3 looks up by its module."""
    written = {"module": entry["module"], "registered_name": entry["registered_name"], **_layer(entry)}
    written["config"].pop("zero_output_for_mask", None)  # Bidirectional sets it itself
    return written


def plain(value: Mapping[str, Any]) -> Any:
    """An object's ``{"class_name", "config"}`` in Keras 2's words; a function by its name."""
    name, config = value["class_name"], value["config"]
    if name == "function":
        return config
    if name in SCALINGS:
        scale, mode, distribution = SCALINGS[name]
        config = {"scale": scale, "mode": mode, "distribution": distribution, "seed": config.get("seed")}
        return {"class_name": "VarianceScaling", "config": config}
    if name in ("L1", "L2"):  # Keras 2 has one class for both
        return {"class_name": "L1L2", "config": {"l1": 0.0, "l2": 0.0, **config}}
    return {"class_name": name, "config": {key: v for key, v in config.items() if key not in NEWER}}


def _mirrors(backward: Any, forward: Mapping[str, Any]) -> bool:
    """Whether a backward layer is what `Bidirectional` makes by itself."""
    if backward is None:
        return True

    def rest(layer: Mapping[str, Any]) -> Config:
        return {key: value for key, value in layer["config"].items() if key not in ("name", "go_backwards")}

    directions = backward["config"].get("go_backwards"), forward["config"].get("go_backwards")
    return (
        backward["class_name"] == forward["class_name"]
        and rest(backward) == rest(forward)
        and directions == (True, False)
    )


def _chain(config: Mapping[str, Any]) -> Config:
    """A Sequential model that holds a functional one, as a functional one: Keras 3 would give lists to its layers."""
    layers: list[Config] = []
    for layer in config["layers"]:
        name = layer["config"]["name"]
        history = {"keras_history": [layers[-1]["name"], 0, 0]} if layers else {}
        nodes = [{"args": [{"class_name": "__keras_tensor__", "config": history}], "kwargs": {}}] if layers else []
        layers.append({**layer, "name": name, "inbound_nodes": nodes})
    last = layers[-1]
    ends = {"input_layers": [layers[0]["name"], 0, 0], "output_layers": [last["name"], _counted_from(last), 0]}
    return {"config": {"name": config["name"], "layers": layers, **ends}}


def _counted_from(layer: Mapping[str, Any]) -> int:
    """The number of a layer's first call among a model's outputs: in Keras 3 functional models begin with 1 there."""
    return int("input_layers" in layer["config"])


def _functional(entry: Mapping[str, Any]) -> Config:
    """A functional model, each call of a nested model written twice.

    In Keras 2 the making of a model counts as its first call, in Keras 3 it does not. Of two equal calls one may name
    the second: it is the second one there, and the first one here.
    """
    config = entry["config"]
    nested = {layer["name"] for layer in config["layers"] if "layers" in layer["config"]}
    layers = []
    for described in config["layers"]:
        if described["module"].startswith(("keras.src.ops", "keras.ops", "kcore.ops")):
            raise ValueError(
                f"the step {described['name']!r} is an op, not a layer, which HDF5 files of Keras cannot describe; "
                "save the model as .keras, or use a layer in its place"
            )
        layer = _layer(described)
        layer["name"] = described["name"]
        layer["inbound_nodes"] = [_node(_renumbered(node, nested)) for node in described["inbound_nodes"]]
        if layer["name"] in nested:
            layer["inbound_nodes"] = [node for node in layer["inbound_nodes"] for _ in range(2)]
            layer[TWICE] = True
        layers.append(layer)
    first = {layer["name"]: _counted_from(layer) for layer in config["layers"]}
    return {
        "class_name": "Model",
        "config": {
            "name": config["name"],
            "layers": layers,
            "input_layers": _list(config["input_layers"]),
            "output_layers": [_output(place, nested, first) for place in _list(config["output_layers"])],
        },
    }


def _output(place: list[Any], nested: set[str], first: Mapping[str, int]) -> list[Any]:
    """A model's output, with the number that the call has when it stands there twice."""
    name, call, tensor = place
    return [name, 2 * (call - first[name]) + 1, tensor] if name in nested else place


def _renumbered(value: Any, nested: set[str]) -> Any:
    """A call with the numbers that the calls of nested models have when each stands there twice."""
    if _is_tensor(value):
        name, call, tensor = value["config"]["keras_history"]
        history = [name, 2 * call + 1 if name in nested else call, tensor]
        return {**value, "config": {**value["config"], "keras_history": history}}
    if isinstance(value, Mapping):
        return {key: _renumbered(inner, nested) for key, inner in value.items()}
    return [_renumbered(inner, nested) for inner in value] if isinstance(value, list | tuple) else value


def _list(places: Any) -> Any:
    """References to inputs or outputs as a list of them, a single one too."""
    if isinstance(places, dict):
        places = list(places.values())
    single = len(places) == 3 and isinstance(places[0], str)
    return [list(places)] if single else [list(place) for place in places]


def _place(value: Any) -> Any:
    if _is_tensor(value):
        return list(value["config"]["keras_history"])
    if isinstance(value, list | tuple):
        return [_place(v) for v in value]
    return value


def _node(node: Mapping[str, Any]) -> Any:
    """One call: its tensors, each with the call's other arguments behind the first.

    Where other arguments hold tensors, Keras 2 and 3 differ, and the call is written as Keras 3 reads it.
    """
    args, kwargs = list(node["args"]), {key: value for key, value in node["kwargs"].items() if value is not None}
    if (
        len(args) != 1
        or isinstance(args[0], dict)
        and not _is_tensor(args[0])
        or any(map(_holds_tensor, kwargs.values()))
    ):
        return {"args": args, "kwargs": kwargs}
    places = _place(args[0])
    places = [places] if isinstance(places[0], str) else places
    return [[*place, kwargs if number == 0 else {}] for number, place in enumerate(places)]


def _is_tensor(value: Any) -> bool:
    return isinstance(value, Mapping) and value.get("class_name") == "__keras_tensor__"


def _holds_tensor(value: Any) -> bool:
    return _is_tensor(value) or isinstance(value, list | tuple) and any(map(_holds_tensor, value))
