"""Small composites that follow one another, such as softmax, a loss and their gradients, become one node."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kcore.graph.core import Graph, Node, Value
from kcore.graph.fuse import join_nodes
from kcore.graph.fuse_columns import sorted_nodes
from kcore.graph.op import Op
from kcore.graph.units import rename


def _run_body(*inputs: Any, body: Graph) -> Any:
    raise TypeError("fused rows are run by their backend, never decomposed")


#: Composites that one kernel computes, row by row. Attr `body`: the composites, not decomposed yet.
FUSED_ROWS = Op("fused_rows", _run_body, primitive=True, family="fused", inputs=("*inputs",))

#: Arrays of more elements are left alone: computing them takes longer than a launch, and they have room in parallel.
MOST = 1 << 14


def fuse_rows(graph: Graph, composite: Callable[[Node], bool], supported: Callable[[Node], bool]) -> None:
    """Join, in place, composites on small arrays to those whose results they read.

    A backend asks for this by having a kernel for ``"fused_rows"``.

    Args:
        graph: the graph to change.
        composite: whether a node may be joined to others.
        supported: whether the backend has a kernel for a node of fused rows.
    """
    bit: dict[Node, int] = {}
    behind: dict[Node, int] = {}
    groups: list[list[Node]] = []
    group_of: dict[Node, list[Node]] = {}
    for i, node in enumerate(graph.nodes):
        bit[node] = bits = 1 << i
        for value in node.sources:
            bits |= behind[value.node] if value.node is not None else 0
        behind[node] = bits
        if any(v.size > MOST for v in (*node.sources, *node.outputs)) or not composite(node):
            continue
        for source in {id(g): g for v in node.sources if (g := group_of.get(v.node)) is not None}.values():  # type: ignore[arg-type]
            inside = sum(bit[n] for n in source)
            others = [v.node for v in node.sources if v.node is not None and v.node not in source]
            if not any(behind[o] & inside for o in others) and supported(_joined(graph, [*source, node])):
                source.append(node)
                group_of[node] = source
                together = behind[node] | inside
                for other, before in behind.items():
                    if before & (inside | bit[node]):
                        behind[other] = before | together
                break
        else:
            group_of[node] = [node]
            groups.append(group_of[node])
    found = [g for g in groups if len(g) > 1]
    if not found:
        return
    renamed: dict[Value, Value] = {}
    nodes = list(graph.nodes)
    for group in found:
        fused = _joined(graph, group)
        renamed.update(zip(_read_elsewhere(graph, group), fused.outputs, strict=True))
        nodes[nodes.index(group[-1])] = fused
        nodes = [n for n in nodes if n not in group]
    rename(graph, nodes, renamed)
    graph.nodes = sorted_nodes(graph.nodes)


def _read_elsewhere(graph: Graph, group: list[Node]) -> list[Value]:
    """The values of a group that others read."""
    read = set(graph.results) | {v for n in graph.nodes if n not in group for v in n.sources}
    return [v for n in group for v in n.outputs if v in read]


def _joined(graph: Graph, group: list[Node]) -> Node:
    return join_nodes(FUSED_ROWS, group, _read_elsewhere(graph, group), group[-1])
