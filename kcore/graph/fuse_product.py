"""Fusion behind products: elementwise work on the result of a matrix product or convolution joins it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kcore.graph.core import Graph, Node, Value
from kcore.graph.fuse import FUSED, _depend, _ordered, _rename, _Unit, join_nodes
from kcore.graph.op import Op


def _run_body(*inputs: Any, body: Graph) -> Any:
    raise TypeError("a fused product is run by its backend, never decomposed")


#: A product with what follows it. Attr `body`: the product first, then elementwise nodes of the shape of its result
#: (the epilogue). Other operands of the epilogue are single numbers, vectors along the last axis, or of the whole
#: shape; outputs may be any values of the body.
FUSED_PRODUCT = Op("fused_product", _run_body, primitive=True, family="fused", inputs=("*inputs",))

#: Families of ops whose result is written once, element by element, by a kernel that can go on computing with it.
PRODUCTS = frozenset({"contraction", "convolution"})


def fuse_products(graph: Graph, fusible: Callable[[Node], bool], accepts: Callable[[Node], bool]) -> None:
    """Join, in place, elementwise work to the product whose result it takes.

    A backend asks for this by having a kernel for ``"fused_product"``. It runs after `fuse_elementwise`, whose groups
    it takes whole.

    Args:
        graph: the graph to change.
        fusible: whether a single node is elementwise work the backend can fuse.
        accepts: whether the backend can run a fused product.
    """
    unit_of: dict[Value, _Unit] = {}
    units: list[_Unit] = []
    product: dict[_Unit, Node] = {}
    for node in graph.nodes:
        sources = list({id(u): u for v in node.sources if (u := unit_of.get(v)) is not None}.values())
        home = None
        if _elementwise(node, fusible):
            for unit in reversed(sources):
                head = product.get(unit)
                if head is None or len(unit.nodes) > 1 or not _fits(node, head):
                    continue
                if not any(other.ancestors & unit.bit for other in sources if other is not unit):
                    home = unit
                    break
        ancestors = 0
        for unit in sources:
            if unit is not home:
                ancestors |= unit.ancestors | unit.bit
        if home is None:
            home = _Unit(1 << len(units), [node], ancestors, None)
            units.append(home)
            if node.op.family in PRODUCTS and node.outputs[0].size:
                product[home] = node
        else:
            home.nodes.append(node)
            _depend(home, ancestors, units)
        for value in node.outputs:
            unit_of[value] = home
    if not any(len(u.nodes) > 1 for u in units):
        return
    readers: dict[Value, set[_Unit | None]] = {}
    for unit in units:
        for value in (v for n in unit.nodes for v in n.sources):
            readers.setdefault(value, set()).add(unit)
    for value in graph.results:
        readers.setdefault(value, set()).add(None)
    renamed: dict[Value, Value] = {}
    nodes: list[Node] = []
    for unit in _ordered(units, unit_of):
        if len(unit.nodes) > 1:
            outs = [v for n in unit.nodes for v in n.outputs if readers.get(v, set()) - {unit}]
            fused = join_nodes(FUSED_PRODUCT, unit.nodes, outs, product[unit])
            if accepts(fused):
                renamed.update(zip(outs, fused.outputs, strict=True))
                nodes.append(fused)
                continue
        nodes += unit.nodes
    _rename(graph, nodes, renamed)


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
