"""Weights in a ``.safetensors`` file: the arrays alone, each under its variable's path."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from kcore import __version__
from kcore.dtypes import numpy_dtype
from kcore.extras import require
from kcore.runtime import Variable
from kcore.saving.changes import Change, bytes_of, nbytes, wholly
from kcore.saving.state import refusal, report_skipped
from kcore.saving.window import read_whole
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
            array = variable.held()
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
    with opened(path) as stored:
        order = _order(stored)
        if not set(stored.arrays) & set(mine) and order is not None and len(order) == len(mine):
            pairs = dict(zip(mine, order, strict=True))
        else:
            pairs = {name: name for name in mine if name in stored.arrays}
        surplus = stored.arrays.keys() - set(pairs.values())
        problems = [f"weight {name!r} is not in the file" for name in mine if name not in pairs]
        problems += [f"the file has {name!r}, the model has not" for name in stored.arrays if name in surplus]
        changes = []
        for name, there in pairs.items():
            array, variable = stored.arrays[there], mine[name]
            if array.shape != tuple(variable.shape):
                problems.append(f"weight {name!r} has shape {tuple(variable.shape)}, the file has {array.shape}")
            elif array.dtype not in DTYPES:
                problems.append(f"weight {name!r} is {array.dtype} in the file, which kcore does not have")
            else:
                changes.append(Change.filling(variable, array.read_into))
        if problems and not skip_mismatch:
            raise ValueError(refusal(model, path, problems))
        report_skipped(model, path, problems)
        wholly(changes)


class StoredArray:
    """An array in an open file.

    Args:
        file: the file, unbuffered.
        path: its path, for messages.
        name: the array's name.
        dtype: the format's word for its dtype.
        shape: its shape.
        start: where in the file it begins.
    """

    def __init__(self, file: BinaryIO, path: Path, name: str, dtype: str, shape: tuple[int, ...], start: int):
        self._file, self._path, self._name, self._start = file, path, name, start
        self.dtype, self.shape = dtype, shape

    def read(self) -> np.ndarray:
        """The array, of a dtype in `DTYPES`.

        Raises:
            ValueError: it cannot be read.
        """
        out = np.empty(self.shape, numpy_dtype(DTYPES[self.dtype]).newbyteorder("<"))
        self.read_into(out)
        return out

    def read_into(self, out: np.ndarray) -> None:
        """Read it into an array of its shape, straight into the memory where the dtype agrees.

        Raises:
            ValueError: it cannot be read; what `out` holds is undefined then.
        """
        if out.dtype != numpy_dtype(DTYPES[self.dtype]).newbyteorder("<"):
            np.copyto(out, self.read(), casting="unsafe")
            return
        try:
            self._file.seek(self._start)
            read_whole(self._file, bytes_of(out))
        except OSError as error:
            raise ValueError(f"{self._path}: weight {self._name!r} cannot be read: {error}") from None


class Stored(NamedTuple):
    """What an open file holds.

    Attributes:
        arrays: by name.
        metadata: what the writer said of them.
    """

    arrays: dict[str, StoredArray]
    metadata: dict[str, str]


@contextmanager
def opened(path: Path) -> Iterator[Stored]:
    """A file of weights, open for reading.

    The package checks the list at the file's begin: every byte behind it belongs to one array, which has as many as
    its shape and dtype say. The arrays themselves it gives as copies of copies; they are read here.

    Raises:
        ValueError: it is none, or is cut off.
        MissingExtraError: the package is not installed.
    """
    package = require("safetensors", "safetensors", f"reading {path.name}")
    try:  # not mapped into memory, where the system would count the file, and end the process if the disk fails
        with package.safe_open(str(path), framework="numpy", backend="pread"), path.open("rb", buffering=0) as file:
            size = int.from_bytes(file.read(8), "little")
            header = bytearray(size)
            read_whole(file, memoryview(header))
            listed = json.loads(header)
            metadata = listed.pop("__metadata__", {})
            arrays = {}
            for name, one in listed.items():
                start = 8 + size + one["data_offsets"][0]
                arrays[name] = StoredArray(file, path, name, one["dtype"], tuple(one["shape"]), start)
            yield Stored(arrays, metadata)
    except package.SafetensorError as error:
        raise ValueError(f"{path} is not a complete .safetensors file: {error}") from None


def _order(stored: Stored) -> list[str] | None:
    """The order in which kcore wrote the arrays, if it did."""
    try:
        order = json.loads(stored.metadata.get("order", "null"))
    except (ValueError, RecursionError):
        return None
    return order if isinstance(order, list) and sorted(map(str, order)) == sorted(stored.arrays) else None


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
