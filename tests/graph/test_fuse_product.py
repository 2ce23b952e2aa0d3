"""Elementwise work behind products: what joins them, what stays apart, and moving it before a reshape."""

from __future__ import annotations

import numpy as np
import pytest

import kcore.ops  # noqa: F401  (registers the ops)
from kcore.codegen import OPENCL, Epilogue
from kcore.codegen.signature import Signature
from kcore.graph.core import Graph, Node, Value
from kcore.graph.fuse import fuse_elementwise
from kcore.graph.fuse_product import FUSED_PRODUCT, fuse_products, hoist_elementwise
from kcore.graph.op import OPS


class Builder:
    """A graph op by op."""

    def __init__(self):
        self.graph = Graph()

    def input(self, *shape):
        return self.graph.placeholder(shape, "float32")

    def __call__(self, name, *operands, **attrs):
        values = [
            v if isinstance(v, Value) else self.graph.constant(np.float32(v).reshape(()), "float32") for v in operands
        ]
        return self.graph.add(Node(OPS[name], values, attrs, OPS[name].infer(*[v.spec for v in values], **attrs)))[0]

    def product(self, a, b):
        return self("matmul", a, b, transpose_a=False, transpose_b=False)


@pytest.fixture
def build():
    return Builder()


def fusible(node):
    return node.op.elementwise


def fused(graph, *outputs, accepts=lambda node: True):
    graph.outputs = list(outputs)
    hoist_elementwise(graph, fusible)
    fuse_elementwise(graph, fusible)
    fuse_products(graph, fusible, accepts)
    return [n for n in graph.nodes if n.op is FUSED_PRODUCT]


def names(node):
    return [n.op.name for n in node.attrs["body"].nodes]


def test_bias_and_activation_join_a_product(build):
    x, w, b = build.input(4, 3), build.input(3, 5), build.input(5)
    y = build("maximum", build("add", build.product(x, w), b), 0.0)
    (node,) = fused(build.graph, y)
    assert names(node) == ["matmul", "add", "maximum"] and build.graph.nodes == [node]
    assert [v.shape for v in node.inputs] == [(4, 3), (3, 5), (5,)]


def test_a_product_that_others_read_too_becomes_a_second_output(build):
    x, w = build.input(4, 3), build.input(3, 5)
    z = build.product(x, w)
    (node,) = fused(build.graph, z, build("tanh", z))
    assert len(node.outputs) == 2 and build.graph.outputs == list(node.outputs)


def test_of_two_products_the_later_one_takes_their_sum_in(build):
    x, v, w = build.input(4, 3), build.input(3, 5), build.input(3, 5)
    y = build("add", build.product(x, v), build.product(x, w))
    (node,) = fused(build.graph, y)
    first, second = build.graph.nodes
    assert first.op.name == "matmul" and second is node and first.outputs[0] in node.inputs


def test_work_that_waits_for_something_made_of_the_product_stays_apart(build):
    x, w = build.input(4, 3), build.input(3, 5)
    z = build.product(x, w)
    top = build("max", z, axis=(1,), keepdims=True)
    assert not fused(build.graph, build("subtract", z, top))


def test_rows_and_other_shapes_stay_apart(build):
    x, w, column = build.input(4, 3), build.input(3, 5), build.input(4, 1)
    assert not fused(build.graph, build("multiply", build.product(x, w), column))


def test_what_the_backend_refuses_is_left_as_it_was(build):
    x, w = build.input(4, 3), build.input(3, 5)
    assert not fused(build.graph, build("tanh", build.product(x, w)), accepts=lambda node: False)
    assert [n.op.name for n in build.graph.nodes] == ["matmul", "tanh"]


@pytest.mark.parametrize("bias", [(), (2, 3), (1, 1, 2, 3)])
def test_work_behind_a_reshape_moves_before_it(build, bias):
    x, w, b = build.input(20, 3), build.input(3, 6), build.input(*bias)
    z = build("reshape", build.product(x, w), shape=(5, 4, 2, 3))
    y = build("tanh", build("add", z, b))
    (node,) = fused(build.graph, y)
    assert names(node) == ["matmul", "add", "tanh"] and node.outputs[0].shape == (20, 6)
    assert build.graph.outputs[0].shape == (5, 4, 2, 3)


def test_work_along_other_axes_stays_behind_its_reshape(build):
    x, w, b = build.input(20, 3), build.input(3, 6), build.input(4, 1, 1)
    z = build("reshape", build.product(x, w), shape=(5, 4, 2, 3))
    assert not fused(build.graph, build("add", z, b))


def test_the_epilogue_of_an_element(build):
    x, w, b, m = build.input(4, 3), build.input(3, 5), build.input(5), build.input(4, 5)
    y = build("multiply", build("add", build.product(x, w), b), m)
    (node,) = fused(build.graph, y)
    epilogue = Epilogue(node)
    assert epilogue.product.op.name == "matmul" and epilogue.inputs == [0, 1] and not epilogue.plain
    sig = Signature(OPENCL, "int32", starts=False)
    epilogue.declare(sig)
    lines = epilogue.element(epilogue.statements(sig), "total", index="i", column="c")
    assert [a.name for a in sig.arguments] == ["e0", "e1", "y0"]
    assert lines[:2] == ["const float e0_ = e0[c];", "const float e1_ = e1[i];"]
    assert "total + e0_" in lines[2] and lines[-1].startswith("y0[i] = ")


def test_a_bare_product_has_an_epilogue_that_stores(build):
    node = build.product(build.input(4, 3), build.input(3, 5)).node
    epilogue = Epilogue(node)
    sig = Signature(OPENCL, "int32", starts=False)
    epilogue.declare(sig)
    assert epilogue.plain and epilogue.inputs == [0, 1]
    assert epilogue.element(epilogue.statements(sig), "total", "i", "c") == ["y0[i] = total;"]
