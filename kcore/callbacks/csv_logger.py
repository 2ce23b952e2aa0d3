"""The callback that writes the values of every epoch to a CSV file, a whole row at a time."""

from __future__ import annotations

import csv
import io
import os
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kcore.callbacks.callback import Callback
from kcore.declare import argument
from kcore.registry import public


def _path(value: Any) -> str:
    return os.fspath(value)


def _one_character(value: Any) -> str:
    if not isinstance(value, str) or len(value) != 1:
        raise ValueError("expected one character")
    return value


@public("keras.callbacks")
class CSVLogger(Callback):
    """Writes the values of every epoch to a file of comma-separated values.

    A row is in the file when its epoch ends, and none is ever there in part: a row the disk has no room for is taken
    back, and a torn one that a crash of the machine left is mended or removed when the file is appended to.

    The columns are ``epoch`` and what the first epoch logs, by name. Without validation in that epoch there are
    columns ``val_...`` all the same; ``NA`` stands where an epoch has no value.

    Args:
        filename: the file.
        separator: what stands between two values.
        append: go on with a file that is there, in its columns, instead of writing it anew.

    Raises:
        FileNotFoundError: the folder does not exist; raised before training begins.
        ValueError: the file to append to is no log of this kind.
        OSError: a row cannot be written, because the disk is full, say. The message names the file; the model keeps
            its weights.

    Example:
        >>> import tempfile, os
        >>> path = os.path.join(tempfile.mkdtemp(), "log.csv")
        >>> log = CSVLogger(path)
        >>> log.on_train_begin(); log.on_epoch_end(0, {"loss": 0.5, "val_loss": 0.75}); log.on_train_end()
        >>> open(path).read()
        'epoch,loss,val_loss\\n0,0.5,0.75\\n'

    Source: `keras.callbacks.CSVLogger`.
    """

    filename: str = argument(kind=_path)
    separator: str = argument(",", _one_character, attr="sep")
    append: bool = argument(False)

    sep: str

    def __post_init__(self) -> None:
        self.keys: list[str] | None = None
        self._file: Any = None
        self._unknown: list[str] | None = None

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self.on_abort()
        folder = Path(self.filename).parent
        if not folder.is_dir():
            raise FileNotFoundError(f"CSVLogger: {self.filename} cannot be written: there is no folder {folder}")
        self.keys = None
        if self.append and Path(self.filename).is_file():
            self._go_on()
        else:
            self._file = open(self.filename, "wb", buffering=0)  # noqa: SIM115 - open until training ends

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        logs = {} if logs is None else logs
        if self.keys is None:
            names = sorted(logs)
            if not any(name.startswith("val_") for name in names):
                names += [f"val_{name}" for name in names]
            self._write(["epoch", *names], "the names of the columns")
            self.keys = names
        elif self.append and self._unknown is None:
            self._unknown = [name for name in logs if name not in self.keys]
            if self._unknown:
                warnings.warn(
                    f"CSVLogger: {self.filename} has no column for {', '.join(self._unknown)}, which are left out",
                    stacklevel=2,
                )
        self._write([epoch, *(_shown(logs.get(name, "NA")) for name in self.keys)], f"the row of epoch {epoch}")

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        self.on_abort()

    def on_abort(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    # -- the file ----------------------------------------------------------------------------------------------------

    def _write(self, values: Sequence[Any], what: str) -> None:
        """Write one row whole, or raise and leave the file as it was."""
        if self._file is None:
            raise RuntimeError(f"CSVLogger: {self.filename} is not open; on_train_begin() opens it")
        text = io.StringIO()
        csv.writer(text, delimiter=self.sep).writerow(values)
        rest = text.getvalue().encode()
        start = self._file.tell() if self._file.seekable() else 0
        try:
            while rest:
                rest = rest[self._file.write(rest) :]
        except OSError as error:
            if Path(self.filename).is_file():
                self._file.truncate(start)
                self._file.seek(start)
            raise OSError(
                error.errno,
                f"CSVLogger could not write {what} ({os.strerror(error.errno or 0)}); the rows before it are whole, "
                "and the model keeps its weights",
                self.filename,
            ) from error

    def _go_on(self) -> None:
        """Open the file that is there at its end, without a row that was torn, in the columns it has."""
        self._unknown = None
        self._file = open(self.filename, "r+b", buffering=0)  # noqa: SIM115 - open until training ends
        content = self._file.read()
        lines = content.decode(errors="replace").splitlines()
        if not lines:
            return
        header = next(csv.reader([lines[0]], delimiter=self.sep))
        if header[0] != "epoch":
            self.on_abort()
            raise ValueError(
                f"CSVLogger: {self.filename} is to be appended to, but is no log with the separator {self.sep!r}: it "
                f"begins with {lines[0][:60]!r}; give another file, or append=False to write it anew"
            )
        if not content.endswith(b"\n"):
            last = next(csv.reader([lines[-1]], delimiter=self.sep))
            torn = len(lines) > 1 and (len(last) < len(header) or not last[-1])
            if torn:
                self._file.truncate(content.rindex(b"\n") + 1)
            self._file.seek(0, os.SEEK_END)
            if not torn:
                self._write_line_end()
        self._file.seek(0, os.SEEK_END)
        self.keys = header[1:]

    def _write_line_end(self) -> None:
        self._file.write(b"\r\n")


def _shown(value: Any) -> Any:
    """A value as it stands in the file; several in brackets."""
    if isinstance(value, str) or not isinstance(value, Iterable) or (isinstance(value, np.ndarray) and not value.ndim):
        return value
    return f'"[{", ".join(map(str, value))}]"'
