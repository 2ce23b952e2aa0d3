"""Kernels of composites that work row by row, and of sums down columns: on CPUs and as a GPU would run them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import kcore.ops as ops
from kcore.codegen import OPENCL
from kcore.codegen.columns import can_emit_columns, choose_column_tile, emit_columns
from kcore.codegen.row_kernels import RowProgramTile, choose_row_tile, emit_rows
from kcore.codegen.row_program import row_program
from kcore.graph import fuse_columns as columns_pass
from kcore.graph import fuse_rows as rows_pass
from kcore.graph.core import Graph, Node
from kcore.graph.fuse_columns import FUSED_COLUMNS, fuse_columns
from kcore.graph.fuse_rows import FUSED_ROWS, fuse_rows
from kcore.graph.op import OPS, Op, Spec
from kcore.graph.passes import rewrite
from kcore.kernels.rows import code_for
from kcore.runtime.reference import run_op
from kcore.testing.cases import cases
from kcore.testing.compare import difference, tolerance

COMPOSITES = [
    "softmax", "softmax_grad", "log_softmax", "layer_norm", "layer_norm_grad", "rms_norm", "softmax_cross_entropy",
    "softmax_cross_entropy_grad", "sparse_softmax_cross_entropy", "cross_entropy", "cross_entropy_grad",
    "sparse_cross_entropy", "sparse_cross_entropy_grad",
]  # fmt: skip


def check(case, results):
    relative, absolute = tolerance(case.op, case.dtype, case.arrays(), case.specs())
    for number, (result, wanted) in enumerate(zip(results, case.reference(), strict=True)):
        wrong = difference(result, wanted, relative, absolute)
        assert wrong is None, f"{case.id}, output {number}: {wrong}"


@pytest.mark.parametrize("name", COMPOSITES)
def test_kernels_for_gpus_compute_what_the_op_says(intel, gpu, name, node, compute, together):
    found = []
    for case in [*list(cases(OPS[name], ("float32",)))[:4], *list(cases(OPS[name], ("float64",)))[1:2]]:
        made = node(name, *case.arrays(), **case.attrs)
        if row_program(made) is not None:
            found.append((case, made, code_for(made, gpu)))
    assert found
    together(intel, [code for _, _, code in found])
    for case, made, code in found:
        check(case, compute(intel, made, code, *case.arrays()))


@pytest.mark.parametrize("n", [33, 130])
@pytest.mark.parametrize("name", ["softmax", "log_softmax", "layer_norm"])
def test_vectors_and_rests_of_rows(device, name, n, node, compute):
    rng = np.random.default_rng(n)
    x = rng.normal(size=(7, n)).astype("float32")
    arrays = [x] if name != "layer_norm" else [x, *rng.uniform(0.5, 2, (2, n)).astype("float32")]
    attrs = {"axis": (1,)} if name != "layer_norm" else {"epsilon": 1e-3}
    made = node(name, *arrays, **attrs)
    program = row_program(made)
    wanted = run_op(OPS[name], [a.astype("float64") for a in arrays], attrs)
    for tile in (RowProgramTile(1, 1, 16, 3, 256), RowProgramTile(1, 1, 16, 1, 0), RowProgramTile(8, 4)):
        results = compute(device, made, emit_rows(program, made, OPENCL, tile, starts=True), *arrays)
        for result, value in zip(results, wanted, strict=True):
            np.testing.assert_allclose(result, value, rtol=2e-5, atol=2e-5, err_msg=str(tile))


def test_outputs_nobody_reads_are_not_written(target, node, compute):
    device, traits = target
    x, gamma, beta = (np.random.default_rng(0).normal(size=s).astype("float32") for s in ((5, 70), (70,), (70,)))
    made = node("layer_norm", x, gamma, beta, epsilon=1e-3)
    wanted = (True, False, False)
    code = code_for(made, traits, wanted)
    assert [a.name for a in code.launches[0].arguments if a.kind == "output"] == ["y0"]
    assert compute(device, made, code, x, gamma, beta, wanted=wanted)[1:] == [None, None]


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_halves_are_computed_in_float32(target, dtype, compute):
    device, traits = target
    from kcore.dtypes import numpy_dtype

    x = np.random.default_rng(0).normal(size=(9, 70)).astype(numpy_dtype(dtype))
    made = _applied(OPS["softmax"], [x], axis=(1,))
    result = compute(device, made, code_for(made, traits), x)[0].astype("float32")
    wide = np.exp(x.astype("float64"))
    np.testing.assert_allclose(result, wide / wide.sum(1, keepdims=True), rtol=2e-2, atol=2e-3)


def _applied(op, arrays, **attrs):
    graph = Graph()
    values = [graph.placeholder(a.shape, a.dtype.name) for a in arrays]
    specs = op.infer(*[v.spec for v in values], **attrs)
    return Node(op, values, attrs, [specs] if isinstance(specs, Spec) else specs, "model/mine")


def _standard_score(x, weight):
    """Somebody's own composite: it has no kernel anywhere."""
    centred = x - ops.mean(x, axis=-1, keepdims=True)
    spread = ops.sqrt(ops.mean(ops.square(centred), axis=-1, keepdims=True))
    return ops.tanh(centred / (spread + 1e-6)) * weight, ops.max(x, axis=-1)


def test_a_composite_of_somebody_else_is_one_kernel(target, compute):
    device, traits = target
    op = Op("somebody>standard_score", _standard_score, primitive=False, family="normalization")
    rng = np.random.default_rng(0)
    x, weight = rng.normal(size=(3, 5, 70)).astype("float32"), rng.normal(size=70).astype("float32")
    made = _applied(op, [x, weight])
    code = code_for(made, traits)
    assert len(code.launches) == 1
    score, top = compute(device, made, code, x, weight)
    wide = x.astype("float64")
    centred = wide - wide.mean(-1, keepdims=True)
    wanted = np.tanh(centred / (np.sqrt((centred**2).mean(-1, keepdims=True)) + 1e-6)) * weight
    np.testing.assert_allclose(score, wanted, rtol=2e-5, atol=2e-5)
    np.testing.assert_array_equal(top, x.max(-1))


def test_what_is_no_row_program():
    x = np.zeros((4, 5), "float32")
    assert row_program(_applied(OPS["mean"], [x], axis=(1,), keepdims=False)) is None, "one reduction"
    assert row_program(_applied(OPS["relu"], [x])) is None, "elementwise"
    assert row_program(_applied(OPS["sort"], [x])) is None, "sorting"


# -- sums down columns ------------------------------------------------------------------------------------------------


def _batch_norm(shape, monkeypatch):
    """The graph of batch normalization, relu and their gradient, as the columns pass leaves it."""
    monkeypatch.setattr(columns_pass, "LEAST", 1)
    graph = Graph()
    c = shape[-1:]
    x, gamma, beta, g = (graph.placeholder(s, "float32") for s in (shape, c, c, shape))

    def add(name, *values, **attrs):
        op = OPS[name]
        specs = op.infer(*[v.spec for v in values], **attrs)
        return graph.add(Node(op, values, attrs, [specs] if isinstance(specs, Spec) else specs))

    y, mean, variance, rstd = add("batch_norm_train", x, gamma, beta, epsilon=1e-3)
    (z,) = add("relu", y)
    (gy,) = add("relu_grad", z, g)
    dx, dgamma, dbeta = add("batch_norm_grad", x, gamma, mean, rstd, gy)
    graph.outputs = [z, mean, variance, dx, dgamma, dbeta]
    graph = rewrite(graph, lambda n: False, Op.decomposer)
    fuse_columns(graph, lambda n: n.op.elementwise, can_emit_columns)
    return graph


def test_batch_normalization_reads_its_input_twice_before_and_once_behind(monkeypatch):
    graph = _batch_norm((8, 9, 16), monkeypatch)
    fused = [n for n in graph.nodes if n.op is FUSED_COLUMNS]
    sums = [sum(n.op.name == "sum" for n in f.attrs["body"].nodes) for f in fused]
    assert sums == [1, 1, 2], "mean, variance, and both gradients together"
    full = [[v for v in f.inputs if v.shape == (8, 9, 16)] for f in fused]
    assert [len(v) for v in full] == [1, 1, 3], "what is cheap to compute is computed again"
    assert all(v.node is None for v in (*full[0], *full[1])), "nothing of full size is stored between the sums"


SHAPES = [(37, 5, 48), (301, 19), (5, 1, 7, 64), (33, 3)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_sums_down_columns_compute_what_their_ops_say(target, shape, compute, monkeypatch):
    device, traits = target
    graph = _batch_norm(shape, monkeypatch)
    rng = np.random.default_rng(0)
    values = {v: rng.uniform(0.5, 2, v.shape).astype(v.dtype) for v in graph.inputs}
    count = 0
    for node in graph.nodes:
        arrays = [v.constant if v.constant is not None else values[v] for v in node.inputs]
        if node.op is not FUSED_COLUMNS:
            values[node.outputs[0]] = np.asarray(node.op.fn(*arrays, **node.attrs)).astype(node.outputs[0].dtype)
            continue
        count += 1
        tile = choose_column_tile(node, traits.cpu)
        tile = replace(tile, slices=min(max(tile.slices, 3), shape[0]))
        results = compute(device, node, emit_columns(node, OPENCL, tile, starts=True), *arrays)
        inner = dict(zip(node.attrs["body"].inputs, [a.astype("float64") for a in arrays], strict=True))
        for n in node.attrs["body"].nodes:
            operands = [v.constant if v.constant is not None else inner[v] for v in n.inputs]
            inner[n.outputs[0]] = np.asarray(n.op.fn(*operands, **n.attrs))
        for out, body, result in zip(node.outputs, node.attrs["body"].outputs, results, strict=True):
            np.testing.assert_allclose(result, inner[body], rtol=2e-5, atol=1e-4)
            values[out] = result
    assert count == 3


def test_generated_text(intel, gpu, node, golden, monkeypatch):
    x, labels = np.zeros((256, 100), "float32"), np.zeros((256,), "int32")
    softmax = node("softmax", x, axis=(1,))
    golden("softmax.cl", code_for(softmax, intel.place.traits))
    golden("softmax_gpu.cl", code_for(softmax, gpu))
    row = np.zeros((256, 1), "float32")
    golden("layer_norm_grad.cl", code_for(node("layer_norm_grad", x, x[0], row, row, x), intel.place.traits))
    narrow = node("sparse_softmax_cross_entropy", x[:, :10], labels)
    golden("sparse_softmax_cross_entropy.cl", code_for(narrow, intel.place.traits))
    sums = [n for n in _batch_norm((64, 32, 32, 16), monkeypatch).nodes if n.op is FUSED_COLUMNS][-1]
    golden("batch_norm_grad.cl", emit_columns(sums, OPENCL, choose_column_tile(sums, True), starts=True))
    golden("batch_norm_grad_gpu.cl", emit_columns(sums, OPENCL, choose_column_tile(sums, False), starts=True))


def test_tiles_follow_the_device(node):
    program = row_program(node("softmax", np.zeros((256, 100), "float32"), axis=(1,)))
    assert choose_row_tile(program, cores=2).vector == 16
    assert choose_row_tile(program).lanes == 32
    apart = row_program(node("softmax", np.zeros((100, 256), "float32"), axis=(0,)))
    assert choose_row_tile(apart) == RowProgramTile(1, 64), "neighbours in memory belong to neighbouring work-items"


def _small_loss():
    """Softmax, cross-entropy and their gradients, as one training step has them."""
    graph = Graph()
    x, target, g = (graph.placeholder(s, "float32") for s in ((37, 10), (37, 10), (37,)))

    def add(name, *values, **attrs):
        op = OPS[name]
        specs = op.infer(*[v.spec for v in values], **attrs)
        return graph.add(Node(op, values, attrs, [specs] if isinstance(specs, Spec) else specs))[0]

    p = add("softmax", x, axis=(1,))
    loss = add("cross_entropy", p, target, epsilon=1e-7)
    dx = add("softmax_grad", p, add("cross_entropy_grad", g, p, target, epsilon=1e-7), axis=(1,))
    graph.outputs = [p, loss, dx]
    return graph


def test_small_composites_that_follow_one_another_are_one_kernel(target, compute):
    device, traits = target
    graph = _small_loss()
    steps = list(graph.nodes)
    fuse_rows(graph, lambda n: True, lambda n: row_program(n) is not None)
    assert [n.op for n in graph.nodes] == [FUSED_ROWS]
    node = graph.nodes[0]
    rng = np.random.default_rng(0)
    arrays = [rng.uniform(0.1, 1, v.shape).astype("float32") for v in node.inputs]
    values = dict(zip(node.inputs, (a.astype("float64") for a in arrays), strict=True))
    for step in steps:
        values[step.outputs[0]] = run_op(step.op, [values[v] for v in step.inputs], step.attrs)[0]
    wanted = [values[v] for v in (steps[0].outputs[0], steps[1].outputs[0], steps[-1].outputs[0])]
    code = code_for(node, traits)
    assert len(code.launches) == 1
    for result, value in zip(compute(device, node, code, *arrays), wanted, strict=True):
        np.testing.assert_allclose(result, value, rtol=2e-5, atol=2e-6)


def test_composites_on_large_arrays_are_left_alone(monkeypatch):
    monkeypatch.setattr(rows_pass, "MOST", 100)
    graph = _small_loss()
    fuse_rows(graph, lambda n: True, lambda n: row_program(n) is not None)
    assert len(graph.nodes) == 4
