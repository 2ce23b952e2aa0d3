"""A model's state in an HDF5 group in Keras 3's layout: written whole, compared whole, and only then loaded."""

from __future__ import annotations

import math
import warnings
from collections.abc import Collection, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from kcore.dtypes import numpy_dtype
from kcore.layers import RNN, Layer
from kcore.layers.state import Holder
from kcore.optimizers import Optimizer
from kcore.runtime import Variable
from kcore.runtime.loading import Loading, loading
from kcore.saving.legacy.archives import todays_optimizer_state, todays_places
from kcore.saving.walk import saveables
from kcore.tree import flatten

#: Group for what Keras has no place for; Keras does not look at it.
OWN = "kcore"

#: A part of the model and the arrays it is to load.
Load = tuple[Any, Mapping[str, np.ndarray]]

#: Place in the model -> its datasets by key.
Parts = dict[str, dict[str, Any]]


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


def stores(model: Any, include_optimizer: bool = True) -> Iterator[tuple[str, Any, dict[str, np.ndarray]]]:
    """Every part of a model with its place and its arrays by key."""
    for place, part in saveables(model):
        if isinstance(part, Optimizer) and not include_optimizer:
            continue
        store: dict[str, Any] = {}
        part.save_own_variables(store)
        yield place, part, {key: np.asarray(value) for key, value in store.items()}


def read_state(model: Any, group: Any, path: Path, skip_mismatch: bool = False, skip: Collection[Any] = ()) -> None:
    """Load what `write_state`, or Keras, wrote.

    Every variable is looked up and its shape compared before the first one is changed.

    Args:
        model: a built model of the same layers.
        group: the open HDF5 group.
        path: the file it is in, for messages.
        skip_mismatch: leave layers that do not fit as they are, with a warning.
        skip: layers to leave alone.

    Raises:
        ValueError: it does not fit the model; the message names layer, variable, shapes and file. Nothing was changed.
    """
    load_parts(model, parts_of(group, path), child(group, OWN, path), path, skip_mismatch, skip)


def parts_of(group: Any, path: Path) -> Parts:
    """The datasets of every part that a group has state for; links are not followed."""
    return dict(_groups(group, path))


def load_parts(
    model: Any,
    parts: Parts,
    own: Any,
    path: Path,
    skip_mismatch: bool = False,
    skip: Collection[Any] = (),
) -> None:
    """Load datasets by place; see `read_state`.

    Args:
        model, path, skip_mismatch, skip: as there.
        parts: the datasets.
        own: the group of what Keras has no place for, or None.
    """
    loads: list[Load] = []
    problems: list[str] = []
    todays = list(saveables(model))
    unread = todays_places(parts, {place for place, _ in todays})
    left = {id(inner) for layer in skip for inner in layer._flatten_layers()}
    for place, part in todays:
        store = Datasets(unread.pop(place, {}), path)
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
            loads.append((part, store if _plain(part) else dict(store)))
    surplus = [place for place, datasets in unread.items() if datasets and not _expected_surplus(place)]
    more = f"{path} holds weights that model {model.name!r} has no layer for: {', '.join(surplus[:10])}"
    if problems and not skip_mismatch:
        raise ValueError(refusal(model, path, problems) + (f"\n{more}" if surplus else ""))
    report_skipped(model, path, problems)
    if surplus:
        warnings.warn(more, stacklevel=4)
    states = _own_states(model, own, path)
    commit(loads)
    for variable, value in states:
        variable.assign(value)


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


# -- what Keras has no place for ---------------------------------------------------------------------------------------


def write_own(model: Any, group: Any, include_optimizer: bool = True, include_states: bool = False) -> None:
    """Write the states of random generators, and those of stateful recurrent layers if wanted.

    Args:
        model: a built model.
        group: the group whose member `OWN` they go into; Keras, of any version, does not look there.
        include_optimizer: whether what Keras leaves out of the state of an optimizer is written.
        include_states: whether the states of stateful recurrent layers are written.
    """
    kinds = {"seed_generators": [generator.state for generator in seed_generators(model)]}
    if include_optimizer:
        kinds["optimizer_auxiliary"] = _auxiliary(model)
    if include_states:
        kinds["rnn_states"] = rnn_states(model)
    for kind, variables in kinds.items():
        if variables:
            states = group.require_group(OWN).create_group(kind)
            for number, variable in enumerate(variables):
                write_array(states, str(number), variable.numpy())


def read_own(model: Any, group: Any, path: Path) -> None:
    """Load what `write_own` wrote, if it is there."""
    for variable, value in _own_states(model, child(group, OWN, path), path):
        variable.assign(value)


def seed_generators(model: Any) -> list[Any]:
    """The random generators of a model and its layers, each once, in the order in which they are saved."""
    found = [
        generator for _, part in saveables(model) if isinstance(part, Holder) for generator in part._seed_generators
    ]
    return list({id(generator): generator for generator in found}.values())


def rnn_states(model: Any) -> list[Variable]:
    """The states that stateful recurrent layers keep from batch to batch."""
    layers = [part for _, part in saveables(model) if isinstance(part, RNN) and part.states is not None]
    return [state for layer in layers for state in flatten(layer.states)]


def _auxiliary(model: Any) -> list[Variable]:
    """State of optimizers that is not among their `variables`: Nadam's product of momenta within a loss scaler."""
    optimizers = [part for _, part in saveables(model) if isinstance(part, Optimizer)]
    inner = [getattr(optimizer, "inner_optimizer", None) for optimizer in optimizers]
    found = {id(part): part for part in (*optimizers, *inner) if part is not None}
    return [variable for part in found.values() for variable in part._hidden]


def _own_states(model: Any, own: Any, path: Path) -> list[tuple[Variable, np.ndarray]]:
    """Where random generators and recurrent layers stood, if the file says so and the model has as many."""
    if own is None:
        return []
    found: list[tuple[Variable, np.ndarray]] = []
    for kind, what, variables in (
        ("seed_generators", "random generators", [generator.state for generator in seed_generators(model)]),
        ("rnn_states", "stateful recurrent layers", rnn_states(model)),
        ("optimizer_auxiliary", "the optimizer", _auxiliary(model)),
    ):
        group = child(own, kind, path)
        if group is None:
            continue
        datasets = [child(group, str(i), path) for i in range(len(group))]
        arrays = [read_array(dataset, path) for dataset in datasets if dataset is not None]
        shapes = [(tuple(variable.shape), str(variable.dtype)) for variable in variables]
        if [(array.shape, array.dtype.name) for array in arrays] == shapes:
            found += zip(variables, arrays, strict=True)
        else:
            warnings.warn(
                f"{path} holds {len(arrays)} states of {what}, which are not those that model {model.name!r} has "
                f"({len(variables)}): they were not loaded",
                stacklevel=5,
            )
    return found


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


def checked_variables(model: Any) -> list[Any]:
    """The variables that `read_state` loads, or else refuses the file: those of parts that load in the default way."""
    return [v for _, part in saveables(model) if isinstance(part, Holder) and _plain(part) for v in _variables(part)]


def _variables(part: Any) -> list[Any]:
    return part.variables if isinstance(part, Optimizer) else part._own_variables()


def _problems(part: Any, place: str, store: Datasets) -> list[str]:
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
        shape = store.shape(str(index))
        if shape is None:
            found.append(f"{who}: variable {variable.name!r} is missing in the file, at {place}/vars/{index}")
        elif tuple(variable.shape) != shape:
            found.append(f"{who}: variable {variable.name!r} has shape {tuple(variable.shape)}, the file has {shape}")
    return found


def _expected_surplus(place: str) -> bool:
    """Whether a group may be left alone without a word: an optimizer the model has not, states of random generators."""
    return place.split("/")[0] in ("optimizer", "metrics", OWN) or "seed_generator" in place


# -- HDF5 ------------------------------------------------------------------------------------------------------------


def write_array(group: Any, key: str, value: np.ndarray) -> None:
    """Write one dataset; bfloat16, which HDF5 does not have, as Keras does."""
    dataset = group.create_dataset(key, data=value)
    if value.dtype.name == "bfloat16":
        dataset.attrs["dtype"] = "bfloat16"


class Datasets(Mapping[str, np.ndarray]):
    """Datasets by key, checked when this is made, each read when it is asked for, so that never two are in memory.

    Args:
        datasets: the datasets.
        path: their file, for messages.
    """

    def __init__(self, datasets: Mapping[str, Any], path: Path):
        for dataset in datasets.values():
            check_array(dataset, path)
        self._datasets, self._path = datasets, path

    def __getitem__(self, key: str) -> np.ndarray:
        return read_array(self._datasets[key], self._path, checked=True)

    def __iter__(self) -> Iterator[str]:
        return iter(self._datasets)

    def __len__(self) -> int:
        return len(self._datasets)

    def shape(self, key: str) -> tuple[int, ...] | None:
        """The shape of a dataset, None if there is none of that key."""
        return tuple(self._datasets[key].shape) if key in self._datasets else None


def check_array(dataset: Any, path: Path) -> None:
    """Raise if a dataset cannot be read, or would read another file or declares more than is stored.

    Raises:
        ValueError: what is wrong with it.
    """
    import h5py

    if not isinstance(dataset, h5py.Dataset):
        raise ValueError(f"{path}: {getattr(dataset, 'name', 'an array it lists')} is not a dataset")
    if dataset.external or dataset.is_virtual:
        raise ValueError(f"{path}: dataset {dataset.name} refers to another file, which is not followed")
    if dataset.dtype.kind not in "biufc" and dataset.attrs.get("dtype") != "bfloat16":
        raise ValueError(f"{path}: dataset {dataset.name} holds no numbers but {dataset.dtype}")
    stored = dataset.id.get_storage_size()
    if dataset.nbytes > max(MOST_EXPANSION * stored, 1 << 16):
        raise ValueError(
            f"{path}: dataset {dataset.name} declares {dataset.nbytes} bytes (shape {dataset.shape}, {dataset.dtype}), "
            f"but only {stored} are stored"
        )
    piece = math.prod(dataset.chunks or ()) * dataset.dtype.itemsize
    if piece > max(dataset.nbytes, MOST_EXPANSION * stored, 1 << 20):
        raise ValueError(f"{path}: dataset {dataset.name} of {dataset.nbytes} bytes is in pieces of {piece} bytes")
    offset = dataset.id.get_offset()
    if offset is None:  # in pieces, which may be packed: reading is the only way to know that it can be read
        read_array(dataset, path, checked=True)
    elif offset + dataset.nbytes > dataset.file.id.get_filesize():
        raise ValueError(f"{path}: dataset {dataset.name} is damaged: it would lie behind the end of the file")


def read_array(dataset: Any, path: Path, checked: bool = False) -> np.ndarray:
    """The array of a dataset that is stored in the file itself.

    Raises:
        ValueError: the dataset is kept in another file, or declares more than the file can hold.
    """
    if not checked:
        check_array(dataset, path)
    try:
        value = np.asarray(dataset[()])
    except (OSError, KeyError, ValueError) as error:
        raise ValueError(f"{path}: dataset {dataset.name} is damaged: {error}") from None
    if dataset.attrs.get("dtype") == "bfloat16":
        # Keras writes the two bytes as they are, without a type
        return value.view(numpy_dtype("bfloat16")) if value.dtype.kind == "V" else value.astype(numpy_dtype("bfloat16"))
    return value


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
    try:
        with file:
            yield file
    except Exception as error:
        if _from_hdf5(error):
            raise ValueError(f"{path} is damaged: {type(error).__name__}: {error}") from None
        raise


def _from_hdf5(error: Exception) -> bool:
    """Whether an error, of whatever kind, was raised by HDF5's own code, and not by a model's."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return trace is not None and "h5py" in Path(trace.tb_frame.f_code.co_filename).parts


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


def _groups(
    group: Any, path: Path, place: str = "", seen: set[Any] | None = None
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every path with its datasets ``vars/0``, ``vars/1``, ..., links not followed."""
    import h5py

    seen = {group.id} if seen is None else seen
    if place.count("/") > DEEPEST:
        raise ValueError(f"{path}: its groups are nested too deeply to be those of a model")
    for name in group:
        inner = child(group, name, path)
        if not isinstance(inner, h5py.Group) or (not place and name == OWN):
            continue
        if inner.id in seen:
            raise ValueError(f"{path}: the group {group.name}/{name} is in the file a second time, or holds itself")
        seen.add(inner.id)
        if name == "vars":
            yield place, {key: child(inner, key, path) for key in inner}
        else:
            yield from _groups(inner, path, f"{place}/{name}" if place else name, seen)


#: No model has layers within layers to a greater depth.
DEEPEST = 100


def capacity(group: Any, path: Path) -> int:
    """How many elements a model may have whose weights a group holds, with what an optimizer and layers add to them.

    Args:
        group: an open HDF5 group.
        path: the file it is in.

    Raises:
        ValueError: the group cannot be read.
    """
    import h5py

    stored = 0

    def count(_: str, item: Any) -> None:
        nonlocal stored
        if isinstance(item, h5py.Dataset) and item.shape is not None:
            stored += min(item.size, max(MOST_EXPANSION * item.id.get_storage_size(), 1 << 16))

    try:
        group.visititems(count)
    except (OSError, RuntimeError, KeyError, ValueError, TypeError) as error:
        raise ValueError(f"{path} is damaged: {error}") from None
    return 8 * min(stored, MOST_EXPANSION * path.stat().st_size) + (1 << 24)


def making(group: Any, path: Path) -> AbstractContextManager[Loading]:
    """Context in which a model is made for the weights of a group: it may be no larger than these can fill."""
    return loading(capacity(group, path), f"more than {path} can fill with the weights it holds")
