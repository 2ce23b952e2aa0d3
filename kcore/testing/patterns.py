"""Twins of a pattern, made from the pattern itself: as written, in another order, read elsewhere, of odd size."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from kcore.backend.kernel import Kernel, kernels_of
from kcore.graph.core import Graph
from kcore.graph.match import Pattern, Term
from kcore.graph.op import OPS, In, Sample
from kcore.runtime import function
from kcore.runtime.reference import run_op
from kcore.testing.cases import Case
from kcore.testing.compare import ConformanceError, check_outputs


@dataclass(frozen=True)
class Twin:
    """One way of writing the pattern in a program.

    Attributes:
        name: what is special about it.
        sample: inputs and the attributes of its ops, by label.
        swapped: whether the operands of commutative ops change places.
        shared: whether every inner value is an output of the program too.
        matches: whether the kernel must (True), must not (False) or may (None) be used.
    """

    name: str
    sample: Sample
    swapped: bool = False
    shared: bool = False
    matches: bool | None = True


def twins(pattern: Pattern) -> Iterator[Twin]:
    """The twins of each sample of a pattern."""
    for sample in pattern.op.samples:
        yield Twin("as written", sample)
        if any(op in pattern.commutes for t in _terms(pattern.root) for op in t.ops):
            yield Twin("operands exchanged", sample, swapped=True)
        if pattern.size > 1:
            yield Twin("inner values read elsewhere", sample, shared=True, matches=False)
        yield Twin("odd sizes", _odd(sample), matches=None)


def _terms(t: Term) -> list[Term]:
    return [t, *[inner for a in t.args if isinstance(a, Term) for inner in _terms(a)]]


def _odd(sample: Sample) -> Sample:
    """Every dimension but 1 made odd, equal ones alike, so that shapes that fitted still fit."""

    def odd(shape: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(d if d <= 1 else d + 1 if d % 2 == 0 else d + 2 for d in shape)

    inputs: list[Any] = []
    for entry in sample.inputs:
        if isinstance(entry, In):
            inputs.append(entry if entry.value is not None else replace(entry, shape=odd(entry.shape)))
        else:
            inputs.append(None if entry is None else odd(entry))
    return replace(sample, inputs=tuple(inputs))


def program(pattern: Pattern, twin: Twin) -> Callable[..., tuple]:
    """The pattern's ops written out; the first output is the pattern's, then the inner values if they are shared."""

    def run(*inputs: Any) -> tuple:
        captured = dict(zip(pattern.inputs, inputs, strict=True))
        inner: list[Any] = []

        def build(t: Term | str) -> Any:
            if isinstance(t, str):
                return captured[t]
            op, attrs = twin.sample.attrs.get(t.label, (t.ops[0], dict(t.attrs)))
            args = [build(a) for a in t.args]
            if twin.swapped and op in pattern.commutes:
                args.reverse()
            result = OPS[op](*args, **attrs)
            if t is not pattern.root:
                inner.append(result)
            return result

        result = build(pattern.root)
        return (result, *inner) if twin.shared else (result,)

    return run


def check_pattern(kernel: Kernel, dtype: str) -> list[str]:
    """Run every twin of a kernel's pattern; returns what was tried.

    Raises:
        ConformanceError: a result is wrong, or the kernel was used where it may not be, or not where it must.
    """
    pattern = kernel.pattern
    assert pattern is not None
    with _alone(kernel):
        return _check(kernel, pattern, dtype)


@contextmanager
def _alone(kernel: Kernel) -> Iterator[None]:
    """Without the backend's other pattern kernels, of which one may otherwise take the place of this one."""
    table = kernels_of(kernel.backend)
    others = [k for k in table.patterns() if k is not kernel]
    for other in others:
        table.remove(other)
    try:
        yield
    finally:
        for other in others:
            table.add(other)


def _check(kernel: Kernel, pattern: Pattern, dtype: str) -> list[str]:
    tried = []
    for index, twin in enumerate(twins(pattern)):
        case = Case(pattern.op, index, twin.sample, dtype)
        arrays = [np.zeros(()) if a is None else a for a in case.arrays()]
        try:
            compiled = function(program(pattern, twin), name=f"{pattern.name} {twin.name}")
            executable = compiled.concrete(*arrays)
        except (ValueError, TypeError):
            if twin.matches is not None:
                raise
            continue  # sizes that stand in attributes too cannot be changed
        tried.append(twin.name)
        complaints = []
        used = _uses(executable.plan.graph, pattern)
        if twin.matches is not None and used != twin.matches:
            complaints.append(
                "the kernel is not used" if twin.matches else "the kernel is used, and an inner value lost"
            )
        results = [t.numpy() for t in compiled(*arrays)]
        wide = [a.astype("float64") if a.dtype.kind == "f" else a for a in arrays]
        wanted = run_op(pattern.op, wide, dict(twin.sample.attrs))
        spec = [v.spec for v in executable.plan.graph.outputs[:1]]
        complaints += check_outputs(pattern.op, arrays, results[:1], spec, wanted)
        if complaints:
            lines = "\n  ".join(complaints)
            raise ConformanceError(f"pattern kernel {kernel}, sample {index}, {twin.name}, {dtype}:\n  {lines}")
    return tried


def _uses(graph: Graph, pattern: Pattern) -> bool:
    return any(node.op is pattern.op for node in graph.nodes)
