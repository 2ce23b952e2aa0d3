"""Draws in both dialects: they compile without warnings, and OpenCL's are the stream of docs/random.md."""

from __future__ import annotations

import numpy as np
import pyopencl as cl
import pytest

from kcore.codegen import CUDA, OPENCL
from kcore.codegen.philox import draw_of, emit_draw

CASES = [
    ("random_bits", {"shape": (300,), "width": 16, "below": 300}),
    ("random_bits", {"shape": (300,), "width": 32, "below": 10}),
    ("random_bits", {"shape": (300,), "width": 64, "below": 1 << 53}),
    ("random_uniform", {"shape": (300,), "dtype": "float16"}),
    ("random_uniform", {"shape": (300,), "dtype": "float64"}),
    ("random_integer", {"shape": (300,), "low": -3, "high": 9, "dtype": "int32"}),
    ("random_normal", {"shape": (301,), "dtype": "float32"}),
    ("dropout", {"rate": 0.25, "noise_shape": None}),
]
STATE = np.array([42, 1], np.uint32)


@pytest.fixture(params=CASES, ids=lambda case: f"{case[0]}-{case[1].get('width') or case[1].get('dtype')}")
def draw(request, new):
    name, attrs = request.param
    build = new()
    state = build.input(2, dtype="uint32")
    value = build(name, build.input(300), state, **attrs) if name == "dropout" else build(name, state, **attrs)
    return draw_of(value.node)


def test_cuda_compiles(draw, compile_cuda):
    compile_cuda(emit_draw(draw, CUDA).launches[0].text)


def test_opencl_compiles_without_warnings(draw, device):
    source = emit_draw(draw, OPENCL, starts=True).launches[0]
    cl.Program(device.context, source.text).build(["-Werror"])


@pytest.mark.parametrize("width", [16, 32, 64])
@pytest.mark.parametrize("local", [1, 16, 64])
def test_bits_do_not_depend_on_the_group(width, local, build, device):
    attrs = {"shape": (1001,), "width": width, "below": None}
    node = build("random_bits", build.input(2, dtype="uint32"), **attrs).node
    source = emit_draw(draw_of(node), OPENCL, local).launches[0]
    state, bits = device.buffer(STATE), device.buffer(np.zeros(1001, f"uint{width}"))
    device.kernel(source)(device.queue, (source.global_size,), (source.local,), state, bits, np.int32(1001))
    np.testing.assert_array_equal(device.fetch(bits, (1001,), f"uint{width}"), node.op.fn(STATE, **attrs))
