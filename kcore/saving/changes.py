"""Variables that get new values wholly or not at all: what they held is put aside until all of it is done."""

from __future__ import annotations

import io
import math
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from kcore.dtypes import numpy_dtype
from kcore.runtime import Variable
from kcore.saving.window import read_whole

#: Bytes of old values that are kept in memory; more of them go into a temporary file.
IN_MEMORY = 1 << 25

#: Bytes of old values that are put aside ahead of the change that waits for them; copies, where a device holds them.
AHEAD = 1 << 26


class Change(NamedTuple):
    """A step of a change of many variables.

    Attributes:
        variables: all that it changes; none for a check, which raises where the steps before it must not stand.
        make: changes them.
    """

    variables: Sequence[Variable]
    make: Callable[[], Any]

    @classmethod
    def filling(cls, variable: Variable, into: Callable[[np.ndarray], None]) -> Change:
        """A variable gets what a function writes, straight into its memory where the host can reach that."""
        return cls((variable,), lambda: variable.fill(into))


def wholly(changes: Sequence[Change], keep: bool = True) -> None:
    """Make changes in their order; if one of them fails, all variables get back what they held.

    A model of gigabytes has no room beside itself in memory, so the old values go into a temporary file then, which
    lies where `tempfile` puts its files (`TMPDIR`) and has no name. It is written beside the changes, each of which
    begins when what it overwrites is in there.

    Args:
        changes: the steps.
        keep: whether there is anything to give back; not so for the variables of a model that nobody has yet.

    Raises:
        OSError: there is no room for the old values; all variables are as they were.

    Example:
        >>> import kcore
        >>> v, w = kcore.Variable([1.0, 2.0]), kcore.Variable(0.0)
        >>> try:
        ...     wholly([Change([v], lambda: v.assign([3.0, 4.0])), Change([w], lambda: w.assign(1 / 0))])
        ... except ZeroDivisionError:
        ...     v.numpy()
        array([1., 2.], dtype=float32)
    """
    if not keep:
        for change in changes:
            change.make()
        return
    begun: list[Variable] = []
    with _put_aside(v for change in changes for v in change.variables) as old:
        try:
            for change in changes:
                old.wait_for(change.variables)
                begun += change.variables
                change.make()
        except BaseException:
            old.give_back(begun)
            raise


class _Kept(NamedTuple):
    """Where the old value of a variable lies in the file, and when it does."""

    start: int
    end: int
    written: Future[None]


class _OldValues:
    """What variables held, one after another in a file that a thread writes.

    Args:
        file: an empty one, unbuffered.
        variables: those whose values it gets, each once, in the order in which they are waited for.
    """

    def __init__(self, file: Any, variables: Sequence[Variable]):
        self._file, self._left = file, iter(variables)
        self._thread = ThreadPoolExecutor(1)
        self._kept: dict[int, _Kept] = {}
        self._end = 0

    def wait_for(self, variables: Iterable[Variable]) -> None:
        """Return when the values of variables are in the file; those that come next follow meanwhile."""
        for variable in variables:
            while id(variable) not in self._kept or self._end < self._kept[id(variable)].end + AHEAD:
                following = next(self._left, None)
                if following is None:
                    break
                start, self._end = self._end, self._end + nbytes(following)
                written = self._thread.submit(self._write, following.held())
                self._kept[id(following)] = _Kept(start, self._end, written)
            with _room(self._end):
                self._kept[id(variable)].written.result()

    def _write(self, value: np.ndarray) -> None:
        data = bytes_of(value)
        while data:
            data = data[self._file.write(data) :]

    def give_back(self, variables: Iterable[Variable]) -> None:
        """Let variables have their values again, of which all are in the file."""
        wait([kept.written for kept in self._kept.values() if not kept.written.cancel()])
        for variable in {id(variable): variable for variable in variables}.values():
            self._file.seek(self._kept[id(variable)].start)
            try:
                variable.fill(lambda out: read_whole(self._file, bytes_of(out)))
            except OSError as error:
                raise OSError(
                    f"the old weights cannot be read back from {tempfile.gettempdir()}, so that the model has some of "
                    f"the old and some of the new ones: {error}"
                ) from error

    def close(self) -> None:
        """Let them go; it is not waited for until the system has taken back a large file."""
        for kept in self._kept.values():
            kept.written.cancel()
        self._thread.submit(self._file.close)
        self._thread.shutdown(wait=False)


@contextmanager
def _put_aside(variables: Iterable[Variable]) -> Iterator[_OldValues]:
    listed = list({id(variable): variable for variable in variables}.values())
    size = sum(map(nbytes, listed))
    with _room(size):
        file: Any = io.BytesIO() if size <= IN_MEMORY else tempfile.TemporaryFile(buffering=0)
        try:
            if size > IN_MEMORY and hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, size)  # a full disk says so now, and the rest is faster
        except BaseException:
            file.close()
            raise
    old = _OldValues(file, listed)
    try:
        yield old
    finally:
        old.close()


@contextmanager
def _room(size: int) -> Iterator[None]:
    try:
        yield
    except OSError as error:
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
