"""Kernels of control flow, which every backend has through the core: they only run other graphs and copy."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

from kcore.backend import selection
from kcore.backend.base import Backend, Device
from kcore.backend.compile import CORE, Bound, Program
from kcore.backend.kernel import Site, Thunk, kernel
from kcore.graph.core import Graph, Node, Value
from kcore.graph.plan import aligned

_programs: WeakKeyDictionary[Graph, dict[tuple[Backend, Device], Program]] = WeakKeyDictionary()


def _program(graph: Graph, backend: Backend, device: Device) -> Program:
    """A body lowered and planned for a device, once; its inputs stay as they are from run to run."""
    known = _programs.setdefault(graph, {})
    program = known.get((backend, device))
    if program is None:
        program = known[backend, device] = Program(backend, graph, device, keep_inputs=True)
    return program


_place: ContextVar[tuple[Backend, Device] | None] = ContextVar("kcore_planned_for", default=None)


@contextmanager
def planning_for(backend: Backend, device: Device) -> Iterator[None]:
    """Within this context the scratch memory of control flow is that of bodies on this device."""
    token = _place.set((backend, device))
    try:
        yield
    finally:
        _place.reset(token)


def place() -> tuple[Backend, Device]:
    """The backend and device that is planned for: what a kernel's `scratch` may ask; outside of a plan, the current."""
    known = _place.get()
    if known is None:
        now = selection.current()
        known = now.backend, now.device
    return known


def _arena(graph: Graph) -> int:
    """Bytes a body needs on the device that is planned for."""
    return aligned(_program(graph, *place()).plan.arena)


def _bind(site: Site, graph: Graph, at: int = 0) -> Bound:
    backend, storage, base = site.memory
    return _program(graph, backend, site.device).bind(storage, base + at)


def _room(values: Any) -> int:
    return sum(aligned(v.nbytes) for v in values)


def _staged(site: Site, values: list[Value], at: int) -> list[Any]:
    """An array in scratch memory for each value."""
    backend, storage, base = site.memory
    arrays = []
    for value in values:
        arrays.append(backend.view(storage, base + at, value.shape, value.dtype))
        at += aligned(value.nbytes)
    return arrays


def _cond_scratch(node: Node) -> int:
    return max(_arena(node.attrs["true"]), _arena(node.attrs["false"]))


@kernel("cond", backend=CORE, scratch=_cond_scratch)
def cond(site: Site) -> Thunk:
    backend = site.memory[0]
    predicate, inputs = site.inputs[0], site.inputs[1:]
    true, false = _bind(site, site.attrs["true"]), _bind(site, site.attrs["false"])

    def run() -> None:
        chosen = true if bool(backend.download(predicate)) else false
        for array, source in zip(chosen.inputs, inputs, strict=True):
            backend.copy(array, source)
        chosen.run()
        for out, value in zip(site.outputs, chosen.outputs, strict=True):
            if out is not None:
                backend.copy(out, value)

    return run


#: Kernels that the steps of a scan are bound to at most; those of a longer one share two places.
BOUND = 1 << 14


def _scan_scratch(node: Node) -> int:
    return _arena(node.attrs["body"]) + 2 * _room(node.attrs["body"].outputs[: node.attrs["carried"]])


@kernel("scan", backend=CORE, scratch=_scan_scratch, strided=False)
def scan(site: Site) -> Thunk:
    """Each step is bound to its rows and to the carry where the step before left it, so that little is copied."""
    backend, attrs = site.memory[0], site.attrs
    carried, scanned, length = attrs["carried"], attrs["scanned"], attrs["length"]
    room = attrs["body"].outputs[:carried] * 2
    staged = _staged(site, room, _arena(attrs["body"]))
    steps = _ScanSteps(site, (staged[:carried], staged[carried:]))
    order = range(length)[:: -1 if attrs["reverse"] else 1]
    xs, ys = site.inputs[carried : carried + scanned], site.outputs[carried:]
    work = [
        steps.bind([backend.row(x, i) for x in xs], [None if y is None else backend.row(y, i) for y in ys])
        for i in order
    ]
    ends = [(out, array) for out, array in zip(site.outputs, steps.carry, strict=False) if out is not None]
    copy = backend.copy

    def run() -> None:
        for array, source in steps.begin:
            copy(array, source)
        for before, program, after in work:
            for array, source in before:
                copy(array, source)
            program()
            for array, source in after:
                copy(array, source)
        for out, array in ends:
            copy(out, array)

    return Nested(run, steps.known)


@dataclass
class Nested:
    """A thunk that runs other programs in a fixed order, and copies between them.

    Attributes:
        run: what it does.
        inner: the programs it runs.
    """

    run: Thunk
    inner: list[Bound]

    def __call__(self) -> None:
        self.run()


Copies = list[tuple[Any, Any]]


class _ScanSteps:
    """Binds the steps of a scan, in the order they run.

    Args:
        site: of the scan.
        turns: two places for each carry, which the steps fill in turn.

    Attributes:
        carry: where the step that was bound last leaves each carry.
        begin: what is copied before the first step.
    """

    def __init__(self, site: Site, turns: tuple[list[Any], list[Any]]):
        backend, self.storage, self.base = site.memory
        self.site, self.turns = site, turns
        self.program = _program(site.attrs["body"], backend, site.device)
        self.carried, self.scanned = site.attrs["carried"], site.attrs["scanned"]
        self.shared = site.inputs[self.carried + self.scanned :]
        #: Whether every step is bound to a place of its own.
        self.each = site.attrs["length"] * len(self.program.plan.steps) <= BOUND
        self.begin: Copies = []
        self.carry = list(site.inputs[: self.carried])
        if not self.each:
            self.begin = list(zip(turns[1], self.carry, strict=True))
            self.carry = turns[1]
        self.known: list[Bound] = []
        self.count = 0

    def bind(self, xs: list[Any], ys: list[Any]) -> tuple[Copies, Thunk, Copies]:
        """The next step: what is copied before it, the step, what is copied after it.

        Args:
            xs: its rows.
            ys: the rows of what it hands out, None where nobody reads them.
        """
        inputs, outputs = self.program.plan.graph.inputs, self.program.plan.graph.outputs
        turn = self.turns[self.count % 2]
        if self.each or len(self.known) < 2:
            places = dict(zip(inputs, self.carry, strict=False))
            places.update(zip(inputs[self.carried + self.scanned :], self.shared, strict=True))
            rows: list[tuple[Value, Any]] = []
            if self.each:
                places.update((v, x) for v, x in zip(inputs[self.carried :], xs, strict=False) if _is_aligned(v))
                rows = [(v, y) for v, y in zip(outputs[self.carried :], ys, strict=True) if y is not None]
            for value, array in [*(row for row in rows if _is_aligned(row[0])), *zip(outputs, turn, strict=False)]:
                if self.program.plan.may_lie_elsewhere(value):
                    places.setdefault(value, array)
            self.known.append(self.program.bind(self.storage, self.base, places))
        bound = self.known[-1] if self.each else self.known[self.count % 2]
        fixed = set(map(id, [*self.carry, *turn, *xs, *ys]))
        before = [(a, x) for a, x in zip(bound.inputs[self.carried :], xs, strict=False) if a is not x]
        after = [(y, a) for y, a in zip(ys, bound.outputs[self.carried :], strict=True) if y is not None and a is not y]
        left = []
        for array, place, value in zip(bound.outputs, turn, outputs, strict=False):
            if self.program.plan.may_lie_elsewhere(value) and id(array) in fixed:
                left.append(array)  # the step wrote it to where it may stay until the next step has run
            else:
                after.append((place, array))
                left.append(place)
        self.carry = left
        self.count += 1
        return before, bound.run, after


def _is_aligned(value: Value) -> bool:
    """Whether rows of such values lie as kernels may want them."""
    return aligned(value.nbytes) == value.nbytes


def _while_scratch(node: Node) -> int:
    attrs = node.attrs
    return _arena(attrs["test"]) + _arena(attrs["body"]) + _room(attrs["body"].outputs)


@kernel("while", backend=CORE, scratch=_while_scratch)
def while_loop(site: Site) -> Thunk:
    backend, attrs = site.memory[0], site.attrs
    carried, limit = attrs["carried"], attrs["limit"]
    test = _bind(site, attrs["test"])
    at = _arena(attrs["test"])
    body = _bind(site, attrs["body"], at)
    carry = _staged(site, attrs["body"].outputs, at + _arena(attrs["body"]))
    begin, shared = site.inputs[:carried], site.inputs[carried:]

    def holds() -> bool:
        for array, source in zip(test.inputs, carry, strict=False):
            backend.copy(array, source)
        test.run()
        return bool(backend.download(test.outputs[0]))

    def run() -> None:
        for array, source in zip(carry, begin, strict=True):
            backend.copy(array, source)
        for bound in (test, body):
            for array, source in zip(bound.inputs[carried:], shared, strict=True):
                backend.copy(array, source)
        count = 0
        while (limit is None or count < limit) and holds():
            for array, source in zip(body.inputs, carry, strict=False):
                backend.copy(array, source)
            body.run()
            for array, value in zip(carry, body.outputs, strict=True):
                backend.copy(array, value)
            count += 1
        for out, array in zip(site.outputs, carry, strict=True):
            if out is not None:
                backend.copy(out, array)

    return run
