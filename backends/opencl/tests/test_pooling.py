"""Pooling on the device: any rank, stride and padding, with many channels and few, and what is not a number."""

from __future__ import annotations

import numpy as np
import pytest

from kcore.graph.core import Graph, Node
from kcore.graph.fuse import join_nodes
from kcore.graph.fuse_product import FUSED_PRODUCT
from kcore.graph.op import OPS, Spec
from kcore.kernels.pooling import emit_pool, supports


@pytest.fixture
def device(target):
    return target[0]


@pytest.fixture
def traits(target):
    return target[1]


CASES = [
    ((2, 7, 5), (2, 2), (2, 2), ((0, 1), (0, 1))),
    ((1, 7, 6), (1, 2), (3, 1), ((0, 0), (0, 1))),
    ((1, 9, 4), (3, 3), (1, 1), ((1, 1), (1, 1))),
    ((3, 11), (3,), (2,), ((1, 1),)),
    ((1, 4, 5, 4), (2, 2, 2), (2, 1, 2), ((0, 0), (1, 0), (0, 0))),
]


@pytest.fixture(params=CASES, ids=str)
def case(request):
    shape, pool, strides, padding = request.param
    return shape, {"pool_size": pool, "strides": strides, "padding": padding}


@pytest.fixture
def pooled(device, traits, node, compute):
    """The outputs of a pooling op on the device, and by its reference."""

    def run(name, *arrays, wanted=None, **attrs):
        made = node(name, *arrays, **attrs)
        flags = wanted or [True] * len(made.outputs)
        found = compute(device, made, emit_pool(made, traits, flags), *arrays, wanted=flags)
        expected = made.op.fn(*arrays, **attrs)
        return found, expected if isinstance(expected, tuple) else (expected,)

    return run


@pytest.mark.parametrize("channels", [3, 21])
def test_all_pooling_ops(channels, case, pooled):
    shape, attrs = case
    x = np.random.default_rng(0).standard_normal((*shape, channels)).astype(np.float32)
    (y, offsets), (best, where) = pooled("max_pool", x, **attrs)
    np.testing.assert_array_equal(y, best)
    np.testing.assert_array_equal(offsets, where)
    g = np.random.default_rng(1).standard_normal(y.shape).astype(np.float32)
    checks = [
        ("max_pool_grad", (offsets, g), {"input_shape": x.shape}),
        ("max_pool_pick", (x, offsets), {}),
        ("average_pool", (x,), {}),
        ("average_pool_grad", (g,), {"input_shape": x.shape}),
    ]
    for name, arrays, more in checks:
        (found,), (expected,) = pooled(name, *arrays, **attrs, **more)
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6, err_msg=name)


@pytest.mark.parametrize("dtype", ["float64", "float16", "int8", "bool"])
@pytest.mark.parametrize("channels", [3, 17])
def test_max_of_every_dtype(dtype, channels, pooled):
    x = np.random.default_rng(0).integers(0, 2 if dtype == "bool" else 100, (2, 5, 6, channels)).astype(dtype)
    attrs = {"pool_size": (2, 3), "strides": (2, 1), "padding": ((1, 0), (1, 1))}
    (y, offsets), (best, where) = pooled("max_pool", x, **attrs)
    np.testing.assert_array_equal(y, best)
    np.testing.assert_array_equal(offsets, where)


@pytest.mark.parametrize("dtype", ["float64", "float16"])
@pytest.mark.parametrize("channels", [3, 17])
def test_gradients_of_other_floats(dtype, channels, pooled):
    x = np.random.default_rng(0).integers(-9, 9, (2, 5, 6, channels)).astype(dtype)
    attrs = {"pool_size": (2, 2), "strides": (2, 1), "padding": ((1, 0), (1, 1))}
    (y, offsets), _ = pooled("max_pool", x, **attrs)
    for name, arrays in (("max_pool_grad", (offsets, y)), ("average_pool_grad", (y,))):
        (found,), (expected,) = pooled(name, *arrays, **attrs, input_shape=x.shape)
        np.testing.assert_allclose(found.astype(float), expected.astype(float), rtol=4e-3, atol=1e-2, err_msg=name)


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
@pytest.mark.parametrize("channels", [3, 16, 21])
def test_what_follows_a_gradient_is_computed_in_its_kernel(dtype, channels, device, traits, compute, case):
    shape, attrs = case
    rng = np.random.default_rng(0)
    x, mask = rng.standard_normal((*shape, channels)).astype(dtype), rng.random((*shape, channels)) < 0.5
    scale = rng.integers(1, 4, channels).astype(dtype)
    y, offsets = OPS["max_pool"].fn(x, **attrs)
    graph = Graph()
    values = [graph.placeholder(a.shape, a.dtype.name) for a in (offsets, y, mask, scale)]
    out = Spec(x.shape, dtype)
    grad = Node(OPS["max_pool_grad"], values[:2], {"input_shape": x.shape, **attrs}, [out], "model/pool")
    scaled = Node(OPS["multiply"], (grad.outputs[0], values[3]), {}, [out], "model/scale")
    zero = graph.constant(np.zeros((), dtype), dtype)
    kept = Node(OPS["where"], (values[2], scaled.outputs[0], zero), {}, [out], "model/relu")
    made = join_nodes(FUSED_PRODUCT, [grad, scaled, kept], [kept.outputs[0]], grad)
    assert supports(made)
    arrays = dict(zip(values, (offsets, y, mask, scale), strict=True))
    given = [arrays[v] for v in made.inputs]
    (found,) = compute(device, made, emit_pool(made, traits, (True,)), *given)
    expected = np.where(mask, OPS["max_pool_grad"].fn(offsets, y, input_shape=x.shape, **attrs) * scale, 0)
    np.testing.assert_allclose(found.astype(float), expected.astype(float), rtol=4e-3 if dtype == "float16" else 1e-6)


@pytest.mark.parametrize("channels", [2, 16])
def test_the_first_of_equals_and_the_first_nan_win(channels, pooled):
    x = np.zeros((1, 4, 4, channels), np.float32)
    x[0, 1, 0], x[0, 1, 1], x[0, 2:, 2:] = np.nan, np.inf, -np.inf
    attrs = {"pool_size": (2, 2), "strides": (2, 2), "padding": ((0, 0), (0, 0))}
    (y, offsets), (best, where) = pooled("max_pool", x, **attrs)
    np.testing.assert_array_equal(y, best)
    np.testing.assert_array_equal(offsets, where)
    assert offsets[0, :, :, 0].tolist() == [[2, 0], [0, 0]]


@pytest.mark.parametrize("wanted", [(True, False), (False, True)])
def test_outputs_nobody_reads_are_not_written(wanted, pooled):
    x = np.random.default_rng(0).standard_normal((2, 6, 6, 16)).astype(np.float32)
    attrs = {"pool_size": (2, 2), "strides": (2, 2), "padding": ((0, 0), (0, 0))}
    found, expected = pooled("max_pool", x, wanted=wanted, **attrs)
    for flag, array, value in zip(wanted, found, expected, strict=True):
        assert (array is not None) == flag
        if flag:
            np.testing.assert_array_equal(array, value)


def test_generated_text(intel, gpu, node, golden):
    x = np.zeros((128, 24, 24, 64), np.float32)
    attrs = {"pool_size": (3, 3), "strides": (2, 2), "padding": ((0, 1), (0, 1))}
    made = node("max_pool", x, **attrs)
    y, offsets = (np.zeros(v.shape, v.dtype) for v in made.outputs)
    golden("max_pool.cl", emit_pool(made, intel.place.traits, (True, True)))
    golden("max_pool_gpu.cl", emit_pool(made, gpu, (True, True)))
    made = node("max_pool_grad", offsets, y, input_shape=x.shape, **attrs)
    golden("max_pool_grad.cl", emit_pool(made, intel.place.traits, (True,)))
    made = node("average_pool_grad", y, input_shape=x.shape, **attrs)
    golden("average_pool_grad.cl", emit_pool(made, intel.place.traits, (True,)))
