"""Whole models and weights in HDF5 as Keras 1 and 2 kept them."""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from kcore import __version__
from kcore.registry import custom_object_scope, serialize
from kcore.saving.archive import KERAS_VERSION, LARGEST_TEXT, model_from_config
from kcore.saving.changes import Change, wholly
from kcore.saving.datasets import OWN, child, making, opened
from kcore.saving.legacy import training
from kcore.saving.legacy.models import era_of, reading, translate_model
from kcore.saving.legacy.weights import (
    Assignment,
    Source,
    attribute_list,
    listed_arrays,
    listed_layers,
    match_layer,
    pairs_by_order,
    text,
    write_variables,
    write_weights,
)
from kcore.saving.legacy.writing import legacy_model_config, version_of_words
from kcore.saving.own import own_states, write_own
from kcore.saving.packages import packages_of
from kcore.saving.state import refusal, report_skipped
from kcore.saving.texts import parsed
from kcore.saving.window import created_at
from kcore.utils.atomic import replacing


def matches(path: Path) -> bool:
    """Whether a file is HDF5, by its content."""
    import h5py

    return bool(h5py.is_hdf5(path))


def save(model: Any, path: Path, include_optimizer: bool = True, include_states: bool = False) -> None:
    """Write a model whole, so that Keras 2 and Keras 3 can read it.

    How it is compiled is written in the words of tf.keras and Keras 3; Keras 2.2 takes the model with
    ``load_model(path, compile=False)``, as it calls the arguments of optimizers otherwise (``lr``).

    Args:
        model: a built Sequential or functional model.
        path: the file; an older one is replaced when the new one is complete.
        include_optimizer: whether compile arguments and the optimizer's state are written.
        include_states: whether the states of stateful recurrent layers are written; Keras does not read them.

    Raises:
        ValueError: the model holds something the form cannot describe; the message names it.
    """

    config = legacy_model_config(model)
    version = version_of_words(serialize(model)) or KERAS_VERSION
    attributes = {"model_config": json.dumps(config), "keras_version": version, "backend": "tensorflow"}
    attributes["kcore_version"] = __version__
    attributes["kcore_packages"] = json.dumps(packages_of(serialize(model)))
    if include_optimizer and model.compiled:
        attributes["training_config"] = json.dumps(training.training_config(model))
    with replacing(path) as temporary, created_at(temporary) as file:
        for name, value in attributes.items():
            file.attrs[name] = value.encode()
        write_weights(model, file.create_group("model_weights"), version)
        if include_optimizer and model.compiled and model.optimizer.built:
            variables = model.optimizer.variables
            write_variables(file.create_group("optimizer_weights"), {v.path or v.name: v for v in variables})
        write_own(model, file, include_optimizer, include_states)


def load(path: Path, custom_objects: Any = None, compile: bool = True, safe_mode: bool = True) -> Any:
    """Make the model a file describes, with its weights and, if compiled, its optimizer's state.

    Args:
        path: a file that Keras 1, 2, tf.keras, or Keras 3's legacy writer saved.
        custom_objects: names -> classes and functions of your own.
        compile: whether to compile it as it was.
        safe_mode: see `kcore.saving.load_model`.

    Raises:
        ValueError: the file is damaged, holds weights alone, or its parts do not fit each other.
    """
    with opened(path, path) as file:
        config = _json(file, "model_config", path)
        if config is None:
            kind = "weights alone; build the model and use load_weights()" if _is_weights(file) else "no model"
            raise ValueError(f"{path} holds {kind}: it has no attribute model_config")
        weights = child(file, "model_weights", path)
        if weights is None:
            raise ValueError(f"{path} is not complete: it has no group model_weights")
        version = file.attrs.get("keras_version", weights.attrs.get("keras_version"))
        with reading(path):
            era = era_of(text(version) if version is not None else None, config)
            translated = translate_model(config, era, text(version or ""))
        with making(file, path) as made:
            packages = _json(file, "kcore_packages", path)
            model = model_from_config(translated, path, custom_objects, safe_mode, packages)
        assignments, problems = _matched(model, weights, path, _source(file, weights, config, era))
        if problems:
            raise ValueError(refusal(model, path, problems))
        made.settle(variable for variable, _, _ in assignments)
        for variable, array, _ in assignments:
            variable.fill(array.read_into)
        if compile and _compile(model, file, path, custom_objects, era):
            _load_optimizer(model, file, path, assignments, text(version or ""))
        for variable, value in own_states(model, child(file, OWN, path), path):
            variable.assign(value)
    return model


def load_weights(model: Any, path: Path, by_name: bool = False, skip_mismatch: bool = False) -> None:
    """Load the weights of a file of Keras 1 or 2 into a model, by order or by the layers' names.

    Args:
        model: a built model.
        path: a file of weights, or of a whole model.
        by_name: give each layer the weights of the file's layer of its name, and leave the others alone.
        skip_mismatch: leave layers that do not fit as they are, with a warning that lists them.

    Raises:
        ValueError: it does not fit; nothing was changed then.
    """
    with opened(path, path) as file:
        weights = file if _is_weights(file) else child(file, "model_weights", path)
        if weights is None:
            raise ValueError(f"{path} holds no weights in a form of Keras")
        config = _json(file, "model_config", path)
        version = weights.attrs.get("keras_version", file.attrs.get("keras_version"))
        era = era_of(text(version) if version is not None else None, config or {})
        source = _source(file, weights, config, era)
        assignments, problems = _matched(model, weights, path, source, by_name)
        if problems and not skip_mismatch:
            raise ValueError(refusal(model, path, problems))
        report_skipped(model, path, problems)
        states = [] if problems or by_name else own_states(model, child(file, OWN, path), path)
        changes = [Change.filling(variable, array.read_into) for variable, array, _ in assignments]
        wholly([*changes, *(Change((variable,), partial(variable.assign, value)) for variable, value in states)])


def save_weights(model: Any, path: Path, include_states: bool = False) -> None:
    """Write a model's weights as Keras 2 did: layer by layer, by name.

    Args:
        model: a built model.
        path: the file; an older one is replaced when the new one is complete.
        include_states: whether the states of stateful recurrent layers are written; Keras does not read them.
    """

    with replacing(path) as temporary, created_at(temporary) as file:
        write_weights(model, file, KERAS_VERSION)
        write_own(model, file, False, include_states)


def is_legacy(path: Path) -> bool:
    """Whether an HDF5 file has weights layer by layer, by itself or within a whole model."""
    with opened(path, path) as file:
        return _is_weights(file) or "model_weights" in file


def _is_weights(group: Any) -> bool:
    return attribute_list(group, "layer_names") is not None


def _json(file: Any, name: str, path: Path) -> Any:
    if name not in file.attrs:
        return None
    content = text(file.attrs[name])
    if len(content) > LARGEST_TEXT:
        raise ValueError(f"{path}: {name} is {len(content)} characters long, which no description of a model is")
    try:
        return parsed(content)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: {name} is not readable JSON: {error}") from None


def _source(file: Any, weights: Any, config: Any, era: int) -> Source:
    backend = text(weights.attrs.get("backend", file.attrs.get("backend", "")))
    if not backend and era == 1:  # Keras 1 does not say, but TensorFlow's names end in ":0"
        names = [name for layer in weights.values() for name in attribute_list(layer, "weight_names") or ()]
        backend = "theano" if names and not any(name.endswith(":0") for name in names) else "tensorflow"
    return Source(era, backend, dict(_classes(config)))


def _classes(config: Any) -> Any:
    """Every layer's name with its class in the file, nested models included."""
    if isinstance(config, Mapping):
        inner = config.get("config")
        if (
            isinstance(config.get("class_name"), str)
            and isinstance(inner, Mapping)
            and isinstance(inner.get("name"), str)
        ):
            yield inner["name"], config["class_name"]
        for value in config.values():
            yield from _classes(value)
    elif isinstance(config, list):
        for value in config:
            yield from _classes(value)


def _matched(
    model: Any, weights: Any, path: Path, source: Source, by_name: bool = False
) -> tuple[list[Assignment], list[str]]:
    """All assignments of a file's weights to a model's variables, and what does not fit."""
    saved = listed_layers(weights, path)
    if by_name:
        layers = {layer.name: layer for layer in model.layers}
        pairs: list[Any] = [(layers[entry.layer], entry) for entry in saved if entry.layer in layers]
    else:
        pairs = list(pairs_by_order(model, saved))
        if len(pairs) != len(saved):
            names = [layer.name for layer, _ in pairs]
            return [], [
                f"the model has {len(pairs)} layers with weights ({', '.join(names)}), the file has {len(saved)} "
                f"({', '.join(entry.layer for entry in saved)})"
            ]
    assignments, problems = [], []
    for layer, entry in pairs:
        found, problem = match_layer(layer, entry, source)
        assignments += found
        problems += [problem] if problem else []
    return assignments, problems


def _compile(model: Any, file: Any, path: Path, custom_objects: Any, era: int) -> bool:
    """Compile a model as the file says it was; where that has no meaning today, say so and leave it."""
    config = _json(file, "training_config", path)
    if config is None:
        return False
    try:
        with custom_object_scope(custom_objects or {}):
            model.compile_from_config(training.compile_arguments(config, era, len(model.outputs)))
    except Exception as error:  # noqa: BLE001 - whatever an old configuration asks for; the model itself is sound
        warnings.warn(f"{path}: the model is not compiled, as its training configuration: {error}", stacklevel=5)
        return False
    return True


def _load_optimizer(model: Any, file: Any, path: Path, assignments: list[Assignment], version: str) -> None:
    """Load the optimizer's state where its meaning is certain; otherwise say why it begins anew."""
    group = child(file, "optimizer_weights", path)
    names = None if group is None else attribute_list(group, "weight_names")
    if not names:
        return
    try:
        arrays = listed_arrays(group, names, path)
        if "kcore_version" in file.attrs:
            pairs = training.in_order(model.optimizer, arrays)
        else:
            orders = _orders(model, assignments, version)
            pairs = training.understood(names, arrays, orders, model.optimizer)
    except ValueError as error:
        warnings.warn(f"{path}: the optimizer's state was not loaded, it begins anew: {error}", stacklevel=5)
        return
    for variable, array in pairs:
        variable.fill(array.read_into)
    if "kcore_version" not in file.attrs:
        derived = training.derived_state(model.optimizer, int(model.optimizer.iterations))
        for variable in model.optimizer.variables:
            if id(variable) in derived:
                variable.assign(derived[id(variable)])


def _orders(model: Any, assignments: list[Assignment], version: str) -> list[list[Any]]:
    """The trained variables layer by layer, and by the names they have in the file, as Keras up to 2.1 had them."""
    variables = list(model.trainable_variables)
    named = {id(variable): name for variable, _, name in assignments if name}
    if any(id(variable) not in named for variable in variables):
        return [variables]
    by_name = sorted(variables, key=lambda variable: named[id(variable)])
    return [by_name, variables] if re.match(r"1\.|2\.[01]\.", version) else [variables, by_name]
