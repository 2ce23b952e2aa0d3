"""Functions of whole arrays: by MKL's vector library, which has threads of its own, where that beats NumPy.

Its results depend neither on an element's place nor on the number of threads.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from kcore.backend.kernel import Thunk
from kcore_numpy import blas

#: Elements from which MKL's call costs less than NumPy's.
LEAST = 2048
#: Full accuracy (less than one unit in the last place), errors ignored, numbers below the normal ones kept.
_MODE = 0x2 | 0x100 | 0x140000
#: Those that MKL computes faster, on one thread or on several.
_NAMES: dict[Callable[..., Any], str] = {
    np.exp: "Exp", np.expm1: "Expm1", np.log: "Ln", np.log1p: "Log1p", np.sqrt: "Sqrt", np.reciprocal: "Inv",
    np.tanh: "Tanh", np.sin: "Sin", np.cos: "Cos", np.true_divide: "Div",
}  # fmt: skip
_REALS = {np.dtype(np.float32): ("s", ctypes.c_float), np.dtype(np.float64): ("d", ctypes.c_double)}


def apply(function: Callable[..., Any], *operands: np.ndarray, out: np.ndarray) -> Thunk:
    """Thunk for ``out = function(*operands)``, a function of NumPy's; `out` may be one of the operands."""
    name = _NAMES.get(function)
    call = None if name is None else _call(name, operands, out)
    return partial(function, *operands, out=out) if call is None else call


def error_function(x: np.ndarray, out: np.ndarray) -> Thunk | None:
    """Thunk for ``out = erf(x)``, which NumPy does not have; None where MKL cannot compute it."""
    return _call("Erf", (x,), out, least=1)


def normal(x: np.ndarray, out: np.ndarray) -> Thunk | None:
    """Thunk for ``out = (1 + erf(x / sqrt(2))) / 2``; None where MKL cannot compute it."""
    return _call("CdfNorm", (x,), out, least=1)


def has_quotients(dtype: Any) -> bool:
    """Whether `quotient` works for a dtype: it needs MKL, and floats."""
    return blas.library() is not None and np.dtype(dtype) in _REALS


def quotient(x: np.ndarray, y: np.ndarray, shift: float, out: np.ndarray) -> Thunk:
    """Thunk for ``out = x / (y + shift)``: contiguous arrays of one size, of which `out` may be one."""
    call = _call("LinearFrac", (x, y), out, (1.0, 0.0, 1.0, shift), least=1)
    assert call is not None
    return call


def _call(
    name: str, operands: tuple[np.ndarray, ...], out: np.ndarray, numbers: tuple[float, ...] = (), least: int = LEAST
) -> Thunk | None:
    found = blas.library()
    if found is None or out.size < least or out.dtype not in _REALS or out.size > blas.LARGEST:
        return None
    for x in operands:
        if x.dtype != out.dtype or x.shape != out.shape or not x.flags.c_contiguous:
            return None
        if x.ctypes.data != out.ctypes.data and np.may_share_memory(x, out):
            return None
    if not out.flags.c_contiguous:
        return None
    letter, real = _REALS[out.dtype]
    function = found.function(f"vm{letter}{name}")
    places = [blas.address(x) for x in operands]
    return partial(function, out.size, *places, *map(real, numbers), blas.address(out), ctypes.c_int64(_MODE))
