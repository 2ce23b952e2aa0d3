"""Fusion around reductions: elementwise work before and after a reduction joins it, for backends that ask for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kcore.graph.core import Graph, Node, Value
from kcore.graph.fuse import FUSED, _depend, _ordered, _rename, _Unit, join_nodes
from kcore.graph.op import Op


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
    unit_of: dict[Value, _Unit] = {}
    units: list[_Unit] = []
    reduction: dict[_Unit, Node] = {}
    closed: set[_Unit] = set()  # those with an epilogue
    updates = set(graph.updates.values())
    for node in graph.nodes:
        sources = list({id(u): u for v in node.sources if (u := unit_of.get(v)) is not None}.values())
        reduces = node.op.family == "reduction" and reducible(node)
        elementwise = not reduces and _elementwise(node, fusible)
        home = None
        for unit in sources:
            if reduces and unit.shape is not None and unit not in reduction:
                home = unit  # a reduction has one input, so no other path leads here
            elif elementwise and unit in reduction and unit not in closed and _follows(node, unit, reduction[unit]):
                if len(unit.nodes) > 1 and all(v in updates for v in node.outputs):
                    continue  # an update beside values that others wait for could not be written in place
                if not any(other.ancestors & unit.bit for other in sources if other is not unit):
                    home = unit
                    closed.add(unit)
            if home is not None:
                break
        ancestors = 0
        for unit in sources:
            if unit is not home:
                ancestors |= unit.ancestors | unit.bit
        if home is None:
            home = _Unit(1 << len(units), [node], ancestors, node.outputs[0].shape if elementwise else None)
            units.append(home)
        else:
            home.nodes.append(node)
            _depend(home, ancestors, units)
        if reduces:
            reduction[home] = node
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
        if len(unit.nodes) == 1:
            nodes += unit.nodes
            continue
        outs = [v for n in unit.nodes for v in n.outputs if readers.get(v, set()) - {unit}]
        fused = join_nodes(FUSED_REDUCTION, unit.nodes, outs, reduction[unit])
        renamed.update(zip(outs, fused.outputs, strict=True))
        nodes.append(fused)
    _rename(graph, nodes, renamed)


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


def _follows(node: Node, unit: _Unit, reduction: Node) -> bool:
    """Whether elementwise work may be the epilogue: it has the result's shape and reads nothing of the prologue."""
    prologue = {v for n in unit.nodes if n is not reduction for v in n.outputs}
    return node.outputs[0].shape == reduction.outputs[0].shape and not any(v in prologue for v in node.sources)
