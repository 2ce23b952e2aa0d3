"""Fusion: elementwise chains become one `fused` node, equal updates of many variables one node with many segments."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from kcore.graph.core import Graph, Node, Value
from kcore.graph.op import Op
from kcore.graph.units import Unit, Units, rename


def _run_body(*inputs: Any, body: Graph, segments: int, shared: int) -> Any:
    raise TypeError("a fused node is run by its backend, never decomposed")


#: An elementwise chain. Attrs: `body`, the chain as a graph; `segments`, how many copies of it run on other arrays;
#: `shared`, how many leading inputs all segments share. Inputs are the shared ones, then those of each segment;
#: outputs those of each segment. Inputs broadcast against a segment's output shape.
FUSED = Op("fused", _run_body, primitive=True, family="fused", inputs=("*inputs",))


def group_elementwise(graph: Graph, fusible: Callable[[Node], bool]) -> Units:
    """Units in which elementwise work stands together.

    A node joins the group of one of its inputs when both have one output shape and no other path leads from the
    group to the node, so that the group can run as one.
    """
    units = Units()
    for node in graph.nodes:
        can = fusible(node)
        shape = node.outputs[0].shape if can else None
        home = None
        sources = units.sources(node)
        for unit in sources if can else ():
            if unit.shape == shape and units.direct(unit, sources):
                home = unit if home is None else units.merge(home, unit)
        units.place(node, home, shape)
    return units


def fuse_elementwise(graph: Graph, fusible: Callable[[Node], bool], minimum: int = 2, alone: int = 1 << 17) -> None:
    """Replace, in place, each group of at least `minimum` elementwise nodes by one fused node.

    A single node of `alone` elements or more becomes one, too, so that it is cut into chunks and split like a chain.
    """

    def join(unit: Unit, outs: list[Value]) -> Node | None:
        nodes = unit.nodes
        if len(nodes) < minimum and not (fusible(nodes[0]) and nodes[0].outputs[0].size >= alone):
            return None
        return _make_group(nodes, outs)

    group_elementwise(graph, fusible).replace(graph, join)


def _make_group(group: list[Node], outs: Sequence[Value]) -> Node:
    """A fused node for the group, whose outputs stand for those values."""
    body = Graph("+".join(dict.fromkeys(n.op.name for n in group)))
    inner: dict[Value, Value] = {}
    inputs: list[Value] = []
    for node in group:
        for value in node.sources:
            if value in inner:
                continue
            array = value.constant
            if array is not None and array.size == 1:
                inner[value] = body.constant(array, value.dtype)
            else:
                inner[value] = body.placeholder(value.shape, value.dtype)
                inputs.append(value)
        copy = Node(
            node.op,
            [None if v is None else inner[v] for v in node.inputs],
            node.attrs,
            [v.spec for v in node.outputs],
            node.path,
            node.where,
        )
        body.add(copy)
        inner.update(zip(node.outputs, copy.outputs, strict=True))
    body.outputs = [inner[v] for v in outs]
    last = group[-1]
    attrs = {"body": body, "segments": 1, "shared": 0}
    return Node(FUSED, inputs, attrs, [v.spec for v in outs], last.path, last.where, last.device)


def join_nodes(op: Op, members: Sequence[Node], outs: Sequence[Value], head: Node) -> Node:
    """One node of `op` for the members, whose fused ones are taken apart; it stands where `head` does."""
    body = Graph("+".join(m.attrs["body"].name if m.op is FUSED else m.op.name for m in members))
    inner: dict[Value, Value] = {}
    inputs: list[Value] = []

    def known(value: Value, literal: bool = True) -> Value:
        if value not in inner:
            array = value.constant
            if literal and array is not None and array.size == 1:
                inner[value] = body.constant(array, value.dtype)
            else:
                inner[value] = body.placeholder(value.shape, value.dtype)
                inputs.append(value)
        return inner[value]

    def copy(node: Node, operands: Sequence[Value | None]) -> tuple[Value, ...]:
        specs = [v.spec for v in node.outputs]
        return body.add(Node(node.op, operands, node.attrs, specs, node.path, node.where))

    for member in members:
        if member.op is not FUSED:
            # a product reads its operands from memory: only in elementwise work do numbers become literals
            results = copy(member, [None if v is None else known(v, member.op.elementwise) for v in member.inputs])
            inner.update(zip(member.outputs, results, strict=True))
            continue
        group: Graph = member.attrs["body"]
        own: dict[Value, Value] = {p: known(v) for p, v in zip(group.inputs, member.sources, strict=True)}
        for node in group.nodes:
            operands = [None if v is None else own[v] if v in own else known(v) for v in node.inputs]
            own.update(zip(node.outputs, copy(node, operands), strict=True))
        inner.update((v, own[p]) for v, p in zip(member.outputs, group.outputs, strict=True))
    body.outputs = [inner[v] for v in outs]
    return Node(
        op,
        inputs,
        {"body": body},
        [v.spec for v in outs],
        head.path,
        head.where,
        head.device,
    )


def fuse_segments(graph: Graph, least: int = 2) -> None:
    """Join, in place, fused nodes that run the same body and produce only updates into one node with segments.

    This turns an optimizer written for one variable into one update of all of them.
    """
    updates = set(graph.updates.values())
    read = {v for node in graph.nodes for v in node.sources}
    families: dict[Any, list[Node]] = {}
    for node in graph.nodes:
        if node.op is FUSED and all(v in updates and v not in read for v in node.outputs):
            key = _signature(node)
            if key is not None:
                families.setdefault(key, []).append(node)
    renamed: dict[Value, Value] = {}
    joined: set[Node] = set()
    tail: list[Node] = []
    for members in families.values():
        if len(members) < least:
            continue
        columns = list(zip(*(m.inputs for m in members), strict=True))
        shared = [i for i, column in enumerate(columns) if all(v is column[0] for v in column) and column[0].size == 1]
        own = [i for i in range(len(columns)) if i not in shared]
        first = members[0]
        body = first.attrs["body"]
        placeholders = list(body.inputs)
        body.inputs = [placeholders[i] for i in shared + own]
        inputs = [first.inputs[i] for i in shared] + [m.inputs[i] for m in members for i in own]
        attrs = {"body": body, "segments": len(members), "shared": len(shared)}
        fused = Node(FUSED, inputs, attrs, [v.spec for m in members for v in m.outputs], "", first.where, first.device)
        renamed.update(zip((v for m in members for v in m.outputs), fused.outputs, strict=True))
        joined.update(members)
        tail.append(fused)
    if joined:
        rename(graph, [n for n in graph.nodes if n not in joined] + tail, renamed)


#: Elements up to which independent updates are worth a common launch more than one of their own each.
SMALL = 256


def fuse_updates(graph: Graph, fusible: Callable[[Node], bool], most: int = SMALL) -> None:
    """Join, in place, small elementwise updates of one shape that nothing else in the graph reads.

    Counters, seeds and metric totals are many and tiny: alone, each would cost a launch.
    """
    updates = set(graph.updates.values())
    read = {v for node in graph.nodes for v in node.sources} | set(graph.outputs)
    families: dict[tuple[int, ...], list[Node]] = {}
    for node in graph.nodes:
        single = node.op is FUSED and node.attrs["segments"] == 1 or (node.op is not FUSED and fusible(node))
        if single and node.outputs[0].size <= most and all(v in updates and v not in read for v in node.outputs):
            families.setdefault(node.outputs[0].shape, []).append(node)
    renamed: dict[Value, Value] = {}
    joined: set[Node] = set()
    tail: list[Node] = []
    for members in families.values():
        if len(members) > 1:
            outs = [v for m in members for v in m.outputs]
            fused = join_nodes(FUSED, members, outs, members[0])
            fused.attrs.update(segments=1, shared=0)
            renamed.update(zip(outs, fused.outputs, strict=True))
            joined.update(members)
            tail.append(fused)
    if joined:
        rename(graph, [n for n in graph.nodes if n not in joined] + tail, renamed)


def _signature(node: Node) -> Any:
    """A key equal for fused nodes whose bodies differ in shapes only: ops, attributes, dtypes, full operands."""
    body: Graph = node.attrs["body"]
    shape = node.outputs[0].shape
    number: dict[Value, int] = {v: i for i, v in enumerate(body.inputs)}
    parts: list[Any] = []
    for value in body.inputs:
        if value.shape != shape and value.size != 1:
            return None
        parts.append((value.dtype, value.shape == shape))
    for inner in body.nodes:
        operands: list[Any] = []
        for operand in inner.inputs:
            if operand is None:
                operands.append(None)
            elif operand.constant is not None:
                operands.append((operand.dtype, operand.constant.tobytes()))
            else:
                operands.append(number[operand])
        parts.append(
            (inner.op.name, tuple(operands), tuple(inner.attrs.items()), tuple(v.dtype for v in inner.outputs))
        )
        for value in inner.outputs:
            number[value] = len(number)
    parts.append(tuple(number[v] for v in body.outputs))
    key = tuple(parts)
    try:
        hash(key)
    except TypeError:
        return None
    return key
