"""The memory plan: which node runs when, and where in one arena (or in which variable) each value lives."""

from __future__ import annotations

import heapq
from bisect import bisect_left, insort
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from kcore.graph import fuse_product, fuse_reduction
from kcore.graph.core import Constant, Graph, Names, Node, Placeholder, State, Value, format_attr

ALIGN = 64


def aligned(nbytes: int) -> int:
    return (nbytes + ALIGN - 1) // ALIGN * ALIGN


@dataclass
class Step:
    """One kernel launch: the node, its kernel, and where its scratch memory lies."""

    node: Node
    kernel: Any
    scratch_offset: int = 0
    scratch_bytes: int = 0


@dataclass
class Plan:
    """What to run and where everything lives.

    Attributes:
        graph: the lowered graph.
        steps: kernel launches in order; the last `len(steps) - commit_from` of them write variables.
        offsets: value -> byte offset in the arena, for values that own a region of it.
        homes: value -> variable whose buffer it is written to directly.
        views: value -> (the value it is a view of, the node that makes it), no copy.
        reuses: value -> value whose region it takes over in place.
        copies: (variable, value) pairs still to be copied when the step commits.
        arena: bytes of the arena, i.e. the peak of all planned memory.
        runs: how the backend runs the launches, once they are bound: numbers, and what prints as words for them.
    """

    graph: Graph
    steps: list[Step] = field(default_factory=list)
    commit_from: int = 0
    offsets: dict[Value, int] = field(default_factory=dict)
    homes: dict[Value, Any] = field(default_factory=dict)
    views: dict[Value, tuple[Value, Node]] = field(default_factory=dict)
    reuses: dict[Value, Value] = field(default_factory=dict)
    copies: list[tuple[Any, Value]] = field(default_factory=list)
    arena: int = 0
    runs: list[tuple[list[int], object]] = field(default_factory=list)

    def root(self, value: Value) -> Value:
        """The value whose memory this one is (part of)."""
        while value in self.views:
            value = self.views[value][0]
        return value

    def may_lie_elsewhere(self, value: Value) -> bool:
        """Whether an output's own memory can be given when the plan is bound: no view, no input, nothing over it."""
        return value in self.offsets and value.node is not None and value not in self.reuses.values()

    def __str__(self) -> str:
        return format_plan(self)


class Arena:
    """Offsets in one growing region: best fit among the freed gaps, else the end.

    Args:
        page: nothing that is taken crosses a multiple of so many bytes, for memory that is made of pages; 0 for one
            piece without limit.
    """

    def __init__(self, page: int = 0) -> None:
        self.size = 0
        self.page = page
        self._by_offset: list[tuple[int, int]] = []  # (offset, bytes), sorted, never adjacent

    @property
    def largest_gap(self) -> int:
        """Bytes of the largest gap: what can be taken, in whole units of alignment, without growing."""
        return max((gap for _, gap in self._by_offset), default=0)

    def take(self, nbytes: int) -> int:
        """The offset of `nbytes` bytes that nobody uses."""
        nbytes = max(aligned(nbytes), ALIGN)
        if self.page and nbytes > self.page:
            raise MemoryError(f"{nbytes:,} bytes are more than the {self.page:,} that one buffer may have")
        best = -1
        for i, (offset, gap) in enumerate(self._by_offset):
            if gap >= nbytes + self._skipped(offset, nbytes) and (best < 0 or gap < self._by_offset[best][1]):
                best = i
        if best >= 0:
            offset, gap = self._by_offset.pop(best)
        else:
            if self._by_offset and sum(self._by_offset[-1]) == self.size:
                offset, _ = self._by_offset.pop()
            else:
                offset = self.size
            self.size = offset + self._skipped(offset, nbytes) + nbytes
            gap = self.size - offset
        start = offset + self._skipped(offset, nbytes)
        for left, right in ((offset, start), (start + nbytes, offset + gap)):
            if left < right:
                insort(self._by_offset, (left, right - left))
        return start

    def _skipped(self, offset: int, nbytes: int) -> int:
        """Bytes to leave out at an offset, so that what is put there lies within a page."""
        if not self.page or offset % self.page + nbytes <= self.page:
            return 0
        return self.page - offset % self.page

    def give(self, offset: int, nbytes: int) -> None:
        nbytes = max(aligned(nbytes), ALIGN)
        i = bisect_left(self._by_offset, (offset, 0))
        if i < len(self._by_offset) and self._by_offset[i][0] == offset + nbytes:
            nbytes += self._by_offset.pop(i)[1]
        if i and sum(self._by_offset[i - 1]) == offset:
            offset, before = self._by_offset.pop(i - 1)
            nbytes += before
        insort(self._by_offset, (offset, nbytes))


def schedule(graph: Graph) -> tuple[list[Node], int]:
    """Program order with what only commits state moved to the end; and where that tail begins."""
    final = set(graph.updates.values())
    needed: set[Value] = set(graph.outputs)
    tail: set[Node] = set()
    for node in reversed(graph.nodes):
        if any(v in final for v in node.outputs) and not any(v in needed for v in node.outputs):
            tail.add(node)
        else:
            needed.update(node.sources)
    body = _small_first([n for n in graph.nodes if n not in tail])
    return body + [n for n in graph.nodes if n in tail], len(body)


def _small_first(nodes: list[Node]) -> list[Node]:
    """Numbers computed from nothing but leaves (bias corrections, learning rates) first, out of the way of the rest."""
    ready: set[Value] = set()
    for node in nodes:
        if all(v.node is None or v in ready for v in node.sources) and all(v.size <= 1 for v in node.outputs):
            if not node.op.effect and all(v.size <= 1 for v in node.sources):
                ready.update(node.outputs)
    return [n for n in nodes if n.outputs[0] in ready] + [n for n in nodes if n.outputs[0] not in ready]


def make_plan(
    graph: Graph,
    kernel_of: Callable[[Node], Any],
    strided_views: bool,
    keep_inputs: bool = False,
    page: int = 0,
) -> Plan:
    """Order the nodes, choose views and in-place reuse by alias sets, and pack the rest into one arena.

    Args:
        kernel_of: the kernel that will run a node.
        strided_views: whether arrays of the backend may be strided views (NumPy); if not, only reshapes alias.
        keep_inputs: whether the inputs keep their memory, so that the next run finds them as they were.
        page: bytes of the largest piece of memory there is; values are placed so that none crosses two. 0: no limit.

    Raises:
        MemoryError: a single value or scratch memory is larger than a page.
    """
    order, commit_from = schedule(graph)
    plan = Plan(graph)
    kernels = {node: kernel_of(node) for node in order}
    _find_views(plan, order, kernels, strided_views)
    launched = [n for n in order if not (n.outputs[0] in plan.views and len(n.outputs) == 1)]
    plan.commit_from = (
        sum(1 for n in order[:commit_from] if n in set(launched)) if commit_from < len(order) else len(launched)
    )
    last = _last_uses(plan, launched)
    if keep_inputs:
        last.update((v, len(launched)) for v in graph.inputs)
    _place_in_variables(plan, launched, kernels, last)
    _pack(plan, launched, kernels, last, page)
    return plan


def _find_views(plan: Plan, order: list[Node], kernels: dict[Node, Any], strided_views: bool) -> None:
    contiguous: dict[Value, bool] = {}
    for node in order:
        k = kernels[node]
        source = node.inputs[0] if node.inputs else None
        if k.view is not None and source is not None:
            flat = contiguous.get(source, True)
            if node.op.aliases and (flat or node.outputs[0].size == 0):
                plan.views[node.outputs[0]] = (source, node)
                contiguous[node.outputs[0]] = True
            elif strided_views and not node.op.aliases:
                plan.views[node.outputs[0]] = (source, node)
                contiguous[node.outputs[0]] = False


def _last_uses(plan: Plan, launched: list[Node]) -> dict[Value, int]:
    """Index of the last launch that reads each root value, over all its views."""
    last: dict[Value, int] = {}
    for i, node in enumerate(launched):
        for value in node.sources:
            last[plan.root(value)] = i
    for value in [*plan.graph.outputs]:
        last[plan.root(value)] = len(launched)
    return last


def _place_in_variables(plan: Plan, launched: list[Node], kernels: dict[Node, Any], last: dict[Value, int]) -> None:
    """Let an update be computed straight into its variable's buffer where nobody still reads the old content."""
    position = {v: i for i, node in enumerate(launched) for v in node.outputs}
    taken: set[Value] = set()
    for variable, value in plan.graph.updates.items():
        leaf = plan.graph.state.get(variable)
        at = position.get(value)
        if value is leaf:
            continue
        direct = at is not None and at >= plan.commit_from and value not in taken and value not in plan.views
        if at is not None and direct and leaf is not None:
            final_read = last.get(leaf, -1)
            direct = final_read < at or (final_read == at and _may_share(launched[at], kernels, value, leaf, plan))
        if direct:
            plan.homes[value] = variable
            taken.add(value)
        else:
            plan.copies.append((variable, value))
            last[plan.root(value)] = len(launched)


def _may_share(node: Node, kernels: dict[Node, Any], output: Value, leaf: Value, plan: Plan) -> bool:
    """Whether the node may write `output` over `leaf`, given that it reads leaf itself and only as a whole."""
    reads = [i for i, v in enumerate(node.inputs) if v is not None and plan.root(v) is leaf]
    if any(node.inputs[i] is not leaf for i in reads):
        return False
    k = kernels[node]
    return all(_inplace(node, k, output.index, i) for i in reads)


def _inplace(node: Node, kernel: Any, output: int, index: int) -> bool:
    value = node.inputs[index]
    out = node.outputs[output]
    if value is None or value.shape != out.shape or value.dtype != out.dtype:
        return False
    if node.op.name == "fused":
        return True  # the backend's executor orders reads before writes within a segment
    if node.op.name == "fused_reduction":
        return index in fuse_reduction.epilogue_operands(node)
    if node.op.name == "fused_product":
        return index in fuse_product.epilogue_operands(node)
    return (node.op.elementwise and kernel.pattern is None) or (output, index) in kernel.inplace


def _segment_of(node: Node, index: int, is_input: bool) -> int:
    shared, segments = node.attrs["shared"], node.attrs["segments"]
    if is_input:
        return -1 if index < shared else (index - shared) // ((len(node.inputs) - shared) // segments)
    return index // (len(node.outputs) // segments)


def _pack(plan: Plan, launched: list[Node], kernels: dict[Node, Any], last: dict[Value, int], page: int) -> None:
    arena = Arena(page)
    region: dict[Value, tuple[int, int]] = {}
    ends: list[tuple[int, int, Value]] = []  # (last use, tie, value)
    count = 0

    def place(value: Value, at: int) -> None:
        nonlocal count
        try:
            offset = arena.take(value.nbytes)
        except MemoryError as error:
            where = "an input" if value.node is None else f"op {value.node.op.name!r} ({value.node.location()})"
            raise MemoryError(f"{value.spec} of {where} does not fit: {error}") from None
        region[value] = (offset, value.nbytes)
        plan.offsets[value] = offset
        count += 1
        heapq.heappush(ends, (max(last.get(value, at), at), count, value))

    for value in plan.graph.inputs:
        place(value, -1)
    reused: set[Value] = set()
    for i, node in enumerate(launched):
        while ends and ends[0][0] < i:
            value = heapq.heappop(ends)[2]
            if value not in reused:
                arena.give(*region[value])
        k = kernels[node]
        given: set[Value] = set()
        for out in node.outputs:
            if out in plan.homes:
                continue
            source = _reusable(plan, node, k, out, i, region, last, given, reused)
            if source is not None:
                given.add(source)
                reused.add(source)
                region[out] = region[source]
                plan.offsets[out] = region[source][0]
                plan.reuses[out] = source
                count += 1
                heapq.heappush(ends, (max(last.get(out, i), i), count, out))
            elif out in last or len(node.outputs) == 1:
                place(out, i)
        step = Step(node, k)
        if k.scratch is not None:
            step.scratch_bytes = int(k.scratch(node))
        plan.steps.append(step)
    # working memory lies behind all values: a launch's scratch overwrites nothing another thread may still read
    most = max((aligned(s.scratch_bytes) for s in plan.steps), default=0)
    at = Arena(page)
    at.size = arena.size
    start = at.take(most) if most else arena.size
    for step in plan.steps:
        step.scratch_offset = start if step.scratch_bytes else 0
    plan.arena = start + most


def _reusable(
    plan: Plan,
    node: Node,
    kernel: Any,
    out: Value,
    at: int,
    region: dict[Value, tuple[int, int]],
    last: dict[Value, int],
    given: set[Value],
    reused: set[Value],
) -> Value | None:
    """An input that dies here, is read only as a whole, and whose region this output may take."""
    if out not in last and len(node.outputs) > 1:
        return None
    for i, value in enumerate(node.inputs):
        if value is None or not _inplace(node, kernel, out.index, i):
            continue
        root = plan.root(value)
        if (
            root in given
            or root in reused
            or root not in region
            or last.get(root, -1) != at
            or root.nbytes != out.nbytes
        ):
            continue
        readers = [j for j, v in enumerate(node.inputs) if v is not None and plan.root(v) is root]
        if any(not _inplace(node, kernel, out.index, j) or not _whole(plan, node.inputs[j]) for j in readers):
            continue
        if node.op.name == "fused" and any(
            _segment_of(node, j, True) != _segment_of(node, out.index, False) for j in readers
        ):
            continue
        return root
    return None


def _whole(plan: Plan, value: Value | None) -> bool:
    """Whether a value is its root read straight through (itself, or reshapes of it)."""
    while value in plan.views:
        value, node = plan.views[value]
        if not node.op.aliases:
            return False
    return True


def format_plan(plan: Plan) -> str:
    """Which kernel of which package runs where, buffer by buffer, and the arena's peak."""
    name = Names(plan.graph)

    def where(value: Value | None) -> str:
        if value is None:
            return "-"
        root = plan.root(value)
        label = name(value)
        if root in plan.homes:
            home = plan.homes[root]
            return f"{label} in @{getattr(home, 'path', None) or getattr(home, 'name', 'variable')}"
        if isinstance(root.source, Constant | State):
            return label if root is value else f"{label} view of {name(root)}"
        if root not in plan.offsets:
            return f"{label} unread"
        view = "" if root is value else f" view of {name(root)}"
        note = f" over {name(plan.reuses[root])}" if root in plan.reuses and root is value else ""
        return f"{label}@{plan.offsets[root]}{view}{note}"

    graph = plan.graph
    lines = [
        f"plan {graph.name}: {len(plan.steps)} kernels, arena {plan.arena:,} bytes, "
        f"{len(graph.state)} variables ({len(plan.homes)} updated in place, {len(plan.copies)} copied)"
    ]
    for value in graph.inputs:
        assert isinstance(value.source, Placeholder)
        lines.append(f"  input {where(value)}: {value.spec}")
    for i, step in enumerate(plan.steps):
        if i == plan.commit_from:
            lines.append("  -- commit")
        node = step.node
        attrs = "".join(f" {k}={format_attr(v)}" for k, v in node.attrs.items())
        scratch = f" scratch {step.scratch_bytes:,}@{step.scratch_offset}" if step.scratch_bytes else ""
        outs = ", ".join(f"{where(v)}: {v.spec}" for v in node.outputs)
        path = f"    # {node.path}" if node.path else ""
        ins = ", ".join(where(v) for v in node.inputs)
        lines.append(f"  {i:4d} {step.kernel.package}:{node.op.name}({ins}){attrs} -> {outs}{scratch}{path}")
    for variable, value in plan.copies:
        lines.append(f"       copy {name(value)} -> @{getattr(variable, 'path', 'variable')}")
    for value in graph.outputs:
        lines.append(f"  output {where(value)}: {value.spec}")
    for numbers, title in plan.runs:
        if words := str(title):
            last = f" to {numbers[-1]}" if len(numbers) > 1 else ""
            lines.append(f"  run {numbers[0]}{last}: {words}")
    return "\n".join(lines)
