"""Keras 3's sharded weights: several HDF5 files, and a JSON file that says which holds what."""

from __future__ import annotations

import json
import os
from collections.abc import Collection
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from kcore.saving.changes import nbytes
from kcore.saving.datasets import OWN, Parts, child, opened, parts_of, write_array
from kcore.saving.own import write_own
from kcore.saving.state import load_parts, stores
from kcore.saving.texts import parsed
from kcore.saving.window import created_at
from kcore.utils.atomic import replacing

#: No list of shards is larger than that, in bytes.
LARGEST_LIST = 1 << 26


def save(model: Any, path: Path, max_shard_size: float, include_states: bool = False) -> None:
    """Write a model's weights and its optimizer's state into files of limited size.

    The shards get names that no file has, and those of an older save are removed when the new list is in place: at
    any time the list names files that belong together.

    Args:
        model: a built model.
        path: the list, ``<name>.weights.json``.
        max_shard_size: in GiB.
        include_states: whether the states of stateful recurrent layers are saved, too.

    Raises:
        ValueError: one weight is larger than a shard, or the size is not positive.
    """
    limit = float(max_shard_size) * 1024**3
    if not limit > 0:
        raise ValueError(f"max_shard_size must be a positive number of GiB, received {max_shard_size!r}")
    shards, total = _dealt(model, limit)
    older = _shards_of(path) if path.is_file() else []
    names = _free_names(path, len(shards))
    weight_map: dict[str, Any] = {}
    made: list[Path] = []
    try:
        for number, (name, arrays) in enumerate(zip(names, shards, strict=True)):
            made.append(path.with_name(name))
            with replacing(made[-1]) as temporary:
                _write(temporary, arrays, model if number == 0 else None, include_states)
            for place, _, _, _ in arrays:
                files = weight_map.setdefault(place, [])
                files += [] if name in files else [name]
        single = {place: files[0] if len(files) == 1 else files for place, files in weight_map.items()}
        text = json.dumps({"metadata": {"total_size": total}, "weight_map": single}, indent=4)
        with replacing(path) as temporary:
            temporary.write_text(text)
    except BaseException:
        listed = _shards_of(path) if path.is_file() else []  # if the new list is in place already, they stay
        for file in made:
            if file.name not in listed:
                file.unlink(missing_ok=True)
        raise
    for name in set(older) - set(names):
        path.with_name(name).unlink(missing_ok=True)


#: Place in the file, name of the part, key, array.
Entry = tuple[str, str, str, Any]


def _dealt(model: Any, limit: float) -> tuple[list[list[Entry]], int]:
    """The arrays of a model, in order, in as many lists as there are shards; and their size in bytes."""
    shards: list[list[Entry]] = [[]]
    size = total = 0
    for place, part, store in stores(model):
        for key, value in store.items():
            taken = nbytes(value)
            if taken > limit:
                raise ValueError(
                    f"{part.name!r} ({type(part).__name__}) has a weight of {taken} bytes, shape {value.shape}, "
                    f"which is more than the max_shard_size of {limit:.0f} bytes"
                )
            if size + taken > limit:
                shards.append([])
                size = 0
            shards[-1].append((f"/{place}/vars" if place else "/vars", part.name, key, value))
            size += taken
            total += taken
    return shards, total


def _write(path: Path, arrays: list[Entry], model: Any, include_states: bool) -> None:
    with created_at(path) as file:
        for place, name, key, value in arrays:
            group = file.require_group(place)
            group.attrs["name"] = name
            write_array(group, key, value)
        if model is not None:
            write_own(model, file, include_states=include_states)


def _free_names(path: Path, count: int) -> list[str]:
    """Names as Keras gives them; where those are taken, with a number."""
    base, generation = path.stem.replace(".weights", ""), 1
    while True:
        stem = base if generation == 1 else f"{base}-{generation}"
        names = [f"{stem}_{number:05}.weights.h5" for number in range(count)]
        if not any(path.with_name(name).exists() for name in names):
            return names
        generation += 1


def load(model: Any, path: Path, skip_mismatch: bool = False, skip: Collection[Any] = ()) -> None:
    """Load the weights of all shards; see `kcore.saving.state.read_state`.

    Raises:
        ValueError: the list cannot be read, names a file elsewhere or one that is missing, or the weights do not fit.
    """
    with ExitStack() as stack:
        parts, own = parts_of_shards(path, stack)
        load_parts(model, parts, own, path, skip_mismatch, skip)


def parts_of_shards(path: Path, stack: ExitStack) -> tuple[Parts, Any]:
    """The datasets of all shards, which stay open as long as the stack, and the group of what Keras has no place for.

    Raises:
        ValueError: the list cannot be read, names a file elsewhere or one that is missing, or two shards clash.
    """
    parts: Parts = {}
    own = None
    for name in _shards_of(path):
        shard = path.with_name(name)
        if not shard.is_file():
            raise ValueError(f"{path} is not complete: there is no shard {shard}")
        file = stack.enter_context(opened(shard, shard))
        own = child(file, OWN, shard) if own is None else own
        for place, datasets in parts_of(file, shard).items():
            mine = parts.setdefault(place, {})
            if twice := sorted(mine.keys() & datasets):
                raise ValueError(f"{path}: two of its shards hold {place}/vars/{twice[0]}")
            mine.update(datasets)
    return parts, own


def read_list(path: Path) -> dict[str, Any]:
    """The list of shards as it is in the file.

    Raises:
        ValueError: it is none.
    """
    if os.path.getsize(path) > LARGEST_LIST:
        raise ValueError(f"{path} is {os.path.getsize(path)} bytes long, which no list of shards is")
    try:
        listed = parsed(path.read_text())
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is no readable list of shards: {error}") from None
    if not isinstance(listed, dict) or not isinstance(listed.get("weight_map"), dict):
        raise ValueError(f"{path} is no list of shards: it has no weight_map")
    return listed


def _shards_of(path: Path) -> list[str]:
    """The names of the shards that a list has, each once."""
    names: dict[str, None] = {}
    for files in read_list(path)["weight_map"].values():
        for name in files if isinstance(files, list) else [files]:
            if not isinstance(name, str) or name in ("", ".", "..") or "/" in name or "\\" in name or "\0" in name:
                raise ValueError(f"{path} names the shard {name!r}, which is not a file beside it")
            names[name] = None
    return list(names)
