"""What is installed: the entry points of backends and plugins, read from metadata without importing anything."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any

from kcore.errors import PluginError

BACKENDS = "kcore.backends"
PLUGINS = "kcore.plugins"


@dataclass(frozen=True)
class EntryPoint:
    """One entry point of an installed distribution.

    Attributes:
        group: `BACKENDS` or `PLUGINS`.
        name: what it is called; for a plugin also the namespace of everything it brings.
        value: the module or ``module:object`` behind it.
        distribution: name of the distribution it came with.
        version: version of that distribution.
    """

    group: str
    name: str
    value: str
    distribution: str
    version: str
    _source: Any = field(repr=False, compare=False, default=None)

    def __str__(self) -> str:
        kind = "backend" if self.group == BACKENDS else "plugin"
        return f"{kind} {self.name!r} of {self.distribution} {self.version}"

    def load(self) -> Any:
        """Import what is behind it.

        Raises:
            PluginError: the import fails; the message names the distribution and the error, which is its cause.
        """
        try:
            return self._source.load()
        except Exception as error:
            raise PluginError(f"{self} cannot be imported: {type(error).__name__}: {error}") from error


_lock = threading.Lock()
_groups: dict[str, tuple[EntryPoint, ...]] = {}


def entry_points(group: str) -> tuple[EntryPoint, ...]:
    """Every entry point of a group, sorted by name; read once."""
    with _lock:
        if group not in _groups:
            from importlib.metadata import entry_points as installed

            _groups[group] = tuple(
                sorted((_entry(group, e) for e in installed(group=group)), key=lambda e: (e.name, e.distribution))
            )
        return _groups[group]


def _entry(group: str, source: Any) -> EntryPoint:
    dist = source.dist
    name, version = (dist.metadata["Name"], dist.version) if dist is not None else ("an unknown distribution", "?")
    return EntryPoint(group, source.name, source.value, name, version, source)


def refresh() -> None:
    """Forget what was read, so that packages installed since are seen."""
    with _lock:
        _groups.clear()


def find_entry(group: str, name: str) -> EntryPoint | None:
    """The entry point of that name, or None.

    Raises:
        PluginError: two distributions bring one of that name; the message names both.
    """
    found = [e for e in entry_points(group) if e.name == name]
    if len(found) > 1:
        raise duplicate(found)
    return found[0] if found else None


def duplicate(entries: list[EntryPoint]) -> PluginError:
    """The error for entry points that share one name."""
    kind = "backend" if entries[0].group == BACKENDS else "plugin"
    owners = [f"{e.distribution} {e.version} ({e.value})" for e in entries]
    return PluginError(
        f"two distributions bring a {kind} {entries[0].name!r}: {' and '.join(owners)}; "
        f"type: pip uninstall {entries[0].distribution}  or  pip uninstall {entries[1].distribution}"
    )


def extra_for(name: str) -> str:
    """The pip command that installs a backend, from the extras kcore itself was published with.

    Example:
        >>> extra_for("mine")
        'pip install kcore-mine'
    """
    from importlib.metadata import PackageNotFoundError, metadata

    try:
        extras = metadata("kcore").get_all("Provides-Extra") or []
    except PackageNotFoundError:  # run from sources that were never installed
        extras = []
    return f'pip install "kcore[{name}]"' if name in extras else f"pip install kcore-{name}"
