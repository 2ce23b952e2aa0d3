"""Fusion: groups are contiguous, in order and without cycles; equal updates of many variables become one node."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

import kcore
from kcore import ops
from kcore.graph.core import Graph, Node
from kcore.graph.fuse import FUSED, fuse_elementwise, group_elementwise
from kcore.graph.op import OPS, Spec
from kcore.runtime import Variable
from kcore.runtime.reference import run_graph


@st.composite
def graphs(draw):
    """A random graph of sums over a few shapes, and which of its nodes may be fused."""
    import kcore.ops  # noqa: F401

    graph = Graph()
    alive = {shape: [graph.placeholder(shape, "float64")] for shape in ((3,), (2, 3))}
    chosen = set()
    for _ in range(draw(st.integers(1, 14))):
        shape = draw(st.sampled_from([(3,), (2, 3)]))
        pool = alive[shape] + (alive[(3,)] if shape == (2, 3) else [])
        a, b = draw(st.sampled_from(pool)), draw(st.sampled_from(pool))
        if a.shape != shape and b.shape != shape:
            a = alive[shape][-1]
        name = draw(st.sampled_from(["add", "subtract", "maximum"]))
        node = Node(OPS[name], (a, b), {}, [Spec(shape, "float64")])
        graph.add(node)
        alive[shape].append(node.outputs[0])
        if shape == (2, 3) and draw(st.booleans()):
            down = Node(OPS["sum"], node.outputs, {"axis": (0,), "keepdims": False}, [Spec((3,), "float64")])
            graph.add(down)
            alive[(3,)].append(down.outputs[0])
        if draw(st.integers(0, 3)):
            chosen.add(node)
    results = [v for values in alive.values() for v in values if v.node is not None]
    graph.outputs = draw(st.lists(st.sampled_from(results), min_size=1, max_size=3))
    return graph, chosen


@given(graphs())
@settings(max_examples=60, deadline=None)
def test_groups_stand_together_in_an_order_that_can_run(drawn):
    graph, chosen = drawn
    groups = [unit.nodes for unit in group_elementwise(graph, chosen.__contains__).ordered(graph)]
    assert sorted(map(id, graph.nodes)) == sorted(id(n) for group in groups for n in group)
    known = set(graph.inputs)
    for group in groups:
        inside = {v for n in group for v in n.outputs}
        for node in group:
            assert all(v in known or v in inside for v in node.sources), "a group runs before what it reads"
        if len(group) > 1:
            assert all(n in chosen and n.outputs[0].shape == group[0].outputs[0].shape for n in group)
        for node in group:
            assert all(v in known for v in node.sources)
            known.update(node.outputs)


def _evaluate(graph, inputs):
    """Reference evaluation that looks into fused nodes."""
    known = dict(zip(graph.inputs, inputs, strict=True))
    for node in graph.nodes:
        arrays = [known[v] for v in node.inputs]
        if node.op is FUSED:
            results = run_graph(node.attrs["body"], arrays)
        else:
            results = [node.op.fn(*arrays, **node.attrs)]
        known.update(zip(node.outputs, results, strict=True))
    return [known[v] for v in graph.outputs]


@given(graphs())
@settings(max_examples=60, deadline=None)
def test_a_fused_graph_computes_the_same(drawn):
    graph, chosen = drawn
    inputs = [np.random.default_rng(i).normal(size=v.shape) for i, v in enumerate(graph.inputs)]
    wanted = _evaluate(graph, inputs)
    fuse_elementwise(graph, chosen.__contains__)
    for a, b in zip(_evaluate(graph, inputs), wanted, strict=True):
        np.testing.assert_array_equal(a, b)


def _fused(plan):
    return [step.node for step in plan.steps if step.node.op is FUSED]


def test_a_chain_is_one_launch(planned):
    plan = planned(lambda x, y: ops.tanh(x * 2.0 + y) - ops.exp(y), (4, 5), (4, 5))
    assert len(plan.steps) == len(_fused(plan)) == 1


def test_a_reduction_in_between_parts_the_chain(planned):
    def f(x):
        y = ops.exp(x) * 2.0
        return y / ops.sum(y) + 1.0

    for node in _fused(planned(f, (4, 5))):
        inner = [n.op.name for n in node.attrs["body"].nodes]
        assert not {"multiply", "divide"} <= set(inner)


def test_equal_updates_of_many_variables_are_one_node_with_segments(planned):
    kcore.use_backend("numpy")
    weights = [Variable(np.zeros(s, "float32")) for s in ((3, 4), (4,), (4, 2), (2,))]
    rate = Variable(np.float32(0.1))

    def step(*grads):
        for w, g in zip(weights, grads, strict=True):
            w.assign(w - rate * g * 2.0)

    plan = planned(step, *[w.shape for w in weights])
    (node,) = _fused(plan)
    assert node.attrs["segments"] == 4 and node.attrs["shared"] == 1
    assert len(plan.homes) == 4 and not plan.copies
    assert plan.commit_from == 0


def test_different_updates_stay_apart(planned):
    kcore.use_backend("numpy")
    a, b = Variable(np.zeros(300, "float32")), Variable(np.zeros(300, "float32"))

    def step(x):
        a.assign(a - x * 2.0)
        b.assign(b * x - 2.0)

    assert [n.attrs["segments"] for n in _fused(planned(step, (300,)))] == [1, 1]


def test_small_updates_of_one_shape_are_one_launch(planned):
    kcore.use_backend("numpy")
    count, total = Variable(np.int32(0)), Variable(np.float32(0))
    seeds = [Variable(np.zeros(2, "uint32")) for _ in range(3)]

    def step(x):
        count.assign(count + 1)
        total.assign(total + ops.sum(x))
        for seed in seeds:
            seed.assign(seed + np.array([0, 1], "uint32"))

    plan = planned(step, (3,))
    assert sorted(len(n.outputs) for n in _fused(plan)) == [2, 3]
    assert len(plan.homes) == 5 and not plan.copies
