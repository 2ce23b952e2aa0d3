"""The installed backends: found by entry point, started when first asked for, readable errors when that fails."""

from __future__ import annotations

import re
import threading

from kcore.backend.base import Backend, Device, facts_of
from kcore.errors import BackendNotFoundError, PluginError, warn_user
from kcore.naming import did_you_mean
from kcore.plugins.contract import check_contract
from kcore.plugins.discovery import BACKENDS, EntryPoint, entry_points, extra_for, find_entry

#: Names PlaidML's users have in their environments and keras.json files.
LEGACY = {"plaidml": "opencl", "plaidml.keras.backend": "opencl"}

#: Engines that other programs are told to use by the same settings.
FOREIGN = frozenset({"tensorflow", "jax", "torch", "theano", "cntk"})

_lock = threading.RLock()
_started: dict[str, Backend] = {}
_failed: dict[str, PluginError] = {}


def reset() -> None:
    """Forget the started backends, so that installed ones are looked for anew."""
    with _lock:
        _started.clear()
        _failed.clear()


def started() -> list[Backend]:
    """The backends that have been started."""
    with _lock:
        return list(_started.values())


def start(entry: EntryPoint) -> Backend:
    """Import and construct the backend behind an entry point, once.

    Raises:
        PluginError: it cannot be imported or constructed, or was written for another contract.
    """
    with _lock:
        if entry.name in _started:
            return _started[entry.name]
        if entry.name in _failed:
            raise _failed[entry.name]
        try:
            backend = _construct(entry)
        except PluginError as error:
            _failed[entry.name] = error
            raise
        _started[entry.name] = backend
        from kcore.plugins import load_kernels

        load_kernels(entry.name)
        return backend


def _construct(entry: EntryPoint) -> Backend:
    cls = entry.load()
    check_contract(cls, entry)
    if not (isinstance(cls, type) and issubclass(cls, Backend)):
        raise PluginError(f"{entry}: {entry.value!r} is not a subclass of kcore.backend.Backend")
    if cls.name != entry.name:
        raise PluginError(f"{entry}: its class calls itself {cls.name!r}; both names must be the same")
    try:
        backend = cls()
        backend.devices()
    except Exception as error:
        raise PluginError(f"{entry} cannot start: {type(error).__name__}: {error}") from error
    return backend


def start_all(warn: bool = True) -> dict[str, Backend]:
    """Every installed backend that starts, by name; each that does not is warned about once."""
    started: dict[str, Backend] = {}
    for name in dict.fromkeys(e.name for e in entry_points(BACKENDS)):
        known = name in _failed
        try:
            entry = find_entry(BACKENDS, name)
            if entry is not None:
                started[name] = start(entry)
        except PluginError as error:
            _failed[name] = error
            if warn and not known:
                warn_user(f"{error}; `kcore doctor` says more", RuntimeWarning)
    return started


def failures() -> dict[str, PluginError]:
    """Why each installed backend that does not start does not, by name."""
    start_all(warn=False)
    return dict(_failed)


def resolve(name: str) -> EntryPoint | None:
    """The entry point of a backend by its name or an alias, or None."""
    entry = find_entry(BACKENDS, name)
    if entry is None and name in LEGACY:
        entry = find_entry(BACKENDS, LEGACY[name])
    if entry is None and name not in LEGACY and name not in FOREIGN:
        for other, backend in start_all().items():
            if name in backend.aliases:
                return find_entry(BACKENDS, other)
    return entry


def is_foreign(name: str) -> bool:
    """Whether a name means another engine; not if somebody's installed backend is called so."""
    return name in FOREIGN and find_entry(BACKENDS, name) is None


def get(name: str, asked_by: str) -> Backend:
    """The started backend of that name or alias.

    Args:
        name: name or alias, without device.
        asked_by: who asks, for the message (``KERAS_BACKEND``).

    Raises:
        BackendNotFoundError: it is not installed; the message lists those that are, and the pip command.
        PluginError: it is installed but cannot be used; the message says why.
    """
    backend = _started.get(name)
    if backend is not None:
        return backend
    entry = resolve(name)
    if entry is None:
        raise not_installed(name, asked_by)
    return start(entry)


def not_installed(name: str, asked_by: str) -> BackendNotFoundError:
    """The error for a backend that is not installed."""
    started = start_all()
    wanted = LEGACY.get(name, name)
    near = did_you_mean(name, started)
    lines = [f"{asked_by} asks for backend {name!r}, which is not installed{near}"]
    if name in FOREIGN:
        lines[0] = f"{asked_by} asks for {name!r}, which is another engine and no backend of kcore"
    lines.append(f"installed: {inventory(started)}")
    if name not in FOREIGN and not near:
        lines.append(f"to install it, type: {extra_for(wanted)}")
    return BackendNotFoundError("\n  ".join(lines))


def inventory(started: dict[str, Backend]) -> str:
    """The installed backends with their devices, in one line."""
    if not started:
        return f"none (type: {extra_for('numpy')})"
    shown = []
    for name, backend in started.items():
        devices = ", ".join(f"{d} {d.name}" for d in backend.devices())
        shown.append(f"{name} ({devices or 'no device answers'})")
    return "; ".join(shown)


def pick_device(backend: Backend, wanted: str) -> Device:
    """One device of a backend: the first for an empty wish, else what `Backend.find_device` says.

    Raises:
        BackendNotFoundError: there is no such device; the message lists those that are, and near names.
    """
    devices = backend.devices()
    if not devices:
        lines = [f"backend {backend.name!r} is installed, but none of its devices answers"]
        lines += [f"{p.what}: {p.why}; {p.hint}" for p in backend.problems()]
        raise BackendNotFoundError("\n  ".join([*lines, "`kcore doctor` says more"]))
    found = backend.find_device(wanted) if wanted else devices[0]
    if found is not None:
        return found
    words = {word for d in devices for fact in facts_of(d) for word in (fact, *re.findall(r"[\w-]+", fact))}
    lines = [f"backend {backend.name!r} has no device {wanted!r}{did_you_mean(wanted.lower(), sorted(words))}"]
    lines.append("it has " + ", ".join(f"{d} {d.name} ({d.kind})" for d in devices))
    for device, why in backend.unused():
        if wanted == str(device.index) or any(wanted.lower() in fact for fact in facts_of(device)):
            lines.append(f"{device.name} is not used: {why}")
    raise BackendNotFoundError("\n  ".join([*lines, "`kcore devices` shows what they can be chosen by"]))


def default_device(devices: list[Device]) -> Device:
    """The device to use where nobody chose a backend: the first that ranks as the default, else the first."""
    return next((d for d in devices if d.default), devices[0])


def best() -> tuple[Backend, Device, list[str]]:
    """The best installed backend whose device answers, its device, and the other backends that answer.

    Raises:
        BackendNotFoundError: none is installed, or no device answers; the message says what to type.
    """
    started: dict[str, Backend] = start_all()
    answering = [(b, b.devices()) for b in started.values() if b.devices()]
    if not answering:
        lines = ["no backend can be used"]
        lines += [f"{error}" for error in _failed.values()]
        lines += [f"{p.what}: {p.why}; {p.hint}" for b in started.values() for p in b.problems()]
        if not started:
            lines.append(f"type: {extra_for('numpy')}")
        raise BackendNotFoundError("\n  ".join(lines))

    def rank(pair: tuple[Backend, list[Device]]) -> tuple[bool, int, str]:
        backend, devices = pair
        return (not default_device(devices).default, -backend.rank, backend.name)

    answering.sort(key=rank)
    backend, devices = answering[0]
    return backend, default_device(devices), [b.name for b, _ in answering[1:]]
