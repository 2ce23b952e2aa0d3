"""Reductions as the backend cuts them: along rows and down columns, split or whole, on CPUs and as GPUs get them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from kcore.codegen import OPENCL, SpanReductionTile, emit
from kcore.dtypes import numpy_dtype
from kcore.graph.op import OPS
from kcore.kernels.reduction import tile_of


@pytest.fixture
def check(target, node, compute):
    """``check(name, array, axis=...)``: the op computes what NumPy does."""

    def check(name, array, axis, rtol=2e-5):
        made = node(name, array, axis=axis, keepdims=False)
        code = emit(made, OPENCL, tile_of(made, target[1]), starts=True)
        (got,) = compute(target[0], made, code, array)
        exact = array.astype(np.float64) if "float" in array.dtype.name else array
        want = np.asarray(OPS[name].fn(exact, axis=axis, keepdims=False)).astype(got.dtype)
        np.testing.assert_allclose(got.astype(np.float64), want.astype(np.float64), rtol=rtol, atol=rtol)
        return code

    return check


@pytest.fixture
def draw():
    return np.random.default_rng(2)


#: What the workloads reduce, in small and at odd sizes: rows, bias gradients, statistics of channels, everything.
SHAPES = [
    ((37, 133), (1,)), ((128, 256), (0,)), ((129, 10), (0,)), ((300, 33), (0,)), ((8, 9, 16), (0, 1)),
    ((5, 7, 70), (1,)), ((3, 4, 5, 6), (1, 3)), ((4, 3, 50, 2), (0, 2)), ((1000,), (0,)), ((300, 700), (0, 1)),
    ((0, 4), (0,)), ((4, 0), (0,)), ((5, 1), (1,)), ((1, 5), (0,)),
]  # fmt: skip


@pytest.mark.parametrize(("shape", "axis"), SHAPES)
def test_sums_over_axes(shape, axis, check, draw):
    check("sum", draw.standard_normal(shape).astype(np.float32), axis)


@pytest.mark.parametrize("axis", [(0,), (1,)])
@pytest.mark.parametrize(
    ("name", "dtype"),
    [("sum", "float64"), ("sum", "bfloat16"), ("sum", "float16"), ("max", "int64"), ("min", "float32"),
     ("prod", "int32"), ("any", "bool"), ("all", "bool")],
)  # fmt: skip
def test_dtypes(name, axis, dtype, check, draw):
    x = (
        draw.uniform(0.9, 1.1, (35, 37))
        if "float" in dtype
        else draw.integers(0 if dtype == "bool" else 1, 3, (35, 37))
    )
    check(name, x.astype(numpy_dtype(dtype)), axis, rtol=1e-2 if "16" in dtype else 2e-5)


@pytest.mark.parametrize(("shape", "axis"), [((300_000,), (0,)), ((20_000, 16), (0,)), ((4000, 600), (0,))])
def test_long_reductions_are_split_and_always_the_same(shape, axis, check, draw, target, node, compute):
    x = draw.standard_normal(shape).astype(np.float32)
    made = node("sum", x, axis=axis, keepdims=False)
    code = emit(made, OPENCL, tile_of(made, target[1]), starts=True)
    (first,), (second,) = (compute(target[0], made, code, x) for _ in "12")
    np.testing.assert_array_equal(first, second)
    np.testing.assert_allclose(first, x.astype(np.float64).sum(axis), rtol=1e-4, atol=2e-3)
    if target[1].cpu:
        assert len(code.launches) == 2


def test_splits_follow_from_shapes_alone(intel, node):
    """Two cores and sixty-four add in the same order."""
    few = intel.place.traits
    many = replace(few, units=64)
    for shape, axis in SHAPES:
        made = node("sum", np.zeros(shape, np.float32), axis=axis, keepdims=False)
        tiles = [tile_of(made, t) for t in (few, many)]
        assert all(isinstance(t, SpanReductionTile) for t in tiles)
        assert tiles[0] == tiles[1]
