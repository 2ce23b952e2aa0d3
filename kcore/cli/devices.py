"""``kcore devices``: the devices that answer, and the one in use."""

from __future__ import annotations

import argparse

from kcore.backend import current, devices
from kcore.backend.selection import reason
from kcore.cli.display import memory_text, print_table


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("backend", nargs="?", help="only those of this backend")


def run(args: argparse.Namespace) -> int:
    """Print one line per device."""
    chosen = current().device
    rows = []
    for device in devices(args.backend):
        details = ", ".join(f"{k} {v}" for k, v in device.details.items())
        mark = "in use" if device == chosen else ""
        rows.append((str(device), device.name, device.kind, memory_text(device.memory), details, mark))
    print_table(("device", "name", "kind", "memory", "details", ""), rows)
    print(f"\n{chosen} was chosen by: {reason()}")
    print(f"to choose another: KERAS_BACKEND={rows[-1][0]}, or kcore.use_backend({rows[-1][0]!r}), or keras.json")
    return 0
