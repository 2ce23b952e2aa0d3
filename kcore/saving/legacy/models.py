"""Models as Keras 1 and 2 described them, rewritten as Keras 3 describes them: lists of layers, calls as references."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from kcore.saving.legacy.layers import Config, LegacyError, translate_layer, with_time_major
from kcore.saving.legacy.meanings import OldBidirectional
from kcore.saving.legacy.operators import operator_call, sizes_of_tensors, translate_operator

MODELS = ("Sequential", "Model", "Functional")

#: Key of a nested model's entry in a file of kcore's, where each of its calls stands twice.
TWICE = "kcore_calls_twice"

#: Key of a functional model in a file of kcore's that is a Sequential one.
CHAIN = "kcore_sequential"

#: Layers that take initial states, which old files list among their inputs.
RECURRENT = frozenset(("RNN", "LSTM", "GRU", "SimpleRNN", "CuDNNLSTM", "CuDNNGRU", "ConvLSTM2D", "Bidirectional"))

#: Keras 1's ``Merge(mode=...)`` and today's layers.
MERGES = {
    "sum": "Add",
    "mul": "Multiply",
    "ave": "Average",
    "max": "Maximum",
    "concat": "Concatenate",
    "dot": "Dot",
    "cos": "Dot",
}


@contextmanager
def reading(where: Any) -> Iterator[None]:
    """Context in which a stranger's description of a model is taken apart; errors name where it stands.

    Raises:
        ValueError: it is not as a description should be.
    """
    try:
        yield
    except (LookupError, TypeError, AttributeError, ArithmeticError, RecursionError) as error:
        raise ValueError(f"{where}: its description cannot be read: {type(error).__name__}: {error}") from error
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None


def era_of(version: Any, config: Any = None) -> int:
    """The major version of the Keras that wrote a file; where it does not say, told by the words it uses."""
    text = str(version or "")
    if text[:1].isdigit():
        return min(int(text.split(".")[0]), 3)
    names = {entry.get("class_name") for entry in _entries(config)}
    keys = {key for entry in _entries(config) for key in entry.get("config", {})}
    old = {"Convolution1D", "Convolution2D", "Merge", "MaxoutDense"} & names or {"output_dim", "nb_filter", "p"} & keys
    return 1 if old and "units" not in keys else 2


def _entries(config: Any) -> list[Any]:
    inner = config.get("config") if isinstance(config, Mapping) else config
    layers = inner.get("layers", []) if isinstance(inner, Mapping) else inner
    return [entry for entry in layers or [] if isinstance(entry, Mapping) and isinstance(entry.get("config"), Mapping)]


def translate_model(config: Mapping[str, Any], era: int, version: str = "") -> Config:
    """A whole model's configuration in Keras 3's form.

    Args:
        config: ``{"class_name", "config"}`` of a Sequential or functional model; of any other, its layers' entry.
        era: 1, 2 or 3.
        version: the version of the Keras that wrote it, where it is known.

    Returns:
        A configuration for `kcore.registry.deserialize`.

    Raises:
        LegacyError: a layer or a call has no equal today; the message names it.
    """
    translated = _model(config, era)
    if version == "2.2.4-tf":
        for entry in _inside(translated):
            if entry["class_name"] == "StepsFirstBidirectional" and entry["config"]["layer"]["config"].get(
                "return_sequences"
            ):
                raise LegacyError(
                    f"layer {entry['config'].get('name')!r}: a Bidirectional of layers with time_major=True and "
                    "return_sequences=True, in which TensorFlow 1.15 to 2.1 turned samples round instead of steps"
                )
    if era < 3 and _REPEATING.match(version) and any(map(_masks, _inside(translated))):
        for entry in _inside(translated):
            if entry["class_name"] == "Bidirectional" and entry["config"]["layer"]["config"].get("return_sequences"):
                entry |= {"class_name": OldBidirectional.__name__, "registered_name": "kcore>OldBidirectional"}
                entry["module"] = None
    return translated


#: Versions of Keras in which a `Bidirectional` layer repeats its output at masked steps: all but tf.keras's.
_REPEATING = re.compile(r"1\.|2\.[0-3]\.\d+$")


def _masks(entry: Mapping[str, Any]) -> bool:
    return entry["class_name"] == "Masking" or bool(entry["config"].get("mask_zero"))


def _inside(value: Any) -> Iterator[Config]:
    """A configuration and all that are within it."""
    if (
        isinstance(value, dict)
        and isinstance(value.get("config"), Mapping)
        and isinstance(value.get("class_name"), str)
    ):
        yield value
    for inner in value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ():
        yield from _inside(inner)


def _model(config: Mapping[str, Any], era: int) -> Config:
    name, inner = config.get("class_name"), config.get("config")
    if name == "Sequential":
        return _sequential(inner, era)
    if name in ("Model", "Functional") and isinstance(inner, Mapping) and "layers" in inner:
        functional = _functional(inner, era)
        return _unchained(functional["config"]) if config.get(CHAIN) else functional
    return translate_layer(config, era)


def _unchained(config: Mapping[str, Any]) -> Config:
    """The Sequential model that kcore wrote as a functional one."""
    layers = [{k: v for k, v in layer.items() if k not in ("name", "inbound_nodes")} for layer in config["layers"]]
    return {"module": "keras", "class_name": "Sequential", "config": {"name": config["name"], "layers": layers}}


def count_outputs(config: Mapping[str, Any]) -> int:
    """How many outputs the model of a configuration has."""
    inner = config.get("config")
    places = inner.get("output_layers") if isinstance(inner, Mapping) else None
    return 1 if not places else len(places) if isinstance(places, Mapping) else len(_places(places))


def _layer(entry: Mapping[str, Any], era: int) -> Config:
    if entry["class_name"] in MODELS:
        return _model(entry, era)
    if entry["class_name"] == "Merge":
        return _merge(dict(entry["config"]))
    if entry["class_name"] in ("TimeDistributed", "Bidirectional") and era < 3:
        config = dict(entry["config"])
        if entry["class_name"] == "Bidirectional":
            config = with_time_major(config)
        translated = translate_layer({**entry, "config": {k: v for k, v in config.items() if k != "layer"}}, era)
        translated["config"]["layer"] = _layer(config["layer"], era)
        return translated
    return translate_layer(entry, era)


def _merge(config: Config) -> Config:
    mode = config.get("mode")
    if mode not in MERGES:
        raise LegacyError(
            f"layer {config.get('name')!r}: Keras 1's Merge with mode {mode!r}, whose function is not kept"
        )
    arguments: Config = {"name": config.get("name")}
    if mode == "concat":
        arguments["axis"] = config.get("concat_axis", -1)
    if mode in ("dot", "cos"):
        axes = config.get("dot_axes", -1)
        arguments |= {"axes": axes[0] if isinstance(axes, list) and len(set(map(str, axes))) == 1 else axes}
        arguments["normalize"] = mode == "cos"
    return {"module": "keras.layers", "class_name": MERGES[mode], "config": arguments}


def _sequential(inner: Any, era: int) -> Config:
    entries = list(inner["layers"] if isinstance(inner, Mapping) else inner)
    if entries and _branches(entries[0]):
        return _branched(entries, era)
    rest = {k: inner[k] for k in ("name", "trainable") if isinstance(inner, Mapping) and inner.get(k) is not None}
    layers: list[Config] = []
    if entries:
        shape = _input_shape(entries[0], inner)
        if entries[0]["class_name"] != "InputLayer" and shape is not None:
            config = {"batch_shape": shape, "dtype": _input_dtype(entries[0])}
            if entries[0]["config"].get("name"):
                config["name"] = f"{entries[0]['config']['name']}_input"  # as Keras 2 called it
            first = {"class_name": "InputLayer", "config": config}
            layers.append({**first, "module": "keras.layers"})
    layers += [_layer(entry, era) for entry in entries]
    return {"module": "keras", "class_name": "Sequential", "config": {"name": None, **rest, "layers": layers}}


def _branches(entry: Mapping[str, Any]) -> list[Any]:
    """The models that a Sequential model of Keras 1 begins with side by side."""
    layers = entry["config"].get("layers") if entry["class_name"] == "Merge" else None
    return layers if isinstance(layers, list) else []


def _branched(entries: list[Any], era: int) -> Config:
    """A Sequential model that begins with branches, which Keras 1 allowed, as a functional one."""
    layers: list[Config] = []
    inputs: list[str] = []
    last = _chain(entries, layers, inputs, era)
    places = [[name, 0, 0] for name in inputs]
    config = {"name": None, "layers": layers, "input_layers": places, "output_layers": [[last, 0, 0]]}
    return {"module": "keras.src.models.functional", "class_name": "Functional", "config": config}


def _chain(entries: list[Any], layers: list[Config], inputs: list[str], era: int) -> str:
    """Add the layers of a Sequential model to those of a functional one; returns the name of the last."""

    def add(layer: Config, name: str, calls: list[str]) -> str:
        tensors = [_reference([call, 0, 0]) for call in calls]
        nodes: list[Any] = [{"args": tensors if len(tensors) == 1 else [tensors], "kwargs": {}}] if tensors else []
        layers.append({**layer, "name": name, "config": {**layer["config"], "name": name}, "inbound_nodes": nodes})
        return name

    first, rest = entries[0], entries
    if _branches(first):
        ends = [_chain(list(branch["config"]), layers, inputs, era) for branch in _branches(first)]
        last, rest = add(_merge(dict(first["config"])), first["config"]["name"], ends), entries[1:]
    elif first["class_name"] == "InputLayer":
        last, rest = add(_layer(first, era), first["config"]["name"], []), entries[1:]
        inputs.append(last)
    else:
        shape = _input_shape(first, None)
        if shape is None:
            raise LegacyError(f"the branch that begins with layer {first['config'].get('name')!r} has no input shape")
        config = {"batch_shape": shape, "dtype": _input_dtype(first)}
        entry = {"module": "keras.layers", "class_name": "InputLayer", "config": config}
        last = add(entry, f"{first['config']['name']}_input", [])
        inputs.append(last)
    for entry in rest:
        last = add(_layer(entry, era), entry["config"]["name"], [last])
    return last


def _input_shape(entry: Mapping[str, Any], around: Any) -> Any:
    """The shape of the first layer's input, its own or that of the layer or model it holds."""
    config = entry.get("config")
    if entry["class_name"] in MODELS:
        return None  # it has an input of its own
    if isinstance(config, Mapping):
        for key in ("batch_input_shape", "batch_shape"):
            if config.get(key) is not None:
                return list(config[key])
        if isinstance(config.get("layer"), Mapping):
            found = _input_shape(config["layer"], None)
            if found is not None and entry["class_name"] == "TimeDistributed":
                return [found[0], None, *found[1:]]
            if found is not None:
                return found
        if config.get("input_dim") and entry["class_name"] in ("Dense", "Embedding"):
            return (
                [None, config.get("input_length")]
                if entry["class_name"] == "Embedding"
                else [None, config["input_dim"]]
            )
    return around.get("build_input_shape") if isinstance(around, Mapping) else None


def _input_dtype(entry: Mapping[str, Any]) -> str:
    config = entry["config"]
    if entry["class_name"] == "Embedding":
        return "int32" if str(config.get("input_dtype") or config.get("dtype")).startswith("int") else "float32"
    given = config.get("input_dtype")
    return given if isinstance(given, str) else "float32"


def _functional(inner: Mapping[str, Any], era: int) -> Config:
    layers: list[Config] = []
    sizes = sizes_of_tensors(inner["layers"]) if era < 3 else set()
    for entry in inner["layers"]:
        if entry.get("name") in sizes:
            continue
        operator = translate_operator(entry) if era < 3 else _operation(entry)
        layer = {**(operator or _layer(entry, era))}
        layer["name"] = entry.get("name") or entry["config"].get("name")
        layer["config"] = {**layer["config"], "name": layer["name"]}
        nodes = entry.get("inbound_nodes", [])
        layer["inbound_nodes"] = [_node(node, entry, operator if era < 3 else None) for node in nodes if node != []]
        if isinstance(entry.get("shared_object_id"), int):
            layer["shared_object_id"] = entry["shared_object_id"]
        layers.append(layer)
    for layer in layers if sizes else ():
        if any(reference[0] in sizes for reference in _histories(layer["inbound_nodes"])):
            raise LegacyError(
                f"layer {layer['name']!r} computes with the shape of a tensor, which is read as an argument of reshape "
                "alone"
            )
    output_layers = inner["output_layers"]
    if any(entry.get(TWICE) for entry in inner["layers"]):
        output_layers = _each_call_once(inner, layers)
    elif era < 3:
        output_layers = _counted_from_zero(inner, layers)
    return {
        "module": "keras.src.models.functional",
        "class_name": "Functional",
        "config": {
            "name": inner.get("name"),
            "trainable": inner.get("trainable", True),
            "layers": layers,
            "input_layers": inner["input_layers"],
            "output_layers": output_layers,
        },
    }


def _operation(entry: Mapping[str, Any]) -> Config | None:
    """An op of Keras 3, of which its HDF5 files do not say that it is no layer; it has no ``trainable``."""
    config = entry["config"]
    if (
        not isinstance(config, Mapping)
        or entry.get("module")
        or entry["class_name"] == "InputLayer"
        or "trainable" in config
        or "layers" in config
    ):
        return None
    return {"module": "keras.ops", "class_name": entry["class_name"], "config": dict(config)}


def _each_call_once(inner: Mapping[str, Any], layers: list[Config]) -> Any:
    """Drop the second ones of the calls that kcore wrote twice (see `TWICE`); returns the model's outputs."""
    doubled = {entry.get("name") for entry in inner["layers"] if entry.get(TWICE)}
    outputs = _copied(inner["output_layers"])
    for reference in [r for layer in layers for r in _histories(layer["inbound_nodes"])] + _places(outputs):
        if reference[0] in doubled:
            reference[1] //= 2
    functional = {layer["name"] for layer in layers if layer["class_name"] == "Functional"}
    for place in _places(outputs):
        place[1] += place[0] in functional & doubled
    for layer in layers:
        if layer["name"] in doubled:
            layer["inbound_nodes"] = layer["inbound_nodes"][::2]
    return outputs


def _counted_from_zero(inner: Mapping[str, Any], layers: list[Config]) -> Any:
    """Count the calls of nested models from 0 in all references to them; returns the model's outputs.

    In Keras 2 the making of a model was its call 0, which is not written.
    """
    references = [reference for layer in layers for reference in _histories(layer["inbound_nodes"])]
    outputs = _copied(inner["output_layers"])
    references += _places(outputs)
    for layer in layers:
        if layer["class_name"] in MODELS:
            mine = [reference for reference in references if reference[0] == layer["name"]]
            first = min((reference[1] for reference in mine), default=0)
            for reference in mine:
                reference[1] -= first
    return outputs


def _histories(value: Any) -> Iterator[list[Any]]:
    """The references to tensors at any depth of translated calls, to be changed in place."""
    if isinstance(value, Mapping) and value.get("class_name") == "__keras_tensor__":
        yield value["config"]["keras_history"]
    elif isinstance(value, Mapping | list):
        for inner in value.values() if isinstance(value, Mapping) else value:
            yield from _histories(inner)


def _places(value: Any) -> list[list[Any]]:
    """The ``[layer, call, output]`` in a model's outputs."""
    if _is_reference(value):
        return [value]
    return [place for inner in (value.values() if isinstance(value, Mapping) else value) for place in _places(inner)]


def _copied(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _copied(inner) for key, inner in value.items()}
    return [_copied(inner) for inner in value] if isinstance(value, list) else value


# -- calls -------------------------------------------------------------------------------------------------------------


def _reference(place: Sequence[Any]) -> Config:
    name, node, tensor = place[0], int(place[1]), int(place[2])
    return {"class_name": "__keras_tensor__", "config": {"keras_history": [name, node, tensor]}}


def _is_reference(value: Any) -> bool:
    return isinstance(value, list) and len(value) in (3, 4) and isinstance(value[0], str) and isinstance(value[1], int)


def _argument(value: Any) -> Any:
    """A keyword argument, with references to tensors wherever it holds some."""
    if _is_reference(value):
        return value[2] if value[0] == "_CONSTANT_VALUE" else _reference(value)
    if isinstance(value, list):
        return [_argument(v) for v in value]
    if isinstance(value, Mapping):
        return {key: _argument(v) for key, v in value.items()}
    return value


def _node(node: Any, entry: Mapping[str, Any], operator: Config | None) -> Config:
    """One call of a layer as Keras 3's ``{"args", "kwargs"}``, of a list of references with keywords, or of a dict."""
    if isinstance(node, Mapping) and "args" in node:
        return dict(node)
    if isinstance(node, Mapping):  # inputs by name
        return {"args": [{key: _argument(value) for key, value in node.items()}], "kwargs": {}}
    references = [node] if _is_reference(node) else list(node)
    kwargs: Config = {}
    tensors = []
    for place in references:
        if not _is_reference(place):
            raise LegacyError(f"layer {entry.get('name')!r}: its call {node!r} cannot be read")
        if len(place) > 3 and isinstance(place[3], Mapping):
            kwargs |= {key: _argument(value) for key, value in place[3].items() if key != "name"}
        if place[0] == "_CONSTANT_VALUE":
            tensors.append(place[2])
        else:
            tensors.append(_reference(place))
    if operator is not None:
        return operator_call(entry, tensors[0] if _is_reference(node) else tensors, kwargs)
    if entry["class_name"] in ("Attention", "AdditiveAttention") and entry["config"].get(
        "causal"
    ):  # of Attention, an argument of its call today
        kwargs["use_causal_mask"] = True
    if entry["class_name"] in RECURRENT and len(tensors) > 1:
        constants = entry["config"].get("num_constants") or 0
        if constants:
            raise LegacyError(f"layer {entry.get('name')!r}: its cell takes constants, which Keras 3 has no more")
        return {"args": tensors[:1], "kwargs": {**kwargs, "initial_state": tensors[1:]}}
    kwargs = {key: value for key, value in kwargs.items() if value is not None or key not in ("mask", "training")}
    return {"args": tensors if len(tensors) == 1 else [tensors], "kwargs": kwargs}
