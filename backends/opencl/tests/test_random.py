"""Draws on the device: bit for bit the stream of docs/random.md, on CPUs by vectors, on GPUs by work-groups."""

from __future__ import annotations

import numpy as np
import pytest

from kcore.codegen import CUDA
from kcore.codegen.philox import draw_of, emit_draw
from kcore.kernels.philox import emit_random

STATE = np.array([42, 1], np.uint32)


@pytest.fixture
def device(target):
    return target[0]


@pytest.fixture
def traits(target):
    return target[1]


def drawn(device, traits, node, compute, made, *arrays, wanted=None):
    code = emit_random(draw_of(made, wanted), traits)
    return compute(device, made, code, *arrays, wanted=wanted)


@pytest.mark.parametrize(("width", "below"), [(16, None), (16, 300), (16, 1), (32, 10), (32, 1 << 24), (64, 1 << 53)])
def test_bits_are_those_of_the_definition(width, below, device, traits, node, compute):
    for n in (1, 15, 16, 17, 255, 256, 257, 1000, 4099):
        attrs = {"shape": (n,), "width": width, "below": below}
        made = node("random_bits", STATE, **attrs)
        (bits,) = drawn(device, traits, node, compute, made, STATE)
        np.testing.assert_array_equal(bits, made.op.fn(STATE, **attrs))


def test_bits_are_those_of_numpy(device, traits, node, compute):
    before = (2**64 - 1) % 2**256  # call number 1, block 0, stepped once
    philox = np.random.Philox(
        key=np.array([42, 0], np.uint64),
        counter=np.array([before >> 64 * i & 2**64 - 1 for i in range(4)], np.uint64),
    )
    made = node("random_bits", STATE, shape=(100,), width=64, below=None)
    (bits,) = drawn(device, traits, node, compute, made, STATE)
    np.testing.assert_array_equal(bits, philox.random_raw(100))


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "bfloat16"])
def test_uniform_draws_are_exact(dtype, device, traits, node, compute):
    made = node("random_uniform", STATE, shape=(7, 41), dtype=dtype)
    (values,) = drawn(device, traits, node, compute, made, STATE)
    width, bits = {"float64": (64, 53), "float32": (32, 24), "float16": (32, 11), "bfloat16": (32, 8)}[dtype]
    lanes = node("random_bits", STATE, shape=(7, 41), width=width).op.fn(STATE, shape=(7, 41), width=width)
    np.testing.assert_array_equal(values.astype(np.float64), (lanes >> (width - bits)) * 2.0**-bits)


@pytest.mark.parametrize(
    ("low", "high", "dtype"),
    [(0, 10, "int32"), (-5, 6, "int64"), (-(2**31), 2**31, "int64"), (-3, 100, "int8"), (0, 1, "uint16")],
)
def test_integers_are_exact(low, high, dtype, device, traits, node, compute):
    made = node("random_integer", STATE, shape=(333,), low=low, high=high, dtype=dtype)
    (values,) = drawn(device, traits, node, compute, made, STATE)
    lanes = node("random_bits", STATE, shape=(333,), width=32).op.fn(STATE, shape=(333,), width=32)
    expected = [low + (int(lane) * (high - low) >> 32) for lane in lanes]
    np.testing.assert_array_equal(values, np.array(expected, dtype))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("n", [1, 2, 255, 1001])
def test_normal_draws_agree_to_rounding(n, dtype, device, traits, node, compute):
    made = node("random_normal", STATE, shape=(n,), dtype=dtype)
    (values,) = drawn(device, traits, node, compute, made, STATE)
    width, bits = (64, 53) if dtype == "float64" else (32, 24)
    lanes = node("random_bits", STATE, shape=(n + n % 2,), width=width).op.fn(STATE, shape=(n + n % 2,), width=width)
    u, v = (((lanes >> (width - bits)) * 2.0**-bits).reshape(-1, 2)).T
    radius = np.sqrt(-2 * np.log(u + 2.0**-bits))
    pairs = np.stack([radius * np.cos(2 * np.pi * v), radius * np.sin(2 * np.pi * v)], 1)
    np.testing.assert_allclose(values, pairs.reshape(-1)[:n], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("dtype", "wanted"),
    [
        *((dtype, (True, True)) for dtype in ("float32", "float64", "float16", "bfloat16")),
        ("float32", (True, False)),
        ("float32", (False, True)),
    ],
)
def test_dropout_keeps_by_16_bit_lanes(dtype, wanted, device, traits, node, compute):
    x = (np.arange(2051) % 97 - 48).astype(np.float32)
    if dtype == "bfloat16":
        x = x.astype(pytest.importorskip("ml_dtypes").bfloat16)
    x = x.astype(x.dtype if dtype == "bfloat16" else dtype)
    made = node("dropout", x, STATE, rate=0.25, noise_shape=None)
    y, kept = drawn(device, traits, node, compute, made, *([x, STATE]), wanted=wanted)
    lanes = node("random_bits", STATE, shape=(2051,), width=16).op.fn(STATE, shape=(2051,), width=16)
    mask = lanes >= 16384
    if wanted[0]:
        scale = x.dtype.type(1 / 0.75)
        expected = np.where(mask, x.astype(np.float64) * np.float64(scale), 0).astype(x.dtype)
        np.testing.assert_array_equal(y.astype(np.float64), expected.astype(np.float64))
    if wanted[1]:
        np.testing.assert_array_equal(kept, mask)


def test_dropout_clears_what_is_not_a_number(device, traits, node, compute):
    x = np.full(300, np.nan, np.float32)
    made = node("dropout", x, STATE, rate=0.5, noise_shape=None)
    y, kept = drawn(device, traits, node, compute, made, x, STATE)
    assert (y[~kept] == 0).all()


def test_generated_text(pocl, gpu, node, golden):
    x = np.zeros((128, 256), np.float32)
    made = node("dropout", x, STATE, rate=0.25, noise_shape=None)
    golden("dropout.cl", emit_random(draw_of(made), pocl.place.traits))
    golden("dropout_gpu.cl", emit_random(draw_of(made), gpu))
    golden("dropout.cu", emit_draw(draw_of(made), CUDA))
    normal = node("random_normal", STATE, shape=(1000,), dtype="float32")
    golden("normal_gpu.cl", emit_random(draw_of(normal), gpu))
