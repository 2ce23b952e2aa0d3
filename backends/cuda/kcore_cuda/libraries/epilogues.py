"""Which epilogue of cuBLASLt computes what stands behind a product: found by trying the work on numbers."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from kcore.dtypes import numpy_dtype
from kcore.graph.core import Graph, Node, Value
from kcore.graph.op import TOLERANCE

#: Values of the product at which the work is tried: small ones and large ones of both signs, and zero.
_POINTS = np.concatenate([np.linspace(-6, 6, 61), [-1e3, -37.5, -1e-4, 1e-4, 37.5, 1e3]])


@dataclass(frozen=True)
class Fused:
    """A product with all that follows it, as one call.

    Attributes:
        epilogue: cuBLASLt's name of it.
        result: which output of the node is the call's result.
        bias: which input of the node is added to each row, or None.
        kept: which output is the activation's argument, kept for its gradient, or None.
        preactivation: which input is the activation's argument, for an epilogue that is the gradient, or None.
    """

    epilogue: str
    result: int
    bias: int | None = None
    kept: int | None = None
    preactivation: int | None = None


def _gelu(x: np.ndarray) -> np.ndarray:
    return 0.5 * x * (1.0 + np.tanh(math.sqrt(2.0 / math.pi) * (x + 0.044715 * x**3)))


def _gelu_slope(x: np.ndarray) -> np.ndarray:
    c = math.sqrt(2.0 / math.pi)
    t = np.tanh(c * (x + 0.044715 * x**3))
    return 0.5 * (1.0 + t) + 0.5 * x * (1.0 - t * t) * c * (1.0 + 3.0 * 0.044715 * x * x)


#: What a result may be of the sum of product and bias, by the epilogue's name with and without a bias.
_ACTIVATIONS: Mapping[str, Callable[[np.ndarray], np.ndarray]] = {
    "DEFAULT": lambda x: x,
    "RELU": lambda x: np.maximum(x, 0),
    "GELU": _gelu,
}


def fused_of(node: Node) -> Fused | None:
    """The epilogue that computes all outputs of a ``fused_product`` node, or None where there is none.

    Bias (one number per column), ReLU, GELU in its tanh form, and combinations; GELU with its argument kept; and the
    gradient of GELU. Not the gradients of bias and ReLU: the one is a reduction, which is no part of a fused product,
    and for the other cuBLASLt wants a mask of bits, where kcore's is an array of bool.
    """
    body: Graph = node.attrs["body"]
    total = body.nodes[0].outputs[0]
    own = body.nodes[0].inputs
    others = [(v, i) for i, v in enumerate(body.inputs) if v not in own]
    if any(v.dtype != total.dtype for v in (*body.outputs, *(v for v, _ in others))):
        return None
    if len(others) == 1 and others[0][0].shape == total.shape:
        return _gradient(node, *others[0])
    if len(others) > 1 or any(v.size != total.shape[-1] or v.shape[-1:] != total.shape[-1:] for v, _ in others):
        return None
    vector, bias = others[0] if others else (None, None)
    points = np.repeat(_POINTS, 3)
    offsets = np.tile([-1.5, 0.25, 2.0], len(_POINTS))
    got = evaluate(body, {total: points, **({vector: offsets} if vector is not None else {})})
    whole = points + offsets if vector is not None else points
    kinds = [next((k for k, f in _ACTIVATIONS.items() if _same(y, f(whole), total.dtype)), None) for y in got]
    ending = "_BIAS" if bias is not None else ""
    if len(kinds) == 1 and kinds[0] is not None:
        name = kinds[0] + ending
        return Fused("BIAS" if name == "DEFAULT_BIAS" else name, 0, bias) if name != "DEFAULT" else None
    if sorted(map(str, kinds)) == ["DEFAULT", "GELU"]:
        return Fused("GELU_AUX" + ending, kinds.index("GELU"), bias, kept=kinds.index("DEFAULT"))
    return None


def _gradient(node: Node, argument: Value, index: int) -> Fused | None:
    body: Graph = node.attrs["body"]
    slopes = np.linspace(-2, 2, len(_POINTS))
    got = evaluate(body, {body.nodes[0].outputs[0]: slopes, argument: _POINTS})
    if len(got) == 1 and _same(got[0], slopes * _gelu_slope(_POINTS), argument.dtype):
        return Fused("DGELU", 0, preactivation=index)
    return None


def _same(a: np.ndarray, b: np.ndarray, dtype: str) -> bool:
    """Whether they agree as far as one rounding to the dtype lets them: the numbers in a body are of that dtype."""
    relative, absolute = TOLERANCE[dtype]
    return bool(np.allclose(a, b, rtol=relative, atol=absolute))


def evaluate(body: Graph, known: dict[Value, Any]) -> list[np.ndarray]:
    """The outputs of a body's elementwise part, by the ops' references in float64, from values of its operands.

    Args:
        body: of a fused product.
        known: the product, and each operand of the elementwise part, as arrays that broadcast against each other.
    """
    values: dict[Value, Any] = dict(known)

    def of(value: Value) -> Any:
        if value not in values:
            assert value.constant is not None, value
            values[value] = value.constant.astype("float64") if value.dtype != "bool" else value.constant
        return values[value]

    for node in body.nodes[1:]:
        with np.errstate(all="ignore"):
            result = node.op.fn(*(of(v) for v in node.sources), **_attrs(node))
        values[node.outputs[0]] = result
    return [np.asarray(values[v]) for v in body.outputs]


def _attrs(node: Node) -> dict[str, Any]:
    """A node's attributes; casts between floats change nothing that is told apart here."""
    if node.op.name == "cast" and np.dtype(numpy_dtype(node.attrs["dtype"])).kind == "f":
        return {**node.attrs, "dtype": "float64"}
    return node.attrs
