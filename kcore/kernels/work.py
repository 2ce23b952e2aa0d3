"""How much work a node is: multiplications and additions, and the least bytes it must move; and what it is called."""

from __future__ import annotations

from collections.abc import Iterable
from math import prod
from typing import Any

from kcore.graph.core import Node


def flops(node: Node) -> int:
    """Additions and multiplications of a product, convolution, recurrent layer or attention; 0 for all else.

    A fused product counts as its product. Convolutions count every tap, those on padding included.
    """
    head = product(node)
    if head is None:
        return 0
    out, shapes = head.outputs[0], [() if v is None else v.shape for v in head.inputs]
    if head.op.name == "matmul":
        return 2 * out.size * shapes[0][-2 if head.attrs["transpose_a"] else -1]
    if head.op.name == "conv":
        return 2 * out.size * prod(shapes[1][:-1])
    if head.op.name == "conv_input_grad":
        return 2 * prod(shapes[0]) * prod(shapes[1][:-1])
    if head.op.name == "conv_kernel_grad":
        return 2 * prod(shapes[1]) * prod(out.shape[:-1])
    if head.op.name == "lstm":
        return 2 * prod(shapes[0][:-1]) * (prod(shapes[3]) + prod(shapes[4]))
    if head.op.name == "lstm_grad":
        return 4 * prod(shapes[3][:-1]) * (prod(shapes[6]) + prod(shapes[7]))
    # attention: two products of queries by keys forward; its gradient makes the scores again, and four more
    back = head.op.name == "attention_grad"
    query, key, value = shapes[1:4] if back else shapes[:3]
    pairs = 2 * prod(query[:3]) * key[1]
    times = (3, 2) if back else (1, 1)
    return pairs * (times[0] * query[3] + times[1] * value[3])


_COUNTED = frozenset(
    ["matmul", "conv", "conv_input_grad", "conv_kernel_grad", "lstm", "lstm_grad", "attention", "attention_grad"]
)


def product(node: Node) -> Node | None:
    """The product, convolution, recurrent layer or attention in a node: the node itself or the first of its group."""
    nodes = node.attrs["body"].nodes if node.op.family == "fused" else [node]
    return next((n for n in nodes if n.op.name in _COUNTED), None)


def traffic(arrays: Iterable[Any]) -> int:
    """Bytes of arrays that are read or written once."""
    return sum({id(a): a.nbytes for a in arrays if a is not None}.values())


def label(node: Node) -> str:
    """Layer and ops of a node: ``"mlp/dense: matmul, add, maximum"``.

    A fused group is called by the layer of its last op.
    """
    if node.op.family != "fused":
        return f"{node.path or 'graph'}: {node.op.name}"
    nodes = node.attrs["body"].nodes
    paths = [n.path for n in nodes if n.path]
    names = list(dict.fromkeys(n.op.name for n in nodes))
    if len(names) > 6:
        names = [*names[:5], f"{len(names) - 5} more"]
    segments = node.attrs.get("segments", 1)
    return f"{paths[-1] if paths else 'graph'}: {', '.join(names)}" + (f" x{segments}" if segments > 1 else "")


def ops(node: Node) -> str:
    """The same without the layer."""
    return label(node).partition(": ")[2]
