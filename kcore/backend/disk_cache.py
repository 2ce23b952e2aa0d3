"""Compiled programs on disk: the second process compiles nothing.

A file holds one program: a line of JSON that says for which device, driver and versions it was made and which kernels
it holds, then the compiler's binary. Whatever does not fit or is damaged is ignored, and written again.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from kcore.backend.cache import Cache, enabled

#: Folder in the cache folder.
FOLDER = "kernels"
#: Bytes of all files; above, those that were not used for longest are removed.
LIMIT = 512 << 20
#: Changes where the form of the files does.
FORM = 1


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
        name = f"{FOLDER}/{self._prefix}-{digest(' '.join(sorted(kernels)))}.bin"
        if self._cache.write(name, json.dumps(head).encode() + b"\n" + content):
            with self._lock:
                stored = Stored(self._cache.folder / name, kernels)
                if self._index is not None:
                    self._index.update(dict.fromkeys(kernels, stored))
            evict(self._cache.folder / FOLDER)

    def _read_index(self) -> dict[str, Stored]:
        index: dict[str, Stored] = {}
        for path in sorted((self._cache.folder / FOLDER).glob(f"{self._prefix}-*.bin")):
            try:
                with path.open("rb") as file:
                    head = json.loads(file.readline())
                if head["about"] == self._about:
                    stored = Stored(path, dict(head["kernels"]))
                    index.update(dict.fromkeys(stored.kernels, stored))
            except (OSError, ValueError, KeyError, TypeError):
                continue  # torn or another program's: built again, and written over
        return index


def evict(folder: Path, limit: int | None = None) -> None:
    """Remove the files that were not used for longest until the rest has at most `limit` bytes."""
    limit = LIMIT if limit is None else limit
    files = []
    for path in folder.glob("*.bin"):
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
