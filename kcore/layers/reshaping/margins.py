"""Margins: how much is added or cut before and after each spatial axis."""

from __future__ import annotations

from typing import Any

from kcore.declare import int_tuple

Margins = tuple[tuple[int, int], ...]


def margins(owner: Any, name: str, rank: int) -> Margins:
    """A layer's argument as one (before, after) pair per spatial axis.

    An integer stands for all sides; in a sequence of one entry per axis an integer stands for both sides of that axis.
    With one axis the sequence is the pair itself.

    Raises:
        ValueError: another form; the message names the layer's class and the argument.
    """
    value = getattr(owner, name)
    try:
        if hasattr(value, "__index__"):
            return (int_tuple(value, 2, zero=True),) * rank  # type: ignore[return-value]
        entries = (value,) if rank == 1 else tuple(value)
        if len(entries) != rank:
            raise ValueError(f"expected {rank} entries, got {len(entries)}")
        return tuple(int_tuple(entry, 2, zero=True) for entry in entries)  # type: ignore[misc]
    except (ValueError, TypeError) as error:
        form = "a pair of them" if rank == 1 else f"{rank} of them, or {rank} (before, after) pairs"
        raise ValueError(
            f"{type(owner).__name__}: argument {name}={value!r}: expected a non-negative integer, or {form}: {error}"
        ) from None


def first_spatial(data_format: str) -> int:
    """The first spatial axis."""
    return 1 if data_format == "channels_last" else 2
