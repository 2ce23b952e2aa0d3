"""Heaps of text in HDF5 files: checked before HDF5 reads them, whose library walks a damaged one without end."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

#: How a global heap begins; behind it stand version, three bytes of nothing, and its size.
SIGNATURE, HEADER = b"GCOL", struct.Struct("<4sB3xQ")

#: What stands before each text in it: number (0 for the rest that is free), uses, and size.
ENTRY = struct.Struct("<HH4xQ")

#: Bytes looked through at a time.
BLOCK = 1 << 20


def check_heaps(file: BinaryIO, opened: Any, path: Path) -> None:
    """Raise if a heap in an HDF5 file does not lead from its begin to its end.

    Arrays that lie in one piece are not looked through: a large file is checked in no time.

    Args:
        file: the file's bytes.
        opened: the same file, opened by h5py.
        path: its path, for messages.

    Raises:
        ValueError: a heap is damaged.
    """
    size = file.seek(0, 2)
    for start, stop in _around(sorted(_pieces(opened, set())), size):
        for place in _signatures(file, start, stop):
            if not _is_sound(file, place, size):
                raise ValueError(f"{path} is damaged: its heap of texts at byte {place} is not in order")


def _pieces(group: Any, seen: set[Any]) -> Iterator[tuple[int, int]]:
    """Where the arrays lie that are stored in one piece; of what a group lists, what cannot be opened is left out.

    A group that cannot be listed is an error: asked a second time, HDF5 gives names from where it stopped.
    """
    import h5py

    for name in group:
        item = None
        with suppress(OSError, RuntimeError, LookupError, ValueError, TypeError):
            if isinstance(group.get(name, getlink=True), h5py.HardLink):
                item = group[name]
            if isinstance(item, h5py.Dataset) and (offset := item.id.get_offset()) is not None:
                yield offset, offset + item.id.get_storage_size()
        if isinstance(item, h5py.Group) and item.id not in seen and len(seen) < 100_000:
            seen.add(item.id)
            yield from _pieces(item, seen)


def _around(pieces: list[tuple[int, int]], size: int) -> Iterator[tuple[int, int]]:
    """The stretches of a file that no piece covers."""
    at = 0
    for start, stop in pieces:
        if start > at:
            yield at, min(start, size)
        at = max(at, stop)
    if at < size:
        yield at, size


def _signatures(file: BinaryIO, start: int, stop: int) -> Iterator[int]:
    at = start
    while at < stop:
        file.seek(at)
        block = file.read(min(BLOCK, stop - at) + len(SIGNATURE) - 1)
        found = block.find(SIGNATURE)
        while found >= 0:
            yield at + found
            found = block.find(SIGNATURE, found + 1)
        at += BLOCK


def _is_sound(file: BinaryIO, place: int, size: int) -> bool:
    """Whether each entry of a heap ends where the next begins, up to the end; what is no heap is sound."""
    file.seek(place)
    header = file.read(HEADER.size)
    if len(header) < HEADER.size:
        return True
    _, version, length = HEADER.unpack(header)
    if version != 1 or not HEADER.size <= length <= size - place:
        return True  # which HDF5 sees by itself
    heap, at = file.read(length - HEADER.size), 0
    while len(heap) - at >= ENTRY.size:
        number, _, taken = ENTRY.unpack_from(heap, at)
        step = -(-taken // 8) * 8 + (ENTRY.size if number else 0)
        if not 0 < step <= len(heap) - at:
            return False
        at += step
    return True
