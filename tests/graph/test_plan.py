"""The memory plan: what lives at one time never overlaps, dying inputs are written over, variables change in place."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import kcore
from kcore import ops
from kcore.backend.compile import Bound
from kcore.graph.core import Constant, State
from kcore.graph.plan import Arena
from kcore.runtime import Variable, function
from kcore.testing.guarded import spread
from kcore.testing.random_graphs import Program


def _check_lifetimes(plan):
    """No two values that are needed at one time share a byte, unless one is computed over the other."""
    last = {}
    for i, step in enumerate(plan.steps):
        for value in step.node.sources:
            last[plan.root(value)] = i
    for value in plan.graph.outputs:
        last[plan.root(value)] = len(plan.steps)
    for _, value in plan.copies:
        last[plan.root(value)] = len(plan.steps)
    born = dict.fromkeys(plan.graph.inputs, -1)
    born.update({v: i for i, step in enumerate(plan.steps) for v in step.node.outputs})
    places = [v for v in plan.offsets if v in born]
    for i, a in enumerate(places):
        for b in places[i + 1 :]:
            if plan.reuses.get(a) is b or plan.reuses.get(b) is a:
                continue
            alive = born[a] <= last.get(b, born[b]) and born[b] <= last.get(a, born[a])
            apart = plan.offsets[a] + a.nbytes <= plan.offsets[b] or plan.offsets[b] + b.nbytes <= plan.offsets[a]
            assert not alive or apart or not a.nbytes or not b.nbytes, f"{a} and {b} live at one time in one place"
    for i, step in enumerate(plan.steps):
        start, stop = step.scratch_offset, step.scratch_offset + step.scratch_bytes
        for v in places if step.scratch_bytes else ():
            if born[v] <= i <= last.get(v, born[v]):
                assert plan.offsets[v] + v.nbytes <= start or stop <= plan.offsets[v], f"scratch of {step} lies in {v}"
    assert all(plan.offsets[v] % 64 == 0 and plan.offsets[v] + v.nbytes <= plan.arena for v in places)


def _check_sharing(plan):
    """A kernel writes over an input only where it has read each element before it writes there.

    NumPy's own functions would notice the overlap and make a copy, so the values alone do not show a wrong plan.
    """
    position = {v: i for i, step in enumerate(plan.steps) for v in step.node.outputs}
    shared = [(out, source) for out, source in plan.reuses.items()]
    for out, variable in plan.homes.items():
        leaf = plan.graph.state.get(variable)
        if leaf is not None:
            shared.append((out, leaf))
    for out, source in shared:
        at = position[out]
        later = [s.node for s in plan.steps[at + 1 :] if any(plan.root(v) is source for v in s.node.sources)]
        assert not later, f"{source} is written over by {out.node} and read by {later}"
        kernel = plan.steps[at].kernel
        for i, value in enumerate(out.node.inputs):
            if value is None or plan.root(value) is not source:
                continue
            assert value.spec == out.spec, f"{out.node} writes over {value.spec}, which it reads as another shape"
            safe = out.node.op.elementwise or out.node.op.name == "fused" or (out.index, i) in kernel.inplace
            assert safe, f"{out.node} does not work in place"
            while value in plan.views:
                value, node = plan.views[value]
                assert node.op.aliases, f"{out.node} writes over a value it also reads through {node}"


def _assign(variable, value):
    variable.assign(value)


@given(st.integers(0, 100_000), st.integers(3, 30), st.booleans())
@settings(max_examples=60, deadline=None)
def test_a_random_program_planned_equals_the_same_without_sharing(seed, length, elementwise):
    place = kcore.use_backend("numpy")
    program = Program(seed, length, elementwise=elementwise)
    variables = program.variables("float32")
    arrays = program.arrays("float32")
    executable = function(program.step(variables, _assign)).concrete(*arrays)
    _check_lifetimes(executable.plan)
    _check_sharing(executable.plan)
    results = []
    for one in (executable.program, spread(executable.program)):
        for v, value in zip(variables, program.values, strict=True):
            v.assign(value.astype("float32"))
        bound = Bound(one, place.backend.allocate(one.plan.arena, place.device), 0)
        for array, source in zip(bound.inputs, arrays, strict=True):
            array[...] = source
        with place.backend.session():
            bound.run()
        results.append([np.array(a) for a in bound.outputs] + [v.numpy() for v in variables])
    for a, b in zip(*results, strict=True):
        np.testing.assert_array_equal(a, b)


@given(st.lists(st.tuples(st.integers(1, 500), st.booleans()), max_size=60))
@settings(max_examples=80, deadline=None)
def test_the_arena_never_gives_a_byte_twice(events):
    arena, held = Arena(), []
    for nbytes, give in events:
        if give and held:
            arena.give(*held.pop(nbytes % len(held)))
        else:
            offset = arena.take(nbytes)
            assert offset % 64 == 0 and offset + nbytes <= arena.size
            assert all(offset + nbytes <= o or o + n <= offset for o, n in held)
            held.append((offset, nbytes))
    for region in held:
        arena.give(*region)
    if arena.size:
        assert arena.take(arena.size) == 0, "what was given back is one piece again"


def test_a_long_chain_needs_memory_for_two(planned):
    def chain(x):
        for _ in range(30):
            x = ops.matmul(x, x)
        return x

    assert planned(chain, (16, 16)).arena <= 3 * 16 * 16 * 4


def test_a_dying_input_is_written_over_and_the_plan_says_so(planned):
    plan = planned(lambda x: ops.exp(ops.sum(x, axis=0)), (4, 8))
    assert list(plan.reuses) == [plan.steps[1].node.outputs[0]]
    assert " over %" in str(plan)


def test_a_value_still_needed_is_not_written_over(planned):
    def f(x):
        s = ops.sum(x, axis=0)
        return ops.exp(s), ops.matmul(ops.reshape(s, (1, 8)), ops.reshape(s, (8, 1)))

    assert not any(v.node.op.name == "exp" for v in planned(f, (4, 8)).reuses)


def test_movement_is_a_view_where_arrays_may_be_strided(planned):
    def f(x):
        return ops.matmul(ops.transpose(x), x[:, 1:])

    plan = planned(f, (4, 6))
    assert [step.node.op.name for step in plan.steps] == ["matmul"]
    assert {node.op.name for _, node in plan.views.values()} == {"transpose", "slice"}


def test_without_strided_arrays_only_reshapes_are_views(traced):
    from kcore.graph.plan import make_plan

    backend = kcore.use_backend("numpy").backend
    graph = traced(lambda x: ops.reshape(ops.transpose(x), (3, 8)) * 2.0, (4, 6))
    plan = make_plan(graph, backend.kernels.find, strided_views=False)
    assert [step.node.op.name for step in plan.steps] == ["transpose", "multiply"]
    assert [node.op.name for _, node in plan.views.values()] == ["reshape"]


def test_variables_are_updated_in_place_where_nobody_reads_the_old_content(planned):
    v = Variable(np.zeros(8, "float32"), name="weight")

    def step(x):
        v.assign(v * 0.5 + x)
        return ops.sum(x)

    plan = planned(step, (8,))
    assert list(plan.homes.values()) == [v] and not plan.copies
    assert "1 updated in place, 0 copied" in str(plan) and "in @weight" in str(plan)


def test_an_update_that_others_read_afterwards_is_copied_when_the_step_commits(planned):
    a, b = Variable(np.zeros(4, "float32")), Variable(np.ones(4, "float32"))

    def swap():
        first, second = a.value, b.value
        a.assign(second)
        b.assign(first)

    plan = planned(swap)
    assert all(not isinstance(plan.root(v).source, State) for _, v in plan.copies)
    assert len(plan.copies) + len(plan.homes) == 2


def test_state_is_committed_last(planned):
    v = Variable(np.zeros(4, "float32"))

    def step(x):
        v.assign(v + ops.sum(x, axis=0))
        return ops.sum(ops.matmul(x, x))

    plan = planned(step, (4, 4))
    writes = [i for i, s in enumerate(plan.steps) if any(o in plan.homes for o in s.node.outputs)]
    assert writes and min(writes) >= plan.commit_from
    assert "-- commit" in str(plan)


def test_kept_inputs_are_found_again_as_they_were(planned):
    plan = planned(lambda x: ops.exp(x) * 2.0, (64,), keep_inputs=True)
    (value,) = plan.graph.inputs
    assert value not in plan.reuses.values()
    for step in plan.steps:
        for out in step.node.outputs:
            assert plan.offsets[out] >= plan.offsets[value] + value.nbytes or plan.offsets[out] < plan.offsets[value]


def test_constants_are_not_in_the_arena(planned):
    table = np.arange(500, dtype="float32")
    plan = planned(lambda x: x + table, (500,))
    assert not any(isinstance(v.source, Constant) for v in plan.offsets)


def test_the_plan_prints_kernels_with_their_package_buffers_and_the_peak(planned):
    from kcore.runtime import name_scope

    def f(x, w):
        with name_scope("dense"):
            return ops.matmul(x, w)

    text = str(planned(f, (2, 3), (3, 4)))
    assert "1 kernels, arena " in text and " bytes" in text.splitlines()[0]
    assert "kcore-numpy:matmul($" in text and "# dense" in text and "@0" in text and "output %" in text


def test_nothing_crosses_a_page():
    arena = Arena(page=1024)
    offsets = [arena.take(n) for n in (640, 512, 256, 1024, 64)]
    assert offsets == [0, 1024, 640, 2048, 896]
    arena.give(1024, 512)
    assert arena.take(1024) == 1024, "what was freed and what had been left out beside it are one gap"


def test_more_than_a_page_is_refused_and_says_so():
    with pytest.raises(MemoryError, match="2,048 bytes are more than the 1,024"):
        Arena(page=1024).take(2048)


def test_a_gap_before_a_page_is_used_later():
    arena = Arena(page=1024)
    arena.take(960)
    arena.take(128)
    assert arena.take(64) == 960 and arena.size == 1152
