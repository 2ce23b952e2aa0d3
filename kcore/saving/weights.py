"""Weights of a model in a file, in every form: written whole or not at all, checked before they are loaded."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path
from typing import Any

from kcore.saving import archive, hdf5, safetensors, sharded
from kcore.saving.datasets import opened
from kcore.saving.state import check_built, read_state, write_state
from kcore.saving.window import created_at
from kcore.utils.atomic import replacing

#: Endings a file of weights may have, the longest first.
ENDINGS = (".weights.h5", ".weights.json", ".safetensors", ".h5", ".hdf5")


def save_weights(
    model: Any,
    filepath: str | os.PathLike[str],
    overwrite: bool = True,
    max_shard_size: float | None = None,
    include_states: bool = False,
) -> None:
    """Save a model's weights, in the form that the name's ending chooses.

    ``.weights.h5``
        Keras 3's: variables of a layer are the datasets ``<path>/vars/0``, ``1``, ... With the optimizer's state.
    ``.weights.json``
        the same in several files, each of `max_shard_size` at most, and a list of them, which is the file named.
    ``.h5``, ``.hdf5``
        Keras 2's: layer by layer, by name, without the optimizer's state.
    ``.safetensors``
        the weights by their paths (``"dense/kernel"``), without the optimizer's state; what other tools read.

    A file appears complete under its name or not at all: an interrupted save leaves an older one as it was.

    Args:
        model: a built model.
        filepath: the file.
        overwrite: whether a file that is there may be replaced.
        max_shard_size: in GiB, of a ``.weights.json``; 5 if None. With it, ``.weights.h5`` is ``.weights.json``.
        include_states: whether the states of stateful recurrent layers are saved, too; not in ``.safetensors``.

    Raises:
        ValueError: another ending, a model without weights yet, or a weight that is larger than a shard.
        FileExistsError: the file is there and `overwrite` is False.

    Source: `keras.Model.save_weights`.
    """
    path = Path(filepath)
    ending = _ending(path)
    if max_shard_size is not None:
        if ending not in (".weights.h5", ".weights.json"):
            raise ValueError(f"weights in shards must be called <name>.weights.json, received {os.fspath(filepath)!r}")
        path, ending = path.with_suffix(".json"), ".weights.json"
    check_built(model, "saved")
    check_free(path, overwrite)
    if ending == ".weights.json":
        sharded.save(model, path, 5 if max_shard_size is None else max_shard_size, include_states)
    elif ending == ".safetensors":
        if include_states:
            raise ValueError(f"{path}: include_states=True: a .safetensors file holds weights only")
        safetensors.save(model, path)
    elif ending in (".h5", ".hdf5"):
        hdf5.save_weights(model, path, include_states)
    else:
        with replacing(path) as temporary:
            with created_at(temporary) as file:
                write_state(model, file, include_states=include_states)


def load_weights(
    model: Any,
    filepath: str | os.PathLike[str],
    skip_mismatch: bool = False,
    by_name: bool = False,
    objects_to_skip: Collection[Any] | None = None,
) -> None:
    """Load weights that `save_weights`, or Keras of any version, wrote; or those of a whole model's file.

    The form is told by the content. Every variable is looked up and its shape compared before the first is changed, and
    if the disk fails later, all get back what they had.

    Args:
        model: a built model of the same layers.
        filepath: a file of weights (see `save_weights`), or a ``.keras`` or ``.h5`` file of a model.
        skip_mismatch: leave layers that do not fit as they are, with a warning that lists them all and why: a
            `kcore.saving.SkippedWeights`.
        by_name: give each layer the weights of the file's layer of its name, and leave the others alone; for
            ``.h5`` files of Keras 1 and 2, whose layers go by their order otherwise.
        objects_to_skip: layers that keep their weights; for ``.weights.h5``, ``.weights.json`` and ``.keras``.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it holds no weights, does not fit the model, or cannot be read to its end; the message names layer,
            variable, shapes and file. All weights are as they were then.
        OSError: there is no room for the old weights, which are put aside meanwhile.
        MissingExtraError: the package safetensors, which reads ``.safetensors``, is not installed.

    Example:
        >>> import kcore, tempfile, warnings
        >>> def build(units):
        ...     return kcore.Sequential([kcore.Input((3,)), kcore.layers.Dense(units, name="out")])
        >>> path = tempfile.mkdtemp() + "/a.weights.h5"
        >>> save_weights(build(2), path)
        >>> with warnings.catch_warnings(record=True) as caught:
        ...     load_weights(build(5), path, skip_mismatch=True)
        >>> caught[0].message.problems[0]
        "layer 'out' (Dense): variable 'kernel' has shape (3, 5), the file has (3, 2)"

    Source: `keras.Model.load_weights`.
    """
    path = Path(filepath)
    check_built(model, "loaded")
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}")
    skip = list(objects_to_skip or ())
    form = _form(path)
    if by_name and form != "keras 2":
        raise ValueError(f"{path}: by_name=True is for the .h5 files of Keras 1 and 2; this is one of {form}")
    if skip and form in ("keras 2", "safetensors"):
        raise ValueError(f"{path}: objects_to_skip is for the files of Keras 3; this is one of {form}")
    if form == "keras 2":
        hdf5.load_weights(model, path, by_name, skip_mismatch)
    elif form == "safetensors":
        safetensors.load(model, path, skip_mismatch)
    elif form == "shards":
        sharded.load(model, path, skip_mismatch, skip)
    elif form == "an archive":
        with archive.opened_weights(path) as (weights, check):
            read_state(model, weights, path, skip_mismatch, skip, check=check)
    else:
        with opened(path, path) as file:
            read_state(model, file, path, skip_mismatch, skip)


def _form(path: Path) -> str:
    """Which form a file's content has, in words."""
    if archive.matches(path):
        return "an archive"
    if hdf5.matches(path):
        return "keras 2" if hdf5.is_legacy(path) else "keras 3"
    with path.open("rb") as file:
        start = file.read(9)
    if start[:1] == b"{":
        return "shards"
    if start[8:9] == b"{" or path.suffix == ".safetensors":
        return "safetensors"
    if path.name.endswith(".h5"):
        return "keras 3"  # which says what is wrong with it
    raise ValueError(f"{path} holds no weights: its content is none of {', '.join((*ENDINGS, '.keras'))}")


def check_free(path: Path, overwrite: bool) -> None:
    """Raise FileExistsError if a file is there that must stay."""
    if path.exists() and not overwrite:
        raise FileExistsError(f"{path} exists; pass overwrite=True to replace it")


def _ending(path: Path) -> str:
    for ending in ENDINGS:
        if path.name.endswith(ending):
            return ending
    others = ", ".join(ENDINGS[1:])
    raise ValueError(f"a file of weights must be called <name>.weights.h5, or end in {others}; received {str(path)!r}")
