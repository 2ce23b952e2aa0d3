"""Fusion behind products: elementwise work on the result of a matrix product or convolution joins it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kcore.graph.core import Graph, Node, Value
from kcore.graph.fuse import FUSED, join_nodes
from kcore.graph.op import OPS, Op, Spec
from kcore.graph.passes import remove_dead
from kcore.graph.units import Unit, Units


def _run_body(*inputs: Any, body: Graph) -> Any:
    raise TypeError("a fused product is run by its backend, never decomposed")


#: A product, or a gradient of pooling, with what follows it. Attr `body`: the product first, then elementwise nodes
#: of the shape of its result (the epilogue). Other operands of the epilogue are single numbers, vectors along the last
#: axis, or of the whole shape; outputs may be any values of the body. Where the product is a contraction, an output
#: may lie over an operand of the epilogue: a kernel reads an element of all of them before it writes it, once.
FUSED_PRODUCT = Op("fused_product", _run_body, primitive=True, family="fused", inputs=("*inputs",))

#: Families of ops whose result is written once, element by element, by a kernel that can go on computing with it.
PRODUCTS = frozenset({"contraction", "convolution"})
#: Other such ops: gradients of pooling, whose kernels go through the elements of the result.
SCATTERED = frozenset({"max_pool_grad", "average_pool_grad"})


def fuse_products(graph: Graph, fusible: Callable[[Node], bool], accepts: Callable[[Node], bool]) -> None:
    """Join, in place, elementwise work to the product whose result it takes.

    A backend asks for this by having a kernel for ``"fused_product"``. It runs after `fuse_elementwise`, whose groups
    it takes whole.

    Args:
        graph: the graph to change.
        fusible: whether a single node is elementwise work the backend can fuse.
        accepts: whether the backend can run a fused product.
    """
    units = Units()
    product: dict[Unit, Node] = {}
    for node in graph.nodes:
        home = None
        if _elementwise(node, fusible):
            sources = units.sources(node)
            for unit in reversed(sources):
                head = product.get(unit)
                if head is None or len(unit.nodes) > 1 or not _fits(node, head):
                    continue
                if units.direct(unit, sources):
                    home = unit
                    break
        own = units.place(node, home)
        if home is None and (node.op.family in PRODUCTS or node.op.name in SCATTERED) and node.outputs[0].size:
            product[own] = node

    def join(unit: Unit, outs: list[Value]) -> Node | None:
        if len(unit.nodes) == 1:
            return None
        fused = join_nodes(FUSED_PRODUCT, unit.nodes, outs, product[unit])
        return fused if accepts(fused) else None

    units.replace(graph, join)


def hoist_elementwise(graph: Graph, fusible: Callable[[Node], bool]) -> None:
    """Move elementwise work, in place, from behind a reshape to before it, where its product can take it in.

    A dense layer on sequences multiplies flat rows and shapes the result back before its activation. Only for backends
    whose arrays are contiguous: there a reshape costs nothing on either side.
    """
    moved: dict[Value, Value] = {}
    nodes: list[Node] = []

    def reshaped(value: Value, shape: tuple[int, ...]) -> Value:
        while value.node is not None and value.node.op.name == "reshape" and value.shape != shape:
            value = value.node.inputs[0]  # type: ignore[assignment]
        if value.shape == shape:
            return value
        nodes.append(Node(OPS["reshape"], (value,), {"shape": shape}, (Spec(shape, value.dtype),)))
        return nodes[-1].outputs[0]

    for node in graph.nodes:
        node.inputs = tuple(None if v is None else moved.get(v, v) for v in node.inputs)
        out = node.outputs[0]
        if node.op.name == "reshape":
            assert node.inputs[0] is not None
            moved[out] = reshaped(node.inputs[0], out.shape)
            continue
        nodes.append(node)
        source = _flat_source(node, fusible) if fusible(node) else None
        if source is not None:
            nodes.pop()
            shapes = {1: (), source.shape[-1]: source.shape[-1:], source.size: source.shape}
            operands = [reshaped(v, shapes[v.size]) for v in node.sources]
            flat = Node(node.op, operands, node.attrs, (Spec(source.shape, out.dtype),), node.path, node.where)
            nodes.append(flat)
            moved[out] = reshaped(flat.outputs[0], out.shape)
    graph.nodes = nodes
    graph.outputs = [moved.get(v, v) for v in graph.outputs]
    graph.updates = {k: moved.get(v, v) for k, v in graph.updates.items()}
    remove_dead(graph)


def _flat_source(node: Node, fusible: Callable[[Node], bool]) -> Value | None:
    """What a node's operand was before it was reshaped, where the node may as well work on that."""
    out = node.outputs[0]
    for value in node.sources:
        if value.shape == out.shape and value.node is not None and value.node.op.name == "reshape":
            source = value.node.inputs[0]
            assert source is not None
            maker = source.node
            if maker is None or not source.shape or not (maker.op.family in PRODUCTS or fusible(maker)):
                continue
            if all(_along(v, out.shape, source.shape[-1]) for v in node.sources):
                return source
    return None


def _along(value: Value, shape: tuple[int, ...], columns: int) -> bool:
    """Whether an operand is one number, whole, or one number for each of the last `columns` elements of a shape."""
    own = value.shape[next((i for i, n in enumerate(value.shape) if n != 1), len(value.shape)) :]
    return value.size == 1 or value.shape == shape or (value.size == columns and own == shape[len(shape) - len(own) :])


def epilogue_operands(node: Node) -> set[int]:
    """Which inputs of a fused matrix product only its epilogue reads: each element once, before the result is written.

    Kernels of convolutions may compute an element twice, where their strips overlap: none of theirs count.
    """
    body: Graph = node.attrs["body"]
    head = body.nodes[0]
    return {i for i, v in enumerate(body.inputs) if v not in head.inputs} if head.op.family == "contraction" else set()


def _elementwise(node: Node, fusible: Callable[[Node], bool]) -> bool:
    if node.op is FUSED:
        return node.attrs["segments"] == 1
    return fusible(node)


def _fits(node: Node, head: Node) -> bool:
    """Whether elementwise work may follow a product: it has its shape, and reads nothing that is hard to find."""
    shape = head.outputs[0].shape
    return node.outputs[0].shape == shape and all(
        v.size == 1 or v.shape == shape or (v.size == v.shape[-1] == shape[-1]) for v in node.sources
    )
