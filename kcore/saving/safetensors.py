"""Weights in a ``.safetensors`` file: the arrays alone, each under its variable's path."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from kcore import __version__
from kcore.dtypes import numpy_dtype
from kcore.extras import require
from kcore.runtime import Variable
from kcore.saving.changes import bytes_of, nbytes, wholly
from kcore.saving.state import refusal, report_skipped
from kcore.utils.atomic import replacing

#: What the format calls the dtypes.
DTYPES = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "BF16": "bfloat16",
    "I64": "int64",
    "I32": "int32",
    "I16": "int16",
    "I8": "int8",
    "U64": "uint64",
    "U32": "uint32",
    "U16": "uint16",
    "U8": "uint8",
    "BOOL": "bool",
}


def save(model: Any, path: Path) -> None:
    """Write a model's weights by their paths; their order goes into the file's metadata.

    Raises:
        ValueError: two weights have one path.
    """
    named = _named(model)
    kinds = {dtype: kind for kind, dtype in DTYPES.items()}
    order = json.dumps(list(named))
    described: dict[str, Any] = {"__metadata__": {"format": "keras", "kcore_version": __version__, "order": order}}
    end = 0
    for name, variable in named.items():
        start, end = end, end + nbytes(variable)
        kind, shape = kinds[str(variable.dtype)], list(variable.shape)
        described[name] = {"dtype": kind, "shape": shape, "data_offsets": [start, end]}
    header = json.dumps(described, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)  # the arrays begin at a multiple of 8
    with replacing(path) as temporary, temporary.open("wb") as file:
        file.write(struct.pack("<Q", len(header)) + header)
        for variable in named.values():  # one at a time, which the package cannot
            array = variable.numpy()
            file.write(bytes_of(array.astype(array.dtype.newbyteorder("<"), copy=False)))


def load(model: Any, path: Path, skip_mismatch: bool = False) -> None:
    """Load weights by their paths.

    Where no name in the file is one of the model's, and kcore wrote the file, they are taken in their order: names
    that were made up, such as ``dense_3``, differ from run to run.

    Args:
        model: a built model.
        path: the file.
        skip_mismatch: leave weights that do not fit as they are, with a warning that lists them.

    Raises:
        ValueError: it is damaged, or does not fit; nothing was changed then.
        MissingExtraError: the package safetensors is not installed.
    """
    mine = _named(model)
    with opened(path) as file:
        names = list(file.keys())
        order = _order(file, names)
        if not set(names) & set(mine) and order is not None and len(order) == len(mine):
            pairs = dict(zip(mine, order, strict=True))
        else:
            pairs = {name: name for name in mine if name in set(names)}
        problems = [f"weight {name!r} is not in the file" for name in mine if name not in pairs]
        problems += [f"the file has {name!r}, the model has not" for name in names if name not in set(pairs.values())]
        fitting = []
        for name, there in pairs.items():
            part, variable = file.get_slice(there), mine[name]
            shape, dtype = tuple(part.get_shape()), part.get_dtype()
            if shape != tuple(variable.shape):
                problems.append(f"weight {name!r} has shape {tuple(variable.shape)}, the file has {shape}")
            elif dtype not in DTYPES:
                problems.append(f"weight {name!r} is {dtype} in the file, which kcore does not have")
            else:
                fitting.append((variable, there))
        if problems and not skip_mismatch:
            raise ValueError(refusal(model, path, problems))
        report_skipped(model, path, problems)
        with wholly(variable for variable, _ in fitting):
            for variable, there in fitting:
                variable.assign(read(file, there, path))


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """A file of weights, open for reading.

    Raises:
        ValueError: it is none, or is cut off.
    """
    package = require("safetensors", "safetensors", f"reading {path.name}")
    try:  # not mapped into memory, where the system would count the file, and end the process if the disk fails
        opened = package.safe_open(str(path), framework="numpy", backend="pread")
    except package.SafetensorError as error:
        raise ValueError(f"{path} is not a complete .safetensors file: {error}") from None
    with opened as file:
        yield file


def read(file: Any, name: str, path: Path) -> np.ndarray:
    """One array of an open file.

    Raises:
        ValueError: it cannot be read.
    """
    package = require("safetensors", "safetensors", f"reading {path.name}")
    numpy_dtype("bfloat16")  # from here on NumPy knows it
    try:
        return file.get_tensor(name)
    except (package.SafetensorError, OSError) as error:
        raise ValueError(f"{path}: weight {name!r} cannot be read: {error}") from None


def _order(file: Any, names: list[str]) -> list[str] | None:
    """The order in which kcore wrote the arrays, if it did."""
    try:
        order = json.loads((file.metadata() or {}).get("order", "null"))
    except (ValueError, RecursionError):
        return None
    return order if isinstance(order, list) and sorted(map(str, order)) == sorted(names) else None


def _named(model: Any) -> dict[str, Variable]:
    """The weights of a model by their paths."""
    found: dict[str, Variable] = {}
    for variable in model.weights:
        name = variable.path or variable.name
        if name in found:
            raise ValueError(
                f"two weights of model {model.name!r} are called {name!r}, and a .safetensors file tells them apart by "
                "name: give their layers different names"
            )
        found[name] = variable
    return found
