"""The hook specifications: what a plugin may bring, each docstring being the contract of its hook.

A plugin is a module named in the entry-point group ``kcore.plugins``; the entry point's name is the namespace of
everything the plugin brings::

    [project.entry-points."kcore.plugins"]
    mypkg = "mypkg.plugin"

The module declares the contract it was written for and implements the hooks it needs. Imports of anything heavy stand
inside the hooks, so that a plugin costs nothing until something of it is used::

    from kcore.plugins import hookimpl

    kcore_contract = 1

    @hookimpl
    def kcore_layers():
        from mypkg.layers import MyLayer
        return [MyLayer]

What hooks return is called ``"mypkg>MyLayer"`` wherever a name is wanted, saved files included. A hook that raises is
reported with its distribution; what other hooks and other plugins bring stays usable.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import pluggy

hookspec = pluggy.HookspecMarker("kcore")
hookimpl = pluggy.HookimplMarker("kcore")


@dataclass(frozen=True)
class Command:
    """A subcommand of ``kcore``.

    Attributes:
        name: what is typed.
        help: one line for ``kcore --help``.
        run: called with the parsed arguments; returns the exit status.
        configure: adds the command's arguments to its parser.
    """

    name: str
    help: str
    run: Callable[[argparse.Namespace], int]
    configure: Callable[[argparse.ArgumentParser], None] = lambda parser: None


@hookspec
def kcore_layers() -> Iterable[type]:
    """Return the plugin's layer classes, subclasses of `kcore.layers.Layer`.

    Called when a name in the plugin's namespace is looked up, or all layers are listed. A layer need not be returned
    here to be used from Python; it must be to be found by name, as when a saved model is loaded.
    """
    raise NotImplementedError


@hookspec
def kcore_ops() -> Iterable[Any]:
    """Return the plugin's ops, declared with `kcore.graph.op.composite` or `primitive`.

    Each op's own name starts with the namespace: ``@composite("rotary", "mypkg>rotate")``. With shapes and a
    decomposition an op runs on every backend; its samples are run by the conformance kit.
    """
    raise NotImplementedError


@hookspec
def kcore_kernels(backend: str) -> None:
    """Import the modules that register the plugin's kernels for one backend.

    Called once per backend, when that backend is first selected or asked about, and before anything runs on it.
    Kernels register themselves with ``@kernel(op, backend=...)`` and may be for the plugin's own ops or for anybody
    else's; the highest priority wins. A plugin that has none for `backend` does nothing.
    """
    raise NotImplementedError


@hookspec
def kcore_initializers() -> Iterable[type]:
    """Return the plugin's initializer classes."""
    raise NotImplementedError


@hookspec
def kcore_losses() -> Iterable[Any]:
    """Return the plugin's loss classes and loss functions ``(y_true, y_pred) -> tensor``."""
    raise NotImplementedError


@hookspec
def kcore_metrics() -> Iterable[Any]:
    """Return the plugin's metric classes and metric functions ``(y_true, y_pred) -> tensor``."""
    raise NotImplementedError


@hookspec
def kcore_optimizers() -> Iterable[type]:
    """Return the plugin's optimizer classes."""
    raise NotImplementedError


@hookspec
def kcore_callbacks() -> Iterable[type]:
    """Return the plugin's callback classes."""
    raise NotImplementedError


@hookspec
def kcore_datasets() -> Mapping[str, Callable[..., Any]]:
    """Return data sets by name: functions like ``keras.datasets.mnist.load_data``."""
    raise NotImplementedError


@hookspec
def kcore_models() -> Mapping[str, Callable[..., Any]]:
    """Return ready-made models by name: functions that return a model, like those of ``keras.applications``."""
    raise NotImplementedError


@hookspec
def kcore_commands() -> Iterable[Command]:
    """Return subcommands of ``kcore``, as `Command` objects.

    Called when a command is typed that kcore itself does not have, and for ``kcore --help``. Commands have no
    namespace; two plugins with one command name are an error that names both.
    """
    raise NotImplementedError
