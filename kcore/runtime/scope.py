"""Where in a model the code is: the layer path that graph nodes and variables carry."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_path: ContextVar[str] = ContextVar("kcore_path", default="")


def current_path() -> str:
    """The current layer path, e.g. ``"sequential/dense"``; empty outside of layers."""
    return _path.get()


@contextmanager
def name_scope(name: str) -> Iterator[str]:
    """Within this context graph nodes and variables get `name` appended to their path."""
    outer = _path.get()
    token = _path.set(f"{outer}/{name}" if outer else name)
    try:
        yield _path.get()
    finally:
        _path.reset(token)


@contextmanager
def at_path(path: str) -> Iterator[None]:
    """Within this context the path is exactly `path`."""
    token = _path.set(path)
    try:
        yield
    finally:
        _path.reset(token)


_shaping: ContextVar[bool] = ContextVar("kcore_shaping", default=False)


@contextmanager
def shaping() -> Iterator[None]:
    """Within this context only shapes are found: assignments change no variable, random states included."""
    token = _shaping.set(True)
    try:
        yield
    finally:
        _shaping.reset(token)


def in_shaping() -> bool:
    """Whether only shapes are being found."""
    return _shaping.get()


_autocast: ContextVar[str | None] = ContextVar("kcore_autocast", default=None)


@contextmanager
def autocasting(dtype: str | None) -> Iterator[None]:
    """Within this context a floating variable is read in `dtype`, unless it says autocast=False; None ends that."""
    token = _autocast.set(dtype)
    try:
        yield
    finally:
        _autocast.reset(token)


def autocast_dtype() -> str | None:
    """The dtype floating variables are read in, or None."""
    return _autocast.get()
