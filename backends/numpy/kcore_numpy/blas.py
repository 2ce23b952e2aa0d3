"""What the BLAS behind NumPy can do and NumPy does not offer: sums of two scaled vectors in one pass."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from kcore.backend.kernel import Thunk
from kcore_numpy import threads

_LETTERS = {np.dtype(np.float32): ("s", ctypes.c_float), np.dtype(np.float64): ("d", ctypes.c_double)}


def _find(name: str) -> tuple[Any, Any] | None:
    """A function of OpenBLAS's C interface, and the type of its integers; None if NumPy stands on another BLAS."""
    for library in threads.openblas():
        for prefix in ("scipy_", ""):
            for suffix, integer in (("64_", ctypes.c_int64), ("", ctypes.c_int)):
                if hasattr(library, f"{prefix}{name}{suffix}"):
                    return getattr(library, f"{prefix}{name}{suffix}"), integer
    return None


def _declare(letter: str, real: Any) -> Callable[..., None] | None:
    found = _find(f"cblas_{letter}axpby")
    if found is None:
        return None
    function, integer = found
    function.argtypes = [integer, real, ctypes.c_void_p, integer, real, ctypes.c_void_p, integer]
    function.restype = None
    return function


_axpby = {dtype: _declare(*names) for dtype, names in _LETTERS.items()}


def combines(dtype: Any) -> bool:
    """Whether `combination` works for a dtype: it needs OpenBLAS, and floats."""
    return _axpby.get(np.dtype(dtype)) is not None


def combination(a: float | Callable[[], float], x: np.ndarray, b: float, y: np.ndarray, out: np.ndarray) -> Thunk:
    """Thunk for ``out = a * x + b * y``: contiguous arrays of one size, of which `out` may be one.

    Args:
        a: a number, or a function that is asked for it at each call.
    """
    function, n = _axpby[out.dtype], out.size
    assert function is not None and x.size == y.size == n
    at_x, at_y, at_out = (array.ctypes.data for array in (x, y, out))
    over_x = at_out == at_x and at_out != at_y
    copy = None if at_out in (at_x, at_y) else partial(np.copyto, out, y)
    if not callable(a):
        if over_x:
            return partial(function, n, b, at_y, 1, a, at_out, 1)
        if copy is None:
            return partial(function, n, a, at_x, 1, b, at_out, 1)
    factor = a if callable(a) else partial(float, a)

    def run() -> None:
        if over_x:
            function(n, b, at_y, 1, factor(), at_out, 1)
            return
        if copy is not None:
            copy()
        function(n, factor(), at_x, 1, b, at_out, 1)

    return run
