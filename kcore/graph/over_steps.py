"""A node of a loop's body for all steps at once: the same op on tensors with the steps in front.

A value is *fixed* if it is the same in all steps, and *stacked* if it differs and lies step by step along a new first
axis. A rule makes of a node the nodes that compute it so, where an op can be told apart by axes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from kcore.graph.core import Node, Value
from kcore.graph.op import OPS


class Writer:
    """Appends nodes that come of one node of a body: its path and place, in the list it is told."""

    def __init__(self, origin: Node, length: int, nodes: list[Node]):
        self.origin = origin
        self.length = length
        self.nodes = nodes

    def __call__(self, name: str, inputs: Sequence[Value | None], **attrs: Any) -> Value:
        """The output of a new node."""
        op = OPS[name]
        specs = op.infer(*[None if v is None else v.spec for v in inputs], **attrs)
        node = Node(op, inputs, attrs, specs, self.origin.path, self.origin.where, self.origin.device)
        self.nodes.append(node)
        return node.outputs[0]

    def reshape(self, x: Value, shape: tuple) -> Value:
        """The same elements in another shape."""
        return x if x.shape == shape else self("reshape", (x,), shape=shape)

    def transpose(self, x: Value, axes: tuple[int, ...]) -> Value:
        """The axes in another order."""
        return x if axes == tuple(range(len(axes))) else self("transpose", (x,), axes=axes)


#: Inputs of a node outside of the loop, each with whether it is stacked.
Inputs = Sequence[tuple[Value, bool] | None]
Rule = Callable[[Writer, Node, Inputs], Value]


def has_rule(node: Node) -> bool:
    """Whether a node can be computed for all steps at once."""
    if len(node.outputs) != 1 or node.op.effect:
        return False
    if node.op.name == "matmul":
        return all(len(v.shape) == 2 for v in node.sources)
    return node.op.elementwise or node.op.name in RULES


def over_steps(write: Writer, node: Node, inputs: Inputs) -> Value:
    """The output of a node that has a rule, stacked; some input is."""
    rule = _elementwise if node.op.elementwise else RULES[node.op.name]
    return rule(write, node, inputs)


def _elementwise(write: Writer, node: Node, inputs: Inputs) -> Value:
    shape = (write.length, *node.outputs[0].shape)
    rank = len(shape) - 1
    rows = [None if pair is None else _rows(*pair, shape) for pair in inputs]
    if rank == 2 and all(row is not None for row in rows):  # what follows a product goes on with its rows
        return write.reshape(write(node.op.name, rows, **node.attrs), shape)
    values = [None if pair is None else _aligned(write, *pair, rank) for pair in inputs]
    return write(node.op.name, values, **node.attrs)


def _rows(x: Value, stacked: bool, shape: tuple[int, ...]) -> Value | None:
    """What was reshaped to a stack of a shape, all rows below one another; or what goes to each row alike."""
    if not stacked:
        return x if len(x.shape) < 2 else None
    below = x.node.inputs[0] if x.node is not None and x.node.op.name == "reshape" else None
    return below if below is not None and x.shape == shape and len(below.shape) == 2 else None


def _aligned(write: Writer, x: Value, stacked: bool, rank: int) -> Value:
    """A stacked tensor with axes of 1 behind the steps, so that broadcasting finds its own axes."""
    missing = rank + 1 - len(x.shape)
    if not stacked or not missing:
        return x
    return write.reshape(x, (x.shape[0], *(1,) * missing, *x.shape[1:]))


def _matmul(write: Writer, node: Node, inputs: Inputs) -> Value:
    (a, a_stacked), (b, b_stacked) = inputs  # type: ignore[misc]
    left, right = node.attrs["transpose_a"], node.attrs["transpose_b"]
    if not b_stacked and not left:  # one product of all rows
        rows = write.reshape(a, (a.shape[0] * a.shape[1], a.shape[2]))
        product = write("matmul", (rows, b), transpose_a=False, transpose_b=right)
        return write.reshape(product, (a.shape[0], *node.outputs[0].shape))
    operands = [x if stacked else write.reshape(x, (1, *x.shape)) for x, stacked in ((a, a_stacked), (b, b_stacked))]
    return write("matmul", operands, transpose_a=left, transpose_b=right)


def _transpose(write: Writer, node: Node, inputs: Inputs) -> Value:
    return write("transpose", _values(inputs), axes=(0, *(a + 1 for a in node.attrs["axes"])))


def _shaped(write: Writer, node: Node, inputs: Inputs) -> Value:
    return write(node.op.name, _values(inputs), shape=(write.length, *node.attrs["shape"]))


def _broadcast(write: Writer, node: Node, inputs: Inputs) -> Value:
    shape = node.attrs["shape"]
    (x,) = _values(inputs)
    return write("broadcast_to", (_aligned(write, x, True, len(shape)),), shape=(write.length, *shape))


def _sum_to(write: Writer, node: Node, inputs: Inputs) -> Value:
    (x,) = _values(inputs)
    shape = node.attrs["shape"]
    kept = (write.length, *(1,) * (len(x.shape) - 1 - len(shape)), *shape)
    return write.reshape(write("sum_to", (x,), shape=kept), (write.length, *shape))


def _slice(write: Writer, node: Node, inputs: Inputs) -> Value:
    attrs = node.attrs
    parts = {"start": (0, *attrs["start"]), "stop": (write.length, *attrs["stop"]), "step": (1, *attrs["step"])}
    if "shape" in attrs:
        parts["shape"] = (write.length, *attrs["shape"])
    return write(node.op.name, _values(inputs), **parts)


def _concatenate(write: Writer, node: Node, inputs: Inputs) -> Value:
    values = [
        x if stacked else write("broadcast_to", (x,), shape=(write.length, *x.shape))
        for x, stacked in (pair for pair in inputs if pair is not None)
    ]
    axis = node.attrs["axis"]
    return write("concatenate", values, axis=axis + 1 if axis >= 0 else axis)


def _reduce(write: Writer, node: Node, inputs: Inputs) -> Value:
    axes = node.attrs["axis"]
    return write(node.op.name, _values(inputs), **{**node.attrs, "axis": tuple(a + 1 for a in axes)})


def _values(inputs: Inputs) -> list[Value]:
    return [pair[0] for pair in inputs if pair is not None]


RULES: dict[str, Rule] = {
    "matmul": _matmul,
    "transpose": _transpose,
    "reshape": _shaped,
    "broadcast_to": _broadcast,
    "sum_to": _sum_to,
    "slice": _slice,
    "unslice": _slice,
    "concatenate": _concatenate,
    **dict.fromkeys(("sum", "prod", "max", "min"), _reduce),
}


# -- sums over the steps ---------------------------------------------------------------------------------------------

#: Ops whose sum over the steps is the op of the sums.
_LINEAR = frozenset(
    ("add", "concatenate", "negative", "reshape", "transpose", "unslice", "slice", "sum_to", "subtract")
)


def is_summed_as_product(value: Value) -> bool:
    """Whether a value is made linearly of products of matrices, so that its sum over all steps is one product each."""
    node = value.node
    if node is None:
        return False
    if node.op.name == "matmul":
        return has_rule(node)
    if node.op.name not in _LINEAR or any(v.shape != value.shape for v in node.sources if node.op.elementwise):
        return False
    return all(v.node is not None and is_summed_as_product(v) for v in node.sources)


def sum_of_products(
    value: Value, outside: Callable[[Value], tuple[Value, bool]], writer: Callable[[Node], Writer]
) -> Value:
    """The sum over the steps of a value that `is_summed_as_product`.

    Args:
        value: of the body.
        outside: a value of the body as it is outside of the loop, and whether it is stacked.
        writer: of nodes behind the loop that come of a node of the body.
    """
    node = value.node
    assert node is not None
    write = writer(node)
    if node.op.name != "matmul":
        return write(node.op.name, [sum_of_products(v, outside, writer) for v in node.sources], **node.attrs)
    (a, a_stacked), (b, b_stacked) = outside(node.sources[0]), outside(node.sources[1])
    left, right = node.attrs["transpose_a"], node.attrs["transpose_b"]
    if a_stacked and b_stacked:  # the rows of all steps below one another
        a, b = _joined(write, a, along=1 if left else 2), _joined(write, b, along=2 if right else 1)
    else:
        a, b = (write("sum", (x,), axis=(0,), keepdims=False) if s else x for x, s in ((a, a_stacked), (b, b_stacked)))
        if not (a_stacked or b_stacked):
            a = write("multiply", (a, write("full", (), shape=(), value=write.length, dtype=a.dtype)))
    return write("matmul", (a, b), transpose_a=left, transpose_b=right)


def _joined(write: Writer, x: Value, along: int) -> Value:
    """A stack of matrices as one: those of all steps side by side along an axis."""
    steps, rows, columns = x.shape
    if along == 1:
        return write.reshape(x, (steps * rows, columns))
    return write.reshape(write.transpose(x, (1, 0, 2)), (rows, steps * columns))
