"""Numbers too small to be normal, taken for zero: each one costs a processor some hundred cycles.

A moving average of a gradient that has become zero, of a relu that never fires or a word that no longer comes, falls
below the smallest normal number (1.2e-38 in float32) after some hundred steps, and every later step would be many times
as slow on it. JAX and TensorFlow take such numbers for zero, too.
"""

from __future__ import annotations

import ctypes
import platform
import sys
import threading
from collections.abc import Callable
from typing import Any

#: By processor: the 32-bit word of C's `fenv_t` that says what becomes of them on Linux, and the bits that make them
#: zero: of results and of operands on x86, of both on ARM.
_WORDS = {"x86_64": (7, 0x8000 | 0x0040), "aarch64": (0, 1 << 24)}
_WORD, _BITS = _WORDS.get(platform.machine(), (0, 0))
_Environment = ctypes.c_uint32 * 8


def _functions() -> tuple[Callable[[Any], int], Callable[[Any], int]] | None:
    """C's `fegetenv` and `fesetenv`, which take less than a microsecond; None where `fenv_t` is not known."""
    if sys.platform != "linux" or platform.machine() not in _WORDS:
        return None
    library = ctypes.PyDLL("libm.so.6") if platform.libc_ver()[0] == "glibc" else ctypes.PyDLL(None)
    return library.fegetenv, library.fesetenv


_found = _functions()


class _Thread(threading.local):
    """What this thread does with them: a new one does as the one that started it did."""

    def __init__(self) -> None:
        self.flushing = False
        self.before = None
        if _found is not None:
            self.before = _Environment()
            _found[0](self.before)
            self.flushing = bool(self.before[_WORD] & _BITS)
            self.before[_WORD] &= ~_BITS


_thread = _Thread()


def flush() -> Any:
    """Take them for zero in this thread from now on.

    Returns:
        What `restore` needs; None where the system has no way.

    Example:
        >>> import numpy as np
        >>> tiny = np.full(3, 1e-40, "float32")
        >>> before = flush(); product = tiny * np.float32(0.5); restore(before)
        >>> bool(product.any()) == (before is None)
        True
    """
    if _found is None:
        return None
    get, put = _found
    before, now = _Environment(), _Environment()
    get(before)
    ctypes.memmove(now, before, ctypes.sizeof(before))
    now[_WORD] |= _BITS
    put(now)
    _thread.flushing = True
    return before


def restore(before: Any) -> None:
    """Let this thread compute as it did before `flush`, which gave `before`."""
    if before is not None and _found is not None:
        _found[1](before)
        _thread.flushing = bool(before[_WORD] & _BITS)


def flushing() -> bool:
    """Whether this thread takes them for zero, since `flush`."""
    return _thread.flushing


def follow(other: bool) -> None:
    """Do in this thread, which is the pool's, as another thread does."""
    if other != _thread.flushing:
        if other:
            flush()
        else:
            restore(_thread.before)
