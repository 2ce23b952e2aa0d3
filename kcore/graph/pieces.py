"""A sum of pieces that each fill their own part with zeros around is the pieces side by side."""

from __future__ import annotations

from kcore.graph.core import Graph, Node, Value
from kcore.graph.op import OPS
from kcore.graph.passes import remove_dead


def join_pieces(graph: Graph) -> None:
    """Make of sums of `unslice` that divide an axis among them a concatenation, in place.

    The gradient of a split is such a sum.
    """
    if not any(node.op.name == "unslice" for node in graph.nodes):
        return
    uses = graph.uses()
    inner = {
        v
        for node in graph.nodes
        if node.op.name == "add"
        for v in node.sources
        if v.node is not None and v.node.op.name == "add" and uses[v] == 1
    }
    joined = False
    for i, node in enumerate(graph.nodes):
        if node.op.name == "add" and node.outputs[0] not in inner:
            found = _pieces(node)
            if found is not None:
                axis, pieces = found
                attrs = {"axis": axis}
                concatenate = OPS["concatenate"]
                specs = concatenate.infer(*[v.spec for v in pieces], **attrs)
                fresh = Node(concatenate, pieces, attrs, specs, node.path, node.where, node.device)
                fresh.outputs = node.outputs
                for value in fresh.outputs:
                    value.node = fresh
                graph.nodes[i] = fresh
                joined = True
    if joined:
        remove_dead(graph)


def _pieces(node: Node) -> tuple[int, list[Value]] | None:
    """The axis and the pieces along it, in order, if a sum is one of pieces that cover all of it."""
    leaves: list[Value] = []
    stack = [node.outputs[0]]
    while stack:
        value = stack.pop()
        part = value.node
        if part is not None and part.op.name == "add" and all(v.shape == value.shape for v in part.sources):
            stack += part.sources
        elif part is not None and part.op.name == "unslice" and value.shape == node.outputs[0].shape:
            leaves.append(value)
        else:
            return None
    shape, rank = node.outputs[0].shape, len(node.outputs[0].shape)
    parts = [v.node.attrs for v in leaves if v.node is not None]
    if any(step != 1 for part in parts for step in part["step"]):
        return None
    divided = [k for k in range(rank) if any((p["start"][k], p["stop"][k]) != (0, shape[k]) for p in parts)]
    if len(divided) != 1:
        return None
    (axis,) = divided
    order = sorted(range(len(parts)), key=lambda i: parts[i]["start"][axis])
    at = 0
    for i in order:
        if parts[i]["start"][axis] != at:
            return None
        at = parts[i]["stop"][axis]
    return (axis, [leaves[i].node.sources[0] for i in order]) if at == shape[axis] else None  # type: ignore[union-attr]
