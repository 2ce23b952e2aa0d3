"""Linear algebra by LAPACK through NumPy, which returns new arrays; triangular systems and LU in blocks of products."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from kcore.backend.kernel import Site, Thunk, kernel
from kcore.graph.core import Node

#: Columns that are eliminated one by one before a product does the rest; rows solved at once.
BLOCK = 32


def _lapack(node: Node) -> bool:
    return node.outputs[0].dtype in ("float32", "float64")


def _write(compute: Callable[..., Any], site: Site) -> None:
    results = compute(*site.inputs)
    for out, result in zip(site.outputs, results if isinstance(results, tuple) else (results,), strict=True):
        if out is not None:
            out[...] = result


def _register(op: str, make: Callable[[Site], Callable[..., Any]]) -> None:
    @kernel(op, backend="numpy", supports=_lapack)
    def bind(site: Site) -> Thunk:
        return partial(_write, make(site), site)


def _or_nan(compute: Callable[..., np.ndarray], *arrays: np.ndarray) -> np.ndarray:
    """The function of stacks of matrices; NaN for those matrices that it refuses."""
    try:
        return compute(*arrays)
    except np.linalg.LinAlgError:
        last = arrays[-1]
        result = np.full(last.shape, np.nan, last.dtype)
        if last.ndim > 2:
            for at in np.ndindex(*last.shape[:-2]):
                result[at] = _or_nan(compute, *(a[at] for a in arrays))
        return result


def _symmetric(x: np.ndarray) -> np.ndarray:
    return (x + x.swapaxes(-1, -2)) / 2


_register("solve", lambda site: partial(_or_nan, np.linalg.solve))
_register("det", lambda site: np.linalg.det)
_register("slogdet", lambda site: lambda x: tuple(np.linalg.slogdet(x)))
_register("cholesky", lambda site: lambda x: _or_nan(np.linalg.cholesky, _symmetric(x)))
_register("eigh", lambda site: lambda x: tuple(np.linalg.eigh(_symmetric(x))))
_register("qr", lambda site: partial(np.linalg.qr, mode="complete" if site.attrs["complete"] else "reduced"))
_register("svd", lambda site: lambda x: tuple(np.linalg.svd(x, full_matrices=site.attrs["full"])))


def _real_eigen(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    values, vectors = np.linalg.eig(x)
    if values.dtype.kind != "c":
        return values, vectors
    real = (values.imag == 0).all(axis=-1)[..., None]
    return np.where(real, values.real, np.nan), np.where(real[..., None], vectors.real, np.nan)


_register("eig", lambda site: _real_eigen)


# -- triangular systems ----------------------------------------------------------------------------------------------


def _triangular(a: np.ndarray, b: np.ndarray, *, lower: bool, transpose: bool) -> np.ndarray:
    """Block by block: a small system on the diagonal, then a product takes what is known from the rows to come."""
    t = np.tril(a) if lower else np.triu(a)
    if transpose:
        t, lower = t.swapaxes(-1, -2), not lower
    n, x = t.shape[-1], np.array(b)
    starts = range(0, n, BLOCK)
    for start in starts if lower else reversed(starts):
        here = slice(start, min(start + BLOCK, n))
        rest = slice(here.stop, n) if lower else slice(0, start)
        x[..., here, :] = _or_nan(np.linalg.solve, t[..., here, here], x[..., here, :])
        x[..., rest, :] -= t[..., rest, here] @ x[..., here, :]
    return x


_register("solve_triangular", lambda site: partial(_triangular, **site.attrs))


# -- LU --------------------------------------------------------------------------------------------------------------


def _lu(x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    lu = np.array(x)
    *batch, m, n = x.shape
    pivots, order = np.empty((*batch, min(m, n)), np.int32), np.empty((*batch, m), np.int32)
    for at in np.ndindex(*batch):
        _eliminate(lu[at], pivots[at], order[at])
    return lu, pivots, order


def _eliminate(a: np.ndarray, pivots: np.ndarray, order: np.ndarray) -> None:
    """Gaussian elimination in place: panels of columns, each followed by a product for the columns to their right."""
    m, n = a.shape
    order[:] = np.arange(m)
    for start in range(0, min(m, n), BLOCK):
        stop = min(start + BLOCK, m, n)
        for k in range(start, stop):
            p = k + int(np.argmax(np.abs(a[k:, k])))
            pivots[k] = p
            if p != k:
                a[[k, p]] = a[[p, k]]
                order[[k, p]] = order[[p, k]]
            if a[k, k]:
                a[k + 1 :, k] /= a[k, k]
            a[k + 1 :, k + 1 : stop] -= np.outer(a[k + 1 :, k], a[k, k + 1 : stop])
        if stop < n:
            unit = np.tril(a[start:stop, start:stop], -1) + np.eye(stop - start, dtype=a.dtype)
            a[start:stop, stop:] = np.linalg.solve(unit, a[start:stop, stop:])
            a[stop:, stop:] -= a[stop:, start:stop] @ a[start:stop, stop:]


_register("lu_factor", lambda site: _lu)
