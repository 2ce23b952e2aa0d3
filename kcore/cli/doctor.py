"""``kcore doctor``: what was found and where, what is not usable, why, and what to type next."""

from __future__ import annotations

import argparse
import os
import platform
import warnings
from collections.abc import Iterator

from kcore import config, plugins
from kcore.backend import Backend, Problem, current, installed
from kcore.backend.compile import CORE
from kcore.backend.host import HOST
from kcore.backend.kernel import kernels_of
from kcore.backend.selection import VARIABLE, reason
from kcore.cli.display import facts_text, memory_text, print_paragraph
from kcore.errors import KcoreError
from kcore.plugins.discovery import BACKENDS, PLUGINS, entry_points
from kcore.plugins.manager import KINDS


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments: there are none."""


def run(args: argparse.Namespace) -> int:
    """Print the findings; the exit status is 1 if a backend or plugin that is installed cannot be used.

    A device that cannot be used while its backend has others is told, but does not count.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # everything they would say is said here, with more
        _print_settings()
        found = [*_backends(), *_plugins()]
        partial = [p for backend in installed.start_all().values() if backend.devices() for p in backend.problems()]
    if found:
        print(f"\n{len(found)} {'problem' if len(found) == 1 else 'problems'}:")
        _print_problems(found)
    if partial:
        print("\nfound but not used:")
        _print_problems(partial)
    elif not found:
        print("\nno problem found")
    return 1 if found else 0


def _print_problems(problems: list[Problem]) -> None:
    for problem in problems:
        print(f"\n{problem}")


def _print_settings() -> None:
    from importlib.metadata import version

    import numpy as np

    print(f"kcore {version('kcore')}, Python {platform.python_version()}, NumPy {np.__version__}")
    print(f"on {platform.platform()}")
    print(f"{VARIABLE}: {os.environ.get(VARIABLE) or 'not set'}")
    try:
        file = config.config_file()
        shown = ", ".join(f"{k} {v}" for k, v in file.values.items()) or "no settings"
        print(f"keras.json: {file.path}: {shown if file.path.exists() else 'no such file'}")
    except KcoreError:
        print(f"keras.json: {config.keras_home() / 'keras.json'}: not usable")


def _backends() -> Iterator[Problem]:
    started = installed.start_all(warn=False)
    print("\nbackends:")
    if not entry_points(BACKENDS):
        print("  none")
    for entry in entry_points(BACKENDS):
        backend = started.get(entry.name)
        state = "not usable" if backend is None else "usable" if backend.devices() else "no device answers"
        print(f"  {entry.name} ({entry.distribution} {entry.version}): {state}")
        if backend is not None:
            _print_backend(backend)
    try:
        place = current()
        print(f"  in use: {place}, chosen by: {reason()}")
    except KcoreError as error:
        what, _, rest = str(error).partition("\n")
        yield Problem("no backend in use", what, _next(rest) or _next(what) or "correct that setting")
    for name, failure in installed.failures().items():
        yield _problem(f"backend {name}", failure)
    for backend in started.values():
        if not backend.devices():
            yield from backend.problems()


def _print_backend(backend: Backend) -> None:
    for device in backend.devices():
        print(f"    {device}  {device.name}, {device.kind}, {memory_text(device.memory)}")
        print_paragraph(facts_text(device.details), 8)
    for device, why in backend.unused():
        print(f"    {backend.name}:-  {device.name}, {device.kind}: not used, {why}")
    host = _host_ops(backend)
    if host:
        fate = "have no kernel" if backend.name == HOST else "run on the host"
        print(f"    {len(host)} ops {fate}: {', '.join(host)}")


def _host_ops(backend: Backend) -> list[str]:
    """Primitives the backend has no kernel for: they run on the host, or nowhere if this is the host."""
    import kcore.ops  # noqa: F401  (registers the ops)
    from kcore.graph.op import OPS

    table, core = backend.kernels, kernels_of(CORE)
    return sorted(op.name for op in OPS if op.primitive and op.name not in table and op.name not in core)


def _plugins() -> Iterator[Problem]:
    print("\nplugins:")
    if not entry_points(PLUGINS):
        print("  none")
    for kind in KINDS:
        plugins.provided(kind)
    broken = plugins.problems()
    for entry in entry_points(PLUGINS):
        state = "a problem, see below" if any(b.entry == entry for b in broken) else "usable"
        print(f"  {entry.name} ({entry.distribution} {entry.version}): {state}")
    for error in dict.fromkeys(b.error for b in broken):
        entry = next(b.entry for b in broken if b.error is error)
        yield _problem(f"plugin {entry.name}", error)


def _problem(what: str, error: KcoreError) -> Problem:
    why, _, _ = str(error).partition("; type: ")
    cause = error.__cause__
    hint = _next(str(error))
    if not hint and isinstance(cause, ModuleNotFoundError):
        hint = f"install the package that holds {cause.name!r}, with pip in this environment"
    return Problem(what, why, hint or "report it to the distribution named above, with `python -X dev -m kcore doctor`")


def _next(text: str) -> str:
    """What an error says should be typed."""
    return text.rpartition("type: ")[2].strip() if "type: " in text else ""
