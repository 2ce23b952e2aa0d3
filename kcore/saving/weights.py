"""Weights of a model in a file: Keras 3's ``.weights.h5``, written whole or not at all, checked before it is loaded."""

from __future__ import annotations

import os
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
from kcore.utils.atomic import replacing


def save_weights(model: Any, filepath: str | os.PathLike[str], overwrite: bool = True) -> None:
    """Save a model's weights and its optimizer's state.

    The layout is Keras 3's: variables of a layer are the datasets ``<path>/vars/0``, ``1``, ... Keras loads the file
    and kcore loads Keras's. The file appears complete under its name or not at all: an interrupted save leaves an
    older file as it was.

    Args:
        model: a built model.
        filepath: ends in ``.weights.h5``.
        overwrite: whether a file that is there may be replaced.

    Raises:
        ValueError: another ending, or a model without weights yet.
        FileExistsError: the file is there and `overwrite` is False.

    Source: `keras.Model.save_weights`.
    """
    path = _checked_path(filepath)
    _check_built(model, "saved")
    if path.exists() and not overwrite:
        raise FileExistsError(f"{path} exists; pass overwrite=True to replace it")
    with replacing(path) as temporary:
        import h5py

        with h5py.File(temporary, "w") as file:
            for place, part in saveables(model):
                store: dict[str, Any] = {}
                part.save_own_variables(store)
                group = file.create_group(f"{place}/vars" if place else "vars")
                group.attrs["name"] = part.name
                for key, value in store.items():
                    _write(group, key, np.asarray(value))


def load_weights(model: Any, filepath: str | os.PathLike[str], skip_mismatch: bool = False) -> None:
    """Load weights that `save_weights`, or Keras, wrote.

    Every variable is looked up and its shape compared before the first one is changed.

    Args:
        model: a built model of the same layers.
        filepath: a ``.weights.h5`` file.
        skip_mismatch: leave layers that do not fit as they are, with a warning.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is not such a file, or does not fit the model; the message names layer, variable, shapes and
            file. Nothing was changed then.

    Source: `keras.Model.load_weights`.
    """
    path = _checked_path(filepath)
    _check_built(model, "loaded")
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}")
    loads: list[tuple[Any, dict[str, np.ndarray]]] = []
    problems: list[str] = []
    with _opened(path) as file:
        unread = dict(_groups(file))
        for place, part in saveables(model):
            store = {key: _read(dataset, path) for key, dataset in unread.pop(place, {}).items()}
            found = _problems(part, place, store)
            if isinstance(part, Optimizer):
                if found and store:
                    warnings.warn(f"the optimizer's state in {path} was not loaded: {found[0]}", stacklevel=3)
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
        warnings.warn(f"{message}\nThese layers keep their weights.", stacklevel=3)
    surplus = [place for place, datasets in unread.items() if datasets and not _expected_surplus(place)]
    if surplus:
        warnings.warn(
            f"{path} holds weights that model {model.name!r} has no layer for: {', '.join(surplus[:10])}", stacklevel=3
        )
    _commit(loads)


def _commit(loads: list[tuple[Any, dict[str, np.ndarray]]]) -> None:
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


def _checked_path(filepath: str | os.PathLike[str]) -> Path:
    if not str(os.fspath(filepath)).endswith(".weights.h5"):
        raise ValueError(f"a file of weights must be called <name>.weights.h5, received {os.fspath(filepath)!r}")
    return Path(filepath)


def _check_built(model: Any, done: str) -> None:
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
    return place.split("/")[0] in ("optimizer", "metrics") or "seed_generator" in place


# -- the file --------------------------------------------------------------------------------------------------------


def _write(group: Any, key: str, value: np.ndarray) -> None:
    dataset = group.create_dataset(key, data=value)
    if value.dtype.name == "bfloat16":
        dataset.attrs["dtype"] = "bfloat16"


def _read(dataset: Any, path: Path) -> np.ndarray:
    if dataset.external or dataset.is_virtual:
        raise ValueError(f"{path}: dataset {dataset.name} refers to another file, which is not followed")
    value = np.asarray(dataset[()])
    return value.astype(numpy_dtype("bfloat16")) if dataset.attrs.get("dtype") == "bfloat16" else value


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    import h5py

    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise ValueError(f"{path} is not a complete HDF5 file: {error}") from None
    with file:
        yield file


def _groups(group: Any, place: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every path with its datasets ``vars/0``, ``vars/1``, ..., links not followed."""
    import h5py

    for name in group:
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            raise ValueError(f"{group.file.filename}: {group.name}/{name} is a link, which is not followed")
        child = group[name]
        if not isinstance(child, h5py.Group):
            continue
        if name == "vars":
            yield place, {key: child[key] for key in child if isinstance(child.get(key, getlink=True), h5py.HardLink)}
        else:
            yield from _groups(child, f"{place}/{name}" if place else name)
