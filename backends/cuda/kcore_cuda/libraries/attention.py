"""Attention in 16 bits as cuDNN sees it: the scores never lie in memory, forward or back."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from kcore.graph.core import Node, Value
from kcore_cuda.libraries.cudnn import Tensor

DTYPES = ("float16", "bfloat16")
#: Features of a head: cuDNN wants a multiple of 8, and at most this many.
FEATURES = 128


@dataclass(frozen=True)
class Attention:
    """Attention, or its gradients for query, key and value, as a graph of one operation.

    Attributes:
        dtype: of all tensors but the statistics, which are float32.
        query, key, value, out: (batch, heads, positions, features), wherever they lie.
        stats: the logsumexp of the scores, (batch, heads, positions, 1).
        bias: added to the scores, or None.
        scale: factor of the scores.
        causal: whether a query sees only keys up to its own position.
        backward: whether it is the gradients.
        deterministic: whether the gradients are the same bits each time.
    """

    dtype: str
    query: Tensor
    key: Tensor
    value: Tensor
    out: Tensor
    stats: Tensor
    bias: Tensor | None
    scale: float
    causal: bool
    backward: bool = False
    deterministic: bool = True

    def build(self, graph: Any, types: Any) -> list[Any]:
        """Tensors in the order of their arrays.

        Forward: query, key, value, (bias,) out, stats. Backward: query, key, value, out, its gradient, stats,
        (bias,) and the gradients of query, key and value.
        """

        def tensor(name: str, t: Tensor, **options: Any) -> Any:
            return graph.tensor(dim=list(t.dims), stride=list(t.strides), name=name, **options)

        q, k, v = (tensor(n, t) for n, t in (("q", self.query), ("k", self.key), ("v", self.value)))
        bias = None if self.bias is None else tensor("bias", self.bias)
        options = {"attn_scale": self.scale, "bias": bias, "use_causal_mask": self.causal}
        added = [] if bias is None else [bias]
        if not self.backward:
            out, stats = graph.sdpa(q=q, k=k, v=v, generate_stats=True, **options)
            _declare(stats, self.stats).set_data_type(types.FLOAT)
            return [q, k, v, *added, _declare(out, self.out), stats]
        out, slope = tensor("o", self.out), tensor("dO", self.out)
        stats = tensor("stats", self.stats, data_type=types.FLOAT)
        grads = graph.sdpa_backward(
            q=q, k=k, v=v, o=out, dO=slope, stats=stats, use_deterministic_algorithm=self.deterministic, **options
        )
        for grad, like in zip(grads, (self.query, self.key, self.value), strict=True):
            _declare(grad, like)
        return [q, k, v, out, slope, stats, *added, *grads]


def _declare(tensor: Any, like: Tensor) -> Any:
    return tensor.set_output(True).set_dim(list(like.dims)).set_stride(list(like.strides))


def heads_second(shape: tuple[int, ...]) -> Tensor:
    """kcore's (batch, positions, heads, features), where it lies, with the heads second by name."""
    batch, positions, heads, features = shape
    return Tensor((batch, heads, positions, features), (positions * heads * features, features, heads * features, 1))


def packed(shape: tuple[int, ...]) -> Tensor:
    """A tensor whose elements lie in the order of its axes."""
    strides = [1]
    for size in reversed(shape[1:]):
        strides.insert(0, strides[0] * size)
    return Tensor(shape, tuple(strides))


def takes(node: Node) -> bool:
    """Whether cuDNN can do an ``attention`` or ``attention_grad`` node: 16 bits, no mask but the causal one."""
    query, key, value, bias, mask = _inputs(node)
    assert query is not None and key is not None and value is not None
    sizes = {query.shape[3], value.shape[3]}
    stats = node.outputs[1] if node.op.name == "attention" else node.inputs[7]
    whole = bias is None or (bias.dtype == query.dtype and bias.shape[2:] == (query.shape[1], key.shape[1]))
    return (
        mask is None
        and whole
        and stats is not None
        and stats.dtype == "float32"
        and query.dtype in DTYPES
        and {key.dtype, value.dtype} == {query.dtype}
        and all(size % 8 == 0 and 0 < size <= FEATURES for size in sizes)
        and all(v.size for v in node.sources)
    )


def attention_of(node: Node, deterministic: bool = True) -> Attention:
    """The graph of an ``attention`` or ``attention_grad`` node.

    Args:
        node: the node.
        deterministic: whether the gradients are the same bits each time.
    """
    query, key, value, bias, _ = _inputs(node)
    assert query is not None and key is not None and value is not None
    batch, positions, heads, _ = query.shape
    forward = Attention(
        dtype=query.dtype,
        query=heads_second(query.shape),
        key=heads_second(key.shape),
        value=heads_second(value.shape),
        out=heads_second((batch, positions, heads, value.shape[3])),
        stats=packed((batch, heads, positions, 1)),
        bias=None if bias is None else packed(bias.shape),
        scale=float(node.attrs["scale"]),
        causal=bool(node.attrs["causal"]),
    )
    if node.op.name == "attention":
        return forward
    return replace(forward, backward=True, deterministic=deterministic)


def _inputs(node: Node) -> tuple[Value | None, ...]:
    """Query, key, value, bias, mask."""
    return node.inputs[:5] if node.op.name == "attention" else node.inputs[1:6]
