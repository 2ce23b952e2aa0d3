"""A model's state in an HDF5 group in Keras 3's layout: written whole, compared whole, and only then loaded."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from kcore.layers import Layer
from kcore.layers.state import Holder
from kcore.optimizers import Optimizer
from kcore.runtime import Variable
from kcore.saving.changes import Change, wholly
from kcore.saving.datasets import OWN, Datasets, Parts, child, parts_of, write_array
from kcore.saving.legacy.archives import scale_as_stored, todays_optimizer_state, todays_places
from kcore.saving.own import own_states, write_own
from kcore.saving.walk import saveables


class SkippedWeights(UserWarning):
    """Some weights of a file were not loaded into a model, as `skip_mismatch` allowed.

    Attributes:
        problems: one line each: which layer kept its weights, and why.
    """

    def __init__(self, message: str, problems: list[str]):
        super().__init__(message)
        self.problems = problems


def write_state(model: Any, group: Any, include_optimizer: bool = True, include_states: bool = False) -> None:
    """Write all weights, the optimizer's state and the states of random generators.

    Variables of a layer are the datasets ``<path>/vars/0``, ``1``, ...

    Args:
        model: a built model.
        group: an open, empty HDF5 group.
        include_optimizer: whether the optimizer's state is written.
        include_states: whether the states of stateful recurrent layers are written.
    """
    for place, part, store in stores(model, include_optimizer):
        inner = group.create_group(f"{place}/vars" if place else "vars")
        inner.attrs["name"] = part.name
        for key, value in store.items():
            write_array(inner, key, value)
    write_own(model, group, include_optimizer, include_states)


#: Ways to save that give the variables, each by its number.
_PLAINLY_SAVED = (Holder.save_own_variables, Optimizer.save_own_variables)


def stores(model: Any, include_optimizer: bool = True) -> Iterator[tuple[str, Any, dict[str, Variable | np.ndarray]]]:
    """Every part of a model with its place and what it keeps, by key.

    Variables are given as such, to be read one at a time; a class with a way of its own to save gives arrays.
    """
    for place, part in saveables(model):
        if isinstance(part, Optimizer) and not include_optimizer:
            continue
        if getattr(part.save_own_variables, "__func__", None) in _PLAINLY_SAVED:
            yield place, part, {str(number): variable for number, variable in enumerate(variables_of(part))}
        else:
            store: dict[str, Any] = {}
            part.save_own_variables(store)
            yield place, part, {key: np.asarray(value) for key, value in store.items()}


def read_state(
    model: Any,
    group: Any,
    path: Path,
    skip_mismatch: bool = False,
    skip: Collection[Any] = (),
    new: bool = False,
    check: Callable[[], None] | None = None,
) -> None:
    """Load what `write_state`, or Keras, wrote.

    Every variable is looked up and its shape compared before the first one is changed; if reading fails later, all
    get back what they had.

    Args:
        model: a built model of the same layers.
        group: the open HDF5 group.
        path: the file it is in, for messages.
        skip_mismatch: leave layers that do not fit as they are, with a warning.
        skip: layers to leave alone.
        new: the model was made for this file, and nobody has it if loading fails.
        check: raises, when all is read, if it must not stand after all.

    Raises:
        ValueError: it does not fit the model; the message names layer, variable, shapes and file. Nothing was changed.
    """
    load_parts(model, parts_of(group, path), child(group, OWN, path), path, skip_mismatch, skip, new, check)


def load_parts(
    model: Any,
    parts: Parts,
    own: Any,
    path: Path,
    skip_mismatch: bool = False,
    skip: Collection[Any] = (),
    new: bool = False,
    check: Callable[[], None] | None = None,
) -> None:
    """Load datasets by place; see `read_state`.

    Args:
        model, path, skip_mismatch, skip, new, check: as there.
        parts: the datasets.
        own: the group of what Keras has no place for, or None.
    """
    loads: list[tuple[Any, Mapping[str, np.ndarray]]] = []
    problems: list[str] = []
    if new:
        scale_as_stored(model, parts)
    todays = list(saveables(model))
    unread = todays_places(parts, {place for place, _ in todays})
    left = {id(inner) for layer in skip for inner in layer._flatten_layers()}
    for place, part in todays:
        store: Any = Datasets(unread.pop(place, {}), path)
        if id(part) in left:
            continue
        if isinstance(part, Optimizer):
            store = todays_optimizer_state(store, part)
        found = _problems(part, place, store)
        if isinstance(part, Optimizer):
            if found and store:
                warnings.warn(f"the optimizer's state in {path} was not loaded: {found[0]}", stacklevel=4)
            elif store:
                loads.append((part, store))
        elif found:
            problems += found
        elif store or not _plain(part):
            loads.append((part, store))
    surplus = [place for place, datasets in unread.items() if datasets and not _expected_surplus(place)]
    more = f"{path} holds weights that model {model.name!r} has no layer for: {', '.join(surplus[:10])}"
    if problems and not skip_mismatch:
        raise ValueError(refusal(model, path, problems) + (f"\n{more}" if surplus else ""))
    report_skipped(model, path, problems)
    if surplus:
        warnings.warn(more, stacklevel=4)
    states = own_states(model, own, path)
    changes = [change for part, store in loads for change in _changes(part, store)]
    changes += [Change((variable,), partial(variable.assign, value)) for variable, value in states]
    wholly([*changes, *([Change((), check)] if check else [])], keep=not new)


def _changes(part: Any, store: Any) -> Iterator[Change]:
    """How a part of a model gets what a file holds for it: variable by variable, if it is loaded in the default way."""
    if _plain(part) and isinstance(store, Datasets):
        for number, variable in enumerate(variables_of(part)):
            yield Change.filling(variable, partial(store.read_into, str(number)))
    else:
        others = () if _plain(part) else part.weights
        yield Change([*variables_of(part), *others], partial(part.load_own_variables, store))


def refusal(model: Any, path: Path, problems: list[str]) -> str:
    """Why nothing was loaded, the first reasons."""
    listed = "\n  ".join(problems[:10]) + (f"\n  ... and {len(problems) - 10} more" if len(problems) > 10 else "")
    return f"{path} does not fit model {model.name!r}:\n  {listed}\nNothing was loaded."


def report_skipped(model: Any, path: Path, problems: list[str]) -> None:
    """Warn of everything that was not loaded, and why; nothing is said if all was."""
    if problems:
        listed = "\n  ".join(problems)
        message = f"{path} does not fit model {model.name!r} wholly; these layers keep their weights:\n  {listed}"
        warnings.warn(SkippedWeights(message, problems), stacklevel=5)


# -- checks ----------------------------------------------------------------------------------------------------------


def check_built(model: Any, done: str) -> None:
    """Raise ValueError if a model has no weights yet.

    Args:
        model: a model.
        done: what was to be done: ``"saved"`` or ``"loaded"``.
    """
    if not model.built:
        raise ValueError(
            f"the weights of model {model.name!r} cannot be {done}: it has none yet; call it on data, "
            "or build(input_shape), first"
        )


def _plain(part: Any) -> bool:
    """Whether a part is loaded in the default way, one dataset per variable, and can be checked before."""
    method = type(part).load_own_variables
    return method in (Holder.load_own_variables, Layer.load_own_variables, Optimizer.load_own_variables)


def checked_variables(model: Any) -> list[Any]:
    """The variables that `read_state` loads, or else refuses the file: those of parts that load in the default way."""
    return [v for _, part in saveables(model) if isinstance(part, Holder) and _plain(part) for v in variables_of(part)]


def variables_of(part: Any) -> list[Any]:
    """What a part of a model keeps itself, in the order in which it is saved."""
    return part.variables if isinstance(part, Optimizer) else part._own_variables()


def _problems(part: Any, place: str, store: Datasets) -> list[str]:
    """What does not fit between a part of the model and what the file holds for it."""
    if not _plain(part):
        return []
    mine = variables_of(part)
    who = f"{'optimizer' if isinstance(part, Optimizer) else 'layer'} {part.name!r} ({type(part).__name__})"
    if len(mine) != len(store):
        names = f" ({', '.join(v.name for v in mine)})" if mine and not isinstance(part, Optimizer) else ""
        return [f"{who} has {len(mine)} variables{names}, the file has {len(store)} at {place or '/'}"]
    found = []
    for index, variable in enumerate(mine):
        shape = store.shape(str(index))
        if shape is None:
            found.append(f"{who}: variable {variable.name!r} is missing in the file, at {place}/vars/{index}")
        elif tuple(variable.shape) != shape:
            found.append(f"{who}: variable {variable.name!r} has shape {tuple(variable.shape)}, the file has {shape}")
    return found


def _expected_surplus(place: str) -> bool:
    """Whether a group may be left alone without a word: an optimizer the model has not, states of random generators."""
    parts = place.split("/")
    return parts[0] in ("optimizer", "metrics", OWN) or "seed_generator" in place or parts[-1] == "generator"
