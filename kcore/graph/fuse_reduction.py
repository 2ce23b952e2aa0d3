"""Fusion around reductions: elementwise work before and after a reduction joins it, for backends that ask for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kcore.graph.core import Graph, Node, Value
from kcore.graph.fuse import FUSED, join_nodes
from kcore.graph.op import Op
from kcore.graph.units import Unit, Units


def _run_body(*inputs: Any, body: Graph) -> Any:
    raise TypeError("a fused reduction is run by its backend, never decomposed")


#: A reduction with what surrounds it. Attr `body`: elementwise nodes of the shape of what is reduced (the prologue),
#: one reduction, elementwise nodes of the shape of its result (the epilogue), in this order. Inputs broadcast against
#: the shape of the part that reads them; outputs may be values of either part.
FUSED_REDUCTION = Op("fused_reduction", _run_body, primitive=True, family="fused", inputs=("*inputs",))


def fuse_reductions(graph: Graph, fusible: Callable[[Node], bool], reducible: Callable[[Node], bool]) -> None:
    """Join, in place, elementwise work to the reductions it feeds and follows.

    A backend asks for this by having a kernel for ``"fused_reduction"``. It runs after `fuse_elementwise`, whose
    groups it takes whole: one as the prologue, one as the epilogue.

    Args:
        graph: the graph to change.
        fusible: whether a single node is elementwise work the backend can fuse.
        reducible: whether a node is a reduction the backend can fuse.
    """
    units = Units()
    reduction: dict[Unit, Node] = {}
    closed: set[Unit] = set()  # those with an epilogue
    updates = set(graph.updates.values())
    for node in graph.nodes:
        sources = units.sources(node)
        reduces = node.op.family == "reduction" and reducible(node)
        elementwise = not reduces and _elementwise(node, fusible)
        home = None
        for unit in sources:
            if reduces and unit.shape is not None and unit not in reduction:
                home = unit  # a reduction has one input, so no other path leads here
            elif elementwise and unit in reduction and unit not in closed and _follows(node, unit, reduction[unit]):
                if len(unit.nodes) > 1 and all(v in updates for v in node.outputs):
                    continue  # an update beside values that others wait for could not be written in place
                if units.direct(unit, sources):
                    home = unit
                    closed.add(unit)
            if home is not None:
                break
        home = units.place(node, home, node.outputs[0].shape if elementwise else None)
        if reduces:
            reduction[home] = node

    def join(unit: Unit, outs: list[Value]) -> Node | None:
        return None if len(unit.nodes) == 1 else join_nodes(FUSED_REDUCTION, unit.nodes, outs, reduction[unit])

    units.replace(graph, join)


def epilogue_operands(node: Node) -> set[int]:
    """Which inputs of a fused reduction only its epilogue reads: each element once, before the result is written."""
    body: Graph = node.attrs["body"]
    at = next(i for i, n in enumerate(body.nodes) if n.op.family == "reduction")
    early = {v for n in body.nodes[: at + 1] for v in n.sources}
    return {i for i, v in enumerate(body.inputs) if v not in early}


def _elementwise(node: Node, fusible: Callable[[Node], bool]) -> bool:
    if node.op is FUSED:
        return node.attrs["segments"] == 1
    return fusible(node)


def _follows(node: Node, unit: Unit, reduction: Node) -> bool:
    """Whether elementwise work may be the epilogue: it has the result's shape and reads nothing of the prologue."""
    prologue = {v for n in unit.nodes if n is not reduction for v in n.outputs}
    return node.outputs[0].shape == reduction.outputs[0].shape and not any(v in prologue for v in node.sources)
