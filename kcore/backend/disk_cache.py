"""Compiled programs on disk: the second process compiles nothing.

A file holds one program: a line of JSON that says for which device, driver and versions it was made and which kernels
it holds, then the compiler's binary. Whatever does not fit or is damaged is ignored, and written again.

So that a process need not open thousands of files to know what is there, each device has an index: which kernels the
files hold, by the files' names and numbers (inodes). It is never trusted for more than it says: files it does not know
are opened, those that are gone or were replaced are dropped, and then it is written anew. Where it is damaged or cannot
be written, all files are opened.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kcore.backend.cache import Cache, enabled

#: Folder in the cache folder.
FOLDER = "kernels"
#: Bytes of all files; above, those that were not used for longest are removed.
LIMIT = 512 << 20
#: Changes where the form of the files does.
FORM = 1
#: How programs and indexes end.
PROGRAM, INDEX = ".bin", ".index"


def digest(text: str | bytes) -> str:
    """A short name for a text."""
    return hashlib.sha256(text.encode() if isinstance(text, str) else text).hexdigest()[:16]


@dataclass(frozen=True)
class Stored:
    """A program on disk.

    Attributes:
        path: the file.
        kernels: name of the kernel in it by `Source.key`.
    """

    path: Path
    kernels: dict[str, str]


class DiskCache:
    """The stored programs of one device.

    Args:
        cache: where the backend keeps things.
        about: all that a compiled program depends on but for its source: device, driver, options, versions.
    """

    def __init__(self, cache: Cache, about: Mapping[str, str]):
        self._cache = cache
        self._about = {**about, "form": f"{FORM} {about.get('form', '')}".strip()}
        self._prefix = digest(json.dumps(self._about))
        self._index: dict[str, Stored] | None = None
        self._lock = threading.RLock()

    def find(self, keys: Iterable[str]) -> list[Stored]:
        """The programs that hold these sources, as far as there are any."""
        if not enabled():
            return []
        with self._lock:
            if self._index is None:
                self._index = self._read_index()
            found = {id(s): s for key in keys if (s := self._index.get(key)) is not None}
            return list(found.values())

    def load(self, stored: Stored) -> bytes | None:
        """The binary or text of a program, or None if the file is gone or damaged."""
        try:
            head, _, content = stored.path.read_bytes().partition(b"\n")
            os.utime(stored.path)
            about = json.loads(head)
            # another process may have written the same kernels under other names since the index was read
            if about["digest"] == digest(content) and about["kernels"] == stored.kernels:
                return content
        except (OSError, ValueError, KeyError, TypeError):
            pass  # as good as not there
        self.forget(stored)
        return None

    def forget(self, stored: Stored) -> None:
        """Remove a program that cannot be used."""
        with self._lock:
            for key in [k for k, s in (self._index or {}).items() if s is stored]:
                del self._index[key]  # type: ignore[union-attr]
        with suppress(OSError):
            stored.path.unlink()

    def store(self, kernels: dict[str, str], content: bytes) -> None:
        """Keep a program, where the folder can be written."""
        if not enabled():
            return
        head = {"about": self._about, "kernels": kernels, "digest": digest(content)}
        name = f"{FOLDER}/{self._prefix}-{digest(' '.join(sorted(kernels)))}{PROGRAM}"
        if self._cache.write(name, json.dumps(head).encode() + b"\n" + content):
            with self._lock:
                stored = Stored(self._cache.folder / name, kernels)
                if self._index is not None:
                    self._index.update(dict.fromkeys(kernels, stored))
            evict(self._cache.folder / FOLDER)

    def _read_index(self) -> dict[str, Stored]:
        folder, known = self._cache.folder / FOLDER, self._known()
        programs: dict[str, list[Any]] = {}  # the file's number and its kernels, by its name
        for name, inode in sorted(_programs(folder, self._prefix)):
            if known.get(name, (None,))[0] == inode:
                programs[name] = known[name]
            elif (kernels := self._kernels(folder / name)) is not None:
                programs[name] = [inode, kernels]
        if programs != known:
            content = json.dumps({"about": self._about, "programs": programs}, separators=(",", ":")).encode()
            self._cache.write(self._index_name, digest(content).encode() + b"\n" + content, say=False)
        index: dict[str, Stored] = {}
        for name, (_, kernels) in programs.items():
            index.update(dict.fromkeys(kernels, Stored(folder / name, kernels)))
        return index

    @property
    def _index_name(self) -> str:
        return f"{FOLDER}/{self._prefix}{INDEX}"

    def _known(self) -> dict[str, list[Any]]:
        """What the index says; nothing where it is damaged or another device's."""
        head, _, content = (self._cache.read(self._index_name) or b"").partition(b"\n")
        if head != digest(content).encode():
            return {}
        with suppress(OSError):
            os.utime(self._cache.folder / self._index_name)
        try:
            found = json.loads(content)
            return found["programs"] if found["about"] == self._about else {}
        except (ValueError, KeyError, TypeError):
            return {}

    def _kernels(self, path: Path) -> dict[str, str] | None:
        """The kernels that a file says it holds; None if it is torn or another device's."""
        try:
            with path.open("rb") as file:
                head = json.loads(file.readline())
            return dict(head["kernels"]) if head["about"] == self._about else None
        except (OSError, ValueError, KeyError, TypeError):
            return None  # built again, and written over


def _programs(folder: Path, prefix: str) -> Iterator[tuple[str, int]]:
    """Name and number of each file of a device's programs."""
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith(f"{prefix}-") and entry.name.endswith(PROGRAM):
                yield entry.name, entry.inode()


def evict(folder: Path, limit: int | None = None) -> None:
    """Remove the files that were not used for longest until the rest has at most `limit` bytes."""
    limit = LIMIT if limit is None else limit
    files = []
    for path in folder.glob("[!.]*"):  # what is still being written begins with a dot
        with suppress(OSError):  # another process removes files, too
            facts = path.stat()
            files.append((facts.st_mtime, facts.st_size, path))
    total = sum(size for _, size, _ in files)
    for _, size, path in sorted(files):
        if total <= limit:
            return
        with suppress(OSError):
            path.unlink()
        total -= size
