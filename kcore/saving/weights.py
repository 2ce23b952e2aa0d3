"""Weights of a model in a file: Keras 3's ``.weights.h5``, written whole or not at all, checked before it is loaded."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from kcore.saving.state import check_built, opened, read_state, write_state
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
    check_built(model, "saved")
    check_free(path, overwrite)
    with replacing(path) as temporary:
        import h5py

        with h5py.File(temporary, "w") as file:
            write_state(model, file)


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
    check_built(model, "loaded")
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}")
    with opened(path, path) as file:
        read_state(model, file, path, skip_mismatch)


def check_free(path: Path, overwrite: bool) -> None:
    """Raise FileExistsError if a file is there that must stay."""
    if path.exists() and not overwrite:
        raise FileExistsError(f"{path} exists; pass overwrite=True to replace it")


def _checked_path(filepath: str | os.PathLike[str]) -> Path:
    if not str(os.fspath(filepath)).endswith(".weights.h5"):
        raise ValueError(f"a file of weights must be called <name>.weights.h5, received {os.fspath(filepath)!r}")
    return Path(filepath)
