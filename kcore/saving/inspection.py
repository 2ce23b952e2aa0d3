"""What a saved file holds, read without making the model: layers, weights, training state, and who wrote it."""

from __future__ import annotations

import re
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from kcore.naming import fresh_names
from kcore.saving import archive, hdf5, safetensors, sharded
from kcore.saving.datasets import OWN, child, opened, parts_of, read_array
from kcore.saving.legacy import training
from kcore.saving.legacy.layers import initializer
from kcore.saving.legacy.weights import attribute_list, inner, text
from kcore.saving.legacy.writing import plain
from kcore.saving.texts import parsed


@dataclass
class LayerEntry:
    """A layer as its file describes it.

    Attributes:
        name: with the names of the models around it: ``"inner/dense"``.
        kind: its class; empty where the file does not say.
        config: its arguments.
    """

    name: str
    kind: str
    config: dict[str, Any]


@dataclass
class Contents:
    """What a file holds.

    Attributes:
        path: the file.
        form: in words.
        writer: who wrote it, as far as it says.
        model: class and name of the model, None for weights alone.
        layers: its layers, those of inner models after these.
        weights: name in the file -> array.
        optimizer: name in the file -> array, of the training state.
        compile: the compile arguments, None if it has none.
    """

    path: Path
    form: str
    writer: str
    model: str | None = None
    layers: list[LayerEntry] = field(default_factory=list)
    weights: dict[str, np.ndarray] = field(default_factory=dict)
    optimizer: dict[str, np.ndarray] = field(default_factory=dict)
    compile: Any = None

    @property
    def whole(self) -> bool:
        """Whether it holds a model with its weights."""
        return self.form.startswith("a whole model")

    @property
    def step(self) -> int | None:
        """How many steps the optimizer has done, if the file says so."""
        for name, array in self.optimizer.items():
            if array.shape == () and (name.endswith("/0") or "iter" in name) and array.dtype.kind in "iu":
                return int(array)
        return None


def contents(path: Path) -> Contents:
    """Read a file of a model, of weights, or of an architecture, in any form.

    Args:
        path: the file.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is none of these, or damaged.
    """
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}")
    if archive.matches(path):
        return _archive(path)
    if hdf5.matches(path):
        return _hdf5(path)
    with path.open("rb") as file:
        start = file.read(9)
    if start[8:9] == b"{" or path.suffix == ".safetensors":
        return _safetensors(path)
    if path.name.endswith(".weights.json"):
        return _shards(path)
    return _text(path)


def comparable(a: Contents, b: Contents) -> tuple[Contents, Contents]:
    """Two files' contents in one form and today's words.

    Whole models of different forms, or of different versions of Keras, name their arguments and order their weights
    differently: they are loaded, and compared as the ``.keras`` files they would be.

    Raises:
        ValueError: one of them cannot be loaded.
        UnknownObjectError: it has layers of somebody's own.
    """
    if a.whole and b.whole and (a.form, _undated(a.writer)) != (b.form, _undated(b.writer)):
        known = all(any(map(_of_generator, found.optimizer)) for found in (a, b))
        a, b = (_unnamed(_as_archive(found)) for found in (a, b))
        if not known:  # what a file does not have begins anywhere when it is loaded
            for found in (a, b):
                found.optimizer = {k: v for k, v in found.optimizer.items() if not _of_generator(k)}
    for found in (a, b):
        for layer in found.layers:
            layer.config = settled(layer.config)
        found.compile = settled(found.compile)
    return a, b


def _of_generator(name: str) -> bool:
    return name.startswith("seed_generators/")


def _undated(writer: str) -> str:
    return re.sub(r", \d{4}-.*", "", writer)


def _as_archive(found: Contents) -> Contents:
    from kcore.saving.model_files import load_model

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        with fresh_names():  # what has no name in the file gets the same one at each load
            archive.save(load_model(found.path), path)
        return replace(contents(path), path=found.path)


def _unnamed(found: Contents) -> Contents:
    """Without the name of the optimizer, which the older forms do not keep."""
    optimizer = (found.compile or {}).get("optimizer")
    if not isinstance(optimizer, Mapping) or not isinstance(optimizer.get("config"), Mapping):
        return found
    config = {key: value for key, value in optimizer["config"].items() if key != "name"}
    return replace(found, compile={**found.compile, "optimizer": {**optimizer, "config": config}})


def settled(value: Any) -> Any:
    """A configuration without what is said differently by different writers.

    Classes stand without their modules, dtype policies by name, initializers and regularizers by what they do, losses
    by their full names.

    Example:
        >>> a = {"module": "keras.initializers", "class_name": "HeUniform", "config": {"seed": None}}
        >>> b = {"scale": 2.0, "mode": "fan_in", "distribution": "uniform", "seed": None}
        >>> settled(a) == settled({"class_name": "VarianceScaling", "config": b})
        True
    """
    if isinstance(value, list | tuple):
        return [settled(v) for v in value]
    if not isinstance(value, Mapping):
        return value
    if value.get("class_name") == "DTypePolicy":
        return value["config"].get("name")
    if isinstance(value.get("class_name"), str) and isinstance(value.get("config"), Mapping | str):
        value = initializer(plain(value))  # a name stays a name
        if isinstance(value, str):
            return value
    found = {key: settled(v) for key, v in value.items()}
    return {**found, "loss": training.renamed(training.full_loss_name, found["loss"])} if "loss" in found else found


def _archive(path: Path) -> Contents:
    try:
        with zipfile.ZipFile(path) as file:
            described = archive.read_json(file, archive.CONFIG, path)
            metadata = archive.read_json(file, archive.METADATA, path)
    except zipfile.BadZipFile as error:
        raise ValueError(f"{path} is not a complete .keras file: {error}") from None
    found = _described(Contents(path, "a whole model, .keras", _writer(metadata)), described)
    with archive.opened_weights(path) as (weights, _):
        _keras_3(found, parts_of(weights, path), child(weights, OWN, path))
    return found


def _writer(said: Mapping[str, Any]) -> str:
    keras, own, date = (said.get(key) for key in ("keras_version", "kcore_version", "date_saved"))
    who = f"kcore {own}, in the form of Keras {keras}" if own else f"Keras {keras}" if keras else "it does not say"
    return f"{who}, {str(date).replace('@', ' ')}" if date else who


def _hdf5(path: Path) -> Contents:
    with opened(path, path) as file:
        said = {
            key: text(file.attrs[key]) for key in ("keras_version", "kcore_version", "backend") if key in file.attrs
        }
        weights = child(file, "model_weights", path)
        group = file if weights is None else weights
        names = attribute_list(group, "layer_names")
        if names is None:
            found = Contents(path, "weights, .weights.h5", _writer(said))
            _keras_3(found, parts_of(file, path), child(file, OWN, path))
            return found
        if "keras_version" not in said and "keras_version" in group.attrs:
            said["keras_version"] = text(group.attrs["keras_version"])
        form = "weights, HDF5 of Keras 1 or 2" if weights is None else "a whole model, HDF5 of Keras 1 or 2"
        found = Contents(path, form, _writer(said))
        if "model_config" in file.attrs:
            _described(found, _json(text(file.attrs["model_config"]), path, "model_config"))
        if "training_config" in file.attrs:
            found.compile = _json(text(file.attrs["training_config"]), path, "training_config")
        for name in names:
            layer = inner(group, name, path)
            for weight in attribute_list(layer, "weight_names") or []:
                short = weight.removeprefix(f"{name}/").removesuffix(":0")
                found.weights[f"{name}/{short}"] = read_array(inner(layer, weight, path), path)
        state = child(file, "optimizer_weights", path)
        for name in (attribute_list(state, "weight_names") or []) if state is not None else []:
            found.optimizer[name.removesuffix(":0")] = read_array(inner(state, name, path), path)
        _own(found, child(file, OWN, path))
    return found


def _safetensors(path: Path) -> Contents:
    with safetensors.opened(path) as stored:
        said = stored.metadata
        found = Contents(path, "weights, .safetensors", _writer({"kcore_version": None, **said}))
        if "kcore_version" in said:
            found.writer = f"kcore {said['kcore_version']}"
        found.weights = {name: array.read() for name, array in stored.arrays.items()}
    return found


def _shards(path: Path) -> Contents:
    found = Contents(path, "weights in shards, .weights.json", "it does not say")
    with ExitStack() as stack:
        parts, own = sharded.parts_of_shards(path, stack)
        _keras_3(found, parts, own)
    return found


def _text(path: Path) -> Contents:
    if path.stat().st_size > archive.LARGEST_TEXT:
        raise ValueError(f"{path} is no file of a model or of weights")
    from kcore.extras import require

    try:
        content = path.read_text()
        if content.lstrip().startswith("{"):
            described, form = parsed(content), "an architecture, JSON"
        else:
            described, form = (
                require("yaml", "yaml", f"reading {path.name}").safe_load(content),
                "an architecture, YAML",
            )
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is no file of a model or of weights: {error}") from None
    except Exception as error:
        if type(error).__module__.startswith("yaml"):
            raise ValueError(f"{path} is no file of a model or of weights") from None
        raise
    if not isinstance(described, Mapping) or "class_name" not in described or "config" not in described:
        raise ValueError(f"{path} is no file of a model or of weights")
    return _described(Contents(path, form, _writer(described)), described)


def _json(content: str, path: Path, name: str) -> Any:
    try:
        return parsed(content)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: {name} is not readable JSON: {error}") from None


def _described(found: Contents, described: Any) -> Contents:
    if not isinstance(described, Mapping) or not isinstance(described.get("class_name"), str):
        raise ValueError(f"{found.path} does not describe a model")
    config = described.get("config")
    name = config.get("name") if isinstance(config, Mapping) else None
    found.model = f"{described['class_name']} {name!r}" if name else described["class_name"]
    found.layers = list(_layers(config, ""))
    found.compile = described.get("compile_config")
    return found


def _layers(config: Any, around: str) -> Iterator[LayerEntry]:
    entries = config.get("layers", ()) if isinstance(config, Mapping) else config
    for entry in entries if isinstance(entries, list) else ():
        if not isinstance(entry, Mapping) or not isinstance(entry.get("config"), Mapping | list):
            continue
        inside = entry["config"]
        own = inside if isinstance(inside, Mapping) else {}
        name = f"{around}{own.get('name') or entry.get('name') or entry.get('class_name')}"
        plain = {key: value for key, value in own.items() if key != "layers"}
        yield LayerEntry(name, str(entry.get("class_name")), plain)
        if "layers" in own or isinstance(inside, list):
            yield from _layers(inside, f"{name}/")


def _keras_3(found: Contents, parts: Mapping[str, Mapping[str, Any]], own: Any) -> None:
    """Arrays by the layers' own names, which the groups keep as an attribute, else by their places."""
    for place, datasets in parts.items():
        for key in sorted(datasets, key=lambda key: (len(key), key)):
            array = read_array(datasets[key], found.path)
            if place.split("/")[0] == "optimizer":
                found.optimizer[f"{place}/{key}"] = array
            else:
                found.weights[f"{place or 'model'}/{key}"] = array
    _own(found, own)


def _own(found: Contents, own: Any) -> None:
    if own is None:
        return
    for kind in own:
        group = child(own, kind, found.path)
        if hasattr(group, "keys"):
            for key in group:
                found.optimizer[f"{kind}/{key}"] = read_array(child(group, key, found.path), found.path)
