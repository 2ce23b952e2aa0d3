"""Dense layers in one kernel: the product of a block of rows, then bias and activation while the block is in cache."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from kcore.backend.kernel import Site, Thunk, kernel
from kcore.graph.core import Node, Value
from kcore.graph.match import Pattern, term
from kcore.graph.op import sample
from kcore_numpy import blas, threads
from kcore_numpy.products import product_cost
from kcore_numpy.schedule import Job, Jobs, sequence

#: Elements of the result per block: with its inputs it stays in a core's own cache.
BLOCK = 1 << 16
#: Multiply-adds from which the rows are cut for the threads: what follows a dense layer is mostly cut the same way, so
#: it pays earlier than for a bare product.
SPLIT = 4_000_000
#: Fewest rows of a block: shorter products run below BLAS's full speed.
ROWS = 32

ACTIVATIONS = ("relu", "tanh", "sigmoid")
_PRODUCT = term("matmul", "x", "kernel", transpose_a=False, transpose_b=False)
_SHAPES = [((3, 4), (4, 5)), ((17, 33), (33, 15)), ((128, 31), (31, 16)), ((0, 3), (3, 2))]


def _fits(captured: dict[str, Value], matched: dict[str, Node]) -> bool:
    """Two matrices and a bias for their columns, of one float dtype."""
    x, weights, bias = captured["x"], captured["kernel"], captured["bias"]
    return (
        len(x.shape) == len(weights.shape) == 2
        and bias.shape == weights.shape[1:]
        and x.dtype in ("float32", "float64")
    )


def _activate(name: str, out: np.ndarray) -> list[Thunk]:
    """The activation of a block, in place."""
    if name == "relu":
        return [partial(np.maximum, out, np.zeros((), out.dtype), out=out)]
    if name == "tanh":
        return [partial(np.tanh, out, out=out)]
    half = np.asarray(0.5, out.dtype)
    scale = partial(np.multiply, out, half, out=out)
    return [scale, partial(np.tanh, out, out=out), scale, partial(np.add, out, half, out=out)]


def _bind(site: Site) -> Thunk:
    x, weights, bias = site.inputs
    columns = bias.shape[0]
    out = site.outputs[0]
    activation = site.attrs["activation"][0] if "activation" in site.attrs else ""
    size = max(ROWS, BLOCK // max(columns, 1))
    work = out.size * x.shape[1]
    parts = threads.split(out.shape[0], ROWS) if work >= SPLIT else [(0, out.shape[0])]

    def rows(start: int, stop: int) -> Thunk:
        thunks: list[Thunk] = []
        for at in range(start, stop, size):
            block = out[at : min(at + size, stop)]
            thunks.append(blas.matmul(x[at : min(at + size, stop)], weights, block))
            thunks.append(partial(np.add, block, bias, out=block))
            thunks += _activate(activation, block) if activation else []
        return sequence(thunks)

    jobs = []
    for start, stop in parts:
        cost = product_cost(work // len(parts)) + out.size // len(parts) / 2000
        jobs.append(Job(rows(start, stop), (x[start:stop], weights, bias), (out[start:stop],), cost, product=True))
    return Jobs(jobs, rows(0, out.shape[0]) if len(parts) > 1 else None)


_SUM = term("add", _PRODUCT, "bias")
_ATTRS: dict[str, Any] = {"matmul": ("matmul", {"transpose_a": False, "transpose_b": False}), "add": ("add", {})}

_BIAS = Pattern("dense_bias", _SUM, accepts=_fits, samples=[sample(a, b, b[1:], **_ATTRS) for a, b in _SHAPES])
_ACTIVATED = Pattern(
    "dense_bias_activation",
    term(ACTIVATIONS, _SUM, label="activation"),
    accepts=_fits,
    samples=[sample(a, b, b[1:], **_ATTRS, activation=(f, {}), grad=False) for a, b in _SHAPES for f in ACTIVATIONS],
)
kernel("dense_bias", backend="numpy", pattern=_BIAS)(_bind)
kernel("dense_bias_activation", backend="numpy", pattern=_ACTIVATED)(_bind)
