"""Reductions on a device: every kind of axes, reducers and dtypes, prologue and epilogue, tiles, splits."""

from __future__ import annotations

import numpy as np
import pytest

from kcore.codegen import CUDA, OPENCL, ReductionTile, SpanReductionTile, Tile, can_emit, emit

LOOSE = {"rtol": 1e-5, "atol": 1e-5}

#: Shape, axes: trailing, leading, all, both ends, the middle, single elements, odd sizes.
AXES = [
    ((33, 17), (1,)),
    ((33, 17), (0,)),
    ((33, 17), (0, 1)),
    ((2, 3, 5), (0, 2)),
    ((5, 16, 3), (0, 1)),
    ((4, 5, 6), (1,)),
    ((7, 1, 9), (1,)),
    ((3, 700), (1,)),
    ((700, 3), (0,)),
    ((1,), (0,)),
    ((2, 3, 4, 5), (1, 3)),
    ((3, 2, 7, 6), (0, 2)),
]


#: Lanes that join in a tree, and work-items that go along rows.
TILES = [None, SpanReductionTile(4, 2, 3)]


@pytest.mark.parametrize("tile", TILES, ids=["lanes", "spans"])
@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize(("shape", "axis"), AXES)
def test_sum_over_axes(shape, axis, keepdims, tile, build, agree, draw):
    build("sum", build.input(*shape), axis=axis, keepdims=keepdims)
    agree(build.graph.nodes[0], [draw(*shape)], tile, **LOOSE)


@pytest.mark.parametrize("axis", [(0,), (1,)])
@pytest.mark.parametrize("tile", TILES, ids=["lanes", "spans"])
@pytest.mark.parametrize(
    ("name", "dtype"),
    [("sum", "float32"), ("sum", "float64"), ("sum", "int32"), ("sum", "int64"), ("max", "float32"), ("max", "int32"),
     ("min", "float64"), ("min", "int64"), ("prod", "float32"), ("prod", "int32"), ("any", "bool"), ("all", "bool"),
     ("max", "bool"), ("min", "uint8")],
)  # fmt: skip
def test_reducers_and_dtypes(name, dtype, tile, axis, build, agree, draw):
    build(name, build.input(9, 13, dtype=dtype), axis=axis, keepdims=False)
    array = draw(9, 13, dtype=dtype)
    if dtype == "bool":
        array[:2], array[2:4] = True, False
    agree(build.graph.nodes[0], [array], tile, **LOOSE)


@pytest.mark.parametrize("tile", TILES, ids=["lanes", "spans"])
@pytest.mark.parametrize("name", ["max", "min", "sum"])
def test_nan_wins_in_every_lane(name, tile, build, agree, draw):
    build(name, build.input(64, 64), axis=(1,), keepdims=False)
    array = draw(64, 64)
    np.fill_diagonal(array, np.nan)
    array[5:9] = np.inf
    agree(build.graph.nodes[0], [array], tile, **LOOSE)


@pytest.mark.parametrize(
    "tile",
    [ReductionTile(1, 1, 1), ReductionTile(1, 16, 4), ReductionTile(16, 1, 1), ReductionTile(8, 4, 2),
     ReductionTile(4, 4, 4, 3), ReductionTile(16, 2, 1, 5), SpanReductionTile(16, 1, 4), SpanReductionTile(8, 4, 5),
     SpanReductionTile(4, 4, 16, 3), SpanReductionTile(4, 2, 100, 7)],
)  # fmt: skip
@pytest.mark.parametrize(("shape", "axis"), [((19, 131), (1,)), ((131, 19), (0,))])
def test_tiles_and_splits(tile, shape, axis, build, agree, draw):
    x = build.input(*shape)
    total = build("sum", build("multiply", x, x), axis=axis, keepdims=False)
    node = build.fused(build("sqrt", total), reductions=True)
    assert len(emit(node, OPENCL, tile).launches) == (1 if tile.splits == 1 else 2)
    agree(node, [draw(*shape)], tile, **LOOSE)


@pytest.mark.parametrize("tile", [ReductionTile(2, 2, 2, 9), SpanReductionTile(4, 2, 1, 9)])
@pytest.mark.parametrize("axis", [(0,), (1,)])
def test_more_splits_than_elements(axis, tile, build, agree, draw):
    build("sum", build.input(3, 5), axis=axis, keepdims=False)
    agree(build.graph.nodes[0], [draw(3, 5)], tile, **LOOSE)


@pytest.mark.parametrize("tile", TILES, ids=["lanes", "spans"])
def test_softmax_denominator_with_shift_and_escaping_exponentials(tile, build, agree, draw):
    x, top = build.input(21, 10), build.input(21, 1)
    e = build("exp", build("subtract", x, top))
    node = build.fused(e, build("sum", e, axis=(1,), keepdims=True), reductions=True)
    array = draw(21, 10)
    agree(node, [array, array.max(1, keepdims=True)], tile, **LOOSE)


@pytest.mark.parametrize("tile", [*TILES, SpanReductionTile(4, 1, 2, 3)], ids=["lanes", "spans", "splits"])
@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("axis", [(0,), (1,), (2,), (0, 2)])
def test_epilogue_with_operands_of_its_own(axis, keepdims, tile, build, agree, draw):
    """Mean, scaled and shifted by arrays that broadcast against the result; one operand serves both sides."""
    x, s = build.input(6, 5, 4), build.input()
    total = build("sum", build("multiply", x, s), axis=axis, keepdims=keepdims)
    last = total.shape[-1:]
    offset = build.input(*last)
    node = build.fused(build("add", build("multiply", build("multiply", total, 0.25), s), offset), reductions=True)
    agree(node, [draw(6, 5, 4), draw(), draw(*last)], tile, **LOOSE)


@pytest.mark.parametrize("tile", TILES, ids=["lanes", "spans"])
@pytest.mark.parametrize("axis", [(0,), (1,)])
def test_prologue_that_broadcasts_along_the_reduced_axis(axis, tile, build, agree, draw):
    x, b, w = build.input(8, 31), build.input(31), build.input(8, 1)
    y = build("multiply", build("add", x, b), w)
    node = build.fused(y, build("max", y, axis=axis, keepdims=False), reductions=True)
    agree(node, [draw(8, 31), draw(31), draw(8, 1)], tile)


def test_what_has_no_meaning_on_vectors_runs_one_by_one(build, agree, draw):
    """Integer powers before a reduction, and a remainder after it."""
    x = build.input(9, 24, dtype="int32")
    total = build("sum", build("power", x, 3), axis=(0,), keepdims=False)
    node = build.fused(build("mod", total, 7), reductions=True)
    assert "int4" not in emit(node, OPENCL, SpanReductionTile(4, 2, 8)).launches[0].text
    agree(node, [draw(9, 24, dtype="int32")], SpanReductionTile(4, 2, 8))


def test_an_epilogue_without_vectors_follows_a_sum_with_them(build, agree, draw):
    x = build.input(9, 24, dtype="int32")
    node = build.fused(build("mod", build("sum", x, axis=(0,), keepdims=False), 7), reductions=True)
    text = emit(node, OPENCL, SpanReductionTile(4, 2, 24)).launches[0].text
    assert "int4 acc0" in text and "pymod_int(totals[lane]" in text
    agree(node, [draw(9, 24, dtype="int32")], SpanReductionTile(4, 2, 24))


@pytest.mark.parametrize("tile", TILES, ids=["lanes", "spans"])
def test_strided_input(tile, build, device, draw):
    build("sum", build.input(6, 5), axis=(1,), keepdims=False)
    array = draw(5, 6)
    (got,) = device.run(build.graph.nodes[0], [array], tile, strides=[(1, 6)])
    np.testing.assert_allclose(got, array.sum(0), rtol=1e-5)


@pytest.mark.parametrize(
    "tile",
    [ReductionTile(4, 2, 1), ReductionTile(4, 2, 1, 4), SpanReductionTile(4, 2), SpanReductionTile(4, 2, 2, 4)],
)
@pytest.mark.parametrize("axis", [(0,), (1,)])
def test_arrays_may_begin_inside_their_buffers(axis, tile, build, agree, draw):
    node = build.fused(build("exp", build("sum", build.input(6, 50), axis=axis, keepdims=False)), reductions=True)
    agree(node, [draw(6, 50, low=0.0, high=0.1)], tile, starts=5, **LOOSE)


@pytest.mark.parametrize("tile", TILES, ids=["lanes", "spans"])
def test_a_prologue_escapes_a_reduction_over_one_element(tile, build, agree, draw):
    e = build("exp", build.input(5, 1))
    node = build.fused(e, build("sum", e, axis=(1,), keepdims=False), reductions=True)
    agree(node, [draw(5, 1)], tile)


@pytest.mark.parametrize("tile", TILES, ids=["lanes", "spans"])
@pytest.mark.parametrize(("shape", "axis"), [((2, 0), (1,)), ((0, 3), (0,)), ((0, 3), (1,)), ((0,), (0,))])
def test_no_elements(shape, axis, tile, build, agree):
    """An empty sum is 0, and a result without elements launches nothing."""
    node = build.fused(build("add", build("sum", build.input(*shape), axis=axis, keepdims=False), 1.5), reductions=True)
    agree(node, [np.zeros(shape, np.float32)], tile)


def test_a_long_sum_is_split_and_always_the_same(build, device, draw):
    build("sum", build.input(300_000), axis=(0,), keepdims=False)
    node, array = build.graph.nodes[0], draw(300_000)
    assert len(emit(node, OPENCL).launches) == 2
    (first,), (second,) = device.run(node, [array]), device.run(node, [array])
    assert first == second
    np.testing.assert_allclose(first, array.astype(np.float64).sum(), rtol=1e-5, atol=1e-3)


@pytest.mark.parametrize("tile", [*TILES, SpanReductionTile(16, 2, 1, 4)], ids=["lanes", "spans", "splits"])
def test_half_precision_is_summed_in_single(tile, build, device):
    """4096 halves of 1 + 2^-10 summed in half would stop growing at 2048."""
    build("sum", build.input(4096, dtype="float16"), axis=(0,), keepdims=False)
    array = np.full(4096, 1 + 2**-10, np.float16)
    (got,) = device.run(build.graph.nodes[0], [array], tile)
    assert got == np.float16(array.astype(np.float64).sum())


def test_what_has_no_source_is_said_so(build):
    x = build.input(3, 4)
    build("argmax", x, axis=1, keepdims=False)
    build.path = "model/head"
    build("cumsum", x, axis=1)
    argmax, cumsum = build.graph.nodes
    assert not can_emit(argmax) and not can_emit(cumsum)
    with pytest.raises(ValueError, match="no source for reduction 'cumsum'.*layer 'model/head'"):
        emit(cumsum, CUDA)
    build("sum", x, axis=(1,), keepdims=False)
    with pytest.raises(ValueError, match="cut by a ReductionTile"):
        emit(build.graph.nodes[-1], CUDA, Tile())
    with pytest.raises(ValueError, match="powers of two"):
        ReductionTile(3)
    with pytest.raises(ValueError, match="cuda has no wide vectors: op 'sum'"):
        emit(build.graph.nodes[-1], CUDA, SpanReductionTile())
    with pytest.raises(ValueError, match="a vector of 4, 8 or 16"):
        SpanReductionTile(5)
