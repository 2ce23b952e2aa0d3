"""Which elementwise work joins a reduction, and which must not."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from kcore.backend.compile import lower
from kcore.backend.kernel import Kernel, KernelTable
from kcore.codegen import can_emit
from kcore.graph.core import Graph, Node
from kcore.graph.fuse import fuse_elementwise
from kcore.graph.fuse_reduction import fuse_reductions
from kcore.graph.op import OPS


def shapes(build, *outputs, minimum=2):
    """Each node of the fused graph as the names of what it computes."""
    graph = build.graph
    graph.outputs = list(outputs)
    fuse_elementwise(graph, lambda n: n.op.elementwise, minimum)
    fuse_reductions(graph, lambda n: n.op.elementwise, can_emit)
    seen = set(graph.inputs)
    for node in graph.nodes:
        assert all(v in seen or v.constant is not None for v in node.sources), f"{node} runs before its inputs\n{graph}"
        seen.update(node.outputs)
    assert all(v in seen for v in graph.outputs)
    return [n.attrs["body"].name if "body" in n.attrs else n.op.name for n in graph.nodes]


def total(build, x, axis=(1,), keepdims=False):
    return build("sum", x, axis=axis, keepdims=keepdims)


def test_prologue_and_epilogue_join(build):
    x = build.input(4, 6)
    y = build("multiply", total(build, build("exp", build("negative", x))), 0.25)
    assert shapes(build, y) == ["negative+exp+sum+multiply"]
    (node,) = build.graph.nodes
    assert [n.op.name for n in node.attrs["body"].nodes] == ["negative", "exp", "sum", "multiply"]
    assert node.inputs == (x,)


def test_a_lone_reduction_stays_as_it_is(build):
    assert shapes(build, total(build, build.input(4, 6))) == ["sum"]


def test_a_prologue_value_read_elsewhere_is_also_an_output(build):
    e = build("exp", build.input(4, 6))
    y = build("divide", e, total(build, e, keepdims=True))
    assert shapes(build, y) == ["exp+sum", "divide"]
    assert [v.shape for v in build.graph.nodes[0].outputs] == [(4, 6), (4, 1)]


def test_the_prologue_joins_one_of_two_reductions(build):
    e = build("exp", build.input(4, 6))
    assert shapes(build, total(build, e, (0,)), total(build, e, (1,))) == ["exp+sum", "sum"]


def test_an_epilogue_that_depends_on_the_reduction_by_another_way_stays_apart(build):
    """sum -> matmul -> add, and sum -> add: the add can only run after the matmul, which needs the sum."""
    s = total(build, build("exp", build.input(4, 4)), keepdims=True)
    around = build("matmul", build.input(4, 4), s)
    assert shapes(build, build("add", s, around)) == ["exp+sum", "matmul", "add"]


def test_an_epilogue_that_waits_for_something_else_moves_the_group(build):
    """The sum is fused with the add although the matmul, written between them, must run first."""
    s = total(build, build("exp", build.input(4, 4)), keepdims=True)
    other = build("matmul", build.input(4, 4), build.input(4, 1))
    assert shapes(build, build("add", s, other)) == ["matmul", "exp+sum+add"]


def test_a_wider_reader_is_no_epilogue(build):
    x = build.input(4, 6)
    assert shapes(build, build("subtract", x, total(build, x, keepdims=True))) == ["sum", "subtract"]


def test_a_reader_of_the_prologue_is_no_epilogue_where_nothing_is_summed(build):
    """Over an axis of one element the result has the shape of the prologue, which the epilogue must not read."""
    e = build("exp", build.input(4, 1))
    assert shapes(build, build("divide", e, total(build, e, keepdims=True))) == ["exp+sum", "divide"]


def test_a_chain_of_reductions_shares_no_elementwise_work(build):
    """Variance: the mean's epilogue is its own, the square is the prologue of the second sum."""
    x = build.input(4, 6)
    mean = build("multiply", total(build, x, keepdims=True), 1 / 6)
    centred = build("subtract", x, mean)
    var = build("multiply", total(build, build("multiply", centred, centred)), 1 / 6)
    assert shapes(build, var) == ["sum+multiply", "subtract+multiply+sum+multiply"]


def test_what_the_backend_cannot_reduce_is_left_alone(build):
    e = build("exp", build("negative", build.input(4, 6)))
    assert shapes(build, build("argmax", e, axis=1, keepdims=False)) == ["negative+exp", "argmax"]


@pytest.mark.parametrize(
    ("fused", "expected"),
    [((), ["exp", "sum", "multiply"]), (("fused",), ["exp", "sum", "multiply"]),
     (("fused", "fused_reduction"), ["fused_reduction"])],
)  # fmt: skip
def test_a_backend_asks_by_having_the_kernel(fused, expected, build):
    table = KernelTable("test")
    for name in ("exp", "sum", "multiply", *fused):
        table.add(Kernel(name, "test", lambda site: lambda: None))
    build.graph.outputs = [build("multiply", total(build, build("exp", build.input(4, 6))), 0.5)]
    assert [
        n.op.name for n in lower(SimpleNamespace(kernels=table, substitute=lambda graph: None), build.graph).nodes
    ] == expected


def test_a_traced_softmax_becomes_three_kernels(device, draw):
    """Maximum; shifted exponentials and their sum; quotient: lowered, emitted and run in order."""
    graph = Graph()
    x = graph.placeholder((9, 33), "float32")
    node = Node(OPS["softmax"], [x], {"axis": (1,)}, [x.spec])
    graph.outputs = list(graph.add(node))
    table = KernelTable("test")
    for name in ("exp", "sum", "max", "subtract", "divide", "reshape", "fused", "fused_reduction"):
        table.add(Kernel(name, "test", lambda site: lambda: None))
    lowered = lower(SimpleNamespace(kernels=table, substitute=lambda graph: None), graph)
    assert [n.op.name for n in lowered.nodes] == ["max", "fused_reduction", "divide"], lowered
    array = draw(9, 33)
    known = {x: array}
    for step in lowered.nodes:
        results = device.run(step, [known[v] for v in step.inputs])
        known.update(zip(step.outputs, results, strict=True))
    e = np.exp(array - array.max(1, keepdims=True))
    np.testing.assert_allclose(known[lowered.outputs[0]], e / e.sum(1, keepdims=True), rtol=1e-5)
