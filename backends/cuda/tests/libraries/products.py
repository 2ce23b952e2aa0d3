"""Fused products for the tests of this folder: made as the core's passes make them, and run on the acted libraries."""

from __future__ import annotations

import numpy as np

import kcore.ops  # noqa: F401
from kcore.dtypes import numpy_dtype
from kcore.graph.core import Graph, Node
from kcore.graph.fuse import fuse_elementwise
from kcore.graph.fuse_product import FUSED_PRODUCT, fuse_products
from kcore.graph.op import OPS
from kcore_cuda.kernels import contraction

MATMUL = OPS["matmul"]


def fused(*shapes, body, dtype="float32", transpose_b=False):
    """The fused product of ``body(a @ b, *others)``; inputs a, b and others."""
    graph = Graph()
    values = [graph.placeholder(s, dtype) for s in shapes]
    attrs = {"transpose_a": False, "transpose_b": transpose_b}
    (spec,) = MATMUL.infer(values[0].spec, values[1].spec, **attrs)
    total = graph.add(Node(MATMUL, values[:2], attrs, [spec], "model/dense"))[0]

    def op(name, *operands, **options):
        operands = [
            v if hasattr(v, "spec") else graph.constant(np.asarray(v, numpy_dtype(dtype)), dtype) for v in operands
        ]
        specs = OPS[name].infer(*(v.spec for v in operands), **options)
        return graph.add(Node(OPS[name], operands, options, specs, "model/dense"))[0]

    graph.outputs = list(body(op, total, *values[2:]))
    fuse_elementwise(graph, lambda n: n.op.elementwise)
    fuse_products(graph, lambda n: n.op.elementwise, lambda n: True)
    (node,) = graph.nodes
    assert node.op is FUSED_PRODUCT
    order = [node.inputs.index(v) for v in values]
    return node, order


def acted(stage, node, order, arrays, outputs=None):
    inputs = [None] * len(arrays)
    for at, array in zip(order, arrays, strict=True):
        inputs[at] = array
    return stage.act(contraction.fused_product, node, inputs, outputs)


def drawn(*shapes, dtype="float32"):
    rng = np.random.default_rng(3)
    return [rng.normal(size=s).astype(numpy_dtype(dtype)) for s in shapes]
