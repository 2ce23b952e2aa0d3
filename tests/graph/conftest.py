"""Graphs for these tests: traced from functions of ops, or lowered and planned for NumPy."""

from __future__ import annotations

import pytest

import kcore
from kcore.backend import compile as backend_compile
from kcore.graph.core import Graph
from kcore.runtime.trace import Trace


def trace(fn, *specs) -> Graph:
    """The graph of a function; a spec is a shape, or (shape, dtype)."""
    tracing = Trace(Graph("test"))
    arguments = []
    for spec in specs:
        shape, dtype = spec if spec and isinstance(spec[-1], str) else (spec, "float32")
        arguments.append(tracing.tensor(tracing.graph.placeholder(tuple(shape), dtype)))
    with tracing.active():
        result = fn(*arguments)
        results = () if result is None else result if isinstance(result, tuple | list) else (result,)
        tracing.graph.outputs = [tracing.lift(r) for r in results]
    tracing.graph.updates = dict(tracing.assigned)
    return tracing.graph


@pytest.fixture
def traced():
    """``traced(fn, shape, ...)``: the graph of a function."""
    kcore.use_backend("numpy")
    return trace


@pytest.fixture
def planned():
    """``planned(fn, shape, ...)``: the plan of a function on NumPy."""
    place = kcore.use_backend("numpy")

    def plan(fn, *specs, **options):
        return backend_compile.Program(place.backend, trace(fn, *specs), place.device, **options).plan

    return plan


@pytest.fixture
def names():
    """``names(graph)``: the names of its ops in order."""
    return lambda graph: [node.op.name for node in graph.nodes]
