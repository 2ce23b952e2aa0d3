"""Weights in the layouts of Keras 1 and 2: one group per layer, in an order that counts."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from kcore.runtime import Variable
from kcore.saving.datasets import Array, child, write_array


class Source(NamedTuple):
    """Which Keras wrote a group of weights.

    Attributes:
        era: its major version.
        backend: the engine it ran on, ``"tensorflow"`` or ``"theano"``; empty if the file does not say.
        classes: layer name -> class name as the file has it, where an architecture stands beside the weights.
    """

    era: int
    backend: str
    classes: Mapping[str, str]


class Saved(NamedTuple):
    """A layer's arrays as a file has them, in its order, with the names they have there."""

    layer: str
    names: list[str]
    arrays: list[Array]


def text(value: Any) -> str:
    """An attribute that old files hold as bytes and newer ones as text."""
    if isinstance(value, np.ndarray) and value.size == 1:
        value = value.reshape(()).item()
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def attribute_list(group: Any, name: str) -> list[str] | None:
    """A list of names kept as an attribute, in several parts where it is long; None if there is none."""
    if name in group.attrs:
        return [text(value) for value in np.asarray(group.attrs[name]).reshape(-1)]
    parts: list[str] = []
    number = 0
    while f"{name}{number}" in group.attrs:
        parts += [text(value) for value in np.asarray(group.attrs[f"{name}{number}"]).reshape(-1)]
        number += 1
    return parts if number else None


def listed_layers(group: Any, path: Path) -> list[Saved]:
    """The layers of a group of weights in its order, those without weights left out.

    Raises:
        ValueError: the group is not one of weights, or a part that it names is missing or elsewhere.
    """
    names = attribute_list(group, "layer_names")
    if names is None:
        raise ValueError(f"{path} holds no weights in Keras 2's form: {group.name} has no attribute layer_names")
    found, seen = [], set()
    for name in names:
        layer = inner(group, name, path)
        if layer.id in seen:
            raise ValueError(f"{path}: {group.name} names the layer {name!r} twice")
        seen.add(layer.id)
        weights = attribute_list(layer, "weight_names")
        if weights is None:
            raise ValueError(f"{path}: {layer.name} has no attribute weight_names")
        arrays = listed_arrays(layer, weights, path)
        if arrays:
            found.append(Saved(name, weights, arrays))
    return found


def listed_arrays(group: Any, names: Sequence[str], path: Path) -> list[Array]:
    """The arrays of names below a group, each of which may be named once; checked, and read later.

    Raises:
        ValueError: one is missing, elsewhere, damaged, or named again.
    """
    datasets = [inner(group, name, path) for name in names]
    if len({dataset.id for dataset in datasets}) != len(datasets):
        raise ValueError(f"{path}: {group.name} names an array twice")
    return [Array.stored(dataset, path) for dataset in datasets]


def inner(group: Any, name: str, path: Path) -> Any:
    """What lies at a path below a group; backslashes, which Windows once left in names, part the path too."""
    direct = child(group, name, path) if "/" not in name else None
    if direct is not None:
        return direct
    for parts in (name.split("/"), re.split(r"[/\\]", name), [name]):
        found = group
        for part in parts:
            found = None if found is None or not hasattr(found, "keys") else child(found, part, path)
        if found is not None:
            return found
    raise ValueError(f"{path}: {group.name} names {name!r}, which is not in it")


# -- from a file's arrays to a layer's variables -----------------------------------------------------------------------


def in_file_order(layer: Any) -> list[Variable]:
    """A layer's weights in the order of Keras 1 and 2: what is trained first, at any depth, then the rest."""
    return [*layer.trainable_weights, *layer.non_trainable_weights]


def arrange(layer: Any, arrays: Sequence[Array], source: Source, written: str | None = None) -> list[Array]:
    """A layer's arrays as kcore has them, in the order of `in_file_order`.

    Args:
        layer: the layer they are for.
        arrays: as the file has them.
        source: which Keras wrote them.
        written: the layer's class in the file, where it is known.

    Returns:
        As many arrays, or fewer where an old layout keeps gates apart.
    """
    name = type(layer).__name__
    arrays = list(arrays)
    if name == "TimeDistributed":
        return arrange(layer.layer, arrays, source)
    if name in ("Bidirectional", "OldBidirectional"):
        half = len(arrays) // 2
        sides = ((layer.forward_layer, arrays[:half]), (layer.backward_layer, arrays[half:]))
        return [array for side, part in sides for array in arrange(side, part, source)]
    if hasattr(layer, "layers") and arrays:
        return _arrange_model(layer, arrays, source)
    change = ARRANGE.get(written or "") or ARRANGE.get(name)
    return arrays if change is None else change(layer, arrays, source)


def _arrange_model(model: Any, arrays: list[Array], source: Source) -> list[Array]:
    """A nested model's arrays: its layers' trained ones one after the other, then the layers' other ones."""
    order = in_file_order(model)
    if len(order) != len(arrays):
        return arrays
    given = dict(zip(map(id, order), arrays, strict=True))
    for layer in model.layers:
        mine = in_file_order(layer)
        if mine and all(id(w) in given for w in mine):
            changed = arrange(layer, [given[id(w)] for w in mine], source, source.classes.get(layer.name))
            given.update(zip(map(id, mine), changed, strict=True))
    return [given[id(w)] for w in order]


def _convolution(layer: Any, arrays: list[Array], source: Source) -> list[Array]:
    def kernel(stored: np.ndarray) -> np.ndarray:
        return _correlated(_kernel_1(layer, stored) if source.era == 1 else stored, source)

    return [Array.made_of(arrays[:1], kernel), *arrays[1:]]


def _convolution_over_time(layer: Any, arrays: list[Array], source: Source) -> list[Array]:
    both = [Array.made_of([array], lambda stored: _correlated(stored, source)) for array in arrays[:2]]
    return [*both, *arrays[2:]]


def _correlated(kernel: np.ndarray, source: Source) -> np.ndarray:
    """A kernel as it is everywhere but on Theano, which convolved, so that its kernels lie the other way round."""
    return kernel[tuple(slice(None, None, -1) for _ in kernel.shape[:-2])] if source.backend == "theano" else kernel


def _kernel_1(layer: Any, kernel: np.ndarray) -> np.ndarray:
    """A convolution's kernel of Keras 1 with its axes in today's order."""
    name, first = type(layer).__name__, layer.data_format == "channels_first"
    if name == "Conv1D" and kernel.ndim == 4:
        size = layer.kernel_size[0]
        if kernel.shape[:2] != (size, 1) or kernel.shape[3] != layer.filters:
            kernel = kernel.transpose(2, 3, 1, 0)
        return kernel[:, 0]
    if name == "Conv2D" and first:
        return kernel.transpose(2, 3, 1, 0)
    if name == "Conv2DTranspose":
        return kernel.transpose(2, 3, 0, 1) if first else kernel.transpose(0, 1, 3, 2)
    if name == "Conv3D" and first:
        return kernel.transpose(2, 3, 4, 1, 0)
    return kernel


def _gates(arrays: list[Array], order: Sequence[int]) -> list[Array]:
    """Kernel, recurrent kernel and bias from Keras 1's (W, U, b) per gate, gates in the given order."""

    def joined(*gates: np.ndarray) -> np.ndarray:
        return np.concatenate(gates, axis=-1)

    return [Array.made_of([arrays[3 * gate + part] for gate in order], joined) for part in range(3)]


def _lstm(layer: Any, arrays: list[Array], source: Source) -> list[Array]:
    return _gates(arrays, (0, 2, 1, 3)) if len(arrays) == 12 else arrays  # Keras 1 has i, c, f, o


def _gru(layer: Any, arrays: list[Array], source: Source) -> list[Array]:
    return _gates(arrays, (0, 1, 2)) if len(arrays) == 9 else arrays


def _cudnn(gates: int) -> Any:
    """The layout of NVIDIA's library, which CuDNNLSTM and CuDNNGRU kept."""

    def of_kernel(kernel: np.ndarray) -> np.ndarray:
        return np.hstack([part.T.reshape(part.shape, order="F") for part in np.hsplit(kernel, gates)])

    def of_recurrent(recurrent: np.ndarray) -> np.ndarray:
        return np.hstack([part.T for part in np.hsplit(recurrent, gates)])

    def of_bias(bias: np.ndarray) -> np.ndarray:
        return np.sum(np.split(bias, 2), axis=0) if gates == 4 else bias.reshape(2, -1)

    def change(layer: Any, arrays: list[Array], source: Source) -> list[Array]:
        changes = (of_kernel, of_recurrent, of_bias)
        return [Array.made_of([array], function) for array, function in zip(arrays, changes, strict=True)]

    return change


def _adapted(layer: Any, arrays: list[Array], source: Source) -> list[Array]:
    """What Keras 3 froze and adapted with two small matrices; they stand before it, behind what was trained."""
    if len(arrays) != len(layer.weights) + 2:
        return arrays
    *rest, a, b, frozen = arrays
    return [Array.made_of([a, b, frozen], lambda a, b, frozen: frozen + a @ b), *rest]


ARRANGE: dict[str, Any] = {
    **dict.fromkeys(("Dense", "Embedding"), _adapted),
    **dict.fromkeys(("Conv1D", "Conv2D", "Conv3D", "Conv2DTranspose"), _convolution),
    "ConvLSTM2D": _convolution_over_time,
    "LSTM": _lstm,
    "GRU": _gru,
    "CuDNNLSTM": _cudnn(4),
    "CuDNNGRU": _cudnn(3),
}


class Assignment(NamedTuple):
    """An array that is to become a variable's value, and its name in the file where it is one array there."""

    variable: Variable
    value: Array
    name: str = ""


def match_layer(layer: Any, saved: Saved, source: Source) -> tuple[list[Assignment], str | None]:
    """What to assign to a layer's variables, or in words why its arrays do not fit."""
    who = f"layer {layer.name!r} ({type(layer).__name__})"
    mine = in_file_order(layer)
    try:
        arrays = arrange(layer, saved.arrays, source, source.classes.get(saved.layer))
    except (ValueError, IndexError) as error:
        return [], f"{who}: the arrays the file has for {saved.layer!r} cannot be put in order: {error}"
    if len(arrays) != len(mine):
        shapes = ", ".join(str(a.shape) for a in saved.arrays)
        return [], f"{who} has {len(mine)} weights, the file has {len(saved.arrays)} for {saved.layer!r} ({shapes})"
    for variable, array in zip(mine, arrays, strict=True):
        if tuple(variable.shape) != array.shape:
            return [], f"{who}: weight {variable.name!r} has shape {tuple(variable.shape)}, the file has {array.shape}"
    names = saved.names if len(saved.names) == len(mine) else [""] * len(mine)
    return [Assignment(*three) for three in zip(mine, arrays, names, strict=True)], None


def pairs_by_order(model: Any, saved: list[Saved]) -> Iterator[tuple[Any, Saved | None]]:
    """Layers with weights beside the file's, one after the other; by name where the names are the same."""
    layers = [layer for layer in model.layers if layer.weights]
    named = {entry.layer: entry for entry in saved}
    if {layer.name for layer in layers} == set(named):
        yield from ((layer, named[layer.name]) for layer in layers)
        return
    for number, layer in enumerate(layers):
        yield layer, saved[number] if number < len(saved) else None


# -- writing -----------------------------------------------------------------------------------------------------------

#: Bytes that fit into one attribute of an HDF5 group.
ATTRIBUTE_LIMIT = 64512


def write_weights(model: Any, group: Any, version: str) -> None:
    """Write a model's weights layer by layer, in the form of `read_layers`."""
    _write_names(group, "layer_names", [layer.name for layer in model.layers])
    group.attrs["backend"] = b"tensorflow"
    group.attrs["keras_version"] = version.encode()
    for layer in model.layers:
        named: dict[str, Variable] = {}
        for variable in in_file_order(layer):
            name = variable.path or variable.name
            number = sum(other == name or other.startswith(f"{name}_again_") for other in named)
            named[f"{name}_again_{number}" if number else name] = variable
        write_variables(group.create_group(layer.name), {f"{name}:0": variable for name, variable in named.items()})


def write_variables(group: Any, arrays: Mapping[str, Variable]) -> None:
    """Write variables by name, and their names in order."""
    _write_names(group, "weight_names", list(arrays))
    for name, array in arrays.items():
        write_array(group, name, array)


def _write_names(group: Any, attribute: str, names: Sequence[str]) -> None:
    """A list of names as an attribute, in as many parts as it takes."""
    encoded = np.array([name.encode() for name in names], dtype=f"S{max(map(len, names), default=1) or 1}")
    if encoded.nbytes <= ATTRIBUTE_LIMIT:
        group.attrs[attribute] = encoded
        return
    rows = max(1, ATTRIBUTE_LIMIT // encoded.itemsize)
    for number in range(-(-len(encoded) // rows)):
        group.attrs[f"{attribute}{number}"] = encoded[number * rows : (number + 1) * rows]
