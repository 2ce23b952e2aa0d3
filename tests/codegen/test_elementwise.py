"""Fused elementwise groups on a device: broadcasting, strides, outputs, segments, tiles, odd and zero sizes."""

from __future__ import annotations

import numpy as np
import pytest

from kcore.codegen import CUDA, OPENCL, ReductionTile, SpanTile, Tile, emit
from kcore.graph.fuse import fuse_elementwise, fuse_segments

#: Work-items side by side, and work-items that go along rows.
TILES = [None, SpanTile(4, 64)]


@pytest.mark.parametrize("tile", TILES, ids=["lanes", "spans"])
@pytest.mark.parametrize(
    ("shape", "other"),
    [((3, 4), (3, 4)), ((3, 4), (4,)), ((3, 4), (3, 1)), ((2, 1, 5), (3, 1)), ((31, 33), ()), ((5, 1, 7), (5, 6, 1)),
     ((2, 3, 4, 5), (3, 1, 5)), ((1,), (1, 1)), ((257,), (1,)), ((0, 3), (3,)), ((4, 2, 3), (4, 1, 1)),
     ((3, 130), (130,)), ((130, 7), (130, 1)), ((5, 4, 70), (5, 1, 70))],
)  # fmt: skip
def test_operands_broadcast(shape, other, tile, build, agree, draw):
    x, b = build.input(*shape), build.input(*other)
    node = build.fused(build("multiply", build("add", x, b), 2.0))
    agree(node, [draw(*shape), draw(*other)], tile)


@pytest.mark.parametrize("tile", TILES, ids=["lanes", "spans"])
def test_several_outputs_of_different_dtypes(tile, build, agree, draw):
    x, b = build.input(17, 9), build.input(9)
    y = build("add", x, b)
    positive = build("greater", y, 0.0)
    node = build.fused(y, positive, build("where", positive, y, 0.0))
    agree(node, [draw(17, 9), draw(9)], tile)


@pytest.mark.parametrize("n", [1, 15, 16, 17, 63, 64, 65, 255, 257, 1000])
def test_sizes_around_the_tile_edges(n, build, agree, draw):
    node = build.fused(build("add", build("exp", build.input(n)), 1.0))
    agree(node, [draw(n)], Tile(16, 4))


@pytest.mark.parametrize("tile", [Tile(16), Tile(16, 3), Tile(16, 1, 4), Tile(16, 2, 2), Tile(8, 3, 4)])
@pytest.mark.parametrize("n", [1, 64, 127])
def test_vectors_and_turns(tile, n, build, agree, draw):
    x, s, y = build.input(n), build.input(), build.input(n)
    node = build.fused(build("tanh", build("add", build("multiply", x, s), y)))
    if tile.vector > 1:
        assert f"vload{tile.vector}" in emit(node, OPENCL, tile).launches[0].text
    agree(node, [draw(n), draw(), draw(n)], tile)


def test_a_broadcast_operand_is_not_loaded_as_a_vector(build, agree, draw):
    node = build.fused(build("add", build.input(8, 4), build.input(4)))
    assert "vload" not in emit(node, OPENCL, Tile(16, 1, 4)).launches[0].text
    agree(node, [draw(8, 4), draw(4)], Tile(16, 1, 4))


@pytest.mark.parametrize("tile", TILES, ids=["lanes", "spans"])
def test_strided_inputs_are_index_maps(tile, build, device, draw):
    """A transposed and a sliced operand are read where they lie."""
    node = build.fused(build("subtract", build.input(6, 5), build.input(6, 5)))
    first, second = draw(5, 6), draw(6, 10)
    (got,) = device.run(node, [first, second], tile, strides=[(1, 6), (10, 2)])
    np.testing.assert_allclose(got, first.T - second[:, ::2], rtol=2e-6)


@pytest.mark.parametrize("tile", TILES, ids=["lanes", "spans"])
def test_arrays_may_begin_inside_their_buffers(tile, build, agree, draw):
    node = build.fused(build("add", build.input(6, 5), build.input(5)))
    agree(node, [draw(6, 5), draw(5)], tile, starts=3)


def test_a_single_op_needs_no_fusion(build, agree, draw):
    build("maximum", build.input(33), 0.25)
    agree(build.graph.nodes[0], [draw(33)])


@pytest.mark.parametrize("tile", TILES, ids=["lanes", "spans"])
def test_half_precision_is_computed_in_single(tile, build, device, draw):
    x, b = build.input(40, dtype="float16"), build.input(40, dtype="bfloat16")
    y = build("add", build("cast", x, dtype="float32"), build("cast", b, dtype="float32"))
    node = build.fused(build("cast", y, dtype="float16"), build("cast", y, dtype="bfloat16"))
    first, second = draw(40, dtype="float16"), draw(40, dtype="bfloat16")
    total = first.astype(np.float32) + second.astype(np.float32)
    half, brain = device.run(node, [first, second], tile)
    np.testing.assert_array_equal(half, total.astype(np.float16))
    np.testing.assert_array_equal(brain.astype(np.float32), total.astype(second.dtype).astype(np.float32))


class Weight:
    """As much of a variable as a graph needs."""

    def __init__(self, *shape):
        self.shape, self.dtype = shape, "float32"


def updates(build, shapes):
    """The one node an optimizer step of arrays of these shapes becomes: velocity and weight from gradient and rate."""
    graph = build.graph
    rate = build.input()
    for shape in shapes:
        weight, velocity = Weight(*shape), Weight(*shape)
        moved = build(
            "subtract", build("multiply", graph.variable(velocity), 0.9), build("multiply", build.input(*shape), rate)
        )
        graph.updates[velocity] = moved
        graph.updates[weight] = build("add", graph.variable(weight), moved)
    fuse_elementwise(graph, lambda n: n.op.elementwise)
    fuse_segments(graph)
    (node,) = graph.nodes
    assert node.attrs["segments"] == len(shapes)
    return node


SHAPES = [(4, 5), (5,), (1,), (300,), (3, 1)]


@pytest.mark.parametrize("bases", [1, 3])
@pytest.mark.parametrize("tile", [Tile(16), Tile(32, 2), Tile(16, 2, 4), SpanTile(4, 64), SpanTile(16, 50)])
def test_one_launch_updates_many_arrays(tile, bases, build, agree, draw):
    node = updates(build, SHAPES)
    code = emit(node, OPENCL, tile, bases=bases)
    assert len(code.launches) == 1
    assert code.launches[0].groups == sum(-(-np.prod(s, dtype=int) // tile.block) for s in SHAPES)
    agree(node, [draw(*v.shape) for v in node.inputs], tile, bases=bases)


def test_segments_without_elements_are_passed_over(build, agree, draw):
    node = updates(build, [(7,), (0,), (0, 4), (9, 3)])
    agree(node, [draw(*v.shape) for v in node.inputs], Tile(16))


def test_cuda_segments_are_found_by_address(build):
    source = emit(updates(build, SHAPES), CUDA).launches[0]
    assert not [a for a in source.arguments if a.kind == "base"]
    table = source.table([[1000 * s + k for k in range(len(row))] for s, row in enumerate(source.operands)])
    assert table.shape == (len(SHAPES), 2 + 5)
    np.testing.assert_array_equal(table[:, 1], [20, 5, 1, 300, 3])
    np.testing.assert_array_equal(table[3], [3, 300, 3000, 3001, 3002, 3003, 3004])


def test_segments_must_be_contiguous(build):
    node = updates(build, SHAPES)
    with pytest.raises(ValueError, match="must be contiguous"):
        emit(node, OPENCL, strides=[(1,)] * len(node.inputs))


def test_sizes_are_arguments_so_that_one_program_serves_all(new):
    """Batches of 32 and 20 through two layers are one compiled kernel, named after each layer."""

    def source(batch, path):
        build = new()
        build.path = path
        return emit(build.fused(build("tanh", build("add", build.input(batch, 8), build.input(8)))), OPENCL).launches[0]

    first, second = source(32, "model/dense"), source(20, "model/dense_1")
    assert (first.name, second.name) == ("dense_add_tanh", "dense_1_add_tanh")
    assert "// model/dense_1: add, tanh" in second.text
    assert first.key == second.key


def test_indices_are_64_bit_only_where_they_must_be(new):
    def source(rows):
        build = new()
        return emit(build.fused(build("add", build.input(rows, 1 << 10), build.input(1 << 10))), OPENCL).launches[0]

    assert "const int n" in source(1 << 20).text
    large = source(1 << 21)
    assert "const long n" in large.text and "const int" not in large.text
    assert large.argument_bytes == 3 * 8 + 2 * 8


def test_a_tile_of_the_wrong_kind_is_refused(build):
    node = build.fused(build("exp", build.input(3)))
    with pytest.raises(ValueError, match="ReductionTile.*'exp'"):
        emit(node, OPENCL, ReductionTile())
    with pytest.raises(ValueError, match="cuda has no wide vectors"):
        emit(node, CUDA, SpanTile())
    with pytest.raises(ValueError, match="vector of 1, 2 or 4"):
        Tile(16, 1, 3)
    with pytest.raises(ValueError, match="vector of 4, 8 or 16"):
        SpanTile(5)
