"""``KCORE_DUMP_KERNELS=folder``: every kernel's source as a file, and an index of them."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable
from pathlib import Path

from kcore.codegen import Source
from kcore.errors import KcoreError

VARIABLE = "KCORE_DUMP_KERNELS"
INDEX = "index.tsv"
#: What a file of a dialect ends with.
SUFFIXES = {"opencl": ".cl", "cuda": ".cu"}

_lock = threading.Lock()


def folder() -> Path | None:
    """The folder that KCORE_DUMP_KERNELS names, or None."""
    value = os.environ.get(VARIABLE)
    return Path(value).expanduser() if value else None


def dump(sources: Iterable[Source], device: str) -> None:
    """Write the sources and their lines in the index, if the user asked for it.

    Args:
        sources: the sources, one kernel each.
        device: what the device is called in the index.

    Raises:
        KcoreError: the folder cannot be written.
    """
    target = folder()
    if target is None:
        return
    try:
        with _lock:
            _write(target, sources, device)
    except OSError as error:
        raise KcoreError(f"{VARIABLE}={target}: kernels cannot be written there: {error}") from error


def _write(target: Path, sources: Iterable[Source], device: str) -> None:
    target.mkdir(parents=True, exist_ok=True)
    lines = []
    for source in sources:
        file = f"{source.name}-{source.key[:8]}{SUFFIXES[source.dialect]}"
        (target / file).write_text(source.text)
        lines.append("\t".join([file, device, source.key, origin(source)]))
    index = target / INDEX
    known = index.read_text().splitlines() if index.exists() else ["file\tdevice\tkey\tmade for"]
    index.write_text("\n".join(dict.fromkeys([*known, *lines])) + "\n")


def origin(source: Source) -> str:
    """Layers and ops a kernel was made for, from the comment it begins with.

    Example:
        ``"mlp/dense: matmul; mlp/dense: add, maximum"``
    """
    found = []
    for line in source.text.splitlines():
        if not line.startswith("//"):
            break
        found.append(line[2:].strip())
    return "; ".join(found)
