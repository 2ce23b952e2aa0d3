"""Convolutions and their gradients: ways to cut them, edges, phases of strides, what follows in the same kernel."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from kcore.dtypes import numpy_dtype
from kcore.graph.core import Graph, Node
from kcore.graph.fuse import join_nodes
from kcore.graph.fuse_product import FUSED_PRODUCT
from kcore.graph.op import OPS, Spec
from kcore.kernels.convolutions import candidates, emit, supports
from kcore.kernels.convolutions.geometry import backward
from kcore.kernels.convolutions.gpu import Block
from kcore.kernels.convolutions.tiling import Patch, Strip
from kcore.kernels.convolutions.winograd_tiles import Tiles
from kcore.ops.windows import out_sizes


def _attrs(rank: int = 2, strides=None, padding=None, dilation=None, groups: int = 1) -> dict[str, Any]:
    return {
        "strides": strides or (1,) * rank,
        "padding": padding or ((0, 0),) * rank,
        "dilation": dilation or (1,) * rank,
        "groups": groups,
    }


_SAME = ((1, 1), (1, 1))
#: (input shape, kernel shape, attributes)
CASES = {
    "3x3": ((2, 9, 21, 5), (3, 3, 5, 33), _attrs(padding=_SAME)),
    "stride 2": ((2, 8, 13, 16), (3, 3, 16, 32), _attrs(strides=(2, 2), padding=((0, 1), (1, 1)))),
    "1x1 stride 2": ((2, 7, 6, 17), (1, 1, 17, 20), _attrs(strides=(2, 2))),
    "1x1": ((3, 5, 7, 18), (1, 1, 18, 40), _attrs()),
    "dilated": ((1, 9, 12, 3), (3, 2, 3, 10), _attrs(dilation=(2, 3), padding=((2, 1), (3, 3)))),
    "stride and dilation": ((1, 11, 12, 2), (3, 3, 2, 4), _attrs(strides=(3, 2), dilation=(2, 3), padding=_SAME)),
    "groups": ((2, 5, 6, 6), (3, 3, 3, 50), _attrs(groups=2, padding=_SAME)),
    "depthwise": ((2, 6, 9, 19), (3, 3, 1, 19), _attrs(groups=19, strides=(1, 2), padding=_SAME)),
    "depth multiplier": ((2, 5, 6, 3), (3, 3, 1, 6), _attrs(groups=3)),
    "1D": ((2, 40, 3), (5, 3, 18), _attrs(1, padding=((4, 0),))),
    "1D, wide window": ((2, 50, 2), (14, 2, 5), _attrs(1, padding=((6, 7),))),
    "3D": ((1, 4, 5, 6, 3), (2, 3, 2, 3, 7), _attrs(3, strides=(1, 2, 1), padding=((0, 1), (1, 1), (0, 0)))),
    "more padding than image": ((1, 3, 3, 2), (3, 3, 2, 3), _attrs(padding=((5, 4), (4, 5)))),
    "no images": ((0, 5, 5, 2), (3, 3, 2, 3), _attrs()),
}


def _operands(op: str, case: tuple, dtype: str = "float32") -> tuple[list[np.ndarray], dict[str, Any]]:
    """Small whole numbers, whose products and sums are exact in every dtype."""
    x, kernel, attrs = case
    sizes = out_sizes(x[1:-1], kernel[:-2], attrs["strides"], attrs["padding"], attrs["dilation"], op)
    y = (x[0], *sizes, kernel[-1])
    shapes = {"conv": (x, kernel), "conv_input_grad": (y, kernel), "conv_kernel_grad": (x, y)}[op]
    more = {"conv": {}, "conv_input_grad": {"input_shape": x}, "conv_kernel_grad": {"kernel_shape": kernel}}[op]
    rng = np.random.default_rng(0)
    return [rng.integers(-2, 3, s).astype(numpy_dtype(dtype)) for s in shapes], {**attrs, **more}


def _check(device, compute, node, traits, op: str, case: tuple, dtype: str = "float32", tiling=None) -> None:
    operands, attrs = _operands(op, case, dtype)
    made = node(op, *operands, **attrs)
    assert supports(made)
    (got,) = compute(device, made, emit(made, traits, tiling), *operands)
    expected = OPS[op].fn(*(a.astype("float64") for a in operands), **attrs)
    np.testing.assert_array_equal(got.astype("float64"), expected, f"{op} cut by {tiling}")


@pytest.mark.parametrize("op", ["conv", "conv_input_grad", "conv_kernel_grad"])
@pytest.mark.parametrize("case", CASES)
def test_results_are_exact(target, compute, node, op, case):
    device, traits = target
    _check(device, compute, node, traits, op, CASES[case])


@pytest.mark.parametrize("dtype", ["float64", "float16", "bfloat16"])
@pytest.mark.parametrize("op", ["conv", "conv_input_grad", "conv_kernel_grad"])
def test_dtypes(target, compute, node, op, dtype):
    device, traits = target
    case = ((1, 4, 5, 3), (3, 2, 3, 18), _attrs(padding=((1, 1), (0, 1))))  # sums that 8 bits hold
    operands, attrs = _operands(op, case, dtype)
    made = node(op, *operands, **attrs)
    (got,) = compute(device, made, emit(made, traits), *operands)
    expected = OPS[op].fn(*(a.astype("float64") for a in operands), **attrs).astype(got.dtype)
    np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("op", ["conv", "conv_input_grad"])
def test_every_strip_gives_the_same(intel, compute, node, op):
    traits, case = intel.place.traits, ((1, 4, 29, 3), (3, 3, 3, 36), _attrs(padding=_SAME))
    for pixels, vectors, lanes, unrolled in [(1, 1, 16, True), (7, 2, 16, True), (10, 3, 16, False), (29, 1, 8, True)]:
        strip = Strip(pixels, vectors, lanes, unrolled, each=3)
        _check(intel, compute, node, traits, op, case, tiling=(strip,))


_WINOGRAD = {
    "same": ((2, 9, 21, 16), (3, 3, 16, 32), _attrs(padding=_SAME)),
    "valid, even": ((3, 10, 8, 32), (3, 3, 32, 16), _attrs()),
    "valid, odd": ((1, 9, 5, 16), (3, 3, 16, 96), _attrs()),
    "one row": ((2, 1, 7, 16), (3, 3, 16, 16), _attrs(padding=_SAME)),
    "padding to one side": ((1, 6, 6, 16), (3, 3, 16, 16), _attrs(padding=((2, 0), (0, 2)))),
}


@pytest.mark.parametrize("op", ["conv", "conv_input_grad", "conv_kernel_grad"])
@pytest.mark.parametrize("case", _WINOGRAD)
def test_winograd_is_exact_where_all_sums_are(device, compute, node, op, case):
    operands, attrs = _operands(op, _WINOGRAD[case])
    offered = [t for t in candidates(node(op, *operands, **attrs), device.place.traits) if isinstance(t[0], Tiles)]
    assert offered
    few = 9 if op == "conv_kernel_grad" else 2 * offered[-1][0].rows
    for tiling in [offered[0], (replace(offered[-1][0], count=few),)]:
        _check(device, compute, node, device.place.traits, op, _WINOGRAD[case], tiling=tiling)


@pytest.mark.parametrize("op", ["conv", "conv_input_grad", "conv_kernel_grad"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_winograd_rounds_little(intel, compute, node, op, dtype):
    """Within what the op's tolerance allows a direct convolution, with numbers that are no integers."""
    operands, attrs = _operands(op, ((2, 13, 14, 64), (3, 3, 64, 64), _attrs(padding=_SAME)), dtype)
    rng = np.random.default_rng(1)
    operands = [rng.standard_normal(a.shape).astype(dtype) for a in operands]
    made = node(op, *operands, **attrs)
    tiling = next(t for t in candidates(made, intel.place.traits) if isinstance(t[0], Tiles))
    (got,) = compute(intel, made, emit(made, intel.place.traits, tiling), *operands)
    expected = OPS[op].fn(*(a.astype("float64") for a in operands), **attrs)
    tolerance = OPS[op].tolerance[dtype]
    scale = np.abs(expected).max()
    np.testing.assert_allclose(got / scale, expected / scale, rtol=tolerance[0], atol=tolerance[1])


def test_winograd_is_taken_where_there_is_much_to_do(intel, node):
    def default(case):
        operands, attrs = _operands("conv", case)
        return candidates(node("conv", *operands, **attrs), intel.place.traits)[0][0]

    assert isinstance(default(((16, 26, 26, 32), (3, 3, 32, 64), _attrs())), Tiles)
    assert isinstance(default(((1, 8, 8, 32), (3, 3, 32, 64), _attrs())), Strip), "few tiles"
    assert isinstance(default(((16, 26, 26, 32), (3, 3, 32, 40), _attrs())), Strip), "part of a vector"
    assert isinstance(default(((16, 26, 26, 32), (3, 3, 32, 64), _attrs(strides=(2, 2)))), Strip), "strides"


@pytest.mark.parametrize("case", ["3x3", "groups", "depthwise", "1D"])
def test_every_patch_gives_the_same(intel, compute, node, case):
    for channels, vectors, row, rows, pixels, splits in [(1, 1, False, 1, 4, 1), (2, 2, True, 2, 9, 3)]:
        patch = Patch(channels, vectors, 16, row, rows, pixels, splits)
        _check(intel, compute, node, intel.place.traits, "conv_kernel_grad", CASES[case], tiling=(patch,))


@pytest.mark.parametrize("op", ["conv", "conv_input_grad", "conv_kernel_grad"])
@pytest.mark.parametrize("block", [Block(32, 64), Block(128, 16), Block(128, 32, splits=3)])
def test_every_block_of_a_gpu_gives_the_same(intel, compute, node, gpu, op, block):
    _check(intel, compute, node, gpu, op, CASES["3x3"], tiling=(block,))


def test_candidates_begin_with_the_default_and_differ(intel, node):
    operands, attrs = _operands("conv", CASES["3x3"])
    made = node("conv", *operands, **attrs)
    offered = candidates(made, intel.place.traits)
    assert len(offered) > 4
    assert len(set(offered)) == len(offered)


def test_narrow_registers_get_small_tiles(intel, node):
    operands, attrs = _operands("conv", CASES["3x3"])
    for (strip,) in candidates(node("conv", *operands, **attrs), replace(intel.place.traits, vector=8)):
        assert strip.lanes == 8
        assert strip.pixels * strip.vectors < 16


def test_phases_of_a_strided_gradient_cover_every_position_once():
    attrs = _attrs(strides=(3, 2), dilation=(2, 1), padding=((1, 2), (0, 1)))
    seen = np.zeros((10, 11), int)
    for walk in backward((1, 10, 11, 2), (3, 3, 2, 4), (1, 3, 5, 4), attrs):
        rows, columns = walk.axes
        seen[rows.place :: rows.every, columns.place :: columns.every] += 1
    assert (seen == 1).all()


def _fused(op: str, arrays: list[np.ndarray], attrs: dict[str, Any], follow) -> Node:
    """A convolution with elementwise work behind it, as one node."""
    graph = Graph()
    values = [graph.placeholder(a.shape, a.dtype.name) for a in arrays]

    def apply(name: str, *operands, **attributes):
        spec = OPS[name].infer(*[v.spec for v in operands], **attributes)
        specs = [spec] if isinstance(spec, Spec) else spec
        return graph.add(Node(OPS[name], operands, attributes, specs, "model/conv"))[0]

    outs = follow(apply, apply(op, *values[:2], **attrs), *values[2:])
    return join_nodes(FUSED_PRODUCT, graph.nodes, outs, graph.nodes[0])


@pytest.mark.parametrize("case", ["3x3", "stride 2", "1x1", "groups", "depthwise"])
@pytest.mark.parametrize("op", ["conv", "conv_input_grad"])
def test_what_follows_joins_the_kernel(target, compute, op, case):
    device, traits = target
    operands, attrs = _operands(op, CASES[case])
    result = OPS[op].fn(*operands, **attrs)
    rng = np.random.default_rng(1)
    bias, other = (rng.integers(-3, 4, s).astype("float32") for s in (result.shape[-1:], result.shape))

    def follow(apply, total, bias, other):
        shifted = apply("add", total, bias)
        return [shifted, apply("maximum", apply("multiply", shifted, other), bias)]

    made = _fused(op, [*operands, bias, other], attrs, follow)
    assert supports(made)
    first, second = compute(device, made, emit(made, traits), *operands, bias, other)
    np.testing.assert_array_equal(first, result + bias)
    np.testing.assert_array_equal(second, np.maximum((result + bias) * other, bias))


def test_generated_text(intel, node, golden, gpu):
    shapes = {
        "conv": ("conv", ((64, 16, 16, 32), (3, 3, 32, 32), _attrs(padding=_SAME)), Strip(8, 2, 16, True, 28)),
        "conv_kernel_grad": (
            "conv_kernel_grad",
            ((64, 8, 8, 64), (3, 3, 64, 64), _attrs(padding=_SAME)),
            Patch(6, 2, 16, False, 8, 8, 4),
        ),
    }
    for name, (op, case, tile) in shapes.items():
        operands, attrs = _operands(op, case)
        golden(f"{name}.cl", emit(node(op, *operands, **attrs), intel.place.traits, (tile,)))
    operands, attrs = _operands("conv", CASES["3x3"])
    golden("conv_gpu.cl", emit(node("conv", *operands, **attrs), gpu, (Block(64, 32),)))
