"""Tables on the screen: by rich in a terminal, plain aligned text in a pipe or log."""

from __future__ import annotations

import sys
from collections.abc import Sequence


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
    widths = [max(len(row[i]) for row in (headers, *rows)) for i in range(len(headers))]
    for row in (headers, *rows):
        print("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())


def memory_text(nbytes: int) -> str:
    """Bytes as people read them.

    Example:
        >>> memory_text(25 * 2**30), memory_text(0)
        ('25.0 GiB', '?')
    """
    return f"{nbytes / 2**30:.1f} GiB" if nbytes else "?"
