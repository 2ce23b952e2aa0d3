"""Whole models in files: which form a file has, and `save_model` and `load_model` for all of them."""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from kcore.registry import public
from kcore.saving.state import check_built
from kcore.saving.weights import check_free

#: Ending -> module with ``matches(path)``, ``save(model, path, include_optimizer, include_states)`` and
#: ``load(path, custom_objects, compile, safe_mode)``; the first that matches a file's content reads it.
FORMS = {
    ".keras": "kcore.saving.archive",
    ".h5": "kcore.saving.hdf5",
    ".hdf5": "kcore.saving.hdf5",
}


@public("keras.models", "save_model")
def save_model(
    model: Any,
    filepath: str | os.PathLike[str],
    overwrite: bool = True,
    zipped: bool | None = None,
    include_optimizer: bool = True,
    save_format: str | None = None,
    include_states: bool = False,
) -> None:
    """Save a model whole: architecture, weights, compile arguments, the optimizer's state.

    Training goes on from the loaded model as if it had never stopped. The file appears complete under its name or not
    at all: whatever interrupts, an older file stays as it was.

    Args:
        model: a built model.
        filepath: the ending chooses the form: ``.keras``, or ``.h5`` and ``.hdf5`` for that of Keras 2.
        overwrite: whether a file that is there may be replaced.
        zipped: accepted for Keras's sake: a ``.keras`` file is a zip archive.
        include_optimizer: whether compile arguments and the optimizer's state are saved.
        save_format: Keras 2's way to choose the form, ``"keras"`` or ``"h5"``; must agree with the ending.
        include_states: whether the states that stateful recurrent layers keep from batch to batch are saved, too.

    Raises:
        ValueError: an ending no form has, or a model without weights yet.
        FileExistsError: the file is there and `overwrite` is False.
        FileNotFoundError: there is no such folder.

    Example:
        >>> import kcore, tempfile
        >>> model = kcore.Sequential([kcore.Input((3,)), kcore.layers.Dense(2)])
        >>> path = tempfile.mkdtemp() + "/model.keras"
        >>> save_model(model, path)
        >>> bool((load_model(path).get_weights()[0] == model.get_weights()[0]).all())
        True

    Source: `keras.saving.save_model`.
    """
    path = Path(filepath)
    if path.suffix not in FORMS:
        raise ValueError(
            f"a saved model's name must end in {' or '.join(FORMS)}, received {os.fspath(filepath)!r}; for the weights "
            "alone use model.save_weights('<name>.weights.h5')"
        )
    if save_format is not None and f".{save_format.removeprefix('.')}" != path.suffix:
        raise ValueError(f"save_format={save_format!r} does not agree with the name {os.fspath(filepath)!r}")
    if zipped is False:
        raise ValueError("zipped=False: kcore saves .keras files as archives only")
    check_built(model, "saved")
    check_free(path, overwrite)
    _form(path.suffix).save(model, path, include_optimizer, include_states)


@public("keras.models", "load_model")
def load_model(
    filepath: str | os.PathLike[str],
    custom_objects: Mapping[str, Any] | None = None,
    compile: bool = True,
    safe_mode: bool = True,
) -> Any:
    """Load a model that `save_model`, or Keras, saved.

    The form is told by the content, not by the name. A file can describe a model and nothing else: no code in it is
    run, no module it names is imported, no other file is read.

    Args:
        filepath: the file.
        custom_objects: names in the file -> classes and functions of your own.
        compile: whether to compile the model as it was, and to load the optimizer's state.
        safe_mode: accepted for Keras's sake: kcore never runs code from a file, with either value.

    Returns:
        The model.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is not the file of a model, or is damaged; the message names the file and what is wrong.
        UnknownObjectError: a class or function that nobody registered.

    Source: `keras.saving.load_model`.
    """
    path = Path(filepath)
    if not path.is_file():
        what = "is a folder, not a file" if path.is_dir() else "is not there"
        raise FileNotFoundError(f"{path} {what}: no model to load")
    for suffix in FORMS:
        if _form(suffix).matches(path):
            return _form(suffix).load(path, custom_objects, compile, safe_mode)
    raise ValueError(f"{path} is not a saved model: its content is none of {', '.join(FORMS)}")


def _form(suffix: str) -> ModuleType:
    return importlib.import_module(FORMS[suffix])
