"""Files that appear whole or not at all: written beside, flushed to the disk, renamed."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A temporary file beside a path, which takes its place when the context ends well.

    Whatever goes wrong before, a killed process and a full disk included, a file that was there stays as it was. The
    permissions are those of the old file, or what a new file gets. A symbolic link keeps pointing where it pointed:
    what it points to is replaced.

    Args:
        path: the file to be; its folder must exist.

    Yields:
        The path of an empty temporary file in the same folder.

    Raises:
        FileNotFoundError: there is no such folder.
        PermissionError: the folder cannot be written to.
        OSError: the disk is full or fails; the message names the path.

    Example:
        >>> folder = Path(tempfile.mkdtemp())
        >>> with replacing(folder / "a.txt") as temporary:
        ...     _ = temporary.write_text("all of it")
        >>> [file.name for file in folder.iterdir()]
        ['a.txt']
    """
    path = Path(os.path.realpath(path))
    if not path.parent.is_dir():
        raise FileNotFoundError(f"{path} cannot be written: there is no folder {path.parent}")
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    except PermissionError:
        raise PermissionError(f"{path} cannot be written: the folder {path.parent} is read-only") from None
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(path.stat().st_mode & 0o7777 if path.exists() else 0o666 & ~_umask())
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        if error.filename is None and (error.errno is None or str(path) in str(error)):
            raise  # it says so itself
        raise type(error)(f"{path} cannot be written: {error.strerror or error}") from error
    finally:
        with suppress(OSError):  # a folder that is gone has taken it along
            temporary.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _sync_folder(folder: Path) -> None:
    """Flush the renaming itself; Windows has no way to, and needs none."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
