"""Fused elementwise groups: the chain runs chunk by chunk while the chunk is in cache, split over the threads."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import pairwise, product
from typing import Any, NamedTuple

import numpy as np

from kcore.backend.kernel import Kernel, Site, Thunk, kernel, kernels_of
from kcore.graph.core import Graph, Node, Value
from kcore_numpy import threads
from kcore_numpy.blas import combination, combines
from kcore_numpy.schedule import Job, Jobs, sequence

#: Elements per chunk: a handful of float32 operands of this length fit a core's own cache.
CHUNK = 1 << 17
#: Elements from which a segment is cut into a part for each thread. Two threads that make many short NumPy calls spend
#: their time handing the interpreter lock to each other, so the calls of a part must not be short.
SPLIT = 1 << 17


class _Layout:
    """How a segment's arrays are cut: axes on which every operand is whole or broadcast alike are merged."""

    def __init__(self, shape: tuple[int, ...], operands: Sequence[np.ndarray]):
        padded = [_Operand(a, len(shape)) for a in operands]
        axes = [i for i, d in enumerate(shape) if d != 1]
        groups: list[list[int]] = []
        for i in axes:
            if groups and all(o.mergeable(groups[-1][-1], i, shape) for o in padded):
                groups[-1].append(i)
            else:
                groups.append([i])
        self.shape = tuple(int(np.prod([shape[i] for i in g])) for g in groups) or (1,)
        self.arrays = [o.viewed(groups, self.shape) for o in padded]

    def chunks(self, parts: int) -> Iterator[tuple[int, tuple[slice, ...]]]:
        """Index tuples that cut the shape into chunks, each with the number of the part (of `parts`) it lies in.

        Parts are cut along the first axis at the places every kernel cuts its rows, so that a thread finds its own.
        """
        shape = self.shape
        inner, axis = 1, len(shape) - 1
        while axis > 0 and inner * shape[axis] <= CHUNK:
            inner *= shape[axis]
            axis -= 1
        rows = max(1, CHUNK // inner)
        for part, (first, last) in enumerate(_even(shape[0], parts)):
            if axis == 0:
                for start in range(first, last, rows):
                    yield part, (slice(start, min(start + rows, last)),)
                continue
            outer = [[slice(i, i + 1) for i in range(d)] for d in shape[1:axis]]
            for lead in product([slice(i, i + 1) for i in range(first, last)], *outer):
                for start in range(0, shape[axis], rows):
                    yield part, (*lead, slice(start, min(start + rows, shape[axis])))


def _even(n: int, parts: int) -> list[tuple[int, int]]:
    edges = [n * i // parts for i in range(parts + 1)]
    return [(a, b) for a, b in pairwise(edges) if b > a]


class _Operand:
    def __init__(self, array: np.ndarray, ndim: int):
        extra = ndim - array.ndim
        self.array = array
        self.shape = (1,) * extra + array.shape
        self.strides = (0,) * extra + array.strides

    def mergeable(self, i: int, j: int, shape: tuple[int, ...]) -> bool:
        """Whether axes i and j (with only axes of size 1 between) are one run of memory for this operand."""
        if self.shape[i] != shape[i] or self.shape[j] != shape[j]:
            return self.shape[i] == 1 and self.shape[j] == 1
        return self.strides[i] == self.strides[j] * shape[j]

    def viewed(self, groups: list[list[int]], shape: tuple[int, ...]) -> np.ndarray:
        dims, strides = [], []
        for group, d in zip(groups, shape, strict=False):
            whole = self.shape[group[0]] != 1
            dims.append(d if whole else 1)
            strides.append(self.strides[group[-1]] if whole else 0)
        return np.lib.stride_tricks.as_strided(self.array, dims or (1,), strides or (0,))


def _cut(array: np.ndarray, index: tuple[slice, ...]) -> np.ndarray:
    return array[tuple(slice(None) if d == 1 else s for d, s in zip(array.shape, index, strict=False))]


class _Sum(NamedTuple):
    """``a * x + b * y``, which BLAS computes in one pass; `a` is a number or the value that holds it."""

    output: Value
    a: float | Value
    sign: float
    x: Value
    b: float
    y: Value

    @property
    def sources(self) -> list[Value]:
        return [self.x, self.y, *([self.a] if isinstance(self.a, Value) else [])]

    def factor(self, arrays: dict[Value, np.ndarray]) -> float | Callable[[], float]:
        """What x is multiplied with: a number, or a function that reads it."""
        if not isinstance(self.a, Value):
            return self.sign * self.a
        item, sign = arrays[self.a].item, self.sign
        return lambda: sign * item()


def _instructions(body: Graph, flat: bool) -> list[Node | _Sum]:
    """The chain's nodes; where all operands are flat, those that make a scaled sum joined to one.

    Moving averages, ``a + (b - a) * c`` or ``a * d + b * c``, and steps, ``a - b * c`` and ``a - (b * c) / d``, are
    what optimizers consist of.
    """
    if (
        not flat
        or body.nodes[-1].outputs[0].size == 1
        or not all(combines(_np(v)) for node in body.nodes for v in node.outputs)
    ):
        return list(body.nodes)
    sums = _Sums(body)
    for node in body.nodes:
        if node.op.name in ("add", "subtract"):
            sums.join(node)
    return [sums.joined.get(node, node) for node in body.nodes if node not in sums.gone]


class _Term(NamedTuple):
    """An operand of a sum as a scaled array, the nodes that vanish with it, and a quotient in another's place."""

    x: Value
    scale: float | Value = 1.0
    gone: tuple[Node, ...] = ()
    quotient: tuple[Node, Node] | None = None


class _Sums:
    """Finds the scaled sums of a chain.

    Attributes:
        joined: node -> what takes its place.
        gone: nodes that are part of another's sum.
    """

    def __init__(self, body: Graph):
        self.shape = body.nodes[-1].outputs[0].shape
        self.uses = Counter(v for node in body.nodes for v in node.sources)
        self.uses.update(body.outputs)
        self.joined: dict[Node, Node | _Sum] = {}
        self.gone: set[Node] = set()

    def join(self, node: Node) -> None:
        """Replace a sum or difference by a scaled sum where that saves a pass."""
        sign = 1.0 if node.op.name == "add" else -1.0
        left, right = node.inputs
        found = self._average(node) if sign > 0 else None
        if found is None:
            one, two = self._term(left), self._term(right)
            if one is None or two is None or not (one.gone or two.gone):
                return
            if isinstance(one.scale, float) and one.quotient is None:
                found = _Sum(node.outputs[0], two.scale, sign, two.x, one.scale, one.x)
            elif isinstance(two.scale, float) and two.quotient is None:
                found = _Sum(node.outputs[0], one.scale, 1.0, one.x, sign * two.scale, two.x)
            else:
                return
            self.gone.update(one.gone, two.gone)
            self.joined.update(t.quotient for t in (one, two) if t.quotient is not None)
        self.joined[node] = found

    def _average(self, node: Node) -> _Sum | None:
        """``a + (b - a) * c``."""
        for a, scaled in (node.inputs, node.inputs[::-1]):
            product = self._only(scaled, "multiply")
            for value, scale in (product.inputs, product.inputs[::-1]) if product else ():
                change, c = self._only(value, "subtract"), _number(scale)
                if change is None or c is None or not 0 < c < 1 or change.inputs[1] is not a:
                    continue
                b = change.inputs[0]
                if a is not None and b is not None and self._whole(a) and self._whole(b):
                    self.gone |= {product, change}  # type: ignore[arg-type]
                    return _Sum(node.outputs[0], c, 1.0, b, 1.0 - c, a)
        return None

    def _term(self, value: Value | None) -> _Term | None:
        """A whole array as a scaled one; ``(x c) / d`` as c times ``x / d``."""
        if value is None or not self._whole(value):
            return None
        quotient = self._only(value, "divide")
        product = self._only(quotient.inputs[0] if quotient else value, "multiply")
        for x, scale in (product.inputs, product.inputs[::-1]) if product else ():
            if x is None or scale is None or not self._whole(x) or scale.size != 1:
                continue
            number = _number(scale)
            factor: float | Value = scale if number is None else number
            if quotient is None:
                return _Term(x, factor, (product,))  # type: ignore[arg-type]
            ratio = Node(quotient.op, (x, quotient.inputs[1]), quotient.attrs, [v.spec for v in quotient.outputs])
            return _Term(ratio.outputs[0], factor, (product,), (quotient, ratio))  # type: ignore[arg-type]
        return _Term(value)

    def _only(self, value: Value | None, op: str) -> Node | None:
        """The node of this op that makes a value which one other node reads, and that stands for itself still."""
        node = None if value is None else value.node
        if (
            value is None
            or node is None
            or node.op.name != op
            or self.uses[value] != 1
            or node in self.joined
            or node in self.gone
        ):
            return None
        return node

    def _whole(self, value: Value) -> bool:
        return value.shape == self.shape and value.constant is None


def _number(value: Value | None) -> float | None:
    constant = None if value is None else value.constant
    return float(constant.reshape(())) if constant is not None and constant.size == 1 else None


class _Body:
    """The chain as instructions over registers: each value's last reader frees its register for the next."""

    def __init__(self, body: Graph, flat: bool = False):
        self.body = body
        self.instructions = _instructions(body, flat)
        last: dict[Value, int] = {}
        for i, step in enumerate(self.instructions):
            for value in step.sources:
                last[value] = i
        self.outputs = set(body.outputs)
        self.register: dict[Value, int] = {}
        free: list[int] = []
        self.count = 0
        for i, step in enumerate(self.instructions):
            if free:
                slot = free.pop()
            else:
                slot, self.count = self.count, self.count + 1
            self.register[_result(step)] = slot
            for value in dict.fromkeys(step.sources):
                if last.get(value) == i and value in self.register and value not in self.outputs:
                    free.append(self.register[value])
        self.last = last
        self.width = max(np.dtype(_np(v)).itemsize for n in body.nodes for v in (*n.outputs, *n.sources))
        self.kernels = [None if isinstance(step, _Sum) else self._kernel(step) for step in self.instructions]
        self.work = max(
            (_scratch(k, _resized(n, (CHUNK,))) for k, n in zip(self.kernels, self.instructions, strict=True) if k),  # type: ignore[arg-type]
            default=0,
        )

    @staticmethod
    def _kernel(node: Node) -> Kernel:
        found = kernels_of("numpy").find(node)
        assert found is not None, node
        return found

    def bytes_per_thread(self) -> int:
        return self.count * (CHUNK * self.width + 64) + self.work + 1024

    def thunks(
        self,
        inputs: Sequence[np.ndarray],
        outputs: Sequence[np.ndarray | None],
        whole: tuple[int, ...],
        memory: np.ndarray,
    ) -> list[Thunk]:
        """The chain bound to one chunk of its arrays."""
        size = int(np.prod(whole))
        arrays: dict[Value, np.ndarray] = dict(zip(self.body.inputs, inputs, strict=True))
        target = dict(zip(self.body.outputs, outputs, strict=True))
        step = CHUNK * self.width + 64
        scratch = memory[self.count * step :]
        result: list[Thunk] = []
        copies: list[Thunk] = []
        for i, step_ in enumerate(self.instructions):
            value = _result(step_)
            out = target.get(value)
            direct = out is not None and not self._read_later(i, out, arrays)
            if direct:
                array = out
            else:
                slot = self.register[value] * step
                array = np.ndarray(whole, _np(value), memory, slot)
                if out is not None:
                    copies.append(partial(np.copyto, out, array))
            assert array is not None
            if isinstance(step_, _Sum):
                result.append(combination(step_.factor(arrays), arrays[step_.x], step_.b, arrays[step_.y], array))
                arrays[value] = array
                continue
            node, k = step_, self.kernels[i]
            assert k is not None
            operands = tuple(None if v is None else _array(v, arrays) for v in node.inputs)
            arrays[value] = array
            work = _scratch(k, node if k.scratch is None else _resized(node, (size,)))
            shaped = node if k.scratch is None else _resized(node, whole)
            result.append(k.bind(Site(shaped, operands, (array,), scratch[:work] if work else None, None)))
        return result + copies

    def _read_later(self, at: int, out: np.ndarray, arrays: dict[Value, np.ndarray]) -> bool:
        """Whether an input that lies in the same memory is read by a later instruction."""
        return any(self.last.get(v, -1) > at and np.may_share_memory(arrays[v], out) for v in self.body.inputs)


def _result(step: Node | _Sum) -> Value:
    return step.output if isinstance(step, _Sum) else step.outputs[0]


def _array(value: Value, arrays: dict[Value, np.ndarray]) -> np.ndarray:
    known = arrays.get(value)
    if known is None:
        constant = value.constant
        assert constant is not None
        known = arrays[value] = np.ascontiguousarray(constant).reshape(())
    return known


def _np(value: Value) -> np.dtype:
    from kcore.dtypes import numpy_dtype

    return numpy_dtype(value.dtype)


def _resized(node: Node, shape: tuple[int, ...]) -> Node:
    """The node as it is for one chunk."""
    alone = node.outputs[0].size == 1
    inputs = [None if v is None else Value(shape if alone or v.size > 1 else (), v.dtype) for v in node.inputs]
    return Node(node.op, inputs, node.attrs, [(shape, v.dtype) for v in node.outputs])  # type: ignore[misc]


def _scratch(k: Kernel, node: Node) -> int:
    return int(k.scratch(node)) if k.scratch is not None else 0


def _fused_scratch(node: Node) -> int:
    body = node.attrs["body"]
    return max(_Body(body, flat).bytes_per_thread() for flat in (False, True)) * threads.count()


@kernel("fused", backend="numpy", scratch=_fused_scratch)
def fused(site: Site) -> Thunk:
    attrs = site.attrs
    shared, segments = attrs["shared"], attrs["segments"]
    own = (len(site.inputs) - shared) // segments
    outs = len(site.outputs) // segments
    body = _Body(attrs["body"], _flat(site))
    length = max(len(body.instructions), 1)
    sizes = [site.node.outputs[s * outs].size for s in range(segments)]
    workers = threads.count() if max(sizes) >= SPLIT else 1
    memory = body.bytes_per_thread()
    work = [_Work(site.scratch[w * memory : (w + 1) * memory]) for w in range(workers)]
    for s in range(segments):
        inputs = [*site.inputs[:shared], *site.inputs[shared + s * own : shared + (s + 1) * own]]
        outputs = site.outputs[s * outs : (s + 1) * outs]
        layout = _Layout(site.node.outputs[s * outs].shape, [*inputs, *[a for a in outputs if a is not None]])
        parts = workers if sizes[s] >= SPLIT else 1
        least = min(range(workers), key=lambda w: work[w].elements)
        for part, index in layout.chunks(parts):
            whole = tuple(x.stop - x.start for x in index) + layout.shape[len(index) :]
            cut = [_cut(a, index) for a in layout.arrays]
            written = iter(cut[len(inputs) :])
            home = work[part if parts > 1 else least]
            home.add(body, cut[: len(inputs)], [None if a is None else next(written) for a in outputs], whole)
    return Jobs([w.job(length) for w in work if w.thunks])


def _flat(site: Site) -> bool:
    """Whether every array is a number or runs straight through memory."""
    arrays = [a for a in (*site.inputs, *site.outputs) if a is not None]
    return all(a.size == 1 or a.flags.c_contiguous for a in arrays)


class _Work:
    """What one thread does of a fused launch."""

    def __init__(self, memory: np.ndarray):
        self.memory = memory
        self.thunks: list[Thunk] = []
        self.reads: list[np.ndarray] = []
        self.writes: list[np.ndarray] = [memory]
        self.elements = 0

    def add(self, body: _Body, inputs: list[Any], outputs: list[Any], whole: tuple[int, ...]) -> None:
        self.thunks += body.thunks(inputs, outputs, whole, self.memory)
        self.reads += inputs
        self.writes += [a for a in outputs if a is not None]
        self.elements += int(np.prod(whole))

    def job(self, length: int) -> Job:
        cost = 0.6 * len(self.thunks) + self.elements * length / 7000
        return Job(sequence(self.thunks), self.reads, self.writes, cost)
