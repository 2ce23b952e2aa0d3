"""Gathers and scatters on the device: rows and elements, indices beyond, sums in order."""

from __future__ import annotations

import numpy as np
import pytest

from kcore.kernels.indexing import emit_gather, emit_scatter_add, emit_take_along


@pytest.fixture
def device(target):
    return target[0]


@pytest.fixture
def traits(target):
    return target[1]


@pytest.fixture
def draw():
    return np.random.default_rng(0)


@pytest.mark.parametrize("shape", [(50, 3, 35), (6, 40, 1)])
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "bool"])
def test_gather_along_any_axis(shape, dtype, device, traits, node, compute, draw):
    x = draw.integers(0, 100, shape).astype(dtype)
    for axis, size in enumerate(shape):
        indices = draw.integers(0, size, (4, 7)).astype(np.int32)
        made = node("gather", x, indices, axis=axis)
        (y,) = compute(device, made, emit_gather(made, traits), x, indices)
        np.testing.assert_array_equal(y, np.take(x, indices, axis))


@pytest.mark.parametrize("dtype", ["int8", "int32", "int64", "uint32", "uint64"])
@pytest.mark.parametrize("inner", [1, 64])
def test_indices_beyond_are_clipped(dtype, inner, device, traits, node, compute, draw):
    x = draw.standard_normal((9, inner)).astype(np.float32)
    info = np.iinfo(dtype)
    indices = np.array([info.min, 0, 8, 9, info.max], dtype)
    made = node("gather", x, indices, axis=0)
    (y,) = compute(device, made, emit_gather(made, traits), x, indices)
    np.testing.assert_array_equal(y, x[[0, 0, 8, 8, 8]])


@pytest.mark.parametrize(
    ("shape", "picked", "axis"),
    [((3, 5), (3, 1), 1), ((3, 5), (1, 5), 0), ((2, 4, 3), (2, 7, 3), 1), ((2, 4, 3), (1, 4, 1), 1), ((70,), (9,), 0)],
)
def test_take_along_axis(shape, picked, axis, device, traits, node, compute, draw):
    x = draw.standard_normal(shape).astype(np.float32)
    indices = draw.integers(0, shape[axis], picked)
    made = node("take_along_axis", x, indices, axis=axis)
    (y,) = compute(device, made, emit_take_along(made, traits), x, indices)
    full = np.broadcast_to(indices, made.outputs[0].shape)
    np.testing.assert_array_equal(y, np.take_along_axis(x, full, axis))


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "int8"])
def test_scatter_adds_in_order(dtype, device, traits, node, compute, draw):
    for lead, count, tail, size in (
        ((), 700, (17,), 40),
        ((), 300, (), 9),
        ((3,), 65, (5,), 200),
        ((2, 2), 10, (64,), 3),
        ((), 3, (33,), 500),
    ):
        check_scatter(lead, count, tail, size, dtype, device, traits, node, compute, draw)


def check_scatter(lead, count, tail, size, dtype, device, traits, node, compute, draw):
    indices = draw.integers(-1, size + 1, count).astype(np.int32)  # those beyond are clipped
    updates = draw.integers(-3, 4, (*lead, count, *tail)).astype(dtype)
    made = node("scatter_add", indices, updates, axis=len(lead), size=size)
    (y,) = compute(device, made, emit_scatter_add(made, traits), indices, updates)
    np.testing.assert_array_equal(y, made.op.fn(indices, updates, axis=len(lead), size=size))


def test_a_scatter_gives_the_same_bits_every_time(device, traits, node, compute, draw):
    indices = draw.integers(0, 5, 3000)
    updates = draw.standard_normal((3000, 20)).astype(np.float32)
    made = node("scatter_add", indices, updates, axis=0, size=5)
    code = emit_scatter_add(made, traits)
    first, second = (compute(device, made, code, indices, updates)[0] for _ in range(2))
    expected = np.zeros((5, 20), np.float32)
    np.add.at(expected, indices, updates)  # the same order of additions, so the same bits
    np.testing.assert_array_equal(first, expected)
    np.testing.assert_array_equal(second, expected)


def test_nothing_to_add_gives_zeros(device, traits, node, compute):
    indices, updates = np.zeros(0, np.int32), np.zeros((0, 33), np.float32)
    made = node("scatter_add", indices, updates, axis=0, size=7)
    (y,) = compute(device, made, emit_scatter_add(made, traits), indices, updates)
    np.testing.assert_array_equal(y, np.zeros((7, 33)))


def test_generated_text(intel, gpu, node, golden):
    table, indices = np.zeros((20000, 128), np.float32), np.zeros((32, 80), np.int32)
    made = node("gather", table, indices, axis=0)
    golden("gather.cl", emit_gather(made, intel.place.traits))
    golden("gather_gpu.cl", emit_gather(made, gpu))
    made = node("scatter_add", indices, np.zeros((32, 80, 128), np.float32), axis=0, size=20000)
    golden("scatter_add.cl", emit_scatter_add(made, intel.place.traits))
    golden("scatter_add_gpu.cl", emit_scatter_add(made, gpu))
    x, labels = np.zeros((32, 10), np.float32), np.zeros((32, 1), np.int32)
    golden("take_along_axis.cl", emit_take_along(node("take_along_axis", x, labels, axis=1), gpu))
