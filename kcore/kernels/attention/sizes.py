"""The sizes of an attention node, and where the bias or mask of a pair of query and key lies."""

from __future__ import annotations

from dataclasses import dataclass

from kcore.graph.core import Node, Value
from kcore.ops.attention import masked_score


@dataclass(frozen=True)
class Operand:
    """A bias or mask that broadcasts to ``(batch, heads, queries, keys)``.

    Attributes:
        strides: elements from one batch entry, head and query to the next, 0 where it has only one.
        along: whether it has an element for each key, and not one for all.
    """

    strides: tuple[int, int, int]
    along: bool


@dataclass(frozen=True)
class Sizes:
    """Sizes, flags and optional operands of a node of the attention family.

    Attributes:
        batch, queries, heads, size, keys, out: query is ``(batch, queries, heads, size)``, value
            ``(batch, keys, heads, out)``.
        dtype: of all float operands.
        scale: factor of the scores.
        causal: whether a query sees no keys after its own place.
        bias, mask: those operands, if there.
        first: index of the query among the node's inputs.
    """

    batch: int
    queries: int
    heads: int
    size: int
    keys: int
    out: int
    dtype: str
    scale: float
    causal: bool
    bias: Operand | None
    mask: Operand | None
    first: int

    @property
    def low(self) -> float:
        """The score of a masked pair."""
        return masked_score(self.dtype)


def sizes_of(node: Node) -> Sizes:
    """The sizes of a node of the attention family."""
    first = 0 if node.op.name == "attention" else 1
    query, key, value, bias, mask = node.inputs[first : first + 5]
    assert query is not None and key is not None and value is not None
    batch, queries, heads, size = query.shape
    return Sizes(
        batch,
        queries,
        heads,
        size,
        key.shape[1],
        value.shape[3],
        query.dtype,
        float(node.attrs["scale"]),
        bool(node.attrs["causal"]),
        _operand(bias),
        _operand(mask),
        first,
    )


def _operand(value: Value | None) -> Operand | None:
    if value is None:
        return None
    strides, step = [], 1
    for n in reversed(value.shape):
        strides.append(step if n > 1 else 0)
        step *= n
    along, *rest = strides
    query, head, batch = rest
    return Operand((batch, head, query), along == 1)
