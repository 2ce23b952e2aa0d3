"""Elementwise kernels: a NumPy ufunc writing into its planned buffer, or a few of them in place."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from kcore.backend.kernel import Site, Thunk, kernel
from kcore.graph.core import Node
from kcore_numpy import vectors

UFUNCS: dict[str, Callable[..., Any]] = {
    "add": np.add, "subtract": np.subtract, "multiply": np.multiply, "divide": np.true_divide, "power": np.power,
    "maximum": np.maximum, "minimum": np.minimum, "mod": np.mod, "floor_divide": np.floor_divide, "arctan2": np.arctan2,
    "negative": np.negative, "abs": np.absolute, "sign": np.sign, "floor": np.floor, "ceil": np.ceil, "round": np.rint,
    "exp": np.exp, "expm1": np.expm1, "log": np.log, "log1p": np.log1p, "sqrt": np.sqrt, "sin": np.sin, "cos": np.cos,
    "tan": np.tan, "arcsin": np.arcsin, "arccos": np.arccos, "arctan": np.arctan, "sinh": np.sinh, "cosh": np.cosh,
    "tanh": np.tanh, "square": np.square, "reciprocal": np.reciprocal, "equal": np.equal, "not_equal": np.not_equal,
    "less": np.less, "less_equal": np.less_equal, "greater": np.greater, "greater_equal": np.greater_equal,
    "logical_and": np.logical_and, "logical_or": np.logical_or, "logical_xor": np.logical_xor,
    "logical_not": np.logical_not,
    "isnan": np.isnan, "isinf": np.isinf, "isfinite": np.isfinite,
    "arcsinh": np.arcsinh, "arccosh": np.arccosh, "arctanh": np.arctanh, "cbrt": np.cbrt, "exp2": np.exp2,
    "log2": np.log2, "log10": np.log10, "trunc": np.trunc, "hypot": np.hypot, "nextafter": np.nextafter,
    "bitwise_and": np.bitwise_and, "bitwise_or": np.bitwise_or, "bitwise_xor": np.bitwise_xor,
    "left_shift": np.left_shift, "right_shift": np.right_shift, "gcd": np.gcd,
}  # fmt: skip


def _register(name: str, ufunc: Callable[..., Any]) -> None:
    # np.square of bools is an int8: those go by the decomposition
    @kernel(name, backend="numpy", supports=lambda node: name != "square" or node.inputs[0].dtype != "bool")
    def bind(site: Site) -> Thunk:
        return vectors.apply(ufunc, *site.inputs, out=site.outputs[0])


for _name, _ufunc in UFUNCS.items():
    _register(_name, _ufunc)


def _copy_to(out: Any, x: Any) -> Thunk:
    return partial(np.copyto, out, x)


@kernel("identity", backend="numpy")
def identity(site: Site) -> Thunk:
    return _copy_to(site.outputs[0], site.inputs[0])


@kernel("stop_gradient", backend="numpy")
def stop_gradient(site: Site) -> Thunk:
    return _copy_to(site.outputs[0], site.inputs[0])


@kernel("copy", backend="numpy")
def copy(site: Site) -> Thunk:
    return _copy_to(site.outputs[0], site.inputs[0])


@kernel("cast", backend="numpy")
def cast(site: Site) -> Thunk:
    x, out = site.inputs[0], site.outputs[0]
    if out.dtype == bool:
        return partial(np.not_equal, x, 0, out)
    return partial(np.copyto, out, x, casting="unsafe")


def _where_scratch(node: Node) -> int:
    out = node.outputs[0]
    return 2 * (out.nbytes + 64) + out.size


@kernel("where", backend="numpy", scratch=_where_scratch)
def where(site: Site) -> Thunk:
    """A choice of bits, x2 ^ ((x1 ^ x2) & -condition): masked copies run at a third of this speed."""
    condition, x1, x2 = site.inputs
    out = site.outputs[0]
    word = {1: np.int8, 2: np.int16, 4: np.int32, 8: np.int64}[out.dtype.itemsize]
    step = out.nbytes + -out.nbytes % 64
    mask = np.ndarray(out.shape, word, site.scratch)
    differ = np.ndarray(out.shape, word, site.scratch, step)
    truth = None if condition.dtype == bool else np.ndarray(out.shape, bool, site.scratch, 2 * step)
    a, b, chosen = x1.view(word), x2.view(word), out.view(word)

    def run() -> None:
        if truth is None:
            np.copyto(mask, condition)
        else:
            np.not_equal(condition, 0, truth)
            np.copyto(mask, truth)
        np.negative(mask, mask)
        np.bitwise_xor(a, b, differ)
        np.bitwise_and(differ, mask, differ)
        np.bitwise_xor(differ, b, chosen)

    return run


# -- composites worth a kernel of their own ------------------------------------------------------------------------


@kernel("relu", backend="numpy")
def relu(site: Site) -> Thunk:
    x, out = site.inputs[0], site.outputs[0]
    return partial(np.maximum, x, np.zeros((), x.dtype), out=out)


@kernel("relu_grad", backend="numpy", scratch=lambda node: node.outputs[0].size)
def relu_grad(site: Site) -> Thunk:
    y, g = site.inputs
    out = site.outputs[0]
    positive = np.ndarray(out.shape, bool, site.scratch)
    zero = np.zeros((), y.dtype)

    def run() -> None:
        np.greater(y, zero, positive)
        np.multiply(g, positive, out)

    return run


@kernel("rsqrt", backend="numpy")
def rsqrt(site: Site) -> Thunk:
    x, out = site.inputs[0], site.outputs[0]

    def run() -> None:
        np.sqrt(x, out)
        np.reciprocal(out, out)

    return run


@kernel("sigmoid", backend="numpy", supports=lambda node: node.inputs[0].dtype in ("float32", "float64"))
def sigmoid(site: Site) -> Thunk:
    x, out = site.inputs[0], site.outputs[0]
    half = np.asarray(0.5, x.dtype)

    def run() -> None:
        np.multiply(x, half, out)
        np.tanh(out, out)
        np.multiply(out, half, out)
        np.add(out, half, out)

    return run


@kernel(
    "logaddexp",
    backend="numpy",
    supports=lambda node: node.inputs[0].dtype in ("float32", "float64"),
    scratch=lambda node: node.outputs[0].nbytes,
)
def logaddexp(site: Site) -> Thunk:
    """max(a, b) + log1p(exp(-|a - b|)): `np.logaddexp` goes element by element and takes fourteen times as long."""
    a, b = site.inputs
    out = site.outputs[0]
    rest = np.ndarray(out.shape, out.dtype, site.scratch)
    zero, minus = np.zeros((), out.dtype), np.asarray(-1.0, out.dtype)

    def run() -> None:
        with np.errstate(invalid="ignore"):
            np.subtract(a, b, rest)
        np.copysign(rest, minus, rest)
        np.fmin(rest, zero, out=rest)  # of two equal infinities the difference is NaN, which fmin takes for absent
        np.exp(rest, rest)
        np.log1p(rest, rest)
        np.maximum(a, b, out=out)
        np.add(out, rest, out)

    return run
