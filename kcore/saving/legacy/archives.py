"""``.keras`` and ``.weights.h5`` files of Keras 2.12 to 2.15: zip archives described in the words of Keras 2."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

import numpy as np

from kcore import optimizers
from kcore.saving.legacy.layers import ADAPTERS, without_adapters
from kcore.saving.legacy.models import count_outputs, era_of, translate_model
from kcore.saving.legacy.training import compile_config, derived_state

#: What Keras 2.12 to 2.14 called the list of a model's layers.
OLD_LAYERS = "_layer_checkpoint_dependencies"


def translate_archive(described: Mapping[str, Any], metadata: Any) -> Mapping[str, Any]:
    """The description of a model in an archive, as Keras 3 would have written it.

    Args:
        described: the archive's ``config.json``.
        metadata: its ``metadata.json``, with ``keras_version``.

    Raises:
        LegacyError: a layer or a call has no equal today; the message names it.
    """
    version = metadata.get("keras_version") if isinstance(metadata, Mapping) else None
    if not isinstance(version, str) or era_of(version) >= 3:
        return _plain(described)
    translated: dict[str, Any] = dict(translate_model(described, 2))
    if described.get("registered_name") not in (None, described["class_name"]) and described.get("build_config"):
        translated["build_config"] = described["build_config"]
    if isinstance(described.get("compile_config"), Mapping):
        translated["compile_config"] = compile_config(described["compile_config"], count_outputs(described))
    return translated


def _plain(value: Any) -> Any:
    """A description without what Keras 3 keeps of adapters; see `without_adapters`."""
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    if not isinstance(value, Mapping):
        return value
    kept = without_adapters(value) if any(key in value for key in ADAPTERS) else value
    return {key: _plain(inner) for key, inner in kept.items()}


# -- places of weights -------------------------------------------------------------------------------------------------


def todays_places(places: Mapping[str, Any], known: Iterator[str] | set[str]) -> dict[str, Any]:
    r"""The same parts under the places that Keras 3 gives them.

    Keras 2.12 to 2.14 numbered a layer with weights twice (``dense``, ``dense_2``, ``dense_4``), Keras on Windows
    once wrote ``layers\dense``, and some layers of layers had other attributes (``_query_dense``).

    Args:
        places: place in the file -> what is there.
        known: the places of the model's parts.
    """
    plain = {place.replace("\\", "/"): value for place, value in places.items()}
    numbers = _numbers(plain)
    known = set(known)
    found: dict[str, Any] = {}
    for place, value in plain.items():
        renamed = _renumbered(place, numbers)
        public = re.sub(r"(^|/)_(?=[a-z])", r"\1", renamed)
        found[public if renamed not in known and public in known else renamed] = value
    return found


def _numbers(places: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """For each old list of layers, the name of each layer's group in today's numbering."""
    groups: dict[str, set[str]] = {}
    for place in places:
        parts = place.split("/")
        for i, part in enumerate(parts[:-1]):
            if part == OLD_LAYERS:
                groups.setdefault("/".join(parts[: i + 1]), set()).add(parts[i + 1])
    return {around: _ranked(names) for around, names in groups.items()}


def _ranked(names: set[str]) -> dict[str, str]:
    kinds: dict[str, list[tuple[int, str]]] = {}
    for name in names:
        kind, _, number = name.rpartition("_")
        if not number.isdigit() or not kind:
            kind, number = name, "0"
        kinds.setdefault(kind, []).append((int(number), name))
    return {
        name: f"{kind}_{rank}" if rank else kind
        for kind, members in kinds.items()
        for rank, (_, name) in enumerate(sorted(members))
    }


def _renumbered(place: str, numbers: Mapping[str, Mapping[str, str]]) -> str:
    parts = place.split("/")
    renamed = list(parts)
    for i, part in enumerate(parts):
        if part == OLD_LAYERS:
            renamed[i] = "layers"
            if i + 1 < len(parts):
                renamed[i + 1] = numbers["/".join(parts[: i + 1])][parts[i + 1]]
    return "/".join(renamed)


# -- the optimizer's state ---------------------------------------------------------------------------------------------


class OldOptimizerState(Mapping[str, np.ndarray]):
    """The variables of an optimizer by today's numbers, over a file of Keras 2 that numbers them otherwise.

    Keras 2 kept no learning rate among them; it stands in the configuration.

    Args:
        stored: the file's arrays by its numbers, with ``shape(key)``.
        keys: today's number -> the file's.
        values: today's number -> a value that follows from the others or from the configuration.
    """

    def __init__(self, stored: Any, keys: Mapping[str, str], values: Mapping[str, np.ndarray]):
        self._stored, self._keys, self._values = stored, keys, values

    def __getitem__(self, key: str) -> np.ndarray:
        return self._values[key] if key in self._values else self._stored[self._keys[key]]

    def __iter__(self) -> Iterator[str]:
        return iter(sorted({*self._keys, *self._values}, key=int))

    def __len__(self) -> int:
        return len(self._keys) + len(self._values)

    def shape(self, key: str) -> tuple[int, ...] | None:
        """The shape of a variable, None if there is none of that number."""
        if key in self._values:
            return self._values[key].shape
        return self._stored.shape(self._keys[key]) if key in self._keys else None


def scale_as_stored(model: Any, places: Collection[str]) -> None:
    """Put loss scaling around a model's optimizer if a file has the state of one around it.

    `compile` did so by itself, and Keras wrote down neither that nor the policy of the model.
    """
    optimizer = getattr(model, "optimizer", None)
    if "optimizer/inner_optimizer" in places and isinstance(optimizer, optimizers.Optimizer):
        if not hasattr(optimizer, "inner_optimizer"):
            model._compiled.optimizer = optimizers.scaled(optimizer)
            model.optimizer.build(model.trainable_variables)


def todays_optimizer_state(stored: Any, optimizer: Any) -> Any:
    """An optimizer's arrays by today's numbers; the same object where the file has these.

    Args:
        stored: mapping of number -> array, with ``shape(key)``.
        optimizer: today's, built.
    """
    variables = optimizer.variables
    inner = getattr(optimizer, "inner_optimizer", None)
    if inner is not None and 0 < len(stored) < len(variables):  # Keras 2 kept the inner one's, and no scale
        mine = optimizer.variables[: len(variables) - len(inner.variables)]
        known = todays_optimizer_state(stored, inner)
        keys = {str(len(mine) + number): str(number) for number in range(len(inner.variables))}
        return OldOptimizerState(known, keys, {str(number): v.numpy() for number, v in enumerate(mine)})
    keeps_rate = any(v is getattr(optimizer, "_learning_rate", None) for v in variables)
    old = stored.shape("1") != () if keeps_rate else len(stored) != len(variables)
    if not stored or not old:
        return _product_last(stored, optimizer)
    order = list(optimizer._averages) if optimizer.use_ema else []
    order += [variable for kinds in _groups(optimizer) for row in zip(*kinds, strict=True) for variable in row]
    momentum_unused = type(optimizer).__name__ == "SGD" and not order  # Keras 2 kept it all the same
    if len(stored) != len(order) + 1 and not momentum_unused:
        return stored
    known = {id(variable): str(number + 1) for number, variable in enumerate(order)}
    known[id(optimizer._iterations)] = "0"
    derived = derived_state(optimizer, int(stored["0"]))
    keys, values = {}, {}
    for number, variable in enumerate(variables):
        if id(variable) in known:
            keys[str(number)] = known[id(variable)]
        else:
            values[str(number)] = np.asarray(derived.get(id(variable), variable.numpy()))
    return OldOptimizerState(stored, keys, values)


def _product_last(stored: Any, optimizer: Any) -> Any:
    """Nadam's variables where Keras 3 began with its product of momenta, which follows them today."""
    variables = optimizer.variables
    place = next((i for i, v in enumerate(variables) if v is getattr(optimizer, "_product", None)), 2)
    if place == 2 or len(stored) != len(variables) or stored.shape("2") != ():
        return stored
    order = [0, 1, *range(3, place + 1), 2, *range(place + 1, len(variables))]
    return OldOptimizerState(stored, {str(i): str(there) for i, there in enumerate(order)}, {})


def _groups(optimizer: Any) -> list[list[list[Any]]]:
    """Kinds of state in Keras 2's order, those of one group variable by variable."""
    groups = [(kinds,) if isinstance(kinds, str) else kinds for kinds in optimizer.slots()]
    return [[optimizer._slots[kind] for kind in kinds] for kinds in groups]
