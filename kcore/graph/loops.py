"""What of a scan's body need not run step by step: taken out before the loop, behind it, or summed up at once.

The products of inputs and weights of all steps are one product before the loop, what outputs are made of from the
states comes behind it, and the gradient of a weight is one product over all steps instead of a sum of small ones.
"""

from __future__ import annotations

from collections.abc import Sequence

from kcore.graph.core import Graph, Node, Value
from kcore.graph.op import OPS
from kcore.graph.over_steps import Writer, has_rule, is_summed_as_product, over_steps, sum_of_products
from kcore.graph.passes import Decompose, remove_dead, rewrite
from kcore.graph.pieces import join_pieces

#: Bytes that a value of all steps at once may take; what is larger is computed step by step.
LARGEST = 1 << 28


def tighten_loops(graph: Graph, decompose: Decompose) -> None:
    """Take out of the loops of a graph, in place, what need not be in them."""
    if not any(node.op.name == "scan" for node in graph.nodes):
        return
    read = graph.uses()
    nodes: list[Node] = []
    now: dict[Value, Value] = {}
    for node in graph.nodes:
        if any(v in now for v in node.sources):
            node.inputs = tuple(None if v is None else now.get(v, v) for v in node.inputs)
        if node.op.name != "scan":
            nodes.append(node)
            continue
        loop = _Loop(node, [v in read for v in node.outputs], decompose)
        nodes += loop.nodes()
        now.update(zip([v for v in node.outputs if v in read], loop.results, strict=True))
    graph.nodes = nodes
    graph.outputs = [now.get(v, v) for v in graph.outputs]
    graph.updates = {k: now.get(v, v) for k, v in graph.updates.items()}


class _Loop:
    """One scan, taken apart.

    Attributes:
        results: values that stand for the outputs of the scan that are read.
    """

    def __init__(self, node: Node, read: Sequence[bool], decompose: Decompose):
        self.node = node
        self.length = node.attrs["length"]
        self.body = rewrite(_copied(node.attrs["body"]), None, decompose)
        join_pieces(self.body)
        carried, scanned = node.attrs["carried"], node.attrs["scanned"]
        inputs = self.body.inputs
        self.carries, self.new = inputs[:carried], self.body.outputs[:carried]
        self.steps, self.shared = inputs[carried : carried + scanned], inputs[carried + scanned :]
        self.given = dict(zip(inputs, node.sources, strict=True))
        self.early = self._find_early()
        self.before: list[Node] = []
        self.after: list[Node] = []
        #: Value of the body -> what it is outside, and whether that is stacked.
        self.outer: dict[Value, tuple[Value, bool]] = {}
        self.late: set[Value] = set()  # outer values that are known only behind the loop
        self.inner: dict[Node, None] = {}  # nodes that stay in the loop
        self.taken: dict[Value, None] = {}  # values that come into the loop beside the carries
        self.emitted: dict[Value, Value] = {}  # value -> place that stands for its stack until the scan is there
        wanted = [v for v, is_read in zip(self.body.outputs[carried:], read[carried:], strict=True) if is_read]
        self.sums = self._find_sums(wanted)
        self.live = self._find_live(wanted, read)
        for k in self.live:
            self._keep(self.new[k])
        stacks = {v: self._stacked(v) for v in wanted}
        sums = {k: self._summed(k) for k in self.sums if read[k]}
        self.scan = self._scan()
        ends = dict(zip(self.live, self.scan.outputs, strict=False))
        self.results: list[Value] = []
        for k, value in enumerate(self.body.outputs):
            if read[k]:
                self.results.append(stacks[value] if k >= carried else sums[k] if k in sums else ends[k])
        places = dict(zip(self.emitted.values(), self.scan.outputs[len(self.live) :], strict=True))
        for behind in self.after:
            behind.inputs = tuple(None if v is None else places.get(v, v) for v in behind.inputs)
        self.results = [places.get(v, v) for v in self.results]

    def nodes(self) -> list[Node]:
        """All nodes that stand for the scan, in order."""
        loop = [self.scan] if self.scan.outputs else []
        return [*self.before, *loop, *self.after]

    # -- what goes where ---------------------------------------------------------------------------------------------

    def _find_early(self) -> set[Value]:
        """The values that can be computed before the loop."""
        early = {*self.steps, *self.shared}
        for node in self.body.nodes:
            if not has_rule(node) or not node.sources:
                continue
            if all(v in early or v.constant is not None for v in node.sources):
                early.update(v for v in node.outputs if v.nbytes * self.length <= LARGEST)
        return early

    def _find_sums(self, wanted: Sequence[Value]) -> dict[int, Value]:
        """Carries that only sum up what no step asks for: number -> what each step adds."""
        uses: dict[Value, int] = {}
        for value in [*wanted, *self.new, *(v for node in self.body.nodes for v in node.sources)]:
            uses[value] = uses.get(value, 0) + 1
        found = {}
        for k, (old, new) in enumerate(zip(self.carries, self.new, strict=True)):
            node = new.node
            if node is None or node.op.name != "add" or uses.get(old) != 1 or uses[new] != 1:
                continue
            if old not in node.inputs or any(v.shape != new.shape for v in node.sources):
                continue
            added = next(v for v in node.sources if v is not old)
            if is_summed_as_product(added) or added.nbytes * self.length <= LARGEST >> 4:
                found[k] = added
        return found

    def _find_live(self, wanted: Sequence[Value], read: Sequence[bool]) -> list[int]:
        """The carries, without sums, that somebody asks for: outside, a step's output or another such carry."""
        live = {k for k in range(len(self.carries)) if read[k] and k not in self.sums}
        while True:
            roots = [*wanted, *self.sums.values(), *(self.new[k] for k in live)]
            asked = _leaves(self.body, roots)
            more = {k for k, old in enumerate(self.carries) if old in asked and k not in self.sums} | live
            if more == live:
                return sorted(live)
            live = more

    def _keep(self, value: Value) -> None:
        """Make a value known in the loop."""
        if value.constant is not None or value in self.carries or value in self.taken or value.node in self.inner:
            return
        if value in self.early:
            self.taken[value] = None
            return
        node = value.node
        assert node is not None
        self.inner[node] = None
        for source in node.sources:
            self._keep(source)

    def _outside(self, value: Value) -> tuple[Value, bool]:
        """A value as it is outside of the loop, and whether it is stacked."""
        known = self.outer.get(value)
        if known is None:
            known = self.outer[value] = self._find_outside(value)
        return known

    def _find_outside(self, value: Value) -> tuple[Value, bool]:
        node = value.node
        if value.constant is not None:
            return value, False
        if value in self.given and value not in self.carries:
            return self.given[value], value in self.steps
        if node is not None and not node.sources and not node.op.effect and len(node.outputs) == 1:
            return Writer(node, self.length, self.before)(node.op.name, (), **node.attrs), False
        if node is None or node in self.inner or not has_rule(node):
            return self._emit(value), True
        inputs = [None if v is None else self._outside(v) for v in node.inputs]
        stacked = any(pair is not None and pair[1] for pair in inputs)
        late = any(pair is not None and pair[0] in self.late for pair in inputs)
        write = Writer(node, self.length, self.after if late else self.before)
        if stacked:
            result = over_steps(write, node, inputs)
        else:
            result = write(node.op.name, [None if pair is None else pair[0] for pair in inputs], **node.attrs)
        if late:
            self.late.add(result)
        return result, stacked

    def _emit(self, value: Value) -> Value:
        """Let the loop hand out a value of every step; a place for its stack."""
        place = self.emitted.get(value)
        if place is None:
            if value not in self.carries:
                self._keep(value)
            place = self.emitted[value] = Value((self.length, *value.shape), value.dtype)
            self.late.add(place)
        return place

    def _stacked(self, value: Value) -> Value:
        outer, stacked = self._outside(value)
        if stacked:
            return outer
        write = Writer(value.node or self.node, self.length, self.after)
        return write("broadcast_to", (outer,), shape=(self.length, *outer.shape))

    def _summed(self, k: int) -> Value:
        """The end of a carry that is a sum over the steps."""
        added, start = self.sums[k], self.given[self.carries[k]]
        if is_summed_as_product(added):
            total = sum_of_products(added, self._outside, lambda node: Writer(node, self.length, self.after))
        elif added.node is not None and added.node.op.name == "sum_to":
            total = self._writer(added)("sum_to", (self._stacked(added.node.sources[0]),), shape=added.shape)
        else:
            total = self._writer(added)("sum", (self._stacked(added),), axis=(0,), keepdims=False)
        return total if _is_zero(start) else self._writer(added)("add", (start, total))

    def _writer(self, value: Value) -> Writer:
        return Writer(value.node or self.node, self.length, self.after)

    # -- the loop that stays -----------------------------------------------------------------------------------------

    def _scan(self) -> Node:
        body = Graph(self.body.name)
        body._scalars = self.body._scalars
        inside: dict[Value, Value] = {}
        outer = {v: self._outside(v) for v in self.taken}
        steps = [v for v in self.taken if outer[v][1]]
        shared = [v for v in self.taken if not outer[v][1]]
        for value in [*(self.carries[k] for k in self.live), *steps, *shared]:
            inside[value] = body.placeholder(value.shape, value.dtype)
        for node in self.body.nodes:
            if node in self.inner:
                inputs = [None if v is None else inside.get(v, v) for v in node.inputs]
                specs = [v.spec for v in node.outputs]
                fresh = Node(node.op, inputs, node.attrs, specs, node.path, node.where, node.device)
                inside.update(zip(node.outputs, body.add(fresh), strict=True))
        results = [*(self.new[k] for k in self.live), *self.emitted]
        body.outputs = [inside.get(v, v) for v in results]
        attrs = {**self.node.attrs, "body": body, "carried": len(self.live), "scanned": len(steps)}
        given = [*(self.given[self.carries[k]] for k in self.live), *(outer[v][0] for v in [*steps, *shared])]
        scan, node = OPS["scan"], self.node
        return Node(scan, given, attrs, scan.infer(*[v.spec for v in given], **attrs), node.path, node.where)


def _copied(graph: Graph) -> Graph:
    copy = Graph(graph.name)
    copy.inputs, copy.outputs, copy._scalars = list(graph.inputs), list(graph.outputs), graph._scalars
    copy.nodes = list(graph.nodes)
    remove_dead(copy)
    return copy


def _leaves(graph: Graph, roots: Sequence[Value]) -> set[Value]:
    """The values among which are all leaves that the roots are computed from."""
    needed = set(roots)
    for node in reversed(graph.nodes):
        if any(v in needed for v in node.outputs):
            needed.update(node.sources)
    return needed


def _is_zero(value: Value) -> bool:
    node, array = value.node, value.constant
    if array is not None:
        return not array.any()
    return node is not None and (node.op.name == "zeros_like" or node.op.name == "full" and node.attrs["value"] == 0)
