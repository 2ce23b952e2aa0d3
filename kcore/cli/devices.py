"""``kcore devices``: the devices there are, whether kcore would use them, and the one in use."""

from __future__ import annotations

import argparse
import sys

from kcore.backend import Device, backend_of, current, installed
from kcore.backend.selection import reason
from kcore.cli.display import facts_text, memory_text, print_blocks
from kcore.errors import KcoreError


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("backend", nargs="?", help="only those of this backend")


def run(args: argparse.Namespace) -> int:
    """Print each device with what is known of it; the exit status is 1 if none can be used."""
    chosen, wrong = _chosen()
    backends = [backend_of(args.backend)] if args.backend else list(installed.start_all().values())
    rows, details, names = [], [], []
    for backend in sorted(backends, key=lambda b: (-b.rank, b.name)):
        for device in backend.devices():
            names.append(str(device))
            use = "in use" if device == chosen else "usable" if device.default else "usable, if asked for"
            rows.append((str(device), *_columns(device), use))
            details.append(facts_text(device.details))
        for device, why in backend.unused():
            rows.append((f"{backend.name}:-", *_columns(device), "not used"))
            details.append(f"{facts_text(device.details)}; not used because {why}")
    print_blocks(("device", "name", "kind", "memory", "use"), rows, details)
    if chosen is not None and str(chosen) not in names and not args.backend:
        print(f"\n{chosen}, a piece of one of them, is in use")
    print(f"\n{wrong or f'{chosen} was chosen by: {reason()}'}", file=sys.stderr if wrong else sys.stdout)
    if not names:
        print("no device can be used; `kcore doctor` says why and what to type")
        return 1
    print(f"to choose another: KERAS_BACKEND={names[-1]}, or kcore.use_backend({names[-1]!r}), or keras.json")
    return 1 if wrong else 0


def _chosen() -> tuple[Device | None, str]:
    """The device in use, or why there is none: this is the command to find the right name with."""
    try:
        return current().device, ""
    except KcoreError as error:
        return None, f"kcore: {error}"


def _columns(device: Device) -> tuple[str, str, str]:
    return device.name, device.kind, memory_text(device.memory)
