"""Groups of nodes in the making: what fusion passes join, and how the graph looks when they are done."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from kcore.graph.core import Graph, Node, Value


class Unit:
    """A node, or a group of nodes, while groups are being formed.

    Attributes:
        bit: a bit for each unit that went into it.
        nodes: its nodes; none once another unit has taken them in.
        ancestors: the bits of the units it depends on.
        shape: what the nodes that may join it must have; None where shapes do not decide.
    """

    __slots__ = ("ancestors", "bit", "nodes", "shape")

    def __init__(self, bit: int, nodes: list[Node], ancestors: int, shape: tuple | None):
        self.bit = bit
        self.nodes = nodes
        self.ancestors = ancestors
        self.shape = shape


class Units:
    """The units of a graph, which a pass fills node by node, in program order."""

    def __init__(self) -> None:
        self._of: dict[Value, Unit] = {}
        self._all: list[Unit] = []

    def sources(self, node: Node) -> list[Unit]:
        """The units that make the node's operands."""
        return list({id(u): u for v in node.sources if (u := self._of.get(v)) is not None}.values())

    def direct(self, unit: Unit, sources: Sequence[Unit]) -> bool:
        """Whether a node of those sources may join one of them: no other path leads from there to the node."""
        return not any(other.ancestors & unit.bit for other in sources if other is not unit)

    def place(self, node: Node, home: Unit | None, shape: tuple | None = None) -> Unit:
        """Put a node into a unit, or into a new one of that shape."""
        ancestors = 0
        for unit in self.sources(node):
            if unit is not home:
                ancestors |= unit.ancestors | unit.bit
        if home is None:
            home = Unit(1 << len(self._all), [node], ancestors, shape)
            self._all.append(home)
        else:
            home.nodes.append(node)
            self._depend(home, ancestors)
        for value in node.outputs:
            self._of[value] = home
        return home

    def merge(self, first: Unit, second: Unit) -> Unit:
        """One unit of two that no path connects; the larger takes the smaller in."""
        if len(first.nodes) < len(second.nodes):
            first, second = second, first
        for node in second.nodes:
            for value in node.outputs:
                self._of[value] = first
        first.nodes += second.nodes
        first.bit |= second.bit
        second.nodes = []
        before = first.ancestors
        first.ancestors = 0
        self._depend(first, before | second.ancestors)
        return first

    def _depend(self, home: Unit, ancestors: int) -> None:
        """Note what a unit depends on, for itself and for all that depends on it."""
        added = ancestors & ~home.ancestors
        if added:
            home.ancestors |= added
            for unit in self._all:
                if unit.ancestors & home.bit:
                    unit.ancestors |= added

    def ordered(self, graph: Graph) -> list[Unit]:
        """The units in topological order, in program order of their first nodes where possible; so are their nodes."""
        position = {node: i for i, node in enumerate(graph.nodes)}
        done: set[int] = set()
        order: list[Unit] = []
        for root in self._all:
            root.nodes.sort(key=position.__getitem__)
            stack = [(root, not root.nodes)]
            while stack:
                unit, ready = stack.pop()
                if ready:
                    if unit.nodes:
                        order.append(unit)
                    continue
                if id(unit) in done:
                    continue
                done.add(id(unit))
                stack.append((unit, True))
                for node in reversed(unit.nodes):
                    for value in node.sources:
                        source = self._of.get(value)
                        if source is not None and id(source) not in done:
                            stack.append((source, False))
        return order

    def replace(self, graph: Graph, join: Callable[[Unit, list[Value]], Node | None]) -> None:
        """Rewrite a graph in place, its units in order.

        Args:
            graph: the graph.
            join: one node for a unit, given the unit and those of its values that are read outside it; None to leave
                the unit's nodes as they are.
        """
        units = self.ordered(graph)
        readers: dict[Value, set[Unit | None]] = {value: {None} for value in graph.results}
        for unit in units:
            for value in (v for n in unit.nodes for v in n.sources):
                readers.setdefault(value, set()).add(unit)
        renamed: dict[Value, Value] = {}
        nodes: list[Node] = []
        for unit in units:
            outs = [v for n in unit.nodes for v in n.outputs if readers.get(v, set()) - {unit}]
            joined = join(unit, outs)
            if joined is None:
                nodes += unit.nodes
                continue
            renamed.update(zip(outs, joined.outputs, strict=True))
            nodes.append(joined)
        rename(graph, nodes, renamed)


def rename(graph: Graph, nodes: list[Node], renamed: dict[Value, Value]) -> None:
    """Give a graph other nodes, in place; whatever reads an old value reads the new one."""
    for node in nodes:
        if any(v in renamed for v in node.inputs):
            node.inputs = tuple(None if v is None else renamed.get(v, v) for v in node.inputs)
    graph.nodes = nodes
    graph.outputs = [renamed.get(v, v) for v in graph.outputs]
    graph.updates = {k: renamed.get(v, v) for k, v in graph.updates.items()}
