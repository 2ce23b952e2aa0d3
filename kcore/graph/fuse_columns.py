"""Sums down the columns of large arrays: those over the same rows become one node, with what leads to them and follows.

Statistics and gradients of batch normalization are such sums. What is cheap to compute is computed again where it is
needed rather than stored: memory, not arithmetic, is what this work waits for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from kcore.graph.core import Graph, Node, Value
from kcore.graph.fuse import join_nodes
from kcore.graph.op import Op
from kcore.graph.passes import remove_dead
from kcore.graph.units import rename


def _run_body(*inputs: Any, body: Graph) -> Any:
    raise TypeError("a node of fused columns is run by its backend, never decomposed")


#: Reductions of one shape over the same leading axes. Attr `body`: elementwise nodes of the shape of what is reduced,
#: the reductions, elementwise nodes of the shape of their results. Outputs are values of the last two.
FUSED_COLUMNS = Op("fused_columns", _run_body, primitive=True, family="fused", inputs=("*inputs",))

#: Reductions of fewer elements are left to `fuse_reductions`: a launch costs more than reading them.
LEAST = 1 << 16
#: Bytes that may be read more, for each byte of a value, so that it need not be stored and read.
_WORTH = 1.5
#: Ops too costly to compute twice.
_COSTLY = frozenset({
    "exp", "expm1", "log", "log1p", "tanh", "erf", "power", "sin", "cos", "tan", "sinh", "cosh", "arcsin", "arccos",
    "arctan", "arctan2", "mod", "floor_divide",
})  # fmt: skip


class _Group:
    """Reductions to be computed together, and the elementwise nodes they compute for themselves."""

    def __init__(self, shape: tuple[int, ...], axis: tuple[int, ...]):
        self.shape, self.axis = shape, axis
        self.members: list[Node] = []
        self.inner: dict[Node, None] = {}
        self.read: dict[Value, None] = {}  # what is read at full size

    def copy(self) -> _Group:
        other = _Group(self.shape, self.axis)
        other.members, other.inner, other.read = list(self.members), dict(self.inner), dict(self.read)
        return other


def fuse_columns(graph: Graph, fusible: Callable[[Node], bool], supported: Callable[[Node], bool]) -> None:
    """Join, in place, reductions over leading axes that go through the same arrays.

    A backend asks for this by having a kernel for ``"fused_columns"``. It runs before `fuse_elementwise`.

    Args:
        graph: the graph to change.
        fusible: whether a single node is elementwise work the backend can fuse.
        supported: whether the backend has a kernel for a node of fused columns.
    """
    pass_ = _Pass(graph, fusible)
    groups = pass_.groups()
    for group in reversed(groups):  # the last first, so that what is computed again is not kept for it
        pass_.build(group, supported)
    if groups:
        rename(graph, sorted_nodes(graph.nodes), pass_.renamed)
        remove_dead(graph)


class _Pass:
    def __init__(self, graph: Graph, fusible: Callable[[Node], bool]):
        self.graph, self.fusible = graph, fusible
        self.results = set(graph.results)
        self.renamed: dict[Value, Value] = {}
        self.readers: dict[Value, list[Node]] = {}
        self.bit: dict[Node, int] = {}
        self.behind: dict[Node, int] = {}  # the nodes a node depends on, itself included, as bits
        for i, node in enumerate(graph.nodes):
            self.bit[node] = bits = 1 << i
            for value in node.sources:
                self.readers.setdefault(value, []).append(node)
                bits |= self.behind[value.node] if value.node is not None else 0
            self.behind[node] = bits
        self._elementwise = {n for n in graph.nodes if fusible(n)}
        self._candidates = {n for n in graph.nodes if _reduces_columns(n)}
        self._updating = self._only_updates()

    def _only_updates(self) -> set[Node]:
        """Elementwise nodes that nothing but updates of variables waits for."""
        updates = set(self.graph.updates.values())
        outputs = set(self.graph.outputs)
        found: set[Node] = set()
        for node in reversed(self.graph.nodes):
            value = node.outputs[0]
            readers = self.readers.get(value, ())
            if node in self._elementwise and value not in outputs and all(r in found for r in readers):
                if readers or value in updates:
                    found.add(node)
        return found

    # -- what is computed together -------------------------------------------------------------------------------

    def groups(self) -> list[_Group]:
        """The groups, in the order of their last reductions."""
        found: list[_Group] = []
        for node in self.graph.nodes:
            if node not in self._candidates:
                continue
            source, axis = node.sources[0], node.attrs["axis"]
            alone = self._with(_Group(source.shape, axis), node)
            for i in range(len(found) - 1, max(len(found) - 4, -1), -1):
                group = found[i]
                if (group.shape, group.axis) != (source.shape, axis) or not alone.read.keys() & group.read.keys():
                    continue
                if not any(self.behind[node] & self.bit[m] for m in group.members):
                    found[i] = self._with(group, node)
                    self._tie(found[i].members)
                    found.append(found.pop(i))
                    break
            else:
                found.append(alone)
        return found

    def _tie(self, nodes: Iterable[Node]) -> None:
        """Let everything that depends on one of the nodes depend on all they depend on."""
        bits = together = 0
        for node in nodes:
            bits |= self.bit[node]
            together |= self.behind[node]
        for node, behind in self.behind.items():
            if behind & bits:
                self.behind[node] = behind | together

    def _with(self, group: _Group, node: Node) -> _Group:
        """The group with one more reduction, and what leads to it as far as it is worth computing again."""
        group = group.copy()
        group.members.append(node)
        self._take(node.sources[0], group)
        for value in [v for v in group.read if v.dtype == "bool"]:  # now that it is known what is read anyway
            del group.read[value]
            self._take(value, group)
        return group

    def _take(self, value: Value, group: _Group) -> None:
        """Let the group compute a value of full size, or read it."""
        node = value.node
        if value.shape != group.shape or value in group.read or (node is not None and node in group.inner):
            return
        if node is None or node not in self._elementwise or self._stored(value):
            group.read[value] = None
            return
        readers = self.readers.get(value, ())
        own = all(r in group.inner or r in group.members for r in readers)
        trial = group.copy()
        trial.inner[node] = None
        for source in node.sources:
            self._take(source, trial)
        more = sum(v.nbytes for v in trial.read if v not in group.read)
        if value.dtype == "bool" and self._beside(node, group):
            own = False
        if own or (node.op.name not in _COSTLY and more <= _WORTH * value.nbytes):
            group.inner, group.read = trial.inner, trial.read
        else:
            group.read[value] = None

    def _beside(self, node: Node, group: _Group) -> bool:
        """Whether what a node reads is computed for others, too, beside whom it costs nothing."""
        return any(
            v.shape == group.shape
            and v.node in self._elementwise
            and (v in self.results or len(self.readers.get(v, ())) > 1)
            for v in node.sources
        )

    def _stored(self, value: Value) -> bool:
        """Whether a value must lie in memory for others anyway."""
        return value in self.results or any(
            r not in self._candidates and (r not in self._elementwise or r.outputs[0].shape != value.shape)
            for r in self.readers.get(value, ())
        )

    # -- making nodes ------------------------------------------------------------------------------------------------

    def build(self, group: _Group, supported: Callable[[Node], bool]) -> None:
        """Replace a group's reductions and what follows them by one node."""
        position = {n: i for i, n in enumerate(self.graph.nodes)}
        if any(m not in position for m in group.members):
            return
        after = self._following(group)
        members = [
            *sorted(group.inner, key=position.__getitem__),
            *sorted(group.members, key=position.__getitem__),
            *after,
        ]
        inside = set(group.members) | set(after)
        outs = [
            v
            for n in members
            if n in inside
            for v in n.outputs
            if v in self.results or any(r not in inside for r in self.readers.get(v, ()))
        ]
        fused = join_nodes(FUSED_COLUMNS, members, outs, group.members[-1])
        if not supported(fused):
            return
        self._again(group, inside)
        self._tie(inside)
        self.bit[fused] = self.bit[group.members[-1]]
        self.behind[fused] = self.behind[group.members[-1]]
        kept = [n for n in self.graph.nodes if n not in inside]
        for value in fused.sources:
            self.readers.setdefault(value, []).append(fused)
        self.graph.nodes = [*kept, fused]
        for old, new in zip(outs, fused.outputs, strict=True):
            self.renamed[old] = new
            self.readers[new] = readers = self.readers.get(old, [])
            for reader in readers:
                reader.inputs = tuple(new if v is old else v for v in reader.inputs)
            if old in self.results:
                self.results.add(new)

    def _following(self, group: _Group) -> list[Node]:
        """Elementwise nodes of the shape of the results that depend on nothing else that waits for them."""
        inside = set(group.members)
        bits = 0
        for node in inside:
            bits |= self.bit[node]
        shape = group.members[0].outputs[0].shape
        found: list[Node] = []
        for node in self.graph.nodes:
            if node not in self._elementwise or node in self._updating or node.outputs[0].shape != shape:
                continue
            if not any(v.node in inside for v in node.sources):
                continue
            others = [v.node for v in node.sources if v.node is not None and v.node not in inside]
            if any(self.behind[o] & bits for o in others):
                continue
            inside.add(node)
            found.append(node)
            bits |= self.bit[node]
        return found

    def _again(self, group: _Group, inside: set[Node]) -> None:
        """Let those that wait for the group compute its inner values once more, rather than keep them meanwhile."""
        bits = 0
        for node in group.members:
            bits |= self.bit[node]
        copies: dict[Node, Node] = {}

        def copied(value: Value) -> Value:
            node = value.node
            if node is None or node not in group.inner:
                return value
            if node not in copies:
                operands = [None if v is None else copied(v) for v in node.inputs]
                specs = [v.spec for v in node.outputs]
                copy = Node(node.op, operands, node.attrs, specs, node.path, node.where, node.device)
                copies[node] = copy
                self.behind[copy], self.bit[copy] = self.behind[node], self.bit[node]
                self._elementwise.add(copy)
                for source in copy.sources:
                    self.readers.setdefault(source, []).append(copy)
            return copies[node].outputs[value.index]

        waiting = dict.fromkeys(r for n in group.inner for r in self.readers.get(n.outputs[0], ()))
        for node in waiting:
            if node in inside or node in group.inner or node not in self._elementwise or not self.behind[node] & bits:
                continue
            before = node.sources
            node.inputs = tuple(None if v is None else copied(v) for v in node.inputs)
            for old, new in zip(before, node.sources, strict=True):
                if old is not new:
                    self.readers[old] = [r for r in self.readers[old] if r is not node]
                    self.readers.setdefault(new, []).append(node)
        self.graph.nodes = [*self.graph.nodes, *copies.values()]


def _reduces_columns(node: Node) -> bool:
    """Whether a node reduces a large array over its leading axes."""
    if node.op.family != "reduction" or "keepdims" not in node.attrs or not isinstance(node.attrs["axis"], tuple):
        return False
    source, axis = node.sources[0], node.attrs["axis"]
    return source.size >= LEAST and 0 < len(axis) < len(source.shape) and axis == tuple(range(len(axis)))


def sorted_nodes(nodes: Sequence[Node]) -> list[Node]:
    """The nodes in an order in which each stands behind what it reads, near the order given."""
    done: set[Node] = set()
    known = set(nodes)
    order: list[Node] = []
    for root in nodes:
        stack = [(root, False)]
        while stack:
            node, ready = stack.pop()
            if ready:
                order.append(node)
            elif node not in done:
                done.add(node)
                stack.append((node, True))
                stack += [(v.node, False) for v in reversed(node.sources) if v.node in known and v.node not in done]
    return order
