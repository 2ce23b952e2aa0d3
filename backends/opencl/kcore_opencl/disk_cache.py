"""Compiled programs on disk: the second process compiles nothing.

A file holds one program: a line of JSON that says for which device, driver and versions it was made and which kernels
it holds, then the driver's binary. Whatever does not fit or is damaged is ignored, and written again.

Drivers that keep a cache of their own by source text, and whose binaries do not hold all of the machine code (PoCL
compiles once more for the size of a work-group), get back the very text they know instead.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import threading
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache as once
from importlib.metadata import version
from pathlib import Path
from typing import Any

from kcore_opencl import cache

#: Folder in the cache folder.
FOLDER = "kernels"
#: Bytes of all files; above, those that were not used for longest are removed.
LIMIT = 512 << 20
#: Changes where the form of the files does.
FORM = 1


def identity(device: Any) -> dict[str, str]:
    """All that a compiled program or a measured choice depends on but for its source: device, driver, versions."""
    about = {
        "platform": f"{device.platform.name} {device.platform.version}".strip(),
        "device": device.name.strip(),
        "driver": device.driver_version,
        "extensions": _digest(" ".join(sorted(device.extensions.split()))),
        "vectors": f"{device.native_vector_width_float} {device.preferred_vector_width_float}",
        "units": str(device.max_compute_units),
        "kcore": f"{version('kcore')} {version('kcore-opencl')}",
    }
    if device.type & _cpu_type():
        about["processor"] = processor()
    return about


def _cpu_type() -> int:
    import pyopencl as cl

    return cl.device_type.CPU


@once
def processor() -> str:
    """What the host's processor can do: machine code for one that can do more would crash here."""
    features = platform.machine()
    with suppress(OSError), open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
        for line in file:
            if re.match(r"(flags|Features)\s*:", line):
                return f"{features} {_digest(line)}"
    return f"{features} {platform.processor()}"


def _digest(text: str | bytes) -> str:
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
        device: PyOpenCL's device.
        options: how programs are built.
        by_source: whether the driver's own cache is used: programs are kept as text.
    """

    def __init__(self, device: Any, options: Sequence[str], by_source: bool):
        self._about = {**identity(device), "options": " ".join(options), "form": f"{FORM} {by_source}"}
        self._prefix = _digest(json.dumps(self._about))
        self._index: dict[str, Stored] | None = None
        self._lock = threading.RLock()

    def find(self, keys: Iterable[str]) -> list[Stored]:
        """The programs that hold these sources, as far as there are any."""
        if not cache.enabled():
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
            if about["digest"] == _digest(content) and about["kernels"] == stored.kernels:
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
        if not cache.enabled():
            return
        head = {"about": self._about, "kernels": kernels, "digest": _digest(content)}
        name = f"{FOLDER}/{self._prefix}-{_digest(' '.join(sorted(kernels)))}.bin"
        if cache.write(name, json.dumps(head).encode() + b"\n" + content):
            with self._lock:
                stored = Stored(cache.cache_folder() / name, kernels)
                if self._index is not None:
                    self._index.update(dict.fromkeys(kernels, stored))
            evict(cache.cache_folder() / FOLDER)

    def _read_index(self) -> dict[str, Stored]:
        index: dict[str, Stored] = {}
        for path in sorted((cache.cache_folder() / FOLDER).glob(f"{self._prefix}-*.bin")):
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
