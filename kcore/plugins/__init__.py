"""Plugins: found by metadata, loaded when something of them is used, kept apart when one of them is broken."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kcore.plugins.contract import CONTRACT

if TYPE_CHECKING:
    from kcore.plugins.hooks import Command, hookimpl
    from kcore.plugins.manager import (
        Broken,
        Provided,
        find,
        load_kernels,
        plugins,
        problems,
        provided,
        register_named,
        reset,
    )

__all__ = [
    "CONTRACT",
    "Broken",
    "Command",
    "Provided",
    "find",
    "hookimpl",
    "load_kernels",
    "plugins",
    "problems",
    "provided",
    "register_named",
    "reset",
]


def __getattr__(name: str) -> Any:
    # pluggy and importlib.metadata cost more than all of `import kcore` may, so they wait until they are needed.
    if name in ("Command", "hookimpl"):
        from kcore.plugins import hooks

        return getattr(hooks, name)
    if name in __all__:
        from kcore.plugins import manager

        return getattr(manager, name)
    raise AttributeError(f"module 'kcore.plugins' has no attribute {name!r}")
