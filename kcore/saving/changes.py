"""Variables that get new values wholly or not at all: what they held is put aside until all of it is done."""

from __future__ import annotations

import io
import math
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

import numpy as np

from kcore.dtypes import numpy_dtype
from kcore.runtime import Variable

#: Bytes of old values that are kept in memory; more of them go into a temporary file.
IN_MEMORY = 1 << 25


@contextmanager
def wholly(variables: Iterable[Variable]) -> Iterator[None]:
    """Context in which variables are given other values: if it ends with an error they get their old ones back.

    A model of gigabytes has no room beside itself in memory, so the old values go into a temporary file then, which
    lies where `tempfile` puts its files (`TMPDIR`) and has no name.

    Args:
        variables: all that may be changed; those of a model that nobody has yet need not be listed.

    Raises:
        OSError: there is no room for the old values; nothing was changed.

    Example:
        >>> import kcore
        >>> v = kcore.Variable([1.0, 2.0])
        >>> try:
        ...     with wholly([v]):
        ...         _ = v.assign([3.0, 4.0])
        ...         raise OSError("the disk fails")
        ... except OSError:
        ...     pass
        >>> v.numpy()
        array([1., 2.], dtype=float32)
    """
    listed = list({id(variable): variable for variable in variables}.values())
    size = sum(map(nbytes, listed))
    with _put_aside(listed, size) as old:
        try:
            yield
        except BaseException:
            old.seek(0)
            for variable in listed:
                value = np.empty(variable.shape, numpy_dtype(variable.dtype))
                old.readinto(bytes_of(value))  # type: ignore[attr-defined] # files opened in binary mode have it
                variable.assign(value)
            raise


def _put_aside(variables: list[Variable], size: int) -> BinaryIO:
    old: Any = None
    try:
        old = io.BytesIO() if size <= IN_MEMORY else tempfile.TemporaryFile()
        for variable in variables:
            old.write(bytes_of(variable.numpy()))
        old.flush()
        return old
    except OSError as error:
        if old is not None:
            old.close()
        raise OSError(
            f"the old weights, {size} bytes, cannot be put aside in {tempfile.gettempdir()} while new ones are loaded: "
            f"{error}; set TMPDIR to a folder with that much room"
        ) from error


def bytes_of(array: np.ndarray) -> memoryview:
    """The memory of a contiguous array; NumPy shows none of types that Python does not know."""
    return array.reshape(-1).view(np.uint8).data


def nbytes(value: Variable | np.ndarray) -> int:
    """The size of a variable or an array, in bytes."""
    return math.prod(value.shape) * numpy_dtype(str(value.dtype)).itemsize
