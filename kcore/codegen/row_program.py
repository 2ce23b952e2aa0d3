"""Row programs: composites such as softmax and layer normalization, found by what their decomposition does to rows."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import prod
from threading import Lock
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from kcore.codegen.layout import contiguous
from kcore.codegen.reduction import REDUCERS
from kcore.graph.core import Graph, Node, Value
from kcore.graph.fuse_rows import FUSED_ROWS
from kcore.graph.op import Op
from kcore.graph.passes import rewrite

#: Ops that only name the same elements anew.
_ALIASES = ("reshape", "broadcast_to", "transpose")
#: Composites a row program knows itself: one element of each row, chosen by an index.
_PICK = "take_along_axis"
#: Rows this long are better split among work-groups where there are fewer of them than this.
_LONG, _FEW = 1 << 15, 16
#: The same for rows whose elements do not lie side by side.
_LONG_APART, _FEW_APART = 1 << 10, 256


@dataclass(frozen=True, eq=False)
class RowProgram:
    """A decomposition in which every value lives on a common domain of rows, and reductions run along rows.

    Attributes:
        body: the decomposition; its inputs are the present inputs of the composite, in order.
        inputs: (value, index among the composite's inputs).
        shape: sizes of the axes of the domain.
        along: per axis of the domain, whether it lies within a row.
        strides: strides of each value along the axes of the domain, 0 where it is repeated, as if it were contiguous.
        level: how many reductions stand before a value, one behind the other.
        columns: reductions over all rows (gradients of scale and offset); their results are outputs only.
        aliases: value -> the value whose elements it names anew.
        counting: constants that count the elements of a row: value -> (start, step).
    """

    body: Graph
    inputs: tuple[tuple[Value, int], ...]
    shape: tuple[int, ...]
    along: tuple[bool, ...]
    strides: dict[Value, tuple[int, ...]]
    level: dict[Value, int]
    columns: tuple[Node, ...]
    aliases: dict[Value, Value]
    counting: dict[Value, tuple[int, int]]

    @property
    def rows(self) -> int:
        return prod(d for d, a in zip(self.shape, self.along, strict=True) if not a)

    @property
    def n(self) -> int:
        """Elements of a row."""
        return prod(d for d, a in zip(self.shape, self.along, strict=True) if a)

    def varies(self, value: Value) -> bool:
        """Whether a value has an element for each element of a row, rather than one for a row or for all."""
        return value in self.counting or any(s and a for s, a in zip(self.strides[value], self.along, strict=True))

    def root(self, value: Value) -> Value:
        """The value whose elements this one names."""
        while value in self.aliases:
            value = self.aliases[value]
        return value


_known: OrderedDict[tuple, RowProgram | None] = OrderedDict()
_joined: WeakKeyDictionary[Graph, RowProgram | None] = WeakKeyDictionary()
_lock = Lock()


def row_program(node: Node) -> RowProgram | None:
    """The row program a composite's decomposition is, or that of several (``fused_rows``), or None where it is none.

    It is one if it consists of elementwise ops, reductions over the same axes and choices of one element per row, if
    its operands broadcast within one common shape, and if it would otherwise be several kernels.
    """
    if node.op is FUSED_ROWS:
        body: Graph = node.attrs["body"]
        if body not in _joined:
            _joined[body] = _analysed(node)
        return _joined[body]
    if node.op.primitive or node.op.elementwise or node.op.name == _PICK:
        return None
    attrs = tuple(sorted((k, repr(v)) for k, v in node.attrs.items()))
    key = (node.op, tuple(None if v is None else v.spec for v in node.inputs), attrs)
    with _lock:
        if key in _known:
            _known.move_to_end(key)
            return _known[key]
    found = _analysed(node)
    with _lock:
        _known[key] = found
        if len(_known) > 1024:
            _known.popitem(last=False)
    return found


def _analysed(node: Node) -> RowProgram | None:
    body, inputs = _traced(node)
    for alike in (False, True):
        try:
            program = _Analysis(body, inputs, alike).program()
        except _NoRows:
            continue
        return program if _worthwhile(program) else None
    return None


def _traced(node: Node) -> tuple[Graph, tuple[tuple[Value, int], ...]]:
    if node.op is FUSED_ROWS:
        body: Graph = node.attrs["body"]
        return rewrite(body, _is_pick, Op.decomposer), tuple((v, i) for i, v in enumerate(body.inputs))
    graph = Graph(node.op.name)
    operands = [None if v is None else graph.placeholder(v.shape, v.dtype) for v in node.inputs]
    inputs = tuple((v, i) for i, v in enumerate(operands) if v is not None)
    fresh = Node(node.op, operands, node.attrs, [v.spec for v in node.outputs])
    graph.outputs = list(graph.add(fresh))
    return rewrite(graph, _is_pick, Op.decomposer), inputs


def _is_pick(node: Node) -> bool:
    return node.op.name == _PICK


def _worthwhile(program: RowProgram) -> bool:
    nodes = program.body.nodes
    few, long = (_FEW, _LONG) if program.along[-1] else (_FEW_APART, _LONG_APART)
    if program.rows < few and program.n >= long:
        return False
    reductions = [n for n in nodes if n.op.family == "reduction" and n.outputs[0] not in program.aliases]
    behind = any(program.level[v] and program.varies(v) for v in program.body.outputs)
    return len(reductions) > 1 or behind or any(n.op.name == _PICK for n in nodes)


class _NoRows(Exception):
    """The decomposition is not a row program."""


class _Classes:
    """Dimensions of values joined into classes: two are in one class where they run through the same index."""

    def __init__(self) -> None:
        self._above: dict[Any, Any] = {}

    def find(self, item: Any) -> Any:
        while item in self._above:
            item = self._above[item]
        return item

    def join(self, a: Any, b: Any) -> None:
        a, b = self.find(a), self.find(b)
        if a != b:
            self._above[b] = a


class _Analysis:
    """Finds the common domain.

    Args:
        alike: take values of one shape to run through the same indices even where no op joins them.
    """

    def __init__(self, body: Graph, inputs: tuple[tuple[Value, int], ...], alike: bool):
        self.body, self.inputs = body, inputs
        self.classes = _Classes()
        self.reductions: list[Node] = []
        self.picks: list[Node] = []
        self.aliases: dict[Value, Value] = {}
        self.counting: dict[Value, tuple[int, int]] = {}
        for node in body.nodes:
            self._join(node)
        values = {v: None for n in body.nodes for v in (*n.sources, *n.outputs)}
        if not body.nodes or any(v.node is None or len(v.node.outputs) != 1 for v in body.outputs):
            raise _NoRows
        if alike:
            first: dict[tuple[int, ...], Value] = {}
            for value in values:
                for d in range(len(value.shape)):
                    self._same(first.setdefault(value.shape, value), d, value, d)
        self.dims = {v: self._dims(v) for v in values}
        for value in values:
            if value.constant is not None and value.size != 1:
                self.counting[value] = _count(value)

    def _dims(self, value: Value) -> tuple[Any, ...]:
        """The class of each dimension; None for those of size 1."""
        dims = tuple(self.classes.find((value, d)) if n != 1 else None for d, n in enumerate(value.shape))
        present = [c for c in dims if c is not None]
        if len(set(present)) != len(present):
            raise _NoRows  # two axes of one value run through the same index: a diagonal
        return dims

    def _same(self, a: Value, i: int, b: Value, j: int) -> None:
        if a.shape[i] != 1 and b.shape[j] != 1:
            self.classes.join((a, i), (b, j))

    def _join(self, node: Node) -> None:
        """Say which dimensions of a node's operands and result are one."""
        if len(node.outputs) != 1 or not node.sources:
            raise _NoRows
        out, name = node.outputs[0], node.op.name
        if (node.op.elementwise and node.op.expr is not None) or name == "broadcast_to":
            for value in node.sources:
                extra = len(out.shape) - len(value.shape)
                for d in range(len(value.shape)):
                    self._same(value, d, out, d + extra)
        elif name == "reshape":
            source = node.sources[0]
            before = [d for d, n in enumerate(source.shape) if n != 1]
            after = [d for d, n in enumerate(out.shape) if n != 1]
            if [source.shape[d] for d in before] != [out.shape[d] for d in after]:
                raise _NoRows
            for i, j in zip(before, after, strict=True):
                self._same(source, i, out, j)
        elif name == "transpose":
            for j, i in enumerate(node.attrs["axes"]):
                self._same(node.sources[0], i, out, j)
        elif node.op.family == "reduction" and name in REDUCERS:
            self._reduces(node)
        elif name == _PICK:
            self._picks(node)
        else:
            raise _NoRows
        if name in _ALIASES:
            self.aliases[out] = node.sources[0]

    def _reduces(self, node: Node) -> None:
        source, out, axis = node.sources[0], node.outputs[0], node.attrs["axis"]
        kept = [d for d in range(len(source.shape)) if d not in axis]
        for j, i in enumerate(kept):
            self._same(source, i, out, i if node.attrs["keepdims"] else j)
        if any(source.shape[d] != 1 for d in axis):
            self.reductions.append(node)
        elif source.dtype == out.dtype:
            self.aliases[out] = source
        else:
            raise _NoRows

    def _picks(self, node: Node) -> None:
        (source, indices), out, axis = node.sources, node.outputs[0], node.attrs["axis"]
        if indices.shape[axis] != 1:
            raise _NoRows
        for d in range(len(source.shape)):
            if d != axis:
                self._same(source, d, out, d)
                self._same(indices, d, out, d)
        if source.shape[axis] == 1:
            self.aliases[out] = source
        else:
            self.picks.append(node)

    def program(self) -> RowProgram:
        across, columns = self._axes()
        largest = max(self.dims, key=lambda v: sum(c is not None for c in self.dims[v]))
        domain = [c for c in self.dims[largest] if c is not None]
        if any(c not in domain for dims in self.dims.values() for c in dims if c is not None):
            raise _NoRows
        size = {c: n for c, n in zip(self.dims[largest], largest.shape, strict=True) if c is not None}
        strides: dict[Value, tuple[int, ...]] = {}
        for value, dims in self.dims.items():
            own = {c: s for c, s in zip(dims, contiguous(value.shape), strict=True) if c is not None}
            strides[value] = tuple(own.get(c, 0) for c in domain)
            if value in self.counting and not all(c in across for c in own):
                raise _NoRows
        return RowProgram(
            self.body,
            self.inputs,
            tuple(size[c] for c in domain),
            tuple(c in across for c in domain),
            strides,
            self._levels(columns),
            tuple(columns),
            self.aliases,
            self.counting,
        )

    def _axes(self) -> tuple[frozenset, list[Node]]:
        """The classes that lie within a row, and the reductions over all rows."""
        groups: dict[frozenset, list[Node]] = {}
        for node in self.reductions:
            dims = self.dims[node.sources[0]]
            groups.setdefault(frozenset(c for d in node.attrs["axis"] if (c := dims[d]) is not None), []).append(node)
        picked = {frozenset([self.dims[n.sources[0]][n.attrs["axis"]]]) for n in self.picks}
        if len(picked) > 1 or len(groups) > 2 or not (groups or picked):
            raise _NoRows
        if len(groups) < 2:
            across = next(iter(groups or picked))
            if picked - {across}:
                raise _NoRows
            return across, []
        first, second = groups
        if first & second:
            raise _NoRows
        last = {dims[-1] for n in self.reductions if (dims := self.dims[n.sources[0]])}
        across, other = (first, second) if first & last else (second, first)
        columns = groups[other]
        if picked - {across} or any(n.op.name != "sum" for n in columns):
            raise _NoRows
        everything = {c for dims in self.dims.values() for c in dims if c is not None}
        if across | other != everything or any(set(self.dims[n.sources[0]]) - {None} != everything for n in columns):
            raise _NoRows
        read = {v for n in self.body.nodes for v in n.sources}
        if any(n.outputs[0] in read for n in columns) or len({n.outputs[0].dtype for n in columns}) != 1:
            raise _NoRows
        return across, columns

    def _levels(self, columns: Sequence[Node]) -> dict[Value, int]:
        level: dict[Value, int] = dict.fromkeys(self.dims, 0)
        for node in self.body.nodes:
            before = max(level[v] for v in node.sources)
            reduces = node in self.reductions and node not in columns
            level[node.outputs[0]] = before + reduces
        return level


def _count(value: Value) -> tuple[int, int]:
    """Start and step of a constant that counts along its only axis."""
    array: Any = value.constant
    flat = array.reshape(-1)
    if array.dtype.kind not in "iu" or flat.size != max(array.shape) or flat.size < 2:
        raise _NoRows
    start, step = int(flat[0]), int(flat[1]) - int(flat[0])
    if not np.array_equal(flat, start + step * np.arange(flat.size)):
        raise _NoRows
    return start, step


def needed(nodes: Iterable[Node], targets: Iterable[Value], known: Iterable[Value]) -> list[Node]:
    """The nodes, in order, that the targets need beyond the values known."""
    have, wanted = set(known), set(targets)
    kept = []
    for node in reversed(list(nodes)):
        value = node.outputs[0]
        if value in wanted and value not in have:
            kept.append(node)
            wanted.update(node.sources)
    return kept[::-1]
