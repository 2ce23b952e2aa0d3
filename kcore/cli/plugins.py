"""``kcore plugins``: installed backends and plugins, from which distribution, and what they bring."""

from __future__ import annotations

import argparse
from collections import Counter

from kcore import plugins
from kcore.backend import installed
from kcore.backend.kernel import kernels_of
from kcore.cli.display import print_table
from kcore.plugins.discovery import BACKENDS, PLUGINS, EntryPoint, entry_points
from kcore.plugins.manager import KINDS


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments: there are none."""


def run(args: argparse.Namespace) -> int:
    """Print one line per backend and per plugin."""
    started = installed.start_all(warn=False)
    broken = {b.entry for b in plugins.problems()}
    rows = []
    for entry in entry_points(BACKENDS):
        rows.append(("backend", entry.name, _origin(entry), _backend_text(entry, started)))
    for entry in entry_points(PLUGINS):
        text = "not usable, see kcore doctor" if entry in broken else _plugin_text(entry, list(started))
        rows.append(("plugin", entry.name, _origin(entry), text))
    print_table(("kind", "name", "distribution", "brings"), rows)
    return 0


def _origin(entry: EntryPoint) -> str:
    return f"{entry.distribution} {entry.version}"


def _backend_text(entry: EntryPoint, started: dict) -> str:
    if entry.name not in started:
        return "not usable, see kcore doctor"
    by_package = Counter(k.package for k in kernels_of(entry.name))
    kernels = ", ".join(f"{n} from {package}" for package, n in sorted(by_package.items()))
    devices = ", ".join(map(str, started[entry.name].devices()))
    return f"{devices or 'no device answers, see kcore doctor'}; kernels: {kernels or 'none'}"


def _plugin_text(entry: EntryPoint, backends: list[str]) -> str:
    parts = []
    for kind in KINDS:
        names = [
            item.name.removeprefix(f"{entry.name}>") for item in plugins.provided(kind).values() if item.entry == entry
        ]
        if names:
            parts.append(f"{kind} {', '.join(names)}")
    package = entry.distribution
    for backend in backends:
        count = sum(k.package == package for k in kernels_of(backend))
        if count:
            parts.append(f"{count} {'kernel' if count == 1 else 'kernels'} for {backend}")
    return "; ".join(parts) or "nothing"
