"""The choice of backend and device: by call, by environment, by keras.json, or the best that is installed."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from typing import NamedTuple

from kcore import config
from kcore.backend import installed
from kcore.backend.base import Backend, Device
from kcore.errors import KcoreError, warn_user

VARIABLE = "KERAS_BACKEND"


class Current(NamedTuple):
    """The backend and device in use."""

    backend: Backend
    device: Device

    @property
    def name(self) -> str:
        """Name of the backend."""
        return self.backend.name

    def __str__(self) -> str:
        return str(self.device)


_lock = threading.RLock()
_current: Current | None = None
_reason = ""
_generation = 0
#: KERAS_BACKEND as it was when the choice was made, or when its change was last spoken of.
_environment: object = None
_noted: set[tuple[str, str]] = set()


def current() -> Current:
    """The backend and device in use; the first call chooses them if nobody did.

    The order: `use_backend`, then the environment variable ``KERAS_BACKEND``, then ``keras.json``, then the best
    installed backend whose device answers. Names of other engines in the environment or the file are noted once and
    skipped.

    Returns:
        The backend, the device, and as `name` the backend's name.

    Raises:
        BackendNotFoundError: the backend asked for is not installed or has no device, or none is installed.
        PluginError: it is installed but cannot be used.
        ConfigError: keras.json is malformed.
    """
    place = _current
    if place is None:
        return _choose()
    if _environ_get() != _environment:
        _say_environment_changed()
    return place


def _make_environ_get() -> Callable[[], object]:
    """A quick look at the variable: it runs before every eager op, and `os.environ.get` costs most of a microsecond."""
    data = getattr(os.environ, "_data", None)
    encode = getattr(os.environ, "encodekey", None)
    if not isinstance(data, dict) or encode is None:
        return lambda: os.environ.get(VARIABLE)
    key = encode(VARIABLE)
    return lambda: data.get(key)


_environ_get = _make_environ_get()


def use_backend(name: str) -> Current:
    """Choose a backend and device.

    It may be called at any time: variables and models that exist move to the device when they are next used.

    Args:
        name: ``"numpy"``, with a device number ``"opencl:1"``, or with part of the device's name ``"opencl:amd"``.

    Returns:
        The backend and device now in use.

    Raises:
        BackendNotFoundError: no such backend is installed, or it has no such device; the message lists those that
            are, and the pip command for the one asked for.
        PluginError: it is installed but cannot be used; the message says why.
    """
    if not isinstance(name, str) or not name.strip():
        raise TypeError(f"use_backend() wants a name like 'numpy' or 'opencl:1', not {name!r}")
    with _lock:
        return _set(_find(name, "use_backend()"), f"use_backend({name!r})")


def current_device() -> Device:
    """The device in use."""
    return current().device


def generation() -> int:
    """A number that grows with every change of backend or device."""
    return _generation


def reason() -> str:
    """Who chose the backend in use: a call, the environment, a file, or nobody."""
    current()
    return _reason


def backend_of(name: str) -> Backend:
    """A backend by name or alias, whether it is in use or not.

    Raises:
        BackendNotFoundError: it is not installed.
        PluginError: it is installed but cannot be used.
    """
    return installed.get(name, "backend_of()")


def devices(name: str | None = None) -> list[Device]:
    """The devices that answer, of one backend or of all installed ones.

    Args:
        name: name of a backend; None for all.

    Returns:
        The devices, those of higher ranked backends first.
    """
    if name is not None:
        return backend_of(name).devices()
    backends = sorted(installed.start_all().values(), key=lambda b: (-b.rank, b.name))
    return [device for backend in backends for device in backend.devices()]


def is_backend_available(name: str) -> bool:
    """Whether a backend, or a device of it, is installed and answers; never raises.

    Args:
        name: as for `use_backend`.
    """
    try:
        _find(name, "is_backend_available()")
    except KcoreError:
        return False
    return True


def reset() -> None:
    """Forget the choice and the started backends, as if kcore had just been imported; for tests of backends."""
    global _current, _reason, _environment, _generation
    with _lock:
        _current, _reason, _environment = None, "", None
        _generation += 1
        _noted.clear()
        installed.reset()


def _find(name: str, asked_by: str) -> Current:
    backend_name, _, device = name.strip().partition(":")
    backend = installed.get(backend_name.strip(), asked_by)
    return Current(backend, installed.pick_device(backend, device.strip()))


def _set(place: Current, why: str) -> Current:
    global _current, _reason, _generation, _environment
    if _current is None or _current.backend is not place.backend or _current.device != place.device:
        _generation += 1
        _current = place
    _reason = why
    _environment = _environ_get()
    return _current


def _choose() -> Current:
    with _lock:
        if _current is not None:  # another thread was faster
            return _current
        wanted = os.environ.get(VARIABLE, "").strip()
        if wanted and not _skip(wanted, f"the environment variable {VARIABLE}"):
            return _set(_find(wanted, VARIABLE), f"{VARIABLE}={wanted}")
        file = config.config_file()
        wanted = file.values.get("backend", "").strip()
        if wanted and not _skip(wanted, str(file.path)):
            return _set(_find(wanted, str(file.path)), str(file.path))
        backend, device, others = installed.best()
        if others:
            print(
                f"kcore: using {device} ({device.name}); installed as well: {', '.join(others)}. "
                f"use_backend(), {VARIABLE} or keras.json choose another.",
                file=sys.stderr,
            )
        return _set(Current(backend, device), "the best installed backend whose device answers")


def _skip(name: str, where: str) -> bool:
    """Whether a name is another engine's; says so once."""
    plain = name.partition(":")[0]
    if not installed.is_foreign(plain):
        return False
    if (plain, where) not in _noted:
        _noted.add((plain, where))
        said = f"{where} names {plain!r}, which is another engine and no backend of kcore: skipped"
        warn_user(said)
    return True


def _say_environment_changed() -> None:
    """Warn that a change of KERAS_BACKEND came too late, once for each new value."""
    global _environment
    with _lock:
        value = _environ_get()
        if value == _environment or _current is None:
            return
        _environment = value
        place = _current
    wanted = os.environ.get(VARIABLE, "").strip()
    name = wanted.partition(":")[0]
    name = installed.LEGACY.get(name, name)
    if not wanted or wanted in (place.name, str(place.device)) or installed.is_foreign(name):
        return
    warn_user(
        f"{VARIABLE} was set to {wanted!r} after kcore had chosen {place.device} ({_reason}); that comes too late and "
        f"changes nothing. Call kcore.use_backend({wanted!r}) instead: it works at any time, and models move along.",
        RuntimeWarning,
    )
