"""The ``kcore`` command: its own subcommands, and those that plugins bring."""

from __future__ import annotations

import argparse
import importlib
import sys
import warnings
from collections.abc import Sequence
from typing import Any

from kcore.errors import KcoreError

#: Own subcommands: the module that holds ``configure(parser)`` and ``run(args) -> exit status``, and one line of help.
COMMANDS = {
    "devices": ("kcore.cli.devices", "list the devices that answer, and the one in use"),
    "plugins": ("kcore.cli.plugins", "list installed backends and plugins, and what they bring"),
    "doctor": ("kcore.cli.doctor", "say what is not usable, why, and what to type next"),
    "run": ("kcore.cli.run", "run a script written for Keras, unchanged, on kcore"),
    "summary": ("kcore.cli.summary", "say what a saved model, or file of weights, holds"),
    "convert": ("kcore.cli.convert", "write a saved model in another form"),
    "diff": ("kcore.cli.diff", "say what differs between two saved models, and by how much"),
    "demo": ("kcore.cli.demo", "train a convolutional model on handwritten digits"),
    "test-backend": ("kcore.cli.conformance", "run the conformance kit on a backend"),
}


#: How Python itself shows a warning.
SHOW_WARNING = warnings.showwarning


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        argv: the arguments; those of the process if None.

    Returns:
        The exit status: 0 if all went well, 1 if not, 2 if the arguments were wrong.
    """
    with warnings.catch_warnings():
        warnings.showwarning = _show_warning
        try:
            return _run(list(sys.argv[1:] if argv is None else argv))
        except KcoreError as error:
            print(f"kcore: {error}", file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            print("kcore: interrupted", file=sys.stderr)
            return 130
        except BrokenPipeError:  # piped into head
            sys.stderr.close()
            return 1


def _run(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser("kcore", description="Deep learning on an engine made of plugins.")
    parser.add_argument("--version", action="store_true", help="print the versions of kcore and its backends")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    wanted = next((a for a in arguments if not a.startswith("-")), None)
    for name, (module, text) in COMMANDS.items():
        sub = commands.add_parser(name, help=text, description=text)
        if name == wanted:  # the others' modules are not needed
            chosen = importlib.import_module(module)
            chosen.configure(sub)
            sub.set_defaults(run=chosen.run)
    if wanted not in COMMANDS:
        _add_plugin_commands(commands)
    args = parser.parse_args(arguments)
    if args.version:
        return _print_versions()
    if args.command is None:
        parser.print_help()
        return 0
    return int(args.run(args) or 0)


def _show_warning(message: Warning | str, *where: Any, **more: Any) -> None:
    """On the command line nobody wants to see the line of code that warned."""
    print(f"kcore: {message}", file=sys.stderr)


def _add_plugin_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    from kcore.plugins import provided

    for item in provided("commands").values():
        command = item.value
        if command.name in COMMANDS:
            print(f"kcore: {item.entry} brings a command {command.name!r}, which kcore has itself", file=sys.stderr)
            continue
        text = f"{command.help} ({item.entry.distribution})"
        sub = commands.add_parser(command.name, help=text, description=command.help)
        command.configure(sub)
        sub.set_defaults(run=command.run)


def _print_versions() -> int:
    from importlib.metadata import version

    from kcore.plugins.discovery import BACKENDS, PLUGINS, entry_points

    print(f"kcore {version('kcore')}")
    for entry in (*entry_points(BACKENDS), *entry_points(PLUGINS)):
        print(f"{entry.distribution} {entry.version}")
    return 0
