"""Sorting kernels, in blocks of rows, since NumPy's argsort and searchsorted return new arrays."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from kcore.backend.kernel import Site, Thunk, kernel

#: Elements per block: 64 KB of int64 positions.
BLOCK = 8192


def _nothing() -> None:
    """Zero elements need no work."""


@kernel("argsort", backend="numpy", supports=lambda node: node.inputs[0].dtype != "bfloat16", strided=False)
def argsort(site: Site) -> Thunk:
    x, out, descending = site.inputs[0], site.outputs[0], site.attrs["descending"]
    if x.size == 0:
        return _nothing
    columns = x.shape[-1] if x.ndim else 1
    x, out = x.reshape(-1, columns), out.reshape(-1, columns)
    step = max(1, BLOCK // columns)
    blocks = [(x[a : a + step], out[a : a + step]) for a in range(0, x.shape[0], step)]
    reverse = np.invert if x.dtype.kind in "iub" else np.negative
    return partial(_argsort, blocks, reverse if descending else None)


def _argsort(blocks: list, reverse: np.ufunc | None) -> None:
    for x, out in blocks:
        out[...] = (x if reverse is None else reverse(x)).argsort(axis=-1, kind="stable")


@kernel("sort", backend="numpy", supports=lambda node: node.inputs[0].dtype != "bfloat16", inplace=((0, 0),))
def sort(site: Site) -> Thunk:
    x, out = site.inputs[0], site.outputs[0]
    if x.size == 0:
        return _nothing

    def run() -> None:
        if out is not x:
            np.copyto(out, x)
        out.sort(axis=-1, kind="stable")

    return run


@kernel("searchsorted", backend="numpy", supports=lambda node: node.inputs[0].dtype != "bfloat16", strided=False)
def searchsorted(site: Site) -> Thunk:
    (sequence, values), out = site.inputs, site.outputs[0].reshape(-1)
    values = values.reshape(-1)
    blocks = [(values[a : a + BLOCK], out[a : a + BLOCK]) for a in range(0, out.size, BLOCK)]
    return partial(_searchsorted, sequence, site.attrs["side"], blocks)


def _searchsorted(sequence: np.ndarray, side: Any, blocks: list) -> None:
    for values, out in blocks:
        out[...] = sequence.searchsorted(values, side)
