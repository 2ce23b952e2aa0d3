"""Matrix products over the thread pool: large ones are split, small ones run where they are called."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from kcore_numpy import blas, threads
from kcore_numpy.schedule import Job, Jobs

#: Multiply-adds from which a product is split over the threads. While a step runs BLAS itself keeps to one thread (see
#: `NumpyBackend.session`).
SPLIT = 8000000


def product(a: np.ndarray, b: np.ndarray, out: np.ndarray) -> Jobs:
    """Thunk for ``out = a @ b``; matrices, or stacks of them of one shape."""
    whole = blas.matmul(a, b, out)
    cost = product_cost(out.size * a.shape[-1])
    if a.ndim < 2 or b.ndim < 2 or threads.count() == 1 or out.size * a.shape[-1] < SPLIT:
        return Jobs([Job(whole, (a, b), (out,), cost, product=True)])
    rows, columns = out.shape[-2:]
    pieces: list[tuple[Any, Any, Any]]
    if out.ndim > 2 and prod(out.shape[:-2]) > 1:
        if not a.ndim == b.ndim == out.ndim or out.shape[0] != a.shape[0] or out.shape[0] != b.shape[0]:
            return Jobs([Job(whole, (a, b), (out,), cost, product=True)])
        pieces = [(a[x:y], b[x:y], out[x:y]) for x, y in threads.split(out.shape[0])]
    elif rows >= max(columns // 4, 128):
        # where every kernel cuts its rows, so that what follows finds its own rows on its own thread
        pieces = [(a[..., x:y, :], b, out[..., x:y, :]) for x, y in threads.split(rows)]
    else:
        pieces = [(a, b[..., x:y], out[..., x:y]) for x, y in threads.split(columns)]
    jobs = [Job(blas.matmul(x, y, z), (x, y), (z,), cost / len(pieces), product=True) for x, y, z in pieces]
    return Jobs(jobs, whole)


def product_cost(multiply_adds: int) -> float:
    """About how many microseconds a product takes on one core."""
    return 2.0 + multiply_adds / 50_000
