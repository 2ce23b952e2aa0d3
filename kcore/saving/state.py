"""A model's state in an HDF5 group in Keras 3's layout: written whole, compared whole, and only then loaded."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from kcore.dtypes import numpy_dtype
from kcore.layers import Layer
from kcore.layers.state import Holder
from kcore.optimizers import Optimizer
from kcore.saving.walk import saveables

#: Group for what Keras has no place for; Keras does not look at it.
OWN = "kcore"

#: A part of the model and the arrays it is to load.
Load = tuple[Any, dict[str, np.ndarray]]


def write_state(model: Any, group: Any, include_optimizer: bool = True) -> None:
    """Write all weights, the optimizer's state and the states of random generators.

    Variables of a layer are the datasets ``<path>/vars/0``, ``1``, ...

    Args:
        model: a built model.
        group: an open, empty HDF5 group.
        include_optimizer: whether the optimizer's state is written.
    """
    for place, part in saveables(model):
        if isinstance(part, Optimizer) and not include_optimizer:
            continue
        store: dict[str, Any] = {}
        part.save_own_variables(store)
        inner = group.create_group(f"{place}/vars" if place else "vars")
        inner.attrs["name"] = part.name
        for key, value in store.items():
            _write(inner, key, np.asarray(value))
    generators = seed_generators(model)
    if generators:
        states = group.create_group(f"{OWN}/seed_generators")
        for number, generator in enumerate(generators):
            _write(states, str(number), generator.state.numpy())


def read_state(model: Any, group: Any, path: Path, skip_mismatch: bool = False) -> None:
    """Load what `write_state`, or Keras, wrote.

    Every variable is looked up and its shape compared before the first one is changed.

    Args:
        model: a built model of the same layers.
        group: the open HDF5 group.
        path: the file it is in, for messages.
        skip_mismatch: leave layers that do not fit as they are, with a warning.

    Raises:
        ValueError: it does not fit the model; the message names layer, variable, shapes and file. Nothing was changed.
    """
    loads: list[Load] = []
    problems: list[str] = []
    unread = dict(_groups(group))
    for place, part in saveables(model):
        store = {key: read_array(dataset, path) for key, dataset in unread.pop(place, {}).items()}
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
    if problems:
        listed = "\n  ".join(problems[:10]) + ("\n  ..." if len(problems) > 10 else "")
        message = f"{path} does not fit model {model.name!r}:\n  {listed}"
        if not skip_mismatch:
            raise ValueError(f"{message}\nNothing was loaded.")
        warnings.warn(f"{message}\nThese layers keep their weights.", stacklevel=4)
    surplus = [place for place, datasets in unread.items() if datasets and not _expected_surplus(place)]
    if surplus:
        warnings.warn(
            f"{path} holds weights that model {model.name!r} has no layer for: {', '.join(surplus[:10])}", stacklevel=4
        )
    states = _generator_states(model, group, path)
    commit(loads)
    for generator, state in states:
        generator.state.assign(state)


def seed_generators(model: Any) -> list[Any]:
    """The random generators of a model and its layers, each once, in the order in which they are saved."""
    found = [
        generator for _, part in saveables(model) if isinstance(part, Holder) for generator in part._seed_generators
    ]
    return list({id(generator): generator for generator in found}.values())


def _generator_states(model: Any, group: Any, path: Path) -> list[tuple[Any, np.ndarray]]:
    """Where the random generators stood, if the file says so and the model has as many."""
    own = child(group, OWN, path)
    states = None if own is None else child(own, "seed_generators", path)
    if states is None:
        return []
    generators = seed_generators(model)
    arrays = [read_array(states[str(i)], path) for i in range(len(states)) if str(i) in states]
    if len(arrays) != len(generators) or any(a.shape != (2,) or a.dtype != np.uint32 for a in arrays):
        warnings.warn(
            f"{path} holds the states of {len(states)} random generators, model {model.name!r} has {len(generators)}: "
            "they were not loaded",
            stacklevel=5,
        )
        return []
    return list(zip(generators, arrays, strict=True))


def commit(loads: list[Load]) -> None:
    """Load the checked parts; if a class's own loading fails after all, what was changed is changed back."""
    changed: list[tuple[Any, np.ndarray]] = []
    guarded = any(not _plain(part) for part, _ in loads)
    try:
        for part, store in loads:
            if guarded:
                changed += [(variable, variable.numpy()) for variable in _variables(part)]
            part.load_own_variables(store)
    except BaseException:
        for variable, value in changed:
            variable.assign(value)
        raise


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


def _variables(part: Any) -> list[Any]:
    return part.variables if isinstance(part, Optimizer) else part._own_variables()


def _problems(part: Any, place: str, store: Mapping[str, np.ndarray]) -> list[str]:
    """What does not fit between a part of the model and what the file holds for it."""
    if not _plain(part):
        return []
    mine = _variables(part)
    who = f"{'optimizer' if isinstance(part, Optimizer) else 'layer'} {part.name!r} ({type(part).__name__})"
    if len(mine) != len(store):
        names = f" ({', '.join(v.name for v in mine)})" if mine and not isinstance(part, Optimizer) else ""
        return [f"{who} has {len(mine)} variables{names}, the file has {len(store)} at {place or '/'}"]
    found = []
    for index, variable in enumerate(mine):
        value = store.get(str(index))
        if value is None:
            found.append(f"{who}: variable {variable.name!r} is missing in the file, at {place}/vars/{index}")
        elif tuple(variable.shape) != value.shape:
            found.append(
                f"{who}: variable {variable.name!r} has shape {tuple(variable.shape)}, the file has {value.shape}"
            )
    return found


def _expected_surplus(place: str) -> bool:
    """Whether a group may be left alone without a word: an optimizer the model has not, states of random generators."""
    return place.split("/")[0] in ("optimizer", "metrics", OWN) or "seed_generator" in place


# -- HDF5 ------------------------------------------------------------------------------------------------------------


def _write(group: Any, key: str, value: np.ndarray) -> None:
    dataset = group.create_dataset(key, data=value)
    if value.dtype.name == "bfloat16":
        dataset.attrs["dtype"] = "bfloat16"


def read_array(dataset: Any, path: Path) -> np.ndarray:
    """The array of a dataset that is stored in the file itself.

    Raises:
        ValueError: the dataset is kept in another file, or declares more than the file can hold.
    """
    import h5py

    if not isinstance(dataset, h5py.Dataset):
        raise ValueError(f"{path}: {dataset.name} is not a dataset")
    if dataset.external or dataset.is_virtual:
        raise ValueError(f"{path}: dataset {dataset.name} refers to another file, which is not followed")
    stored = dataset.id.get_storage_size()
    if dataset.nbytes > max(MOST_EXPANSION * stored, 1 << 16):
        raise ValueError(
            f"{path}: dataset {dataset.name} declares {dataset.nbytes} bytes (shape {dataset.shape}, {dataset.dtype}), "
            f"but only {stored} are stored"
        )
    try:
        value = np.asarray(dataset[()])
    except (OSError, KeyError, ValueError) as error:
        raise ValueError(f"{path}: dataset {dataset.name} is damaged: {error}") from None
    return value.astype(numpy_dtype("bfloat16")) if dataset.attrs.get("dtype") == "bfloat16" else value


#: How many bytes one stored byte can stand for: deflate reaches 1032.
MOST_EXPANSION = 1100


@contextmanager
def opened(source: Any, path: Path) -> Iterator[Any]:
    """An HDF5 file opened for reading.

    Args:
        source: path or file object.
        path: the path, for messages.

    Raises:
        ValueError: it is not an HDF5 file, or is cut off.
    """
    import h5py

    try:
        file = h5py.File(source, "r")
    except OSError as error:
        raise ValueError(f"{path} is not a complete HDF5 file: {error}") from None
    with file:
        yield file


def child(group: Any, name: str, path: Path) -> Any:
    """A group or dataset by name, None if there is none.

    Raises:
        ValueError: the name is a link to somewhere else.
    """
    import h5py

    link = group.get(name, getlink=True)
    if link is None:
        return None
    if not isinstance(link, h5py.HardLink):
        raise ValueError(f"{path}: {group.name.rstrip('/')}/{name} is a link, which is not followed")
    return group[name]


def _groups(group: Any, place: str = "", around: tuple[Any, ...] = ()) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every path with its datasets ``vars/0``, ``vars/1``, ..., links not followed."""
    import h5py

    path = Path(group.file.filename)
    for name in group:
        inner = child(group, name, path)
        if not isinstance(inner, h5py.Group) or (not place and name == OWN):
            continue
        if inner.id in around:
            raise ValueError(f"{path}: the group {group.name}/{name} holds itself")
        if name == "vars":
            yield place, {key: child(inner, key, path) for key in inner}
        else:
            yield from _groups(inner, f"{place}/{name}" if place else name, (*around, inner.id))
