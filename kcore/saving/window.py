"""HDF5 files within other files, and HDF5 files whose writing fails with a plain error."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

#: Bytes written at a time: between two of them a signal is heard.
BLOCK = 1 << 24


def read_whole(file: Any, view: memoryview) -> None:
    """Fill memory with the next bytes of a file.

    Raises:
        OSError: there are not so many, or they cannot be read.
    """
    while view:
        count = file.readinto(view)
        if not count:
            raise OSError(f"the file ends {len(view)} bytes too early")
        view = view[count:]


class Window(io.RawIOBase):
    """A part of a file from `start` on, as a file of its own that HDF5 can read and write anywhere.

    Args:
        file: the file around it.
        start: where the part begins.
        size: how long it is; None for a part that grows at the end of the file.
    """

    def __init__(self, file: BinaryIO, start: int, size: int | None = None):
        super().__init__()
        self._file, self._start, self._size = file, start, size
        self._at = 0
        self.failure: BaseException | None = None

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def writable(self) -> bool:
        return self._size is None

    def __len__(self) -> int:
        """Bytes it holds."""
        return self._file.seek(0, io.SEEK_END) - self._start if self._size is None else self._size

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: len(self) if whence == io.SEEK_END else 0}[whence]
        if not 0 <= base + offset < 1 << 62:
            raise OSError(f"cannot go to {base + offset}, which no file has")
        self._at = base + offset
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: Any) -> int:
        """All that is asked for and lies within, or an error: HDF5 would take what is missing for read."""
        view = memoryview(buffer).cast("B")
        if self._size is not None:
            view = view[: max(0, self._size - self._at)]
        self._file.seek(self._start + self._at)
        if self._size is None:
            count = self._file.readinto(view)  # type: ignore[attr-defined] # files opened in binary mode have it
        else:
            read_whole(self._file, view)
            count = len(view)
        self._at += count
        return count

    def write(self, data: Any) -> int:
        def put() -> None:
            self._file.seek(self._start + self._at)
            view = memoryview(data).cast("B")
            done = 0
            while done < len(view):
                done += self._file.write(view[done : done + BLOCK])

        self._unless_failed(put)
        self._at += len(data)
        return len(data)

    def truncate(self, size: int | None = None) -> int:
        size = self._at if size is None else size
        self._unless_failed(lambda: self._file.truncate(self._start + size))
        return size

    def _unless_failed(self, change: Callable[[], Any]) -> None:
        """HDF5 cannot be stopped: once a write has failed it believes in all later ones, and is thrown away."""
        if self.failure is None:
            try:
                change()
            except BaseException as error:  # noqa: BLE001 - raised again by `created`, when HDF5 has closed the file
                self.failure = error


@contextmanager
def closing(file: Any) -> Iterator[Any]:
    """An open HDF5 file that is closed when the context ends, also where Ctrl-C or an error comes in between.

    One that stays open is closed by HDF5 itself after Python has ended, and that crashes.
    """
    try:
        yield file
    finally:
        try:
            file.close()
        except BaseException:
            file.close()
            raise


@contextmanager
def created(file: Window | BinaryIO) -> Iterator[Any]:
    """A new HDF5 file, written into a window or an empty file.

    Raises:
        OSError: what kept the file from being written, as the system said it.
    """
    import h5py

    window = file if isinstance(file, Window) else Window(file, 0)
    with closing(h5py.File(window, "w")) as made:
        yield made
    if window.failure is not None:
        raise window.failure


@contextmanager
def created_at(path: Path) -> Iterator[Any]:
    """A new HDF5 file at a path; see `created`."""
    with path.open("w+b") as file, created(file) as made:
        yield made
