"""The distributions of the plugins a model is made of: kept in its file, and named where one is missing."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from kcore.registry import REGISTRY


def packages_of(described: Any) -> dict[str, str]:
    """Namespace -> distribution, for the objects of plugins in a description.

    Args:
        described: what `kcore.registry.serialize` gave.
    """
    spaces = {name.partition(">")[0] for name in _registered(described)}
    if not spaces:
        return {}
    from kcore.plugins.discovery import PLUGINS, entry_points

    return {entry.name: entry.distribution for entry in entry_points(PLUGINS) if entry.name in spaces}


def missing(described: Any, packages: Any) -> str:
    """What to install for a description whose objects nobody registered, as a sentence; empty if that is not known.

    Args:
        described: the description in a file.
        packages: what `packages_of` gave when the file was written; nothing in it is trusted.
    """
    if not isinstance(packages, Mapping):
        return ""
    for name in _registered(described):
        distribution = packages.get(name.partition(">")[0])
        if isinstance(distribution, str) and re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", distribution):
            if REGISTRY.custom(name) is None:
                return (
                    f" The file says that {name!r} comes with the plugin {distribution!r}, which is not installed; if "
                    f"you know it, type: pip install {distribution}"
                )
    return ""


def _registered(described: Any) -> Iterator[str]:
    """The registered names ``"package>Name"`` in a description."""
    waiting = [described]
    while waiting:
        value = waiting.pop()
        if isinstance(value, Mapping):
            for key in ("registered_name", "class_name"):
                if isinstance(value.get(key), str) and ">" in value[key]:
                    yield value[key]
            waiting += reversed(list(value.values()))
        elif isinstance(value, list | tuple):
            waiting += reversed(value)
