"""The manager: loads plugins, asks their hooks one by one, and reports the broken ones without the rest failing."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pluggy

from kcore.errors import PluginError, warn_user
from kcore.naming import did_you_mean
from kcore.plugins import discovery, hooks
from kcore.plugins.contract import check_contract
from kcore.plugins.discovery import PLUGINS, EntryPoint

if TYPE_CHECKING:
    from kcore.registry import Registry

#: What plugins bring under names: every hook that returns something.
KINDS = tuple(n.removeprefix("kcore_") for n in vars(hooks) if n.startswith("kcore_") and n != "kcore_kernels")


@dataclass(frozen=True)
class Provided:
    """Something a plugin brings: its full name, the object, and where it came from."""

    name: str
    value: Any
    entry: EntryPoint


@dataclass(frozen=True)
class Broken:
    """A plugin, or a part of one, that cannot be used."""

    entry: EntryPoint
    error: PluginError

    def __str__(self) -> str:
        return str(self.error)


class _State:
    def __init__(self) -> None:
        self.manager = pluggy.PluginManager("kcore")
        self.manager.add_hookspecs(hooks)
        self.entries: dict[str, EntryPoint] = {}
        self.broken: list[Broken] = []
        self.provided: dict[str, dict[str, Provided]] = {}
        self.kernels: set[str] = set()


_lock = threading.RLock()
_state: _State | None = None


def reset() -> None:
    """Forget every plugin and what was read from metadata; ops and kernels already registered stay."""
    global _state
    with _lock:
        _state = None
        discovery.refresh()


def _loaded() -> _State:
    """The plugins, imported and registered."""
    global _state
    with _lock:
        if _state is None:
            state = _state = _State()
            by_name: dict[str, list[EntryPoint]] = {}
            for entry in discovery.entry_points(PLUGINS):
                by_name.setdefault(entry.name, []).append(entry)
            for entries in by_name.values():
                try:
                    if len(entries) > 1:
                        raise discovery.duplicate(entries)
                    _register(state, entries[0])
                except PluginError as error:
                    for entry in entries:
                        _report(state, entry, error, say=entry is entries[0])
        return _state


def _register(state: _State, entry: EntryPoint) -> None:
    module = entry.load()
    check_contract(module, entry)
    state.manager.register(module, entry.name)
    for caller in state.manager.get_hookcallers(module) or ():
        if not caller.has_spec():
            state.manager.unregister(module)
            near = did_you_mean(caller.name, [f"kcore_{kind}" for kind in (*KINDS, "kernels")])
            raise PluginError(f"{entry} implements a hook {caller.name!r}, which kcore does not have{near}")
    state.entries[entry.name] = entry


def _report(state: _State, entry: EntryPoint, error: PluginError, say: bool = True) -> None:
    state.broken.append(Broken(entry, error))
    if say:
        warn_user(f"{error}; everything else works, `kcore doctor` says more", RuntimeWarning)


def _ask(state: _State, hook: str, **arguments: Any) -> Iterable[tuple[EntryPoint, Any]]:
    """Call a hook of one plugin after the other, so that a failure can be told from whom it came."""
    for name, entry in state.entries.items():
        plugin = state.manager.get_plugin(name)
        if not hasattr(plugin, hook):
            continue
        others = [p for p in state.manager.get_plugins() if p is not plugin]
        try:
            results = state.manager.subset_hook_caller(hook, others)(**arguments)
        except Exception as error:
            problem = PluginError(f"{entry}: its hook {hook} failed: {type(error).__name__}: {error}")
            problem.__cause__ = error
            _report(state, entry, problem)
            continue
        yield entry, results[0] if results else None


def plugins() -> list[EntryPoint]:
    """The plugins that were loaded, after loading them if need be."""
    return list(_loaded().entries.values())


def problems() -> list[Broken]:
    """The plugins and hooks that cannot be used, as far as they were tried."""
    return list(_loaded().broken)


def provided(kind: str) -> dict[str, Provided]:
    """What plugins bring of one kind, by full name.

    Args:
        kind: ``"layers"``, ``"ops"``, ``"initializers"``, ``"losses"``, ``"metrics"``, ``"optimizers"``,
            ``"callbacks"``, ``"datasets"``, ``"models"`` or ``"commands"``.

    Returns:
        Full name (``"mypkg>MyLayer"``; a command's is bare) -> what it is and where it came from.
    """
    if kind not in KINDS:
        raise ValueError(f"plugins bring {', '.join(KINDS)}, not {kind!r}")
    with _lock:
        state = _loaded()
        if kind not in state.provided:
            found: dict[str, Provided] = {}
            for entry, result in _ask(state, f"kcore_{kind}"):
                try:
                    for item in _named(kind, entry, result):
                        _add(found, item)
                except PluginError as error:
                    _report(state, entry, error)
            state.provided[kind] = found
        return state.provided[kind]


def _named(kind: str, entry: EntryPoint, result: Any) -> Iterable[Provided]:
    """What a hook returned, under full names."""
    hook = f"kcore_{kind}"
    if kind in ("datasets", "models"):
        if not isinstance(result, Mapping):
            raise PluginError(f"{entry}: its hook {hook} should return a mapping of names to functions, not {result!r}")
        for name, value in result.items():
            yield Provided(f"{entry.name}>{name}", value, entry)
        return
    if not isinstance(result, Iterable) or isinstance(result, str):
        raise PluginError(f"{entry}: its hook {hook} should return a list, not {result!r}")
    for value in result:
        if kind == "commands":
            if not isinstance(value, hooks.Command):
                raise PluginError(f"{entry}: its hook {hook} should return kcore.plugins.Command, not {value!r}")
            yield Provided(value.name, value, entry)
        elif kind == "ops":
            if not value.name.startswith(f"{entry.name}>"):
                raise PluginError(f"{entry}: its op {value.name!r} should be called '{entry.name}>{value.name}'")
            yield Provided(value.name, value, entry)
        else:
            name = getattr(value, "__name__", None)
            if not callable(value) or name is None:
                raise PluginError(f"{entry}: its hook {hook} should return classes or functions, not {value!r}")
            yield Provided(f"{entry.name}>{name}", value, entry)


def _add(found: dict[str, Provided], item: Provided) -> None:
    other = found.get(item.name)
    if other is not None and other.value is not item.value:
        raise PluginError(
            f"{item.name!r} comes from {other.entry.distribution} {other.entry.version} and from "
            f"{item.entry.distribution} {item.entry.version}; the first one is used"
        )
    found[item.name] = item


def find(kind: str, name: str) -> Any:
    """The object a plugin brings under a full name such as ``"mypkg>MyLayer"``, or None where no plugin has it.

    Raises:
        PluginError: the plugin that owns the namespace cannot be used; the message says why.
    """
    item = provided(kind).get(name)
    if item is not None:
        return item.value
    namespace = name.partition(">")[0]
    for broken in problems():
        if broken.entry.name == namespace:
            raise PluginError(f"{name!r} is not there because {broken.error}") from broken.error
    return None


def register_named(registry: Registry, name: str) -> bool:
    """Register what plugins bring that a configuration may name; whether `name` is among it.

    Raises:
        PluginError: the plugin that owns the name's namespace cannot be used.
    """
    found = False
    for kind in ("layers", "initializers", "losses", "metrics", "optimizers", "callbacks"):
        for item in provided(kind).values():
            registry.register(item.value, item.name)
        found = found or find(kind, name) is not None
    return found


def load_kernels(backend: str) -> None:
    """Let every plugin register its kernels for a backend; once per backend."""
    with _lock:
        if not discovery.entry_points(PLUGINS):
            return
        state = _loaded()
        if backend in state.kernels:
            return
        state.kernels.add(backend)
        for _ in _ask(state, "kcore_kernels", backend=backend):
            pass  # asking is all: kernels register themselves
