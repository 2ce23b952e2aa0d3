"""Matrix products over the thread pool: large ones are split, small ones run where they are called."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import prod
from typing import Any

import numpy as np

from kcore_numpy import threads
from kcore_numpy.schedule import Job, Jobs

#: Multiply-adds from which a product is split over the threads. While a step runs BLAS itself keeps to one thread (see
#: `NumpyBackend.session`).
SPLIT = 8_000_000


def product(a: np.ndarray, b: np.ndarray, out: np.ndarray) -> Callable[[], Any]:
    """Thunk for ``out = a @ b``; matrices, or stacks of them of one shape."""
    whole = partial(np.matmul, a, b, out)
    cost = product_cost(out.size * a.shape[-1])
    if a.ndim < 2 or b.ndim < 2 or threads.count() == 1 or out.size * a.shape[-1] < SPLIT:
        return Jobs([Job(whole, (a, b), (out,), cost)])
    rows, columns = out.shape[-2:]
    if out.ndim > 2 and prod(out.shape[:-2]) > 1:
        if not a.ndim == b.ndim == out.ndim or out.shape[0] != a.shape[0] or out.shape[0] != b.shape[0]:
            return Jobs([Job(whole, (a, b), (out,), cost)])
        parts = [(slice(x, y), slice(x, y), slice(x, y)) for x, y in threads.split(out.shape[0])]
    elif rows >= columns // 4:
        parts = [((..., slice(x, y), slice(None)), ..., (..., slice(x, y), slice(None))) for x, y in _cuts(rows)]
    else:
        parts = [(..., (..., slice(x, y)), (..., slice(x, y))) for x, y in _cuts(columns)]
    pieces = [(a[i], b[j], out[k]) for i, j, k in parts]
    return Jobs([Job(partial(np.matmul, x, y, z), (x, y), (z,), cost / len(pieces)) for x, y, z in pieces])


def product_cost(multiply_adds: int) -> float:
    """About how many microseconds a product takes on one core."""
    return 2.0 + multiply_adds / 50_000


def _cuts(size: int) -> list[tuple[int, int]]:
    """Even parts, cut at multiples of 16 so that no vector is torn."""
    return [(a * 16, min(b * 16, size)) for a, b in threads.split(-(-size // 16))]
