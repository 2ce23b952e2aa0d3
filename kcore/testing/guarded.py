"""Running a compiled graph with every buffer alone between guards, watching after each kernel what it wrote."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from kcore.backend.compile import Bound, Program
from kcore.graph.core import Constant, Node, Value
from kcore.graph.plan import Plan, aligned

#: Bytes before and after every buffer; all of them, and what is not yet written, hold FILL, a NaN in every float dtype.
GUARD = 256
FILL = 0xFF


class BufferError(AssertionError):
    """A kernel wrote where it must not."""


class _Regions:
    """The buffers of a plan spread out: each value and each scratch has memory of its own, guards around it."""

    def __init__(self, plan: Plan):
        self.size = GUARD
        self.offsets = {value: self._take(value.nbytes) for value in plan.offsets}
        self.steps = [
            replace(step, scratch_offset=self._take(step.scratch_bytes)) if step.scratch_bytes else step
            for step in plan.steps
        ]

    def _take(self, nbytes: int) -> int:
        at = self.size
        self.size = at + aligned(nbytes) + GUARD
        return at


def spread(program: Program) -> Program:
    """The program without any sharing of memory: nothing in place, nothing reused."""
    plan = program.plan
    regions = _Regions(plan)
    other = copy.copy(program)
    other.plan = replace(plan, offsets=regions.offsets, reuses={}, steps=regions.steps, arena=regions.size)
    return other


def run_guarded(program: Program, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Run a program kernel by kernel and return its outputs.

    Raises:
        BufferError: a kernel wrote outside its outputs and its scratch memory, or changed a constant.
    """
    other = spread(program)
    backend, device, plan = program.backend, program.device, other.plan
    storage = backend.allocate(plan.arena, device)
    memory = backend.view(storage, 0, (plan.arena,), "uint8")
    backend.upload(memory, np.full(plan.arena, FILL, np.uint8))
    bound = Bound(other, storage, 0)
    for array, source in zip(bound.inputs, inputs, strict=True):
        backend.upload(array, source)
    constants = {v: backend.download(program.constant(v)) for v in _constants(plan)}
    before = backend.download(memory)
    for step, thunk in zip(plan.steps, bound.thunks, strict=True):
        with backend.session():
            thunk()
        after = backend.download(memory)
        changed = after != before
        for start, stop in _writable(plan, step.node, step.scratch_offset, step.scratch_bytes):
            changed[start:stop] = False
        if changed.any():
            at = int(np.argmax(changed))
            raise BufferError(
                f"kernel {step.kernel} for {step.node.op.name!r} wrote {int(changed.sum())} bytes outside its buffers: "
                f"the first {_place(plan, at)}"
            )
        before = after
    for value, content in constants.items():
        if backend.download(program.constant(value)).tobytes() != content.tobytes():
            raise BufferError(f"a kernel changed a constant {value.spec}")
    return [backend.download(array) for array in bound.outputs]


def _constants(plan: Plan) -> list[Value]:
    used = {v for step in plan.steps for v in step.node.sources}
    return [v for v in used if isinstance(v.source, Constant)]


def _writable(plan: Plan, node: Node, scratch: int, scratch_bytes: int) -> list[tuple[int, int]]:
    ranges = [(scratch, scratch + scratch_bytes)] if scratch_bytes else []
    for value in node.outputs:
        if value in plan.offsets:
            ranges.append((plan.offsets[value], plan.offsets[value] + value.nbytes))
    return ranges


def _place(plan: Plan, at: int) -> str:
    """Where a byte lies, in words."""
    nearest: Any = None
    for value, offset in plan.offsets.items():
        if offset <= at < offset + value.nbytes:
            return f"is byte {at - offset} of another value, {value.spec}"
        if offset + value.nbytes <= at and (nearest is None or offset > nearest[0]):
            nearest = (offset, value)
    if nearest is None:
        return "is before every buffer"
    return f"is {at - nearest[0] - nearest[1].nbytes} bytes behind the end of {nearest[1].spec}"
