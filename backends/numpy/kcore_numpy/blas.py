"""The BLAS behind the products: MKL where it is installed, else NumPy's; and what BLAS can do and NumPy does not offer.

Nothing else in this backend knows which library computes.
"""

from __future__ import annotations

import ctypes
import os
import warnings
from collections.abc import Callable
from functools import cache, partial
from math import prod
from typing import Any

import numpy as np

from kcore.backend.kernel import Thunk
from kcore_numpy import mkl, threads

SETTING = "KCORE_BLAS"
_CHOICES = ("numpy", "mkl")

#: Rows or columns, and multiply-adds, below which NumPy's product takes less time than MKL's.
THIN, FEW = 16, 1 << 20

_ROW_MAJOR, _PLAIN, _TURNED = 101, 111, 112
_LETTERS = {np.dtype(np.float32): ("s", ctypes.c_float), np.dtype(np.float64): ("d", ctypes.c_double)}
#: Elements of an array, and a step in it, that fit its C functions.
LARGEST = (1 << 31) - 1
#: Most matrices in a stack whose addresses are written down one by one.
_STACK = 1 << 14


def _wanted() -> str:
    """What KCORE_BLAS asks for; empty if nothing is said."""
    wanted = os.environ.get(SETTING, "").strip()
    if wanted and wanted not in _CHOICES:
        raise ValueError(f"{SETTING} is {wanted!r}; expected {' or '.join(_CHOICES)}, or nothing for the better one")
    if wanted == "mkl" and mkl.version() is None:
        how = mkl.COMMAND if mkl.installable() else "there is none for this machine"
        raise ImportError(f"{SETTING} is 'mkl', which is not installed: {how}")
    return wanted


def description() -> str:
    """What products come from, without loading it, and what to type where something faster could be had.

    Raises:
        ValueError: KCORE_BLAS is set to something unknown.
        ImportError: KCORE_BLAS is mkl, and MKL is not installed.

    Example:
        >>> any(name in description() for name in ("MKL", "OpenBLAS", "NumPy"))
        True
    """
    wanted = _wanted()
    version = mkl.version()
    if version is not None and (wanted == "mkl" or (not wanted and mkl.suits())):
        return f"MKL {version}"
    own = f"OpenBLAS {threads.openblas_version()}" if threads.openblas() else "NumPy's"
    if version is None and not wanted and mkl.installable() and mkl.suits():
        return f"{own}; faster with MKL: {mkl.COMMAND}"
    return own


@cache
def library() -> mkl.Mkl | None:
    """MKL, loaded at the first call; None where products come from NumPy.

    Raises:
        ValueError: KCORE_BLAS is set to something unknown.
        ImportError: KCORE_BLAS is mkl, and MKL is not installed or cannot be loaded.
    """
    wanted = _wanted()
    if wanted == "numpy" or not (wanted or mkl.suits()) or mkl.version() is None:
        return None
    try:
        found = mkl.Mkl()
    except OSError as error:
        if wanted:
            raise ImportError(f"{SETTING} is 'mkl', which cannot be loaded: {error}") from error
        warnings.warn(f"MKL cannot be loaded, so products come from NumPy ({SETTING}=numpy): {error}", stacklevel=2)
        return None
    threads.single_blas().add(found.set_threads)
    return found


def has_threads() -> bool:
    """Whether the library's own threads are worth using: they wait for each other in C, and change no result."""
    found = library()
    return found is not None and found.threaded


def with_threads(work: Thunk) -> None:
    """Run something on this thread, with the library's own threads for what it computes."""
    found = library()
    assert found is not None
    with threads.alone() as free:
        found.set_own_threads(threads.count() if free else 1)
        try:
            work()
        finally:
            found.set_own_threads(0)


# -- products ----------------------------------------------------------------------------------------------------------


def matmul(a: np.ndarray, b: np.ndarray, out: np.ndarray) -> Thunk:
    """Thunk for ``out = a @ b``: matrices, or stacks of them. `out` shares no memory with `a` or `b`."""
    found = library()
    call = None if found is None else _product(found, a, b, out)
    return partial(np.matmul, a, b, out) if call is None else call


def add_matmul(a: np.ndarray, b: np.ndarray, out: np.ndarray, room: np.ndarray) -> Thunk:
    """Thunk for ``out += a @ b``; `room` is working memory like `out`."""
    found = library()
    call = None if found is None else _product(found, a, b, out, 1.0)
    if call is not None:
        return call
    matmul, add = np.matmul, np.add

    def run() -> None:
        matmul(a, b, room)
        add(out, room, out)

    return run


class _Address(ctypes.c_void_p):
    """The address of an array, which it keeps alive."""

    array: Any


def address(array: np.ndarray) -> ctypes.c_void_p:
    """Where an array lies, as an argument that keeps it alive."""
    address = _Address(array.ctypes.data)
    address.array = array
    return address


def _stored(x: np.ndarray) -> tuple[bool, int] | None:
    """Whether matrices are stored turned, and how many elements from row to row; None if not as BLAS asks."""
    (rows, columns), size = x.shape[-2:], x.itemsize
    across, along = x.strides[-2:]
    if columns == 1 or along == size:
        step = columns * size if rows == 1 else across
        if step % size == 0 and columns * size <= step <= LARGEST:
            return False, step // size
    if rows == 1 or across == size:
        step = rows * size if columns == 1 else along
        if step % size == 0 and rows * size <= step <= LARGEST:
            return True, step // size
    return None


def _product(found: mkl.Mkl, a: np.ndarray, b: np.ndarray, out: np.ndarray, keep: float = 0.0) -> Thunk | None:
    """MKL's call for ``out = a @ b + keep * out``, all arguments prepared; None for what it does not take."""
    if not (a.dtype == b.dtype == out.dtype and out.dtype in _LETTERS) or out.ndim < 2 or min(a.ndim, b.ndim) < 2:
        return None
    if not (a.size and b.size and out.size) or max(a.size, b.size, out.size) > LARGEST:
        return None
    left, right, result = _stored(a), _stored(b), _stored(out)
    if left is None or right is None or result is None:
        return None
    if result[0]:  # out.T = b.T @ a.T
        a, b, out = (x.swapaxes(-1, -2) for x in (b, a, out))
        left, right, result = ((not turned, step) for turned, step in (right, left, result))
    (m, n), k = out.shape[-2:], a.shape[-1]
    if min(m, n) == 1 or (min(m, n) < THIN and m * n * k <= FEW):
        return None
    letter, real = _LETTERS[out.dtype]
    flags = [_TURNED if turned else _PLAIN for turned, _ in (left, right)]
    lead = out.shape[:-2]
    if prod(lead) == 1:
        a, b, out = (x[(0,) * (x.ndim - 2)] for x in (a, b, out))
        gemm = found.function(f"cblas_{letter}gemm")
        places = address(a), left[1], address(b), right[1], real(keep), address(out), result[1]
        return partial(gemm, _ROW_MAJOR, *flags, m, n, k, real(1.0), *places)
    if prod(lead) > _STACK:
        return None
    at_a, at_b, at_out = (_addresses(x, lead) for x in (a, b, out))
    numbers = [(ctypes.c_int * 1)(v) for v in (*flags, m, n, k, left[1], right[1], result[1], prod(lead))]
    ta, tb, rows, columns, depth, lda, ldb, ldc, count = numbers
    once, kept = (real * 1)(1.0), (real * 1)(keep)
    batch = found.function(f"cblas_{letter}gemm_batch")
    sizes = ta, tb, rows, columns, depth
    return partial(batch, _ROW_MAJOR, *sizes, once, at_a, lda, at_b, ldb, kept, at_out, ldc, 1, count)


def _addresses(x: np.ndarray, lead: tuple[int, ...]) -> Any:
    """The addresses of all matrices of a stack, as a C array that keeps x alive."""
    whole = np.broadcast_to(x, lead + x.shape[-2:])
    at = np.full(lead, x.ctypes.data, np.int64)
    for axis, (size, stride) in enumerate(zip(lead, whole.strides, strict=False)):
        at += (np.arange(size) * stride).reshape([-1 if i == axis else 1 for i in range(len(lead))])
    result: Any = (ctypes.c_void_p * at.size)(*at.reshape(-1).tolist())
    result.array = x
    return result


# -- sums of two scaled vectors in one pass ----------------------------------------------------------------------------


def _find(name: str) -> tuple[Any, Any] | None:
    """A function of BLAS's C interface, and the type of its integers; None if there is neither MKL nor OpenBLAS."""
    found = library()
    if found is not None:
        return found.function(name), ctypes.c_int
    for openblas in threads.openblas():
        for prefix in ("scipy_", ""):
            for suffix, integer in (("64_", ctypes.c_int64), ("", ctypes.c_int)):
                if hasattr(openblas, f"{prefix}{name}{suffix}"):
                    return getattr(openblas, f"{prefix}{name}{suffix}"), integer
    return None


@cache
def _axpby(dtype: np.dtype) -> Callable[..., None] | None:
    letter, real = _LETTERS.get(dtype, ("", None))
    found = _find(f"cblas_{letter}axpby") if letter else None
    if found is None:
        return None
    function, integer = found
    function.argtypes = [integer, real, ctypes.c_void_p, integer, real, ctypes.c_void_p, integer]
    function.restype = None
    return function


def combines(dtype: Any) -> bool:
    """Whether `combination` works for a dtype: it needs MKL or OpenBLAS, and floats."""
    return _axpby(np.dtype(dtype)) is not None


def combination(a: float | Callable[[], float], x: np.ndarray, b: float, y: np.ndarray, out: np.ndarray) -> Thunk:
    """Thunk for ``out = a * x + b * y``: contiguous arrays of one size, of which `out` may be one.

    Args:
        a: a number, or a function that is asked for it at each call.
    """
    function, n = _axpby(out.dtype), out.size
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
