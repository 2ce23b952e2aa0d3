"""Tables on the screen: by rich in a terminal, plain aligned text in a pipe or log."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any


def print_table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows under headers.

    Args:
        headers: one title per column.
        rows: each with one text per column.
    """
    if sys.stdout.isatty():
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        table = Table(*headers, box=None, header_style="bold", pad_edge=False)
        for row in rows:
            table.add_row(*map(Text, row))
        Console().print(table)
        return
    print("\n".join(_aligned((headers, *rows))))


def print_blocks(headers: Sequence[str], rows: Sequence[Sequence[str]], below: Sequence[str]) -> None:
    """Print rows under headers, each with a paragraph of its own below it.

    Args:
        headers: one title per column.
        rows: each with one text per column.
        below: a text for each row.
    """
    first, *lines = _aligned((headers, *rows))
    print(first)
    for line, text in zip(lines, below, strict=True):
        print(line)
        print_paragraph(text, 4)


def print_paragraph(text: str, indent: int) -> None:
    """Print a text in lines of at most 100 columns; nothing for an empty one."""
    if text:
        space = " " * indent
        print(textwrap.fill(text, 100, initial_indent=space, subsequent_indent=space, break_on_hyphens=False))


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return ["  ".join(t.ljust(w) for t, w in zip(row, widths, strict=True)).rstrip() for row in rows]


def facts_text(facts: Mapping[str, Any]) -> str:
    """Facts as one sentence without a verb.

    Example:
        >>> facts_text({"vendor": "AMD", "units": 96, "fp16": True})
        'vendor AMD, units 96, fp16 yes'
    """
    shown = {key: ("no", "yes")[value] if isinstance(value, bool) else value for key, value in facts.items()}
    return ", ".join(f"{key} {value}" for key, value in shown.items())


def memory_text(nbytes: int) -> str:
    """Bytes as people read them.

    Example:
        >>> memory_text(25 * 2**30), memory_text(0)
        ('25.0 GiB', '?')
    """
    return f"{nbytes / 2**30:.1f} GiB" if nbytes else "?"
