"""Matrix products by Intel's MKL, for `opencl_kernels.py --mkl PYTHON`, which starts this file by that Python.

PYTHON must have the packages `mkl` and `numpy`. Each line that comes is an order: ``product ROWS COLUMNS TERMS TA TB``
makes float32 operands, the first or second transposed where TA or TB is 1, and ``run NUMBER TIMES`` multiplies. To each
a line is answered, to ``run`` the seconds of one multiplication.
"""

from __future__ import annotations

import ctypes
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

_ROWS_FIRST, _PLAIN, _TRANSPOSED, _GNU_THREADS = 101, 111, 112, 3
#: Until MKL's threads sleep, so that they take no time from what is measured next.
_CALM = 0.02


def library() -> ctypes.CDLL:
    """MKL with a thread for each core this process may use."""
    found = sorted(Path(sys.prefix, "lib").glob("libmkl_rt.so*"))
    if not found:
        sys.exit(f"no MKL in {sys.prefix}: pip install mkl")
    mkl = ctypes.CDLL(str(found[0]), ctypes.RTLD_GLOBAL)
    mkl.MKL_Set_Threading_Layer(_GNU_THREADS)
    mkl.MKL_Set_Num_Threads(len(os.sched_getaffinity(0)))
    whole, real, pointer = ctypes.c_int, ctypes.c_float, ctypes.c_void_p
    operands = [real, pointer, whole, pointer, whole, real, pointer, whole]
    mkl.cblas_sgemm.argtypes = [whole] * 6 + operands
    mkl.cblas_sgemm.restype = None
    return mkl


def product(mkl: ctypes.CDLL, rows: int, columns: int, terms: int, ta: int, tb: int) -> Callable[[], None]:
    """A product of random numbers; its first result is checked against NumPy's."""
    rng = np.random.default_rng(0)
    a = rng.standard_normal((terms, rows) if ta else (rows, terms), np.float32)
    b = rng.standard_normal((columns, terms) if tb else (terms, columns), np.float32)
    y = np.empty((rows, columns), np.float32)
    how = [_ROWS_FIRST, _TRANSPOSED if ta else _PLAIN, _TRANSPOSED if tb else _PLAIN, rows, columns, terms]

    def run() -> None:
        left, right = (1.0, a.ctypes.data, a.shape[1]), (b.ctypes.data, b.shape[1])
        mkl.cblas_sgemm(*how, *left, *right, 0.0, y.ctypes.data, columns)

    run()
    np.testing.assert_allclose(y, (a.T if ta else a) @ (b.T if tb else b), rtol=1e-3, atol=1e-2)
    return run


def main() -> None:
    mkl, products = library(), []
    for line in sys.stdin:
        order, *numbers = line.split()
        if order == "product":
            products.append(product(mkl, *(int(n) for n in numbers)))
            print("made", flush=True)
            continue
        number, times = (int(n) for n in numbers)
        products[number]()  # wakes the threads
        start = time.perf_counter()
        for _ in range(times):
            products[number]()
        seconds = (time.perf_counter() - start) / times
        time.sleep(_CALM)
        print(seconds, flush=True)


if __name__ == "__main__":
    main()
