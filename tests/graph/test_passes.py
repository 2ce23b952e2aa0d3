"""Passes: dead nodes, duplicates, constants, algebra, lowering; each leaves the values as they were."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from kcore import ops
from kcore.errors import MissingKernelError
from kcore.graph.core import Graph, Node
from kcore.graph.op import Op, Spec
from kcore.graph.passes import FOLD_LIMIT, remove_dead, rewrite
from kcore.ops.shapes import elementwise
from kcore.runtime import Variable, convert_to_tensor, function
from kcore.runtime.reference import run_graph
from kcore.runtime.trace import decompose


def simplified(graph):
    return rewrite(graph, None, decompose)


def test_what_nobody_reads_goes(traced, names):
    def f(x):
        ops.exp(ops.tanh(x))
        return ops.sin(x)

    graph = traced(f, (3,))
    remove_dead(graph)
    assert names(graph) == ["sin"]


def test_a_variable_that_is_only_read_in_vain_goes_too(traced):
    v = Variable(np.ones(2, "float32"))

    def f(x):
        ops.exp(v * x)
        return x + 1.0

    graph = traced(f, (2,))
    assert v in graph.state
    remove_dead(graph)
    assert v not in graph.state


def test_equal_nodes_are_one(traced, names):
    graph = simplified(traced(lambda x: ops.exp(x) + ops.exp(x), (3,)))
    assert names(graph) == ["exp", "add"]
    a, b = graph.nodes[1].inputs
    assert a is b


def test_equal_ops_with_other_attributes_stay_apart(traced, names):
    graph = simplified(traced(lambda x: ops.sum(x, axis=0) + ops.sum(x, axis=1), (3, 3)))
    assert names(graph) == ["sum", "sum", "add"]


def test_ops_with_an_effect_are_never_merged(names):
    drip = Op("test_drip", lambda x: x, primitive=True, family="test", infer=lambda x: x, effect=True)
    graph = Graph()
    x = graph.placeholder((2,), "float32")
    graph.outputs = [graph.add(Node(drip, (x,), {}, [Spec((2,), "float32")]))[0] for _ in range(2)]
    assert names(simplified(graph)) == ["test_drip", "test_drip"]


def test_what_depends_on_constants_only_is_computed_ahead(traced, names):
    table = np.arange(6, dtype="float32").reshape(2, 3)
    graph = simplified(traced(lambda x: x * ops.sum(ops.exp(ops.convert_to_tensor(table)), axis=0), (2, 3)))
    assert names(graph) == ["multiply"]
    constant = next(v for v in graph.nodes[0].inputs if v.constant is not None)
    np.testing.assert_allclose(constant.constant, np.exp(table).sum(0), rtol=1e-6)


def test_large_constants_are_not_blown_up(traced, names):
    n = FOLD_LIMIT + 1
    graph = simplified(
        traced(lambda x: x + ops.broadcast_to(ops.convert_to_tensor(np.ones((1,), "float32")), (n,)), (n,))
    )
    assert "broadcast_to" in names(graph)


@pytest.mark.parametrize(
    ("f", "left"),
    [
        (lambda x: x + 0.0, []),
        (lambda x: 0.0 + x, []),
        (lambda x: x - 0.0, []),
        (lambda x: 0.0 - x, ["subtract"]),
        (lambda x: x * 1.0, []),
        (lambda x: x / 1.0, []),
        (lambda x: 1.0 / x, ["divide"]),
        (lambda x: x**1.0, []),
        (lambda x: ops.negative(ops.negative(x)), []),
        (lambda x: ops.stop_gradient(x), []),
        (lambda x: ops.transpose(ops.transpose(x, (1, 0)), (1, 0)), []),
        (lambda x: ops.transpose(ops.transpose(x, (1, 0)) * 2.0, (1, 0)), ["transpose", "multiply", "transpose"]),
        (lambda x: ops.reshape(ops.reshape(x, (6,)), (2, 3)), []),
        (lambda x: ops.cast(x, "float32"), []),
        (lambda x: ops.cast(ops.cast(x, "int32"), "float32"), ["cast", "cast"]),
        (lambda x: ops.broadcast_to(x, (2, 3)), []),
        (lambda x: x + np.zeros((4, 1, 1), "float32"), ["add"]),
    ],
)  # fmt: skip
def test_algebra_removes_what_changes_nothing_and_only_that(traced, names, f, left):
    graph = traced(f, (2, 3))
    assert names(simplified(graph)) == left
    x = np.random.default_rng(0).uniform(1, 2, (2, 3)).astype("float32")
    np.testing.assert_allclose(run_graph(simplified(graph), [x])[0], run_graph(graph, [x])[0])


def test_lowering_decomposes_what_has_no_kernel(traced, names):
    graph = traced(lambda x: ops.softmax(x), (2, 3))
    assert names(rewrite(graph, lambda node: True, decompose)) == ["softmax"]
    lowered = rewrite(graph, lambda node: False, decompose)
    assert all(node.op.primitive for node in lowered.nodes) and len(lowered.nodes) > 3
    x = np.random.default_rng(0).normal(size=(2, 3)).astype("float32")
    np.testing.assert_allclose(run_graph(lowered, [x])[0], run_graph(graph, [x])[0], rtol=1e-6)


def test_nodes_of_a_decomposition_keep_layer_path_and_line(traced):
    from kcore.runtime import name_scope

    def f(x):
        with name_scope("block"):
            return ops.softmax(x)

    lowered = rewrite(traced(f, (2, 3)), lambda node: False, decompose)
    assert {node.path for node in lowered.nodes} == {"block"}
    assert {node.where[0] for node in lowered.nodes} == {__file__}


def test_rewriting_leaves_the_graph_it_was_given_alone(traced, names):
    graph = traced(lambda x: (x + 0.0) * 1.0, (2,))
    before = str(graph)
    simplified(graph)
    assert str(graph) == before


def test_a_graph_prints_ops_shapes_paths_and_updates(traced):
    from kcore.runtime import name_scope

    v = Variable(np.zeros(2, "float32"), name="total")

    def f(x):
        with name_scope("layer"):
            y = ops.exp(x)
        v.assign(v + y)
        return y

    text = str(traced(f, (2,)))
    assert "float32[2] = exp($" in text and "# layer" in text
    assert "@total <- " in text and "return %" in text


def test_small_values_made_of_nothing_are_computed_ahead(traced, names):
    assert names(simplified(traced(lambda x: x * ops.full((3,), 2.0), (3,)))) == ["multiply"]
    assert "full" in names(simplified(traced(lambda x: x * ops.full((65,), 2.0), (65,))))


def test_a_constant_of_one_number_is_that_number(traced):
    def inputs(values):
        (node,) = simplified(traced(lambda x: x * np.array(values, "float32"), (2,))).nodes
        return [v.shape for v in node.inputs]

    assert inputs([3.0, 3.0]) == [(2,), ()] and inputs([np.nan, np.nan]) == [(2,), ()]
    assert inputs([3.0, 4.0]) == [(2,), (2,)] and inputs([0.0, -0.0]) == [(2,), (2,)]
    (node,) = simplified(traced(lambda x: x * np.ones((3, 2), "float32") * 1.0, (2,))).nodes
    assert node.outputs[0].shape == (3, 2) and node.inputs[1].shape == (3, 2)


def test_constants_that_overflow_do_not_warn(traced):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        simplified(traced(lambda x: x + ops.log(ops.full((2,), 0.0)), (2,)))


def test_constants_numpy_cannot_compute_with_are_left_to_the_kernels(traced, names):
    def f(x):
        return x + ops.matmul(ops.ones((2, 2), "bfloat16"), ops.ones((2, 2), "bfloat16"))

    assert "matmul" in names(simplified(traced(f, (2, 2))))
    assert function(f)(np.zeros((2, 2), "float32")).numpy().tolist() == [[2, 2], [2, 2]]


def test_an_op_without_a_kernel_for_a_dtype_says_so():
    unknown = Op("tests>unknown", np.positive, primitive=True, family="elementwise", infer=elementwise)
    with pytest.raises(MissingKernelError, match=r"'numpy' has no kernel for op 'tests>unknown' on float16\[3\]"):
        unknown(convert_to_tensor(np.ones(3, "float16")))
