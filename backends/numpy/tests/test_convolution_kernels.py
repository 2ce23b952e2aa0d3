"""Convolution, pooling and normalization kernels against the ops' references, with one thread and with several."""

from __future__ import annotations

import tracemalloc
from functools import cache

import numpy as np
import pytest

import kcore
import kcore_numpy.kernels.convolution  # noqa: F401
import kcore_numpy.kernels.depthwise  # noqa: F401
import kcore_numpy.kernels.pooling  # noqa: F401
from kcore.backend.kernel import Site, kernels_of
from kcore.graph.core import Node, Value
from kcore.graph.op import OPS, In, Spec
from kcore.ops import convolution, pooling  # noqa: F401
from kcore_numpy import products, threads


@pytest.fixture(params=[1, 2, 3])
def thread_count(request):
    before = threads.count()
    threads.set_count(request.param)
    yield request.param
    threads.set_count(before)


def bind(op, arrays, attrs):
    """A bound thunk and its outputs, which hold NaN or 7 before it runs; scratch is filled with ones."""
    attrs = {**op.defaults, **attrs}
    specs = op.infer(*[Spec(a.shape, str(a.dtype)) for a in arrays], **attrs)
    node = Node(op, [Value(a.shape, str(a.dtype)) for a in arrays], attrs, specs)
    chosen = kernels_of("numpy").find(node)
    wanted = chosen.scratch(node) if chosen.scratch else 0
    scratch = np.full(wanted + 64, 255, np.uint8)
    start = -scratch.ctypes.data % 64
    outputs = tuple(np.full(s.shape, np.nan if "float" in s.dtype else 7, s.dtype) for s in specs)
    return chosen.bind(Site(node, tuple(arrays), outputs, scratch[start : start + wanted], None)), outputs


def draw(entry, dtype, rng):
    entry = entry if isinstance(entry, In) else In(tuple(entry))
    values = rng.uniform(entry.low, entry.high, entry.shape) if entry.value is None else np.asarray(entry.value)
    return values.astype(entry.dtype or dtype)


@cache
def wanted(name, number):
    """Inputs in float64 and the reference's results for one sample of an op."""
    op, rng = OPS[name], np.random.default_rng(number)
    arrays = [draw(entry, "float64", rng) for entry in op.samples[number].inputs]
    results = op.fn(*arrays, **op.samples[number].attrs)
    return arrays, results if isinstance(results, tuple) else (results,)


NAMES = [
    "conv",
    "conv_input_grad",
    "conv_kernel_grad",
    "max_pool",
    "max_pool_grad",
    "max_pool_pick",
    "average_pool",
    "average_pool_grad",
]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", NAMES)
def test_kernel_agrees_with_the_reference(name, dtype, thread_count):
    op = OPS[name]
    relative, absolute = op.tolerance[dtype]
    for number, sample in enumerate(op.samples):
        arrays, results = wanted(name, number)
        arrays = [a.astype(dtype) if a.dtype.kind == "f" else a for a in arrays]
        thunk, outputs = bind(op, arrays, sample.attrs)
        for _ in range(2):  # a replay must not depend on what the first run left in scratch
            thunk()
        for output, result in zip(outputs, results, strict=True):
            message = f"{name} sample {number}: {sample.attrs}"
            np.testing.assert_allclose(output, result, rtol=relative, atol=absolute, err_msg=message)


@pytest.mark.parametrize("name", ["conv", "conv_input_grad", "conv_kernel_grad"])
def test_a_thunk_allocates_nothing_large(name):
    shape, window = (8, 40, 40, 16), (3, 3, 16, 16)
    attrs = {"strides": (1, 1), "padding": ((1, 1), (1, 1)), "dilation": (1, 1), "groups": 1}
    x, weights = np.ones(shape, "float32"), np.ones(window, "float32")
    inputs, extra = {
        "conv": ((x, weights), {}),
        "conv_input_grad": ((x, weights), {"input_shape": shape}),
        "conv_kernel_grad": ((x, x), {"kernel_shape": window}),
    }[name]
    thunk, _ = bind(OPS[name], inputs, {**attrs, **extra})
    thunk()
    tracemalloc.start()
    thunk()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 128 * 1024


def test_results_do_not_change_from_run_to_run(thread_count):
    x, g = (np.random.default_rng(i).random((9, 32, 32, c), dtype="float32") for i, c in enumerate((8, 16)))
    attrs = {"strides": (1, 1), "padding": ((1, 1), (1, 1)), "dilation": (1, 1), "groups": 1}
    thunk, (out,) = bind(OPS["conv_kernel_grad"], (x, g), {**attrs, "kernel_shape": (3, 3, 8, 16)})
    thunk()
    first = out.copy()
    for _ in range(5):
        thunk()
        np.testing.assert_array_equal(out, first)


@pytest.mark.parametrize("relu", [False, True])
def test_bias_and_relu_are_fused_into_the_convolution(relu):
    rng = np.random.default_rng(0)
    x, weights, bias = (rng.uniform(-1, 1, s).astype("float32") for s in ((2, 9, 9, 3), (3, 3, 3, 8), (8,)))
    conv = kcore.ops.conv

    @kcore.function
    def layer(x, weights, bias):
        y = conv(x, weights, padding="same") + bias
        return kcore.ops.relu(y) if relu else y

    plain = np.asarray(conv(x, weights, padding="same")) + bias
    np.testing.assert_allclose(layer(x, weights, bias), np.maximum(plain, 0) if relu else plain, atol=1e-6)
    steps = layer.concrete(x, weights, bias).program.plan.steps
    assert [s.node.op.name for s in steps] == ["conv_bias_relu" if relu else "conv_bias"]


@pytest.mark.parametrize(
    ("left", "right"),
    [((33, 20), (20, 47)), ((7, 33, 20), (7, 20, 47)), ((3, 2, 5, 4), (2, 4, 6)), ((1, 5), (5, 1)), ((200, 5), (5, 3))],
)
def test_split_products_are_whole_products(left, right, thread_count, monkeypatch):
    monkeypatch.setattr(products, "SPLIT", 1)
    rng = np.random.default_rng(0)
    a, b = rng.random(left), rng.random(right)
    out = np.full((a @ b).shape, np.nan)
    products.product(a, b, out)()
    np.testing.assert_allclose(out, a @ b)
