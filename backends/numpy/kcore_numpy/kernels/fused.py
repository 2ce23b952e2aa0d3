"""Fused elementwise groups: the chain runs chunk by chunk while the chunk is in cache, split over the threads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import pairwise, product
from typing import Any

import numpy as np

from kcore.backend.kernel import Kernel, Site, Thunk, kernel, kernels_of
from kcore.dtypes import numpy_dtype
from kcore.graph.core import Graph, Node, Value
from kcore_numpy import threads
from kcore_numpy.chains import Joined, instructions
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


class _Body:
    """The chain as instructions over registers: each value's last reader frees its register for the next."""

    def __init__(self, body: Graph, flat: bool = False):
        self.body = body
        self.instructions = instructions(body, flat)
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
        self.width = max(np.dtype(numpy_dtype(v.dtype)).itemsize for n in body.nodes for v in (*n.outputs, *n.sources))
        self.kernels = [None if isinstance(step, Joined) else self._kernel(step) for step in self.instructions]
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
                array = np.ndarray(whole, numpy_dtype(value.dtype), memory, slot)
                if out is not None:
                    copies.append(partial(np.copyto, out, array))
            assert array is not None
            if isinstance(step_, Joined):
                result.append(step_.bind(arrays, array))
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


def _result(step: Node | Joined) -> Value:
    return step.output if isinstance(step, Joined) else step.outputs[0]


def _array(value: Value, arrays: dict[Value, np.ndarray]) -> np.ndarray:
    known = arrays.get(value)
    if known is None:
        constant = value.constant
        assert constant is not None
        known = arrays[value] = np.ascontiguousarray(constant).reshape(())
    return known


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
