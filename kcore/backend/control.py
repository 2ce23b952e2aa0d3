"""Kernels of control flow, which every backend has through the core: they only run other graphs and copy."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
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


def _scan_scratch(node: Node) -> int:
    return _arena(node.attrs["body"]) + _room(node.attrs["body"].outputs[: node.attrs["carried"]])


@kernel("scan", backend=CORE, scratch=_scan_scratch)
def scan(site: Site) -> Thunk:
    backend, attrs = site.memory[0], site.attrs
    graph, carried, scanned = attrs["body"], attrs["carried"], attrs["scanned"]
    steps = range(attrs["length"])
    order = list(reversed(steps) if attrs["reverse"] else steps)
    body = _bind(site, graph)
    # a body may hand its carry through in another place (a, b = b, a): all are saved before any is overwritten
    carry = _staged(site, graph.outputs[:carried], _arena(graph))
    begin, shared = site.inputs[:carried], site.inputs[carried + scanned :]
    rows = [[backend.row(x, i) for x in site.inputs[carried : carried + scanned]] for i in order]
    stacked = [[None if y is None else backend.row(y, i) for y in site.outputs[carried:]] for i in order]

    def run() -> None:
        for array, source in zip(carry, begin, strict=True):
            backend.copy(array, source)
        for array, source in zip(body.inputs[carried + scanned :], shared, strict=True):
            backend.copy(array, source)
        for xs, ys in zip(rows, stacked, strict=True):
            for array, source in zip(body.inputs, [*carry, *xs], strict=False):
                backend.copy(array, source)
            body.run()
            for array, value in zip(carry, body.outputs, strict=False):
                backend.copy(array, value)
            for y, value in zip(ys, body.outputs[carried:], strict=True):
                if y is not None:
                    backend.copy(y, value)
        for out, array in zip(site.outputs, carry, strict=False):
            if out is not None:
                backend.copy(out, array)

    return run


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
