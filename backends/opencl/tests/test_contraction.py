"""Matrix products: every transpose, edges of tiles, batches, dtypes, what follows them in the same kernel."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from kcore.dtypes import numpy_dtype
from kcore.graph.core import Graph, Node
from kcore.graph.fuse import join_nodes
from kcore.graph.fuse_product import FUSED_PRODUCT
from kcore.graph.op import OPS, Spec
from kcore.kernels.products import candidates, emit, product_of, supports

TRANSPOSES = [(False, False), (False, True), (True, False), (True, True)]


def _operands(shape: tuple[int, int, int], transposes: tuple[bool, bool], dtype: str = "float32", lead=((), ())):
    """Small whole numbers, whose products and sums are exact in every dtype."""
    m, k, n = shape
    rng = np.random.default_rng(0)
    shapes = [lead[0] + ((k, m) if transposes[0] else (m, k)), lead[1] + ((n, k) if transposes[1] else (k, n))]
    return [rng.integers(0, 2 if dtype == "bool" else 4, s).astype(numpy_dtype(dtype)) for s in shapes]


def _expected(a: np.ndarray, b: np.ndarray, transposes: tuple[bool, bool]) -> np.ndarray:
    a, b = (x.astype(bool if x.dtype == bool else np.int64) for x in (a, b))
    left, right = (np.swapaxes(x, -1, -2) if t else x for x, t in zip((a, b), transposes, strict=True))
    return np.matmul(left, right)


def _check(device, compute, node, traits, operands, transposes, tiling=None) -> None:
    made = node("matmul", *operands, transpose_a=transposes[0], transpose_b=transposes[1])
    (got,) = compute(device, made, emit(made, traits, tiling), *operands)
    expected = _expected(*operands, transposes).astype(got.dtype)
    np.testing.assert_array_equal(got, expected, f"{tiling}")


@pytest.mark.parametrize("transposes", TRANSPOSES)
@pytest.mark.parametrize("shape", [(1, 1, 1), (13, 16, 32), (14, 17, 33), (27, 300, 49), (40, 5, 10)])
def test_products_are_exact_at_the_edges_of_tiles(device, compute, node, shape, transposes):
    _check(device, compute, node, device.place.traits, _operands(shape, transposes), transposes)


@pytest.mark.parametrize("transposes", TRANSPOSES)
def test_every_tiling_gives_the_same(intel, compute, node, together, transposes):
    operands = _operands((29, 70, 64), transposes)
    made = node("matmul", *operands, transpose_a=transposes[0], transpose_b=transposes[1])
    traits = intel.place.traits
    offered = candidates(made, traits)
    small = [replace(offered[0], depth=32, left=left, row_parts=2, column_parts=2) for left in (0, 2)]
    together(intel, [emit(made, traits, tiling) for tiling in [*offered[:6], *small]])
    for tiling in [*offered[:6], *small]:
        _check(intel, compute, node, traits, operands, transposes, tiling)


@pytest.mark.parametrize(
    ("rows", "dtype"), [*((n, "float32") for n in (3, 6, 8, 9, 14)), (3, "float64"), (14, "float16"), (8, "int8")]
)
def test_a_transposed_operand_is_copied_by_tiles_or_turned(device, compute, node, together, rows, dtype):
    transposes, traits = (True, False), device.place.traits
    tried = []
    for shape in [(3 * rows - 2, 70, 32), (2 * rows, 33, 32), (rows - 1, 5, 16)]:
        operands = _operands(shape, transposes, dtype)
        made = node("matmul", *operands, transpose_a=True, transpose_b=False)
        plain = candidates(made, traits)[0]
        for turned in (False, True):
            shares = min(2, -(-shape[0] // rows)) if turned else 1
            tiling = replace(plain, rows=rows, vectors=1, depth=32, packed=True, left=0 if turned else 2)
            tiling = replace(tiling, row_parts=shares, column_parts=1, turned=turned)
            tried.append((operands, tiling, emit(made, traits, tiling)))
    together(device, [code for _, _, code in tried])
    for operands, tiling, _ in tried:
        _check(device, compute, node, traits, operands, transposes, tiling)


@pytest.mark.parametrize("transposes", TRANSPOSES)
@pytest.mark.parametrize("shape", [(1, 1, 1), (67, 18, 70), (16, 33, 130)])
def test_local_memory_tiles_of_gpus(device, compute, node, gpu, shape, transposes):
    operands = _operands(shape, transposes)
    made = node("matmul", *operands, transpose_a=transposes[0], transpose_b=transposes[1])
    for tiling in candidates(made, gpu)[:2]:
        _check(device, compute, node, gpu, operands, transposes, tiling)


@pytest.mark.parametrize("dtype", ["float64", "float16", "int32", "int64", "uint8", "int8", "bool"])
def test_dtypes(device, compute, node, together, gpu, dtype):
    operands = {t: _operands((9, 21, 19), t, dtype) for t in TRANSPOSES[1:3]}
    made = [node("matmul", *arrays, transpose_a=t[0], transpose_b=t[1]) for t, arrays in operands.items()]
    together(device, [emit(m, traits) for m in made for traits in (device.place.traits, gpu)])
    for traits in (device.place.traits, gpu):
        for transposes in TRANSPOSES[1:3]:
            _check(device, compute, node, traits, operands[transposes], transposes)


@pytest.mark.parametrize("lead", [((3,), (3,)), ((2, 1), (5,)), ((), (4,)), ((2, 3), (1, 1)), ((0,), (1,))])
def test_leading_axes_are_broadcast(device, compute, node, gpu, lead):
    for traits in (device.place.traits, gpu):
        _check(device, compute, node, traits, _operands((4, 6, 5), (False, False), lead=lead), (False, False))


@pytest.mark.parametrize("shape", [(0, 4, 5), (3, 0, 5), (3, 4, 0)])
def test_empty_sums_are_zero_and_empty_products_nothing(device, compute, node, gpu, shape):
    for traits in (device.place.traits, gpu):
        _check(device, compute, node, traits, _operands(shape, (False, False)), (False, False))


def test_many_terms_are_added_up_in_blocks(device, compute, node):
    for columns in (64, 37):
        operands = _operands((5, 2500, columns), (False, False))
        made = node("matmul", *operands, transpose_a=False, transpose_b=False)
        assert product_of(made).inner > candidates(made, device.place.traits)[0].depth
        _check(device, compute, node, device.place.traits, operands, (False, False))


@pytest.fixture
def dense() -> Callable[..., Node]:
    """``dense(rows, inner, columns)``: tanh(a @ b + bias) * mask as one node, with the sums before tanh as output."""

    def make(rows: int, inner: int, columns: int) -> Node:
        graph = Graph()
        sizes = [(rows, inner), (inner, columns), (columns,), (rows, columns)]
        a, b, bias, mask = (graph.placeholder(s, "float32") for s in sizes)
        out = Spec((rows, columns), "float32")
        attrs = {"transpose_a": False, "transpose_b": False}
        product = Node(OPS["matmul"], (a, b), attrs, [out], "model/dense")
        added = Node(OPS["add"], (product.outputs[0], bias), {}, [out], "model/dense")
        bent = Node(OPS["tanh"], added.outputs, {}, [out], "model/dense")
        masked = Node(OPS["multiply"], (bent.outputs[0], mask), {}, [out], "model/dropout")
        members = [product, added, bent, masked]
        return join_nodes(FUSED_PRODUCT, members, [added.outputs[0], masked.outputs[0]], product)

    return make


@pytest.mark.parametrize("shape", [(3, 5, 4), (30, 40, 64), (17, 600, 50)])
def test_what_follows_is_computed_in_the_same_kernel(device, compute, dense, gpu, shape):
    made = dense(*shape)
    assert supports(made)
    rng = np.random.default_rng(1)
    a, b, bias, mask = (rng.standard_normal(v.shape).astype("float32") / 4 for v in made.inputs)
    sums = a.astype(float) @ b + bias
    for traits in (device.place.traits, gpu):
        code = emit(made, traits)
        assert len(code.launches) == 1
        added, masked = compute(device, made, code, a, b, bias, mask)
        np.testing.assert_allclose(added, sums, 1e-4, 1e-5)
        np.testing.assert_allclose(masked, np.tanh(sums) * mask, 1e-4, 1e-5)


def test_a_large_transposed_operand_is_turned_once_for_all_cores(intel, node):
    a, b = np.zeros((1024, 512), "float32"), np.zeros((1024, 512), "float32")
    code = emit(node("matmul", a, b, transpose_a=True, transpose_b=False), intel.place.traits)
    turn, multiply = code.launches
    assert turn.groups >= 2 and multiply.groups >= 2
    assert a.nbytes < code.scratch_bytes < 1.1 * a.nbytes


def test_nothing_else_can_be_turned(intel, node):
    for shape, transposed in (((2, 32, 32), True), ((32, 32), False)):
        a = np.zeros(shape, "float32")
        made = node("matmul", a, a, transpose_a=transposed, transpose_b=False)
        tiling = replace(candidates(made, intel.place.traits)[0], left=0, turned=True)
        with pytest.raises(ValueError, match="single product with a transposed first operand"):
            emit(made, intel.place.traits, tiling)


def test_both_cores_have_equal_work(intel, node):
    for shape in [(128, 784, 256), (128, 256, 128), (128, 128, 10), (100, 256, 256), (32, 128, 512), (128, 9216, 128)]:
        operands = [np.zeros(shape[:2], "float32"), np.zeros(shape[1:], "float32")]
        made = node("matmul", *operands, transpose_a=False, transpose_b=False)
        assert emit(made, intel.place.traits).launches[0].groups % 2 == 0, shape


def test_generated_text(intel, gpu, node, dense, golden):
    golden("dense.cl", emit(dense(128, 784, 256), intel.place.traits, _plain(intel, dense(128, 784, 256))))
    golden("dense_gpu.cl", emit(dense(128, 784, 256), gpu, candidates(dense(128, 784, 256), gpu)[0]))
    a, b = np.zeros((128, 64), "float32"), np.zeros((128, 48), "float32")
    made = node("matmul", a, b, transpose_a=True, transpose_b=False)
    golden("matmul_grad.cl", emit(made, intel.place.traits, _plain(intel, made)))
    turned = replace(_plain(intel, made), turned=True)
    golden("matmul_turned.cl", emit(made, replace(intel.place.traits, units=2), turned))


def _plain(intel, made: Node):
    """A tiling that does not depend on how many cores the machine has."""
    default = candidates(made, intel.place.traits)[0]
    return replace(default, rows=4, vectors=2, depth=128, packed=True, left=0, turned=False)
