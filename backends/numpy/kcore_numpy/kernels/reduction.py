"""Reductions into planned buffers; sums over leading axes are products with a row of ones, which BLAS does fastest."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from kcore.backend.kernel import Site, Thunk, kernel
from kcore.graph.core import Node

#: Below this many columns NumPy's own reduction over rows spends its time on loop overhead.
_NARROW = 512


def _register(op: str, ufunc: Any) -> None:
    @kernel(op, backend="numpy")
    def bind(site: Site) -> Thunk:
        x, out = site.inputs[0], site.outputs[0]
        return partial(ufunc.reduce, x, axis=site.attrs["axis"], out=out, keepdims=site.attrs["keepdims"])


for _op, _ufunc in {
    "prod": np.multiply,
    "max": np.maximum,
    "min": np.minimum,
    "any": np.logical_or,
    "all": np.logical_and,
}.items():
    _register(_op, _ufunc)


@kernel("sum", backend="numpy")
def sum(site: Site) -> Thunk:
    x, out = site.inputs[0], site.outputs[0]
    axis, keepdims = site.attrs["axis"], site.attrs["keepdims"]
    if not axis:
        return partial(np.copyto, out, x)
    if axis == tuple(range(len(axis))) and x.flags.c_contiguous and x.dtype in (np.float32, np.float64):
        rows = int(np.prod(x.shape[: len(axis)], dtype=np.int64))
        columns = x.size // rows if rows else 0
        if 1 < columns <= _NARROW and rows > 1:
            ones = np.ones(rows, x.dtype)
            return partial(np.matmul, ones, x.reshape(rows, columns), out.reshape(columns))
    return partial(np.add.reduce, x, axis=axis, out=out, keepdims=keepdims)


def _arg(op: str, function: Callable[..., Any]) -> None:
    @kernel(op, backend="numpy", scratch=lambda node: 8 * node.outputs[0].size)
    def bind(site: Site) -> Thunk:
        x, out = site.inputs[0], site.outputs[0]
        axis = site.attrs["axis"]
        shape = tuple(d for i, d in enumerate(x.shape) if i != axis)
        wide = np.ndarray(shape, np.intp, site.scratch if site.scratch is not None else np.empty(0, np.uint8))
        narrow = out.reshape(shape)

        def run() -> None:
            function(x, axis, out=wide)
            np.copyto(narrow, wide, casting="unsafe")

        return run


_arg("argmax", np.argmax)
_arg("argmin", np.argmin)


@kernel("cumsum", backend="numpy")
def cumsum(site: Site) -> Thunk:
    accumulate: Callable[..., Any] = np.add.accumulate
    return partial(accumulate, site.inputs[0], axis=site.attrs["axis"], out=site.outputs[0])


@kernel("cumprod_exclusive", backend="numpy")
def cumprod_exclusive(site: Site) -> Thunk:
    x, out = site.inputs[0], site.outputs[0]

    def run() -> None:
        out[..., :1] = 1
        np.cumprod(x[..., :-1], axis=-1, out=out[..., 1:])

    return run


def _rows(node: Node) -> int:
    """Bytes of one number per reduced row, in the output's dtype."""
    axis = node.attrs["axis"]
    value = node.outputs[0]
    kept = 1
    for i, d in enumerate(value.shape):
        kept *= 1 if i in axis else d
    return kept * value.nbytes // max(value.size, 1) + 64


def _row_buffer(site: Site) -> np.ndarray:
    axis, out = site.attrs["axis"], site.outputs[0]
    return np.ndarray(tuple(1 if i in axis else d for i, d in enumerate(out.shape)), out.dtype, site.scratch)


def _is_float(node: Node) -> bool:
    return node.outputs[0].dtype in ("float32", "float64") and node.outputs[0].size > 0


@kernel("softmax", backend="numpy", scratch=_rows, inplace=((0, 0),), supports=_is_float)
def softmax(site: Site) -> Thunk:
    x, out, axis = site.inputs[0], site.outputs[0], site.attrs["axis"]
    row = _row_buffer(site)

    def run() -> None:
        np.maximum.reduce(x, axis=axis, out=row, keepdims=True)
        np.subtract(x, row, out)
        np.exp(out, out)
        np.add.reduce(out, axis=axis, out=row, keepdims=True)
        np.divide(out, row, out)

    return run


@kernel("softmax_grad", backend="numpy", scratch=lambda n: _rows(n) + n.outputs[0].nbytes, supports=_is_float)
def softmax_grad(site: Site) -> Thunk:
    y, g = site.inputs
    out, axis = site.outputs[0], site.attrs["axis"]
    row = _row_buffer(site)
    product = np.ndarray(out.shape, out.dtype, site.scratch, row.nbytes + -row.nbytes % 8)

    def run() -> None:
        np.multiply(y, g, product)
        np.add.reduce(product, axis=axis, out=row, keepdims=True)
        np.subtract(g, row, out)
        np.multiply(out, y, out)

    return run
